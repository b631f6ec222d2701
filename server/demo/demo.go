// Package demo is a simulated plant: five instruments at two sites, which
// write what they measure through the HTTP API, as anyone's would. Its
// readings are a function of time alone, so that after a pause it fills in
// what it would have measured and goes on.
package demo

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/client"
)

// Options say how the plant runs.
type Options struct {
	Clock   model.Clock
	History time.Duration // how far back it fills in, 0: DefaultHistory
	Logger  *slog.Logger  // nil: none
	// Progress, if set, is called while the past is filled in, with samples
	// written and samples in all.
	Progress func(done, total int64)
	// Filled, if set, is called once, when the past is there and live samples
	// begin.
	Filled func(samples int64)
}

// DefaultHistory is how much of the past a new demo shows.
const DefaultHistory = 30 * 24 * time.Hour

const (
	historyStep = time.Minute     // of samples that are filled in
	liveStep    = 5 * time.Second // of samples from then on
	pause       = time.Minute     // without a live sample, after which the past is filled in
)

// runner is one run of the plant.
type runner struct {
	Options
	client *client.Client
	plant  *plant
	last   []int64 // per instrument, up to where it has written: everything before
	sent   int64
	total  int64
}

// Run runs the plant until ctx ends, and returns nil then. The token of c must
// be one that reads and writes.
func Run(ctx context.Context, c *client.Client, o Options) error {
	if o.History == 0 {
		o.History = DefaultHistory
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &runner{Options: o, client: c}
	err := r.run(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (r *runner) run(ctx context.Context) error {
	if err := r.prepare(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := r.fill(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	r.Progress = nil // what follows is no past
	if r.Filled != nil {
		r.Filled(r.sent)
	}
	return r.live(ctx)
}

// prepare finds out what is there already.
func (r *runner) prepare(ctx context.Context) error {
	now := r.Clock().UnixNano()
	begun := now - int64(r.History)
	known, err := r.client.Channels(ctx, api.Selection{Unit: "ns"})
	if err != nil {
		return err
	}
	for _, c := range known.Channels {
		if c.First != nil {
			begun = min(begun, *c.First)
		}
	}
	r.plant = newPlant(begun, now)
	r.last = make([]int64, len(r.plant.instruments))
	for i := range r.plant.instruments {
		r.last[i] = max(r.writtenTo(&r.plant.instruments[i], known), now-int64(r.History))
	}
	return nil
}

// writtenTo returns up to where all channels of an instrument have samples,
// model.MinTime where one has none.
func (r *runner) writtenTo(i *instrument, known *api.ChannelsBody) int64 {
	last := map[string]int64{}
	for _, c := range known.Channels {
		if c.Labels.Instrument() == i.name && c.Last != nil {
			last[c.Labels.Channel()] = *c.Last
		}
	}
	to := int64(model.MaxTime)
	for n := range i.channels {
		at, ok := last[i.channels[n].name]
		if !ok {
			return model.MinTime
		}
		to = min(to, at+1)
	}
	return to
}

// judged is how much of the past, at most half of it, the alarms get to see
// when they are new, so that a demo has events of its last day.
const judged = 24 * time.Hour

// fill writes the past: all but its last day, then the alarms, then the rest.
func (r *runner) fill(ctx context.Context) error {
	now := r.Clock().UnixNano()
	for i := range r.last {
		r.total += (now - r.last[i]) / int64(historyStep) * int64(len(r.plant.instruments[i].channels))
	}
	if err := r.write(ctx, now-int64(min(judged, r.History/2)), historyStep); err != nil {
		return err
	}
	if err := r.defineAlarms(ctx); err != nil {
		return err
	}
	return r.write(ctx, now, historyStep)
}

// piece is how much of the past one request carries of an instrument.
const piece = 2 * 24 * time.Hour

// write writes every instrument's samples before to, those of all sites by
// turns, so that the past grows everywhere alike.
func (r *runner) write(ctx context.Context, to int64, step time.Duration) error {
	for {
		oldest := to
		for _, last := range r.last {
			oldest = min(oldest, last)
		}
		if oldest >= to {
			return nil
		}
		end := min(oldest+int64(piece), to)
		for i := range r.plant.instruments {
			if r.last[i] >= end {
				continue
			}
			if err := r.send(ctx, i, end, step); err != nil {
				return err
			}
		}
	}
}

// send writes one instrument's samples before to. They count as written only
// when the server says so.
func (r *runner) send(ctx context.Context, i int, to int64, step time.Duration) error {
	one := &r.plant.instruments[i]
	times := one.times(nil, r.last[i], to, step)
	if len(times) > 0 {
		batch, err := one.batch(times)
		if err != nil {
			return err
		}
		body, err := r.client.Write(ctx, batch)
		if err != nil {
			return err
		}
		if body.Rejected > 0 {
			return fmt.Errorf("%s: %d samples refused, %+v", one.name, body.Rejected, body.Errors)
		}
		r.sent += body.Accepted
		if r.Progress != nil {
			r.Progress(r.sent, max(r.total, r.sent))
		}
	}
	r.last[i] = to
	return nil
}

// batch is what the instrument measures at times.
func (i *instrument) batch(times []int64) (*model.Batch, error) {
	b := &model.Batch{Columns: make([]model.Column, len(i.channels))}
	for n := range i.channels {
		c := &i.channels[n]
		labels, err := model.NewLabels(model.Label{Name: model.InstrumentLabel, Value: i.name},
			model.Label{Name: model.ChannelLabel, Value: c.name})
		if err != nil {
			return nil, err
		}
		values := make([]float64, len(times))
		for j, t := range times {
			values[j] = c.read(t)
		}
		b.Columns[n] = model.Column{Labels: labels, Properties: &c.properties, Times: times, Values: values}
	}
	return b, nil
}

// live writes a sample of every instrument each five seconds. What a server
// that does not answer missed is written when it does again.
func (r *runner) live(ctx context.Context) error {
	for {
		now := r.Clock().UnixNano()
		next := (now/int64(liveStep) + 1) * int64(liveStep)
		select {
		case <-time.After(time.Duration(next - now)):
		case <-ctx.Done():
			return nil
		}
		now = max(r.Clock().UnixNano(), next) + 1
		if err := r.catchUp(ctx, now); err != nil && ctx.Err() == nil {
			r.Logger.Warn("demo samples not written, trying again", "error", err)
		}
	}
}

// catchUp writes up to to: each five seconds, or each minute where the machine
// slept or the server was away.
func (r *runner) catchUp(ctx context.Context, to int64) error {
	oldest := to
	for _, last := range r.last {
		oldest = min(oldest, last)
	}
	if to-oldest > int64(pause) {
		if err := r.write(ctx, to-int64(liveStep), historyStep); err != nil {
			return err
		}
	}
	return r.write(ctx, to, liveStep)
}
