package head

import (
	"fmt"
	"testing"

	"github.com/hokan-db/hokan/engine/model"
)

// BenchmarkAppendColumn adds minutes of 1,000 channels, one row each, as live
// ingest does.
func BenchmarkAppendColumn(b *testing.B) {
	const channels, rows = 1000, 1440
	times, values := temperatures(1, rows)
	for _, late := range []bool{false, true} {
		b.Run(fmt.Sprintf("1000x1 late=%v", late), func(b *testing.B) {
			h, row := New(), 0
			for b.Loop() {
				if row == rows {
					h, row = New(), 0
				}
				for id := model.ChannelID(1); id <= channels; id++ {
					h.AppendColumn(id, times[row:row+1], values[row:row+1])
				}
				if late && row == 0 { // one late row in every tenth channel
					for id := model.ChannelID(1); id <= channels; id += 10 {
						h.AppendColumn(id, times[:1], values)
					}
				}
				row++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/channels, "ns/row")
		})
	}
	b.Run("1x4096", func(b *testing.B) {
		times, values := temperatures(1, 4096)
		h, id := New(), model.ChannelID(0)
		for b.Loop() {
			if id == 100 {
				h, id = New(), 0
			}
			id++
			h.AppendColumn(id, times, values)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4096, "ns/row")
	})
}

// BenchmarkDescending adds 100,000 rows of one channel in descending order of
// time, one by one, and reads them.
func BenchmarkDescending(b *testing.B) {
	const rows = 100_000
	for b.Loop() {
		h := New()
		for i := range rows {
			h.AppendColumn(1, []int64{int64(rows-i) * testMinute}, []float64{float64(i)})
		}
		v, _ := h.View(1)
		times, _, err := v.Decode(nil, nil)
		if err != nil || len(times) != rows {
			b.Fatal(len(times), err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms")
}

func BenchmarkView(b *testing.B) {
	h, _ := fill(1000, 60)
	id := model.ChannelID(0)
	for b.Loop() {
		id = id%1000 + 1
		if _, ok := h.View(id); !ok {
			b.Fatal("no view")
		}
	}
}

// BenchmarkSnapshot takes, writes and reads a snapshot of 10,000 channels.
func BenchmarkSnapshot(b *testing.B) {
	h, _ := fill(10_000, 60)
	var bytes []byte
	b.Run("take", func(b *testing.B) {
		for b.Loop() {
			h.Snapshot()
		}
	})
	b.Run("write", func(b *testing.B) {
		s := h.Snapshot()
		for b.Loop() {
			bytes = s.AppendTo(bytes[:0])
		}
		b.ReportMetric(float64(len(bytes)), "bytes")
	})
	b.Run("read", func(b *testing.B) {
		bytes = h.Snapshot().AppendTo(bytes[:0])
		for b.Loop() {
			if _, err := Decode(bytes); err != nil {
				b.Fatal(err)
			}
		}
	})
}
