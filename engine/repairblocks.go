package engine

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// foundBlock is a block that is whole.
type foundBlock struct {
	disk.BlockName
	meta  block.Meta
	notes block.Notes
}

// lostBlock is a block, or a part of one, that cannot be read.
type lostBlock struct {
	disk.BlockName
	rows  uint64   // 0: not known, or all are among parts
	parts []string // what is known to be lost
}

// readBlocks reads every byte of every block. What is readable of a damaged one
// goes into a new one, and the damaged one is set aside.
func (r *repairer) readBlocks() error {
	names, err := r.local.List(disk.BlocksDir + "/")
	if err != nil {
		return err
	}
	_, aside, err := r.local.Leftovers()
	if err != nil {
		return err
	}
	var damaged []disk.BlockName
	for _, name := range names {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		b, ok := disk.ParseBlockName(name)
		if !ok {
			continue
		}
		r.epoch, r.part = max(r.epoch, b.Epoch), max(r.part, b.Part)
		r.logEnd = max(r.logEnd, b.LastOffset)
		cause := checkBlock(r.local, name)
		if cause == nil {
			cause = r.addBlock(b)
		}
		if errors.Is(cause, disk.ErrCorrupt) {
			r.setAside(name, "%s", withoutPath(cause, name))
			if err := r.local.Quarantine(name); err != nil {
				return err
			}
			damaged = append(damaged, b)
		} else if cause != nil {
			return cause
		}
	}
	for _, name := range aside {
		if r.settled[strings.TrimSuffix(name, disk.QuarantineSuffix)] {
			continue // else what was deleted since would be back
		}
		if b, ok := disk.ParseBlockName(strings.TrimSuffix(name, disk.QuarantineSuffix)); ok && r.counts(b) {
			r.part = max(r.part, b.Part)
			damaged = append(damaged, b)
		}
	}
	for _, b := range damaged {
		if err := r.salvage(b); err != nil {
			return err
		}
	}
	r.findMissing(names, damaged)
	return nil
}

// counts reports whether a block that was set aside before is still part of the
// database: the catalog names it or, where that is lost, no newer block was
// made from it.
func (r *repairer) counts(b disk.BlockName) bool {
	if r.old != nil {
		for _, m := range r.manifests[b.Tenant].Blocks {
			if m.Name == b.String() {
				return true
			}
		}
		return false
	}
	for _, other := range r.blocks[b.Tenant] {
		if sameRows := other.Level == b.Level && other.First == b.First && other.Last == b.Last &&
			other.FirstOffset == b.FirstOffset && other.LastOffset == b.LastOffset; sameRows && other.Part > b.Part {
			return false
		}
	}
	return true
}

// addBlock notes a block that is whole.
func (r *repairer) addBlock(b disk.BlockName) error {
	reader, err := block.Open(r.local, b.String())
	if err != nil {
		return err
	}
	defer reader.Close()
	notes, err := reader.Notes()
	if err != nil {
		return err
	}
	meta := reader.Meta()
	err = reader.Channels(func(c model.Channel) error {
		if !reader.HasRaw(c.ID) {
			meta.RollupsAlone++
		}
		return nil
	})
	r.blocks[b.Tenant] = append(r.blocks[b.Tenant], &foundBlock{b, meta, notes})
	return err
}

// findMissing notes the blocks that a catalog names and that are gone.
func (r *repairer) findMissing(names []string, damaged []disk.BlockName) {
	for _, m := range r.manifests {
		for i := range m.Blocks {
			b, ok := disk.ParseBlockName(m.Blocks[i].Name)
			if _, stored := slices.BinarySearch(names, m.Blocks[i].Name); stored || !ok || slices.Contains(damaged, b) {
				continue
			}
			r.lost = append(r.lost, lostBlock{BlockName: b, rows: m.Blocks[i].Rows})
		}
	}
}

// salvage writes what is readable of a block that is set aside into a new one,
// which takes its place.
func (r *repairer) salvage(b disk.BlockName) error {
	r.part++
	to := b
	to.Part = r.part
	s := &salvager{repairer: r}
	err := s.read(b)
	if errors.Is(err, disk.ErrCorrupt) {
		r.lost = append(r.lost, lostBlock{BlockName: b})
		return nil
	}
	if err != nil {
		return err
	}
	defer s.reader.Close()
	o := block.WriterOptions{Name: to, Notes: s.notes}
	if b.Level != block.Level {
		o.Form, o.Rollups = chunk.Small, true
	}
	var meta block.Meta
	err = r.local.Put(to.String(), func(w io.Writer) (err error) {
		meta, err = s.write(block.NewWriter(w, o))
		return err
	})
	if errors.Is(err, block.ErrEmpty) {
		r.lost = append(r.lost, lostBlock{BlockName: b, rows: s.reader.Meta().Rows})
		return nil
	}
	if err != nil {
		return err
	}
	r.salvaged[to.String()] = b.String()
	r.rebuilt(to.String(), "%d of %d rows of %s are readable and are here", meta.Rows, s.reader.Meta().Rows, b)
	if lost := s.reader.Meta().Rows - meta.Rows; lost > 0 || len(s.parts) > 0 {
		r.lost = append(r.lost, lostBlock{b, lost - min(s.told, lost), s.parts})
	}
	return r.addBlock(to)
}

// salvager reads a damaged block as far as it goes.
type salvager struct {
	*repairer
	reader   *block.Reader
	notes    block.Notes
	channels []model.Channel
	parts    []string // what is lost
	told     uint64   // rows that parts count
}

func (s *salvager) miss(rows uint64, format string, args ...any) {
	s.told += rows
	s.parts = append(s.parts, fmt.Sprintf(format, args...))
}

