package chunk

import (
	"fmt"
	"slices"
)

// Stretches appends some of a column's so many values to dst: rows cuts[0] up
// to cuts[1], cuts[2] up to cuts[3] and so on; the cuts ascend. What lies between
// is passed over, without making floats of it. Bytes that are not the column of
// so many rows are refused with an error that wraps ErrCorrupt, as far as they
// are read, and dst comes back as it was.
func (d *Decoder) Stretches(dst []float64, cuts []int, src []byte, rows int) ([]float64, error) {
	if n := len(cuts); n%2 != 0 || n > 0 && (cuts[0] < 0 || cuts[n-1] > rows) || !slices.IsSorted(cuts) {
		return dst, fmt.Errorf("cuts %v do not make stretches of %d rows", cuts, rows)
	}
	v := &d.values
	if err := v.open(src, rows); err != nil {
		return dst, err
	}
	wanted := 0
	for i := 0; i < len(cuts); i += 2 {
		wanted += cuts[i+1] - cuts[i]
	}
	all := slices.Grow(dst, wanted)
	start := 0 // row of d.block[0], which has the rows up to v.at
	for ; len(cuts) > 0; cuts = cuts[2:] {
		for from, to := cuts[0], cuts[1]; from < to; {
			if from >= v.at {
				v.passOver(from &^ (lanes - 1))
				start = v.at
				end := min((to+lanes-1)&^(lanes-1), rows)
				v.fill(d.block[:min(end-start, blockRows)])
			}
			n := min(to, v.at)
			all = append(all, d.block[from-start:n-start]...)
			from = n
		}
	}
	if err := v.finish(); err != nil {
		return dst, err
	}
	return all, nil
}

// passOver goes on to a row, a multiple of lanes.
func (v *values) passOver(row int) {
	n := row - v.at
	if n <= 0 {
		return
	}
	v.integers.passOver(n, &v.block)
	if v.mode == modeNear {
		v.second.passOver(n, &v.block)
	}
	v.exceptions.passOver(row)
	v.at = row
}

// passOver goes over n rows, a multiple of lanes.
func (c *integers) passOver(n int, scratch *[blockRows]int64) {
	if c.predictor() == predictNone {
		c.passOverResiduals(n)
		return
	}
	for n > 0 {
		block := scratch[:min(n, blockRows)]
		n -= len(block)
		if c.predictor() == predictDelta {
			c.last += c.sumResiduals(block)
			continue
		}
		c.fillResiduals(block)
		last, slope := c.last, c.slope
		for _, residual := range block {
			slope += residual
			last += slope
		}
		c.last, c.slope = last, slope
	}
}

// sumResiduals goes over the next len(scratch) residuals, a multiple of lanes,
// and returns their sum.
func (c *integers) sumResiduals(scratch []int64) int64 {
	sum := int64(0)
	if s := &c.symbols; c.coder() == coderSymbols && s.lowBits == 0 && !c.patches.within(c.at, len(scratch)) {
		codes := s.codes[:len(scratch)>>s.logGroup]
		sums := s.sumsOfCodes()
		for _, code := range codes {
			sum += sums[code]
		}
		c.passOverResiduals(len(scratch))
		return sum
	}
	c.fillResiduals(scratch)
	for ; len(scratch) >= lanes; scratch = scratch[lanes:] { // written out since the compiler does not unroll
		g := (*[lanes]int64)(scratch)
		sum += g[0] + g[1] + g[2] + g[3] + g[4] + g[5] + g[6] + g[7]
	}
	return sum
}

// sumsOfCodes returns the sum of the letters that each code stands for.
func (s *symbols) sumsOfCodes() *[maxLetters]int64 {
	if s.logGroup == 0 {
		return &s.letters
	}
	if !s.summed {
		s.summed = true
		step := uint(8) >> s.logGroup // bits a residual
		for code := range s.sums {
			sum := int64(0)
			for bit := uint(0); bit < 8; bit += step {
				sum += s.letters[code>>bit&(1<<step-1)]
			}
			s.sums[code] = sum
		}
	}
	return &s.sums
}

// passOverResiduals goes over n residuals, a multiple of lanes, whose sum
// matters to nobody.
func (c *integers) passOverResiduals(n int) {
	switch c.coder() {
	case coderPacked:
		c.packed.passOver(n)
	case coderSymbols:
		c.symbols.codes = c.symbols.codes[n>>c.symbols.logGroup:]
		c.symbols.low.passOver(n)
	case coderRuns:
		for int(c.ends[c.run]) <= c.at+n && c.run < len(c.ends)-1 {
			c.run++
		}
	}
	c.at += n
	c.patches.passOver(c.at)
}

func (p *packed) passOver(n int) { p.bit += n / lanes * int(p.width) }

// passOver goes on to the first patch that is not before a row.
func (p *patches) passOver(row int) {
	for p.left > 0 && p.next < row {
		p.rest.varint()
		if p.left--; p.left > 0 {
			p.next += int(p.rest.uvarint())
		}
	}
}

// passOver goes on to the first exception that is not before a row.
func (e *exceptions) passOver(row int) {
	var none [1]float64
	for e.left > 0 && e.next < row {
		e.apply(none[:], e.next)
	}
}
