package merge

import (
	"github.com/hokan-db/hokan/engine/model"
)

const (
	// batchRows is the most rows that are copied together into one batch.
	batchRows = 1024
	// directRows is the least length of a stretch of one piece's rows that is
	// handed out as it was decoded instead of being copied.
	directRows = 64
)

// Cursor yields the rows of one channel in ascending time, each time once. It
// is used by one goroutine at a time.
type Cursor struct {
	spans   []model.Span
	one     [1]model.Span // where it is one
	pieces  []Piece       // in order of First; those not opened yet
	open    []*run        // heap: the earliest next row first, of equal times the greatest rank
	free    []*run
	owned   []Piece
	times   []int64
	values  []float64
	failure error
}

// NewCursor returns a cursor over the rows of pieces in span. The pieces are
// copied; their sources are read as the cursor reaches them.
func NewCursor(pieces []Piece, span model.Span) *Cursor {
	c := new(Cursor)
	c.Reset(pieces, span)
	return c
}

// Reset makes c what NewCursor returns, keeping its buffers.
func (c *Cursor) Reset(pieces []Piece, span model.Span) {
	clear(c.owned) // let go of the sources
	c.owned = appendSorted(c.owned[:0], pieces, span)
	c.reset(c.owned, span)
}

// ResetIn is Reset for spans that ascend and touch no other. The cursor may give
// rows between them too, without regard to other pieces that have some there. It
// keeps the spans.
func (c *Cursor) ResetIn(pieces []Piece, spans []model.Span) {
	c.Reset(pieces, hullOf(spans))
	c.spans = spans
}

// reset starts over on sorted pieces, which c does not own.
func (c *Cursor) reset(sorted []Piece, span model.Span) {
	c.free = append(c.free, c.open...)
	c.open = c.open[:0]
	c.pieces, c.failure = sorted, nil
	c.one[0] = span
	c.spans = c.one[:]
}

// Next returns the next rows, at least one; none means the end. The slices
// are valid until the next call. After an error it returns the same error.
func (c *Cursor) Next() (times []int64, values []float64, err error) {
	if c.failure != nil {
		return nil, nil, c.failure
	}
	c.times, c.values = c.times[:0], c.values[:0]
	for len(c.times) < batchRows {
		if c.failure = c.openReached(); c.failure != nil {
			return nil, nil, c.failure
		}
		if len(c.open) == 0 {
			break
		}
		n := c.stretch()
		if n >= directRows {
			if len(c.times) > 0 {
				break // first what was collected
			}
			top := c.open[0]
			times, values = top.times[:n], top.values[:n]
			c.advance(n)
			return times, values, nil
		}
		n = min(n, batchRows-len(c.times))
		c.times = append(c.times, c.open[0].times[:n]...)
		c.values = append(c.values, c.open[0].values[:n]...)
		c.advance(n)
	}
	return c.times, c.values, nil
}

// openReached decodes the pieces that may hold the next row.
func (c *Cursor) openReached() error {
	for len(c.pieces) > 0 && (len(c.open) == 0 || c.pieces[0].First <= c.open[0].times[0]) {
		r := c.take()
		err := r.decode(&c.pieces[0], c.spans)
		c.pieces = c.pieces[1:]
		if err != nil || len(r.times) == 0 {
			c.free = append(c.free, r)
			if err != nil {
				return err
			}
			continue
		}
		c.push(r)
	}
	return nil
}

// stretch returns how many of the first run's rows come before any other row:
// at least one, as it wins where times are equal.
func (c *Cursor) stretch() int {
	times := c.open[0].times
	n := len(times)
	for _, other := range c.open[1:min(3, len(c.open))] {
		n = cut(times[:n], other.times[0])
	}
	if len(c.pieces) > 0 {
		n = cut(times[:n], c.pieces[0].First)
	}
	return max(n, 1)
}

// cut is before with the common answer, all of them, first.
func cut(times []int64, t int64) int {
	if n := len(times); n == 0 || times[n-1] < t {
		return n
	}
	return before(times, t)
}

// advance takes n rows off the first run, and off the others the rows that
// lost against the last of those.
func (c *Cursor) advance(n int) {
	t := c.open[0].times[n-1]
	c.drop(n)
	for len(c.open) > 0 && c.open[0].times[0] <= t {
		c.drop(1)
	}
}

// drop takes n rows off the first run and puts it where it belongs.
func (c *Cursor) drop(n int) {
	top := c.open[0]
	top.times, top.values = top.times[n:], top.values[n:]
	if len(top.times) == 0 {
		last := len(c.open) - 1
		c.open[0] = c.open[last]
		c.open = c.open[:last]
		c.free = append(c.free, top) // not overwritten before the next call
	}
	c.sink()
}

func (c *Cursor) take() *run {
	if n := len(c.free); n > 0 {
		r := c.free[n-1]
		c.free = c.free[:n-1]
		return r
	}
	return new(run)
}

func (r *run) less(other *run) bool {
	a, b := r.times[0], other.times[0]
	return a < b || a == b && r.rank > other.rank
}

func (c *Cursor) push(r *run) {
	c.open = append(c.open, r)
	for i := len(c.open) - 1; i > 0; {
		parent := (i - 1) / 2
		if !c.open[i].less(c.open[parent]) {
			return
		}
		c.open[i], c.open[parent] = c.open[parent], c.open[i]
		i = parent
	}
}

// sink restores the heap after its first run has changed.
func (c *Cursor) sink() {
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(c.open) {
			return
		}
		if child+1 < len(c.open) && c.open[child+1].less(c.open[child]) {
			child++
		}
		if !c.open[child].less(c.open[i]) {
			return
		}
		c.open[i], c.open[child] = c.open[child], c.open[i]
		i = child
	}
}
