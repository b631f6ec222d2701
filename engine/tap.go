package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/engine/turns"
)

// ErrTooManyTaps is wrapped where there is no memory for one more tap.
var ErrTooManyTaps = errors.New("too many taps")

// TapRows are rows of one channel as they were applied. Several taps may share
// them: they must not be changed.
type TapRows struct {
	Channel model.ChannelID
	Labels  model.Labels
	Offset  uint64 // of the entry that wrote them
	Times   []int64
	Values  []float64

	of *candidate // nil once it is known that the tap wants them
}

// TapEvent is the start or the end of an alarm on one of a tap's channels.
type TapEvent struct {
	Event
	Labels model.Labels // of the channel

	of *candidate // as in TapRows
}

// TapFeed is what a tap has gathered. Each list is in the order in which it was
// applied.
type TapFeed struct {
	Rows   []TapRows
	Events []TapEvent
	// Dropped are rows and events that found no room, after those above. Those
	// of a channel that is so new that the tap does not know yet whether it
	// wants it count too.
	Dropped uint64
}

// Tap is a live feed of the rows and alarm events of some channels. It never
// holds up writing: patterns are matched by whoever takes, and what finds no
// room until then is dropped and counted. Rows that are deleted before they are
// taken are not fed.
type Tap struct {
	tenant   *tenant
	selector model.Selector
	limit    int
	selected int // channels that were there when it began
	memory   *tapMemory
	ready    chan struct{} // of capacity 1: holds a token while there is a feed
	ended    chan struct{} // closed with the database

	mu         sync.Mutex
	selecting  bool     // Tap has not returned yet: nothing is fed
	wanted     []wanted // by channel ID
	candidates map[model.ChannelID]*candidate
	feed       TapFeed
	waiting    int     // rows and events in feed
	bytes      int64   // of feed
	taken      int64   // bytes that were taken and not given back
	own        int64   // bytes of wanted, counted in memory
	spare      TapFeed // lists to use again
}

// wanted is whether a tap's selector selects a channel.
type wanted uint8

const (
	undecided wanted = iota
	isWanted
	isUnwanted
)

// candidate is a channel as it was when rows or events of it came to a tap that
// had not decided whether it wants it. Only Take decides.
type candidate struct {
	channel model.Channel
	wanted  wanted
}

// tapMemory bounds what the taps of a database hold together.
type tapMemory struct {
	// used are bytes: what waits, what was taken and not given back, and what
	// taps know of channels.
	used      atomic.Int64
	mostOfOne int64 // bytes that wait for one tap
	most      int64 // bytes of all
}

func newTapMemory() *tapMemory {
	return &tapMemory{mostOfOne: policy.LiveBytes.Default, most: policy.LiveMemory.Default}
}

// What is counted beside rows, in bytes, and what a tap may always hold: those
// that read in time lose nothing to those that do not.
const (
	tapRowBytes     = 16
	tapRowsOverhead = 128
	tapEventBytes   = 256
	candidateBytes  = 128
	tapAlways       = 64 << 10
	// tapKept is how many elements of a list are used again.
	tapKept = 1024
)

// Tap feeds the rows and events that are applied from now on, of the channels
// that s selects: also of those that are made, or come to be selected, later.
// limit is how many rows and events may wait, in policy.LiveBytes; rows that
// come together are taken together, if nothing waits also beyond limit. It is
// refused with ErrTooManyTaps where taps hold policy.LiveMemory already.
func (db *DB) Tap(ctx context.Context, name model.Tenant, s model.Selector, limit int) (*Tap, error) {
	t, err := db.enterTenant(name)
	if err != nil {
		return nil, err
	}
	defer db.gate.leave()
	if limit < 1 {
		return nil, fmt.Errorf("%w: a tap of %d rows", ErrInvalid, limit)
	}
	tap := &Tap{
		tenant: t, selector: s, limit: limit, memory: db.tapMemory, ready: make(chan struct{}, 1), ended: make(chan struct{}),
		selecting: true, candidates: map[model.ChannelID]*candidate{},
	}
	if err := tap.begin(); err != nil {
		return nil, err
	}
	// From here on the tap hears of channels that change; those that are there
	// are found meanwhile.
	matching := tap.newMatching()
	defer matching.end()
	t.mu.RLock()
	ids, err := t.selectChannels(ctx, s, matching)
	t.mu.RUnlock()
	if err != nil {
		tap.Close()
		return nil, err
	}
	tap.mu.Lock()
	defer tap.mu.Unlock()
	for _, id := range ids {
		if int(id) < len(tap.wanted) && tap.wanted[id] == isUnwanted {
			tap.wanted[id] = isWanted
		}
	}
	tap.selected = len(ids)
	tap.selecting = false
	return tap, nil
}

