package engine

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

// Benchmarks of whole operations on a real disk. Run them on one core:
//
//	GOMAXPROCS=1 taskset -c 0 go test -run '^$' -bench . -count 6 ./engine

// temperature is a channel at minute i: a slow wave with a flicker, in tenths.
func temperature(channel, i int) float64 {
	h := uint64(channel)<<32 ^ uint64(i)
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	wave := 200 + float64(channel%50) + 30*math.Sin(float64(i)/400+float64(channel))
	return math.Round(wave+float64(h%3)-1) / 10
}

func benchLabels(channel int) model.Labels {
	l, err := model.NewLabels(
		model.Label{Name: "instrument", Value: fmt.Sprintf("logger-%03d", channel/30)},
		model.Label{Name: "channel", Value: fmt.Sprintf("%d-%d", channel%30/10+1, channel%10+1)})
	if err != nil {
		panic(err)
	}
	return l
}

func openBench(tb testing.TB, fs disk.FS, dir string) *DB {
	tb.Helper()
	db, err := Open(Options{FS: fs, Dir: dir, Clock: time.Now})
	if err != nil {
		tb.Fatal(err)
	}
	if err := db.CreateTenant(context.Background(), "t"); err != nil {
		tb.Fatal(err)
	}
	return db
}

// minuteBatch is one row of each of n channels.
func minuteBatch(n, minute int, labels []model.Labels) *model.Batch {
	b := &model.Batch{Tenant: "t"}
	times := []int64{1.7e18 + int64(minute)*60e9}
	values := make([]float64, n)
	for i := range n {
		values[i] = temperature(i, minute)
		b.Columns = append(b.Columns, model.Column{Labels: labels[i], Times: times, Values: values[i : i+1]})
	}
	return b
}

func labelsOf(n int) []model.Labels {
	labels := make([]model.Labels, n)
	for i := range labels {
		labels[i] = benchLabels(i)
	}
	return labels
}

// syncTimer times the syncs of the log's segments.
type syncTimer struct {
	disk.FS
	mu   sync.Mutex
	took []time.Duration
}

func (s *syncTimer) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := s.FS.Create(name, category)
	if err == nil && strings.HasSuffix(name, ".seg") {
		return &timedFile{f, s}, nil
	}
	return f, err
}

type timedFile struct {
	vfs.File
	timer *syncTimer
}

func (f *timedFile) SyncData() error {
	start := time.Now()
	err := f.File.SyncData()
	f.timer.mu.Lock()
	f.timer.took = append(f.timer.took, time.Since(start))
	f.timer.mu.Unlock()
	return err
}

// median and sum of the syncs since the last call.
func (s *syncTimer) take() (median, sum time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.took) == 0 {
		return 0, 0
	}
	for _, d := range s.took {
		sum += d
	}
	slices.Sort(s.took)
	median = s.took[len(s.took)/2]
	s.took = s.took[:0]
	return median, sum
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAppend writes batches of one row of each of 1,000 channels, every
// one synced, by one writer and by sixteen.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			const channels = 1000
			timer := &syncTimer{FS: disk.Default()}
			db := openBench(b, timer, b.TempDir())
			defer db.Close()
			labels := labelsOf(channels)
			// A ring, so that the collector has little to scan: each use is a
			// ring's length later.
			ring := make([]*model.Batch, 32)
			for i := range ring {
				ring[i] = minuteBatch(channels, i, labels)
			}
			if _, err := db.Append(context.Background(), minuteBatch(channels, -1, labels)); err != nil {
				b.Fatal(err)
			}
			var next atomic.Int64
			var running sync.WaitGroup
			timer.take()
			cpu := cpuTime()
			b.ResetTimer()
			for range writers {
				running.Go(func() {
					for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
						batch := ring[i%int64(len(ring))]
						batch.Columns[0].Times[0] = 1.7e18 + i*60e9
						if _, err := db.Append(context.Background(), batch); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			running.Wait()
			b.StopTimer()
			rows := float64(b.N) * channels
			b.ReportMetric(rows/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/rows, "cpu-ns/row")
			median, syncing := timer.take()
			b.ReportMetric(float64(median.Microseconds()), "µs/sync")
			if writers == 1 {
				b.ReportMetric(float64((b.Elapsed()-syncing).Microseconds())/float64(b.N), "µs/batch-beyond-sync")
			}
		})
	}
}

