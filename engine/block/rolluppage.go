package block

// The payload of a frame of rollup rows:
//
//	u8       step: 1 second, 2 minute, 3 hour, 4 day
//
// and then, up to its end, for each of its channels, ascending, what follows.
// Integers are taken modulo 2^64. The interval of a row is its first time
// divided by the step, rounded down, its place the rest; its length the last
// time less the first. Q is rows/2, rounded down, and "row Q" the row with
// that number, from 0.
//
//	uvarint  channel ID less the one before (the first: less 0)
//	uvarint  bytes of what follows up to the next channel
//	uvarint  rows less 1
//	zigzag   interval of row 0 less that of the channel before (the first: 0)
//	zigzag   place, length, rows that hold a number and rows that do not, of
//	…          row Q, each less that of the channel before (the first: 0)
//	u8       scale of values: 0 to 15 decimals; 16 binary; 17 bits
//	zigzag     if binary: its exponent
//	u8       scale of sums, as of values
//	zigzag     if binary: its exponent
//	zigzag   start
//	uvarint  bit i: column i stands below; bit 10: exceptions
//	…        those columns, each as package chunk encodes integers; the others
//	         are all zeros
//	…        exceptions: uvarint number, at least 1, then for each of them
//	         uvarint the next of the numbers 5*row + i that is one, less the one
//	         before, less 1 (the first: itself); i: 0 first, 1 last, 2 least,
//	         3 greatest number, 4 sum; u64 its float64
//
// The columns, of which each has an integer for each row:
//
//	0  interval less that of the row before, less 1; 0 in row 0
//	1  place less that of row Q
//	2  length less that of row Q
//	3  rows that hold a number less those of row Q
//	4  rows that do not less those of row Q
//	5  first number less the last number of the row before (of row 0: start)
//	6  last number less the first
//	7  the lesser of both less the least number
//	8  the greatest number less the greater of both
//	9  sum less the expected one
//
// These numbers are integers by their scale. With d decimals an integer i is
// the float that package chunk makes of it in the mode decimal, with a binary
// exponent e it is i * 2^-e (the mode product with 2^-e), with bits it is the
// float whose bits in order (see there) i is. Let n be the rows that hold a
// number and m the sum of the integers of first, last, least and greatest
// number. If both scales have equal decimals, the expected sum is m*n / 4,
// rounded down; if both are binary, m is first multiplied by 2 to the exponent
// of sums less that of values, rounded down; else the expected sum is that of
// the row before, of row 0: 0.
//
// A sum is within 2^-51 of the sum of |v| over the raw rows.

import (
	"encoding/binary"
	"errors"
	"math"
	"sync"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/model"
)

// MaxRollupRows is the most rows that one page holds.
const MaxRollupRows = 8192

// The columns of rollup rows.
const (
	columnInterval = iota
	columnPlace
	columnLength
	columnCount
	columnQuality
	columnFirst
	columnLast
	columnLeast
	columnGreatest
	columnSum
	rollupColumns
)

const exceptionsBit = 1 << rollupColumns

// The kinds of scales; those below are decimals.
const (
	scaleBinary = 16
	scaleBits   = 17
)

// rollupScale says how numbers are integers.
type rollupScale struct {
	kind     byte
	exponent int // if it is binary
}

func (s rollupScale) appendTo(dst []byte) []byte {
	dst = append(dst, s.kind)
	if s.kind == scaleBinary {
		dst = binary.AppendVarint(dst, int64(s.exponent))
	}
	return dst
}

func (in *input) rollupScale() rollupScale {
	s := rollupScale{kind: in.byte()}
	if s.kind == scaleBinary {
		e := in.varint()
		if e < -maxExponent || e > maxExponent {
			in.fail()
			return rollupScale{}
		}
		s.exponent = int(e)
	}
	if s.kind > scaleBits {
		in.fail()
	}
	return s
}

// maxExponent keeps the factor of a binary scale a normal float.
const maxExponent = 1022

// factor returns what numbers are multiplied by, unless they are bits.
func (s rollupScale) factor() chunk.Scale {
	if s.kind == scaleBinary {
		return chunk.BinaryScale(s.exponent)
	}
	return chunk.DecimalScale(int(s.kind))
}

// at returns the number that an integer stands for.
func (s rollupScale) at(integer int64) float64 {
	if s.kind == scaleBits {
		return ordered(integer)
	}
	return s.factor().At(integer)
}

// ordered and inOrder map integers to floats, and back, so that both are in
// the same order.
func ordered(integer int64) float64 {
	return math.Float64frombits(uint64(integer ^ int64(uint64(integer>>63)>>1)))
}

func inOrder(f float64) int64 {
	b := int64(math.Float64bits(f))
	return b ^ int64(uint64(b>>63)>>1)
}

// expectation is how the sum of a row is expected.
type expectation struct {
	known bool // from the row's other numbers, else from the row before
	shift int  // left; negative: right
}

