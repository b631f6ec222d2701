package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hokan-db/hokan/engine/catalog"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/index"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/receipt"
)

// TenantDeletion is what there is to say of a tenant that was deleted.
type TenantDeletion = catalog.TenantDeletion

// grave is a deleted tenant of which blocks or files may still be stored. It
// stands in its partition's checkpoints until they are gone.
type grave struct {
	tenant model.Tenant
	offset uint64 // of the deletion: what is of entries before it is dead
}

// errGone says that a tenant was deleted while something was done for it.
var errGone = fmt.Errorf("%w: it was deleted meanwhile", ErrUnknownTenant)

// DeleteTenant removes a tenant and everything of it: rows, channels, alarms
// and their events, blocks and files. When it returns, that is durable, nothing
// of the tenant is known any more and its files are gone; an error other than
// ErrUnknownTenant may mean that files are left, which the next opening
// removes.
func (db *DB) DeleteTenant(ctx context.Context, name model.Tenant) (TenantDeletion, error) {
	t, err := db.enterTenant(name)
	if err != nil {
		return TenantDeletion{}, err
	}
	defer db.gate.leave()
	t.naming.Lock()
	defer t.naming.Unlock()
	if err := t.checkChannels(nil); err != nil {
		return TenantDeletion{}, err
	}
	if err := ctx.Err(); err != nil {
		return TenantDeletion{}, err
	}
	e := &entry.Entry{Body: db.describe(t)}
	if _, err := db.write(t.partition, name, e); err != nil {
		return TenantDeletion{}, err
	}
	body := e.Body.(*entry.DeleteTenant)
	done := TenantDeletion{Tenant: name, Offset: e.Offset, Time: e.Time, Bytes: body.Bytes, Channels: body.Channels}
	t.writing.Lock() // until its last block is written, which is then discarded
	defer t.writing.Unlock()
	t.choosing.Lock() // until the queries that chose its blocks have opened them
	defer t.choosing.Unlock()
	db.burying.Lock()
	defer db.burying.Unlock()
	return done, db.clearGrave(t.partition, name)
}

