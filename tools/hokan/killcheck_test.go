package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/hokan-db/hokan/server/api"
)

// look compares one answer, under whatever others do.
func (k *killedClient) look() error {
	c := k.channels[k.random.IntN(len(k.channels))]
	if k.random.IntN(4) == 0 {
		return k.checkEvents(c)
	}
	return k.checkRows(c)
}

// checkRows compares every row of a channel, or that there is no channel.
func (k *killedClient) checkRows(c *wantedChannel) error {
	got, err := k.rows(c)
	if missing := hasCode(err, "no_channel"); missing || !c.made && err == nil {
		if missing == c.made {
			err = fmt.Errorf("channel %s: missing %v, made %v, with %d rows", c.labels, missing, c.made, len(c.rows))
			for at := range c.rows {
				return fmt.Errorf("%w. What was done at %d ms:%s", err, at, c.history(at))
			}
			return err
		}
		return nil
	}
	if err != nil {
		return err
	}
	return c.sameRows(got)
}

func hasCode(err error, code string) bool { return err != nil && api.AsError(err).Code == code }

// rows reads every row of a channel.
func (k *killedClient) rows(c *wantedChannel) (map[int64]float64, error) {
	rows := map[int64]float64{}
	request := api.TableRequest{Selection: api.Selection{Match: c.labels.String()}, Limit: 10000}
	for {
		page, err := k.client.Table(context.Background(), request)
		if err != nil {
			return nil, err
		}
		for i, at := range page.Times {
			cell := page.Rows.Row(i)[0]
			if _, twice := rows[at]; twice || !cell.Known {
				return nil, fmt.Errorf("channel %s: two rows, or none, at %d ms. What was done there:%s", c.labels, at, c.history(at))
			}
			rows[at] = cell.Number
		}
		if page.Next == nil {
			return rows, nil
		}
		request.After = *page.Next
	}
}

// checkEvents reads every event of a channel's alarm, and of those that it had.
func (k *killedClient) checkEvents(c *wantedChannel) error {
	for i := range c.past {
		if err := k.checkEventsOf(c, &c.past[i]); err != nil {
			return err
		}
	}
	return k.checkEventsOf(c, &c.alarm)
}

func (k *killedClient) checkEventsOf(c *wantedChannel, a *wantedAlarm) error {
	if a.id == "" {
		return nil // none, or one of which no server has told
	}
	var got []wantedEvent
	seen := map[string]bool{}
	request := api.EventsRequest{Alarm: a.id, Limit: 10000}
	for {
		page, err := k.client.Events(context.Background(), request)
		if err != nil {
			return err
		}
		for _, e := range page.Events {
			if seen[e.ID] {
				return fmt.Errorf("channel %s, alarm %s: event %s at %d ms twice. What was done there:%s", c.labels, a.id, e.ID, e.Time, c.history(e.Time))
			}
			seen[e.ID] = true
			got = append(got, wantedEvent{e.Version, e.Kind, e.Time, e.Value.Number})
		}
		if page.Next == nil {
			return c.sameEvents(a, got)
		}
		request.After = *page.Next
	}
}

// check compares every answer after a restart. The request that was not
// answered must have been done wholly, and then counts, or not at all.
func (k *killedClient) check() error { return k.settle(k.compare) }

// settle is check with a given comparison.
func (k *killedClient) settle(compare func() error) error {
	without := compare()
	if k.doubt == nil || without != nil && isGone(without) {
		return without
	}
	before := k.channels
	k.channels = nil
	for _, c := range before {
		k.channels = append(k.channels, c.clone())
	}
	*k.stamp = k.doubt.at
	k.stamp.answered = false
	k.doubt.apply(k.channels)
	k.age()
	with := compare()
	what := k.doubt.what
	k.doubt = nil
	if with != nil {
		k.channels = before
		if without != nil {
			return fmt.Errorf("%s that was not answered is there in part, or something else is wrong:\nif it was done: %w\nif not: %w", what, with, without)
		}
	}
	return nil
}

// compare compares rows, events, alarms and what follows from rows.
func (k *killedClient) compare() error {
	errs := []error{k.checkAlarms()} // which learns the IDs of new ones
	for _, c := range k.channels {
		errs = append(errs, k.checkRows(c), k.checkEvents(c))
	}
	return errors.Join(append(errs, k.checkView(), k.checkLatest())...)
}

