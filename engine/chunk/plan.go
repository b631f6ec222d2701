package chunk

import (
	"math"
	"slices"
)

// valuePlan says how values become integers.
type valuePlan struct {
	mode   int
	digits byte    // of decimals; throughFloat32 may be set where the mode is near
	base   float64 // of products and quotients
}

const (
	samplePairs = 32 // pairs of neighbours that a plan is made from
	// exceptionBits is about what a row costs that has to be an exception.
	exceptionBits = 80
	// costlyBits is what a difference may cost before rarer modes are tried.
	costlyBits = 20
	maxNear    = 64 // floats that a near decimal may be off
)

// sampleOf returns pairs of neighbours from all over the values.
func sampleOf(values []float64) []float64 {
	switch n := len(values); {
	case n == 1:
		return []float64{values[0], values[0]}
	case n <= 2*samplePairs:
		return values[:n&^1]
	}
	sample := make([]float64, 0, 4*samplePairs)
	for i := range samplePairs {
		at := i * (len(values) - 2) / (samplePairs - 1)
		sample = append(sample, values[at], values[at+1])
	}
	return sample
}

// planValues chooses the mode that makes the differences of neighbours in a
// sample the smallest integers. It sees nothing but the sample, which is made of
// pairs; whether the plan suits all rows is checked when they are converted.
func planValues(sample []float64, without parts) valuePlan {
	best, bestCost := valuePlan{mode: modeFloat64}, math.MaxInt
	try := func(part parts, plan valuePlan) {
		if without&part != 0 {
			return
		}
		if cost := plan.cost(sample, bestCost); cost < bestCost {
			best, bestCost = plan, cost
		}
	}
	if digits, ok := digitsOf(sample); ok {
		try(partDecimal, valuePlan{mode: modeDecimal, digits: digits})
	}
	if bestCost < costlyBits<<logBits {
		return best
	}
	try(partFloat32, valuePlan{mode: modeFloat32})
	if bestCost < costlyBits<<logBits {
		return best
	}
	if plan, ok := multipleOf(sample); ok {
		try(partMultiple, plan)
	}
	for digits := range byte(13) {
		try(partNear, valuePlan{mode: modeNear, digits: digits})
		if digits <= 7 {
			try(partNear, valuePlan{mode: modeNear, digits: digits | throughFloat32})
		}
	}
	try(0, valuePlan{mode: modeFloat64})
	return best
}

// cost returns about how many bits a row needs, shifted by logBits, or any number
// that is not less than limit.
func (p valuePlan) cost(sample []float64, limit int) int {
	bits, pairs := 0, max(len(sample)/2, 1)
	for i := 0; i+1 < len(sample) && bits/pairs < limit; i += 2 {
		if !isFinite(sample[i]) || !isFinite(sample[i+1]) {
			continue // an exception whatever the plan
		}
		x, upX, okX := p.integer(sample[i])
		y, upY, okY := p.integer(sample[i+1])
		if okX && okY {
			bits += logOf(uint64(max(y-x, x-y)) + 1)
			bits += (logOf(uint64(max(upX, -upX)+1)) + logOf(uint64(max(upY, -upY)+1))) / 2
			bits += logOf(uint64(max(x, -x))+1) / 16 // of equal plans the one with smaller integers
		} else {
			bits += exceptionBits << logBits
		}
	}
	return bits / pairs
}

// integer returns what stands for v, for near ones also how many floats further
// up v is, and whether v comes back from that bit for bit.
func (p valuePlan) integer(v float64) (x, up int64, ok bool) {
	switch p.mode {
	case modeDecimal:
		x, ok = roundTo(float64(v * powersOfTen[p.digits]))
		ok = ok && same(decimalScales[p.digits].at(x), v)
	case modeProduct:
		x, ok = roundTo(v / p.base)
		ok = ok && same(scale{high: p.base}.at(x), v)
	case modeQuotient:
		x, ok = roundTo(float64(v * p.base))
		ok = ok && same(dividing(p.base).at(x), v)
	case modeNear:
		digits := p.digits &^ throughFloat32
		if x, ok = roundTo(float64(v * powersOfTen[digits])); !ok {
			return 0, 0, false
		}
		near := decimalScales[digits].at(x)
		if p.digits&throughFloat32 != 0 {
			near = float64(float32(near))
		}
		up = inOrder(v) - inOrder(near)
		ok = -maxNear <= up && up <= maxNear
	case modeFloat32:
		f := float32(v)
		x, ok = int64(ordered32(int32(math.Float32bits(f)))), same(float64(f), v)
	case modeFloat64:
		x, ok = inOrder(v), true
	}
	return x, up, ok
}

func isFinite(v float64) bool { return v-v == 0 }

func same(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }

// roundTo returns the nearest integer if it is below maxInteger.
func roundTo(f float64) (int64, bool) {
	if !(f > -maxInteger && f < maxInteger) {
		return 0, false
	}
	return int64(math.RoundToEven(f)), true
}

