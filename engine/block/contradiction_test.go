package block

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// TestCheckFindsContradictions writes blocks whose checksums are right and
// whose parts do not fit together.
func TestCheckFindsContradictions(t *testing.T) {
	last := func(b []byte) *byte { return &b[len(b)-1] }
	for name, c := range map[string]struct {
		tamper func(w *Writer)
		want   string
	}{
		"nothing":  {func(w *Writer) {}, ""},
		"rows":     {func(w *Writer) { w.meta.Rows++ }, "the footer says 7 in 2"},
		"chunks":   {func(w *Writer) { w.meta.Chunks++ }, "the footer says 6 in 3"},
		"channels": {func(w *Writer) { w.meta.Channels++ }, "1 channels, the footer says 2"},
		"span":     {func(w *Writer) { w.meta.First-- }, "directory and footer"},
		"page": {func(w *Writer) { w.index.list[0].last, w.meta.Last = 3, 3 },
			"the index page is damaged"},
		"sum": {func(w *Writer) { *last(w.index.payload) ^= 1 }, "rows differ from its header"},
		"no labels": {func(w *Writer) {
			w.channel, w.chunked = 9, false
			w.AddChunk([]int64{1}, []float64{1})
		}, "the labels of channel 9 are missing"},
		"overlap": {func(w *Writer) {
			w.chunked = false
			w.AddChunk([]int64{1}, []float64{1})
		}, "the index page is damaged"},
		"overlap of pages": {func(w *Writer) {
			w.chunked, w.index.open = false, false
			w.AddChunk([]int64{1}, []float64{1})
		}, "the chunks of channel 4 overlap"},
		"a hidden frame at the end": {func(w *Writer) { w.out = disk.AppendFrame(w.out, w.frames, nil) },
			"the one before ends at"},
		"a hidden frame amid": {func(w *Writer) {
			w.index.open = false
			w.out = disk.AppendFrame(w.out, w.frames, nil)
			w.frames++
			w.AddChunk([]int64{100}, []float64{1})
		}, "the one before ends at"},
		"first channel": {func(w *Writer) { w.channels.list[0].firstChannel = 2 }, "another first channel"},
		"history": {func(w *Writer) {
			c := labelled(t, 5, "a", "c")
			c.History = model.History{{ValidFrom: 5}, {ValidFrom: 5}}
			w.AddChannel(c)
		}, "the channels page is damaged"},
		"times": {func(w *Writer) {
			w.channel, w.chunked = 4, true
			ref := ChunkRef{Channel: 4, Encoding: chunk.Fast, Summary: model.Aggregate{Quality: 3, FirstTime: 50, LastTime: 54}}
			ref.Times, _ = w.addTimes([]int64{50, 51, 55})
			w.begin()
			w.out = w.encoder.AppendValues(w.out, []float64{math.NaN(), math.NaN(), math.NaN()}, chunk.Fast)
			ref.Values, _ = w.finish()
			w.meta.Rows, w.meta.Chunks, w.meta.Last = 9, 3, 54
			w.addEntry(&ref, new(numbers))
		}, "times and index contradict"},
		"times of a frame of values": {func(w *Writer) {
			ref := ChunkRef{Channel: 4, Encoding: chunk.Fast, Summary: model.Aggregate{Quality: 3, FirstTime: 50, LastTime: 55}}
			ref.Times = Frame{Position: disk.HeaderSize, Length: binary.LittleEndian.Uint32(w.out[disk.HeaderSize:]), crc: frameCRC(w.out[disk.HeaderSize:])}
			w.begin()
			w.out = w.encoder.AppendValues(w.out, []float64{math.NaN(), math.NaN(), math.NaN()}, chunk.Fast)
			ref.Values, _ = w.finish()
			w.meta.Rows, w.meta.Chunks, w.meta.Last = 9, 3, 55
			w.addEntry(&ref, new(numbers))
		}, "are none of an earlier chunk"},
	} {
		var file bytes.Buffer
		w := NewWriter(&file, WriterOptions{Name: testName})
		err := errors.Join(w.AddChannel(labelled(t, 4, "a", "b")),
			w.AddChunk([]int64{1, 2, 3}, []float64{1, 2, 3}), w.AddChunk([]int64{4, 5, 6}, []float64{3, 2, 1}))
		c.tamper(w)
		_, err2 := w.Close()
		if err != nil || err2 != nil {
			t.Fatalf("%s: %v, %v", name, err, err2)
		}
		var got []string
		if err := Check(memory{bytes: file.Bytes()}, "x", func(_ int64, what string) { got = append(got, what) }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		all := strings.Join(got, "; ")
		if c.want == "" && all != "" || !strings.Contains(all, c.want) {
			t.Errorf("%s: found %q", name, all)
		}
	}
}

func TestAnUnknownEncodingIsNewer(t *testing.T) {
	file, _ := build(t, small(t))
	r := open(t, file)
	refs, _, err := readBack(r, []model.ChannelID{1}, everything)
	if err != nil {
		t.Fatal(err)
	}
	refs[0].Encoding = 7
	if _, _, err := readChunk(r, refs[0]); !errors.Is(err, disk.ErrVersion) || errors.Is(err, disk.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

// TestDamageDoesNotHideDamage breaks what leads to a chunk, and the chunk.
func TestDamageDoesNotHideDamage(t *testing.T) {
	whole, _ := build(t, small(t))
	r := open(t, whole)
	refs, _, err := readBack(r, []model.ChannelID{1, 2, 70000, 70001}, everything)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(whole))
	for name, at := range map[string]int64{"footer": size - footerSize, "directory": int64(r.footer.directory),
		"index": r.index[0].Position, "header": 0} {
		file := slices.Clone(whole)
		file[at+1] ^= 1
		file[refs[2].Values.Position+17] ^= 1
		if got := faults(t, file); !slices.Contains(got, at) || !slices.Contains(got, refs[2].Values.Position) {
			t.Errorf("%s: found %d, want %d and %d", name, got, at, refs[2].Values.Position)
		}
	}
}

// entryPage encodes one entry as a page.
func entryPage(c *ChunkRef) []byte {
	var w entryWriter
	n := numbersOf(&c.Summary, nil)
	return w.append(w.start(nil, c.start()), c, &n)
}

func TestEntriesAreBounded(t *testing.T) {
	good := ChunkRef{Channel: 5, Encoding: chunk.Fast, Values: Frame{Position: 100, Length: 16}, Times: Frame{Position: 48, Length: 36},
		Summary: model.Aggregate{Count: 3, FirstTime: 10, LastTime: 12, First: 1, Last: 1, Min: 1, Max: 1, Sum: 3}}
	limits := page{firstChannel: 5, lastChannel: 6, first: 10, last: 20}
	for name, change := range map[string]func(c *ChunkRef){
		"":              func(c *ChunkRef) {},
		"regular":       func(c *ChunkRef) { c.Times = Frame{} },
		"no rows":       func(c *ChunkRef) { c.Summary.Count = 0 },
		"too many":      func(c *ChunkRef) { c.Summary.Count, c.Summary.LastTime = maxChunkRows+1, 20 },
		"crowded":       func(c *ChunkRef) { c.Summary.Count = 4 },
		"no step":       func(c *ChunkRef) { c.Summary.LastTime, c.Times = 13, Frame{} },
		"one row":       func(c *ChunkRef) { c.Summary.Count = 1 },
		"channel":       func(c *ChunkRef) { c.Channel = 4 },
		"next channel":  func(c *ChunkRef) { c.Channel = 7 },
		"early":         func(c *ChunkRef) { c.Summary.FirstTime = 8 },
		"late":          func(c *ChunkRef) { c.Summary.LastTime = 22 },
		"backwards":     func(c *ChunkRef) { c.Summary.FirstTime = 14 },
		"in the header": func(c *ChunkRef) { c.Times.Position, c.Values.Position = 47, 99 },
		"behind":        func(c *ChunkRef) { c.Values.Length = 1<<20 - 100 },
		"shared":        func(c *ChunkRef) { c.Values.Position = 101 },
		"touching":      func(c *ChunkRef) { c.Times.Position, c.Values.Position = 47, 100 },
		"shared early":  func(c *ChunkRef) { c.Times.Position, c.Values.Position = -1, 100 },
	} {
		c := good
		change(&c)
		want := map[string]bool{"": true, "regular": true, "shared": true, "touching": true}[name]
		var e entries
		e.start(entryPage(&c))
		more, err := e.next(&limits, 1<<20)
		if want != (err == nil) || more != (err == nil) {
			t.Errorf("%s: %v, %v", name, more, err)
		}
		if want && e.ref != c {
			t.Errorf("%s: %+v, want %+v", name, e.ref, c)
		}
	}
	for name, change := range map[string]func(c *ChunkRef){
		"values": func(c *ChunkRef) { c.Values.Length = maxPayload + 1 },
		"times":  func(c *ChunkRef) { c.Times.Length, c.Values.Position = maxPayload+1, 48+16+maxPayload+1 },
	} {
		huge := good
		change(&huge)
		var e entries
		e.start(entryPage(&huge))
		if _, err := e.next(&limits, 1<<40); err == nil {
			t.Errorf("huge %s are not noticed", name)
		}
	}
	whole := entryPage(&good)
	for n := 2; n < len(whole); n++ {
		var e entries
		e.start(whole[:n])
		if more, err := e.next(&limits, 1<<20); err == nil {
			t.Errorf("%d of %d bytes: %v", n, len(whole), more)
		}
	}
}

func TestFootersAreBounded(t *testing.T) {
	good := footer{bodyEnd: 100, directory: 200, directoryLength: 84, rows: 1, chunks: 1, channels: 1, first: 1, last: 1}
	const size = 200 + disk.FrameHeaderSize + 84 + footerSize
	for name, change := range map[string]func(f *footer){
		"":                func(f *footer) {},
		"chunks":          func(f *footer) { f.bodyEnd = 47 },
		"chunks end late": func(f *footer) { f.bodyEnd = 201 },
		"directory":       func(f *footer) { f.directory = 199 },
		"far directory":   func(f *footer) { f.directory = math.MaxUint64 },
		"length":          func(f *footer) { f.directoryLength = 83 },
		"span":            func(f *footer) { f.first = 2 },
		"no rows":         func(f *footer) { f.rows, f.chunks = 0, 0 },
		"more chunks":     func(f *footer) { f.chunks = 2 },
		"chunks alone":    func(f *footer) { f.rows, f.rollupRows = 0, 1 },
		"rows alone":      func(f *footer) { f.chunks = 0 },
		"uncharged":       func(f *footer) { f.uncharged = 2 },
		"no channels":     func(f *footer) { f.channels = 0 },
	} {
		f := good
		change(&f)
		if err := new(footer).decode(f.appendTo(nil), size); (name == "") != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	huge := good
	huge.directoryLength = maxPayload + 1
	if err := new(footer).decode(huge.appendTo(nil), size-84+maxPayload+1); err == nil {
		t.Error("a huge directory is not noticed")
	}
	pages := []page{{Frame: Frame{Length: 34}, firstChannel: 1, lastChannel: 1}}
	b := (&directory{channels: pages, index: pages}).appendTo(nil)
	for end := int64(195); end < 205; end++ {
		if err := new(directory).decode(b, 100, end); (end == 200) != (err == nil) {
			t.Errorf("a directory of bytes 100 to %d: %v", end, err)
		}
	}
	// Pages that are promised, and there, but have no room in the file.
	many := make([]page, 1<<16)
	for i := range many {
		many[i].firstChannel, many[i].lastChannel = model.ChannelID(i+1), model.ChannelID(i+1)
	}
	crowd := (&directory{channels: many, index: many}).appendTo(nil)
	room := 2 * int64(len(many)) * disk.FrameHeaderSize
	if err := new(directory).decode(crowd, 100, 100+room); err != nil {
		t.Error(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := new(directory).decode(crowd, 100, 100+room/4)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; err == nil || took > 1<<20 {
		t.Errorf("%v, %d bytes allocated", err, took)
	}
	if err := new(directory).decode(append(b, 0), 100, 200); err == nil {
		t.Error("a byte too many is not noticed")
	}
}

func TestAChannelStandsOnce(t *testing.T) {
	var writer, reader channelCoder
	b := writer.append(nil, &model.Channel{ID: 1, Labels: labelled(t, 1, "a", "b").Labels})
	in := input{rest: append(b, 0, byte(len(writer.labels)), 0, 0, 0)}
	if c, err := reader.next(&in); c.ID != 1 || err != nil {
		t.Errorf("channel %d, %v", c.ID, err)
	}
	if c, err := reader.next(&in); err == nil {
		t.Errorf("then channel %d", c.ID)
	}
}

func TestNeighboursAreReadTogether(t *testing.T) {
	for name, c := range map[string]struct {
		extents [][2]int64
		want    int
	}{
		"touching":      {[][2]int64{{0, 10}, {10, 20}, {20, 30}}, 3},
		"a small gap":   {[][2]int64{{0, 10}, {10 + gapBytes, 20 + gapBytes}}, 2},
		"a large gap":   {[][2]int64{{0, 10}, {11 + gapBytes, 20 + gapBytes}}, 1},
		"much":          {[][2]int64{{0, 10}, {10, readBytes}}, 2},
		"too much":      {[][2]int64{{0, 10}, {10, readBytes}, {readBytes, readBytes + 1}}, 2},
		"one is larger": {[][2]int64{{0, 10 * readBytes}}, 1},
		"backwards":     {[][2]int64{{10, 20}, {0, 10}}, 1},
	} {
		got := together(len(c.extents), func(i int) (int64, int64) { return c.extents[i][0], c.extents[i][1] })
		if got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestTextsAreBounded(t *testing.T) {
	for _, c := range []struct {
		bytes  []byte
		before string
		want   string
		ok     bool
	}{
		{[]byte{2, 1, 1, 'x'}, "abc", "abxc", true},
		{[]byte{3, 0, 0}, "abc", "abc", true},
		{[]byte{0, 0, 0}, "abc", "", true},
		{[]byte{4, 0, 0}, "abc", "", false},
		{[]byte{2, 2, 0}, "abc", "", false},
		{[]byte{2, 1, 2, 'x'}, "abc", "", false},
		{[]byte{2, 1}, "abc", "", false},
	} {
		in := input{rest: c.bytes}
		if got := in.text(c.before); got != c.want || in.failed == c.ok {
			t.Errorf("%v after %q: %q, failed %v", c.bytes, c.before, got, in.failed)
		}
	}
}

// counted counts what is read.
type counted struct {
	disk.Object
	reads, bytes int
}

func (c *counted) ReadAt(b []byte, at int64) (int, error) {
	c.reads++
	c.bytes += len(b)
	return c.Object.ReadAt(b, at)
}

type countedStore struct {
	disk.Blocks
	counted *counted
}

func (c countedStore) Open(name string) (disk.Object, error) {
	object, err := c.Blocks.Open(name)
	c.counted.Object = object
	return c.counted, err
}

// TestOnlyWhatIsNeededIsRead opens a large block: its directory is longer than
// what is read of the end at first.
func TestOnlyWhatIsNeededIsRead(t *testing.T) {
	const chunks = 300_000
	var file bytes.Buffer
	w := NewWriter(&file, WriterOptions{Name: testName})
	err := w.AddChannel(labelled(t, 1, "a", "b"))
	for i := range int64(chunks) {
		err = errors.Join(err, w.AddChunk([]int64{i * 3}, []float64{float64(i)}))
	}
	if _, err2 := w.Close(); err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	var count counted
	r, err := Open(countedStore{memory{bytes: file.Bytes()}, &count}, "x")
	if err != nil {
		t.Fatal(err)
	}
	if r.footer.directoryLength < openBytes {
		t.Fatalf("the directory of %d bytes is too short for this test", r.footer.directoryLength)
	}
	if count.reads != 3 || count.bytes > 48+openBytes+int(r.footer.directoryLength)+disk.FrameHeaderSize {
		t.Errorf("opening: %d bytes in %d reads", count.bytes, count.reads)
	}
	count.reads, count.bytes = 0, 0
	var refs []*Chunk
	span := model.Span{From: 450_000, To: 450_300}
	err = r.Chunks([]model.ChannelID{1}, span, func(ref ChunkRef) error {
		c := r.Chunk(ref)
		refs = append(refs, &c)
		return nil
	})
	if err != nil || len(refs) != 100 || count.reads != 1 || count.bytes > 3*pageBytes {
		t.Fatalf("index: %d chunks, %d bytes in %d reads, %v", len(refs), count.bytes, count.reads, err)
	}
	count.reads = 0
	if _, err := r.Load(refs, nil); err != nil || count.reads != 1 {
		t.Errorf("loading: %d reads, %v", count.reads, err)
	}
}

// TestLoadInAnyOrder shares one buffer, larger and smaller than needed.
func TestLoadInAnyOrder(t *testing.T) {
	var channels []channelRows
	for id := model.ChannelID(1); id < 60; id++ {
		rows := minutes(0, 1000, int(id))
		for i := range rows.values {
			rows.values[i] = math.Sin(float64(i))
		}
		channels = append(channels, channelRows{labelled(t, id, "a", fmt.Sprint(id)), []chunkRows{rows}})
	}
	file, _ := build(t, channels)
	var count counted
	r, err := Open(countedStore{memory{bytes: file}, &count}, "x")
	if err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 0, 100<<10)
	var all []*Chunk
	for _, ids := range [][]model.ChannelID{{1}, {1, 3, 40, 41}, channelIDs(60), {7}} {
		var chunks []*Chunk
		if err := r.Chunks(ids, everything, func(ref ChunkRef) error {
			c := r.Chunk(ref)
			chunks = append(chunks, &c)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if len(ids) == 4 {
			slices.Reverse(chunks)
			chunks = append(chunks, chunks[0])
		}
		if buffer, err = r.Load(chunks, buffer); err != nil {
			t.Fatal(err)
		}
		all = append(all, chunks...)
	}
	reads := count.reads
	for _, c := range all {
		times, values, err := c.Decode(nil, nil)
		if err != nil || !sameRows(channels[c.Ref.Channel-1].chunks[0], chunkRows{times, values}) {
			t.Fatalf("channel %d: %v", c.Ref.Channel, err)
		}
	}
	if count.reads != reads {
		t.Errorf("%d reads after Load", count.reads-reads)
	}
}

// TestGapsAreNotKept loads a few channels of many: what is read between them is
// let go, also where they share their times.
func TestGapsAreNotKept(t *testing.T) {
	var channels []channelRows
	for id := model.ChannelID(1); id <= 400; id++ {
		rows := minutes(0, 100, int(id))
		for i := range rows.values {
			rows.times[i] += int64(i % 3)
			rows.values[i] = math.Sin(float64(i * int(id)))
		}
		channels = append(channels, channelRows{labelled(t, id, "a", fmt.Sprint(id)), []chunkRows{rows}})
	}
	file, _ := build(t, channels)
	r := open(t, file)
	var chunks []*Chunk
	wanted := 0
	err := r.Chunks([]model.ChannelID{1, 2, 50, 51, 150, 400}, everything, func(ref ChunkRef) error {
		c := r.Chunk(ref)
		chunks = append(chunks, &c)
		wanted += int(ref.Values.end() - ref.Values.Position)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	times := chunks[0].Ref.Times // of all
	wanted += int(times.end() - times.Position)
	buffer, err := r.Load(chunks, []byte("before"))
	if err != nil || len(buffer) > len("before")+wanted {
		t.Errorf("%d bytes are kept, want %d, %v", len(buffer), wanted, err)
	}
	for _, c := range chunks {
		times, values, err := c.Decode(nil, nil)
		if err != nil || !sameRows(channels[c.Ref.Channel-1].chunks[0], chunkRows{times, values}) {
			t.Fatalf("channel %d: %v", c.Ref.Channel, err)
		}
	}
}
