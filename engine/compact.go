package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/maintain"
	"github.com/hokan-db/hokan/engine/model"
)

// Compact flushes every head and then does all work on blocks that there is,
// whether or not it is due: for each tenant and UTC month the blocks become
// one, or few where it would be too large. A month that cannot be read is left
// as it is and told by the error; the others are done. In the end checkpoints
// are written and the log lets go of what is in blocks. It may be stopped at
// any time: what is merged by then stays so. Rows that have expired by the clock
// leave the disk at once: whoever calls it says that the clock is right.
func (db *DB) Compact(ctx context.Context) error {
	if err := db.gate.enter(); err != nil {
		return err
	}
	defer db.gate.leave()
	db.clock.trust(db.now())
	if err := db.Flush(ctx); err != nil {
		return err
	}
	if err := db.compactor.acquire(ctx); err != nil {
		return err
	}
	defer db.compactor.release()
	var damaged []error
	for _, t := range db.allTenants(func(*tenant) bool { return true }) {
		errs, err := db.compactWhole(ctx, t)
		damaged = append(damaged, errs...)
		if err != nil {
			return errors.Join(append(damaged, err)...)
		}
	}
	return errors.Join(append(damaged, db.checkpointAll(ctx, func(*partition) bool { return true }))...)
}

// compactWhole does all work on a tenant's blocks. Damage, which keeps a month
// from being merged, is told apart from what keeps everything from going on.
func (db *DB) compactWhole(ctx context.Context, t *tenant) (damaged []error, err error) {
	failed := map[string]bool{}
	for first := true; ; first = false {
		if err := ctx.Err(); err != nil {
			return damaged, err
		}
		view, blocks, err := db.viewOf(t)
		view.All = true
		for i := range view.Blocks {
			if b := &view.Blocks[i]; first && b.Damaged {
				damaged = append(damaged, fmt.Errorf("compact %s of tenant %s: %w", monthName(b.Span), t.name,
					disk.Corrupt(blocks[i].Name, 0, "it was set aside, or has rows of other days than its name says")))
			}
		}
		for i := range blocks {
			view.Blocks[i].Damaged = view.Blocks[i].Damaged || failed[blocks[i].Name]
		}
		var job *maintain.Job
		if err == nil {
			if job, _ = maintain.Pick(view, db.options.Clock().UnixNano()); job == nil {
				return damaged, nil
			}
			err = db.doJob(ctx, t, job, inputsOf(job, blocks), nil)
		}
		switch {
		case err == nil:
		case !db.isLive(t): // it was deleted meanwhile
			return damaged, nil
		case !errors.Is(err, disk.ErrCorrupt) || job == nil:
			return damaged, fmt.Errorf("compact tenant %s: %w", t.name, err)
		default:
			damaged = append(damaged, fmt.Errorf("compact %s of tenant %s: %w", monthName(job.Span), t.name, err))
			for _, m := range inputsOf(job, blocks) {
				failed[m.Name] = true
			}
		}
	}
}

// inputsOf returns the blocks of a job.
func inputsOf(job *maintain.Job, blocks []block.Meta) []block.Meta {
	taken := make([]block.Meta, len(job.Blocks))
	for i, at := range job.Blocks {
		taken[i] = blocks[at]
	}
	return taken
}

