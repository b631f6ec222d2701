package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/disk/disktest"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

// burial deletes and makes tenants, one thing after the other, and notes how
// far it came.
type burial struct {
	mu   sync.Mutex
	done int // steps that were acknowledged
	next int // steps that were begun
}

// burialSteps are what a burial does. After step i the tenant t has the rows of
// burialRows(i), or does not exist.
var burialSteps = []func(context.Context, *DB) error{
	func(ctx context.Context, db *DB) error { return db.CreateTenant(ctx, "t") },
	func(ctx context.Context, db *DB) error { return buryWrite(ctx, db, 0, 1) },
	func(ctx context.Context, db *DB) error { return db.Flush(ctx) },
	func(ctx context.Context, db *DB) error { return buryWrite(ctx, db, 10, 9) }, // an alarm's event too
	func(ctx context.Context, db *DB) error { return db.Checkpoint(ctx) },
	func(ctx context.Context, db *DB) error { _, err := db.DeleteTenant(ctx, "t"); return err },
	func(ctx context.Context, db *DB) error { return db.CreateTenant(ctx, "t") },
	func(ctx context.Context, db *DB) error { return buryWrite(ctx, db, 20, 3) },
	func(ctx context.Context, db *DB) error { return db.Flush(ctx) },
	func(ctx context.Context, db *DB) error { return buryWrite(ctx, db, 30, 4) },
	func(ctx context.Context, db *DB) error { return db.Compact(ctx) },
	func(ctx context.Context, db *DB) error { return db.Checkpoint(ctx) },
	func(ctx context.Context, db *DB) error { _, err := db.DeleteTenant(ctx, "t"); return err },
}

// burialRows are the rows of t after so many steps; nil: t does not exist.
func burialRows(steps int) map[int64]float64 {
	switch {
	case steps < 1, steps == 6, steps == len(burialSteps):
		return nil
	case steps < 2, steps == 7:
		return map[int64]float64{}
	case steps < 4:
		return map[int64]float64{0: 1}
	case steps < 6:
		return map[int64]float64{0: 1, 10: 9}
	case steps < 10:
		return map[int64]float64{20: 3}
	}
	return map[int64]float64{20: 3, 30: 4}
}

func buryWrite(ctx context.Context, db *DB, at int64, value float64) error {
	b := &model.Batch{Tenant: "t", Columns: []model.Column{{Labels: testLabels("a"), Times: []int64{at}, Values: []float64{value}}}}
	if _, err := db.Append(ctx, b); err != nil || at > 0 {
		return err
	}
	_, err := db.PutAlarm(ctx, "t", entry.PutAlarm{Channel: 1, Operator: uint8(alarm.Greater), Threshold: 4, Enabled: true})
	return err
}

// run works through the steps until one fails.
func (b *burial) run(fs disk.FS) error {
	db, err := Open(scriptOptions(fs))
	if err != nil {
		return err
	}
	for i, step := range burialSteps {
		b.mu.Lock()
		b.next = i + 1
		b.mu.Unlock()
		if err := step(context.Background(), db); err != nil {
			return errors.Join(err, db.Close())
		}
		b.mu.Lock()
		b.done = i + 1
		b.mu.Unlock()
	}
	return db.Close()
}

// verify opens the database and checks that t is as the last acknowledged step
// or the one that was begun left it, that nothing of a deleted tenant is stored,
// and that a tenant can be made anew.
func (b *burial) verify(fs disk.FS) error {
	if _, err := fs.Stat("data/" + disk.FormatName); err == nil {
		var errs []error
		err := Verify(context.Background(), scriptOptions(fs), func(f Fault) { errs = append(errs, errors.New(f.String())) }, func(string) {})
		if err = errors.Join(append(errs, err)...); err != nil {
			return fmt.Errorf("verify, before it is opened: %w", err)
		}
	}
	db, err := Open(scriptOptions(fs))
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer db.Close()
	if faults, quarantined := db.Faults(); len(faults) > 0 || quarantined > 0 {
		return fmt.Errorf("faults: %v, %d quarantined", faults, quarantined)
	}
	after, err := b.matches(db)
	if err != nil {
		return err
	}
	if db.HasTenant("t") {
		if after < 6 {
			return nil
		}
		return b.checkSecond(db)
	}
	if names, err := db.blocks.List(disk.BlocksDir); err != nil || len(names) > 0 {
		return fmt.Errorf("after %d steps blocks are left: %v, %v", after, names, err)
	}
	if err := db.CreateTenant(context.Background(), "t"); err != nil {
		return err
	}
	return b.checkSecond(db)
}

