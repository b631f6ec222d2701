package disktest_test

import (
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/disk/disktest"
)

func write(fsys vfs.FS, path, text string) error {
	file, err := fsys.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write([]byte(text))
	return errors.Join(err, file.Sync(), file.Close())
}

func TestFailures(t *testing.T) {
	fsys := disktest.New(vfs.NewMem())
	fsys.FailOnce(1, syscall.EIO)
	if err := write(fsys, "x", "text"); !errors.Is(err, syscall.EIO) {
		t.Errorf("the write: %v", err)
	}
	if err := write(fsys, "x", "text"); err != nil || fsys.Failed() != 1 || fsys.Operations() != 6 {
		t.Errorf("afterwards: %v, %d of %d failed", err, fsys.Failed(), fsys.Operations())
	}
	fsys.FailFrom(2, syscall.ENOSPC)
	for range 3 {
		if err := write(fsys, "x", "text"); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("for ever: %v", err)
		}
	}
	fsys.Reset()
	if err := write(fsys, "x", "text"); err != nil {
		t.Errorf("after reset: %v", err)
	}
	fsys.Count(func(op disktest.Op) bool { return op.Kind == "sync" })
	fsys.FailOnce(0, syscall.EIO)
	if err := write(fsys, "x", "text"); !errors.Is(err, syscall.EIO) || fsys.Operations() != 1 {
		t.Errorf("only syncs: %v, %d operations", err, fsys.Operations())
	}
}

func TestShortWritesAndFullDisk(t *testing.T) {
	base := vfs.NewMem()
	fsys := disktest.New(base)
	fsys.ShortWrites(true)
	fsys.FailOnce(1, syscall.EIO)
	if err := write(fsys, "short", "0123456789"); !errors.Is(err, syscall.EIO) {
		t.Errorf("short write: %v", err)
	}
	if data, err := disk.ReadFile(base, "short"); err != nil || string(data) != "01234" {
		t.Errorf("a short write left %q, %v", data, err)
	}
	fsys.LimitWrites(7)
	if err := write(fsys, "full", "0123456789"); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("full disk: %v", err)
	}
	if data, err := disk.ReadFile(base, "full"); err != nil || string(data) != "0123456" {
		t.Errorf("a full disk left %q, %v", data, err)
	}
	if _, err := fsys.Create("none", vfs.WriteCategoryUnspecified); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("creating on a full disk: %v", err)
	}
	fsys.UnlimitWrites()
	if err := write(fsys, "full", "0123456789"); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestFlipRead(t *testing.T) {
	base := vfs.NewMem()
	if err := write(base, "x", "0123456789"); err != nil {
		t.Fatal(err)
	}
	fsys := disktest.New(base)
	for j, expected := range []string{"1123456789", "0023456789", "0133456789"} {
		fsys.FlipRead(int64(j), 1)
		for i, expected := range []string{expected, "0123456789"} {
			data, err := disk.ReadFile(fsys, "x")
			if err != nil || string(data) != expected {
				t.Errorf("byte %d, read %d: %q, %v", j, i, data, err)
			}
		}
		if op, ok := fsys.Flipped(); !ok || op.Path != "x" || fsys.BytesRead() != 20 {
			t.Errorf("flipped %v, %v after %d bytes", op, ok, fsys.BytesRead())
		}
	}
	file, err := fsys.Open("x")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fsys.FlipRead(3, 0xff)
	part := make([]byte, 4)
	if n, err := file.ReadAt(part, 4); n != 4 || err != nil && err != io.EOF || part[3] != '7'^0xff {
		t.Errorf("read at: %q, %v", part, err)
	}
}

// TestUnderPebble opens, writes and reads a pebble database through the
// wrapper, and crashes beneath it.
func TestUnderPebble(t *testing.T) {
	base := vfs.NewCrashableMem()
	fsys := disktest.New(base)
	open := func(fsys vfs.FS) *pebble.DB {
		db, err := pebble.Open("db", &pebble.Options{FS: fsys})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	db := open(fsys)
	if err := db.Set([]byte("key"), []byte("value"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if fsys.Operations() == 0 {
		t.Error("nothing was counted")
	}
	clone := open(base.CrashClone(vfs.CrashCloneCfg{}))
	value, closer, err := clone.Get([]byte("key"))
	if err != nil || string(value) != "value" {
		t.Fatalf("after a crash: %q, %v", value, err)
	}
	if err := errors.Join(closer.Close(), clone.Close(), db.Close()); err != nil {
		t.Error(err)
	}
}
