package block

import (
	"encoding/binary"
	"math"
)

// input reads the numbers of a payload one after another. Once something
// cannot be read it stays failed and everything reads as 0, so that callers
// test once.
type input struct {
	rest   []byte
	failed bool
}

func (in *input) uvarint() uint64 {
	if len(in.rest) > 0 && in.rest[0] < 0x80 {
		v := uint64(in.rest[0])
		in.rest = in.rest[1:]
		return v
	}
	v, n := binary.Uvarint(in.rest)
	if n <= 0 {
		return in.fail()
	}
	in.rest = in.rest[n:]
	return v
}

func (in *input) fail() uint64 {
	in.rest, in.failed = nil, true
	return 0
}

func (in *input) varint() int64 {
	v := in.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// uint32Varint reads a uvarint that must fit 32 bits.
func (in *input) uint32Varint() uint32 {
	v := in.uvarint()
	if v > math.MaxUint32 {
		v = in.fail()
	}
	return uint32(v)
}

// payloadLength reads the length of a frame's payload.
func (in *input) payloadLength() uint32 {
	v := in.uvarint()
	if v > maxPayload {
		v = in.fail()
	}
	return uint32(v)
}

// count reads a number of things of at least size bytes each, which must all
// follow.
func (in *input) count(size int) int {
	v := in.uvarint()
	if v > uint64(len(in.rest)/size) {
		v = in.fail()
	}
	return int(v)
}

func (in *input) bytes(n uint64) []byte {
	if n > uint64(len(in.rest)) {
		in.fail()
		return nil
	}
	b := in.rest[:n]
	in.rest = in.rest[n:]
	return b
}

func (in *input) byte() byte {
	if b := in.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (in *input) uint32() uint32 {
	if b := in.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}
