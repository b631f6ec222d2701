package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/client"
)

// killedClient changes and reads channels of its own, one request after
// another, through as many servers as it takes, and knows what they must hold.
type killedClient struct {
	instrument string
	random     *rand.Rand
	channels   []*wantedChannel
	doubt      *operation // the request that the last server did not answer
	sequence   int64      // of the values: no two are the same
	sent       int
	deleted    int // of them deletions that were answered

	address, token string
	client         *client.Client
	now            int64 // time of what is written in order, ms
}

const (
	killedClients  = 8
	clientChannels = 3
	// fewRows is how many rows of a channel are enough: beyond them old ones
	// are deleted rather than new ones written.
	fewRows = 3000
)

func killedLabels(instrument, channel string) model.Labels {
	labels, err := model.NewLabels(model.Label{Name: "instrument", Value: instrument}, model.Label{Name: "channel", Value: channel})
	if err != nil {
		panic(err)
	}
	return labels
}

func newKilledClient(number int, seed uint64) *killedClient {
	k := &killedClient{instrument: fmt.Sprint("i", number), random: rand.New(rand.NewPCG(seed, uint64(number)))}
	for i := range clientChannels {
		k.channels = append(k.channels, &wantedChannel{
			number: number*clientChannels + i, labels: killedLabels(k.instrument, fmt.Sprint(i)), rows: map[int64]float64{},
		})
	}
	return k
}

// connect turns to a server whose clock shows now, in ms.
func (k *killedClient) connect(address, token string, now int64) (err error) {
	k.address, k.token, k.now = address, token, now
	k.client, err = client.New(address, token)
	return err
}

// value returns a value that has not been used, of the channel's own kind.
func (k *killedClient) value(c *wantedChannel) float64 {
	k.sequence++
	v := float64(k.sequence*killedClients*clientChannels + int64(c.number))
	if k.random.IntN(2) == 0 {
		v = -v
	}
	return v
}

// ownValue reports whether v may be a value of the channel with a number.
func ownValue(number int, v float64) bool {
	return int64(max(v, -v))%(killedClients*clientChannels) == int64(number)
}

// isGone reports whether err tells that the server does not answer any more.
func isGone(err error) bool { return err != nil && api.AsError(err).Code == "unavailable" }

// work changes and reads until the server is gone; any other error ends it
// too, and is returned.
func (k *killedClient) work(deletes bool) error {
	for {
		o := k.next(deletes)
		err := o.send()
		k.sent++
		if isGone(err) {
			k.doubt = o
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s of %s: %w", o.what, k.instrument, err)
		}
		o.apply(k.channels)
		if k.random.IntN(8) == 0 {
			if err := k.look(); err != nil && !isGone(err) {
				return err
			}
		}
	}
}

// next chooses what to do.
func (k *killedClient) next(deletes bool) *operation {
	c := k.channels[k.random.IntN(len(k.channels))]
	kind := k.random.IntN(20)
	switch {
	case deletes && (kind == 0 || len(c.rows) > fewRows):
		return k.delete(c)
	case kind == 1 && c.alarm.id != "":
		return k.replaceAlarm(c)
	case kind < 5 && len(c.rows) > 0:
		return k.correct(c)
	case kind < 8:
		return k.write("late rows", func(c *wantedChannel) int64 {
			return c.last - 1 - k.random.Int64N(1+k.random.Int64N(40*86400*1000))
		})
	}
	return k.write("rows", k.afterLast)
}

// write is a request with rows of several channels from each one's start.
func (k *killedClient) write(what string, start func(*wantedChannel) int64) *operation {
	chosen := slices.Clone(k.channels)
	k.random.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	chosen = chosen[:1+k.random.IntN(len(chosen))]
	times := make([][]int64, len(chosen))
	for i, c := range chosen {
		at := start(c)
		for range 1 + k.random.IntN(20) {
			times[i] = append(times[i], at)
			at += 1 + k.random.Int64N(1000)
		}
	}
	return k.writeRows(what, chosen, times)
}

