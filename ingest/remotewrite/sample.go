package remotewrite

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// The tags of fields as they are mostly written: in one byte.
const (
	tag1Bytes   = 1<<3 | byte(protowire.BytesType)
	tag1Fixed64 = 1<<3 | byte(protowire.Fixed64Type)
	tag2Bytes   = 2<<3 | byte(protowire.BytesType)
	tag2Varint  = 2<<3 | byte(protowire.VarintType)
)

// plainSample reads a sample as every sender writes it: value, then time.
func plainSample(b []byte) (value float64, at int64, ok bool) {
	if len(b) < 11 || b[0] != tag1Fixed64 || b[9] != tag2Varint {
		return 0, 0, false
	}
	bits := binary.LittleEndian.Uint64(b[1:])
	t, n := protowire.ConsumeVarint(b[10:])
	return math.Float64frombits(bits), int64(t), n == len(b)-10
}

// anySample reads a sample in any form: fields may be missing, doubled, or of a
// newer version.
func anySample(b []byte) (value float64, at int64, ok bool) {
	ok = fields(b, func(number protowire.Number, kind protowire.Type, _ []byte, v uint64) bool {
		switch number {
		case 1:
			value = math.Float64frombits(v)
			return kind == protowire.Fixed64Type
		case 2:
			at = int64(v)
			return kind == protowire.VarintType
		}
		return true
	})
	return value, at, ok
}

// plainBytes takes a field of bytes off the front of b if its tag is in one byte,
// and its length too.
func plainBytes(b []byte, tag byte) (content, rest []byte, ok bool) {
	if len(b) < 2 || b[0] != tag || b[1] >= 0x80 || len(b)-2 < int(b[1]) {
		return nil, b, false
	}
	end := 2 + int(b[1])
	return b[2:end], b[end:], true
}

// plainField takes any field of bytes off the front of b if its tag is in one
// byte, and its length too.
func plainField(b []byte) (number protowire.Number, content, rest []byte, ok bool) {
	if len(b) < 2 || b[0]&(0x80|7) != byte(protowire.BytesType) || b[0] < 1<<3 || b[1] >= 0x80 || len(b)-2 < int(b[1]) {
		return 0, nil, b, false
	}
	end := 2 + int(b[1])
	return protowire.Number(b[0] >> 3), b[2:end], b[end:], true
}

// anyField takes a field of any form off the front of b. Its content is what is
// behind the length, of bytes, else its value as it stands.
func anyField(b []byte) (number protowire.Number, kind protowire.Type, content, rest []byte, ok bool) {
	number, kind, n := protowire.ConsumeTag(b)
	if n < 0 {
		return 0, 0, nil, nil, false
	}
	b = b[n:]
	if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
		return 0, 0, nil, nil, false
	}
	content, rest = b[:n], b[n:]
	if kind == protowire.BytesType {
		content, _ = protowire.ConsumeBytes(content)
	}
	return number, kind, content, rest, true
}
