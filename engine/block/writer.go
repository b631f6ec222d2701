package block

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// ErrOrder is wrapped by the error for channels, chunks or rows that are not
// written in ascending order.
var ErrOrder = errors.New("not in ascending order")

// ErrEmpty says that a block would hold no rows.
var ErrEmpty = errors.New("a block without rows")

// WriterOptions say what a block's rows do not.
type WriterOptions struct {
	// Name says also which entries of the log the block is made of, and by
	// which epoch.
	Name disk.BlockName
	// Form is chunk.Fast or chunk.Small; 0: Fast. A block in the small form
	// charges its rows.
	Form    chunk.Encoding
	Rollups bool                       // make rollups of raw rows, where they are worth it
	Notes   Notes                      // what is said beside the rows
	NewSalt func() [disk.SaltSize]byte // nil: disk.NewSalt
}

// writeBytes is how much is collected before it is written.
const writeBytes = 64 << 10

// Writer writes one block. It keeps the index in memory, about 40 bytes per
// chunk and 4 per charged day of a channel, and of the rows no more than one
// chunk, some times that later chunks may share, and some MiB of rollups.
type Writer struct {
	w        io.Writer
	out      []byte // to be written
	start    int    // in out, of the frame being built
	position int64  // in the file, of out's beginning
	frames   uint32
	meta     Meta
	form     chunk.Encoding
	encoder  chunk.Encoder
	times    timesWriter
	copied   timesCopier
	channel  model.ChannelID
	last     int64 // time of the channel's last row
	chunked  bool  // the channel has a chunk
	coder    channelCoder
	channels pages
	entries  entryWriter
	index    pages
	rollups  rollupWriter
	charges  chargeWriter
	notes    pages
	more     bool // see NoteMore
	failure  error
}

// pages are the payloads of the channels or of the index, kept until the
// chunks are written.
type pages struct {
	payload []byte
	list    []page // Position is that of the page's end in payload
	open    bool   // the last of list still grows
}

// NewWriter returns a writer to w, which gets the file from its first byte to
// its last.
func NewWriter(w io.Writer, o WriterOptions) *Writer {
	newSalt := o.NewSalt
	if newSalt == nil {
		newSalt = disk.NewSalt
	}
	form := o.Form
	if form == 0 {
		form = chunk.Fast
	}
	b := &Writer{w: w, form: form, rollups: newRollupWriter(o.Rollups)}
	b.charges.enabled = form == chunk.Small
	if b.failure = o.Notes.check(); b.failure == nil {
		o.Notes.appendTo(&b.notes)
	}
	name := &o.Name
	b.meta = Meta{Name: name.String(), Level: name.Level, FirstOffset: name.FirstOffset, LastOffset: name.LastOffset, Epoch: name.Epoch,
		First: math.MaxInt64, Last: math.MinInt64}
	b.out = disk.AppendHeader(b.out, disk.FileHeader{Kind: disk.KindBlock, Version: version, Salt: newSalt()})
	return b
}

// AddChannel begins the next channel, whose ID must be greater than those
// before.
func (b *Writer) AddChannel(c model.Channel) error {
	if b.failure != nil {
		return b.failure
	}
	if c.ID <= b.channel {
		return b.fail(fmt.Errorf("%w: channel %d after channel %d", ErrOrder, c.ID, b.channel))
	}
	if err := b.endChannel(); err != nil {
		return err
	}
	b.channel, b.chunked = c.ID, false
	b.rollups.begin(c.ID)
	b.meta.Channels++
	p := &b.channels
	if !p.open {
		b.coder = channelCoder{}
		p.begin(page{firstChannel: c.ID})
	}
	p.payload = b.coder.append(p.payload, &c)
	p.endIfFull()
	return nil
}

// endChannel completes what the channel so far has beside its chunks.
func (b *Writer) endChannel() error {
	b.rollups.end()
	if b.charges.enabled {
		b.charges.end(b.channel)
	}
	if b.rollups.bytes >= spillBytes {
		return b.writeRollups()
	}
	return nil
}