// correct writes new values at times that have one.
func (k *killedClient) correct(c *wantedChannel) *operation {
	known := c.times()
	var times []int64
	for range 1 + k.random.IntN(8) {
		if at := known[k.random.IntN(len(known))]; !slices.Contains(times, at) {
			times = append(times, at)
		}
	}
	return k.writeRows("correction", []*wantedChannel{c}, [][]int64{times})
}

func (k *killedClient) writeRows(what string, chosen []*wantedChannel, times [][]int64) *operation {
	batch := &model.Batch{}
	for i, c := range chosen {
		column := model.Column{Labels: c.labels, Times: make([]int64, len(times[i])), Values: make([]float64, len(times[i]))}
		for j, at := range times[i] {
			column.Times[j], column.Values[j] = at*1e6, k.value(c)
		}
		batch.Columns = append(batch.Columns, column)
	}
	return &operation{
		what: what,
		send: func() error {
			body, err := k.client.Write(context.Background(), batch)
			if err == nil && body.Accepted != int64(batch.Rows()) {
				return fmt.Errorf("accepted %d of %d: %+v", body.Accepted, batch.Rows(), body)
			}
			return err
		},
		apply: func(channels []*wantedChannel) {
			for i, c := range chosen {
				channels[c.number%clientChannels].write(times[i], batch.Columns[i].Values)
			}
		},
	}
}

// delete removes a span of one channel, or of all, that has rows in it.
func (k *killedClient) delete(c *wantedChannel) *operation {
	match, of := c.labels.String(), []*wantedChannel{c}
	if k.random.IntN(4) == 0 {
		match, of = fmt.Sprintf("{instrument=%q}", k.instrument), k.channels
	}
	var from, to int64 = 0, 1
	if known := c.times(); len(known) > 0 {
		i := k.random.IntN(len(known))
		j := i + k.random.IntN(min(len(known)-i, 20+len(known)/2))
		from, to = known[i], max(known[i]+1, known[j]+k.random.Int64N(2)) // not empty, which is refused
	}
	return &operation{
		what: "delete",
		send: func() error {
			query := url.Values{"match": {match}, "from": {milliseconds(from)}, "to": {milliseconds(to)}}
			return k.request(http.MethodDelete, "/api/v1/samples", query)
		},
		apply: func(channels []*wantedChannel) {
			k.deleted++
			for _, c := range of {
				channels[c.number%clientChannels].remove(from, to)
			}
		},
	}
}

// milliseconds writes a time as queries take it: in nanoseconds.
func milliseconds(at int64) string { return fmt.Sprint(at * 1e6) }

// request sends a request that the client has no method for.
func (k *killedClient) request(method, path string, query url.Values) error {
	r, err := http.NewRequest(method, k.address+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+k.token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return api.NewError("unavailable", err.Error())
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return api.NewError("unavailable", err.Error())
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, r.URL, answer.Status, text)
	}
	return nil
}

func (k *killedClient) replaceAlarm(c *wantedChannel) *operation {
	threshold := float64(k.random.IntN(2000) - 1000)
	return &operation{
		what: "alarm",
		send: func() error {
			_, err := k.client.ReplaceAlarm(context.Background(), c.alarm.id, alarmRequest(c, threshold), "")
			return err
		},
		apply: func(channels []*wantedChannel) { channels[c.number%clientChannels].replaceAlarm(threshold) },
	}
}

func alarmRequest(c *wantedChannel, threshold float64) api.AlarmRequest {
	return api.AlarmRequest{Name: c.labels.Channel(), Match: c.labels.String(), Operator: ">", Threshold: &threshold}
}

// watch writes a first row of every channel and sets an alarm on it.
func (k *killedClient) watch() error {
	for _, c := range k.channels {
		first := k.writeRows("first row", []*wantedChannel{c}, [][]int64{{k.now}})
		if err := first.send(); err != nil {
			return err
		}
		first.apply(k.channels)
		a, err := k.client.CreateAlarm(context.Background(), alarmRequest(c, 0), "")
		if err != nil {
			return err
		}
		c.alarm, c.events = wantedAlarm{id: a.ID, version: a.Version}, nil
	}
	return nil
}

