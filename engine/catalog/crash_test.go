package catalog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/disk/disktest"
	"github.com/hokan-db/hokan/engine/model"
)

// long reports whether loops shall visit every case.
func long() bool { return os.Getenv("HOKAN_LONG") == "1" }

const (
	scriptSteps   = 24
	eventsPerStep = 40 // fill a test's memtable in 4 steps, so that there are flushes and compactions
	testMemTable  = 64 << 10
)

var errDisk = errors.New("the disk broke")

// stepManifest is the manifest that step n of the script commits.
func stepManifest(n int) Manifest {
	return Manifest{Revision: uint64(n), Epoch: 1, FlushedTo: uint64(n) * 100, Blocks: metas("t", n/2, n)}
}

// step puts the events of step n, from 1, and commits its records.
func step(c *Catalog, n int) error {
	if err := c.PutEvents("t", events(n * eventsPerStep)[(n-1)*eventsPerStep:]); err != nil {
		return err
	}
	return c.Commit(PutLog(LogRecord{Revision: uint64(n), TrimmedTo: uint64(n)}), PutManifest("t", stepManifest(n)))
}

// script runs the steps until one fails and returns how many were
// acknowledged, 0 and the error where the catalog did not open.
func script(t *testing.T, files vfs.FS) (acknowledged int, c *Catalog, err error) {
	t.Helper()
	c, err = Open(files, dir, Options{memTableBytes: testMemTable})
	if err != nil {
		return 0, nil, err
	}
	for n := 1; n <= scriptSteps; n++ {
		if err = step(c, n); err != nil {
			return n - 1, c, err
		}
	}
	return scriptSteps, c, nil
}

// checkRecovered opens files and checks that the acknowledged steps are there
// and that the one after them is wholly there or absent.
func checkRecovered(t *testing.T, what string, files vfs.FS, acknowledged int) {
	t.Helper()
	c, err := Open(files, dir, Options{memTableBytes: testMemTable})
	if err != nil {
		t.Fatalf("%s: open again: %v", what, err)
	}
	log, err := c.LoadLog()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	stored := int(log.Revision)
	if stored != acknowledged && stored != acknowledged+1 {
		t.Fatalf("%s: step %d is stored, step %d was acknowledged", what, stored, acknowledged)
	}
	want := Manifest{}
	if stored > 0 {
		want = stepManifest(stored)
	}
	if got, err := c.LoadManifest("t"); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%s: manifest %+v, %v; want %+v", what, got, err, want)
	}
	wantEvents := events(stored * eventsPerStep)
	got, _, err := c.Events("t", EventQuery{Span: model.AllTime()})
	if err != nil || len(got) < len(wantEvents) || !reflect.DeepEqual(got[:len(wantEvents)], wantEvents) && stored > 0 {
		t.Fatalf("%s: %d events, %v; want at least the %d of step %d", what, len(got), err, len(wantEvents), stored)
	}
	if err := step(c, stored+1); err != nil {
		t.Fatalf("%s: step after opening again: %v", what, err)
	}
	if err := c.Close(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// TestCrashesInOpenings lets the power fail at each write of opening, again and
// again with what the last failure left: then openings empty logs into tables, and
// merge these at the same time. None takes that for damage.
func TestCrashesInOpenings(t *testing.T) {
	memory := vfs.NewCrashableMem()
	for n := 1; n <= scriptSteps; n++ {
		var crashes []*vfs.MemFS
		var mu sync.Mutex
		opening := true
		files := disktest.New(memory)
		files.Observe(func(op disktest.Op) {
			mu.Lock()
			defer mu.Unlock()
			if opening && op.Writes() && (!testing.Short() || n%6 == 0) {
				crashes = append(crashes, memory.CrashClone(vfs.CrashCloneCfg{}))
			}
		})
		c, err := Open(files, dir, Options{memTableBytes: testMemTable})
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		opening = false
		mu.Unlock()
		if err := step(c, n); err != nil {
			t.Fatal(err)
		}
		left := memory.CrashClone(vfs.CrashCloneCfg{})
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		for i, crashed := range crashes {
			checkRecovered(t, fmt.Sprintf("opening %d, crash %d", n, i), crashed, n-1)
		}
		memory = left
	}
}

// TestEachFailure fails each operation that changes the disk in turn, syncs
// among them, once or from then on, also while opening. Whatever fails, a
// commit is acknowledged only if it survives a crash right after; after a
// failure every write is refused; and the process goes on.
func TestEachFailure(t *testing.T) {
	for _, mode := range []struct {
		name    string
		forEver bool
		short   bool
		syncs   bool // only these fail
		stride  int  // without HOKAN_LONG
	}{
		{name: "each sync once", syncs: true, stride: 1},
		{name: "each change once", short: true, stride: 23},
		{name: "each change and all later ones", forEver: true, stride: 31},
	} {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			stride := mode.stride
			switch {
			case long():
				stride = 1
			case testing.Short():
				stride *= 5
			}
			for i := 0; ; i += stride {
				memory := vfs.NewCrashableMem()
				files := disktest.New(memory)
				files.Count(func(op disktest.Op) bool {
					if mode.syncs {
						return op.Kind == "sync"
					}
					return op.Writes() && op.Kind != "preallocate" // a hint
				})
				files.ShortWrites(mode.short)
				if mode.forEver {
					files.FailFrom(i, errDisk)
				} else {
					files.FailOnce(i, errDisk)
				}
				if !failOne(t, fmt.Sprintf("operation %d", i), memory, files) {
					t.Logf("%d operations", i)
					return
				}
			}
		})
	}
}

