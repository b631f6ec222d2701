package block

// A block file, in order. All integers are little-endian; "uvarint" is base
// 128 with the low group first, "zigzag" a uvarint of a signed number n as
// 2n or -2n-1. A difference is taken modulo 2^64.
//
//	header      disk.HeaderSize bytes: magic, version 3, KindBlock, salt
//	body        chunks, each a frame of values, behind a frame of times where it
//	            has times of its own; by ascending channel, then time. Between
//	            them, and behind them, stretches of frames of rollup rows, of up
//	            to 8,192 rows each: see rolluppage.go
//	channels    frames of about 16 KiB: labels and properties
//	index       frames of about 16 KiB: one entry per chunk
//	charges     frames of about 16 KiB: what channels are charged
//	notes       frames of about 16 KiB, if there are any: tombstones, retention
//	directory   one frame: where all these frames are
//	footer      120 bytes
//
// The frames (disk.AppendFrame) follow each other without a gap and are
// numbered 0, 1, 2, … in this order. What points to a frame also holds the
// checksum in its header ("frame CRC"), so that a frame in the wrong place is
// noticed. Every byte of the file is under one of these checksums or has only
// one valid value.
//
// A frame of values, or of times, has a column of as many rows as package chunk
// encodes it, nothing else. The chunk's header is its entry in the index. Times
// with one step between all of them are not stored: the first, the last and
// their number say it. Of equal columns of times in one block the first is
// stored: the channels of an instrument share a clock.
//
// An index frame's payload begins with
//
//	uvarint  position where its first chunk begins
//
// and then holds, up to its end, entries of chunks that follow each other
// without a gap:
//
//	uvarint  channel ID less the one before (the first: less 0)
//	u8       bits 0 to 3: encoding of times and values (chunk.Encoding)
//	         bits 4 to 7: decimals of the numbers below, 0 to 14; 15: none
//	uvarint  times: 0 regular, 1 stored, both described next; n + 2: those that
//	         the page described as its n-th, counted from 0
//	           if 0 or 1:
//	uvarint    rows less 1
//	zigzag     time of the first row, less that at which the chunk before would
//	           have gone on; of another channel, less that of the first chunk of
//	           the channel before (the first of the page: less 0)
//	zigzag     time of the last row, less that which the step of the chunk
//	           before would give (the first of the page: 0)
//	           if 1:
//	uvarint    0: its frame stands before that of the values; else how many
//	           bytes before that it begins
//	uvarint    length of its frame's payload
//	u32        its frame CRC
//	uvarint  length of the payload of the frame of values; the next chunk follows
//	u32      its frame CRC
//	uvarint  quality: rows that hold no number
//
// and, only where there are rows that do, five of these. The step of a chunk is
// its last time less its first, divided by its rows less 1, rounded down; 0
// with one row. It would go on a step after its last row. "The page" is the
// frame, and "before" means before in it.
//
// With decimals d, what stands here are integers; divided by 10^d they give the
// numbers:
//
//	zigzag   first number
//	zigzag   last number less the first
//	uvarint  the lesser of both less the least number
//	uvarint  greatest number less the greater of both
//	zigzag   sum less first * count
//
// With none they are float64, their 64 bits in reverse order, bit 63 as bit 0:
//
//	uvarint  first number
//	uvarint  last, least and greatest number, sum: each XOR the one before
//
// The sum is within 2^-51 of the sum of |v|.
//
// A channels frame's payload holds, up to its end, entries of
//
//	uvarint  channel ID less the one before (the first: less 0)
//	text     labels (model.Labels.Encoded), relative to those before
//	uvarint  number of versions of the properties; for each:
//	zigzag     valid from, less the one of the version before (the first: less 0)
//	u8         bit i: property i differs from the version before; bits 6, 7: 0
//	text       for each of the bits 0 to 4 that is set: name, unit, scaling,
//	           group, app, relative to the version before
//	uvarint    if bit 5 is set: decimals * 2 + 1, or 0 if there are none
//
// "The version before" may be another channel's; at the start of a frame it is
// empty. A text relative to another is
//
//	uvarint  bytes shared with the beginning of the other
//	uvarint  bytes shared with its end, beyond those
//	uvarint  number of bytes between, and these
//
// A charges frame's payload holds, up to its end, entries of
//
//	uvarint  channel ID less the one before (the first: less 0)
//	uvarint  number of days, at least 1; for each, ascending:
//	zigzag     UTC day since 1970 less the day after the one before; the first
//	           less the first of the channel before (the first of all: less 0)
//	zigzag     rows less those of the day before (the first of all: less 0)
//	zigzag     charged bytes less those of the day before, likewise
//
// "The day before" is the entry before, which may be another channel's.
//
// A notes frame's payload holds, up to its end, entries of u8 kind and
//
//	1 tombstone
//	uvarint  offset in the log: rows of entries before it are deleted
//	zigzag   from this time on
//	zigzag   up to before this time
//	uvarint  0: of every channel; else one more than the number of channels,
//	         and for each a uvarint: its ID less the one before (the first: 0)
//
//	2 retention, at most one
//	uvarint  number of bytes, and these: the rules in force
//
//	3 more, at most one: the same flush or compaction wrote another block after
//	this one; where there is none, this was its last
//
// The directory's payload is
//
//	uvarint  number of channels frames; for each:
//	uvarint    its first channel ID less the one before's
//	uvarint    length of its payload
//	u32        frame CRC
//	uvarint  number of index frames; for each:
//	uvarint    its first channel ID less the last one of the frame before
//	uvarint    its last channel ID less its first
//	zigzag     time of the earliest row less the one of the frame before
//	uvarint    time of the latest row less that of the earliest
//	uvarint    length of its payload
//	u32        frame CRC
//	…        the charges frames, as the channels frames
//	uvarint  number of notes frames; for each:
//	uvarint    length of its payload
//	u32        frame CRC
//	…        the frames of rollup rows of a second, of a minute, of an hour, of
//	         a day; of each step as the index frames, and last for each:
//	uvarint    where it begins less where the one before of the step ended; the
//	           first: less where the header ended
//	uvarint  number of runs of channels, ascending; for each:
//	uvarint    its first channel ID less the last one of the run before
//	uvarint    its last channel ID less its first
//	u8         what the block has of each channel in the run that it holds:
//	           bit 0 raw rows; bits 1 to 4 rollups of 1 s, 1 min, 1 h, 1 d
//
// The footer is
//
//	  0  u64  position of the first channels frame, where the body ends
//	  8  u64  position of the directory's frame
//	 16  u32  length of the directory's payload
//	 20  u32  its frame CRC
//	 24  u64  raw rows
//	 32  u64  chunks
//	 40  u64  rollup rows
//	 48  u64  charged bytes
//	 56  u64  raw rows that are not charged
//	 64  i64  time of the earliest row, nanoseconds since 1970
//	 72  i64  time of the latest row
//	 80  u64  offset in the log of the first entry whose rows may be here
//	 88  u64  … of the last
//	 96  u64  epoch of the process that wrote the block
//	104  u32  channels
//	108  u32  CRC32C of bytes 0 to 107
//	112       "HOKANEND"

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// Level is the level in the names of blocks that hold one flush.
const Level = "flush"

