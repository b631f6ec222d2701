package tenants

import (
	"errors"
	"fmt"
)

// ErrInvalid refuses what nobody can agree on.
var ErrInvalid = errors.New("invalid")

// Quota is what a tenant may use. What is nil is not said: then the plan says
// it; 0 is no limit.
type Quota struct {
	Bytes                 *uint64 `json:"bytes,omitempty" doc:"Bytes that are charged: samples as they were first compacted, and files; 0 is no limit; left out: the plan's"`
	Channels              *uint64 `json:"channels,omitempty" doc:"Channels in all"`
	ChannelsPerInstrument *uint64 `json:"channels_per_instrument,omitempty" doc:"Channels of one instrument"`
	SamplesPerSecond      *uint64 `json:"samples_per_second,omitempty" doc:"Samples written per second, on average"`
}

// The plans that code knows by name.
const (
	PlanTrial = "trial"
	PlanFree  = "free"
)

// Plan is what comes with a plan's name. Bytes are decimal: a gigabyte is 10⁹.
type Plan struct {
	Name  string
	Quota Quota
	Keep  string // how long raw samples and files are kept, as in a rule; "": for ever
}

// Plans returns the plans, the smallest first.
func Plans() []Plan {
	const megabyte, gigabyte = 1_000_000, 1_000_000_000
	plan := func(name string, bytes, perInstrument uint64, keep string) Plan {
		return Plan{name, Quota{Bytes: &bytes, ChannelsPerInstrument: &perInstrument}, keep}
	}
	return []Plan{
		plan(PlanTrial, 500*megabyte, 10, ""),
		plan(PlanFree, 5*gigabyte, 30, "1y"),
		plan("standard", 50*gigabyte, 30, ""),
		plan("pro", 500*gigabyte, 100, ""),
	}
}

// planOf returns the plan of that name; "" is one without any limit.
func planOf(name string) (Plan, error) {
	if name == "" {
		return Plan{}, nil
	}
	for _, p := range Plans() {
		if p.Name == name {
			return p, nil
		}
	}
	return Plan{}, fmt.Errorf("%w: plan %.40q is none of trial, free, standard, pro", ErrInvalid, name)
}

// over returns q with what it does not say taken from the plan's.
func (q Quota) over(plan Quota) Quota {
	take := func(own, plans *uint64) *uint64 {
		if own == nil {
			return plans
		}
		return own
	}
	return Quota{
		take(q.Bytes, plan.Bytes), take(q.Channels, plan.Channels),
		take(q.ChannelsPerInstrument, plan.ChannelsPerInstrument), take(q.SamplesPerSecond, plan.SamplesPerSecond),
	}
}

// number returns a limit, 0 for none.
func number(limit *uint64) uint64 {
	if limit == nil {
		return 0
	}
	return *limit
}
