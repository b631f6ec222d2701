package engine

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"path"
	"slices"
	"time"

	"github.com/hokan-db/hokan/engine/disk"
)

// scrubEvery is the least time, in nanoseconds of the clock, between the begins
// of two rounds: a small database is not read all day.
const scrubEvery = int64(24 * time.Hour)

// scrubber re-reads all blocks, checkpoints, segments of the log that grow no
// more and uploaded files, round after round: what rots unread would be noticed
// only when it is needed, or merged. It remembers nothing: it begins at a random
// file, so that all have their turn also where the process never lives as long
// as a round.
//
// A damaged file is set aside. While the database is open all that checkpoints
// and the log hold is in memory: in place of a damaged checkpoint another is
// written at once, and where a segment is damaged all partitions write
// checkpoints, so that nobody needs it any more and the log sets it aside.
type scrubber struct {
	left  []string // names of files to be read in this round
	begun int64    // clock time of the round's begin
	made  bool     // there was a round
}

// scrubInBackground reads at the set pace until ctx ends.
func (db *DB) scrubInBackground(ctx context.Context) {
	var s scrubber
	pace := &pace{rate: db.options.ScrubRate}
	ticker := time.NewTicker(maintainEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for ctx.Err() == nil && db.scrubNext(ctx, &s, pace) {
		}
	}
}

// scrubNext reads the next file; false: the round is done, and it is too early
// for another.
func (db *DB) scrubNext(ctx context.Context, s *scrubber, pace *pace) bool {
	if len(s.left) == 0 && !db.beginRound(s) {
		return false
	}
	if len(s.left) == 0 {
		return false
	}
	name := s.left[0]
	s.left = s.left[1:]
	// To find a file and open it takes as long as to read so much of it: where
	// there are very many small ones, their number sets the pace.
	if pace.wrote(ctx, paceStep) != nil {
		return false
	}
	var cause error
	if kindOf(name) == KindSegment {
		cause = db.scrubSegment(ctx, name, pace)
	} else {
		cause = checkObject(pacedBlocks{Blocks: db.local, ctx: ctx, pace: pace.wrote}, name)
	}
	switch {
	case cause == nil, ctx.Err() != nil, errors.Is(cause, disk.ErrNotFound): // set aside, merged or deleted meanwhile
	case errors.Is(cause, disk.ErrCorrupt):
		db.objectDamaged(name, cause)
	default:
		db.faults.add(cause)
	}
	return true
}

// scrubSegment reads a file of the log. Where it is damaged, the entries are all
// applied: checkpoints take its place.
func (db *DB) scrubSegment(ctx context.Context, name string, pace *pace) error {
	damage, err := db.rereadSegment(path.Base(name), func(bytes int) error { return errors.Join(ctx.Err(), pace.wrote(ctx, bytes)) })
	for _, fault := range damage {
		db.faults.add(fault)
	}
	if err != nil || damage == nil || db.options.ReadOnly {
		return err
	}
	return db.checkpointAll(ctx, func(*partition) bool { return true })
}

// beginRound lists the files of a round, if it is time for one.
func (db *DB) beginRound(s *scrubber) bool {
	now := db.options.Clock().UnixNano()
	if s.made && now >= s.begun && now-s.begun < scrubEvery {
		return false
	}
	for _, t := range db.allTenants(func(*tenant) bool { return true }) {
		t.mu.RLock()
		for i := range t.blocks {
			s.left = append(s.left, t.blocks[i].Name)
		}
		t.mu.RUnlock()
	}
	for _, p := range db.partitions {
		if name := db.checkpointOf(p); name != "" {
			s.left = append(s.left, name)
		}
	}
	for _, part := range db.logParts() {
		if part.Sealed {
			s.left = append(s.left, path.Join(disk.LogDir, part.Name))
		}
	}
	files, err := db.local.List(disk.FilesDir + "/")
	if err != nil {
		db.faults.add(err)
	}
	s.left = append(s.left, files...)
	if n := len(s.left); !s.made && n > 0 {
		var random [8]byte
		rand.Read(random[:]) // never fails
		at := int(binary.LittleEndian.Uint64(random[:]) % uint64(n))
		s.left = slices.Concat(s.left[at:], s.left[:at])
	}
	s.begun, s.made = now, true
	return true
}
