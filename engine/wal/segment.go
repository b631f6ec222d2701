package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/entry"
)

// A segment, integers in little endian; frames and the file header as package
// disk has them:
//
//	byte  0  48   file header, kind segment, version 3 (2 has no receipts)
//	byte 48  24   frame 0. Payload: u64 offset of the segment's first entry
//	byte 72       frames 1, 2, …: one for each entry. Payload:
//	                u64 tag: the first 8 bytes of the file header's salt
//	                u32 how many frames before this one were written in the
//	                    same write: 0 for the first
//	                    the encoded entry, which begins with its u64 offset
//	              at the end of a log that was closed, one more frame. Payload:
//	                u64 tag
//	                u64 the offset that the next entry would have had
//
// So the entry in frame n has the segment's first offset plus n-1, always. The
// header and frame 0 are durable before any entry is written, and each write
// is durable before the next begins.
//
// What follows from it for readers:
//
//   - A segment ends where the next one begins: an entry whose offset is the
//     next segment's first or greater is void. After a failed write (a full
//     disk) the segment is abandoned and a new one begins with the offset that
//     failed. Whole frames of the failed write may be in the old file; they
//     were refused, later entries have their offsets, and nobody may see them.
//     After a crash the new segment begins after the last entry that recovery
//     has handed over, so what recovery decided about a torn end stays decided.
//   - If the process ends between the failed write and the new segment, those
//     whole frames are handed over: entries that nobody was told are kept, and
//     whose offsets nothing else has.
//   - In the newest segment an unreadable place is a torn write, as long as
//     every readable frame behind it was written together with what is
//     unreadable: then nothing of that write was acknowledged. It is damage
//     when a later write, or the end of a closed log, follows.
//   - In any other segment every entry up to the next segment's first must be
//     there: else it is damage.
//   - If the header is damaged, the first readable frame tells the first
//     offset and the tag.
//   - Behind an unreadable place any byte may begin a frame, those within an
//     entry too, and what is in entries others decide. The tag, which nobody
//     knows, keeps them from writing a frame into one.
const (
	segmentVersion = 4
	oldestVersion  = 2                                          // that is read
	segmentHead    = disk.HeaderSize + disk.FrameHeaderSize + 8 // bytes before the first entry
	tagSize        = 8
	prefixSize     = tagSize + 4 // bytes before the entry in a payload
	endPayload     = tagSize + 8
	minEntryBytes  = 8 + 1 + 1 + 8 + 1 // offset, partition, kind, time, tenant's length
	minPayload     = prefixSize + minEntryBytes
	maxPayload     = prefixSize + entry.MaxBytes

	// maxSegmentBytes is more than any segment can grow to. A greater file is
	// not read into memory.
	maxSegmentBytes = 256 << 20
)

// noLimit is the limit of a segment that no other follows.
const noLimit = math.MaxUint64

// appendSegmentHead appends the header and frame 0.
func appendSegmentHead(dst []byte, salt [disk.SaltSize]byte, first uint64) []byte {
	dst = disk.AppendHeader(dst, disk.FileHeader{Kind: disk.KindSegment, Version: segmentVersion, Salt: salt})
	return disk.AppendFrame(dst, 0, binary.LittleEndian.AppendUint64(nil, first))
}

// tagOf returns the tag of the frames of a segment.
func tagOf(salt [disk.SaltSize]byte) uint64 { return binary.LittleEndian.Uint64(salt[:]) }

// identity is what tells frames of a segment from other bytes.
type identity struct {
	first uint64 // offset of the segment's first entry; 0: not known
	tag   uint64 // 0, while first is not known: not known
}

// readSegmentHead reads what appendSegmentHead wrote. Frame 0 is read even if
// the header is damaged; the tag is then not known. An error is at byte at.
func readSegmentHead(data []byte) (id identity, at int64, err error) {
	header, err := disk.ReadHeader(data, disk.KindSegment, segmentVersion)
	if len(data) < disk.HeaderSize {
		return identity{}, 0, err
	}
	payload, number, _, frameErr := disk.ReadFrame(data[disk.HeaderSize:])
	if frameErr == nil && (number != 0 || len(payload) != 8) {
		frameErr = fmt.Errorf("%w frame 0: number %d, %d bytes", disk.ErrCorrupt, number, len(payload))
	}
	if frameErr == nil {
		id.first = binary.LittleEndian.Uint64(payload)
	}
	if err == nil && header.Version < oldestVersion {
		err = disk.BeforeFreeze(disk.KindSegment, header.Version)
	}
	if err != nil {
		return id, 0, err
	}
	id.tag = tagOf(header.Salt)
	return id, disk.HeaderSize, frameErr
}

