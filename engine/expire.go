package engine

import (
	"cmp"
	"math"
	"slices"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// What retention hides from queries leaves the disk when blocks are written
// again. Where no rollup outlives a channel's raw rows, those of days before
// the floor are left out. Where one does, the raw rows stay until all that the
// job has of the channel have expired; they are then folded into rollups of the
// steps that are kept, in the same job, so that there is no moment without one
// of the two. They wait for what lies over them elsewhere, in other blocks or in
// a head: a row that corrects another must count instead of it. Rollups alone
// are copied from block to block.

// expiry is what retention does to a channel's raw rows in a job.
type expiry struct {
	from   int64        // rows before are left out
	fold   []model.Step // the rows become rollups of these steps; nil: they stay
	floors policy.Floors
}

// rollupCopy is a channel of which a block has rollups alone.
type rollupCopy struct {
	channel model.Channel
	from    *block.Meta
}

// dayFloor returns the start of the UTC day of a floor: whole days go.
func dayFloor(floor int64) int64 {
	if floor == policy.NoFloor {
		return floor
	}
	return model.StepDay.Start(floor)
}

// outliving returns the steps whose rollups are kept longer than raw rows.
func outliving(f policy.Floors) []model.Step {
	var steps []model.Step
	for _, s := range model.Steps()[1:] {
		if f[s] < f[model.StepRaw] {
			steps = append(steps, s)
		}
	}
	return steps
}

// floorsOf returns the floors of some channels, nil where everything is kept.
// The caller holds mu, shared or not.
func (t *tenant) floorsOf(channels map[model.ChannelID]model.Channel, copies []rollupCopy, now int64) map[model.ChannelID]policy.Floors {
	if t.keepsAll() {
		return nil
	}
	floors := map[model.ChannelID]policy.Floors{}
	for id := range channels {
		floors[id] = t.floors(id, now)
	}
	for i := range copies {
		id := copies[i].channel.ID
		floors[id] = t.floors(id, now)
	}
	return floors
}

// setApart leaves of the copies one of each channel of which there are no raw
// rows: a block has a channel's rollups of one kind, once. The others go into
// blocks of their own.
func (r *mergedRows) setApart(channels map[model.ChannelID]model.Channel) {
	slices.SortStableFunc(r.copies, func(a, b rollupCopy) int { return cmp.Compare(a.channel.ID, b.channel.ID) })
	all := r.copies
	r.copies = nil
	layer := 0
	for i, c := range all {
		if layer++; i == 0 || all[i-1].channel.ID != c.channel.ID {
			layer = 0
			if _, raw := channels[c.channel.ID]; raw {
				layer = 1
			}
		}
		if layer == 0 {
			r.copies = append(r.copies, c)
			continue
		}
		for len(r.apart) < layer {
			r.apart = append(r.apart, nil)
		}
		r.apart[layer-1] = append(r.apart[layer-1], c)
	}
}

// expire finds what retention does to the channels.
func (r *mergedRows) expire(t *tenant, floors map[model.ChannelID]policy.Floors, channels map[model.ChannelID]model.Channel) error {
	r.setApart(channels)
	r.expired = map[model.ChannelID]expiry{}
	for id, f := range floors {
		raw := f[model.StepRaw]
		if raw <= r.span.From && len(r.copies) == 0 && len(r.apart) == 0 {
			continue
		}
		e := expiry{from: dayFloor(raw), floors: f}
		if kept := outliving(f); len(kept) > 0 {
			folds, err := r.mayFold(t, id, raw)
			if err != nil {
				return err
			}
			if e.from = policy.NoFloor; folds {
				e.fold, e.from = kept, dayFloor(f.Least())
			}
		}
		r.expired[id] = e
	}
	return nil
}

// mayFold reports whether a channel's raw rows in the job's blocks may become
// rollups: all have expired, and none lie over them elsewhere.
func (r *mergedRows) mayFold(t *tenant, id model.ChannelID, floor int64) (bool, error) {
	rows := noRows
	for i := range r.blocks {
		if err := r.db.reach(&rows, &r.blocks[i], id, model.AllTime()); err != nil {
			return false, err
		}
	}
	if rows.Empty() || rows.To > floor || t.inHeads(id, rows) {
		return false, nil
	}
	t.mu.RLock()
	blocks := t.blocks
	t.mu.RUnlock()
	for i := range blocks {
		if slices.ContainsFunc(r.blocks, func(m block.Meta) bool { return m.Name == blocks[i].Name }) {
			continue
		}
		over := noRows
		if err := r.db.reach(&over, &blocks[i], id, rows); err != nil || !over.Empty() {
			return false, err
		}
	}
	return true, nil
}

// noRows is a span that reach has not widened yet.
var noRows = model.Span{From: math.MaxInt64, To: math.MinInt64}

// reach widens rows by the chunks that a block has of a channel in a span.
func (db *DB) reach(rows *model.Span, m *block.Meta, id model.ChannelID, span model.Span) error {
	if !span.Overlaps(m.First, m.Last) {
		return nil
	}
	reader, err := db.readers.acquire(m.Name)
	if err != nil {
		return err
	}
	defer db.readers.release(reader)
	return reader.Chunks([]model.ChannelID{id}, span, func(c block.ChunkRef) error {
		rows.From, rows.To = min(rows.From, c.Summary.FirstTime), max(rows.To, c.Summary.LastTime+1)
		return nil
	})
}

// inHeads reports whether a head may have rows of a channel in a span.
func (t *tenant) inHeads(id model.ChannelID, span model.Span) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.active.has(id, span) || slices.ContainsFunc(t.frozen, func(f *frozenHead) bool { return f.has(id, span) })
}

