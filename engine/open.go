package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"path"
	"runtime"
	"time"

	"github.com/hokan-db/hokan/engine/catalog"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/engine/wal"
)

// FormatVersion is the version of everything below DATA. A database of another
// version is refused.
const FormatVersion = 1

// formatText is the content of DATA/FORMAT.
var formatText = fmt.Sprintf("hokan %d\n", FormatVersion)

// Open opens the database in o.Dir, making it where there is none, and brings
// it to the state of the last durable entry. One process at a time holds a
// database: another gets disk.ErrLocked.
//
// Damage that costs only what it touched does not stop Open: Faults names it.
func Open(o Options) (db *DB, err error) {
	if o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	db = &DB{options: o, fs: o.FS, tenants: map[model.Tenant]*tenant{}, waiting: map[model.Tenant]*tenant{}, tapMemory: newTapMemory()}
	for i := range db.partitions {
		db.partitions[i] = newPartition(model.Partition(i))
	}
	local := disk.NewLocalBlocks(o.FS, o.Dir)
	db.local, db.blocks = local, heldBlocks{local, &db.deleting}
	db.readers = newReaderCache(servedBlocks{local}, o.MemoryBytes/readersShare, db.objectDamaged)
	db.life, db.stop = context.WithCancel(context.Background())
	db.flusher.init(db)
	db.memory.init(db)
	db.reserve = reserve{fs: o.FS, dir: o.Dir, clock: o.Clock, bytes: o.FreeReserve}
	db.compactor.init()
	db.clock.latest.Store(math.MinInt64)
	db.clock.trusted = math.MinInt64 // nothing is freed before the log is replayed
	db.helping = make(chan struct{}, runtime.GOMAXPROCS(0)/2)
	db.queryRows, db.attach = uint64(policy.QueryRows.Default), defaultAttach
	var stored []string
	steps := []struct {
		name string
		run  func() error
	}{
		{"folder", db.openFolder},
		{"catalog", db.openCatalog},
		{"making", db.finishMaking},
		{"state", func() (err error) { stored, err = db.loadState(); return err }},
		{"log", db.openLog},
		{"replay", db.replay},
		{"clock", db.resumeClock},
		{"deletions", db.finishDeletions},
		{"blocks", func() error { return db.findBlocks(stored) }},
	}
	for _, step := range steps {
		if err := step.run(); err != nil {
			if !errors.Is(err, disk.ErrCorrupt) {
				err = disk.Wrap(err)
			}
			db.stop()
			db.background.Wait()
			return nil, errors.Join(fmt.Errorf("open %s: %s: %w", o.Dir, step.name, err), db.release())
		}
	}
	db.startBackground()
	return db, nil
}

// openFolder makes the folder where it may, and locks it.
func (db *DB) openFolder() error {
	if db.options.MustExist {
		if _, err := db.fs.Stat(path.Join(db.options.Dir, disk.FormatName)); err != nil {
			return err
		}
	} else if err := disk.MakeDir(db.fs, db.options.Dir); err != nil {
		return err
	}
	lock, err := disk.LockDir(db.fs, db.options.Dir)
	switch {
	case err == nil:
		db.lock = lock
	case !db.options.ReadOnly || !errors.Is(err, disk.ErrReadOnly) && !errors.Is(err, disk.ErrFull):
		return err
	}
	text, err := disk.ReadFile(db.fs, path.Join(db.options.Dir, disk.FormatName))
	if errors.Is(err, disk.ErrNotFound) {
		return nil // new, or killed while it was being made
	}
	if err != nil {
		return err
	}
	if string(text) != formatText {
		return disk.Corrupt(disk.FormatName, 0, "it says %.40q, this program reads %q", text, formatText)
	}
	db.made = true
	return nil
}

// openCatalog opens the catalog and starts a new epoch. A folder that says it
// is a database but whose catalog does not know itself has lost its catalog:
// going on would take every block for garbage.
func (db *DB) openCatalog() error {
	dir := path.Join(db.options.Dir, disk.CatalogDir)
	if db.made {
		if _, err := db.fs.Stat(dir); err != nil {
			return disk.Corrupt(disk.CatalogDir, 0, "the catalog cannot be found: %w", err)
		}
	}
	c, err := catalog.Open(db.fs, dir, catalog.Options{Overlay: db.options.ReadOnly})
	if err != nil {
		return err
	}
	db.catalog = c
	identity, err := c.LoadIdentity()
	if err != nil {
		return err
	}
	if identity.Epoch == 0 {
		if db.made || !holdsNothing(db.fs, db.options.Dir) {
			return disk.Corrupt(disk.CatalogDir, 0, "the catalog of what is stored here is lost")
		}
		identity.ID = newDatabaseID()
		identity.Format = FormatVersion
	}
	identity.Epoch++
	db.epoch = identity.Epoch
	return c.Commit(catalog.PutIdentity(identity))
}

