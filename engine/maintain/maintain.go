// Package maintain decides what background work a tenant's blocks need next.
// It is pure: it sees a description of the blocks and the clock, and does
// nothing itself.
//
// # Layout
//
// A flush writes a block for each UTC day, or for several days of one month
// where rows are late. When a day is over, its blocks become one of level day;
// when a month is over, its blocks become its base, of level month. Rows that
// come later than that make small blocks above the base: overlays. They are
// merged with each other, and into the base only when they have grown to a
// share of it. So one late row never rewrites a month.
//
//	month  |===============================|            base, oldest offsets
//	day        |==|      |==============|               overlays
//	flush          |=|                                  newest offsets
//
// # What every job keeps
//
// The blocks of a job are closed: every other block whose days overlap those of
// the job is of entries that are all before or all after those of the job. So
// the result ranks as a whole, and its name, which has the days and offsets of
// all of them together, says exactly what it holds: all rows of these days from
// these entries. No job crosses a month.
//
// A block whose channels have a MiB each is full: nothing is gained by merging
// it with its neighbours, and of a fast channel a day would be too large to
// write again.
package maintain

import (
	"time"

	"github.com/hokan-db/hokan/engine/model"
)

// Level says what wrote a block.
type Level uint8

// The levels, in the order in which rows pass through them.
const (
	Flush Level = iota // as it left memory: written fast, without rollups
	Day                // merged and small; a day, or late rows of a part of a month
	Month              // the base of a month
)

// String returns the level as it stands in the names of blocks.
func (l Level) String() string {
	switch l {
	case Flush:
		return "flush"
	case Day:
		return "day"
	case Month:
		return "month"
	}
	return "unknown"
}

// ParseLevel is the inverse of String.
func ParseLevel(text string) (Level, bool) {
	for l := Flush; l <= Month; l++ {
		if l.String() == text {
			return l, true
		}
	}
	return 0, false
}

// Block is what the picker knows of a block.
type Block struct {
	Level       Level
	Span        model.Span // of its name: whole UTC days of one month
	First, Last int64      // times of its earliest and its latest row
	// The entries of the log that it is made of, both included.
	FirstOffset, LastOffset uint64
	Bytes                   uint64
	Channels                uint64
	Written                 int64 // clock time, 0 where unknown

	// Of Bytes, those of rows that retention let expire, and of rows that a
	// deletion hides. They are estimates.
	Expired, Hidden uint64
	Stale           int64 // clock time from which hidden rows are to go, however few; 0: never
	Dead            bool  // nothing in it can be read any more
	Damaged         bool  // it cannot be merged
	// Alone says that it has rollups whose raw rows have expired: merging it
	// with others would not make them one, so it is written again by itself only.
	Alone bool
	// Folds says that some of what has expired becomes rollups when it is written
	// again. Then all whose rows lie over each other go together: a row that
	// corrects another counts instead of it.
	Folds bool
}

// View is one tenant, as the picker sees it.
type View struct {
	Blocks []Block
	// Stagger, in [0, 1), tells tenants apart, so that not all of them are due
	// at midnight.
	Stagger float64
	// MaxBlocks is how many blocks a job merges at most, where two units of the
	// layout are not more; 0: DefaultMaxBlocks.
	MaxBlocks int
	// Room is how many bytes a job may write; 0: any number.
	Room uint64
	// All takes every day and month as over and every share as reached: it
	// leaves each month as few blocks as there can be.
	All bool
}

// DefaultMaxBlocks is how many blocks are open at once while they are merged.
const DefaultMaxBlocks = 128

// The bounds of the layout. Times are nanoseconds.
const (
	// stackUnits is how many units of one size over the same days, or of any
	// size over the same rows, make a merge due whatever the clock says.
	stackUnits = 8
	// manyUnits over the same days, of whatever sizes, are too many.
	manyUnits = 4 * stackUnits
	// Sizes are told apart by powers of tierGrowth, which is less than what
	// merging stackUnits makes of them. The least size has up to tierBytes.
	tierBytes, tierGrowth = 16 << 10, 4
	// dayGrace is how long after its end a day is taken as over: heads are
	// flushed when they are 6 to 12 hours old.
	dayGrace = int64(13 * time.Hour)
	// dayStagger and monthStagger spread the tenants.
	dayStagger   = int64(6 * time.Hour)
	monthGrace   = int64(24 * time.Hour)
	monthStagger = int64(5 * 24 * time.Hour)
	// settleAfter is how long a flush block is left alone at least: more may
	// follow it.
	settleAfter = int64(time.Hour)
	// quiet is how long nothing must have come for a month that gets its base,
	// patience how long that is waited for.
	quiet, patience = int64(24 * time.Hour), int64(7 * 24 * time.Hour)
	// growth is how many times larger an older unit may be than the newer ones
	// that are merged into it when these settle.
	growth = 4
	// A base is rewritten when its overlays reach share of it, or when the
	// oldest overlay is of age and they reach agedShare.
	share     = 4  // a quarter
	agedShare = 32 // a 32nd
	age       = int64(30 * 24 * time.Hour)
	// A block is rewritten when half of it has expired, or a quarter is
	// hidden by deletions.
	expiredShare, hiddenShare = 2, 4
	// A full unit has fullBytes at least, and fullChannel for each channel.
	fullBytes, fullChannel = 64 << 20, 1 << 20
	// fileCost is what a file costs, in bytes written, beside its bytes.
	fileCost = 64 << 10
	// candidates bounds the units among which the cheapest run is looked for.
	candidates = 64
)

// Reason says why a job is due.
type Reason string

// The reasons, the most urgent first.
const (
	Dead    Reason = "dead"    // nothing in the blocks can be read: they go
	Stack   Reason = "stack"   // too many blocks over the same days
	Settle  Reason = "settle"  // a day is over
	Deleted Reason = "deleted" // rows hidden by deletions take space
	Expired Reason = "expired" // rows past their retention take space
	Form    Reason = "form"    // a month is over
	Share   Reason = "share"   // overlays have grown to a share of their base
)

// Job is what is to be done next.
type Job struct {
	Reason Reason
	// Blocks are the indexes in View.Blocks of those that the job takes,
	// ascending by offset. Where Reason is Dead they are deleted; else their
	// rows are written again, as one unit.
	Blocks []int
	// Level and Span are for the names of what is written.
	Level Level
	Span  model.Span
	Bytes uint64 // of Blocks together
}

// Never is the due time of what will not be due by the passing of time.
const Never = int64(1<<63 - 1)
