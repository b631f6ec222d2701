package catalog

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
)

// guardFS stands between pebble and the disk, because pebble cannot be trusted
// with an error of the disk: after a failed sync of its manifest it deletes
// the files that this manifest was to name, a flush that fails is retried
// without a pause, also within Open, and a log that cannot be closed or
// created ends the process.
//
// So the first change of the disk that fails detaches the guard: that change
// and all later ones are made in memory and reported to pebble as done, and
// the disk stays as the failure left it, which is a state that opening
// recovers from. Reads see both, so pebble keeps its senses until it is
// closed. Whoever commits must ask failure afterwards.
//
// A guard for reading only is detached from the start.
type guardFS struct {
	lower vfs.FS
	upper *vfs.MemFS
	cause atomic.Pointer[error] // why the guard is detached; nil while it is not

	mu     sync.Mutex
	hidden map[string]bool // files of lower that were removed after detaching
}

var errReadOnlyGuard = errors.New("opened for reading only")

func newGuardFS(lower vfs.FS, readOnly bool) *guardFS {
	g := &guardFS{lower: lower, upper: vfs.NewMem(), hidden: map[string]bool{}}
	if readOnly {
		g.detach(errReadOnlyGuard)
	}
	return g
}

// detach ends all changes of the disk. The first cause is kept.
func (g *guardFS) detach(cause error) {
	g.cause.CompareAndSwap(nil, &cause)
}

// failure returns why the guard is detached, nil while it is not.
func (g *guardFS) failure() error {
	if cause := g.cause.Load(); cause != nil {
		return *cause
	}
	return nil
}

// change makes one change: on the disk with below unless the guard is
// detached or below fails, else in memory with above.
func (g *guardFS) change(below, above func() error) error {
	if g.failure() == nil {
		err := below()
		if err == nil {
			return nil
		}
		g.detach(err)
	}
	return above()
}

func (g *guardFS) isHidden(name string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.hidden[name]
}

func (g *guardFS) hide(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hidden[name] = true
}

// createAbove makes an empty file in memory.
func (g *guardFS) createAbove(name string) (vfs.File, error) {
	if err := g.upper.MkdirAll(g.lower.PathDir(name), 0o755); err != nil {
		return nil, err
	}
	return g.upper.Create(name, vfs.WriteCategoryUnspecified)
}

// markerPrefix begins the names of pebble's markers: files whose name says
// which of the others is in force, such as the MANIFEST.
const markerPrefix = "marker."

// Create implements vfs.FS. Pebble makes a MANIFEST and then the marker that
// names it, and syncs the folder once after both: a disk that keeps the second
// name and not the first leaves a catalog that cannot be opened. So the folder
// is synced before a marker is made too.
func (g *guardFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f := &guardFile{guard: g, name: name}
	err := g.change(
		func() (err error) {
			if strings.HasPrefix(g.lower.PathBase(name), markerPrefix) {
				if err := disk.SyncDir(g.lower, g.lower.PathDir(name)); err != nil {
					return err
				}
			}
			f.below, err = g.lower.Create(name, category)
			return err
		},
		func() (err error) { f.above, err = g.createAbove(name); return err })
	if err != nil {
		return nil, err
	}
	return f, nil
}

// ReuseForWrite implements vfs.FS. Pebble reuses old logs; a detached guard
// makes a new file instead, which the interface allows.
func (g *guardFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f := &guardFile{guard: g, name: newname}
	err := g.change(
		func() (err error) { f.below, err = g.lower.ReuseForWrite(oldname, newname, category); return err },
		func() (err error) {
			g.hide(oldname)
			f.above, err = g.createAbove(newname)
			return err
		})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Open implements vfs.FS.
func (g *guardFS) Open(name string, options ...vfs.OpenOption) (vfs.File, error) {
	if g.failure() != nil {
		if f, err := g.upper.Open(name, options...); err == nil {
			return f, nil
		}
		if g.isHidden(name) {
			return nil, notExist("open", name)
		}
	}
	return g.lower.Open(name, options...)
}

// OpenReadWrite implements vfs.FS. Pebble uses it for remote storage alone.
func (g *guardFS) OpenReadWrite(name string, _ vfs.DiskWriteCategory, _ ...vfs.OpenOption) (vfs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: errors.ErrUnsupported}
}

