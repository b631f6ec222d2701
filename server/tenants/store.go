package tenants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/server/auth"
	"github.com/hokan-db/hokan/server/rate"
)

// ErrClosed refuses a tenant whose time is over.
var ErrClosed = errors.New("the tenant's time is over")

// errEnded refuses what is written after a contract's end.
var errEnded = fmt.Errorf("%w: its contract has ended", ErrClosed)

// recordPrefix begins the keys of records: the tenant's name follows.
const recordPrefix = "tenant/"

// deletedPrefix begins the keys of what is kept of deleted tenants: name, '/',
// and the time in nanoseconds follow.
const deletedPrefix = "deleted/"

// Store is the records of one database, and what follows from them. It is safe
// for concurrent use.
type Store struct {
	db     *engine.DB
	clock  model.Clock
	tokens *auth.Store
	clocks Clocks
	out    outbox

	mu       sync.RWMutex
	accounts map[model.Tenant]*account
}

// account is a tenant of which something is recorded.
type account struct {
	// change is held while the record is changed, and while what follows from
	// it is done.
	change  sync.Mutex
	record  atomic.Pointer[Record] // replaced whole, never changed in place
	usage   atomic.Pointer[engine.Usage]
	limiter atomic.Pointer[rate.Limiter] // nil: no limit
	fullest atomic.Pointer[fullest]      // as counted last
	closes  atomic.Int64                 // when no token opens it any more, in nanoseconds since the epoch
	freezes atomic.Int64                 // when nothing can be written any more, the same

	restsUntil atomic.Int64 // sweeps leave it alone until then, in nanoseconds since the epoch

	// The tenant is looked at when guess, about what is charged, comes to
	// checkAt.
	guess, checkAt atomic.Uint64
}

// rowBytes is what a row is charged before it is compacted.
const rowBytes = 2

