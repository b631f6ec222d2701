package chunk

import (
	"encoding/binary"
	"math"
	"slices"
)

// The costs and thresholds here and in appendsymbols.go were found by trial on
// the data of the table in doc.go; the choice between coders hardly depends on
// them. To change one changes bytes, not the format.
const (
	// surelyRuns and maybeRuns are how many rows a run must have, on average, for
	// runs to be taken without a look at the other coders, or to be compared.
	surelyRuns = 64
	maybeRuns  = 8
	// leastSymbolBits is what packed residuals must cost, in bits, for symbols to
	// be tried: their letters and table alone take some thirty bytes.
	leastSymbolBits = 256
	// leastPatched is from how many residuals on some may become patches.
	leastPatched = 32
	// mostPatched is how many residuals there must be to one patch.
	mostPatched = 8
	// patchRowBits is what a patch costs for its row: mostly one byte, at times
	// two.
	patchRowBits = 12
)

// appendIntegers appends a column of integers, at least one, with coders as
// depth allows. It spoils values.
func (e *Encoder) appendIntegers(dst []byte, values []int64, depth int) []byte {
	head, start := byte(0), len(dst)
	dst = append(dst, 0)
	if factor := e.commonFactor(values); factor > 1 {
		head = headFactor
		origin := values[0]
		dst = appendVarint(binary.AppendUvarint(dst, uint64(factor)), origin)
		for i, v := range values {
			values[i] = (v - origin) / factor
		}
	}
	runs := len(values)
	if depth == 0 && e.may(partRuns) {
		runs = countRuns(values)
	}
	if runs <= len(values)/surelyRuns {
		dst[start] = head | coderRuns<<predictorBits
		return e.appendRuns(dst, values, runs)
	}
	body := len(dst)
	predictor := e.choosePredictor(values)
	dst = e.appendPredictor(dst, values, predictor)
	dst, coder := e.appendResiduals(dst, e.residuals, depth)
	dst[start] = head | predictor | coder
	if runs <= len(values)/maybeRuns {
		e.runs = e.appendRuns(e.runs[:0], values, runs)
		if len(e.runs) < len(dst)-body {
			dst[start] = head | coderRuns<<predictorBits
			dst = append(dst[:body], e.runs...)
		}
	}
	return dst
}

// commonFactor returns what all differences of values are multiples of.
func (e *Encoder) commonFactor(values []int64) int64 {
	if !e.may(partFactor) || len(values) < 4 {
		return 1
	}
	factor := uint64(0)
	for stride := max(len(values)/64, 1); ; stride = 1 { // a sample, then all
		for i := 0; i < len(values) && factor != 1; i += stride {
			a := uint64(max(values[i]-values[0], values[0]-values[i]))
			if factor != 0 && a%factor == 0 {
				continue
			}
			for b := factor; b != 0; {
				a, b = b, a%b
			}
			factor = a
		}
		if stride == 1 || factor == 1 {
			break
		}
	}
	if factor <= 1 || factor > math.MaxInt64 {
		return 1
	}
	for _, v := range values { // differences that are not within 64 bits
		if d := v - values[0]; (v < values[0]) != (d < 0) {
			return 1
		}
	}
	return int64(factor)
}

func countRuns(values []int64) int {
	runs := 1
	for i := 1; i < len(values); i++ {
		if values[i] != values[i-1] {
			runs++
		}
	}
	return runs
}

// appendRuns appends runs of equal residuals.
func (e *Encoder) appendRuns(dst []byte, values []int64, runs int) []byte {
	dst = binary.AppendUvarint(dst, uint64(runs))
	lengths, each := e.lengths[:0], e.each[:0]
	first := 0
	for i := 1; i <= len(values); i++ {
		if i == len(values) || values[i] != values[first] {
			lengths = append(lengths, int64(i-first-1))
			each = append(each, values[first])
			first = i
		}
	}
	if runs > 1 {
		dst = e.appendIntegers(dst, lengths[:runs-1], 1)
	}
	dst = e.appendIntegers(dst, each, 1)
	e.lengths, e.each = lengths, each
	return dst
}

