package engine

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/disk/disktest"
	"github.com/hokan-db/hokan/engine/maintain"
	"github.com/hokan-db/hokan/engine/model"
)

// slow is a database whose clock a test moves, and whose background work it
// does itself.
type slow struct {
	t   testing.TB
	db  *DB
	now int64
}

func openSlow(t testing.TB, fs disk.FS, now int64) *slow {
	t.Helper()
	s := &slow{t: t, now: now}
	db, err := Open(Options{FS: fs, Dir: "data", Manual: true, Clock: func() time.Time { return time.Unix(0, s.now) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.CreateTenant(context.Background(), "t"); err != nil {
		t.Fatal(err)
	}
	s.db = db
	return s
}

// pass lets time pass and does what the background would.
func (s *slow) pass(nanoseconds int64) {
	s.t.Helper()
	s.now += nanoseconds
	ctx := context.Background()
	if err := s.db.keepTime(ctx); err != nil {
		s.t.Fatal(err)
	}
	for _, t := range s.db.allTenants(func(t *tenant) bool { return len(t.frozen) > 0 }) {
		if err := s.db.flushTenant(ctx, t); err != nil {
			s.t.Fatal(err)
		}
	}
	s.db.compactDue(ctx, nil)
}

// TestAYearOfLiveData writes a year of one-minute data an hour at a time: how
// often each byte of a block is written, how many files there are, and that
// every row is there.
func TestAYearOfLiveData(t *testing.T) {
	days, channels := 120, 8
	if long() {
		days, channels = 365, 24
	}
	fs := &countingFS{FS: vfs.NewMem()}
	s := openSlow(t, fs, yearStart)
	labels := labelsOf(channels)
	ids := make([]model.ChannelID, channels)
	for c := range ids {
		ids[c] = model.ChannelID(c + 1)
	}
	files, minute := 0, 0
	for range days {
		for range 24 {
			b := &model.Batch{Tenant: "t"}
			times := make([]int64, 60)
			for i := range times {
				times[i] = yearStart + int64(minute+i)*minuteOf
			}
			for c := range channels {
				values := make([]float64, 60)
				for i := range values {
					values[i] = temperature(c, minute+i)
				}
				b.Columns = append(b.Columns, model.Column{Labels: labels[c], Times: times, Values: values})
			}
			if _, err := s.db.Append(context.Background(), b); err != nil {
				t.Fatal(err)
			}
			minute += 60
			s.pass(3600e9)
		}
		files = max(files, len(s.db.tenants["t"].blocks))
	}
	sums, err := s.db.Summarize(context.Background(), "t", ids, model.AllTime())
	if err != nil {
		t.Fatal(err)
	}
	for c := range sums {
		if sums[c].Count != uint64(minute) {
			t.Errorf("channel %d has %d rows of %d", c+1, sums[c].Count, minute)
		}
	}
	times := float64(fs.bytes(kindFlushed)+fs.bytes(kindMerged)) / float64(fs.bytes(kindFlushed))
	rows := float64(minute * channels)
	t.Logf("%.2f bytes of blocks written for each first flushed; at most %d files; bytes written a row: %s",
		times, files, fs.perSample(rows))
	if times > 4 {
		t.Errorf("%.2f bytes of blocks are written for each first flushed", times)
	}
	if most := 2*31 + days/30 + 12; files > most {
		t.Errorf("%d files, at most %d are wanted", files, most)
	}
	if faults, _ := s.db.Faults(); len(faults) > 0 {
		t.Error(faults)
	}
	must(t, s.db.Close())
}

// levelsOf returns how many blocks tenant t has of each level.
func levelsOf(db *DB) map[string]int {
	levels := map[string]int{}
	for _, m := range db.tenants["t"].blocks {
		name, _ := disk.ParseBlockName(m.Name)
		levels[name.Level]++
	}
	return levels
}

// TestLateRowsLieOverTheirMonth: the month's block stays as it is.
func TestLateRowsLieOverTheirMonth(t *testing.T) {
	fs := vfs.NewMem()
	s := openSlow(t, fs, yearStart)
	fillMinutes(t, s.db, mixed(8), monthMinutes)
	s.pass(model.Day)
	s.pass(60 * model.Day)
	wantFiles(t, s.db, "month 2025-01-01")
	base := s.db.tenants["t"].blocks[0].Name
	want := allRows(t, s.db)
	for i := range 40 {
		at := yearStart + int64(i*17)*3600e9
		_, err := s.db.Append(context.Background(), &model.Batch{Tenant: "t", Columns: []model.Column{
			{Labels: labelsOf(1)[0], Times: []int64{at}, Values: []float64{float64(i)}}}})
		must(t, err)
		want[0][at] = float64(i)
		s.pass(model.Day / 2)
		if n := len(s.db.tenants["t"].blocks); n > 9 {
			t.Fatalf("%d blocks", n)
		}
	}
	if levels := levelsOf(s.db); levels["month"] != 1 || levels["day"] == 0 {
		t.Errorf("blocks are %v", levels)
	}
	o, err := s.db.blocks.Open(base)
	must(t, err) // else the month was rewritten
	o.Close()
	for range 2 {
		if got := allRows(t, s.db); !sameRows(got, want) {
			t.Error("other rows than before")
		}
		must(t, s.db.Close())
		s = openSlow(t, fs, s.now)
	}
	must(t, s.db.Close())
}

// TestOnlyTenantsThatChangedAreLookedAt counts what is due.
func TestOnlyTenantsThatChangedAreLookedAt(t *testing.T) {
	s := openSlow(t, vfs.NewMem(), 20*model.Day)
	writeHours(t, s.db, 0, 24, 0)
	writeHours(t, s.db, 24*19, 20, 0)
	if due := s.db.compactor.takeDue(s.now); len(due) != 1 {
		t.Fatalf("%d tenants are due", len(due))
	}
	s.db.compactor.touch(s.db.tenants["t"])
	s.pass(2 * 3600e9) // a day is over
	if levels := levelsOf(s.db); levels["day"] != 1 || levels["flush"] != 1 {
		t.Errorf("blocks are %v", levels)
	}
	if due := s.db.compactor.takeDue(s.now); len(due) != 0 {
		t.Errorf("%d tenants are due at once again", len(due))
	}
	if due := s.db.compactor.takeDue(s.now + 2*model.Day); len(due) != 1 {
		t.Errorf("%d tenants are due when the other day is over", len(due))
	}
	must(t, s.db.Close())
}

// TestAFullDiskEndsAJobBeforeItBegins: nothing is written that has no room, and
// it is tried again when there is.
func TestAFullDiskEndsAJobBeforeItBegins(t *testing.T) {
	faulty := disktest.New(vfs.NewMem())
	s := openSlow(t, faulty, 0)
	writeHours(t, s.db, 0, 24, 0)
	s.now = 3 * model.Day
	faulty.SetUsage(300, 1<<40)
	s.pass(2 * model.Day)
	if levels := levelsOf(s.db); levels["flush"] != 1 {
		t.Errorf("blocks are %v", levels)
	}
	faulty.SetUsage(1<<39, 1<<40)
	s.db.compactor.touch(s.db.tenants["t"])
	s.pass(2 * model.Day)
	if levels := levelsOf(s.db); levels["day"] != 1 {
		t.Errorf("blocks are %v", levels)
	}
	if faults, _ := s.db.Faults(); len(faults) > 0 {
		t.Error(faults)
	}
	must(t, s.db.Close())
}

// TestEveryOperationOfBackgroundWorkFails makes each operation on the disk fail
// in turn while days, overlays and a month are merged: every row stays, now and
// after a crash, and the work is done in the end.
func TestEveryOperationOfBackgroundWorkFails(t *testing.T) {
	for i := 0; ; i++ {
		memory := vfs.NewCrashableMem()
		faulty := disktest.New(memory)
		s := openSlow(t, faulty, 0)
		writeHours(t, s.db, 0, 40, 0)
		writeHours(t, s.db, 20, 30, 100)
		s.now = 3 * model.Day
		want := allRows(t, s.db)
		faulty.FailOnce(i, syscall.EIO)
		s.db.compactDue(context.Background(), nil) // days
		s.now += 60 * model.Day
		s.db.compactDue(context.Background(), nil) // the month
		failed := faulty.Failed()
		faulty.Reset()
		if got := allRows(t, s.db); !sameRows(got, want) {
			t.Fatalf("operation %d failed: rows are %v, want %v", i, got, want)
		}
		crashed := crashClone(memory, uint64(i), 0)
		now := s.now
		s.db.Close()
		for _, left := range []disk.FS{crashed, memory} {
			s := openSlow(t, left, now)
			if faults, _ := s.db.Faults(); len(faults) > 0 {
				t.Fatalf("operation %d failed: %v", i, faults)
			}
			blockFiles(t, s.db)
			s.db.compactor.touch(s.db.tenants["t"])
			s.pass(2 * model.Day)
			wantFiles(t, s.db, "month 1970-01-01")
			if got := allRows(t, s.db); !sameRows(got, want) {
				t.Fatalf("operation %d failed, opened again: rows are %v, want %v", i, got, want)
			}
			must(t, s.db.Close())
		}
		if failed == 0 {
			t.Logf("%d operations", i)
			return
		}
	}
}

// TestACopyStaysWhileWhatTookItsPlaceIsDamaged leaves a day's flush blocks
// behind, as a failed deletion does, and damages the block that they were merged
// into: opening keeps them.
func TestACopyStaysWhileWhatTookItsPlaceIsDamaged(t *testing.T) {
	for _, damage := range []bool{false, true} {
		fs := vfs.NewMem()
		s := openSlow(t, fs, 0)
		writeHours(t, s.db, 0, 20, 0)
		left := s.db.tenants["t"].blocks[0].Name
		copied := readFile(t, fs, "data/"+left)
		s.pass(3 * model.Day)
		if levels := levelsOf(s.db); levels["day"] != 1 || len(levels) != 1 {
			t.Fatalf("blocks are %v", levels)
		}
		merged := s.db.tenants["t"].blocks[0].Name
		must(t, s.db.Close())
		writeFile(t, fs, "data/"+left, copied)
		if damage {
			b := readFile(t, fs, "data/"+merged)
			b[disk.HeaderSize+disk.FrameHeaderSize+3] ^= 16
			writeFile(t, fs, "data/"+merged, b)
		}
		s = openSlow(t, fs, s.now)
		_, err := fs.Stat("data/" + left)
		faults, _ := s.db.Faults()
		if damage != (err == nil) || damage != (len(faults) > 0) {
			t.Errorf("damaged %v: the copy is %v, faults %v", damage, err, faults)
		}
		s.db.Close()
	}
}

// TestBackgroundWorkEndsWithTheDatabase closes a database while a job writes.
func TestBackgroundWorkEndsWithTheDatabase(t *testing.T) {
	memory := vfs.NewMem()
	s := openSlow(t, memory, 0)
	writeHours(t, s.db, 0, 24, 0)
	want := allRows(t, s.db)
	must(t, s.db.Close())
	faulty := disktest.New(memory)
	writing := make(chan struct{})
	closed := make(chan struct{})
	var once atomic.Bool
	faulty.Observe(func(op disktest.Op) {
		if op.Kind == "create" && strings.Contains(op.Path, "/day-") && !once.Swap(true) {
			close(writing)
			<-closed
		}
	})
	db, err := Open(Options{FS: faulty, Dir: "data", Clock: func() time.Time { return time.Unix(0, 3*model.Day) }})
	must(t, err)
	<-writing
	ended := make(chan error, 1)
	go func() { ended <- db.Close() }()
	<-db.life.Done()
	close(closed)
	must(t, <-ended)
	s = openSlow(t, memory, 0)
	wantFiles(t, s.db, "flush 1970-01-01")
	if got := allRows(t, s.db); !sameRows(got, want) {
		t.Errorf("rows are %v, want %v", got, want)
	}
	must(t, s.db.Close())
}

// TestPaceEndsWithItsContext: a paced writer does not outlive who stops it.
func TestPaceEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &pace{rate: 1}
	if err := p.wrote(ctx, paceStep-1); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := p.wrote(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// BenchmarkCompaction merges the flush blocks of a month of minutes of 32
// channels of the instrument mix into one block.
func BenchmarkCompaction(b *testing.B) {
	db := openSlow(b, vfs.NewMem(), yearStart).db
	defer db.Close()
	fillMinutes(b, db, mixed(32), monthMinutes)
	if err := db.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	t := db.tenants["t"]
	view, blocks, err := db.viewOf(t)
	if err != nil {
		b.Fatal(err)
	}
	view.All = true
	job, _ := maintain.Pick(view, 0)
	inputs := inputsOf(job, blocks)
	rows, bytes := uint64(0), uint64(0)
	for i := range inputs {
		rows += inputs[i].Rows
	}
	b.ReportAllocs()
	cpu := cpuTime()
	for b.Loop() {
		written, err := db.rewriteBlocks(context.Background(), t, job, inputs, nil)
		if err != nil {
			b.Fatal(err)
		}
		bytes = written[0].Bytes
		if err := db.discard(written); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)*float64(b.N)/(cpuTime()-cpu).Seconds()/1e6, "Mrows/cpu-s")
	b.ReportMetric(float64(bytes)/float64(rows), "bytes/row")
}
