package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

// DefaultSegmentBytes is how large a segment grows. Smaller segments let the
// log be trimmed sooner, larger ones make fewer files.
const DefaultSegmentBytes = 16 << 20

// groupBytes is how much is written at once at most, plus one entry. It bounds
// the memory of writers that wait and how far a segment outgrows its size.
const groupBytes = 4 << 20

// Options say where a log is.
type Options struct {
	FS           disk.FS
	Dir          string
	SegmentBytes int64                      // 0: DefaultSegmentBytes
	ReadOnly     bool                       // nothing is written or made durable, and nothing can be appended
	NewSalt      func() [disk.SaltSize]byte // nil: disk.NewSalt
}

// Local is a log in a folder of this machine. One process at a time may open
// it; the lock of the data folder sees to that.
type Local struct {
	options  Options
	findings *record

	trimming sync.Mutex // held over a Trim

	mu       sync.Mutex
	idle     sync.Cond // signalled when writing becomes false
	queue    []*group  // to be written, in order
	spare    []*group  // whose memory can be used again
	writing  bool      // an appender leads
	closed   bool
	failed   error
	next     uint64 // offset of the next entry
	last     uint64 // newest durable offset; next-1 when nothing is held
	segments []*segment
	strays   []*segment
	tails    map[*cursor]struct{}

	// What follows is the leader's.
	active segmentWriter
	newest uint64 // greatest number of a segment's file
}

var _ Log = (*Local)(nil)

// segmentWriter is the segment that entries are being written to.
type segmentWriter struct {
	file    disk.File // nil: none; the next write begins one
	segment *segment
	number  uint32 // of the next frame
	next    uint64 // offset of the next entry, unless offsets are skipped
}

// group is entries that are written and synced together.
type group struct {
	buffer  []byte // frames, whose headers and offsets are filled in last
	starts  []int  // of the frames in buffer
	entries []*entry.Entry
	lead    chan struct{} // one of the group is told by it to write the group
	done    chan struct{} // closed when err is known
	err     error
}

// Open opens the log in a folder, making the folder where there is none. It
// writes no segment. Damage does not stop it: see Faults.
func Open(o Options) (*Local, error) {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = DefaultSegmentBytes
	}
	o.SegmentBytes = min(o.SegmentBytes, maxSegmentBytes/2)
	if o.NewSalt == nil {
		o.NewSalt = disk.NewSalt
	}
	l := &Local{options: o, findings: newRecord(), tails: map[*cursor]struct{}{}, next: 1}
	l.idle.L = &l.mu
	if !o.ReadOnly {
		if err := disk.MakeDir(o.FS, o.Dir); err != nil {
			return nil, fmt.Errorf("log: %w", err)
		}
	}
	found, err := takeSurvey(o.FS, o.Dir, l.findings)
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	l.segments, l.strays, l.newest = found.segments, found.strays, found.newest
	if err := l.recoverEnd(); err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return l, nil
}

// recoverEnd finds the newest entry. What a killed process had written but not
// synced is readable and becomes durable here, before anybody sees it.
func (l *Local) recoverEnd() error {
	if len(l.segments) == 0 {
		return nil
	}
	g := l.segments[len(l.segments)-1]
	if !l.options.ReadOnly {
		if err := syncFile(l.options.FS, g.path); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		if err := disk.SyncDir(l.options.FS, l.options.Dir); err != nil {
			return err
		}
	}
	data, err := readFile(l.options.FS, g.path, g.size, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", g.name, err)
	}
	s := g.scan(data, l.findings)
	for {
		if _, ok := s.next(); !ok {
			break
		}
	}
	g.size = int64(s.at)
	l.next = s.offset()
	l.last = l.next - 1
	return nil
}

func syncFile(fsys disk.FS, path string) error {
	file, err := fsys.Open(path)
	if err != nil {
		return disk.Wrap(err)
	}
	err = file.Sync()
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return disk.Wrap(err)
}

// EnsureAfter makes the next offset greater than offset.
func (l *Local) EnsureAfter(offset uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = max(l.next, offset+1)
	if len(l.segments) == 0 {
		l.last = l.next - 1
	}
}

// Bounds implements Log.
func (l *Local) Bounds() (first, last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) == 0 {
		return l.next, l.last
	}
	return l.segments[0].first, l.last
}

// Bytes returns the bytes of all segments.
func (l *Local) Bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var sum int64
	for _, g := range l.segments {
		sum += g.size
	}
	return sum
}

// Faults returns the damage found so far, each a *disk.Corruption. Opening
// finds some of it, tails find the rest.
func (l *Local) Faults() []error { return l.findings.faultList() }

