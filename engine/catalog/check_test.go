package catalog

import (
	"errors"
	"io"
	"path"
	"reflect"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/disk/disktest"
	"github.com/hokan-db/hokan/engine/model"
)

// smallCatalog returns the files of a catalog with the first step of the script
// in a table and the others in the log alone.
func smallCatalog(t testing.TB, steps int) *vfs.MemFS {
	t.Helper()
	files := vfs.NewCrashableMem()
	c := open(t, files)
	for n := 1; n <= steps; n++ {
		must(t, step(c, n))
		if n == 1 {
			must(t, c.db.Flush())
		}
	}
	// As after a crash: nothing but what is synced.
	crashed := files.CrashClone(vfs.CrashCloneCfg{})
	closeCatalog(t, c)
	return crashed
}

// TestReadOnly opens catalogs that were closed, or not, for reading only:
// everything can be read, nothing is written.
func TestReadOnly(t *testing.T) {
	closed := vfs.NewMem()
	c := open(t, closed)
	must(t, step(c, 1))
	must(t, step(c, 2))
	closeCatalog(t, c)
	for name, base := range map[string]vfs.FS{"closed": closed, "crashed": smallCatalog(t, 2)} {
		files := disktest.New(base)
		files.Observe(func(op disktest.Op) {
			if op.Writes() {
				t.Errorf("%s: %s", name, op)
			}
		})
		for range 2 {
			c, err := Open(files, dir, Options{ReadOnly: true})
			must(t, err)
			manifest, err := c.LoadManifest("t")
			if err != nil || !reflect.DeepEqual(manifest, stepManifest(2)) {
				t.Errorf("%s: manifest %+v, %v", name, manifest, err)
			}
			got, _, err := c.Events("t", EventQuery{Span: model.AllTime()})
			if err != nil || len(got) != 2*eventsPerStep {
				t.Errorf("%s: %d events, %v", name, len(got), err)
			}
			for _, err := range []error{c.Commit(), c.Commit(PutLog(LogRecord{Revision: 3})), c.PutEvents("t", events(1))} {
				if !errors.Is(err, ErrReadOnly) {
					t.Errorf("%s: a write got %v, want ErrReadOnly", name, err)
				}
			}
			closeCatalog(t, c)
		}
		if found := check(t, files); len(found) > 0 {
			t.Errorf("%s: Check found %q", name, found)
		}
	}
}

// TestNotThere checks what opening says where there is no catalog.
func TestNotThere(t *testing.T) {
	empty := vfs.NewMem()
	must(t, empty.MkdirAll(dir, 0o755))
	for name, files := range map[string]vfs.FS{"no folder": vfs.NewMem(), "empty folder": empty} {
		if _, err := Open(files, dir, Options{ReadOnly: true}); !errors.Is(err, disk.ErrNotFound) {
			t.Errorf("%s: Open got %v, want ErrNotFound", name, err)
		}
		if err := Check(files, dir, nil); !errors.Is(err, disk.ErrNotFound) {
			t.Errorf("%s: Check got %v, want ErrNotFound", name, err)
		}
	}
}

// read returns a file's bytes.
func read(t testing.TB, files vfs.FS, name string) []byte {
	t.Helper()
	f, err := files.Open(files.PathJoin(dir, name))
	must(t, err)
	defer f.Close()
	content, err := io.ReadAll(f)
	must(t, err)
	return content
}

