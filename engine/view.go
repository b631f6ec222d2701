package engine

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sort"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
)

// view folds some channels in one span: from rollups where blocks have them,
// from rows elsewhere and where rollups cannot tell.
type view struct {
	db     *DB
	tenant *tenant
	ids    []model.ChannelID // ascending
	span   model.Span
	grid   merge.Grid
	out    [][]model.Aggregate // of each of ids
	// step is the coarsest that is used: what lies in one of its rows and in
	// span lies in one bucket.
	step    model.Step
	expired bool // rows that have expired count too
	charge  *rowCharge

	coarsest  model.Step // that was used
	snapshot  *snapshot
	heads     []int            // how many of each channel's pieces are of heads
	combiners []merge.Combiner // of each of ids, where combined
	combined  []bool           // the channel has rollups
	scratch   merge.Scratch    // of the caller's goroutine
}

// run folds the view.
func (v *view) run(ctx context.Context) error {
	var err error
	if v.snapshot, err = v.db.openSnapshot(ctx, v.tenant, v.ids, v.span, v.expired); err != nil {
		return err
	}
	defer v.snapshot.close()
	with, err := v.separate(ctx)
	if err != nil {
		return err
	}
	if err := v.combine(ctx, with); err != nil {
		return err
	}
	if err := v.foldRows(ctx); err != nil {
		return err
	}
	return v.fillHoles(ctx)
}

// source is a block and those of the view's channels that it has rollups of.
type source struct {
	*openBlock
	ids    []model.ChannelID // ascending
	stream bool              // it overlaps no other that is streamed
}

// separate finds the blocks that have rollups of some channels, and the chunks
// of the other channels.
func (v *view) separate(ctx context.Context) ([]source, error) {
	v.heads = make([]int, len(v.ids))
	for i := range v.heads {
		v.heads[i] = len(v.snapshot.pieces[i])
	}
	var sources []source
	for i := range v.snapshot.blocks {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b := &v.snapshot.blocks[i]
		with, without := v.split(b)
		if len(with) > 0 {
			sources = append(sources, source{openBlock: b, ids: with})
		}
		if len(without) > 0 {
			if err := v.snapshot.addChunks(b, without, v.span); err != nil {
				return nil, err
			}
		}
	}
	return sources, nil
}

// split returns the channels of which a block has rollups that the view can
// use, and those of which it may have rows alone.
func (v *view) split(b *openBlock) (with, without []model.ChannelID) {
	if v.step == model.StepRaw {
		return nil, v.ids
	}
	for _, id := range v.ids {
		if stored := b.Stored(id); stored.Coarsest(v.step) != model.StepRaw {
			with = append(with, id)
		} else if stored.Has(model.StepRaw) {
			without = append(without, id)
		}
	}
	return with, without
}

