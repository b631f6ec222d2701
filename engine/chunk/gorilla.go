package chunk

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// The bytes of a Gorilla chunk. It says neither its length nor its number of
// rows: whoever keeps it does. No rows are no bytes. Everything is little
// endian. Arithmetic on times wraps around at 64 bits, so any strictly
// ascending int64 times will do.
//
//	0   8  time of the first row, int64
//	8   8  value of the first row, float64 bits
//	16  …  groups of 16 rows, the last one of 1 to 16
//
// A group:
//
//	0   8  control: row i of the group has bits 4i to 4i+3; those of rows that
//	       the last group does not have are 0
//	8   …  data of row 0, row 1, …: 0 to 17 bytes each
//
// A row's control is a class of change, or 15. A class says which bits of the
// XOR with the value before (the change) are in the data; others are 0:
//
//	0  none: the same value              8  bits 29-52, 3 bytes
//	1  none: the change is that of the   9  bits 29-44, 2 bytes
//	   last row whose change was not 0  10  bits 40-63, 3 bytes
//	2  bits 0-63, 8 bytes               11  bits 40-55, 2 bytes
//	3  bits 0-55, 7 bytes               12  bits 40-47, 1 byte
//	4  bits 0-47, 6 bytes               13  bits 48-63, 2 bytes
//	5  bits 0-39, 5 bytes               14  bits 48-55, 1 byte
//	6  bits 0-31, 4 bytes
//	7  bits 29-60, 4 bytes
//
// and the time is as far from the one before as that was from the one before
// it (from itself, at the second row). With 15, time goes its own way:
//
//	0   1  low half: class of change, 0 to 14; high half: code of time
//	1   n  zigzag of the difference of time differences, in units
//	1+n …  the bytes of the change
//
// Codes of time: 1 to 8 are n = 1 to 8 bytes of nanoseconds, 9 to 11 are 1 to 3
// bytes of microseconds, 12 to 15 are 1 to 4 bytes of milliseconds.
//
// Whole bytes decode several times faster than the bit fields of the paper:
// the places of 16 rows' data follow from one word, so no row waits for the
// bits of the one before, and nothing in the common row is a branch. Class 1
// more than pays for what whole bytes cost: instruments flicker between two
// neighbouring readings.
const (
	groupRows     = 16
	controlBytes  = 8
	firstRowBytes = 16
	maxRowBytes   = 17
	maxGroupBytes = controlBytes + groupRows*maxRowBytes

	classSame   = 0
	classRepeat = 1
	controlTime = 15 // the row says its time too
)

// window is the part of a change that is in the data.
type window struct {
	mask  uint64 // of the data's bits
	shift uint8  // of the change's lowest bit that is in the data
	size  uint8  // bytes of data
}

var windows = [16]window{
	2: {1<<64 - 1, 0, 8}, 3: {1<<56 - 1, 0, 7}, 4: {1<<48 - 1, 0, 6}, 5: {1<<40 - 1, 0, 5}, 6: {1<<32 - 1, 0, 4},
	7: {1<<32 - 1, 29, 4}, 8: {1<<24 - 1, 29, 3}, 9: {1<<16 - 1, 29, 2}, // float32 has no bits below 29
	10: {1<<24 - 1, 40, 3}, 11: {1<<16 - 1, 40, 2}, 12: {1<<8 - 1, 40, 1}, // small whole numbers
	13: {1<<16 - 1, 48, 2}, 14: {1<<8 - 1, 48, 1},
}

// timeUnit is how a code of time counts.
type timeUnit struct {
	mask uint64
	unit int64 // nanoseconds
	size uint8 // bytes of data
}

const (
	firstMicro = 9
	firstMilli = 12
)

var timeUnits = makeTimeUnits()

func makeTimeUnits() (u [16]timeUnit) {
	set := func(first int, sizes uint8, unit int64) {
		for n := uint8(1); n <= sizes; n++ {
			u[first+int(n)-1] = timeUnit{1<<(8*n) - 1, unit, n}
		}
	}
	set(1, 8, 1)
	set(firstMicro, 3, 1e3)
	set(firstMilli, 4, 1e6)
	return u
}

