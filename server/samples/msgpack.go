package samples

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/seen"
)

// decodeMsgpack reads r.body: https://github.com/msgpack/msgpack/blob/master/spec.md
func decodeMsgpack(r *request) error {
	p := msgpackParser{r: r, b: r.body.Bytes, channel: -1}
	r.describe = describeMsgpack
	if err := p.top(); err != nil {
		return err
	}
	if p.i < len(p.b) {
		return p.failed(p.i, strconv.Itoa(len(p.b)-p.i)+" bytes follow the request")
	}
	return nil
}

// msgpackParser is where a body is being read. Byte i is the next.
type msgpackParser struct {
	r       *request
	b       []byte
	i       int
	channel int    // the position of the channel being read, -1 outside
	field   string // the member being read, "" outside

	labelsBefore *seen.Entry[model.Labels] // of the channel before; nil where they are not kept
}

func (p *msgpackParser) fail(want string) error {
	return p.failed(p.i, "want "+want+", got "+describeMsgpack(p.b, p.i))
}

func (p *msgpackParser) failed(at int, what string) error {
	return malformed("byte " + strconv.Itoa(at) + place(p.channel, p.field) + ": " + what)
}

// The first bytes of what is read. Those in sequence mean 1, 2, 4 and 8 bytes.
const (
	mpNil     = 0xc0
	mpFalse   = 0xc2
	mpTrue    = 0xc3
	mpBin8    = 0xc4
	mpFloat32 = 0xca
	mpFloat64 = 0xcb
	mpUint8   = 0xcc
	mpInt8    = 0xd0
	mpStr8    = 0xd9
	mpList16  = 0xdc
	mpMap16   = 0xde
)

