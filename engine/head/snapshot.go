package head

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/model"
)

// The bytes of a head, part of a checkpoint. Counts and lengths are uvarints,
// other numbers little endian.
//
//	0  1  version, 1
//	1  …  number of channels, then for each in ascending order of ID:
//
//	   …  ID minus the one before (minus 0 for the first)
//	   …  number of rows in order, at least 1
//	   …  length of their chunk
//	   …  number of late rows
//	   …  the chunk, as chunk.Gorilla
//	   …  the late rows in order of arrival: time int64, float64 bits
const snapshotVersion = 1

// lastPageBytes is about what the last page of a channel has room for beyond its
// rows.
const lastPageBytes = 96

// ErrCorrupt is wrapped by every refusal of bytes that AppendTo did not make.
var ErrCorrupt = errors.New("corrupt head")

// Snapshot is a whole head as it was at one time. It never changes and may be
// read while the head grows.
type Snapshot struct {
	pages   chunk.Pages // only to read
	ids     []model.ChannelID
	streams []chunk.Stream
	late    map[model.ChannelID]lateRows
}

// Snapshot returns the rows there are now, in time proportional to the number
// of channels.
func (h *Head) Snapshot() *Snapshot {
	s := &Snapshot{
		pages:   h.pages,
		ids:     make([]model.ChannelID, 0, h.streams),
		streams: make([]chunk.Stream, 0, h.streams),
		late:    map[model.ChannelID]lateRows{},
	}
	h.each(func(id model.ChannelID, l *leaf, place int) {
		s.ids = append(s.ids, id)
		s.streams = append(s.streams, l.streams[place])
		if late := l.late[place]; late != nil {
			s.late[id] = *late
		}
	})
	return s
}

// AppendTo appends the bytes that Decode reads to dst.
func (s *Snapshot) AppendTo(dst []byte) []byte {
	dst = append(dst, snapshotVersion)
	dst = binary.AppendUvarint(dst, uint64(len(s.ids)))
	var before model.ChannelID
	var payload []byte
	for i, id := range s.ids {
		payload = s.streams[i].View(&s.pages).AppendTo(payload[:0])
		late := s.late[id].rows
		dst = binary.AppendUvarint(dst, uint64(id-before))
		dst = binary.AppendUvarint(dst, uint64(s.streams[i].Rows()))
		dst = binary.AppendUvarint(dst, uint64(len(payload)))
		dst = binary.AppendUvarint(dst, uint64(len(late)))
		dst = append(dst, payload...)
		for _, r := range late {
			dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Time))
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(r.Value))
		}
		before = id
	}
	return dst
}

// Decode makes a head of the bytes of a Snapshot. It reads like the head that
// the snapshot was taken of, and can be added to. The error wraps ErrCorrupt
// and names the byte.
func Decode(b []byte) (*Head, error) {
	d := decoder{b: b, head: New()}
	if len(b) == 0 || b[0] != snapshotVersion {
		return nil, fmt.Errorf("%w: byte 0: want version %d", ErrCorrupt, snapshotVersion)
	}
	d.at = 1
	channels := d.uvarint()
	d.head.pages.Expect(len(b) + int(min(channels, uint64(len(b))))*lastPageBytes)
	var id uint64
	for ; channels > 0 && d.err == nil; channels-- {
		step := d.uvarint()
		if step > math.MaxUint32-id || step == 0 {
			d.fail("not the ID of the next channel")
			break
		}
		id += step
		d.channel(model.ChannelID(id))
	}
	if d.err == nil && d.at != len(b) {
		d.fail("bytes after the last channel")
	}
	if d.err != nil {
		return nil, d.err
	}
	return d.head, nil
}

type decoder struct {
	b      []byte
	at     int
	err    error
	head   *Head
	times  []int64
	values []float64
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: byte %d: %s", ErrCorrupt, d.at, what)
	}
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b[d.at:])
	if n <= 0 {
		d.fail("cut short")
		return 0
	}
	d.at += n
	return v
}

func (d *decoder) channel(id model.ChannelID) {
	rows, length, late := d.uvarint(), d.uvarint(), d.uvarint()
	if d.err != nil {
		return
	}
	left := uint64(len(d.b) - d.at)
	if length > left || late > (left-length)/lateBytes || rows == 0 || rows > 2*length {
		d.fail("counts that do not fit")
		return
	}
	if err := d.head.restore(id, d.b[d.at:d.at+int(length)], int(rows)); err != nil {
		d.err = fmt.Errorf("%w: byte %d: %w", ErrCorrupt, d.at, err)
		return
	}
	d.at += int(length)
	if late == 0 {
		return
	}
	d.late(id, int(late))
}

// restore gives a channel without rows those of a chunk.
func (h *Head) restore(id model.ChannelID, payload []byte, rows int) error {
	l, place := h.place(id)
	if err := l.streams[place].Restore(&h.pages, payload, rows); err != nil {
		return err
	}
	h.streams++
	h.rows += rows
	h.largest = max(h.largest, rows)
	return nil
}

func (d *decoder) late(id model.ChannelID, rows int) {
	d.times, d.values = d.times[:0], d.values[:0]
	l, place := d.head.place(id)
	last := l.streams[place].Last()
	for ; rows > 0; rows-- {
		t := int64(binary.LittleEndian.Uint64(d.b[d.at:]))
		if t > last {
			d.fail("a late row that is not late")
			return
		}
		d.times = append(d.times, t)
		d.values = append(d.values, math.Float64frombits(binary.LittleEndian.Uint64(d.b[d.at+8:])))
		d.at += lateBytes
	}
	d.head.AppendColumn(id, d.times, d.values)
}
