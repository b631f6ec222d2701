package block

import "github.com/hokan-db/hokan/engine/model"

// StepSet is a set of steps: bit i is the step i.
type StepSet uint8

// Has reports whether a step is in the set.
func (s StepSet) Has(step model.Step) bool { return s&(1<<step) != 0 }

// With returns the set with a step more.
func (s StepSet) With(step model.Step) StepSet { return s | 1<<step }

// Coarsest returns the coarsest step of the set that is not coarser than at,
// StepRaw where there is none.
func (s StepSet) Coarsest(at model.Step) model.Step {
	for step := at; step > model.StepRaw; step-- {
		if s.Has(step) {
			return step
		}
	}
	return model.StepRaw
}

// storedRun says what all channels from one to another that are in the block
// have: raw rows, and which rollups.
type storedRun struct {
	first, last model.ChannelID
	steps       StepSet
}

// storedRuns are ascending.
type storedRuns []storedRun

// add notes what the next channel has.
func (r storedRuns) add(id model.ChannelID, steps StepSet) storedRuns {
	if n := len(r); n > 0 && r[n-1].steps == steps {
		r[n-1].last = id
		return r
	}
	return append(r, storedRun{id, id, steps})
}

// of returns what a channel has.
func (r storedRuns) of(id model.ChannelID) StepSet {
	low, high := 0, len(r)
	for low < high {
		if middle := (low + high) / 2; r[middle].last < id {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == len(r) || r[low].first > id {
		return 0
	}
	return r[low].steps
}
