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
			first = addLine(block, first, step)
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
	if row := ascending(times); row < len(times) {
		return fmt.Errorf("row %d is not later than the one before", row)
	}
	return nil
}

// addLine adds first, first + step, … to the times, and returns what comes next.
// It takes four at a time, as ascending does: loops this short cost up to twice
// as much wherever the linker happens to put them badly.
func addLine(times []int64, first, step int64) int64 {
	for len(times) >= 4 {
		t := (*[4]int64)(times)
		t[0] += first
		t[1] += first + step
		t[2] += first + 2*step
		t[3] += first + 3*step
		first += 4 * step
		times = times[4:]
	}
	for i := range times {
		times[i] += first
		first += step
	}
	return first
}

// ascending returns how many times, from the first on, are each later than the
// one before.
func ascending(times []int64) int {
	rest := times
	for len(rest) >= 5 {
		t := (*[5]int64)(rest)
		if t[1] <= t[0] || t[2] <= t[1] || t[3] <= t[2] || t[4] <= t[3] {
			break
		}
		rest = rest[4:]
	}
	for len(rest) >= 2 && rest[1] > rest[0] {
		rest = rest[1:]
	}
	return len(times) - len(rest) + 1
}
