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
	Values   Frame
	Times    Frame // zero where the times are regular: Summary tells them
}

// Regular reports whether all steps from a row to the next are equal.
func (c *ChunkRef) Regular() bool { return c.Times == Frame{} }

// EveryDay reports whether it is known that there is a row on every UTC day from
// that of the first to that of the last.
func (c *ChunkRef) EveryDay() bool {
	column := c.column()
	return c.Regular() && column.step() <= uint64(model.Day)
}

// Shared reports whether its times are those of an earlier chunk of the block.
func (c *ChunkRef) Shared() bool { return !c.Regular() && c.Times.end() != c.Values.Position }

// start returns where the chunk's own frames begin.
func (c *ChunkRef) start() int64 {
	if c.Regular() || c.Shared() {
		return c.Values.Position
	}
	return c.Times.Position
}

func (c *ChunkRef) column() timeColumn {
	return timeColumn{rows: c.Summary.Rows(), first: c.Summary.FirstTime, last: c.Summary.LastTime, frame: c.Times}
}

// timeColumn is what the index says of the times of a chunk.
type timeColumn struct {
	rows        uint64
	first, last int64
	frame       Frame // zero where the times are regular
}

// step returns the mean step from a row to the next.
func (c *timeColumn) step() uint64 {
	if c.rows < 2 {
		return 0
	}
	return (uint64(c.last) - uint64(c.first)) / (c.rows - 1)
}

// Kinds of times in an entry. Greater numbers less 2 are positions in the
// page's list.
const (
	regularTimes = iota
	storedTimes
	listedTimes
)

// noDecimals stands for numbers that are told by their bits.
const noDecimals = 15

// context is what an entry is told relative to; zero at the start of a page.
type context struct {
	channel model.ChannelID
	column  timeColumn // of the entry before
	start   int64      // first time of that channel's first entry
}

// expectFirst returns the likely time of the first row of channel's next chunk.
func (c *context) expectFirst(channel model.ChannelID) int64 {
	if channel != c.channel {
		return c.start
	}
	return c.column.last + int64(c.column.step())
}

// expectLast returns the likely time of the last of so many rows.
func (c *context) expectLast(first int64, rows uint64) int64 {
	return first + int64((rows-1)*c.column.step())
}

func (c *context) advance(channel model.ChannelID, column timeColumn) {
	if channel != c.channel {
		c.start = column.first
	}
	c.channel, c.column = channel, column
}

// entryWriter encodes the entries of index pages.
type entryWriter struct {
	before context
	listed map[timeColumn]uint64
}

// start begins a page, whose first chunk begins at position.
func (w *entryWriter) start(dst []byte, position int64) []byte {
	*w = entryWriter{listed: map[timeColumn]uint64{}}
	return binary.AppendUvarint(dst, uint64(position))
}

// append encodes the next entry, whose numbers n are.
func (w *entryWriter) append(dst []byte, c *ChunkRef, n *numbers) []byte {
	dst = binary.AppendUvarint(dst, uint64(c.Channel-w.before.channel))
	dst = append(dst, byte(c.Encoding)|n.decimals<<4)
	column := c.column()
	if at, ok := w.listed[column]; ok {
		dst = binary.AppendUvarint(dst, listedTimes+at)
	} else {
		w.listed[column] = uint64(len(w.listed))
		dst = w.describe(dst, c, &column)
	}
	w.before.advance(c.Channel, column)
	dst = binary.AppendUvarint(dst, uint64(c.Values.Length))
	dst = binary.LittleEndian.AppendUint32(dst, c.Values.crc)
	dst = binary.AppendUvarint(dst, c.Summary.Quality)
	if c.Summary.Count != 0 {
		dst = n.append(dst)
	}
	return dst
}