// classes[l][t] is the class with the least data for a change with l leading
// and t trailing zero bits.
var classes = makeClasses()

func makeClasses() (c [65][65]uint8) {
	for lead := range 64 {
		for trail := range 64 - lead {
			best := 2
			for i := 3; i < controlTime; i++ {
				w := windows[i]
				covers := trail >= int(w.shift) && 64-lead <= int(w.shift)+8*int(w.size)
				if covers && w.size < windows[best].size {
					best = i
				}
			}
			c[lead][trail] = uint8(best)
		}
	}
	c[64][64] = classSame
	return c
}

// encoder is what a row is told relative to.
type encoder struct {
	time, delta   int64
	value, change uint64
}

// put writes the data of a row at the start of b and returns its control and
// the number of bytes. What is behind them in b is spoilt.
func (e *encoder) put(b *[maxRowBytes]byte, t int64, v float64) (control uint64, size int) {
	delta := t - e.time
	value := math.Float64bits(v)
	x := value ^ e.value
	class := uint64(classes[bits.LeadingZeros64(x)][bits.TrailingZeros64(x)])
	if x == e.change {
		class = classRepeat
	}
	if x == 0 {
		class = classSame
	} else {
		e.change = x
	}
	e.time, e.value = t, value
	w := &windows[class&15]
	data := x >> (w.shift & 63)
	if delta == e.delta {
		binary.LittleEndian.PutUint64(b[:], data)
		return class, int(w.size)
	}
	code, zigzag := timeCode(delta - e.delta)
	e.delta = delta
	n := int(timeUnits[code].size)
	b[0] = byte(class) | code<<4
	binary.LittleEndian.PutUint64(b[1:], zigzag)
	binary.LittleEndian.PutUint64(b[1+n:], data)
	return controlTime, 1 + n + int(w.size)
}

// timeCode returns the shortest way to say a difference of time differences.
func timeCode(d int64) (code uint8, zigzag uint64) {
	if m := d / 1e6; m*1e6 == d {
		if z := zigzagOf(m); z < 1<<32 {
			return uint8(firstMilli - 1 + byteLength(z)), z
		}
	} else if u := d / 1e3; u*1e3 == d {
		if z := zigzagOf(u); z < 1<<24 {
			return uint8(firstMicro - 1 + byteLength(z)), z
		}
	}
	z := zigzagOf(d)
	return uint8(byteLength(z)), z
}

func zigzagOf(d int64) uint64 { return uint64(d)<<1 ^ uint64(d>>63) }

func byteLength(z uint64) int { return (bits.Len64(z|1) + 7) / 8 }

// Encode appends the Gorilla chunk of rows in strictly ascending order of time
// to dst.
func Encode(dst []byte, times []int64, values []float64) []byte {
	if len(times) == 0 {
		return dst
	}
	values = values[:len(times)]
	dst = binary.LittleEndian.AppendUint64(dst, uint64(times[0]))
	dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(values[0]))
	e := encoder{time: times[0], value: math.Float64bits(values[0])}
	for first := 1; first < len(times); first += groupRows {
		last := min(first+groupRows, len(times))
		dst = e.group(dst, times[first:last], values[first:last])
	}
	return dst
}

func (e *encoder) group(dst []byte, times []int64, values []float64) []byte {
	start := len(dst)
	dst = slices.Grow(dst, maxGroupBytes)
	b := dst[start : start+maxGroupBytes]
	at := controlBytes
	var control uint64
	for i, t := range times {
		c, n := e.put((*[maxRowBytes]byte)(b[at:]), t, values[i])
		control |= c << (4 * uint(i) & 63)
		at += n
	}
	binary.LittleEndian.PutUint64(b, control)
	return dst[:start+at]
}