// residualsOf fills dst with the residuals of values. What came before the
// first value is taken to be such that the first residuals are as the next.
func residualsOf(dst, values []int64, predictor byte) {
	switch n := len(values); predictor {
	case predictNone:
		copy(dst, values)
	case predictDelta:
		for i := 1; i < n; i++ {
			dst[i] = values[i] - values[i-1]
		}
		dst[0] = 0
		if n > 1 {
			dst[0] = dst[1]
		}
	case predictSlope:
		last, slope := values[1], values[1]-values[0]
		for i := 2; i < n; i++ {
			next := values[i] - last
			dst[i] = next - slope
			last, slope = values[i], next
		}
		dst[0], dst[1] = dst[2], dst[2]
	}
}

// appendPredictor leaves the residuals in e.residuals, and appends what leads
// from them back to values.
func (e *Encoder) appendPredictor(dst []byte, values []int64, predictor byte) []byte {
	e.residuals = resized(e.residuals, len(values))
	r := e.residuals
	residualsOf(r, values, predictor)
	switch predictor {
	case predictDelta:
		dst = appendVarint(dst, values[0]-r[0])
	case predictSlope:
		slope := values[1] - values[0] - r[1] // of the first row
		dst = appendVarint(dst, values[0]-slope)
		dst = appendVarint(dst, slope-r[0])
	}
	return dst
}

// sampling is the number and the length of the stretches of values that a
// predictor is chosen by.
type sampling struct{ stretches, rows int }

var (
	fastSampling  = sampling{8, 32}
	smallSampling = sampling{2, 512}
)

// sampleResiduals returns the residuals of a sample of the values, in scratch
// memory.
func (e *Encoder) sampleResiduals(values []int64, predictor byte) []int64 {
	s := fastSampling
	if e.small {
		s = smallSampling
	}
	n := len(values)
	if n <= 2*s.stretches*s.rows {
		s = sampling{1, n}
	}
	e.trial = resized(e.trial, s.stretches*s.rows)
	for i := range s.stretches {
		first := (n - s.rows) * (2*i + 1) / (2 * s.stretches) // the middle of its part
		residualsOf(e.trial[i*s.rows:][:s.rows], values[first:][:s.rows], predictor)
	}
	return e.trial
}

// choosePredictor returns the predictor whose residuals cost least in a sample.
func (e *Encoder) choosePredictor(values []int64) byte {
	best, bestCost := byte(predictNone), math.MaxInt
	for _, p := range [...]struct {
		predictor byte
		part      parts
		least     int // rows
	}{{predictDelta, partDelta, 2}, {predictNone, 0, 1}, {predictSlope, partSlope, 3}} {
		if !e.may(p.part) || len(values) < p.least {
			continue
		}
		residuals := e.sampleResiduals(values, p.predictor)
		cost := 0
		if e.small {
			cost = e.priceSmall(residuals, len(values)/len(residuals))
		} else {
			cost = priceFast(residuals)
		}
		if cost < bestCost-len(residuals)/100 {
			best, bestCost = p.predictor, cost
		}
	}
	return best
}

// priceFast returns about how many bits residuals need when packed.
func priceFast(residuals []int64) int {
	mean := int64(0)
	for _, r := range residuals {
		mean += r / int64(len(residuals))
	}
	bits := 0
	for _, r := range residuals {
		bits += logOf(uint64(max(r-mean, mean-r)) + 1)
	}
	return bits >> logBits
}

// priceSmall returns about how many bits residuals need. What a column has once
// is counted by its part of so many columns.
func (e *Encoder) priceSmall(residuals []int64, share int) int {
	cost := e.planPacked(residuals).cost
	if plan, ok := e.planSymbols(residuals, share); ok {
		cost = min(cost, plan.cost)
	}
	return cost
}

