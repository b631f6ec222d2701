package chunk

import (
	"encoding/binary"
	"math"
)

// appendTimes appends times, in the form that says most with least.
func (e *Encoder) appendTimes(dst []byte, times []int64) []byte {
	unit := e.unitOf(times)
	if rate, ok := rateOf(times, unit); ok && e.may(partRegular) {
		dst = appendVarint(append(dst, timesRegular), times[0])
		for _, u := range [...]int64{unit, rate.n, rate.d, rate.phase} {
			dst = binary.AppendUvarint(dst, uint64(u))
		}
		return dst
	}
	start := len(dst)
	e.integers = append(e.integers[:0], times...)
	dst = e.appendIntegers(append(dst, timesIntegers), e.integers, 0)
	if n := int64(len(times)); n >= leastForLine && unit > 0 && e.may(partLine) {
		steps := (times[n-1] - times[0]) / unit
		step := (steps + (n-1)/2) / (n - 1) * unit
		for i, t := range times {
			e.integers[i] = t - times[0] - step*int64(i)
		}
		line := appendVarint(appendVarint(append(e.line[:0], timesLine), times[0]), step)
		line = e.appendIntegers(line, e.integers, 0)
		if e.line = line; len(line) < len(dst)-start {
			dst = append(dst[:start], line...)
		}
	}
	return dst
}

const (
	leastForLine = 16 // rows
	// mostSpan bounds the times for which anything but integers is tried, so that
	// nothing that is computed of them overflows.
	mostSpan        = math.MaxInt64 / 4
	mostNumerator   = 1 << 31
	mostDenominator = 1 << 17
)

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
	for _, t := range times {
		if (t-times[0])%unit != 0 {
			unit = divisor(unit, t-times[0])
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

// fraction is the form of regular times, in units; see times.go.
type fraction struct{ n, d, phase int64 }

// rateOf finds the rate that explains all times, if there is one.
func rateOf(times []int64, unit int64) (fraction, bool) {
	if unit == 0 {
		return fraction{}, false
	}
	last := int64(len(times) - 1)
	units := (times[last] - times[0]) / unit
	if units == last {
		return fraction{1, 1, 0}, true
	}
	rate := simplest(units-1, units+1, last)
	if units < last || last < leastForLine || rate.n > mostNumerator || rate.d > mostDenominator {
		return fraction{}, false
	}
	// The phase is at least what a row is behind, and at most what it is ahead.
	least, most := int64(0), rate.d-1
	for i, t := range times {
		ahead := (t-times[0])/unit*rate.d - rate.n*int64(i)
		least, most = max(least, ahead), min(most, ahead+rate.d-1)
		if least > most {
			return fraction{}, false
		}
	}
	rate.phase = least
	return rate, true
}

// simplest returns the fraction with the smallest denominator from low/by to
// high/by, by the continued fraction of both; 0 < low < high.
func simplest(low, high, by int64) fraction {
	// p/q are the last two convergents.
	p0, q0, p1, q1 := int64(0), int64(1), int64(1), int64(0)
	lowBy, highBy := by, by
	for {
		whole := low / lowBy
		if exact := low%lowBy == 0; exact || whole < high/highBy {
			if !exact {
				whole++
			}
			return fraction{n: whole*p1 + p0, d: whole*q1 + q0}
		}
		p0, q0, p1, q1 = p1, q1, whole*p1+p0, whole*q1+q0
		low, lowBy, high, highBy = highBy, high-whole*highBy, lowBy, low-whole*lowBy
	}
}
