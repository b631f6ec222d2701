package wal_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/wal"
	"github.com/hokan-db/hokan/engine/wal/logtest"
)

// wideEntry is 1,000 channels with one row each, about 12 KB.
func wideEntry() *entry.Entry {
	times := []int64{1_700_000_000_000_000_000}
	rows := &entry.Rows{}
	for i := range 1000 {
		rows.Columns = append(rows.Columns, entry.Column{Channel: model.ChannelID(i + 1), Times: times,
			Values: []float64{20 + float64(i)/10}})
	}
	return &entry.Entry{Partition: model.Tenant("tenant").Partition(), Time: times[0], Tenant: "tenant", Body: rows}
}

// medianSync returns the median time of writing and syncing size bytes to a
// growing file: what an append cannot be faster than.
func medianSync(b *testing.B, dir string, size int) time.Duration {
	file, err := vfs.Default.Create(dir+"/plain", vfs.WriteCategoryUnspecified)
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	data := make([]byte, size)
	var times []time.Duration
	for range 200 {
		start := time.Now()
		if _, err := file.Write(data); err != nil {
			b.Fatal(err)
		}
		if err := file.SyncData(); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	return times[len(times)/2]
}

// BenchmarkAppend appends to a real folder with one tail, by one writer and by
// 16 at once.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprintf("Writers=%d", writers), func(b *testing.B) {
			dir := b.TempDir()
			plain := medianSync(b, dir, 12<<10)
			l, err := wal.Open(wal.Options{FS: vfs.Default, Dir: dir + "/log"})
			if err != nil {
				b.Fatal(err)
			}
			tail, err := l.Tail(nil, logtest.All)
			if err != nil {
				b.Fatal(err)
			}
			var reading, writing sync.WaitGroup
			reading.Go(func() {
				for {
					if _, err := tail.Next(b.Context()); err != nil {
						return
					}
				}
			})
			latencies := make([][]time.Duration, writers)
			var count atomic.Int64
			b.ResetTimer()
			for w := range writers {
				writing.Go(func() {
					e := wideEntry()
					for count.Add(1) <= int64(b.N) {
						start := time.Now()
						if _, err := logtest.Append(l, e); err != nil {
							b.Error(err)
							return
						}
						latencies[w] = append(latencies[w], time.Since(start))
					}
				})
			}
			writing.Wait()
			b.StopTimer()
			all := slices.Sorted(slices.Values(slices.Concat(latencies...)))
			b.ReportMetric(float64(all[len(all)/2].Microseconds()), "median-µs")
			b.ReportMetric(float64(plain.Microseconds()), "median-plain-sync-µs")
			l.Close()
			reading.Wait()
		})
	}
}

// BenchmarkAppendWithoutDisk is what an append costs beside its sync.
func BenchmarkAppendWithoutDisk(b *testing.B) {
	fsys := vfs.NewMem()
	l, err := wal.Open(wal.Options{FS: fsys, Dir: "log"})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	tail, err := l.Tail(nil, logtest.All)
	if err != nil {
		b.Fatal(err)
	}
	e := wideEntry()
	for b.Loop() {
		offset, err := logtest.Append(l, e)
		if err != nil {
			b.Fatal(err)
		}
		tail.TryNext()
		if offset%1000 == 0 {
			l.Trim(offset)
		}
	}
}

// processorTime is what the process has used, in ns: the machine may be busy.
func processorTime() int64 {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return usage.Utime.Nano() + usage.Stime.Nano()
}

// BenchmarkReplay reads a log of wide entries back.
func BenchmarkReplay(b *testing.B) {
	fsys, dir := vfs.Default, b.TempDir()+"/log"
	l, err := wal.Open(wal.Options{FS: fsys, Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	var writing sync.WaitGroup
	for range 64 {
		writing.Go(func() {
			for range 100 {
				if _, err := logtest.Append(l, wideEntry()); err != nil {
					b.Error(err)
				}
			}
		})
	}
	writing.Wait()
	l.Close()
	if l, err = wal.Open(wal.Options{FS: fsys, Dir: dir}); err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	b.SetBytes(l.Bytes())
	before := processorTime()
	defer func() {
		perByte := float64(processorTime()-before) / float64(l.Bytes()) / float64(b.N)
		b.ReportMetric(1e3/perByte, "MB/processor-s")
	}()
	for b.Loop() {
		tail, err := l.Tail(nil, logtest.All)
		if err != nil {
			b.Fatal(err)
		}
		count := 0
		for {
			entries, err := tail.TryNext()
			if err != nil {
				b.Fatal(err)
			}
			if entries == nil {
				break
			}
			count += len(entries)
		}
		if count != 6400 {
			b.Fatalf("%d entries", count)
		}
		tail.Close()
	}
}
