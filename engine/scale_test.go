package engine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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

	"github.com/hokan-db/hokan/engine/model"
)

// Environment of the processes that BenchmarkScale starts and kills.
const (
	scaleRole    = "HOKAN_TEST_SCALE_ROLE" // "write" or "open"
	scaleFolder  = "HOKAN_TEST_SCALE_FOLDER"
	scaleTenants = "HOKAN_TEST_SCALE_TENANTS" // default 10,000
	scaleHours   = "HOKAN_TEST_SCALE_HOURS"   // default 24
	scaleFrom    = "HOKAN_TEST_SCALE_FROM"    // minutes that the folder has already, default 0
	scaleBatch   = "HOKAN_TEST_SCALE_BATCH"   // minutes of an append before the calm ones, default 1
	scaleCalm    = "HOKAN_TEST_SCALE_CALM"    // the last minutes, written at a pace, default 10
	scaleSpeed   = "HOKAN_TEST_SCALE_SPEED"   // that pace, in times real speed, default 1
	scaleProfile = "HOKAN_TEST_SCALE_PROFILE" // a folder for profiles: processor in the calm part and while opening, memory at the end
)

const (
	scaleChannels = 24
	scaleWriters  = 64
	// scaleStart is 2026-03-01 18:00 UTC. So the first day's blocks settle, a
	// sixth of the tenants an hour, from the 20th simulated hour on: the run has
	// flushes, checkpoints and compaction at once.
	scaleStart = 1_772_388_000_000_000_000
)

// BenchmarkScale has a process write a sample a minute of 24 channels for each
// of 10,000 tenants, every append durable, for 24 hours of its clock, with
// flushes, checkpoints and compaction when they are due by that clock. Then it is
// killed and the folder opened again. With HOKAN_LONG=1:
//
//	HOKAN_LONG=1 go test -run '^$' -bench Scale -benchtime 1x -timeout 90m ./engine
//
// The first part is written as fast as it can be, by writers of which each waits
// for its append: there a day's background work is done in minutes, and how far
// above real speed that was is told with the latencies. The last minutes are
// calm, at real speed: appends are due one after the other, and the database
// does its background work by itself, at its own pace. Both tell what of the
// latencies is the disk's: how long each kind of file took to sync, and in the
// calm part how long a file that has nothing to do with the database did.
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
		batch: numberOr(scaleBatch, 1), calm: numberOr(scaleCalm, 10), speed: numberOr(scaleSpeed, 1),
		files: &countingFS{FS: vfs.Default}}
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
	calm, speed    int // the last minutes, and how many times real speed they are written at
	db             *DB
	files          *countingFS
	now            atomic.Int64
	names          []model.Tenant
	labels         [][]model.Labels
	phase          *scalePhase
}

// scalePhase is what is measured of a part of the run.
type scalePhase struct {
	name      string
	latencies histogram
	bare      histogram // syncs of another file
	begun     time.Time
	cpu       time.Duration // of the process when it began
	system    time.Duration // the system's part of that
	pauses    uint64        // of the garbage collector, in ns, likewise
	minutes   int           // simulated, so far
	due       time.Time     // of the first append, where they are written at a pace
}

func (s *scale) begin(name string) {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	s.files.reset()
	s.phase = &scalePhase{name: name, begun: time.Now(), cpu: processCPU(), system: systemCPU(), pauses: memory.PauseTotalNs}
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
	s.begin("at once")
	calm := max(s.hours*60-s.calm, 0)
	for minute := numberOr(scaleFrom, 0); minute < calm; minute += s.batch {
		batch := min(s.batch, calm-minute)
		if err := s.minutes(minute, batch, 0); err != nil {
			return err
		}
		if s.phase.minutes += batch; s.phase.minutes/60 != (s.phase.minutes-batch)/60 || minute+batch == calm {
			s.report()
		}
	}
	s.begin("calm")
	stop := s.syncBare(filepath.Join(filepath.Dir(folder), "bare"))
	defer stop()
	var profile bytes.Buffer
	if os.Getenv(scaleProfile) != "" {
		if err := pprof.StartCPUProfile(&profile); err != nil {
			return err
		}
	}
	s.phase.due = time.Now()
	for minute := calm; minute < s.hours*60; minute++ {
		if err := s.minutes(minute, 1, time.Minute/time.Duration(s.speed*s.tenants)); err != nil {
			return err
		}
		if s.phase.minutes++; s.phase.minutes%10 == 0 || minute+1 == s.hours*60 {
			s.report()
		}
	}
	pprof.StopCPUProfile()
	if err := writeProfile("calm.cpu", func(w io.Writer) error { _, err := profile.WriteTo(w); return err }); err != nil {
		return err
	}
	if err := writeProfile("write.mem", func(w io.Writer) error { return pprof.WriteHeapProfile(w) }); err != nil {
		return err
	}
	fmt.Println("done")
	<-make(chan struct{}) // until it is killed
	return nil
}

