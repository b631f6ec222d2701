package merge

import (
	"fmt"
	"sync"

	"github.com/hokan-db/hokan/engine/model"
)

// Scratch keeps the buffers of Aggregate and Summarize between calls: with one
// for many channels nothing is allocated for a piece. It is used by one
// goroutine at a time; the zero value is ready.
type Scratch struct {
	cursor Cursor
	pieces []Piece
}

// Aggregate folds the rows of pieces that lie in b into out, which has one
// element for each bucket; what out already holds must be of earlier rows. A
// piece that overlaps no other is folded by its Source, or not even decoded
// where it lies in one bucket and has a Summary. scratch may be nil.
func Aggregate(pieces []Piece, b model.Buckets, out []model.Aggregate, scratch *Scratch) error {
	if len(out) != b.Count || b.Count < 1 || b.Width < 1 {
		return fmt.Errorf("%w: %d buckets of width %d, room for %d", model.ErrBadSpan, b.Count, b.Width, len(out))
	}
	if scratch == nil {
		scratch = new(Scratch)
	}
	return scratch.Aggregate(pieces, b.Span(), Grid{From: b.From, Width: uint64(b.Width)}, out)
}

// Summarize returns the one aggregate of the rows of pieces in span.
func Summarize(pieces []Piece, span model.Span) (model.Aggregate, error) {
	return new(Scratch).Summarize(pieces, span)
}

// Summarize is the function Summarize with the buffers of s.
func (s *Scratch) Summarize(pieces []Piece, span model.Span) (model.Aggregate, error) {
	if span.Empty() {
		return model.Aggregate{}, nil
	}
	var out [1]model.Aggregate
	err := s.Aggregate(pieces, span, Grid{From: span.From, Width: uint64(span.To) - uint64(span.From)}, out[:])
	return out[0], err
}

// Aggregate folds the rows of pieces in span, which lies in the grid's len(out)
// buckets, into these.
func (s *Scratch) Aggregate(pieces []Piece, span model.Span, g Grid, out []model.Aggregate) error {
	s.pieces = appendSorted(s.pieces[:0], pieces, span)
	defer func() { clear(s.pieces) }() // let go of the sources
	sorted := s.pieces
	entangled := 0 // sorted[entangled:i] overlap and are still to be folded, together
	var reach int64
	for i := range sorted {
		p := &sorted[i]
		alone := (i == 0 || reach < p.First) && (i+1 == len(sorted) || p.Last < sorted[i+1].First)
		if i == 0 || reach < p.Last {
			reach = p.Last
		}
		if !alone {
			continue
		}
		if err := s.foldTogether(sorted[entangled:i], span, g, out); err != nil {
			return err
		}
		if err := p.fold(span, g, out); err != nil {
			return err
		}
		entangled = i + 1
	}
	return s.foldTogether(sorted[entangled:], span, g, out)
}

// fold adds the rows of a piece that overlaps no other.
func (p *Piece) fold(span model.Span, g Grid, out []model.Aggregate) error {
	if p.Summary != nil && p.First >= span.From && p.Last < span.To {
		if bucket := g.Bucket(p.First); bucket == g.Bucket(p.Last) {
			out[bucket].Merge(p.Summary)
			return nil
		}
	}
	return p.Source.Fold(p.clip(span), g, out)
}

// foldTogether decodes and merges sorted pieces and folds their rows.
func (s *Scratch) foldTogether(sorted []Piece, span model.Span, g Grid, out []model.Aggregate) error {
	if len(sorted) == 0 {
		return nil
	}
	s.cursor.reset(sorted, span)
	for {
		times, values, err := s.cursor.Next()
		if err != nil || len(times) == 0 {
			return err
		}
		if err := FoldRows(g, times, values, out); err != nil {
			return err
		}
	}
}

// Grid is where the buckets of an aggregation lie: model.Buckets whose width
// may be anything that a span can be. The end of the last bucket is an int64.
type Grid struct {
	From  int64
	Width uint64
}

// Bucket returns the bucket of a time, which is not before From.
func (g Grid) Bucket(t int64) uint64 { return (uint64(t) - uint64(g.From)) / g.Width }

// End returns the time at which a bucket of the grid ends.
func (g Grid) End(bucket uint64) int64 { return int64(uint64(g.From) + (bucket+1)*g.Width) }

// buffers are reused among calls of DecodeAndFold.
var buffers = sync.Pool{New: func() any { return new(run) }}

// DecodeAndFold is Fold of a source that has no faster way.
func DecodeAndFold(source Source, span model.Span, g Grid, out []model.Aggregate) error {
	r := buffers.Get().(*run)
	defer buffers.Put(r)
	var err error
	if r.timeBuffer, r.valueBuffer, err = source.DecodeIn([]model.Span{span}, r.timeBuffer[:0], r.valueBuffer[:0]); err != nil {
		return err
	}
	to := cut(r.timeBuffer, span.To)
	from := before(r.timeBuffer[:to], span.From)
	return FoldRows(g, r.timeBuffer[from:to], r.valueBuffer[from:to], out)
}

// FoldRows adds ascending rows, all inside the grid, to their buckets.
func FoldRows(g Grid, times []int64, values []float64, out []model.Aggregate) error {
	for len(times) > 0 {
		bucket := g.Bucket(times[0])
		if bucket >= uint64(len(out)) {
			return fmt.Errorf("%w: a row at %d out of order", ErrPiece, times[0])
		}
		n := cut(times, g.End(bucket))
		addRows(&out[bucket], times[:n], values[:n])
		times, values = times[n:], values[n:]
	}
	return nil
}

// addRows is a.Add for each row, to the same bits.
func addRows(a *model.Aggregate, times []int64, values []float64) {
	first := times[0]
	if a.Rows() > 0 {
		first = a.FirstTime
	}
	a.AddValues(values)
	a.FirstTime, a.LastTime = first, times[len(times)-1]
}
