package merge

import (
	"errors"
	"math"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/model"
)

// rows is a Source that needs no decoding.
type rows struct {
	times   []int64
	values  []float64
	decoded int // how often, for folding too
	folded  int // how often
}

func (r *rows) DecodeIn(spans []model.Span, times []int64, values []float64) ([]int64, []float64, error) {
	r.decoded++
	wanted := func(t int64) bool {
		return slices.ContainsFunc(spans, func(s model.Span) bool { return s.Contains(t) })
	}
	from := max(slices.IndexFunc(r.times, wanted), 0)
	to := len(r.times)
	for to > from && !wanted(r.times[to-1]) {
		to--
	}
	for i := from; i < to; i++ { // now and then with rows that are not asked for
		if r.decoded%2 == 1 || wanted(r.times[i]) {
			times, values = append(times, r.times[i]), append(values, r.values[i])
		}
	}
	return times, values, nil
}

func (r *rows) Fold(span model.Span, g Grid, out []model.Aggregate) error {
	r.folded++
	return DecodeAndFold(r, span, g, out)
}

// pieceOf describes strictly ascending rows.
func pieceOf(rank uint64, times []int64, values []float64) Piece {
	summary := new(model.Aggregate)
	for i, t := range times {
		summary.Add(t, values[i])
	}
	return Piece{Rank: rank, First: times[0], Last: times[len(times)-1], Summary: summary,
		Source: &rows{times: times, values: values}}
}

// scan is the plain truth: the newest value of each time in span.
func scan(pieces []Piece, span model.Span) (times []int64, values []float64) {
	type cell struct {
		rank  uint64
		value float64
	}
	all := map[int64]cell{}
	for _, p := range pieces {
		r := p.Source.(*rows)
		for i, t := range r.times {
			if p.Clipped && (t < p.First || t > p.Last) {
				continue
			}
			if old, ok := all[t]; span.Contains(t) && (!ok || old.rank < p.Rank) {
				all[t] = cell{p.Rank, r.values[i]}
			}
		}
	}
	for t := range all {
		times = append(times, t)
	}
	slices.Sort(times)
	for _, t := range times {
		values = append(values, all[t].value)
	}
	return times, values
}

var drawValue = rapid.OneOf(
	rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(),
		model.QualityOver.NaN(), model.QualityNoData.NaN(), math.MaxFloat64, -math.MaxFloat64,
		math.SmallestNonzeroFloat64, 1e16, -1e16, 1}),
	rapid.Float64(),
	rapid.Map(rapid.IntRange(-500, 500), func(i int) float64 { return float64(i) / 10 }))

// drawFinite has no infinities and nothing that overflows, so that sums can be
// compared.
var drawFinite = rapid.OneOf(
	rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.NaN(), model.QualityBurnout.NaN(), 1e16, -1e16, 1}),
	rapid.Float64Range(-1e100, 1e100),
	rapid.Map(rapid.IntRange(-500, 500), func(i int) float64 { return float64(i) / 10 }))

func drawPieces(t *rapid.T, value *rapid.Generator[float64]) []Piece {
	ranks := rapid.Permutation([]uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}).Draw(t, "ranks")
	base := rapid.SampledFrom([]int64{-50, 1_700_000_000e9, model.MinTime, model.MaxTime - 3000}).Draw(t, "base")
	reach := rapid.SampledFrom([]int{3, 60, 2000}).Draw(t, "reach") // of each piece's first row
	longest := rapid.SampledFrom([]int{2, 30, 700}).Draw(t, "longest")
	var pieces []Piece
	for _, rank := range ranks[:rapid.IntRange(0, len(ranks)).Draw(t, "pieces")] {
		at := base + int64(rapid.IntRange(0, reach).Draw(t, "first"))
		n := rapid.IntRange(1, longest).Draw(t, "rows")
		// A generator of its own makes long pieces cheap to draw.
		steps := rapid.SliceOfN(rapid.IntRange(1, 5), 1, 8).Draw(t, "steps")
		values := rapid.SliceOfN(value, 1, 8).Draw(t, "values")
		var times []int64
		var column []float64
		for i := 0; i < n && at < model.MaxTime; i++ {
			times = append(times, at)
			column = append(column, values[(i*7)%len(values)])
			at += int64(steps[i%len(steps)])
		}
		p := pieceOf(rank, times, column)
		if rapid.Bool().Draw(t, "no summary") {
			p.Summary = nil
		}
		if rapid.IntRange(0, 3).Draw(t, "clip") == 0 {
			pieces = append(pieces, drawClipped(t, p)...)
			continue
		}
		pieces = append(pieces, p)
	}
	return pieces
}

