package engine

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"

	"github.com/hokan-db/hokan/engine/catalog"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// Copied says what a snapshot holds.
type Copied struct {
	Files  int    // blocks, checkpoints, segments and uploaded files
	Linked int    // of those, files that share their bytes with the database
	Bytes  int64  // of Files, the catalog not counted
	Offset uint64 // of the newest entry of the log in it
}

// Snapshot makes a copy of the database in dir, which must be missing or
// empty: every write that was acknowledged before the call is in it, and of
// later ones some whole entries may be. The database goes on meanwhile; only
// deleting files, checkpoints among them, waits for the short time in which
// the catalog is copied.
//
// Blocks, checkpoints and all but the newest segment of the log never change:
// they get a second name where the file system can do that, so that the copy
// takes no room until the original is deleted. Keys are not copied.
//
// The file FORMAT comes last. A copy that was broken off has none and is no
// database; what was made of it is removed.
func (db *DB) Snapshot(ctx context.Context, dir string) (Copied, error) {
	if err := db.gate.enter(); err != nil {
		return Copied{}, err
	}
	defer db.gate.leave()
	c := &copier{db: db, ctx: ctx, fs: db.fs, dir: dir, done: map[string]part{}, folders: map[string]bool{}}
	made, err := c.begin()
	if err != nil {
		return Copied{}, fmt.Errorf("snapshot to %s: %w", dir, impossible(err))
	}
	if err := c.run(); err != nil {
		return Copied{}, errors.Join(fmt.Errorf("snapshot to %s: %w", dir, disk.Wrap(err)), c.undo(made))
	}
	return c.copied, nil
}

// copier is one snapshot being made.
type copier struct {
	db      *DB
	ctx     context.Context
	fs      disk.FS
	dir     string
	copied  Copied
	done    map[string]part // objects
	folders map[string]bool // to be synced
}

// part is an object in the copy.
type part struct {
	linked bool
	bytes  int64
}

// begin makes the folder; made says that it was missing.
func (c *copier) begin() (made bool, err error) {
	if disk.Within(c.fs, c.db.options.Dir, c.dir) {
		return false, fmt.Errorf("%w: a copy cannot lie in the database itself", ErrInvalid)
	}
	names, err := c.fs.List(c.dir)
	if err = disk.Wrap(err); errors.Is(err, disk.ErrNotFound) {
		return true, disk.MakeDir(c.fs, c.dir)
	}
	if err == nil && len(names) > 0 {
		err = fmt.Errorf("%w: the folder is not empty", ErrInvalid)
	}
	return false, err
}

// impossible makes what keeps the folder of a copy from being made the fault of
// who named it, unless the disk is full.
func impossible(err error) error {
	if err = disk.Wrap(err); errors.Is(err, ErrFull) || errors.Is(err, ErrInvalid) {
		return err
	}
	return fmt.Errorf("%w: %v", ErrInvalid, err)
}

// undo removes what was made: a broken off copy is good for nothing.
func (c *copier) undo(made bool) error {
	if made {
		return disk.Wrap(c.fs.RemoveAll(c.dir))
	}
	names, err := c.fs.List(c.dir)
	for _, name := range names {
		err = errors.Join(err, c.fs.RemoveAll(path.Join(c.dir, name)))
	}
	return disk.Wrap(err)
}

func (c *copier) run() error {
	for _, sub := range disk.Dirs {
		c.folders[sub] = true
		if sub == disk.CatalogDir {
			continue
		}
		if err := c.fs.MkdirAll(path.Join(c.dir, sub), 0o755); err != nil {
			return impossible(err)
		}
	}
	// Most of it first, while files come and go.
	names, err := c.db.local.List("")
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.object(name); err != nil && !errors.Is(err, disk.ErrNotFound) {
			return err
		}
	}
	if err := c.consistent(); err != nil {
		return err
	}
	// Until now it is a folder without a catalog, which nobody opens.
	if err := c.fs.Rename(c.catalogDir(), path.Join(c.dir, disk.CatalogDir)); err != nil {
		return err
	}
	for folder := range c.folders {
		if err := disk.SyncDir(c.fs, path.Join(c.dir, folder)); err != nil {
			return err
		}
	}
	if err := disk.SyncDir(c.fs, c.dir); err != nil {
		return err
	}
	return disk.WriteAtomic(c.fs, path.Join(c.dir, disk.FormatName), []byte(formatText))
}

