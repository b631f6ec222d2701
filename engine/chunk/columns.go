package chunk

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/hokan-db/hokan/engine/model"
)

// Encoder turns columns into bytes. Its zero value is ready for use, by one
// goroutine; it keeps scratch memory from one column to the next.
type Encoder struct{}

// AppendTimes appends the bytes of a column of strictly ascending times, at
// least one, to dst. The form is Fast or Small.
func (e *Encoder) AppendTimes(dst []byte, times []int64, form Encoding) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(times[0]))
	for i, t := range times[1:] {
		dst = binary.AppendUvarint(dst, uint64(t-times[i]))
	}
	return dst
}

// AppendValues appends the bytes of a column of values, at least one, to dst.
// The values may have any bits; the form is Fast or Small.
func (e *Encoder) AppendValues(dst []byte, values []float64, form Encoding) []byte {
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
	}
	return dst
}

// Decoder turns the bytes of columns back. Its zero value is ready for use, by
// one goroutine; it keeps scratch memory from one column to the next.
type Decoder struct {
	values []float64
}

// Times appends a column of so many times to dst. Bytes that are not the
// column of so many rows are refused with an error that wraps ErrCorrupt, and
// dst comes back as it was.
func (d *Decoder) Times(dst []int64, src []byte, rows int) ([]int64, error) {
	if rows < 1 || len(src) < 8 || rows-1 > len(src)-8 {
		return dst, fmt.Errorf("%w: %d times in %d bytes", ErrCorrupt, rows, len(src))
	}
	times := slices.Grow(dst, rows)
	t := int64(binary.LittleEndian.Uint64(src))
	src = src[8:]
	times = append(times, t)
	for range rows - 1 {
		delta, n := binary.Uvarint(src)
		next := t + int64(delta)
		if n <= 0 || next <= t {
			return dst, fmt.Errorf("%w: times do not ascend", ErrCorrupt)
		}
		t = next
		src = src[n:]
		times = append(times, t)
	}
	if len(src) != 0 {
		return dst, fmt.Errorf("%w: bytes after the last time", ErrCorrupt)
	}
	return times, nil
}

// Values appends a column of so many values to dst. Bytes that are not the
// column of so many rows are refused with an error that wraps ErrCorrupt, and
// dst comes back as it was.
func (d *Decoder) Values(dst []float64, src []byte, rows int) ([]float64, error) {
	if rows < 1 || len(src)/8 != rows || len(src)%8 != 0 {
		return dst, fmt.Errorf("%w: %d values in %d bytes", ErrCorrupt, rows, len(src))
	}
	dst = slices.Grow(dst, rows)
	for i := range rows {
		dst = append(dst, math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
	}
	return dst, nil
}

// Fold aggregates a column of so many values: rows cuts[i] up to cuts[i+1] into
// out[i], which is overwritten and says nothing of times. The cuts ascend and
// may leave out rows at either end; there is one more of them than of out.
func (d *Decoder) Fold(out []model.Aggregate, cuts []int, src []byte, rows int) error {
	if err := checkCuts(len(out), cuts, rows); err != nil {
		return err
	}
	values, err := d.Values(d.values[:0], src, rows)
	if err != nil {
		return err
	}
	d.values = values
	for i := range out {
		out[i] = model.Aggregate{}
		for _, v := range values[cuts[i]:cuts[i+1]] {
			out[i].Add(0, v)
		}
	}
	return nil
}

func checkCuts(pieces int, cuts []int, rows int) error {
	if len(cuts) != pieces+1 || cuts[0] < 0 || cuts[pieces] > rows || !slices.IsSorted(cuts) {
		return fmt.Errorf("cuts %v do not make %d pieces of %d rows", cuts, pieces, rows)
	}
	return nil
}

// Description says in words how a column is kept.
type Description struct {
	Mode, Predictor, Coder string
}

// DescribeTimes says how a column of times is kept.
func DescribeTimes(src []byte, rows int) (Description, error) {
	return Description{"times", "delta", "varint"}, nil
}

// DescribeValues says how a column of values is kept.
func DescribeValues(src []byte, rows int) (Description, error) {
	return Description{"bits", "none", "raw"}, nil
}