// fillMonth writes 30 days at one minute of n channels, an hour per batch.
func fillMonth(tb testing.TB, db *DB, n int) {
	labels := labelsOf(n)
	for from := 0; from < 30*1440; from += 60 {
		b := &model.Batch{Tenant: "t"}
		times := make([]int64, 60)
		for i := range times {
			times[i] = 1.7e18 + int64(from+i)*60e9
		}
		for c := range n {
			values := make([]float64, 60)
			for i := range values {
				values[i] = temperature(c, from+i)
			}
			b.Columns = append(b.Columns, model.Column{Labels: labels[c], Times: times, Values: values})
		}
		if _, err := db.Append(context.Background(), b); err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkView aggregates 30 days of 32 channels into 1,366 buckets.
func BenchmarkView(b *testing.B) {
	db := openBench(b, disk.Default(), b.TempDir())
	defer db.Close()
	fillMonth(b, db, 32)
	channels, err := db.Channels(context.Background(), "t", nil)
	if err != nil {
		b.Fatal(err)
	}
	var ids []model.ChannelID
	for _, c := range channels {
		ids = append(ids, c.ID)
	}
	buckets, err := model.PlanBuckets(model.Span{From: 1.7e18, To: 1.7e18 + 30*model.Day}, 1366)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		view, err := db.Aggregate(context.Background(), "t", ids, buckets)
		if err != nil {
			b.Fatal(err)
		}
		rows := uint64(0)
		for i := range view[0] {
			rows += view[0][i].Count
		}
		if rows != 30*1440 {
			b.Fatalf("%d rows", rows)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(32*30*1440), "ns/row")
}

// BenchmarkLatest asks for the newest value of 10,000 channels.
func BenchmarkLatest(b *testing.B) {
	db := openBench(b, disk.Default(), b.TempDir())
	defer db.Close()
	const n = 10000
	if _, err := db.Append(context.Background(), minuteBatch(n, 0, labelsOf(n))); err != nil {
		b.Fatal(err)
	}
	ids := make([]model.ChannelID, n)
	for i := range ids {
		ids[i] = model.ChannelID(i + 1)
	}
	for b.Loop() {
		latest, err := db.Latest(context.Background(), "t", ids)
		if err != nil || !latest[n-1].OK {
			b.Fatal(err)
		}
	}
}

// BenchmarkRecovery opens a database whose log holds 4 million rows that no
// checkpoint does, with an alarm on every channel.
func BenchmarkRecovery(b *testing.B) {
	const channels, minutes = 1000, 4000
	dir := b.TempDir()
	db := openBench(b, disk.Default(), dir)
	labels := labelsOf(channels)
	for i := range minutes {
		if _, err := db.Append(context.Background(), minuteBatch(channels, i, labels)); err != nil {
			b.Fatal(err)
		}
		for id := 1; i == 0 && id <= channels; id++ {
			put := entry.PutAlarm{Channel: model.ChannelID(id), Operator: uint8(alarm.Greater), Threshold: 1000, Enabled: true}
			if _, err := db.PutAlarm(context.Background(), "t", put); err != nil {
				b.Fatal(err)
			}
		}
	}
	took, _ := restartCrashed(b, db, dir)
	b.ReportMetric(channels*minutes*float64(b.N)/took.Seconds(), "rows/s")
}

// BenchmarkRestart opens a database of 1,000 tenants with 24 channels each whose
// log holds 64 MiB that no checkpoint does, a minute of a tenant in an entry.
func BenchmarkRestart(b *testing.B) {
	const tenants, channels, bytes = 1000, 24, 64 << 20
	ctx := context.Background()
	dir := b.TempDir()
	db, err := Open(Options{FS: disk.Default(), Dir: dir, Clock: time.Now, CheckpointAge: 1 << 60, CheckpointBytes: 1 << 60})
	if err != nil {
		b.Fatal(err)
	}
	names := make([]model.Tenant, tenants)
	for i := range names {
		names[i] = model.Tenant(fmt.Sprintf("tenant-%05d", i))
	}
	if err := parallel(names, func(_ int, name model.Tenant) error { return db.CreateTenant(ctx, name) }); err != nil {
		b.Fatal(err)
	}
	labels := labelsOf(channels)
	rows := 0
	for minute := 0; ; minute++ {
		err := parallel(names, func(_ int, name model.Tenant) error {
			batch := minuteBatch(channels, minute, labels)
			batch.Tenant = name
			_, err := db.Append(ctx, batch)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		rows += tenants * channels
		if written, err := db.dirBytes(filepath.Join(dir, disk.LogDir)); err != nil {
			b.Fatal(err)
		} else if written >= bytes {
			break
		}
	}
	took, cpu := restartCrashed(b, db, dir)
	b.ReportMetric(took.Seconds()/float64(b.N), "s/64MiB")
	b.ReportMetric(cpu.Seconds()/float64(b.N), "cpu-s/64MiB")
	b.ReportMetric(float64(rows), "rows")
}

// restartCrashed closes db and opens copies of its folder dir as it was before,
// as after a kill. It returns how long the openings took together, and how much
// processor time.
func restartCrashed(b *testing.B, db *DB, dir string) (took, cpu time.Duration) {
	b.Helper()
	crashed := filepath.Join(b.TempDir(), "crashed")
	if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil {
		b.Fatal(err)
	}
	db.Close()
	b.ResetTimer()
	for i := range b.N {
		b.StopTimer()
		again := filepath.Join(b.TempDir(), fmt.Sprint(i))
		if err := os.CopyFS(again, os.DirFS(crashed)); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		start, used := time.Now(), processCPU()
		db, err := Open(Options{FS: disk.Default(), Dir: again, Clock: time.Now})
		if err != nil {
			b.Fatal(err)
		}
		took += time.Since(start)
		cpu += processCPU() - used
		b.StopTimer()
		db.Close()
		b.StartTimer()
	}
	return took, cpu
}

// BenchmarkOpen opens a database that was closed cleanly. Its blocks hold
// 64 MiB, or 1 GiB where HOKAN_LONG=1, of values that do not compress.
func BenchmarkOpen(b *testing.B) {
	const channels = 500
	dir := b.TempDir()
	db := openBench(b, disk.Default(), dir)
	labels := labelsOf(channels)
	want := uint64(64 << 20)
	if long() {
		want = 1 << 30
	}
	stored := uint64(0)
	for from := 0; stored < want; from += 60 {
		batch := &model.Batch{Tenant: "t"}
		times := make([]int64, 60)
		for i := range times {
			times[i] = 1.7e18 + int64(from+i)*1e9
		}
		for c := range channels {
			values := make([]float64, 60)
			for i := range values {
				values[i] = math.Sin(float64(c) + float64(from+i)*math.Pi)
			}
			batch.Columns = append(batch.Columns, model.Column{Labels: labels[c], Times: times, Values: values})
		}
		if _, err := db.Append(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
		stats, err := db.Stats()
		if err != nil {
			b.Fatal(err)
		}
		stored = stats.RawBytes + stats.IndexBytes
	}
	stats, err := db.Stats()
	if err != nil {
		b.Fatal(err)
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for range b.N {
		db, err := Open(Options{FS: disk.Default(), Dir: dir, Clock: time.Now})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(stored)/(1<<20), "MiB")
	b.ReportMetric(float64(stats.Blocks), "blocks")
}
