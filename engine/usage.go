package engine

import (
	"context"
	"sync"

	"github.com/hokan-db/hokan/engine/block"
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

// usageCache is what was found out about a tenant's usage and may still be
// right.
type usageCache struct {
	mu     sync.Mutex
	floors floorTable
	cut    map[string]cutBlock // blocks of which something is hidden
}

// cutBlock is what is charged for the rows of a block that can be read, while
// what hides the others is the same.
type cutBlock struct {
	hidden  uint64 // fingerprint of what hides rows
	charged uint64
}

// cutBlocks is how many blocks are read at once to find out what of them is
// hidden.
const cutBlocks = 32

// Usage returns what a tenant takes up. It is cheap enough to be asked for
// every tenant every minute: blocks are read only when something of them was
// hidden since, and because of retention once an hour. What a deletion hides
// of a day is taken as spread evenly over the rows that a channel has in that
// day of a block, until compaction knows better.
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
	t.usage.mu.Lock()
	defer t.usage.mu.Unlock()
	for {
		u, unknown, err := db.addUp(t)
		if err != nil {
			return Usage{}, err
		}
		if len(unknown) == 0 {
			files.mu.Lock()
			u.Files = files.bytes
			u.Charged += files.bytes
			u.Physical += files.onDisk
			files.mu.Unlock()
			return u, nil
		}
		if err := db.readCutBlocks(ctx, unknown); err != nil {
			return Usage{}, err
		}
	}
}

// addUp adds up heads and blocks. Where it is not known what is charged for a
// block of which something is hidden it returns such blocks, open, instead.
// The caller holds t.usage.mu.
func (db *DB) addUp(t *tenant) (u Usage, unknown []openCut, err error) {
	t.choosing.RLock()
	defer t.choosing.RUnlock()
	v := db.viewUsage(t, false)
	u.Channels = v.channels
	for i := range v.heads {
		h := &v.heads[i]
		u.Rows += h.rows
		u.Charged += h.visible * unchargedRow
	}
	inUse := map[string]cutBlock{}
	for i := range v.blocks {
		m := &v.blocks[i]
		u.Rows += m.Rows
		u.Physical += m.Bytes
		all := m.Charged + m.Uncharged*unchargedRow
		h := v.hiderOf(m.LastOffset, m.First, m.Last)
		switch {
		case all == 0, h.hidesAll(m.First, m.Last):
			continue
		case h.hidesNothing(m.First):
			u.Charged += all
			continue
		}
		known, ok := t.usage.cut[m.Name]
		if print := h.fingerprint(); !ok || known.hidden != print {
			unknown, err = db.openCut(unknown, t, m, h, print)
		}
		if err != nil || len(unknown) == cutBlocks {
			break
		}
		inUse[m.Name] = known
		u.Charged += known.charged
	}
	if err == nil && len(unknown) == 0 {
		t.usage.cut = inUse // blocks that are gone are forgotten
	}
	return u, unknown, err
}

// openCut is an open block of which something is hidden.
type openCut struct {
	t      *tenant
	block  sourceBlock
	hider  *hider
	hidden uint64
}

// openCut opens a block whose charge is to be found out, and adds it to list.
func (db *DB) openCut(list []openCut, t *tenant, m *block.Meta, h *hider, print uint64) ([]openCut, error) {
	source, err := db.openSource(t, m)
	if err != nil {
		for i := range list {
			list[i].block.close()
		}
		return nil, err
	}
	return append(list, openCut{t, source, h, print}), nil
}

// readCutBlocks finds out what is charged for blocks, and closes them.
func (db *DB) readCutBlocks(ctx context.Context, list []openCut) error {
	var err error
	for i := range list {
		c := &list[i]
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			charged := uint64(0)
			err = c.block.parts(func(p *usagePart) error {
				charged += c.hider.visible(p, p.charged)
				return nil
			})
			if c.t.usage.cut == nil {
				c.t.usage.cut = map[string]cutBlock{}
			}
			c.t.usage.cut[c.block.meta.Name] = cutBlock{c.hidden, charged}
		}
		c.block.close()
	}
	return err
}