// begin reports whether another block is to be written.
func (r *mergedRows) begin() bool {
	if !r.more() && len(r.apart) > 0 {
		r.copies, r.apart = r.apart[0], r.apart[1:]
	}
	return r.more()
}

// more reports whether something is still to be written that may be in the block
// with what is before it.
func (r *mergedRows) more() bool { return len(r.times) > 0 || len(r.copies) > 0 }

// folds reports whether the chunk's rows become rollups.
func (r *mergedRows) folds() bool { return r.expired[r.channel().ID].fold != nil }

// copyNext reports whether a channel that is copied comes before the chunk's.
func (r *mergedRows) copyNext() bool {
	return len(r.copies) > 0 && (len(r.times) == 0 || r.copies[0].channel.ID < r.channel().ID)
}

// copyRollups copies what is kept of the first of copies, if anything is.
func (r *mergedRows) copyRollups(writer *block.Writer) (copied bool, err error) {
	c := r.copies[0]
	r.copies = r.copies[1:]
	reader, err := r.db.readers.acquire(c.from.Name)
	if err != nil {
		return false, err
	}
	defer r.db.readers.release(reader)
	floors := policy.NoFloors
	if e, ok := r.expired[c.channel.ID]; ok {
		floors = e.floors
	}
	hidden := hiding{tombstones: tombstonesOf(r.tombstones, c.channel.ID)}
	for _, step := range model.Steps()[1:] {
		if !reader.Stored(c.channel.ID).Has(step) || !keepsLonger(floors, step) {
			continue
		}
		err := reader.Rollups([]model.ChannelID{c.channel.ID}, step, model.AllTime(), func(_ model.ChannelID, rows *block.RollupRows) error {
			for from := 0; from < rows.Len(); {
				to := from
				for to < rows.Len() && hidden.keepsRow(rows, to, dayFloor(floors[step]), cleanTo(c.from)) {
					to++
				}
				if part := rows.Slice(from, to); part.Len() > 0 {
					if !copied {
						if err := writer.AddChannel(c.channel); err != nil {
							return err
						}
						copied = true
					}
					if err := writer.AddRollups(&part); err != nil {
						return err
					}
				}
				from = to + 1
			}
			return nil
		})
		if err != nil {
			return copied, err
		}
	}
	return copied, nil
}

// keepsLonger reports whether rollups of a step are kept longer than raw rows,
// or everything is.
func keepsLonger(f policy.Floors, step model.Step) bool {
	return f[step] < f[model.StepRaw] || f == policy.NoFloors
}

// keepsRow reports whether a rollup row stays: it has not expired, and no
// deletion hides any of the rows that it was made of.
func (h *hiding) keepsRow(rows *block.RollupRows, i int, floor int64, cleanTo uint64) bool {
	if rows.LastTimes[i] < floor {
		return false
	}
	for k := range h.tombstones {
		if s := &h.tombstones[k]; s.Offset > cleanTo && s.Span.Overlaps(rows.FirstTimes[i], rows.LastTimes[i]) {
			return false
		}
	}
	return true
}

// rollupFold makes rollups of one channel's raw rows, which then go.
type rollupFold struct {
	steps []stepFold
}

// stepFold is one step of a rollupFold.
type stepFold struct {
	from int64 // rows before have expired for the step too
	to   int64 // where the row that is being made ends
	row  model.Aggregate
	rows block.RollupRows // that are complete
}

// heldRollups is how many rollup rows are held at most before they are written.
const heldRollups = 8192

// begin starts a channel.
func (f *rollupFold) begin(e expiry) {
	f.steps = f.steps[:0]
	for _, step := range e.fold {
		f.steps = append(f.steps, stepFold{from: dayFloor(e.floors[step]), to: model.MinTime})
		f.steps[len(f.steps)-1].rows.Reset(step)
	}
}

// add folds rows.
func (f *rollupFold) add(writer *block.Writer, times []int64, values []float64) error {
	for i := range f.steps {
		s := &f.steps[i]
		for k, at := range times {
			if at < s.from {
				continue
			}
			if at >= s.to {
				if err := s.finish(writer); err != nil {
					return err
				}
				s.to = s.rows.Step.Start(at) + s.rows.Step.Width()
			}
			s.row.Add(at, values[k])
		}
	}
	return nil
}

// finish completes the row that is being made.
func (s *stepFold) finish(writer *block.Writer) error {
	if s.row.Rows() == 0 {
		return nil
	}
	s.rows.Add(&s.row)
	s.row = model.Aggregate{}
	if s.rows.Len() < heldRollups {
		return nil
	}
	return s.flush(writer)
}

func (s *stepFold) flush(writer *block.Writer) error {
	err := writer.AddRollups(&s.rows)
	s.rows.Reset(s.rows.Step)
	return err
}

// end writes what is left of the channel.
func (f *rollupFold) end(writer *block.Writer) error {
	for i := range f.steps {
		s := &f.steps[i]
		err := s.finish(writer)
		if err == nil && s.rows.Len() > 0 {
			err = s.flush(writer)
		}
		if err != nil {
			return err
		}
	}
	f.steps = f.steps[:0]
	return nil
}
