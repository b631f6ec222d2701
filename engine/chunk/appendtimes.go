package chunk

import (
	"math"
)

// appendTimes appends times, in the form that says most with least.
func (e *Encoder) appendTimes(dst []byte, times []int64) []byte {
	start, steady := len(dst), false
	dst, steady = e.appendLine(dst, times)
	if steady {
		return dst
	}
	e.integers = append(e.integers[:0], times...)
	e.other = e.appendIntegers(append(e.other[:0], timesIntegers), e.integers, 0)
	if len(dst) == start || len(e.other) < len(dst)-start {
		dst = append(dst[:start], e.other...)
	}
	return dst
}

// appendLine appends times as a line, if they may be one, and reports whether
// they are nothing else.
func (e *Encoder) appendLine(dst []byte, times []int64) (_ []byte, steady bool) {
	unit := e.unitOf(times)
	if unit == 0 || !e.may(partLine) {
		return dst, false
	}
	step, n := unit, int64(len(times))
	if n > 1 {
		steps := (times[n-1] - times[0]) / unit
		step = (steps + (n-1)/2) / (n - 1) * unit
	}
	e.integers = resized(e.integers, len(times))
	any := int64(0)
	for i, t := range times {
		off := t - times[0] - step*int64(i)
		e.integers[i] = off
		any |= off
	}
	dst = appendVarint(appendVarint(append(dst, timesLine), times[0]), step)
	return e.appendIntegers(dst, e.integers, 0), any == 0
}

// mostSpan bounds the times that are tried as a line, so that nothing that is
// computed of them overflows.
const mostSpan = math.MaxInt64 / 4

// unitOf returns what all differences of times are multiples of, 0 where these
// are too large.
func (e *Encoder) unitOf(times []int64) int64 {
	if span := times[len(times)-1] - times[0]; span < 0 || span > mostSpan {
		return 0
	}
	unit := int64(1)
	if len(times) > 1 {
		unit = times[1] - times[0]
	}
	for i, t := range times[1:] {
		if step := t - times[i]; step != unit && step%unit != 0 {
			unit = divisor(unit, step)
		}
	}
	return unit
}

// divisor returns the greatest common divisor of two numbers above 0.
func divisor(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
