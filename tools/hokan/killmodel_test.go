package main

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hokan-db/hokan/engine/model"
)

// wantedChannel is what a server should hold of one channel, in the simplest
// way that there is: its rows, its alarm, and the events of that and of those
// that it had before.
type wantedChannel struct {
	number int // tells its values from those of other channels
	labels model.Labels
	rows   map[int64]float64 // by time, ms
	last   int64             // the newest time ever written, ms
	made   bool              // it was written to, and not deleted since
	alarm  wantedAlarm       // none while it has no name
	past   []wantedAlarm     // that were deleted, whose events stay
	floor  int64             // rows before this time, ms, have expired for good
	keep   int64             // how long rows are kept, ms; 0: for ever

	now     *stamp // of the request that is being applied
	journal []journalLine
}

// wantedAlarm goes off above its threshold.
type wantedAlarm struct {
	name      string
	id        string // "" until a server told it
	version   uint64
	threshold float64
	active    bool
	folded    bool // a row was judged
	foldedTo  int64
	events    []wantedEvent
}

// wantedEvent is an event without its ID.
type wantedEvent struct {
	version uint64
	kind    string
	time    int64 // ms
	value   float64
}

// stamp says when something was acknowledged.
type stamp struct {
	server   int           // how many there were before
	request  int           // of its client, counted over all servers
	after    time.Duration // that the server had been running for
	offset   uint64        // of its entry, where the answer told
	answered bool          // or else found done after the next start
}

func (s *stamp) String() string {
	text := fmt.Sprintf("server %d, request %d, %v after its start", s.server, s.request, s.after.Round(time.Millisecond))
	if s.offset != 0 {
		text += fmt.Sprintf(", offset %d", s.offset)
	}
	if !s.answered {
		text += ", not answered, found done"
	}
	return text
}

// journalLine is a request that changed a channel.
type journalLine struct {
	stamp
	what     string
	times    []int64 // ascending; nil: from from, before to
	from, to int64
}

func (c *wantedChannel) note(what string, times []int64, from, to int64) {
	c.journal = append(c.journal, journalLine{*c.now, what, slices.Sorted(slices.Values(times)), from, to})
}

// noteAll notes a request that is about every row.
func (c *wantedChannel) noteAll(what string) { c.note(what, nil, math.MinInt64, math.MaxInt64) }

// history tells which requests were about the row at a time.
func (c *wantedChannel) history(at int64) string {
	var text strings.Builder
	for i := range c.journal {
		l := &c.journal[i]
		_, found := slices.BinarySearch(l.times, at)
		if found || l.times == nil && l.from <= at && at < l.to {
			fmt.Fprintf(&text, "\n\t%s: %v", l.what, &l.stamp)
		}
	}
	if text.Len() == 0 {
		return "\n\tno request was about it"
	}
	return text.String()
}

func newWantedChannel(number int, labels model.Labels, now *stamp) *wantedChannel {
	return &wantedChannel{number: number, labels: labels, rows: map[int64]float64{}, floor: math.MinInt64, now: now}
}

func (c *wantedChannel) clone() *wantedChannel {
	d := *c
	d.rows, d.alarm.events = maps.Clone(c.rows), slices.Clone(c.alarm.events)
	d.past, d.journal = slices.Clone(c.past), slices.Clone(c.journal)
	return &d
}

// write puts rows in place and judges them in the order of their times.
func (c *wantedChannel) write(what string, times []int64, values []float64) {
	c.made = true
	c.note(what, times, 0, 0)
	order := make([]int, len(times))
	for i := range order {
		order[i] = i
		c.rows[times[i]] = values[i]
		c.last = max(c.last, times[i])
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(times[i], times[j]) })
	for _, i := range order {
		c.judge(times[i], values[i])
	}
}

func (c *wantedChannel) judge(at int64, value float64) {
	a := &c.alarm
	if a.name == "" || a.folded && at <= a.foldedTo {
		return // late
	}
	a.folded, a.foldedTo = true, at
	if above := value > a.threshold; above != a.active {
		kind := "start"
		if a.active {
			kind = "end"
		}
		a.active = above
		a.events = append(a.events, wantedEvent{a.version, kind, at, value})
	}
}

func (c *wantedChannel) remove(from, to int64) {
	c.note("deletion", nil, from, to)
	maps.DeleteFunc(c.rows, func(at int64, _ float64) bool { return from <= at && at < to })
}

// forget is what a deletion of the channel does. The events of its alarm stay.
func (c *wantedChannel) forget(now int64) {
	c.noteAll("deletion of the channel")
	c.dropAlarm()
	c.rows, c.last, c.made = map[int64]float64{}, 0, false
	c.age(now)
}

