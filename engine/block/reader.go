package block

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

const (
	// openBytes is read from a file's end at once: footer and directory of a
	// block up to about 8 MiB, or the whole of a tiny one.
	openBytes = 4 << 10
	// gapBytes is the most that is read needlessly to save a read.
	gapBytes = 64 << 10
	// readBytes is the most that is read at once, unless one frame is larger.
	readBytes = 1 << 20
)

// Reader reads one block. It holds the directory and an open file, nothing
// else while no query runs, and may be used by many goroutines at once.
type Reader struct {
	object disk.Object
	meta   Meta
	footer footer
	directory
	shared sharedTimes
	found  func(error) // told of damage; may be nil
}

// Store is where blocks are opened: a disk.Blocks.
type Store interface {
	Open(name string) (disk.Object, error)
}

// Open reads the footer and the directory of a block. What is damaged is a
// *disk.Corruption that names the block and the byte.
func Open(store Store, name string) (*Reader, error) {
	object, err := store.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open block %s: %w", name, err)
	}
	r := &Reader{object: object, meta: Meta{Name: name, Bytes: uint64(object.Size())}}
	if err := r.open(); err != nil {
		return nil, errors.Join(err, object.Close())
	}
	return r, nil
}

// open reads the header, the footer and the directory.
func (r *Reader) open() error {
	size := r.object.Size()
	if size < disk.HeaderSize+disk.FrameHeaderSize+footerSize {
		return disk.Corrupt(r.meta.Name, size, "%d bytes are too few for a block", size)
	}
	tailStart := max(size-openBytes, 0)
	tail := make([]byte, size-tailStart)
	if err := r.readAt(tail, tailStart); err != nil {
		return err
	}
	head := tail
	if tailStart > 0 {
		head = make([]byte, disk.HeaderSize)
		if err := r.readAt(head, 0); err != nil {
			return err
		}
	}
	header, err := disk.ReadHeader(head[:disk.HeaderSize], disk.KindBlock, version)
	if err == nil && header.Version < version {
		err = fmt.Errorf("%w, or by one from before the format was frozen: block version %d", disk.ErrVersion, header.Version)
	}
	if err != nil {
		return r.damage(0, err)
	}
	f := &r.footer
	if err := f.decode(tail[len(tail)-footerSize:], size); err != nil {
		return r.damage(size-footerSize, err)
	}
	position := int64(f.directory)
	directory := tail[:len(tail)-footerSize]
	if position >= tailStart {
		directory = directory[position-tailStart:]
	} else {
		directory = make([]byte, size-footerSize-position)
		if err := r.readAt(directory, position); err != nil {
			return err
		}
	}
	payload, err := r.frame(directory, Frame{position, f.directoryLength, f.directoryCRC})
	if err != nil {
		return err
	}
	if err := r.directory.decode(payload, int64(f.bodyEnd), position); err != nil {
		return r.damage(position, err)
	}
	return r.adopt()
}

// adopt compares the footer with the directory and makes Meta of it.
func (r *Reader) adopt() error {
	f, m := &r.footer, &r.meta
	if len(r.channels) == 0 || (len(r.index) == 0) != (f.rows == 0) {
		return r.damage(int64(f.directory), errors.New("the directory is empty"))
	}
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	rollups := uint64(0)
	for i := range r.index {
		first, last = min(first, r.index[i].first), max(last, r.index[i].last)
	}
	for _, list := range r.rollups {
		for i := range list {
			first, last = min(first, list[i].first), max(last, list[i].last)
			rollups += disk.FrameHeaderSize + uint64(list[i].Length)
		}
	}
	if first != f.first || last != f.last || rollups > f.bodyEnd-disk.HeaderSize || (rollups == 0) != (f.rollupRows == 0) {
		return r.damage(int64(f.directory), errors.New("directory and footer contradict each other"))
	}
	if name, ok := disk.ParseBlockName(m.Name); ok {
		m.Level = name.Level
	}
	m.Rows, m.Chunks, m.Channels, m.RollupRows = f.rows, f.chunks, uint64(f.channels), f.rollupRows
	m.Charged, m.Uncharged, m.RollupBytes = f.charged, f.uncharged, rollups
	m.ChunkBytes = f.bodyEnd - disk.HeaderSize - rollups
	m.First, m.Last = f.first, f.last
	m.FirstOffset, m.LastOffset, m.Epoch = f.firstOffset, f.lastOffset, f.epoch
	return nil
}

// Close closes the file. No other call may run or follow.
func (r *Reader) Close() error { return r.object.Close() }

// OnDamage has found called with every damage that reading finds, from the
// goroutine that reads. It must be called before others use the reader.
func (r *Reader) OnDamage(found func(error)) { r.found = found }

// Meta returns what the footer says of the block.
func (r *Reader) Meta() Meta { return r.meta }

