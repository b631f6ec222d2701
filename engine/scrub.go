package engine

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/hokan-db/hokan/engine/disk"
)

// scrubEvery is the least time, in nanoseconds of the clock, between the begins
// of two rounds: a small database is not read all day.
const scrubEvery = int64(24 * time.Hour)

// scrubber re-reads all blocks, round after round: what rots unread would be
// noticed only when it is needed, or merged. It remembers nothing: it begins
// at a random block, so that all have their turn also where the process never
// lives as long as a round.
type scrubber struct {
	left  []string // names of blocks to be read in this round
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

// scrubNext reads the next block; false: the round is done, and it is too early
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
	if db.quarantine.has(name) {
		return true
	}
	cause := checkBlock(pacedBlocks{Blocks: db.local, ctx: ctx, pace: pace.wrote}, name)
	switch {
	case cause == nil, ctx.Err() != nil, errors.Is(cause, disk.ErrNotFound): // merged or deleted meanwhile
	case errors.Is(cause, disk.ErrCorrupt):
		db.blockDamaged(name, cause)
	default:
		db.faults.add(cause)
	}
	return true
}

// beginRound lists the blocks of a round, if it is time for one.
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
	if n := len(s.left); !s.made && n > 0 {
		var random [8]byte
		rand.Read(random[:]) // never fails
		at := int(binary.LittleEndian.Uint64(random[:]) % uint64(n))
		s.left = slices.Concat(s.left[at:], s.left[:at])
	}
	s.begun, s.made = now, true
	return true
}
