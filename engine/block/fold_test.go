package block

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
)

// TestFoldIsWhatDecodingGives folds chunks of regular, own and shared times.
func TestFoldIsWhatDecodingGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := drawRows(t)
		file, _ := build(t, []channelRows{
			{labelled(t, 1, "a", "b"), []chunkRows{rows}},
			{labelled(t, 2, "a", "c"), []chunkRows{rows}}})
		r := open(t, file)
		first, last := rows.times[0], rows.times[len(rows.times)-1]
		within := rapid.Int64Range(max(first-3, math.MinInt64+3), min(last+3, math.MaxInt64-3))
		span := model.Span{From: within.Draw(t, "from"), To: within.Draw(t, "to")}
		if span.Empty() {
			t.Skip("an empty span")
		}
		buckets := rapid.Uint64Range(1, 60).Draw(t, "buckets")
		g := merge.Grid{From: span.From, Width: (uint64(span.To)-uint64(span.From))/buckets + 1}
		if g.End(buckets-1) < span.To {
			t.Skip("the grid ends beyond all time")
		}
		earlier := model.Aggregate{}
		if rapid.Bool().Draw(t, "earlier") {
			earlier.Add(math.MinInt64, 77)
		}
		err := r.Chunks(channelIDs(2), everything, func(ref ChunkRef) error {
			c := r.Chunk(ref)
			out, want := make([]model.Aggregate, buckets), make([]model.Aggregate, buckets)
			bucket := uint64(0)
			if from := (&clock{rows: len(rows.times), times: rows.times}).before(0, span.From); from < len(rows.times) && rows.times[from] < span.To {
				bucket = g.Bucket(rows.times[from])
			}
			out[bucket], want[bucket] = earlier, earlier
			if err := c.Fold(span, g, out); err != nil {
				return err
			}
			if err := merge.DecodeAndFold(&c, span, g, want); err != nil {
				return err
			}
			for i := range out {
				checkSummary(t, &out[i], &want[i], append(rows.values, 77))
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%v", err)
		}
	})
}

// TestRowsInSpansAreThoseOfAll decodes a chunk in some spans: exactly the rows
// in them come back.
func TestRowsInSpansAreThoseOfAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := drawRows(t)
		file, _ := build(t, []channelRows{
			{labelled(t, 1, "a", "b"), []chunkRows{rows}},
			{labelled(t, 2, "a", "c"), []chunkRows{rows}}})
		r := open(t, file)
		first, last := rows.times[0], rows.times[len(rows.times)-1]
		edges := rapid.SliceOfNDistinct(rapid.Int64Range(max(first-3, math.MinInt64+3), min(last+3, math.MaxInt64-3)), 2, 12,
			rapid.ID[int64]).Draw(t, "edges")
		slices.Sort(edges)
		var spans []model.Span
		for i := 0; i+1 < len(edges); i += 2 {
			spans = append(spans, model.Span{From: edges[i], To: edges[i+1]})
		}
		want := chunkRows{[]int64{7}, []float64{7}}
		for i, at := range rows.times {
			if slices.ContainsFunc(spans, func(s model.Span) bool { return s.Contains(at) }) {
				want.times, want.values = append(want.times, at), append(want.values, rows.values[i])
			}
		}
		err := r.Chunks(channelIDs(2), everything, func(ref ChunkRef) error {
			c := r.Chunk(ref)
			times, values, err := c.DecodeIn(spans, []int64{7}, []float64{7})
			if err == nil && !sameRows(chunkRows{times, values}, want) {
				t.Fatalf("%v: got %v, want %v", spans, times, want.times)
			}
			return err
		})
		if err != nil {
			t.Fatalf("%v", err)
		}
	})
}

// drawRows draws regular or irregular rows with numbers whose sum is finite.
func drawRows(t *rapid.T) chunkRows {
	var rows chunkRows
	at := rapid.SampledFrom([]int64{math.MinInt64 + 5, -1000, 1_700_000_000e9, math.MaxInt64 - 1e15}).Draw(t, "first")
	step := rapid.SampledFrom([]int64{1, 7, 60e9}).Draw(t, "step")
	regular := rapid.Bool().Draw(t, "regular")
	values := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom([]float64{math.NaN(), 0, math.Copysign(0, -1), 21.5,
		model.QualityNoData.NaN()}), rapid.Float64Range(-1e9, 1e9)), 1, 9).Draw(t, "values")
	for i := range rapid.IntRange(1, 300).Draw(t, "rows") {
		rows.times = append(rows.times, at)
		rows.values = append(rows.values, values[i%len(values)])
		at += step
		if !regular && i%3 == 0 {
			at += step * int64(i%11)
		}
	}
	return rows
}

