package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/catalog"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// chunkRows is the most rows that one chunk of a flush block holds.
const chunkRows = 4096

// fullChannels is how many channels' worth of full chunks a head holds at least
// when it is flushed for its size. Otherwise a bulk import, channel after
// channel, would make a block of every one.
const fullChannels = 64

// fullBytes and fullRows are how many bytes of attached blocks, or rows in them, a
// layer has at least when it is flushed for them: blocks of a size that need not
// be merged soon, and no more rows than can be decoded at once where they overlap.
const fullBytes, fullRows = 16 << 20, 4 << 20

// large reports whether l is to be flushed for its size: rows of one channel
// say that chunks would be full, all rows that there are enough of them.
func (db *DB) large(l *layer) bool {
	rows := db.options.HeadRows
	return l.LargestChannel() >= rows && l.Head.Rows()/fullChannels >= rows ||
		l.attachedBytes >= fullBytes || l.attachedRows >= fullRows
}

// flusher turns frozen heads into blocks, one tenant at a time, oldest head
// first.
type flusher struct {
	db *DB

	mu      sync.Mutex
	changed *sync.Cond
	queue   []*tenant
	queued  map[*tenant]bool
	failed  error // of the last flush, nil when it went well
	stopped bool

	freezing sync.Mutex // held by the writer that looks for what to flush

	parts atomic.Uint32 // blocks begun since Open

	// flushing is held over each flush, so that there is one at a time.
	flushing sync.Mutex
}

func (f *flusher) init(db *DB) {
	f.db = db
	f.changed = sync.NewCond(&f.mu)
	f.queued = map[*tenant]bool{}
}

// wake has t's frozen heads flushed soon.
func (f *flusher) wake(t *tenant) {
	f.mu.Lock()
	if !f.queued[t] {
		f.queued[t] = true
		f.queue = append(f.queue, t)
	}
	f.mu.Unlock()
	f.changed.Broadcast()
}

// relieve has the largest heads flushed, unless some are already, and reports
// whether flushing gets on.
func (f *flusher) relieve() bool {
	if f.db.options.Manual {
		return false
	}
	f.mu.Lock()
	idle := len(f.queue) == 0
	f.mu.Unlock()
	if idle && f.freezing.TryLock() { // one of the writers looks for what to flush
		f.db.freezeLargest()
		f.freezing.Unlock()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed == nil && !f.stopped
}

// failure returns why the last flush failed, nil if it went well.
func (f *flusher) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// waitForRoom blocks while heads hold more than twice what they may and
// flushing gets on, so that writers cannot outrun it. It does not wait for a
// flusher that fails: a full disk must not stop what still can go on.
func (f *flusher) waitForRoom() {
	if f.db.options.Manual || f.db.headBytes.Load() <= f.db.options.HeadBytes {
		return
	}
	if !f.relieve() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.queue) > 0 && f.failed == nil && !f.stopped && f.db.headBytes.Load() > 2*f.db.options.HeadBytes {
		f.changed.Wait()
	}
}

// overfull refuses writes where heads hold four times what they may because
// flushing fails.
func (f *flusher) overfull() error {
	if f.db.headBytes.Load() <= 4*f.db.options.HeadBytes {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed == nil {
		return nil
	}
	return fmt.Errorf("heads hold more than %d bytes and cannot be flushed: %w", 4*f.db.options.HeadBytes, f.failed)
}

// run flushes what is queued until ctx ends.
func (f *flusher) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		f.mu.Lock()
		f.stopped = true
		f.mu.Unlock()
		f.changed.Broadcast()
	})
	defer stop()
	for {
		t := f.next()
		if t == nil {
			return
		}
		err := f.db.flushTenant(ctx, t)
		f.mu.Lock()
		f.failed = err
		f.mu.Unlock()
		f.changed.Broadcast()
		f.db.memory.notify()
		if err != nil && ctx.Err() == nil {
			f.db.faults.add(fmt.Errorf("flush tenant %s: %w", t.name, err))
		}
	}
}

// next waits for a tenant to flush; nil when the flusher is stopped.
func (f *flusher) next() *tenant {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.queue) == 0 && !f.stopped {
		f.changed.Wait()
	}
	if f.stopped {
		return nil
	}
	t := f.queue[0]
	f.queue = f.queue[1:]
	delete(f.queued, t)
	return t
}