// OpenDir implements vfs.FS.
func (g *guardFS) OpenDir(name string) (vfs.File, error) {
	f := &guardFile{guard: g, name: name}
	below, err := g.lower.OpenDir(name)
	if err == nil {
		f.below = below
		return f, nil
	}
	if g.failure() == nil || errors.Is(g.failure(), errReadOnlyGuard) {
		return nil, err
	}
	// The folder may be one that could not be made.
	if err := g.upper.MkdirAll(name, 0o755); err != nil {
		return nil, err
	}
	f.above, err = g.upper.OpenDir(name)
	return f, err
}

// Link implements vfs.FS. Pebble links files only for checkpoints and
// ingestion, which the catalog does not use.
func (g *guardFS) Link(oldname, _ string) error {
	return &fs.PathError{Op: "link", Path: oldname, Err: errors.ErrUnsupported}
}

// Remove implements vfs.FS.
func (g *guardFS) Remove(name string) error {
	if g.failure() == nil {
		err := g.lower.Remove(name)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return err
		}
		g.detach(err)
	}
	err := g.upper.Remove(name)
	if err != nil && !g.isHidden(name) {
		_, err = g.lower.Stat(name)
	}
	g.hide(name)
	return err
}

// RemoveAll implements vfs.FS. Pebble does not remove folders.
func (g *guardFS) RemoveAll(name string) error {
	return &fs.PathError{Op: "remove", Path: name, Err: errors.ErrUnsupported}
}

// Rename implements vfs.FS.
func (g *guardFS) Rename(oldname, newname string) error {
	return g.change(
		func() error { return g.lower.Rename(oldname, newname) },
		func() error {
			from, err := g.Open(oldname)
			if err != nil {
				return err
			}
			to, err := g.createAbove(newname)
			if err == nil {
				_, err = io.Copy(to, from)
				err = errors.Join(err, to.Close())
			}
			if err = errors.Join(err, from.Close()); err != nil {
				return err
			}
			return g.Remove(oldname)
		})
}

// MkdirAll implements vfs.FS.
func (g *guardFS) MkdirAll(dir string, perm fs.FileMode) error {
	return g.change(
		func() error { return g.lower.MkdirAll(dir, perm) },
		func() error { return g.upper.MkdirAll(dir, perm) })
}

// Lock implements vfs.FS. A lock is refused as the disk refuses it; reading
// only takes none, because the lock file would have to be made.
func (g *guardFS) Lock(name string) (io.Closer, error) {
	if g.failure() != nil {
		return noLock{}, nil
	}
	return g.lower.Lock(name)
}

type noLock struct{}

func (noLock) Close() error { return nil }

// List implements vfs.FS.
func (g *guardFS) List(dir string) ([]string, error) {
	below, err := g.lower.List(dir)
	if g.failure() == nil {
		return below, err
	}
	above, aboveErr := g.upper.List(dir)
	if err != nil && aboveErr != nil {
		return nil, err
	}
	seen := map[string]bool{}
	var names []string
	for _, name := range above {
		seen[name] = true
		names = append(names, name)
	}
	for _, name := range below {
		if !seen[name] && !g.isHidden(g.lower.PathJoin(dir, name)) {
			names = append(names, name)
		}
	}
	return names, nil
}

// Stat implements vfs.FS.
func (g *guardFS) Stat(name string) (vfs.FileInfo, error) {
	if g.failure() != nil {
		if info, err := g.upper.Stat(name); err == nil {
			return info, nil
		}
		if g.isHidden(name) {
			return nil, notExist("stat", name)
		}
	}
	return g.lower.Stat(name)
}

// PathBase implements vfs.FS.
func (g *guardFS) PathBase(path string) string { return g.lower.PathBase(path) }

// PathJoin implements vfs.FS.
func (g *guardFS) PathJoin(elements ...string) string { return g.lower.PathJoin(elements...) }

// PathDir implements vfs.FS.
func (g *guardFS) PathDir(path string) string { return g.lower.PathDir(path) }

// GetDiskUsage implements vfs.FS.
func (g *guardFS) GetDiskUsage(path string) (vfs.DiskUsage, error) {
	return g.lower.GetDiskUsage(path)
}

// Unwrap implements vfs.FS.
func (g *guardFS) Unwrap() vfs.FS { return g.lower }

