package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/hokan-db/hokan/bench/workload"
	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/query"
)

const (
	hokanID     = "hokan"
	hokanTenant = model.Tenant("bench")
	// hokanColumns is how many channels are backfilled together, as a logger's
	// file has them.
	hokanColumns = 32
)

var hokanSubject = Subject{
	ID: hokanID, Name: "Hokan, in process",
	Settings: fmt.Sprintf("defaults; %d writers, each batch synced before it is acknowledged", inFlight),
	Writers:  inFlight, Columns: hokanColumns,
	Version: func() (string, error) { return revision(), nil },
	Open:    openHokan,
	Size:    hokanSize,
}

// revision is the commit of the tree that this program was built in.
func revision() string {
	said, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12").Output()
	if err != nil {
		return "of the tree beside it"
	}
	return strings.TrimSpace(string(said))
}

type hokan struct {
	inThisProcess
	db      *engine.DB
	labels  []model.Labels
	ids     []model.ChannelID // by channel; empty until they are asked for
	batches sync.Pool         // of *hokanBatch
}

// hokanBatch is the memory of one append, reused.
type hokanBatch struct {
	times  []int64
	values []float64
	batch  model.Batch
}

func openHokan(o Options) (Store, error) {
	db, err := engine.Open(engine.Options{FS: engine.DefaultFS(), Dir: o.Dir, Clock: time.Now})
	if err != nil {
		return nil, fmt.Errorf("open Hokan: %w", err)
	}
	h := &hokan{db: db, batches: sync.Pool{New: func() any { return &hokanBatch{batch: model.Batch{Tenant: hokanTenant}} }}}
	if h.labels, err = hokanLabels(o.Channels); err != nil {
		return nil, err
	}
	return h, db.CreateTenant(context.Background(), hokanTenant)
}

