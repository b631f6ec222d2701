package otlp

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"
)

// message is an encoded protobuf message of which one field after another is
// read.
type message struct {
	rest  []byte
	field []byte // the newest, with its tag

	number protowire.Number
	kind   protowire.Type
	word   uint64 // its value, if it is a number
	bytes  []byte // its value, if it is text, bytes or a message
	err    error
}

// next reads a field. It returns false at the end and where the message is
// damaged, which err then says.
func (m *message) next() bool {
	b := m.rest
	if len(b) == 0 {
		return false
	}
	n := 1
	if tag := b[0]; tag >= 8 && tag < 0x80 { // of the fields up to 15
		m.number, m.kind = protowire.Number(tag>>3), protowire.Type(tag&7)
	} else if m.number, m.kind, n = protowire.ConsumeTag(b); n < 0 {
		return m.fail(n)
	}
	size := 0
	switch m.kind {
	case protowire.Fixed64Type:
		if len(b) < n+8 {
			return m.fail(truncated)
		}
		m.word, size = binary.LittleEndian.Uint64(b[n:]), 8
	case protowire.BytesType:
		if m.bytes, size = protowire.ConsumeBytes(b[n:]); size < 0 {
			return m.fail(size)
		}
	case protowire.VarintType:
		if m.word, size = protowire.ConsumeVarint(b[n:]); size < 0 {
			return m.fail(size)
		}
	default:
		if size = protowire.ConsumeFieldValue(m.number, m.kind, b[n:]); size < 0 {
			return m.fail(size)
		}
	}
	m.field, m.rest = b[:n+size], b[n+size:]
	return true
}

// truncated is what protowire returns in place of a length where bytes end early.
const truncated = -1

func (m *message) fail(code int) bool {
	m.err = protowire.ParseError(code)
	return false
}

// isBytes reports whether the newest field is one of text, bytes or a message.
func (m *message) isBytes(number protowire.Number) bool {
	return m.number == number && m.kind == protowire.BytesType
}

func (m *message) isVarint(number protowire.Number) bool {
	return m.number == number && m.kind == protowire.VarintType
}

func (m *message) isFixed64(number protowire.Number) bool {
	return m.number == number && m.kind == protowire.Fixed64Type
}

// part is a message within another. Where it is given more than once, all of it
// counts as if it were one: as the bytes of one after the other.
type part struct {
	bytes []byte
	own   bool // the bytes are not of the body: more may be appended
}

func (p *part) add(more []byte) {
	switch {
	case p.bytes == nil:
		p.bytes = more
	case p.own:
		p.bytes = append(p.bytes, more...)
	default:
		p.bytes, p.own = append(append(make([]byte, 0, 2*(len(p.bytes)+len(more))), p.bytes...), more...), true
	}
}