// appendResiduals appends the residuals by the coder that makes them shortest,
// and returns what the head says of it.
func (e *Encoder) appendResiduals(dst []byte, residuals []int64, depth int) ([]byte, byte) {
	start := len(dst)
	plan := e.planPacked(residuals)
	coder := byte(coderPacked)
	done := false
	if e.small && deepest[depth] >= coderSymbols && plan.cost > leastSymbolBits {
		if symbols, ok := e.planSymbols(residuals, 1); ok && symbols.cost < plan.cost-plan.cost/100 {
			var patched bool
			dst, patched, done = e.appendSymbols(dst, residuals, symbols)
			done = done && (len(dst)-start)*8 < plan.cost
			coder = coderSymbols << predictorBits
			if patched {
				coder |= headPatches
			}
		}
	}
	if !done {
		dst = dst[:start]
		coder = coderPacked << predictorBits
		dst = append(dst, byte(plan.width))
		dst = appendVarint(dst, plan.base)
		if e.findPatches(residuals, plan); len(e.patches) > 0 {
			coder |= headPatches
			dst = e.appendPatches(dst, residuals, plan.base)
		}
		dst = appendPacked(dst, residuals, plan.base, plan.width)
	}
	if e.small && deepest[depth] >= coderZstd && e.recurs(residuals, len(dst)-start) {
		if frame := e.zstdOf(residuals); len(frame) > 0 && len(frame) < (len(dst)-start)*31/32 {
			dst = binary.AppendUvarint(dst[:start], uint64(len(frame)))
			return append(dst, frame...), coderZstd << predictorBits
		}
	}
	return dst, coder
}

// findPatches lists in e.patches the rows whose residuals the plan's width does
// not hold.
func (e *Encoder) findPatches(residuals []int64, plan packedPlan) {
	e.patches = e.patches[:0]
	if plan.patches == 0 {
		return
	}
	for i, r := range residuals {
		if uint64(r-plan.base)>>plan.width != 0 {
			e.patches = append(e.patches, i)
		}
	}
}

// appendPatches appends the residuals of the rows in e.patches.
func (e *Encoder) appendPatches(dst []byte, residuals []int64, base int64) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(e.patches)))
	last := 0
	for _, row := range e.patches {
		dst = binary.AppendUvarint(dst, uint64(row-last))
		dst = appendVarint(dst, residuals[row]-base)
		last = row
	}
	return dst
}

// packedPlan says how to pack residuals.
type packedPlan struct {
	base    int64
	width   uint
	patches int
	cost    int // in bits
}

// planPacked chooses the base and width of packed residuals, and which of them
// are better off as patches.
func (e *Encoder) planPacked(residuals []int64) packedPlan {
	smallest, largest := residuals[0], residuals[0]
	for _, r := range residuals {
		smallest, largest = min(smallest, r), max(largest, r)
	}
	n := len(residuals)
	full := bitWidth(uint64(largest - smallest))
	best := packedPlan{base: smallest, width: full, cost: 8 * packedSize(n, full)}
	if n < leastPatched || full == 0 || !e.may(partPatches) {
		return best
	}
	best = bestWidth(residuals, best, full)
	// A few small outliers should not make all others wide.
	var sample [128]int64
	for i := range sample {
		sample[i] = residuals[i*n/len(sample)]
	}
	slices.Sort(sample[:])
	low, high := sample[2], sample[len(sample)-3]
	if base := low - (high-low)/8; base > smallest && base <= low && bitWidth(uint64(high-base)) < best.width {
		if plan := bestWidth(residuals, packedPlan{base: base, width: full, cost: best.cost}, full); plan.cost < best.cost {
			best = plan
		}
	}
	return best
}

// bestWidth returns a plan with the base of the one given that costs less than
// that one, or the one given.
func bestWidth(residuals []int64, plan packedPlan, full uint) packedPlan {
	var widths [65]int
	for _, r := range residuals {
		widths[bitWidth(uint64(r-plan.base))]++
	}
	patches := 0
	best := plan
	for width := 64; width >= 0; width-- {
		if patches > len(residuals)/mostPatched {
			break
		}
		if width <= int(full) {
			patchBits := patchRowBits + 8*(int(full)/7+1) // and a varint of the residual
			cost := 8*packedSize(len(residuals), uint(width)) + patches*patchBits
			if cost < best.cost {
				best = packedPlan{plan.base, uint(width), patches, cost}
			}
		}
		patches += widths[width]
	}
	return best
}