// catalogDir is where the copy's catalog is while it is being made.
func (c *copier) catalogDir() string {
	return path.Join(c.dir, disk.CatalogDir+disk.TemporarySuffix)
}

// consistent copies the catalog, everything that it names, and the log, while
// no file is deleted. What was copied before and is no longer named is removed.
func (c *copier) consistent() error {
	db := c.db
	db.keeper.writing.Lock() // no checkpoint is written, no segment goes
	defer db.keeper.writing.Unlock()
	db.deleting.Lock()
	defer db.deleting.Unlock()
	copied, err := db.catalog.CopyTo(c.ctx, c.fs, c.catalogDir())
	if err != nil {
		return err
	}
	named, err := namedBy(copied)
	if err = errors.Join(err, copied.Close()); err != nil {
		return err
	}
	for name := range named {
		if err := c.object(name); errors.Is(err, disk.ErrNotFound) {
			continue // missing before: the copy lacks what the database lacks
		} else if err != nil {
			return err
		}
	}
	files, err := db.local.List(disk.FilesDir + "/")
	if err != nil {
		return err
	}
	for _, name := range files {
		named[name] = true
		if err := c.object(name); err != nil && !errors.Is(err, disk.ErrNotFound) {
			return err
		}
	}
	for name := range c.done {
		if named[strings.TrimSuffix(name, disk.QuarantineSuffix)] {
			continue
		}
		if err := c.fs.Remove(path.Join(c.dir, name)); err != nil {
			return err
		}
		delete(c.done, name)
	}
	for _, p := range c.done {
		c.count(p)
	}
	return c.log()
}

// namedBy returns the objects that a catalog names.
func namedBy(c *catalog.Catalog) (map[string]bool, error) {
	named := map[string]bool{}
	err := c.Manifests(func(_ model.Tenant, m catalog.Manifest) error {
		for i := range m.Blocks {
			named[m.Blocks[i].Name] = true
		}
		return nil
	})
	for p := range model.Partitions {
		if err != nil {
			return nil, err
		}
		var record catalog.PartitionRecord
		if record, err = c.LoadPartition(model.Partition(p)); record.Checkpoint != "" {
			named[record.Checkpoint] = true
		}
	}
	return named, err
}

// object copies an object, also one that is set aside, unless it is there.
func (c *copier) object(name string) error {
	if _, done := c.done[name]; done {
		return nil
	}
	p, err := c.link(name)
	if errors.Is(err, disk.ErrNotFound) {
		p, err = c.link(name + disk.QuarantineSuffix)
		name += disk.QuarantineSuffix
	}
	if err == nil {
		c.done[name] = p
	}
	return err
}

// link gives a file of the database a name in the copy.
func (c *copier) link(name string) (part, error) {
	if err := c.ctx.Err(); err != nil {
		return part{}, err
	}
	for folder := path.Dir(name); !c.folders[folder] && folder != "."; folder = path.Dir(folder) {
		if err := c.fs.MkdirAll(path.Join(c.dir, folder), 0o755); err != nil {
			return part{}, err
		}
		c.folders[folder] = true
	}
	linked, bytes, err := disk.LinkFile(c.ctx, c.fs, path.Join(c.db.options.Dir, name), path.Join(c.dir, name))
	return part{linked, bytes}, err
}

func (c *copier) count(p part) {
	c.copied.Files++
	c.copied.Bytes += p.bytes
	if p.linked {
		c.copied.Linked++
	}
}

// log copies the segments. The newest still grows: of it a copy is made, of
// what is durable.
func (c *copier) log() error {
	parts := c.db.logParts()
	for _, segment := range parts {
		name := path.Join(disk.LogDir, segment.Name)
		var p part
		var err error
		if segment.Sealed {
			p, err = c.link(name)
		} else {
			p.bytes, err = disk.CopyFile(c.ctx, c.fs, path.Join(c.db.options.Dir, name), path.Join(c.dir, name), segment.Bytes)
		}
		if err != nil {
			return err
		}
		c.count(p)
	}
	if n := len(parts); n > 0 {
		c.copied.Offset = parts[n-1].Last
	}
	return nil
}

// heldBlocks are objects that are not deleted while deleting is held.
type heldBlocks struct {
	disk.Blocks
	deleting *sync.RWMutex
}

// Delete implements disk.Blocks.
func (b heldBlocks) Delete(names ...string) error {
	b.deleting.RLock()
	defer b.deleting.RUnlock()
	return b.Blocks.Delete(names...)
}
