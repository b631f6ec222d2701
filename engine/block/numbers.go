package block

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/hokan-db/hokan/engine/model"
)

// numbers are the first, last, least and greatest number and the sum of a
// chunk as its entry in the index tells them.
type numbers struct {
	decimals byte
	count    uint64
	integers [5]int64 // with decimals
	floats   [5]float64
}

// exact is the greatest integer up to which all are float64.
const exact = 1 << 53

// powers of ten that are float64, as many as there are decimals.
var powers = [noDecimals]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14}

// numbersOf finds the short form of a chunk's numbers, and rounds the sum of s
// to what it tells. values are those that s summarises.
func numbersOf(s *model.Aggregate, values []float64) numbers {
	total := s.Total()
	n := numbers{count: s.Count, floats: [5]float64{s.First, s.Last, s.Min, s.Max, total}}
	for n.decimals < noDecimals && !n.fit(values) {
		n.decimals++
	}
	s.Sum, s.Compensation = n.floats[4], 0
	return n
}

// fit tries to make integers of the numbers with n.decimals.
func (n *numbers) fit(values []float64) bool {
	power := powers[n.decimals]
	for i, v := range n.floats[:4] {
		scaled := math.Round(v * power)
		if !(math.Abs(scaled) <= exact) || scaled/power != v || scaled == 0 && math.Signbit(v) {
			return false
		}
		n.integers[i] = int64(scaled)
	}
	total := n.floats[4]
	scaled := math.Round(total * power)
	if !(math.Abs(scaled) < 1<<62) {
		return false
	}
	n.integers[4] = int64(scaled)
	sum := float64(n.integers[4]) / power
	// The sum of |v| is at least |sum|, and mostly that is enough to know.
	const tolerance = 0x1p-52
	if off := math.Abs(sum - total); off > tolerance*math.Abs(sum) && off > tolerance*sizeOf(values) {
		return false
	}
	n.floats[4] = sum
	return true
}

// sizeOf returns the sum of |v|.
func sizeOf(values []float64) float64 {
	size := 0.0
	for _, v := range values {
		if v == v {
			size += math.Abs(v)
		}
	}
	return size
}

// append encodes what input.numbers decodes.
func (n *numbers) append(dst []byte) []byte {
	if n.decimals == noDecimals {
		before := uint64(0)
		for _, v := range n.floats {
			b := math.Float64bits(v)
			dst = binary.AppendUvarint(dst, bits.Reverse64(b^before))
			before = b
		}
		return dst
	}
	first, last, least, most, sum := n.integers[0], n.integers[1], n.integers[2], n.integers[3], n.integers[4]
	dst = binary.AppendVarint(dst, first)
	dst = binary.AppendVarint(dst, last-first)
	dst = binary.AppendUvarint(dst, uint64(min(first, last)-least))
	dst = binary.AppendUvarint(dst, uint64(most-max(first, last)))
	return binary.AppendVarint(dst, sum-first*int64(n.count))
}

// numbers reads the numbers of an entry into s, whose Count is known.
func (in *input) numbers(decimals byte, s *model.Aggregate) {
	fields := [...]*float64{&s.First, &s.Last, &s.Min, &s.Max, &s.Sum}
	if decimals == noDecimals {
		before := uint64(0)
		for _, field := range fields {
			before ^= bits.Reverse64(in.uvarint())
			*field = math.Float64frombits(before)
		}
		return
	}
	first := in.varint()
	last := first + in.varint()
	least := min(first, last) - int64(in.uvarint())
	most := max(first, last) + int64(in.uvarint())
	sum := first*int64(s.Count) + in.varint()
	power := powers[decimals]
	for i, integer := range [...]int64{first, last, least, most, sum} {
		if i < 4 && (integer > exact || integer < -exact) || least > most {
			in.fail()
		}
		*fields[i] = float64(integer) / power
	}
}