// drawClipped returns what is left of p when some of its rows are taken: a
// clipped piece, or two with a gap between them, whose bounds may or may not be
// times of rows.
func drawClipped(t *rapid.T, p Piece) []Piece {
	p.Clipped, p.Summary = true, nil
	length := int(p.Last - p.First)
	left, right := p, p
	left.Last = p.First + int64(rapid.IntRange(0, length).Draw(t, "left"))
	right.First = left.Last + 1 + int64(rapid.IntRange(0, length).Draw(t, "gap"))
	switch {
	case right.First > right.Last || rapid.Bool().Draw(t, "only left"):
		return []Piece{left}
	case rapid.Bool().Draw(t, "only right"):
		return []Piece{right}
	}
	return []Piece{right, left}
}

func drawSpan(t *rapid.T, pieces []Piece) model.Span {
	if len(pieces) == 0 || rapid.Bool().Draw(t, "everything") {
		return model.AllTime()
	}
	least, most := pieces[0].First, pieces[0].Last
	for _, p := range pieces {
		least, most = min(least, p.First), max(most, p.Last)
	}
	length := int(most - least + 4)
	from := least - 2 + int64(rapid.IntRange(0, length).Draw(t, "from"))
	to := least - 2 + int64(rapid.IntRange(0, length).Draw(t, "to"))
	return model.Span{From: max(from, model.MinTime), To: min(to, model.MaxTime)}
}

func bits(values []float64) []uint64 {
	out := make([]uint64, len(values))
	for i, v := range values {
		out[i] = math.Float64bits(v)
	}
	return out
}

func collect(t interface{ Fatalf(string, ...any) }, c *Cursor) (times []int64, values []float64) {
	for {
		ts, vs, err := c.Next()
		if err != nil {
			t.Fatalf("Next: %v", err)
		}
		if len(ts) != len(vs) {
			t.Fatalf("%d times, %d values", len(ts), len(vs))
		}
		if len(ts) == 0 {
			return times, values
		}
		times, values = append(times, ts...), append(values, vs...)
	}
}

func TestCursorYieldsWhatAScanDoes(t *testing.T) {
	reused := NewCursor(nil, model.Span{})
	rapid.Check(t, func(t *rapid.T) {
		pieces := drawPieces(t, drawValue)
		span := drawSpan(t, pieces)
		before := slices.Clone(pieces)
		wantTimes, wantValues := scan(pieces, span)
		reused.Reset(pieces, span)
		if rapid.Bool().Draw(t, "abandon") { // leave it amid its rows, then start again
			reused.Next()
			reused.Reset(pieces, span)
		}
		for _, c := range []*Cursor{NewCursor(pieces, span), reused} {
			times, values := collect(t, c)
			if !slices.Equal(times, wantTimes) || !slices.Equal(bits(values), bits(wantValues)) {
				t.Fatalf("got %v %v\nwant %v %v", times, values, wantTimes, wantValues)
			}
			if ts, _, err := c.Next(); len(ts) > 0 || err != nil {
				t.Fatalf("after the end: %v, %v", ts, err)
			}
		}
		if !slices.Equal(pieces, before) {
			t.Fatalf("the caller's pieces were changed")
		}
	})
}