// matches returns the number of steps after which t is as it is now.
func (b *burial) matches(db *DB) (int, error) {
	var rows map[int64]float64
	if db.HasTenant("t") {
		rows = map[int64]float64{}
		channels, err := db.Channels(context.Background(), "t", nil)
		if err != nil {
			return 0, err
		}
		for _, c := range channels {
			if err := readAll(db, c.ID, rows); err != nil {
				return 0, err
			}
		}
	}
	for steps := b.done; steps <= b.next; steps++ {
		want := burialRows(steps)
		if (rows == nil) == (want == nil) && fmt.Sprint(rows) == fmt.Sprint(want) {
			return steps, nil
		}
	}
	return 0, fmt.Errorf("after %d of %d steps there is %v (nil: no tenant: %v)", b.done, b.next, rows, rows == nil)
}

// checkSecond checks that t, made for the second time, knows nothing of the
// first, and can be written to, flushed and read.
func (b *burial) checkSecond(db *DB) error {
	ctx := context.Background()
	events, _, err := db.Events(ctx, "t", EventQuery{Span: model.AllTime()})
	if err != nil || len(events) > 0 {
		return fmt.Errorf("events %v, %v", events, err)
	}
	if alarms, err := db.Alarms("t"); err != nil || len(alarms) > 0 {
		return fmt.Errorf("alarms %v, %v", alarms, err)
	}
	if err := errors.Join(buryWrite(ctx, db, 40, 5), db.Flush(ctx)); err != nil {
		return err
	}
	got := map[int64]float64{}
	if err := readSpan(db, 1, model.Span{From: 40, To: math.MaxInt64}, got); err != nil || len(got) != 1 || got[40] != 5 {
		return fmt.Errorf("rows %v, %v", got, err)
	}
	born := db.tenants["t"].born
	names, err := db.blocks.List(disk.BlocksDir)
	for _, name := range names {
		if m, ok := disk.ParseBlockName(name); !ok || m.LastOffset < born {
			return fmt.Errorf("%s is of the first tenant, the second was made at %d", name, born)
		}
	}
	return err
}

// TestTenantDeletionCrashes takes the disk as it would be if the power failed
// before each operation that writes, while tenants are deleted and made.
func TestTenantDeletionCrashes(t *testing.T) {
	for _, percent := range []int{0, 50} {
		memory := vfs.NewCrashableMem()
		faulty := disktest.New(memory)
		b := &burial{}
		n := 0
		type crash struct {
			fs         *vfs.MemFS
			done, next int
			operation  string
		}
		var crashes []crash
		var mu sync.Mutex
		faulty.Observe(func(op disktest.Op) {
			if !op.Writes() {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			n++
			b.mu.Lock()
			defer b.mu.Unlock()
			crashes = append(crashes, crash{crashClone(memory, uint64(n), percent), b.done, b.next, op.String()})
		})
		must(t, b.run(faulty))
		for i, c := range crashes {
			if err := (&burial{done: c.done, next: c.next}).verify(c.fs); err != nil {
				t.Fatalf("%d%% kept, crash %d before %s: %v", percent, i, c.operation, err)
			}
		}
		t.Logf("%d crashes", len(crashes))
	}
}

// TestTenantDeletionFails makes each operation on the disk fail, from one on or
// once, while tenants are deleted and made.
func TestTenantDeletionFails(t *testing.T) {
	for _, once := range []bool{false, true} {
		for i := 0; ; i++ {
			memory := vfs.NewCrashableMem()
			faulty := disktest.New(memory)
			if once {
				faulty.FailOnce(i, errors.New("broken"))
			} else {
				faulty.FailFrom(i, errors.New("broken"))
			}
			b := &burial{}
			runErr := b.run(faulty)
			if faulty.Failed() == 0 {
				t.Logf("%d operations", i)
				break
			}
			if err := b.verify(crashClone(memory, uint64(i), 50)); err != nil {
				t.Fatalf("once %v: operation %d failed (run: %v): then %v", once, i, runErr, err)
			}
			if !long() && i > 60 {
				i += i / 15
			}
		}
	}
}