// frame is a whole frame that holds an entry, or that ends a closed log.
type frame struct {
	at, size int // in the segment
	tag      uint64
	number   uint32
	index    uint32 // frames before it in the same write
	offset   uint64
	body     []byte // the encoded entry; nil: the end of the log
}

// readFrame reads the frame at a place of a segment, without looking at what
// it says of its place among others.
func readFrame(data []byte, at int) (frame, error) {
	payload, number, size, err := disk.ReadFrame(data[at:])
	if err != nil {
		return frame{}, err
	}
	f := frame{at: at, size: size, number: number}
	switch {
	case len(payload) == endPayload:
		f.offset = binary.LittleEndian.Uint64(payload[tagSize:])
	case len(payload) >= minPayload && len(payload) <= maxPayload:
		f.index = binary.LittleEndian.Uint32(payload[tagSize:])
		f.body = payload[prefixSize:]
		f.offset = binary.LittleEndian.Uint64(f.body)
	default:
		return frame{}, fmt.Errorf("%w frame: %d bytes", disk.ErrCorrupt, len(payload))
	}
	f.tag = binary.LittleEndian.Uint64(payload)
	if number == 0 || f.index >= number || f.offset < uint64(number) {
		return frame{}, fmt.Errorf("%w frame: number %d, index %d, entry %d", disk.ErrCorrupt, number, f.index, f.offset)
	}
	return f, nil
}

// plausible reports whether a frame of a segment may begin at a place, without
// reading it all: most places are ruled out by a few bytes.
func plausible(data []byte, at int, id identity) bool {
	if len(data)-at < disk.FrameHeaderSize+endPayload {
		return false
	}
	head := data[at : at+disk.FrameHeaderSize+endPayload]
	if head[8]|head[9]|head[10]|head[11] != 0 {
		return false
	}
	length := binary.LittleEndian.Uint32(head)
	number := uint64(binary.LittleEndian.Uint32(head[4:]))
	var offset uint64
	switch {
	case number == 0 || number > uint64(len(data)/disk.FrameHeaderSize):
		return false
	case length == endPayload:
		offset = binary.LittleEndian.Uint64(head[disk.FrameHeaderSize+tagSize:])
	case length < minPayload || length > maxPayload || len(data)-at < disk.FrameHeaderSize+int(length):
		return false
	default:
		offset = binary.LittleEndian.Uint64(data[at+disk.FrameHeaderSize+prefixSize:])
	}
	tag := binary.LittleEndian.Uint64(head[disk.FrameHeaderSize:])
	if id.first == 0 {
		return offset >= number && offset < 1<<56 && (id.tag == 0 || id.tag == tag)
	}
	return offset == id.first+number-1 && tag == id.tag
}

// findFrame returns the first whole frame at or behind a place.
func findFrame(data []byte, at int, id identity) (frame, bool) {
	for ; at <= len(data)-disk.FrameHeaderSize; at++ {
		if !plausible(data, at, id) {
			continue
		}
		if f, err := readFrame(data, at); err == nil {
			return f, true
		}
	}
	return frame{}, false
}

// scanner reads the entries of one segment. It is the only reader of
// segments: replay, recovery and verification see the same.
type scanner struct {
	data   []byte
	id     identity
	limit  uint64 // the next segment's first offset, or noLimit
	at     int    // of the next frame
	number uint32 // of the next frame
	ended  bool   // the log was closed here

	fault func(at int, what string) // damage
	lost  func(at int, what string) // entries are missing from here up to the limit
	note  func(at int, what string) // to be expected after a crash or a full disk
}

