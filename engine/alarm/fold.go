package alarm

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

// EventKind tells which edge of an alarm an event is.
type EventKind uint8

// The kinds of event. Numbers are part of the catalog's format and of event
// IDs, and never reused.
const (
	Start EventKind = 1 // the alarm became active
	End   EventKind = 2 // it became normal again
)

// String returns the word for k that answers use.
func (k EventKind) String() string {
	switch k {
	case Start:
		return "start"
	case End:
		return "end"
	}
	return fmt.Sprintf("event %d", uint8(k))
}

// Event is one transition of an alarm. It is a function of the log: the same
// entries give the same events, with the same IDs.
type Event struct {
	ID      string // 32 hexadecimal digits, unique in the database
	Alarm   uint64
	Version uint64 // of the alarm's definition
	Kind    EventKind
	Time    int64   // of the row that brought it about
	Value   float64 // of that row
	Offset  uint64  // of that row's entry
	Channel model.ChannelID
	Name    string // of the alarm, then
}

// eventID is the first 16 bytes of the SHA-256 of alarm, version (u64 each),
// kind (u8), offset (u64) and time (i64), little-endian.
func eventID(e *Event) string {
	var b [33]byte
	binary.LittleEndian.PutUint64(b[0:], e.Alarm)
	binary.LittleEndian.PutUint64(b[8:], e.Version)
	b[16] = byte(e.Kind)
	binary.LittleEndian.PutUint64(b[17:], e.Offset)
	binary.LittleEndian.PutUint64(b[25:], uint64(e.Time))
	sum := sha256.Sum256(b[:])
	return hex.EncodeToString(sum[:16])
}

// row is one row of a channel, for putting rows into order of time.
type row struct {
	time  int64
	value float64
}

// Fold shows the rows of one entry to the alarms, as if row by row in order of
// (time, channel) and, for one row, alarm by alarm in order of ID; rows of one
// channel with equal times count in the order in which they were written. Each
// event is passed to emit in that order.
//
// A row with a number sets the state; active after normal or unknown starts an
// event, normal after active ends it. A row without a number holds the state.
// Both move the time that the alarm has folded to. A row at or before that
// time is late: it is counted and changes nothing.
//
// Columns without an enabled alarm cost one Watches each. Columns and rows
// must have as many times as values.
func (s *Set) Fold(offset uint64, columns []entry.Column, emit func(Event)) {
	s.touched, s.events = s.touched[:0], s.events[:0]
	sorted := true
	for i := range columns {
		if !s.Watches(columns[i].Channel) {
			continue
		}
		if n := len(s.touched); n > 0 && s.touched[n-1].Channel > columns[i].Channel {
			sorted = false
		}
		s.touched = append(s.touched, &columns[i])
	}
	if !sorted {
		slices.SortStableFunc(s.touched, func(a, b *entry.Column) int { return cmp.Compare(a.Channel, b.Channel) })
	}
	// An alarm looks at one channel, so that what it does is independent of
	// the others; only the events need to be put into order.
	for rest := s.touched; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Channel == rest[0].Channel {
			n++
		}
		s.foldChannel(offset, rest[:n])
		rest = rest[n:]
	}
	clear(s.touched) // the entry's memory is not ours to keep
	if len(s.events) > 1 {
		slices.SortStableFunc(s.events, func(a, b Event) int {
			return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Alarm, b.Alarm))
		})
	}
	for i := range s.events {
		emit(s.events[i])
	}
	clear(s.events)
}

// foldChannel folds columns that are all of one watched channel.
func (s *Set) foldChannel(offset uint64, columns []*entry.Column) {
	watchers := s.watching[columns[0].Channel]
	if len(columns) == 1 && slices.IsSorted(columns[0].Times) {
		for _, a := range watchers {
			for i, t := range columns[0].Times {
				s.foldRow(a, offset, t, columns[0].Values[i])
			}
		}
		return
	}
	s.order = s.order[:0]
	for _, c := range columns {
		for i, t := range c.Times {
			s.order = append(s.order, row{t, c.Values[i]})
		}
	}
	slices.SortStableFunc(s.order, func(a, b row) int { return cmp.Compare(a.time, b.time) })
	for _, a := range watchers {
		for _, r := range s.order {
			s.foldRow(a, offset, r.time, r.value)
		}
	}
}

func (s *Set) foldRow(a *Alarm, offset uint64, t int64, v float64) {
	if a.Folded && t <= a.FoldedTo {
		a.Late++
		return
	}
	a.Folded, a.FoldedTo = true, t
	if v != v {
		return
	}
	next := Normal
	if a.Holds(v) {
		next = Active
	}
	if next == a.State {
		return
	}
	quiet := a.State == Unknown && next == Normal
	a.State, a.Since = next, t
	if quiet {
		return
	}
	e := Event{Alarm: a.ID, Version: a.Version, Kind: End, Time: t, Value: v, Offset: offset,
		Channel: a.Channel, Name: a.Name}
	if next == Active {
		e.Kind = Start
	}
	e.ID = eventID(&e)
	s.events = append(s.events, e)
}
