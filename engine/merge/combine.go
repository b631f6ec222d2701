package merge

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/hokan-db/hokan/engine/model"
)

// Summaries are rows of one channel that were summarised when they were
// written: ascending, disjoint, each of rows inside one step of the Combiner
// that they are given to. The columns are read only during the call.
type Summaries struct {
	FirstTimes, LastTimes []int64
	// Fold adds the summaries from one on to another to what holds earlier rows
	// only.
	Fold func(from, to int, into *model.Aggregate)
	// Hidden are ascending, disjoint spans whose rows are not to be counted. A
	// summary that is cut by one is of no use itself.
	Hidden []model.Span
	// Rawless says that the rows themselves are gone.
	Rawless bool
}

// Combiner folds rows and summaries of rows of one channel, from sources that
// may overlap, into buckets: what a scan of the rows would give. Where
// summaries of several sources interleave, or a deletion cuts one, it leaves a
// hole in the bucket, to be filled from the rows of that stretch of time alone.
//
// It is used by one goroutine at a time, with a Scratch that may serve others
// between the calls, in this order: Start; AddPieces and
// List, of all sources that overlap another in time; Stream of the others in
// ascending time, and AddPieces of what these have no summaries of; Finish;
// Fill where there are Holes.
type Combiner struct {
	step    model.Step
	span    model.Span
	grid    Grid
	out     []model.Aggregate
	pending []Piece // not folded yet
	listed  []part  // ascending, disjoint; those that are neither folded nor streamed
	spare   []part
	holes   []hole
	spans   []model.Span // holeSpans
	hidden  int          // how many of the hidden spans the sweep has passed
	scratch *Scratch
}

// part is a summary that is to be folded when its time comes.
type part struct {
	model.Aggregate
	// dirty says that rows of several sources interleave, or that a part of
	// them is deleted: only the rows tell. The aggregate is then the next best.
	dirty   bool
	rawless bool // some of the rows are gone
}

// hole is a stretch of a bucket that is to be read.
type hole struct {
	first, last int64
	bucket      uint64
	rows        model.Aggregate // what was read
	after       model.Aggregate // what comes after, up to the next hole or the bucket's end
}

// Start begins a channel. The summaries it will be given lie inside rows of
// step, and each of these inside one bucket of g. What out holds must be of
// rows before span.
func (c *Combiner) Start(step model.Step, span model.Span, g Grid, out []model.Aggregate) {
	clear(c.pending) // let go of the sources
	c.step, c.span, c.grid, c.out = step, span, g, out
	c.pending, c.listed, c.holes = c.pending[:0], c.listed[:0], c.holes[:0]
}

// AddPieces adds rows of sources without summaries.
func (c *Combiner) AddPieces(pieces []Piece) {
	for i := range pieces {
		if c.span.Overlaps(pieces[i].First, pieces[i].Last) {
			c.pending = append(c.pending, pieces[i])
		}
	}
}

// List adds the summaries of a source that may overlap others.
func (c *Combiner) List(s *Summaries) {
	merged := c.spare[:0]
	keep := func(p *part) { merged = append(merged, *p) }
	c.sweep(s, func(from, to int) {
		for i := from; i < to; i++ {
			p := part{rawless: s.Rawless}
			s.Fold(i, i+1, &p.Aggregate)
			merged = append(merged, p)
		}
	}, keep)
	merged = append(merged, c.listed...)
	c.listed, c.spare = merged, c.listed[:0]
}

// Stream folds the summaries of a source that no other streamed one overlaps,
// and all that was added of earlier times.
func (c *Combiner) Stream(s *Summaries, scratch *Scratch) error {
	c.scratch = scratch
	n := len(s.FirstTimes)
	if n == 0 {
		return nil
	}
	if err := c.settle(s.FirstTimes[0], s.LastTimes[n-1]); err != nil {
		return err
	}
	if rest := c.absorb(s); rest > 0 {
		if rest == n {
			return nil
		}
		fold := s.Fold
		s = &Summaries{s.FirstTimes[rest:], s.LastTimes[rest:], func(from, to int, into *model.Aggregate) {
			fold(from+rest, to+rest, into)
		}, s.Hidden, s.Rawless}
	}
	var failure error
	c.sweep(s, func(from, to int) {
		failure = cmp.Or(failure, c.foldRun(s, from, to))
	}, func(p *part) {
		failure = cmp.Or(failure, c.emit(p))
	})
	return failure
}

