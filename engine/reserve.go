package engine

import (
	"fmt"
	"sync"
	"time"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// reserveShare is the part of a disk that stays free where that is less than
// the reserve in bytes: one in so many.
const reserveShare = 20

// reserveAge is how many nanoseconds what the disk said stays good.
const reserveAge = int64(time.Second)

// reserve is the room on the disk that only what frees room may use: deletions,
// their log entries, flushes, checkpoints and compaction. It asks the disk once
// a second, and sooner where an eighth of the reserve was written since.
type reserve struct {
	fs    disk.FS
	dir   string
	clock model.Clock
	bytes int64 // at most; not positive: there is no reserve

	mu    sync.Mutex
	asked int64 // when the disk was asked
	known bool  // it has answered
	free  uint64
	least uint64 // bytes that are to stay free
	since uint64 // bytes written since
}

// DiskRoom is the room on the disk that a database is on.
type DiskRoom struct {
	Known   bool   // false where the file system does not tell
	Free    uint64 // bytes
	Reserve uint64 // bytes: with fewer free, writes are refused
}

// DiskRoom returns the room on the disk, as of a second ago at most.
func (db *DB) DiskRoom() DiskRoom { return db.reserve.ask() }

func (r *reserve) ask() DiskRoom {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock().UnixNano()
	if age := now - r.asked; r.asked == 0 || age >= reserveAge || age < 0 || r.since > r.least/8 {
		r.asked, r.since = now, 0
		usage, err := r.fs.GetDiskUsage(r.dir)
		r.known = err == nil // a file system that cannot tell has no reserve
		r.free = usage.AvailBytes
		r.least = uint64(max(r.bytes, 0))
		if share := usage.TotalBytes / reserveShare; share < r.least {
			r.least = share
		}
	}
	return DiskRoom{Known: r.known, Free: r.free, Reserve: r.least}
}

// wrote tells that so many bytes were written.
func (r *reserve) wrote(bytes uint64) {
	r.mu.Lock()
	r.since += bytes
	r.mu.Unlock()
}

// check refuses what grows, with ErrFull, where less is free than the reserve.
func (r *reserve) check() error {
	if r.bytes <= 0 {
		return nil
	}
	if room := r.ask(); room.Known && room.Free < room.Reserve {
		return fmt.Errorf("%w: %d bytes are free, and %d are in reserve for what frees room", ErrFull, room.Free, room.Reserve)
	}
	return nil
}

// fits refuses, with ErrFull, work that writes so many bytes before it frees
// any. What frees room in the end may use three quarters of the reserve.
func (r *reserve) fits(bytes uint64, frees bool) error {
	if r.bytes <= 0 {
		return nil
	}
	room := r.ask()
	stay := room.Reserve
	if frees {
		stay /= 4
	}
	if room.Known && room.Free < stay+bytes {
		return fmt.Errorf("%w: %d bytes are free, %d are to be written and %d to stay free", ErrFull, room.Free, bytes, stay)
	}
	return nil
}
