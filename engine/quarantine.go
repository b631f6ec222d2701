package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"strings"
	"sync"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/disk"
)

// What is found damaged is set aside: its file gets the suffix
// disk.QuarantineSuffix, which keeps everything but a person from deleting,
// merging or replacing it, and it is counted. What of it is whole is still
// served, from under the new name: every part of a file has its checksum. What
// is not whole is an error that names the place, disk.ErrCorrupt: a query that
// needs it fails and is never answered without it. Repair takes what cannot be
// read out of the database; from then on it is not missed any more.

// Kinds of what was set aside.
const (
	KindSegment    = "segment"    // of the log: set aside once checkpoints hold what of it is readable
	KindCheckpoint = "checkpoint" // of a partition
	KindBlock      = "block"
	KindFile       = "file"    // an uploaded file
	KindCatalog    = "catalog" // a whole catalog that repair rebuilt
	KindMissing    = "missing" // a file that the catalog names and that is gone
	KindEntry      = "entry"   // a log entry that could not be applied
)

// quarantineKinds are all of them.
var quarantineKinds = []string{KindSegment, KindCheckpoint, KindBlock, KindFile, KindCatalog, KindMissing, KindEntry}

// quarantine knows what is set aside.
type quarantine struct {
	mu       sync.Mutex
	kinds    map[string]string // by the name of the file before it was set aside
	suspects map[string]bool   // objects that are being looked at
}

// add counts a file of a kind, once.
func (q *quarantine) add(name, kind string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.kinds == nil {
		q.kinds = map[string]string{}
	}
	q.kinds[name] = kind
}

// has reports whether a file is set aside, or missing.
func (q *quarantine) has(name string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.kinds[name] != ""
}

// suspect reports whether name is to be looked at: it is not set aside, and
// nobody looks at it already.
func (q *quarantine) suspect(name string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.kinds[name] != "" || q.suspects[name] {
		return false
	}
	if q.suspects == nil {
		q.suspects = map[string]bool{}
	}
	q.suspects[name] = true
	return true
}

// forget lets go of what was removed: names that begin with prefix.
func (q *quarantine) forget(prefix string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	maps.DeleteFunc(q.kinds, func(name, _ string) bool { return strings.HasPrefix(name, prefix) })
}

func (q *quarantine) acquit(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.suspects, name)
}

// Quarantined returns, for every kind, how many files are set aside as damaged
// or are missing, those of earlier openings included, and how many log entries
// could not be applied since Open.
func (db *DB) Quarantined() map[string]uint64 {
	counts := map[string]uint64{}
	for _, kind := range quarantineKinds {
		counts[kind] = 0
	}
	db.quarantine.mu.Lock()
	for kind := range maps.Values(db.quarantine.kinds) {
		counts[kind]++
	}
	db.quarantine.mu.Unlock()
	if db.damagedSegments != nil {
		for _, name := range db.damagedSegments() {
			if !db.quarantine.has(name) {
				counts[KindSegment]++
			}
		}
	}
	_, refused := db.listFaults()
	counts[KindEntry] += uint64(refused)
	return counts
}

// kindOf tells the kind of a file by its name.
func kindOf(name string) string {
	switch {
	case strings.HasPrefix(name, disk.BlocksDir+"/"):
		return KindBlock
	case strings.HasPrefix(name, disk.CheckpointsDir+"/"):
		return KindCheckpoint
	case strings.HasPrefix(name, disk.LogDir+"/"):
		return KindSegment
	case strings.HasPrefix(name, disk.CatalogDir):
		return KindCatalog
	}
	return KindFile
}

// findFiles returns the names of what is stored, ascending. It removes what
// interrupted Puts left, where it may, and learns what earlier openings set
// aside.
func (db *DB) findFiles() (stored []string, err error) {
	stored, temporary, names, err := db.local.Contents()
	if err == nil && !db.options.ReadOnly {
		err = db.local.RemoveTemporaries(temporary)
	}
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{"", disk.LogDir} {
		found, err := db.fs.List(path.Join(db.options.Dir, dir))
		if err = disk.Wrap(err); err != nil && !errors.Is(err, disk.ErrNotFound) {
			return nil, err
		}
		for _, base := range found {
			if disk.IsQuarantined(base) {
				names = append(names, path.Join(dir, base))
			}
		}
	}
	for _, name := range names {
		name = strings.TrimSuffix(name, disk.QuarantineSuffix)
		db.quarantine.add(name, kindOf(name))
	}
	return stored, nil
}

