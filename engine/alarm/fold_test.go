package alarm_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"sort"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

// wantID computes an event's ID from its documentation.
func wantID(id, version uint64, kind uint8, offset uint64, at int64) string {
	var b bytes.Buffer
	for _, v := range []any{id, version, kind, offset, at} {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			panic(err)
		}
	}
	return fmt.Sprintf("%x", sha256.Sum256(b.Bytes()))[:32]
}

// step is one entry of a random log.
type step struct {
	offset uint64
	body   entry.Body
}

func anyLog() *rapid.Generator[[]step] {
	return rapid.Custom(func(t *rapid.T) []step {
		var log []step
		n := rapid.IntRange(1, 40).Draw(t, "entries")
		for i := range n {
			offset := uint64(i + 1)
			id := rapid.Uint64Range(1, offset).Draw(t, "alarm") // often one that exists
			var body entry.Body
			switch kind := rapid.IntRange(0, 9).Draw(t, "kind"); kind {
			case 0, 1, 2:
				p := &entry.PutAlarm{Name: rapid.StringN(0, 3, 9).Draw(t, "name"), Channel: anyChannel(t),
					Operator: rapid.Uint8Range(0, 7).Draw(t, "operator"), Enabled: kind > 0,
					Threshold: anyReading(t), Low: anyReading(t), High: anyReading(t)}
				if kind == 2 {
					p.ID = id
				}
				body = p
			case 3:
				body = &entry.SwitchAlarm{ID: id, Enabled: rapid.Bool().Draw(t, "enabled")}
			case 4:
				body = &entry.DeleteAlarm{ID: id}
			default:
				body = anyRows(t)
			}
			log = append(log, step{offset, body})
		}
		return log
	})
}

func anyChannel(t *rapid.T) model.ChannelID {
	return model.ChannelID(rapid.Uint32Range(1, 4).Draw(t, "channel"))
}

func anyReading(t *rapid.T) float64 {
	return rapid.SampledFrom([]float64{0, 1, 2, 3, math.Copysign(0, -1), 1.5, math.Inf(1), math.Inf(-1), math.NaN(),
		model.QualityOver.NaN()}).Draw(t, "reading")
}

func anyRows(t *rapid.T) *entry.Rows {
	rows := &entry.Rows{}
	for range rapid.IntRange(0, 4).Draw(t, "columns") {
		c := entry.Column{Channel: anyChannel(t), Times: rapid.SliceOfN(rapid.Int64Range(-20, 20), 0, 5).Draw(t, "times")}
		for range c.Times {
			c.Values = append(c.Values, anyReading(t))
		}
		rows.Columns = append(rows.Columns, c)
	}
	return rows
}

// apply returns the events of one step and whether the set refused it.
func apply(s *alarm.Set, e step) (events []alarm.Event, err error) {
	switch body := e.body.(type) {
	case *entry.PutAlarm:
		_, err = s.Put(e.offset, body)
	case *entry.SwitchAlarm:
		err = s.Switch(body)
	case *entry.DeleteAlarm:
		err = s.Delete(body.ID)
	case *entry.Rows:
		s.Fold(e.offset, body.Columns, func(e alarm.Event) { events = append(events, e) })
	}
	return events, err
}

// naive folds row by row in the order that Fold documents.
func naive(alarms []alarm.Alarm, offset uint64, columns []entry.Column) ([]alarm.Alarm, []alarm.Event) {
	type sample struct {
		channel model.ChannelID
		time    int64
		value   float64
	}
	var rows []sample
	for _, c := range columns {
		for i := range c.Times {
			rows = append(rows, sample{c.Channel, c.Times[i], c.Values[i]})
		}
	}
	sort.SliceStable(rows, func(i, j int) bool {
		if rows[i].time != rows[j].time {
			return rows[i].time < rows[j].time
		}
		return rows[i].channel < rows[j].channel
	})
	var events []alarm.Event
	for _, r := range rows {
		for i := range alarms {
			a := &alarms[i]
			if a.Channel != r.channel || !a.Enabled {
				continue
			}
			if a.Folded && r.time <= a.FoldedTo {
				a.Late++
				continue
			}
			a.Folded, a.FoldedTo = true, r.time
			if math.IsNaN(r.value) {
				continue
			}
			before := a.State
			a.State = alarm.Normal
			if a.Holds(r.value) {
				a.State = alarm.Active
			}
			if a.State != before {
				a.Since = r.time
			}
			var kind alarm.EventKind
			switch {
			case a.State == alarm.Active && before != alarm.Active:
				kind = alarm.Start
			case a.State == alarm.Normal && before == alarm.Active:
				kind = alarm.End
			default:
				continue
			}
			events = append(events, alarm.Event{ID: wantID(a.ID, a.Version, uint8(kind), offset, r.time), Alarm: a.ID,
				Version: a.Version, Kind: kind, Time: r.time, Value: r.value, Offset: offset, Channel: a.Channel, Name: a.Name})
		}
	}
	return alarms, events
}

func TestFoldIsRowByRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := alarm.NewSet()
		seen := map[string]bool{}
		for _, e := range anyLog().Draw(t, "log") {
			before := s.All()
			got, _ := apply(s, e)
			rows, ok := e.body.(*entry.Rows)
			if !ok {
				continue
			}
			state, want := naive(before, e.offset, rows.Columns)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("entry %d:\n got %+v\nwant %+v", e.offset, got, want)
			}
			if all := s.All(); !reflect.DeepEqual(all, state) {
				t.Fatalf("entry %d:\n got %+v\nwant %+v", e.offset, all, state)
			}
			for _, e := range got {
				if seen[e.ID] {
					t.Fatalf("event %s twice", e.ID)
				}
				seen[e.ID] = true
			}
		}
	})
}

// TestTheSameEntriesGiveTheSameEvents: writing the set to a checkpoint and
// reading it back, at any point, changes nothing that comes after.
func TestTheSameEntriesGiveTheSameEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := anyLog().Draw(t, "log")
		cut := rapid.IntRange(0, len(log)).Draw(t, "cut")
		whole, resumed := alarm.NewSet(), alarm.NewSet()
		for i, e := range log {
			if i == cut {
				b := resumed.AppendTo([]byte("before"))[6:]
				decoded, err := alarm.DecodeSet(b)
				if err != nil {
					t.Fatal(err)
				}
				if again := decoded.AppendTo(nil); !bytes.Equal(again, b) {
					t.Fatalf("encoded again: %x, not %x", again, b)
				}
				resumed = decoded
			}
			want, wantErr := apply(whole, e)
			got, gotErr := apply(resumed, e)
			if !reflect.DeepEqual(got, want) || (wantErr == nil) != (gotErr == nil) {
				t.Fatalf("entry %d: %+v %v, want %+v %v", e.offset, got, gotErr, want, wantErr)
			}
		}
		if !reflect.DeepEqual(whole.All(), resumed.All()) {
			t.Fatalf("%+v, want %+v", resumed.All(), whole.All())
		}
	})
}

