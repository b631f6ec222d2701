package chunk

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The bytes of a column of values.
//
//	0   1  head: bits 0-3 mode, bit 4 exceptions
//	1   …  with exceptions: those rows have values that the mode cannot tell.
//	       uvarint stretches, for each of them uvarint rows since the one before
//	       (since the start), uvarint rows in it, less one; then, until all have
//	       their value: uvarint how many have it, 8 bytes float64
//	…   …  the mode's:
//	  0 decimal    1 byte digits, integers: integer / 10^digits
//	  1 product    8 bytes base, integers: integer · base
//	  2 quotient   8 bytes base, integers: integer / base
//	  3 near       1 byte digits (+ 128: rounded to float32), integers, integers:
//	               the first is a decimal, the second how many floats further up
//	               the value is
//	  4 float32    integers: the bits of a float32 in order
//	  5 float64    integers: the bits in order
//	  6 dictionary uvarint count, column of so many values, ascending, that is
//	               no dictionary; integers: which of them
//
// "Integers" is a column of integers.go, one a row. "In order" means that of
// bits with the sign set the others are inverted, so that integers compare as
// floats do; of a float32's integer the low 32 bits count. With f, the float
// nearest to the integer, and each step rounded once, to the nearest even:
//
//	product   fma(f, base, 0)
//	quotient  fma(f, high, f · low), where high = 1 / base and
//	          low = fma(-high, base, 1) / base
//	decimal   the same with the base 10^digits
//
// A decimal of up to 15 digits is so the float nearest to integer / 10^digits;
// others may not be, and far from 1 a quotient is not: the formula is the format,
// and the encoder compares each row with it. Digits are 22 at most; bases, high
// and low are finite, and neither base nor high is 0.
//
// Integers of rows that are exceptions mean nothing, but they are numbers of
// values in a dictionary. Stretches do not touch, values that follow each other
// differ, and there is one of each at least.
const (
	modeDecimal = iota
	modeProduct
	modeQuotient
	modeNear
	modeFloat32
	modeFloat64
	modeDictionary

	modeBits        = 4
	headExceptions  = 1 << 4
	headUnusedValue = 0xE0
	throughFloat32  = 1 << 7
)

// valueModes is how each mode is read: open takes what it has besides integers,
// convert turns the integers of some rows into their values. Linear modes need
// no more for that than their scale.
var valueModes = [...]struct {
	name    string
	open    func(*values, *input)
	convert func(*values, []float64, []int64)
	linear  bool
}{
	modeDecimal:    {"decimal", (*values).openDigits, nil, true},
	modeProduct:    {"product", (*values).openProduct, nil, true},
	modeQuotient:   {"quotient", (*values).openQuotient, nil, true},
	modeNear:       {"near", (*values).openNear, (*values).near, false},
	modeFloat32:    {"float32", (*values).openBits, (*values).fromBits32, false},
	modeFloat64:    {"float64", (*values).openBits, (*values).fromBits, false},
	modeDictionary: {"dictionary", nil, (*values).lookedUp, false}, // openDictionary comes back here
}

// values reads a column of values from front to back.
type values struct {
	in         input
	rows       int
	at         int // rows given so far
	mode       int
	scale      scale
	float32    bool // near goes through float32
	integers   integers
	second     integers // near: floats further up
	different  *values  // the column of the dictionary
	dictionary []float64
	outside    bool // an integer is no value of the dictionary, or too large to be folded
	exceptions exceptions
	block      [blockRows]int64
	blockMore  [blockRows]int64
}

// open takes a column of so many rows, which must be all of src, and makes sure
// that reading it cannot go wrong.
func (v *values) open(src []byte, rows int) error {
	if rows < 1 || rows > MaxRows {
		return fmt.Errorf("%w: %d values", ErrCorrupt, rows)
	}
	v.in = input{rest: src} // here, as it would escape
	in := &v.in
	if v.openPart(in, rows, modeDictionary); in.err == nil && len(in.rest) > 0 {
		in.fail("%d bytes too many", len(in.rest))
	}
	if in.err != nil {
		return fmt.Errorf("%w: values: %w", ErrCorrupt, in.err)
	}
	return nil
}

// openPart takes a column of so many rows, of a mode up to highest, from the
// front of in.
func (v *values) openPart(in *input, rows, highest int) {
	v.rows, v.at, v.outside = rows, 0, false
	head := in.byte()
	v.mode = int(head & (1<<modeBits - 1))
	v.exceptions = exceptions{}
	if head&headUnusedValue != 0 || v.mode > highest {
		in.fail("unknown mode")
		return
	}
	if head&headExceptions != 0 {
		v.exceptions.open(in, rows)
	}
	if v.mode == modeDictionary {
		v.openDictionary(in)
		return
	}
	valueModes[v.mode].open(v, in)
}

func (v *values) openBits(in *input) { v.integers.open(in, v.rows, 0) }

func (v *values) openDigits(in *input) {
	digits := in.byte()
	if digits > maxDigits {
		in.fail("%d digits", digits)
		return
	}
	v.scale = decimalScales[digits]
	v.integers.open(in, v.rows, 0)
}

func (v *values) openProduct(in *input) { v.openScale(in, scale{high: in.float()}) }

func (v *values) openQuotient(in *input) { v.openScale(in, dividing(in.float())) }