func newScanner(data []byte, id identity, limit uint64) *scanner {
	ignore := func(int, string) {}
	return &scanner{data: data, id: id, limit: limit, at: min(segmentHead, len(data)), number: 1,
		fault: ignore, lost: ignore, note: ignore}
}

// offset returns the offset that the next entry must have.
func (s *scanner) offset() uint64 { return s.id.first + uint64(s.number) - 1 }

// expects reports whether f is the frame that comes next.
func (s *scanner) expects(f frame) bool {
	return f.tag == s.id.tag && f.number == s.number && f.offset == s.offset()
}

// next returns the next entry; false: there is none.
func (s *scanner) next() (frame, bool) {
	for !s.ended && s.offset() < s.limit {
		f, err := readFrame(s.data, s.at)
		if err == nil && !s.expects(f) {
			err = fmt.Errorf("%w frame: number %d of entry %d", disk.ErrCorrupt, f.number, f.offset)
		}
		if err != nil {
			if !s.skip(err) {
				return frame{}, false
			}
			continue
		}
		s.at += f.size
		if f.body == nil {
			s.end()
			return frame{}, false
		}
		s.number++
		return f, true
	}
	s.void()
	return frame{}, false
}

// end is called behind the frame that ends a closed log.
func (s *scanner) end() {
	s.ended = true
	if left := len(s.data) - s.at; left > 0 {
		s.fault(s.at, fmt.Sprintf("%d bytes after the end", left))
	}
	if s.limit != noLimit {
		s.lost(s.at, span(s.offset(), s.limit)+" missing")
	}
}

// skip goes on behind an unreadable place; false: nothing of this segment
// follows.
func (s *scanner) skip(cause error) bool {
	found, ok := s.find(s.at)
	if s.limit == noLimit {
		if !ok || !s.writtenLater(found) {
			if left := len(s.data) - s.at; left > 0 {
				s.note(s.at, fmt.Sprintf("%d bytes of a write that was not completed", left))
			}
			return false
		}
	} else if !ok || found.offset > s.limit {
		what := span(s.offset(), s.limit) + " missing"
		if s.at < len(s.data) {
			what = fmt.Sprintf("%v: %s", cause, what)
		}
		s.lost(s.at, what)
		return false
	}
	what := fmt.Sprintf("%v: %d bytes are not readable", cause, found.at-s.at)
	if found.number > s.number {
		what += ", " + span(s.offset(), found.offset) + " lost"
	}
	s.fault(s.at, what)
	s.at, s.number = found.at, found.number
	return true
}

// find returns the first whole frame from a place on that may follow here.
func (s *scanner) find(at int) (frame, bool) {
	for {
		f, ok := findFrame(s.data, at, s.id)
		if !ok || f.number >= s.number {
			return f, ok
		}
		at = f.at + 1
	}
}

// writtenLater reports whether f, or a frame behind it, was written after the
// write of the next expected frame was durable.
func (s *scanner) writtenLater(f frame) bool {
	for {
		if f.number-f.index > s.number {
			return true
		}
		var ok bool
		if f, ok = s.find(f.at + f.size); !ok {
			return false
		}
	}
}

// void looks at what follows the last entry of a segment that another follows.
func (s *scanner) void() {
	left := len(s.data) - s.at
	if left <= 0 || s.ended {
		return
	}
	f, err := readFrame(s.data, s.at)
	switch {
	case err != nil || !s.expects(f) || f.body != nil && f.index == 0:
		s.note(s.at, fmt.Sprintf("%d bytes of a write that failed or was not completed", left))
	case f.body == nil && f.size == left:
		// the end of a closed log
	case f.body == nil:
		s.fault(s.at+f.size, fmt.Sprintf("%d bytes after the end", left-f.size))
	default:
		s.fault(s.at, fmt.Sprintf("entry %d is here and in the next segment", f.offset))
	}
}

// span names the entries from one offset to just before another.
func span(from, to uint64) string {
	if from+1 == to {
		return fmt.Sprintf("entry %d", from)
	}
	return fmt.Sprintf("entries %d to %d", from, to-1)
}

// isNewer reports whether an error says that a newer program wrote a file.
func isNewer(err error) bool { return errors.Is(err, disk.ErrVersion) }
