package engine

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/model"
)

// What a soak may take, whatever its length. Files are bounded by the months
// and channels there are, not by the hours written.
const (
	soakHeap        = 256 << 20
	soakFiles       = 200                  // and four for each month
	soakDescriptors = maxIdleReaders + 100 // blocks that were read, and all else
	soakDisk        = 3.0                  // bytes a row, the log and what waits to be compacted apart
	soakSlack       = 256 << 20
)

// soak writes some channels, a row a minute, an hour at a time, as a clock
// that runs ahead wants it, with a correction a day.
type soak struct {
	t         *testing.T
	db        *DB
	files     *countingFS
	folder    string
	random    *rand.Rand
	labels    []model.Labels
	now       atomic.Int64
	minutes   int              // written so far
	corrected []map[int]uint64 // by channel: minute → number of the correction
	number    uint64
	mostHeap  uint64
	mostFiles int
	mostOpen  int
}

const soakStart = scaleStart // a month's first day

// TestSoak lets a year of 20 channels pass, with HOKAN_LONG=1 ten years of 200.
func TestSoak(t *testing.T) {
	years, channels := 1, 20
	switch {
	case long():
		years, channels = 10, 200
	case testing.Short():
		t.Skip("a year takes most of a minute")
	}
	s := &soak{t: t, files: &countingFS{FS: vfs.Default}, folder: filepath.Join(t.TempDir(), "d"),
		random: rand.New(rand.NewPCG(7, 7)), labels: labelsOf(channels), corrected: make([]map[int]uint64, channels)}
	for c := range s.corrected {
		s.corrected[c] = map[int]uint64{}
	}
	s.now.Store(soakStart)
	s.open()
	if err := s.db.CreateTenant(context.Background(), "t"); err != nil {
		t.Fatal(err)
	}
	for day := range years * 365 {
		for range 24 {
			s.hour()
		}
		s.correct()
		s.db.compactDue(context.Background(), nil) // what the background does, now
		s.measure()
		if day%61 == 60 {
			s.check()
		}
		if day%150 == 149 {
			s.restart()
		}
	}
	s.check()
	s.close()
	rows := float64(s.minutes) * float64(channels)
	t.Logf("%.0f rows; bytes written a row: %s; on disk %.3f a row; most files %d, descriptors %d, heap %d MB",
		rows, s.files.perSample(rows), float64(s.diskBytes())/rows, s.mostFiles, s.mostOpen, s.mostHeap>>20)
}

func (s *soak) open() {
	s.t.Helper()
	checkpointAge := int64(0) // the default
	if !long() {
		checkpointAge = model.Day / 4 // fewer syncs
	}
	db, err := Open(Options{FS: s.files, Dir: s.folder, CheckpointAge: checkpointAge, Clock: func() time.Time { return time.Unix(0, s.now.Load()) }})
	if err != nil {
		s.t.Fatal(err)
	}
	s.db = db
}

