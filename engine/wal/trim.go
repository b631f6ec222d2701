package wal

import (
	"errors"
	"fmt"

	"github.com/hokan-db/hokan/engine/disk"
)

// renewBytes is how large the newest segment is at least, if segments may grow
// to twice that, before another is begun so that it can be trimmed.
const renewBytes = 64 << 10

// Trim implements Log. It deletes whole segments all of whose entries are
// permitted to go, the oldest first, and leaves the newest segment and those
// that a tail still reads. Segments in which damage was found are renamed
// instead.
func (l *Local) Trim(upTo uint64) error {
	l.trimming.Lock()
	defer l.trimming.Unlock()
	if err := l.renew(upTo); err != nil {
		return fmt.Errorf("log: trim: %w", err)
	}
	for {
		g, stray := l.takeOldest(upTo)
		if g == nil {
			return nil
		}
		// One by one, each durable before the next: after a crash what remains
		// is without a gap.
		if err := l.discard(g); err != nil {
			l.putBack(g, stray)
			return fmt.Errorf("log: trim %s: %w", g.name, err)
		}
	}
}

// renew begins another segment where all of the newest is permitted to go and
// nobody is writing, so that a log at rest does not keep what is in blocks.
func (l *Local) renew(upTo uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.segments)
	if n == 0 || l.writing || l.closed || l.failed != nil || l.options.ReadOnly ||
		upTo < l.last || l.segments[n-1].size < min(renewBytes, l.options.SegmentBytes/2) {
		return nil
	}
	l.writing = true // as a leader
	first := l.next
	l.mu.Unlock()
	if l.active.file != nil {
		l.abandon()
	}
	err := l.prepare(0, first)
	l.mu.Lock()
	l.handOn(err)
	return err
}

// takeOldest removes a file that may go from the lists; nil: there is none.
// Files that hold no entry go with the segments before which they stand.
func (l *Local) takeOldest(upTo uint64) (g *segment, stray bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) == 0 {
		return nil, false
	}
	oldest := l.segments[0]
	if len(l.strays) > 0 && l.strays[0].number < oldest.number {
		g, l.strays = l.strays[0], l.strays[1:]
		return g, true
	}
	if len(l.segments) == 1 || oldest.limit > upTo+1 {
		return nil, false
	}
	for c := range l.tails {
		if c.pinned.Load() <= oldest.number {
			return nil, false
		}
	}
	l.segments = l.segments[1:]
	return oldest, false
}

func (l *Local) putBack(g *segment, stray bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if stray {
		l.strays = append([]*segment{g}, l.strays...)
	} else {
		l.segments = append([]*segment{g}, l.segments...)
	}
}

// discard deletes or sets aside a file, durably. A file that is gone was
// removed by an earlier try whose sync failed.
func (l *Local) discard(g *segment) error {
	fsys := l.options.FS
	var err error
	if l.findings.isDamaged(g.name) {
		err = fsys.Rename(g.path, g.path+disk.QuarantineSuffix)
	} else {
		err = fsys.Remove(g.path)
	}
	if err = disk.Wrap(err); err != nil && !errors.Is(err, disk.ErrNotFound) {
		return err
	}
	return disk.SyncDir(fsys, l.options.Dir)
}
