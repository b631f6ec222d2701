package block

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// foldNaively returns the rollup rows of raw rows, and of each the sum of |v|.
func foldNaively(rows chunkRows, step model.Step) (r RollupRows, absolutes []float64) {
	r.Step = step
	var a model.Aggregate
	absolute := 0.0
	for i, t := range rows.times {
		if i > 0 && step.Start(t) != step.Start(rows.times[i-1]) {
			r.Add(&a)
			absolutes = append(absolutes, absolute)
			a, absolute = model.Aggregate{}, 0
		}
		a.Add(t, rows.values[i])
		if v := rows.values[i]; v == v {
			absolute += math.Abs(v)
		}
	}
	r.Add(&a)
	return r, append(absolutes, absolute)
}

// joined returns all rows of a channel.
func (c *channelRows) joined() (all chunkRows) {
	for _, rows := range c.chunks {
		all.times, all.values = append(all.times, rows.times...), append(all.values, rows.values...)
	}
	return all
}

// checkFolded holds FoldRollups to the rows that Rollups gives, by buckets of
// one row, of some and of all.
func checkFolded(t interface{ Fatalf(string, ...any) }, r *Reader, ids []model.ChannelID, at model.Step, span model.Span, want map[model.ChannelID]*RollupRows) {
	done := map[model.ChannelID]int{}
	err := r.FoldRollups(ids, at, span, func(id model.ChannelID, rows *FoldedRows) error {
		all := want[id].Slice(done[id], done[id]+rows.Len())
		done[id] += rows.Len()
		if rows.Step != all.Step || !slices.Equal(rows.FirstTimes, all.FirstTimes) || !slices.Equal(rows.LastTimes, all.LastTimes) {
			t.Fatalf("channel %d: %d rows of %s at other times", id, rows.Len(), rows.Step)
		}
		for _, width := range []int{1, 7, rows.Len()} {
			for from := 0; from < rows.Len(); from += width {
				to := min(from+width, rows.Len())
				var folded, plain model.Aggregate
				rows.Fold(from, to, &folded)
				all.Fold(from, to, &plain)
				size := 0.0
				for i := from; i < to; i++ {
					if all.Counts[i] > 0 {
						size += math.Abs(all.Sums[i])
					}
				}
				off := math.Abs(folded.Total() - plain.Total())
				folded.Sum, folded.Compensation, plain.Sum, plain.Compensation = 0, 0, 0, 0
				if !sameBits(&folded, &plain) || off > math.Ldexp(size, -51) && !math.IsInf(size, 0) {
					t.Fatalf("channel %d, rows %d to %d: %+v, off by %v, want %+v", id, from, to, folded, off, plain)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("FoldRollups: %v", err)
	}
	for id, rows := range want {
		if done[id] != rows.Len() {
			t.Fatalf("channel %d: %d rows are folded, want %d", id, done[id], rows.Len())
		}
	}
}

// readRollups returns the rows of each channel of one step or finer ones.
func readRollups(t interface{ Fatalf(string, ...any) }, r *Reader, ids []model.ChannelID, at model.Step, span model.Span) map[model.ChannelID]*RollupRows {
	got := map[model.ChannelID]*RollupRows{}
	err := r.Rollups(ids, at, span, func(id model.ChannelID, rows *RollupRows) error {
		if got[id] == nil {
			got[id] = &RollupRows{Step: rows.Step}
		}
		if rows.Len() == 0 || got[id].Step != rows.Step {
			t.Fatalf("channel %d: %d rows of %s after %s", id, rows.Len(), rows.Step, got[id].Step)
		}
		got[id].Append(rows)
		return nil
	})
	if err != nil {
		t.Fatalf("Rollups: %v", err)
	}
	checkFolded(t, r, ids, at, span, got)
	return got
}

// sameRollups reports how stored rows differ from those of raw ones.
func sameRollups(want, got *RollupRows, absolutes []float64) error {
	if got == nil || want.Len() != got.Len() || want.Step != got.Step {
		return fmt.Errorf("%+v in place of %+v", got, want)
	}
	for i := range want.Len() {
		one := got.slice(i, i+1)
		if !sameRollup(want, i, &one, absolutes[i]) {
			return fmt.Errorf("row %d: %+v in place of %+v", i, got.Aggregate(i), want.Aggregate(i))
		}
	}
	return nil
}

// drawSignal returns a function that draws the values of a channel.
func drawSignal(t *rapid.T) func(i int) float64 {
	special := rapid.SampledFrom([]float64{math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), model.QualityOver.NaN(),
		math.MaxFloat64, 5e-324, 1e300, 1.0 / 3})
	base := rapid.Float64Range(-1000, 1000).Draw(t, "base")
	decimals := math.Pow10(rapid.IntRange(0, 4).Draw(t, "decimals"))
	seed := uint64(rapid.Uint32().Draw(t, "seed"))
	noise := func(i int) float64 { return float64((uint64(i)*6364136223846793005+seed)>>20%4096)/1024 - 2 }
	specials := rapid.SliceOfN(special, 0, 3).Draw(t, "specials")
	every := rapid.IntRange(1, 500).Draw(t, "every")
	kind := rapid.IntRange(0, 5).Draw(t, "kind")
	return func(i int) float64 {
		if len(specials) > 0 && i%every == every-1 {
			return specials[i/every%len(specials)]
		}
		switch kind {
		case 0:
			return base
		case 1:
			return math.Round((base+noise(i))*decimals) / decimals
		case 2:
			return float64(float32(noise(i)))
		case 3:
			return math.Round(noise(i)*decimals) / decimals // about zero
		case 4:
			return base + noise(i)/3
		}
		return math.Float64frombits(uint64(i) * 0x9E3779B97F4A7C15 & (1<<62 - 1)) // of any magnitude
	}
}

// drawRolled draws channels with enough rows for rollups.
func drawRolled(t *rapid.T) []channelRows {
	var channels []channelRows
	id := model.ChannelID(0)
	for i := range rapid.IntRange(1, 6).Draw(t, "channels") {
		id += model.ChannelID(rapid.IntRange(1, 3).Draw(t, "id"))
		c := channelRows{channel: labelled(t, id, "instrument", fmt.Sprint("CH", i))}
		at := rapid.Int64Range(-1e18, 1e18).Draw(t, "first")
		step := rapid.SampledFrom([]int64{1e6, 1e8, 1e9, 1e10, 60e9, 60e9, 600e9, 3600e9}).Draw(t, "step")
		jitter := rapid.SampledFrom([]int64{0, 0, 1, 1e5}).Draw(t, "jitter")
		signal := drawSignal(t)
		n := 0
		for range rapid.IntRange(1, 4).Draw(t, "chunks") {
			var rows chunkRows
			for range rapid.IntRange(1, 3000).Draw(t, "rows") {
				rows.times = append(rows.times, at+int64(n)*7919%(jitter+1))
				rows.values = append(rows.values, signal(n))
				at += step
				n++
			}
			c.chunks = append(c.chunks, rows)
			at += rapid.SampledFrom([]int64{0, 0, 1e9, 3e13}).Draw(t, "gap")
		}
		channels = append(channels, c)
	}
	return channels
}

// buildWith is build with options.
func buildWith(t interface{ Fatalf(string, ...any) }, o WriterOptions, channels []channelRows, before func(*Writer, *channelRows) error) ([]byte, Meta) {
	var file bytes.Buffer
	o.Name, o.NewSalt = testName, fixedSalt
	w := NewWriter(&file, o)
	for i := range channels {
		c := &channels[i]
		err := w.AddChannel(c.channel)
		if err == nil && before != nil {
			err = before(w, c)
		}
		for _, rows := range c.chunks {
			if err == nil {
				err = w.AddChunk(rows.times, rows.values)
			}
		}
		if err != nil {
			t.Fatalf("channel %d: %v", c.channel.ID, err)
		}
	}
	meta, err := w.Close()
	if err != nil {
		t.Fatalf("Close: %v", err)
	}
	return file.Bytes(), meta
}

// wantSound fails unless Check finds nothing.
func wantSound(t interface{ Fatalf(string, ...any) }, file []byte) {
	if err := Check(memory{bytes: file}, testName.String(), func(offset int64, what string) {
		t.Fatalf("%d: %s", offset, what)
	}); err != nil {
		t.Fatalf("Check: %v", err)
	}
}

// wantSteps returns the steps that the rule has stored.
func wantSteps(rows chunkRows) StepSet {
	set, below := StepSet(0).With(model.StepRaw), len(rows.times)
	for step := model.StepSecond; step < model.StepCount; step++ {
		r, _ := foldNaively(rows, step)
		if below >= 30*r.Len() || step == model.StepDay && set.Has(model.StepHour) {
			set, below = set.With(step), r.Len()
		}
	}
	return set
}

// storeSteps has these steps of the channel that was added last stored, however
// few rows it gets: tests need not write a thousand.
func storeSteps(w *Writer, steps ...model.Step) {
	for _, step := range steps {
		w.rollups.steps[step].state = chosen
	}
}

// TestRollupsAreOfTheRows: what is stored is what the rows make, in every step
// that the rule or the test has stored, and by any selection.
func TestRollupsAreOfTheRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		channels := drawRolled(t)
		forced := rapid.SliceOfDistinct(rapid.SampledFrom(model.Steps()[1:]), rapid.ID[model.Step]).Draw(t, "forced")
		o := WriterOptions{Form: rapid.SampledFrom([]chunk.Encoding{chunk.Fast, chunk.Small}).Draw(t, "form"), Rollups: true}
		file, meta := buildWith(t, o, channels, func(w *Writer, c *channelRows) error {
			if c.channel.ID%2 == 0 {
				storeSteps(w, forced...)
			}
			return nil
		})
		r := open(t, file)
		if r.Meta() != meta || meta.RollupBytes+meta.ChunkBytes > meta.Bytes || (meta.RollupRows == 0) != (meta.RollupBytes == 0) {
			t.Fatalf("meta %+v, written %+v", r.Meta(), meta)
		}
		wantSound(t, file)
		for i := range channels {
			c := &channels[i]
			rows, id := c.joined(), c.channel.ID
			stored := r.Stored(id)
			if !r.HasRaw(id) {
				t.Fatalf("channel %d has no raw rows", id)
			}
			if want := wantSteps(rows); id%2 == 1 && len(c.chunks) == 1 && len(rows.times) < 1000 && stored != want {
				t.Fatalf("channel %d has %b, want %b", id, stored, want)
			}
			for _, step := range model.Steps()[1:] {
				if id%2 == 0 && slices.Contains(forced, step) && !stored.Has(step) {
					t.Fatalf("%s of channel %d is not stored", step, id)
				}
				got := readRollups(t, r, []model.ChannelID{id}, step, everything)
				if stored.Coarsest(step) == model.StepRaw {
					if len(got) > 0 {
						t.Fatalf("channel %d: %v", id, got)
					}
					continue
				}
				want, absolutes := foldNaively(rows, stored.Coarsest(step))
				if err := sameRollups(&want, got[id], absolutes); err != nil {
					t.Fatalf("channel %d, %s: %v", id, step, err)
				}
			}
		}
		checkRollupSelection(t, r, channels)
	})
}