func notExist(operation, name string) error {
	return &fs.PathError{Op: operation, Path: name, Err: fs.ErrNotExist}
}

// guardFile is a file or folder that pebble opened for writing or syncing.
// Pebble writes and syncs a file from one goroutine at a time, but asks for
// its size from others.
type guardFile struct {
	guard *guardFS
	name  string
	below vfs.File // nil where the guard was detached before

	mu      sync.Mutex
	above   vfs.File // what stands in for below once the guard is detached
	written int64    // bytes that below took
	offset  int64    // of Read
}

// standIn returns the file in memory that goes on where below ended.
func (f *guardFile) standIn() (vfs.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.above != nil {
		return f.above, nil
	}
	above, err := f.guard.createAbove(f.name)
	if err != nil {
		return nil, err
	}
	content := make([]byte, f.written)
	f.readBack(content)
	if _, err := above.Write(content); err != nil {
		return nil, errors.Join(err, above.Close())
	}
	f.above = above
	return above, nil
}

// readBack reads what below took. Where that fails too, zeros stand in, which
// only a reader of this very file notices; an error would end the process.
func (f *guardFile) readBack(content []byte) {
	below, err := f.guard.lower.Open(f.name)
	if err != nil {
		return
	}
	_, _ = io.ReadFull(below, content)
	_ = below.Close()
}

// current returns the file that reads go to.
func (f *guardFile) current() vfs.File {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.above != nil {
		return f.above
	}
	return f.below
}

// Write implements vfs.File.
func (f *guardFile) Write(p []byte) (int, error) {
	done := 0
	if f.guard.failure() == nil {
		n, err := f.below.Write(p)
		f.mu.Lock()
		f.written += int64(n)
		f.mu.Unlock()
		if err == nil {
			return n, nil
		}
		f.guard.detach(err)
		done = n
	}
	above, err := f.standIn()
	if err != nil {
		return done, err
	}
	n, err := above.Write(p[done:])
	return done + n, err
}

// sync runs one of below's ways to sync.
func (f *guardFile) sync(below func() error) error {
	return f.guard.change(below, func() error { return nil })
}

// Sync implements vfs.File.
func (f *guardFile) Sync() error { return f.sync(func() error { return f.below.Sync() }) }

// SyncData implements vfs.File.
func (f *guardFile) SyncData() error { return f.sync(func() error { return f.below.SyncData() }) }

// SyncTo implements vfs.File.
func (f *guardFile) SyncTo(length int64) (fullSync bool, err error) {
	err = f.sync(func() (err error) { fullSync, err = f.below.SyncTo(length); return err })
	return fullSync, err
}

// Preallocate implements vfs.File. It is a hint: a disk that is too full for
// it says so when the bytes are written.
func (f *guardFile) Preallocate(offset, length int64) error {
	if f.guard.failure() == nil {
		_ = f.below.Preallocate(offset, length)
	}
	return nil
}

// Close implements vfs.File.
func (f *guardFile) Close() error {
	f.mu.Lock()
	above := f.above
	f.mu.Unlock()
	if f.below != nil {
		if err := f.below.Close(); err != nil {
			f.guard.detach(err)
		}
	}
	if above != nil {
		return above.Close()
	}
	return nil
}

// Read implements vfs.File.
func (f *guardFile) Read(p []byte) (int, error) {
	n, err := f.current().ReadAt(p, f.offset)
	f.offset += int64(n)
	return n, err
}

// ReadAt implements vfs.File.
func (f *guardFile) ReadAt(p []byte, offset int64) (int, error) {
	return f.current().ReadAt(p, offset)
}

// WriteAt implements vfs.File. Pebble only appends.
func (f *guardFile) WriteAt([]byte, int64) (int, error) { return 0, errors.ErrUnsupported }

// Stat implements vfs.File.
func (f *guardFile) Stat() (vfs.FileInfo, error) { return f.current().Stat() }

// Prefetch implements vfs.File.
func (f *guardFile) Prefetch(offset, length int64) error { return f.current().Prefetch(offset, length) }

// Fd implements vfs.File.
func (f *guardFile) Fd() uintptr {
	if f.below == nil {
		return vfs.InvalidFd
	}
	return f.below.Fd()
}
