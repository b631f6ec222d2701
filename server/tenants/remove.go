package tenants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/auth"
)

// Delete deletes a tenant because somebody asks for it: its tokens open nothing
// any more, nothing of it can be read, and what is kept is that it was so.
func (s *Store) Delete(ctx context.Context, t model.Tenant) (Deletion, error) {
	if a := s.account(t); !s.db.HasTenant(t) && (a == nil || a.record.Load().Removing == nil) {
		return Deletion{}, fmt.Errorf("%w %q", engine.ErrUnknownTenant, string(t))
	}
	a := s.hold(t)
	defer s.release(a)
	return s.remove(ctx, a, Deletion{Reason: ReasonRequest})
}

// remove deletes a tenant. That it is being deleted is written down first, so
// that a deletion which is interrupted is gone on with. The caller holds
// change.
func (s *Store) remove(ctx context.Context, a *account, d Deletion) (Deletion, error) {
	ctx = context.WithoutCancel(ctx) // half of it would help nobody
	r := *a.record.Load()
	if r.Removing == nil {
		u, err := s.db.Usage(ctx, r.Tenant)
		if err != nil && !errors.Is(err, engine.ErrCorrupt) { // what is damaged goes too
			return Deletion{}, err
		}
		d.Tenant, d.At, d.Bytes, d.Channels = r.Tenant, s.now(), u.Charged, u.Channels
		if d.CopiesBy.Before(d.At) {
			d.CopiesBy = d.At
		}
		r.Removing = &d
		if err := s.save(ctx, a, r, nil); err != nil {
			return Deletion{}, err
		}
	}
	d = *r.Removing
	if err := s.revokeAll(ctx, r.Tenant); err != nil {
		return Deletion{}, err
	}
	if _, err := s.db.DeleteTenant(ctx, r.Tenant); err != nil && !errors.Is(err, engine.ErrUnknownTenant) {
		return Deletion{}, err
	}
	value, err := json.Marshal(d)
	if err != nil {
		return Deletion{}, err
	}
	changes := []engine.RecordChange{
		{Key: recordPrefix + string(r.Tenant)},
		{Key: fmt.Sprintf("%s%s/%020d", deletedPrefix, r.Tenant, d.At.UnixNano()), Value: value},
	}
	notice := Notice{KindTenantDeleted, Detail{Bytes: d.Bytes, Channels: d.Channels, Reason: d.Reason, CopiesBy: d.CopiesBy}}
	if err := s.out.commit(ctx, s.db, changes, r.Tenant, d.At, []Notice{notice}); err != nil {
		return Deletion{}, err
	}
	s.forget(a)
	return d, nil
}

// revokeAll revokes a tenant's tokens.
func (s *Store) revokeAll(ctx context.Context, t model.Tenant) error {
	for _, token := range s.tokens.List() {
		if token.Tenant != t {
			continue
		}
		if err := s.tokens.Revoke(ctx, token.ID); err != nil && !errors.Is(err, auth.ErrUnknown) {
			return err
		}
	}
	return nil
}

// Deletions returns what is kept of the deletions of tenants of that name, in
// the order of their times.
func (s *Store) Deletions(t model.Tenant) (all []Deletion, err error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	err = s.db.Records(deletedPrefix+string(t)+"/", func(key string, value []byte) error {
		var d Deletion
		if err := json.Unmarshal(value, &d); err != nil {
			return fmt.Errorf("%w: record %s: %w", engine.ErrCorrupt, key, err)
		}
		all = append(all, d)
		return nil
	})
	return all, err
}

// SweepEvery is how often a server looks at every tenant of which something is
// recorded.
const SweepEvery = time.Minute

// ErrClockJumped keeps a sweep from deleting anything: see clockWatch.
var ErrClockJumped = errors.New("the clock was put forward: nothing that is due is deleted before it has stayed so for an hour")

// Run sweeps at once and then every so often, until ctx ends. What fails is
// told to report and tried again.
func (s *Store) Run(ctx context.Context, every time.Duration, report func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var watch clockWatch
	begun := time.Now()
	for {
		err := ErrClockJumped
		if watch.trusts(s.clock(), time.Since(begun)) {
			err = s.Sweep(ctx)
		}
		if err != nil && ctx.Err() == nil {
			report(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