// checkRollupSelection reads some channels in some span.
func checkRollupSelection(t *rapid.T, r *Reader, channels []channelRows) {
	ids := rapid.SliceOfDistinct(rapid.Map(rapid.Uint32Range(1, 20), func(v uint32) model.ChannelID { return model.ChannelID(v) }),
		rapid.ID[model.ChannelID]).Draw(t, "ids")
	slices.Sort(ids)
	times := channels[0].joined().times
	span := model.Span{From: rapid.SampledFrom(times).Draw(t, "from"), To: rapid.SampledFrom(times).Draw(t, "to") + 1}
	at := rapid.SampledFrom(model.Steps()).Draw(t, "at")
	got := readRollups(t, r, ids, at, span)
	for i := range channels {
		id := channels[i].channel.ID
		step := r.Stored(id).Coarsest(at)
		if step == model.StepRaw || !slices.Contains(ids, id) {
			if got[id] != nil {
				t.Fatalf("channel %d was not asked for", id)
			}
			continue
		}
		all, absolutes := foldNaively(channels[i].joined(), step)
		from, to := rowsIn(&all, span)
		if from == to {
			if got[id] != nil {
				t.Fatalf("channel %d has no rows in span", id)
			}
			continue
		}
		want := all.slice(from, to)
		if err := sameRollups(&want, got[id], absolutes[from:]); err != nil {
			t.Fatalf("channel %d: %v", id, err)
		}
	}
}