// Open reads the records of db and tells it the quotas. A deletion that was
// interrupted is gone on with by Sweep.
func Open(db *engine.DB, clock model.Clock, tokens *auth.Store) (*Store, error) {
	s := &Store{db: db, clock: clock, tokens: tokens, clocks: DefaultClocks(), accounts: map[model.Tenant]*account{}}
	err := db.Records(recordPrefix, func(key string, value []byte) error {
		var r Record
		if err := json.Unmarshal(value, &r); err != nil || recordPrefix+string(r.Tenant) != key {
			return fmt.Errorf("%w: record %s holds no tenant", engine.ErrCorrupt, key)
		}
		a := &account{}
		a.take(&r, s.clocks)
		s.accounts[r.Tenant] = a
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, a := range s.accounts {
		if err := s.tellEngine(a); err != nil {
			return nil, err
		}
	}
	return s, s.out.open(db)
}

// Tokens returns the tokens of the database.
func (s *Store) Tokens() *auth.Store { return s.tokens }

// take makes r the account's record.
func (a *account) take(r *Record, c Clocks) {
	before := a.record.Swap(r)
	limits := r.Limits()
	if before == nil || before.Limits().SamplesPerSecond != limits.SamplesPerSecond {
		a.limiter.Store(rate.New(rate.Tenant, limits.SamplesPerSecond))
	}
	ahead := r.Schedule(c)
	instant := func(at time.Time) int64 {
		if at.IsZero() {
			return math.MaxInt64 // never
		}
		return at.UnixNano()
	}
	a.freezes.Store(instant(ahead.Frozen))
	closes := instant(ahead.Closes)
	if r.Removing != nil {
		closes = math.MinInt64 // its tokens may be revoked in part
	}
	a.closes.Store(closes)
	a.checkAt.Store(0) // look again
	a.restsUntil.Store(0)
}

// tellEngine hands the limits to the engine, which keeps them in memory alone.
func (s *Store) tellEngine(a *account) error {
	r := a.record.Load()
	err := s.db.SetQuota(r.Tenant, r.Limits())
	if err == nil {
		err = s.db.SetWriteBlock(r.Tenant, s.writeBlock(r, a.usage.Load()))
	}
	if errors.Is(err, engine.ErrUnknownTenant) || errors.Is(err, engine.ErrCorrupt) {
		return nil // it is being deleted, or its partition is damaged
	}
	return err
}

// writeBlock returns why a tenant may write nothing, nil if it may.
func (s *Store) writeBlock(r *Record, u *engine.Usage) error {
	used := uint64(0)
	if u != nil {
		used = u.Charged
	}
	agreed := r.Agreement(s.clocks)
	switch {
	case r.Removing != nil:
		return fmt.Errorf("%w: it is being deleted", ErrClosed)
	case due(r.Schedule(s.clocks).Frozen, s.clock()):
		return errEnded
	case r.Life.Frozen:
		return fmt.Errorf("%w: nothing is taken until the tenant has no more than its %d bytes", engine.ErrOverQuota, agreed.Quota)
	case r.Life.Refuses(agreed, used):
		return fmt.Errorf("%w: %d bytes are charged, the quota is %d: delete something, or have it raised", engine.ErrOverQuota, used, agreed.Quota)
	}
	return nil
}

// account returns what is known of a tenant, nil if nothing is.
func (s *Store) account(t model.Tenant) *account {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.accounts[t]
}

// lock returns the account of a tenant with change held, nil if nothing is
// known of the tenant.
func (s *Store) lock(t model.Tenant) *account {
	for {
		a := s.account(t)
		if a == nil {
			return nil
		}
		a.change.Lock()
		if s.account(t) == a {
			return a
		}
		a.change.Unlock() // it was forgotten while we waited
	}
}

// hold is lock that makes the account where it is missing. release ends it.
func (s *Store) hold(t model.Tenant) *account {
	for {
		if a := s.lock(t); a != nil {
			return a
		}
		s.mu.Lock()
		if s.accounts[t] == nil {
			a := &account{}
			a.take(&Record{Tenant: t}, s.clocks)
			s.accounts[t] = a
		}
		s.mu.Unlock()
	}
}

// release ends hold. An account of which nothing came to be recorded is
// forgotten.
func (s *Store) release(a *account) {
	if r := a.record.Load(); reflect.DeepEqual(*r, Record{Tenant: r.Tenant}) {
		s.forget(a)
	}
	a.change.Unlock()
}

// forget drops an account. The caller holds change.
func (s *Store) forget(a *account) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := a.record.Load().Tenant; s.accounts[t] == a {
		delete(s.accounts, t)
	}
}

// CreateToken makes a token, and its tenant where that is missing. A tenant
// that is being deleted gets none: it would go with the tenant, or open the
// next one of that name.
func (s *Store) CreateToken(ctx context.Context, t auth.Token) (secret string, made auth.Token, err error) {
	if !t.Admin {
		a := s.hold(t.Tenant)
		defer s.release(a)
		if a.record.Load().Removing != nil {
			return "", auth.Token{}, fmt.Errorf("%w: it is being deleted", ErrClosed)
		}
	}
	return s.tokens.Create(ctx, t)
}

// Get returns a tenant's record; of one of which nothing is recorded, that it
// has no limits.
func (s *Store) Get(t model.Tenant) (Record, error) {
	if !s.db.HasTenant(t) {
		return Record{}, fmt.Errorf("%w %q", engine.ErrUnknownTenant, string(t))
	}
	if a := s.account(t); a != nil {
		return *a.record.Load(), nil
	}
	return Record{Tenant: t}, nil
}

// All returns every record, in the order of the tenants' names.
func (s *Store) All() []Record {
	s.mu.RLock()
	accounts := slices.Collect(maps.Values(s.accounts))
	s.mu.RUnlock()
	all := make([]Record, len(accounts))
	for i, a := range accounts {
		all[i] = *a.record.Load()
	}
	slices.SortFunc(all, func(a, b Record) int {
		switch {
		case a.Tenant < b.Tenant:
			return -1
		case a.Tenant > b.Tenant:
			return 1
		}
		return 0
	})
	return all
}

// Put agrees on terms with a tenant, in place of those before, and makes the
// tenant where it is missing. They hold at once.
func (s *Store) Put(ctx context.Context, t model.Tenant, terms Terms) (Record, error) {
	if err := t.Validate(); err != nil {
		return Record{}, err
	}
	if err := terms.check(s.clocks); err != nil {
		return Record{}, err
	}
	a := s.hold(t)
	defer s.release(a)
	r := *a.record.Load()
	if r.Removing != nil {
		return Record{}, fmt.Errorf("%w: it is being deleted", ErrClosed)
	}
	if r.Created.IsZero() {
		r.Created = s.now()
	}
	trial := r.Plan == PlanTrial
	terms.Ends = terms.Ends.UTC()
	r.Terms = terms
	if ahead := r.Schedule(s.clocks); !trial && ahead.Reason == ReasonTrial && due(ahead.Delete, s.clock()) {
		return Record{}, fmt.Errorf("%w: the tenant was made on %s: a trial of it would be over, and all that it has be deleted",
			ErrInvalid, r.Created.Format(time.DateOnly))
	}
	if !s.db.HasTenant(t) {
		if err := s.db.CreateTenant(ctx, t); err != nil {
			return Record{}, err
		}
	}
	if err := s.save(ctx, a, r, nil); err != nil {
		return Record{}, err
	}
	err := s.keepPlan(ctx, &r)
	if err == nil {
		_, err = s.check(ctx, a)
	}
	return *a.record.Load(), err
}

// now is the clock's time, as it is written down.
func (s *Store) now() time.Time { return s.clock().UTC().Truncate(time.Millisecond) }

// save makes a record and notices durable, and lets them hold. The caller
// holds change.
func (s *Store) save(ctx context.Context, a *account, r Record, notices []Notice) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	change := []engine.RecordChange{{Key: recordPrefix + string(r.Tenant), Value: value}}
	if err := s.out.commit(ctx, s.db, change, r.Tenant, s.now(), notices); err != nil {
		return err
	}
	a.take(&r, s.clocks)
	return s.tellEngine(a)
}

