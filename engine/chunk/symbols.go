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
//	…   …  uvarint 2·size + 1 where there are four streams, and size bytes: the
//	       Huffman table and the code of ⌈rows/2^g⌉ symbols; or a 0 and one byte,
//	       which is all the symbols
//	…   …  packed low bits, see pack.go
//
// The table is a tree description as in RFC 8878, 4.2.1, the code one stream of
// 4.2.2 or, behind a jump table, four of them, of which the first three have a
// quarter of the symbols, rounded up: 3.1.1.3.1.6. Unlike there, symbols may be
// more than 128 KiB, and tables are never those of a column before.
//
// A symbol is the number of a letter. Where it stands for several residuals,
// their letters' numbers are in its bits from the lowest on, 8/2^g bits each, of
// which there are 2^(8/2^g) at most; bits for residuals after the last row are 0.
// Letters beyond those listed are 0, but no encoder uses them.
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
	letters  [maxLetters]int64
	codes    []byte
	low      packed
	lowBits  uint
	logGroup uint // log2 of the residuals a symbol stands for
	sums     [maxLetters]int64
	summed   bool // sums are those of the letters of each code
}

func (c *integers) openSymbols(in *input) {
	s := &c.symbols
	form := in.byte()
	s.summed = false
	s.lowBits, s.logGroup = uint(form&lowBitsMask), uint(form>>groupShift)
	letters := int(in.byte()) + 1
	if s.lowBits > maxLowBits || s.logGroup > 0 && (s.lowBits > 0 || letters > 1<<(8>>s.logGroup)) {
		in.fail("%d letters in symbols of form %d", letters, form)
		return
	}
	clear(s.letters[letters:])
	c.nested(in, s.letters[:letters], len(deepest)-1)
	for i := range s.letters[:letters] {
		if i > 0 && s.letters[i]<<s.lowBits <= s.letters[i-1] {
			in.fail("letters that do not ascend")
			return
		}
		s.letters[i] <<= s.lowBits
	}
	c.patches.open(in, c)
	count := (c.rows + 1<<s.logGroup - 1) >> s.logGroup
	c.scratch.bytes = resized(c.scratch.bytes, count)
	s.codes = c.scratch.bytes
	c.takeHuffman(in, s.codes)
	if inLast := c.rows & (1<<s.logGroup - 1); inLast > 0 && s.codes[count-1]>>(inLast*(8>>s.logGroup)) != 0 {
		in.fail("letters after the last row")
		return
	}
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
	codes := s.codes[:(len(dst)+1<<s.logGroup-1)>>s.logGroup]
	s.codes = s.codes[len(codes):]
	switch {
	case s.logGroup > 0:
		s.fillGroups(dst, codes)
	case s.lowBits > 0:
		s.low.fillLetters(dst, codes, &s.letters)
	default:
		spell(dst, codes, &s.letters)
	}
}

// spell writes the letter of each code, eight at a time.
func spell(dst []int64, codes []byte, letters *[maxLetters]int64) {
	for len(dst) >= lanes && len(codes) >= lanes {
		group, code := (*[lanes]int64)(dst), (*[lanes]byte)(codes)
		group[0], group[1] = letters[code[0]], letters[code[1]]
		group[2], group[3] = letters[code[2]], letters[code[3]]
		group[4], group[5] = letters[code[4]], letters[code[5]]
		group[6], group[7] = letters[code[6]], letters[code[7]]
		dst, codes = dst[lanes:], codes[lanes:]
	}
	for i, code := range codes {
		dst[i] = letters[code]
	}
}

func (s *symbols) fillGroups(dst []int64, codes []byte) {
	if s.logGroup == 1 {
		letters := (*[16]int64)(s.letters[:])
		for i := 0; i+4 <= len(codes) && 2*i+8 <= len(dst); i += 4 {
			code, group := (*[4]byte)(codes[i:]), (*[lanes]int64)(dst[2*i:])
			group[0], group[1] = letters[code[0]&15], letters[code[0]>>4]
			group[2], group[3] = letters[code[1]&15], letters[code[1]>>4]
			group[4], group[5] = letters[code[2]&15], letters[code[2]>>4]
			group[6], group[7] = letters[code[3]&15], letters[code[3]>>4]
		}
	} else if s.logGroup == 2 {
		letters := (*[4]int64)(s.letters[:])
		for i := 0; i+2 <= len(codes) && 4*i+8 <= len(dst); i += 2 {
			code, group := (*[2]byte)(codes[i:]), (*[lanes]int64)(dst[4*i:])
			group[0], group[1] = letters[code[0]&3], letters[code[0]>>2&3]
			group[2], group[3] = letters[code[0]>>4&3], letters[code[0]>>6]
			group[4], group[5] = letters[code[1]&3], letters[code[1]>>2&3]
			group[6], group[7] = letters[code[1]>>4&3], letters[code[1]>>6]
		}
	} else {
		for i := range len(dst) &^ (lanes - 1) {
			dst[i] = s.letters[codes[i>>3]>>(i&7)&1]
		}
	}
	step := uint(8) >> s.logGroup // bits a residual
	for i := len(dst) &^ (lanes - 1); i < len(dst); i++ {
		inside := uint(i) & (1<<s.logGroup - 1)
		dst[i] = s.letters[codes[i>>s.logGroup]>>(inside*step)&(1<<step-1)]
	}
}

// maxVarint is the longest varint of 64 bits.
const maxVarint = 10

func (c *integers) openZstd(in *input) {
	src := in.take(int(min(in.uvarint(), 1<<40)))
	decoder, err := zstdDecoder()
	if err != nil {
		in.fail("zstd: %w", err)
	}
	if in.err != nil {
		return
	}
	if need := maxVarint * c.rows; cap(c.scratch.bytes) < need {
		c.scratch.bytes = make([]byte, need)
	}
	// The decoder stops at the capacity of what it is given.
	plain, err := decoder.DecodeAll(src, c.scratch.bytes[:0:maxVarint*c.rows])
	if err != nil {
		in.fail("zstd: %w", err)
		return
	}
	c.ready = resized(c.ready, c.rows)
	varints := input{rest: plain}
	for i := range c.ready {
		c.ready[i] = varints.varint()
	}
	if varints.err != nil || len(varints.rest) != 0 {
		in.fail("zstd: not %d residuals", c.rows)
	}
}

// zstdDecoder decodes for all Decoders, as many columns at once as there are
// processors (0): by default it would be four, and queries would wait for each
// other.
var zstdDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderConcurrency(0))
})
