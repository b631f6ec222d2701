package block

import (
	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/model"
)

// FoldedRows are rollup rows of which only the times are told, to be folded.
type FoldedRows struct {
	Step                  model.Step
	FirstTimes, LastTimes []int64

	scratch *rollupScratch
	from    int // among the rows of scratch
}

// Len returns the number of rows.
func (f *FoldedRows) Len() int { return len(f.FirstTimes) }

// Fold adds the rows from one on to another to into, which must hold only
// earlier ones: what RollupRows.Fold gives, the sum but for its rounding.
func (f *FoldedRows) Fold(from, to int, into *model.Aggregate) {
	if f.scratch.integral {
		f.scratch.foldIntegers(f.from+from, f.from+to, into)
	} else {
		f.scratch.rows.Fold(f.from+from, f.from+to, into)
	}
}

// FoldRollups is Rollups for rows that are only to be folded: where their
// numbers are integers by a scale, these are folded as such, and one number a
// bucket becomes a float in place of each row's. The rows are valid until visit
// returns.
func (r *Reader) FoldRollups(ids []model.ChannelID, at model.Step, span model.Span, visit func(model.ChannelID, *FoldedRows) error) error {
	return r.visitRollups(ids, at, span, true, func(id model.ChannelID, s *rollupScratch, from, to int) error {
		s.folded = FoldedRows{s.rows.Step, s.rows.FirstTimes[from:to], s.rows.LastTimes[from:to], s, from}
		return visit(id, &s.folded)
	})
}

// rollupIntegers are the numbers of rows as integers.
type rollupIntegers struct {
	firsts, lasts, leasts, greatests, sums []int64
	values, totals                         chunk.Scale
}

// resize makes room for n rows of any content.
func (e *rollupIntegers) resize(n int) {
	if cap(e.firsts) < n {
		all := make([]int64, 5*(n+apart))
		for i, column := range []*[]int64{&e.firsts, &e.lasts, &e.leasts, &e.greatests, &e.sums} {
			*column = all[i*(n+apart):][:n:n]
		}
	}
	e.firsts, e.lasts, e.leasts, e.greatests, e.sums = e.firsts[:n], e.lasts[:n], e.leasts[:n], e.greatests[:n], e.sums[:n]
}

// Sums of up to MaxRollupRows integers below mostSum do not overflow; integers
// within mostInteger are floats, in the same order.
const (
	mostSum     = 1 << 49
	mostInteger = 1 << 53
)

// integers makes the numbers of all rows integers, and reports whether it could:
// not of exceptions, of bits, of numbers that may be too large.
func (s *rollupScratch) integers() bool {
	h := &s.segments.head
	expected := expectationOf(h.values, h.sums)
	if h.mask&exceptionsBit != 0 || !expected.known || h.values.kind == scaleBits {
		return false
	}
	e, n := &s.exact, h.rows
	e.resize(n)
	e.values, e.totals = h.values.factor(), h.sums.factor()
	firsts, lasts := s.column(columnFirst)[:n], s.column(columnLast)[:n]
	leasts, greatests, sums := s.column(columnLeast)[:n], s.column(columnGreatest)[:n], s.column(columnSum)[:n]
	counts := s.rows.Counts[:n]
	outFirst, outLast, outLeast, outGreatest, outSum := e.firsts[:n], e.lasts[:n], e.leasts[:n], e.greatests[:n], e.sums[:n]
	left, right := uint(max(expected.shift, 0)), uint(max(-expected.shift, 0))
	last, large, largeSum := h.start, int64(0), int64(0)
	for i := range firsts {
		first := last + firsts[i]
		last = first + lasts[i]
		least, greatest := min(first, last)-leasts[i], max(first, last)+greatests[i]
		sum := (first+last+least+greatest)>>right<<left*int64(counts[i])>>2 + sums[i]
		outFirst[i], outLast[i], outLeast[i], outGreatest[i], outSum[i] = first, last, least, greatest, sum
		large |= (first ^ first>>63) | (last ^ last>>63) | (least ^ least>>63) | (greatest ^ greatest>>63)
		largeSum |= sum ^ sum>>63
	}
	return large < mostInteger && largeSum < mostSum
}

// foldIntegers is RollupRows.Fold of integers.
func (s *rollupScratch) foldIntegers(from, to int, into *model.Aggregate) {
	if from >= to {
		return
	}
	e, r := &s.exact, &s.rows
	counts, qualities := r.Counts[from:to], r.Qualities[from:to]
	n := len(counts)
	leasts, greatests, sums := e.leasts[from:to][:n], e.greatests[from:to][:n], e.sums[from:to][:n]
	all := model.Aggregate{FirstTime: r.FirstTimes[from], LastTime: r.LastTimes[to-1]}
	first, last := -1, -1
	least, greatest, sum := int64(mostInteger), int64(-mostInteger), int64(0)
	for i, count := range counts {
		all.Quality += qualities[i]
		if count == 0 {
			continue
		}
		if first < 0 {
			first = i
		}
		last = i
		all.Count += count
		least, greatest = min(least, leasts[i]), max(greatest, greatests[i])
		sum += sums[i]
	}
	if first >= 0 {
		all.Min, all.Max = e.values.At(least), e.values.At(greatest)
		all.First, all.Last = e.values.At(e.firsts[from+first]), e.values.At(e.lasts[from+last])
		all.Sum = e.totals.At(sum)
	}
	into.Merge(&all)
}
