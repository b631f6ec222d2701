// Package disktest breaks file systems for tests: it fails chosen operations,
// fills the disk, and flips bytes that are read.
package disktest

import (
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Op is one operation that can fail.
type Op struct {
	// Kind is create, open, open-dir, open-write, reuse, link, rename, remove,
	// remove-all, mkdir, lock, list, stat, usage (of a file system), or read,
	// write, sync, preallocate (of a file). Closing a file is not counted.
	Kind string
	Path string
}

// String returns the kind and the path.
func (o Op) String() string { return o.Kind + " " + o.Path }

// Writes reports whether the operation changes what is stored.
func (o Op) Writes() bool {
	switch o.Kind {
	case "open", "open-dir", "list", "stat", "usage", "read":
		return false
	}
	return true
}

// FS wraps a file system and breaks it as it is told. What it is told holds
// from the call on, for files that are open as well. It is safe for concurrent
// use. It stands in pebble's vfs/errorfs' place because it also writes short,
// fills up and flips bytes, and because all of its files count, recycled ones
// included.
type FS struct {
	vfs.FS

	mu         sync.Mutex
	counts     func(Op) bool // which operations count; nil: all
	operations int           // counted since the last Fail or Reset
	failAt     int           // operation that fails; -1: none
	forEver    bool          // and all after it
	err        error
	short      bool // a failed write writes half
	failed     int  // operations that failed
	limited    bool
	free       int64 // bytes that may be written when limited
	read       int64 // bytes read since the last Flip or Reset
	flipAt     int64 // byte that is flipped; -1: none
	mask       byte
	flipped    Op // the read that was changed
	observe    func(Op)
	usage      *vfs.DiskUsage // what GetDiskUsage tells; nil: what the base does
}

// New wraps base.
func New(base vfs.FS) *FS {
	return &FS{FS: base, failAt: -1, flipAt: -1}
}

// Reset ends every fault and counts from 0 again.
func (f *FS) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.operations, f.failAt, f.failed, f.limited = 0, -1, 0, false
	f.read, f.flipAt, f.flipped = 0, -1, Op{}
}

// Count makes only the operations that want likes count and fail; nil: all.
func (f *FS) Count(want func(Op) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts = want
}

// Observe calls see before every operation, counted or not, without a lock:
// see may clone the file system beneath or change the faults. nil ends it.
func (f *FS) Observe(see func(Op)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.observe = see
}

// FailOnce counts from 0 again and makes operation i, from 0, fail with err.
func (f *FS) FailOnce(i int, err error) { f.fail(i, err, false) }

// FailFrom counts from 0 again and makes operation i, from 0, and every later
// one fail with err.
func (f *FS) FailFrom(i int, err error) { f.fail(i, err, true) }

func (f *FS) fail(i int, err error, forEver bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.operations, f.failed = 0, 0
	f.failAt, f.err, f.forEver = i, err, forEver
}

// ShortWrites says whether a write that fails writes half of its bytes first.
func (f *FS) ShortWrites(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.short = on
}

// Operations returns how many counted operations there were.
func (f *FS) Operations() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.operations
}

// Failed returns how many operations were made to fail.
func (f *FS) Failed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// LimitWrites fills the disk after n more bytes: the write that does not fit
// writes what fits and fails with ENOSPC, and so do all later ones; so does
// making files once nothing is free.
func (f *FS) LimitWrites(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limited, f.free = true, n
}

// UnlimitWrites empties the disk again.
func (f *FS) UnlimitWrites() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.limited = false
}

// SetUsage makes the disk one of total bytes of which free are free, for those
// who ask it. Writing does not change that.
func (f *FS) SetUsage(free, total uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.usage = &vfs.DiskUsage{AvailBytes: free, TotalBytes: total, UsedBytes: total - min(free, total)}
}

// FlipRead counts from 0 again and changes byte j, from 0, of all bytes read
// by exclusive or with mask. What is stored does not change.
func (f *FS) FlipRead(j int64, mask byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read, f.flipAt, f.mask, f.flipped = 0, j, mask, Op{}
}

