package chunk

import (
	"github.com/klauspost/compress/huff0"
)

// The bytes of a column of integers, which times and values both end up as.
// The number of rows is known to who reads it.
//
//	0   1  head: bits 0-1 predictor, bits 2-4 coder, bit 5 factor, bit 6 patches
//	1   …  with factor: uvarint factor, varint origin; each integer is
//	       origin + factor · what the predictor gives
//	…   …  predictor:
//	         0 none   nothing; an integer is its residual
//	         1 delta  varint start; each residual is added to the integer
//	                  before, the first to start
//	         2 slope  varint start, varint slope: a residual is added to the
//	                  slope, and that to the integer before
//	…   …  coder: the residuals
//	         0 packed   1 byte width, varint base, patches, packed residuals - base
//	         1 symbols  see symbols.go
//	         2 zstd     uvarint length, zstd frame of that many bytes that holds
//	                    the residuals as varints
//	         3 runs     uvarint runs, column of the lengths of all but the last
//	                    run, less one (not there where runs is 1), column of the
//	                    residual of each run
//
// Patches, where the head has them, replace residuals that do not suit the
// rest: uvarint count, at least 1, then for each of them uvarint rows since the
// patch before (the first: its row), varint residual less the coder's base, 0 for
// symbols. Only packed integers and symbols may have them.
//
// Sums and products wrap around at 64 bits, so that no integer is too large. A
// factor is 2 to 2^63-1. Columns in runs are kept by any coder but runs, and
// letters are packed.
const (
	predictNone  = 0
	predictDelta = 1
	predictSlope = 2

	coderPacked  = 0
	coderSymbols = 1
	coderZstd    = 2
	coderRuns    = 3

	predictorBits = 2
	coderBits     = 3
	headFactor    = 1 << 5
	headPatches   = 1 << 6
	headUnused    = 1 << 7
)

var predictorNames = [...]string{"none", "delta", "slope"}
var coderNames = [...]string{"packed", "symbols", "zstd", "runs"}

// blockRows is how many rows are decoded at once: few enough to stay in the
// fastest cache from one step to the next. It is a multiple of lanes.
const blockRows = 512

// integers reads a column of integers from front to back.
type integers struct {
	rows   int
	at     int // rows given so far
	head   byte
	factor int64
	origin int64
	last   int64 // integer before the next, as the predictor sees it
	slope  int64
	base   int64

	packed  packed
	symbols symbols
	patches patches
	ready   []int64 // zstd: all residuals; runs: that of each
	ends    []int64 // row after each run
	run     int

	scratch struct {
		huffman *huff0.Scratch
		bytes   []byte
		nested  *integers
	}
}

func (c *integers) predictor() int { return int(c.head & (1<<predictorBits - 1)) }
func (c *integers) coder() int     { return int(c.head >> predictorBits & (1<<coderBits - 1)) }

// A column may have others in it, but these have simpler coders: the highest
// coder by depth.
var deepest = [...]int{coderRuns, coderZstd, coderPacked}

// open takes a column of so many rows from the front of in, and makes sure
// that reading it cannot go wrong.
func (c *integers) open(in *input, rows, depth int) {
	c.rows, c.at = rows, 0
	c.head = in.byte()
	c.factor, c.origin, c.last, c.slope, c.base = 1, 0, 0, 0, 0
	if c.head&headFactor != 0 {
		if c.factor, c.origin = int64(in.uvarint()), in.varint(); c.factor < 2 {
			in.fail("a factor of %d", c.factor)
		}
	}
	switch c.predictor() {
	case predictNone:
	case predictDelta:
		c.last = in.varint()
	case predictSlope:
		c.last, c.slope = in.varint(), in.varint()
	default:
		in.fail("unknown predictor")
	}
	if c.head&headUnused != 0 || c.coder() > deepest[depth] {
		in.fail("unknown coder")
		return
	}
	c.patches = patches{}
	if c.head&headPatches != 0 && c.coder() > coderSymbols {
		in.fail("patches to %s", coderNames[c.coder()])
		return
	}
	switch c.coder() {
	case coderPacked:
		c.openPacked(in)
	case coderSymbols:
		c.openSymbols(in)
	case coderZstd:
		c.openZstd(in)
	case coderRuns:
		c.openRuns(in)
	}
}

func (c *integers) openPacked(in *input) {
	width := uint(in.byte())
	c.base = in.varint()
	if width > 64 {
		in.fail("integers of %d bits", width)
		return
	}
	c.patches.open(in, c)
	c.packed.open(in, c.rows, width)
}