// describe returns the deletion of t with what the record says of it.
func (db *DB) describe(t *tenant) *entry.DeleteTenant {
	body := &entry.DeleteTenant{}
	if files, err := db.loadedFiles(t); err == nil {
		files.mu.Lock()
		body.Bytes += files.bytes
		files.mu.Unlock()
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	for i := range t.blocks {
		body.Bytes += t.blocks[i].Bytes
	}
	body.Channels = uint64(t.index.Len())
	return body
}

// TenantDeletions returns the record of tenants that were deleted by entries
// after an offset, in the order of the log, at most limit of them.
func (db *DB) TenantDeletions(after uint64, limit int) ([]TenantDeletion, error) {
	if err := db.gate.enter(); err != nil {
		return nil, err
	}
	defer db.gate.leave()
	return db.catalog.TenantDeletions(after, limit)
}

// deleteTenant applies the deletion of a tenant. Its state goes; its blocks and
// files are dead from here on, whenever they are removed.
func (a *applier) deleteTenant(p *partition, t *tenant, e *entry.Entry, body *entry.DeleteTenant) error {
	// In the log that is replayed, the manifest may be that of a later tenant
	// of the name.
	t.committing.Lock()
	defer t.committing.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	successor := t.flushedTo > e.Offset
	if successor {
		next := newTenant(t.name, p)
		next.revision, next.flushedTo, next.blocks, next.dropped = t.revision, t.flushedTo, t.blocks, t.dropped
		a.db.tenantsMu.Lock()
		a.db.waiting[t.name] = next
		a.db.tenantsMu.Unlock()
	}
	t.gone = true
	a.db.tenantsMu.Lock()
	delete(a.db.tenants, t.name)
	a.db.tenantsMu.Unlock()
	t.end()
	a.empty(t)
	delete(a.events, t.name) // of the group, not stored yet
	p.graves = append(p.graves, grave{t.name, e.Offset})
	done := TenantDeletion{Tenant: t.name, Offset: e.Offset, Time: e.Time, Bytes: body.Bytes, Channels: body.Channels}
	p.schedule.hasten(e.Time + deletionCheckpoint)
	if err := a.db.catalog.Forget(done, !successor); err != nil {
		a.db.faults.add(err) // it failed for ever: the log says it again at the next opening
	}
	return nil
}

// empty lets go of what t holds in memory and ends its taps. The caller holds
// t.mu.
func (a *applier) empty(t *tenant) {
	bytes := t.active.Bytes()
	for _, f := range t.frozen {
		bytes += f.Bytes()
	}
	a.db.headBytes.Add(-int64(bytes))
	t.active, t.frozen, t.blocks, t.latest = newLayer(), nil, nil, nil
	t.index, t.policy, t.pinned, t.receipts = index.New(), nil, nil, &receipt.Set{}
	clear(t.pending)
	t.setTombstones(nil)
	for _, tap := range t.taps {
		close(tap.ended)
	}
	t.taps = nil
}

// nextManifest returns t's manifest, of the revision after the last. The caller
// holds flushing, so that nobody else changes it; but the deletion of t may.
func (t *tenant) nextManifest(epoch uint64) catalog.Manifest {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return catalog.Manifest{Revision: t.revision + 1, Epoch: epoch, FlushedTo: t.flushedTo, Blocks: t.blocks, Dropped: t.dropped}
}

// commitManifest makes t's manifest durable unless t was deleted.
func (db *DB) commitManifest(t *tenant, m catalog.Manifest) error {
	t.committing.Lock()
	defer t.committing.Unlock()
	t.mu.RLock()
	gone := t.gone
	t.mu.RUnlock()
	if gone {
		return errGone
	}
	return db.catalog.Commit(catalog.PutManifest(t.name, m))
}

// gravesOf returns the graves of p, all or those of a name.
func (db *DB) gravesOf(p *partition, name model.Tenant) []grave {
	a := db.appliers[int(p.id)%len(db.appliers)]
	a.mu.Lock()
	defer a.mu.Unlock()
	var of []grave
	for _, g := range p.graves {
		if name == "" || g.tenant == name {
			of = append(of, g)
		}
	}
	return of
}

// clearGrave removes what is stored of the deleted tenants of a name, or of p,
// and forgets them. The caller holds burying.
func (db *DB) clearGrave(p *partition, name model.Tenant) error {
	if db.options.ReadOnly {
		return nil
	}
	graves := db.gravesOf(p, name)
	if len(graves) == 0 {
		return nil
	}
	// A manifest must not name what is gone: the deletion is in the log, but
	// who looks at the folder as it is would take the blocks for lost.
	if err := db.catalog.Commit(); err != nil {
		return err
	}
	var errs []error
	for _, g := range graves {
		if err := db.removeDead(g); err != nil {
			errs = append(errs, fmt.Errorf("what is left of tenant %s: %w", g.tenant, err))
			continue
		}
		a := db.appliers[int(p.id)%len(db.appliers)]
		a.mu.Lock()
		p.graves = slices.DeleteFunc(slices.Clone(p.graves), func(o grave) bool { return o == g })
		a.mu.Unlock()
	}
	return errors.Join(errs...)
}

// clearGraves is clearGrave for all.
func (db *DB) clearGraves() error {
	db.burying.Lock()
	defer db.burying.Unlock()
	var errs []error
	for _, p := range db.partitions {
		if p.damaged == nil {
			errs = append(errs, db.clearGrave(p, ""))
		}
	}
	return errors.Join(errs...)
}

// removeDead removes the blocks and files of a deleted tenant, those set aside as
// damaged among them, the files unless these are a later tenant's of the name:
// that one is made only after this was done before.
func (db *DB) removeDead(g grave) error {
	prefix := disk.BlocksDir + "/" + string(g.tenant) + "/"
	names, err := db.blocks.List(prefix)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		b, ok := disk.ParseBlockName(name)
		return !ok || b.LastOffset >= g.offset
	})
	for _, name := range names {
		db.readers.forget(name)
	}
	if err := db.blocks.Delete(names...); err != nil {
		return err
	}
	if db.HasTenant(g.tenant) {
		return nil
	}
	if _, err := db.purgeFiles(g.tenant); err != nil {
		return err
	}
	return errors.Join(db.removeQuarantined(prefix), db.removeQuarantined(disk.UploadDir(g.tenant)+"/"))
}