// BytesRead returns how many bytes were read.
func (f *FS) BytesRead() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.read
}

// Flipped returns the read whose bytes were changed; false: none yet.
func (f *FS) Flipped() (Op, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.flipped, f.flipped != Op{}
}

// before counts an operation and returns the error that it must fail with.
func (f *FS) before(kind, path string) error {
	op := Op{kind, path}
	f.mu.Lock()
	observe := f.observe
	f.mu.Unlock()
	if observe != nil {
		observe(op)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.limited && f.free <= 0 && (kind == "create" || kind == "mkdir" || kind == "link") {
		f.failed++
		return &os.PathError{Op: kind, Path: path, Err: syscall.ENOSPC}
	}
	if f.counts != nil && !f.counts(op) {
		return nil
	}
	i := f.operations
	f.operations++
	if f.failAt < 0 || i < f.failAt || i > f.failAt && !f.forEver {
		return nil
	}
	f.failed++
	return &os.PathError{Op: kind, Path: path, Err: f.err}
}

// take returns how many of n bytes may be written.
func (f *FS) take(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.limited {
		return n
	}
	n = int(min(int64(n), max(f.free, 0)))
	f.free -= int64(n)
	return n
}

// flip changes the byte of b, just read, whose turn it is.
func (f *FS) flip(b []byte, path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := f.flipAt - f.read; f.flipAt >= 0 && i >= 0 && i < int64(len(b)) {
		b[i] ^= f.mask
		f.flipped = Op{"read", path}
	}
	f.read += int64(len(b))
}

func (f *FS) wrap(path string, opened vfs.File, err error, options ...vfs.OpenOption) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	result := &file{File: opened, fs: f, path: path}
	for _, option := range options {
		option.Apply(result)
	}
	return result, nil
}

// Unwrap implements vfs.FS.
func (f *FS) Unwrap() vfs.FS { return f.FS }

// Create implements vfs.FS.
func (f *FS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.before("create", name); err != nil {
		return nil, err
	}
	opened, err := f.FS.Create(name, category)
	return f.wrap(name, opened, err)
}

// Open implements vfs.FS.
func (f *FS) Open(name string, options ...vfs.OpenOption) (vfs.File, error) {
	if err := f.before("open", name); err != nil {
		return nil, err
	}
	opened, err := f.FS.Open(name)
	return f.wrap(name, opened, err, options...)
}

// OpenReadWrite implements vfs.FS.
func (f *FS) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (vfs.File, error) {
	if err := f.before("open-write", name); err != nil {
		return nil, err
	}
	opened, err := f.FS.OpenReadWrite(name, category)
	return f.wrap(name, opened, err, options...)
}

// OpenDir implements vfs.FS.
func (f *FS) OpenDir(name string) (vfs.File, error) {
	if err := f.before("open-dir", name); err != nil {
		return nil, err
	}
	opened, err := f.FS.OpenDir(name)
	return f.wrap(name, opened, err)
}

// ReuseForWrite implements vfs.FS.
func (f *FS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := f.before("reuse", newname); err != nil {
		return nil, err
	}
	opened, err := f.FS.ReuseForWrite(oldname, newname, category)
	return f.wrap(newname, opened, err)
}

// Link implements vfs.FS.
func (f *FS) Link(oldname, newname string) error {
	if err := f.before("link", newname); err != nil {
		return err
	}
	return f.FS.Link(oldname, newname)
}

// Rename implements vfs.FS.
func (f *FS) Rename(oldname, newname string) error {
	if err := f.before("rename", newname); err != nil {
		return err
	}
	return f.FS.Rename(oldname, newname)
}

