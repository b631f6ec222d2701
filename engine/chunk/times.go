package chunk

import (
	"fmt"
	"slices"
)

// The bytes of a column of times.
//
//	0   1  head: 0 regular, 1 line, 2 integers
//	1   …  regular: varint first, uvarint unit, uvarint n, uvarint d, uvarint
//	       phase, less than d. The time of row i is first + unit · floor((n·i +
//	       phase) / d): a rate that is a fraction, rounded to the unit
//	1   …  line: varint first, varint step, column of integers, which are how
//	       far the time of row i is from first + step·i
//	1   …  integers: column of integers, which are the times
const (
	timesRegular = iota
	timesLine
	timesIntegers
)

var timesNames = [...]string{"regular", "line", "integers"}

// decodeTimes fills times from all of src.
func (c *integers) decodeTimes(times []int64, src []byte) error {
	in := &input{rest: src}
	switch form := in.byte(); form {
	case timesRegular:
		regularTimes(times, in)
	case timesLine:
		first, step := in.varint(), in.varint()
		if c.open(in, len(times), 0); in.err != nil {
			break
		}
		for block := range slices.Chunk(times, blockRows) {
			c.fill(block)
			for i := range block {
				block[i] += first
				first += step
			}
		}
	case timesIntegers:
		if c.open(in, len(times), 0); in.err != nil {
			break
		}
		for block := range slices.Chunk(times, blockRows) {
			c.fill(block)
		}
	default:
		in.fail("unknown form")
	}
	if in.err == nil && len(in.rest) > 0 {
		in.fail("%d bytes too many", len(in.rest))
	}
	if in.err != nil {
		return in.err
	}
	for i := 1; i < len(times); i++ {
		if times[i] <= times[i-1] {
			return fmt.Errorf("row %d is not later than the one before", i)
		}
	}
	return nil
}

func regularTimes(times []int64, in *input) {
	first := in.varint()
	unit, n, d, phase := in.uvarint(), in.uvarint(), in.uvarint(), in.uvarint()
	if d == 0 || d > 1<<62 || phase >= d {
		in.fail("a rate of %d in %d from %d", n, d, phase)
		return
	}
	whole, part := n/d, n%d
	t, step := uint64(first), whole*unit
	for i := range times {
		times[i] = int64(t)
		t += step
		if phase += part; phase >= d {
			phase -= d
			t += unit
		}
	}
}
