package engine

import (
	"context"
	"slices"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
)

// BlockInfo says how a block is made.
type BlockInfo struct {
	File   string // relative to DATA
	Tenant model.Tenant
	Level  string     // flush, day or month
	Span   model.Span // the UTC days whose rows it is for
	Bytes  uint64     // of the file
	Chunks []ChunkInfo
}

// ChunkInfo says how a chunk is made.
type ChunkInfo struct {
	Labels   model.Labels
	Encoding string // fast or small
	Rows     uint64
	// How its values are kept, in package chunk's words.
	Mode, Predictor, Coder string
	// Times is how its times are kept: shared, if another chunk's are equal and
	// stored; else a mode as above, regular where every step is the same.
	Times                 string
	TimeBytes, ValueBytes uint64 // that only this chunk has
}

// Inspect visits the blocks, and in them the chunks of the channels that match,
// of one tenant, or of every one where name is empty. Blocks without such
// chunks are left out, and so is what is in no block yet. It takes one block at
// a time, and keeps none for its sake: a block that is merged before its turn is
// left out, and so is what it is merged into.
func (db *DB) Inspect(ctx context.Context, name model.Tenant, match model.Selector, visit func(*BlockInfo) error) error {
	if err := db.gate.enter(); err != nil {
		return err
	}
	defer db.gate.leave()
	tenants := db.allTenants(func(*tenant) bool { return true })
	if name != "" {
		t, err := db.tenant(name)
		if err != nil {
			return err
		}
		tenants = []*tenant{t}
	}
	for _, t := range tenants {
		if err := db.inspectTenant(ctx, t, match, visit); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) inspectTenant(ctx context.Context, t *tenant, match model.Selector, visit func(*BlockInfo) error) error {
	channels, err := db.Channels(ctx, t.name, match)
	if err != nil {
		return err
	}
	labels := map[model.ChannelID]model.Labels{}
	ids := make([]model.ChannelID, len(channels))
	for i := range channels {
		ids[i] = channels[i].ID
		labels[ids[i]] = channels[i].Labels
	}
	t.mu.RLock()
	blocks, revision := t.blocks, t.revision
	t.mu.RUnlock()
	for i := range blocks {
		if err := ctx.Err(); err != nil {
			return err
		}
		info, err := db.inspectBlock(t, revision, blocks[i], ids, labels)
		if err == nil && info != nil {
			err = visit(info)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// inspectBlock describes the chunks that a block, which t had at some revision,
// has of some channels; nil where there is none, or t has the block no longer.
func (db *DB) inspectBlock(t *tenant, revision uint64, m block.Meta, ids []model.ChannelID, labels map[model.ChannelID]model.Labels) (*BlockInfo, error) {
	s := &snapshot{db: db, ids: ids, pieces: make([][]merge.Piece, len(ids))}
	defer s.close()
	if opened, err := s.openNamed(t, revision, m); err != nil || !opened {
		return nil, err
	}
	if len(s.blocks[0].chunks) == 0 {
		return nil, nil
	}
	return s.blocks[0].inspect(labels)
}

// openNamed adds a block, which t had at some revision, if it still has it.
func (s *snapshot) openNamed(t *tenant, revision uint64, m block.Meta) (bool, error) {
	t.choosing.RLock() // it is not deleted until it is open
	defer t.choosing.RUnlock()
	t.mu.RLock()
	named := t.revision == revision || slices.ContainsFunc(t.blocks, func(other block.Meta) bool { return other.Name == m.Name })
	t.mu.RUnlock()
	if !named {
		return false, nil
	}
	return true, s.addBlock(m, model.AllTime())
}

func (b *openBlock) inspect(labels map[model.ChannelID]model.Labels) (*BlockInfo, error) {
	meta := b.Meta()
	name, _ := disk.ParseBlockName(meta.Name)
	info := &BlockInfo{
		File: meta.Name, Tenant: name.Tenant, Level: name.Level,
		Span: model.Span{From: name.First, To: name.Last + 1}, Bytes: meta.Bytes,
	}
	for i := range b.chunks {
		c := &b.chunks[i]
		times, values, err := c.Describe()
		if err != nil {
			return nil, err
		}
		chunk := ChunkInfo{
			Labels: labels[c.Ref.Channel], Encoding: c.Ref.Encoding.String(), Rows: c.Ref.Summary.Rows(),
			Mode: values.Mode, Predictor: values.Predictor, Coder: values.Coder,
			Times: times.Mode, TimeBytes: uint64(c.Ref.Times.Length), ValueBytes: uint64(c.Ref.Values.Length),
		}
		if c.Ref.Shared() {
			chunk.Times, chunk.TimeBytes = "shared", 0
		}
		info.Chunks = append(info.Chunks, chunk)
	}
	return info, nil
}