// Decode appends the rows of a Gorilla chunk to times and values. Bytes that
// are not the chunk of so many rows are refused with an error that wraps
// ErrCorrupt, and the slices come back as they were; no more is allocated than
// the rows that fit in the payload.
func Decode(payload []byte, rows int, times []int64, values []float64) ([]int64, []float64, error) {
	if err := plausible(payload, rows); err != nil || rows == 0 {
		return times, values, err
	}
	oldTimes, oldValues := len(times), len(values)
	times = slices.Grow(times, rows)
	values = slices.Grow(values, rows)
	if err := decode(payload, times[oldTimes:oldTimes+rows], values[oldValues:oldValues+rows]); err != nil {
		return times, values, err
	}
	return times[:oldTimes+rows], values[:oldValues+rows], nil
}

// plausible refuses a chunk that is too short for its rows.
func plausible(payload []byte, rows int) error {
	if rows == 0 && len(payload) == 0 {
		return nil
	}
	// Every group of rows after the first row has its control.
	if rows <= 0 || len(payload) < firstRowBytes || (rows-1)/groupRows > (len(payload)-firstRowBytes)/controlBytes {
		return fmt.Errorf("%w: %d rows in %d bytes", ErrCorrupt, rows, len(payload))
	}
	return nil
}

// decode fills times and values, which have the same length, at least 1.
func decode(src []byte, times []int64, values []float64) error {
	d := encoder{time: int64(binary.LittleEndian.Uint64(src)), value: binary.LittleEndian.Uint64(src[8:])}
	times[0], values[0] = d.time, math.Float64frombits(d.value)
	// Groups are read in loads of 8 bytes that may reach behind their end, so
	// the last bytes are read from a copy with room behind it.
	var copied [2 * maxGroupBytes]byte
	at, end, base := firstRowBytes, len(src), 0
	for first := 1; first < len(times); first += groupRows {
		if base == 0 && end-at < maxGroupBytes {
			base, end = at, copy(copied[:], src[at:])
			src, at = copied[:], 0
		}
		last := min(first+groupRows, len(times))
		n := d.take((*[maxGroupBytes]byte)(src[at:]), times[first:last], values[first:last])
		if n == 0 || n > end-at {
			return fmt.Errorf("%w: in the rows from byte %d on", ErrCorrupt, base+at)
		}
		at += n
	}
	if at != end {
		return fmt.Errorf("%w: bytes after the last row, from byte %d on", ErrCorrupt, base+at)
	}
	return nil
}

// take reads a group of rows and returns its length in bytes, or 0 if no rows
// read so.
func (e *encoder) take(src *[maxGroupBytes]byte, times []int64, values []float64) int {
	control := binary.LittleEndian.Uint64(src[:])
	at := uint(controlBytes)
	time, delta, value, change := e.time, e.delta, e.value, e.change
	values = values[:len(times)]
	for i := range times {
		class := control >> (4 * uint(i) & 63) & 15
		if class == controlTime {
			u := &timeUnits[src[at]>>4]
			class = uint64(src[at] & 15)
			if class == controlTime || u.size == 0 {
				return 0
			}
			z := binary.LittleEndian.Uint64(src[at+1:]) & u.mask
			delta += int64(z>>1^-(z&1)) * u.unit
			at += 1 + uint(u.size)
		}
		w := &windows[class&15]
		if at > maxGroupBytes-8 { // never: it only spares the compiler's own check
			return 0
		}
		x := binary.LittleEndian.Uint64(src[at:]) & w.mask << (w.shift & 63)
		at += uint(w.size)
		if class == classRepeat {
			x = change
		}
		if class != classSame {
			change = x
		}
		value ^= x
		next := time + delta
		if next <= time {
			return 0
		}
		time = next
		times[i] = time
		values[i] = math.Float64frombits(value)
	}
	if control>>(4*uint(len(times))) != 0 {
		return 0
	}
	e.time, e.delta, e.value, e.change = time, delta, value, change
	return int(at)
}
