package engine

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// viewBench is a view of years of minutes of 32 channels in the buckets of a
// graph.
type viewBench struct {
	db      *DB
	dir     string
	ids     []model.ChannelID
	minutes int
	buckets model.Buckets
}

func newViewBench(b *testing.B, years int) *viewBench {
	v := &viewBench{dir: b.TempDir(), minutes: years * yearMinutes}
	v.db = openBench(b, disk.Default(), v.dir)
	v.ids = fillMinutes(b, v.db, mixed(32), v.minutes)
	var err error
	v.buckets, err = model.PlanBuckets(model.Span{From: yearStart, To: yearStart + int64(v.minutes)*minuteOf}, 1366)
	if err != nil {
		b.Fatal(err)
	}
	return v
}

func (v *viewBench) compact(b *testing.B) {
	if err := v.db.Compact(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// run measures the view as it is, or after before each.
func (v *viewBench) run(b *testing.B, before func()) {
	b.ReportAllocs()
	cpu := int64(0)
	for b.Loop() {
		if before != nil {
			b.StopTimer()
			before()
			b.StartTimer()
		}
		start := cpuTime()
		view, err := v.db.Aggregate(context.Background(), "t", v.ids, v.buckets)
		if err != nil {
			b.Fatal(err)
		}
		cpu += int64(cpuTime() - start)
		rows := uint64(0)
		for i := range view[0] {
			rows += view[0][i].Count
		}
		if rows != uint64(v.minutes) {
			b.Fatalf("%d rows", rows)
		}
	}
	b.ReportMetric(float64(cpu)/1e6/float64(b.N), "cpu-ms/op")
	stats, err := v.db.Stats()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(stats.Blocks), "blocks")
}

// cool lets the blocks be closed, and the system forget what it read of them.
func (v *viewBench) cool(b *testing.B) {
	if err := v.db.readers.close(); err != nil {
		b.Fatal(err)
	}
	v.db.readers.open = map[string]*openReader{}
	v.db.readers.idle.Init()
	const dontNeed = 4
	err := filepath.WalkDir(v.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".blk" {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, _, errno := syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), 0, 0, dontNeed, 0, 0); errno != 0 {
			return errno
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// correct writes the row at noon of each day again, of so many channels a day
// in turn.
func (v *viewBench) correct(b *testing.B, channels int) {
	labels := labelsOf(len(v.ids))
	for day := range int64(v.minutes / 1440) {
		var columns []model.Column
		for c := range channels {
			columns = append(columns, model.Column{Labels: labels[(int(day)+c)%len(labels)],
				Times: []int64{yearStart + day*model.Day + model.Day/2}, Values: []float64{7}})
		}
		if _, err := v.db.Append(context.Background(), &model.Batch{Tenant: "t", Columns: columns}); err != nil {
			b.Fatal(err)
		}
	}
	if err := v.db.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkYearView is a year, 16.8 million rows: from blocks as they are
// flushed, from merged ones with the system's cache and without, and with a row
// a day corrected, of one channel or of each.
func BenchmarkYearView(b *testing.B) {
	v := newViewBench(b, 1)
	defer v.db.Close()
	if err := v.db.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	b.Run("flushed", func(b *testing.B) { v.run(b, nil) })
	v.compact(b)
	b.Run("compacted", func(b *testing.B) { v.run(b, nil) })
	b.Run("cold", func(b *testing.B) { v.run(b, func() { v.cool(b) }) })
	v.correct(b, 1)
	b.Run("corrected", func(b *testing.B) { v.run(b, nil) })
	v.correct(b, len(v.ids))
	b.Run("corrected-each", func(b *testing.B) { v.run(b, nil) })
}

// BenchmarkTenYearsView is ten of these years. It takes minutes to write them.
func BenchmarkTenYearsView(b *testing.B) {
	if os.Getenv("HOKAN_LONG") == "" {
		b.Skip("set HOKAN_LONG=1: ten years are written first")
	}
	v := newViewBench(b, 10)
	defer v.db.Close()
	v.compact(b)
	b.Run("compacted", func(b *testing.B) { v.run(b, nil) })
	b.Run("cold", func(b *testing.B) { v.run(b, func() { v.cool(b) }) })
}
