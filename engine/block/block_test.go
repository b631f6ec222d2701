package block

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
)

var _ merge.Source = (*Chunk)(nil)

// memory is a store of one object, which may be damaged at will.
type memory struct {
	disk.Blocks
	bytes []byte
}

type testObject struct{ *bytes.Reader }

func (testObject) Close() error { return nil }

func (m memory) Open(string) (disk.Object, error) {
	return testObject{bytes.NewReader(m.bytes)}, nil
}

type chunkRows struct {
	times  []int64
	values []float64
}

type channelRows struct {
	channel model.Channel
	chunks  []chunkRows
}

var testName = disk.BlockName{Tenant: "site", Level: Level, First: 0, Last: model.Day,
	FirstOffset: 11, LastOffset: 99, Epoch: 3}

func fixedSalt() (salt [disk.SaltSize]byte) {
	for i := range salt {
		salt[i] = byte(i)
	}
	return salt
}

// build writes a block into memory.
func build(t interface{ Fatalf(string, ...any) }, channels []channelRows) ([]byte, Meta) {
	var file bytes.Buffer
	w := NewWriter(&file, WriterOptions{Name: testName, NewSalt: fixedSalt})
	for _, c := range channels {
		if err := w.AddChannel(c.channel); err != nil {
			t.Fatalf("AddChannel: %v", err)
		}
		for _, rows := range c.chunks {
			if err := w.AddChunk(rows.times, rows.values); err != nil {
				t.Fatalf("AddChunk: %v", err)
			}
		}
	}
	meta, err := w.Close()
	if err != nil {
		t.Fatalf("Close: %v", err)
	}
	return file.Bytes(), meta
}

func labelled(t interface{ Fatalf(string, ...any) }, id model.ChannelID, instrument, channel string) model.Channel {
	labels, err := model.NewLabels(model.Label{Name: model.InstrumentLabel, Value: instrument},
		model.Label{Name: model.ChannelLabel, Value: channel})
	if err != nil {
		t.Fatalf("labels: %v", err)
	}
	return model.Channel{ID: id, Labels: labels}
}

// minutes returns rows a minute apart that look like a temperature.
func minutes(first int64, n int, seed int) chunkRows {
	var rows chunkRows
	for i := range n {
		rows.times = append(rows.times, first+int64(i)*60e9)
		rows.values = append(rows.values, math.Round(200+80*math.Sin(float64(i+seed*37)/200)+float64((i*7919+seed)>>3&1))/10)
	}
	return rows
}

// small is a block of four channels with everything in it.
func small(t interface{ Fatalf(string, ...any) }) []channelRows {
	a, b, c := labelled(t, 1, "LR8450", "CH1-1"), labelled(t, 2, "LR8450", "CH1-2"), labelled(t, 70000, "other", "x")
	p := model.Properties{Name: "boiler", Unit: "°C", Group: "1", App: "gw", Decimals: 1, HasDecimals: true}
	a.History = a.History.With(-5, p)
	p.Name = "boiler return"
	b.History = b.History.With(-5, p)
	p.Decimals = 0
	b.History = b.History.With(1000, p)
	p.HasDecimals = false
	c.History = c.History.With(0, p)
	nan := math.Float64frombits(0x7FF8000000000001)
	return []channelRows{
		{a, []chunkRows{minutes(0, 40, 1), minutes(7200e9, 3, 2)}},
		{b, []chunkRows{{[]int64{-1}, []float64{math.Copysign(0, -1)}}, {[]int64{5, 6}, []float64{model.QualityOver.NaN(), nan}}}},
		{c, []chunkRows{{[]int64{1, 2, 4, math.MaxInt64}, []float64{math.Inf(1), 0, math.Inf(-1), 1e300}}}},
		{labelled(t, 70001, "other", "y"), []chunkRows{{[]int64{1, 2, 4, math.MaxInt64}, []float64{1, 2, 3, 4.5}}}},
	}
}

func open(t interface{ Fatalf(string, ...any) }, file []byte) *Reader {
	r, err := Open(memory{bytes: file}, testName.String())
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return r
}

func sameRows(a, b chunkRows) bool {
	return slices.Equal(a.times, b.times) && slices.EqualFunc(a.values, b.values, func(x, y float64) bool {
		return math.Float64bits(x) == math.Float64bits(y)
	})
}

// readChunk reads one chunk from the file.
func readChunk(r *Reader, ref ChunkRef) ([]int64, []float64, error) {
	c := r.Chunk(ref)
	return c.Decode(nil, nil)
}