func (s *salvager) read(b disk.BlockName) error {
	reader, err := block.Open(servedBlocks{s.local}, b.String())
	if err != nil {
		return err
	}
	s.reader = reader
	if s.notes, err = reader.Notes(); errors.Is(err, disk.ErrCorrupt) {
		s.miss(0, "deletions and retention that stand only there: %v", err)
	}
	err = reader.Channels(func(c model.Channel) error {
		s.channels = append(s.channels, c)
		return nil
	})
	if errors.Is(err, disk.ErrCorrupt) {
		s.miss(0, "channels after number %d: %v", len(s.channels), err)
		err = nil
	}
	if err != nil {
		reader.Close()
	}
	return err
}

// write writes every chunk that can be decoded.
func (s *salvager) write(w *block.Writer) (block.Meta, error) {
	var times []int64
	var values []float64
	for _, c := range s.channels {
		if !s.reader.HasRaw(c.ID) {
			if err := s.copyRollups(w, c); err != nil {
				return block.Meta{}, err
			}
			continue
		}
		begun := false
		err := s.reader.Chunks([]model.ChannelID{c.ID}, model.AllTime(), func(ref block.ChunkRef) (err error) {
			if err := s.ctx.Err(); err != nil {
				return err
			}
			one := s.reader.Chunk(ref)
			if times, values, err = one.Decode(times[:0], values[:0]); errors.Is(err, disk.ErrCorrupt) {
				s.miss(ref.Summary.Rows(), "%d rows of %s from %s to %s are lost: %v", ref.Summary.Rows(), c.Labels,
					timeText(ref.Summary.FirstTime), timeText(ref.Summary.LastTime), err)
				return nil
			}
			if err != nil {
				return err
			}
			if !begun { // a channel of which nothing is left is not in the block
				if err := w.AddChannel(c); err != nil {
					return err
				}
				begun = true
			}
			return w.AddChunk(times, values)
		})
		if errors.Is(err, disk.ErrCorrupt) {
			s.miss(0, "rows of %s are lost: %v", c.Labels, err)
		} else if err != nil {
			return block.Meta{}, err
		}
	}
	return w.Close()
}

// copyRollups copies the rollups of a channel of which there are no raw rows.
func (s *salvager) copyRollups(w *block.Writer, c model.Channel) error {
	begun := false
	for _, step := range model.Steps()[1:] {
		if !s.reader.Stored(c.ID).Has(step) {
			continue
		}
		err := s.reader.Rollups([]model.ChannelID{c.ID}, step, model.AllTime(), func(_ model.ChannelID, rows *block.RollupRows) error {
			if err := s.ctx.Err(); err != nil {
				return err
			}
			if !begun {
				if err := w.AddChannel(c); err != nil {
					return err
				}
				begun = true
			}
			return w.AddRollups(rows)
		})
		if errors.Is(err, disk.ErrCorrupt) {
			s.miss(0, "rollups of %s of %s, whose rows have expired, are lost: %v", step, c.Labels, err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

func timeText(at int64) string { return time.Unix(0, at).UTC().Format(time.RFC3339Nano) }

// liveBlocks returns which of a tenant's blocks are to be named, those that are
// left over, and the offset up to which every row is in one of the first.
//
// A flush or a compaction is complete if its last block is there. What a
// complete compaction covers, in offsets and in time, was merged into it: of
// two that cover the same, the one that was begun later. Blocks of a flush that
// was not completed are left over if their rows are replayed; if not, they are
// kept: then the flush was completed, and of its blocks the last has gone since,
// all its rows deleted or expired. Of a compaction that was not completed nothing is left out:
// rows that are in two blocks are the same rows, which count once.
func (r *repairer) liveBlocks(t model.Tenant) (live, left []*foundBlock, flushedTo uint64) {
	list := slices.Clone(r.blocks[t])
	slices.SortFunc(list, func(a, b *foundBlock) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Part, b.Part))
	})
	whole := completed(list)
	for _, b := range list {
		if whole[b] || b.Level != block.Level {
			flushedTo = max(flushedTo, b.LastOffset)
		}
	}
	for i, b := range list {
		superseded := slices.ContainsFunc(list, func(o *foundBlock) bool {
			later := slices.Index(list, o) > i
			return o != b && whole[o] && o.covers(b) && (later || !b.covers(o) || b.Level == block.Level)
		})
		switch {
		case b.LastOffset < r.buried[t], superseded, !whole[b] && b.LastOffset > flushedTo && r.replayed(b):
			left = append(left, b)
		default:
			live = append(live, b)
		}
	}
	for _, b := range live {
		flushedTo = max(flushedTo, b.LastOffset)
	}
	return live, left, flushedTo
}

// covers reports whether b was merged from what o has, among others.
func (b *foundBlock) covers(o *foundBlock) bool {
	return b.Level != block.Level && b.First <= o.First && o.Last <= b.Last &&
		b.FirstOffset <= o.FirstOffset && o.LastOffset <= b.LastOffset
}

// completed returns the blocks of flushes and compactions whose last block is
// there. list is in the order in which blocks were begun.
func completed(list []*foundBlock) map[*foundBlock]bool {
	type work struct {
		level       string
		first, last int64
		from, to    uint64
		epoch       uint64
	}
	open := map[work][]*foundBlock{}
	whole := map[*foundBlock]bool{}
	for _, b := range list {
		w := work{level: b.Level, from: b.FirstOffset, to: b.LastOffset, epoch: b.Epoch}
		if b.Level != block.Level {
			w.first, w.last = b.First, b.Last
		}
		open[w] = append(open[w], b)
		if b.notes.More {
			continue
		}
		for _, o := range open[w] {
			whole[o] = true
		}
		delete(open, w)
	}
	return whole
}