// TestCopiedRollups: rows of a channel whose raw rows have expired are copied
// from block to block without a change.
func TestCopiedRollups(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		channels := drawRolled(t)
		file, _ := buildWith(t, WriterOptions{Form: chunk.Small, Rollups: true}, channels, func(w *Writer, c *channelRows) error {
			storeSteps(w, model.StepHour)
			return nil
		})
		from := open(t, file)
		raw := rapid.IntRange(0, len(channels)-1).Draw(t, "with raw rows")
		for range 2 {
			var copied bytes.Buffer
			w := NewWriter(&copied, WriterOptions{Name: testName, Form: chunk.Small})
			rows := uint64(0)
			for i := range channels {
				c := &channels[i]
				err := w.AddChannel(c.channel)
				if i == raw && raw > 0 { // else all have expired
					for _, chunk := range c.chunks {
						err = errors.Join(err, w.AddChunk(chunk.times, chunk.values))
					}
					rows += uint64(len(c.joined().times))
				} else {
					for step := model.StepDay; step > model.StepRaw && err == nil; step-- {
						if from.Stored(c.channel.ID).Has(step) {
							err = from.Rollups([]model.ChannelID{c.channel.ID}, step, everything,
								func(_ model.ChannelID, rows *RollupRows) error { return w.AddRollups(rows) })
						}
					}
				}
				if err != nil {
					t.Fatalf("%v", err)
				}
			}
			meta, err := w.Close()
			if err != nil || meta.Rows != rows || meta.RollupRows == 0 {
				t.Fatalf("%+v, %v", meta, err)
			}
			wantSound(t, copied.Bytes())
			to := open(t, copied.Bytes())
			if to.Meta() != meta {
				t.Fatalf("meta %+v, written %+v", to.Meta(), meta)
			}
			for i := range channels {
				id := channels[i].channel.ID
				if i == raw && raw > 0 {
					continue
				}
				if to.HasRaw(id) || to.Stored(id) != from.Stored(id)&^1 {
					t.Fatalf("channel %d has %b of %b", id, to.Stored(id), from.Stored(id))
				}
				for _, step := range model.Steps()[1:] {
					if !from.Stored(id).Has(step) {
						continue
					}
					want := readRollups(t, from, []model.ChannelID{id}, step, everything)[id]
					got := readRollups(t, to, []model.ChannelID{id}, step, everything)[id]
					if err := identical(want, got); err != nil {
						t.Fatalf("channel %d, %s: %v", id, step, err)
					}
				}
			}
			if raw == 0 {
				from = to
			}
		}
	})
}

