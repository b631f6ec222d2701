package block

import (
	"math"
	"slices"
	"testing"

	"github.com/hokan-db/hokan/engine/chunk"
)

func TestTimesThatOnlyHashAlikeAreNotShared(t *testing.T) {
	a, b := jittered(0, 100, 0).times, jittered(1, 100, 0).times
	column := new(chunk.Encoder).AppendTimes(nil, a, chunk.Fast)
	var w timesWriter
	w.add(a, Frame{Position: 48}, column)
	if f, ok := w.find(a); !ok || f.Position != 48 {
		t.Errorf("the same times: %v, %v", f, ok)
	}
	w.known[hashTimes(b)] = w.known[hashTimes(a)]
	if _, ok := w.find(b); ok {
		t.Error("other times of the same hash are taken for equal")
	}
	if _, ok := w.find(a[:99]); ok {
		t.Error("fewer times are taken for equal")
	}
}

func TestKnownTimesAreBounded(t *testing.T) {
	var w timesWriter
	column := make([]byte, 1<<20)
	for i := range int64(100) {
		w.add([]int64{i, i + 1, i + 3}, Frame{}, column)
		if held := len(w.known) << 20; held > maxKnownTimes || held == 0 {
			t.Fatalf("%d bytes are held", held)
		}
	}
}

func TestSharedTimesAreBounded(t *testing.T) {
	var s sharedTimes
	d := s.acquire()
	if s.acquire() != d {
		t.Error("two queries at once do not share")
	}
	times := make([]int64, maxSharedRows/4)
	for i := range int64(6) {
		d.put(Frame{Position: i}, times)
		d.put(Frame{Position: i}, times)
	}
	for i := range int64(6) {
		if held := d.get(Frame{Position: i}) != nil; held != (i < 4) {
			t.Errorf("column %d: held %v", i, held)
		}
	}
}

func TestSharedTimesAreThoseOfTheWholeFrame(t *testing.T) {
	var s sharedTimes
	d := s.acquire()
	d.put(Frame{Position: 48, Length: 9, crc: 7}, []int64{1, 2, 4})
	for f, want := range map[Frame]bool{{48, 9, 7}: true, {48, 8, 7}: false, {48, 9, 6}: false, {49, 9, 7}: false} {
		if d.get(f) != nil != want {
			t.Errorf("%+v: held %v", f, !want)
		}
	}
}

func TestClock(t *testing.T) {
	for name, times := range map[string][]int64{
		"one row":   {5},
		"two rows":  {math.MinInt64, math.MaxInt64},
		"minutes":   minutes(-600e9, 50, 0).times,
		"all times": {math.MinInt64, math.MinInt64 + math.MaxInt64, math.MaxInt64 - 1},
		"irregular": jittered(0, 50, 0).times,
	} {
		regular := isRegular(times)
		if regular != (name != "irregular") {
			t.Errorf("%s: regular %v", name, regular)
		}
		n := len(times)
		column := timeColumn{rows: uint64(n), first: times[0], last: times[n-1]}
		c := clock{rows: n, first: times[0], step: column.step()}
		if !regular {
			c.times = times
		}
		if got := c.appendTo([]int64{7}, 0, c.rows); got[0] != 7 || !slices.Equal(got[1:], times) {
			t.Errorf("%s: %d, want %d", name, got, times)
		}
		for i, at := range times {
			if c.at(i) != at {
				t.Errorf("%s: row %d at %d, want %d", name, i, c.at(i), at)
			}
			for from := range i + 1 {
				if got := c.before(from, at); got != i {
					t.Errorf("%s: %d rows before row %d, known of %d", name, got, i, from)
				}
			}
			if at < math.MaxInt64 {
				if got := c.before(0, at+1); got != i+1 {
					t.Errorf("%s: %d rows before a time after row %d", name, got, i)
				}
			}
		}
	}
}