func TestFoldDoesNotAllocateWhereNothingHappens(t *testing.T) {
	s := alarm.NewSet()
	for i := range uint64(10) {
		mustPut(t, s, i+1, above(1e9, model.ChannelID(i+1)))
	}
	times, values := []int64{1, 2, 4, 3}, []float64{1, 2, 3, 4}
	var columns []entry.Column
	for id := model.ChannelID(20); id > 0; id-- {
		columns = append(columns, entry.Column{Channel: id, Times: times, Values: values})
	}
	emit := func(alarm.Event) { t.Error("an event") }
	if n := testing.AllocsPerRun(50, func() {
		s.Fold(99, columns, emit)
		for i := range times {
			times[i] += 10
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func sampleSet(t testing.TB) *alarm.Set {
	s := alarm.NewSet()
	mustPut(t, s, 3, above(25, 1))
	off := above(-1, math.MaxUint32)
	off.Enabled, off.Operator, off.Low, off.High = false, uint8(alarm.OutsideOrEqual), math.Copysign(0, -1), 4
	mustPut(t, s, 5, off)
	mustPut(t, s, 9, above(25, 2))
	foldColumns(s, 10, entry.Column{Channel: 1, Times: []int64{-10, -5, -10}, Values: []float64{26, 20, 1}},
		entry.Column{Channel: 2, Times: []int64{-7}, Values: []float64{math.NaN()}})
	return s
}

func TestMalformedSetsAreRefused(t *testing.T) {
	good := sampleSet(t).AppendTo(nil)
	if s, err := alarm.DecodeSet(good); err != nil || !bytes.Equal(s.AppendTo(nil), good) {
		t.Fatalf("the set itself: %v", err)
	}
	for n := range good {
		if _, err := alarm.DecodeSet(good[:n]); !errors.Is(err, alarm.ErrMalformed) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := alarm.DecodeSet(append(good[:len(good):len(good)], 0)); !errors.Is(err, alarm.ErrMalformed) {
		t.Errorf("a byte more: %v", err)
	}
	const first, third = 5, 173 // where these alarms begin
	for name, change := range map[string]struct {
		at    int
		value byte
	}{
		"version of the format": {0, 2}, "count": {1, 200}, "ID 0": {first, 0}, "IDs out of order": {first, 6},
		"version 0": {first + 8, 0}, "channel 0": {first + 16, 0}, "operator": {first + 20, 7},
		"a threshold that is infinite or NaN": {first + 28, 0x7F}, "flags": {first + 45, 7},
		"active, but folded nothing": {first + 45, 1}, "folded to a time, but folded nothing": {third + 45, 1}, "state": {first + 46, 3},
		"unknown since a time": {first + 46, 0}, "since after folded to": {first + 54, 0},
	} {
		bad := bytes.Clone(good)
		bad[change.at] = change.value
		if change.at == first+28 {
			bad[first+27] = 0xF0
		}
		if s, err := alarm.DecodeSet(bad); !errors.Is(err, alarm.ErrMalformed) {
			t.Errorf("%s: %v %v", name, s, err)
		}
	}
}

func FuzzDecodeSet(f *testing.F) {
	f.Add(alarm.NewSet().AppendTo(nil))
	f.Add(sampleSet(f).AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := alarm.DecodeSet(b)
		if err != nil {
			if !errors.Is(err, alarm.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if again := s.AppendTo(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
		fold(s, 1, 1, 2, 3, 4)
	})
}

func BenchmarkWatches(b *testing.B) {
	s := alarm.NewSet()
	for i := range uint64(1000) {
		mustPut(b, s, i+1, above(25, model.ChannelID(i*100+1)))
	}
	id, n := model.ChannelID(1), 0
	for b.Loop() {
		if s.Watches(id) {
			n++
		}
		id = id*5%100_000 + 1
	}
}

// BenchmarkFold: an entry of 1,000 channels with one row each, a tenth of them
// with an alarm that stays silent.
func BenchmarkFold(b *testing.B) {
	s := alarm.NewSet()
	for i := range uint64(100) {
		mustPut(b, s, i+1, above(1e9, model.ChannelID(i*10+1)))
	}
	times, values := []int64{0}, []float64{1}
	var columns []entry.Column
	for id := range model.ChannelID(1000) {
		columns = append(columns, entry.Column{Channel: id + 1, Times: times, Values: values})
	}
	b.ReportAllocs()
	for b.Loop() {
		times[0]++
		s.Fold(99, columns, func(alarm.Event) {})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/column")
}

func BenchmarkFoldLongColumn(b *testing.B) {
	s := alarm.NewSet()
	mustPut(b, s, 1, above(1e9, 1))
	c := entry.Column{Channel: 1, Times: make([]int64, 4096), Values: make([]float64, 4096)}
	for i := range c.Times {
		c.Times[i] = int64(i) - 4096
	}
	for b.Loop() {
		for i := range c.Times {
			c.Times[i] += 4096
		}
		s.Fold(2, []entry.Column{c}, func(alarm.Event) {})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4096, "ns/row")
}

func BenchmarkTransitions(b *testing.B) {
	s := alarm.NewSet()
	mustPut(b, s, 1, above(0, 1))
	c := []entry.Column{{Channel: 1, Times: []int64{0}, Values: []float64{1}}}
	b.ReportAllocs()
	for b.Loop() {
		c[0].Times[0]++
		c[0].Values[0] = -c[0].Values[0]
		s.Fold(2, c, func(alarm.Event) {})
	}
}
