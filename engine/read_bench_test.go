package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/chunk/chunktest"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

const (
	minuteOf     = int64(60e9)
	yearStart    = int64(1735689600e9) // 2025-01-01
	yearMinutes  = 365 * 1440
	monthMinutes = 30 * 1440
)

// mixed returns n of the channels of the instrument mix, a month of each.
func mixed(n int) []chunktest.Series {
	all := chunktest.Mix(1, monthMinutes, 1)
	chosen := make([]chunktest.Series, n)
	for i := range chosen {
		chosen[i] = all[i*len(all)/n]
	}
	return chosen
}

// fillMinutes writes a row a minute of each series, from the start of a year
// on, in columns of 10,000 rows. A series is written again when it ends.
func fillMinutes(tb testing.TB, db *DB, series []chunktest.Series, minutes int) []model.ChannelID {
	const rows = 10_000
	labels := labelsOf(len(series))
	for from := 0; from < minutes; from += rows {
		n := min(rows, minutes-from)
		times, values := make([]int64, n), make([]float64, n)
		for i := range times {
			times[i] = yearStart + int64(from+i)*minuteOf
		}
		for c := range series {
			for i := range values {
				values[i] = series[c].Values[(from+i)%monthMinutes]
			}
			b := &model.Batch{Tenant: "t", Columns: []model.Column{{Labels: labels[c], Times: times, Values: values}}}
			if _, err := db.Append(context.Background(), b); err != nil {
				tb.Fatal(err)
			}
		}
	}
	ids := make([]model.ChannelID, len(series))
	for i := range ids {
		ids[i] = model.ChannelID(i + 1)
	}
	return ids
}

// BenchmarkRawDay reads every row of a day of 32 channels.
func BenchmarkRawDay(b *testing.B) {
	db := openBench(b, disk.Default(), b.TempDir())
	defer db.Close()
	ids := fillMinutes(b, db, mixed(32), monthMinutes)
	if err := db.Compact(context.Background()); err != nil {
		b.Fatal(err)
	}
	span := model.Span{From: yearStart + 10*model.Day, To: yearStart + 11*model.Day}
	b.ReportAllocs()
	cpu := cpuTime()
	for b.Loop() {
		s, err := db.Select(context.Background(), "t", ids, span)
		if err != nil {
			b.Fatal(err)
		}
		rows := 0
		for i := range ids {
			for c := s.Cursor(i); ; {
				times, _, err := c.Next()
				if err != nil {
					b.Fatal(err)
				}
				if len(times) == 0 {
					break
				}
				rows += len(times)
			}
		}
		s.Close()
		if rows != 32*1440 {
			b.Fatalf("%d rows", rows)
		}
	}
	b.ReportMetric((cpuTime()-cpu).Seconds()*1000/float64(b.N), "cpu-ms/op")
}

// BenchmarkBackfill writes a month of minutes of 32 channels in columns of
// 10,000 rows, sixteen at a time, each durable before it is acknowledged, and
// flushes what is in memory in the end.
func BenchmarkBackfill(b *testing.B) {
	series, labels := mixed(32), labelsOf(32)
	var columns []model.Column
	for from := 0; from < monthMinutes; from += 10_000 {
		n := min(10_000, monthMinutes-from)
		times := make([]int64, n)
		for i := range times {
			times[i] = yearStart + int64(from+i)*minuteOf
		}
		for c := range series {
			columns = append(columns, model.Column{Labels: labels[c], Times: times, Values: series[c].Values[from : from+n]})
		}
	}
	var cpu time.Duration
	for b.Loop() {
		b.StopTimer()
		db := openBench(b, disk.Default(), b.TempDir())
		start := cpuTime()
		b.StartTimer()
		var next atomic.Int64
		var writing sync.WaitGroup
		for range 16 {
			writing.Go(func() {
				for i := int(next.Add(1)) - 1; i < len(columns); i = int(next.Add(1)) - 1 {
					batch := &model.Batch{Tenant: "t", Columns: columns[i : i+1]}
					if _, err := db.Append(context.Background(), batch); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		writing.Wait()
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
	rows := float64(b.N) * float64(len(series)) * monthMinutes
	b.ReportMetric(rows/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(cpu.Nanoseconds())/rows, "cpu-ns/row")
}
