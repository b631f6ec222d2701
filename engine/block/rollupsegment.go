package block

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/model"
)

// segmentWriter encodes the channels of a page of rollup rows: see
// rolluppage.go for the bytes.
type segmentWriter struct {
	encoder chunk.Encoder
	columns [rollupColumns][]int64
	special []uint64 // numbers of the exceptions, 5*row + i
	body    []byte
}

// append encodes the rows of a channel, at least one. absolutes are the sums of
// |v| of each row, so that sums can be rounded; nil: they stay as they are.
// Sums in r become what will be decoded. before is what stands of the channel
// before in the page, and becomes what stands of this one.
func (w *segmentWriter) append(dst []byte, before *segmentHead, channel model.ChannelID, r *RollupRows, absolutes []float64) []byte {
	h := segmentHead{channel: channel, rows: r.Len()}
	for i := range w.columns {
		if cap(w.columns[i]) < h.rows {
			w.columns[i] = make([]int64, MaxRollupRows)
		}
		w.columns[i] = w.columns[i][:h.rows]
	}
	w.times(&h, r)
	w.counts(&h, r)
	w.special = w.special[:0]
	h.values = valueScale(r)
	h.sums = sumScale(r, absolutes, h.values)
	w.numbers(&h, r)

	body := w.body[:0]
	body = binary.AppendUvarint(body, uint64(h.rows-1))
	body = binary.AppendVarint(body, h.interval-before.interval)
	body = binary.AppendVarint(body, h.place-before.place)
	body = binary.AppendVarint(body, h.length-before.length)
	body = binary.AppendVarint(body, h.count-before.count)
	body = binary.AppendVarint(body, h.quality-before.quality)
	body = h.sums.appendTo(h.values.appendTo(body))
	body = binary.AppendVarint(body, h.start)
	for i, column := range w.columns {
		if !allZeros(column) {
			h.mask |= 1 << i
		}
	}
	if len(w.special) > 0 {
		h.mask |= exceptionsBit
	}
	body = binary.AppendUvarint(body, h.mask)
	for i, column := range w.columns {
		if h.mask&(1<<i) != 0 {
			// Symbols would make them 5 % smaller, and reading them half as fast.
			body = w.encoder.AppendIntegers(body, column, chunk.Fast)
		}
	}
	body = w.appendExceptions(body, r)
	dst = binary.AppendUvarint(dst, uint64(channel-before.channel))
	dst = binary.AppendUvarint(dst, uint64(len(body)))
	w.body, *before = body, h
	return append(dst, body...)
}

func allZeros(column []int64) bool {
	for _, v := range column {
		if v != 0 {
			return false
		}
	}
	return true
}

func (w *segmentWriter) times(h *segmentHead, r *RollupRows) {
	width := r.Step.Width()
	middle := h.rows / 2
	_, h.place = intervalOf(r.FirstTimes[middle], width)
	h.length = r.LastTimes[middle] - r.FirstTimes[middle]
	before := int64(0)
	for i, first := range r.FirstTimes {
		interval, place := intervalOf(first, width)
		if i == 0 {
			h.interval, before = interval, interval-1
		}
		w.columns[columnInterval][i] = interval - before - 1
		w.columns[columnPlace][i] = place - h.place
		w.columns[columnLength][i] = r.LastTimes[i] - first - h.length
		before = interval
	}
}

func (w *segmentWriter) counts(h *segmentHead, r *RollupRows) {
	middle := h.rows / 2
	h.count, h.quality = int64(r.Counts[middle]), int64(r.Qualities[middle])
	for i := range r.Counts {
		w.columns[columnCount][i] = int64(r.Counts[i]) - h.count
		w.columns[columnQuality][i] = int64(r.Qualities[i]) - h.quality
	}
}

// isSpecial reports whether a number has no integer unless it is bits.
func isSpecial(v float64) bool { return v-v != 0 || v == 0 && math.Signbit(v) }

// valueScale chooses the shortest scale that tells all numbers but special
// ones.
func valueScale(r *RollupRows) rollupScale {
	columns := [4][]float64{r.Firsts, r.Lasts, r.Mins, r.Maxs}
	if digits, ok := decimalsOfAll(r.Counts, &columns); ok {
		return rollupScale{kind: byte(digits)}
	}
	lowest, highest := math.MaxInt, math.MinInt
	for i, count := range r.Counts {
		if count == 0 {
			continue
		}
		for _, column := range columns {
			low, high, ok := bitsOf(column[i])
			if ok {
				lowest, highest = min(lowest, low), max(highest, high)
			}
		}
	}
	return binaryScale(lowest, highest)
}

// binaryScale returns the scale of numbers whose bits are of the weights
// 2^lowest to 2^highest, bits where 60 do not hold them.
func binaryScale(lowest, highest int) rollupScale {
	if highest < lowest || highest-lowest >= 59 || lowest < -maxExponent || lowest > maxExponent {
		return rollupScale{kind: scaleBits}
	}
	return rollupScale{scaleBinary, -lowest}
}

// bitsOf returns the weights of the lowest and the highest bit of a number,
// false for zero and special ones.
func bitsOf(v float64) (lowest, highest int, ok bool) {
	if v == 0 || v-v != 0 {
		return 0, 0, false
	}
	fraction, exponent := math.Frexp(v) // v = fraction * 2^exponent, 1/2 <= |fraction| < 1
	mantissa := uint64(math.Abs(fraction) * (1 << 53))
	return exponent - 53 + bits.TrailingZeros64(mantissa), exponent - 1, true
}