// minutes writes rows of every channel. Without a pace it does so at once and
// lets the database do what is due by then; with one an append is due every so
// often, and the database looks for itself what is due.
func (s *scale) minutes(minute, batch int, every time.Duration) error {
	s.now.Store(scaleStart + int64(minute)*60e9)
	kept := make(chan error, 1)
	if every == 0 {
		go func() { kept <- s.keep() }()
	} else {
		kept <- nil
	}
	var next atomic.Int64
	err := parallel(make([]struct{}, scaleWriters), func(int, struct{}) error {
		b := &model.Batch{Columns: make([]model.Column, scaleChannels)}
		times, values := make([]int64, batch), make([]float64, scaleChannels*batch)
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
				column := values[c*batch : (c+1)*batch]
				for m := range column {
					column[m] = temperature(i*scaleChannels+c, minute+m)
				}
				b.Columns[c] = model.Column{Labels: s.labels[i][c], Times: times, Values: column}
			}
			begun := time.Now()
			if every > 0 {
				begun = s.wait(i, every)
			}
			if _, err := s.db.Append(context.Background(), b); err != nil {
				return err
			}
			s.phase.latencies.add(time.Since(begun))
		}
	})
	if keeping := <-kept; keeping != nil {
		return keeping
	}
	return err
}

// syncBare appends a row's worth of bytes to a file of its own and syncs it, twice
// a second until stop is called: what the disk, and the machine, give to
// anybody meanwhile. An append waits for such a sync and for what is left of the
// one before.
func (s *scale) syncBare(path string) (stop func()) {
	file, err := vfs.Default.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return func() {}
	}
	phase, ended := s.phase, make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		defer file.Close()
		ticker := time.NewTicker(500 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
			}
			begun := time.Now()
			_, err := file.Write(make([]byte, 300))
			if err = errors.Join(err, file.SyncData()); err != nil {
				return
			}
			phase.bare.add(time.Since(begun))
		}
	})
	return func() {
		close(ended)
		running.Wait()
	}
}

// wait waits for the i-th append of a minute to be due, and returns from when
// it counts: where every writer was late, from when it should have begun.
func (s *scale) wait(i int, every time.Duration) time.Time {
	since := time.Duration(s.phase.minutes*s.tenants+i) * every
	due := s.phase.due.Add(since)
	if rest := time.Until(due); rest > 0 {
		time.Sleep(rest)
		due = time.Now()
	}
	s.now.Store(scaleStart + int64(s.hours*60-s.calm)*60e9 + int64(since)*int64(s.speed))
	return due
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

func (s *scale) report() {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	stats, _ := s.db.Stats()
	p := s.phase
	took, cpu := time.Since(p.begun), processCPU()-p.cpu
	simulated := time.Duration(p.minutes) * time.Minute
	samples := float64(s.tenants) * scaleChannels * float64(p.minutes)
	fmt.Printf("%s, %d min in %.0f s, %.1f times real speed: CPU %.2f %% of a core (the system's part %.2f), %.2f µs a sample; append p50 %v p99 %v p999 %v max %v (a bare sync p50 %v p99 %v max %v); resident %d MB (most %d), heap %d MB, collector paused %v; %d files open (most %d)\n",
		p.name, p.minutes, took.Seconds(), simulated.Seconds()/took.Seconds(), 100*cpu.Seconds()/simulated.Seconds(),
		100*(systemCPU()-p.system).Seconds()/simulated.Seconds(), cpu.Seconds()*1e6/samples,
		p.latencies.at(0.5), p.latencies.at(0.99), p.latencies.at(0.999), p.latencies.at(1),
		p.bare.at(0.5), p.bare.at(0.99), p.bare.at(1),
		residentBytes("VmRSS:")>>20, residentBytes("VmHWM:")>>20, memory.HeapInuse>>20,
		time.Duration(memory.PauseTotalNs-p.pauses).Round(time.Millisecond), openFiles(), s.files.mostOpen.Load())
	faults, _ := s.db.Faults()
	fmt.Printf("  written: %s\n  bytes a sample: %s\n  %d blocks with %d rows, %d in heads of %d MB, faults %v\n",
		s.files.told(), s.files.perSample(samples), stats.Blocks, stats.Rows, stats.HeadRows, s.db.headBytes.Load()>>20, faults)
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

// processCPU returns the processor time of this process.
func processCPU() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// systemCPU returns the part of processCPU that the system took for it: syncs,
// mostly.
func systemCPU() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Stime.Nano())
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