func expectationOf(values, sums rollupScale) expectation {
	switch {
	case values.kind == scaleBinary && sums.kind == scaleBinary:
		return expectation{true, sums.exponent - values.exponent}
	case values.kind < scaleBinary && sums.kind == values.kind:
		return expectation{true, 0}
	}
	return expectation{}
}

// of returns the expected sum of a row, from the sum of its four numbers.
func (e expectation) of(four int64, count uint64, before int64) int64 {
	switch {
	case !e.known:
		return before
	case e.shift >= 0:
		return four << uint(e.shift) * int64(count) >> 2
	}
	return four >> uint(-e.shift) * int64(count) >> 2
}

// segmentHead is what stands before the columns of a channel.
type segmentHead struct {
	channel                       model.ChannelID
	interval                      int64 // of row 0
	place, length, count, quality int64 // of row Q
	values, sums                  rollupScale
	start                         int64
	rows                          int
	mask                          uint64
}

// intervalOf splits a time into an interval of a width and the place in it.
func intervalOf(t, width int64) (interval, place int64) {
	interval, place = t/width, t%width
	if place < 0 {
		interval, place = interval-1, place+width
	}
	return interval, place
}

// segments reads the channels of a page.
type segments struct {
	in    input
	head  segmentHead // of the last one read; of it the next one is told
	body  []byte      // its columns
	width int64
}

var errRollups = errors.New("the rollup page is damaged")

// start begins with the payload of a page of this step.
func (s *segments) start(payload []byte, step model.Step) error {
	*s = segments{in: input{rest: payload}, width: step.Width()}
	if model.Step(s.in.byte()) != step || s.width == 0 {
		return errRollups
	}
	return nil
}

// next reads what stands before a channel's columns, false at the end.
func (s *segments) next() (bool, error) {
	if len(s.in.rest) == 0 {
		return false, nil
	}
	h := &s.head
	step := s.in.uint32Varint()
	before := h.channel
	h.channel += model.ChannelID(step)
	in := input{rest: s.in.bytes(s.in.uvarint())}
	if s.in.failed || h.channel <= before {
		return false, errRollups
	}
	rows := in.uvarint()
	h.interval += in.varint()
	h.place += in.varint()
	h.length += in.varint()
	h.count += in.varint()
	h.quality += in.varint()
	h.values, h.sums = in.rollupScale(), in.rollupScale()
	h.start = in.varint()
	h.mask = in.uvarint()
	if in.failed || rows >= MaxRollupRows || h.mask >= exceptionsBit<<1 {
		return false, errRollups
	}
	h.rows = int(rows) + 1
	s.body = in.rest
	return true, nil
}

// apart is by how many integers, modulo a page, columns lie apart.
const apart = 40

// rollupScratch is the memory that decoding rollup rows needs.
type rollupScratch struct {
	decoder  chunk.Decoder
	segments segments
	columns  [rollupColumns][]int64 // nil: all zeros
	memory   [rollupColumns][]int64
	zeros    []int64
	rows     RollupRows
	view     RollupRows // those of rows that are visited
	folding  bool       // rows are only to be folded
	folded   FoldedRows // as view, then
	exact    rollupIntegers
	integral bool // the numbers are in exact, not in rows
}

var rollupScratches = sync.Pool{New: func() any { return new(rollupScratch) }}

// decode reads the rows of the channel that s.segments came to into s.rows.
func (s *rollupScratch) decode(step model.Step) error {
	h := &s.segments.head
	body := s.segments.body
	for i := range s.columns {
		s.columns[i] = nil
		if h.mask&(1<<i) == 0 {
			continue
		}
		if cap(s.memory[i]) < h.rows {
			// Whole pages would lie in the same places of the cache.
			s.memory[i] = make([]int64, MaxRollupRows+apart*i)[apart*i:]
		}
		s.columns[i] = s.memory[i][:h.rows]
		var err error
		if body, err = s.decoder.Integers(s.columns[i], body); err != nil {
			return err
		}
	}
	s.rows.Reset(step)
	s.rows.resize(h.rows)
	if !s.times() || !s.counts() {
		return errRollups
	}
	if s.integral = s.folding && s.integers(); s.integral {
		if len(body) > 0 {
			return errRollups
		}
		return nil
	}
	s.numbers()
	return s.exceptions(body)
}

// column returns a column, zeros where it is not stored.
func (s *rollupScratch) column(i int) []int64 {
	if s.columns[i] != nil {
		return s.columns[i]
	}
	if s.zeros == nil {
		s.zeros = make([]int64, MaxRollupRows)
	}
	return s.zeros[:s.segments.head.rows]
}

