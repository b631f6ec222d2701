// Package wal is the log: every change to the database is an entry of it, and
// is durable when its entry is. Local keeps it in segment files of one folder
// (segment.go has the format): many writers share one write and one sync, and
// readers get what is on disk and then what is being appended, without a gap.
package wal

import (
	"context"
	"errors"

	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

// ErrFailed says that a sync failed. What the disk holds of the newest writes
// is not known then, so the log takes no more until it is opened again. It
// wraps the cause.
var ErrFailed = errors.New("log failed")

// ErrClosed says that the log, or the cursor, was closed.
var ErrClosed = errors.New("log closed")

// Claim is what an appender has to the entries of a partition: it owns it in
// this epoch. A log of many machines refuses a claim of an epoch that is over.
type Claim struct {
	Partition model.Partition
	Epoch     uint64
}

// Log is a sequence of entries. Offsets begin at 1 and grow by one from entry
// to entry. It is safe for concurrent use.
type Log interface {
	// Append makes e durable and sets e.Offset, which it returns. e and what it
	// refers to must not change until every tail has handed it over and been
	// asked for what follows. After an error e is not in the log once a later
	// append has succeeded; until then it may be there, whole, when the log is
	// opened again.
	Append(c Claim, e *entry.Entry) (offset uint64, err error)
	// Tail returns the entries of these partitions (nil: of all) whose offset is
	// greater than after of their partition, in the order of offsets: those that
	// are durable now, and then all that become so, as the very pointers that
	// were appended.
	Tail(partitions []model.Partition, after func(model.Partition) uint64) (Cursor, error)
	// Bounds returns the first offset that is held and the newest durable one,
	// which is one less than the first when nothing is held.
	Bounds() (first, last uint64)
	// Trim permits that entries up to and including upTo be forgotten.
	Trim(upTo uint64) error
	// Close waits for what is being appended. Cursors end after handing over
	// everything.
	Close() error
}

// Cursor hands over entries in order. Its methods are for one goroutine, Close
// for any.
type Cursor interface {
	// Next waits for at least one entry. After the log was closed and everything
	// was handed over it returns io.EOF. Entries are valid until the next call
	// of Next or TryNext.
	Next(ctx context.Context) ([]*entry.Entry, error)
	// TryNext is Next, but returns nil instead of waiting.
	TryNext() ([]*entry.Entry, error)
	// CaughtUp reports whether everything that was durable when the cursor was
	// made has been handed over.
	CaughtUp() bool
	// Close ends the cursor. Waiting calls return ErrClosed.
	Close()
}