// readBack reads the chunks of these channels in span, from the file and
// through Load.
func readBack(r *Reader, ids []model.ChannelID, span model.Span) (refs []ChunkRef, rows []chunkRows, err error) {
	var loaded []*Chunk
	err = r.Chunks(ids, span, func(ref ChunkRef) error {
		refs = append(refs, ref)
		c := r.Chunk(ref)
		loaded = append(loaded, &c)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if _, err := r.Load(loaded, nil); err != nil {
		return nil, nil, err
	}
	for i := range refs {
		times, values, err := readChunk(r, refs[i])
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, chunkRows{times, values})
		times, values, err = loaded[i].Decode(nil, nil)
		if err != nil {
			return nil, nil, err
		}
		if !sameRows(rows[i], chunkRows{times, values}) {
			return nil, nil, errors.New("Load changes what is read")
		}
		if err := checkFold(loaded[i], times); err != nil {
			return nil, nil, err
		}
	}
	return refs, rows, nil
}

// checkFold folds a chunk in sixteen parts of all time.
func checkFold(c *Chunk, times []int64) error {
	var out [16]model.Aggregate
	if err := c.Fold(everything, merge.Grid{From: math.MinInt64, Width: 1 << 60}, out[:]); err != nil {
		return err
	}
	rows := uint64(0)
	for i := range out {
		rows += out[i].Rows()
	}
	if times[len(times)-1] == math.MaxInt64 { // is not in everything
		rows++
	}
	if rows != uint64(len(times)) && slices.IsSorted(times) { // a forged chunk's times may be anything
		return fmt.Errorf("%d rows of %d were folded", rows, len(times))
	}
	return nil
}

// everything is the span of all int64 but the last.
var everything = model.Span{From: math.MinInt64, To: math.MaxInt64}

func drawChannels(t *rapid.T) []channelRows {
	var channels []channelRows
	id := model.ChannelID(0)
	text := rapid.StringMatching(`[a-z °]{0,12}`)
	for i := range rapid.IntRange(1, 40).Draw(t, "channels") {
		id += model.ChannelID(rapid.IntRange(1, 300).Draw(t, "id"))
		c := labelled(t, id, fmt.Sprint("instrument ", i/10), fmt.Sprint("CH", i))
		for range rapid.IntRange(0, 3).Draw(t, "versions") {
			c.History = c.History.With(rapid.Int64Range(-1e18, 1e18).Draw(t, "from"), model.Properties{
				Name: text.Draw(t, "name"), Unit: text.Draw(t, "unit"), App: text.Draw(t, "app"),
				Decimals: uint8(rapid.IntRange(0, 255).Draw(t, "decimals")), HasDecimals: true})
		}
		rows := channelRows{channel: c}
		at := rapid.Int64Range(-1e18, 1e18).Draw(t, "first")
		least := 0
		if i == 0 {
			least = 1
		}
		for range rapid.IntRange(least, 3).Draw(t, "chunks") {
			var chunk chunkRows
			step := rapid.Int64Range(1, 1e12).Draw(t, "step")
			value := rapid.SliceOfN(rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1),
				0, math.Copysign(0, -1), 21.5, model.QualityNoData.NaN()})), 1, 6).Draw(t, "value")
			for j := range rapid.IntRange(1, 50).Draw(t, "rows") {
				chunk.times = append(chunk.times, at)
				chunk.values = append(chunk.values, value[j%len(value)])
				at += step + int64(j%3)
			}
			rows.chunks = append(rows.chunks, chunk)
		}
		channels = append(channels, rows)
	}
	return channels
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		channels := drawChannels(t)
		file, meta := build(t, channels)
		r := open(t, file)
		if r.Meta() != meta || meta.Bytes != uint64(len(file)) || meta.Name != testName.String() {
			t.Fatalf("meta %+v, written %+v", r.Meta(), meta)
		}
		checkMeta(t, meta, channels)
		i := 0
		err := r.Channels(func(c model.Channel) error {
			if !reflect.DeepEqual(c, channels[i].channel) {
				t.Fatalf("channel %+v, want %+v", c, channels[i].channel)
			}
			i++
			return nil
		})
		if err != nil || i != len(channels) {
			t.Fatalf("%d channels, %v", i, err)
		}
		checkSelection(t, r, channels)
		if err := Check(memory{bytes: file}, "x", func(offset int64, what string) {
			t.Fatalf("%d: %s", offset, what)
		}); err != nil {
			t.Fatalf("Check: %v", err)
		}
	})
}

