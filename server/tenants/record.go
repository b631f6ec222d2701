package tenants

import (
	"fmt"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// Terms are what is agreed with a tenant. The zero value is everything, for
// ever.
type Terms struct {
	Plan      string    `json:"plan,omitempty"`
	Quota     Quota     `json:"quota"`
	OverQuota OverQuota `json:"over_quota,omitempty"` // "": DeleteOldest
	// Ceiling is the share of the bytes, in per cent, from which on nothing
	// more is taken; 0: DefaultCeiling.
	Ceiling uint64    `json:"ceiling_percent,omitempty"`
	Ends    time.Time `json:"ends,omitzero"`    // of the contract; zero: it does not end
	Ending  Ending    `json:"ending,omitempty"` // what happens then; "": EndingKeep
}

// limits of what terms may say, so that no arithmetic meets its end.
const (
	mostBytes    = 1 << 60
	mostChannels = 1 << 31
	mostCeiling  = 1000
)

// check refuses terms that nobody can agree on.
func (t *Terms) check(c Clocks) error {
	plan, err := planOf(t.Plan)
	if err != nil {
		return err
	}
	switch t.OverQuota {
	case "", DeleteOldest, DeleteAll, FreezeWrites:
	default:
		return fmt.Errorf("%w: over_quota %.40q is none of %s, %s, %s", ErrInvalid, string(t.OverQuota), DeleteOldest, DeleteAll, FreezeWrites)
	}
	if t.Ceiling != 0 && (t.Ceiling < 100 || t.Ceiling > mostCeiling) {
		return fmt.Errorf("%w: ceiling_percent %d is not between 100 and %d", ErrInvalid, t.Ceiling, mostCeiling)
	}
	if number(t.Quota.over(plan.Quota).Bytes) > mostBytes {
		return fmt.Errorf("%w: a quota of %d bytes, at most %d", ErrInvalid, *t.Quota.Bytes, uint64(mostBytes))
	}
	for _, count := range []*uint64{t.Quota.Channels, t.Quota.ChannelsPerInstrument, t.Quota.SamplesPerSecond} {
		if number(count) > mostChannels {
			return fmt.Errorf("%w: a quota of %d, at most %d", ErrInvalid, *count, uint64(mostChannels))
		}
	}
	if t.Ending != "" && t.Ending != EndingKeep && t.Ends.IsZero() {
		return fmt.Errorf("%w: ending %s needs ends, when the contract ends", ErrInvalid, t.Ending)
	}
	return c.checkEnding(t.Ending)
}

// Limits returns what holds: what is said, else what the plan says.
func (t *Terms) Limits() policy.Quota {
	plan, _ := planOf(t.Plan) // it was checked
	q := t.Quota.over(plan.Quota)
	return policy.Quota{
		Bytes: number(q.Bytes), Channels: int(number(q.Channels)),
		ChannelsPerInstrument: int(number(q.ChannelsPerInstrument)), SamplesPerSecond: int(number(q.SamplesPerSecond)),
	}
}

// Record is a tenant as it is kept.
type Record struct {
	Tenant  model.Tenant `json:"tenant"`
	Created time.Time    `json:"created,omitzero"` // zero: before records were kept
	Terms
	Life Life `json:"life,omitzero"`
	// Removing is set while the tenant is being deleted.
	Removing *Deletion `json:"removing,omitempty"`
}

// Deletion says what became of a tenant. It is kept for ever.
type Deletion struct {
	Tenant   model.Tenant `json:"tenant"`
	At       time.Time    `json:"at"`
	Reason   Reason       `json:"reason"`
	Bytes    uint64       `json:"bytes"` // that were charged
	Channels int          `json:"channels"`
	// CopiesBy is when the last copy is gone.
	CopiesBy time.Time `json:"copies_by"`
}

// Agreement is what the record's Life is judged by.
func (r *Record) Agreement(c Clocks) Agreement {
	return Agreement{Quota: r.Limits().Bytes, Over: r.OverQuota, Ceiling: r.Ceiling, Grace: c.Grace()}
}

// Schedule is what lies ahead of the tenant.
func (r *Record) Schedule(c Clocks) Schedule {
	return c.Schedule(r.Plan, r.Created, r.Ends, r.Ending)
}

// planRules are the retention rules that come with the plan.
func (r *Record) planRules() policy.Rules {
	plan, _ := planOf(r.Plan)
	if plan.Keep == "" {
		return nil
	}
	keep, err := policy.ParseKeep(plan.Keep)
	if err != nil {
		return nil // Plans is tested
	}
	rule := policy.Rule{Scope: policy.ScopePlan}
	rule.Keep[model.StepRaw] = &keep
	return policy.Rules{rule}
}