// keepPlan lets the plan's retention hold beside the tenant's own rules.
func (s *Store) keepPlan(ctx context.Context, r *Record) error {
	rules, err := s.db.Retention(r.Tenant)
	if err != nil {
		return err
	}
	wanted := append(r.planRules(), ownRules(rules)...)
	if wanted.Equal(rules) {
		return nil
	}
	return s.db.SetRetention(ctx, r.Tenant, wanted)
}

// ownRules returns the rules that are not the plan's.
func ownRules(rules policy.Rules) policy.Rules {
	return slices.DeleteFunc(slices.Clone(rules), func(r policy.Rule) bool { return r.Scope == policy.ScopePlan })
}

// Rules returns a tenant's own retention rules.
func (s *Store) Rules(t model.Tenant) (policy.Rules, error) {
	rules, err := s.db.Retention(t)
	return ownRules(rules), err
}

// SetRules puts rules in place of the tenant's own. Those of the plan stay; the
// tenant itself, other than an administrator, may not keep longer than they do,
// except by a rule that stands already.
func (s *Store) SetRules(ctx context.Context, t model.Tenant, rules policy.Rules, administrator bool) error {
	if !s.db.HasTenant(t) {
		return fmt.Errorf("%w %q", engine.ErrUnknownTenant, string(t))
	}
	a := s.hold(t) // so that no plan changes meanwhile
	defer s.release(a)
	r := a.record.Load()
	plan := r.planRules()
	stand, err := s.db.Retention(t)
	if err != nil {
		return err
	}
	now := s.clock().UnixNano()
	for i := range rules {
		if rules[i].Scope == policy.ScopePlan {
			return fmt.Errorf("%w: rule %d: what a plan keeps is not set here", ErrInvalid, i+1)
		}
		same := func(r policy.Rule) bool { return r.Scope == rules[i].Scope && r.Match == rules[i].Match }
		if first := slices.IndexFunc(rules, same); first < i {
			return fmt.Errorf("%w: rule %d has the scope and the match of rule %d: one of them is enough", ErrInvalid, i+1, first+1)
		}
		stands := slices.ContainsFunc(stand, func(r policy.Rule) bool { return policy.Rules{r}.Equal(rules[i : i+1]) })
		if administrator || stands || len(plan) == 0 {
			continue
		}
		most := plan[0].Keep[model.StepRaw]
		for _, keep := range rules[i].Keep {
			if keep != nil && keep.Floor(now) < most.Floor(now) {
				return fmt.Errorf("%w: rule %d: %s is longer than the plan %s keeps, %s", ErrInvalid, i+1, keep, r.Plan, most)
			}
		}
	}
	return s.db.SetRetention(ctx, t, append(plan, rules...))
}

// Admits reports whether tokens open a tenant: ErrClosed from the instant on at
// which its time is over.
func (s *Store) Admits(t model.Tenant) error {
	if a := s.account(t); a != nil && s.clock().UnixNano() >= a.closes.Load() {
		return ErrClosed
	}
	return nil
}