// begin makes room for what t knows of channels, most of it while nobody waits,
// and adds t to its tenant's taps.
func (t *Tap) begin() error {
	t.tenant.mu.RLock()
	n := int(t.tenant.index.MaxID()) + 1
	t.tenant.mu.RUnlock()
	t.own = int64(n)
	if t.memory.used.Add(t.own) > t.memory.most && n > tapAlways {
		t.memory.used.Add(-t.own)
		return fmt.Errorf("%w: a tap of %d channels", ErrTooManyTaps, n)
	}
	known := slices.Repeat([]wanted{isUnwanted}, n)
	t.tenant.mu.Lock()
	defer t.tenant.mu.Unlock()
	if t.tenant.gone {
		t.memory.used.Add(-t.own)
		return errGone
	}
	for len(known) <= int(t.tenant.index.MaxID()) {
		known = append(known, isUnwanted)
	}
	t.tenant.taps = append(slices.Clone(t.tenant.taps), t)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted = known
	t.countOwn()
	return nil
}

// countOwn counts what wanted has grown by. The caller holds t.mu.
func (t *Tap) countOwn() {
	grown := int64(cap(t.wanted)) - t.own
	t.own += grown
	t.memory.used.Add(grown)
}

// Selected returns how many channels were selected when the tap began.
func (t *Tap) Selected() int { return t.selected }

// Ready delivers a token once there may be something to take.
func (t *Tap) Ready() <-chan struct{} { return t.ready }

// Ended is closed when the database is: nothing will be fed any more.
func (t *Tap) Ended() <-chan struct{} { return t.ended }

// Take returns what came since the last call. It is for one goroutine, and
// matches the selector against channels that are new, in turns with others where
// it has patterns: if ctx ends meanwhile, what came is lost.
func (t *Tap) Take(ctx context.Context) (TapFeed, error) {
	t.mu.Lock()
	feed := t.feed
	t.feed, t.spare = t.spare, TapFeed{}
	t.waiting, t.bytes, t.taken = 0, 0, t.taken+t.bytes
	t.mu.Unlock()
	matching := t.newMatching()
	defer matching.end()
	for i := range feed.Rows {
		if err := t.decide(ctx, feed.Rows[i].of, matching); err != nil {
			return TapFeed{}, err
		}
	}
	for i := range feed.Events {
		if err := t.decide(ctx, feed.Events[i].of, matching); err != nil {
			return TapFeed{}, err
		}
	}
	feed.Rows = slices.DeleteFunc(feed.Rows, func(r TapRows) bool { return r.of.isUnwanted() })
	feed.Events = slices.DeleteFunc(feed.Events, func(e TapEvent) bool { return e.of.isUnwanted() })
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, c := range t.candidates {
		if c.wanted != undecided {
			t.setWanted(id, c.wanted)
			delete(t.candidates, id)
		}
	}
	return feed, nil
}

// GiveBack says that what was taken is needed no longer: until then its bytes
// count as waiting for all. Its lists may be used again.
func (t *Tap) GiveBack(feed TapFeed) {
	clear(feed.Rows)
	clear(feed.Events)
	spare := TapFeed{Rows: feed.Rows[:0], Events: feed.Events[:0]}
	if cap(spare.Rows) > tapKept {
		spare.Rows = nil
	}
	if cap(spare.Events) > tapKept {
		spare.Events = nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.memory.used.Add(-t.taken)
	t.spare, t.taken = spare, 0
}

// decide matches the selector against a candidate.
func (t *Tap) decide(ctx context.Context, c *candidate, matching *matching) error {
	if c == nil || c.wanted != undecided {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for i := range t.selector {
		m := &t.selector[i]
		value := c.channel.Get(m.Name)
		if m.IsPattern() {
			if err := matching.take(ctx, value); err != nil {
				return err
			}
		}
		if !m.Matches(value) {
			c.wanted = isUnwanted
			return nil
		}
	}
	c.wanted = isWanted
	return nil
}

// patterns has places for those that match the patterns of taps: as many as
// there are cores, and for one tenant half of them. A pattern may take a quarter
// of a second for one long value, and nothing but the end of a stream ends it.
var patterns = turns.New(max(runtime.GOMAXPROCS(0), 2), max(runtime.GOMAXPROCS(0), 2)/2)

// bytesInTurn are how many bytes of values are matched against patterns before
// others have their turn.
const bytesInTurn = 4096

// matching takes a place of patterns when it first needs one, and goes to the
// end of the queue after every bytesInTurn.
type matching struct {
	tenant model.Tenant
	left   int // bytes
	inside bool
}

func (t *Tap) newMatching() *matching { return &matching{tenant: t.tenant.name} }

// take waits until a value may be matched.
func (m *matching) take(ctx context.Context, value string) error {
	if m.left <= 0 {
		m.end()
		if err := patterns.Enter(ctx, m.tenant); err != nil {
			return err
		}
		m.inside, m.left = true, bytesInTurn
	}
	m.left -= len(value) + 16 // what a match costs beside its bytes
	return nil
}

// end gives the place back, if there is one.
func (m *matching) end() {
	if m.inside {
		m.inside, m.left = false, 0
		patterns.Leave(m.tenant)
	}
}

func (c *candidate) isUnwanted() bool { return c != nil && c.wanted == isUnwanted }

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
	t.mu.Lock()
	defer t.mu.Unlock()
	t.memory.used.Add(-t.bytes - t.taken - t.own)
	t.feed, t.waiting, t.bytes, t.taken, t.own = TapFeed{}, 0, 0, 0, 0
	t.wanted = nil
	clear(t.candidates)
}

// wants tells whether the tap may want a channel. Where that is not decided it
// returns the channel as a candidate. The caller holds t.mu and the tenant's.
func (t *Tap) wants(id model.ChannelID) (bool, *candidate) {
	if t.selecting {
		return false, nil
	}
	if int(id) < len(t.wanted) && t.wanted[id] != undecided {
		return t.wanted[id] == isWanted, nil
	}
	c := t.candidates[id]
	if c == nil {
		known := t.tenant.index.Get(id)
		if known == nil {
			return false, nil
		}
		c = &candidate{channel: *known}
	}
	return true, c
}

func (t *Tap) setWanted(id model.ChannelID, w wanted) {
	if int(id) >= len(t.wanted) {
		t.wanted = append(t.wanted, make([]wanted, int(id)+1-len(t.wanted))...)
		t.countOwn()
	}
	t.wanted[id] = w
}

// reconsider forgets whether a channel is wanted: its properties changed. The
// caller holds the tenant's mu.
func (t *Tap) reconsider(id model.ChannelID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.candidates, id)
	if int(id) < len(t.wanted) {
		t.wanted[id] = undecided
	}
}