// reached reports whether the last hole reaches to t.
func (c *Combiner) reached(t int64) bool {
	return len(c.holes) > 0 && c.holes[len(c.holes)-1].last >= t
}

// absorb widens the last hole by what reaches into it, and returns how many of
// the summaries do: what interleaves may come in several calls.
func (c *Combiner) absorb(s *Summaries) int {
	if len(c.holes) == 0 || s.Rawless {
		return 0
	}
	h := &c.holes[len(c.holes)-1]
	for n := 0; ; {
		if n < len(s.FirstTimes) && s.FirstTimes[n] <= h.last {
			h.last = max(h.last, s.LastTimes[n])
			n++
		} else if len(c.listed) > 0 && c.listed[0].FirstTime <= h.last {
			h.last = max(h.last, c.listed[0].LastTime)
			c.listed = c.listed[1:]
		} else {
			return n
		}
	}
}

// Finish folds all that was added and not folded yet.
func (c *Combiner) Finish(scratch *Scratch) error {
	c.scratch = scratch
	if err := c.settle(math.MaxInt64, math.MaxInt64); err != nil {
		return err
	}
	return c.emitBefore(math.MaxInt64)
}

// sweep passes over the summaries and the listed parts in ascending time, and
// takes the latter off the list up to the end of the former. Runs of summaries
// that nothing else touches go to run, all else to emit.
func (c *Combiner) sweep(s *Summaries, run func(from, to int), emit func(*part)) {
	c.hidden = 0
	for at := 0; at < len(s.FirstTimes); {
		limit := int64(math.MaxInt64)
		if len(c.listed) > 0 {
			limit = c.listed[0].FirstTime
		}
		for c.hidden < len(s.Hidden) && s.Hidden[c.hidden].To <= s.FirstTimes[at] {
			c.hidden++
		}
		if c.hidden < len(s.Hidden) {
			limit = min(limit, s.Hidden[c.hidden].From)
		}
		if n := cut(s.LastTimes[at:], limit); n > 0 {
			run(at, at+n)
			at += n
			continue
		}
		if len(c.listed) > 0 && c.listed[0].LastTime < s.FirstTimes[at] {
			emit(&c.listed[0])
			c.listed = c.listed[1:]
			continue
		}
		p := c.take(s, &at)
		for p.Rows() > 0 { // what overlaps it, and what overlaps that
			if len(c.listed) > 0 && c.listed[0].FirstTime <= p.LastTime {
				p.join(&c.listed[0])
				c.listed = c.listed[1:]
			} else if at < len(s.FirstTimes) && s.FirstTimes[at] <= p.LastTime {
				if next := c.take(s, &at); next.Rows() > 0 {
					p.join(&next)
				}
			} else {
				emit(&p)
				break
			}
		}
	}
}

// take returns the summary at at, without rows if they do not count, and goes
// on to the next.
func (c *Combiner) take(s *Summaries, at *int) part {
	i := *at
	*at++
	first, last := s.FirstTimes[i], s.LastTimes[i]
	p := part{rawless: s.Rawless}
	for c.hidden < len(s.Hidden) && s.Hidden[c.hidden].To <= first {
		c.hidden++
	}
	if c.hidden < len(s.Hidden) {
		h := s.Hidden[c.hidden]
		if h.From <= first && last < h.To || s.Rawless && h.Overlaps(first, last) {
			return part{}
		}
		p.dirty = h.Overlaps(first, last)
	}
	s.Fold(i, i+1, &p.Aggregate)
	return p
}

// join makes p a summary of the rows of both, as well as can be told.
func (p *part) join(other *part) {
	earlier, later := p.Aggregate, other.Aggregate
	if later.FirstTime < earlier.FirstTime {
		earlier, later = later, earlier
	}
	p.Aggregate = earlier
	p.Merge(&later)
	if earlier.LastTime > later.LastTime {
		p.LastTime = earlier.LastTime
		if earlier.Count > 0 {
			p.Last = earlier.Last
		}
	}
	p.dirty, p.rawless = true, p.rawless || other.rawless
}