// holdsNothing reports whether there is no log, block or checkpoint.
func holdsNothing(fs disk.FS, dir string) bool {
	for _, sub := range []string{disk.LogDir, disk.BlocksDir, disk.CheckpointsDir} {
		names, err := fs.List(path.Join(dir, sub))
		if err = disk.Wrap(err); len(names) > 0 || err != nil && !errors.Is(err, disk.ErrNotFound) {
			return false
		}
	}
	return true
}

// finishMaking makes the other folders of a new database and, last, the file
// that says that it is one.
func (db *DB) finishMaking() error {
	if db.made {
		return nil
	}
	for _, sub := range disk.Dirs {
		if err := db.fs.MkdirAll(path.Join(db.options.Dir, sub), 0o755); err != nil {
			return err
		}
	}
	if err := disk.SyncDir(db.fs, db.options.Dir); err != nil {
		return err
	}
	return disk.WriteAtomic(db.fs, path.Join(db.options.Dir, disk.FormatName), []byte(formatText))
}

// openLog opens the log and checks that it begins and ends where the catalog
// says it must.
func (db *DB) openLog() error {
	log, err := wal.Open(wal.Options{
		FS: db.fs, Dir: path.Join(db.options.Dir, disk.LogDir), SegmentBytes: db.options.SegmentBytes,
		ReadOnly: db.options.ReadOnly,
	})
	if err != nil {
		return err
	}
	db.log = log
	record, err := db.catalog.LoadLog()
	if err != nil {
		return err
	}
	db.logFaults, db.damagedSegments = log.Faults, log.Damaged
	db.logParts, db.rereadSegment = log.Contents, log.Reread
	first, last := log.Bounds()
	if last > 0 && first > record.TrimmedTo+1 {
		db.faults.add(disk.Corrupt(disk.LogDir, 0, "entries %d to %d are missing", record.TrimmedTo+1, first-1))
	}
	newest := max(record.TrimmedTo, record.Durable)
	for _, t := range db.tenants {
		newest = max(newest, t.flushedTo)
	}
	for _, p := range db.partitions {
		newest = max(newest, p.record.Offset)
	}
	// The newest segment is never trimmed, so a log without any has lost it.
	if max(last, record.TrimmedTo) < newest || last == 0 && newest > 0 {
		db.faults.add(disk.Corrupt(disk.LogDir, 0, "it ends at entry %d, but entry %d was durable", last, newest))
	}
	log.EnsureAfter(newest)
	db.replayedTo = max(last, newest)
	return nil
}

// startBackground runs what works beside the calls: the flusher, the keeper of
// time, the scrubber and the compactor.
func (db *DB) startBackground() {
	ctx := db.life
	if db.options.Manual {
		return
	}
	db.background.Go(func() { db.flusher.run(ctx) })
	db.background.Go(func() { db.maintain(ctx) })
	if db.options.ScrubRate > 0 {
		db.background.Go(func() { db.scrubInBackground(ctx) })
	}
	db.background.Go(func() { db.compactInBackground(ctx) })
}

// maintainEvery is how often the keeper of time looks for what is due. It is
// small against the ages of policy.
const maintainEvery = 10 * time.Second

// maintain flushes heads and writes checkpoints when they are due.
func (db *DB) maintain(ctx context.Context) {
	ticker := time.NewTicker(maintainEvery)
	defer ticker.Stop()
	for {
		db.clock.tick(db.options.Clock().UnixNano())
		if err := db.keepTime(ctx); err != nil && ctx.Err() == nil {
			db.faults.add(err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// keepTime does once what maintain does again and again.
func (db *DB) keepTime(ctx context.Context) error {
	now := db.options.Clock().UnixNano()
	db.freezeAged(now)
	return db.checkpointDue(ctx, now)
}

func newDatabaseID() (id [16]byte) {
	rand.Read(id[:]) // never fails
	return id
}