// viewOf describes a tenant's blocks to the picker, in the order of the second
// result.
func (db *DB) viewOf(t *tenant) (maintain.View, []block.Meta, error) {
	t.mu.RLock()
	blocks := t.blocks
	t.mu.RUnlock()
	v := maintain.View{
		Blocks: make([]maintain.Block, len(blocks)), Stagger: stagger(t.name),
		MaxBlocks: db.compactor.blocks, Room: db.compactionRoom(),
	}
	now := db.options.Clock().UnixNano()
	for i := range blocks {
		m := &blocks[i]
		name, ok := disk.ParseBlockName(m.Name)
		level, known := maintain.ParseLevel(name.Level)
		if !ok || !known {
			return v, nil, disk.Corrupt(m.Name, 0, "it has no name of a block")
		}
		written := m.Written
		if written > now {
			written = 0 // the clock was set back
		}
		b := maintain.Block{
			Level: level, Span: model.Span{From: name.First, To: name.Last + 1}, First: m.First, Last: m.Last,
			FirstOffset: m.FirstOffset, LastOffset: m.LastOffset, Bytes: m.Bytes, Channels: m.Channels,
			Written: written,
			Damaged: db.quarantine.has(m.Name),
		}
		// What is outside of the days that its name has would be lost.
		b.Damaged = b.Damaged || !b.Span.Contains(m.First) || !b.Span.Contains(m.Last) || b.Span.To > monthOf(b.Span.From).To
		v.Blocks[i] = b
	}
	return v, blocks, db.judge(t, &v, blocks)
}

// judge adds to a view what of the blocks nobody can read.
func (db *DB) judge(t *tenant, v *maintain.View, blocks []block.Meta) error {
	now := db.freeable()
	clean := map[string]uint64{}
	for i := range blocks {
		b := &v.Blocks[i]
		if b.Alone = blocks[i].RollupsAlone > 0; b.Damaged {
			continue
		}
		facts, err := db.factsOf(t, &blocks[i], now)
		if errors.Is(err, disk.ErrCorrupt) {
			b.Damaged = true // the reader has told what it found
			continue
		}
		if err != nil {
			return err
		}
		if facts.clean {
			clean[blocks[i].Name] = facts.deletions
		}
		b.Dead, b.Expired, b.Hidden = facts.dead, facts.expired, facts.hidden
		b.Folds = facts.folds
		if facts.hiddenSince != 0 {
			b.Stale = facts.hiddenSince + staleAfter
		}
	}
	if len(clean) == 0 {
		return nil
	}
	return db.markClean(t, clean)
}

// stagger returns a number in [0, 1) that tells tenants apart.
func stagger(t model.Tenant) float64 {
	return float64(disk.Checksum([]byte(t))) / (1 << 32)
}

// compactionRoom returns how many bytes a job may write, 0 where the disk does
// not tell. Of the reserve it may take what writers may not: it frees room.
func (db *DB) compactionRoom() uint64 {
	room := db.reserve.ask()
	if !room.Known {
		return 0
	}
	stay := room.Reserve / 4
	return max(room.Free, stay+1) - stay
}

// doJob puts what a job makes of old in place of it.
//
// Every other block over the same days is of entries before or after all of
// those of old. So the result may rank with the newest of them: of the others,
// and of what is flushed meanwhile or later, each is older than all of them or
// newer.
func (db *DB) doJob(ctx context.Context, t *tenant, job *maintain.Job, old []block.Meta, pace *pace) error {
	t.writing.RLock()
	defer t.writing.RUnlock()
	writing, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.life, cancel)()
	if err := db.catalog.Err(); err != nil {
		return err // the result could not be committed: do not write it
	}
	var written []block.Meta
	if job.Reason != maintain.Dead {
		var err error
		if written, err = db.rewriteBlocks(writing, t, job, old, pace); err == nil {
			err = ctx.Err() // which ends a moment before writing does
		}
		if err != nil {
			return errors.Join(err, db.discard(written))
		}
	}
	stale, err := db.replaceBlocks(t, old, written)
	switch {
	case stale:
		return errors.Join(err, db.discard(written))
	case err != nil:
		return err // which of the two are named is for the next opening to find out
	}
	db.compactor.forgetFacts(old)
	db.deleteBlocks(t, old)
	return nil
}

// discard deletes blocks that nothing names.
func (db *DB) discard(blocks []block.Meta) error {
	return db.blocks.Delete(blockNames(blocks)...)
}

func blockNames(blocks []block.Meta) []string {
	names := make([]string, len(blocks))
	for i := range blocks {
		names[i] = blocks[i].Name
	}
	return names
}