// checkAggregate compares with rows added one by one.
func checkAggregate(t *rapid.T, got model.Aggregate, times []int64, values []float64) {
	var want model.Aggregate
	sum, size := new(big.Float).SetPrec(4000), new(big.Float).SetPrec(4000)
	for i, v := range values {
		want.Add(times[i], v)
		if v == v && !math.IsInf(v, 0) {
			sum.Add(sum, big.NewFloat(v))
			size.Add(size, big.NewFloat(math.Abs(v)))
		}
	}
	if got.Count != want.Count || got.Quality != want.Quality {
		t.Fatalf("counts %d %d, want %d %d", got.Count, got.Quality, want.Count, want.Quality)
	}
	if want.Rows() > 0 && (got.FirstTime != want.FirstTime || got.LastTime != want.LastTime) {
		t.Fatalf("times %d %d, want %d %d", got.FirstTime, got.LastTime, want.FirstTime, want.LastTime)
	}
	if want.Count == 0 {
		return
	}
	g := bits([]float64{got.Min, got.Max, got.First, got.Last})
	w := bits([]float64{want.Min, want.Max, want.First, want.Last})
	if !slices.Equal(g, w) {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
	total := got.Total()
	if math.IsInf(want.Sum, 0) || want.Sum != want.Sum {
		if size.Cmp(big.NewFloat(math.MaxFloat64)) > 0 {
			return // it overflows: the order of additions decides
		}
		if math.Float64bits(total) != math.Float64bits(want.Sum) && (total == total || want.Sum == want.Sum) {
			t.Fatalf("total %v, want %v", total, want.Sum)
		}
		return
	}
	if size.Cmp(big.NewFloat(math.MaxFloat64)) > 0 {
		return
	}
	off := new(big.Float).SetPrec(4000).Sub(big.NewFloat(total), sum)
	if off.Abs(off).Cmp(size.SetMantExp(size, -50)) > 0 {
		t.Fatalf("total %v, want %v", total, sum)
	}
}

func TestAggregateIsWhatAScanGives(t *testing.T) {
	for name, value := range map[string]*rapid.Generator[float64]{"any": drawValue, "finite": drawFinite} {
		t.Run(name, func(t *testing.T) {
			var scratch Scratch
			rapid.Check(t, func(t *rapid.T) {
				pieces := drawPieces(t, value)
				span := drawSpan(t, pieces)
				b, err := model.PlanBuckets(span, rapid.SampledFrom([]int{1, 2, 7, 40, 1366}).Draw(t, "buckets"))
				if err != nil {
					t.Skip("no such buckets")
				}
				out := make([]model.Aggregate, b.Count)
				if err := Aggregate(pieces, b, out, &scratch); err != nil {
					t.Fatalf("%v", err)
				}
				times, values := scan(pieces, b.Span())
				for i := range out {
					edge := b.From + int64(i+1)*b.Width
					n, _ := slices.BinarySearch(times, edge)
					checkAggregate(t, out[i], times[:n], values[:n])
					times, values = times[n:], values[n:]
				}
			})
		})
	}
}

func TestSummarizeIsWhatAScanGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := drawPieces(t, drawFinite)
		span := drawSpan(t, pieces)
		got, err := Summarize(pieces, span)
		if err != nil {
			t.Fatalf("%v", err)
		}
		times, values := scan(pieces, span)
		checkAggregate(t, got, times, values)
	})
}

