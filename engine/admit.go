package engine

import (
	"github.com/hokan-db/hokan/engine/model"
)

// RawFloors returns the times before which rows of some channels would be gone
// as soon as they are written, in nanoseconds since the epoch: nil where a
// tenant keeps everything. Channels are named by their labels; of those that
// are not there yet the properties count that they would have, nil for none.
func (db *DB) RawFloors(name model.Tenant, count int, channel func(int) (model.Labels, *model.Properties)) ([]int64, error) {
	t, err := db.enterTenant(name)
	if err != nil {
		return nil, err
	}
	defer db.gate.leave()
	now := db.now()
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.keepsAll() {
		return nil, nil
	}
	floors := make([]int64, count)
	for i := range floors {
		labels, properties := channel(i)
		if id, known := t.index.Lookup(labels); known {
			floors[i] = t.floors(id, now)[model.StepRaw]
			continue
		}
		c := model.Channel{Labels: labels}
		if properties != nil {
			c.History = model.History{{ValidFrom: model.MinTime, Properties: *properties}}
		}
		effective := t.policy.Effective(&c)
		floors[i] = effective.Floors(now)[model.StepRaw]
	}
	return floors, nil
}
