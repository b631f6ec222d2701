package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hokan-db/hokan/engine/catalog"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// Recovery, in the order of the steps in Open: which blocks are live
// (manifests) with the fold state as of each partition's checkpoint, and the
// entries of the log after it.

// loadState learns which files there are, each tenant's live blocks and how far
// they reach, and each partition's fold state as of its checkpoint. It reads
// them side by side, on all cores: that is most of what opening a database of
// many tenants takes. A checkpoint that cannot be read costs its partition,
// which then serves nothing and keeps its log; the others are not touched.
func (db *DB) loadState() (stored []string, err error) {
	if err := db.loadRecords(); err != nil {
		return nil, err
	}
	var loaded [model.Partitions]loadedCheckpoint
	jobs := []func() error{
		func() (err error) { stored, err = db.findFiles(); return err },
		db.loadManifests,
	}
	for _, p := range db.partitions {
		if p.record.Checkpoint != "" {
			jobs = append(jobs, func() error { loaded[p.id] = db.decodeCheckpoint(p); return nil })
		}
	}
	if err := db.sideBySide(jobs); err != nil {
		return nil, err
	}
	for i, p := range db.partitions {
		if err := db.restorePartition(p, &loaded[i]); err != nil {
			return nil, err
		}
	}
	return stored, nil
}

// readersPerCore is how many files are read at once while opening: those that
// wait for the disk leave the core to others.
const readersPerCore = 4

// sideBySide does jobs on all cores, beginning them in their order.
func (db *DB) sideBySide(jobs []func() error) error {
	workers := readersPerCore * applierCount()
	if db.options.Manual {
		workers = 1
	}
	errs := make([]error, len(jobs))
	var next atomic.Int32
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(jobs); i = int(next.Add(1)) - 1 {
				errs[i] = jobs[i]()
			}
		})
	}
	working.Wait()
	return errors.Join(errs...)
}

// loadedRows says where a tenant's rows were when the database was opened: up to
// an offset in blocks, and in the heads of the checkpoint, each of which goes to
// one of heads. Those of entries after the checkpoint were in the log.
type loadedRows struct {
	flushedTo uint64
	heads     []uint64
}

// loadManifests learns each tenant's live blocks and how far they reach.
func (db *DB) loadManifests() error {
	db.loaded = map[model.Tenant]loadedRows{}
	return db.catalog.Manifests(func(name model.Tenant, m catalog.Manifest) error {
		t := newTenant(name, db.partitions[name.Partition()])
		t.revision, t.flushedTo, t.blocks, t.dropped = m.Revision, m.FlushedTo, m.Blocks, m.Dropped
		db.tenants[name] = t
		db.loaded[name] = loadedRows{flushedTo: m.FlushedTo}
		return nil
	})
}

// loadRecords learns each partition's checkpoint.
func (db *DB) loadRecords() error {
	for _, p := range db.partitions {
		record, err := db.catalog.LoadPartition(p.id)
		if err != nil {
			return err
		}
		p.record, p.applied, p.lastOffset = record, record.Offset, record.Offset
		if p.keepFrom = record.KeepFrom; p.keepFrom != 0 {
			db.faults.add(disk.Corrupt(disk.LogDir, 0, "entry %d of partition %d could not be applied", p.keepFrom, p.id))
		}
	}
	return nil
}

// restorePartition puts in place what a partition's checkpoint holds.
func (db *DB) restorePartition(p *partition, l *loadedCheckpoint) error {
	name, err := p.record.Checkpoint, l.err
	p.schedule.last = l.size
	switch {
	case err == nil:
		db.placeGraves(p, l.graves)
		for i := range l.tenants {
			db.restoreTenant(l.tenants[i], l.heads[i])
		}
		return nil
	case errors.Is(err, disk.ErrNotFound):
		err = disk.Corrupt(name, 0, "the checkpoint is missing")
		db.quarantine.add(name, KindMissing)
		db.faults.add(err)
	case errors.Is(err, disk.ErrCorrupt):
		db.setAside(name, err)
	default:
		return err
	}
	p.damaged = err
	return nil
}

// loadedCheckpoint is what a partition's checkpoint holds, put in place when
// all of it is known to be good.
type loadedCheckpoint struct {
	graves  []grave
	tenants []*tenant
	heads   [][]*frozenHead // of each tenant, the active one last
	size    int64           // of the file
	err     error
}

func (db *DB) decodeCheckpoint(p *partition) (l loadedCheckpoint) {
	name := p.record.Checkpoint
	o, err := servedBlocks{db.local}.Open(name)
	if err != nil {
		return loadedCheckpoint{err: err}
	}
	defer o.Close()
	l.size = o.Size()
	head, err := decodeCheckpoint(o, name, func(c *tenantCheckpoint) error {
		t, err := c.restore(p)
		l.tenants, l.heads = append(l.tenants, t), append(l.heads, c.restored)
		return err
	})
	if err == nil && (head.partition != p.id || head.offset != p.record.Offset) {
		err = disk.Corrupt(name, 0, "it is of partition %d at offset %d, the catalog names %d at %d",
			head.partition, head.offset, p.id, p.record.Offset)
	}
	l.graves, l.err = head.graves, err
	return l
}

