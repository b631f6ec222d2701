package disk

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Blocks stores immutable objects by name: blocks, checkpoints and uploaded
// files. A name is a path of folders with '/' between them, such as those
// that names.go makes. It is safe for concurrent use.
type Blocks interface {
	// Put stores what write writes, whole and durable, or nothing at all. A
	// name that is taken is ErrExists: objects never change.
	Put(name string, write func(io.Writer) error) error
	// Open returns the object; ErrNotFound when there is none. An object that
	// is open stays readable when it is deleted.
	Open(name string) (Object, error)
	// List returns the names that begin with prefix, ascending: objects only,
	// nothing half-written and nothing set aside as damaged.
	List(prefix string) ([]string, error)
	// Delete removes objects, durably. A missing name is no error. It goes on
	// after an error: of which objects then are gone nothing is known.
	Delete(names ...string) error
}

// Object is an open object. Reads may run at once; Close ends them.
type Object interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// objectDirs are the folders that hold objects, in ascending order. Other
// names are refused, so that no name reaches the log or the catalog.
var objectDirs = []string{BlocksDir, CheckpointsDir, FilesDir}

// LocalBlocks keeps objects as files below a data folder.
type LocalBlocks struct {
	fs   FS
	root string
	dirs *durableDirs

	mu      sync.Mutex
	putting map[string]bool // names that a Put is at work on
	written atomic.Int64    // bytes of what Puts are at work on
}

var _ Blocks = (*LocalBlocks)(nil)

// NewLocalBlocks returns the objects below root, a folder that exists.
func NewLocalBlocks(fsys FS, root string) *LocalBlocks {
	root = fsys.PathJoin(root) // clean, as the folders of names will be
	return &LocalBlocks{fs: fsys, root: root, dirs: newDurableDirs(fsys, root), putting: map[string]bool{}}
}

// Put implements Blocks.
func (b *LocalBlocks) Put(name string, write func(io.Writer) error) error {
	path, err := b.path(name)
	if err != nil {
		return err
	}
	if !b.begin(name) {
		return fmt.Errorf("object %s: %w", name, ErrExists)
	}
	defer b.end(name)
	if err := b.put(path, write); err != nil {
		return fmt.Errorf("object %s: %w", name, err)
	}
	return nil
}

func (b *LocalBlocks) put(path string, write func(io.Writer) error) error {
	if err := b.dirs.make(b.fs.PathDir(path)); err != nil {
		return err
	}
	_, err := b.fs.Stat(path)
	if err == nil {
		return ErrExists
	}
	if err = Wrap(err); !errors.Is(err, ErrNotFound) {
		return err
	}
	counted := &countedWriter{all: &b.written}
	defer func() { b.written.Add(-counted.bytes) }()
	err = writeAtomic(b.fs, path, func(w io.Writer) error {
		counted.w = w
		return write(counted)
	})
	if err != nil {
		b.fs.Remove(path) // renamed, but not known to be durable
	}
	return err
}

// Writing returns how many bytes the objects have that are being written.
func (b *LocalBlocks) Writing() int64 { return b.written.Load() }

// countedWriter adds what is written to a sum of several writers.
type countedWriter struct {
	w     io.Writer
	all   *atomic.Int64
	bytes int64
}

// Write implements io.Writer.
func (c *countedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.bytes += int64(n)
	c.all.Add(int64(n))
	return n, err
}

func (b *LocalBlocks) begin(name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.putting[name] {
		return false
	}
	b.putting[name] = true
	return true
}

func (b *LocalBlocks) end(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.putting, name)
}

type localObject struct {
	File
	size int64
}

// Size implements Object.
func (o *localObject) Size() int64 { return o.size }

// Open implements Blocks.
func (b *LocalBlocks) Open(name string) (Object, error) {
	path, err := b.path(name)
	if err != nil {
		return nil, err
	}
	return b.open(name, path)
}

func (b *LocalBlocks) open(name, path string) (Object, error) {
	file, err := b.fs.Open(path)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", name, Wrap(err))
	}
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = ErrNotFound
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("object %s: %w", name, Wrap(err))
	}
	return &localObject{file, info.Size()}, nil
}

// OpenQuarantined returns an object that was set aside: what of it is whole
// can be read.
func (b *LocalBlocks) OpenQuarantined(name string) (Object, error) {
	path, err := b.path(name)
	if err != nil {
		return nil, err
	}
	return b.open(name, path+QuarantineSuffix)
}

// List implements Blocks.
func (b *LocalBlocks) List(prefix string) ([]string, error) {
	return b.list(prefix, func(name string) bool { return !IsTemporary(name) && !IsQuarantined(name) })
}

// Contents returns the names of every object, of temporary files and of files
// set aside as damaged, each ascending.
func (b *LocalBlocks) Contents() (stored, temporary, quarantined []string, err error) {
	stored, err = b.list("", func(name string) bool {
		switch {
		case IsTemporary(name):
			temporary = append(temporary, name)
		case IsQuarantined(name):
			quarantined = append(quarantined, name)
		default:
			return true
		}
		return false
	})
	slices.Sort(temporary)
	slices.Sort(quarantined)
	return stored, temporary, quarantined, err
}

// Leftovers returns the names of temporary files and of files set aside as
// damaged, ascending.
func (b *LocalBlocks) Leftovers() (temporary, quarantined []string, err error) {
	_, temporary, quarantined, err = b.Contents()
	return temporary, quarantined, err
}

