package engine

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hokan-db/hokan/engine/catalog"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/wal"
)

// RepairItem is one thing that a repair did or cannot know.
type RepairItem struct {
	Path string `json:"path"` // relative to DATA
	What string `json:"what"`
}

// RepairReport says what a repair did. All lists are empty where nothing was
// to be done.
type RepairReport struct {
	Rebuilt  []RepairItem `json:"rebuilt"`   // made anew from what is left
	SetAside []RepairItem `json:"set_aside"` // renamed: damaged, or left over
	Unknown  []RepairItem `json:"unknown"`   // lost, or perhaps lost
}

// Empty reports whether there was nothing to repair.
func (r *RepairReport) Empty() bool { return len(r.Rebuilt)+len(r.SetAside)+len(r.Unknown) == 0 }

// Repair makes the database in o.Dir whole again as far as that can be: all
// that can be read is served afterwards, and what cannot is missed no more. It
// deletes nothing: what is damaged or left over is set aside under another
// name. What it cannot know, the report says.
//
//   - A catalog that is lost or damaged is made anew: the live blocks follow
//     from what their names and footers say, the rest from checkpoints and the
//     log.
//   - A partition whose checkpoint is lost starts from the beginning of the
//     log, where nothing of that was trimmed; else from an older checkpoint;
//     else from what blocks say: channels, deletions and rules.
//   - Of a damaged block what is readable goes into a new one.
//   - Log entries that cannot be applied keep the log no longer; the segments
//     that hold them are kept under another name.
//
// What was deleted stays so: deletions are in the log, in checkpoints, in
// blocks that were written since, and beside each checkpoint's name in the
// catalog.
//
// A repair that was interrupted can be begun again.
func Repair(ctx context.Context, o Options) (RepairReport, error) {
	r := &repairer{
		options: o, ctx: ctx, local: disk.NewLocalBlocks(o.FS, o.Dir),
		blocks: map[model.Tenant][]*foundBlock{}, checkpoints: map[model.Partition][]*foundCheckpoint{},
		buried: map[model.Tenant]uint64{}, salvaged: map[string]string{},
	}
	r.report = RepairReport{Rebuilt: []RepairItem{}, SetAside: []RepairItem{}, Unknown: []RepairItem{}}
	if err := r.run(); err != nil {
		return r.report, fmt.Errorf("repair %s: %w", o.Dir, disk.Wrap(err))
	}
	return r.report, nil
}

// repairer is one repair: it looks at everything, decides, and then changes.
type repairer struct {
	options Options
	ctx     context.Context
	local   *disk.LocalBlocks
	report  RepairReport

	epoch       uint64 // greatest that any file tells
	old         *catalog.Catalog
	stale       bool // the catalog lacks what was committed last
	identity    catalog.Identity
	records     [model.Partitions]catalog.PartitionRecord // of the old catalog
	manifests   map[model.Tenant]catalog.Manifest         // of the old catalog
	blocks      map[model.Tenant][]*foundBlock
	checkpoints map[model.Partition][]*foundCheckpoint
	buried      map[model.Tenant]uint64 // offset of a tenant's last deletion that the log or a checkpoint tells

	remade            bool                   // there is another catalog
	settled           map[string]bool        // files that are set aside and that earlier repairs knew of
	part              uint32                 // greatest in the name of a block
	lost              []lostBlock            // what of blocks cannot be read
	salvaged          map[string]string      // from which block another was made
	left              []string               // blocks that are left over
	replay            [model.Partitions]bool // for what a lost block held
	logFirst, logLast uint64                 // bounds of the log; first > last: it is empty
	logWhole          bool                   // nothing of it is missing, from the first entry on
	logEnd            uint64                 // greatest offset that anything tells
}

// foundCheckpoint is a checkpoint that is whole.
type foundCheckpoint struct {
	name    string
	epoch   uint64
	offset  uint64
	graves  []grave
	tenants []*tenantCheckpoint // without heads
	// heads are the offsets to which the heads of each tenant go: rows of
	// entries up to its own offset that are not in them were in blocks.
	heads map[model.Tenant][]uint64
}

