package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// Check reads every byte of a block and reports what is not as it was
// written: damaged bytes, and parts that contradict each other. It goes on
// after damage as far as the rest can be found. The error is about a file that
// cannot be read at all.
func Check(store Store, name string, report func(offset int64, what string)) error {
	object, err := store.Open(name)
	if err != nil {
		return fmt.Errorf("open block %s: %w", name, err)
	}
	c := &checker{report: report, expected: disk.HeaderSize, stored: map[int64]bool{}}
	c.meta = Meta{Name: name, Bytes: uint64(object.Size())}
	c.object = object
	c.decoded = c.shared.acquire()
	return errors.Join(c.run(), object.Close())
}

// checker is one run of Check.
type checker struct {
	Reader
	report   func(offset int64, what string)
	expected int64 // where the next chunk must be
	skipped  bool  // an index page was damaged: the chunks up to the next are unknown
	before   ChunkRef
	chunks   uint64
	rows     uint64
	stored   map[int64]bool    // frames of times, by position: whether they are sound
	ids      []model.ChannelID // that have chunks
	damaged  bool              // anything was reported
	decoded  *decodedTimes     // times that chunks share
	times    []int64
	values   []float64
	rollups  rollupCheck
}

func (c *checker) run() error {
	if err := c.open(); err != nil {
		if err := c.tell(err); err != nil {
			return err
		}
		// Nothing says where the frames end; what is left behind the last may
		// be the footer.
		return c.scan(int64(c.meta.Bytes) - footerSize)
	}
	c.rollups.start(c)
	for i := range c.index {
		if err := c.tell(c.indexPage(&c.index[i])); err != nil {
			return err
		}
	}
	if err := c.reach(int64(c.footer.bodyEnd)); err != nil {
		return err
	}
	if err := c.rollups.end(); err != nil {
		return err
	}
	if !c.damaged && (c.rows != c.meta.Rows || c.chunks != c.meta.Chunks) {
		c.tell(c.damage(int64(c.meta.Bytes)-footerSize, fmt.Errorf("%d rows in %d chunks, the footer says %d in %d",
			c.rows, c.chunks, c.meta.Rows, c.meta.Chunks)))
	}
	for i := range c.notes {
		if err := c.tell(c.readNotes(c.notes[i:i+1], new(Notes))); err != nil {
			return err
		}
	}
	return c.channelPages()
}

// tell reports a corruption and returns every other error.
func (c *checker) tell(err error) error {
	var corruption *disk.Corruption
	if !errors.As(err, &corruption) {
		return err
	}
	c.damaged = true
	c.report(corruption.Offset, corruption.Err.Error())
	return nil
}

// indexPage checks one index page and the chunks that it names.
func (c *checker) indexPage(p *page) error {
	var refs []ChunkRef
	err := c.readPages([]page{*p}, func(p *page, payload []byte) error {
		e := new(entries)
		e.start(payload)
		for {
			more, err := e.next(p, int64(c.footer.bodyEnd))
			if err != nil {
				return c.damage(p.Position, err)
			}
			if !more {
				return nil
			}
			refs = append(refs, e.ref)
		}
	})
	if err != nil {
		c.skipped = true
		return err
	}
	for i := range refs {
		if err := c.entry(p, &refs[i]); err != nil {
			return err
		}
	}
	extent := func(i int) (int64, int64) { return refs[i].start(), refs[i].Values.end() }
	return c.readExtents(len(refs), extent, func(i int, frames []byte) error { return c.chunk(&refs[i], frames) })
}

// entry checks that a chunk follows the one before.
func (c *checker) entry(p *page, ref *ChunkRef) error {
	if err := c.reach(ref.start()); err != nil {
		return err
	}
	before := &c.before
	if before.Channel == ref.Channel && before.Summary.LastTime >= ref.Summary.FirstTime {
		c.tell(c.damage(p.Position, fmt.Errorf("the chunks of channel %d overlap", ref.Channel)))
	}
	if before.Channel != ref.Channel {
		c.ids = append(c.ids, ref.Channel)
	}
	*before = *ref
	c.chunks++
	c.rows += ref.Summary.Rows()
	c.expected = ref.Values.end()
	return nil
}

// reach checks that what is known ends at position, scanning the chunks that
// a damaged index page hides.
func (c *checker) reach(position int64) error {
	if c.skipped && c.expected < position {
		if err := c.scan(position); err != nil {
			return err
		}
		c.expected = position
	}
	c.skipped = false
	for c.expected < position {
		end, ok := c.rollups.frames[c.expected]
		if !ok {
			break
		}
		c.expected = end
	}
	if c.expected != position {
		c.tell(c.damage(min(c.expected, position),
			fmt.Errorf("a part begins at byte %d, the one before ends at %d", position, c.expected)))
	}
	return nil
}

// scan checks the frames from c.expected to end without an index.
func (c *checker) scan(end int64) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	for c.expected < end {
		*buffer = slices.Grow((*buffer)[:0], disk.FrameHeaderSize)[:min(disk.FrameHeaderSize, end-c.expected)]
		if err := c.readAt(*buffer, c.expected); err != nil {
			return c.tell(err)
		}
		if len(*buffer) == disk.FrameHeaderSize {
			length := int64(binary.LittleEndian.Uint32(*buffer))
			if length > min(maxPayload, end-c.expected-disk.FrameHeaderSize) {
				return c.tell(c.damage(c.expected, fmt.Errorf("a frame of %d bytes", length)))
			}
			*buffer = slices.Grow(*buffer, int(length))[:disk.FrameHeaderSize+length]
			if err := c.readAt((*buffer)[disk.FrameHeaderSize:], c.expected+disk.FrameHeaderSize); err != nil {
				return c.tell(err)
			}
		}
		_, _, size, err := disk.ReadFrame(*buffer)
		if err != nil {
			return c.tell(c.damage(c.expected, err))
		}
		c.expected += int64(size)
	}
	return nil
}

