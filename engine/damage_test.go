package engine

import (
	"context"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/disk/disktest"
	"github.com/hokan-db/hokan/engine/model"
)

// builtDB is a closed database with blocks, a checkpoint and entries in the
// log after it.
func builtDB(t *testing.T) *vfs.MemFS {
	t.Helper()
	ctx := context.Background()
	fs := vfs.NewCrashableMem()
	db, err := Open(scriptOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(nil, db.CreateTenant(ctx, "t"))
	must(nil, db.CreateTenant(ctx, "other"))
	for i := range 20 {
		must(db.Append(ctx, scriptBatch(i)))
		b := scriptBatch(i)
		b.Tenant = "other"
		must(db.Append(ctx, b))
		if i == 8 {
			must(nil, db.Flush(ctx))
		}
	}
	must(nil, db.Checkpoint(ctx))
	for i := 20; i < 40; i++ {
		must(db.Append(ctx, scriptBatch(i)))
	}
	crashed := crashClone(fs, 1, 0)
	db.Close()
	return crashed
}

// filesBelow returns the files below dir that keep likes, as paths.
func filesBelow(t *testing.T, fs disk.FS, dir string, keep func(string) bool) []string {
	t.Helper()
	var files []string
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, name := range names {
		full := path.Join(dir, name)
		if info, err := fs.Stat(full); err == nil && info.IsDir() {
			files = append(files, filesBelow(t, fs, full, keep)...)
		} else if keep(full) {
			files = append(files, full)
		}
	}
	return files
}

func readFile(t *testing.T, fs disk.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func writeFile(t *testing.T, fs disk.FS, name string, b []byte) {
	t.Helper()
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(append([]byte(nil), b...)); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}

// verifyFaults returns the faults that Verify finds.
func verifyFaults(t *testing.T, fs disk.FS) (faults []Fault, notes []string) {
	t.Helper()
	err := Verify(context.Background(), scriptOptions(fs),
		func(f Fault) { faults = append(faults, f) }, func(n string) { notes = append(notes, n) })
	if err != nil {
		t.Fatal(err)
	}
	return faults, notes
}

// TestVerifyNamesDamage damages one file of each kind in its middle: Verify
// names it and nothing else, and writes nothing.
func TestVerifyNamesDamage(t *testing.T) {
	image := builtDB(t)
	if faults, _ := verifyFaults(t, image); len(faults) > 0 {
		t.Fatalf("a whole database has faults: %v", faults)
	}
	kinds := map[string]func(string) bool{
		"segment":    func(f string) bool { return strings.HasSuffix(f, ".seg") },
		"block":      func(f string) bool { return strings.HasSuffix(f, ".blk") },
		"checkpoint": func(f string) bool { return strings.HasSuffix(f, ".ckpt") },
		"format":     func(f string) bool { return f == "data/FORMAT" },
	}
	for kind, isKind := range kinds {
		for _, how := range []string{"flip", "cut", "empty", "remove"} {
			t.Run(kind+" "+how, func(t *testing.T) {
				fs := copyFS(t, image)
				files := filesBelow(t, fs, "data", isKind)
				name := files[len(files)/2] // not the first segment: the log may do without it
				b := readFile(t, fs, name)
				switch how {
				case "flip":
					b[len(b)/2] ^= 4
					writeFile(t, fs, name, b)
				case "cut":
					writeFile(t, fs, name, b[:len(b)-3])
				case "empty":
					writeFile(t, fs, name, nil)
				case "remove":
					if err := fs.Remove(name); err != nil {
						t.Fatal(err)
					}
				}
				if kind == "format" && how == "remove" {
					return // as if it was killed while it was being made: a note
				}
				counting := disktest.New(fs)
				counting.Count(func(op disktest.Op) bool { return op.Writes() && op.Kind != "lock" })
				counting.FailFrom(1<<30, syscall.EIO)
				faults, _ := verifyFaults(t, counting)
				if len(faults) == 0 {
					t.Fatalf("%s of %s is not found", how, name)
				}
				for _, f := range faults {
					if path.Join("data", f.Path) != name && !(kind == "segment" && strings.HasPrefix(f.Path, "log")) {
						t.Errorf("fault in %s, but %s was damaged: %s", f.Path, name, f)
					}
				}
				if n := counting.Operations(); n > 0 {
					t.Errorf("verify did %d operations that write", n)
				}
			})
		}
	}
}

// TestDamageCostsOnlyWhatItTouched damages files and checks that what they do
// not hold is served, that what they hold is an error that names them, and
// that nothing is deleted.
func TestDamageCostsOnlyWhatItTouched(t *testing.T) {
	ctx := context.Background()
	image := builtDB(t)
	damage := func(t *testing.T, fs *vfs.MemFS, suffix, of string) string {
		name := filesBelow(t, fs, "data", func(f string) bool { return strings.HasSuffix(f, suffix) && strings.Contains(f, of) })[0]
		b := readFile(t, fs, name)
		b[disk.HeaderSize+disk.FrameHeaderSize+2] ^= 16 // in the first frame's payload
		writeFile(t, fs, name, b)
		return name
	}
	sum := func(db *DB, tenant model.Tenant) (uint64, error) {
		sums, err := db.Summarize(ctx, tenant, []model.ChannelID{1}, model.AllTime())
		if err != nil {
			return 0, err
		}
		return sums[0].Count, nil
	}
	t.Run("block", func(t *testing.T) {
		fs := copyFS(t, image)
		name := damage(t, fs, ".blk", "/t/")
		db, err := Open(scriptOptions(fs))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		err = readAll(db, 1, map[int64]float64{})
		var where *disk.Corruption
		if !errors.As(err, &where) || path.Join("data", where.Path) != name {
			t.Errorf("reading a damaged block: %v, want damage in %s", err, name)
		}
		if n, err := sum(db, "other"); err != nil || n != 20 {
			t.Errorf("the other tenant has %d rows, %v", n, err)
		}
		if _, err := fs.Stat(name + disk.QuarantineSuffix); err != nil {
			t.Errorf("the damaged block is not set aside: %v", err)
		}
		if n := db.Quarantined(); n[KindBlock] != 1 {
			t.Errorf("quarantined: %v, want one block", n)
		}
		if err := readAll(db, 1, map[int64]float64{}); !errors.As(err, &where) || path.Join("data", where.Path) != name {
			t.Errorf("reading a block that was set aside: %v, want damage in %s", err, name)
		}
	})
	t.Run("checkpoint", func(t *testing.T) {
		fs := copyFS(t, image)
		hit := model.Tenant("t").Partition()
		name := damage(t, fs, ".ckpt", disk.CheckpointName(hit, 0, 0)[len("checkpoints/"):][:3])
		db, err := Open(scriptOptions(fs))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sum(db, "t"); !errors.Is(err, disk.ErrCorrupt) {
			t.Errorf("reading a tenant whose checkpoint is damaged: %v", err)
		}
		if _, err := db.Append(ctx, scriptBatch(50)); !errors.Is(err, disk.ErrCorrupt) {
			t.Errorf("writing to it: %v", err)
		}
		if n, err := sum(db, "other"); err != nil || n != 20 {
			t.Errorf("the other tenant has %d rows, %v", n, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := fs.Stat(name + disk.QuarantineSuffix); err != nil {
			t.Errorf("the damaged checkpoint is not set aside: %v", err)
		}
		if segments := filesBelow(t, fs, "data/log", func(string) bool { return true }); len(segments) == 0 {
			t.Error("the log that the damaged partition needs was trimmed")
		}
	})
	t.Run("segment", func(t *testing.T) {
		fs := copyFS(t, image)
		segments := filesBelow(t, fs, "data/log", func(f string) bool { return strings.HasSuffix(f, ".seg") })
		name := segments[len(segments)-2]
		b := readFile(t, fs, name)
		b[len(b)-40] ^= 1
		writeFile(t, fs, name, b)
		db, err := Open(scriptOptions(fs))
		if err != nil {
			t.Fatal(err)
		}
		faults, _ := db.Faults()
		if len(faults) == 0 || !strings.Contains(faults[0].Error(), path.Base(name)) {
			t.Errorf("faults %v, want one that names %s", faults, name)
		}
		if n, err := sum(db, "t"); err != nil || n != 39 {
			t.Errorf("%d rows, %v; want all 40 but the one in the damaged entry", n, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		left := filesBelow(t, fs, "data/log", func(f string) bool { return strings.Contains(f, path.Base(name)) })
		if len(left) == 0 {
			t.Error("the damaged segment was deleted")
		}
	})
	t.Run("catalog", func(t *testing.T) {
		fs := copyFS(t, image)
		if err := fs.RemoveAll("data/catalog"); err != nil {
			t.Fatal(err)
		}
		before := filesBelow(t, fs, "data/blocks", func(string) bool { return true })
		if _, err := Open(scriptOptions(fs)); !errors.Is(err, disk.ErrCorrupt) {
			t.Fatalf("a database without its catalog opens: %v", err)
		}
		if after := filesBelow(t, fs, "data/blocks", func(string) bool { return true }); len(after) != len(before) || len(after) == 0 {
			t.Errorf("%d blocks left of %d", len(after), len(before))
		}
	})
}

// TestSecondOpenerIsLocked opens a database twice.
func TestSecondOpenerIsLocked(t *testing.T) {
	dir := t.TempDir()
	o := scriptOptions(disk.Default())
	o.Dir = path.Join(dir, "data")
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("second opening: %v", err)
	}
	if err := Verify(context.Background(), o, func(Fault) {}, func(string) {}); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("verifying a database in use: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, err = Open(o)
	if err != nil {
		t.Fatalf("after the first closed: %v", err)
	}
	db.Close()
}

// TestReadOnlyFolder refuses to open where nothing can be written, says so,
// and leaves everything as it is.
func TestReadOnlyFolder(t *testing.T) {
	image := builtDB(t)
	readOnly := disktest.New(image)
	readOnly.Count(disktest.Op.Writes)
	readOnly.FailFrom(0, syscall.EROFS)
	if _, err := Open(scriptOptions(readOnly)); !errors.Is(err, disk.ErrReadOnly) || !strings.Contains(err.Error(), "data") {
		t.Errorf("opening a read-only folder: %v", err)
	}
	readOnly.Reset()
	db, err := Open(scriptOptions(readOnly))
	if err != nil {
		t.Fatalf("when it can be written again: %v", err)
	}
	db.Close()
}

// TestMissingDatabase is not made by readers.
func TestMissingDatabase(t *testing.T) {
	fs := vfs.NewMem()
	o := scriptOptions(fs)
	o.MustExist = true
	if _, err := Open(o); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("opening what is not there: %v", err)
	}
	if _, err := fs.Stat("data"); err == nil {
		t.Error("the folder was made")
	}
}

// TestFullDisk fills the disk: what does not fit is refused with ErrFull, what
// was acknowledged stays readable, and when there is room again writing goes
// on without a restart.
func TestFullDisk(t *testing.T) {
	ctx := context.Background()
	faulty := disktest.New(vfs.NewCrashableMem())
	db, err := Open(scriptOptions(faulty))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	s := newScript()
	faulty.LimitWrites(400)
	full := 0
	for i := range scriptBatches {
		s.note(s.tried, i)
		_, err := db.Append(ctx, scriptBatch(i))
		switch {
		case err == nil:
			s.note(s.acknowledged, i)
		case errors.Is(err, disk.ErrFull):
			full++
		default:
			t.Fatalf("batch %d: %v, want ErrFull", i, err)
		}
	}
	if full == 0 || full == scriptBatches {
		t.Fatalf("%d of %d batches met a full disk: the test shows nothing", full, scriptBatches)
	}
	if err := s.verifyRows(db); err != nil {
		t.Error(err)
	}
	faulty.UnlimitWrites()
	for i := range scriptBatches {
		if _, err := db.Append(ctx, scriptBatch(i)); err != nil {
			t.Fatalf("batch %d with room again: %v", i, err)
		}
		s.note(s.acknowledged, i)
	}
	if err := s.verifyRows(db); err != nil {
		t.Error(err)
	}
}
