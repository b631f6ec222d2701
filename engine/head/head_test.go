package head

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/model"
)

// rowsOf is what a head must say: per channel the value bits by time.
type rowsOf map[model.ChannelID]map[int64]uint64

func (r rowsOf) add(id model.ChannelID, times []int64, values []float64) {
	if r[id] == nil && len(times) > 0 {
		r[id] = map[int64]uint64{}
	}
	for i, t := range times {
		r[id][t] = math.Float64bits(values[i])
	}
}

func (r rowsOf) copy() rowsOf {
	c := rowsOf{}
	for id, rows := range r {
		c[id] = map[int64]uint64{}
		for t, v := range rows {
			c[id][t] = v
		}
	}
	return c
}

func (r rowsOf) channels() []model.ChannelID {
	ids := make([]model.ChannelID, 0, len(r))
	for id := range r {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// sorted returns the rows of a channel in order of time.
func (r rowsOf) sorted(id model.ChannelID) (times []int64, bits []uint64) {
	for t := range r[id] {
		times = append(times, t)
	}
	slices.Sort(times)
	for _, t := range times {
		bits = append(bits, r[id][t])
	}
	return times, bits
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func (r rowsOf) mustBe(t failer, id model.ChannelID, v View) {
	t.Helper()
	times, values, err := v.Decode([]int64{7}, []float64{7})
	if err != nil {
		t.Fatalf("channel %d: %v", id, err)
	}
	wantTimes, wantBits := r.sorted(id)
	if times[0] != 7 || values[0] != 7 || !slices.Equal(times[1:], wantTimes) || len(values) != len(times) {
		t.Fatalf("channel %d: got times %v, want %v", id, times, wantTimes)
	}
	for i, want := range wantBits {
		if got := math.Float64bits(values[i+1]); got != want {
			t.Fatalf("channel %d, time %d: got %x, want %x", id, wantTimes[i], got, want)
		}
	}
	first, last := v.Bounds()
	if first != wantTimes[0] || last != wantTimes[len(wantTimes)-1] || v.Rows() < len(wantTimes) {
		t.Fatalf("channel %d: bounds %d to %d, %d rows; want %v", id, first, last, v.Rows(), wantTimes)
	}
}

func (r rowsOf) mustBeHead(t failer, h *Head) {
	t.Helper()
	if got, want := h.Channels(), r.channels(); !slices.Equal(got, want) {
		t.Fatalf("got channels %v, want %v", got, want)
	}
	for _, id := range r.channels() {
		v, ok := h.View(id)
		if !ok {
			t.Fatalf("no view of channel %d", id)
		}
		r.mustBe(t, id, v)
	}
}

// drawColumn draws a channel and rows of it, often late, equal or far away.
func drawColumn(t *rapid.T) (id model.ChannelID, times []int64, values []float64) {
	id = rapid.SampledFrom([]model.ChannelID{1, 2, 3, 63, 64, 16384, 1 << 20, math.MaxUint32}).Draw(t, "id")
	now := rapid.Int64Range(0, 100).Draw(t, "first")
	least := rapid.SampledFrom([]int{0, 1, 1, 1, 10, 40}).Draw(t, "least rows")
	for _, seed := range rapid.SliceOfN(rapid.Uint64(), least, -1).Draw(t, "rows") {
		r := rand.New(rand.NewPCG(seed, 0))
		times = append(times, now)
		values = append(values, float64(r.IntN(20))/10)
		switch r.IntN(20) {
		case 0:
			now -= r.Int64N(20)
		case 1:
			now += r.Int64N(20)
		case 2:
			now = int64(r.Uint64()) >> r.IntN(64)
		default:
			now++
		}
	}
	return id, times, values
}

// TestHeadAgainstMap adds random columns to a head and to a map, takes views
// and snapshots on the way, goes through bytes, and compares all of them with
// what the map held then.
func TestHeadAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type seen struct {
			id   model.ChannelID
			view View
			rows rowsOf
		}
		var views []seen
		var snapshot *Snapshot
		var snapshotRows rowsOf
		h, rows, total := New(), rowsOf{}, 0
		most := map[model.ChannelID]int{}
		least := rapid.SampledFrom([]int{0, 5, 30}).Draw(t, "least operations")
		for range rapid.SliceOfN(rapid.Bool(), least, -1).Draw(t, "operations") {
			id, times, values := drawColumn(t)
			h.AppendColumn(id, times, values)
			rows.add(id, times, values)
			total += len(times)
			most[id] += len(times)
			if v, ok := h.View(id); ok != (len(rows[id]) > 0) {
				t.Fatalf("channel %d with %d rows: View says %v", id, len(rows[id]), ok)
			} else if ok && rapid.IntRange(0, 3).Draw(t, "keep the view") == 0 {
				views = append(views, seen{id, v, rows.copy()})
			}
			switch rapid.IntRange(0, 9).Draw(t, "then") {
			case 0:
				snapshot, snapshotRows = h.Snapshot(), rows.copy()
			case 1:
				h = throughBytes(t, h)
			}
		}
		rows.mustBeHead(t, h)
		for _, s := range views {
			s.rows.mustBe(t, s.id, s.view)
		}
		if snapshot != nil {
			restored, err := Decode(snapshot.AppendTo(nil))
			if err != nil {
				t.Fatalf("%v", err)
			}
			snapshotRows.mustBeHead(t, restored)
		}
		largest := 0
		for _, n := range most {
			largest = max(largest, n)
		}
		if h.Rows() != total || h.LargestChannel() != largest || h.Empty() != (total == 0) {
			t.Fatalf("Rows %d, LargestChannel %d, Empty %v; want %d, %d", h.Rows(), h.LargestChannel(), h.Empty(), total, largest)
		}
	})
}

// throughBytes returns the head after it was written and read.
func throughBytes(t failer, h *Head) *Head {
	t.Helper()
	b := h.Snapshot().AppendTo([]byte("before"))
	restored, err := Decode(b[6:])
	if err != nil {
		t.Fatalf("%v", err)
	}
	if again := restored.Snapshot().AppendTo([]byte("before")); string(again) != string(b) {
		t.Fatalf("a restored head gives other bytes")
	}
	return restored
}