// chunk checks one chunk, whose frames are given, against its entry.
func (c *checker) chunk(ref *ChunkRef, frames []byte) error {
	s := scratches.Get().(*scratch)
	defer s.release()
	whole := Chunk{Ref: *ref, reader: &c.Reader, values: frames[ref.Values.Position-ref.start():]}
	rows, err := c.chunkTimes(s, &whole, frames)
	if err := c.tell(err); err != nil {
		return err
	}
	payload, err := whole.payload()
	if err == nil {
		c.values, err = s.decoder.Values(c.values[:0], payload, int(ref.Summary.Rows()))
		if err != nil {
			err = c.damage(ref.Values.Position, err)
		}
	}
	if err != nil || rows == nil {
		return c.tell(err)
	}
	if err := c.tell(c.summary(ref, rows)); err != nil {
		return err
	}
	return c.rollups.add(ref.Channel, c.times, c.values, uint64(ref.Values.end()-ref.start()))
}

// chunkTimes checks a chunk's times and returns them; nil where they are
// damaged.
func (c *checker) chunkTimes(s *scratch, whole *Chunk, frames []byte) (*clock, error) {
	ref := &whole.Ref
	position := ref.Times.Position
	if ref.Shared() {
		sound, known := c.stored[position]
		if !known && !c.damaged {
			return nil, c.damage(ref.Values.Position, fmt.Errorf("the times at byte %d are none of an earlier chunk", position))
		}
		if known && !sound {
			return nil, nil // as was reported
		}
		if err := c.sharedTimes(s, whole); err != nil {
			return nil, err
		}
	} else {
		whole.times = frames[:ref.Values.Position-ref.start()]
	}
	c.stored[position] = false
	rows, err := whole.clock(s)
	if err != nil {
		return nil, err
	}
	for i := 1; i < len(rows.times); i++ {
		if rows.times[i] <= rows.times[i-1] {
			return nil, c.damage(position, errors.New("the chunk's times do not ascend"))
		}
	}
	c.stored[position] = true
	return &rows, nil
}

// sharedTimes gives a chunk the bytes of its times, unless they are known.
func (c *checker) sharedTimes(s *scratch, whole *Chunk) error {
	f := whole.Ref.Times
	whole.shared = c.decoded
	if c.decoded.get(f) != nil {
		return nil
	}
	size := int(f.end() - f.Position)
	s.bytes = slices.Grow(s.bytes[:0], size)[:size]
	whole.times = s.bytes
	return c.readAt(s.bytes, f.Position)
}

// summary compares a chunk's rows with its entry. c.values are its values.
func (c *checker) summary(ref *ChunkRef, rows *clock) error {
	c.times = rows.appendTo(c.times[:0], 0, rows.rows)
	summary := chunk.Summarize(c.times, c.values)
	numbersOf(&summary, c.values)
	if !sameBits(&summary, &ref.Summary) {
		return c.damage(ref.Values.Position, errors.New("the chunk's rows differ from its header"))
	}
	return nil
}

// sameBits reports whether two summaries are equal, NaN included.
func sameBits(a, b *model.Aggregate) bool {
	if a.Count != b.Count || a.Quality != b.Quality || a.FirstTime != b.FirstTime || a.LastTime != b.LastTime {
		return false
	}
	x := [...]float64{a.Min, a.Max, a.First, a.Last, a.Sum, a.Compensation}
	y := [...]float64{b.Min, b.Max, b.First, b.Last, b.Sum, b.Compensation}
	for i := range x {
		// Which NaN infinities sum up to depends on the processor.
		if math.Float64bits(x[i]) != math.Float64bits(y[i]) && (x[i] == x[i] || y[i] == y[i]) {
			return false
		}
	}
	return true
}

// channelPages checks the labels, and that every channel with chunks has some.
func (c *checker) channelPages() error {
	ids, channels, whole := c.ids, uint64(0), true
	for i := range c.channels {
		p := &c.channels[i]
		first := true
		err := c.visitChannels(c.channels[i:i+1], func(channel model.Channel) error {
			if first && channel.ID != p.firstChannel {
				return c.damage(p.Position, errors.New("the directory says another first channel"))
			}
			first = false
			channels++
			if len(ids) > 0 && ids[0] == channel.ID {
				ids = ids[1:]
			}
			return nil
		})
		whole = whole && err == nil
		if err := c.tell(err); err != nil {
			return err
		}
	}
	switch {
	case !whole:
	case channels != c.meta.Channels:
		c.tell(c.damage(int64(c.meta.Bytes)-footerSize,
			fmt.Errorf("%d channels, the footer says %d", channels, c.meta.Channels)))
	case len(ids) > 0:
		c.tell(c.damage(int64(c.footer.bodyEnd), fmt.Errorf("the labels of channel %d are missing", ids[0])))
	}
	return nil
}
