package disk_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/disk/blockstest"
	"github.com/hokan-db/hokan/engine/disk/disktest"
)

// newMem returns an empty file system with a durable folder data.
func newMem(t *testing.T) *vfs.MemFS {
	t.Helper()
	fsys := vfs.NewCrashableMem()
	if err := disk.MakeDir(fsys, "data"); err != nil {
		t.Fatal(err)
	}
	return fsys
}

func TestLocalBlocks(t *testing.T) {
	t.Run("Memory", func(t *testing.T) {
		blockstest.Run(t, func(t *testing.T) disk.Blocks { return disk.NewLocalBlocks(newMem(t), "data") })
	})
	t.Run("Folder", func(t *testing.T) {
		blockstest.Run(t, func(t *testing.T) disk.Blocks { return disk.NewLocalBlocks(disk.Default(), t.TempDir()+"/") })
	})
}

// TestPutCrashes crashes before each operation of some puts and deletes: what
// was acknowledged holds, and no object is ever in part.
func TestPutCrashes(t *testing.T) {
	base := newMem(t)
	fsys := disktest.New(base)
	blocks := disk.NewLocalBlocks(fsys, "data")
	rng := rand.New(rand.NewPCG(1, 2))
	content := func(name string) []byte { return []byte(strings.Repeat(name, 200_000/len(name))) }
	stored, deleted := map[string]bool{}, map[string]bool{}
	crashes := 0
	fsys.Observe(func(op disktest.Op) {
		if !op.Writes() {
			return
		}
		for _, percent := range []int{0, 50, 100} {
			crashes++
			clone := base.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
			after := disk.NewLocalBlocks(clone, "data")
			temporary, _, err := after.Leftovers()
			if err := errors.Join(err, after.RemoveTemporaries(temporary)); err != nil {
				t.Fatal(err)
			}
			names, err := after.List("")
			if err != nil {
				t.Fatal(err)
			}
			for name := range stored {
				if !slices.Contains(names, name) {
					t.Errorf("before %v with %d %%: %s is lost", op, percent, name)
				}
			}
			for _, name := range names {
				if data, err := blockstest.Get(after, name); err != nil || string(data) != string(content(name)) {
					t.Errorf("before %v with %d %%: %s has %d bytes, %v", op, percent, name, len(data), err)
				}
				if deleted[name] {
					t.Errorf("before %v with %d %%: %s is there again", op, percent, name)
				}
			}
			if temporary, _, err := after.Leftovers(); err != nil || len(temporary) > 0 {
				t.Errorf("temporaries %v, %v", temporary, err)
			}
		}
	})
	names := []string{"blocks/a/1.blk", "blocks/a/2.blk", "blocks/b/1.blk", "checkpoints/x.ckpt"}
	for _, name := range names {
		if err := blockstest.Put(blocks, name, content(name)); err != nil {
			t.Fatal(err)
		}
		stored[name] = true
	}
	delete(stored, names[1])
	delete(stored, names[2])
	if err := blocks.Delete(names[1:3]...); err != nil {
		t.Fatal(err)
	}
	deleted[names[1]], deleted[names[2]] = true, true
	fsys.Observe(nil)
	t.Logf("%d crashes", crashes)
}

// TestPutFaults fails each operation of a put and a delete in turn.
func TestPutFaults(t *testing.T) {
	for i := 0; ; i++ {
		base := newMem(t)
		fsys := disktest.New(base)
		fsys.ShortWrites(i%2 == 0)
		blocks := disk.NewLocalBlocks(fsys, "data")
		fsys.FailOnce(i, syscall.ENOSPC)
		err := blockstest.Put(blocks, "blocks/a/x.blk", make([]byte, 3<<20))
		if err == nil {
			if err = blocks.Delete("blocks/a/x.blk"); err == nil {
				if fsys.Failed() > 0 {
					t.Fatalf("operation %d failed and nothing was reported", i)
				}
				break
			}
			err = errors.Join(err, blocks.Delete("blocks/a/x.blk"))
		}
		if !errors.Is(err, disk.ErrFull) {
			t.Errorf("operation %d: %v", i, err)
		}
		fsys.Reset()
		clean := disk.NewLocalBlocks(base, "data")
		names, err := clean.List("")
		if err != nil || len(names) > 0 {
			t.Errorf("operation %d: %v remain, %v", i, names, err)
		}
		if temporary, _, err := clean.Leftovers(); err != nil || len(temporary) > 0 {
			t.Errorf("operation %d: %v remain, %v", i, temporary, err)
		}
		if err := blockstest.Put(blocks, "blocks/a/x.blk", []byte("x")); err != nil {
			t.Errorf("operation %d: a second try: %v", i, err)
		}
	}
}

// TestPutOrder is the order of operations that makes a put durable.
func TestPutOrder(t *testing.T) {
	fsys := disktest.New(newMem(t))
	var order []string
	fsys.Observe(func(op disktest.Op) {
		if op.Writes() {
			order = append(order, op.String())
		}
	})
	if err := blockstest.Put(disk.NewLocalBlocks(fsys, "data"), "blocks/a/x.blk", []byte("x")); err != nil {
		t.Fatal(err)
	}
	const expected = `mkdir data/blocks
sync data
mkdir data/blocks/a
sync data/blocks
create data/blocks/a/x.blk.tmp
write data/blocks/a/x.blk.tmp
sync data/blocks/a/x.blk.tmp
rename data/blocks/a/x.blk
sync data/blocks/a`
	if got := strings.Join(order, "\n"); got != expected {
		t.Errorf("order:\n%s\nexpected:\n%s", got, expected)
	}
}

