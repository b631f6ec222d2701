package wal

import (
	"context"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"

	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

// Entries from disk are handed over in batches of at most this many, or when
// they have this many bytes: large enough that the cost per batch does not
// count, small enough to bound memory.
const (
	batchEntries = 256
	batchBytes   = 256 << 10
)

// cursor hands over what was durable when it was made, read from segments, and
// then what appenders push to it.
type cursor struct {
	log   *Local
	after [model.Partitions]uint64 // math.MaxUint64: not wanted
	upTo  uint64                   // newest entry that comes from disk

	// What follows, up to mu, is of the goroutine that reads.
	segments []*segment // still to be read; their own copies
	scan     *scanner   // of the first of them; nil: not read yet
	buffer   []byte
	entries  []*entry.Entry // decoded into again and again
	batch    []*entry.Entry
	scanned  uint64 // offset of the last entry read from disk

	pinned atomic.Uint64 // number of the oldest segment still to be read

	mu     sync.Mutex
	queue  []*entry.Entry
	spare  []*entry.Entry // the memory of the batch before
	ended  bool           // the log is closed: nothing more is pushed
	closed bool           // the cursor is
	signal chan struct{}  // holds a token when something of these has changed
}

func newCursor(l *Local, partitions []model.Partition, after func(model.Partition) uint64) *cursor {
	c := &cursor{log: l, signal: make(chan struct{}, 1)}
	for p := range c.after {
		c.after[p] = math.MaxUint64
	}
	if partitions == nil {
		for p := range c.after {
			c.after[p] = after(model.Partition(p))
		}
	}
	for _, p := range partitions {
		c.after[p] = after(p)
	}
	return c
}

// pin keeps Trim from what is still to be read.
func (c *cursor) pin() {
	if len(c.segments) > 0 {
		c.pinned.Store(c.segments[0].number)
	} else {
		c.pinned.Store(math.MaxUint64)
	}
}

// push hands entries of one group to the cursor.
func (c *cursor) push(entries []*entry.Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.queue)
	for _, e := range entries {
		if e.Offset > c.after[e.Partition] {
			c.queue = append(c.queue, e)
		}
	}
	if len(c.queue) > before {
		c.wake()
	}
}

func (c *cursor) wake() {
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

// Next implements Cursor.
func (c *cursor) Next(ctx context.Context) ([]*entry.Entry, error) {
	for {
		entries, err := c.TryNext()
		if err != nil || entries != nil {
			return entries, err
		}
		select {
		case <-c.signal:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// TryNext implements Cursor.
func (c *cursor) TryNext() ([]*entry.Entry, error) {
	if len(c.segments) > 0 {
		entries, err := c.fromDisk()
		if err != nil || entries != nil {
			return entries, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, ErrClosed
	case len(c.queue) > 0:
		entries := c.queue
		clear(c.spare) // let go of entries that were handed over
		c.queue, c.spare = c.spare[:0], entries
		return entries, nil
	case c.ended:
		return nil, io.EOF
	}
	return nil, nil
}

// CaughtUp implements Cursor.
func (c *cursor) CaughtUp() bool { return len(c.segments) == 0 || c.scanned >= c.upTo }

// end tells the cursor that nothing more comes.
func (c *cursor) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.wake()
}

// Close implements Cursor.
func (c *cursor) Close() {
	c.log.mu.Lock()
	delete(c.log.tails, c)
	c.log.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.pinned.Store(math.MaxUint64)
	c.wake()
}

// fromDisk returns the next entries of the segments; nil: there are no more.
func (c *cursor) fromDisk() ([]*entry.Entry, error) {
	c.batch = c.batch[:0]
	for size := 0; len(c.segments) > 0; {
		if c.scan == nil {
			if err := c.load(); err != nil {
				return nil, err
			}
		}
		f, ok := c.scan.next()
		if !ok {
			c.segments, c.scan = c.segments[1:], nil
			c.pin()
			continue
		}
		c.scanned = f.offset
		if !c.take(f) {
			continue
		}
		if size += f.size; size >= batchBytes || len(c.batch) == batchEntries {
			return c.batch, nil
		}
	}
	c.buffer = nil // what is left are live entries
	if len(c.batch) > 0 {
		return c.batch, nil
	}
	c.entries, c.batch = nil, nil
	return nil, nil
}

// load reads the first of the segments.
func (c *cursor) load() error {
	g := c.segments[0]
	data, err := readFile(c.log.options.FS, g.path, g.size, c.buffer)
	if err != nil {
		return fmt.Errorf("%s: %w", g.name, err)
	}
	c.buffer = data
	c.scan = g.scan(data, c.log.findings)
	return nil
}

// take decodes an entry into the batch if it is wanted.
func (c *cursor) take(f frame) bool {
	const partitionAt = 8
	p := f.body[partitionAt]
	if int(p) < len(c.after) && f.offset <= c.after[p] {
		return false
	}
	n := len(c.batch)
	if n == len(c.entries) {
		c.entries = append(c.entries, new(entry.Entry))
	}
	e := c.entries[n]
	if err := entry.Decode(f.body, e); err != nil {
		c.log.findings.fault(c.segments[0].name, int64(f.at), fmt.Sprintf("entry %d: %v", f.offset, err))
		return false
	}
	c.batch = append(c.batch, e)
	return true
}