// foldRun folds a run of summaries that nothing interleaves with.
func (c *Combiner) foldRun(s *Summaries, from, to int) error {
	for from < to {
		bucket := c.grid.Bucket(s.FirstTimes[from])
		if bucket >= uint64(len(c.out)) {
			return fmt.Errorf("%w: a summary at %d out of order", ErrPiece, s.FirstTimes[from])
		}
		n := from + cut(s.FirstTimes[from:to], c.grid.End(bucket))
		s.Fold(from, n, c.target(bucket))
		from = n
	}
	return nil
}

// target returns where rows of a bucket are folded that are later than all
// before.
func (c *Combiner) target(bucket uint64) *model.Aggregate {
	if n := len(c.holes); n > 0 && c.holes[n-1].bucket == bucket {
		return &c.holes[n-1].after
	}
	return &c.out[bucket]
}

// emit folds a part whose time has come, or leaves a hole for it.
func (c *Combiner) emit(p *part) error {
	bucket := c.grid.Bucket(p.FirstTime)
	if bucket >= uint64(len(c.out)) || c.grid.Bucket(p.LastTime) != bucket {
		return fmt.Errorf("%w: a summary of rows from %d to %d, which is not inside one bucket", ErrPiece, p.FirstTime, p.LastTime)
	}
	if !p.rawless && c.reached(p.FirstTime) {
		h := &c.holes[len(c.holes)-1]
		h.last = max(h.last, p.LastTime)
		return nil
	}
	if p.dirty && !p.rawless {
		c.holes = append(c.holes, hole{first: p.FirstTime, last: p.LastTime, bucket: bucket})
		return nil
	}
	c.target(bucket).Merge(&p.Aggregate)
	return nil
}

// emitBefore emits the listed parts that end before t.
func (c *Combiner) emitBefore(t int64) error {
	for len(c.listed) > 0 && c.listed[0].LastTime < t {
		if err := c.emit(&c.listed[0]); err != nil {
			return err
		}
		c.listed = c.listed[1:]
	}
	return nil
}

// settle folds the pieces that end before first and overlap nothing that is
// listed; those that reach into what is listed, or into [first, last], it lists.
// Later ones stay.
func (c *Combiner) settle(first, last int64) error {
	byFirst := func(a, b Piece) int { return cmp.Compare(a.First, b.First) }
	if !slices.IsSortedFunc(c.pending, byFirst) {
		slices.SortFunc(c.pending, byFirst)
	}
	done := 0
	for done < len(c.pending) && c.pending[done].First <= last {
		rest := c.pending[done:]
		if err := c.emitBefore(min(first, rest[0].First)); err != nil {
			return err
		}
		limit := first
		if len(c.listed) > 0 {
			limit = min(limit, c.listed[0].FirstTime)
		}
		if c.reached(rest[0].First) {
			limit = rest[0].First
		}
		n, err := apart(rest, limit), error(nil)
		if n > 0 {
			err = c.foldPieces(rest[:n])
		} else {
			n = entangled(rest)
			err = c.listPieces(rest[:n])
		}
		if err != nil {
			return err
		}
		done += n
	}
	c.pending = slices.Delete(c.pending, 0, done)
	return nil
}

// entangled returns how many of the sorted pieces overlap the first of them, or
// each other in a row that begins with it.
func entangled(sorted []Piece) int {
	reach := sorted[0].Last
	for i := 1; i < len(sorted); i++ {
		if sorted[i].First > reach {
			return i
		}
		reach = max(reach, sorted[i].Last)
	}
	return len(sorted)
}

// apart returns how many of the sorted pieces end before limit and overlap none
// of the others.
func apart(sorted []Piece, limit int64) int {
	n := 0
	reach := int64(math.MinInt64)
	for i := range sorted {
		if i > 0 && sorted[i].First > reach {
			n = i
		}
		if reach = max(reach, sorted[i].Last); reach >= limit {
			return n
		}
	}
	return len(sorted)
}

