package engine

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/catalog"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// judgeCatalog takes a catalog for lost that is older than other files: all of it
// can be read, but what was committed last is gone with the end of its log,
// which cannot be told from a write that a crash cut off.
func (r *repairer) judgeCatalog() error {
	if r.old == nil {
		return nil
	}
	logged, err := r.old.LoadLog()
	if err != nil {
		return err
	}
	stored, err := r.local.List("")
	if err != nil {
		return err
	}
	_, aside, err := r.local.Leftovers()
	if err != nil {
		return err
	}
	missing := func(name string) bool {
		_, there := slices.BinarySearch(stored, name)
		_, set := slices.BinarySearch(aside, name+disk.QuarantineSuffix)
		return name != "" && !there && !set
	}
	why := ""
	trimmed := r.logFirst > logged.TrimmedTo+1
	for p, found := range r.checkpoints {
		record := &r.records[p]
		newer := slices.ContainsFunc(found, func(c *foundCheckpoint) bool { return c.offset > record.Offset })
		forgotten := record.Checkpoint == "" && slices.ContainsFunc(found, r.outlivesLog)
		if newer && (trimmed || forgotten || missing(record.Checkpoint)) {
			why = fmt.Sprintf("it does not know the newest checkpoint of partition %d", p)
		}
	}
	for t, m := range r.manifests {
		if mergedSince(t, m, stored, missing) {
			why = fmt.Sprintf("it does not know the last compaction of tenant %s", t)
		}
	}
	for _, name := range stored {
		if b, ok := disk.ParseBlockName(name); ok && r.unknownFlush(b) {
			why = fmt.Sprintf("it does not know the last flush of tenant %s", b.Tenant)
		}
	}
	if why == "" {
		return nil
	}
	r.stale = true
	r.unknown(disk.CatalogDir, "what was committed to it last: %s", why)
	r.manifests, r.records = nil, [model.Partitions]catalog.PartitionRecord{}
	err, r.old = r.old.Close(), nil
	return err
}

// outlivesLog reports whether a checkpoint has a tenant whose creation is not in
// the log: it was trimmed because the catalog knew a checkpoint of it.
func (r *repairer) outlivesLog(c *foundCheckpoint) bool {
	return slices.ContainsFunc(c.tenants, func(t *tenantCheckpoint) bool { return t.born < r.logFirst })
}

// unknownFlush reports whether a block has rows of entries that no manifest says
// are in blocks, and that the checkpoint which the catalog names does not hold
// although it is of later ones.
func (r *repairer) unknownFlush(b disk.BlockName) bool {
	p := b.Tenant.Partition()
	record := &r.records[p]
	if b.LastOffset <= r.manifests[b.Tenant].FlushedTo || b.LastOffset > record.Offset || b.LastOffset < r.buried[b.Tenant] {
		return false
	}
	for _, c := range r.checkpoints[p] {
		if c.name == record.Checkpoint {
			known := slices.ContainsFunc(c.tenants, func(t *tenantCheckpoint) bool { return t.name == b.Tenant && b.LastOffset >= t.born })
			return known && !slices.Contains(c.heads[b.Tenant], b.LastOffset)
		}
	}
	return false
}

// mergedSince reports whether a block that a manifest names is gone, and one is
// there that it was merged into.
func mergedSince(t model.Tenant, m catalog.Manifest, stored []string, missing func(string) bool) bool {
	for i := range m.Blocks {
		gone, ok := disk.ParseBlockName(m.Blocks[i].Name)
		if !ok || !missing(m.Blocks[i].Name) {
			continue
		}
		for _, name := range stored {
			if b, ok := disk.ParseBlockName(name); ok && b.Tenant == t && (&foundBlock{BlockName: b}).covers(&foundBlock{BlockName: gone}) {
				return true
			}
		}
	}
	return false
}

// make writes what the database is to be from now on.
func (r *repairer) make() error {
	r.epoch++
	r.findBorn()
	manifests := r.planManifests()
	var records [model.Partitions]catalog.PartitionRecord
	for p := range records {
		var err error
		if records[p], err = r.planPartition(model.Partition(p), manifests); err != nil {
			return err
		}
	}
	r.tellLost()
	if r.old == nil {
		return r.makeCatalog(manifests, records)
	}
	return r.mendCatalog(manifests, records)
}

