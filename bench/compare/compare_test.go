package main

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/hokan-db/hokan/bench/peer"
	"github.com/hokan-db/hokan/bench/workload"
)

// recorder is a store that remembers what it was given.
type recorder struct {
	peer.Store
	mu      sync.Mutex
	times   map[int][]int64
	longest int // of the calls, in samples
	windows int
}

func (r *recorder) Append(rows []workload.Row) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range rows {
		r.times[row.Channel] = append(r.times[row.Channel], row.Time)
	}
	r.longest = max(r.longest, len(rows))
	return nil
}

func (r *recorder) Backfill(columns []peer.Column) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	samples := 0
	for _, c := range columns {
		r.times[c.Channel] = append(r.times[c.Channel], c.Times...)
		samples += len(c.Times)
	}
	r.longest = max(r.longest, samples)
	return nil
}

func (r *recorder) EndWindow() error {
	r.windows++
	return nil
}

// check finds out whether every sample came exactly once.
func (r *recorder) check(t *testing.T, s *workload.Set, most int) {
	t.Helper()
	for i, c := range s.Channels {
		got := slices.Sorted(slices.Values(r.times[i]))
		if !slices.Equal(got, c.Times) {
			t.Errorf("channel %d: %d samples were written of %d", i, len(got), len(c.Times))
		}
	}
	if r.longest > most {
		t.Errorf("%d samples were written at once, at most %d may be", r.longest, most)
	}
}

func TestEverySampleIsWrittenOnce(t *testing.T) {
	s := workload.Generate("tiny", 40, 12_345)
	defer s.Release()
	// A channel that ends early, as those of real files do.
	s.Channels[3].Times, s.Channels[3].Values = s.Channels[3].Times[:777], s.Channels[3].Values[:777]
	for _, subject := range []peer.Subject{
		{Writers: 1, Columns: 1}, {Writers: 4, Columns: 1, Window: 86_400_000}, {Writers: 16, Columns: 32}, {Writers: 3, Columns: 7, Window: 100_000_000},
	} {
		r := &recorder{times: map[int][]int64{}}
		if err := backfillAll(r, s, subject); err != nil {
			t.Fatal(err)
		}
		r.check(t, s, backfillRows)
		if r.windows == 0 || subject.Window == 0 && r.windows != 1 {
			t.Errorf("%+v: %d windows", subject, r.windows)
		}
	}
	live := workload.Generate("tiny", 40, 333)
	defer live.Release()
	r := &recorder{times: map[int][]int64{}}
	if err := appendAll(r, live, 4); err != nil {
		t.Fatal(err)
	}
	r.check(t, live, batchRows)
}

// TestWrongSamplesAreFound reads from a store that changes one sample, loses
// another and makes one up.
func TestWrongSamplesAreFound(t *testing.T) {
	s := workload.Generate("tiny", 20, 100)
	defer s.Release()
	var c comparisonOfSamples
	if err := c.read(&liar{set: s}, s); err != nil {
		t.Fatal(err)
	}
	// Channels 0 and 2 are temperatures, of which the set has six.
	if got := c.percent("temperature"); got != 100*2.0/600 {
		t.Errorf("%v %% of temperatures are wrong", got)
	}
	if got := c.percent("voltage"); got != 0 {
		t.Errorf("%v %% of voltages are wrong", got)
	}
	if got := c.percent(""); got != 100*2.0/2000 {
		t.Errorf("%v %% are wrong", got)
	}
}

type liar struct {
	peer.Store
	set *workload.Set
}

func (l *liar) Raw(channels []int, _, _ int64, visit peer.Visit) error {
	var failed error
	for _, i := range channels {
		times, values := slices.Clone(l.set.Channels[i].Times), slices.Clone(l.set.Channels[i].Values)
		switch i {
		case 0:
			values[50] = -values[50] - 1
		case 1:
			times, values = append(times, times[99]+1), append(values, 7)
		case 2:
			times, values = slices.Delete(times, 10, 11), slices.Delete(values, 10, 11)
		}
		failed = errors.Join(failed, visit(i, times[:40], values[:40]), visit(i, times[40:], values[40:]))
	}
	return failed
}