// setAside renames a damaged object, once, and counts it.
func (db *DB) setAside(name string, cause error) {
	db.faults.add(cause)
	if db.quarantine.has(name) {
		return
	}
	if !db.options.ReadOnly {
		if err := db.local.Quarantine(name); errors.Is(err, disk.ErrNotFound) {
			return // deleted meanwhile: its rows are elsewhere
		} else if err != nil {
			db.faults.add(fmt.Errorf("set aside: %w", err)) // it is tried again when it is met again
			return
		}
	}
	db.quarantine.add(name, kindOf(name))
}

// objectDamaged is told by a reader that an object was not as it was written.
// Before anything is renamed the object is read again, all of it: a fault of
// memory or of a cable passes.
func (db *DB) objectDamaged(name string, cause error) {
	db.faults.add(cause)
	if !db.quarantine.suspect(name) {
		return
	}
	if db.options.Manual {
		db.confirmDamage(context.Background(), name)
		return
	}
	db.background.Go(func() { db.confirmDamage(db.life, name) })
}

// confirmDamage reads an object and sets it aside if it is damaged.
func (db *DB) confirmDamage(ctx context.Context, name string) {
	defer db.quarantine.acquit(name)
	cause := checkObject(pacedBlocks{Blocks: db.local, ctx: ctx}, name)
	if !errors.Is(cause, disk.ErrCorrupt) {
		return
	}
	db.setAside(name, cause)
	switch kind := kindOf(name); {
	case kind == KindFile && db.quarantine.has(name):
		db.unlistFile(name)
	case kind == KindCheckpoint:
		db.renewCheckpoint(ctx, name)
	}
}

// renewCheckpoint writes the checkpoint of a partition anew where the one that
// counts is damaged: all that it held is in memory.
func (db *DB) renewCheckpoint(ctx context.Context, name string) {
	id, _, _, ok := disk.ParseCheckpointName(name)
	if !ok || db.options.ReadOnly {
		return
	}
	p := db.partitions[id]
	if db.checkpointOf(p) != name {
		return // there is a newer one
	}
	db.retryCheckpoint(p)
	if err := db.checkpointAll(ctx, func(o *partition) bool { return o == p }); err != nil {
		db.faults.add(err) // it is tried again when it is due
	}
}

// checkpointOf returns the name of the checkpoint that counts, "": none.
func (db *DB) checkpointOf(p *partition) string {
	a := db.appliers[int(p.id)%len(db.appliers)]
	a.mu.Lock()
	defer a.mu.Unlock()
	return p.record.Checkpoint
}

// checkObject reads every byte of an object and returns the first damage, or
// why it cannot be read.
func checkObject(store disk.Blocks, name string) error {
	switch kindOf(name) {
	case KindBlock:
		return checkBlock(store, name)
	case KindCheckpoint:
		return checkCheckpoint(store, name)
	}
	return checkUpload(store, name)
}

// checkBlock reads every byte of a block and returns the first damage, as
// *disk.Corruption, or why it cannot be read.
func checkBlock(store disk.Blocks, name string) error {
	var first error
	err := block.Check(store, name, func(offset int64, what string) {
		if first == nil {
			first = disk.Corrupt(name, offset, "%s", what)
		}
	})
	if first != nil {
		return first
	}
	return err
}

// servedBlocks opens objects that are set aside too, so that what of them is
// whole is served.
type servedBlocks struct{ *disk.LocalBlocks }

// Open implements disk.Blocks.
func (b servedBlocks) Open(name string) (disk.Object, error) {
	o, err := b.LocalBlocks.Open(name)
	if errors.Is(err, disk.ErrNotFound) {
		return b.LocalBlocks.OpenQuarantined(name)
	}
	return o, err
}

// pacedBlocks opens objects whose reads end with ctx and, where pace is set,
// wait for it first.
type pacedBlocks struct {
	disk.Blocks
	ctx  context.Context
	pace func(ctx context.Context, bytes int) error
}

// Open implements disk.Blocks.
func (b pacedBlocks) Open(name string) (disk.Object, error) {
	o, err := b.Blocks.Open(name)
	if err != nil {
		return nil, err
	}
	return pacedObject{o, b.ctx, b.pace}, nil
}

type pacedObject struct {
	disk.Object
	ctx  context.Context
	pace func(ctx context.Context, bytes int) error
}

// ReadAt implements io.ReaderAt.
func (o pacedObject) ReadAt(b []byte, at int64) (int, error) {
	if err := o.ctx.Err(); err != nil {
		return 0, err
	}
	if o.pace != nil {
		if err := o.pace(o.ctx, len(b)); err != nil {
			return 0, err
		}
	}
	return o.Object.ReadAt(b, at)
}

var _ io.ReaderAt = pacedObject{}