// findBorn takes blocks that are older than their tenant for those of a deleted
// one of its name.
func (r *repairer) findBorn() {
	for _, list := range r.checkpoints {
		for _, c := range list {
			for _, t := range c.tenants {
				r.buried[t.name] = max(r.buried[t.name], t.born)
			}
		}
	}
}

// planManifests returns the manifests that are to be written: of all tenants
// where the catalog is lost, else of those whose blocks are not all there.
func (r *repairer) planManifests() map[model.Tenant]catalog.Manifest {
	plans := map[model.Tenant]catalog.Manifest{}
	if r.old == nil {
		for _, t := range slices.Sorted(maps.Keys(r.blocks)) {
			live, left, flushedTo := r.liveBlocks(t)
			for _, b := range left {
				r.left = append(r.left, b.String())
			}
			if len(live) == 0 {
				continue
			}
			m := catalog.Manifest{Revision: 1, Epoch: r.epoch, FlushedTo: flushedTo}
			for _, b := range live {
				m.Blocks = append(m.Blocks, b.meta)
			}
			plans[t] = m
		}
	} else {
		for t, m := range r.manifests {
			if mended, changed := r.mendManifest(t, m); changed {
				plans[t] = mended
			}
		}
	}
	// What a lost block held may still be in the log.
	for _, l := range r.lost {
		if !r.logWhole {
			continue
		}
		m, ok := plans[l.Tenant]
		if !ok {
			continue
		}
		m.FlushedTo = min(m.FlushedTo, l.FirstOffset-1)
		plans[l.Tenant] = m
		r.replay[l.Tenant.Partition()] = true
	}
	return plans
}

// mendManifest puts what was salvaged in the place of what was damaged, and
// leaves out what is missing.
func (r *repairer) mendManifest(t model.Tenant, m catalog.Manifest) (catalog.Manifest, bool) {
	found := map[string]*foundBlock{}
	for _, b := range r.blocks[t] {
		found[b.String()] = b
	}
	changed := false
	var blocks []block.Meta
	for _, meta := range m.Blocks {
		if found[meta.Name] != nil {
			blocks = append(blocks, meta)
			continue
		}
		changed = true
		for _, b := range r.blocks[t] {
			if r.salvaged[b.String()] == meta.Name {
				b.meta.CleanTo, b.meta.Written = meta.CleanTo, meta.Written
				blocks = append(blocks, b.meta)
			}
		}
	}
	m.Revision++
	m.Epoch, m.Blocks = r.epoch, blocks
	return m, changed
}

// planPartition decides from where a partition goes on.
func (r *repairer) planPartition(p model.Partition, manifests map[model.Tenant]catalog.Manifest) (catalog.PartitionRecord, error) {
	record := r.records[p]
	named := slices.ContainsFunc(r.checkpoints[p], func(c *foundCheckpoint) bool { return c.name == record.Checkpoint })
	good := r.old != nil && (record.Checkpoint == "" || named)
	if good && !r.replay[p] {
		return record, nil
	}
	next := catalog.PartitionRecord{Revision: record.Revision + 1, Epoch: r.epoch}
	where := fmt.Sprintf("partition %d", p)
	best := r.lastCheckpoint(p)
	switch {
	case r.logWhole:
		if best != nil || record.Checkpoint != "" || r.replay[p] {
			r.rebuilt(where, "from the log, which is whole")
		}
		return next, nil
	case best != nil:
		next.Offset, next.Checkpoint, next.Epoch, next.Deletions = best.offset, best.name, best.epoch, nil
		if record.Checkpoint != best.name {
			r.rebuilt(where, "from %s", best.name)
		}
		if best.offset+1 < r.logFirst {
			r.unknown(where, "entries %d to %d: rows, channels, alarms and deletions in them", best.offset+1, r.logFirst-1)
		}
		return next, nil
	}
	return r.remake(p, next, manifests)
}

// lastCheckpoint returns the last whole checkpoint of a partition, nil if there
// is none.
func (r *repairer) lastCheckpoint(p model.Partition) (last *foundCheckpoint) {
	for _, c := range r.checkpoints[p] {
		if last == nil || c.offset > last.offset || c.offset == last.offset && c.epoch > last.epoch {
			last = c
		}
	}
	return last
}

