package tenants

import (
	"context"

	"github.com/hokan-db/hokan/engine/model"
)

// Owed refuses whatever samples come too fast, before anybody looks at them: a
// *rate.Error where those before are not paid for.
func (s *Store) Owed(t model.Tenant) error {
	if a := s.account(t); a != nil {
		return a.limiter.Load().Owed(s.clock())
	}
	return nil
}

// Admit refuses samples that come too fast, a *rate.Error, and those that come
// after the contract's end, ErrClosed, of which the engine is told by a sweep. Before the first ones
// since the database was opened it looks how the tenant stands, which the engine
// does not know yet.
func (s *Store) Admit(ctx context.Context, t model.Tenant, samples int) error {
	a := s.account(t)
	if a == nil {
		return nil
	}
	if s.clock().UnixNano() >= a.freezes.Load() {
		return errEnded
	}
	if a.usage.Load() == nil && a.record.Load().Limits().Bytes > 0 {
		if _, err := s.Check(ctx, t); err != nil {
			return err
		}
	}
	l, now := a.limiter.Load(), s.clock()
	if err := l.Owed(now); err != nil {
		return err
	}
	l.Take(now, samples)
	return nil
}
