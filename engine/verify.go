package engine

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/catalog"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/wal"
)

// Fault is one place in a database that is not as it was written.
type Fault struct {
	Path   string // relative to DATA
	Offset int64  // bytes from the start of the file
	What   string
}

// String gives the fault on one line.
func (f Fault) String() string { return fmt.Sprintf("%s: byte %d: %s", f.Path, f.Offset, f.What) }

// Verify reads every byte of the closed database in o.Dir and calls fault for
// each place that is damaged, and note for what is left over but harms
// nothing: a torn tail of the log, files that nothing names, what was set aside
// and a repair has settled, a database that was killed while it was being made.
// It writes nothing, and a database that is in use is disk.ErrLocked. The error
// says why Verify could not do its work; faults are not errors.
func Verify(ctx context.Context, o Options, fault func(Fault), note func(string)) error {
	v := &verifier{
		options: o, blocks: disk.NewLocalBlocks(o.FS, o.Dir), report: fault, note: note,
		named: map[string]bool{},
	}
	unlock, err := v.lock()
	if err != nil {
		return fmt.Errorf("verify %s: %w", o.Dir, err)
	}
	defer unlock()
	for _, step := range []func(context.Context) error{v.folder, v.catalog, v.objects, v.log} {
		if v.empty {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(ctx); err != nil {
			return fmt.Errorf("verify %s: %w", o.Dir, disk.Wrap(err))
		}
	}
	return nil
}

type verifier struct {
	options Options
	blocks  *disk.LocalBlocks
	report  func(Fault)
	note    func(string)

	empty   bool            // not a database yet: nothing more to read
	named   map[string]bool // objects that the catalog names
	logged  catalog.LogRecord
	durable uint64 // newest log entry that the catalog knows of
	lost    bool   // the catalog cannot be read: what it names is unknown
}

func (v *verifier) fault(path string, offset int64, format string, args ...any) {
	v.report(Fault{path, offset, fmt.Sprintf(format, args...)})
}

// faultOf reports err if it is damage, and else returns it.
func (v *verifier) faultOf(path string, err error) error {
	var damage *disk.Corruption
	switch {
	case err == nil:
		return nil
	case errors.As(err, &damage):
		v.fault(damage.Path, damage.Offset, "%v", damage.Err)
		return nil
	case errors.Is(err, disk.ErrCorrupt):
		v.fault(path, 0, "%v", err)
		return nil
	}
	return err
}

// lock keeps others from the database while it is read. Where the lock file
// is missing or cannot be written, nobody else can hold it either.
func (v *verifier) lock() (unlock func(), err error) {
	if _, err := v.options.FS.Stat(path.Join(v.options.Dir, disk.LockName)); err != nil {
		return func() {}, nil
	}
	lock, err := disk.LockDir(v.options.FS, v.options.Dir)
	if errors.Is(err, disk.ErrReadOnly) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	return func() { lock.Close() }, nil
}

func (v *verifier) folder(context.Context) error {
	text, err := disk.ReadFile(v.options.FS, path.Join(v.options.Dir, disk.FormatName))
	if errors.Is(err, disk.ErrNotFound) {
		if _, err := v.options.FS.Stat(path.Join(v.options.Dir, disk.LockName)); err != nil {
			return fmt.Errorf("no database: %w", err)
		}
		if !holdsNothing(v.options.FS, v.options.Dir) {
			v.fault(disk.FormatName, 0, "it is missing")
			return nil
		}
		v.note("FORMAT is missing: the database was killed while it was being made")
		v.empty = true
		return nil
	}
	if err == nil && string(text) != formatText {
		v.fault(disk.FormatName, 0, "it says %.40q, this program reads %q", text, formatText)
	}
	return err
}

// catalog checks the catalog's bytes and learns what it names.
func (v *verifier) catalog(context.Context) error {
	dir := path.Join(v.options.Dir, disk.CatalogDir)
	before := v.lost
	err := catalog.Check(v.options.FS, dir, func(file string, offset int64, what string) {
		v.fault(file, offset, "%s", what)
		v.lost = true
	})
	if errors.Is(err, disk.ErrNotFound) {
		err = disk.Corrupt(disk.CatalogDir, 0, "it is missing")
	}
	if err != nil && v.faultOf(disk.CatalogDir, err) != nil {
		return err
	}
	if v.lost != before || err != nil {
		v.lost = true
		return nil
	}
	c, err := catalog.Open(v.options.FS, dir, catalog.Options{ReadOnly: true})
	if err != nil {
		v.lost = true
		return v.faultOf(disk.CatalogDir, err)
	}
	defer c.Close()
	return v.faultOf(disk.CatalogDir, v.readCatalog(c))
}

func (v *verifier) readCatalog(c *catalog.Catalog) (err error) {
	err = c.Manifests(func(t model.Tenant, m catalog.Manifest) error {
		v.durable = max(v.durable, m.FlushedTo)
		for _, b := range m.Blocks {
			v.named[b.Name] = true
		}
		return nil
	})
	for p := range model.Partitions {
		if err != nil {
			break
		}
		var record catalog.PartitionRecord
		if record, err = c.LoadPartition(model.Partition(p)); record.Checkpoint != "" {
			v.named[record.Checkpoint] = true
		}
		if record.KeepFrom != 0 {
			v.fault(disk.LogDir, 0, "entry %d of partition %d could not be applied", record.KeepFrom, p)
		}
		v.durable = max(v.durable, record.Offset)
	}
	if err == nil {
		v.logged, err = c.LoadLog()
		v.durable = max(v.durable, v.logged.Durable, v.logged.TrimmedTo)
	}
	if err == nil {
		var identity catalog.Identity
		if identity, err = c.LoadIdentity(); err == nil && identity.Epoch == 0 {
			err = disk.Corrupt(disk.CatalogDir, 0, "the catalog has lost its identity")
		}
	}
	v.lost = err != nil
	return err
}

// objects reads every block and checkpoint, those that nothing names too.
func (v *verifier) objects(ctx context.Context) error {
	for _, dir := range []string{disk.BlocksDir, disk.CheckpointsDir, disk.FilesDir} {
		names, err := v.blocks.List(dir)
		if err != nil && !errors.Is(err, disk.ErrNotFound) {
			return err
		}
		for _, name := range names {
			if err := ctx.Err(); err != nil {
				return err
			}
			named := v.named[name] || dir == disk.FilesDir // which the catalog does not know
			delete(v.named, name)
			if !named && !v.lost {
				v.note(name + ": nothing names it")
				continue
			}
			if err := v.object(name); err != nil {
				return err
			}
		}
	}
	if err := v.quarantined(); err != nil {
		return err
	}
	for name := range v.named {
		v.fault(name, 0, "it is missing")
	}
	return nil
}

// quarantined reports what was set aside. What a repair knows of is missed no
// more.
func (v *verifier) quarantined() error {
	settled, err := settledFiles(v.options.FS, v.options.Dir)
	if err != nil {
		return err
	}
	names, err := quarantinedFiles(v.options.FS, v.options.Dir, v.blocks)
	for _, name := range names {
		if settled[name] && !v.named[name] {
			v.note(name + disk.QuarantineSuffix + ": it was set aside, and a repair has settled it: it may be removed")
			continue
		}
		v.fault(name+disk.QuarantineSuffix, 0, "damage was found in it and it was set aside")
		delete(v.named, name)
	}
	return err
}

func (v *verifier) object(name string) error {
	if _, ok := disk.ParseBlockName(name); ok {
		return v.faultOf(name, block.Check(v.blocks, name, func(offset int64, what string) {
			v.fault(name, offset, "%s", what)
		}))
	}
	if _, ok := disk.ParseUploadName(name); ok {
		return v.faultOf(name, checkUpload(v.blocks, name))
	}
	if _, _, _, ok := disk.ParseCheckpointName(name); !ok {
		v.note(name + ": not a file of this database")
		return nil
	}
	return v.faultOf(name, checkCheckpoint(v.blocks, name))
}

// log reads every byte of the log, and checks that it begins and ends where
// the catalog says it must.
func (v *verifier) log(context.Context) error {
	expectFrom := v.logged.TrimmedTo + 1
	if v.lost {
		expectFrom = 0
	}
	_, last, err := wal.Check(v.options.FS, path.Join(v.options.Dir, disk.LogDir), expectFrom,
		func(file string, offset int64, what string) { v.fault(file, offset, "%s", what) }, v.note)
	if err != nil || v.lost {
		return v.faultOf(disk.LogDir, err)
	}
	if max(last, v.logged.TrimmedTo) < v.durable || last == 0 && v.durable > 0 {
		v.fault(disk.LogDir, 0, "it ends at entry %d, but entry %d was durable", last, v.durable)
	}
	return nil
}