// Remove implements vfs.FS.
func (f *FS) Remove(name string) error {
	if err := f.before("remove", name); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

// RemoveAll implements vfs.FS.
func (f *FS) RemoveAll(name string) error {
	if err := f.before("remove-all", name); err != nil {
		return err
	}
	return f.FS.RemoveAll(name)
}

// MkdirAll implements vfs.FS.
func (f *FS) MkdirAll(dir string, mode os.FileMode) error {
	if err := f.before("mkdir", dir); err != nil {
		return err
	}
	return f.FS.MkdirAll(dir, mode)
}

// Lock implements vfs.FS.
func (f *FS) Lock(name string) (io.Closer, error) {
	if err := f.before("lock", name); err != nil {
		return nil, err
	}
	return f.FS.Lock(name)
}

// List implements vfs.FS.
func (f *FS) List(dir string) ([]string, error) {
	if err := f.before("list", dir); err != nil {
		return nil, err
	}
	return f.FS.List(dir)
}

// Stat implements vfs.FS.
func (f *FS) Stat(name string) (vfs.FileInfo, error) {
	if err := f.before("stat", name); err != nil {
		return nil, err
	}
	return f.FS.Stat(name)
}

// GetDiskUsage implements vfs.FS.
func (f *FS) GetDiskUsage(path string) (vfs.DiskUsage, error) {
	if err := f.before("usage", path); err != nil {
		return vfs.DiskUsage{}, err
	}
	f.mu.Lock()
	usage := f.usage
	f.mu.Unlock()
	if usage != nil {
		return *usage, nil
	}
	return f.FS.GetDiskUsage(path)
}

// file is an open file of an FS.
type file struct {
	vfs.File
	fs   *FS
	path string
}

func (f *file) Read(b []byte) (int, error) {
	if err := f.fs.before("read", f.path); err != nil {
		return 0, err
	}
	n, err := f.File.Read(b)
	f.fs.flip(b[:n], f.path)
	return n, err
}

func (f *file) ReadAt(b []byte, offset int64) (int, error) {
	if err := f.fs.before("read", f.path); err != nil {
		return 0, err
	}
	n, err := f.File.ReadAt(b, offset)
	f.fs.flip(b[:n], f.path)
	return n, err
}

func (f *file) Write(b []byte) (int, error) {
	return f.write(b, f.File.Write)
}

func (f *file) WriteAt(b []byte, offset int64) (int, error) {
	return f.write(b, func(part []byte) (int, error) { return f.File.WriteAt(part, offset) })
}

// write writes all of b, or as much as the faults let it. A vfs file may
// change the bytes it is given, so what did not fit is not looked at again.
func (f *file) write(b []byte, write func([]byte) (int, error)) (int, error) {
	fault := f.fs.before("write", f.path)
	size := len(b)
	if fault != nil {
		f.fs.mu.Lock()
		short := f.fs.short
		f.fs.mu.Unlock()
		if !short {
			return 0, fault
		}
		size /= 2
	}
	if fits := f.fs.take(size); fits < size {
		size = fits
		fault = &os.PathError{Op: "write", Path: f.path, Err: syscall.ENOSPC}
		f.fs.mu.Lock()
		f.fs.failed++
		f.fs.mu.Unlock()
	}
	n := 0
	if size > 0 {
		var err error
		if n, err = write(b[:size]); err != nil {
			return n, err
		}
	}
	if fault == nil && n < len(b) {
		fault = fmt.Errorf("write %s: %w", f.path, io.ErrShortWrite)
	}
	return n, fault
}

func (f *file) Preallocate(offset, length int64) error {
	if err := f.fs.before("preallocate", f.path); err != nil {
		return err
	}
	return f.File.Preallocate(offset, length)
}

func (f *file) Sync() error {
	if err := f.fs.before("sync", f.path); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *file) SyncData() error {
	if err := f.fs.before("sync", f.path); err != nil {
		return err
	}
	return f.File.SyncData()
}

func (f *file) SyncTo(length int64) (bool, error) {
	if err := f.fs.before("sync", f.path); err != nil {
		return false, err
	}
	return f.File.SyncTo(length)
}
