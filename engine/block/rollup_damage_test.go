package block

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/model"
)

// withEverything returns a block with raw rows, rollups of all steps, some of a
// channel without raw rows, charges and notes.
func withEverything(t interface{ Fatalf(string, ...any) }) []byte {
	var file bytes.Buffer
	w := NewWriter(&file, WriterOptions{Name: testName, NewSalt: fixedSalt, Form: chunk.Small, Rollups: true, Notes: Notes{
		Tombstones: []model.Tombstone{{Offset: 7, Span: model.Span{From: 1, To: 9}}, {Offset: 8, Channels: []model.ChannelID{3, 9}}},
		Retention:  []byte("rules")}})
	var hours RollupRows
	hours.Step = model.StepHour
	hours.Add(&model.Aggregate{FirstTime: 5, LastTime: 7, Count: 2, Quality: 1, Min: 1, Max: 2, First: math.Copysign(0, -1), Last: 2, Sum: 3})
	hours.Add(&model.Aggregate{FirstTime: 3600e9, LastTime: 3600e9, Quality: 1})
	for i, c := range small(t) {
		err := w.AddChannel(c.channel)
		switch {
		case i == 3:
			err = errors.Join(err, w.AddRollups(&hours))
		default:
			if i == 0 {
				storeSteps(w, model.Steps()[1:]...)
				err = errors.Join(err, w.AddCharge(0, 10, 100))
			}
			for _, rows := range c.chunks {
				err = errors.Join(err, w.AddChunk(rows.times, rows.values))
			}
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatalf("%v", err)
	}
	return file.Bytes()
}

// TestCheckFindsWrongRollups writes blocks whose rollups and charges are not
// those of the rows.
func TestCheckFindsWrongRollups(t *testing.T) {
	for name, c := range map[string]struct {
		tamper func(w *Writer)
		want   string
	}{
		"nothing":     {func(w *Writer) {}, ""},
		"count":       {func(w *Writer) { w.rollups.steps[model.StepHour].open.Count++ }, "differ from its rows"},
		"sum":         {func(w *Writer) { w.rollups.steps[model.StepHour].open.Sum += 1e-6 }, "differ from its rows"},
		"least":       {func(w *Writer) { w.rollups.steps[model.StepDay].open.Min-- }, "differ from its rows"},
		"time":        {func(w *Writer) { w.rollups.steps[model.StepHour].open.LastTime-- }, "differ from its rows"},
		"missing":     {func(w *Writer) { w.rollups.steps[model.StepHour].pending.Reset(model.StepHour) }, "differ from its rows"},
		"missing end": {func(w *Writer) { w.rollups.steps[model.StepHour].open = model.Aggregate{} }, "differ from its rows"},
		"more": {func(w *Writer) {
			s := &w.rollups.steps[model.StepHour]
			w.rollups.complete(model.StepHour)
			s.open = model.Aggregate{Quality: 1, FirstTime: 1e15, LastTime: 1e15}
			w.meta.Last = 1e15
		}, "more than its rows"},
		"other channel": {func(w *Writer) { w.rollups.channel = 3 }, "knows no raw rows"},
		"rows":          {func(w *Writer) { w.rollups.rows++ }, "not those that the footer says"},
		"charged rows":  {func(w *Writer) { w.charges.days[0].rows++ }, "charges of channel 4"},
		"charged day":   {func(w *Writer) { w.charges.days[0].day-- }, "charges of channel 4"},
		"charged bytes": {func(w *Writer) { w.charges.total++ }, "not those that the footer says"},
	} {
		var file bytes.Buffer
		w := NewWriter(&file, WriterOptions{Name: testName, Form: chunk.Small, Rollups: true})
		rows := minutes(0, 200, 1)
		err := errors.Join(w.AddChannel(labelled(t, 4, "a", "b")), w.AddChunk(rows.times, rows.values))
		c.tamper(w)
		_, err2 := w.Close()
		if err != nil || err2 != nil {
			t.Fatalf("%s: %v, %v", name, err, err2)
		}
		var got []string
		if err := Check(memory{bytes: file.Bytes()}, "x", func(_ int64, what string) { got = append(got, what) }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		all := strings.Join(got, "; ")
		if c.want == "" && all != "" || !strings.Contains(all, c.want) {
			t.Errorf("%s: found %q", name, all)
		}
	}
}

// decodeAnyRollups decodes arbitrary bytes as a page. What is accepted is what
// readers rely on, and can be written again.
func decodeAnyRollups(t *testing.T, b []byte, step model.Step) {
	var s rollupScratch
	if s.segments.start(b, step) != nil {
		return
	}
	for {
		more, err := s.segments.next()
		if !more || err != nil {
			return
		}
		if s.decode(step) != nil {
			continue
		}
		r := &s.rows
		before := int64(math.MinInt64)
		for i := range r.Len() {
			first, last := r.FirstTimes[i], r.LastTimes[i]
			from, _ := intervalOf(first, step.Width())
			if to, _ := intervalOf(last, step.Width()); from != to || last < first || i > 0 && first <= before || r.Counts[i]+r.Qualities[i] == 0 {
				t.Fatalf("row %d of %s from %d to %d after %d, %d and %d rows", i, step, first, last, before, r.Counts[i], r.Qualities[i])
			}
			before = last
		}
		var again rollupScratch
		var copied RollupRows
		copied.Step = step
		copied.Append(r)
		page := new(segmentWriter).append([]byte{byte(step)}, new(segmentHead), 5, &copied, nil)
		err = again.segments.start(page, step)
		if err == nil {
			_, err = again.segments.next()
		}
		if err == nil {
			err = again.decode(step)
		}
		if err == nil {
			err = sameOrNaN(r, &again.rows)
		}
		if err != nil {
			t.Fatalf("written again: %v", err)
		}
	}
}

// sameOrNaN is identical, but any NaN is as good as another.
func sameOrNaN(a, b *RollupRows) error {
	for _, r := range []*RollupRows{a, b} {
		for _, column := range [][]float64{r.Firsts, r.Lasts, r.Mins, r.Maxs, r.Sums} {
			for i, v := range column {
				if v != v {
					column[i] = math.NaN()
				}
			}
		}
	}
	return identical(a, b)
}

func decodeAnyNotes(t *testing.T, b []byte) {
	var notes, again Notes
	if notes.add(b) != nil {
		return
	}
	if err := notes.check(); err != nil {
		t.Fatal(err)
	}
	var p pages
	notes.appendTo(&p)
	if err := again.add(p.payload); err != nil || !reflect.DeepEqual(notes, again) {
		t.Fatalf("%+v became %+v, %v", notes, again, err)
	}
}

func decodeAnyCharges(t *testing.T, b []byte) {
	var last model.ChannelID
	var day int64
	stop := errors.New("stop")
	n := 0
	err := decodeCharges(b, 1, func(id model.ChannelID, d int64, rows, _ uint64) error {
		if id < last || id == last && d <= day || rows == 0 {
			t.Fatalf("channel %d, day %d, after %d, %d", id, d, last, day)
		}
		if last, day = id, d; n > 1000 {
			return stop
		}
		n++
		return nil
	})
	if err != nil && err != stop && err != errCharges {
		t.Fatal(err)
	}
}

// FuzzRollups decodes arbitrary pages of rollup rows.
func FuzzRollups(f *testing.F) {
	full := withEverything(f)
	r := open(f, full)
	for _, list := range r.rollups {
		for _, p := range list {
			f.Add(full[p.Position+16 : p.end()])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 0 {
			decodeAnyRollups(t, b, model.Step(b[0]))
		}
	})
}
