package wal_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/disk/disktest"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/wal"
	"github.com/hokan-db/hokan/engine/wal/logtest"
)

const smallSegment = 8 << 10

func mustOpen(t testing.TB, fsys disk.FS, dir string) *wal.Local {
	t.Helper()
	l, err := wal.Open(wal.Options{FS: fsys, Dir: dir, SegmentBytes: smallSegment})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return l
}

func TestContract(t *testing.T) {
	t.Run("Memory", func(t *testing.T) {
		logtest.Run(t, func(t *testing.T) func() wal.Log {
			fsys := vfs.NewMem()
			return func() wal.Log { return mustOpen(t, fsys, "log") }
		})
	})
	t.Run("Folder", func(t *testing.T) {
		logtest.Run(t, func(t *testing.T) func() wal.Log {
			dir := t.TempDir()
			return func() wal.Log { return mustOpen(t, vfs.Default, dir+"/log") }
		})
	})
}

// TestOpenWritesNoSegment opens, reads and closes without appending.
func TestOpenWritesNoSegment(t *testing.T) {
	fsys := vfs.NewMem()
	for range 3 {
		l := mustOpen(t, fsys, "log")
		if _, err := logtest.Drain(l); err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	if names, err := fsys.List("log"); err != nil || len(names) != 0 {
		t.Errorf("files %v, %v", names, err)
	}
}

func TestEnsureAfter(t *testing.T) {
	fsys := vfs.NewMem()
	l := mustOpen(t, fsys, "log")
	l.EnsureAfter(99)
	if first, last := l.Bounds(); first != 100 || last != 99 {
		t.Errorf("bounds %d, %d", first, last)
	}
	if offset, err := logtest.Append(l, logtest.Entry("a", 1, 1)); offset != 100 || err != nil {
		t.Errorf("append: %d, %v", offset, err)
	}
	l.EnsureAfter(50) // changes nothing
	if offset, err := logtest.Append(l, logtest.Entry("a", 2, 1)); offset != 101 || err != nil {
		t.Errorf("append: %d, %v", offset, err)
	}
	l.Close()
	l = mustOpen(t, fsys, "log")
	l.EnsureAfter(199) // entries 102 to 199 were lost
	if first, last := l.Bounds(); first != 100 || last != 101 {
		t.Errorf("bounds %d, %d", first, last)
	}
	if offset, err := logtest.Append(l, logtest.Entry("a", 3, 1)); offset != 200 || err != nil {
		t.Errorf("append: %d, %v", offset, err)
	}
	l.EnsureAfter(299)
	if offset, err := logtest.Append(l, logtest.Entry("a", 4, 1)); offset != 300 || err != nil {
		t.Errorf("append: %d, %v", offset, err)
	}
	l.Close()
	l = mustOpen(t, fsys, "log")
	defer l.Close()
	all, err := logtest.Drain(l)
	if err != nil || len(all) != 4 || all[2].Offset != 200 || all[3].Offset != 300 {
		t.Errorf("entries %v, %v", all, err)
	}
	if faults := l.Faults(); len(faults) != 2 {
		t.Errorf("the gaps were not reported: %v", faults)
	}
}

// TestFailedSyncIsFinal fails the sync of an append: it and all later appends
// are refused, tails see nothing of it, and nothing is synced again.
func TestFailedSyncIsFinal(t *testing.T) {
	fsys := disktest.New(vfs.NewMem())
	l := mustOpen(t, fsys, "log")
	tail, err := l.Tail(nil, logtest.All)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := logtest.Append(l, logtest.Entry("a", 1, 1)); err != nil {
		t.Fatal(err)
	}
	tail.TryNext()
	fsys.Count(func(op disktest.Op) bool { return op.Kind == "sync" })
	fsys.FailOnce(0, syscall.EIO)
	for i := range 3 {
		_, err := logtest.Append(l, logtest.Entry("a", 2+i, 1))
		if !errors.Is(err, wal.ErrFailed) || !errors.Is(err, syscall.EIO) {
			t.Fatalf("append %d: %v", i, err)
		}
	}
	if entries, err := tail.TryNext(); entries != nil || err != nil {
		t.Errorf("the tail got %v, %v", entries, err)
	}
	if _, last := l.Bounds(); last != 1 {
		t.Errorf("last is %d", last)
	}
	l.Close()
	if n := fsys.Operations(); n != 1 {
		t.Errorf("%d syncs", n)
	}
	l = mustOpen(t, fsys, "log")
	defer l.Close()
	all, err := logtest.Drain(l)
	if err != nil || len(all) == 0 || all[0].Time != 1 {
		t.Errorf("after opening again: %v, %v", all, err)
	}
	if offset, err := logtest.Append(l, logtest.Entry("a", 9, 1)); err != nil || offset != uint64(len(all))+1 {
		t.Errorf("append after opening again: %d, %v", offset, err)
	}
}

// TestFullDisk fills the disk at every byte in turn: refused entries are never
// seen again, whole in the file or not, and writing goes on when there is room.
func TestFullDisk(t *testing.T) {
	for free := int64(0); free < 1500; free += 7 {
		fsys := disktest.New(vfs.NewMem())
		l := mustOpen(t, fsys, "log")
		tail, err := l.Tail(nil, logtest.All)
		if err != nil {
			t.Fatal(err)
		}
		var kept []*entry.Entry
		refused := 0
		for i := range 30 {
			switch i {
			case 5:
				fsys.LimitWrites(free)
			case 20:
				fsys.UnlimitWrites()
			}
			e := logtest.Entry("a", i, i%5)
			offset, err := logtest.Append(l, e)
			if err != nil {
				if !errors.Is(err, disk.ErrFull) || errors.Is(err, wal.ErrFailed) {
					t.Fatalf("append %d: %v", i, err)
				}
				refused++
				continue
			}
			kept = append(kept, e)
			if offset != uint64(len(kept)) {
				t.Fatalf("offset %d after %d entries", offset, len(kept))
			}
		}
		if free < 900 && refused == 0 {
			t.Errorf("free %d: nothing was refused", free)
		}
		live, err := tail.TryNext()
		if err != nil || len(live) != len(kept) {
			t.Fatalf("free %d: the tail got %d of %d, %v", free, len(live), len(kept), err)
		}
		checkHolds(t, l, kept)
		l.Close()
		l = mustOpen(t, fsys, "log")
		checkHolds(t, l, kept)
		l.Close()
		checkClean(t, fsys, "log")
	}
}

// checkHolds reports when the log does not hold exactly these entries, or
// found damage.
func checkHolds(t *testing.T, l *wal.Local, expected []*entry.Entry) {
	t.Helper()
	all, err := logtest.Drain(l)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(expected) {
		t.Fatalf("%d entries, expected %d", len(all), len(expected))
	}
	for i := range all {
		if !all[i].Equal(expected[i]) {
			t.Fatalf("entry %d is of time %d, expected %d of time %d", all[i].Offset, all[i].Time,
				expected[i].Offset, expected[i].Time)
		}
	}
	if faults := l.Faults(); len(faults) > 0 {
		t.Fatalf("faults %v", faults)
	}
}

// checkClean reports what Check finds amiss.
func checkClean(t *testing.T, fsys disk.FS, dir string) {
	t.Helper()
	_, _, err := wal.Check(fsys, dir, 0, func(path string, offset int64, what string) {
		t.Errorf("%s: byte %d: %s", path, offset, what)
	}, func(string) {})
	if err != nil {
		t.Error(err)
	}
}

// TestFailedOperations fails every operation of a script in turn, once or from
// then on, and opens the log again on a sound disk.
func TestFailedOperations(t *testing.T) {
	for _, forEver := range []bool{false, true} {
		for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
			for i := 0; ; i++ {
				fsys := disktest.New(vfs.NewMem())
				fsys.ShortWrites(i%2 == 0)
				if forEver {
					fsys.FailFrom(i, cause)
				} else {
					fsys.FailOnce(i, cause)
				}
				acknowledged := failingScript(t, fsys)
				if fsys.Failed() == 0 {
					break
				}
				fsys.Reset()
				name := fmt.Sprintf("operation %d, for ever %v, %v", i, forEver, cause)
				l := mustOpen(t, fsys, "log")
				all, err := logtest.Drain(l)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				for offset, id := range acknowledged {
					first, _ := l.Bounds()
					if offset < first {
						continue // trimmed
					}
					if at := offset - first; at >= uint64(len(all)) || all[at].Time != id {
						t.Fatalf("%s: entry %d is lost", name, offset)
					}
				}
				if faults := l.Faults(); len(faults) > 0 {
					t.Fatalf("%s: %v", name, faults)
				}
				l.Close()
				checkClean(t, fsys, "log")
			}
		}
	}
}

