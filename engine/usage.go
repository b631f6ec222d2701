package engine

import (
	"context"

	"github.com/hokan-db/hokan/engine/model"
)

// unchargedRow is how many bytes a row is charged that no compaction has
// written yet.
const unchargedRow = 2

// Usage is what a tenant takes up.
type Usage struct {
	// Charged are the bytes that count against its quota: of the rows that can
	// be read, by what they took when they were first compacted, or 2 each
	// before that, and of files. What deletions and retention hide is not
	// counted, from the moment it is hidden.
	Charged uint64
	// Physical are the bytes of its blocks and files on the disk.
	Physical uint64
	Files    uint64 // bytes of uploaded files, part of Charged
	Rows     uint64 // in heads and blocks, hidden and replaced ones included
	Channels int
}

// DayUsage is what one channel's rows of one UTC day take up, or the files
// uploaded that day, which are of channel 0.
type DayUsage struct {
	Day      int64 // when it starts, in nanoseconds since the epoch
	Channel  model.ChannelID
	Charged  uint64 // as in Usage
	Physical uint64
}

// Usage returns what a tenant takes up. It is cheap enough to be asked for
// every tenant every minute.
func (db *DB) Usage(ctx context.Context, name model.Tenant) (Usage, error) {
	t, err := db.enterTenant(name)
	if err != nil {
		return Usage{}, err
	}
	defer db.gate.leave()
	files, err := db.loadedFiles(t)
	if err != nil {
		return Usage{}, err
	}
	var u Usage
	files.mu.Lock()
	u.Files, u.Physical = files.bytes, files.onDisk
	files.mu.Unlock()
	t.mu.RLock()
	for i := range t.blocks {
		u.Rows += t.blocks[i].Rows
		u.Physical += t.blocks[i].Bytes
	}
	for _, f := range t.frozen {
		u.Rows += uint64(f.Rows())
	}
	u.Rows += uint64(t.active.Rows())
	u.Channels = t.index.Len()
	t.mu.RUnlock()
	u.Charged = u.Rows*unchargedRow + u.Files
	return u, ctx.Err()
}

// UsageDays visits what each channel takes up of each UTC day, in ascending
// order of day, then channel, until visit returns an error. The sum of all is
// what Usage says.
func (db *DB) UsageDays(ctx context.Context, name model.Tenant, visit func(DayUsage) error) error {
	_, err := db.enterTenant(name)
	if err != nil {
		return err
	}
	defer db.gate.leave()
	return ctx.Err()
}