// identical reports how rows differ, to the bit.
func identical(want, got *RollupRows) error {
	if want == nil || got == nil || want.Len() != got.Len() {
		return fmt.Errorf("%+v in place of %+v", got, want)
	}
	for i := range want.Len() {
		a, b := want.Aggregate(i), got.Aggregate(i)
		if !sameBits(&a, &b) {
			return fmt.Errorf("row %d: %+v in place of %+v", i, b, a)
		}
	}
	return nil
}

func TestRollupsAreRefused(t *testing.T) {
	row := func(first, last int64, count uint64) *RollupRows {
		var r RollupRows
		r.Step = model.StepMinute
		r.Add(&model.Aggregate{FirstTime: first, LastTime: last, Count: count})
		return &r
	}
	second := row(0, 1, 1)
	second.Step = model.StepRaw
	for name, write := range map[string]func(w *Writer) error{
		"raw":         func(w *Writer) error { return w.AddRollups(second) },
		"two minutes": func(w *Writer) error { return w.AddRollups(row(0, 60e9, 2)) },
		"backwards":   func(w *Writer) error { return w.AddRollups(row(1, 0, 2)) },
		"empty":       func(w *Writer) error { return w.AddRollups(row(1, 1, 0)) },
		"same minute": func(w *Writer) error { return errors.Join(w.AddRollups(row(1, 1, 1)), w.AddRollups(row(2, 2, 1))) },
		"and chunks": func(w *Writer) error {
			return errors.Join(w.AddRollups(row(1, 1, 1)), w.AddChunk([]int64{1}, []float64{1}))
		},
		"after": func(w *Writer) error {
			return errors.Join(w.AddChunk([]int64{1}, []float64{1}), w.AddRollups(row(1, 1, 1)))
		},
	} {
		w := NewWriter(new(bytes.Buffer), WriterOptions{Name: testName})
		if err := w.AddChannel(labelled(t, 1, "a", "b")); err != nil {
			t.Fatal(err)
		}
		if err := write(w); err == nil {
			t.Errorf("%s is taken", name)
		} else if _, again := w.Close(); again == nil {
			t.Errorf("%s: the block is complete", name)
		}
	}
}