// Damaged returns the names of the segments in which damage was found, relative
// to the data folder.
func (l *Local) Damaged() []string { return l.findings.damagedList() }

// Notes returns what was found that is no damage, such as torn writes.
func (l *Local) Notes() []string { return l.findings.noteList() }

// Append implements Log.
//
// Of the writers that wait one leads: it writes and syncs the entries of all,
// while those that come meanwhile gather for the next write.
func (l *Local) Append(c Claim, e *entry.Entry) (uint64, error) {
	if c.Partition != e.Partition {
		return 0, fmt.Errorf("log: a claim to partition %d for an entry of partition %d", c.Partition, e.Partition)
	}
	g, leads, err := l.enqueue(e)
	if err != nil {
		return 0, err
	}
	if !leads {
		select {
		case <-g.done:
		case <-g.lead:
			leads = true
		}
	}
	if leads {
		l.write(g)
	}
	if g.err != nil {
		return 0, g.err
	}
	return e.Offset, nil
}

// enqueue adds an entry to the last group that waits; leads tells the caller
// to write the group.
func (l *Local) enqueue(e *entry.Entry) (g *group, leads bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed != nil {
		return nil, false, l.failed
	}
	if l.closed {
		return nil, false, ErrClosed
	}
	if l.options.ReadOnly {
		return nil, false, fmt.Errorf("log: %w", disk.ErrReadOnly)
	}
	waiting := len(l.queue) > 0 && len(l.queue[len(l.queue)-1].buffer) < groupBytes
	if waiting {
		g = l.queue[len(l.queue)-1]
	} else {
		g = l.newGroup()
	}
	if err := g.add(e); err != nil {
		return nil, false, fmt.Errorf("log: %w", err)
	}
	if !waiting {
		l.queue = append(l.queue, g)
	}
	leads = !l.writing
	l.writing = true
	return g, leads, nil
}

func (l *Local) newGroup() *group {
	g := &group{lead: make(chan struct{}, 1), done: make(chan struct{})}
	if n := len(l.spare); n > 0 {
		old := l.spare[n-1]
		l.spare = l.spare[:n-1]
		g.buffer, g.starts, g.entries = old.buffer, old.starts, old.entries
	}
	return g
}

// add encodes an entry into the group. Its offset is not known yet.
func (g *group) add(e *entry.Entry) error {
	start := len(g.buffer)
	buffer := disk.BeginFrame(g.buffer)
	buffer = append(buffer, make([]byte, prefixSize)...)
	buffer, err := e.AppendTo(buffer)
	if err != nil {
		return err
	}
	g.buffer = buffer
	g.starts = append(g.starts, start)
	g.entries = append(g.entries, e)
	return nil
}

// number fills in what add could not know.
func (g *group) number(tag, firstOffset uint64, firstFrame uint32) {
	end := len(g.buffer)
	for i := len(g.starts) - 1; i >= 0; i-- {
		start := g.starts[i]
		payload := g.buffer[start+disk.FrameHeaderSize:]
		binary.LittleEndian.PutUint64(payload, tag)
		binary.LittleEndian.PutUint32(payload[tagSize:], uint32(i))
		binary.LittleEndian.PutUint64(payload[prefixSize:], firstOffset+uint64(i))
		disk.FinishFrame(g.buffer[:end], start, firstFrame+uint32(i))
		end = start
	}
}

// write writes the first group of the queue, which is g, hands its entries to
// the tails and passes the lead on.
func (l *Local) write(g *group) {
	l.mu.Lock()
	copy(l.queue, l.queue[1:])
	l.queue = l.queue[:len(l.queue)-1]
	first, err := l.next, l.failed
	l.mu.Unlock()
	if err == nil {
		err = l.commit(g, first)
	}
	g.err = err

	l.mu.Lock()
	if err == nil {
		l.publish(g, first)
	}
	l.handOn(err)
	l.reuse(g)
	l.mu.Unlock()
	close(g.done)
}

// handOn ends a leader's work, which came to err: the next group's takes over,
// if there is one. The caller holds mu.
func (l *Local) handOn(err error) {
	if errors.Is(err, ErrFailed) {
		l.failed = err
	}
	if len(l.queue) > 0 {
		l.queue[0].lead <- struct{}{}
		return
	}
	l.writing = false
	l.idle.Broadcast()
}

// publish makes a durable group visible. The caller holds mu.
func (l *Local) publish(g *group, first uint64) {
	for i, e := range g.entries {
		e.Offset = first + uint64(i)
	}
	l.last = first + uint64(len(g.entries)) - 1
	l.next = max(l.next, l.last+1)
	l.active.segment.size += int64(len(g.buffer))
	for c := range l.tails {
		c.push(g.entries)
	}
}