func hokanLabels(channels int) ([]model.Labels, error) {
	all := make([]model.Labels, channels)
	for i := range all {
		var err error
		all[i], err = model.NewLabels(model.Label{Name: model.InstrumentLabel, Value: workload.Instrument(i)},
			model.Label{Name: model.ChannelLabel, Value: workload.Name(i)})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

const nanosecondsPerMillisecond = int64(time.Millisecond)

// fill makes the batch one of rows. Rows that have the first one's time share
// its clock.
func (b *hokanBatch) fill(rows []workload.Row, labels []model.Labels) {
	b.times, b.values, b.batch.Columns = b.times[:0], b.values[:0], b.batch.Columns[:0]
	for i := range rows {
		b.times = append(b.times, rows[i].Time*nanosecondsPerMillisecond)
		b.values = append(b.values, rows[i].Value)
	}
	for i := range rows {
		clock := i
		if b.times[i] == b.times[0] {
			clock = 0
		}
		b.batch.Columns = append(b.batch.Columns, model.Column{
			Labels: labels[rows[i].Channel], Times: b.times[clock : clock+1], Values: b.values[i : i+1]})
	}
}

// fillColumns makes the batch one of columns. Those that share a clock keep
// sharing it.
func (b *hokanBatch) fillColumns(columns []Column, labels []model.Labels) {
	b.times, b.batch.Columns = b.times[:0], b.batch.Columns[:0]
	for i, c := range columns {
		var times []int64
		if i > 0 && sameClock(c.Times, columns[0].Times) {
			times = b.batch.Columns[0].Times
		} else {
			start := len(b.times)
			for _, t := range c.Times {
				b.times = append(b.times, t*nanosecondsPerMillisecond)
			}
			times = b.times[start:]
		}
		b.batch.Columns = append(b.batch.Columns, model.Column{Labels: labels[c.Channel], Times: times, Values: c.Values})
	}
}

// sameClock reports whether two columns share their times.
func sameClock(a, b []int64) bool {
	return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0]
}

func (h *hokan) Append(rows []workload.Row) error {
	b := h.batches.Get().(*hokanBatch)
	defer h.batches.Put(b)
	b.fill(rows, h.labels)
	_, err := h.db.Append(context.Background(), &b.batch)
	return err
}

func (h *hokan) Backfill(columns []Column) error {
	b := h.batches.Get().(*hokanBatch)
	defer h.batches.Put(b)
	b.fillColumns(columns, h.labels)
	_, err := h.db.Append(context.Background(), &b.batch)
	return err
}

func (h *hokan) EndWindow() error { return nil }

// Settle compacts, and checkpoints so that the log is let go of.
func (h *hokan) Settle() error {
	ctx := context.Background()
	if err := h.db.Compact(ctx); err != nil {
		return err
	}
	return h.db.Checkpoint(ctx)
}

// identify returns the IDs of channels.
func (h *hokan) identify(channels []int) ([]model.ChannelID, error) {
	if h.ids == nil {
		known, err := h.db.Channels(context.Background(), hokanTenant, nil)
		if err != nil {
			return nil, err
		}
		byLabels := make(map[model.Labels]model.ChannelID, len(known))
		for i := range known {
			byLabels[known[i].Labels] = known[i].ID
		}
		h.ids = make([]model.ChannelID, len(h.labels))
		for i, l := range h.labels {
			h.ids[i] = byLabels[l]
		}
	}
	ids := make([]model.ChannelID, len(channels))
	for i, channel := range channels {
		if ids[i] = h.ids[channel]; ids[i] == 0 {
			return nil, fmt.Errorf("channel %v is not there", h.labels[channel])
		}
	}
	return ids, nil
}

func (h *hokan) View(channels []int, from, to int64, buckets int) (View, error) {
	ids, err := h.identify(channels)
	if err != nil {
		return View{}, err
	}
	all, err := h.db.Aggregate(context.Background(), hokanTenant, ids, model.Buckets{
		From: from * nanosecondsPerMillisecond, Width: width(from, to, buckets) * nanosecondsPerMillisecond, Count: buckets})
	if err != nil {
		return View{}, err
	}
	view := View{Channels: len(all), Buckets: make([][]Bucket, len(all))}
	for i, aggregates := range all {
		view.Buckets[i] = make([]Bucket, len(aggregates))
		for k := range aggregates {
			a := &aggregates[k]
			view.Buckets[i][k] = Bucket{Count: a.Count}
			if a.Count > 0 {
				view.Buckets[i][k] = Bucket{Min: a.Min, Max: a.Max, Mean: a.Mean(), Count: a.Count}
			}
		}
	}
	return view, nil
}

func (h *hokan) Raw(channels []int, from, to int64, visit Visit) error {
	ids, err := h.identify(channels)
	if err != nil {
		return err
	}
	span := model.AllTime().Intersect(hokanSpan(from, to))
	selection, err := h.db.Select(context.Background(), hokanTenant, ids, span)
	if err != nil {
		return err
	}
	defer selection.Close()
	var milliseconds []int64
	for i, channel := range channels {
		cursor := selection.Cursor(i)
		for {
			times, values, err := cursor.Next()
			if err != nil {
				return err
			}
			if len(times) == 0 {
				break
			}
			milliseconds = milliseconds[:0]
			for _, t := range times {
				milliseconds = append(milliseconds, t/nanosecondsPerMillisecond)
			}
			if err := visit(channel, milliseconds, values); err != nil {
				return err
			}
		}
	}
	return nil
}

// hokanSpan is a span in nanoseconds, cut to what they can hold.
func hokanSpan(from, to int64) model.Span {
	all := model.AllTime()
	return model.Span{
		From: max(from, all.From/nanosecondsPerMillisecond) * nanosecondsPerMillisecond,
		To:   min(to, all.To/nanosecondsPerMillisecond) * nanosecondsPerMillisecond,
	}
}

func (h *hokan) Latest(channels []int) (int, error) {
	ids, err := h.identify(channels)
	if err != nil {
		return 0, err
	}
	latest, err := h.db.Latest(context.Background(), hokanTenant, ids)
	told := 0
	for i := range latest {
		if latest[i].OK {
			told++
		}
	}
	return told, err
}

func (h *hokan) Export(w io.Writer, channels []int, from, to int64) error {
	return exportRaw(h, w, channels, from, to, query.AppendText)
}

// Count asks in groups of channels that one query may read.
func (h *hokan) Count() (count int64, err error) {
	ids, err := h.identify(Channels(len(h.labels)))
	if err != nil {
		return 0, err
	}
	all, err := h.db.Summarize(context.Background(), hokanTenant, ids, model.AllTime())
	for i := range all {
		count += int64(all[i].Rows())
	}
	return count, err
}

func (h *hokan) Close() error { return h.db.Close() }

// hokanSize asks the engine, which tells the parts of a block file apart.
func hokanSize(dir string) (Size, error) {
	db, err := engine.Open(engine.Options{FS: engine.DefaultFS(), Dir: dir, Clock: time.Now, ReadOnly: true})
	if err != nil {
		return Size{}, err
	}
	stats, err := db.Stats()
	return Size{Raw: int64(stats.RawBytes), Index: int64(stats.IndexBytes)}, errors.Join(err, db.Close())
}