func checkMeta(t *rapid.T, meta Meta, channels []channelRows) {
	want := Meta{Name: meta.Name, Level: Level, Bytes: meta.Bytes, ChunkBytes: meta.ChunkBytes, FirstOffset: 11, LastOffset: 99,
		Epoch: 3, First: math.MaxInt64, Last: math.MinInt64, Channels: uint64(len(channels))}
	for _, c := range channels {
		for _, rows := range c.chunks {
			want.Chunks++
			want.Rows += uint64(len(rows.times))
			want.Uncharged = want.Rows
			want.First = min(want.First, rows.times[0])
			want.Last = max(want.Last, rows.times[len(rows.times)-1])
		}
	}
	if meta != want {
		t.Fatalf("meta %+v, want %+v", meta, want)
	}
}

// checkSelection reads some channels in some span.
func checkSelection(t *rapid.T, r *Reader, channels []channelRows) {
	var ids []model.ChannelID
	for id := range channels[len(channels)-1].channel.ID + 2 {
		if rapid.IntRange(0, 9).Draw(t, "wanted") < 7 {
			ids = append(ids, id)
		}
		if len(ids) > 300 {
			break
		}
	}
	span := everything
	if rapid.Bool().Draw(t, "part") {
		span.From = rapid.Int64Range(-1e18, 1e18).Draw(t, "from")
		span.To = rapid.Int64Range(span.From, 1e18).Draw(t, "to")
	}
	refs, rows, err := readBack(r, ids, span)
	if err != nil {
		t.Fatalf("%v", err)
	}
	at := 0
	for _, c := range channels {
		for _, chunk := range c.chunks {
			if !slices.Contains(ids, c.channel.ID) || !span.Overlaps(chunk.times[0], chunk.times[len(chunk.times)-1]) {
				continue
			}
			if at == len(refs) || refs[at].Channel != c.channel.ID || !sameRows(rows[at], chunk) {
				t.Fatalf("chunk %d is not that of channel %d", at, c.channel.ID)
			}
			var want model.Aggregate
			for i := range chunk.times {
				want.Add(chunk.times[i], chunk.values[i])
			}
			checkSummary(t, &refs[at].Summary, &want, chunk.values)
			at++
		}
	}
	if at != len(refs) {
		t.Fatalf("%d chunks, want %d", len(refs), at)
	}
}

// checkSummary compares what the index says of rows with a plain loop.
func checkSummary(t interface{ Fatalf(string, ...any) }, got, want *model.Aggregate, values []float64) {
	rounded := *want
	rounded.Sum, rounded.Compensation = got.Sum, got.Compensation
	off := math.Abs(got.Total() - want.Total())
	if !sameBits(got, &rounded) || off > 0x1p-51*sizeOf(values) {
		t.Fatalf("summary %+v, want %+v", got, want)
	}
}

func TestManyPagesAreReadByParts(t *testing.T) {
	var channels []channelRows
	for id := range model.ChannelID(3000) {
		channels = append(channels, channelRows{labelled(t, 2*id+1, "instrument", fmt.Sprint(id)),
			[]chunkRows{minutes(int64(id)*60e9, 3, int(id))}})
	}
	file, _ := build(t, channels)
	r := open(t, file)
	if len(r.index) < 4 || len(r.channels) < 2 {
		t.Fatalf("%d index pages and %d channels pages are too few for this test", len(r.index), len(r.channels))
	}
	for i := 1; i < len(r.index); i++ {
		if r.index[i].Length > pageBytes+200 {
			t.Errorf("page %d has %d bytes", i, r.index[i].Length)
		}
	}
	at := 0
	err := r.Channels(func(c model.Channel) error {
		if !reflect.DeepEqual(c, channels[at].channel) {
			t.Fatalf("channel %+v, want %+v", c, channels[at].channel)
		}
		at++
		return nil
	})
	if err != nil || at != len(channels) {
		t.Errorf("%d channels, %v", at, err)
	}
	ids := []model.ChannelID{0, 1, 2, 3, 1001, 2001, 2003, 5999, 6000, 7000}
	refs, _, err := readBack(r, ids, everything)
	if err != nil {
		t.Fatal(err)
	}
	var got []model.ChannelID
	for _, ref := range refs {
		got = append(got, ref.Channel)
	}
	if want := []model.ChannelID{1, 3, 1001, 2001, 2003, 5999}; !slices.Equal(got, want) {
		t.Errorf("channels %d, want %d", got, want)
	}
	refs, _, err = readBack(r, ids, model.Span{From: 1000 * 60e9, To: 1001*60e9 + 1})
	if err != nil || len(refs) != 2 {
		t.Errorf("%d chunks, %v", len(refs), err)
	}
}

