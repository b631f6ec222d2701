package chunk

import (
	"encoding/binary"
	"math/bits"
)

// Packed integers of w bits (0 to 64) lie in eight lanes: number i is in lane
// i%8, at bit i/8·w of it. A lane is cut into words of 64 bits, and a row holds
// one word of each lane, 64 bytes, little endian. So eight neighbours always
// have the same shift, and they come out in order:
//
//	row 0: lane 0 bits 0-63, lane 1 bits 0-63, … lane 7 bits 0-63
//	row 1: lane 0 bits 64-127, …
//
// The words of the last row have only as many bytes as hold bits in use. All
// lanes are of ⌈n/8⌉·w bits; what these and the bytes have to spare is zero.
const (
	lanes    = 8
	rowBytes = lanes * 8
)

// packedBits returns how many bits each lane has.
func packedBits(n int, width uint) int { return (n + lanes - 1) / lanes * int(width) }

// packedSize returns the size of n packed integers in bytes.
func packedSize(n int, width uint) int {
	used := packedBits(n, width)
	return used/64*rowBytes + (used%64+7)/8*lanes
}

// appendPacked packs the low bits of each value - base.
func appendPacked(dst []byte, values []int64, base int64, width uint) []byte {
	if width == 0 {
		return dst
	}
	mask := ^uint64(0) >> (64 - width)
	var row [lanes]uint64
	used := uint(0)
	for len(values) > 0 {
		var last [lanes]int64
		group := &last
		if len(values) >= lanes {
			group = (*[lanes]int64)(values)
			values = values[lanes:]
		} else {
			for i := copy(last[:], values); i < lanes; i++ {
				last[i] = base
			}
			values = nil
		}
		if used+width < 64 {
			for l := range row {
				row[l] |= (uint64(group[l]-base) & mask) << (used & 63)
			}
			used += width
			continue
		}
		at := len(dst)
		dst = append(dst, make([]byte, rowBytes)...)
		out := (*[rowBytes]byte)(dst[at:])
		taken := 64 - used // bits of this group that the row still has room for
		for l := range row {
			v := uint64(group[l]-base) & mask
			binary.LittleEndian.PutUint64(out[8*l:], row[l]|v<<(used&63))
			row[l] = v >> taken
		}
		used += width - 64
	}
	for l := range row {
		for bit := uint(0); bit < used; bit += 8 {
			dst = append(dst, byte(row[l]>>bit))
		}
	}
	return dst
}

// packed reads packed integers in order.
type packed struct {
	data  []byte // whole rows
	tail  [3 * rowBytes]byte
	bit   int // of each lane, where the next group begins
	width uint
}

// open takes the packed integers from the front of what is in.
func (p *packed) open(in *input, n int, width uint) {
	p.width, p.bit = width, 0
	used := packedBits(n, width)
	src := in.take(packedSize(n, width))
	if src == nil {
		return
	}
	whole := used / 64 * rowBytes
	p.data = src[:whole]
	// The tail is the last whole row, the row cut short, and one of zeros that
	// makes reading over its end harmless.
	if whole > 0 {
		copy(p.tail[:], p.data[whole-rowBytes:])
	}
	size, padding := (used%64+7)/8, uint64(0)
	for l := range lanes {
		word := shortWord(src[whole+l*size:], size)
		binary.LittleEndian.PutUint64(p.tail[rowBytes+8*l:], word)
		padding |= word >> (used % 64)
	}
	if last := n % lanes; last > 0 && width > 0 {
		var group [lanes]int64
		unpack(group[:], p.tail[:], used%64+64-int(width), width, 0)
		for _, x := range group[last:] {
			padding |= uint64(x)
		}
	}
	if padding != 0 {
		in.fail("packed integers that go on after the last")
	}
}

// shortWord returns the first size bytes of src, 0 to 8, as the lowest of an
// integer.
func shortWord(src []byte, size int) uint64 {
	if len(src) >= 8 {
		return binary.LittleEndian.Uint64(src) & (^uint64(0) >> (64 - 8*uint(size)))
	}
	word := uint64(0)
	for i, b := range src[:size] {
		word |= uint64(b) << (8 * i)
	}
	return word
}

