package engine

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/disk/disktest"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

// long reports whether loops should try everything instead of a sample.
func long() bool { return os.Getenv("HOKAN_LONG") == "1" }

// longChecks is how many random runs each property gets with HOKAN_LONG=1.
const longChecks = "3000"

func TestMain(m *testing.M) {
	if role := os.Getenv(scaleRole); role != "" {
		if err := actInScale(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	if long() {
		if err := flag.Set("rapid.checks", longChecks); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// script writes one batch after another with flushes and checkpoints between
// them, going on where it can, and notes which batches were acknowledged.
// Batch i holds rows at minute i, with value i, of both channels.
type script struct {
	mu           sync.Mutex
	acknowledged []bool
	tried        []bool
	life         *endings // nil: nothing is ended
}

func (s *script) note(marks []bool, i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	marks[i] = true
}

// soFar returns a copy of what is noted.
func (s *script) soFar() *script {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &script{acknowledged: slices.Clone(s.acknowledged), tried: slices.Clone(s.tried), life: s.life.clone()}
}

func newScript() *script {
	return &script{acknowledged: make([]bool, scriptBatches), tried: make([]bool, scriptBatches)}
}

const scriptBatches = 12

func scriptOptions(fs disk.FS) Options {
	return Options{
		FS: fs, Dir: "data", Clock: func() time.Time { return time.Unix(1e9, 0) },
		SegmentBytes: 600, Manual: true,
	}
}

// attachOdd has every other batch of a script attached as a block.
func attachOdd(i int) attachLimits {
	limits := defaultAttach
	if i%2 == 1 {
		limits.rows, limits.average = 1, 1
	}
	return limits
}

func scriptBatch(i int) *model.Batch {
	times := []int64{int64(i) * 60e9}
	return &model.Batch{Tenant: "t", Columns: []model.Column{
		{Labels: testLabels("a"), Times: times, Values: []float64{float64(i)}},
		{Labels: testLabels("b"), Times: times, Values: []float64{float64(i % 3)}},
	}}
}

// run opens the database and works through the script; what fails is left
// out. It returns an error only where one makes the rest pointless.
func (s *script) run(fs disk.FS) error {
	ctx := context.Background()
	db, err := Open(scriptOptions(fs))
	if err != nil {
		return err
	}
	if err := db.CreateTenant(ctx, "t"); err != nil {
		return errors.Join(err, db.Close())
	}
	for i := range scriptBatches {
		s.note(s.tried, i)
		db.attach = attachOdd(i)
		if _, err := db.Append(ctx, scriptBatch(i)); err == nil {
			s.note(s.acknowledged, i)
		}
		if s.life != nil {
			s.end(db, i)
		}
		switch i {
		case 1:
			db.PutAlarm(ctx, "t", entry.PutAlarm{Channel: 1, Operator: uint8(alarm.Greater), Threshold: 4, Enabled: true})
		case 3, 7:
			db.Flush(ctx)
		case 5, 9:
			db.Checkpoint(ctx)
		case 8, 10:
			db.Compact(ctx)
		}
	}
	return db.Close()
}

// verify opens the database on fs, without faults, and checks that every
// acknowledged batch is there, every other one wholly there or absent, and
// that it can be written to.
func (s *script) verify(fs disk.FS) error {
	db, err := Open(scriptOptions(fs))
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer db.Close()
	if faults, quarantined := db.Faults(); len(faults) > 0 || quarantined > 0 {
		return fmt.Errorf("faults after a crash: %v, %d quarantined", faults, quarantined)
	}
	if err := s.verifyRows(db); err != nil {
		return err
	}
	if s.life != nil {
		if err := s.verifyEndings(db, fs); err != nil {
			return err
		}
	}
	if err := db.CreateTenant(context.Background(), "t"); err != nil {
		return err
	}
	if _, err := db.Append(context.Background(), scriptBatch(100)); err != nil {
		return fmt.Errorf("append after a crash: %w", err)
	}
	return nil
}

func (s *script) verifyRows(db *DB) error {
	found := map[string]map[int64]float64{"a": {}, "b": {}}
	if db.HasTenant("t") {
		channels, err := db.Channels(context.Background(), "t", nil)
		if err != nil {
			return err
		}
		for _, c := range channels {
			if rows := found[c.Labels.Channel()]; rows != nil {
				if err := readAll(db, c.ID, rows); err != nil {
					return err
				}
			}
		}
	}
	for i := range scriptBatches {
		at := int64(i) * 60e9
		a, hasA := found["a"][at]
		b, hasB := found["b"][at]
		must, may := s.life.ended(i)
		switch {
		case must && (hasA || hasB):
			return fmt.Errorf("batch %d was deleted or has expired, and is there", i)
		case s.acknowledged[i] && !(hasA && hasB) && !may:
			return fmt.Errorf("batch %d was acknowledged and is lost", i)
		case hasA != hasB:
			return fmt.Errorf("batch %d is there in part", i)
		case hasA && (a != float64(i) || b != float64(i%3)):
			return fmt.Errorf("batch %d reads %v and %v", i, a, b)
		case hasA && !s.tried[i]:
			return fmt.Errorf("batch %d was never written", i)
		}
	}
	return nil
}

func readAll(db *DB, id model.ChannelID, into map[int64]float64) error {
	s, err := db.Select(context.Background(), "t", []model.ChannelID{id}, model.AllTime())
	if err != nil {
		return err
	}
	defer s.Close()
	for c := s.Cursor(0); ; {
		times, values, err := c.Next()
		if err != nil {
			return err
		}
		if len(times) == 0 {
			return nil
		}
		for i, at := range times {
			into[at] = values[i]
		}
	}
}

// crashClone is what of fs survives when the power fails.
func crashClone(fs *vfs.MemFS, seed uint64, percent int) *vfs.MemFS {
	return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(seed, 7))})
}

// TestEveryOperationFails makes the i-th operation on the disk fail, once and
// for ever, for every i until a run meets no failure: nothing acknowledged is
// lost, by the process going on or by a crash right after.
func TestEveryOperationFails(t *testing.T) {
	for _, mode := range []struct {
		name  string
		cause error
		from  bool
		short bool
	}{{"once", syscall.EIO, false, false}, {"for ever", syscall.EIO, true, true}, {"full", syscall.ENOSPC, true, true}} {
		eachScript(t, mode.name, func(t *testing.T, newScript func() *script) {
			for i := 0; ; i++ {
				memory := vfs.NewCrashableMem()
				faulty := disktest.New(memory)
				faulty.ShortWrites(mode.short)
				if mode.from {
					faulty.FailFrom(i, mode.cause)
				} else {
					faulty.FailOnce(i, mode.cause)
				}
				s := newScript()
				runErr := s.run(faulty)
				if faulty.Failed() == 0 {
					if runErr != nil || s.life != nil && !maps.Equal(s.life.begun, s.life.done) {
						t.Fatalf("a run without failures: %v, %+v", runErr, s.life)
					}
					if s.life != nil && !maps.Equal(s.life.begun, s.life.done) {
						t.Fatalf("a run without failures: of %v only %v", s.life.begun, s.life.done)
					}
					t.Logf("%d operations", i)
					return
				}
				for _, clone := range []disk.FS{crashClone(memory, uint64(i), 0), crashClone(memory, uint64(i), 50), memory} {
					if err := s.verify(clone); err != nil {
						t.Fatalf("operation %d failed (run: %v): then %v", i, runErr, err)
					}
				}
				if testing.Short() && i > 20 {
					i += i / 8
				} else if !long() && i > 150 {
					i += i / 40
				}
			}
		})
	}
}

// TestCrashAtEveryWrite takes the disk as it would be if the power failed just
// before each operation that writes, with none and with some of the unsynced
// data kept, and checks that what had been acknowledged by then is there.
func TestCrashAtEveryWrite(t *testing.T) {
	type crash struct {
		fs        *vfs.MemFS
		script    *script
		operation string
	}
	for _, percent := range []int{0, 10, 60} {
		eachScript(t, fmt.Sprintf("%d%% kept", percent), func(t *testing.T, newScript func() *script) {
			memory := vfs.NewCrashableMem()
			faulty := disktest.New(memory)
			s := newScript()
			var crashes []crash
			var mu sync.Mutex
			n := 0
			faulty.Observe(func(op disktest.Op) {
				if !op.Writes() {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if n++; long() || n%11 == 0 || !testing.Short() && (n < 120 || n%3 == 0) {
					soFar := s.soFar()
					crashes = append(crashes, crash{crashClone(memory, uint64(n), percent), soFar, op.String()})
				}
			})
			if err := s.run(faulty); err != nil {
				t.Fatal(err)
			}
			for i, c := range crashes {
				if err := c.script.verify(c.fs); err != nil {
					t.Fatalf("crash %d before %s: %v", i, c.operation, err)
				}
			}
			t.Logf("%d crashes", len(crashes))
		})
	}
}

// TestEveryByteFlips changes one byte of all that is read while the database
// is opened and every row read, for one byte after another. What was
// acknowledged must be read right, or a fault or error must say that it is
// damaged. Nothing may panic or come back wrong.
func TestEveryByteFlips(t *testing.T) { eachScript(t, "flips", everyByteFlips) }

func everyByteFlips(t *testing.T, newScript func() *script) {
	memory := vfs.NewCrashableMem()
	s := newScript()
	if err := s.run(memory); err != nil {
		t.Fatal(err)
	}
	db, err := Open(scriptOptions(memory)) // leave entries in the log too
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Append(context.Background(), scriptBatch(4)); err != nil {
		t.Fatal(err)
	}
	image := crashClone(memory, 1, 0)
	db.Close()
	image.Stat("data")
	probe := disktest.New(copyFS(t, image))
	probe.FlipRead(1<<62, 0)
	if err := readBack(probe, s); err != nil {
		t.Fatal(err)
	}
	total, step, detected := probe.BytesRead(), int64(1), 0
	if !long() {
		step = total/400 + 1
	}
	for j := int64(0); j < total; j += step {
		flipped := disktest.New(copyFS(t, image))
		flipped.FlipRead(j, 1<<(j%8))
		if err := readBack(flipped, s); err != nil {
			if errors.Is(err, errWrongAnswer) {
				op, _ := flipped.Flipped()
				t.Fatalf("byte %d (%v): %v", j, op, err)
			}
			detected++
		}
	}
	t.Logf("%d bytes read, every %d. flipped: %d flips detected, the others harmless", total, step, detected)
}

var errWrongAnswer = errors.New("wrong answer without an error")

// readBack opens the database and reads every row. A fault or error is
// returned as it is; rows that are wrong without one are errWrongAnswer.
func readBack(fs disk.FS, s *script) error {
	db, err := Open(scriptOptions(fs))
	if err != nil {
		return err
	}
	rowsErr := s.verifyRows(db)
	faults, quarantined := db.Faults()
	closeErr := db.Close()
	switch {
	case len(faults) > 0 || quarantined > 0:
		return fmt.Errorf("faults: %v", faults)
	case closeErr != nil:
		return closeErr
	case errors.Is(rowsErr, disk.ErrCorrupt):
		return rowsErr
	case rowsErr != nil:
		return fmt.Errorf("%w: %v", errWrongAnswer, rowsErr)
	}
	return nil
}

// copyFS copies a file system, so that each try starts from the same bytes.
func copyFS(t *testing.T, from *vfs.MemFS) *vfs.MemFS {
	t.Helper()
	to := vfs.NewMem()
	if _, err := vfs.Clone(from, to, "data", "data"); err != nil {
		t.Fatal(err)
	}
	return to
}

// newFaultyFS wraps memory so that, of the operations that want likes, the
// i-th and all after it fail.
func newFaultyFS(memory *vfs.MemFS, i int, want func(kind, path string) bool) *disktest.FS {
	faulty := disktest.New(memory)
	faulty.Count(func(op disktest.Op) bool { return want(op.Kind, op.Path) })
	faulty.FailFrom(i, syscall.EIO)
	return faulty
}
