package chunk

import (
	"encoding/binary"
	"math"
)

// appendTimes appends times, in the form that says most with least.
func (e *Encoder) appendTimes(dst []byte, times []int64) []byte {
	if rate, ok := rateOf(times); ok && e.may(partRegular) {
		dst = appendVarint(append(dst, timesRegular), times[0])
		for _, u := range [...]uint64{rate.unit, rate.n, rate.d, rate.phase} {
			dst = binary.AppendUvarint(dst, u)
		}
		return dst
	}
	start := len(dst)
	e.integers = append(e.integers[:0], times...)
	dst = e.appendIntegers(append(dst, timesIntegers), e.integers, 0)
	step, ok := meanStep(times)
	if !ok || !e.may(partLine) {
		return dst
	}
	for i, t := range times {
		e.integers[i] = t - times[0] - step*int64(i)
	}
	line := appendVarint(appendVarint(append(e.line[:0], timesLine), times[0]), step)
	line = e.appendIntegers(line, e.integers, 0)
	if e.line = line; len(line) < len(dst)-start {
		dst = append(dst[:start], line...)
	}
	return dst
}

// timeRate is the form of regular times; see times.go.
type timeRate struct{ unit, n, d, phase uint64 }

// rateOf finds the rate that explains all times, if there is one.
func rateOf(times []int64) (timeRate, bool) {
	if len(times) == 1 {
		return timeRate{unit: 1, n: 1, d: 1}, true
	}
	step := uint64(times[1]) - uint64(times[0])
	regular := true
	for i := 2; i < len(times) && regular; i++ {
		regular = uint64(times[i])-uint64(times[i-1]) == step
	}
	return timeRate{unit: 1, n: step, d: 1}, regular
}

// meanStep returns the step of the line through the first and the last time,
// as a multiple of the unit that all times have.
func meanStep(times []int64) (int64, bool) {
	n := int64(len(times))
	span := times[n-1] - times[0]
	if n < 16 || span < 0 || span > math.MaxInt64/4 {
		return 0, false
	}
	return span / (n - 1), true
}
