package peer_test

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/hokan-db/hokan/bench/peer"
	"github.com/hokan-db/hokan/bench/workload"
)

// open opens a subject on a new folder for the samples of s.
func open(t *testing.T, subject peer.Subject, s *workload.Set) peer.Store {
	t.Helper()
	_, to := s.Span()
	store, err := subject.Open(peer.Options{Dir: t.TempDir(), Channels: len(s.Channels), Now: to - 1, Settle: 1})
	if errors.Is(err, peer.ErrNotThere) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// inProcess are the subjects that need nothing but this program.
func inProcess(t *testing.T, test func(t *testing.T, subject peer.Subject)) {
	for _, subject := range peer.Subjects() {
		if !subject.Server {
			t.Run(subject.ID, func(t *testing.T) { test(t, subject) })
		}
	}
}

// check reads everything back and compares it to the bit.
func check(t *testing.T, store peer.Store, s *workload.Set) {
	t.Helper()
	from, to := s.Span()
	times, values := make([][]int64, len(s.Channels)), make([][]float64, len(s.Channels))
	err := store.Raw(peer.Channels(len(s.Channels)), from, to, func(channel int, t []int64, v []float64) error {
		times[channel], values[channel] = append(times[channel], t...), append(values[channel], v...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range s.Channels {
		if !slices.Equal(times[i], c.Times) || !slices.EqualFunc(values[i], c.Values, func(a, b float64) bool {
			return math.Float64bits(a) == math.Float64bits(b)
		}) {
			t.Errorf("channel %d (%s): %d samples came back, not the %d that were written", i, c.Class, len(times[i]), len(c.Times))
		}
	}
	if n, err := store.Count(); err != nil || n != int64(s.Samples()) {
		t.Errorf("count is %d, %v; want %d", n, err, s.Samples())
	}
}

func TestLiveSamplesComeBack(t *testing.T) {
	inProcess(t, func(t *testing.T, subject peer.Subject) {
		s := workload.Generate("tiny", 40, 300)
		defer s.Release()
		store := open(t, subject, s)
		rows := make([]workload.Row, 100)
		for first := 0; ; first += len(rows) {
			n := s.Rows(rows, first)
			if n == 0 {
				break
			}
			if err := store.Append(rows[:n]); err != nil {
				t.Fatal(err)
			}
		}
		check(t, store, s)
		if n, err := store.Latest(peer.Channels(40)); err != nil || n != 40 {
			t.Errorf("latest tells of %d channels, %v", n, err)
		}
		if err := store.Settle(); err != nil {
			t.Fatal(err)
		}
		check(t, store, s)
	})
}

func TestSizeTellsSamplesFromIndex(t *testing.T) {
	inProcess(t, func(t *testing.T, subject peer.Subject) {
		s := workload.Generate("tiny", 20, 1000)
		defer s.Release()
		dir := t.TempDir()
		store, err := subject.Open(peer.Options{Dir: dir, Channels: 20})
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range s.Channels {
			if err := store.Backfill([]peer.Column{{Channel: i, Times: c.Times, Values: c.Values}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(store.EndWindow(), store.Settle(), store.Close()); err != nil {
			t.Fatal(err)
		}
		size, err := subject.Size(dir)
		if err != nil {
			t.Fatal(err)
		}
		all, err := peer.FolderBytes(dir)
		if err != nil || size.Raw < 4000 || size.Index <= 0 || size.Raw+size.Rollups+size.Index > all {
			t.Errorf("%+v of %d bytes, %v", size, all, err)
		}
	})
}

func TestBackfilledSamplesComeBack(t *testing.T) {
	inProcess(t, func(t *testing.T, subject peer.Subject) {
		s := workload.Generate("tiny", 40, 3000)
		defer s.Release()
		store := open(t, subject, s)
		for from := 0; from < 3000; from += 1000 {
			var columns []peer.Column
			for i, c := range s.Channels {
				columns = append(columns, peer.Column{Channel: i, Times: c.Times[from : from+1000], Values: c.Values[from : from+1000]})
			}
			for together := range slices.Chunk(columns, subject.Columns) {
				if err := store.Backfill(together); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := errors.Join(store.EndWindow(), store.Settle()); err != nil {
			t.Fatal(err)
		}
		check(t, store, s)
	})
}

func TestViewIsThatOfThePlainLoop(t *testing.T) {
	const buckets = 7
	inProcess(t, func(t *testing.T, subject peer.Subject) {
		s := workload.Generate("tiny", 20, 500)
		defer s.Release()
		store := open(t, subject, s)
		for i, c := range s.Channels {
			if err := store.Backfill([]peer.Column{{Channel: i, Times: c.Times, Values: c.Values}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(store.EndWindow(), store.Settle()); err != nil {
			t.Fatal(err)
		}
		from, to := s.Span()
		view, err := store.View(peer.Channels(20), from, to, buckets)
		if err != nil || view.Channels != 20 {
			t.Fatalf("%d channels, %v", view.Channels, err)
		}
		for i, c := range s.Channels {
			want := reduce(c, from, to, buckets)
			for k, got := range view.Buckets[i] {
				if got.Count != want[k].Count || got.Min != want[k].Min || got.Max != want[k].Max ||
					math.Abs(got.Mean-want[k].Mean) > 1e-9*math.Abs(want[k].Mean) {
					t.Errorf("channel %d bucket %d is %+v, want %+v", i, k, got, want[k])
				}
			}
		}
	})
}

func reduce(c workload.Channel, from, to int64, buckets int) []peer.Bucket {
	width := (to - from + int64(buckets) - 1) / int64(buckets)
	all := make([]peer.Bucket, buckets)
	for i, t := range c.Times {
		b, v := &all[(t-from)/width], c.Values[i]
		if b.Count == 0 {
			b.Min, b.Max = v, v
		}
		b.Min, b.Max = min(b.Min, v), max(b.Max, v)
		b.Mean += v
		b.Count++
	}
	for i := range all {
		all[i].Mean /= float64(all[i].Count)
	}
	return all
}

func TestExportHasALineForEverySample(t *testing.T) {
	inProcess(t, func(t *testing.T, subject peer.Subject) {
		s := workload.Generate("tiny", 10, 100)
		defer s.Release()
		store := open(t, subject, s)
		for i, c := range s.Channels {
			if err := store.Backfill([]peer.Column{{Channel: i, Times: c.Times, Values: c.Values}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(store.EndWindow(), store.Settle()); err != nil {
			t.Fatal(err)
		}
		var csv bytes.Buffer
		from, to := s.Span()
		if err := store.Export(&csv, peer.Channels(10), from, to); err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(csv.Bytes(), []byte("\n")); lines != s.Samples() {
			t.Errorf("%d lines for %d samples", lines, s.Samples())
		}
	})
}