const (
	version = 3
	// pageBytes is where a channels or index page ends: small enough to be
	// read for one channel, large enough that the directory of 512 MiB stays
	// below 100 KiB.
	pageBytes  = 16 << 10
	footerSize = 120
	endMagic   = "HOKANEND"
	// maxChunkRows and maxPayload bound a chunk and every frame: no damage makes
	// a reader ask for more memory than that.
	maxChunkRows = chunk.MaxRows
	maxPayload   = 32 << 20
)

// Meta describes a whole block: what the manifest needs to choose it.
type Meta struct {
	Name        string // of the file: disk.BlockName.String
	Level       string // in that name
	Rows        uint64 // raw ones
	RollupRows  uint64
	Bytes       uint64 // of the file
	ChunkBytes  uint64 // of those, the chunks: the raw rows
	RollupBytes uint64 // and the rollups; the rest is labels and index
	Chunks      uint64
	Channels    uint64
	First, Last int64 // times of the earliest and the latest row
	// The log entries whose rows it holds lie between these offsets.
	FirstOffset, LastOffset uint64
	Epoch                   uint64
	Charged                 uint64 // bytes, the sum of its charges
	Uncharged               uint64 // raw rows that have no charge
	// CleanTo is the offset up to which every deletion was heeded when the block
	// was written: what they hide is not in it. 0: those up to LastOffset were.
	// The file does not hold it.
	CleanTo uint64
	// RollupsAlone is how many channels have rollups and no raw rows. The file
	// says it for each channel.
	RollupsAlone uint64
	// Written is the clock's time when it was written; the manifest knows it, not
	// the file: 0 where it is unknown.
	Written int64
}