// describeMsgpack returns what stands at a place of a body.
func describeMsgpack(b []byte, at int) string {
	if at >= len(b) {
		return "the end of the body"
	}
	p := msgpackParser{b: b, i: at}
	if text, ok := p.str(); ok {
		return quote(text)
	}
	if v, kind := p.number(); kind == isGood {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	switch b[at] {
	case mpNil:
		return "nil"
	case mpFalse:
		return "false"
	case mpTrue:
		return "true"
	}
	return fmt.Sprintf("an element of type 0x%02x", b[at])
}

// length reads the big-endian length of 1<<width bytes after the first byte; ok
// is false where the body ends.
func (p *msgpackParser) length(width int) (n, start int, ok bool) {
	at := p.i + 1
	if len(p.b)-at < 1<<width {
		return 0, 0, false
	}
	switch width {
	case 0:
		n = int(p.b[at])
	case 1:
		n = int(binary.BigEndian.Uint16(p.b[at:]))
	case 2:
		n = int(binary.BigEndian.Uint32(p.b[at:]))
	}
	return n, at + 1<<width, true
}

// counted reads the start of a list or map: fixed is the first byte of one with
// up to 15 elements, wide that of one with 16 bits of length. ok is false where
// there is none or where the body is too short for so many elements.
func (p *msgpackParser) counted(fixed, wide byte, least int) (n int, ok bool) {
	if p.i >= len(p.b) {
		return 0, false
	}
	start := p.i + 1
	switch c := p.b[p.i]; {
	case c&0xf0 == fixed:
		n, ok = int(c&0x0f), true
	case c == wide, c == wide+1:
		n, start, ok = p.length(1 + int(c-wide))
	}
	if !ok || n > (len(p.b)-start)/least {
		return 0, false
	}
	p.i = start
	return n, true
}

// str reads a string. What it returns lies in the body.
func (p *msgpackParser) str() (text []byte, ok bool) {
	if p.i >= len(p.b) {
		return nil, false
	}
	n, start := 0, p.i+1
	switch c := p.b[p.i]; {
	case c&0xe0 == 0xa0:
		n, ok = int(c&0x1f), true
	case c >= mpStr8 && c <= mpStr8+2:
		n, start, ok = p.length(int(c - mpStr8))
	}
	if !ok || n > len(p.b)-start {
		return nil, false
	}
	p.i = start + n
	return p.b[start:p.i], true
}

// bin reads bytes, whose number must be a multiple of 8.
func (p *msgpackParser) bin() (content []byte, err error) {
	n, start, ok := p.length(int(p.b[p.i] - mpBin8))
	switch {
	case !ok || n > len(p.b)-start:
		return nil, p.failed(p.i, "the body ends inside binary")
	case n%8 != 0:
		return nil, p.failed(p.i, strconv.Itoa(n)+" bytes of binary are no whole number of 8-byte elements")
	}
	p.i = start + n
	return p.b[start:p.i], nil
}

// null reads a nil, if it is the next.
func (p *msgpackParser) null() bool {
	if p.i < len(p.b) && p.b[p.i] == mpNil {
		p.i++
		return true
	}
	return false
}

// isBin reports whether binary is next.
func (p *msgpackParser) isBin() bool {
	return p.i < len(p.b) && p.b[p.i] >= mpBin8 && p.b[p.i] <= mpBin8+2
}

// float reads a floating-point number.
func (p *msgpackParser) float() (v float64, ok bool) {
	if p.i >= len(p.b) {
		return 0, false
	}
	rest := p.b[p.i+1:]
	switch c := p.b[p.i]; {
	case c == mpFloat64 && len(rest) >= 8:
		p.i += 9
		return math.Float64frombits(binary.BigEndian.Uint64(rest)), true
	case c == mpFloat32 && len(rest) >= 4:
		p.i += 5
		return float64(math.Float32frombits(binary.BigEndian.Uint32(rest))), true
	}
	return 0, false
}

// whole reads an integer of any type: n, unless it is unsigned and large is
// true, beyond int64.
func (p *msgpackParser) whole() (n int64, large, ok bool) {
	if p.i >= len(p.b) {
		return 0, false, false
	}
	c := p.b[p.i]
	if c < 0x80 || c >= 0xe0 {
		p.i++
		return int64(int8(c)), false, true
	}
	if c < mpUint8 || c > mpInt8+3 {
		return 0, false, false
	}
	rest, width, signed := p.b[p.i+1:], (c-mpUint8)&3, c >= mpInt8
	if len(rest) < 1<<width {
		return 0, false, false
	}
	p.i += 1 + 1<<width
	var u uint64
	switch width {
	case 0:
		u = uint64(rest[0])
	case 1:
		u = uint64(binary.BigEndian.Uint16(rest))
	case 2:
		u = uint64(binary.BigEndian.Uint32(rest))
	default:
		u = binary.BigEndian.Uint64(rest)
	}
	if signed {
		unused := 64 - 8<<width
		return int64(u<<unused) >> unused, false, true
	}
	return int64(u), u > math.MaxInt64, true
}

// number reads a number of any type.
func (p *msgpackParser) number() (float64, kind) {
	if v, ok := p.float(); ok {
		return v, isGood
	}
	switch n, large, ok := p.whole(); {
	case !ok:
		return 0, isOther
	case large:
		return float64(uint64(n)), isGood
	default:
		return float64(n), isGood
	}
}

// integer reads a number, which is odd unless it is an int64.
func (p *msgpackParser) integer() (int64, kind) {
	n, large, ok := p.whole()
	if ok && !large {
		return n, isGood
	}
	if ok {
		return 0, isOdd
	}
	if v, ok := p.float(); ok {
		return wholeNumber(v)
	}
	return 0, isOther
}

// valueWord reads nil, a word that stands for a number, or another string or
// literal.
func (p *msgpackParser) valueWord() (float64, kind) {
	if p.i >= len(p.b) {
		return 0, isOther
	}
	switch p.b[p.i] {
	case mpNil:
		p.i++
		return 0, isNull
	case mpFalse, mpTrue:
		p.i++
		return 0, isOdd
	}
	if text, ok := p.str(); ok {
		return wordValue(text)
	}
	return 0, isOther
}