// freezeLargest freezes the heads that hold the most until the rest is within
// what heads may hold, and queues them.
func (db *DB) freezeLargest() {
	type sized struct {
		t     *tenant
		bytes int64
	}
	var heads []sized
	var active int64
	for _, t := range db.allTenants(func(*tenant) bool { return true }) {
		t.mu.RLock()
		bytes := int64(t.active.Bytes())
		t.mu.RUnlock()
		active += bytes
		heads = append(heads, sized{t, bytes})
	}
	slices.SortStableFunc(heads, func(a, b sized) int { return int(b.bytes - a.bytes) })
	for _, h := range heads {
		if active <= db.options.HeadBytes/2 {
			return
		}
		h.t.mu.Lock()
		h.t.freeze()
		h.t.mu.Unlock()
		db.flusher.wake(h.t)
		active -= h.bytes
	}
}

// freezeAged freezes and queues heads whose first entry is older than the
// flush age plus a share of it that depends on the tenant, so that ten
// thousand tenants do not flush at once.
func (db *DB) freezeAged(now int64) {
	for _, t := range db.allTenants(func(*tenant) bool { return true }) {
		spread := db.options.FlushAge / model.Partitions * int64(t.partition.id)
		t.mu.Lock()
		t.activeSince = min(t.activeSince, now) // the clock may have been set back
		due := !t.active.Empty() && now-t.activeSince >= db.options.FlushAge+spread
		if due {
			t.freeze()
		}
		waiting := len(t.frozen) > 0
		t.mu.Unlock()
		if due || waiting {
			db.flusher.wake(t)
		}
	}
}

// Flush moves every row of every head into blocks.
func (db *DB) Flush(ctx context.Context) error {
	if err := db.gate.enter(); err != nil {
		return err
	}
	defer db.gate.leave()
	if db.options.ReadOnly {
		return ErrReadOnly
	}
	for _, t := range db.allTenants(func(*tenant) bool { return true }) {
		t.mu.Lock()
		t.freeze()
		t.mu.Unlock()
		if err := db.flushTenant(ctx, t); err != nil {
			return fmt.Errorf("flush tenant %s: %w", t.name, err)
		}
	}
	return nil
}

// flushTenant flushes t's frozen heads, oldest first.
func (db *DB) flushTenant(ctx context.Context, t *tenant) error {
	t.writing.RLock()
	defer t.writing.RUnlock()
	db.flusher.flushing.Lock()
	defer db.flusher.flushing.Unlock()
	for {
		t.mu.RLock()
		var oldest *frozenHead
		if len(t.frozen) > 0 {
			oldest = t.frozen[0]
		}
		t.mu.RUnlock()
		if oldest == nil {
			return nil
		}
		if err := db.flushHead(ctx, t, oldest); err != nil {
			return err
		}
	}
}

// flushHead writes the blocks of one frozen head, commits them to the
// manifest, and only then lets readers see them in the head's place.
func (db *DB) flushHead(ctx context.Context, t *tenant, f *frozenHead) error {
	if err := db.catalog.Err(); err != nil {
		return err // the blocks could not be committed: do not write them
	}
	if err := db.reserve.fits(uint64(f.Bytes()), true); err != nil {
		return err
	}
	db.reserve.wrote(uint64(f.Bytes()))
	written, err := db.writeBlocks(ctx, t, f)
	if err == nil {
		manifest := t.nextManifest(db.epoch)
		manifest.FlushedTo = f.lastOffset
		manifest.Blocks = append(slices.Clone(manifest.Blocks), written...)
		if err = db.commitManifest(t, manifest); err == nil {
			db.installBlocks(t, f, manifest)
			return nil
		}
		if errors.Is(err, errGone) {
			return db.deleteWritten(written, nil)
		}
		// The commit may or may not have reached the disk: the next opening
		// finds out. Until then the files stay.
		return err
	}
	return db.deleteWritten(written, err)
}

// deleteWritten deletes blocks that are not in the manifest and never will be.
func (db *DB) deleteWritten(written []block.Meta, err error) error {
	for _, m := range written {
		err = errors.Join(err, db.blocks.Delete(m.Name))
	}
	return err
}

func (db *DB) installBlocks(t *tenant, f *frozenHead, m catalog.Manifest) {
	t.mu.Lock()
	if t.gone { // since the manifest was committed
		t.mu.Unlock()
		return
	}
	t.revision, t.flushedTo, t.blocks = m.Revision, m.FlushedTo, m.Blocks
	t.frozen = slices.Delete(slices.Clone(t.frozen), 0, 1)
	t.forgetTombstones()
	t.mu.Unlock()
	a := db.appliers[int(t.partition.id)%len(db.appliers)]
	a.mu.Lock()
	t.partition.flushed = true
	a.mu.Unlock()
	db.headBytes.Add(-int64(f.Bytes()))
	db.memory.notify()
	db.flusher.changed.Broadcast()
	db.compactor.touch(t)
}

