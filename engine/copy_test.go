package engine

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/disk/disktest"
)

// openCopy opens the copy in dir of fs, which must be without a fault.
func openCopy(t *testing.T, fs disk.FS, dir string) *DB {
	t.Helper()
	o := scriptOptions(fs)
	o.Dir, o.MustExist = dir, true
	err := Verify(context.Background(), o, func(f Fault) { t.Errorf("fault in the copy: %v", f) }, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if faults, _ := db.Faults(); len(faults) > 0 {
		t.Errorf("faults of the copy: %v", faults)
	}
	return db
}

// TestSnapshotWhileEverythingRuns takes copies while rows are written, flushed,
// checkpointed and merged: each holds all that was acknowledged before, nothing
// but whole entries of what came later, and is without a fault.
func TestSnapshotWhileEverythingRuns(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewMem()
	o := scriptOptions(fs)
	o.SegmentBytes = 4 << 10
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	var acknowledged atomic.Int64 // batches
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := db.Append(ctx, scriptBatch(i)); err != nil {
				t.Errorf("append: %v", err)
				return
			}
			acknowledged.Store(int64(i + 1))
		}
	})
	running.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := upkeep(db, i); err != nil {
				t.Errorf("maintenance: %v", err)
				return
			}
		}
	})
	least := map[string]int64{}
	for i := range 8 {
		dir := fmt.Sprintf("copies/%d", i)
		before := acknowledged.Load()
		copied, err := db.Snapshot(ctx, dir)
		if err != nil {
			t.Fatal(err)
		}
		if copied.Files == 0 || copied.Bytes == 0 || int64(copied.Offset) < before {
			t.Errorf("copied %+v of at least %d batches", copied, before)
		}
		least[dir] = before
	}
	close(stop)
	running.Wait()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for dir, before := range least {
		checkScriptCopy(t, fs, dir, before)
	}
}

// upkeep flushes and, now and then, checkpoints and compacts.
func upkeep(db *DB, i int) error {
	ctx := context.Background()
	err := db.Flush(ctx)
	if i%3 == 1 {
		err = errors.Join(err, db.Checkpoint(ctx))
	}
	if i%5 == 4 {
		err = errors.Join(err, db.Compact(ctx))
	}
	return err
}

// checkScriptCopy checks that a copy holds whole batches, in order, and so many
// at least.
func checkScriptCopy(t *testing.T, fs disk.FS, dir string, least int64) {
	t.Helper()
	db := openCopy(t, fs, dir)
	defer db.Close()
	rows := allRows(t, db)
	want := [2]map[int64]float64{{}, {}}
	n := int64(0)
	for ; len(rows[0]) > len(want[0]); n++ {
		for i, c := range scriptBatch(int(n)).Columns {
			for j, at := range c.Times {
				want[i][at] = c.Values[j]
			}
		}
	}
	if n < least || !sameRows(rows, want) {
		t.Errorf("%s holds %d batches, %d were acknowledged before", dir, n, least)
	}
	if _, err := db.Append(context.Background(), scriptBatch(int(n))); err != nil {
		t.Errorf("writing to %s: %v", dir, err)
	}
}

// TestSnapshotOfDamage copies a database with a damaged block: the copy has it
// too, and says so.
func TestSnapshotOfDamage(t *testing.T) {
	fs := copyFS(t, builtDB(t))
	name := filesBelow(t, fs, "data/blocks/t", anyFile)[0]
	b := readFile(t, fs, name)
	b[disk.HeaderSize+disk.FrameHeaderSize+2] ^= 16
	writeFile(t, fs, name, b)
	db := openTest(t, fs)
	if err := readAll(db, 1, map[int64]float64{}); !errors.Is(err, disk.ErrCorrupt) {
		t.Fatalf("reading: %v", err)
	}
	if _, err := db.Snapshot(context.Background(), "copy"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	o := scriptOptions(fs)
	o.Dir = "copy"
	copied, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	if n := copied.Quarantined()[KindBlock]; n != 1 {
		t.Errorf("the copy has %d blocks set aside, want 1", n)
	}
	if err := readAll(copied, 1, map[int64]float64{}); !errors.Is(err, disk.ErrCorrupt) {
		t.Errorf("reading the copy: %v", err)
	}
}

// TestSnapshotIsAllOrNothing makes each change of the disk fail in turn: what
// was made of the copy is gone or at least no database, and the original goes
// on.
func TestSnapshotIsAllOrNothing(t *testing.T) {
	ctx := context.Background()
	memory := vfs.NewMem()
	faulty := disktest.New(memory)
	db, err := Open(scriptOptions(faulty))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	appendScript(t, db, "t", 0, 9)
	if err := errors.Join(db.Flush(ctx), db.Checkpoint(ctx)); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Snapshot(ctx, "data/blocks/copy"); !errors.Is(err, ErrInvalid) {
		t.Errorf("into itself: %v", err)
	}
	faulty.Count(func(op disktest.Op) bool { return op.Writes() && strings.Contains(op.Path, "copy") })
	for i := 0; ; i++ {
		faulty.FailOnce(i, syscall.EIO)
		_, err := db.Snapshot(ctx, "copy")
		met := faulty.Failed() > 0
		if err == nil && !met {
			break
		}
		if err == nil { // a link that failed was copied instead
			checkScriptCopy(t, memory, "copy", 9)
		} else if _, err := memory.Stat("copy/FORMAT"); err == nil {
			t.Errorf("operation %d failed, and the copy says that it is whole", i)
		}
		if err := memory.RemoveAll("copy"); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Append(ctx, scriptBatch(9)); err != nil {
			t.Fatalf("operation %d of the copy failed, and now the database does: %v", i, err)
		}
	}
	checkScriptCopy(t, memory, "copy", 9)
	if _, err := db.Snapshot(ctx, "copy"); !errors.Is(err, ErrInvalid) {
		t.Errorf("over another copy: %v", err)
	}
	if linked := filesBelow(t, memory, "copy/blocks", anyFile); len(linked) == 0 || path.Ext(linked[0]) != ".blk" {
		t.Errorf("blocks of the copy: %v", linked)
	}
}

// TestSnapshotIntoWhatCannotBe names who asked, not the database.
func TestSnapshotIntoWhatCannotBe(t *testing.T) {
	dir := t.TempDir()
	o := manualOptions(vfs.Default)
	o.Dir = dir + "/data"
	db, err := Open(o)
	must(t, err)
	defer db.Close()
	for _, out := range []string{dir + "/data/FORMAT", dir + "/data/FORMAT/copy", dir + "/data/copy", dir} {
		if _, err := db.Snapshot(context.Background(), out); !errors.Is(err, ErrInvalid) || errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: %v", out, err)
		}
	}
}
