package server

import (
	"sync"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// admission counts what is in progress, in all and by tenant, and refuses what
// would be more than the limits. A tenant that has nothing in progress takes no
// memory.
type admission struct {
	limits *Limits

	mu      sync.Mutex
	all     usage
	tenants map[model.Tenant]*usage
}

// usage is what is in progress.
type usage struct {
	requests, streams int
	bytes             int64
}

func (u *usage) add(d usage) {
	u.requests += d.requests
	u.streams += d.streams
	u.bytes += d.bytes
}

func newAdmission(l *Limits) *admission {
	return &admission{limits: l, tenants: map[model.Tenant]*usage{}}
}

// enter adds d to what is in progress, or refuses it. The tenant is "" while it
// is not known.
func (a *admission) enter(t model.Tenant, d usage) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t == "" {
		if d.requests > 0 && a.all.requests+d.requests > a.limits.Requests {
			return refuse(policy.Requests, "too many requests are in progress")
		}
		a.all.add(d)
		return nil
	}
	u := a.tenants[t]
	if u == nil {
		u = &usage{}
	}
	l := a.limits
	switch {
	case d.requests > 0 && u.requests+d.requests > l.TenantRequests:
		return refuse(policy.TenantRequests, "too many of the tenant's requests are in progress")
	case d.streams > 0 && a.all.streams+d.streams > l.Streams:
		return refuse(policy.Streams, "too many live streams are open")
	case d.streams > 0 && u.streams+d.streams > l.TenantStreams:
		return refuse(policy.TenantStreams, "too many of the tenant's live streams are open")
	case d.bytes > 0 && a.all.bytes+d.bytes > l.InFlightBytes:
		return refuse(policy.InFlightBytes, "too many bytes of requests are in progress")
	case d.bytes > 0 && u.bytes+d.bytes > l.TenantInFlightBytes:
		return refuse(policy.TenantInFlightBytes, "too many bytes of the tenant's requests are in progress")
	}
	u.add(d)
	a.all.bytes += d.bytes
	a.all.streams += d.streams
	a.tenants[t] = u
	return nil
}

// leave takes back what enter added.
func (a *admission) leave(t model.Tenant, d usage) {
	back := usage{-d.requests, -d.streams, -d.bytes}
	a.mu.Lock()
	defer a.mu.Unlock()
	if t == "" {
		a.all.add(back)
		return
	}
	if u := a.tenants[t]; u != nil {
		if u.add(back); *u == (usage{}) {
			delete(a.tenants, t)
		}
	}
	a.all.bytes += back.bytes
	a.all.streams += back.streams
}

// now returns what is in progress.
func (a *admission) now() usage {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all
}

// refuse returns the refusal of a limit.
func refuse(l policy.Limit, detail string) error {
	p := newProblem(l.Code, detail)
	p.limit = l.Name
	return p
}