// AddCharge says that so many rows of a UTC day (days since 1970) of the
// channel that was added last were charged so many bytes before. Days must
// ascend, and come before the channel's chunks; what is said of one day twice
// adds up.
func (b *Writer) AddCharge(day int64, rows, bytes uint64) error {
	if b.failure != nil {
		return b.failure
	}
	if b.channel == 0 || b.chunked || !b.charges.enabled {
		return b.fail(fmt.Errorf("%w: a charge of channel %d after its rows, or in a block that has none", ErrOrder, b.channel))
	}
	if err := b.charges.carry(day, rows, bytes); err != nil {
		return b.fail(err)
	}
	return nil
}

// AddRollups writes rollup rows of the channel that was added last, whose raw
// rows have expired. The rows of each step must ascend, also from one call to
// the next. They are read as they are given.
func (b *Writer) AddRollups(rows *RollupRows) error {
	if b.failure != nil {
		return b.failure
	}
	if b.channel == 0 || b.chunked {
		return b.fail(fmt.Errorf("%w: channel %d has raw rows", ErrOrder, b.channel))
	}
	if err := b.rollups.copy(rows); err != nil {
		return b.fail(err)
	}
	return nil
}

// AddChunk writes rows of the channel that was added last, as one chunk. Times
// must ascend strictly, also from one chunk of a channel to the next. No rows
// are no chunk.
func (b *Writer) AddChunk(times []int64, values []float64) error {
	if b.failure != nil {
		return b.failure
	}
	if len(times) == 0 {
		return nil
	}
	if err := b.checkRows(times, values); err != nil {
		return b.fail(err)
	}
	ref := ChunkRef{Channel: b.channel, Encoding: b.form, Summary: chunk.Summarize(times, values)}
	var err error
	if ref.Times, err = b.addTimes(times); err != nil {
		return err
	}
	b.begin()
	b.out = b.encoder.AppendValues(b.out, values, b.form)
	if ref.Values, err = b.finish(); err != nil {
		return err
	}
	b.rollups.add(times, values)
	if b.charges.enabled {
		b.charges.add(times, uint64(ref.Values.end()-ref.start()))
	}
	numbers := numbersOf(&ref.Summary, values)
	b.wrote(&ref, &numbers)
	return nil
}

// addTimes writes a frame for a chunk's times unless they are regular or
// stand in the block already, and returns where they stand.
func (b *Writer) addTimes(times []int64) (Frame, error) {
	if isRegular(times) {
		return Frame{}, nil
	}
	if f, ok := b.times.find(times); ok {
		return f, nil
	}
	b.begin()
	b.out = b.encoder.AppendTimes(b.out, times, b.form)
	column := slices.Clone(b.out[b.start+disk.FrameHeaderSize:])
	f, err := b.finish()
	b.times.add(times, f, column)
	return f, err
}

func (b *Writer) checkRows(times []int64, values []float64) error {
	if b.channel == 0 || b.rollups.copied {
		return fmt.Errorf("%w: a chunk before any channel, or of one with rollups alone", ErrOrder)
	}
	if len(times) != len(values) || len(times) > maxChunkRows {
		return fmt.Errorf("a chunk of %d times and %d values, at most %d", len(times), len(values), maxChunkRows)
	}
	if b.chunked && times[0] <= b.last {
		return fmt.Errorf("%w: a chunk of channel %d at %d after %d", ErrOrder, b.channel, times[0], b.last)
	}
	for i := 1; i < len(times); i++ {
		if times[i] <= times[i-1] {
			return fmt.Errorf("%w: channel %d at %d after %d", ErrOrder, b.channel, times[i], times[i-1])
		}
	}
	return nil
}

func (b *Writer) addEntry(ref *ChunkRef, n *numbers) {
	p, s := &b.index, &ref.Summary
	if !p.open {
		p.begin(page{firstChannel: ref.Channel, first: s.FirstTime, last: s.LastTime})
		p.payload = b.entries.start(p.payload, ref.start())
	}
	p.payload = b.entries.append(p.payload, ref, n)
	bounds := &p.list[len(p.list)-1]
	bounds.lastChannel = ref.Channel
	bounds.first, bounds.last = min(bounds.first, s.FirstTime), max(bounds.last, s.LastTime)
	p.endIfFull()
}

func (p *pages) begin(bounds page) {
	p.list = append(p.list, bounds)
	p.open = true
}