// write replaces a file's bytes.
func write(t testing.TB, files vfs.FS, name string, content []byte) {
	t.Helper()
	f, err := files.Create(files.PathJoin(dir, name), vfs.WriteCategoryUnspecified)
	must(t, err)
	_, err = f.Write(content)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

// kindOf tells what a catalog's file is for.
func kindOf(name string) string {
	switch {
	case strings.HasSuffix(name, ".sst"), strings.HasSuffix(name, ".log"):
		return path.Ext(name)
	}
	kind, _, _ := strings.Cut(name, "-")
	return kind
}

// TestFlips changes each byte of each file of a catalog. Check must find what
// is changed in a table or the manifest; neither it nor opening for writing
// may panic or invent anything.
func TestFlips(t *testing.T) {
	const steps = 5
	base := smallCatalog(t, steps)
	names, err := base.List(dir)
	must(t, err)
	strides := map[string]int{"MANIFEST": 13, ".sst": 307}
	flips, missed := map[string]int{}, map[string]int{}
	for _, name := range names {
		content := read(t, base, name)
		kind := kindOf(name)
		stride := strides[kind]
		if long() {
			stride = 1
		} else if stride == 0 {
			stride = 1201
		}
		if testing.Short() {
			stride *= 5
		}
		for i := 0; i < len(content); i += stride {
			files := base.CrashClone(vfs.CrashCloneCfg{})
			content[i] ^= 1 << (i % 8)
			write(t, files, name, content)
			content[i] ^= 1 << (i % 8)
			flips[kind]++
			found := check(t, files)
			if len(found) == 0 {
				missed[kind]++
				if kind == ".sst" {
					t.Errorf("%s: Check misses the change of byte %d", name, i)
				}
				if kind == "MANIFEST" {
					checkSame(t, name, i, files, steps)
				}
			} else if !strings.HasPrefix(found[0], dir) {
				t.Errorf("%s: Check names another place: %s", name, found[0])
			}
			checkNothingInvented(t, name, i, files)
		}
	}
	t.Logf("flips: %v, not found: %v", flips, missed)
}

// checkSame checks that damage which Check does not find does no harm.
func checkSame(t *testing.T, name string, at int, files vfs.FS, steps int) {
	t.Helper()
	c, err := Open(files, dir, Options{ReadOnly: true})
	must(t, err)
	defer closeCatalog(t, c)
	if got, err := c.LoadManifest("t"); err != nil || !reflect.DeepEqual(got, stepManifest(steps)) {
		t.Errorf("%s: Check misses the change of byte %d, and the manifest reads as %+v, %v", name, at, got, err)
	}
}

// checkNothingInvented opens a damaged catalog for writing and checks that it
// is refused, or holds what some step wrote.
func checkNothingInvented(t *testing.T, name string, at int, files vfs.FS) {
	t.Helper()
	c, err := Open(files, dir, Options{})
	if err != nil {
		if !errors.Is(err, disk.ErrCorrupt) {
			t.Errorf("%s, byte %d: open got %v, want ErrCorrupt", name, at, err)
		}
		return
	}
	log, err := c.LoadLog()
	if err == nil {
		var manifest Manifest
		manifest, err = c.LoadManifest("t")
		want := Manifest{}
		if log.Revision > 0 {
			want = stepManifest(int(log.Revision))
		}
		if err == nil && !reflect.DeepEqual(manifest, want) {
			t.Errorf("%s, byte %d: read log %+v and manifest %+v", name, at, log, manifest)
		}
	}
	if err != nil && !errors.Is(err, disk.ErrCorrupt) {
		t.Errorf("%s, byte %d: read got %v, want ErrCorrupt", name, at, err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("%s, byte %d: close: %v", name, at, err)
	}
}

// TestCutFiles cuts each file of a catalog to nothing and to a part.
func TestCutFiles(t *testing.T) {
	base := smallCatalog(t, 2)
	names, err := base.List(dir)
	must(t, err)
	for _, name := range names {
		content := read(t, base, name)
		for _, length := range []int{0, 1, len(content) / 2, max(len(content)-1, 0)} {
			files := base.CrashClone(vfs.CrashCloneCfg{})
			write(t, files, name, content[:min(length, len(content))])
			found := check(t, files)
			if kind := kindOf(name); len(found) == 0 && kind == ".sst" {
				t.Errorf("%s: Check misses that it is cut to %d bytes", name, length)
			}
			checkNothingInvented(t, name, length, files)
		}
	}
}

// TestMissingTable checks that a table that is gone is named.
func TestMissingTable(t *testing.T) {
	files := smallCatalog(t, 3)
	names, err := files.List(dir)
	must(t, err)
	for _, name := range names {
		if kindOf(name) == ".sst" {
			must(t, files.Remove(files.PathJoin(dir, name)))
			if found := check(t, files); len(found) == 0 || !strings.Contains(found[0], name) {
				t.Errorf("Check found %q, want %s", found, name)
			}
		}
	}
	if _, err := Open(files, dir, Options{}); !errors.Is(err, disk.ErrCorrupt) {
		t.Errorf("open got %v, want ErrCorrupt", err)
	}
}
