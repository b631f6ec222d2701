package engine

import (
	"testing"
	"time"
)

// TestCheckpointSchedule tells when a partition whose log grows by so many
// bytes a minute, and that of the others by so many, writes its checkpoint.
func TestCheckpointSchedule(t *testing.T) {
	const minute = int64(time.Minute)
	for name, c := range map[string]struct {
		last       int64 // bytes of the last checkpoint
		own, other int64 // log bytes a minute
		resting    bool  // nothing but a flush
		hasten     int64 // minutes
		want       int64 // minutes
	}{
		"the first":                           {last: 0, own: 1, want: 15},
		"a log as long as the checkpoint":     {last: 1000, own: 100, want: 15},
		"it is as long later":                 {last: 1000, own: 50, want: 20},
		"hardly any log":                      {last: 1000, own: 1, want: 60},
		"others write as much as is replayed": {last: 1 << 40, own: 1, other: 500, want: 20},
		"no log, a flush":                     {last: 1000, resting: true, want: 15},
		"its own log is long":                 {last: 1 << 40, own: 1000, want: 5},
		"all log is very long":                {last: 1 << 40, own: 1, other: 20_000, want: 4},
		"a deletion":                          {last: 1 << 40, own: 1, hasten: 3, want: 3},
		"a deletion after the age":            {last: 1000, own: 100, hasten: 30, want: 15},
	} {
		db := &DB{options: Options{CheckpointAge: 15 * minute, CheckpointBytes: 5000, ReplayBytes: 10_000}}
		p := newPartition(0)
		p.schedule.last = c.last
		if !c.resting {
			p.dirtyFrom = 7
		}
		db.logBytes.Store(5 << 20) // before
		p.schedule.from = db.logBytes.Load()
		if c.hasten > 0 {
			p.schedule.hasten(c.hasten * minute)
		}
		at := int64(0)
		for ; at < 1000 && !db.dueCheckpoint(p, at*minute); at++ {
			p.schedule.bytes += c.own
			db.logBytes.Add(c.own + c.other)
		}
		if at != c.want {
			t.Errorf("%s: after %d minutes, want %d", name, at, c.want)
		}
	}
}