// decimalsOfAll returns the fewest decimals that all numbers have, but for
// special ones; false where there is no such number.
func decimalsOfAll(counts []uint64, columns *[4][]float64) (int, bool) {
	digits := 0
	scale := chunk.DecimalScale(0)
	greatest := 0.0
	for i, count := range counts {
		if count == 0 {
			continue
		}
		for _, column := range columns {
			v := column[i]
			if isSpecial(v) {
				continue
			}
			greatest = max(greatest, math.Abs(v))
			for {
				if integer := math.Round(v * powers[digits]); scale.At(int64(integer)) == v && greatest*powers[digits] < exact {
					break
				}
				digits++
				if digits == len(powers) {
					return 0, false
				}
				scale = chunk.DecimalScale(digits)
			}
		}
	}
	for i, count := range counts { // with more digits those before may not be told
		if count == 0 {
			continue
		}
		for _, column := range columns {
			if v := column[i]; !isSpecial(v) && scale.At(int64(math.Round(v*powers[digits]))) != v {
				return 0, false
			}
		}
	}
	return digits, true
}

// sumScale chooses the scale of sums.
func sumScale(r *RollupRows, absolutes []float64, values rollupScale) rollupScale {
	if values.kind == scaleBits {
		return values
	}
	tolerance := func(row int) float64 {
		if absolutes == nil {
			return 0
		}
		return math.Max(absolutes[row], math.Abs(r.Sums[row])) * sumTolerance
	}
	if values.kind < scaleBinary {
		scale, power, good := values.factor(), powers[values.kind], true
		for i, sum := range r.Sums {
			if r.Counts[i] == 0 || isSpecial(sum) {
				continue
			}
			scaled := math.Round(sum * power)
			if !(math.Abs(scaled) < 1<<60) || !(math.Abs(scale.At(int64(scaled))-sum) <= tolerance(i)) {
				good = false
				break
			}
		}
		if good {
			return values
		}
	}
	lowest, highest, coarsest := math.MaxInt, math.MinInt, math.MaxInt
	for i, sum := range r.Sums {
		low, high, ok := bitsOf(sum)
		if r.Counts[i] == 0 || !ok {
			continue
		}
		lowest, highest = min(lowest, low), max(highest, high)
		coarse := low
		if t := tolerance(i); t > 0 {
			_, coarse, _ = bitsOf(t)
			coarse++ // rounding is off by half of it at most
		}
		coarsest = min(coarsest, coarse)
	}
	return binaryScale(max(lowest, coarsest), highest+1)
}

// sumTolerance is by how much of the sum of |v| a sum may be rounded.
const sumTolerance = 0x1p-52

// integerOf returns the integer that stands for a number, false where none
// does.
func (s rollupScale) integerOf(v float64) (int64, bool) {
	switch {
	case v != v:
		return 0, false
	case s.kind == scaleBits:
		return inOrder(v), true
	case isSpecial(v):
		return 0, false
	case s.kind == scaleBinary:
		return int64(math.RoundToEven(math.Ldexp(v, s.exponent))), true
	}
	return int64(math.Round(v * powers[s.kind])), true
}

// numbers fills the columns of numbers, and makes each sum in r the one that
// its integer tells.
func (w *segmentWriter) numbers(h *segmentHead, r *RollupRows) {
	expected := expectationOf(h.values, h.sums)
	c := &w.columns
	last, sum := int64(0), int64(0)
	started := false
	number := func(v float64, instead int64, at uint64) int64 {
		x, ok := h.values.integerOf(v)
		if !ok {
			w.special = append(w.special, at)
			return instead
		}
		return x
	}
	for i, count := range r.Counts {
		if count == 0 {
			for _, column := range c[columnFirst:] {
				column[i] = 0
			}
			continue
		}
		at := uint64(5 * i)
		first := number(r.Firsts[i], last, at)
		if !started {
			started, h.start, last = true, first, first
		}
		c[columnFirst][i] = first - last
		last = number(r.Lasts[i], first, at+1)
		c[columnLast][i] = last - first
		low, high := min(first, last), max(first, last)
		least, greatest := number(r.Mins[i], low, at+2), number(r.Maxs[i], high, at+3)
		c[columnLeast][i], c[columnGreatest][i] = low-least, greatest-high
		sum = expected.of(first+last+least+greatest, count, sum)
		total, ok := h.sums.integerOf(r.Sums[i])
		if !ok {
			w.special = append(w.special, at+4)
			total = sum
		} else {
			r.Sums[i] = h.sums.at(total)
		}
		c[columnSum][i] = total - sum
		sum = total
	}
}

func (w *segmentWriter) appendExceptions(dst []byte, r *RollupRows) []byte {
	if len(w.special) == 0 {
		return dst
	}
	columns := [5][]float64{r.Firsts, r.Lasts, r.Mins, r.Maxs, r.Sums}
	dst = binary.AppendUvarint(dst, uint64(len(w.special)))
	next := uint64(0)
	for _, at := range w.special {
		v := columns[at%5][at/5]
		if v != v {
			v = math.NaN() // which NaN infinities sum up to depends on the processor
		}
		dst = binary.AppendUvarint(dst, at-next)
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
		next = at + 1
	}
	return dst
}