// Chunks visits the chunks of these channels (ascending IDs) that may have rows
// in span, by ascending channel, then time, until visit returns an error. It
// reads those index pages that may name one, each time anew: that costs less
// than the chunks behind them, and a reader at rest holds no memory.
func (r *Reader) Chunks(ids []model.ChannelID, span model.Span, visit func(ChunkRef) error) error {
	if len(ids) == 0 || !span.Overlaps(r.meta.First, r.meta.Last) {
		return nil
	}
	var chosen []page
	for i := range r.index {
		p := &r.index[i]
		from, _ := slices.BinarySearch(ids, p.firstChannel)
		if from < len(ids) && ids[from] <= p.lastChannel && span.Overlaps(p.first, p.last) {
			chosen = append(chosen, *p)
		}
	}
	return r.readPages(chosen, func(p *page, payload []byte) error {
		from, _ := slices.BinarySearch(ids, p.firstChannel)
		wanted := ids[from:]
		e := entryReaders.Get().(*entries)
		defer entryReaders.Put(e)
		e.start(payload)
		for {
			more, err := e.next(p, int64(r.footer.bodyEnd))
			if err != nil {
				return r.damage(p.Position, err)
			}
			for len(wanted) > 0 && wanted[0] < e.ref.Channel {
				wanted = wanted[1:]
			}
			if !more || len(wanted) == 0 {
				return nil
			}
			s := &e.ref.Summary
			if wanted[0] == e.ref.Channel && span.Overlaps(s.FirstTime, s.LastTime) {
				if err := visit(e.ref); err != nil {
					return err
				}
			}
		}
	})
}

// Channels visits every channel of the block, by ascending ID, until visit
// returns an error.
func (r *Reader) Channels(visit func(model.Channel) error) error {
	return r.visitChannels(r.directory.channels, visit)
}

func (r *Reader) visitChannels(list []page, visit func(model.Channel) error) error {
	return r.readPages(list, func(p *page, payload []byte) error {
		var coder channelCoder
		for in := (input{rest: payload}); len(in.rest) > 0; {
			channel, err := coder.next(&in)
			if err != nil {
				return r.damage(p.Position, err)
			}
			if err := visit(channel); err != nil {
				return err
			}
		}
		return nil
	})
}

// buffers and entryReaders are reused among readers: what is read is decoded
// and let go.
var (
	buffers      = sync.Pool{New: func() any { return new([]byte) }}
	entryReaders = sync.Pool{New: func() any { return new(entries) }}
)

// readPages visits the payloads of ascending pages.
func (r *Reader) readPages(list []page, visit func(*page, []byte) error) error {
	extent := func(i int) (int64, int64) { return list[i].Position, list[i].end() }
	return r.readExtents(len(list), extent, func(i int, frame []byte) error {
		p := &list[i]
		payload, err := r.frame(frame, p.Frame)
		if err != nil {
			return err
		}
		return visit(p, payload)
	})
}

// readExtents reads n ascending stretches of the file, neighbours together,
// and visits the bytes of each, which are valid until visit returns.
func (r *Reader) readExtents(n int, extent func(i int) (start, end int64), visit func(i int, b []byte) error) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	for done := 0; done < n; {
		next := done + together(n-done, func(i int) (int64, int64) { return extent(done + i) })
		first, _ := extent(done)
		_, last := extent(next - 1)
		*buffer = slices.Grow((*buffer)[:0], int(last-first))[:last-first]
		if err := r.readAt(*buffer, first); err != nil {
			return err
		}
		for ; done < next; done++ {
			start, end := extent(done)
			if err := visit(done, (*buffer)[start-first:end-first]); err != nil {
				return err
			}
		}
	}
	return nil
}

// together returns how many of n extents, which begin in ascending order, are
// read at once: at least the first, then those behind small gaps.
func together(n int, extent func(i int) (start, end int64)) int {
	start, end := extent(0)
	for i := 1; i < n; i++ {
		nextStart, nextEnd := extent(i)
		if nextStart < start || nextStart-end > gapBytes || nextEnd-start > readBytes {
			return i
		}
		end = max(end, nextEnd)
	}
	return n
}

// frame checks one whole frame against what points to it, and returns its
// payload.
func (r *Reader) frame(b []byte, f Frame) ([]byte, error) {
	payload, _, size, err := disk.ReadFrame(b)
	if err != nil {
		return nil, r.damage(f.Position, err)
	}
	if size != len(b) || uint32(len(payload)) != f.Length || frameCRC(b) != f.crc {
		return nil, r.damage(f.Position, errors.New("another frame than the one that was written here"))
	}
	return payload, nil
}

// readAt fills b from position, which is inside the file as it was opened.
func (r *Reader) readAt(b []byte, position int64) error {
	n, err := r.object.ReadAt(b, position)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return r.damage(position+int64(n), errors.New("the file is cut off"))
	}
	return fmt.Errorf("read block %s at byte %d: %w", r.meta.Name, position, err)
}

// damage makes err a corruption at position, unless the file is merely newer
// than this program.
func (r *Reader) damage(position int64, err error) error {
	if errors.Is(err, disk.ErrVersion) {
		return fmt.Errorf("%s: byte %d: %w", r.meta.Name, position, err)
	}
	err = disk.Corrupt(r.meta.Name, position, "%w", err)
	if r.found != nil {
		r.found(err)
	}
	return err
}