// checkAlarms compares the alarms that there are.
func (k *killedClient) checkAlarms() error {
	list, err := k.client.Alarms(context.Background(), "")
	if err != nil {
		return err
	}
	byLabels := map[string]api.AlarmBody{}
	for _, a := range list.Alarms {
		if a.Labels == nil {
			return fmt.Errorf("alarm %s %q is on a channel that is gone", a.ID, a.Name)
		}
		byLabels[a.Labels.String()+a.Name] = a
	}
	own := 0
	for _, a := range list.Alarms {
		if a.Labels.Instrument() == k.instrument {
			own++
		}
	}
	for _, c := range k.channels {
		if c.alarm.name == "" {
			continue
		}
		own--
		a, ok := byLabels[c.labels.String()+c.alarm.name]
		if c.alarm.id == "" {
			c.alarm.id = a.ID
		}
		if !ok || a.ID != c.alarm.id || a.Version != c.alarm.version || a.Threshold == nil || a.Threshold.Number != c.alarm.threshold || (a.State == "active") != c.alarm.active {
			return fmt.Errorf("channel %s: alarm %+v, want %+v", c.labels, a, c.alarm)
		}
	}
	if own != 0 {
		return fmt.Errorf("%s has %d alarms more than it should: %+v", k.instrument, own, list.Alarms)
	}
	return nil
}

// all selects the channels of the client.
func (k *killedClient) all() api.Selection {
	return api.Selection{Match: fmt.Sprintf("{instrument=%q}", k.instrument)}
}

// anyMade reports whether there is a channel.
func (k *killedClient) anyMade() bool {
	for _, c := range k.channels {
		if c.made {
			return true
		}
	}
	return false
}

// checkLatest compares the newest sample of every channel.
func (k *killedClient) checkLatest() error {
	latest, err := k.client.Latest(context.Background(), k.all())
	if hasCode(err, "no_channel") && !k.anyMade() {
		return nil
	}
	if err != nil {
		return err
	}
	newest := map[string]api.LatestRows{}
	for _, l := range latest.Channels {
		newest[l.Labels.String()] = l
	}
	for _, c := range k.channels {
		got, known := newest[c.labels.String()]
		times := c.times()
		switch {
		case known != c.made:
			return fmt.Errorf("channel %s: has a newest row %v, made %v", c.labels, known, c.made)
		case len(times) == 0 && got.Time != nil:
			return fmt.Errorf("channel %s has no rows, its latest is at %d ms. What was done there:%s", c.labels, *got.Time, c.history(*got.Time))
		case len(times) > 0:
			at := times[len(times)-1]
			if got.Time == nil || *got.Time != at || got.Value.Number != c.rows[at] {
				return fmt.Errorf("channel %s: latest is %+v, want %v at %d ms. What was done there:%s", c.labels, got, c.rows[at], at, c.history(at))
			}
		}
	}
	return nil
}

// checkView compares counts, minima and maxima of all that there is.
func (k *killedClient) checkView() error {
	selection := k.all()
	selection.From, selection.To = "0", "4000000000000000000"
	view, err := k.client.View(context.Background(), api.ViewRequest{Selection: selection, Buckets: 1000})
	if hasCode(err, "no_channel") && !k.anyMade() {
		return nil
	}
	if err != nil {
		return err
	}
	viewed := map[string]int{}
	for i := range view.Channels {
		viewed[view.Channels[i].Labels.String()] = i
	}
	for _, c := range k.channels {
		type bucket struct {
			count    uint64
			min, max float64
		}
		want := map[int]bucket{}
		for at, v := range c.rows {
			n := int((at - view.From) / view.Width)
			b, ok := want[n]
			if !ok {
				b = bucket{0, v, v}
			}
			want[n] = bucket{b.count + 1, min(b.min, v), max(b.max, v)}
		}
		i, known := viewed[c.labels.String()]
		if known != c.made {
			return fmt.Errorf("channel %s: viewed %v, made %v", c.labels, known, c.made)
		}
		if !known {
			continue
		}
		got := view.Channels[i]
		for n, count := range got.Count {
			if b := want[n]; count != b.count || count > 0 && (got.Min[n].Number != b.min || got.Max[n].Number != b.max) {
				return fmt.Errorf("channel %s, bucket %d: %d rows from %v to %v, want %+v", c.labels, n, count, got.Min[n], got.Max[n], b)
			}
		}
	}
	return nil
}
