package engine

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"

	"github.com/hokan-db/hokan/engine/model"
)

// DayUsage is what one channel's rows of one UTC day take up. What is of no
// channel is of channel 0: files, on the day on which they were put; rollups
// whose rows have expired; and what cannot be read.
type DayUsage struct {
	Day      int64 // when it starts, in nanoseconds since the epoch
	Channel  model.ChannelID
	Charged  uint64 // as in Usage
	Physical uint64 // share of the blocks' bytes, by rows
}

// usageDays is about how many days of channels UsageDays holds at once.
const usageDays = 1 << 20

// UsageDays visits what each channel takes up of each UTC day, in ascending
// order of day, then channel, until visit returns an error. While nothing is
// written or merged, the sums of all are what Usage says.
func (db *DB) UsageDays(ctx context.Context, name model.Tenant, visit func(DayUsage) error) error {
	t, err := db.enterTenant(name)
	if err != nil {
		return err
	}
	defer db.gate.leave()
	files, err := db.loadedFiles(t)
	if err != nil {
		return err
	}
	w := dayWindow{db: db, t: t, sums: map[dayOfChannel]DayUsage{}}
	w.begin()
	files.mu.Lock()
	w.files = slices.Collect(maps.Values(files.byName))
	files.mu.Unlock()
	for w.next() {
		if err := w.addUp(ctx); err != nil {
			return err
		}
		days := slices.SortedFunc(maps.Values(w.sums), func(a, b DayUsage) int {
			return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Channel, b.Channel))
		})
		clear(w.sums)
		for _, d := range days {
			if err := visit(d); err != nil {
				return err
			}
		}
	}
	return nil
}

type dayOfChannel struct {
	day     int64
	channel model.ChannelID
}

// dayWindow adds up some days at a time.
type dayWindow struct {
	db     *DB
	t      *tenant
	floors floorTable
	heads  []headUsage
	files  []File
	// flushedTo is up to where rows are in blocks and not in heads.
	flushedTo uint64
	length    int64 // of a window
	span      model.Span
	sums      map[dayOfChannel]DayUsage
}

// begin takes what heads have.
func (w *dayWindow) begin() {
	t := w.t
	t.usage.mu.Lock()
	defer t.usage.mu.Unlock()
	t.choosing.RLock()
	defer t.choosing.RUnlock()
	v := w.db.viewUsage(t, true)
	w.floors = *v.floors
	w.floors.list = slices.Clone(v.floors.list)
	for i := range v.heads {
		v.heads[i].hider.floors = &w.floors
	}
	w.heads = v.heads
	w.flushedTo = v.flushedTo
	w.length = model.Day * int64(max(1, min(366, usageDays/max(v.channels, 1))))
	w.span = model.Span{From: math.MinInt64, To: math.MinInt64}
}

// next moves on to the next days that have something.
func (w *dayWindow) next() bool {
	after, first := w.span.To, int64(math.MaxInt64)
	offer := func(from, to int64) {
		if to >= after {
			first = min(first, max(from, after))
		}
	}
	for _, m := range w.view().blocks {
		offer(m.First, m.Last)
	}
	for i := range w.heads {
		for j := range w.heads[i].parts {
			offer(w.heads[i].parts[j].first, w.heads[i].parts[j].last)
		}
	}
	for i := range w.files {
		offer(w.files[i].Time, w.files[i].Time)
	}
	if first == math.MaxInt64 {
		return false
	}
	first = dayOf(first)
	w.span = model.Span{From: first, To: first + w.length}
	return true
}

// view returns the blocks as they are now, and what hides rows of them.
func (w *dayWindow) view() *usageView {
	w.t.mu.RLock()
	defer w.t.mu.RUnlock()
	v := &usageView{floors: &w.floors, tombstones: w.t.tombstones}
	for _, m := range w.t.blocks {
		if m.FirstOffset <= w.flushedTo { // else its rows are in heads here
			v.blocks = append(v.blocks, m)
		}
	}
	return v
}

// addUp adds up the days of the window.
func (w *dayWindow) addUp(ctx context.Context) error {
	for i := range w.heads {
		h := &w.heads[i]
		for j := range h.parts {
			p := &h.parts[j]
			w.add(p.first, p.channel, h.hider.visible(p, p.rows)*unchargedRow, 0)
		}
	}
	for i := range w.files {
		f := &w.files[i]
		w.add(f.Time, 0, f.Size, f.fileBytes())
	}
	sources, v, err := w.open()
	for i := range sources {
		s := &sources[i]
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = w.addBlock(s, v.hiderOf(s.meta.LastOffset, s.meta.First, s.meta.Last))
		}
		s.close()
	}
	return err
}

// open opens the blocks of the window.
func (w *dayWindow) open() ([]sourceBlock, *usageView, error) {
	w.t.choosing.RLock()
	defer w.t.choosing.RUnlock()
	v := w.view()
	var sources []sourceBlock
	for i := range v.blocks {
		m := &v.blocks[i]
		if !w.span.Overlaps(m.First, m.Last) {
			continue
		}
		s, err := w.db.openSource(w.t, m)
		if err != nil {
			return sources, v, err
		}
		sources = append(sources, s)
	}
	return sources, v, nil
}

// addBlock adds what a block has of the window.
func (w *dayWindow) addBlock(s *sourceBlock, h *hider) error {
	if s.meta.Rows == 0 {
		w.add(s.meta.First, 0, 0, s.meta.Bytes)
		return nil
	}
	rows, done := uint64(0), uint64(0)
	return s.parts(func(p *usagePart) error {
		rows += p.rows
		till := shareOf(s.meta.Bytes, min(rows, s.meta.Rows), s.meta.Rows)
		w.add(p.first, p.channel, h.visible(p, p.charged), till-done)
		done = till
		return nil
	})
}

// add adds to the day in which at lies, if that is in the window.
func (w *dayWindow) add(at int64, id model.ChannelID, charged, physical uint64) {
	if !w.span.Contains(at) || charged == 0 && physical == 0 {
		return
	}
	key := dayOfChannel{dayOf(at), id}
	d := w.sums[key]
	d.Day, d.Channel = key.day, id
	d.Charged += charged
	d.Physical += physical
	w.sums[key] = d
}