func TestFoldRefusesAGridThatIsTooShort(t *testing.T) {
	file, _ := build(t, []channelRows{{labelled(t, 1, "a", "b"), []chunkRows{minutes(0, 100, 1)}}})
	r := open(t, file)
	err := r.Chunks([]model.ChannelID{1}, everything, func(ref ChunkRef) error {
		c := r.Chunk(ref)
		for _, g := range []merge.Grid{{From: 0, Width: 60e9}, {From: 1, Width: math.MaxUint64}, {From: 61e9, Width: 1e12}} {
			if err := c.Fold(everything, g, make([]model.Aggregate, 99)); !errors.Is(err, merge.ErrPiece) {
				t.Errorf("grid %+v: %v", g, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// jittered returns rows like minutes whose times are a little off.
func jittered(first int64, n int, seed int) chunkRows {
	rows := minutes(first, n, seed)
	for i := range rows.times {
		rows.times[i] += int64(i*7919%5) * 1e6
	}
	return rows
}

// instrument is a block of channels whose rows have the same, irregular times.
func instrument(t interface{ Fatalf(string, ...any) }, channels, chunks, rows int) []channelRows {
	var all []channelRows
	for id := range channels {
		c := channelRows{channel: labelled(t, model.ChannelID(id+1), "a", string(rune('A'+id)))}
		for i := range chunks {
			c.chunks = append(c.chunks, jittered(int64(i*rows)*60e9, rows, id+i))
		}
		all = append(all, c)
	}
	return all
}

func TestEqualTimesAreStoredOnce(t *testing.T) {
	file, meta := build(t, instrument(t, 8, 3, 500))
	alone, aloneMeta := build(t, instrument(t, 1, 3, 500))
	var count counted
	r, err := Open(countedStore{memory{bytes: file}, &count}, testName.String())
	if err != nil {
		t.Fatal(err)
	}
	refs, _, err := readBack(r, channelIDs(8), everything)
	if err != nil || len(refs) != 24 {
		t.Fatalf("%d chunks, %v", len(refs), err)
	}
	times := map[int64]int{}
	for i, ref := range refs {
		times[ref.Times.Position]++
		if ref.Regular() || ref.Shared() != (i >= 3) {
			t.Errorf("chunk %d: %+v", i, ref)
		}
	}
	if len(times) != 3 {
		t.Errorf("%d columns of times", len(times))
	}
	t.Logf("%d bytes, of one channel %d; chunks %d and %d", len(file), len(alone), meta.ChunkBytes, aloneMeta.ChunkBytes)

	// Read by channel, as a query does: the times once, the values with one
	// read a channel.
	count.reads = 0
	var buffer []byte
	var keep []*Chunk
	for id := range model.ChannelID(8) {
		var chunks []*Chunk
		for _, ref := range refs[3*id : 3*id+3] {
			c := r.Chunk(ref)
			chunks = append(chunks, &c)
		}
		if buffer, err = r.Load(chunks, buffer[:0]); err != nil {
			t.Fatal(err)
		}
		for i, c := range chunks {
			times, values, err := c.Decode(nil, nil)
			if err != nil || !sameRows(chunkRows{times, values}, jittered(int64(i*500)*60e9, 500, int(id)+i)) {
				t.Fatalf("channel %d, chunk %d: %v", id+1, i, err)
			}
		}
		keep = append(keep, chunks...) // as a query does
	}
	if count.reads != 8 {
		t.Errorf("%d reads", count.reads)
	}
	if cached := keep[3].shared; len(cached.columns) != 3 || keep[23].shared != cached {
		t.Errorf("%d columns of times are kept", len(cached.columns))
	}
}

// TestDamageToSharedTimes breaks the times: the chunks that have them cannot be
// read, and Check names them once.
func TestDamageToSharedTimes(t *testing.T) {
	file, _ := build(t, instrument(t, 4, 2, 100))
	r := open(t, file)
	refs, _, err := readBack(r, channelIDs(4), everything)
	if err != nil {
		t.Fatal(err)
	}
	file[refs[1].Times.Position+disk.FrameHeaderSize] ^= 4
	file[refs[3].Values.Position+disk.FrameHeaderSize] ^= 4
	got := faults(t, file)
	if len(got) != 2 || got[0] != refs[1].Times.Position || got[1] != refs[3].Values.Position {
		t.Errorf("found %d", got)
	}
	r = open(t, file)
	for i, ref := range refs {
		_, _, err := readChunk(r, ref)
		if broken := i%2 == 1; broken != errors.Is(err, disk.ErrCorrupt) {
			t.Errorf("chunk %d: %v", i, err)
		}
	}
}

func TestWorkOnAChunkNeedsNoMemoryAgain(t *testing.T) {
	file, _ := build(t, append(instrument(t, 2, 1, 1000), channelRows{labelled(t, 3, "b", "c"), []chunkRows{minutes(0, 1000, 1)}}))
	r := open(t, file)
	var chunks []*Chunk
	if err := r.Chunks(channelIDs(3), everything, func(ref ChunkRef) error {
		c := r.Chunk(ref)
		chunks = append(chunks, &c)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	out := make([]model.Aggregate, 1000)
	var times []int64
	var values []float64
	var buffer []byte
	work := func() {
		var err error
		if buffer, err = r.Load(chunks, buffer[:0]); err != nil {
			t.Fatal(err)
		}
		for _, c := range chunks {
			clear(out)
			if err := c.Fold(everything, merge.Grid{From: 0, Width: 600e9}, out); err != nil {
				t.Fatal(err)
			}
			if times, values, err = c.Decode(times[:0], values[:0]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := testing.AllocsPerRun(20, work); n > 0.5 && !underRace {
		t.Errorf("%v allocations", n)
	}
}

// TestNumbersAreExact reads back what the index says of all kinds of numbers.
func TestNumbersAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		decimals := rapid.IntRange(0, 14).Draw(t, "decimals")
		value := rapid.OneOf(rapid.Float64(), rapid.Map(rapid.Float32(), func(f float32) float64 { return float64(f) }),
			rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat64, 1 << 53, 1<<53 + 2, 5e-324}),
			rapid.Map(rapid.Int64Range(-1e6, 1e6), func(m int64) float64 { return float64(m) / powers[decimals] }))
		values := rapid.SliceOfN(value, 1, 20).Draw(t, "values")
		var want model.Aggregate
		for i, v := range values {
			want.Add(int64(i), v)
		}
		if want.Count == 0 {
			t.Skip("no numbers")
		}
		got := want
		n := numbersOf(&got, values)
		in := input{rest: n.append(nil)}
		read := model.Aggregate{Count: want.Count, Quality: want.Quality, LastTime: want.LastTime}
		in.numbers(n.decimals, &read)
		if in.failed || len(in.rest) > 0 || !sameBits(&got, &read) {
			t.Fatalf("read %+v, written %+v", read, got)
		}
		if math.IsInf(sizeOf(values), 0) {
			if a, b := got.Total(), want.Total(); a != b && (a == a || b == b) {
				t.Fatalf("the sum is %v, want %v", a, b)
			}
			return
		}
		checkSummary(t, &got, &want, values)
	})
}

// TestDecimalsAreFound holds readings to a short form of their numbers.
func TestDecimalsAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		values   []float64
		decimals byte
	}{
		"a state":          {[]float64{0, 1, 1, 0}, 0},
		"a temperature":    {[]float64{21.5, 21.7, 22, -0.4}, 1},
		"around 0":         {[]float64{0.1, -0.3, 0.2}, 1},
		"one is a third":   {[]float64{0.5, 1.0 / 3, 0.25}, noDecimals},
		"minus 0":          {[]float64{math.Copysign(0, -1)}, noDecimals},
		"beyond 2^53":      {[]float64{1 << 60}, noDecimals},
		"an infinity":      {[]float64{1, math.Inf(1)}, noDecimals},
		"the third amid":   {[]float64{0, 1.0 / 3, 1, 0}, noDecimals},
		"too small to see": {[]float64{1e9, 1e-15, 1e9}, noDecimals},
	} {
		times := make([]int64, len(c.values))
		for i := range times {
			times[i] = int64(i)
		}
		s := chunk.Summarize(times, c.values)
		if n := numbersOf(&s, c.values); n.decimals != c.decimals {
			t.Errorf("%s: %d decimals, want %d", name, n.decimals, c.decimals)
		}
	}
}

func TestDescribe(t *testing.T) {
	file, _ := build(t, append(instrument(t, 2, 1, 100), channelRows{labelled(t, 3, "b", "c"), []chunkRows{minutes(0, 100, 1)}}))
	r := open(t, file)
	var got []string
	if err := r.Chunks(channelIDs(3), everything, func(ref ChunkRef) error {
		c := r.Chunk(ref)
		if ref.Channel == 2 { // its times are known when it is loaded
			if _, _, err := c.Decode(nil, nil); err != nil {
				return err
			}
		}
		if _, err := r.Load([]*Chunk{&c}, nil); err != nil {
			return err
		}
		times, values, err := c.Describe()
		got = append(got, times.Mode)
		if values.Mode != "decimal" || (times.Coder == "") != ref.Regular() {
			t.Errorf("channel %d: times %+v, values %+v", ref.Channel, times, values)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0] != got[1] || got[0] == "regular" || got[2] != "regular" {
		t.Errorf("times are %q", got)
	}
	file[r.footer.bodyEnd-1] ^= 1
	err := r.Chunks([]model.ChannelID{3}, everything, func(ref ChunkRef) error {
		c := r.Chunk(ref)
		_, _, err := c.Describe()
		return err
	})
	if !errors.Is(err, disk.ErrCorrupt) {
		t.Errorf("of damaged values: %v", err)
	}
}
