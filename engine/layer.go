package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/head"
	"github.com/hokan-db/hokan/engine/model"
)

// layer is rows of a tenant that no stored block holds yet: those of entries of
// rows in a head, and beside it the blocks that entries brought along. Of one
// channel and time an attached block counts after those of older entries, and
// the head after all of them. So a block is not attached to a layer whose head may
// have older rows among its own: it becomes rows of the head instead.
type layer struct {
	*head.Head
	attached      []*attachedBlock // ascending by offset; only ever added to
	attachedRows  int
	attachedBytes int
}

func newLayer() *layer { return &layer{Head: head.New()} }

// attachedBlock is a block that came in an entry, in memory.
type attachedBlock struct {
	*openReader
	meta     block.Meta // its offsets are the entry's
	channels []model.ChannelID
	bytes    []byte
}

// openAttached opens the block of an entry.
func openAttached(offset uint64, b []byte) (*attachedBlock, error) {
	name := fmt.Sprintf("the block of entry %d", offset)
	r, err := block.OpenBytes(name, b)
	if err != nil {
		return nil, err
	}
	a := &attachedBlock{openReader: &openReader{Reader: r, name: name, lasting: true}, meta: r.Meta(), bytes: b}
	a.meta.FirstOffset, a.meta.LastOffset = offset, offset
	err = r.Channels(func(c model.Channel) error {
		a.channels = append(a.channels, c.ID)
		return nil
	})
	return a, err
}

// check reads every row of the block, and reports whether it has the channels that
// its entry says: what is acknowledged can be read and flushed.
func (a *attachedBlock) check(newest []entry.NewestRow) error {
	if err := block.CheckBytes(a.name, a.bytes); err != nil {
		return err
	}
	same := slices.EqualFunc(a.channels, newest, func(id model.ChannelID, n entry.NewestRow) bool { return id == n.Channel })
	if !same {
		return fmt.Errorf("%w: the block has other channels than its entry", ErrInvalid)
	}
	return nil
}

// has reports whether the block has rows of a channel, or any, in a span. Where
// that cannot be told it may.
func (a *attachedBlock) has(id model.ChannelID, span model.Span) bool {
	found := false
	err := a.Chunks([]model.ChannelID{id}, span, func(block.ChunkRef) error {
		found = true
		return nil
	})
	return found || err != nil
}

// columns decodes the rows of the channels for which wanted is true.
func (a *attachedBlock) columns(wanted func(model.ChannelID) bool) (list []entry.Column, err error) {
	ids := slices.DeleteFunc(slices.Clone(a.channels), func(id model.ChannelID) bool { return !wanted(id) })
	err = a.Chunks(ids, model.AllTime(), func(ref block.ChunkRef) error {
		if n := len(list); n == 0 || list[n-1].Channel != ref.Channel {
			list = append(list, entry.Column{Channel: ref.Channel})
		}
		c, chunk := &list[len(list)-1], a.Chunk(ref)
		var err error
		c.Times, c.Values, err = chunk.Decode(c.Times, c.Values)
		return err
	})
	return list, err
}

// grow adds rows of an entry to those that no stored block holds, and returns by
// how many bytes they grew. The caller holds mu.
func (t *tenant) grow(e *entry.Entry, add func()) int64 {
	if t.active.Empty() {
		t.activeSince = e.Time
	}
	before := t.active.Bytes()
	add()
	return int64(t.active.Bytes() - before)
}

// attach adds a block.
func (l *layer) attach(a *attachedBlock) {
	l.attached = append(l.attached, a)
	l.attachedRows += int(a.meta.Rows)
	l.attachedBytes += len(a.bytes) + int(a.MemoryBytes()) + 4*cap(a.channels)
}

// under reports whether the head may have rows where a block has some.
func (l *layer) under(a *attachedBlock) bool {
	span := model.Span{From: a.meta.First, To: a.meta.Last + 1}
	return !l.Head.Empty() && slices.ContainsFunc(a.channels, func(id model.ChannelID) bool {
		return headHas(l.Head, id, span)
	})
}

// headHas reports whether a head may have rows of a channel in a span.
func headHas(h *head.Head, id model.ChannelID, span model.Span) bool {
	view, ok := h.View(id)
	if !ok {
		return false
	}
	first, last := view.Bounds()
	return span.Overlaps(first, last)
}

// has reports whether the layer may have rows of a channel in a span.
func (l *layer) has(id model.ChannelID, span model.Span) bool {
	return headHas(l.Head, id, span) ||
		slices.ContainsFunc(l.attached, func(a *attachedBlock) bool { return a.has(id, span) })
}

// Rows returns the number of rows added, those with equal times included.
func (l *layer) Rows() int { return l.Head.Rows() + l.attachedRows }

// Empty reports whether there are no rows.
func (l *layer) Empty() bool { return l.Head.Empty() && len(l.attached) == 0 }

// Bytes returns the memory that the rows take.
func (l *layer) Bytes() int { return l.Head.Bytes() + l.attachedBytes }

// Channels returns the channels that have rows, in ascending order.
func (l *layer) Channels() []model.ChannelID {
	ids := l.Head.Channels()
	if len(l.attached) == 0 {
		return ids
	}
	for _, a := range l.attached {
		ids = append(ids, a.channels...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// writeAttached writes what a checkpoint has of attached blocks.
func writeAttached(w io.Writer, list []*attachedBlock) error {
	b := binary.AppendUvarint(nil, uint64(len(list)))
	for _, a := range list {
		b = binary.LittleEndian.AppendUint64(b, a.meta.LastOffset)
		b = binary.AppendUvarint(b, uint64(len(a.bytes)))
		if _, err := w.Write(b); err != nil {
			return err
		}
		if _, err := w.Write(a.bytes); err != nil {
			return err
		}
		b = b[:0]
	}
	_, err := w.Write(b)
	return err
}

// attached reads the blocks that are attached to a layer. They are read once, as
// its rows are.
func (r *checkpointReader) attached(l *layer) error {
	for n := r.uvarint(); n > 0; n-- {
		offset := r.fixed(8)
		b := bytes.Clone(r.counted())
		if r.err != nil {
			return r.err
		}
		a, err := openAttached(offset, b)
		if err == nil {
			err = block.CheckBytes(a.name, b)
		}
		if err != nil {
			return err
		}
		l.attach(a)
	}
	return r.err
}