// combine folds the rollups. Of sources that overlap in time and share a
// channel all but one are read first.
func (v *view) combine(ctx context.Context, sources []source) error {
	if len(sources) == 0 {
		return nil
	}
	v.combiners, v.combined = make([]merge.Combiner, len(v.ids)), make([]bool, len(v.ids))
	for i := range sources {
		at := 0
		for _, id := range sources[i].ids {
			for v.ids[at] != id { // both ascend
				at++
			}
			v.combined[at] = true
		}
	}
	for i := range v.ids {
		if v.combined[i] {
			v.combiners[i].Start(v.step, v.span, v.grid, v.out[i])
			v.combiners[i].AddPieces(v.snapshot.pieces[i])
		}
	}
	choose(sources)
	for _, streamed := range []bool{false, true} {
		for i := range sources {
			err := ctx.Err()
			if err == nil && sources[i].stream == streamed {
				err = v.fold(&sources[i])
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// choose brings the sources in order of time and says which are streamed: of
// those that overlap and share a channel the one with the most rows.
func choose(sources []source) {
	slices.SortFunc(sources, func(a, b source) int { return cmp.Compare(b.meta.Rows, a.meta.Rows) })
	for i := range sources {
		s := &sources[i]
		s.stream = !slices.ContainsFunc(sources[:i], func(o source) bool {
			return o.stream && o.meta.First <= s.meta.Last && s.meta.First <= o.meta.Last && share(o.ids, s.ids)
		})
	}
	slices.SortFunc(sources, func(a, b source) int { return cmp.Compare(a.meta.First, b.meta.First) })
}

// share reports whether two ascending lists have an element in common.
func share(a, b []model.ChannelID) bool {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			a = a[1:]
		case a[0] > b[0]:
			b = b[1:]
		default:
			return true
		}
	}
	return false
}

// fold gives a source's rollups to the combiners.
func (v *view) fold(s *source) error {
	at := 0
	hidden := v.outside([]model.Span{v.span})
	return s.FoldRollups(s.ids, v.step, v.span, func(id model.ChannelID, rows *block.FoldedRows) error {
		if v.ids[at] > id {
			at = 0
		}
		for v.ids[at] != id { // both ascend, of one step
			at++
		}
		if err := v.charge.take(uint64(rows.Len())); err != nil {
			return err
		}
		v.coarsest = max(v.coarsest, rows.Step)
		columns := merge.Summaries{FirstTimes: rows.FirstTimes, LastTimes: rows.LastTimes, Fold: rows.Fold,
			Hidden: hidden, Rawless: !s.HasRaw(id)}
		if h := v.snapshot.hidden; h != nil {
			columns.Hidden = v.outside(h[at].remains(nil, cleanTo(&s.meta), s.meta.First, s.meta.Last))
		}
		if s.stream {
			return v.combiners[at].Stream(&columns, &v.scratch)
		}
		v.combiners[at].List(&columns)
		return nil
	})
}

// outside returns the times that are in none of some ascending spans or not in
// the view's.
func (v *view) outside(spans []model.Span) (dst []model.Span) {
	from := int64(math.MinInt64)
	for _, s := range spans {
		if s = s.Intersect(v.span); !s.Empty() {
			dst = append(dst, model.Span{From: from, To: s.From})
			from = s.To
		}
	}
	return append(dst, model.Span{From: from, To: math.MaxInt64})
}

// foldRows folds what has no rollups.
func (v *view) foldRows(ctx context.Context) error {
	p := pass{ctx: ctx, db: v.db, charge: v.charge, ids: v.ids, blocks: v.snapshot.blocks, wanted: v.decodes}
	p.do = func(i int, scratch *merge.Scratch) error {
		if v.combined != nil && v.combined[i] {
			return v.combiners[i].Finish(scratch)
		}
		return scratch.Aggregate(v.snapshot.pieces[i], v.span, v.grid, v.out[i])
	}
	if err := p.plan(); err != nil {
		return err
	}
	return p.run()
}

// decodes reports whether a chunk is decoded even where nothing overlaps it.
func (v *view) decodes(c *block.ChunkRef) bool {
	first, last := c.Summary.FirstTime, c.Summary.LastTime
	return first < v.span.From || last >= v.span.To || v.grid.Bucket(first) != v.grid.Bucket(last)
}

// fillHoles reads the rows where rollups could not tell.
func (v *view) fillHoles(ctx context.Context) error {
	ids, hull := v.holes()
	if len(ids) == 0 {
		return nil
	}
	blocks, err := v.holeBlocks(ctx, ids, hull)
	if err != nil {
		return err
	}
	p := pass{ctx: ctx, db: v.db, charge: v.charge, ids: v.ids, blocks: blocks, wanted: func(*block.ChunkRef) bool { return true }}
	p.do = func(i int, scratch *merge.Scratch) error {
		if !v.combined[i] || v.combiners[i].Holes() == 0 {
			return nil
		}
		return v.combiners[i].Fill(v.snapshot.pieces[i], scratch)
	}
	if err := p.plan(); err != nil {
		return err
	}
	return p.run()
}

// holes returns the channels with holes, and the span of all of these. It lets
// go of their chunks, which were read into memory that is used again.
func (v *view) holes() (ids []model.ChannelID, hull model.Span) {
	for i, id := range v.ids {
		if v.combined == nil || !v.combined[i] || v.combiners[i].Holes() == 0 {
			continue
		}
		v.snapshot.pieces[i] = v.snapshot.pieces[i][:v.heads[i]]
		span := v.combiners[i].HoleSpan()
		if len(ids) == 0 {
			hull = span
		}
		hull = model.Span{From: min(hull.From, span.From), To: max(hull.To, span.To)}
		ids = append(ids, id)
	}
	return ids, hull
}

// holeBlocks returns the blocks that have rows in holes, with these chunks,
// whose pieces it adds.
func (v *view) holeBlocks(ctx context.Context, ids []model.ChannelID, hull model.Span) ([]openBlock, error) {
	var blocks []openBlock
	for i := range v.snapshot.blocks {
		b := v.snapshot.blocks[i]
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var of []model.ChannelID
		for _, id := range ids {
			at := sort.Search(len(v.ids), func(i int) bool { return v.ids[i] >= id })
			if b.HasRaw(id) && v.combiners[at].Wants(b.meta.First, b.meta.Last) {
				of = append(of, id)
			}
		}
		if len(of) == 0 {
			continue
		}
		blocks = append(blocks, openBlock{openReader: b.openReader, meta: b.meta})
		err := v.snapshot.addWanted(&blocks[len(blocks)-1], of, hull, func(at int, c *block.ChunkRef) bool {
			return v.combiners[at].Wants(c.Summary.FirstTime, c.Summary.LastTime)
		})
		if err != nil {
			return nil, err
		}
	}
	return blocks, nil
}
