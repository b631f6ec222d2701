package block

import (
	"slices"
	"sort"

	"github.com/hokan-db/hokan/engine/model"
)

// Stored returns what the block has of a channel: StepRaw, raw rows; other
// steps, rollups. Each of them is complete for the channel's rows in the block.
// It reads nothing.
func (r *Reader) Stored(id model.ChannelID) StepSet { return r.stored.of(id) }

// HasRaw reports whether the block has raw rows of a channel. Of one that it
// does not have them of it may have rollups alone. It reads nothing.
func (r *Reader) HasRaw(id model.ChannelID) bool { return r.Stored(id).Has(model.StepRaw) }

// Rollups visits the rollup rows of these channels (ascending IDs) that have
// raw rows in span, or may have: of each channel those of the coarsest step
// that the block stores of it and that is not coarser than at. A channel
// without such a step is not visited. A channel may be visited several times,
// by ascending time; channels of the same step come in ascending order, and
// coarser steps first. The rows are valid until visit returns.
func (r *Reader) Rollups(ids []model.ChannelID, at model.Step, span model.Span, visit func(model.ChannelID, *RollupRows) error) error {
	return r.visitRollups(ids, at, span, false, func(id model.ChannelID, s *rollupScratch, from, to int) error {
		s.view = s.rows.slice(from, to)
		return visit(id, &s.view)
	})
}

// rowsVisitor is told of a channel's rows from one on to another in scratch
// memory.
type rowsVisitor func(id model.ChannelID, s *rollupScratch, from, to int) error

// visitRollups is Rollups and FoldRollups.
func (r *Reader) visitRollups(ids []model.ChannelID, at model.Step, span model.Span, folding bool, visit rowsVisitor) error {
	if len(ids) == 0 || !span.Overlaps(r.meta.First, r.meta.Last) {
		return nil
	}
	wanted := ids
	for step := min(at, model.StepDay); step > model.StepRaw; step-- {
		if len(r.rollups[step]) == 0 {
			continue
		}
		var of []model.ChannelID
		all := true
		for _, id := range wanted {
			all = all && r.stored.of(id).Coarsest(at) == step
		}
		if of = wanted; !all {
			of = nil
			for _, id := range wanted {
				if r.stored.of(id).Coarsest(at) == step {
					of = append(of, id)
				}
			}
		}
		if err := r.stepRollups(of, step, span, folding, visit); err != nil {
			return err
		}
	}
	return nil
}

// stepRollups visits the rows of one step.
func (r *Reader) stepRollups(ids []model.ChannelID, step model.Step, span model.Span, folding bool, visit rowsVisitor) error {
	var chosen []page
	for i := range r.rollups[step] {
		p := &r.rollups[step][i]
		from, _ := slices.BinarySearch(ids, p.firstChannel)
		if from < len(ids) && ids[from] <= p.lastChannel && span.Overlaps(p.first, p.last) {
			chosen = append(chosen, *p)
		}
	}
	if len(chosen) == 0 {
		return nil
	}
	s := rollupScratches.Get().(*rollupScratch)
	defer rollupScratches.Put(s)
	s.folding = folding
	return r.readPages(chosen, func(p *page, payload []byte) error {
		wanted := ids
		return r.segments(s, p, payload, step, func(id model.ChannelID) (bool, bool) {
			from, found := slices.BinarySearch(wanted, id)
			wanted = wanted[from:]
			return found, len(wanted) == 0
		}, func(id model.ChannelID) error {
			from, to := rowsIn(&s.rows, span)
			if from == to {
				return nil
			}
			return visit(id, s, from, to)
		})
	})
}

// segments reads the channels of a page that are wanted, until choose says that
// no more are, and visits them with their rows in s.
func (r *Reader) segments(s *rollupScratch, p *page, payload []byte, step model.Step,
	choose func(model.ChannelID) (wanted, done bool), visit func(model.ChannelID) error) error {
	if err := s.segments.start(payload, step); err != nil {
		return r.damage(p.Position, err)
	}
	for {
		more, err := s.segments.next()
		if err != nil {
			return r.damage(p.Position, err)
		}
		if !more {
			return nil
		}
		id := s.segments.head.channel
		if id < p.firstChannel || id > p.lastChannel {
			return r.damage(p.Position, errRollups)
		}
		wanted, done := choose(id)
		if wanted {
			if err := s.decode(step); err != nil {
				return r.damage(p.Position, err)
			}
			if s.rows.FirstTimes[0] < p.first || s.rows.LastTimes[s.rows.Len()-1] > p.last {
				return r.damage(p.Position, errRollups)
			}
			if err := visit(id); err != nil {
				return err
			}
		}
		if done {
			return nil
		}
	}
}

// rowsIn returns which rows reach into span.
func rowsIn(r *RollupRows, span model.Span) (from, to int) {
	n := r.Len()
	if span.From <= r.LastTimes[0] && r.FirstTimes[n-1] < span.To {
		return 0, n
	}
	from = sort.Search(n, func(i int) bool { return r.LastTimes[i] >= span.From })
	to = sort.Search(n, func(i int) bool { return r.FirstTimes[i] >= span.To })
	return from, max(from, to)
}
