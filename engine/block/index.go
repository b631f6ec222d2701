package block

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// ChunkRef is a chunk's header, as the index holds it: all that pruning and
// whole-chunk aggregation need.
type ChunkRef struct {
	Channel  model.ChannelID
	Encoding chunk.Encoding
	Summary  model.Aggregate // of all its rows
	Position int64           // of its frame in the file
	Length   uint32          // of the frame's payload
	crc      uint32          // in the frame's header
}

// end returns the position behind the chunk's frame.
func (c *ChunkRef) end() int64 { return c.Position + disk.FrameHeaderSize + int64(c.Length) }

// The bits of an entry's shape.
const (
	hasQuality = 1 << iota
	hasLast
	hasLeast
	hasMost
	hasSum
	hasCompensation
	reservedShape = 0xC0
)

func differ(a, b float64) bool { return math.Float64bits(a) != math.Float64bits(b) }

// shapeOf returns which optional fields s needs.
func shapeOf(s *model.Aggregate) byte {
	var shape byte
	set := func(bit byte, needed bool) {
		if needed {
			shape |= bit
		}
	}
	set(hasQuality, s.Quality != 0)
	if s.Count != 0 {
		set(hasLast, differ(s.Last, s.First))
		set(hasLeast, differ(s.Min, s.First))
		set(hasMost, differ(s.Max, s.Last))
		set(hasSum, differ(s.Sum, s.First))
		set(hasCompensation, differ(s.Compensation, 0))
	}
	return shape
}

// appendEntry encodes c after the entry before, which is zero at the start of
// a page.
func appendEntry(dst []byte, before, c *ChunkRef) []byte {
	s := &c.Summary
	shape := shapeOf(s)
	dst = binary.AppendUvarint(dst, uint64(c.Channel-before.Channel))
	dst = append(dst, byte(c.Encoding), shape)
	dst = binary.AppendUvarint(dst, s.Count)
	if shape&hasQuality != 0 {
		dst = binary.AppendUvarint(dst, s.Quality)
	}
	dst = binary.AppendVarint(dst, s.FirstTime-before.Summary.FirstTime)
	dst = binary.AppendUvarint(dst, uint64(s.LastTime)-uint64(s.FirstTime))
	dst = binary.AppendUvarint(dst, uint64(c.Length))
	dst = binary.LittleEndian.AppendUint32(dst, c.crc)
	if s.Count == 0 {
		return dst
	}
	put := func(v float64) { dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v)) }
	put(s.First)
	for _, field := range [...]struct {
		bit   byte
		value float64
	}{{hasLast, s.Last}, {hasLeast, s.Min}, {hasMost, s.Max}, {hasSum, s.Sum}, {hasCompensation, s.Compensation}} {
		if shape&field.bit != 0 {
			put(field.value)
		}
	}
	return dst
}

// entries reads the entries of one index page, one after another.
type entries struct {
	in  input
	ref ChunkRef // the last one read
}

// start begins with the page's payload.
func (e *entries) start(payload []byte) {
	*e = entries{in: input{rest: payload}}
	position := e.in.uvarint()
	if position > math.MaxInt64/2 {
		position = e.in.fail()
	}
	// An empty chunk that ends where the first one begins.
	e.ref.Position = int64(position) - disk.FrameHeaderSize
}

var errEntry = errors.New("the index page is damaged")

// next reads the next entry into e.ref, false at the end of the page. p is
// what the directory says of the page and end where the chunks end: nothing
// may lie outside.
func (e *entries) next(p *page, end int64) (bool, error) {
	in, ref := &e.in, &e.ref
	if len(in.rest) == 0 && !in.failed {
		return false, nil
	}
	ref.Position = ref.end()
	channel := ref.Channel
	beforeLast := ref.Summary.LastTime
	ref.Channel += model.ChannelID(in.uint32Varint())
	ref.Encoding = chunk.Encoding(in.byte())
	shape := in.byte()
	s := &ref.Summary
	s.Count = in.uvarint()
	s.Quality = 0
	if shape&hasQuality != 0 {
		s.Quality = in.uvarint()
	}
	s.FirstTime += in.varint()
	s.LastTime = int64(uint64(s.FirstTime) + in.uvarint())
	ref.Length = in.payloadLength()
	ref.crc = in.uint32()
	in.numbers(s, shape)
	if in.failed || shape&reservedShape != 0 || ref.Channel < channel || ref.Channel == 0 ||
		s.Count > maxChunkRows || s.Quality > maxChunkRows || s.Rows() == 0 ||
		s.LastTime < s.FirstTime || ref.Channel == channel && s.FirstTime <= beforeLast ||
		ref.Channel < p.firstChannel || ref.Channel > p.lastChannel ||
		s.FirstTime < p.first || s.LastTime > p.last ||
		ref.Position < disk.HeaderSize || ref.end() > end {
		return false, errEntry
	}
	return true, nil
}

// numbers reads the float64 of an entry into s.
func (in *input) numbers(s *model.Aggregate, shape byte) {
	s.Min, s.Max, s.First, s.Last, s.Sum, s.Compensation = 0, 0, 0, 0, 0, 0
	if s.Count == 0 {
		return
	}
	s.First = in.float64()
	s.Last, s.Min, s.Sum = s.First, s.First, s.First
	if shape&hasLast != 0 {
		s.Last = in.float64()
	}
	if shape&hasLeast != 0 {
		s.Min = in.float64()
	}
	s.Max = s.Last
	if shape&hasMost != 0 {
		s.Max = in.float64()
	}
	if shape&hasSum != 0 {
		s.Sum = in.float64()
	}
	if shape&hasCompensation != 0 {
		s.Compensation = in.float64()
	}
}

// appendPageStart begins an index page, whose first chunk is at position.
func appendPageStart(dst []byte, position int64) []byte {
	return binary.AppendUvarint(dst, uint64(position))
}