// TestNotes: tombstones and rules are read as they were written.
func TestNotes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var notes Notes
		for range rapid.IntRange(0, 30).Draw(t, "tombstones") {
			one := model.Tombstone{Offset: rapid.Uint64().Draw(t, "offset"),
				Span: model.Span{From: rapid.Int64().Draw(t, "from"), To: rapid.Int64().Draw(t, "to")}}
			if !rapid.Bool().Draw(t, "all") {
				one.Channels = []model.ChannelID{}
				for _, id := range rapid.SliceOfDistinct(rapid.Uint32Min(1), rapid.ID[uint32]).Draw(t, "ids") {
					one.Channels = append(one.Channels, model.ChannelID(id))
				}
				slices.Sort(one.Channels)
			}
			notes.Tombstones = append(notes.Tombstones, one)
		}
		if rapid.Bool().Draw(t, "retention") {
			notes.Retention = append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, 20000).Draw(t, "rules")...)
		}
		notes.More = rapid.Bool().Draw(t, "more")
		file, _ := buildWith(t, WriterOptions{Notes: notes}, small(t), nil)
		got, err := open(t, file).Notes()
		if err != nil || !reflect.DeepEqual(got, notes) {
			t.Fatalf("%+v, %v; want %+v", got, err, notes)
		}
		wantSound(t, file)
	})
	for _, ids := range [][]model.ChannelID{{0}, {2, 2}, {3, 2}} {
		w := NewWriter(new(bytes.Buffer), WriterOptions{Notes: Notes{Tombstones: []model.Tombstone{{Channels: ids}}}})
		if err := w.AddChannel(labelled(t, 1, "a", "b")); err == nil {
			t.Errorf("channels %v are taken", ids)
		}
	}
}