func (v *values) openScale(in *input, s scale) {
	if s.high == 0 || !isFinite(s.high) || !isFinite(s.low) { // integers would become zeros of either sign, or NaN
		in.fail("a scale of %v", s)
		return
	}
	v.scale = s
	v.integers.open(in, v.rows, 0)
}

func (v *values) openNear(in *input) {
	digits := in.byte()
	v.float32 = digits&throughFloat32 != 0
	digits &^= throughFloat32
	if digits > maxDigits {
		in.fail("%d digits", digits)
		return
	}
	v.scale = decimalScales[digits]
	v.integers.open(in, v.rows, 0)
	v.second.open(in, v.rows, 0)
}

func (v *values) openDictionary(in *input) {
	size := in.count("values in a dictionary", v.rows)
	if size < 1 {
		in.fail("an empty dictionary")
		return
	}
	if v.different == nil {
		v.different = new(values)
	}
	if v.different.openPart(in, size, modeDictionary-1); in.err != nil {
		return
	}
	v.dictionary = resized(v.dictionary, size)
	v.different.all(v.dictionary)
	for i := range v.dictionary[1:] {
		if inOrder(v.dictionary[i]) >= inOrder(v.dictionary[i+1]) {
			in.fail("a dictionary that does not ascend")
			return
		}
	}
	v.integers.open(in, v.rows, 0)
}

// all writes all values, from the first on.
func (v *values) all(dst []float64) {
	for len(dst) > 0 {
		n := min(len(dst), blockRows)
		v.fill(dst[:n])
		dst = dst[n:]
	}
}

// fill writes the next len(dst) values, at most blockRows. All calls but the
// last must ask for a multiple of lanes.
func (v *values) fill(dst []float64) {
	block := v.block[:len(dst)]
	if mode := &valueModes[v.mode]; mode.linear {
		v.integers.fillScaled(dst, block, v.scale)
	} else {
		v.integers.fill(block)
		mode.convert(v, dst, block)
	}
	v.exceptions.apply(dst, v.at)
	v.at += len(dst)
}

func (v *values) near(dst []float64, integers []int64) {
	up := v.blockMore[:len(dst)]
	v.second.fill(up)
	for i, x := range integers {
		f := v.scale.at(x)
		if v.float32 {
			f = float64(float32(f))
		}
		dst[i] = nextFloat(f, up[i])
	}
}

// nextFloat returns the float so many floats further up than f.
func nextFloat(f float64, up int64) float64 {
	return math.Float64frombits(uint64(ordered(inOrder(f) + up)))
}

func (v *values) fromBits(dst []float64, integers []int64) {
	for i, x := range integers {
		dst[i] = math.Float64frombits(uint64(ordered(x)))
	}
}

func (v *values) fromBits32(dst []float64, integers []int64) {
	for i, x := range integers {
		dst[i] = float64(math.Float32frombits(uint32(ordered32(int32(x)))))
	}
}

func (v *values) lookedUp(dst []float64, integers []int64) {
	for i, x := range integers {
		if uint64(x) >= uint64(len(v.dictionary)) {
			v.outside = true
			x = 0
		}
		dst[i] = v.dictionary[x]
	}
}

// finish reports what only reading the rows has shown.
func (v *values) finish() error {
	if v.outside {
		return fmt.Errorf("%w: values: an integer out of bounds", ErrCorrupt)
	}
	return nil
}

// exceptions are rows with values of their own.
type exceptions struct {
	rows   input // where they are
	values input
	left   int // exceptions from next on
	next   int // row of the next one
	more   int // rows after next that are in the same stretch
	same   int // how many from next on have value
	value  float64
}

func (e *exceptions) open(in *input, rows int) {
	stretches := in.count("stretches of exceptions", rows)
	if stretches == 0 {
		in.fail("exceptions without a row")
	}
	e.rows.rest = in.rest
	count, row := 0, 0 // row is the first one after the stretches so far
	for i := range stretches {
		gap := in.count("rows between exceptions", rows-row)
		if gap == 0 && i > 0 {
			in.fail("stretches of exceptions that are one")
		}
		row += gap
		length := in.count("exceptions", rows-row-1) + 1
		if row += length; in.err != nil {
			return
		}
		count += length
	}
	e.values.rest = in.rest
	before := uint64(0)
	for left := count; left > 0; {
		same, value := in.count("exceptions", left), math.Float64bits(in.float())
		if same == 0 || left < count && value == before {
			in.fail("exceptions that are not told once")
			return
		}
		before = value
		left -= same
	}
	if in.err == nil {
		e.left = count
		e.next, e.more = int(e.rows.uvarint()), int(e.rows.uvarint())
	}
}

// within reports whether any of the n rows from row at on is an exception.
func (e *exceptions) within(at, n int) bool { return e.left > 0 && e.next < at+n }

// apply replaces values of the rows from row at on.
func (e *exceptions) apply(dst []float64, at int) {
	for e.within(at, len(dst)) {
		if e.same == 0 {
			e.same = int(e.values.uvarint())
			e.value = math.Float64frombits(binary.LittleEndian.Uint64(e.values.take(8)))
		}
		dst[e.next-at] = e.value
		e.same--
		e.next++
		if e.left--; e.more > 0 {
			e.more--
		} else if e.left > 0 {
			e.next, e.more = e.next+int(e.rows.uvarint()), int(e.rows.uvarint())
		}
	}
}
