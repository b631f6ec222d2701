package chunk

import (
	"cmp"
	"math/bits"
	"slices"
)

// Costs are counted in bits, with integers alone: floats might differ between
// machines, and with them the bytes.

// logBits is how many bits of a logarithm are behind the point.
const logBits = 8

// logs[i] is the logarithm to base 2 of 1 + i/256.
var logs = func() (t [256]uint16) {
	for i := range t {
		// Squaring doubles a logarithm; each time it passes 1 is a bit of it.
		x := uint64(256+i) << 22 // 1.0 is 1<<30
		for range logBits {
			x = x * x >> 30
			t[i] <<= 1
			if x >= 2<<30 {
				x >>= 1
				t[i] |= 1
			}
		}
	}
	return t
}()

// logOf returns the logarithm to base 2 of u > 0, shifted by logBits.
func logOf(u uint64) int {
	length := bits.Len64(u)
	mantissa := u << (64 - uint(length)) >> 55 & 255
	return (length-1)<<logBits + int(logs[mantissa])
}

// huffmanBits returns the size of the best Huffman code for symbols that occur
// so often. It sorts counts, and wants at most maxLetters.
func huffmanBits(counts []int) int {
	slices.Sort(counts)
	if len(counts) < 2 {
		return 0
	}
	// Leaves and inner nodes both come in ascending order.
	var nodes [maxLetters]int
	total, leaf, node, made := 0, 0, 0, 0
	least := func() int {
		if node == made || leaf < len(counts) && counts[leaf] <= nodes[node] {
			leaf++
			return counts[leaf-1]
		}
		node++
		return nodes[node-1]
	}
	for range len(counts) - 1 {
		sum := least()
		sum += least()
		nodes[made] = sum
		made++
		total += sum
	}
	return total
}

// entropyBits returns how many bits so many symbols, which occur so often, need
// in the best of cases.
func entropyBits(counts []int, total int) int {
	bits := 0
	for _, count := range counts {
		if count > 0 {
			bits += count * (logOf(uint64(total)) - logOf(uint64(count)))
		}
	}
	return bits >> logBits
}

// histogram counts integers of which there are few different ones.
type histogram struct {
	keys   [histogramSize]int64
	counts [histogramSize]int32
	codes  [histogramSize]uint8
	used   []uint16 // slots
}

const (
	histogramBits = 11
	histogramSize = 1 << histogramBits
	histogramMost = histogramSize / 2
)

func (h *histogram) reset() {
	for _, slot := range h.used {
		h.counts[slot] = 0
	}
	h.used = h.used[:0]
}

// slot returns where key is or has to go.
func (h *histogram) slot(key int64) uint64 {
	slot := uint64(key) * 0x9E3779B97F4A7C15 >> (64 - histogramBits)
	for h.counts[slot] != 0 && h.keys[slot] != key {
		slot = (slot + 1) & (histogramSize - 1)
	}
	return slot
}

// count counts the integers without their low bits. It gives up, and reports
// false, where more than limit differ, which must be at most histogramMost.
func (h *histogram) count(values []int64, low uint, limit int) bool {
	h.reset()
	for _, v := range values {
		key := v >> low
		slot := h.slot(key)
		if h.counts[slot] == 0 {
			if len(h.used) >= limit {
				return false
			}
			h.keys[slot] = key
			h.used = append(h.used, uint16(slot))
		}
		h.counts[slot]++
	}
	return true
}

// letter is a residual without its low bits, and how often it occurs.
type letter struct {
	value int64
	count int
}

func (l letter) compare(other letter) int { return cmp.Compare(l.value, other.value) }

// letters returns what was counted, in ascending order.
func (h *histogram) letters(dst []letter) []letter {
	for _, slot := range h.used {
		dst = append(dst, letter{h.keys[slot], int(h.counts[slot])})
	}
	slices.SortFunc(dst, letter.compare)
	return dst
}

// widen takes one more low bit off the letters.
func widen(letters []letter) []letter {
	wide := letters[:0]
	for _, l := range letters {
		l.value >>= 1
		if n := len(wide); n > 0 && wide[n-1].value == l.value {
			wide[n-1].count += l.count
		} else {
			wide = append(wide, l)
		}
	}
	return wide
}
