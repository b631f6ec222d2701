package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Every file is a header (header.go) and frames. A frame, integers in little
// endian:
//
//	byte  0  u32  bytes of stored payload, at most MaxPayload
//	byte  4  u32  number of the frame: no two in a file are equal
//	byte  8  u8   key number: 0 is plaintext, the only one yet
//	byte  9  3    zero
//	byte 12  u32  CRC-32C of bytes 0 to 11 and the stored payload
//	byte 16       stored payload
const FrameHeaderSize = 16

// MaxPayload bounds a frame's payload. A greater length is corruption.
const MaxPayload = 1 << 30

// ErrShortFrame says that a frame or header needs more bytes than there are.
// Whether that is a cut file or the end of a log only the caller knows.
var ErrShortFrame = errors.New("cut off")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum returns the CRC-32C (Castagnoli) of b.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// AppendFrame appends a frame that holds payload.
func AppendFrame(dst []byte, number uint32, payload []byte) []byte {
	start := len(dst)
	dst = append(BeginFrame(dst), payload...)
	return FinishFrame(dst, start, number)
}

// BeginFrame appends room for a frame's header. The payload follows it, then
// FinishFrame fills the header in.
func BeginFrame(dst []byte) []byte {
	var header [FrameHeaderSize]byte
	return append(dst, header[:]...)
}

// FinishFrame completes the frame that BeginFrame began when dst had start
// bytes: everything after its header is payload. It may be repeated after the
// payload or the number has changed.
func FinishFrame(dst []byte, start int, number uint32) []byte {
	header := dst[start : start+FrameHeaderSize]
	payload := dst[start+FrameHeaderSize:]
	binary.LittleEndian.PutUint32(header, uint32(len(payload)))
	binary.LittleEndian.PutUint32(header[4:], number)
	binary.LittleEndian.PutUint32(header[8:], 0)
	sum := crc32.Update(Checksum(header[:12]), castagnoli, payload)
	binary.LittleEndian.PutUint32(header[12:], sum)
	return dst
}

// ReadFrame reads the frame that b begins with. The payload is a part of b;
// size counts the frame's bytes, header included. The error is ErrShortFrame
// when b ends before the frame does, ErrVersion when it is whole but its key
// number is unknown, and else ErrCorrupt.
func ReadFrame(b []byte) (payload []byte, number uint32, size int, err error) {
	if len(b) < FrameHeaderSize {
		return nil, 0, 0, fmt.Errorf("frame header %w: %d bytes of %d", ErrShortFrame, len(b), FrameHeaderSize)
	}
	length := binary.LittleEndian.Uint32(b)
	if length > MaxPayload {
		return nil, 0, 0, fmt.Errorf("%w frame: length %d", ErrCorrupt, length)
	}
	if b[9]|b[10]|b[11] != 0 {
		return nil, 0, 0, fmt.Errorf("%w frame: reserved bytes are not zero", ErrCorrupt)
	}
	size = FrameHeaderSize + int(length)
	if len(b) < size {
		return nil, 0, 0, fmt.Errorf("frame %w: %d bytes of %d", ErrShortFrame, len(b), size)
	}
	payload = b[FrameHeaderSize:size:size]
	stored := binary.LittleEndian.Uint32(b[12:])
	if sum := crc32.Update(Checksum(b[:12]), castagnoli, payload); sum != stored {
		return nil, 0, 0, fmt.Errorf("%w frame: checksum %08x, stored %08x", ErrCorrupt, sum, stored)
	}
	if key := b[8]; key != 0 {
		return nil, 0, 0, fmt.Errorf("frame %w: key number %d", ErrVersion, key)
	}
	return payload, binary.LittleEndian.Uint32(b[4:]), size, nil
}