// errChanged says that the blocks of a job are not the tenant's any more.
var errChanged = errors.New("the blocks to merge are gone")

// replaceBlocks commits that written hold the rows of old, then lets readers
// see it. If t has not all of old any more, nothing is changed and stale is
// true.
func (db *DB) replaceBlocks(t *tenant, old, written []block.Meta) (stale bool, err error) {
	db.flusher.flushing.Lock() // nobody else changes the manifest
	defer db.flusher.flushing.Unlock()
	replaced := map[string]bool{}
	for i := range old {
		replaced[old[i].Name] = true
	}
	manifest := t.nextManifest(db.epoch)
	blocks := slices.Clone(written)
	for _, m := range manifest.Blocks {
		if !replaced[m.Name] {
			blocks = append(blocks, m)
		}
	}
	if len(blocks) != len(manifest.Blocks)-len(old)+len(written) {
		return true, errChanged
	}
	manifest.Blocks = blocks
	if len(written) == 0 {
		manifest.Dropped = append(slices.Clone(manifest.Dropped), slices.Collect(maps.Keys(replaced))...)
	}
	if err := db.commitManifest(t, manifest); err != nil {
		return errors.Is(err, errGone), err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.gone { // since the manifest was committed
		t.revision, t.blocks, t.dropped = manifest.Revision, manifest.Blocks, manifest.Dropped
		t.leaving = append(t.leaving, old...)
	}
	return false, nil
}

// deleteBlocks deletes blocks of t that its manifest no longer names, and then
// forgets the deletions that hid nothing but rows of theirs. Queries that chose
// them have them open and read on.
func (db *DB) deleteBlocks(t *tenant, blocks []block.Meta) {
	names := blockNames(blocks)
	t.choosing.Lock() // until those who choose have opened them
	for _, name := range names {
		db.readers.forget(name)
	}
	t.choosing.Unlock()
	if err := db.blocks.Delete(names...); err != nil {
		db.faults.add(fmt.Errorf("old blocks: %w", err)) // the next opening removes them
		return
	}
	db.flusher.flushing.Lock() // as for a change of the manifest
	defer db.flusher.flushing.Unlock()
	t.dropped = slices.DeleteFunc(slices.Clone(t.dropped), func(name string) bool { return slices.Contains(names, name) })
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaving = slices.DeleteFunc(t.leaving, func(m block.Meta) bool { return slices.Contains(names, m.Name) })
	t.forgetTombstones()
}

// monthName returns the UTC month as 2006-01.
func monthName(month model.Span) string { return time.Unix(0, month.From).UTC().Format("2006-01") }

// merged reports whether the rows of b, which no manifest names, are in blocks
// that the manifest names: those that b was merged into, or those whose merging
// into b was interrupted.
//
// A merged block holds every row of the days in its name that was flushed from
// the entries between its offsets. So it holds b if its days and offsets
// contain those of b; covering are all such blocks, as it may have been split into
// parts. And b, if merged
// itself, holds nothing that the named blocks over its days do not, if these
// reach as far as it does, in however many steps they were merged and whichever
// of them was interrupted.
//
// It goes by names and reads nothing: it is for a database without damage.
func (t *tenant) merged(b disk.BlockName) (covering []string, ok bool) {
	first, last := uint64(math.MaxUint64), uint64(0)
	flush := maintain.Flush.String()
	for i := range t.blocks {
		m, ok := disk.ParseBlockName(t.blocks[i].Name)
		if !ok || m.First > b.Last || b.First > m.Last {
			continue
		}
		if m.Level != flush && m.First <= b.First && m.Last >= b.Last && m.FirstOffset <= b.FirstOffset && m.LastOffset >= b.LastOffset {
			covering = append(covering, t.blocks[i].Name)
		}
		first, last = min(first, m.FirstOffset), max(last, m.LastOffset)
	}
	if len(covering) > 0 {
		return covering, true
	}
	return nil, b.Level != flush && first <= b.FirstOffset && last >= b.LastOffset
}