func TestBlockInAStore(t *testing.T) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("data", 0o755); err != nil {
		t.Fatal(err)
	}
	store := disk.NewLocalBlocks(fs, "data")
	file, _ := build(t, small(t))
	name := testName.String()
	if _, err := Open(store, name); !errors.Is(err, disk.ErrNotFound) {
		t.Fatalf("a missing block: %v", err)
	}
	if err := Check(store, name, nil); !errors.Is(err, disk.ErrNotFound) {
		t.Fatalf("a missing block: %v", err)
	}
	if err := store.Put(name, writeAll(file)); err != nil {
		t.Fatal(err)
	}
	r, err := Open(store, name)
	if err != nil {
		t.Fatal(err)
	}
	if _, rows, err := readBack(r, []model.ChannelID{1}, everything); err != nil || len(rows) != 2 {
		t.Errorf("%d chunks, %v", len(rows), err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func TestOrderIsKept(t *testing.T) {
	one, two := labelled(t, 1, "a", "b"), labelled(t, 2, "a", "c")
	for name, write := range map[string]func(w *Writer) error{
		"a channel twice":  func(w *Writer) error { return errors.Join(w.AddChannel(two), w.AddChannel(two)) },
		"a lesser channel": func(w *Writer) error { return errors.Join(w.AddChannel(two), w.AddChannel(one)) },
		"no channel":       func(w *Writer) error { return w.AddChunk([]int64{1}, []float64{1}) },
		"rows": func(w *Writer) error {
			return errors.Join(w.AddChannel(one), w.AddChunk([]int64{2, 1}, []float64{1, 2}))
		},
		"a row twice": func(w *Writer) error {
			return errors.Join(w.AddChannel(one), w.AddChunk([]int64{2, 2}, []float64{1, 2}))
		},
		"chunks": func(w *Writer) error {
			return errors.Join(w.AddChannel(one), w.AddChunk([]int64{2}, []float64{1}), w.AddChunk([]int64{2}, []float64{2}))
		},
	} {
		w := NewWriter(new(bytes.Buffer), WriterOptions{Name: testName})
		if err := write(w); !errors.Is(err, ErrOrder) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := w.Close(); !errors.Is(err, ErrOrder) {
			t.Errorf("%s: then Close: %v", name, err)
		}
	}
	w := NewWriter(new(bytes.Buffer), WriterOptions{Name: testName})
	if err := errors.Join(w.AddChannel(one), w.AddChunk(nil, nil)); err != nil {
		t.Error(err)
	}
	if _, err := w.Close(); !errors.Is(err, ErrEmpty) {
		t.Errorf("no rows: %v", err)
	}
}

type fullAfter struct{ left int }

var errFull = errors.New("full")

func (f *fullAfter) Write(b []byte) (int, error) {
	if f.left -= len(b); f.left < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestAWriteThatFailsIsReported(t *testing.T) {
	rows := minutes(0, 4000, 0)
	for i := range rows.values {
		rows.values[i] = math.Sin(float64(i)) // does not compress
	}
	for _, room := range []int{0, 60 << 10, 80 << 10} {
		w := NewWriter(&fullAfter{room}, WriterOptions{Name: testName})
		var err error
		for id := model.ChannelID(1); err == nil && id < 4; id++ {
			err = errors.Join(w.AddChannel(labelled(t, id, "a", fmt.Sprint(id))), w.AddChunk(rows.times, rows.values))
		}
		if _, closed := w.Close(); !errors.Is(closed, errFull) {
			t.Errorf("room for %d bytes: %v, then %v", room, err, closed)
		}
	}
}

func TestOneReaderForManyGoroutines(t *testing.T) {
	channels := small(t)
	file, _ := build(t, channels)
	r := open(t, file)
	done := make(chan error)
	for range 4 {
		go func() {
			var err error
			for i := 0; i < 50 && err == nil; i++ {
				var rows []chunkRows
				_, rows, err = readBack(r, []model.ChannelID{1, 70000, 70001}, everything)
				if err == nil && (len(rows) != 4 || !sameRows(rows[3], channels[3].chunks[0]) || !sameRows(rows[0], channels[0].chunks[0])) {
					err = fmt.Errorf("%d chunks", len(rows))
				}
			}
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
