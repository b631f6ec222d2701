package merge

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/model"
)

// second is the step of the tests: rows lie some to a second.
const second = int64(1e9)

// summarized returns rows summarised by a width, as a block would hold them.
func summarized(times []int64, values []float64, width int64) (*Summaries, []model.Aggregate) {
	var rows []model.Aggregate
	end := int64(math.MinInt64)
	for i, t := range times {
		if t >= end {
			rows = append(rows, model.Aggregate{})
			end = t - t%width + width
		}
		rows[len(rows)-1].Add(t, values[i])
	}
	s := &Summaries{Fold: func(from, to int, into *model.Aggregate) {
		for i := from; i < to; i++ {
			into.Merge(&rows[i])
		}
	}}
	for i := range rows {
		s.FirstTimes, s.LastTimes = append(s.FirstTimes, rows[i].FirstTime), append(s.LastTimes, rows[i].LastTime)
	}
	return s, rows
}

// part returns some of the summaries.
func (s *Summaries) part(from, to int) *Summaries {
	return &Summaries{FirstTimes: s.FirstTimes[from:to], LastTimes: s.LastTimes[from:to],
		Fold:   func(a, b int, into *model.Aggregate) { s.Fold(from+a, from+b, into) },
		Hidden: s.Hidden, Rawless: s.Rawless}
}

// scratch serves one test after the other.
var scratch Scratch

// layer is one source of a channel and how a Combiner is told of it.
type layer struct {
	times   []int64
	values  []float64
	rank    uint64
	hidden  []model.Span
	pieces  []Piece // what is not hidden
	streams bool
	listed  bool
	width   int64 // of the summaries
}

func drawLayers(t *rapid.T) []layer {
	var layers []layer
	ranks := rapid.Permutation([]uint64{1, 2, 3, 4, 5, 6, 7}).Draw(t, "ranks")
	tombstones := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) model.Tombstone {
		from := rapid.Int64Range(0, 60*second).Draw(t, "from")
		return model.Tombstone{Offset: rapid.Uint64Range(0, 9).Draw(t, "offset"),
			Span: model.Span{From: from, To: from + rapid.Int64Range(1, 20*second).Draw(t, "length")}}
	}), 0, 2).Draw(t, "tombstones")
	at := int64(0) // where the next streamed source may begin
	for _, rank := range ranks[:rapid.IntRange(0, 6).Draw(t, "sources")] {
		l := layer{rank: rank, width: rapid.SampledFrom([]int64{second / 4, second}).Draw(t, "width")}
		first := rapid.Int64Range(0, 50*second).Draw(t, "first")
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			l.streams, first = true, at+rapid.Int64Range(0, 3*second).Draw(t, "gap")
		case 1:
			l.listed = true
		}
		n := rapid.IntRange(1, 60).Draw(t, "rows")
		gaps := rapid.SliceOfN(rapid.SampledFrom([]int64{1, second / 10, second / 5, second / 2, second, 9 * second}), 1, 6).Draw(t, "gaps")
		column := rapid.SliceOfN(drawFinite, 1, 8).Draw(t, "values")
		for i := range n {
			l.times, l.values = append(l.times, first), append(l.values, column[(i*7)%len(column)])
			first += gaps[i%len(gaps)]
		}
		if l.streams {
			at = first
		}
		for _, d := range tombstones {
			if d.Offset > rank {
				l.hidden = append(l.hidden, d.Span)
			}
		}
		l.hidden = disjoint(l.hidden)
		l.pieces = hide(pieceOf(rank, l.times, l.values), l.hidden)
		layers = append(layers, l)
	}
	return layers
}

// disjoint joins spans that touch.
func disjoint(spans []model.Span) []model.Span {
	slices.SortFunc(spans, func(a, b model.Span) int { return cmp.Compare(a.From, b.From) })
	var out []model.Span
	for _, s := range spans {
		if n := len(out); n > 0 && out[n-1].To >= s.From {
			out[n-1].To = max(out[n-1].To, s.To)
		} else {
			out = append(out, s)
		}
	}
	return out
}

