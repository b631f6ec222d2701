package engine

import "github.com/hokan-db/hokan/engine/entry"

// now returns the time in nanoseconds since the epoch by which rows expire. It
// never goes back, so that what has expired stays so: it is the clock's, or
// the greatest that the clock or an entry of the log had before.
func (db *DB) now() int64 {
	now := db.options.Clock().UnixNano()
	for {
		seen := db.clock.Load()
		if now <= seen {
			return seen
		}
		if db.clock.CompareAndSwap(seen, now) {
			return now
		}
	}
}

// sawTime notes the time of an entry.
func (db *DB) sawTime(at int64) {
	for {
		seen := db.clock.Load()
		if at <= seen || db.clock.CompareAndSwap(seen, at) {
			return
		}
	}
}

// entryTime returns the time that an entry gets: the clock's, which may have
// been set back; of one by which other rules may hold for a channel, the time by
// which rows have expired until then, so that they stay so.
func (db *DB) entryTime(body entry.Body) int64 {
	switch body := body.(type) {
	case *entry.SetRetention, *entry.Define:
		return db.now()
	case *entry.Rows:
		if len(body.Definitions) > 0 {
			return db.now()
		}
	}
	return db.options.Clock().UnixNano()
}
