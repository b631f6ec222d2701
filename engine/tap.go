package engine

import (
	"fmt"
	"slices"
	"sync"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

// TapRows are rows of one channel as they were applied. Several taps may share
// them: they must not be changed.
type TapRows struct {
	Channel model.ChannelID
	Labels  model.Labels
	Offset  uint64 // of the entry that wrote them
	Times   []int64
	Values  []float64
}

// TapEvent is the start or the end of an alarm on one of a tap's channels.
type TapEvent struct {
	Event
	Labels model.Labels // of the channel
}

// TapFeed is what a tap has gathered. Each list is in the order in which it was
// applied.
type TapFeed struct {
	Rows    []TapRows
	Events  []TapEvent
	Dropped uint64 // rows and events that found no room, after those above
}

// Tap is a live feed of the rows and alarm events of some channels. It never
// holds up writing: what finds no room until Take is called is dropped and
// counted.
type Tap struct {
	tenant   *tenant
	selector model.Selector
	limit    int
	ready    chan struct{} // of capacity 1: holds a token while there is a feed
	ended    chan struct{} // closed with the database

	mu      sync.Mutex
	wanted  []wanted // by channel ID
	feed    TapFeed
	waiting int // rows and events in feed
}

// wanted is whether a tap's selector selects a channel.
type wanted uint8

const (
	undecided wanted = iota
	isWanted
	isUnwanted
)

// Tap feeds the rows and events that are applied from now on, of the channels
// that s selects: also of those that are made, or come to be selected, later.
// limit is how many rows and events may wait; rows that come together are
// taken together, if nothing waits also beyond limit.
func (db *DB) Tap(name model.Tenant, s model.Selector, limit int) (*Tap, error) {
	t, err := db.enterTenant(name)
	if err != nil {
		return nil, err
	}
	defer db.gate.leave()
	if limit < 1 {
		return nil, fmt.Errorf("%w: a tap of %d rows", ErrInvalid, limit)
	}
	tap := &Tap{tenant: t, selector: s, limit: limit, ready: make(chan struct{}, 1), ended: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	// The index finds what is selected faster than asking channel by channel.
	tap.wanted = slices.Repeat([]wanted{isUnwanted}, int(t.index.MaxID())+1)
	for _, id := range t.index.Select(s) {
		tap.wanted[id] = isWanted
	}
	t.taps = append(slices.Clone(t.taps), tap)
	return tap, nil
}

// Ready delivers a token once there is something to take.
func (t *Tap) Ready() <-chan struct{} { return t.ready }

// Ended is closed when the database is: nothing will be fed any more.
func (t *Tap) Ended() <-chan struct{} { return t.ended }

// Take returns what came since the last call. It may use the memory of spent,
// a feed that the caller needs no longer.
func (t *Tap) Take(spent TapFeed) TapFeed {
	clear(spent.Rows)
	clear(spent.Events)
	t.mu.Lock()
	defer t.mu.Unlock()
	feed := t.feed
	t.feed = TapFeed{Rows: spent.Rows[:0], Events: spent.Events[:0]}
	t.waiting = 0
	return feed
}

// closeTaps ends every feed.
func (db *DB) closeTaps() {
	for _, t := range db.allTenants(func(*tenant) bool { return true }) {
		t.mu.Lock()
		taps := t.taps
		t.taps = nil
		t.mu.Unlock()
		for _, tap := range taps {
			close(tap.ended)
		}
	}
}

// Close ends the feed. It may be called again, and after the database's.
func (t *Tap) Close() {
	t.tenant.mu.Lock()
	defer t.tenant.mu.Unlock()
	t.tenant.taps = slices.DeleteFunc(slices.Clone(t.tenant.taps), func(o *Tap) bool { return o == t })
}

// wants tells whether the tap wants a channel. The caller holds t.mu and the
// tenant's.
func (t *Tap) wants(id model.ChannelID) bool {
	if int(id) >= len(t.wanted) {
		t.wanted = append(t.wanted, make([]wanted, int(id)+1-len(t.wanted))...)
	}
	if t.wanted[id] == undecided {
		t.wanted[id] = isUnwanted
		if c := t.tenant.index.Get(id); c != nil && t.selector.Matches(c) {
			t.wanted[id] = isWanted
		}
	}
	return t.wanted[id] == isWanted
}

// reconsider forgets whether a channel is wanted: its properties changed. The
// caller holds the tenant's mu.
func (t *Tap) reconsider(id model.ChannelID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if int(id) < len(t.wanted) {
		t.wanted[id] = undecided
	}
}

// room takes room for n rows or events, or counts them as dropped. The caller
// holds t.mu.
func (t *Tap) room(n int) bool {
	if t.feed.Dropped > 0 || t.waiting > 0 && t.waiting+n > t.limit {
		t.feed.Dropped += uint64(n) // and all that follow, so that there is one gap
		return false
	}
	t.waiting += n
	return true
}

func (t *Tap) tell() {
	select {
	case t.ready <- struct{}{}:
	default: // there is a token
	}
}

// offerRows gives the taps copies of the rows they want, made once for all.
// The caller holds the tenant's mu.
func (t *tenant) offerRows(offset uint64, columns []entry.Column) {
	copies := make([]TapRows, len(columns))
	for _, tap := range t.taps {
		offered := false
		tap.mu.Lock()
		for i := range columns {
			c := &columns[i]
			if len(c.Times) == 0 || !tap.wants(c.Channel) {
				continue
			}
			offered = true
			if !tap.room(len(c.Times)) {
				continue
			}
			if copies[i].Times == nil {
				copies[i] = TapRows{c.Channel, t.index.Get(c.Channel).Labels, offset, slices.Clone(c.Times), slices.Clone(c.Values)}
			}
			tap.feed.Rows = append(tap.feed.Rows, copies[i])
		}
		tap.mu.Unlock()
		if offered {
			tap.tell()
		}
	}
}

// offerEvents gives the taps the events they want.
func (t *tenant) offerEvents(events []alarm.Event) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, tap := range t.taps {
		offered := false
		tap.mu.Lock()
		for _, e := range events {
			if tap.wants(e.Channel) {
				offered = true
				if tap.room(1) {
					tap.feed.Events = append(tap.feed.Events, TapEvent{e, t.index.Get(e.Channel).Labels})
				}
			}
		}
		tap.mu.Unlock()
		if offered {
			tap.tell()
		}
	}
}
