package chunk

import (
	"fmt"
	"slices"
)

// The bytes of a column of times.
//
//	0   1  head: 0 line, 1 integers
//	1   …  line: varint first, varint step, column of integers, which are how
//	       far the time of row i is from first + step·i: nothing but zeros for
//	       a steady clock, and as little as it trembles for others
//	1   …  integers: column of integers, which are the times
const (
	timesLine = iota
	timesIntegers
)

var timesNames = [...]string{"line", "integers"}

// decodeTimes fills times from all of src.
func (c *integers) decodeTimes(times []int64, src []byte) error {
	in := &input{rest: src}
	switch form := in.byte(); form {
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
