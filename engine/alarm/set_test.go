package alarm_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

func above(threshold float64, channel model.ChannelID) *entry.PutAlarm {
	return &entry.PutAlarm{Name: "hot", Match: "{}", Channel: channel, Operator: uint8(alarm.Greater),
		Threshold: threshold, Enabled: true}
}

func mustPut(t testing.TB, s *alarm.Set, offset uint64, p *entry.PutAlarm) uint64 {
	t.Helper()
	id, err := s.Put(offset, p)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func get(t testing.TB, s *alarm.Set, id uint64) alarm.Alarm {
	t.Helper()
	a, ok := s.Get(id)
	if !ok {
		t.Fatalf("no alarm %d", id)
	}
	return a
}

// fold folds pairs of time and value of channel 1 and returns the events as
// "start 3=26".
func fold(s *alarm.Set, offset uint64, pairs ...float64) string {
	c := entry.Column{Channel: 1}
	for i := 0; i < len(pairs); i += 2 {
		c.Times = append(c.Times, int64(pairs[i]))
		c.Values = append(c.Values, pairs[i+1])
	}
	return foldColumns(s, offset, c)
}

func foldColumns(s *alarm.Set, offset uint64, columns ...entry.Column) string {
	var events []string
	s.Fold(offset, columns, func(e alarm.Event) {
		events = append(events, fmt.Sprintf("%s %d=%v", e.Kind, e.Time, e.Value))
	})
	return strings.Join(events, ", ")
}

func TestTransitions(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name  string
		rows  []float64
		want  string
		state alarm.State
		since int64
	}{
		{"unknown to normal is silent", []float64{1, 20}, "", alarm.Normal, 1},
		{"unknown to active starts", []float64{1, 26}, "start 1=26", alarm.Active, 1},
		{"staying active is silent", []float64{1, 26, 2, 27}, "start 1=26", alarm.Active, 1},
		{"active to normal ends", []float64{1, 26, 2, 25}, "start 1=26, end 2=25", alarm.Normal, 2},
		{"again", []float64{1, 26, 2, 25, 3, 26}, "start 1=26, end 2=25, start 3=26", alarm.Active, 3},
		{"no number, no state", []float64{1, nan}, "", alarm.Unknown, 0},
		{"no number holds active", []float64{1, 26, 2, nan, 3, 26}, "start 1=26", alarm.Active, 1},
		{"no number holds normal", []float64{1, 20, 2, nan, 3, 26}, "start 3=26", alarm.Active, 3},
		{"infinities are numbers", []float64{1, math.Inf(1), 2, math.Inf(-1)}, "start 1=+Inf, end 2=-Inf", alarm.Normal, 2},
		{"rows of an entry are folded in time order", []float64{3, 26, 1, 26, 2, 20}, "start 1=26, end 2=20, start 3=26", alarm.Active, 3},
	} {
		s := alarm.NewSet()
		id := mustPut(t, s, 7, above(25, 1))
		if got := fold(s, 8, c.rows...); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if a := get(t, s, id); a.State != c.state || a.Since != c.since {
			t.Errorf("%s: %s since %d", c.name, a.State, a.Since)
		}
	}
}

func TestLateRowsAreCountedAndChangeNothing(t *testing.T) {
	s := alarm.NewSet()
	id := mustPut(t, s, 1, above(25, 1))
	fold(s, 2, 10, 26)
	if got := fold(s, 3, 5, 20, 10, 20); got != "" {
		t.Errorf("late rows made %q", got)
	}
	if a := get(t, s, id); a.Late != 2 || a.State != alarm.Active || a.FoldedTo != 10 {
		t.Errorf("%+v", a)
	}
	// A row without a number moves the time too.
	if got := fold(s, 4, 20, math.NaN(), 15, 20); got != "end 15=20" {
		t.Errorf("rows of one entry are not folded in order: %q", got)
	}
	if got := fold(s, 5, 20, 26, 19, 26); got != "" {
		t.Errorf("late behind a row without a number: %q", got)
	}
	if a := get(t, s, id); a.Late != 4 || a.FoldedTo != 20 {
		t.Errorf("%+v", a)
	}
	if got := fold(s, 6, 21, 26, 21, 20); got != "start 21=26" { // of equal times the first counts
		t.Errorf("equal times: %q", got)
	}
}

func TestTheEarliestTimeIsNotLate(t *testing.T) {
	s := alarm.NewSet()
	id := mustPut(t, s, 1, above(25, 1))
	foldColumns(s, 2, entry.Column{Channel: 1, Times: []int64{math.MinInt64}, Values: []float64{26}})
	if a := get(t, s, id); a.State != alarm.Active || a.Late != 0 || !a.Folded {
		t.Errorf("%+v", a)
	}
}

func TestDisablingFreezesAndEnablingStartsClean(t *testing.T) {
	s := alarm.NewSet()
	id := mustPut(t, s, 1, above(25, 1))
	fold(s, 2, 10, 26, 5, 26, 8, 26)
	before := get(t, s, id)
	must(t, s.Switch(&entry.SwitchAlarm{ID: id}))
	if s.Watches(1) {
		t.Error("a disabled alarm watches")
	}
	if got := fold(s, 3, 11, 20, 12, 27, 1, 1); got != "" {
		t.Errorf("a disabled alarm made %q", got)
	}
	frozen := get(t, s, id)
	before.Enabled = false
	if frozen != before {
		t.Errorf("disabling changed\n%+v to\n%+v", before, frozen)
	}
	must(t, s.Switch(&entry.SwitchAlarm{ID: id, Enabled: true}))
	a := get(t, s, id)
	if a.State != alarm.Unknown || a.Folded || a.FoldedTo != 0 || a.Late != 0 || a.Since != 0 || a.Version != 1 || !s.Watches(1) {
		t.Errorf("enabled: %+v", a)
	}
	if got := fold(s, 4, 5, 26); got != "start 5=26" { // earlier than what it knew
		t.Errorf("after enabling: %q", got)
	}
	must(t, s.Switch(&entry.SwitchAlarm{ID: id, Enabled: true}))
	if a := get(t, s, id); a.State != alarm.Active {
		t.Errorf("enabling an enabled alarm changed it: %+v", a)
	}
}