// digitsOf returns the least digits with which the sample's values, but for
// some, are decimals.
func digitsOf(sample []float64) (byte, bool) {
	digits, bad := byte(0), 0
	for _, v := range sample {
		ok := !isFinite(v)
		for d := digits; d <= 17 && !ok; d++ {
			if _, _, ok = (valuePlan{mode: modeDecimal, digits: d}).integer(v); ok {
				digits = d
			}
		}
		if !ok {
			if bad++; bad > len(sample)/8 {
				return 0, false
			}
		}
	}
	return digits, true
}

// multipleOf looks for a base that the sample's values are multiples of, or a
// divisor: counts of a converter times what one count is, or by counts a unit.
func multipleOf(sample []float64) (valuePlan, bool) {
	largest := 0.0
	for _, v := range sample {
		if isFinite(v) {
			largest = max(largest, math.Abs(v))
		}
	}
	base := commonStep(sample, largest*1e-9)
	if base < largest*1e-7 || base == 0 {
		return valuePlan{}, false
	}
	base = largest / math.RoundToEven(largest/base)
	// The divisor is likely to have few decimals; the base is as near as it gets.
	for _, power := range powersOfTen[:4] {
		divisor := math.RoundToEven(power/base) / power
		if divisor > 0 && math.Abs(float64(divisor*base)-1) < 1e-6 {
			if plan := (valuePlan{mode: modeQuotient, base: divisor}); plan.suits(sample) {
				return plan, true
			}
		}
	}
	for _, near := range []float64{base, math.Nextafter(base, 0), math.Nextafter(base, math.Inf(1))} {
		if plan := (valuePlan{mode: modeProduct, base: near}); plan.suits(sample) {
			return plan, true
		}
	}
	return valuePlan{}, false
}

// suits reports whether most of the sample is told by the plan.
func (p valuePlan) suits(sample []float64) bool {
	bad := 0
	for _, v := range sample {
		if _, _, ok := p.integer(v); !ok && isFinite(v) {
			bad++
		}
	}
	return bad <= len(sample)/16
}

// commonStep is the greatest common divisor of differences of values, as far as
// floats have one: what is below tolerance counts as nothing.
func commonStep(sample []float64, tolerance float64) float64 {
	step := 0.0
	for i, v := range sample[1:] {
		difference := math.Abs(v - sample[i])
		if !isFinite(difference) || difference <= tolerance {
			continue
		}
		a, b := max(step, difference), min(step, difference)
		for b > tolerance {
			a, b = b, math.Mod(a, b)
			if a-b < tolerance {
				b = 0
			}
		}
		step = a
	}
	return step
}

// convert fills e.integers, e.second and e.exceptions, and returns the plan that
// it did so by. A plan that many rows do not fit is made again with some of those
// rows in the sample.
func (e *Encoder) convert(values []float64) valuePlan {
	sample := sampleOf(values)
	plan := planValues(sample, e.without)
	e.convertBy(plan, values)
	for range 3 {
		misfits := e.misfits(values)
		if len(misfits) <= len(values)/64 {
			return plan
		}
		sample = slices.Clone(sample)
		for i := range samplePairs {
			row := misfits[i*len(misfits)/samplePairs]
			sample = append(sample, values[max(row-1, 0)], values[row])
		}
		next := planValues(sample, e.without)
		if next == plan {
			break
		}
		plan = next
		e.convertBy(plan, values)
	}
	if len(e.misfits(values)) > len(values)/3 {
		plan = valuePlan{mode: modeFloat64}
		e.convertBy(plan, values)
	}
	return plan
}

// misfits returns the exceptions that another plan might not have.
func (e *Encoder) misfits(values []float64) []int {
	rows := e.patches[:0]
	for _, row := range e.exceptions {
		if isFinite(values[row]) {
			rows = append(rows, row)
		}
	}
	e.patches = rows
	return rows
}

// convertBy converts all values; rows that do not fit are exceptions, and get
// the integer of the row before.
func (e *Encoder) convertBy(plan valuePlan, values []float64) {
	e.integers = resized(e.integers, len(values))
	e.exceptions = e.exceptions[:0]
	last, up := int64(0), int64(0)
	switch plan.mode {
	case modeDecimal:
		e.convertDecimals(plan, values)
	case modeNear:
		e.second = resized(e.second, len(values))
		for i, v := range values {
			x, u, ok := plan.integer(v)
			if ok {
				last, up = x, u
			} else {
				e.exceptions = append(e.exceptions, i)
			}
			e.integers[i], e.second[i] = last, up
		}
	default:
		for i, v := range values {
			x, _, ok := plan.integer(v)
			if ok {
				last = x
			} else {
				e.exceptions = append(e.exceptions, i)
			}
			e.integers[i] = last
		}
	}
}

// convertDecimals is convertBy for the most common mode.
func (e *Encoder) convertDecimals(plan valuePlan, values []float64) {
	power, scale := powersOfTen[plan.digits], decimalScales[plan.digits]
	integers := e.integers[:len(values)]
	last := int64(0)
	for i, v := range values {
		f := float64(v * power)
		if x := int64(math.RoundToEven(f)); same(scale.at(x), v) && f > -maxInteger && f < maxInteger {
			last = x
		} else {
			e.exceptions = append(e.exceptions, i)
		}
		integers[i] = last
	}
}
