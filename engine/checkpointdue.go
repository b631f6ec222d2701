package engine

import (
	"context"

	"github.com/hokan-db/hokan/engine/model"
)

// When a partition writes its checkpoint. Every checkpoint is the whole state,
// so one that comes early is written for little; but until it comes, an opening
// reads the log since. The rule, for partitions that have changed:
//
//   - at once, when their log since the last checkpoint has CheckpointBytes, or
//     all log since their first entry in no checkpoint has eight times
//     ReplayBytes: this bounds the log, and what an opening reads of it;
//   - after CheckpointAge, when their log since the last checkpoint is as long
//     as that was, so that checkpoints are no more than doubling what is
//     written; or all log since has ReplayBytes; or there is no log, only a
//     flush, so that a partition at rest lets go of the rows that went into
//     blocks;
//   - after four times CheckpointAge in any case;
//   - a minute after a deletion.

// checkpointSchedule is what a partition's next checkpoint waits for.
type checkpointSchedule struct {
	last  int64 // bytes of the last checkpoint; 0: not known, or the last try failed
	bytes int64 // of the partition's log since, estimated
	from  int64 // logBytes before the first entry that no checkpoint holds
	aged  int64 // clock time at which CheckpointAge has passed; 0: not begun
	by    int64 // clock time after which nothing is waited for; 0: none
}

// latestAge is how many CheckpointAges a checkpoint waits at most, and mostReplay
// how many ReplayBytes.
const (
	latestAge  = 4
	mostReplay = 8
)

// hasten has the checkpoint written at a clock time, if not before.
func (s *checkpointSchedule) hasten(by int64) {
	if s.by == 0 || s.by > by {
		s.by = by
	}
}

// checkpointDue writes the checkpoints whose time or log bytes have come.
func (db *DB) checkpointDue(ctx context.Context, now int64) error {
	return db.checkpointAll(ctx, func(p *partition) bool { return db.dueCheckpoint(p, now) })
}

// dueCheckpoint reports whether p, which has changed, is to write its
// checkpoint. The caller holds the applier's mutex.
func (db *DB) dueCheckpoint(p *partition, now int64) bool {
	s, age := &p.schedule, db.options.CheckpointAge
	if s.aged == 0 || s.aged > now+age { // the clock was set back
		// Every partition has its own phase, so that they do not all write at
		// once.
		phase := age / model.Partitions * int64(p.id)
		s.aged = now - (now-phase)%age + age
		s.hasten(s.aged + (latestAge-1)*age)
	}
	behind := int64(0)
	if p.dirtyFrom != 0 {
		behind = db.logBytes.Load() - s.from
	}
	switch {
	case s.bytes >= db.options.CheckpointBytes, behind/mostReplay >= db.options.ReplayBytes, now >= s.by:
		return true
	case now < s.aged:
		return false
	}
	return p.dirtyFrom == 0 || s.bytes >= s.last || behind >= db.options.ReplayBytes
}

// byteCount counts the bytes that are written to it.
type byteCount int64

// Write implements io.Writer.
func (c *byteCount) Write(p []byte) (int, error) {
	*c += byteCount(len(p))
	return len(p), nil
}
