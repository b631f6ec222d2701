package disk

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Every file of frames begins with a header, integers in little endian:
//
//	byte  0  8    magic: HOKANSEG, HOKANBLK, HOKANCKP or HOKANUPL
//	byte  8  u16  version of the file's format, from 1
//	byte 10  u16  kind, as FileKind
//	byte 12  u32  CRC-32C of bytes 0 to 11 and 16 to 47
//	byte 16  32   salt: random bytes, other in every file
const HeaderSize = 48

// SaltSize is the size of a file's salt, in bytes.
const SaltSize = 32

// FileKind tells what a file holds. Numbers are part of the format.
type FileKind uint16

// The kinds of file.
const (
	KindSegment    FileKind = 1
	KindBlock      FileKind = 2
	KindCheckpoint FileKind = 3
	KindUpload     FileKind = 4
)

var magics = map[FileKind]string{
	KindSegment:    "HOKANSEG",
	KindBlock:      "HOKANBLK",
	KindCheckpoint: "HOKANCKP",
	KindUpload:     "HOKANUPL",
}

// String returns the word for the kind.
func (k FileKind) String() string {
	switch k {
	case KindSegment:
		return "segment"
	case KindBlock:
		return "block"
	case KindCheckpoint:
		return "checkpoint"
	case KindUpload:
		return "uploaded file"
	}
	return fmt.Sprintf("file kind %d", uint16(k))
}

// FileHeader is what a header says.
type FileHeader struct {
	Kind    FileKind
	Version uint16
	Salt    [SaltSize]byte
}

// NewSalt returns random bytes for a new file.
func NewSalt() (salt [SaltSize]byte) {
	rand.Read(salt[:]) // never fails: it ends the process where there is no randomness
	return salt
}

// AppendHeader appends the header of a file.
func AppendHeader(dst []byte, h FileHeader) []byte {
	start := len(dst)
	dst = append(dst, (magics[h.Kind] + "????????")[:8]...)
	dst = binary.LittleEndian.AppendUint16(dst, h.Version)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(h.Kind))
	sum := crc32.Update(Checksum(dst[start:]), castagnoli, h.Salt[:])
	dst = binary.LittleEndian.AppendUint32(dst, sum)
	return append(dst, h.Salt[:]...)
}

// BeforeFreeze is the error for a file of a version that was given up before the
// format was frozen.
func BeforeFreeze(kind FileKind, version uint16) error {
	return fmt.Errorf("%w, or by one from before the format was frozen: %v version %d", ErrVersion, kind, version)
}

// ReadHeader reads the header that b begins with and checks that the file is
// of this kind and of no greater version. The error is ErrShortFrame when b is
// too short, ErrVersion when the version is greater, and else ErrCorrupt.
func ReadHeader(b []byte, kind FileKind, version uint16) (FileHeader, error) {
	if len(b) < HeaderSize {
		return FileHeader{}, fmt.Errorf("file header %w: %d bytes of %d", ErrShortFrame, len(b), HeaderSize)
	}
	stored := binary.LittleEndian.Uint32(b[12:])
	if sum := crc32.Update(Checksum(b[:12]), castagnoli, b[16:HeaderSize]); sum != stored {
		return FileHeader{}, fmt.Errorf("%w file header: checksum %08x, stored %08x", ErrCorrupt, sum, stored)
	}
	h := FileHeader{
		Kind:    FileKind(binary.LittleEndian.Uint16(b[10:])),
		Version: binary.LittleEndian.Uint16(b[8:]),
		Salt:    [SaltSize]byte(b[16:HeaderSize]),
	}
	if h.Kind != kind || string(b[:8]) != magics[kind] {
		return FileHeader{}, fmt.Errorf("%w file header: %q is a %v, not a %v", ErrCorrupt, b[:8], h.Kind, kind)
	}
	if h.Version > version {
		return FileHeader{}, fmt.Errorf("%v %w: version %d, at most %d is known", kind, ErrVersion, h.Version, version)
	}
	if h.Version == 0 {
		return FileHeader{}, fmt.Errorf("%w file header: version 0", ErrCorrupt)
	}
	return h, nil
}