// groups returns how many of the next n groups lie in whole rows.
func (p *packed) groups(n int) int {
	if p.width == 0 {
		return n
	}
	// A group that begins in the last whole row may reach into the next.
	inside := (len(p.data)/rowBytes-1)*64 - p.bit
	if inside <= 0 {
		return 0
	}
	return min(n, (inside+int(p.width)-1)/int(p.width))
}

// fill writes the next len(dst) integers, each plus base. All calls but the
// last must ask for a multiple of eight.
func (p *packed) fill(dst []int64, base int64) {
	if p.width == 0 {
		for i := range dst {
			dst[i] = base
		}
		return
	}
	whole := p.groups(len(dst)/lanes) * lanes
	unpack(dst[:whole], p.data, p.bit, p.width, base)
	p.bit += whole / lanes * int(p.width)
	if dst = dst[whole:]; len(dst) == 0 {
		return
	}
	start := (len(p.data)/rowBytes - 1) * 64 // the bit at which the tail begins
	for len(dst) > 0 {
		var group [lanes]int64
		unpack(group[:], p.tail[:], p.bit-start, p.width, base)
		p.bit += int(p.width)
		dst = dst[copy(dst, group[:]):]
	}
}

// fillLetters writes the next len(dst) integers, each plus the letter of its
// code. All calls but the last must ask for a multiple of eight.
func (p *packed) fillLetters(dst []int64, codes []byte, letters *[maxLetters]int64) {
	whole := p.groups(len(dst)/lanes) * lanes
	unpackLetters(dst[:whole], codes, letters, p.data, p.bit, p.width)
	p.bit += whole / lanes * int(p.width)
	if whole < len(dst) {
		p.fill(dst[whole:], 0)
		for i := whole; i < len(dst); i++ {
			dst[i] += letters[codes[i]]
		}
	}
}

// unpack writes len(dst) integers, a multiple of eight, from a bit of the
// lanes on. It is written out since the compiler does not unroll.
func unpack(dst []int64, src []byte, bit int, width uint, base int64) {
	mask := ^uint64(0) >> ((64 - width) & 63)
	for len(dst) >= lanes {
		group := (*[lanes]int64)(dst)
		shift := uint(bit) & 63
		if shift+width <= 64 {
			row := (*[rowBytes]byte)(src[bit>>6*rowBytes:])
			group[0] = int64(binary.LittleEndian.Uint64(row[0:])>>shift&mask) + base
			group[1] = int64(binary.LittleEndian.Uint64(row[8:])>>shift&mask) + base
			group[2] = int64(binary.LittleEndian.Uint64(row[16:])>>shift&mask) + base
			group[3] = int64(binary.LittleEndian.Uint64(row[24:])>>shift&mask) + base
			group[4] = int64(binary.LittleEndian.Uint64(row[32:])>>shift&mask) + base
			group[5] = int64(binary.LittleEndian.Uint64(row[40:])>>shift&mask) + base
			group[6] = int64(binary.LittleEndian.Uint64(row[48:])>>shift&mask) + base
			group[7] = int64(binary.LittleEndian.Uint64(row[56:])>>shift&mask) + base
		} else {
			row := (*[2 * rowBytes]byte)(src[bit>>6*rowBytes:])
			up := (64 - shift) & 63
			group[0] = int64((binary.LittleEndian.Uint64(row[0:])>>shift|binary.LittleEndian.Uint64(row[64:])<<up)&mask) + base
			group[1] = int64((binary.LittleEndian.Uint64(row[8:])>>shift|binary.LittleEndian.Uint64(row[72:])<<up)&mask) + base
			group[2] = int64((binary.LittleEndian.Uint64(row[16:])>>shift|binary.LittleEndian.Uint64(row[80:])<<up)&mask) + base
			group[3] = int64((binary.LittleEndian.Uint64(row[24:])>>shift|binary.LittleEndian.Uint64(row[88:])<<up)&mask) + base
			group[4] = int64((binary.LittleEndian.Uint64(row[32:])>>shift|binary.LittleEndian.Uint64(row[96:])<<up)&mask) + base
			group[5] = int64((binary.LittleEndian.Uint64(row[40:])>>shift|binary.LittleEndian.Uint64(row[104:])<<up)&mask) + base
			group[6] = int64((binary.LittleEndian.Uint64(row[48:])>>shift|binary.LittleEndian.Uint64(row[112:])<<up)&mask) + base
			group[7] = int64((binary.LittleEndian.Uint64(row[56:])>>shift|binary.LittleEndian.Uint64(row[120:])<<up)&mask) + base
		}
		dst = dst[lanes:]
		bit += int(width)
	}
}