// replayed reports whether opening reads the rows of a flush block again: from
// the heads of the checkpoint that it begins with, or from the log after that.
func (r *repairer) replayed(b *foundBlock) bool {
	if c := r.lastCheckpoint(b.Tenant.Partition()); c != nil && !r.logWhole {
		if slices.Contains(c.heads[b.Tenant], b.LastOffset) {
			return true
		}
		if b.LastOffset <= c.offset || c.offset+1 < r.logFirst {
			return false
		}
		return b.LastOffset <= r.logLast
	}
	return r.logFirst <= b.FirstOffset && b.LastOffset <= r.logLast
}

// remake makes a checkpoint of what blocks and the catalog tell.
func (r *repairer) remake(p model.Partition, next catalog.PartitionRecord, manifests map[model.Tenant]catalog.Manifest) (catalog.PartitionRecord, error) {
	state := &partitionState{partition: p, offset: r.logEnd}
	if r.logLast >= r.logFirst {
		state.offset = r.logFirst - 1
	}
	known := map[model.Tenant]*tenantState{}
	remembered := map[model.Tenant]bool{} // by the catalog: rules among it, which may be none
	skeleton, err := decodeSkeleton(r.records[p].Deletions)
	told := err == nil && skeleton != nil
	if told {
		state.graves = skeleton.graves
		for _, t := range skeleton.tenants {
			known[t.name], remembered[t.name] = &t.tenantState, true
		}
	}
	for t := range r.blocks {
		_, planned := manifests[t]
		_, had := r.manifests[t]
		if t.Partition() == p && known[t] == nil && (planned || had) {
			known[t] = &tenantState{name: t, nextID: 1}
		}
	}
	if !told && len(known) > 0 { // else nothing is here that may have been deleted
		r.unknown(fmt.Sprintf("partition %d", p), "deletions of rows, channels and tenants, and changes of retention, that only its checkpoint told")
	}
	if len(known) == 0 && len(state.graves) == 0 {
		next.Offset = state.offset
		if r.old == nil {
			next.Offset = 0 // nothing says that there was anything
		}
		return next, nil
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		t := known[name]
		if !remembered[name] {
			t.rules = r.rulesInBlocks(name)
		}
		if err := r.remakeTenant(t, state.offset); err != nil {
			return next, err
		}
		state.tenants = append(state.tenants, *t)
	}
	next.Offset, next.Deletions = state.offset, state.skeleton()
	next.Checkpoint = disk.CheckpointName(p, r.epoch, state.offset)
	err = r.local.Put(next.Checkpoint, func(w io.Writer) error { return encodeCheckpoint(w, r.epoch, state) })
	r.rebuilt(next.Checkpoint, "the state of %d tenants, from what blocks say", len(state.tenants))
	r.unknown(next.Checkpoint, "alarms, answers to requests that may come again, and rows and channels that were in no block and whose log entries are gone")
	return next, err
}

// rulesInBlocks returns the rules that the newest of a tenant's blocks say.
func (r *repairer) rulesInBlocks(t model.Tenant) (rules policy.Rules) {
	newest := uint64(0)
	for _, b := range r.blocks[t] {
		if said, err := policy.DecodeRules(b.notes.Retention); err == nil && len(said) > 0 && b.LastOffset >= newest {
			rules, newest = said, b.LastOffset
		}
	}
	return rules
}

// remakeTenant completes a tenant with what its blocks say.
func (r *repairer) remakeTenant(t *tenantState, offset uint64) error {
	list := slices.Clone(r.blocks[t.name])
	slices.SortFunc(list, func(a, b *foundBlock) int { return int(int64(a.LastOffset - b.LastOffset)) })
	tombstones := map[uint64]model.Tombstone{}
	for _, s := range t.tombstones {
		tombstones[s.Offset] = s
	}
	for _, b := range list {
		for _, s := range b.notes.Tombstones {
			tombstones[s.Offset] = s
		}
	}
	t.tombstones = nil
	for _, at := range slices.Sorted(maps.Keys(tombstones)) {
		t.tombstones = append(t.tombstones, tombstones[at])
	}
	channels, latest := map[model.ChannelID]model.Channel{}, map[model.ChannelID]int64{}
	judge := &tenant{tombstones: t.tombstones}
	for _, b := range list {
		t.applied = min(max(t.applied, b.LastOffset), offset)
		reader, err := block.Open(r.local, b.String())
		if err != nil {
			return err
		}
		err = reader.Channels(func(c model.Channel) error {
			t.nextID = max(t.nextID, c.ID+1)
			if !judge.deleted(c.ID, b.String()) {
				channels[c.ID], latest[c.ID] = c, max(latest[c.ID], b.meta.Last)
			}
			return nil
		})
		if err = errors.Join(err, reader.Close()); err != nil {
			return err
		}
	}
	t.channels, t.latest = nil, nil
	for _, id := range slices.Sorted(maps.Keys(channels)) {
		t.channels = append(t.channels, channels[id])
		t.latest = append(t.latest, make([]latestSample, int(id)+1-len(t.latest))...)
		t.latest[id] = latestSample{time: latest[id], state: latestLost}
	}
	t.alarms = alarm.NewSet().AppendTo(nil)
	return nil
}