func (r *repairer) rebuilt(path, format string, args ...any) {
	r.report.Rebuilt = append(r.report.Rebuilt, RepairItem{path, fmt.Sprintf(format, args...)})
}

func (r *repairer) setAside(path, format string, args ...any) {
	r.report.SetAside = append(r.report.SetAside, RepairItem{path, fmt.Sprintf(format, args...)})
}

func (r *repairer) unknown(path, format string, args ...any) {
	r.report.Unknown = append(r.report.Unknown, RepairItem{path, fmt.Sprintf(format, args...)})
}

// found reports damage that opening or reading came upon, once.
func (r *repairer) found(fault error) {
	item := RepairItem{disk.LogDir, fault.Error()}
	if damage := (*disk.Corruption)(nil); errors.As(fault, &damage) {
		item = RepairItem{damage.Path, withoutPath(fault, damage.Path)}
	}
	if !slices.Contains(r.report.Unknown, item) {
		r.report.Unknown = append(r.report.Unknown, item)
	}
}

func (r *repairer) run() error {
	lock, err := disk.LockDir(r.options.FS, r.options.Dir)
	if err != nil {
		return err
	}
	steps := []struct {
		name string
		run  func() error
	}{
		{"folder", r.folder},
		{"note", r.readNotes},
		{"catalog", r.readOldCatalog},
		{"checkpoints", r.readCheckpoints},
		{"log", r.readLog},
		{"age of the catalog", r.judgeCatalog},
		{"blocks", r.readBlocks},
		{"files", r.readFiles},
		{"making", r.make},
	}
	for _, step := range steps {
		if err == nil {
			err = r.ctx.Err()
		}
		if err == nil {
			if err = step.run(); err != nil {
				err = fmt.Errorf("%s: %w", step.name, err)
			}
		}
	}
	if r.old != nil {
		err = errors.Join(err, r.old.Close())
	}
	if err = errors.Join(err, lock.Close()); err != nil {
		return err
	}
	if err := r.open(); err != nil {
		return fmt.Errorf("opening it: %w", err)
	}
	return errors.Join(r.tellAside(), r.leaveNote())
}