func (s *soak) close() {
	s.t.Helper()
	if faults, quarantined := s.db.Faults(); len(faults) > 0 || quarantined > 0 {
		s.t.Fatalf("faults %v, %d quarantined", faults, quarantined)
	}
	if err := s.db.Close(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *soak) restart() {
	s.t.Helper()
	s.close()
	s.open()
}

// hour writes an hour of rows at its end, and lets the database do what is due.
func (s *soak) hour() {
	s.t.Helper()
	times := make([]int64, 60)
	for i := range times {
		times[i] = soakTime(s.minutes + i)
	}
	b := &model.Batch{Tenant: "t"}
	for c, labels := range s.labels {
		values := make([]float64, len(times))
		for i := range values {
			values[i] = temperature(c, s.minutes+i)
		}
		b.Columns = append(b.Columns, model.Column{Labels: labels, Times: times, Values: values})
	}
	s.minutes += len(times)
	s.now.Store(soakTime(s.minutes))
	if _, err := s.db.Append(context.Background(), b); err != nil {
		s.t.Fatal(err)
	}
	if err := s.db.keepTime(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

func soakTime(minute int) int64 { return soakStart + int64(minute)*60e9 }

// correct writes one row again, mostly a recent one.
func (s *soak) correct() {
	s.t.Helper()
	c := s.random.IntN(len(s.labels))
	minute := s.minutes - 1 - s.random.IntN(min(s.minutes, 1+1440*s.random.IntN(60)))
	s.number++
	s.corrected[c][minute] = s.number
	_, err := s.db.Append(context.Background(), &model.Batch{Tenant: "t", Columns: []model.Column{
		{Labels: s.labels[c], Times: []int64{soakTime(minute)}, Values: []float64{s.value(c, minute)}}}})
	if err != nil {
		s.t.Fatal(err)
	}
}

// value is what was last written of a channel at a minute.
func (s *soak) value(channel, minute int) float64 {
	if n, ok := s.corrected[channel][minute]; ok {
		return -float64(n)
	}
	return temperature(channel, minute)
}

// measure holds what the database takes to its bounds.
func (s *soak) measure() {
	s.t.Helper()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	files, open := s.count(), openFiles()
	s.mostHeap, s.mostFiles, s.mostOpen = max(s.mostHeap, memory.HeapInuse), max(s.mostFiles, files), max(s.mostOpen, open)
	months := s.minutes/1440/30 + 1
	if most := soakFiles + 4*months; files > most {
		s.t.Fatalf("%d files after %d months, want at most %d", files, months, most)
	}
	if open > soakDescriptors {
		s.t.Fatalf("%d descriptors", open)
	}
	if memory.HeapInuse > soakHeap {
		s.t.Fatalf("heap of %d MB", memory.HeapInuse>>20)
	}
	rows := float64(s.minutes) * float64(len(s.labels))
	if bytes := s.diskBytes(); float64(bytes) > soakDisk*rows+soakSlack {
		s.t.Fatalf("%d bytes on disk of %.0f rows", bytes, rows)
	}
}

func (s *soak) each(visit func(fs.DirEntry)) {
	s.t.Helper()
	err := filepath.WalkDir(s.folder, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			visit(e)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *soak) count() (n int) {
	s.each(func(fs.DirEntry) { n++ })
	return n
}

func (s *soak) diskBytes() (bytes int64) {
	s.each(func(e fs.DirEntry) {
		if info, err := e.Info(); err == nil {
			bytes += info.Size()
		} else if !errors.Is(err, os.ErrNotExist) {
			s.t.Fatal(err)
		}
	})
	return bytes
}

// check compares a view over all time, a view of a random part, and the rows
// of a random day.
func (s *soak) check() {
	s.t.Helper()
	c := s.random.IntN(len(s.labels))
	s.checkView(c, 0, s.minutes, 50)
	from := s.random.IntN(s.minutes)
	s.checkView(c, from, from+1+s.random.IntN(s.minutes-from), 1+s.random.IntN(300))
	day := s.random.IntN(s.minutes / 1440)
	s.checkRows(c, day*1440, (day+1)*1440)
}

func (s *soak) checkView(channel, from, to, buckets int) {
	s.t.Helper()
	b, err := model.PlanBuckets(model.Span{From: soakTime(from), To: soakTime(to)}, buckets)
	if err != nil {
		s.t.Fatal(err)
	}
	got, err := s.db.Aggregate(context.Background(), "t", []model.ChannelID{model.ChannelID(channel + 1)}, b)
	if err != nil {
		s.t.Fatal(err)
	}
	want, magnitudes := make([]model.Aggregate, b.Count), make([]float64, b.Count)
	for minute := range s.minutes {
		if i := (soakTime(minute) - b.From) / b.Width; soakTime(minute) >= b.From && i < int64(b.Count) {
			want[i].Add(soakTime(minute), s.value(channel, minute))
			magnitudes[i] += math.Abs(s.value(channel, minute))
		}
	}
	for i := range want {
		if err := sameNumbers(&got[0][i], &want[i], magnitudes[i]); err != nil {
			s.t.Fatalf("channel %d, bucket %d of %d from minute %d to %d: %v", channel, i, b.Count, from, to, err)
		}
	}
}

func (s *soak) checkRows(channel, from, to int) {
	s.t.Helper()
	selection, err := s.db.Select(context.Background(), "t", []model.ChannelID{model.ChannelID(channel + 1)},
		model.Span{From: soakTime(from), To: soakTime(to)})
	if err != nil {
		s.t.Fatal(err)
	}
	defer selection.Close()
	minute := from
	for cursor := selection.Cursor(0); ; {
		times, values, err := cursor.Next()
		if err != nil {
			s.t.Fatal(err)
		}
		if len(times) == 0 {
			break
		}
		for i, at := range times {
			if at != soakTime(minute) || !sameBits(values[i], s.value(channel, minute)) {
				s.t.Fatalf("channel %d: %v at %d, want %v at minute %d", channel, values[i], at, s.value(channel, minute), minute)
			}
			minute++
		}
	}
	if minute != to {
		s.t.Fatalf("channel %d: rows end at minute %d, want %d", channel, minute, to)
	}
}
