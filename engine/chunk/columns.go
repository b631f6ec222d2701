package chunk

import (
	"fmt"
	"slices"
)

// A column of times or of values is a head that says how it is kept, and then
// what that needs: times.go and values.go have the bytes. Both end in columns
// of integers, which integers.go has, with pack.go and symbols.go for their
// two common coders. None says its length in bytes or rows: whoever keeps it
// does.

// MaxRows is how many rows a column may have.
const MaxRows = 1 << 20

// Decoder turns the bytes of columns back. Its zero value is ready for use, by
// one goroutine; it keeps scratch memory from one column to the next.
type Decoder struct {
	in     input
	times  integers
	values values
	block  [blockRows]float64
}

// Times appends a column of so many times to dst. Bytes that are not the
// column of so many rows are refused with an error that wraps ErrCorrupt, and
// dst comes back as it was.
func (d *Decoder) Times(dst []int64, src []byte, rows int) ([]int64, error) {
	if rows < 1 || rows > MaxRows {
		return dst, fmt.Errorf("%w: %d times", ErrCorrupt, rows)
	}
	all := slices.Grow(dst, rows)[:len(dst)+rows]
	if err := d.times.decodeTimes(all[len(dst):], src); err != nil {
		return dst, fmt.Errorf("%w: times: %w", ErrCorrupt, err)
	}
	return all, nil
}

// Values appends a column of so many values to dst. Bytes that are not the
// column of so many rows are refused with an error that wraps ErrCorrupt, and
// dst comes back as it was.
func (d *Decoder) Values(dst []float64, src []byte, rows int) ([]float64, error) {
	v := &d.values
	if err := v.open(src, rows); err != nil {
		return dst, err
	}
	all := slices.Grow(dst, rows)[:len(dst)+rows]
	v.all(all[len(dst):])
	if err := v.finish(); err != nil {
		return dst, err
	}
	return all, nil
}

// Description says in words how a column is kept: in which mode, and with which
// predictor and coder its integers.
type Description struct {
	Mode, Predictor, Coder string
}

func (c *integers) describe(mode string) Description {
	description := Description{mode, predictorNames[c.predictor()], coderNames[c.coder()]}
	if c.coder() == coderSymbols && c.symbols.logGroup > 0 {
		description.Coder += fmt.Sprintf("/%d", 1<<c.symbols.logGroup)
	}
	return description
}

// DescribeTimes says how a column of times is kept.
func DescribeTimes(src []byte, rows int) (Description, error) {
	var d Decoder
	if _, err := d.Times(nil, src, rows); err != nil {
		return Description{}, err
	}
	return d.times.describe(timesNames[src[0]]), nil
}

// DescribeValues says how a column of values is kept.
func DescribeValues(src []byte, rows int) (Description, error) {
	var v values
	if err := v.open(src, rows); err != nil {
		return Description{}, err
	}
	return v.integers.describe(valueModes[v.mode].name), nil
}

// Integers reads a column of len(dst) integers from the front of src, and
// returns what stands behind it. Bytes that are no such column are refused with
// an error that wraps ErrCorrupt.
func (d *Decoder) Integers(dst []int64, src []byte) (rest []byte, err error) {
	if len(dst) < 1 || len(dst) > MaxRows {
		return src, fmt.Errorf("%w: %d integers", ErrCorrupt, len(dst))
	}
	d.in = input{rest: src} // here, as it would escape
	in := &d.in
	if d.times.open(in, len(dst), 0); in.err != nil {
		return src, fmt.Errorf("%w: integers: %w", ErrCorrupt, in.err)
	}
	for len(dst) > 0 {
		n := min(len(dst), blockRows)
		d.times.fill(dst[:n])
		dst = dst[n:]
	}
	return in.rest, nil
}
