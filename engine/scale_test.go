package engine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// Environment of the processes that BenchmarkScale starts and kills.
const (
	scaleRole    = "HOKAN_TEST_SCALE_ROLE" // "write" or "open"
	scaleFolder  = "HOKAN_TEST_SCALE_FOLDER"
	scaleTenants = "HOKAN_TEST_SCALE_TENANTS" // default 10,000
	scaleHours   = "HOKAN_TEST_SCALE_HOURS"   // default 24
	scaleBatch   = "HOKAN_TEST_SCALE_BATCH"   // minutes of an append, default 1; with more, only opening means something
	scaleProfile = "HOKAN_TEST_SCALE_PROFILE" // a folder for profiles: memory at the end, processor while opening
)

const (
	scaleChannels = 24
	scaleWriters  = 64
	scaleStart    = 1_772_323_200_000_000_000 // 2026-03-01 00:00 UTC
)

// BenchmarkScale has a process write a sample a minute of 24 channels for each
// of 10,000 tenants, every append durable and its clock 24 simulated hours, as
// fast as it can, with flushes, checkpoints and compactions when they are due
// by that clock. Then it is killed and the folder opened again. With
// HOKAN_LONG=1:
//
//	HOKAN_LONG=1 go test -run '^$' -bench Scale -benchtime 1x -timeout 60m ./engine
func BenchmarkScale(b *testing.B) {
	if !long() {
		b.Skip("HOKAN_LONG=1 writes a day of 10,000 tenants")
	}
	for range b.N {
		folder := b.TempDir()
		writer := startScale(b, "write", folder)
		for line := range writer.lines {
			fmt.Println(line) // at once, and all of it
			if strings.HasPrefix(line, "done") {
				break
			}
		}
		if err := writer.command.Process.Kill(); err != nil {
			b.Fatal(err)
		}
		writer.command.Wait()
		opener := startScale(b, "open", folder)
		for line := range opener.lines {
			fmt.Println(line)
		}
		if err := opener.command.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "ns/op")
}

// scaleProcess is a process of the benchmark and the lines that it prints.
type scaleProcess struct {
	command *exec.Cmd
	lines   chan string
}

func startScale(b *testing.B, role, folder string) *scaleProcess {
	b.Helper()
	p := &scaleProcess{exec.Command(os.Args[0]), make(chan string)}
	p.command.Env = append(os.Environ(), scaleRole+"="+role, scaleFolder+"="+folder)
	p.command.Stderr = os.Stderr
	out, err := p.command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.command.Process.Kill() })
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	return p
}

// actInScale is the main function of those processes.
func actInScale(role string) error {
	folder := filepath.Join(os.Getenv(scaleFolder), "d")
	if role == "open" {
		return openScale(folder)
	}
	s := &scale{tenants: numberOr(scaleTenants, 10000), hours: numberOr(scaleHours, 24),
		batch: numberOr(scaleBatch, 1), files: &countingFS{FS: vfs.Default}}
	return s.run(folder)
}