// foldPieces folds sorted pieces that overlap nothing else.
func (c *Combiner) foldPieces(sorted []Piece) error {
	span := c.span
	if n := len(c.holes); n > 0 {
		h := &c.holes[n-1]
		if end := c.grid.End(h.bucket); sorted[0].First < end {
			after, err := c.scratch.Summarize(sorted, model.Span{From: span.From, To: min(end, span.To)})
			if err != nil {
				return err
			}
			h.after.Merge(&after)
			span.From = end
		}
	}
	if span.Empty() {
		return nil
	}
	return c.scratch.Aggregate(sorted, span, c.grid, c.out)
}

// listPieces lists the rows of pieces, summarised by the step.
func (c *Combiner) listPieces(pieces []Piece) error {
	var parts []part
	end := int64(math.MinInt64) // of the last part's row of step
	cursor := &c.scratch.cursor
	cursor.Reset(pieces, c.span)
	for {
		times, values, err := cursor.Next()
		if err != nil {
			return err
		}
		if len(times) == 0 {
			break
		}
		for len(times) > 0 {
			if len(parts) == 0 || times[0] >= end {
				parts = append(parts, part{})
				end = c.step.Start(times[0]) + max(c.step.Width(), 1)
			}
			n := cut(times, end)
			addRows(&parts[len(parts)-1].Aggregate, times[:n], values[:n])
			times, values = times[n:], values[n:]
		}
	}
	columns := Summaries{
		FirstTimes: make([]int64, len(parts)), LastTimes: make([]int64, len(parts)),
		Fold: func(from, to int, into *model.Aggregate) {
			for i := from; i < to; i++ {
				into.Merge(&parts[i].Aggregate)
			}
		},
	}
	for i := range parts {
		columns.FirstTimes[i], columns.LastTimes[i] = parts[i].FirstTime, parts[i].LastTime
	}
	c.List(&columns)
	return nil
}

// Holes returns the number of holes that are to be filled.
func (c *Combiner) Holes() int { return len(c.holes) }

// Wants reports whether a hole needs rows of [first, last].
func (c *Combiner) Wants(first, last int64) bool {
	i := sort.Search(len(c.holes), func(i int) bool { return c.holes[i].last >= first })
	return i < len(c.holes) && c.holes[i].first <= last && c.span.Overlaps(first, last)
}

// HoleSpan returns the span from the first hole to the last, as far as rows in
// it count.
func (c *Combiner) HoleSpan() model.Span {
	if len(c.holes) == 0 {
		return model.Span{}
	}
	return c.span.Intersect(model.Span{From: c.holes[0].first, To: c.holes[len(c.holes)-1].last + 1})
}

// holeSpans returns where rows are that holes need.
func (c *Combiner) holeSpans() []model.Span {
	c.spans = c.spans[:0]
	for i := range c.holes {
		span := c.span.Intersect(model.Span{From: c.holes[i].first, To: c.holes[i].last + 1})
		if n := len(c.spans); n > 0 && c.spans[n-1].To == span.From {
			c.spans[n-1].To = span.To
		} else if !span.Empty() {
			c.spans = append(c.spans, span)
		}
	}
	return c.spans
}

// Fill fills the holes from pieces, which must be all that Wants says yes to,
// and completes the buckets.
func (c *Combiner) Fill(pieces []Piece, scratch *Scratch) error {
	wanted := c.pending[:0]
	for i := range pieces {
		if c.Wants(pieces[i].First, pieces[i].Last) {
			wanted = append(wanted, pieces[i])
		}
	}
	c.pending = wanted
	cursor := &scratch.cursor
	cursor.ResetIn(wanted, c.holeSpans())
	for holes := c.holes; ; {
		times, values, err := cursor.Next()
		if err != nil {
			return err
		}
		if len(times) == 0 {
			break
		}
		for len(times) > 0 && len(holes) > 0 {
			h := &holes[0]
			skip := before(times, h.first)
			times, values = times[skip:], values[skip:]
			n := cut(times, h.last+1)
			if n > 0 {
				addRows(&h.rows, times[:n], values[:n])
			}
			if times, values = times[n:], values[n:]; len(times) > 0 {
				holes = holes[1:]
			}
		}
	}
	for i := range c.holes {
		h := &c.holes[i]
		c.out[h.bucket].Merge(&h.rows)
		c.out[h.bucket].Merge(&h.after)
	}
	c.holes = c.holes[:0]
	return nil
}