// hide cuts hidden spans out of a piece.
func hide(p Piece, hidden []model.Span) []Piece {
	left := []Piece{p}
	for _, h := range hidden {
		last := left[len(left)-1]
		if !h.Overlaps(last.First, last.Last) {
			continue
		}
		left = left[:len(left)-1]
		last.Clipped, last.Summary = true, nil
		before, after := last, last
		before.Last, after.First = h.From-1, h.To
		for _, q := range []Piece{before, after} {
			if q.First <= q.Last {
				left = append(left, q)
			}
		}
		if len(left) == 0 || after.First > after.Last {
			return left
		}
	}
	return left
}

// combine tells c of the layers.
func combine(t *rapid.T, c *Combiner, layers []layer) {
	splits := func(s *Summaries, tell func(*Summaries) error) {
		for from := 0; from < len(s.FirstTimes); {
			to := rapid.IntRange(from+1, len(s.FirstTimes)).Draw(t, "to")
			if err := tell(s.part(from, to)); err != nil {
				t.Fatal(err)
			}
			from = to
		}
	}
	for i := range layers {
		l := &layers[i]
		if !l.listed && !l.streams {
			c.AddPieces(l.pieces)
		}
	}
	for i := range layers {
		if l := &layers[i]; l.listed {
			s, _ := summarized(l.times, l.values, l.width)
			s.Hidden = l.hidden
			splits(s, func(s *Summaries) error { c.List(s); return nil })
		}
	}
	for i := range layers {
		l := &layers[i]
		if !l.streams {
			continue
		}
		if rapid.IntRange(0, 3).Draw(t, "no summaries") == 0 {
			c.AddPieces(l.pieces)
			continue
		}
		s, _ := summarized(l.times, l.values, l.width)
		s.Hidden = l.hidden
		splits(s, func(s *Summaries) error { return c.Stream(s, &scratch) })
	}
	if err := c.Finish(&scratch); err != nil {
		t.Fatal(err)
	}
}

func TestCombinedSummariesAreWhatAScanGives(t *testing.T) {
	var c Combiner
	rapid.Check(t, func(t *rapid.T) {
		layers := drawLayers(t)
		var pieces []Piece
		for i := range layers {
			pieces = append(pieces, layers[i].pieces...)
		}
		width := rapid.SampledFrom([]int64{second, 3 * second, 4000 * second}).Draw(t, "bucket")
		g := Grid{From: 0, Width: uint64(width)}
		out := make([]model.Aggregate, 4000*second/width+1)
		span := model.Span{From: 0, To: g.End(uint64(len(out) - 1))}
		if rapid.Bool().Draw(t, "part") {
			span.From = rapid.Int64Range(0, 30*second).Draw(t, "span from")
			span.To = rapid.Int64Range(span.From+1, 90*second).Draw(t, "span to")
		}
		for i := range layers {
			layers[i].hidden = disjoint(append(layers[i].hidden, model.Span{From: model.MinTime, To: span.From},
				model.Span{From: span.To, To: model.MaxTime}))
		}
		c.Start(model.StepSecond, span, g, out)
		combine(t, &c, layers)
		hull := c.HoleSpan()
		for _, p := range pieces {
			if c.Wants(p.First, p.Last) && !hull.Overlaps(p.First, p.Last) {
				t.Fatalf("a piece outside of %v is wanted", hull)
			}
		}
		if err := c.Fill(pieces, &scratch); err != nil {
			t.Fatal(err)
		}
		times, values := scan(pieces, span)
		for i := range out {
			n, _ := slices.BinarySearch(times, g.End(uint64(i)))
			checkAggregate(t, out[i], times[:n], values[:n])
			times, values = times[n:], values[n:]
		}
	})
}

