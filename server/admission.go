package server

import (
	"fmt"
	"sync"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// admission counts what is in progress, in all, by tenant and by address, and
// refuses what would be more than the limits. Who has nothing in progress takes
// no memory.
type admission struct {
	limits *Limits

	mu        sync.Mutex
	all       usage
	tenants   map[model.Tenant]*usage
	addresses map[string]int // requests without a token
}

// usage is what is in progress.
type usage struct {
	requests int   // that show a token
	open     int   // requests that show none
	streams  int   // live
	bytes    int64 // of requests' bodies
	answers  int64 // bytes of answers that wait in memory
}

func (u *usage) add(d usage) {
	u.requests += d.requests
	u.open += d.open
	u.streams += d.streams
	u.bytes += d.bytes
	u.answers += d.answers
}

func newAdmission(l *Limits) *admission {
	return &admission{limits: l, tenants: map[model.Tenant]*usage{}, addresses: map[string]int{}}
}

// enter adds d to what is in progress, or refuses it. The tenant is "" for an
// administrator, who counts in all alone.
func (a *admission) enter(t model.Tenant, d usage) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.limits
	switch {
	case d.requests > 0 && a.all.requests+d.requests > l.Requests:
		return refuse(policy.Requests, "too many requests are in progress")
	case d.streams > 0 && a.all.streams+d.streams > l.Streams:
		return refuse(policy.Streams, "too many live streams are open")
	case d.bytes > 0 && a.all.bytes+d.bytes > l.InFlightBytes:
		return refuse(policy.InFlightBytes, "too many bytes of requests are in progress")
	case d.answers > 0 && a.all.answers+d.answers > l.AnswerBytes:
		return refuse(policy.AnswerBytes, "too many bytes of answers wait for their clients")
	}
	if t != "" {
		if err := a.enterTenant(t, d); err != nil {
			return err
		}
	}
	a.all.add(d)
	return nil
}

func (a *admission) enterTenant(t model.Tenant, d usage) error {
	u, l := a.tenants[t], a.limits
	if u == nil {
		u = &usage{}
	}
	switch {
	case d.requests > 0 && u.requests+d.requests > l.TenantRequests:
		return refuse(policy.TenantRequests, "too many of the tenant's requests are in progress")
	case d.streams > 0 && u.streams+d.streams > l.TenantStreams:
		return refuse(policy.TenantStreams, "too many of the tenant's live streams are open")
	case d.bytes > 0 && u.bytes+d.bytes > l.TenantInFlightBytes:
		return refuse(policy.TenantInFlightBytes, "too many bytes of the tenant's requests are in progress")
	case d.answers > 0 && u.answers+d.answers > l.TenantAnswerBytes:
		return refuse(policy.TenantAnswerBytes, "too many bytes of the tenant's answers wait for their clients")
	}
	u.add(d)
	a.tenants[t] = u
	return nil
}

// leave takes back what enter added.
func (a *admission) leave(t model.Tenant, d usage) {
	back := usage{requests: -d.requests, streams: -d.streams, bytes: -d.bytes, answers: -d.answers}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all.add(back)
	if u := a.tenants[t]; u != nil {
		if u.add(back); *u == (usage{}) {
			delete(a.tenants, t)
		}
	}
}

// enterOpen adds a request that shows no token, or refuses it. They have a
// budget of their own, so that strangers keep nobody out who has a token.
func (a *admission) enterOpen(address string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.all.open >= a.limits.OpenRequests:
		return refuse(policy.OpenRequests, "too many requests without a token are in progress")
	case address != "" && a.addresses[address] >= a.limits.AddressOpenRequests:
		return refuse(policy.AddressOpenRequests, "too many requests without a token are in progress from this address")
	}
	a.all.open++
	if address != "" {
		a.addresses[address]++
	}
	return nil
}

// leaveOpen takes back what enterOpen added.
func (a *admission) leaveOpen(address string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all.open--
	if a.addresses[address]--; a.addresses[address] <= 0 {
		delete(a.addresses, address)
	}
}

// now returns what is in progress.
func (a *admission) now() usage {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all
}

// byTenant returns what is in progress: of each tenant that has something, and
// of all as tenant "".
func (a *admission) byTenant() map[model.Tenant]usage {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := map[model.Tenant]usage{"": a.all}
	for t, u := range a.tenants {
		all[t] = *u
	}
	return all
}

// refuse returns the refusal of a limit.
func refuse(l policy.Limit, detail string) error {
	p := newProblem(l.Code, detail)
	p.limit = l.Name
	return p
}

// freeAnswer is how large an answer is from which on it is charged: what a
// tenant's large answers take keeps no small one out.
const freeAnswer = 64 << 10

// charge counts the answer as so many bytes that wait in memory, in place of
// what it counted before. It is refused where that is more than the limits.
func (a *answer) charge(bytes int64) (err error) {
	l := a.admitted.limits
	switch most := min(l.TenantAnswerBytes, l.AnswerBytes); {
	case bytes > most:
		err = refuse(policy.Limit{Name: policy.TenantAnswerBytes.Name, Code: "too_many_channels"}, fmt.Sprintf(
			"the answer has about %d bytes, at most %d: ask for fewer channels, by a narrower selector", bytes, most))
	case bytes < freeAnswer:
		a.release()
	case bytes > a.charged:
		if err = a.admitted.enter(a.caller.Tenant, usage{answers: bytes - a.charged}); err == nil {
			a.charged = bytes
		}
	default:
		a.admitted.leave(a.caller.Tenant, usage{answers: a.charged - bytes})
		a.charged = bytes
	}
	if err != nil {
		a.limit = problemOf(err).limit
	}
	return err
}

// release takes back what charge counted.
func (a *answer) release() {
	if a.charged > 0 {
		a.admitted.leave(a.caller.Tenant, usage{answers: a.charged})
		a.charged = 0
	}
}
