package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// BenchmarkAttach writes a year of minutes of 32 channels, so many rows of each at
// a time, one append after the other, each durable before the next begins, and
// flushes in the end. Rows says that they go in as rows.
//
//	GOMAXPROCS=1 taskset -c 0 go test -run '^$' -bench Attach ./engine
func BenchmarkAttach(b *testing.B) {
	const yearMinutes = 365 * 1440
	series, labels := mixed(32), labelsOf(32)
	for _, rows := range []int{1024, 4096, 32768} {
		for _, form := range []string{"attached", "rows"} {
			b.Run(fmt.Sprintf("%s/%d", form, rows), func(b *testing.B) {
				var cpu time.Duration
				for b.Loop() {
					b.StopTimer()
					db := openBench(b, disk.Default(), b.TempDir())
					if form == "rows" {
						db.attach.rows = 1 << 60
					}
					start := cpuTime()
					b.StartTimer()
					times := make([]int64, rows)
					for from := 0; from < yearMinutes; from += rows {
						n := min(rows, yearMinutes-from)
						for i := range n {
							times[i] = yearStart + int64(from+i)*minuteOf
						}
						columns := make([]model.Column, len(series))
						for c := range series {
							at := from % (len(series[c].Values) - rows)
							columns[c] = model.Column{Labels: labels[c], Times: times[:n], Values: series[c].Values[at : at+n]}
						}
						if _, err := db.Append(context.Background(), &model.Batch{Tenant: "t", Columns: columns}); err != nil {
							b.Fatal(err)
						}
					}
					if err := db.Flush(context.Background()); err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					cpu += cpuTime() - start
					if err := db.Close(); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
				all := float64(b.N) * float64(len(series)) * yearMinutes
				b.ReportMetric(all/b.Elapsed().Seconds(), "rows/s")
				b.ReportMetric(float64(cpu.Nanoseconds())/all, "cpu-ns/row")
			})
		}
	}
}