func TestRowsFoldToTheSameBitsAsOneByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := drawPieces(t, drawValue)
		for i := range pieces {
			pieces[i].Summary = nil
		}
		got, err := Summarize(pieces, model.AllTime())
		if err != nil {
			t.Fatalf("%v", err)
		}
		var want model.Aggregate
		times, values := scan(pieces, model.AllTime())
		for i := range times {
			want.Add(times[i], values[i])
		}
		g := []float64{got.Min, got.Max, got.First, got.Last, got.Sum, got.Compensation}
		w := []float64{want.Min, want.Max, want.First, want.Last, want.Sum, want.Compensation}
		for i := range g {
			if math.Float64bits(g[i]) != math.Float64bits(w[i]) && (g[i] == g[i] || w[i] == w[i]) {
				t.Fatalf("got %+v\nwant %+v", got, want)
			}
		}
	})
}

// regular returns n rows a minute apart, like a temperature.
func regular(first int64, n int) (times []int64, values []float64) {
	for i := range n {
		times = append(times, first+int64(i)*60e9)
		values = append(values, math.Round(200+100*math.Sin(float64(i)/100))/10)
	}
	return times, values
}

func TestDisjointPiecesAreHandedOutWithoutCopying(t *testing.T) {
	var pieces []Piece
	for day := range 3 {
		times, values := regular(int64(day)*model.Day, 1440)
		pieces = append(pieces, pieceOf(uint64(3-day), times, values))
	}
	slices.Reverse(pieces)
	c := NewCursor(pieces, model.Span{From: 600e9, To: 2*model.Day + 120e9})
	for i, want := range []int{1430, 1440, 2} {
		times, _, err := c.Next()
		if err != nil || len(times) != want {
			t.Fatalf("batch %d: %d rows, %v", i, len(times), err)
		}
	}
	if len(c.free) != 1 {
		t.Errorf("%d buffers were needed", len(c.free))
	}
}

func TestSummariesAreUsedWhereNothingOverlaps(t *testing.T) {
	var pieces []Piece
	for day := range 4 {
		times, values := regular(int64(day)*model.Day, 1440)
		pieces = append(pieces, pieceOf(uint64(day), times, values))
	}
	times, values := regular(2*model.Day+60e9, 2)
	pieces = append(pieces, pieceOf(9, times, values))
	out := make([]model.Aggregate, 2)
	if err := Aggregate(pieces, model.Buckets{From: 0, Width: 2 * model.Day, Count: 2}, out, nil); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{0, 0, 1, 0, 1} {
		if got := pieces[i].Source.(*rows).decoded; got != want {
			t.Errorf("piece %d was decoded %d times, want %d", i, got, want)
		}
	}
}

func TestOnlyPiecesThatOverlapNoneFoldThemselves(t *testing.T) {
	var pieces []Piece
	for day := range 3 {
		times, values := regular(int64(day)*model.Day, 1440)
		pieces = append(pieces, pieceOf(uint64(day), times, values))
	}
	times, values := regular(2*model.Day+60e9, 2)
	pieces = append(pieces, pieceOf(9, times, values))
	out := make([]model.Aggregate, 72)
	if err := Aggregate(pieces, model.Buckets{From: 0, Width: 3600e9, Count: 72}, out, nil); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 1, 0, 0} {
		if got := pieces[i].Source.(*rows).folded; got != want {
			t.Errorf("piece %d was folded %d times, want %d", i, got, want)
		}
	}
}

func TestAScratchNeedsNoMemoryAgain(t *testing.T) {
	var pieces []Piece
	for day := range 5 {
		times, values := regular(int64(day)*model.Day, 1440)
		pieces = append(pieces, pieceOf(uint64(day), times, values))
		times, values = regular(int64(day)*model.Day+30e9, 100)
		pieces = append(pieces, pieceOf(uint64(day+10), times, values))
	}
	out := make([]model.Aggregate, 120)
	var scratch Scratch
	allocations := testing.AllocsPerRun(10, func() {
		clear(out)
		if err := Aggregate(pieces, model.Buckets{From: 0, Width: 3600e9, Count: 120}, out, &scratch); err != nil {
			t.Fatal(err)
		}
	})
	if allocations > 0 {
		t.Errorf("%v allocations", allocations)
	}
	c := NewCursor(pieces, model.AllTime())
	if allocations := testing.AllocsPerRun(10, func() { c.Next(); c.Reset(pieces, model.AllTime()) }); allocations > 0 {
		t.Errorf("%v allocations of an abandoned cursor", allocations)
	}
}

