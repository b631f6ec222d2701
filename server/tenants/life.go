package tenants

import (
	"math/bits"
	"time"
)

// State says how a tenant stands with its bytes.
type State string

// The states.
const (
	StateOK   State = "ok"
	StateLow  State = "low"  // less than a tenth was left, and not yet 12 % again
	StateOver State = "over" // more is charged than the quota allows
)

// OverQuota is what happens to a tenant that is still over its quota when its
// deadline has come.
type OverQuota string

// What may happen. The first is what happens where nothing is said.
const (
	DeleteOldest OverQuota = "delete_oldest_until_fit" // the oldest days go until the rest fits
	DeleteAll    OverQuota = "delete_all"              // all samples and files go
	FreezeWrites OverQuota = "freeze_writes_only"      // nothing goes, nothing more is taken
)

// DefaultCeiling is the share of the quota, in per cent, from which on writes
// are refused whatever else is agreed.
const DefaultCeiling = 110

// A warning is given when less than lowPercent of the quota is left, and can be
// given again once armPercent is.
const (
	lowPercent = 10
	armPercent = 12
)

// Agreement is what a Life is judged by.
type Agreement struct {
	Quota   uint64    // bytes; 0: none
	Over    OverQuota // "": DeleteOldest
	Ceiling uint64    // per cent of the quota; 0: DefaultCeiling
	Grace   time.Duration
}

// Life is how a tenant's bytes have come to stand: as much as must survive a
// restart. The zero value is a tenant that has all of its quota left.
type Life struct {
	State State `json:"state,omitempty"` // "": StateOK
	// Deadline is when something happens to a tenant that is over; zero while
	// it is not.
	Deadline time.Time `json:"deadline,omitzero"`
	// Deleting is set from the deadline on until what is left fits.
	Deleting *Deleting `json:"deleting,omitempty"`
	// Frozen is set from the deadline on where nothing is deleted.
	Frozen bool `json:"frozen,omitempty"`
}

// Deleting is a deletion in progress.
type Deleting struct {
	Since time.Time `json:"since"`
	Used  uint64    `json:"used"` // bytes, when it began
}

// Step returns how the tenant stands at now, when used bytes are charged, and
// the notices that go out because of it, in order. The same step taken twice
// gives the same notices: a step counts once its result is kept.
func (l Life) Step(a Agreement, used uint64, now time.Time) (Life, []Notice) {
	var notices []Notice
	notify := func(kind Kind, d Detail) {
		notices = append(notices, Notice{kind, d})
	}
	early := now.Before(l.Deadline) // also where the clock was wrong and has been set back
	if l.Deleting != nil && (used <= a.Quota || a.Quota == 0 || a.Over == FreezeWrites || early) {
		if used < l.Deleting.Used {
			notify(KindDeleted, Detail{Bytes: l.Deleting.Used - used, Used: used, Quota: a.Quota, Policy: a.over()})
		}
		l.Deleting = nil
	}
	if a.Quota == 0 {
		return Life{}, notices
	}
	if used <= a.Quota {
		left := a.Quota - used
		low := less(left, lowPercent, a.Quota)
		if low && (l.State == "" || l.State == StateOK) {
			notify(KindCapacityLow, Detail{Used: used, Quota: a.Quota})
		}
		was := l.State == StateLow || l.State == StateOver
		if low || was && less(left, armPercent, a.Quota) {
			return Life{State: StateLow}, notices
		}
		return Life{}, notices
	}
	if l.State != StateOver {
		l = Life{State: StateOver, Deadline: now.Add(a.Grace)}
		notify(KindOverQuota, Detail{Used: used, Quota: a.Quota, Deadline: l.Deadline, Policy: a.over()})
	}
	if now.Before(l.Deadline) {
		l.Frozen = false
		return l, notices
	}
	begins := !l.Frozen && l.Deleting == nil
	if a.Over == FreezeWrites {
		l.Frozen = true
	} else {
		l.Frozen = false
		if l.Deleting == nil {
			l.Deleting = &Deleting{Since: now, Used: used}
		}
	}
	if begins {
		notify(KindOverQuotaDeadline, Detail{Used: used, Quota: a.Quota, Deadline: l.Deadline, Policy: a.over()})
	}
	return l, notices
}

// Refuses reports whether a tenant that stands so may write nothing more.
func (l Life) Refuses(a Agreement, used uint64) bool {
	return a.Quota > 0 && (l.Frozen || !less(used, a.ceiling(), a.Quota))
}

// NextCheck returns how many bytes must be charged for Step to give something
// new, or for Refuses to: until then a tenant need not be looked at because of
// what it writes.
func (l Life) NextCheck(a Agreement, used uint64) uint64 {
	if a.Quota == 0 || l.Frozen {
		return ^uint64(0)
	}
	for _, percent := range []uint64{100 - lowPercent, 100} {
		if at := share(percent, a.Quota) + 1; used < at {
			return at
		}
	}
	at := share(a.ceiling(), a.Quota)
	if less(at, a.ceiling(), a.Quota) {
		at++ // the share is rounded down
	}
	if used < at {
		return at
	}
	return ^uint64(0)
}

func (a Agreement) over() OverQuota {
	if a.Over == "" {
		return DeleteOldest
	}
	return a.Over
}

func (a Agreement) ceiling() uint64 {
	if a.Ceiling == 0 {
		return DefaultCeiling
	}
	return a.Ceiling
}

// less reports whether part is strictly less than so many per cent of whole.
func less(part, percent, whole uint64) bool {
	high, low := bits.Mul64(part, 100)
	wholeHigh, wholeLow := bits.Mul64(whole, percent)
	return high < wholeHigh || high == wholeHigh && low < wholeLow
}

// share returns so many per cent of whole, rounded down, at most the largest
// number.
func share(percent, whole uint64) uint64 {
	high, low := bits.Mul64(whole, percent)
	if high >= 100 {
		return ^uint64(0)
	}
	result, _ := bits.Div64(high, low, 100)
	return result
}
