package wal

import (
	"errors"
	"runtime"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk/disktest"
)

// appendWhileSyncing appends an entry and, while it is being synced, three
// more, and returns what the four appends returned.
func appendWhileSyncing(t *testing.T, l *Local, fsys *disktest.FS) (errs []error) {
	t.Helper()
	results := make(chan error, 3)
	started := false
	fsys.Observe(func(op disktest.Op) {
		if op.Kind != "sync" || started {
			return
		}
		started = true
		for i := range 3 {
			go func() {
				e := testEntry(10 + i)
				_, err := l.Append(Claim{}, e)
				results <- err
			}()
		}
		for waiting := 0; waiting < 3; runtime.Gosched() {
			waiting = 0
			l.mu.Lock()
			for _, g := range l.queue {
				waiting += len(g.entries)
			}
			l.mu.Unlock()
		}
	})
	_, err := l.Append(Claim{}, testEntry(2))
	errs = append(errs, err)
	for range 3 {
		errs = append(errs, <-results)
	}
	fsys.Observe(nil)
	return errs
}

// TestWaitersShareASync lets entries gather while one is synced: they are
// written and synced together.
func TestWaitersShareASync(t *testing.T) {
	fsys := disktest.New(vfs.NewMem())
	l, err := Open(Options{FS: fsys, Dir: "log"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Append(Claim{}, testEntry(1)); err != nil {
		t.Fatal(err)
	}
	fsys.Reset()
	for _, err := range appendWhileSyncing(t, l, fsys) {
		if err != nil {
			t.Error(err)
		}
	}
	if n := fsys.Operations(); n != 4 { // two writes and two syncs
		t.Errorf("%d operations", n)
	}
	if _, last := l.Bounds(); last != 5 {
		t.Errorf("last is %d", last)
	}
}

// TestWaitersOfAFailedSync fails the sync that others wait behind: they are
// refused as well, without another write or sync.
func TestWaitersOfAFailedSync(t *testing.T) {
	fsys := disktest.New(vfs.NewMem())
	l, err := Open(Options{FS: fsys, Dir: "log"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(Claim{}, testEntry(1)); err != nil {
		t.Fatal(err)
	}
	fsys.FailOnce(1, syscall.EIO)
	for _, err := range appendWhileSyncing(t, l, fsys) {
		if !errors.Is(err, ErrFailed) {
			t.Errorf("append: %v", err)
		}
	}
	l.Close()
	if n := fsys.Operations(); n != 2 {
		t.Errorf("%d operations", n)
	}
}

// TestOffsetOfAFailedWrite fills the disk for one write: the next has the
// offset that it did not take.
func TestOffsetOfAFailedWrite(t *testing.T) {
	fsys := disktest.New(vfs.NewMem())
	l, err := Open(Options{FS: fsys, Dir: "log"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Append(Claim{}, testEntry(1)); err != nil {
		t.Fatal(err)
	}
	e := testEntry(3)
	fsys.FailOnce(0, syscall.ENOSPC)
	if _, err := l.Append(Claim{}, testEntry(2)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("append: %v", err)
	}
	if offset, err := l.Append(Claim{}, e); err != nil || offset != 2 || e.Offset != 2 {
		t.Errorf("append: %d, %v", offset, err)
	}
}