type failing struct{ err error }

func (f failing) DecodeIn(_ []model.Span, times []int64, values []float64) ([]int64, []float64, error) {
	return times, values, f.err
}

func (f failing) Fold(model.Span, Grid, []model.Aggregate) error { return f.err }

func TestErrorsStay(t *testing.T) {
	lost := errors.New("lost")
	times, values := regular(0, 3)
	pieces := []Piece{pieceOf(1, times, values), {Rank: 2, First: 60e9, Last: 90e9, Source: failing{lost}}}
	c := NewCursor(pieces, model.AllTime())
	for {
		times, _, err := c.Next()
		if errors.Is(err, lost) {
			break
		}
		if len(times) == 0 {
			t.Fatal("the error was lost")
		}
	}
	if _, _, err := c.Next(); !errors.Is(err, lost) {
		t.Errorf("then %v", err)
	}
	if _, err := Summarize(pieces, model.AllTime()); !errors.Is(err, lost) {
		t.Errorf("Summarize: %v", err)
	}
}

func TestRowsThatContradictTheirPieceAreRefused(t *testing.T) {
	for name, times := range map[string][]int64{
		"early":  {5, 20},
		"late":   {10, 31},
		"turned": {30, 10},
	} {
		p := Piece{First: 10, Last: 30, Source: &rows{times: times, values: make([]float64, len(times))}}
		if _, _, err := NewCursor([]Piece{p}, model.AllTime()).Next(); !errors.Is(err, ErrPiece) {
			t.Errorf("%s: %v", name, err)
		}
	}
	jumbled := Piece{First: 10, Last: 30, Source: &rows{times: []int64{10, 500, 20}, values: make([]float64, 3)}}
	out := make([]model.Aggregate, 4)
	if err := Aggregate([]Piece{jumbled}, model.Buckets{From: 0, Width: 10, Count: 4}, out, nil); !errors.Is(err, ErrPiece) {
		t.Errorf("jumbled: %v", err)
	}
}

// TestAClippedPieceHasNoRowsOutside asks the source of a clipped piece for what
// is inside only, whichever way it is read.
func TestAClippedPieceHasNoRowsOutside(t *testing.T) {
	source := &rows{times: []int64{10, 20, 30, 40}, values: []float64{1, 2, 3, 4}}
	clipped := func(first, last int64) Piece {
		return Piece{First: first, Last: last, Clipped: true, Source: source}
	}
	pieces := []Piece{clipped(35, 40), clipped(31, 34), clipped(5, 20)} // without 30
	times, values := collect(t, NewCursor(pieces, model.AllTime()))
	if !slices.Equal(times, []int64{10, 20, 40}) || !slices.Equal(values, []float64{1, 2, 4}) {
		t.Errorf("rows at %v: %v", times, values)
	}
	if got, err := Summarize(pieces, model.AllTime()); err != nil || got.Count != 3 || got.Total() != 7 {
		t.Errorf("in all %+v, %v", got, err)
	}
	turned := &rows{times: []int64{30, 10}, values: []float64{1, 2}}
	bad := Piece{First: 15, Last: 25, Clipped: true, Source: turned}
	if _, _, err := NewCursor([]Piece{bad}, model.AllTime()).Next(); !errors.Is(err, ErrPiece) {
		t.Errorf("rows in the wrong order: %v", err)
	}
}

func TestWrongRoomForBucketsIsRefused(t *testing.T) {
	if err := Aggregate(nil, model.Buckets{Width: 1, Count: 2}, nil, nil); !errors.Is(err, model.ErrBadSpan) {
		t.Errorf("got %v", err)
	}
}