// failingScript appends, reads, trims and reopens, whatever fails, and returns
// the times of the acknowledged entries.
func failingScript(t *testing.T, fsys disk.FS) map[uint64]int64 {
	acknowledged := map[uint64]int64{}
	for round := range 3 {
		l, err := wal.Open(wal.Options{FS: fsys, Dir: "log", SegmentBytes: 1 << 10})
		if err != nil {
			continue
		}
		for i := range 12 {
			e := logtest.Entry(model.Tenant(fmt.Sprint("t", i)), 100*round+i, 10)
			if offset, err := logtest.Append(l, e); err == nil {
				if _, taken := acknowledged[offset]; taken {
					t.Errorf("offset %d was given twice", offset)
				}
				acknowledged[offset] = e.Time
			}
		}
		logtest.Drain(l)
		l.Trim(uint64(10 * round))
		l.Close()
	}
	return acknowledged
}

// TestTrimDeletes trims a log that is being written: all files go whose
// entries all may, and no other.
func TestTrimDeletes(t *testing.T) {
	fsys := vfs.NewMem()
	l, err := wal.Open(wal.Options{FS: fsys, Dir: "log", SegmentBytes: 1 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := range 100 {
		if _, err := logtest.Append(l, logtest.Entry("a", i, 3)); err != nil {
			t.Fatal(err)
		}
	}
	files := func() int {
		names, err := fsys.List("log")
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	before, bytes := files(), l.Bytes()
	last := uint64(1)
	for upTo := uint64(0); upTo <= 100; upTo++ {
		if err := l.Trim(upTo); err != nil {
			t.Fatal(err)
		}
		first, _ := l.Bounds()
		if first > upTo+1 || first < last {
			t.Fatalf("the first entry is %d after trim to %d", first, upTo)
		}
		last = first
	}
	if left := files(); before < 5 || left != 1 || l.Bytes() >= bytes/5 {
		t.Errorf("%d files of %d, %d bytes of %d are left", left, before, l.Bytes(), bytes)
	}
	checkClean(t, fsys, "log")
}

// TestTrimAtRest trims a log to which nobody writes: what all may go goes, and
// the log goes on where it was, also when it is opened again.
func TestTrimAtRest(t *testing.T) {
	fsys := vfs.NewMem()
	open := func() *wal.Local {
		l, err := wal.Open(wal.Options{FS: fsys, Dir: "log", SegmentBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := open()
	var last uint64
	write := func(n int) {
		for i := range n {
			offset, err := logtest.Append(l, logtest.Entry("a", i, 300))
			if err != nil || offset != last+1 {
				t.Fatalf("offset %d after %d: %v", offset, last, err)
			}
			last = offset
		}
	}
	write(100)
	if l.Bytes() < 128<<10 {
		t.Fatalf("%d bytes are too few for this test", l.Bytes())
	}
	if err := l.Trim(last - 1); err != nil {
		t.Fatal(err)
	}
	if first, _ := l.Bounds(); first != 1 {
		t.Errorf("the log begins with %d although an entry had to stay", first)
	}
	if err := l.Trim(last); err != nil {
		t.Fatal(err)
	}
	if first, newest := l.Bounds(); first != last+1 || newest != last || l.Bytes() > 1<<10 {
		t.Errorf("first %d, last %d, %d bytes after everything was trimmed to %d", first, newest, l.Bytes(), last)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open()
	write(2)
	if entries, err := logtest.Drain(l); err != nil || len(entries) != 2 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	checkClean(t, fsys, "log")
}
