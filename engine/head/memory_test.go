package head

import (
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"

	"github.com/hokan-db/hokan/engine/model"
)

const (
	testStart  = int64(1751328000e9)
	testMinute = int64(60e9)
)

// temperatures returns one-minute rows: a random walk rounded to 0.1.
func temperatures(seed uint64, rows int) (times []int64, values []float64) {
	r := rand.New(rand.NewPCG(2, seed))
	base := 15 + 40*r.Float64()
	x := base
	for i := range rows {
		x += 0.06*r.NormFloat64() + 0.001*(base-x)
		times = append(times, testStart+int64(i)*testMinute)
		values = append(values, math.Round(x*10)/10)
	}
	return times, values
}

func liveBytes() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// fill returns a head of channels that got one row each per minute, and the
// heap that it holds on to.
func fill(channels, rows int) (h *Head, heap int) {
	const walks = 1000
	var times []int64
	values := make([][]float64, walks)
	for i := range values {
		times, values[i] = temperatures(uint64(i), rows)
	}
	before := liveBytes()
	h = New()
	for row := range rows {
		for c := range channels {
			h.AppendColumn(model.ChannelID(c+1), times[row:row+1], values[c%walks][row:row+1])
		}
	}
	heap = liveBytes() - before
	runtime.KeepAlive(values)
	return h, heap
}

func TestMemoryPerChannel(t *testing.T) {
	if underRace {
		t.Skip("memory is different under the race detector")
	}
	channels := 20_000
	if os.Getenv("HOKAN_LONG") != "" {
		channels = 240_000
	}
	for _, c := range []struct {
		rows int
		most float64 // bytes per channel
	}{
		{1, 160},
		{60, 100e6 / 240_000},
		{360, 450e6 / 240_000},
	} {
		h, heap := fill(channels, c.rows)
		perChannel := float64(heap) / float64(channels)
		t.Logf("%d channels x %d rows: %.1f MB live heap, Bytes %.1f MB; %.0f bytes per channel, %.2f per row; 240,000 channels would take %.1f MB",
			channels, c.rows, float64(heap)/1e6, float64(h.Bytes())/1e6, perChannel, perChannel/float64(c.rows), perChannel*240_000/1e6)
		if perChannel > c.most {
			t.Errorf("%d rows take %.0f bytes per channel, want at most %.0f", c.rows, perChannel, c.most)
		}
		if math.Abs(float64(h.Bytes()-heap)) > 0.15*float64(heap) {
			t.Errorf("Bytes says %d, the heap has %d", h.Bytes(), heap)
		}
		if v, _ := h.View(7); v.Rows() != c.rows {
			t.Errorf("channel 7 has %d rows", v.Rows())
		}
	}
}

func TestBytesCountsLateRows(t *testing.T) {
	h := New()
	h.AppendColumn(1, []int64{0}, []float64{0})
	before := h.Bytes()
	const rows = 10_000
	for i := range int64(rows) {
		h.AppendColumn(1, []int64{-i}, []float64{0})
	}
	if perRow := float64(h.Bytes()-before) / rows; perRow < 16 || perRow > 32 {
		t.Fatalf("%v bytes per late row", perRow)
	}
}

// TestAllocations holds the hot paths to what they may allocate.
func TestAllocations(t *testing.T) {
	if underRace {
		t.Skip("memory is different under the race detector")
	}
	h := New()
	times, values := temperatures(1, 4096)
	for id := model.ChannelID(1); id <= 1000; id++ {
		h.AppendColumn(id, times[:100], values[:100])
	}
	row := 100
	// A slab is 256 KiB; a row takes some bytes of it.
	appends := testing.AllocsPerRun(100, func() {
		for id := model.ChannelID(1); id <= 1000; id++ {
			h.AppendColumn(id, times[row:row+1], values[row:row+1])
		}
		row++
	})
	if appends > 1 {
		t.Errorf("1,000 rows allocate %v times", appends)
	}
	gotTimes, gotValues := make([]int64, 0, 4096), make([]float64, 0, 4096)
	reads := testing.AllocsPerRun(100, func() {
		v, _ := h.View(7)
		gotTimes, gotValues, _ = v.Decode(gotTimes[:0], gotValues[:0])
	})
	if reads > 0.5 {
		t.Errorf("a view and its rows allocate %v times", reads)
	}
}