func TestPutReplaces(t *testing.T) {
	s := alarm.NewSet()
	id := mustPut(t, s, 7, above(25, 1))
	if id != 7 {
		t.Errorf("ID %d, not the offset", id)
	}
	fold(s, 8, 1, 26)
	next := above(30, 2)
	next.ID, next.Name = id, "hotter"
	if got := mustPut(t, s, 9, next); got != id {
		t.Errorf("ID %d became %d", id, got)
	}
	a := get(t, s, id)
	if a.Version != 2 || a.Name != "hotter" || a.Threshold != 30 || a.State != alarm.Unknown || a.Folded {
		t.Errorf("%+v", a)
	}
	if s.Watches(1) || !s.Watches(2) {
		t.Error("it watches its old channel")
	}
	next.Enabled = false
	mustPut(t, s, 10, next)
	if a := get(t, s, id); s.Watches(2) || a.Enabled || a.Version != 3 {
		t.Errorf("replaced by a disabled one: %+v", a)
	}
}

func TestRefusals(t *testing.T) {
	s := alarm.NewSet()
	id := mustPut(t, s, 7, above(25, 1))
	before := fmt.Sprintf("%+v", s.All())
	unknown, noChannel, noOperator := above(1, 1), above(1, 0), above(1, 1)
	unknown.ID, noOperator.Operator = 99, 0
	same := above(1, 2)
	same.ID, same.Low = id, math.NaN()
	for name, p := range map[string]*entry.PutAlarm{"no channel": noChannel, "no operator": noOperator, "not finite": same} {
		if id, err := s.Put(8, p); !errors.Is(err, alarm.ErrInvalid) || id != 0 {
			t.Errorf("%s: %d, %v", name, id, err)
		}
	}
	if id, err := s.Put(8, unknown); !errors.Is(err, alarm.ErrUnknown) || id != 0 {
		t.Error(id, err)
	}
	for _, offset := range []uint64{0, 7} {
		if id, err := s.Put(offset, above(1, 1)); !errors.Is(err, alarm.ErrInvalid) || id != 0 {
			t.Errorf("offset %d: %d, %v", offset, id, err)
		}
	}
	if err := s.Switch(&entry.SwitchAlarm{ID: 99}); !errors.Is(err, alarm.ErrUnknown) {
		t.Error(err)
	}
	if err := s.Delete(99); !errors.Is(err, alarm.ErrUnknown) {
		t.Error(err)
	}
	if _, ok := s.Get(99); ok {
		t.Error("there is an alarm 99")
	}
	if after := fmt.Sprintf("%+v", s.All()); after != before {
		t.Errorf("a refused entry changed\n%s to\n%s", before, after)
	}
}

func TestDeletedAlarmsWatchNothing(t *testing.T) {
	s := alarm.NewSet()
	a, b := mustPut(t, s, 1, above(25, 1)), mustPut(t, s, 2, above(26, 1))
	must(t, s.Delete(a))
	if !s.Watches(1) || s.Len() != 1 {
		t.Error("deleting one alarm took the other along")
	}
	if got := fold(s, 3, 1, 26); got != "" {
		t.Errorf("a deleted alarm made %q", got)
	}
	must(t, s.Delete(b))
	if s.Watches(1) || s.Len() != 0 || len(s.All()) != 0 {
		t.Error("something is left")
	}
}

func TestWatchesAtTheEdgesOfPages(t *testing.T) {
	ids := []model.ChannelID{1, 63, 64, 4095, 4096, 8191, 1 << 20, math.MaxUint32}
	s := alarm.NewSet()
	for i, id := range ids {
		mustPut(t, s, uint64(i+1), above(1, id))
	}
	for i, id := range ids {
		for _, near := range []model.ChannelID{id - 1, id, id + 1} {
			want := false
			for _, watched := range ids[i:] {
				want = want || near == watched
			}
			if i > 0 && near == ids[i-1] {
				continue
			}
			if s.Watches(near) != want {
				t.Errorf("Watches(%d) is %v", near, !want)
			}
		}
		must(t, s.Delete(uint64(i+1)))
	}
}

func TestEventsSayWhatHappened(t *testing.T) {
	s := alarm.NewSet()
	mustPut(t, s, 5, above(25, 3))
	var got []alarm.Event
	s.Fold(6, []entry.Column{{Channel: 3, Times: []int64{100}, Values: []float64{26.5}}}, func(e alarm.Event) { got = append(got, e) })
	want := alarm.Event{ID: "7a1354aa961fa48cddd8c661cda5be62", Alarm: 5, Version: 1, Kind: alarm.Start, Time: 100, Value: 26.5, Offset: 6, Channel: 3, Name: "hot"}
	if len(got) != 1 {
		t.Fatalf("%d events", len(got))
	}
	if got[0] != want {
		t.Errorf("got  %+v\nwant %+v", got[0], want)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