func TestOnlyHolesAreRead(t *testing.T) {
	times, values := regular(0, 3*1440)
	main := pieceOf(1, times, values)
	chunks := []Piece{pieceOf(1, times[:1440], values[:1440]), pieceOf(1, times[1440:2880], values[1440:2880]),
		pieceOf(1, times[2880:], values[2880:])}
	fix := pieceOf(2, []int64{model.Day + 60e9}, []float64{7})
	s, _ := summarized(times, values, 3600e9)
	out := make([]model.Aggregate, 3)
	var c Combiner
	c.Start(model.StepHour, model.Span{From: 0, To: 3 * model.Day}, Grid{Width: uint64(model.Day)}, out)
	c.AddPieces([]Piece{fix})
	if err := c.Stream(s, &scratch); err != nil {
		t.Fatal(err)
	}
	if err := c.Finish(&scratch); err != nil {
		t.Fatal(err)
	}
	if want := (model.Span{From: model.Day, To: model.Day + 3540e9 + 1}); c.Holes() != 1 || c.HoleSpan() != want {
		t.Fatalf("%d holes in %v, want 1 in %v", c.Holes(), c.HoleSpan(), want)
	}
	if err := c.Fill(append(chunks, fix), &scratch); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{0, 1, 0} {
		if got := chunks[i].Source.(*rows).decoded; got != want {
			t.Errorf("chunk %d was decoded %d times, want %d", i, got, want)
		}
		if out[i].Count != 1440 {
			t.Errorf("day %d has %d rows", i, out[i].Count)
		}
	}
	if main.Source.(*rows).decoded != 0 || c.Holes() != 0 {
		t.Errorf("%d holes are left", c.Holes())
	}
}

// TestWhereRowsAreGoneSummariesAreJoined has an hour of which one source has
// only the summary: what another wrote into it is added, and a deletion takes
// all of it.
func TestWhereRowsAreGoneSummariesAreJoined(t *testing.T) {
	old, _ := summarized([]int64{10, 20, 30}, []float64{1, 5, 2}, 3600e9)
	old.Rawless = true
	combined := func(hidden []model.Span, pieces ...Piece) model.Aggregate {
		old.Hidden = hidden
		out := make([]model.Aggregate, 1)
		var c Combiner
		c.Start(model.StepHour, model.Span{From: 0, To: 3600e9}, Grid{Width: 3600e9}, out)
		c.AddPieces(pieces)
		if err := c.Stream(old, &scratch); err != nil {
			t.Fatal(err)
		}
		if err := c.Finish(&scratch); err != nil || c.Holes() != 0 {
			t.Fatalf("%d holes, %v", c.Holes(), err)
		}
		return out[0]
	}
	got := combined(nil, pieceOf(2, []int64{15, 25}, []float64{9, 3}))
	want := model.Aggregate{Count: 5, Min: 1, Max: 9, First: 1, Last: 2, Sum: 20, FirstTime: 10, LastTime: 30}
	if got != want {
		t.Errorf("joined %+v\nwant %+v", got, want)
	}
	if got := combined([]model.Span{{From: 5, To: 11}}); got.Rows() != 0 {
		t.Errorf("a cut summary of rows that are gone counts: %+v", got)
	}
	if got := combined([]model.Span{{From: 5, To: 10}, {From: 31, To: 90}}); got.Count != 3 {
		t.Errorf("beside what is hidden: %+v", got)
	}
}

func TestSummariesOutsideTheBucketsAreRefused(t *testing.T) {
	for name, times := range map[string][]int64{"behind": {4000e9}, "across": {1790e9, 1810e9}} {
		s, _ := summarized(times, make([]float64, len(times)), 3600e9)
		var c Combiner
		c.Start(model.StepHour, model.Span{From: 0, To: 3600e9}, Grid{Width: 1800e9}, make([]model.Aggregate, 2))
		c.List(s)
		if err := c.Finish(&scratch); !errors.Is(err, ErrPiece) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
