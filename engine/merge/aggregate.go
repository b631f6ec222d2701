package merge

import (
	"fmt"
	"math"

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
// piece that overlaps no other and lies in one bucket is not decoded if it has
// a Summary. scratch may be nil.
func Aggregate(pieces []Piece, b model.Buckets, out []model.Aggregate, scratch *Scratch) error {
	if len(out) != b.Count || b.Count < 1 || b.Width < 1 {
		return fmt.Errorf("%w: %d buckets of width %d, room for %d", model.ErrBadSpan, b.Count, b.Width, len(out))
	}
	if scratch == nil {
		scratch = new(Scratch)
	}
	return scratch.aggregate(pieces, b.Span(), grid{from: b.From, width: uint64(b.Width)}, out)
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
	err := s.aggregate(pieces, span, grid{from: span.From, width: uint64(span.To) - uint64(span.From)}, out[:])
	return out[0], err
}

func (s *Scratch) aggregate(pieces []Piece, span model.Span, g grid, out []model.Aggregate) error {
	s.pieces = appendSorted(s.pieces[:0], pieces, span)
	defer func() { clear(s.pieces) }() // let go of the sources
	sorted := s.pieces
	decode := 0 // sorted[decode:i] are still to be folded, row by row
	var reach int64
	for i := range sorted {
		p := &sorted[i]
		alone := (i == 0 || reach < p.First) && (i+1 == len(sorted) || p.Last < sorted[i+1].First)
		if i == 0 || reach < p.Last {
			reach = p.Last
		}
		if !alone || p.Summary == nil || p.First < span.From || p.Last >= span.To {
			continue
		}
		bucket := g.bucket(p.First)
		if bucket != g.bucket(p.Last) {
			continue
		}
		if err := s.foldRows(sorted[decode:i], span, g, out); err != nil {
			return err
		}
		out[bucket].Merge(p.Summary)
		decode = i + 1
	}
	return s.foldRows(sorted[decode:], span, g, out)
}

// foldRows decodes sorted pieces and folds their rows.
func (s *Scratch) foldRows(sorted []Piece, span model.Span, g grid, out []model.Aggregate) error {
	if len(sorted) == 0 {
		return nil
	}
	s.cursor.reset(sorted, span)
	for {
		times, values, err := s.cursor.Next()
		if err != nil || len(times) == 0 {
			return err
		}
		if err := g.fold(times, values, out); err != nil {
			return err
		}
	}
}

// grid is model.Buckets whose width may be anything that a span can be.
type grid struct {
	from  int64
	width uint64
}

func (g grid) bucket(t int64) uint64 { return (uint64(t) - uint64(g.from)) / g.width }

// fold adds ascending rows, all inside the grid, to their buckets.
func (g grid) fold(times []int64, values []float64, out []model.Aggregate) error {
	for len(times) > 0 {
		bucket := g.bucket(times[0])
		if bucket >= uint64(len(out)) {
			return fmt.Errorf("%w: a row at %d out of order", ErrPiece, times[0])
		}
		// The grid ends at an int64, so every edge up to there is exact.
		edge := int64(uint64(g.from) + (bucket+1)*g.width)
		n := cut(times, edge)
		addRows(&out[bucket], times[:n], values[:n])
		times, values = times[n:], values[n:]
	}
	return nil
}

// addRows is a.Add for each row, to the same bits, with the state in
// registers.
func addRows(a *model.Aggregate, times []int64, values []float64) {
	first := 0
	for first < len(values) && a.Count == 0 {
		a.Add(times[first], values[first]) // up to the first number
		first++
	}
	a.LastTime = times[len(times)-1]
	values = values[first:]
	least, most, last := a.Min, a.Max, a.Last
	sum, compensation := a.Sum, a.Compensation
	quality := 0
	for _, v := range values {
		if v != v {
			quality++
			continue
		}
		if v < least {
			least = v
		}
		if v > most {
			most = v
		}
		last = v
		s := sum + v
		if math.Abs(sum) >= math.Abs(v) {
			compensation += (sum - s) + v
		} else {
			compensation += (v - s) + sum
		}
		sum = s
	}
	a.Min, a.Max, a.Last = least, most, last
	a.Sum, a.Compensation = sum, compensation
	a.Quality += uint64(quality)
	a.Count += uint64(len(values) - quality)
}