// restore makes a tenant as a checkpoint has it, but for its heads.
func (c *tenantCheckpoint) restore(p *partition) (*tenant, error) {
	t := newTenant(c.name, p)
	if err := t.index.Restore(c.channels); err != nil {
		return nil, err
	}
	t.latest = c.latestByID()
	t.nextID = max(c.nextID, t.index.MaxID()+1)
	t.alarms, t.receipts = c.alarmSet, c.receiptSet
	t.lastApplied = c.applied
	t.activeSince = c.since
	t.born, t.clock = c.born, c.clock
	t.setTombstones(c.tombstones)
	t.pinned = c.pinned
	if len(c.rules) == 0 {
		return t, nil
	}
	var err error
	t.policy, err = c.rules.Compile()
	return t, err
}

// latestByID returns the channels' newest rows with each in the place of its ID.
func (c *tenantCheckpoint) latestByID() []latestSample {
	most := model.ChannelID(0)
	for i := range c.channels {
		most = max(most, c.channels[i].ID)
	}
	byID := make([]latestSample, uint64(most)+1)
	for i := range c.channels {
		byID[c.channels[i].ID] = c.latest[i]
	}
	return byID
}

// restoreTenant puts a checkpoint's tenant in the place of one of which only
// the manifest is known. Heads whose rows have reached blocks since are
// dropped.
func (db *DB) restoreTenant(t *tenant, heads []*frozenHead) {
	if m := db.tenants[t.name]; m != nil {
		t.revision, t.flushedTo, t.blocks, t.dropped = m.revision, m.flushedTo, m.blocks, m.dropped
	}
	db.tenants[t.name] = t
	loaded := db.loaded[t.name]
	for i, h := range heads {
		loaded.heads = append(loaded.heads, h.lastOffset)
		switch {
		case h.lastOffset <= t.flushedTo:
			continue
		case i+1 == len(heads) && h.lastOffset == t.lastApplied:
			t.active = h.layer
		default:
			t.frozen = append(t.frozen, h)
		}
		db.headBytes.Add(int64(h.Bytes()))
	}
	db.loaded[t.name] = loaded
}

func (t *tenant) restoreChannel(c *model.Channel, latest latestSample) error {
	if _, err := t.index.Define(model.Definition{ID: c.ID, Labels: c.Labels}); err != nil {
		return err
	}
	t.index.Get(c.ID).History = c.History
	if latest.state != latestNone {
		t.setLatest(c.ID, []int64{latest.time}, []float64{latest.value})
		t.latest[c.ID].state = latest.state
	}
	return nil
}

// finishDeletions does, when the log has been replayed, what deletions have
// left to do.
func (db *DB) finishDeletions() error {
	for name, t := range db.waiting { // the log does not create it: it is damaged
		db.tenants[name] = t
	}
	clear(db.waiting)
	for _, t := range db.allTenants(func(*tenant) bool { return true }) {
		t.mu.Lock()
		t.forgetTombstones()
		t.mu.Unlock()
	}
	return db.clearGraves()
}

// placeGraves puts the deleted tenants of a checkpoint in place. What a
// manifest says of one is not of a later tenant of the name is dead.
func (db *DB) placeGraves(p *partition, graves []grave) {
	p.graves = graves
	for _, g := range graves {
		if t := db.tenants[g.tenant]; t != nil && t.flushedTo < g.offset {
			delete(db.tenants, g.tenant)
		}
	}
}

// removeUnnamed deletes what an interrupted flush, compaction or checkpoint
// left: blocks that no manifest names and whose rows the log or a named block
// holds, and checkpoints that no record names. Anything else that nothing names
// is left alone, and so is everything where any damage was found: it may be all
// that is left. Found is what opening finds: missing blocks, and damage to the
// log, checkpoints and manifests. Of the blocks among what is stored only those
// are read that take the place of others.
func (db *DB) removeUnnamed(stored []string) error {
	if faults, _ := db.listFaults(); len(faults) > 0 || db.options.ReadOnly {
		return nil
	}
	named, checked := map[string]bool{}, map[string]bool{}
	for _, t := range db.tenants {
		for _, m := range t.blocks {
			named[m.Name] = true
		}
	}
	for _, p := range db.partitions {
		named[p.record.Checkpoint] = true
	}
	return db.blocks.Delete(slices.DeleteFunc(stored, func(name string) bool {
		if named[name] {
			return true
		}
		if b, ok := disk.ParseBlockName(name); ok {
			return !db.isGarbage(b, checked)
		}
		_, _, _, checkpoint := disk.ParseCheckpointName(name)
		return !checkpoint
	})...)
}

