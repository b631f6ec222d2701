package chunk

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// backward reads bits as RFC 8878 has them in Huffman and FSE streams: from the
// last byte's highest set bit, which is no part of them, to the front. Beyond
// that there are zeros.
type backward struct {
	b  []byte
	at int // bits left
}

func newBackward(b []byte) *backward {
	return &backward{b, len(b)*8 - bits.LeadingZeros8(b[len(b)-1]) - 1}
}

func (r *backward) peek(n int) (v int) {
	for i := r.at - n; i < r.at; i++ {
		if i >= 0 {
			v |= int(r.b[i/8]>>(i%8)&1) << (i - r.at + n)
		}
	}
	return v
}

func (r *backward) take(n int) int {
	v := r.peek(n)
	r.at -= n
	return v
}

// fseCell is a state of the table of RFC 8878, 4.1.1.
type fseCell struct{ symbol, bits, base int }

// fseTable reads the table's description and returns what follows it.
func fseTable(b []byte) (table []fseCell, rest []byte) {
	at := 0
	read := func(n int) (v int) {
		for i := range n {
			v |= int(b[(at+i)/8]>>((at+i)%8)&1) << i
		}
		at += n
		return v
	}
	log := read(4) + 5
	size, left := 1<<log, 1<<log
	var frequencies []int
	for left > 0 {
		n := bits.Len(uint(left + 1))
		v, lower, threshold := read(n), 1<<(n-1)-1, 1<<n-1-(left+1)
		if v&lower < threshold {
			at--
			v &= lower
		} else if v > lower {
			v -= threshold
		}
		frequencies = append(frequencies, v-1)
		left -= max(v-1, 1-v)
		for more := v == 1; more; {
			zeros := read(2)
			frequencies = append(frequencies, make([]int, zeros)...)
			more = zeros == 3
		}
	}
	table = make([]fseCell, size)
	next, high := make([]int, len(frequencies)), size
	for symbol, f := range frequencies {
		if next[symbol] = f; f < 0 {
			high--
			table[high].symbol, next[symbol] = symbol, 1
		}
	}
	place := 0
	for symbol, f := range frequencies {
		for range max(f, 0) {
			table[place].symbol = symbol
			for again := true; again; again = place >= high {
				place = (place + size>>1 + size>>3 + 3) & (size - 1)
			}
		}
	}
	for i := range table {
		c := &table[i]
		c.bits = log - bits.Len(uint(next[c.symbol])) + 1
		c.base = next[c.symbol]<<c.bits - size
		next[c.symbol]++
	}
	return table, b[(at+7)/8:]
}

// huffmanWeights reads a tree description: RFC 8878, 4.2.1.
func huffmanWeights(b []byte) (weights []int, rest []byte) {
	if n := int(b[0]) - 127; n > 0 {
		for i := range n {
			weights = append(weights, int(b[1+i/2]>>(4*(1-i%2))&15))
		}
		rest = b[1+(n+1)/2:]
	} else {
		size := int(b[0])
		table, stream := fseTable(b[1 : 1+size])
		r := newBackward(stream)
		log := bits.Len(uint(len(table))) - 1
		states := [2]int{r.take(log), r.take(log)}
		for turn := 0; ; turn ^= 1 {
			cell := table[states[turn]]
			weights = append(weights, cell.symbol)
			if states[turn] = cell.base + r.take(cell.bits); r.at < 0 {
				weights = append(weights, table[states[turn^1]].symbol)
				break
			}
		}
		rest = b[1+size:]
	}
	sum := 0
	for _, w := range weights {
		sum += 1 << w >> 1
	}
	last := 1<<bits.Len(uint(sum)) - sum
	return append(weights, bits.Len(uint(last))), rest
}

// huffmanSymbols decodes n symbols as FORMAT.md says, and RFC 8878 where that
// points there.
func huffmanSymbols(t *testing.T, b []byte, n int, four bool) (symbols []byte) {
	weights, rest := huffmanWeights(b)
	sum := 0
	for _, w := range weights {
		sum += 1 << w >> 1
	}
	log := bits.Len(uint(sum)) - 1
	var table []int // symbol<<8 | bits, by the next log bits
	for weight := 1; weight <= log; weight++ {
		for symbol, w := range weights {
			if w == weight {
				for range 1 << (w - 1) {
					table = append(table, symbol<<8|(log+1-w))
				}
			}
		}
	}
	stream := func(b []byte, n int) {
		r := newBackward(b)
		for range n {
			cell := table[r.peek(log)]
			r.take(cell & 255)
			symbols = append(symbols, byte(cell>>8))
		}
		if r.at != 0 {
			t.Fatalf("%d bits of a stream are left", r.at)
		}
	}
	if !four {
		stream(rest, n)
		return symbols
	}
	each, at := (n+3)/4, 6
	for i := range 3 {
		size := int(binary.LittleEndian.Uint16(rest[2*i:]))
		stream(rest[at:at+size], each)
		at += size
	}
	stream(rest[at:], n-3*each)
	return symbols
}

// TestHuffmanIsThatOfRFC8878 reads the encoder's tables and codes with a decoder
// made from the RFC.
func TestHuffmanIsThatOfRFC8878(t *testing.T) {
	var e Encoder
	r := rand.New(rand.NewPCG(1, 8878))
	forms := map[string]int{}
	for round := range 600 {
		n := 20 + r.IntN(3000)
		if round%50 == 0 {
			n = 50000 + r.IntN(200000) // more than a zstd block may have
		}
		letters, skew := 2+r.IntN(255), r.Float64()*6
		codes := make([]byte, n)
		for i := range codes {
			x := r.Float64()
			for range int(skew) {
				x *= r.Float64()
			}
			codes[i] = byte(x * float64(letters))
		}
		b, ok := e.appendHuffman(nil, codes)
		size, start := binary.Uvarint(b)
		if !ok || size == 0 {
			continue
		}
		if b = b[start:]; uint64(len(b)) != size>>1 {
			t.Fatalf("%d bytes, want %d", len(b), size>>1)
		}
		four := size&1 != 0
		forms[map[bool]string{true: "four", false: "one"}[four]]++
		forms[map[bool]string{true: "direct", false: "fse"}[b[0] >= 128]]++
		if got := huffmanSymbols(t, b, n, four); !bytes.Equal(got, codes) {
			t.Fatalf("%d of %d letters are other symbols", n, letters)
		}
	}
	for _, form := range []string{"four", "one", "direct", "fse"} {
		if forms[form] < 20 {
			t.Errorf("only %d of the form %s", forms[form], form)
		}
	}
}