// vanish is what a deletion of its tenant does.
func (c *wantedChannel) vanish() {
	c.forget(0)
	c.noteAll("deletion of the tenant")
	c.past = nil
}

// setKeep is what another rule of retention does.
func (c *wantedChannel) setKeep(keep, now int64) {
	c.noteAll(fmt.Sprintf("rows are kept for %v", time.Duration(keep)*time.Millisecond))
	c.keep = keep
	c.age(now)
}

// age lets rows expire. What has expired stays so, whatever the rule says later;
// but only a channel that there is remembers it.
func (c *wantedChannel) age(now int64) {
	if !c.made {
		c.floor = math.MinInt64
	}
	if c.keep > 0 {
		c.floor = max(c.floor, now-c.keep)
	}
	maps.DeleteFunc(c.rows, func(at int64, _ float64) bool { return at < c.floor })
}

// replaceAlarm is what a new version of the alarm does. One that says the same
// is none.
func (c *wantedChannel) replaceAlarm(threshold float64) {
	if a := c.alarm; a.threshold != threshold {
		c.alarm = wantedAlarm{name: a.name, id: a.id, version: a.version + 1, threshold: threshold, events: a.events}
	}
}

// dropAlarm is what a deletion of the alarm does.
func (c *wantedChannel) dropAlarm() {
	if c.alarm.name != "" {
		c.past = append(c.past, c.alarm)
	}
	c.alarm = wantedAlarm{}
}

// times returns the times of the rows, ascending.
func (c *wantedChannel) times() []int64 { return slices.Sorted(maps.Keys(c.rows)) }

// sameRows tells the first difference between the rows and got.
func (c *wantedChannel) sameRows(got map[int64]float64) error {
	all := slices.Compact(slices.Sorted(func(yield func(int64) bool) {
		for _, rows := range []map[int64]float64{c.rows, got} {
			for at := range rows {
				if !yield(at) {
					return
				}
			}
		}
	}))
	var first error
	wrong := 0
	for i, at := range all {
		want, wanted := c.rows[at]
		value, read := got[at]
		var what string
		switch {
		case wanted && !read:
			what = fmt.Sprintf("the row at %d ms, %v, is not there", at, want)
		case read && !wanted:
			what = fmt.Sprintf("there is a row at %d ms, %v, that was deleted, has expired or was never written", at, value)
		case value != want:
			what = fmt.Sprintf("at %d ms there is %v, want %v", at, value, want)
		default:
			continue
		}
		if wrong++; first == nil {
			first = fmt.Errorf("channel %s: %s. What was done there:%s\nread around it: %s", c.labels, what, c.history(at), around(all, i, got))
		}
	}
	if first == nil {
		return nil
	}
	return fmt.Errorf("%w\n%d of %d times are wrong; %d rows were read, want %d", first, wrong, len(all), len(got), len(c.rows))
}

// around tells what was read at some times before and after the one at i.
func around(times []int64, i int, got map[int64]float64) string {
	var text []string
	for _, at := range times[max(0, i-3):min(len(times), i+4)] {
		if value, ok := got[at]; ok {
			text = append(text, fmt.Sprintf("%d ms %v", at, value))
		} else {
			text = append(text, fmt.Sprintf("%d ms nothing", at))
		}
	}
	return strings.Join(text, ", ")
}

// sameEvents tells the first difference between an alarm's events and got, in
// any order.
func (c *wantedChannel) sameEvents(a *wantedAlarm, got []wantedEvent) error {
	order := func(a, b wantedEvent) int {
		return cmp.Or(cmp.Compare(a.version, b.version), cmp.Compare(a.time, b.time))
	}
	got = slices.Clone(got)
	slices.SortStableFunc(got, order)
	for i := range max(len(got), len(a.events)) {
		var read, want wantedEvent // none has version 0
		if i < len(got) {
			read = got[i]
		}
		if i < len(a.events) {
			want = a.events[i]
		}
		if read != want {
			at := cmp.Or(want.time, read.time)
			return fmt.Errorf("channel %s, alarm %s %q: event %d is %+v, want %+v; %d events were read, want %d. What was done at %d ms:%s",
				c.labels, a.id, a.name, i, read, want, len(got), len(a.events), at, c.history(at))
		}
	}
	return nil
}

// operation is one request that changes channels, wholly or not at all.
type operation struct {
	what   string
	offset uint64 // of the entry, where the answer told
	at     stamp  // when it was sent
	apply  func(channels []*wantedChannel)
	send   func(*operation) error
}