// writeBlocks writes one block per UTC day, or month, that f has rows of. On error it
// returns those already written too.
func (db *DB) writeBlocks(ctx context.Context, t *tenant, f *frozenHead) ([]block.Meta, error) {
	columns, cleanTo, err := t.flushColumns(f, db.freeable())
	if err != nil {
		return nil, err
	}
	spans, err := flushSpans(columns)
	if err != nil {
		return nil, err
	}
	var written []block.Meta
	for i, span := range spans {
		if err := ctx.Err(); err != nil {
			return written, err
		}
		meta, err := db.writeBlock(t, f, span, columns, i+1 < len(spans))
		if err != nil {
			return written, err
		}
		meta.CleanTo = cleanTo
		written = append(written, meta)
	}
	return written, nil
}

// heldRows is how many decoded rows a flush holds at most, 16 MB, so that it
// need not decode the same channel for every block that it has rows in.
const heldRows = 1 << 20

// maxFlushDays is how many days a head is split into at most: of one that has
// more, such as years of a daily reading, all but the last two are split by
// month, so that a flush does not make a file for every row. The last two may be
// live data, which late rows must not tie to other days.
const maxFlushDays, liveDays = 3, 2

// flushSpans returns the UTC days, or the parts of months, that hold rows of the
// columns, ascending. Columns of more than one day hold their rows afterwards, as long
// as these are no more than heldRows together.
func flushSpans(columns []flushColumn) ([]model.Span, error) {
	days := map[int64]bool{}
	var buffer rowBuffer
	held := 0
	for i := range columns {
		c := &columns[i]
		if !c.together() {
			if err := c.addDays(days, &buffer); err != nil {
				return nil, err
			}
			continue
		}
		if first, last := c.bounds(); dayOf(first) == dayOf(last) && c.hidden.hidesNothing() {
			days[dayOf(first)] = true
			continue
		}
		times, values, err := c.rows(&buffer)
		if err != nil {
			return nil, err
		}
		if held+len(times) <= heldRows {
			held += len(times)
			c.times, c.values = slices.Clone(times), slices.Clone(values)
		}
		addDays(days, times)
	}
	return joinDays(slices.Sorted(maps.Keys(days))), nil
}

// addDays adds the days of some ascending rows.
func addDays(days map[int64]bool, times []int64) {
	for len(times) > 0 {
		start := dayOf(times[0])
		days[start] = true
		next, _ := slices.BinarySearch(times, start+model.Day)
		times = times[next:]
	}
}

// joinDays returns the spans of ascending days, or where these are many of the
// parts of months that hold them.
func joinDays(days []int64) []model.Span {
	var spans []model.Span
	for i, day := range days {
		span := model.Span{From: day, To: day + model.Day}
		last := len(spans) - 1
		if len(days) > maxFlushDays && 0 < i && i < len(days)-liveDays && monthOf(day) == monthOf(spans[last].From) {
			spans[last].To = span.To
		} else {
			spans = append(spans, span)
		}
	}
	return spans
}

// monthOf returns the UTC month that holds t.
func monthOf(t int64) model.Span {
	year, month, _ := time.Unix(0, t).UTC().Date()
	from := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	return model.Span{From: from.UnixNano(), To: from.AddDate(0, 1, 0).UnixNano()}
}

// dayOf returns the start of the UTC day that holds t.
func dayOf(t int64) int64 {
	start := t - t%model.Day
	if start > t { // before 1970 the remainder is negative
		start -= model.Day
	}
	return start
}

// writeBlock writes the rows of one span, and the deletions since the last
// flush. more says that other spans follow.
func (db *DB) writeBlock(t *tenant, f *frozenHead, span model.Span, columns []flushColumn, more bool) (block.Meta, error) {
	name := disk.BlockName{
		Tenant: t.name, Level: block.Level, First: span.From, Last: span.To - 1,
		FirstOffset: t.flushedTo + 1, LastOffset: f.lastOffset, Epoch: db.epoch,
		Part: db.flusher.parts.Add(1), // a second try never meets the first one's file
	}
	var meta block.Meta
	err := db.blocks.Put(name.String(), func(w io.Writer) error {
		notes := t.notes(t.flushedTo)
		notes.More = more
		writer := block.NewWriter(w, block.WriterOptions{Name: name, Notes: notes})
		var buffer rowBuffer
		for i := range columns {
			c := &columns[i]
			if err := c.write(writer, span, &buffer); err != nil {
				return err
			}
		}
		var err error
		meta, err = writer.Close()
		return err
	})
	meta.Written = db.options.Clock().UnixNano()
	return meta, err
}
