package tenants

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
)

// Standing is how a tenant stands with its quota.
type Standing struct {
	Record Record
	Usage  engine.Usage
}

// Check looks how a tenant stands now: what follows holds at once and is told,
// but nothing is deleted because of it before the next sweep.
func (s *Store) Check(ctx context.Context, t model.Tenant) (Standing, error) {
	a := s.lock(t)
	if a == nil {
		u, err := s.db.Usage(ctx, t)
		return Standing{Record{Tenant: t}, u}, err
	}
	defer a.change.Unlock()
	u, err := s.check(ctx, a)
	return Standing{*a.record.Load(), u}, err
}

// Wrote counts samples that were written. The tenant is looked at where they
// may have changed how it stands.
func (s *Store) Wrote(ctx context.Context, t model.Tenant, samples int) error {
	a := s.account(t)
	if a == nil || a.guess.Add(rowBytes*uint64(samples)) < a.checkAt.Load() {
		return nil
	}
	if !a.change.TryLock() {
		return nil // somebody looks already
	}
	defer a.change.Unlock()
	if s.account(t) != a {
		return nil // it was deleted meanwhile
	}
	_, err := s.check(ctx, a)
	return err
}

// check takes the step of the tenant's life that is due. The caller holds
// change.
func (s *Store) check(ctx context.Context, a *account) (engine.Usage, error) {
	r := *a.record.Load()
	if r.Removing != nil {
		return engine.Usage{}, fmt.Errorf("%w %q", engine.ErrUnknownTenant, string(r.Tenant))
	}
	u, err := s.db.Usage(ctx, r.Tenant)
	if err != nil {
		return u, err
	}
	a.usage.Store(&u)
	agreed := r.Agreement(s.clocks)
	life, notices := r.Life.Step(agreed, u.Charged, s.now())
	if len(notices) > 0 || !reflect.DeepEqual(life, r.Life) {
		r.Life = life
		if err := s.save(context.WithoutCancel(ctx), a, r, notices); err != nil {
			return u, err
		}
	} else if err := s.tellEngine(a); err != nil {
		return u, err
	}
	a.guess.Store(u.Charged)
	a.checkAt.Store(life.NextCheck(agreed, u.Charged))
	return u, nil
}

// restFor is how long sweeps leave a tenant alone of which nothing is due. What
// is written or changed through the Store is looked at when it happens; what
// merging and retention do to what is charged waits.
const restFor = time.Hour

// Sweep does everything that is due: it ends what was interrupted, deletes
// tenants whose time is over, changes plans, deletes old files, and sees to
// those that are over their quotas; and it removes old notices. What fails for
// one tenant does not keep it from the others.
func (s *Store) Sweep(ctx context.Context) error {
	var errs []error
	for _, t := range s.restless(s.clock()) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.sweep(ctx, t); err != nil {
			errs = append(errs, fmt.Errorf("tenant %s: %w", t, err))
		}
	}
	if err := s.out.expire(ctx, s.db, s.clock()); err != nil {
		errs = append(errs, fmt.Errorf("outbox: %w", err))
	}
	return errors.Join(errs...)
}

// restless returns the tenants that a sweep at now looks at, in the order of
// their names.
func (s *Store) restless(now time.Time) (names []model.Tenant) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for t, a := range s.accounts {
		// More than an hour is left where the clock was set back.
		if left := a.restsUntil.Load() - now.UnixNano(); left <= 0 || left > int64(restFor) {
			names = append(names, t)
		}
	}
	slices.Sort(names)
	return names
}

// rest lets sweeps leave the account alone until something may be due.
func (a *account) rest(now time.Time, c Clocks) {
	r := a.record.Load()
	if r.Life.State == StateLow || r.Life.State == StateOver {
		return
	}
	until, ahead := now.Add(restFor), r.Schedule(c)
	for _, at := range []time.Time{ahead.Frozen, ahead.Delete, ahead.Change} {
		if at.After(now) && at.Before(until) {
			until = at
		}
	}
	a.restsUntil.Store(until.UnixNano())
}