// room takes room for n rows or events of some bytes, of a candidate if c is
// not nil, or counts them as dropped. The caller holds t.mu.
func (t *Tap) room(n int, bytes int64, c *candidate) bool {
	if c != nil && t.candidates[c.channel.ID] != c {
		bytes += candidateBytes
	}
	if t.feed.Dropped > 0 || t.waiting > 0 && !t.fits(n, bytes) {
		t.feed.Dropped += uint64(n) // and all that follow, so that there is one gap
		return false
	}
	t.waiting += n
	t.bytes += bytes
	t.memory.used.Add(bytes)
	if c != nil {
		t.candidates[c.channel.ID] = c
	}
	return true
}

func (t *Tap) fits(n int, bytes int64) bool {
	if t.waiting+n > t.limit {
		return false
	}
	return t.bytes+bytes <= tapAlways ||
		t.bytes+bytes <= t.memory.mostOfOne && t.memory.used.Load()+bytes <= t.memory.most
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
			if len(c.Times) == 0 {
				continue
			}
			wants, candidate := tap.wants(c.Channel)
			if !wants {
				continue
			}
			offered = true
			if !tap.room(len(c.Times), tapRowsOverhead+tapRowBytes*int64(len(c.Times)), candidate) {
				continue
			}
			if copies[i].Times == nil {
				copies[i] = TapRows{c.Channel, t.index.Get(c.Channel).Labels, offset, slices.Clone(c.Times), slices.Clone(c.Values), nil}
			}
			rows := copies[i]
			rows.of = candidate
			tap.feed.Rows = append(tap.feed.Rows, rows)
		}
		tap.mu.Unlock()
		if offered {
			tap.tell()
		}
	}
}

// withdraw takes back what waits for the taps of rows that a deletion hides: when
// it is acknowledged, nobody takes them any more. The caller holds mu.
func (t *tenant) withdraw(s *model.Tombstone) {
	for _, tap := range t.taps {
		tap.withdraw(s)
	}
}

func (t *Tap) withdraw(s *model.Tombstone) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.feed.Rows {
		r := &t.feed.Rows[i]
		if !s.Covers(r.Channel) {
			continue
		}
		var times []int64 // other taps have the same: they are not changed
		var values []float64
		for k, at := range r.Times {
			if !s.Span.Contains(at) {
				times, values = append(times, at), append(values, r.Values[k])
			}
		}
		gone := len(r.Times) - len(times)
		t.waiting -= gone
		t.bytes -= int64(gone) * tapRowBytes
		t.memory.used.Add(-int64(gone) * tapRowBytes)
		r.Times, r.Values = times, values
	}
	t.feed.Rows = slices.DeleteFunc(t.feed.Rows, func(r TapRows) bool { return len(r.Times) == 0 })
}

// offerEvents gives the taps the events they want.
func (t *tenant) offerEvents(events []alarm.Event) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, tap := range t.taps {
		offered := false
		tap.mu.Lock()
		for _, e := range events {
			channel := t.index.Get(e.Channel)
			if channel == nil {
				continue // deleted by a later entry of the group
			}
			wants, candidate := tap.wants(e.Channel)
			if !wants {
				continue
			}
			offered = true
			if tap.room(1, tapEventBytes+int64(len(e.Name)), candidate) {
				tap.feed.Events = append(tap.feed.Events, TapEvent{e, channel.Labels, candidate})
			}
		}
		tap.mu.Unlock()
		if offered {
			tap.tell()
		}
	}
}