// TestLargePutSyncsAsItGrows counts the syncs of a large object.
func TestLargePutSyncsAsItGrows(t *testing.T) {
	fsys := disktest.New(newMem(t))
	blocks := disk.NewLocalBlocks(fsys, "data")
	fsys.Count(func(op disktest.Op) bool { return op.Kind == "sync" && strings.HasSuffix(op.Path, ".tmp") })
	err := blocks.Put("blocks/a/x.blk", func(w io.Writer) error {
		for range 8 << 20 / 4096 {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := fsys.Operations(); n < 5 || n > 20 {
		t.Errorf("%d syncs of 8 MiB", n)
	}
}

func TestWriteAtomic(t *testing.T) {
	base := newMem(t)
	fsys := disktest.New(base)
	if _, err := disk.ReadFile(fsys, "data/FORMAT"); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("a missing file: %v", err)
	}
	if err := disk.WriteAtomic(fsys, "data/FORMAT", []byte("old")); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	fsys.Observe(func(op disktest.Op) {
		clone := base.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng})
		data, err := disk.ReadFile(clone, "data/FORMAT")
		if err != nil || string(data) != "old" && string(data) != "new" {
			t.Errorf("before %v: %q, %v", op, data, err)
		}
	})
	if err := disk.WriteAtomic(fsys, "data/FORMAT", []byte("new")); err != nil {
		t.Fatal(err)
	}
	fsys.Observe(nil)
	clone := base.CrashClone(vfs.CrashCloneCfg{})
	if data, err := disk.ReadFile(clone, "data/FORMAT"); err != nil || string(data) != "new" {
		t.Errorf("after a crash: %q, %v", data, err)
	}
}

func TestQuarantine(t *testing.T) {
	blocks := disk.NewLocalBlocks(newMem(t), "data")
	if err := blockstest.Put(blocks, "blocks/a/x.blk", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := blocks.Quarantine("blocks/a/x.blk"); err != nil {
		t.Fatal(err)
	}
	if names, err := blocks.List(""); err != nil || len(names) > 0 {
		t.Errorf("objects %v, %v", names, err)
	}
	if _, set, err := blocks.Leftovers(); err != nil || !slices.Equal(set, []string{"blocks/a/x.blk.quarantine"}) {
		t.Errorf("set aside: %v, %v", set, err)
	}
	if err := blocks.Quarantine("blocks/a/x.blk"); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("a second time: %v", err)
	}
}

func TestLockDir(t *testing.T) {
	real := t.TempDir()
	for _, test := range []struct {
		name       string
		fs         disk.FS
		dir, other string
	}{
		{"memory", newMem(t), "data", "data"},
		{"folder", disk.Default(), real, real},
		{"folder, spelled otherwise", disk.Default(), real, real + "/./"},
	} {
		lock, err := disk.LockDir(test.fs, test.dir)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		for range 2 {
			if _, err := disk.LockDir(test.fs, test.other); !errors.Is(err, disk.ErrLocked) {
				t.Errorf("%s: a second lock: %v", test.name, err)
			}
		}
		if err := lock.Close(); err != nil {
			t.Error(err)
		}
		if lock, err = disk.LockDir(test.fs, test.other); err != nil {
			t.Fatalf("%s: after unlocking: %v", test.name, err)
		}
		lock.Close()
	}
	fsys := disktest.New(newMem(t))
	for _, test := range []struct{ cause, is error }{
		{syscall.EROFS, disk.ErrReadOnly}, {syscall.EACCES, disk.ErrReadOnly}, {syscall.ENOSPC, disk.ErrFull},
	} {
		fsys.FailOnce(0, test.cause)
		if _, err := disk.LockDir(fsys, "data"); !errors.Is(err, test.is) || errors.Is(err, disk.ErrLocked) {
			t.Errorf("%v: %v", test.cause, err)
		}
	}
	if _, err := disk.LockDir(disk.Default(), real+"/none"); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("a missing folder: %v", err)
	}
}

// TestTenantsCalledLikeFiles lists blocks of tenants whose names end as those of
// files do.
func TestTenantsCalledLikeFiles(t *testing.T) {
	blocks := disk.NewLocalBlocks(newMem(t), "data")
	want := []string{"blocks/a.blk/x.blk", "blocks/a.quarantine/x.blk", "blocks/a.tmp/x.blk"}
	for _, name := range want {
		if err := blockstest.Put(blocks, name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	temporary, quarantined, err := blocks.Leftovers()
	if err != nil || len(temporary)+len(quarantined) > 0 {
		t.Errorf("leftovers %v, %v, %v", temporary, quarantined, err)
	}
	if got, err := blocks.List(""); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestManyFolders lists more folders than are walked one after the other: no name
// is missed, they ascend, and an error in one of them is told.
func TestManyFolders(t *testing.T) {
	base := newMem(t)
	fsys := disktest.New(base)
	blocks := disk.NewLocalBlocks(fsys, "data")
	var want []string
	for i := range 700 {
		name := fmt.Sprintf("blocks/t%03d/x.blk", i)
		if err := blockstest.Put(blocks, name, []byte{1}); err != nil {
			t.Fatal(err)
		}
		want = append(want, name)
	}
	if got, err := blocks.List("blocks/"); err != nil || !slices.Equal(got, want) {
		t.Errorf("%d names, %v; want %d", len(got), err, len(want))
	}
	if got, err := blocks.List("blocks/t69"); err != nil || !slices.Equal(got, want[690:]) {
		t.Errorf("%v, %v", got, err)
	}
	fsys.Count(func(op disktest.Op) bool { return op.Kind == "list" && strings.HasSuffix(op.Path, "t350") })
	fsys.FailOnce(0, syscall.EIO)
	if got, err := blocks.List("blocks/"); !errors.Is(err, syscall.EIO) {
		t.Errorf("%d names, %v; want the disk's error", len(got), err)
	}
}
