package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/hokan-db/hokan/engine/model"
)

// wantedChannel is what a server should hold of one channel, in the simplest
// way that there is: its rows, its alarm, and the events of that.
type wantedChannel struct {
	number int // tells its values from those of other channels
	labels model.Labels
	rows   map[int64]float64 // by time, ms
	last   int64             // the newest time ever written, ms
	made   bool              // it was written to, and not deleted since
	alarm  wantedAlarm
	events []wantedEvent
}

// wantedAlarm goes off above its threshold.
type wantedAlarm struct {
	id        string
	version   uint64
	threshold float64
	active    bool
	folded    bool // a row was judged
	foldedTo  int64
}

// wantedEvent is an event without its ID.
type wantedEvent struct {
	version uint64
	kind    string
	time    int64 // ms
	value   float64
}

func (c *wantedChannel) clone() *wantedChannel {
	d := *c
	d.rows, d.events = maps.Clone(c.rows), slices.Clone(c.events)
	return &d
}

// write puts rows in place and judges them in the order of their times.
func (c *wantedChannel) write(times []int64, values []float64) {
	c.made = true
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
	if a.folded && at <= a.foldedTo {
		return // late
	}
	a.folded, a.foldedTo = true, at
	if above := value > a.threshold; above != a.active {
		kind := "start"
		if a.active {
			kind = "end"
		}
		a.active = above
		c.events = append(c.events, wantedEvent{a.version, kind, at, value})
	}
}

func (c *wantedChannel) remove(from, to int64) {
	maps.DeleteFunc(c.rows, func(at int64, _ float64) bool { return from <= at && at < to })
}

// forget is what a deletion of the channel does, if it has no alarm.
func (c *wantedChannel) forget() {
	*c = wantedChannel{number: c.number, labels: c.labels, rows: map[int64]float64{}}
}

// replaceAlarm is what a new version of the alarm does.
func (c *wantedChannel) replaceAlarm(threshold float64) {
	c.alarm = wantedAlarm{id: c.alarm.id, version: c.alarm.version + 1, threshold: threshold}
}

// times returns the times of the rows, ascending.
func (c *wantedChannel) times() []int64 { return slices.Sorted(maps.Keys(c.rows)) }

// sameRows tells the first difference between the rows and got.
func (c *wantedChannel) sameRows(got map[int64]float64) error {
	for at, value := range c.rows {
		if v, ok := got[at]; !ok {
			return fmt.Errorf("channel %s: the row at %d ms, %v, is not there", c.labels, at, value)
		} else if v != value {
			return fmt.Errorf("channel %s: at %d ms there is %v, want %v", c.labels, at, v, value)
		}
	}
	for at, value := range got {
		if _, ok := c.rows[at]; !ok {
			return fmt.Errorf("channel %s: there is a row at %d ms, %v, that was deleted or never written", c.labels, at, value)
		}
	}
	return nil
}

// sameEvents tells the first difference between the events and got, in any
// order.
func (c *wantedChannel) sameEvents(got []wantedEvent) error {
	order := func(a, b wantedEvent) int {
		return cmp.Or(cmp.Compare(a.version, b.version), cmp.Compare(a.time, b.time))
	}
	got = slices.Clone(got)
	slices.SortStableFunc(got, order)
	for i := range min(len(got), len(c.events)) {
		if got[i] != c.events[i] {
			return fmt.Errorf("channel %s: event %d is %+v, want %+v", c.labels, i, got[i], c.events[i])
		}
	}
	if len(got) != len(c.events) {
		return fmt.Errorf("channel %s: %d events, want %d", c.labels, len(got), len(c.events))
	}
	return nil
}

// operation is one request that changes channels, wholly or not at all.
type operation struct {
	what  string
	apply func(channels []*wantedChannel)
	send  func() error
}
