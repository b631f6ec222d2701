package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/catalog"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// mergeBlocks is how many blocks are open at once while they are merged, so
// that a month of any number of blocks can be.
const mergeBlocks = 128

// compactor merges the blocks of one month at a time.
type compactor struct {
	running chan struct{} // holds an element while one runs
	// What follows is less in tests.
	bytes  int64 // monthBytes
	blocks int   // mergeBlocks
	chunks int   // groupChunks
}

func (c *compactor) init() {
	c.running = make(chan struct{}, 1)
	c.bytes, c.blocks, c.chunks = monthBytes, mergeBlocks, groupChunks
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
	select {
	case db.compactor.running <- struct{}{}:
		defer func() { <-db.compactor.running }()
	case <-ctx.Done():
		return ctx.Err()
	}
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

// blocksIn returns the blocks of a UTC month. No block spans two: one that does
// is damage, as merging takes only what is in the month and deletes the rest.
func (t *tenant) blocksIn(month model.Span) ([]block.Meta, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var in []block.Meta
	for _, m := range t.blocks {
		if !month.Overlaps(m.First, m.Last) {
			continue
		}
		if !month.Contains(m.First) || !month.Contains(m.Last) {
			return nil, disk.Corrupt(m.Name, 0, "it has rows of %s and of other months", monthName(month))
		}
		in = append(in, m)
	}
	return in, nil
}

// unitsOf returns a month's blocks, those of one flush or one compaction
// together, oldest first. No two units share an offset of the log.
func unitsOf(blocks []block.Meta) [][]block.Meta {
	blocks = slices.Clone(blocks)
	slices.SortStableFunc(blocks, func(a, b block.Meta) int { return cmp.Compare(a.LastOffset, b.LastOffset) })
	var units [][]block.Meta
	for start := 0; start < len(blocks); {
		end := start + 1
		for end < len(blocks) && blocks[end].LastOffset == blocks[start].LastOffset {
			end++
		}
		units = append(units, blocks[start:end:end])
		start = end
	}
	return units
}

// compacted reports whether all of a month is what one compaction wrote.
func compacted(units [][]block.Meta) bool {
	if len(units) > 1 {
		return false
	}
	for _, unit := range units {
		for i := range unit {
			name, ok := disk.ParseBlockName(unit[i].Name)
			if !ok || name.Level != monthLevel {
				return false
			}
		}
	}
	return true
}

// takeUnits returns the blocks of the first units, so many that there are no
// more than most, but of two units at least, and the units after them.
func takeUnits(units [][]block.Meta, most int) (blocks []block.Meta, taken int) {
	for taken < len(units) && (taken < 2 || len(blocks)+len(units[taken]) <= most) {
		blocks = append(blocks, units[taken]...)
		taken++
	}
	return blocks, taken
}

// compactMonth puts merged blocks in place of those that a month has, in as
// many steps as it takes until all are of one compaction.
func (db *DB) compactMonth(ctx context.Context, t *tenant, month model.Span) error {
	for {
		blocks, err := t.blocksIn(month)
		if err != nil {
			return err
		}
		units := unitsOf(blocks)
		if compacted(units) {
			return nil
		}
		// What is merged in a round is merged again in the next one, not in
		// this: each row is written as often as there are rounds.
		for alone := len(units) == 1; len(units) > 1 || alone; alone = false {
			old, taken := takeUnits(units, db.compactor.blocks)
			if err := db.mergeBlocks(ctx, t, month, old); err != nil {
				return err
			}
			units = units[taken:]
		}
	}
}

// mergeBlocks puts the merged rows of old, some of a month's blocks, in place
// of them.
//
// These are all of the month's that are made of the log from their least offset
// to their greatest, and blocks of different months have no rows in common. So
// the result may rank with the newest of them: of the others, and of what is
// flushed meanwhile or later, each is older than all of them or newer.
func (db *DB) mergeBlocks(ctx context.Context, t *tenant, month model.Span, old []block.Meta) error {
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
	for i := range blocks {
		db.readers.forget(blocks[i].Name)
	}
	t.choosing.Unlock()
	for i := range blocks {
		if err := db.blocks.Delete(blocks[i].Name); err != nil {
			db.faults.add(fmt.Errorf("old block: %w", err)) // the next opening removes it
		}
	}
}

// monthName returns the UTC month as 2006-01.
func monthName(month model.Span) string { return time.Unix(0, month.From).UTC().Format("2006-01") }

// merged reports whether the rows of b, which no manifest names, are in blocks
// that the manifest names: those that b was merged into, or those whose merging
// into b was interrupted. A month's named blocks hold all of its rows that were
// ever flushed, and what is merged is contiguous among them. So a block into
// which others were merged holds all of the month's rows between its offsets,
// and so do all of the month's blocks together, in however many steps they were
// merged and whichever of them was interrupted.
//
// It goes by names and reads nothing: it is for a database without damage.
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