// endIfFull notes where the last page ends so far, and ends it when it is full.
func (p *pages) endIfFull() {
	n := len(p.list)
	start := int64(0)
	if n > 1 {
		start = p.list[n-2].Position
	}
	end := int64(len(p.payload))
	p.list[n-1].Position = end
	p.open = end-start < pageBytes
}

// NoteMore notes, before Close, that another block of the same work follows.
func (b *Writer) NoteMore() { b.more = true }

// Close writes what follows the chunks. It does not close what is written to.
func (b *Writer) Close() (Meta, error) {
	if b.failure != nil {
		return Meta{}, b.failure
	}
	if err := b.endChannel(); err != nil {
		return Meta{}, err
	}
	for step := range b.rollups.steps {
		b.rollups.endPage(model.Step(step))
	}
	if err := b.writeRollups(); err != nil {
		return Meta{}, err
	}
	m, r := &b.meta, &b.rollups
	if m.Rows == 0 && r.rows == 0 {
		return Meta{}, b.fail(ErrEmpty)
	}
	m.First, m.Last = min(m.First, r.first), max(m.Last, r.last)
	m.RollupRows, m.RollupBytes, m.Charged = r.rows, r.size, b.charges.total
	f := footer{
		bodyEnd: uint64(b.position) + uint64(len(b.out)),
		rows:    m.Rows, chunks: m.Chunks, channels: uint32(m.Channels),
		rollupRows: m.RollupRows, charged: m.Charged, uncharged: m.Uncharged,
		first: m.First, last: m.Last,
		firstOffset: m.FirstOffset, lastOffset: m.LastOffset, epoch: m.Epoch,
	}
	m.ChunkBytes = f.bodyEnd - disk.HeaderSize - m.RollupBytes
	if b.more {
		(&Notes{More: true}).appendTo(&b.notes)
	}
	for _, p := range []*pages{&b.channels, &b.index, &b.charges.pages, &b.notes} {
		if err := b.writePages(p); err != nil {
			return Meta{}, err
		}
	}
	b.begin()
	d := directory{b.channels.list, b.index.list, b.charges.pages.list, b.notes.list, r.pages, r.stored}
	b.out = d.appendTo(b.out)
	directory, err := b.finish()
	if err != nil {
		return Meta{}, err
	}
	f.directory, f.directoryLength, f.directoryCRC = uint64(directory.Position), directory.Length, directory.crc
	b.out = f.appendTo(b.out)
	b.meta.Bytes = uint64(b.position) + uint64(len(b.out))
	if err := b.flush(); err != nil {
		return Meta{}, err
	}
	b.failure = errors.New("the block is complete")
	return b.meta, nil
}

// writePages writes a frame for each page and turns the list into that of the
// frames.
func (b *Writer) writePages(p *pages) error {
	start := int64(0)
	for i := range p.list {
		bounds := &p.list[i]
		payload := p.payload[start:bounds.Position]
		start = bounds.Position
		b.begin()
		b.out = append(b.out, payload...)
		var err error
		if bounds.Frame, err = b.finish(); err != nil {
			return err
		}
	}
	return nil
}

// begin makes room for a frame's header; the payload is to be appended to out.
func (b *Writer) begin() {
	b.start = len(b.out)
	b.out = disk.BeginFrame(b.out)
}

// finish completes the frame and says where it is.
func (b *Writer) finish() (Frame, error) {
	size := len(b.out) - b.start - disk.FrameHeaderSize
	if size > maxPayload || b.frames == math.MaxUint32 {
		return Frame{}, b.fail(fmt.Errorf("a frame of %d bytes, number %d, is too large", size, b.frames))
	}
	b.out = disk.FinishFrame(b.out, b.start, b.frames)
	b.frames++
	f := Frame{Position: b.position + int64(b.start), Length: uint32(size), crc: frameCRC(b.out[b.start:])}
	if len(b.out) >= writeBytes {
		return f, b.flush()
	}
	return f, nil
}

func (b *Writer) flush() error {
	if _, err := b.w.Write(b.out); err != nil {
		return b.fail(err)
	}
	b.position += int64(len(b.out))
	b.out = b.out[:0]
	return nil
}

// fail makes every later call return err.
func (b *Writer) fail(err error) error {
	b.failure = err
	return err
}