// failOne runs the script on files, which fail somewhere, and checks what
// follows. It returns false where nothing failed.
func failOne(t *testing.T, what string, memory *vfs.MemFS, files *disktest.FS) bool {
	t.Helper()
	acknowledged, c, err := script(t, files)
	if err != nil && !errors.Is(err, errDisk) {
		t.Fatalf("%s: got %v, want the disk's error", what, err)
	}
	if c != nil && err != nil {
		checkRefuses(t, what, c, acknowledged)
	}
	crashed := memory.CrashClone(vfs.CrashCloneCfg{})
	torn := memory.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(1, uint64(files.Operations())))})
	failed := files.Failed() > 0
	if c != nil {
		if closeErr := c.Close(); err != nil && !errors.Is(closeErr, ErrFailed) {
			t.Fatalf("%s: close of a failed catalog: %v, want ErrFailed", what, closeErr)
		}
	}
	files.Reset()
	checkRecovered(t, what+", after a crash", crashed, acknowledged)
	checkRecovered(t, what+", after a crash that kept half of what was not synced", torn, acknowledged)
	checkRecovered(t, what+", without a crash", files, acknowledged)
	if found := check(t, files); len(found) > 0 {
		t.Fatalf("%s: Check found %q", what, found)
	}
	return failed
}

// checkRefuses checks that a failed catalog writes no more and reads on.
func checkRefuses(t *testing.T, what string, c *Catalog, acknowledged int) {
	t.Helper()
	for _, err := range []error{c.Err(), c.Commit(), step(c, acknowledged+1), c.PutEvents("t", events(1)),
		c.Commit(PutPartition(1, PartitionRecord{Revision: 1}))} {
		if !errors.Is(err, ErrFailed) || !errors.Is(err, errDisk) {
			t.Fatalf("%s: a write after the failure got %v, want ErrFailed and its cause", what, err)
		}
	}
	log, err := c.LoadLog()
	if err != nil || int(log.Revision) < acknowledged {
		t.Fatalf("%s: a read after the failure got %+v, %v", what, log, err)
	}
	if _, err := c.LoadManifest("t"); err != nil {
		t.Fatalf("%s: a read after the failure got %v", what, err)
	}
}

// TestFullDisk fills the disk after some bytes: the catalog says so, keeps
// what it acknowledged and works again, opened anew, once there is room.
func TestFullDisk(t *testing.T) {
	for room := int64(0); ; room += 40_000 {
		memory := vfs.NewMem()
		files := disktest.New(memory)
		files.LimitWrites(room)
		acknowledged, c, err := script(t, files)
		if err == nil {
			if err = c.Close(); err == nil {
				return
			}
			c = nil // Close writes too
		}
		if !errors.Is(err, disk.ErrFull) || !errors.Is(err, ErrFailed) {
			t.Fatalf("room for %d bytes: got %v, want ErrFull and ErrFailed", room, err)
		}
		if c != nil {
			if err := c.Close(); !errors.Is(err, disk.ErrFull) {
				t.Fatalf("room for %d bytes: close: %v", room, err)
			}
		}
		files.Reset()
		checkRecovered(t, fmt.Sprintf("room for %d bytes", room), files, acknowledged)
	}
}

// TestReadOnlyDisk checks what opening for writing says of such a disk.
func TestReadOnlyDisk(t *testing.T) {
	files := disktest.New(vfs.NewMem())
	files.Count(func(op disktest.Op) bool { return op.Writes() && op.Kind != "lock" })
	files.FailFrom(0, syscall.EROFS)
	if _, err := Open(files, dir, Options{}); !errors.Is(err, disk.ErrReadOnly) {
		t.Errorf("got %v, want ErrReadOnly", err)
	}
}

// TestFatal reports a failure as pebble does, from another goroutine.
func TestFatal(t *testing.T) {
	memory := vfs.NewCrashableMem()
	c := open(t, memory)
	must(t, step(c, 1))
	files := disktest.New(memory)
	c.guard.lower = files
	var group sync.WaitGroup
	group.Go(func() { c.log.Fatalf("MANIFEST sync failed: %v", errDisk) })
	group.Wait()
	writes := 0
	files.Observe(func(op disktest.Op) {
		if op.Writes() {
			writes++
		}
	})
	checkRefuses(t, "after Fatalf", c, 1)
	if err := c.Close(); !errors.Is(err, ErrFailed) || !errors.Is(err, errDisk) {
		t.Errorf("close: got %v, want ErrFailed and its cause", err)
	}
	if writes > 0 {
		t.Errorf("%d changes of the disk after the failure", writes)
	}
	checkRecovered(t, "after Fatalf", memory, 1)
}

// TestEventsDurableByCommit checks that a commit makes events durable.
func TestEventsDurableByCommit(t *testing.T) {
	for name, changes := range map[string][]Change{"a record": {PutLog(LogRecord{Revision: 1})}, "nothing": nil} {
		memory := vfs.NewCrashableMem()
		c := open(t, memory)
		must(t, c.PutEvents("t", events(100)))
		before := memory.CrashClone(vfs.CrashCloneCfg{})
		must(t, c.Commit(changes...))
		after := memory.CrashClone(vfs.CrashCloneCfg{})
		must(t, c.Close())
		for clone, want := range map[*vfs.MemFS]int{before: 0, after: 100} {
			c := open(t, clone)
			got, _, err := c.Events("t", EventQuery{Span: model.AllTime()})
			if err != nil || len(got) != want {
				t.Errorf("commit of %s: %d events after the crash, %v; want %d", name, len(got), err, want)
			}
			must(t, c.Close())
		}
	}
}
