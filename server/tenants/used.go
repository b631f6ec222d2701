package tenants

import (
	"context"

	"github.com/hokan-db/hokan/engine/model"
)

// Used is how much a tenant uses of one of its quotas.
type Used struct {
	Tenant model.Tenant
	Quota  string // as in a Quota's JSON
	Used   float64
	Limit  uint64
}

// fullest is how many channels the instrument has that has most of a tenant's.
type fullest struct{ channels, most int }

// Quotas visits every quota that is set, with what is used of it now. A tenant
// that cannot be asked is left out.
func (s *Store) Quotas(ctx context.Context, visit func(Used)) {
	for _, r := range s.All() {
		a, limits := s.account(r.Tenant), r.Limits()
		if a == nil {
			continue
		}
		if l := a.limiter.Load(); l != nil {
			visit(Used{r.Tenant, "samples_per_second", l.Used(s.clock()), uint64(l.PerSecond())})
		}
		if limits.Bytes == 0 && limits.Channels == 0 && limits.ChannelsPerInstrument == 0 {
			continue
		}
		u, err := s.db.Usage(ctx, r.Tenant)
		if err != nil {
			continue
		}
		if limits.Bytes > 0 {
			visit(Used{r.Tenant, "bytes", float64(u.Charged), limits.Bytes})
		}
		if limits.Channels > 0 {
			visit(Used{r.Tenant, "channels", float64(u.Channels), uint64(limits.Channels)})
		}
		if limits.ChannelsPerInstrument > 0 {
			most, err := s.fullest(ctx, a, r.Tenant, u.Channels)
			if err == nil {
				visit(Used{r.Tenant, "channels_per_instrument", float64(most), uint64(limits.ChannelsPerInstrument)})
			}
		}
	}
}

// fullest returns how many channels the instrument has that has most, counted
// when the tenant's number of channels has changed.
func (s *Store) fullest(ctx context.Context, a *account, t model.Tenant, channels int) (int, error) {
	if known := a.fullest.Load(); known != nil && known.channels == channels {
		return known.most, nil
	}
	all, err := s.db.Channels(ctx, t, nil)
	if err != nil {
		return 0, err
	}
	counts, most := map[string]int{}, 0
	for i := range all {
		name := all[i].Labels.Instrument()
		counts[name]++
		most = max(most, counts[name])
	}
	a.fullest.Store(&fullest{channels, most})
	return most, nil
}