// RemoveTemporaries removes what puts of an ended process left half-written:
// the names are those that Leftovers gave. No Put may run meanwhile.
func (b *LocalBlocks) RemoveTemporaries(names []string) error {
	return b.remove(slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !IsTemporary(name) }))
}

func (b *LocalBlocks) list(prefix string, want func(name string) bool) ([]string, error) {
	var names []string
	for _, dir := range objectDirs {
		files, err := b.walk(dir, prefix)
		if err != nil {
			return nil, err
		}
		names = append(names, files...)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, prefix) || !want(name) })
	slices.Sort(names)
	return names, nil
}

// A folder of more entries than manyEntries is walked by walkers at once: of ten
// thousand tenants each has a folder, and each may be a wait for the disk.
const (
	manyEntries = 256
	walkers     = 16
)

// walk returns the files below the folder dir, itself a name, as far as they may
// have the prefix.
func (b *LocalBlocks) walk(dir, prefix string) ([]string, error) {
	if !overlaps(dir+"/", prefix) {
		return nil, nil
	}
	entries, err := b.fs.List(b.fs.PathJoin(b.root, dir))
	if err = Wrap(err); errors.Is(err, ErrNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if len(entries) <= manyEntries {
		return b.walkEntries(dir, entries, prefix)
	}
	var working sync.WaitGroup
	var files [walkers][]string
	var errs [walkers]error
	for i := range walkers {
		part := entries[i*len(entries)/walkers : (i+1)*len(entries)/walkers]
		working.Go(func() { files[i], errs[i] = b.walkEntries(dir, part, prefix) })
	}
	working.Wait()
	return slices.Concat(files[:]...), errors.Join(errs[:]...)
}

// walkEntries is walk, of some entries of the folder.
func (b *LocalBlocks) walkEntries(dir string, entries []string, prefix string) (files []string, err error) {
	for _, entry := range entries {
		name := dir + "/" + entry
		if !overlaps(name, prefix) && !overlaps(name+"/", prefix) {
			continue
		}
		if isFile(dir, entry) {
			files = append(files, name)
			continue
		}
		info, err := b.fs.Stat(b.fs.PathJoin(b.root, name))
		if err = Wrap(err); errors.Is(err, ErrNotFound) {
			continue // deleted meanwhile
		} else if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, name)
			continue
		}
		below, err := b.walk(name, prefix)
		if err != nil {
			return nil, err
		}
		files = append(files, below...)
	}
	return files, nil
}

// isFile reports whether an entry of a folder can only be a file: nobody has to
// ask the file system. There are hundreds of thousands of blocks, and folders of
// tenants, whose names may end in anything, lie above them.
func isFile(dir, entry string) bool {
	return strings.HasPrefix(dir, BlocksDir+"/") && strings.HasSuffix(entry, blockSuffix)
}

// overlaps reports whether one of the two begins with the other.
func overlaps(x, y string) bool { return strings.HasPrefix(x, y) || strings.HasPrefix(y, x) }

// Delete implements Blocks.
func (b *LocalBlocks) Delete(names ...string) error {
	for _, name := range names {
		if _, err := b.path(name); err != nil {
			return err
		}
	}
	return b.remove(names)
}

// remove removes files and syncs each of their folders once, also where a file is
// gone already: an earlier call may have removed it and failed to sync.
func (b *LocalBlocks) remove(names []string) error {
	var errs []error
	dirs := map[string]bool{}
	for _, name := range names {
		path := b.fs.PathJoin(b.root, name)
		if err := Wrap(b.fs.Remove(path)); err != nil && !errors.Is(err, ErrNotFound) {
			errs = append(errs, fmt.Errorf("object %s: %w", name, err))
		}
		dirs[b.fs.PathDir(path)] = true
	}
	for dir := range dirs {
		if err := SyncDir(b.fs, dir); err != nil && !errors.Is(err, ErrNotFound) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Quarantine sets a damaged object aside: it is renamed, durably, and no
// longer an object. Nothing is deleted.
func (b *LocalBlocks) Quarantine(name string) error {
	path, err := b.path(name)
	if err != nil {
		return err
	}
	if err := b.fs.Rename(path, path+QuarantineSuffix); err != nil {
		return fmt.Errorf("object %s: %w", name, Wrap(err))
	}
	return SyncDir(b.fs, b.fs.PathDir(path))
}

// RemoveQuarantined removes the files that were set aside as damaged and whose
// names begin with prefix: of a tenant that is deleted.
func (b *LocalBlocks) RemoveQuarantined(prefix string) error {
	names, err := b.list(prefix, IsQuarantined)
	if err != nil {
		return err
	}
	return b.remove(names)
}

// path returns the file of a name, or ErrBadName.
func (b *LocalBlocks) path(name string) (string, error) {
	elements := strings.Split(name, "/")
	if len(elements) < 2 || !slices.Contains(objectDirs, elements[0]) {
		return "", fmt.Errorf("%w %q: not in one of %s", ErrBadName, name, strings.Join(objectDirs, ", "))
	}
	for _, element := range elements {
		if element == "" || element == "." || element == ".." || strings.ContainsAny(element, "\\\x00") {
			return "", fmt.Errorf("%w %q", ErrBadName, name)
		}
	}
	if IsTemporary(name) || IsQuarantined(name) {
		return "", fmt.Errorf("%w %q: its suffix is reserved", ErrBadName, name)
	}
	return b.fs.PathJoin(b.root, name), nil
}