type chargedDay struct {
	id          model.ChannelID
	day         int64
	rows, bytes uint64
}

func chargesOf(t interface{ Fatalf(string, ...any) }, file []byte) (all []chargedDay) {
	if err := open(t, file).Charges(func(id model.ChannelID, day int64, rows, bytes uint64) error {
		all = append(all, chargedDay{id, day, rows, bytes})
		return nil
	}); err != nil {
		t.Fatalf("Charges: %v", err)
	}
	return all
}

// TestChargesAreCarried: the bytes of the raw rows are charged to their days
// when they are first in the small form, and carried from then on.
func TestChargesAreCarried(t *testing.T) {
	a, b := minutes(-1440*60e9+30e9, 4000, 1), minutes(0, 10, 2)
	channels := []channelRows{{labelled(t, 1, "A", "a"), []chunkRows{{a.times[:2000], a.values[:2000]}, {a.times[2000:], a.values[2000:]}}},
		{labelled(t, 4, "A", "b"), []chunkRows{b}}}
	file, meta := buildWith(t, WriterOptions{Form: chunk.Small}, channels, nil)
	wantSound(t, file)
	first := chargesOf(t, file)
	sum := uint64(0)
	for i, want := range []chargedDay{{1, -1, 1440, 0}, {1, 0, 1440, 0}, {1, 1, 1120, 0}, {4, 0, 10, 0}} {
		if i >= len(first) {
			t.Fatalf("%+v", first)
		}
		sum += first[i].bytes
		got := first[i]
		got.bytes = 0
		if got != want || first[i].bytes < want.rows/8 || first[i].bytes > want.rows*2+40 {
			t.Errorf("charge %+v, want %+v", first[i], want)
		}
	}
	if sum != meta.Charged || sum != meta.ChunkBytes || meta.Uncharged != 0 {
		t.Errorf("%d bytes are charged of %d, the footer says %d, and %d rows not", sum, meta.ChunkBytes, meta.Charged, meta.Uncharged)
	}
	// Day -1 was charged before, day 0 as half as many rows, day 1 as twice as many; a day has no rows left.
	carried, meta := buildWith(t, WriterOptions{Form: chunk.Small}, channels[:1], func(w *Writer, _ *channelRows) error {
		return errors.Join(w.AddCharge(-5, 7, 700), w.AddCharge(-1, 1440, 100_000), w.AddCharge(0, 700, 50_000), w.AddCharge(0, 20, 1000),
			w.AddCharge(1, 2240, 8001))
	})
	wantSound(t, carried)
	got := chargesOf(t, carried)
	want := []uint64{100_000, 51_000 + first[1].bytes/2, 4000}
	if len(got) != 3 {
		t.Fatalf("%+v", got)
	}
	for i := range got {
		if got[i].rows != first[i].rows || got[i].bytes != want[i] {
			t.Errorf("charge %+v, want %d bytes", got[i], want[i])
		}
	}
	if meta.Charged != want[0]+want[1]+want[2] {
		t.Errorf("%d bytes are charged", meta.Charged)
	}
	fast, meta := buildWith(t, WriterOptions{}, channels, nil)
	if got := chargesOf(t, fast); len(got) > 0 || meta.Charged != 0 || meta.Uncharged != 4010 {
		t.Errorf("a flush is charged: %+v, %+v", got, meta)
	}
	for name, write := range map[string]func(w *Writer) error{
		"a day before": func(w *Writer) error { return errors.Join(w.AddCharge(1, 1, 1), w.AddCharge(0, 1, 1)) },
		"after rows":   func(w *Writer) error { return errors.Join(w.AddChunk([]int64{1}, []float64{1}), w.AddCharge(0, 1, 1)) },
	} {
		w := NewWriter(new(bytes.Buffer), WriterOptions{Name: disk.BlockName{}, Form: chunk.Small})
		if err := errors.Join(w.AddChannel(channels[0].channel), write(w)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
