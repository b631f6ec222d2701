package tenants

import (
	"fmt"
	"time"
)

// Ending is what happens to a tenant whose contract has ended.
type Ending string

// The endings.
const (
	EndingKeep   Ending = "keep"           // nothing, until somebody asks; what holds where nothing is said
	EndingFree   Ending = "free"           // the plan becomes free at that instant; nothing is deleted because of it
	EndingAtOnce Ending = "at_end"         // everything is deleted at the end
	Ending30     Ending = "within_30_days" // everything within 30 days, copies 14 days later
	Ending60     Ending = "after_60_days"  // everything after 60 days
)

// Clocks is every clock at whose end something is deleted, in days of 24 hours:
// the zone is UTC. The clock of a datum itself, such as a year of a plan, is
// kept by retention: the engine returns nothing that has expired.
type Clocks struct {
	OverQuota int               // from the notice that a tenant is over its quota
	Trial     int               // from a trial's creation; then nobody gets in and all goes
	Contract  map[Ending]Term   // from the end of a contract
	Plans     map[Ending]string // what a contract goes on as, where it does
}

// Term is how long after a contract's end something is deleted.
type Term struct {
	Data   int // days until all data is gone
	Copies int // further days until copies are gone
}

// DefaultClocks are the clocks of the service.
func DefaultClocks() Clocks {
	return Clocks{
		OverQuota: 31,
		Trial:     93,
		Contract:  map[Ending]Term{EndingAtOnce: {0, 0}, Ending30: {30, 14}, Ending60: {60, 0}},
		Plans:     map[Ending]string{EndingFree: PlanFree},
	}
}

// Grace is how long a tenant may stay over its quota.
func (c Clocks) Grace() time.Duration { return days(c.OverQuota) }

// Schedule is what lies ahead of a tenant. Zero times are never.
type Schedule struct {
	Closes time.Time // from then on no token opens it
	Frozen time.Time // from then on nothing can be written
	Delete time.Time // when it is deleted
	Copies time.Time // when the last copy is gone
	Reason Reason    // of the deletion
	Change time.Time // when its plan changes
	Plan   string    // into what
}

// Schedule returns what lies ahead of a tenant that was made at created and
// whose contract ends at ends, if that is not zero. Where a trial and a
// contract both end, the first deletion counts.
func (c Clocks) Schedule(plan string, created, ends time.Time, ending Ending) Schedule {
	var s Schedule
	if plan == PlanTrial && !created.IsZero() {
		at := created.Add(days(c.Trial))
		s.Closes, s.Delete, s.Copies, s.Reason = at, at, at, ReasonTrial
	}
	if ends.IsZero() {
		return s
	}
	if to, changes := c.Plans[ending]; changes {
		if s.Delete.IsZero() || ends.Before(s.Delete) {
			return Schedule{Change: ends, Plan: to} // it is no trial any more by then
		}
		return s
	}
	term, deletes := c.Contract[ending]
	if !deletes {
		return s
	}
	s.Frozen = ends
	at := ends.Add(days(term.Data))
	if s.Delete.IsZero() || at.Before(s.Delete) {
		s.Delete, s.Copies, s.Reason = at, at.Add(days(term.Copies)), ReasonContract
		if s.Closes.IsZero() || at.Before(s.Closes) {
			s.Closes = at
		}
	}
	return s
}

// due reports whether a time of a Schedule has come.
func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

// checkEnding refuses an ending that is none; "" is EndingKeep.
func (c Clocks) checkEnding(e Ending) error {
	_, deletes := c.Contract[e]
	_, changes := c.Plans[e]
	if e == "" || e == EndingKeep || deletes || changes {
		return nil
	}
	return fmt.Errorf("%w: ending %.40q is none of keep, free, at_end, within_30_days, after_60_days", ErrInvalid, string(e))
}