// skeleton is a checkpoint without channels, alarms, receipts and rows: what hides rows,
// and which IDs were used. It stands in the partition's record too, so that a
// checkpoint that is lost brings nothing back that was deleted.
func (s *partitionState) skeleton() []byte {
	bare := &partitionState{partition: s.partition, offset: s.offset, graves: s.graves}
	none := alarm.NewSet().AppendTo(nil)
	for i := range s.tenants {
		t := s.tenants[i]
		t.channels, t.latest, t.alarms, t.receipts, t.heads = nil, nil, none, nil, nil
		bare.tenants = append(bare.tenants, t)
	}
	var b bytesWriter
	if err := encodeCheckpoint(&b, 0, bare); err != nil {
		return nil // memory does not fail
	}
	return b
}

type bytesWriter []byte

// Write implements io.Writer.
func (b *bytesWriter) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

// decodeSkeleton reads what skeleton made; nil for nothing.
func decodeSkeleton(b []byte) (*foundCheckpoint, error) {
	if len(b) == 0 {
		return nil, nil
	}
	c := &foundCheckpoint{}
	head, err := decodeCheckpoint(openFile{bytesReader(b), int64(len(b))}, disk.CatalogDir, func(t *tenantCheckpoint) error {
		c.tenants = append(c.tenants, t)
		return nil
	})
	c.graves, c.offset = head.graves, head.offset
	return c, err
}

type bytesReader []byte

