package chunk

import (
	"sync"

	"github.com/klauspost/compress/huff0"
	"github.com/klauspost/compress/zstd"
)

// The bytes of residuals as symbols: what they are above their low bits is one
// of at most 256 letters, and these have a Huffman code. The low bits, which
// are as good as random, are packed.
//
//	0   1  bits 0-5: low bits of a residual; bits 6-7: g, a symbol stands for
//	       2^g residuals (g is 0 where there are low bits)
//	1   1  letters - 1
//	2   …  column of the letters, ascending and packed; see integers.go. A
//	       residual is letter·2^(low bits) + its low bits
//	…   …  patches; residuals that have one have any letter
//	…   …  uvarint 2·size + 1 where there are four streams, the Huffman table
//	       and code as klauspost/compress/huff0 makes them of the symbols; size
//	       0: one byte, which is all the symbols
//	…   …  packed low bits, see pack.go
//
// A symbol is the number of a letter. Where it stands for several residuals,
// their letters' numbers are in its bits from the lowest on, 8/2^g bits each.
// Symbols that stand for two or more residuals cost less time, get below one
// bit a residual, and know how one residual depends on the one before.
const (
	maxLetters  = 256
	groupShift  = 6
	lowBitsMask = 1<<groupShift - 1
	maxLowBits  = 62
)

// symbols reads residuals made of letters.
type symbols struct {
	letters [maxLetters]int64
	codes   []byte
	low     packed
	lowBits uint
	group   uint // log2 of the residuals a symbol stands for
}

// simple reports whether each symbol is a residual.
func (s *symbols) simple() bool { return s.lowBits == 0 && s.group == 0 }

func (c *integers) openSymbols(in *input) {
	s := &c.symbols
	form := in.byte()
	s.lowBits, s.group = uint(form&lowBitsMask), uint(form>>groupShift)
	letters := int(in.byte()) + 1
	if s.lowBits > maxLowBits || s.group > 0 && (s.lowBits > 0 || letters > 1<<(8>>s.group)) {
		in.fail("%d letters in symbols of form %d", letters, form)
		return
	}
	clear(s.letters[letters:])
	c.nested(in, s.letters[:letters], len(deepest)-1)
	for i := range s.letters[:letters] {
		s.letters[i] <<= s.lowBits
	}
	c.patches.open(in, c)
	count := (c.rows + 1<<s.group - 1) >> s.group
	c.scratch.bytes = resized(c.scratch.bytes, count)
	s.codes = c.scratch.bytes
	c.takeHuffman(in, s.codes)
	s.low.open(in, c.rows, s.lowBits)
}

// takeHuffman fills dst with symbols.
func (c *integers) takeHuffman(in *input, dst []byte) {
	size := in.uvarint()
	if size == 0 {
		only := in.byte()
		for i := range dst {
			dst[i] = only
		}
		return
	}
	src := in.take(int(min(size>>1, 1<<40)))
	if in.err != nil {
		return
	}
	if c.scratch.huffman == nil {
		c.scratch.huffman = new(huff0.Scratch)
	}
	table, code, err := huff0.ReadTable(src, c.scratch.huffman)
	if err != nil {
		in.fail("Huffman table: %w", err)
		return
	}
	var out []byte
	if size&1 != 0 {
		out, err = table.Decoder().Decompress4X(dst[:len(dst):len(dst)], code)
	} else {
		out, err = table.Decoder().Decompress1X(dst[:0:len(dst)], code)
	}
	if err != nil || len(out) != len(dst) {
		in.fail("Huffman code of %d symbols: %w", len(dst), err)
	}
}

// fill writes the next len(dst) residuals. All calls but the last must ask for
// a multiple of eight.
func (s *symbols) fill(dst []int64) {
	switch s.group {
	case 0:
		codes := s.codes[:len(dst)]
		s.codes = s.codes[len(dst):]
		if s.lowBits == 0 {
			for i, code := range codes {
				dst[i] = s.letters[code]
			}
			return
		}
		s.low.fill(dst, 0)
		for i, code := range codes {
			dst[i] += s.letters[code]
		}
	case 1:
		codes := s.codes[:(len(dst)+1)/2]
		s.codes = s.codes[len(codes):]
		for _, code := range codes[:len(dst)/2] {
			pair := (*[2]int64)(dst)
			pair[0] = s.letters[code&15]
			pair[1] = s.letters[code>>4]
			dst = dst[2:]
		}
		if len(dst) > 0 {
			dst[0] = s.letters[codes[len(codes)-1]&15]
		}
	default:
		step := uint(8) >> s.group // bits a residual
		mask := byte(1)<<step - 1
		for len(dst) > 0 {
			code := s.codes[0]
			s.codes = s.codes[1:]
			n := min(len(dst), 1<<s.group)
			for i := range dst[:n] {
				dst[i] = s.letters[code&mask]
				code >>= step & 7
			}
			dst = dst[n:]
		}
	}
}

// fillSums is fill and sums in one, for simple symbols.
func (s *symbols) fillSums(dst []int64, sum int64) int64 {
	codes := s.codes[:len(dst)]
	s.codes = s.codes[len(dst):]
	for i, code := range codes {
		sum += s.letters[code]
		dst[i] = sum
	}
	return sum
}

// maxVarint is the longest varint of 64 bits.
const maxVarint = 10

func (c *integers) openZstd(in *input) {
	src := in.take(int(min(in.uvarint(), 1<<40)))
	if in.err != nil {
		return
	}
	if need := maxVarint * c.rows; cap(c.scratch.bytes) < need {
		c.scratch.bytes = make([]byte, need)
	}
	// The decoder stops at the capacity of what it is given.
	plain, err := zstdDecoder().DecodeAll(src, c.scratch.bytes[:0:maxVarint*c.rows])
	if err != nil {
		in.fail("zstd: %w", err)
		return
	}
	c.listed = resized(c.listed, c.rows)
	varints := input{rest: plain}
	for i := range c.listed {
		c.listed[i] = varints.varint()
	}
	if varints.err != nil || len(varints.rest) != 0 {
		in.fail("zstd: not %d residuals", c.rows)
	}
}

var zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
	decoder, err := zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err) // only for options that are not ours
	}
	return decoder
})