func numberOr(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// scale writes the day.
type scale struct {
	tenants, hours int
	batch          int // minutes of an append
	db             *DB
	files          *countingFS
	now            atomic.Int64
	names          []model.Tenant
	labels         [][]model.Labels
	latencies      histogram
	mostFiles      int
}

func (s *scale) run(folder string) error {
	s.now.Store(scaleStart)
	db, err := Open(Options{FS: s.files, Dir: folder, Clock: func() time.Time { return time.Unix(0, s.now.Load()) }})
	if err != nil {
		return err
	}
	s.db = db
	for i := range s.tenants {
		s.names = append(s.names, model.Tenant(fmt.Sprintf("tenant-%05d", i)))
		s.labels = append(s.labels, labelsOf(scaleChannels))
		if i%100 == 99 { // many at once share a sync
			if err := parallel(s.names[i-99:], func(_ int, name model.Tenant) error { return db.CreateTenant(context.Background(), name) }); err != nil {
				return err
			}
		}
	}
	begun, cpu := time.Now(), processCPU()
	for minute := 0; minute < s.hours*60; minute += s.batch {
		if err := s.minute(minute); err != nil {
			return err
		}
		if done := minute + s.batch; done%60 == 0 {
			s.report(done, time.Since(begun), processCPU()-cpu)
		}
	}
	if err := writeProfile("write.mem", func(w io.Writer) error { return pprof.WriteHeapProfile(w) }); err != nil {
		return err
	}
	fmt.Println("done")
	<-make(chan struct{}) // until it is killed
	return nil
}

// minute writes rows of every channel, and lets the database do what is due
// by then.
func (s *scale) minute(minute int) error {
	s.now.Store(scaleStart + int64(minute)*60e9)
	kept := make(chan error, 1)
	go func() { kept <- s.keep() }()
	var next atomic.Int64
	err := parallel(make([]struct{}, scaleWriters), func(int, struct{}) error {
		b := &model.Batch{Columns: make([]model.Column, scaleChannels)}
		times, values := make([]int64, s.batch), make([]float64, scaleChannels*s.batch)
		for {
			i := int(next.Add(1)) - 1
			if i >= s.tenants {
				return nil
			}
			b.Tenant = s.names[i]
			for m := range times {
				times[m] = scaleStart + int64(minute+m)*60e9 + int64(i)*1e6
			}
			for c := range scaleChannels {
				column := values[c*s.batch : (c+1)*s.batch]
				for m := range column {
					column[m] = temperature(i*scaleChannels+c, minute+m)
				}
				b.Columns[c] = model.Column{Labels: s.labels[i][c], Times: times, Values: column}
			}
			begun := time.Now()
			if _, err := s.db.Append(context.Background(), b); err != nil {
				return err
			}
			s.latencies.add(time.Since(begun))
		}
	})
	s.mostFiles = max(s.mostFiles, openFiles())
	if keeping := <-kept; keeping != nil {
		return keeping
	}
	return err
}

// keep does what is due by the clock, all of it: simulated time may not outrun
// what has until the next minute.
func (s *scale) keep() error {
	ctx := context.Background()
	if err := s.db.keepTime(ctx); err != nil {
		return err
	}
	s.db.compactDue(ctx, nil)
	f := &s.db.flusher
	f.mu.Lock()
	for len(f.queue) > 0 {
		f.changed.Wait()
	}
	f.mu.Unlock()
	return nil
}

func (s *scale) report(minutes int, took, cpu time.Duration) {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	stats, _ := s.db.Stats()
	samples := float64(s.tenants) * scaleChannels * float64(minutes)
	simulated := time.Duration(minutes) * time.Minute
	fmt.Printf("%d h in %.0f s: CPU %.2f %% of a core (%.1f µs a request), append p50 %v p99 %v p999 %v max %v, resident %d MB (most %d), heap %d MB, %d files open\n",
		minutes/60, took.Seconds(), 100*cpu.Seconds()/simulated.Seconds(), cpu.Seconds()*1e6*scaleChannels/samples,
		s.latencies.at(0.5), s.latencies.at(0.99), s.latencies.at(0.999), s.latencies.at(1),
		residentBytes("VmRSS:")>>20, residentBytes("VmHWM:")>>20, memory.HeapInuse>>20, s.mostFiles)
	faults, _ := s.db.Faults()
	fmt.Printf("  bytes written a sample: %s; %d blocks with %d rows, %d in heads of %d MB, faults %v\n",
		s.files.perSample(samples), stats.Blocks, stats.Rows, stats.HeadRows, s.db.headBytes.Load()>>20, faults)
}

// writeProfile writes a profile where one is asked for.
func writeProfile(name string, write func(io.Writer) error) error {
	folder := os.Getenv(scaleProfile)
	if folder == "" {
		return nil
	}
	f, err := os.Create(filepath.Join(folder, name))
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

// openScale opens what the killed process left.
func openScale(folder string) error {
	var profile bytes.Buffer
	if os.Getenv(scaleProfile) != "" {
		if err := pprof.StartCPUProfile(&profile); err != nil {
			return err
		}
	}
	begun, cpu := time.Now(), processCPU()
	db, err := Open(Options{FS: vfs.Default, Dir: folder, Clock: time.Now, MustExist: true})
	if err != nil {
		return err
	}
	ready := time.Since(begun)
	pprof.StopCPUProfile()
	if err := writeProfile("open.cpu", func(w io.Writer) error { _, err := profile.WriteTo(w); return err }); err != nil {
		return err
	}
	faults, quarantined := db.Faults()
	stats, err := db.Stats()
	fmt.Printf("after kill -9: ready in %v (%v of CPU), resident %d MB, %d tenants, %d rows, faults %v, %d quarantined\n",
		ready.Round(time.Millisecond), (processCPU() - cpu).Round(time.Millisecond), residentBytes("VmRSS:")>>20,
		stats.Tenants, stats.Rows+uint64(stats.HeadRows), faults, quarantined)
	return err
}

// parallel does something with every element at once.
func parallel[E any](elements []E, do func(int, E) error) error {
	var all sync.WaitGroup
	var failed atomic.Pointer[error]
	for i, e := range elements {
		all.Go(func() {
			if err := do(i, e); err != nil {
				failed.CompareAndSwap(nil, &err)
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// histogram counts durations in steps of an eighth.
type histogram struct{ counts [512]atomic.Int64 }

func (h *histogram) add(d time.Duration) {
	n := uint64(max(d, 8))
	shift := bits.Len64(n) - 4
	h.counts[shift*8+int(n>>shift)-8].Add(1)
}

// at returns the duration below which a share of all lies, at most an eighth
// too long.
func (h *histogram) at(share float64) time.Duration {
	total := int64(0)
	for i := range h.counts {
		total += h.counts[i].Load()
	}
	left := int64(share * float64(total))
	for i := range h.counts {
		if left -= h.counts[i].Load(); left <= 0 && h.counts[i].Load() > 0 {
			return time.Duration(uint64(i%8+9) << (i / 8)).Round(time.Microsecond)
		}
	}
	return 0
}

// processCPU returns the processor time of this process.
func processCPU() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// residentBytes reads a line of the process's status; 0 where there is none.
func residentBytes(line string) int {
	text, _ := os.ReadFile("/proc/self/status")
	_, after, _ := bytes.Cut(text, []byte(line))
	var kilobytes int
	fmt.Sscan(string(after), &kilobytes)
	return kilobytes << 10
}

// openFiles counts the process's descriptors; 0 where that cannot be told.
func openFiles() int {
	names, _ := os.ReadDir("/proc/self/fd")
	return len(names)
}

// countingFS counts the bytes written, by the folder of the database.
type countingFS struct {
	disk.FS
	written sync.Map // folder → *atomic.Int64
}

func (c *countingFS) of(name string) *atomic.Int64 {
	folder := "others"
	for _, known := range []string{disk.LogDir, disk.CatalogDir, disk.CheckpointsDir, disk.BlocksDir} {
		if strings.Contains(name, "/"+known+"/") {
			folder = known
		}
	}
	n, _ := c.written.LoadOrStore(folder, new(atomic.Int64))
	return n.(*atomic.Int64)
}

func (c *countingFS) perSample(samples float64) string {
	var text []string
	for _, folder := range []string{disk.LogDir, disk.CheckpointsDir, disk.BlocksDir, disk.CatalogDir} {
		text = append(text, fmt.Sprintf("%s %.2f", folder, float64(c.of("/"+folder+"/").Load())/samples))
	}
	return strings.Join(text, ", ")
}

func (c *countingFS) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &countingFile{f, c.of(name)}, nil
}

// Create implements vfs.FS.
func (c *countingFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.Create(name, category)
	return c.wrap(name, f, err)
}

// ReuseForWrite implements vfs.FS.
func (c *countingFS) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.ReuseForWrite(old, name, category)
	return c.wrap(name, f, err)
}

// OpenReadWrite implements vfs.FS.
func (c *countingFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (vfs.File, error) {
	f, err := c.FS.OpenReadWrite(name, category, options...)
	return c.wrap(name, f, err)
}

type countingFile struct {
	vfs.File
	written *atomic.Int64
}

// Write implements io.Writer.
func (f *countingFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.written.Add(int64(n))
	return n, err
}

// WriteAt implements io.WriterAt.
func (f *countingFile) WriteAt(p []byte, at int64) (int, error) {
	n, err := f.File.WriteAt(p, at)
	f.written.Add(int64(n))
	return n, err
}

var _ io.WriterAt = (*countingFile)(nil)
