package engine

import (
	"context"
	"math"
	"slices"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/head"
	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// Rollups may be kept longer than rows. Before the time at which a channel's
// rows have expired a view has the rows of the coarsest step that is kept there
// and lies in one bucket, or of the finest kept step where each is wider than a
// bucket: such a row counts in the bucket of its first row. It is no matter
// whether the rows that have expired are still stored: a row of a step counts
// as a whole or not at all. So times between which different steps count lie on
// the edges of the coarser one's rows.

// folding is what View and Summarize ask for.
type folding struct {
	channelQuery
	span model.Span
	grid merge.Grid
	step model.Step          // the coarsest whose rows inside span lie in one bucket each
	out  [][]model.Aggregate // of each of the channels asked for
}

// zone is a span in which one step counts.
type zone struct {
	span model.Span
	step model.Step
	// expired says that the rows themselves are kept no longer. Otherwise they
	// count, and the step only saves reading them.
	expired bool
}

// zones returns the zones of a channel with these floors, ascending. at is the
// coarsest step whose rows lie in one bucket each.
func zones(f policy.Floors, span model.Span, at model.Step) []zone {
	list := []zone{{span, at, false}}
	for floor := f[model.StepRaw]; floor > span.From; {
		step := keptBefore(f, floor, at)
		if step == model.StepRaw {
			break
		}
		edge := ceil(floor, step)
		if list[0].expired {
			edge = ceil(floor, max(step, list[0].step))
		}
		edge = min(edge, span.To)
		list[0].span.From = max(list[0].span.From, edge)
		floor = f[step]
		from := span.From
		if floor > from {
			from = ceil(floor, step)
		}
		list = slices.Insert(list, 0, zone{model.Span{From: from, To: edge}, step, true})
	}
	return slices.DeleteFunc(list, func(z zone) bool { return z.span.Empty() })
}

// keptBefore returns which step counts just before a time: StepRaw if none is
// kept there.
func keptBefore(f policy.Floors, t int64, at model.Step) model.Step {
	for step := at; step > model.StepRaw; step-- {
		if f[step] < t {
			return step
		}
	}
	for step := at + 1; step < model.StepCount; step++ {
		if f[step] < t {
			return step
		}
	}
	return model.StepRaw
}

// ceil returns the first edge of the step's rows that is not before t.
func ceil(t int64, step model.Step) int64 {
	if start := step.Start(t); start < t {
		return start + step.Width()
	}
	return t
}

// fold answers a folding. It returns the coarsest step that was used.
func (db *DB) fold(ctx context.Context, f *folding) (model.Step, error) {
	coarsest, charge := model.StepRaw, &rowCharge{db: db}
	for _, same := range db.alike(f) {
		for _, z := range zones(same.floors, f.span, f.step) {
			v := &view{db: db, tenant: f.tenant, ids: same.ids, span: z.span, grid: f.grid, step: z.step,
				expired: z.expired, charge: charge, out: make([][]model.Aggregate, len(same.ids))}
			for i, at := range same.position {
				v.out[i] = f.out[at]
			}
			if z.expired && (z.step > f.step || z.step.Start(f.span.From) != f.span.From || z.step.Start(f.span.To) != f.span.To) {
				if err := v.foldWide(ctx, f.span); err != nil {
					return coarsest, err
				}
			} else if err := v.run(ctx); err != nil {
				return coarsest, err
			}
			coarsest = max(coarsest, v.coarsest)
		}
	}
	return coarsest, nil
}

// alike are channels of a folding with the same floors.
type alike struct {
	floors   policy.Floors
	ids      []model.ChannelID // ascending
	position []int             // of each, among those asked for
}

// alike puts the channels with the same floors together.
func (db *DB) alike(f *folding) []alike {
	asked := make([]int, len(f.ascending))
	for i, at := range f.position {
		asked[at] = i
	}
	now := db.now()
	t := f.tenant
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.keepsAll() {
		return []alike{{policy.NoFloors, f.ascending, asked}}
	}
	var list []alike
	for i, id := range f.ascending {
		floors := t.floors(id, now)
		k := slices.IndexFunc(list, func(a alike) bool { return a.floors == floors })
		if k < 0 {
			k = len(list)
			list = append(list, alike{floors: floors})
		}
		list[k].ids, list[k].position = append(list[k].ids, id), append(list[k].position, asked[i])
	}
	return list
}

// wideRows is how many rows of a step, of all channels together, are held at
// once where they are not folded into the buckets that are asked for: 12 MB.
const wideRows = 1 << 17

// foldWide folds a zone whose step's rows may be wider than a bucket, or reach
// beyond the span that is asked for: each as a whole, in the bucket of its first
// row.
func (v *view) foldWide(ctx context.Context, asked model.Span) error {
	width := uint64(v.step.Width())
	each := uint64(max(1, wideRows/len(v.ids)))
	for {
		span, found, err := v.extent()
		if err != nil || !found {
			return err
		}
		span.From, span.To = v.step.Start(span.From), ceil(span.To, v.step)
		rows := min((uint64(span.To)-uint64(span.From))/width, each)
		span.To = span.From + int64(rows*width)
		part := view{db: v.db, tenant: v.tenant, ids: v.ids, span: span, grid: merge.Grid{From: span.From, Width: width},
			step: v.step, expired: v.expired, charge: v.charge, out: rooms(len(v.ids), int(rows))}
		if err := part.run(ctx); err != nil {
			return err
		}
		for i := range part.out {
			for j := range part.out[i] {
				row := &part.out[i][j]
				if row.Rows() > 0 && asked.Contains(row.FirstTime) {
					v.out[i][v.grid.Bucket(row.FirstTime)].Merge(row)
					v.coarsest = v.step
				}
			}
		}
		v.span.From = span.To
	}
}

// extent returns the part of the view's span in which its channels may have
// rows, and whether there is one.
func (v *view) extent() (model.Span, bool, error) {
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	reach := func(from, to int64) {
		if v.span.Overlaps(from, to) {
			first, last = min(first, from), max(last, to)
		}
	}
	blocks, views := v.stored()
	for i := range blocks {
		reach(blocks[i].First, blocks[i].Last)
	}
	var times []int64
	var values []float64
	for i := range views {
		from, to := views[i].Bounds()
		if from < v.span.From && to >= v.span.From { // there may be years between
			var err error
			if times, values, err = views[i].Decode(times[:0], values[:0]); err != nil {
				return model.Span{}, false, err
			}
			next, _ := slices.BinarySearch(times, v.span.From)
			from = times[next]
		}
		reach(from, to)
	}
	if first > last {
		return model.Span{}, false, nil
	}
	span := v.span.Intersect(model.Span{From: first, To: last + 1})
	return span, !span.Empty(), nil
}

// stored returns where rows of the view's channels may be.
func (v *view) stored() (blocks []block.Meta, views []head.View) {
	v.tenant.mu.RLock()
	defer v.tenant.mu.RUnlock()
	layers := []*layer{v.tenant.active}
	for _, f := range v.tenant.frozen {
		layers = append(layers, f.layer)
	}
	blocks = slices.Clip(v.tenant.blocks)
	for _, l := range layers {
		for _, id := range v.ids {
			if view, ok := l.View(id); ok {
				views = append(views, view)
			}
		}
		for _, a := range l.attached {
			blocks = append(blocks, a.meta)
		}
	}
	return blocks, views
}