// look compares one answer, under whatever others do.
func (k *killedClient) look() error {
	c := k.channels[k.random.IntN(len(k.channels))]
	if k.random.IntN(4) == 0 {
		return k.checkEvents(c)
	}
	got, err := k.rows(c)
	if err != nil {
		return err
	}
	return c.sameRows(got)
}

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
				return nil, fmt.Errorf("channel %s: two rows, or none, at %d ms", c.labels, at)
			}
			rows[at] = cell.Number
		}
		if page.Next == nil {
			return rows, nil
		}
		request.After = *page.Next
	}
}

// checkEvents reads every event of a channel's alarm.
func (k *killedClient) checkEvents(c *wantedChannel) error {
	var got []wantedEvent
	seen := map[string]bool{}
	request := api.EventsRequest{Alarm: c.alarm.id, Limit: 10000}
	for {
		page, err := k.client.Events(context.Background(), request)
		if err != nil {
			return err
		}
		for _, e := range page.Events {
			if seen[e.ID] {
				return fmt.Errorf("channel %s: event %s twice", c.labels, e.ID)
			}
			seen[e.ID] = true
			got = append(got, wantedEvent{e.Version, e.Kind, e.Time, e.Value.Number})
		}
		if page.Next == nil {
			return c.sameEvents(got)
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
	k.doubt.apply(k.channels)
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

func (k *killedClient) compare() error {
	var errs []error
	for _, c := range k.channels {
		rows, err := k.rows(c)
		if err == nil {
			err = c.sameRows(rows)
		}
		errs = append(errs, err, k.checkEvents(c), k.checkAlarm(c))
	}
	return errors.Join(append(errs, k.checkView(), k.checkLatest())...)
}

func (k *killedClient) checkAlarm(c *wantedChannel) error {
	a, err := k.client.Alarm(context.Background(), c.alarm.id, "")
	if err == nil && (a.Version != c.alarm.version || a.Threshold == nil || a.Threshold.Number != c.alarm.threshold || (a.State == "active") != c.alarm.active) {
		err = fmt.Errorf("channel %s: alarm %+v, want %+v", c.labels, *a, c.alarm)
	}
	return err
}

// checkLatest compares the newest sample of every channel.
func (k *killedClient) checkLatest() error {
	latest, err := k.client.Latest(context.Background(), api.Selection{Match: fmt.Sprintf("{instrument=%q}", k.instrument)})
	if err != nil {
		return err
	}
	for i, c := range k.channels {
		got, times := latest.Channels[i], c.times()
		switch {
		case got.Labels != c.labels:
			return fmt.Errorf("latest %d is of %s, want %s", i, got.Labels, c.labels)
		case len(times) == 0 && got.Time != nil:
			return fmt.Errorf("channel %s has no rows, its latest is at %d ms", c.labels, *got.Time)
		case len(times) > 0:
			at := times[len(times)-1]
			if got.Time == nil || *got.Time != at || got.Value.Number != c.rows[at] {
				return fmt.Errorf("channel %s: latest is %+v, want %v at %d ms", c.labels, got, c.rows[at], at)
			}
		}
	}
	return nil
}

// checkView compares counts, minima and maxima of all that there is.
func (k *killedClient) checkView() error {
	request := api.ViewRequest{Selection: api.Selection{Match: fmt.Sprintf("{instrument=%q}", k.instrument), From: "0", To: "4000000000000000000"}, Buckets: 1000}
	view, err := k.client.View(context.Background(), request)
	if err != nil {
		return err
	}
	for i, c := range k.channels {
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
		got := view.Channels[i]
		for n, count := range got.Count {
			if b := want[n]; count != b.count || count > 0 && (got.Min[n].Number != b.min || got.Max[n].Number != b.max) {
				return fmt.Errorf("channel %s, bucket %d: %d rows from %v to %v, want %+v", c.labels, n, count, got.Min[n], got.Max[n], b)
			}
		}
	}
	return nil
}

// afterLast is a time for the next rows in order.
func (k *killedClient) afterLast(c *wantedChannel) int64 {
	return max(c.last+1, k.now) + k.random.Int64N(50)
}