func (c *integers) openRuns(in *input) {
	runs := in.count("runs", c.rows)
	if runs < 1 {
		in.fail("no runs")
		return
	}
	c.ends = resized(c.ends, runs)
	c.ready = resized(c.ready, runs)
	c.nested(in, c.ends[:runs-1], 1)
	c.nested(in, c.ready, 1)
	end := int64(0)
	for i, more := range c.ends[:runs-1] {
		if more < 0 || more >= int64(c.rows) {
			in.fail("a run of %d rows", more)
			return
		}
		end += more + 1
		c.ends[i] = end
	}
	if end >= int64(c.rows) {
		in.fail("runs of more than %d rows", c.rows)
	}
	c.ends[runs-1] = int64(c.rows)
	c.run = 0
}

// nested reads a column in this one whole, len(dst) rows.
func (c *integers) nested(in *input, dst []int64, depth int) {
	if len(dst) == 0 {
		return
	}
	if c.scratch.nested == nil {
		c.scratch.nested = new(integers)
	}
	if c.scratch.nested.open(in, len(dst), depth); in.err == nil {
		c.scratch.nested.fill(dst)
	}
}

// fill writes the next len(dst) integers. All calls but the last must ask for
// a multiple of lanes.
func (c *integers) fill(dst []int64) {
	c.fillResiduals(dst)
	switch c.predictor() {
	case predictDelta:
		c.last = sums(dst, c.last)
	case predictSlope:
		last, slope := c.last, c.slope
		for i, r := range dst {
			slope += r
			last += slope
			dst[i] = last
		}
		c.last, c.slope = last, slope
	}
	if c.factor != 1 {
		for i, x := range dst {
			dst[i] = x*c.factor + c.origin
		}
	}
}

// fillScaled is fill for the floats that a scale makes of integers, in fewer
// passes. It leaves anything in block, which is as long as dst.
func (c *integers) fillScaled(dst []float64, block []int64, s scale) {
	if c.factor != 1 {
		c.fill(block)
		s.convert(dst, block)
		return
	}
	c.fillResiduals(block)
	switch c.predictor() {
	case predictNone:
		s.convert(dst, block)
	case predictDelta:
		c.last = s.convertSums(dst, block, c.last)
	case predictSlope:
		c.last, c.slope = s.convertSlopes(dst, block, c.last, c.slope)
	}
}

// fillResiduals writes the next len(dst) residuals.
func (c *integers) fillResiduals(dst []int64) {
	switch c.coder() {
	case coderPacked:
		c.packed.fill(dst, c.base)
	case coderSymbols:
		c.symbols.fill(dst)
	case coderZstd:
		copy(dst, c.ready[c.at:])
	case coderRuns:
		c.fillRuns(dst)
	}
	c.patches.apply(dst, c.at, c.base)
	c.at += len(dst)
}

func (c *integers) fillRuns(dst []int64) {
	at := c.at
	for len(dst) > 0 {
		n := min(len(dst), int(c.ends[c.run])-at)
		value := c.ready[c.run]
		for i := range dst[:n] {
			dst[i] = value
		}
		dst = dst[n:]
		if at += n; at == int(c.ends[c.run]) {
			c.run++
		}
	}
}

// patches are residuals kept apart from the others.
type patches struct {
	rest input
	left int // patches from next on
	next int // row of the next patch
}

// open takes the patches of a column from in, if its head says that it has any.
func (p *patches) open(in *input, c *integers) {
	if c.head&headPatches == 0 {
		return
	}
	count := in.count("patches", c.rows)
	if count == 0 {
		in.fail("no patches")
	}
	p.rest = input{rest: in.rest}
	row := uint64(0)
	for i := range count {
		gap := in.uvarint()
		in.uvarint()
		if row += gap; gap > uint64(c.rows) || row >= uint64(c.rows) || gap == 0 && i > 0 {
			in.fail("a patch in row %d", row)
			return
		}
	}
	if in.err == nil {
		p.left = count
		p.next = int(p.rest.uvarint())
	}
}

// within reports whether any of the n rows from row at on has a patch.
func (p *patches) within(at, n int) bool { return p.left > 0 && p.next < at+n }

// apply replaces residuals of the rows from row at on.
func (p *patches) apply(dst []int64, at int, base int64) {
	for p.left > 0 && p.next < at+len(dst) {
		dst[p.next-at] = p.rest.varint() + base
		if p.left--; p.left > 0 {
			p.next += int(p.rest.uvarint())
		}
	}
}
