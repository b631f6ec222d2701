package tenants

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"github.com/hokan-db/hokan/engine/model"
)

// RateError refuses samples that come faster than agreed.
type RateError struct {
	PerSecond int           // what is agreed
	After     time.Duration // when to try again
}

// Error implements error.
func (e *RateError) Error() string {
	return fmt.Sprintf("more than %d samples per second: try again in %v", e.PerSecond, e.After.Round(time.Millisecond))
}

// limiter holds a tenant to so many samples per second, on average. A request
// is let in as long as the requests before it are paid for, whatever its size:
// what it takes beyond a second's worth the ones after it wait for.
type limiter struct {
	bucket    *rate.Limiter
	perSecond int
}

func newLimiter(perSecond int) *limiter {
	if perSecond == 0 {
		return nil
	}
	return &limiter{rate.NewLimiter(rate.Limit(perSecond), perSecond), perSecond}
}

// owed says how long to wait until what was let in is paid for, nil if it is.
func (l *limiter) owed(now time.Time) error {
	if have := l.bucket.TokensAt(now); have < 1 {
		wait := time.Duration((1 - have) / float64(l.perSecond) * float64(time.Second))
		return &RateError{l.perSecond, wait}
	}
	return nil
}

// take takes room for n samples at now, or says how long to wait.
func (l *limiter) take(now time.Time, n int) error {
	if err := l.owed(now); err != nil {
		return err
	}
	for n > 0 { // a reservation has no more than the bucket holds
		part := min(n, l.perSecond)
		l.bucket.ReserveN(now, part)
		n -= part
	}
	return nil
}

// used is how many of a second's samples are taken at now; more than there are
// where a request was larger.
func (l *limiter) used(now time.Time) float64 {
	return float64(l.perSecond) - l.bucket.TokensAt(now)
}

// Owed refuses whatever samples come too fast, before anybody looks at them: a
// *RateError where those before are not paid for.
func (s *Store) Owed(t model.Tenant) error {
	if a := s.account(t); a != nil {
		if l := a.limiter.Load(); l != nil {
			return l.owed(s.clock())
		}
	}
	return nil
}

// Admit refuses samples that come too fast, a *RateError, and those that come
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
	if l := a.limiter.Load(); l != nil {
		return l.take(s.clock(), samples)
	}
	return nil
}