func (s *Store) sweep(ctx context.Context, t model.Tenant) error {
	a := s.lock(t)
	if a == nil {
		return nil // it was deleted meanwhile
	}
	defer a.change.Unlock()
	r := *a.record.Load()
	if r.Removing != nil {
		_, err := s.remove(ctx, a, Deletion{})
		return err
	}
	if !s.db.HasTenant(t) {
		return fmt.Errorf("%w %q", engine.ErrUnknownTenant, string(t))
	}
	now, ahead := s.clock(), r.Schedule(s.clocks)
	if due(ahead.Delete, now) {
		_, err := s.remove(ctx, a, Deletion{Reason: ahead.Reason, CopiesBy: ahead.Copies})
		return err
	}
	if due(ahead.Change, now) {
		r.Plan, r.Ends, r.Ending, r.Quota = ahead.Plan, time.Time{}, "", Quota{}
		if err := s.save(ctx, a, r, nil); err != nil {
			return err
		}
	}
	if err := s.keepPlan(ctx, &r); err != nil {
		return err
	}
	soon, err := s.expireFiles(ctx, a)
	if err != nil {
		return err
	}
	if _, err := s.check(ctx, a); err != nil {
		return err
	}
	if err := s.fit(ctx, a); err != nil {
		return err
	}
	if !soon {
		a.rest(now, s.clocks)
	}
	return nil
}

// fit deletes what the tenant's policy says, where its deadline has come.
func (s *Store) fit(ctx context.Context, a *account) error {
	const rounds = 4 // what is written meanwhile may take another
	for range rounds {
		r := a.record.Load()
		if r.Life.Deleting == nil {
			return nil
		}
		var err error
		if r.OverQuota == DeleteAll {
			err = s.deleteUntil(ctx, r.Tenant, model.MaxTime)
		} else {
			err = s.deleteOldest(ctx, r)
		}
		if err != nil {
			return err
		}
		if _, err := s.check(ctx, a); err != nil {
			return err
		}
	}
	return nil // the next sweep goes on
}

// deleteOldest deletes the oldest days, of samples and of files alike, until
// the rest fits.
func (s *Store) deleteOldest(ctx context.Context, r *Record) error {
	used, quota := uint64(0), r.Limits().Bytes
	byDay := map[int64]uint64{}
	err := s.db.UsageDays(ctx, r.Tenant, func(d engine.DayUsage) error {
		byDay[d.Day] += d.Charged
		used += d.Charged
		return nil
	})
	if err != nil || used <= quota {
		return err
	}
	daysOfData := make([]int64, 0, len(byDay))
	for day := range byDay {
		daysOfData = append(daysOfData, day)
	}
	slices.Sort(daysOfData)
	for _, day := range daysOfData {
		used -= byDay[day]
		if used <= quota {
			return s.deleteUntil(ctx, r.Tenant, day+int64(24*time.Hour))
		}
	}
	return nil
}

// deleteUntil deletes the samples before a time, and the files that were put
// before it.
func (s *Store) deleteUntil(ctx context.Context, t model.Tenant, before int64) error {
	span := model.Span{From: model.MinTime, To: min(before, model.MaxTime)}
	if _, err := s.db.DeleteRows(ctx, t, nil, span); err != nil {
		return err
	}
	_, err := s.deleteFiles(ctx, t, before)
	return err
}

// deleteFiles deletes the files that were put before a time, and returns how
// many bytes they had.
func (s *Store) deleteFiles(ctx context.Context, t model.Tenant, before int64) (bytes uint64, err error) {
	files, err := s.db.ListFiles(ctx, t, "")
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		if f.Time >= before {
			continue
		}
		if err := s.db.DeleteFile(ctx, t, f.Name); err != nil && !errors.Is(err, engine.ErrNotFound) {
			return bytes, err
		}
		bytes += f.Size
	}
	return bytes, nil
}

// expireFiles deletes files that are older than the plan keeps, and reports
// whether more will be before the tenant is looked at again; samples expire by
// themselves.
func (s *Store) expireFiles(ctx context.Context, a *account) (soon bool, err error) {
	r := a.record.Load()
	rules := r.planRules()
	if len(rules) == 0 {
		return false, nil
	}
	now, keep := s.clock(), rules[0].Keep[model.StepRaw]
	bytes, err := s.deleteFiles(ctx, r.Tenant, keep.Floor(now.UnixNano()))
	if err != nil {
		return false, err
	}
	if bytes > 0 {
		if err := s.save(ctx, a, *r, []Notice{{KindDeleted, Detail{Bytes: bytes, Reason: ReasonRetention}}}); err != nil {
			return false, err
		}
	}
	left, err := s.db.ListFiles(ctx, r.Tenant, "")
	then := keep.Floor(now.Add(restFor).UnixNano())
	return slices.ContainsFunc(left, func(f engine.File) bool { return f.Time < then }), err
}
