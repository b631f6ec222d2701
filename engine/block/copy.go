package block

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/disk"
)

// OpenBytes is Open of a block that is in memory, which must stay as it is while
// the reader is used. The name stands in messages.
func OpenBytes(name string, b []byte) (*Reader, error) {
	r := &Reader{object: memoryObject{bytes.NewReader(b)}, meta: Meta{Name: name, Bytes: uint64(len(b))}}
	if err := r.open(); err != nil {
		return nil, err
	}
	return r, nil
}

// CheckBytes is Check of a block that is in memory. It returns the first damage.
func CheckBytes(name string, b []byte) error {
	var first error
	err := Check(memoryObject{bytes.NewReader(b)}, name, func(offset int64, what string) {
		if first == nil {
			first = disk.Corrupt(name, offset, "%s", what)
		}
	})
	return errors.Join(first, err)
}

// memoryObject is a block in memory: an object, and where to open it.
type memoryObject struct{ *bytes.Reader }

// Close implements disk.Object.
func (memoryObject) Close() error { return nil }

// Open implements the part of disk.Blocks that readers need.
func (m memoryObject) Open(string) (disk.Object, error) { return m, nil }

// timesCopier finds frames of times that were copied to a block already.
type timesCopier struct {
	known map[uint32]knownTimes // by checksum
	bytes int                   // of known
}

// copyTimes copies a frame of times, unless it stands in the block already, and
// returns where it stands.
func (b *Writer) copyTimes(payload []byte) (Frame, error) {
	c := &b.copied
	sum := disk.Checksum(payload)
	if known, ok := c.known[sum]; ok && bytes.Equal(known.column, payload) {
		return known.frame, nil
	}
	b.begin()
	b.out = append(b.out, payload...)
	f, err := b.finish()
	if c.known == nil || c.bytes+len(payload) > maxKnownTimes {
		c.known, c.bytes = map[uint32]knownTimes{}, 0
	}
	c.known[sum] = knownTimes{f, bytes.Clone(payload)}
	c.bytes += len(payload) + 64
	return f, err
}

// CopyChunk writes the rows of another block's chunk, in the form that it has
// there, as AddChunk writes rows: neither is decoded. A block that makes rollups
// or charges its rows cannot do that.
func (b *Writer) CopyChunk(c *Chunk) error {
	if b.failure != nil {
		return b.failure
	}
	s := &c.Ref.Summary
	switch {
	case b.channel == 0 || b.rollups.copied:
		return b.fail(fmt.Errorf("%w: a chunk before any channel, or of one with rollups alone", ErrOrder))
	case b.chunked && s.FirstTime <= b.last:
		return b.fail(fmt.Errorf("%w: a chunk of channel %d at %d after %d", ErrOrder, b.channel, s.FirstTime, b.last))
	case b.rollups.enabled || b.charges.enabled || c.Ref.Encoding != chunk.Fast:
		return b.fail(errors.New("a chunk that must be decoded is to be copied"))
	}
	room := scratches.Get().(*scratch)
	defer room.release()
	from := Chunk{Ref: c.Ref, reader: c.reader} // whose times are read, known or not
	var err error
	if room.bytes, err = c.reader.load(room, []*Chunk{&from}, room.bytes[:0]); err != nil {
		return b.fail(err)
	}
	ref := ChunkRef{Channel: b.channel, Encoding: c.Ref.Encoding, Summary: *s}
	if !c.Ref.Regular() {
		times, err := c.reader.frame(from.times, c.Ref.Times)
		if err != nil {
			return b.fail(err)
		}
		if ref.Times, err = b.copyTimes(times); err != nil {
			return err
		}
	}
	values, err := from.payload()
	if err != nil {
		return b.fail(err)
	}
	b.begin()
	b.out = append(b.out, values...)
	if ref.Values, err = b.finish(); err != nil {
		return err
	}
	b.rollups.raw += s.Rows()
	numbers := numbersOf(&ref.Summary, nil) // they are rounded already
	b.wrote(&ref, &numbers)
	return nil
}

// wrote notes a chunk that was written.
func (b *Writer) wrote(ref *ChunkRef, n *numbers) {
	s, m := &ref.Summary, &b.meta
	b.last, b.chunked = s.LastTime, true
	m.Rows += s.Rows()
	m.Chunks++
	m.First, m.Last = min(m.First, s.FirstTime), max(m.Last, s.LastTime)
	if !b.charges.enabled {
		m.Uncharged += s.Rows()
	}
	b.addEntry(ref, n)
}

// Size returns how many bytes the block would have at most if it were closed now.
func (b *Writer) Size() int64 {
	size := b.position + int64(len(b.out)) + footerSize + disk.FrameHeaderSize + directoryBytes
	for _, p := range []*pages{&b.channels, &b.index, &b.charges.pages, &b.notes} {
		size += int64(len(p.payload)) + int64(len(p.list))*(disk.FrameHeaderSize+pageEntryBytes)
	}
	return size
}

// directoryBytes and pageEntryBytes are what a directory without pages has at
// most, and what it says of a page.
const directoryBytes, pageEntryBytes = 64, 48