// reuse keeps the memory of a group for another. The caller holds mu.
func (l *Local) reuse(g *group) {
	if len(l.spare) < 2 && cap(g.buffer) <= 2*groupBytes {
		clear(g.entries)
		l.spare = append(l.spare, &group{buffer: g.buffer[:0], starts: g.starts[:0], entries: g.entries[:0]})
	}
}

// commit makes a group durable. After an error that is not ErrFailed the log
// goes on in another segment, with the same offset.
func (l *Local) commit(g *group, first uint64) error {
	if err := l.prepare(int64(len(g.buffer)), first); err != nil {
		return err
	}
	w := &l.active
	g.number(w.segment.tag, first, w.number)
	if _, err := w.file.Write(g.buffer); err != nil {
		name := w.segment.name
		l.abandon()
		return fmt.Errorf("%s: %w", name, disk.Wrap(err))
	}
	if err := w.file.SyncData(); err != nil {
		return l.fail(w.segment.name, err)
	}
	w.number += uint32(len(g.entries))
	w.next = first + uint64(len(g.entries))
	return nil
}

// prepare sees to it that there is a segment for size bytes of entries that
// begin with the offset first.
func (l *Local) prepare(size int64, first uint64) error {
	if w := &l.active; w.file != nil {
		full := w.number > 1 && w.segment.size+size > l.options.SegmentBytes
		if !full && w.next == first {
			return nil
		}
		l.abandon()
	}
	l.newest++
	fsys, name := l.options.FS, disk.SegmentName(l.newest)
	salt := l.options.NewSalt()
	g := &segment{number: l.newest, identity: identity{first, tagOf(salt)}, name: findingName(fsys, l.options.Dir, name),
		path: fsys.PathJoin(l.options.Dir, name), limit: noLimit, size: segmentHead}
	file, err := fsys.Create(g.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("%s: %w", g.name, disk.Wrap(err))
	}
	if _, err := file.Write(appendSegmentHead(nil, salt, first)); err != nil {
		file.Close()
		fsys.Remove(g.path) // or it stays: nothing is in it
		return fmt.Errorf("%s: %w", g.name, disk.Wrap(err))
	}
	err = file.Sync()
	if err == nil {
		err = disk.SyncDir(fsys, l.options.Dir)
	}
	if err != nil {
		file.Close()
		return l.fail(g.name, err)
	}
	l.active = segmentWriter{file: file, segment: g, number: 1, next: first}
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.segments); n > 0 {
		l.segments[n-1].limit = first
	}
	l.segments = append(l.segments, g)
	return nil
}

// abandon ends the active segment. What lies in it behind its last durable
// entry is void from the moment the next segment is there.
func (l *Local) abandon() {
	l.active.file.Close() // everything that counts was synced
	l.active = segmentWriter{}
}

// fail makes a failed sync final: syncing again might succeed although the
// pages that were not written are lost.
func (l *Local) fail(name string, cause error) error {
	return fmt.Errorf("%w: sync %s: %w", ErrFailed, name, disk.Wrap(cause))
}

// Close implements Log.
func (l *Local) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	for l.writing {
		l.idle.Wait()
	}
	l.writing = true // no leader from here on
	l.finish()
	for c := range l.tails {
		c.end()
	}
	return nil
}

// finish ends the active segment with a frame that says so. It is there only
// so that later damage can be told from a torn write: everything acknowledged
// is durable without it, so its errors are of no account.
func (l *Local) finish() {
	w := &l.active
	if w.file == nil {
		return
	}
	if l.failed == nil && w.next == l.next {
		payload := binary.LittleEndian.AppendUint64(nil, w.segment.tag)
		end := disk.AppendFrame(nil, w.number, binary.LittleEndian.AppendUint64(payload, w.next))
		if _, err := w.file.Write(end); err == nil {
			w.file.SyncData()
		}
	}
	l.abandon()
}

// Tail implements Log.
func (l *Local) Tail(partitions []model.Partition, after func(model.Partition) uint64) (Cursor, error) {
	c := newCursor(l, partitions, after)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrClosed
	}
	c.upTo = l.last
	least := slices.Min(c.after[:])
	for i, g := range l.segments {
		copied := *g
		if i+1 == len(l.segments) {
			copied.limit = l.last + 1
		}
		if least < noLimit && copied.limit > least+1 {
			c.segments = append(c.segments, &copied)
		}
	}
	c.pin()
	l.tails[c] = struct{}{}
	return c, nil
}
