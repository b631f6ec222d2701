package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

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
	begun          time.Time
	stamp          *stamp // which the channels share
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
	k := &killedClient{instrument: fmt.Sprint("i", number), random: rand.New(rand.NewPCG(seed, uint64(number))), stamp: &stamp{}}
	for i := range clientChannels {
		k.channels = append(k.channels, newWantedChannel(number*clientChannels+i, killedLabels(k.instrument, fmt.Sprint(i)), k.stamp))
	}
	return k
}

// connect turns to a server whose clock shows now, in ms.
func (k *killedClient) connect(address, token string, now int64) error {
	k.turn(address, now)
	return k.use(token)
}

// turn notes that there is another server.
func (k *killedClient) turn(address string, now int64) {
	k.address, k.now, k.begun = address, now, time.Now()
	k.stamp.server++
}

// age lets rows expire by the server's clock.
func (k *killedClient) age() {
	for _, c := range k.channels {
		c.age(k.now)
	}
}

func (k *killedClient) use(token string) (err error) {
	k.token = token
	k.client, err = client.New(k.address, token)
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
func (k *killedClient) work() error {
	for {
		err := k.do(k.next())
		if err == nil && k.random.IntN(8) == 0 {
			err = k.look()
		}
		if isGone(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// do sends a request, and changes what is wanted once it is answered. One that
// the server is gone under is in doubt.
func (k *killedClient) do(o *operation) error {
	err := o.send(o)
	k.sent++
	k.stamp.request, k.stamp.after = k.sent, time.Since(k.begun)
	k.stamp.offset, k.stamp.answered = o.offset, true
	o.at = *k.stamp
	if isGone(err) {
		k.doubt = o
		return err
	}
	if err != nil {
		return fmt.Errorf("%s of %s: %w (%v)", o.what, k.instrument, err, k.stamp)
	}
	o.apply(k.channels)
	return nil
}

// next chooses what to do.
func (k *killedClient) next() *operation {
	c := k.channels[k.random.IntN(len(k.channels))]
	kind := k.random.IntN(100)
	switch {
	case c.made && (kind < 5 || len(c.rows) > fewRows):
		return k.delete(c)
	case c.made && kind < 14:
		return k.changeAlarm(c)
	case c.made && kind == 14:
		return k.deleteChannel(c)
	case kind < 28 && len(c.rows) > 0:
		return k.correct(c)
	case kind < 42:
		return k.write("late rows", func(c *wantedChannel) int64 {
			return max(c.last, k.now) - 1 - k.random.Int64N(1+k.random.Int64N(40*86400*1000))
		})
	}
	return k.write("rows", k.afterLast)
}

// afterLast is a time for the next rows in order.
func (k *killedClient) afterLast(c *wantedChannel) int64 {
	return max(c.last+1, k.now) + k.random.Int64N(50)
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
	batch := k.batch(chosen, times)
	return &operation{
		what: what,
		send: func(*operation) error {
			body, err := k.client.Write(context.Background(), batch)
			if body != nil && body.Rejected > 0 || err == nil && body.Accepted != int64(batch.Rows()) {
				return fmt.Errorf("accepted %d of %d: %+v (%w)", body.Accepted, batch.Rows(), body, err)
			}
			return err
		},
		apply: func(channels []*wantedChannel) {
			for i, c := range chosen {
				channels[c.number%clientChannels].write(what, times[i], batch.Columns[i].Values)
			}
		},
	}
}

// batch is rows with values of their own.
func (k *killedClient) batch(chosen []*wantedChannel, times [][]int64) *model.Batch {
	batch := &model.Batch{}
	for i, c := range chosen {
		column := model.Column{Labels: c.labels, Times: make([]int64, len(times[i])), Values: make([]float64, len(times[i]))}
		for j, at := range times[i] {
			column.Times[j], column.Values[j] = at*1e6, k.value(c)
		}
		batch.Columns = append(batch.Columns, column)
	}
	return batch
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
		what: "deletion",
		send: func(o *operation) error {
			done, err := k.client.DeleteSamples(context.Background(), "", api.Selection{Match: match, From: nanoseconds(from), To: nanoseconds(to)})
			if err == nil {
				o.offset = done.Offset
			}
			return err
		},
		apply: func(channels []*wantedChannel) {
			k.deleted++
			for _, c := range of {
				channels[c.number%clientChannels].remove(from, to)
			}
		},
	}
}

// nanoseconds writes a time in ms as queries take it.
func nanoseconds(at int64) string { return fmt.Sprint(at * 1e6) }

// deleteChannel removes a channel with its alarm, whose events stay.
func (k *killedClient) deleteChannel(c *wantedChannel) *operation {
	now := k.now
	return &operation{
		what: "deletion of a channel",
		send: func(*operation) error {
			_, err := k.client.DeleteChannels(context.Background(), "", api.Selection{Match: c.labels.String()})
			return err
		},
		apply: func(channels []*wantedChannel) {
			k.deleted++
			channels[c.number%clientChannels].forget(now)
		},
	}
}

// changeAlarm makes an alarm where the channel has none, else replaces it or
// deletes it.
func (k *killedClient) changeAlarm(c *wantedChannel) *operation {
	threshold := float64(k.random.IntN(2000) - 1000)
	switch {
	case c.alarm.name == "":
		return k.createAlarm(c, threshold)
	case k.random.IntN(3) == 0:
		return &operation{
			what:  "deletion of an alarm",
			send:  func(*operation) error { return k.client.DeleteAlarm(context.Background(), c.alarm.id) },
			apply: func(channels []*wantedChannel) { channels[c.number%clientChannels].dropAlarm() },
		}
	}
	return &operation{
		what: "other alarm",
		send: func(*operation) error {
			_, err := k.client.ReplaceAlarm(context.Background(), c.alarm.id, alarmRequest(c, c.alarm.name, threshold), "")
			return err
		},
		apply: func(channels []*wantedChannel) { channels[c.number%clientChannels].replaceAlarm(threshold) },
	}
}

// createAlarm makes an alarm whose name no other has. Its ID, where the server
// did not tell it any more, is found by that name.
func (k *killedClient) createAlarm(c *wantedChannel, threshold float64) *operation {
	k.sequence++
	a := wantedAlarm{name: fmt.Sprint(k.instrument, ".", c.labels.Channel(), ".", k.sequence), version: 1, threshold: threshold}
	return &operation{
		what: "alarm",
		send: func(*operation) error {
			made, err := k.client.CreateAlarm(context.Background(), alarmRequest(c, a.name, threshold), "")
			if err == nil {
				a.id = made.ID
			}
			return err
		},
		apply: func(channels []*wantedChannel) { channels[c.number%clientChannels].alarm = a },
	}
}

func alarmRequest(c *wantedChannel, name string, threshold float64) api.AlarmRequest {
	return api.AlarmRequest{Name: name, Match: c.labels.String(), Operator: ">", Threshold: &threshold}
}

// watch writes a first row of every channel and sets an alarm on it.
func (k *killedClient) watch() error {
	for _, c := range k.channels {
		if err := k.do(k.writeRows("first row", []*wantedChannel{c}, [][]int64{{k.now}})); err != nil {
			return err
		}
		if err := k.do(k.createAlarm(c, 0)); err != nil {
			return err
		}
	}
	return nil
}