func (w *entryWriter) describe(dst []byte, c *ChunkRef, column *timeColumn) []byte {
	kind := byte(storedTimes)
	if c.Regular() {
		kind = regularTimes
	}
	dst = append(dst, kind)
	dst = binary.AppendUvarint(dst, column.rows-1)
	dst = binary.AppendVarint(dst, column.first-w.before.expectFirst(c.Channel))
	dst = binary.AppendVarint(dst, column.last-w.before.expectLast(column.first, column.rows))
	if kind == regularTimes {
		return dst
	}
	back := uint64(0)
	if c.Shared() {
		back = uint64(c.Values.Position - c.Times.Position)
	}
	dst = binary.AppendUvarint(dst, back)
	dst = binary.AppendUvarint(dst, uint64(c.Times.Length))
	return binary.LittleEndian.AppendUint32(dst, c.Times.crc)
}

// entries reads the entries of one index page, one after another.
type entries struct {
	in       input
	before   context
	position int64        // where the next chunk begins
	listed   []timeColumn // that the page described
	ref      ChunkRef     // the last one read
}

// start begins with the page's payload.
func (e *entries) start(payload []byte) {
	*e = entries{in: input{rest: payload}, listed: e.listed[:0]}
	position := e.in.uvarint()
	if position > math.MaxInt64/2 {
		position = e.in.fail()
	}
	e.position = int64(position)
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
	ref.Channel += model.ChannelID(in.uint32Varint())
	form := in.byte()
	ref.Encoding = chunk.Encoding(form & 15)
	column := e.times(ref.Channel)
	ref.Values = Frame{Position: e.position, Length: in.payloadLength(), crc: in.uint32()}
	quality := in.uvarint()
	if in.failed || quality > column.rows {
		return false, errEntry
	}
	ref.Times = column.frame
	ref.Summary = model.Aggregate{Count: column.rows - quality, Quality: quality,
		FirstTime: column.first, LastTime: column.last}
	if ref.Summary.Count > 0 {
		in.numbers(form>>4, &ref.Summary)
	}
	if in.failed || ref.Channel < e.before.channel || ref.Channel == 0 ||
		ref.Channel == e.before.channel && column.first <= e.before.column.last ||
		ref.Channel < p.firstChannel || ref.Channel > p.lastChannel ||
		column.first < p.first || column.last > p.last ||
		ref.start() < disk.HeaderSize || ref.Values.end() > end {
		return false, errEntry
	}
	e.position = ref.Values.end()
	e.before.advance(ref.Channel, column)
	return true, nil
}

// times reads what an entry says of its times, and sets e.position to where
// its values are.
func (e *entries) times(channel model.ChannelID) timeColumn {
	in := &e.in
	kind := in.uvarint()
	if kind >= listedTimes {
		if kind-listedTimes >= uint64(len(e.listed)) {
			in.fail()
			return timeColumn{}
		}
		return e.listed[kind-listedTimes]
	}
	var c timeColumn
	c.rows = in.uvarint() + 1
	c.first = e.before.expectFirst(channel) + in.varint()
	c.last = e.before.expectLast(c.first, c.rows) + in.varint()
	span := uint64(c.last) - uint64(c.first)
	// Rows that ascend need a nanosecond each.
	if c.rows-1 >= maxChunkRows || c.last < c.first || span < c.rows-1 || c.rows == 1 && span != 0 {
		in.fail()
	}
	if kind == regularTimes {
		if span != c.step()*(c.rows-1) {
			in.fail()
		}
	} else {
		e.timesFrame(&c.frame)
	}
	e.listed = append(e.listed, c)
	return c
}

// timesFrame reads where stored times are.
func (e *entries) timesFrame(f *Frame) {
	in := &e.in
	back := in.uvarint()
	f.Length = in.payloadLength()
	f.crc = in.uint32()
	if back == 0 {
		f.Position = e.position
		e.position = f.end()
		return
	}
	if back > uint64(e.position) || back <= disk.FrameHeaderSize+uint64(f.Length) {
		in.fail()
		return
	}
	f.Position = e.position - int64(back)
}
