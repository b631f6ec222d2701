package engine

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// Rows expire by a clock that may be wrong for a while. Two times follow from it:
//
// Queries clip by now, which does not go back while the clock is set back by no
// more than mostSetBack: what has expired stays so. A clock that is set back
// further was wrong before, or is now. The clock counts then, as otherwise a
// single entry written by a wrong one would hide rows for years; and it is told.
//
// Rows leave the disk by freeable, which does not follow a clock that is put
// forward before it has kept so for clockPatience: what is gone stays gone when
// the clock is set right.
const (
	mostSetBack   = model.Day
	mostPutAhead  = int64(time.Hour)
	clockPatience = time.Hour
)

// oldestClock is 2025-01-01, in nanoseconds: a machine whose clock shows less
// does not know the time. It is no reason to believe that it was wrong before.
const oldestClock = 1735689600e9

// rowClock is what is known of the clock by which rows expire.
type rowClock struct {
	latest atomic.Int64          // the latest time that counts, in ns since the epoch
	fault  atomic.Pointer[error] // of a clock that was set back

	mu sync.Mutex
	// trusted is the time by which what is freed has expired. It is 0 until the log
	// is replayed: heads are flushed meanwhile, and the rules that hold then may
	// have ended by an entry that is still to come.
	trusted int64
	// While the clock is further ahead than that: for how many ticks it has been
	// so, and where it was at the last.
	doubts  int
	doubted int64
}

// setBack reports whether a clock that shows at was set back so far that what it
// showed before counts no more.
func setBack(before, at int64) bool {
	return at < before && uint64(before)-uint64(at) > uint64(mostSetBack) && (at >= oldestClock || before < oldestClock)
}

// later returns the time that counts when a clock that showed before shows at.
func later(before, at int64) int64 {
	if at > before || setBack(before, at) {
		return at
	}
	return before
}

// now returns the time in nanoseconds since the epoch by which rows expire for
// those who read.
func (db *DB) now() int64 {
	now := db.options.Clock().UnixNano()
	for {
		latest := db.clock.latest.Load()
		counts := later(latest, now)
		if counts > now+mostSetBack || counts < latest {
			err := fmt.Errorf("the clock was set back: it shows %s, before it was %s; rows expire by %s",
				timeText(now), timeText(latest), timeText(counts))
			db.clock.fault.CompareAndSwap(nil, &err)
		}
		if counts == latest || db.clock.latest.CompareAndSwap(latest, counts) {
			return counts
		}
	}
}

// freeable returns the time by which rows expire for those who leave them out of
// what they write.
func (db *DB) freeable() int64 {
	now := db.now()
	db.clock.mu.Lock()
	defer db.clock.mu.Unlock()
	return min(now, db.clock.trusted)
}

// trust has rows freed up to a time at least; MaxInt64: by the clock alone.
func (c *rowClock) trust(to int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trusted = max(c.trusted, to)
}

// tick tells what the clock shows, every maintainEvery.
func (c *rowClock) tick(now int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case now <= c.trusted || now-c.trusted <= mostPutAhead:
		c.trusted, c.doubts = now, 0
		return
	case c.doubts > 0 && now >= c.doubted && now-c.doubted <= mostPutAhead:
		c.doubts++
	default:
		c.doubts = 1
	}
	c.doubted = now
	if time.Duration(c.doubts)*maintainEvery >= clockPatience {
		c.trusted, c.doubts = now, 0
	}
}

// resumeClock goes on, when the log has been replayed, from the latest time that
// an entry has. One that the clock was set back from since does not count. What
// is freed has expired a day after that, until the clock is trusted; where
// nobody watches it, because the caller works on blocks himself, it is.
func (db *DB) resumeClock() error {
	all := db.allTenants(func(*tenant) bool { return true })
	newest, applied := int64(math.MinInt64), uint64(0)
	for _, t := range all {
		if t.lastApplied >= applied {
			newest, applied = t.clock, t.lastApplied
		}
	}
	latest := newest
	for _, t := range all {
		if !setBack(t.clock, newest) {
			latest = max(latest, t.clock)
		}
	}
	db.clock.latest.Store(latest)
	if db.options.Manual || len(all) == 0 {
		db.clock.trust(math.MaxInt64)
	} else {
		db.clock.trust(min(latest, math.MaxInt64-mostSetBack) + mostSetBack)
	}
	db.now() // so that a clock that was set back is told at once
	return nil
}

// entryTime returns the time that an entry gets: the clock's, which may have
// been set back; of one by which other rules may hold for a channel, the time by
// which rows have expired until then, so that they stay so.
func (db *DB) entryTime(body entry.Body) int64 {
	now := db.now() // it is the latest that readers have seen
	switch body := body.(type) {
	case *entry.SetRetention, *entry.Define, *entry.PutReceipt:
		return now
	case *entry.Rows:
		if len(body.Definitions) > 0 {
			return now
		}
	case *entry.Attach:
		if len(body.Definitions) > 0 {
			return now
		}
	}
	return db.options.Clock().UnixNano()
}

// sawTime notes the time of an entry of t. Where the clock was set back since
// those before, floors that rules had by what it showed then are forgotten if
// only a wrong clock can have made them: they lie ahead. The caller holds mu.
func (t *tenant) sawTime(at int64) {
	if !setBack(t.clock, at) {
		t.clock = max(t.clock, at)
		return
	}
	t.clock = at
	maps.DeleteFunc(t.pinned, func(_ model.ChannelID, floors policy.Floors) bool { return aheadOf(floors, at) })
}

// aheadOf reports whether floors are those of a clock that shows more than now:
// no rule keeps rows for less than no time.
func aheadOf(floors policy.Floors, now int64) bool { return setBack(slices.Max(floors[:]), now) }
