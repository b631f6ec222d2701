package merge

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/hokan-db/hokan/engine/model"
)

// ErrPiece is wrapped by the error for a piece whose rows are not what it says
// of itself.
var ErrPiece = errors.New("a piece's rows differ from its description")

// Piece is one compressed run of rows of one channel, strictly ascending in
// time.
type Piece struct {
	// Rank decides between rows of equal time: the greater wins. Pieces that
	// overlap have different ranks.
	Rank uint64
	// First and Last are the times of its first and last row.
	First, Last int64
	// Clipped says that First and Last are narrower than the source's rows: a
	// deletion or the end of their retention took the others. Rows outside are
	// not the piece's, there may be none inside, and Summary is nil. Several
	// clipped pieces may share one Source.
	Clipped bool
	// Summary is exact over all its rows; nil where only decoding tells. It is
	// read, never changed.
	Summary *model.Aggregate
	Source  Source
}

// Source holds a piece's rows.
type Source interface {
	// DecodeIn appends the rows that lie in spans, which ascend and touch no
	// other, to the two slices, in ascending time, and perhaps other rows among
	// them. It keeps neither.
	DecodeIn(spans []model.Span, times []int64, values []float64) ([]int64, []float64, error)
	// Fold adds the rows in span, which may be none, to the buckets of g, as
	// DecodeAndFold does. What out holds already is of earlier rows. It is asked
	// only of a piece that overlaps no other.
	Fold(span model.Span, g Grid, out []model.Aggregate) error
}

// appendSorted appends to dst the pieces that may have rows in span, in order
// of their first row.
func appendSorted(dst, pieces []Piece, span model.Span) []Piece {
	start := len(dst)
	for i := range pieces {
		p := &pieces[i]
		if p.First <= p.Last && span.Overlaps(p.First, p.Last) {
			dst = append(dst, *p)
		}
	}
	added := dst[start:]
	byFirst := func(a, b Piece) int { return cmp.Compare(a.First, b.First) }
	if !slices.IsSortedFunc(added, byFirst) {
		slices.SortFunc(added, byFirst)
	}
	return dst
}

// clip returns the part of span in which rows of the source are the piece's.
func (p *Piece) clip(span model.Span) model.Span {
	if p.Clipped {
		span.From, span.To = max(span.From, p.First), min(span.To, p.Last+1)
	}
	return span
}

// hullOf returns the span from the first of ascending spans to the last.
func hullOf(spans []model.Span) model.Span {
	if len(spans) == 0 {
		return model.Span{}
	}
	return model.Span{From: spans[0].From, To: spans[len(spans)-1].To}
}

// run holds those decoded rows of one piece that were not handed out yet.
type run struct {
	times  []int64
	values []float64
	rank   uint64
	// What Decode fills; times and values are the rest of them.
	timeBuffer  []int64
	valueBuffer []float64
}

// decode fills r with the rows of p in spans, and perhaps others between them.
func (r *run) decode(p *Piece, spans []model.Span) error {
	var err error
	r.timeBuffer, r.valueBuffer, err = p.Source.DecodeIn(spans, r.timeBuffer[:0], r.valueBuffer[:0])
	if err != nil {
		return err
	}
	times, values := r.timeBuffer, r.valueBuffer
	if len(times) != len(values) {
		return fmt.Errorf("%w: %d times, %d values", ErrPiece, len(times), len(values))
	}
	span := p.clip(hullOf(spans))
	// A row outside the bounds would break the order of what is handed out.
	n := len(times)
	outside := n > 0 && !p.Clipped && (times[0] < p.First || times[n-1] > p.Last)
	if outside || n > 0 && times[0] > times[n-1] {
		return fmt.Errorf("%w: rows from %d to %d, said to be from %d to %d",
			ErrPiece, times[0], times[n-1], p.First, p.Last)
	}
	n = cut(times, span.To)
	times, values = times[:n], values[:n]
	n = before(times, span.From)
	times, values = times[n:], values[n:]
	r.times, r.values, r.rank = times, values, p.Rank
	return nil
}

// before returns how many of the ascending times are less than t. It gallops:
// its cost grows with the logarithm of the answer.
func before(times []int64, t int64) int {
	high := 1
	for high <= len(times) && times[high-1] < t {
		high <<= 1
	}
	low := high >> 1 // times[:low] are less than t
	high = min(high, len(times)+1) - 1
	for low < high {
		middle := int(uint(low+high) >> 1)
		if times[middle] < t {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}