// ReadAt implements io.ReaderAt.
func (b bytesReader) ReadAt(p []byte, at int64) (int, error) {
	if at >= int64(len(b)) {
		return 0, io.EOF
	}
	n := copy(p, b[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// tellLost reports the blocks of which nothing, or not all, can be read.
func (r *repairer) tellLost() {
	for _, l := range r.lost {
		if r.replay[l.Tenant.Partition()] {
			r.rebuilt(l.String(), "its rows, from the log")
			continue
		}
		for _, what := range l.parts {
			r.unknown(l.String(), "%s", what)
		}
		switch {
		case l.rows > 0:
			r.unknown(l.String(), "%d rows of tenant %s between %s and %s are lost", l.rows, l.Tenant, timeText(l.First), timeText(l.Last))
		case len(l.parts) == 0:
			r.unknown(l.String(), "rows of tenant %s between %s and %s are lost", l.Tenant, timeText(l.First), timeText(l.Last))
		}
	}
}

// mendCatalog changes what has to be changed of a catalog that is whole.
func (r *repairer) mendCatalog(manifests map[model.Tenant]catalog.Manifest, records [model.Partitions]catalog.PartitionRecord) error {
	var changes []catalog.Change
	for _, t := range slices.Sorted(maps.Keys(manifests)) {
		changes = append(changes, catalog.PutManifest(t, manifests[t]))
		r.rebuilt(disk.CatalogDir, "the list of blocks of tenant %s", t)
	}
	for p := range records {
		if r.records[p].KeepFrom != 0 && records[p].Revision == r.records[p].Revision {
			continue // released when it is open
		}
		if records[p].Revision != r.records[p].Revision {
			changes = append(changes, catalog.PutPartition(model.Partition(p), records[p]))
		}
	}
	logged, err := r.old.LoadLog()
	if err != nil {
		return err
	}
	if first := r.logFirst; first > logged.TrimmedTo+1 {
		r.unknown(disk.LogDir, "entries %d to %d are gone", logged.TrimmedTo+1, first-1)
		logged.TrimmedTo = first - 1
		logged.Revision++
		changes = append(changes, catalog.PutLog(logged))
	} else if r.logLast < max(logged.Durable, logged.TrimmedTo) && r.logLast >= first {
		r.unknown(disk.LogDir, "entries %d to %d are gone", r.logLast+1, logged.Durable)
		logged.Durable = r.logLast
		logged.Revision++
		changes = append(changes, catalog.PutLog(logged))
	}
	if err := r.old.Close(); err != nil {
		return err
	}
	r.old = nil
	if len(changes) == 0 {
		return nil
	}
	c, err := catalog.Open(r.options.FS, path.Join(r.options.Dir, disk.CatalogDir), catalog.Options{})
	if err != nil {
		return err
	}
	return errors.Join(c.Commit(changes...), c.Close())
}

// makeCatalog makes a catalog and puts it in the place of the old one.
func (r *repairer) makeCatalog(manifests map[model.Tenant]catalog.Manifest, records [model.Partitions]catalog.PartitionRecord) error {
	fs := r.options.FS
	dir, made := path.Join(r.options.Dir, disk.CatalogDir), path.Join(r.options.Dir, disk.CatalogDir+disk.TemporarySuffix)
	if err := fs.RemoveAll(made); err != nil { // of a repair that was interrupted
		return err
	}
	c, err := catalog.Open(fs, made, catalog.Options{})
	if err != nil {
		return err
	}
	if err := errors.Join(r.fillCatalog(c, dir, manifests, records), c.Close()); err != nil {
		return err
	}
	if _, err := fs.Stat(dir); err == nil {
		aside := dir + disk.QuarantineSuffix
		for i := 2; ; i++ {
			if _, err := fs.Stat(aside); err != nil {
				break
			}
			aside = fmt.Sprintf("%s.%d%s", dir, i, disk.QuarantineSuffix)
		}
		if err := fs.Rename(dir, aside); err != nil {
			return err
		}
		r.setAside(disk.CatalogDir, "now %s", path.Base(aside))
	}
	if err := fs.Rename(made, dir); err != nil {
		return err
	}
	r.remade = true
	r.rebuilt(disk.CatalogDir, "%d tenants with %d blocks", len(manifests), r.countBlocks(manifests))
	for _, name := range r.left {
		r.setAside(name, "left over: its rows are in other blocks or in the log, or its tenant was deleted")
		if err := r.local.Quarantine(name); err != nil {
			return err
		}
	}
	return disk.SyncDir(fs, r.options.Dir)
}

func (r *repairer) countBlocks(manifests map[model.Tenant]catalog.Manifest) (n int) {
	for _, m := range manifests {
		n += len(m.Blocks)
	}
	return n
}

// fillCatalog writes all records, the identity last: without it a catalog is
// none.
func (r *repairer) fillCatalog(c *catalog.Catalog, old string, manifests map[model.Tenant]catalog.Manifest,
	records [model.Partitions]catalog.PartitionRecord) error {
	saved, err := catalog.Salvage(r.ctx, r.options.FS, old, c)
	if err != nil {
		return err
	}
	if !saved.Whole || r.stale {
		r.unknown(disk.CatalogDir, "tokens, plans, quotas and other records of the server: %d are saved; make what is missing anew", saved.Records)
		if !r.logWhole { // what a checkpoint holds is not folded again
			folded := r.logFirst
			for p := range records {
				folded = max(folded, records[p].Offset+1)
			}
			r.unknown(disk.CatalogDir, "alarm events of before entry %d: %d are saved", folded, saved.Events)
		}
	}
	var changes []catalog.Change
	for _, t := range slices.Sorted(maps.Keys(manifests)) {
		changes = append(changes, catalog.PutManifest(t, manifests[t]))
	}
	for p := range records {
		if records[p].Offset != 0 || records[p].Checkpoint != "" {
			records[p].Revision = 1
			changes = append(changes, catalog.PutPartition(model.Partition(p), records[p]))
		}
	}
	logged := catalog.LogRecord{Revision: 1, TrimmedTo: r.logEnd, Durable: r.logLast}
	if r.logLast >= r.logFirst {
		logged.TrimmedTo = r.logFirst - 1
	}
	changes = append(changes, catalog.PutLog(logged))
	identity := saved.Identity
	if identity.ID == [16]byte{} {
		identity.ID = newDatabaseID()
		r.unknown(disk.CatalogDir, "which database this was: it has a new ID")
	}
	identity.Format, identity.Epoch = FormatVersion, max(r.epoch, identity.Epoch+1)
	return c.Commit(append(changes, catalog.PutIdentity(identity))...)
}
