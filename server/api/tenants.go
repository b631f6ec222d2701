package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/query"
	"github.com/hokan-db/hokan/server/tenants"
)

// TenantRequest is the body of PUT /api/v1/tenants/{t}: all that is agreed. What
// is left out is not limited, or as the plan says.
type TenantRequest struct {
	Plan           string        `json:"plan,omitempty" doc:"trial, free, standard or pro: what limits it where the quota says nothing; left out: no plan"`
	Quota          tenants.Quota `json:"quota,omitzero"`
	OverQuota      string        `json:"over_quota,omitempty" doc:"What happens to a tenant that is still over its quota at its deadline: delete_oldest_until_fit, delete_all or freeze_writes_only; left out: the first"`
	CeilingPercent uint64        `json:"ceiling_percent,omitempty" doc:"Share of the bytes from which on nothing more is taken; left out: 110"`
	Ends           *int64        `json:"ends,omitempty" doc:"When the contract ends, in the unit; left out: it does not"`
	Ending         string        `json:"ending,omitempty" doc:"What happens then: keep, free, at_end, within_30_days or after_60_days; left out: keep"`
	Unit           string        `json:"unit,omitempty" doc:"Of times in the body; left out: the query's"`
	TenantTold
}

// TenantTold is what an answer says besides. So that an answer can be changed and
// sent back, it is taken and changes nothing.
type TenantTold struct {
	Tenant  string        `json:"tenant,omitempty" doc:"Without effect"`
	Limits  tenants.Quota `json:"limits,omitzero" doc:"Without effect"`
	Created *int64        `json:"created,omitempty" doc:"Without effect"`
	Closes  *int64        `json:"closes,omitempty" doc:"Without effect"`
	Deletes *int64        `json:"deletes,omitempty" doc:"Without effect"`
}

// TenantBody is what is agreed with a tenant, and what lies ahead of it. Times
// are nil where they are not known or never come.
type TenantBody struct {
	Tenant         string        `json:"tenant"`
	Plan           string        `json:"plan"`
	Quota          tenants.Quota `json:"quota" doc:"What was said; what is left out is as the plan says"`
	Limits         tenants.Quota `json:"limits" doc:"What holds, the plan's included; what is left out has no limit"`
	OverQuota      string        `json:"over_quota"`
	CeilingPercent uint64        `json:"ceiling_percent"`
	Created        *int64        `json:"created"`
	Ends           *int64        `json:"ends"`
	Ending         string        `json:"ending"`
	Closes         *int64        `json:"closes" doc:"From when on no token opens it"`
	Deletes        *int64        `json:"deletes" doc:"When it will be deleted"`
	Unit           string        `json:"unit"`
}

// TenantDeletion is the record of a deletion, which is kept.
type TenantDeletion struct {
	Tenant    string `json:"tenant"`
	DeletedAt int64  `json:"deleted_at"`
	Bytes     uint64 `json:"bytes" doc:"That were charged"`
	Channels  int    `json:"channels"`
	Reason    string `json:"reason" doc:"request, trial or contract"`
	CopiesBy  int64  `json:"copies_by" doc:"When the last copy is gone"`
	Unit      string `json:"unit"`
}

// Tenant tells what is agreed with a tenant.
func (a *API) Tenant(t model.Tenant, unit string) (*TenantBody, error) {
	return answer(a.tenant(t, unit))
}

func (a *API) tenant(t model.Tenant, unitName string) (*TenantBody, error) {
	unit, err := query.ParseUnit(unitName)
	if err != nil {
		return nil, err
	}
	r, err := a.Tenants.Get(t)
	if errors.Is(err, engine.ErrUnknownTenant) {
		return nil, a.withDeletion(t, err)
	}
	if err != nil {
		return nil, err
	}
	return tenantBody(&r, unit), nil
}