// folder checks that there is something to repair, of this version.
func (r *repairer) folder() error {
	fs, dir := r.options.FS, r.options.Dir
	name := path.Join(dir, disk.FormatName)
	text, err := disk.ReadFile(fs, name)
	var version int
	switch {
	case err == nil && string(text) == formatText:
		return nil
	case err == nil:
		if n, _ := fmt.Sscanf(string(text), "hokan %d\n", &version); n == 1 {
			return fmt.Errorf("%s says %.40q: %w", disk.FormatName, text, disk.ErrVersion)
		}
		if err := fs.Rename(name, name+disk.QuarantineSuffix); err != nil {
			return err
		}
		r.setAside(disk.FormatName, "it said %.40q", text)
	case !errors.Is(err, disk.ErrNotFound):
		return err
	case holdsNothing(fs, dir):
		return fmt.Errorf("no database: %w", err)
	}
	for _, sub := range disk.Dirs {
		if err := fs.MkdirAll(path.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	r.rebuilt(disk.FormatName, "it was missing or damaged")
	return disk.WriteAtomic(fs, name, []byte(formatText))
}

// readNotes learns what earlier repairs have settled.
func (r *repairer) readNotes() (err error) {
	r.settled, err = settledFiles(r.options.FS, r.options.Dir)
	if r.settled == nil {
		r.settled = map[string]bool{}
	}
	return err
}

// readFiles reads every uploaded file, and sets aside those that are damaged.
func (r *repairer) readFiles() error {
	names, err := r.local.List(disk.FilesDir + "/")
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		t, ok := disk.ParseUploadName(name)
		if !ok {
			continue
		}
		cause := checkUpload(r.local, name)
		if cause != nil && !errors.Is(cause, disk.ErrCorrupt) {
			return cause
		}
		if cause == nil {
			continue
		}
		r.setAside(name, "%s", withoutPath(cause, name))
		r.unknown(name, "an uploaded file of tenant %s", t)
		if err := r.local.Quarantine(name); err != nil {
			return err
		}
	}
	return nil
}

// withoutPath returns the text of damage to a file that is named beside it.
func withoutPath(cause error, name string) string {
	return strings.TrimPrefix(cause.Error(), name+": ")
}

// readOldCatalog reads the catalog, if all of it is good: it then stays.
func (r *repairer) readOldCatalog() error {
	fs, dir := r.options.FS, path.Join(r.options.Dir, disk.CatalogDir)
	damage := ""
	err := catalog.Check(fs, dir, func(_ string, _ int64, what string) { damage = what })
	if err == nil && damage != "" || errors.Is(err, disk.ErrCorrupt) || errors.Is(err, disk.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	c, err := catalog.Open(fs, dir, catalog.Options{ReadOnly: true})
	if err == nil {
		r.manifests = map[model.Tenant]catalog.Manifest{}
		err = c.Manifests(func(t model.Tenant, m catalog.Manifest) error {
			r.manifests[t] = m
			return nil
		})
		for p := range r.records {
			if err == nil {
				r.records[p], err = c.LoadPartition(model.Partition(p))
			}
		}
		if err == nil {
			r.identity, err = c.LoadIdentity()
		}
		if err == nil && r.identity.Epoch > 0 {
			r.epoch, r.old = r.identity.Epoch, c
			return nil
		}
		r.manifests, r.records = nil, [model.Partitions]catalog.PartitionRecord{}
		err = errors.Join(err, c.Close())
	}
	if errors.Is(err, disk.ErrCorrupt) || errors.Is(err, disk.ErrNotFound) {
		return nil
	}
	return err
}

// readCheckpoints reads every checkpoint, and sets aside those that are damaged.
func (r *repairer) readCheckpoints() error {
	names, err := r.local.List(disk.CheckpointsDir + "/")
	for _, name := range names {
		if err == nil {
			err = r.readCheckpoint(name)
		}
	}
	return err
}

func (r *repairer) readCheckpoint(name string) error {
	p, epoch, offset, ok := disk.ParseCheckpointName(name)
	if !ok {
		return nil
	}
	r.epoch = max(r.epoch, epoch)
	c := &foundCheckpoint{name: name, epoch: epoch, offset: offset, heads: map[model.Tenant][]uint64{}}
	o, err := r.local.Open(name)
	if err != nil {
		return err
	}
	head, err := decodeCheckpoint(o, name, func(t *tenantCheckpoint) error {
		for _, h := range t.restored {
			c.heads[t.name] = append(c.heads[t.name], h.lastOffset)
		}
		t.restored = nil
		c.tenants = append(c.tenants, t)
		return nil
	})
	o.Close()
	if err == nil && (head.partition != p || head.offset != offset) {
		err = disk.Corrupt(name, 0, "it is of partition %d at entry %d", head.partition, head.offset)
	}
	if errors.Is(err, disk.ErrCorrupt) {
		r.setAside(name, "%s", withoutPath(err, name))
		return r.local.Quarantine(name)
	}
	if err != nil {
		return err
	}
	c.graves = head.graves
	for _, g := range c.graves {
		r.buried[g.tenant] = max(r.buried[g.tenant], g.offset)
	}
	r.logEnd = max(r.logEnd, offset)
	r.checkpoints[p] = append(r.checkpoints[p], c)
	return nil
}

// readLog reads every entry that is readable.
func (r *repairer) readLog() error {
	dir := path.Join(r.options.Dir, disk.LogDir)
	log, err := wal.Open(wal.Options{FS: r.options.FS, Dir: dir, ReadOnly: true})
	if err != nil {
		return err
	}
	defer log.Close()
	all := make([]model.Partition, model.Partitions)
	for p := range all {
		all[p] = model.Partition(p)
	}
	cursor, err := log.Tail(all, func(model.Partition) uint64 { return 0 })
	if err != nil {
		return err
	}
	defer cursor.Close()
	for {
		entries, err := cursor.TryNext()
		if err != nil {
			return err
		}
		if entries == nil {
			break
		}
		for _, e := range entries {
			if _, ok := e.Body.(*entry.DeleteTenant); ok {
				r.buried[e.Tenant] = max(r.buried[e.Tenant], e.Offset)
			}
		}
	}
	r.logFirst, r.logLast = log.Bounds()
	if len(log.Contents()) == 0 {
		r.logFirst, r.logLast = 1, 0
	}
	faults := log.Faults()
	for _, fault := range faults {
		r.found(fault)
	}
	r.logWhole = len(faults) == 0 && r.logFirst == 1 && r.logLast > 0
	for p := range r.records {
		r.logEnd = max(r.logEnd, r.records[p].Offset, r.records[p].KeepFrom)
	}
	r.logEnd = max(r.logEnd, r.logLast)
	return nil
}

// open opens the database, learns what only blocks know, lets go of entries
// that cannot be applied, and writes new checkpoints.
func (r *repairer) open() error {
	db, err := Open(r.options)
	if err != nil {
		return err
	}
	faults, _ := db.listFaults()
	for _, fault := range faults {
		r.found(fault)
	}
	if err := db.afterRepair(r); err != nil {
		return errors.Join(err, db.Close())
	}
	return db.Close()
}

// afterRepair finishes what needs an open database.
func (db *DB) afterRepair(r *repairer) error {
	if r.remade { // events that were saved may be of tenants that were deleted since
		if err := db.catalog.DropEvents(func(name model.Tenant, offset uint64) bool {
			t := db.tenants[name]
			return t == nil || offset < t.born
		}); err != nil {
			return err
		}
	}
	if err := db.compactor.acquire(r.ctx); err != nil { // blocks stay while they are read
		return err
	}
	defer db.compactor.release()
	for _, t := range db.allTenants(func(*tenant) bool { return true }) {
		t.mu.RLock()
		blocks := t.blocks
		t.mu.RUnlock()
		for _, m := range blocks {
			if err := db.relearnFrom(t, m.Name); err != nil {
				return fmt.Errorf("channels of %s: %w", m.Name, err)
			}
		}
	}
	for _, p := range db.partitions {
		a := db.appliers[int(p.id)%len(db.appliers)]
		a.mu.Lock()
		pinned := p.keepFrom
		p.keepFrom = 0
		if p.damaged == nil && p.lastOffset > 0 {
			p.dirtyFrom = max(1, p.record.Offset)
		}
		a.mu.Unlock()
		if pinned != 0 {
			if err := r.keepSegment(db, pinned); err != nil {
				return err
			}
			r.unknown(disk.LogDir, "entry %d of partition %d could not be applied; the log keeps it no longer", pinned, p.id)
		}
	}
	return nil
}

// keepSegment gives the segment that holds an entry a second name, under which
// nothing deletes it.
func (r *repairer) keepSegment(db *DB, offset uint64) error {
	for _, part := range db.logParts() {
		if part.Last < offset {
			continue
		}
		name := path.Join(disk.LogDir, part.Name)
		to := path.Join(db.options.Dir, name+disk.QuarantineSuffix)
		if _, err := db.fs.Stat(to); err == nil {
			return nil
		}
		if _, err := disk.CopyFile(r.ctx, db.fs, path.Join(db.options.Dir, name), to, -1); err != nil {
			return err
		}
		r.setAside(name, "a copy of it, for entry %d", offset)
		return disk.SyncDir(db.fs, path.Join(db.options.Dir, disk.LogDir))
	}
	return nil
}