// footer is the end of a file, by which it is entered.
type footer struct {
	bodyEnd, directory            uint64 // positions
	directoryLength, directoryCRC uint32
	rows, chunks, rollupRows      uint64
	charged, uncharged            uint64
	first, last                   int64
	firstOffset, lastOffset       uint64
	epoch                         uint64
	channels                      uint32
}

func (f *footer) appendTo(dst []byte) []byte {
	start := len(dst)
	order := binary.LittleEndian
	dst = order.AppendUint64(dst, f.bodyEnd)
	dst = order.AppendUint64(dst, f.directory)
	dst = order.AppendUint32(dst, f.directoryLength)
	dst = order.AppendUint32(dst, f.directoryCRC)
	dst = order.AppendUint64(dst, f.rows)
	dst = order.AppendUint64(dst, f.chunks)
	dst = order.AppendUint64(dst, f.rollupRows)
	dst = order.AppendUint64(dst, f.charged)
	dst = order.AppendUint64(dst, f.uncharged)
	dst = order.AppendUint64(dst, uint64(f.first))
	dst = order.AppendUint64(dst, uint64(f.last))
	dst = order.AppendUint64(dst, f.firstOffset)
	dst = order.AppendUint64(dst, f.lastOffset)
	dst = order.AppendUint64(dst, f.epoch)
	dst = order.AppendUint32(dst, f.channels)
	dst = order.AppendUint32(dst, disk.Checksum(dst[start:]))
	return append(dst, endMagic...)
}

// decode reads the last footerSize bytes of a file of size bytes and checks
// that what they point to can be there.
func (f *footer) decode(b []byte, size int64) error {
	order := binary.LittleEndian
	const checked = footerSize - 4 - len(endMagic)
	if string(b[checked+4:]) != endMagic {
		return errors.New("the file does not end as a block does")
	}
	if disk.Checksum(b[:checked]) != order.Uint32(b[checked:]) {
		return errors.New("checksum mismatch in the footer")
	}
	*f = footer{
		bodyEnd: order.Uint64(b), directory: order.Uint64(b[8:]),
		directoryLength: order.Uint32(b[16:]), directoryCRC: order.Uint32(b[20:]),
		rows: order.Uint64(b[24:]), chunks: order.Uint64(b[32:]), rollupRows: order.Uint64(b[40:]),
		charged: order.Uint64(b[48:]), uncharged: order.Uint64(b[56:]),
		first: int64(order.Uint64(b[64:])), last: int64(order.Uint64(b[72:])),
		firstOffset: order.Uint64(b[80:]), lastOffset: order.Uint64(b[88:]),
		epoch: order.Uint64(b[96:]), channels: order.Uint32(b[104:]),
	}
	end := uint64(size) - footerSize
	if f.bodyEnd < disk.HeaderSize || f.bodyEnd > f.directory || f.directory > end ||
		end-f.directory != disk.FrameHeaderSize+uint64(f.directoryLength) {
		return fmt.Errorf("the footer's positions %d and %d cannot be in %d bytes", f.bodyEnd, f.directory, size)
	}
	if f.directoryLength > maxPayload || f.first > f.last || f.rows == 0 && f.rollupRows == 0 || f.channels == 0 ||
		f.chunks > f.rows || (f.chunks == 0) != (f.rows == 0) || f.uncharged > f.rows {
		return errors.New("the footer contradicts itself")
	}
	return nil
}

// Frame is where a frame lies in a file, and what stands in its header.
type Frame struct {
	Position int64
	Length   uint32 // of its payload
	crc      uint32
}

// end returns the position behind the frame.
func (f Frame) end() int64 { return f.Position + disk.FrameHeaderSize + int64(f.Length) }

// page is what the directory says of a frame that is none of a chunk.
type page struct {
	Frame
	firstChannel, lastChannel model.ChannelID // last: of index and rollup pages
	first, last               int64           // times; likewise
}

// frameCRC returns the checksum in the header of an encoded frame.
func frameCRC(frame []byte) uint32 { return binary.LittleEndian.Uint32(frame[12:]) }