// isGarbage reports whether the rows of a block that no manifest names were
// replayed or are in named blocks, or were dropped because nobody can read them. Blocks
// that others were merged into are read first, every byte of them: until then
// those are another copy. Checked are blocks that were read already.
func (db *DB) isGarbage(b disk.BlockName, checked map[string]bool) bool {
	t := db.tenants[b.Tenant]
	if t == nil || b.LastOffset < t.born {
		return true // of a tenant that was deleted
	}
	if loaded := db.loaded[b.Tenant]; b.LastOffset > loaded.flushedTo {
		if b.LastOffset > db.partitions[b.Tenant.Partition()].record.Offset || slices.Contains(loaded.heads, b.LastOffset) {
			return true // its rows were replayed
		}
		db.faults.add(disk.Corrupt(b.String(), 0, "the catalog does not know the block, and its rows are nowhere else: repair makes the catalog anew"))
		return false
	}
	covering, ok := t.merged(b)
	for _, name := range covering {
		if checked[name] {
			continue
		}
		if err := checkBlock(db.blocks, name); err != nil {
			db.faults.add(err)
			return false
		}
		checked[name] = true
	}
	return ok || slices.Contains(t.dropped, b.String())
}

// findBlocks compares the blocks that were stored before the log was replayed
// with those that manifests name.
func (db *DB) findBlocks(stored []string) error {
	db.findMissing(stored)
	db.relearnChannels()
	err := db.removeUnnamed(stored)
	db.loaded = nil
	return err
}

// findMissing names the blocks that are missing or were set aside. Those that
// replaying has written, or set aside, are looked at one by one.
func (db *DB) findMissing(stored []string) {
	for _, t := range db.tenants {
		for _, m := range t.blocks {
			if _, ok := slices.BinarySearch(stored, m.Name); ok && !db.quarantine.has(m.Name) || db.isStored(m.Name) {
				continue
			}
			if db.quarantine.has(m.Name) {
				db.faults.add(disk.Corrupt(m.Name, 0, "the block was set aside: damage was found in it"))
				continue
			}
			db.quarantine.add(m.Name, KindMissing)
			db.faults.add(disk.Corrupt(m.Name, 0, "the block is missing"))
		}
	}
}

// isStored reports whether there is an object of this name, or that cannot be told.
func (db *DB) isStored(name string) bool {
	o, err := db.blocks.Open(name)
	if err == nil {
		o.Close() // nothing was read
	}
	return !errors.Is(err, disk.ErrNotFound)
}

// relearnChannels defines the channels that only blocks know any more, because
// the entries that defined them were damaged. Blocks carry labels and
// properties; without them a new channel would get the ID, and the rows, of a
// lost one.
func (db *DB) relearnChannels() {
	if faults, _ := db.listFaults(); len(faults) == 0 {
		return
	}
	for _, t := range db.tenants {
		for _, m := range t.blocks {
			if err := db.relearnFrom(t, m.Name); err != nil {
				db.faults.add(fmt.Errorf("channels of %s: %w", m.Name, err))
			}
		}
	}
}

func (db *DB) relearnFrom(t *tenant, name string) error {
	r, err := db.readers.acquire(name)
	if err != nil {
		return err
	}
	defer db.readers.release(r)
	t.mu.Lock()
	defer t.mu.Unlock()
	newest := latestSample{state: latestLost, time: model.MinTime} // it is looked for when it is asked for
	for i := range t.blocks {
		newest.time = max(newest.time, t.blocks[i].Last)
	}
	return r.Channels(func(c model.Channel) error {
		t.nextID = max(t.nextID, c.ID+1)
		if t.index.Get(c.ID) != nil || t.deleted(c.ID, name) {
			return nil
		}
		return t.restoreChannel(&c, newest)
	})
}

// deleted reports whether a channel that a block has rows of was deleted. The
// caller holds mu.
func (t *tenant) deleted(id model.ChannelID, block string) bool {
	b, _ := disk.ParseBlockName(block)
	return slices.ContainsFunc(t.tombstones, func(s model.Tombstone) bool {
		return s.Offset > b.LastOffset && removesChannels(&s) && s.Covers(id)
	})
}

// replay folds the entries after each checkpoint, one applier per core,
// flushing as it goes so that heads stay within their memory.
func (db *DB) replay() error {
	n := applierCount()
	parts := make([][]model.Partition, n)
	for i := range db.partitions {
		parts[i%n] = append(parts[i%n], model.Partition(i))
	}
	after := func(p model.Partition) uint64 { return db.partitions[p].record.Offset }
	for i := range n {
		cursor, err := db.log.Tail(parts[i], after)
		if err != nil {
			return err
		}
		db.appliers = append(db.appliers, &applier{db: db, cursor: cursor, events: map[model.Tenant][]Event{}})
	}
	stopFlushing := db.flushDuringReplay()
	defer stopFlushing()
	errs := make([]error, n)
	var running sync.WaitGroup
	for i, a := range db.appliers {
		running.Go(func() { errs[i] = a.replay() })
	}
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	for _, fault := range db.logFaults() {
		db.faults.add(fault)
	}
	return nil
}

// flushDuringReplay runs the flusher until the returned function is called.
func (db *DB) flushDuringReplay() (stop func()) {
	if db.options.Manual {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { db.flusher.run(ctx) })
	return func() {
		cancel()
		running.Wait()
		db.flusher.mu.Lock()
		db.flusher.stopped, db.flusher.failed = false, nil
		db.flusher.mu.Unlock()
	}
}