// times makes the times, and reports whether each row is within one interval
// and these ascend.
func (s *rollupScratch) times() bool {
	h, width := &s.segments.head, s.segments.width
	firsts, lasts := s.rows.FirstTimes, s.rows.LastTimes
	t := h.interval*width + h.place
	if s.columns[columnInterval] == nil && s.columns[columnPlace] == nil && s.columns[columnLength] == nil {
		for i := range firsts {
			firsts[i], lasts[i] = t, t+h.length
			t += width
		}
		interval, _ := intervalOf(firsts[0], width)
		return within(h.place, h.length, width) && interval == h.interval && firsts[0] <= lasts[len(lasts)-1]
	}
	skips, places, lengths := s.column(columnInterval), s.column(columnPlace), s.column(columnLength)
	lasts, skips, places, lengths = lasts[:len(firsts)], skips[:len(firsts)], places[:len(firsts)], lengths[:len(firsts)]
	mostSkip, good := uint64(math.MaxInt64/width-1), skips[0] == 0
	start, before := h.interval*width-width, int64(math.MinInt64)
	for i := range firsts {
		skip, place, length := skips[i], h.place+places[i], h.length+lengths[i]
		start += width * (skip + 1)
		first := start + place
		last := first + length
		good = good && uint64(skip) < mostSkip && within(place, length, width) && first >= before && first <= last
		firsts[i], lasts[i], before = first, last, last
	}
	interval, _ := intervalOf(firsts[0], width)
	return good && interval == h.interval
}

// within reports whether a row lies in one interval.
func within(place, length, width int64) bool {
	return uint64(place) < uint64(width) && uint64(length) < uint64(width) && place+length < width
}

// counts makes the numbers of rows, and reports whether there can be so many.
func (s *rollupScratch) counts() bool {
	h := &s.segments.head
	good := fillCounts(s.rows.Counts, s.columns[columnCount], h.count) &&
		fillCounts(s.rows.Qualities, s.columns[columnQuality], h.quality)
	if s.columns[columnCount] == nil && h.count > 0 {
		return good
	}
	for i, n := range s.rows.Counts {
		good = good && n+s.rows.Qualities[i] > 0
	}
	return good
}

// fillCounts makes one of the numbers of rows; more is nil where all are equal.
func fillCounts(dst []uint64, more []int64, at int64) bool {
	if more == nil {
		for i := range dst {
			dst[i] = uint64(at)
		}
		return uint64(at) < 1<<62
	}
	all := uint64(0)
	for i, more := range more[:len(dst)] {
		n := uint64(at + more)
		all |= n
		dst[i] = n
	}
	return all < 1<<62
}

// numbers makes the numbers of all rows that are no exceptions.
func (s *rollupScratch) numbers() {
	h, r := &s.segments.head, &s.rows
	expected := expectationOf(h.values, h.sums)
	n := h.rows
	firsts, lasts := s.column(columnFirst)[:n], s.column(columnLast)[:n]
	leasts, greatests, sums := s.column(columnLeast)[:n], s.column(columnGreatest)[:n], s.column(columnSum)[:n]
	counts := r.Counts[:n]
	outFirst, outLast, outMin, outMax, outSum := r.Firsts[:n], r.Lasts[:n], r.Mins[:n], r.Maxs[:n], r.Sums[:n]
	last, sum := h.start, int64(0)
	if !expected.known || h.values.kind == scaleBits {
		for i := range firsts {
			first := last + firsts[i]
			last = first + lasts[i]
			least, greatest := min(first, last)-leasts[i], max(first, last)+greatests[i]
			sum = expected.of(first+last+least+greatest, counts[i], sum) + sums[i]
			outFirst[i], outLast[i] = h.values.at(first), h.values.at(last)
			outMin[i], outMax[i] = h.values.at(least), h.values.at(greatest)
			outSum[i] = h.sums.at(sum)
		}
		return
	}
	values, totals := h.values.factor(), h.sums.factor()
	left, right := uint(max(expected.shift, 0)), uint(max(-expected.shift, 0))
	for i := range firsts {
		first := last + firsts[i]
		last = first + lasts[i]
		least, greatest := min(first, last)-leasts[i], max(first, last)+greatests[i]
		sum := (first+last+least+greatest)>>right<<left*int64(counts[i])>>2 + sums[i]
		outFirst[i], outLast[i] = values.At(first), values.At(last)
		outMin[i], outMax[i] = values.At(least), values.At(greatest)
		outSum[i] = totals.At(sum)
	}
}

// exceptions replaces numbers by what stands behind the columns, which must be
// all that does.
func (s *rollupScratch) exceptions(body []byte) error {
	in := input{rest: body}
	if s.segments.head.mask&exceptionsBit != 0 {
		r := &s.rows
		columns := [5][]float64{r.Firsts, r.Lasts, r.Mins, r.Maxs, r.Sums}
		next := uint64(0)
		count := in.count(9)
		if count == 0 {
			in.fail()
		}
		for range count {
			next += in.uvarint()
			if in.failed || next >= uint64(5*r.Len()) {
				return errRollups
			}
			b := in.bytes(8)
			if in.failed {
				return errRollups
			}
			columns[next%5][next/5] = math.Float64frombits(binary.LittleEndian.Uint64(b))
			next++
		}
	}
	if in.failed || len(in.rest) > 0 {
		return errRollups
	}
	return nil
}