// withDeletion adds to the error of a tenant that is missing what is kept of its
// last deletion.
func (a *API) withDeletion(t model.Tenant, missing error) error {
	kept, err := a.Tenants.Deletions(t)
	if err != nil {
		return err
	}
	if len(kept) == 0 {
		return missing
	}
	d := &kept[len(kept)-1]
	return fmt.Errorf("%w: it was deleted at %s (%s), with %d bytes and %d channels; the last copy goes at %s", missing,
		d.At.Format(time.RFC3339), d.Reason, d.Bytes, d.Channels, d.CopiesBy.Format(time.RFC3339))
}

// PutTenant agrees on terms with a tenant, and makes it where it is missing.
func (a *API) PutTenant(ctx context.Context, t model.Tenant, r TenantRequest, unit string) (*TenantBody, error) {
	return answer(a.putTenant(ctx, t, r, unit))
}

func (a *API) putTenant(ctx context.Context, t model.Tenant, r TenantRequest, unitName string) (*TenantBody, error) {
	unit, err := query.ParseUnit(unitName)
	if err != nil {
		return nil, err
	}
	said := unit
	if r.Unit != "" {
		if said, err = query.ParseUnit(r.Unit); err != nil {
			return nil, err
		}
	}
	terms := tenants.Terms{
		Plan: r.Plan, Quota: r.Quota, OverQuota: tenants.OverQuota(r.OverQuota), Ceiling: r.CeilingPercent,
		Ending: tenants.Ending(r.Ending),
	}
	if r.Ends != nil {
		at := *r.Ends * said.Nanoseconds
		if at/said.Nanoseconds != *r.Ends || at < model.MinTime || at >= model.MaxTime {
			return nil, NewError("bad_time", "ends lies outside the years 1678 to 2261: is the unit right?")
		}
		terms.Ends = time.Unix(0, at).UTC()
	}
	made, err := a.Tenants.Put(ctx, t, terms)
	if err != nil {
		return nil, err
	}
	return tenantBody(&made, unit), nil
}

func tenantBody(r *tenants.Record, unit query.Unit) *TenantBody {
	limits := r.Limits()
	ahead := r.Schedule(tenants.DefaultClocks())
	body := &TenantBody{
		Tenant: string(r.Tenant), Plan: r.Plan, Quota: r.Quota,
		Limits: tenants.Quota{
			Bytes: limited(limits.Bytes), Channels: limited(limits.Channels),
			ChannelsPerInstrument: limited(limits.ChannelsPerInstrument), SamplesPerSecond: limited(limits.SamplesPerSecond),
		},
		OverQuota: string(r.OverQuota), CeilingPercent: r.Ceiling, Ending: string(r.Ending), Unit: unit.Name,
		Created: instant(r.Created, unit), Ends: instant(r.Ends, unit),
		Closes: instant(ahead.Closes, unit), Deletes: instant(ahead.Delete, unit),
	}
	if body.OverQuota == "" {
		body.OverQuota = string(tenants.DeleteOldest)
	}
	if body.CeilingPercent == 0 {
		body.CeilingPercent = tenants.DefaultCeiling
	}
	if body.Ending == "" {
		body.Ending = string(tenants.EndingKeep)
	}
	return body
}

// limited returns a limit, nil where there is none.
func limited[N int | uint64](n N) *uint64 {
	if n == 0 {
		return nil
	}
	limit := uint64(n)
	return &limit
}

// instant returns a time in a unit, nil for none.
func instant(at time.Time, unit query.Unit) *int64 {
	if at.IsZero() {
		return nil
	}
	n := unit.Floor(at.UnixNano())
	return &n
}

// DeleteTenant deletes a tenant with all that it has.
func (a *API) DeleteTenant(ctx context.Context, t model.Tenant, unitName string) (*TenantDeletion, error) {
	unit, err := query.ParseUnit(unitName)
	if err != nil {
		return nil, AsError(err)
	}
	d, err := a.Tenants.Delete(ctx, t)
	if err != nil {
		return nil, AsError(err)
	}
	return &TenantDeletion{
		Tenant: string(d.Tenant), DeletedAt: unit.Floor(d.At.UnixNano()), Bytes: d.Bytes, Channels: d.Channels,
		Reason: string(d.Reason), CopiesBy: unit.Floor(d.CopiesBy.UnixNano()), Unit: unit.Name,
	}, nil
}