// unpackLetters is unpack where each integer has a base of its own.
func unpackLetters(dst []int64, codes []byte, letters *[maxLetters]int64, src []byte, bit int, width uint) {
	mask := ^uint64(0) >> ((64 - width) & 63)
	for len(dst) >= lanes && len(codes) >= lanes {
		group, code := (*[lanes]int64)(dst), (*[lanes]byte)(codes)
		shift := uint(bit) & 63
		if shift+width <= 64 {
			row := (*[rowBytes]byte)(src[bit>>6*rowBytes:])
			group[0] = int64(binary.LittleEndian.Uint64(row[0:])>>shift&mask) + letters[code[0]]
			group[1] = int64(binary.LittleEndian.Uint64(row[8:])>>shift&mask) + letters[code[1]]
			group[2] = int64(binary.LittleEndian.Uint64(row[16:])>>shift&mask) + letters[code[2]]
			group[3] = int64(binary.LittleEndian.Uint64(row[24:])>>shift&mask) + letters[code[3]]
			group[4] = int64(binary.LittleEndian.Uint64(row[32:])>>shift&mask) + letters[code[4]]
			group[5] = int64(binary.LittleEndian.Uint64(row[40:])>>shift&mask) + letters[code[5]]
			group[6] = int64(binary.LittleEndian.Uint64(row[48:])>>shift&mask) + letters[code[6]]
			group[7] = int64(binary.LittleEndian.Uint64(row[56:])>>shift&mask) + letters[code[7]]
		} else {
			row := (*[2 * rowBytes]byte)(src[bit>>6*rowBytes:])
			up := (64 - shift) & 63
			group[0] = int64((binary.LittleEndian.Uint64(row[0:])>>shift|binary.LittleEndian.Uint64(row[64:])<<up)&mask) + letters[code[0]]
			group[1] = int64((binary.LittleEndian.Uint64(row[8:])>>shift|binary.LittleEndian.Uint64(row[72:])<<up)&mask) + letters[code[1]]
			group[2] = int64((binary.LittleEndian.Uint64(row[16:])>>shift|binary.LittleEndian.Uint64(row[80:])<<up)&mask) + letters[code[2]]
			group[3] = int64((binary.LittleEndian.Uint64(row[24:])>>shift|binary.LittleEndian.Uint64(row[88:])<<up)&mask) + letters[code[3]]
			group[4] = int64((binary.LittleEndian.Uint64(row[32:])>>shift|binary.LittleEndian.Uint64(row[96:])<<up)&mask) + letters[code[4]]
			group[5] = int64((binary.LittleEndian.Uint64(row[40:])>>shift|binary.LittleEndian.Uint64(row[104:])<<up)&mask) + letters[code[5]]
			group[6] = int64((binary.LittleEndian.Uint64(row[48:])>>shift|binary.LittleEndian.Uint64(row[112:])<<up)&mask) + letters[code[6]]
			group[7] = int64((binary.LittleEndian.Uint64(row[56:])>>shift|binary.LittleEndian.Uint64(row[120:])<<up)&mask) + letters[code[7]]
		}
		dst, codes = dst[lanes:], codes[lanes:]
		bit += int(width)
	}
}

// sums replaces differences by what they lead to from start, the last of which
// it returns. Of four neighbours only one waits for those before.
func sums(differences []int64, start int64) int64 {
	for len(differences) >= 4 {
		d := (*[4]int64)(differences)
		two, all := d[0]+d[1], d[0]+d[1]+d[2]+d[3]
		d[0] += start
		d[1] = start + two
		d[2] += start + two
		start += all
		d[3] = start
		differences = differences[4:]
	}
	for i, d := range differences {
		start += d
		differences[i] = start
	}
	return start
}

func bitWidth(u uint64) uint { return uint(bits.Len64(u)) }
