package alarm

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

// ErrUnknown is wrapped when an entry speaks of an alarm that does not exist.
var ErrUnknown = errors.New("unknown alarm")

// State is what an alarm knows of its condition.
type State uint8

// The states. Numbers are part of the checkpoint format and never reused.
const (
	Unknown State = 0 // no number was folded yet
	Normal  State = 1 // the condition does not hold
	Active  State = 2 // it does
)

// String returns the word for s that answers use.
func (s State) String() string {
	switch s {
	case Unknown:
		return "unknown"
	case Normal:
		return "normal"
	case Active:
		return "active"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Alarm is one alarm's definition and what has been folded into it.
type Alarm struct {
	ID      uint64 // the offset of the entry that made it
	Version uint64 // of the definition, from 1
	Name    string
	Match   string // the selector that chose the channel, as it was given
	Channel model.ChannelID
	Condition
	Enabled  bool
	State    State
	Since    int64  // time of the row that brought the state; 0 while unknown
	FoldedTo int64  // time of the newest row folded; only if Folded
	Folded   bool   // any row was
	Late     uint64 // rows at or before FoldedTo, which were not folded
}

// clean forgets every row.
func (a *Alarm) clean() {
	a.State, a.Since, a.FoldedTo, a.Folded, a.Late = Unknown, 0, 0, false, 0
}

// Set is a tenant's alarms. Its user serialises all calls.
type Set struct {
	alarms   []*Alarm                     // ascending by ID
	watching map[model.ChannelID][]*Alarm // enabled alarms of a channel, ascending by ID
	watched  []*watchPage                 // a bit for each key of watching

	// What one Fold works on; kept for its memory.
	touched []*entry.Column // those with an enabled alarm, by channel
	order   []row           // of one channel
	events  []Event
}

// watchPage has one bit for each of pageChannels successive channel IDs. Pages
// without a bit are absent: a wild channel ID costs 8 MiB, not 512.
type watchPage [pageChannels / 64]uint64

const pageChannels = 4096

// NewSet returns a set without alarms.
func NewSet() *Set { return &Set{watching: map[model.ChannelID][]*Alarm{}} }

// Watches reports whether any enabled alarm looks at the channel. It is cheap
// enough to ask for every column.
func (s *Set) Watches(id model.ChannelID) bool {
	page := int(id / pageChannels)
	if page >= len(s.watched) || s.watched[page] == nil {
		return false
	}
	return s.watched[page][id%pageChannels/64]>>(id%64)&1 != 0
}

// Put creates the alarm that p defines, with the entry's offset as its ID, or,
// where p has an ID, replaces the definition of that alarm: its version grows
// by one and it starts clean. The error wraps ErrInvalid or ErrUnknown, and
// nothing has changed then.
func (s *Set) Put(offset uint64, p *entry.PutAlarm) (id uint64, err error) {
	next := Alarm{
		ID: p.ID, Version: 1, Name: p.Name, Match: p.Match, Channel: p.Channel, Enabled: p.Enabled,
		Condition: Condition{Operator(p.Operator), p.Threshold, p.Low, p.High},
	}
	if err := next.Validate(); err != nil {
		return 0, err
	}
	if p.Channel == 0 {
		return 0, fmt.Errorf("%w: it has no channel", ErrInvalid)
	}
	if p.ID == 0 {
		next.ID = offset
		i, exists := s.find(offset)
		if exists || offset == 0 {
			return 0, fmt.Errorf("%w: offset %d cannot be its ID", ErrInvalid, offset)
		}
		a := &next
		s.alarms = slices.Insert(s.alarms, i, a)
		s.watch(a)
		return offset, nil
	}
	a, err := s.get(p.ID)
	if err != nil {
		return 0, err
	}
	next.Version = a.Version + 1
	s.unwatch(a)
	*a = next
	s.watch(a)
	return a.ID, nil
}

// Switch enables or disables an alarm. A disabled alarm evaluates nothing and
// its state is frozen; enabling a disabled one starts it clean. The error
// wraps ErrUnknown.
func (s *Set) Switch(e *entry.SwitchAlarm) error {
	a, err := s.get(e.ID)
	if err != nil || a.Enabled == e.Enabled {
		return err
	}
	s.unwatch(a)
	a.Enabled = e.Enabled
	if a.Enabled {
		a.clean()
	}
	s.watch(a)
	return nil
}

// Delete removes an alarm. The error wraps ErrUnknown.
func (s *Set) Delete(id uint64) error {
	a, err := s.get(id)
	if err != nil {
		return err
	}
	s.unwatch(a)
	i, _ := s.find(id)
	s.alarms = slices.Delete(s.alarms, i, i+1)
	return nil
}

// DeleteOf removes the alarms on some channels, which are ascending.
func (s *Set) DeleteOf(channels []model.ChannelID) {
	s.alarms = slices.DeleteFunc(s.alarms, func(a *Alarm) bool {
		if _, found := slices.BinarySearch(channels, a.Channel); !found {
			return false
		}
		s.unwatch(a)
		return true
	})
}

// Get returns the alarm as it is now.
func (s *Set) Get(id uint64) (Alarm, bool) {
	a, err := s.get(id)
	if err != nil {
		return Alarm{}, false
	}
	return *a, true
}

// All returns every alarm as it is now, ascending by ID.
func (s *Set) All() []Alarm {
	all := make([]Alarm, len(s.alarms))
	for i, a := range s.alarms {
		all[i] = *a
	}
	return all
}

// Len returns the number of alarms.
func (s *Set) Len() int { return len(s.alarms) }

func (s *Set) find(id uint64) (int, bool) {
	return slices.BinarySearchFunc(s.alarms, id, func(a *Alarm, id uint64) int { return cmp.Compare(a.ID, id) })
}

func (s *Set) get(id uint64) (*Alarm, error) {
	i, found := s.find(id)
	if !found {
		return nil, fmt.Errorf("%w: %d", ErrUnknown, id)
	}
	return s.alarms[i], nil
}

// watch makes Fold show an alarm the rows of its channel, if it is enabled.
func (s *Set) watch(a *Alarm) {
	if !a.Enabled {
		return
	}
	watchers := s.watching[a.Channel]
	i, _ := slices.BinarySearchFunc(watchers, a.ID, func(a *Alarm, id uint64) int { return cmp.Compare(a.ID, id) })
	s.watching[a.Channel] = slices.Insert(watchers, i, a)
	page := int(a.Channel / pageChannels)
	if page >= len(s.watched) {
		s.watched = append(s.watched, make([]*watchPage, page+1-len(s.watched))...)
	}
	if s.watched[page] == nil {
		s.watched[page] = &watchPage{}
	}
	s.watched[page][a.Channel%pageChannels/64] |= 1 << (a.Channel % 64)
}

// unwatch undoes watch.
func (s *Set) unwatch(a *Alarm) {
	if !a.Enabled {
		return
	}
	watchers := slices.DeleteFunc(s.watching[a.Channel], func(b *Alarm) bool { return a == b })
	if len(watchers) > 0 {
		s.watching[a.Channel] = watchers
		return
	}
	delete(s.watching, a.Channel)
	s.watched[a.Channel/pageChannels][a.Channel%pageChannels/64] &^= 1 << (a.Channel % 64)
}
