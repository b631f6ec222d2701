// Package rate holds who writes to so many samples per second, on average: a
// tenant, a token.
package rate

import (
	"fmt"
	"time"

	bucket "golang.org/x/time/rate"
)

// Most is the highest rate that can be agreed.
const Most = 1 << 31

// Holder is who is held to a rate.
type Holder string

// The holders.
const (
	Tenant Holder = "tenant"
	Token  Holder = "token"
)

// Error refuses samples that come faster than agreed.
type Error struct {
	Holder    Holder        // whose rate it is
	PerSecond int           // what is agreed
	After     time.Duration // when to try again
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("more than the %s's %d samples per second: try again in %v", e.Holder, e.PerSecond, e.After.Round(time.Millisecond))
}

// Limiter holds somebody to so many samples per second, on average. A request
// is let in as long as the requests before it are paid for, whatever its size:
// what it takes beyond a second's worth the ones after it wait for. nil is no
// limit. It is safe for concurrent use.
type Limiter struct {
	bucket    *bucket.Limiter
	holder    Holder
	perSecond int
}

// New returns a limiter of whom nothing is owed yet; nil where perSecond is 0.
func New(of Holder, perSecond int) *Limiter {
	if perSecond == 0 {
		return nil
	}
	return &Limiter{bucket.NewLimiter(bucket.Limit(perSecond), perSecond), of, perSecond}
}

// PerSecond is what is agreed.
func (l *Limiter) PerSecond() int { return l.perSecond }

// Owed says how long to wait until what was let in is paid for, an *Error; nil
// if it is.
func (l *Limiter) Owed(now time.Time) error {
	if l == nil {
		return nil
	}
	if have := l.bucket.TokensAt(now); have < 1 {
		wait := time.Duration((1 - have) / float64(l.perSecond) * float64(time.Second))
		return &Error{l.holder, l.perSecond, wait}
	}
	return nil
}

// Take lets n samples in at now, whether those before are paid for or not.
func (l *Limiter) Take(now time.Time, n int) {
	if l == nil {
		return
	}
	for n > 0 { // a reservation has no more than the bucket holds
		part := min(n, l.perSecond)
		l.bucket.ReserveN(now, part)
		n -= part
	}
}

// Used is how many of a second's samples are taken at now; more than there are
// where a request was larger.
func (l *Limiter) Used(now time.Time) float64 {
	return float64(l.perSecond) - l.bucket.TokensAt(now)
}
