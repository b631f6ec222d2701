package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/catalog"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// compactor merges the blocks of one month at a time.
type compactor struct {
	running sync.Mutex
	bytes   int64 // monthBytes, or fewer in tests
}

// Compact flushes every head and then merges, for each tenant and UTC month,
// the blocks into one, or into few where it would be too large. A month that
// cannot be read is left as it is and told by the error; the others are done.
// In the end checkpoints are written and the log lets go of what is in blocks.
// It may be stopped at any time: what is merged by then stays so.
func (db *DB) Compact(ctx context.Context) error {
	if err := db.gate.enter(); err != nil {
		return err
	}
	defer db.gate.leave()
	if err := db.Flush(ctx); err != nil {
		return err
	}
	db.compactor.running.Lock()
	defer db.compactor.running.Unlock()
	var damaged []error
	for _, t := range db.allTenants(func(*tenant) bool { return true }) {
		for _, month := range t.months() {
			err := db.compactMonth(ctx, t, month)
			if err == nil {
				continue
			}
			err = fmt.Errorf("compact %s of tenant %s: %w", monthName(month), t.name, err)
			if !errors.Is(err, disk.ErrCorrupt) {
				return errors.Join(append(damaged, err)...)
			}
			damaged = append(damaged, err)
		}
	}
	return errors.Join(append(damaged, db.checkpointAll(ctx, func(*partition) bool { return true }))...)
}

// months returns the UTC months that have blocks, ascending.
func (t *tenant) months() []model.Span {
	t.mu.RLock()
	defer t.mu.RUnlock()
	months := map[int64]model.Span{}
	for i := range t.blocks {
		month := monthOf(t.blocks[i].First)
		months[month.From] = month
	}
	var ascending []model.Span
	for _, from := range slices.Sorted(maps.Keys(months)) {
		ascending = append(ascending, months[from])
	}
	return ascending
}

// blocksIn returns the blocks of a UTC month. No block spans two.
func (t *tenant) blocksIn(month model.Span) []block.Meta {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var in []block.Meta
	for _, m := range t.blocks {
		if month.Contains(m.First) {
			in = append(in, m)
		}
	}
	return in
}

// compacted reports whether blocks are those that one compaction wrote.
func compacted(blocks []block.Meta) bool {
	for i := range blocks {
		name, ok := disk.ParseBlockName(blocks[i].Name)
		if !ok || name.Level != monthLevel || blocks[i].LastOffset != blocks[0].LastOffset {
			return false
		}
	}
	return true
}

// compactMonth puts the merged blocks of a month in place of those that it has.
//
// All of the month's blocks are merged, and blocks of different months have no
// rows in common. So the result may rank with the newest of them: what is
// flushed meanwhile or later has greater offsets and wins over it.
func (db *DB) compactMonth(ctx context.Context, t *tenant, month model.Span) error {
	old := t.blocksIn(month)
	if compacted(old) {
		return nil
	}
	if err := db.catalog.Err(); err != nil {
		return err // the result could not be committed: do not write it
	}
	merged, err := db.mergeMonth(ctx, t, month, old)
	if err != nil {
		for _, m := range merged {
			err = errors.Join(err, db.blocks.Delete(m.Name))
		}
		return err
	}
	if err := db.replaceBlocks(t, old, merged); err != nil {
		return err // which of the two are named is for the next opening to find out
	}
	db.deleteBlocks(t, old)
	return nil
}

// replaceBlocks commits that merged hold the rows of old, then lets readers
// see it.
func (db *DB) replaceBlocks(t *tenant, old, merged []block.Meta) error {
	db.flusher.flushing.Lock() // nobody else changes the manifest
	defer db.flusher.flushing.Unlock()
	replaced := map[string]bool{}
	for i := range old {
		replaced[old[i].Name] = true
	}
	blocks := slices.Clone(merged)
	for _, m := range t.blocks {
		if !replaced[m.Name] {
			blocks = append(blocks, m)
		}
	}
	manifest := catalog.Manifest{Revision: t.revision + 1, Epoch: db.epoch, FlushedTo: t.flushedTo, Blocks: blocks}
	if err := db.catalog.Commit(catalog.PutManifest(t.name, manifest)); err != nil {
		return err
	}
	t.mu.Lock()
	t.revision, t.blocks = manifest.Revision, manifest.Blocks
	t.mu.Unlock()
	return nil
}

// deleteBlocks deletes blocks of t that its manifest no longer names. Queries
// that chose them have them open and read on.
func (db *DB) deleteBlocks(t *tenant, blocks []block.Meta) {
	t.choosing.Lock() // until those who choose have opened them
	t.choosing.Unlock()
	for i := range blocks {
		db.readers.forget(blocks[i].Name)
		if err := db.blocks.Delete(blocks[i].Name); err != nil {
			db.faults.add(fmt.Errorf("old block: %w", err)) // the next opening removes it
		}
	}
}

// monthName returns the UTC month as 2006-01.
func monthName(month model.Span) string { return time.Unix(0, month.From).UTC().Format("2006-01") }

// merged reports whether the rows of b, which no manifest names, are in blocks
// that the manifest names: those that b was merged into, or those whose merging
// into b was interrupted.
func (t *tenant) merged(b disk.BlockName) bool {
	first, last := uint64(math.MaxUint64), uint64(0)
	for i := range t.blocks {
		m, ok := disk.ParseBlockName(t.blocks[i].Name)
		if !ok || monthOf(m.First) != monthOf(b.First) {
			continue
		}
		if m.Level == monthLevel && m.FirstOffset <= b.FirstOffset && m.LastOffset >= b.LastOffset {
			return true
		}
		first, last = min(first, m.FirstOffset), max(last, m.LastOffset)
	}
	return b.Level == monthLevel && first <= b.FirstOffset && last >= b.LastOffset
}
