package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/query"
	"github.com/hokan-db/hokan/server/api"
)

type tenantCommand struct {
	Create tenantCreateCommand `cmd:"" help:"Make a tenant."`
	Show   tenantShowCommand   `cmd:"" help:"Show what is agreed with a tenant."`
	Set    tenantSetCommand    `cmd:"" help:"Change what is agreed with a tenant."`
	Delete tenantDeleteCommand `cmd:"" help:"Delete a tenant with all that it has."`
}

// oneTenantFlags name a tenant, in a folder or on a server.
type oneTenantFlags struct {
	adminFlags
	Tenant string `required:"" placeholder:"T" help:"Which tenant."`
}

// agreements is what is agreed with tenants, in a folder or on a server.
type agreements interface {
	Tenant(ctx context.Context, tenant, unit string) (*api.TenantBody, error)
	PutTenant(ctx context.Context, tenant string, r api.TenantRequest, unit string) (*api.TenantBody, error)
	DeleteTenant(ctx context.Context, tenant, unit string) (*api.TenantDeletion, error)
	Outbox(ctx context.Context, after string, limit int, unit string) (*api.OutboxBody, error)
}

// localAgreements are those in a folder.
type localAgreements struct{ api *api.API }

func (l localAgreements) Tenant(_ context.Context, tenant, unit string) (*api.TenantBody, error) {
	return l.api.Tenant(model.Tenant(tenant), unit)
}

func (l localAgreements) PutTenant(ctx context.Context, tenant string, r api.TenantRequest, unit string) (*api.TenantBody, error) {
	return l.api.PutTenant(ctx, model.Tenant(tenant), r, unit)
}

func (l localAgreements) DeleteTenant(ctx context.Context, tenant, unit string) (*api.TenantDeletion, error) {
	return l.api.DeleteTenant(ctx, model.Tenant(tenant), unit)
}

func (l localAgreements) Outbox(ctx context.Context, after string, limit int, unit string) (*api.OutboxBody, error) {
	return l.api.Outbox(ctx, after, limit, unit)
}

// with opens the folder, or speaks to the server, for the length of do.
func (f *oneTenantFlags) with(t *terminal, a access, do func(agreements) error) error {
	if err := model.Tenant(f.Tenant).Validate(); err != nil {
		return err
	}
	return f.adminFlags.with(t, a, do)
}

// with opens the folder, or speaks to the server, for the length of do.
func (f *adminFlags) with(t *terminal, a access, do func(agreements) error) error {
	if f.Server != "" {
		c, err := f.connect()
		if err != nil {
			return err
		}
		defer c.Close()
		return do(c)
	}
	return (&dataFlags{*f.Data, f.Clock}).withData(t, a, func(opened *api.API) error { return do(localAgreements{opened}) })
}

// termFlags say what is agreed. What is not said is as it was.
type termFlags struct {
	Plan                  *string `placeholder:"P" help:"trial, free, standard or pro: what limits the tenant where the following say nothing."`
	Bytes                 *uint64 `placeholder:"N" help:"Bytes that may be charged; 0 is no limit."`
	Channels              *uint64 `placeholder:"N" help:"Channels in all; 0 is no limit."`
	ChannelsPerInstrument *uint64 `placeholder:"N" help:"Channels of one instrument; 0 is no limit."`
	SamplesPerSecond      *uint64 `placeholder:"N" help:"Samples written per second; 0 is no limit."`
	OverQuota             *string `placeholder:"WHAT" help:"After 31 days over the quota: delete_oldest_until_fit, delete_all or freeze_writes_only."`
	Ceiling               *uint64 `placeholder:"PERCENT" help:"Share of the bytes from which on nothing is taken (110 if never said)."`
	Ends                  *string `placeholder:"TIME" help:"When the contract ends; empty: it does not."`
	Ending                *string `placeholder:"WHAT" help:"What happens then: keep, free, at_end, within_30_days or after_60_days."`
}

// change lets the flags change a request, whose times are nanoseconds.
func (f *termFlags) change(r *api.TenantRequest, clock model.Clock) error {
	set := func(to *string, said *string) {
		if said != nil {
			*to = *said
		}
	}
	limit := func(to **uint64, said *uint64) {
		if said != nil {
			*to = said
		}
	}
	set(&r.Plan, f.Plan)
	set(&r.OverQuota, f.OverQuota)
	set(&r.Ending, f.Ending)
	limit(&r.Quota.Bytes, f.Bytes)
	limit(&r.Quota.Channels, f.Channels)
	limit(&r.Quota.ChannelsPerInstrument, f.ChannelsPerInstrument)
	limit(&r.Quota.SamplesPerSecond, f.SamplesPerSecond)
	if f.Ceiling != nil {
		r.CeilingPercent = *f.Ceiling
	}
	switch {
	case f.Ends == nil:
	case *f.Ends == "":
		r.Ends = nil
		if f.Ending == nil {
			r.Ending = "" // it was of that end
		}
	default:
		at, err := query.ParseTime(*f.Ends, clock())
		if err != nil {
			return fmt.Errorf("--ends: %w", err)
		}
		r.Ends = &at
	}
	return nil
}

func tenantGrid(b *api.TenantBody) *grid {
	times := newTimePrinter(b.Unit)
	limit := func(n *uint64) string {
		if n == nil {
			return "none"
		}
		return strconv.FormatUint(*n, 10)
	}
	g := &grid{header: []string{"what", "value"}}
	g.add("tenant", b.Tenant)
	g.add("plan", b.Plan)
	g.add("bytes", limit(b.Limits.Bytes))
	g.add("channels", limit(b.Limits.Channels))
	g.add("channels per instrument", limit(b.Limits.ChannelsPerInstrument))
	g.add("samples per second", limit(b.Limits.SamplesPerSecond))
	g.add("over quota", b.OverQuota)
	g.add("ceiling, %", number(b.CeilingPercent))
	g.add("created", times.optional(b.Created))
	g.add("ends", times.optional(b.Ends))
	g.add("ending", b.Ending)
	g.add("closes", times.optional(b.Closes))
	g.add("deletes", times.optional(b.Deletes))
	return g
}

type tenantCreateCommand struct {
	oneTenantFlags
	outputFlags
	termFlags
}

// Help gives examples.
func (c *tenantCreateCommand) Help() string {
	return `A tenant for which nothing is said keeps everything for ever, without limits.

Examples:
  hokan tenant create --data d --tenant t
  hokan tenant create --data d --tenant t --plan free
  hokan tenant create --token $ADMIN --tenant t --bytes 5000000000 --over-quota freeze_writes_only`
}

// Run implements the command.
func (c *tenantCreateCommand) Run(t *terminal) error {
	return c.with(t, making, func(on agreements) error {
		_, err := on.Tenant(t.ctx, c.Tenant, "")
		if err == nil {
			return api.NewError("conflict", "there is a tenant "+c.Tenant+" already: hokan tenant set changes it")
		}
		if api.AsError(err).Code != "not_found" {
			return err
		}
		return c.put(t, on, &api.TenantRequest{}, &c.outputFlags, &c.termFlags)
	})
}

// put sends what the flags make of a request, and prints what holds then.
func (f *oneTenantFlags) put(t *terminal, on agreements, r *api.TenantRequest, how *outputFlags, terms *termFlags) error {
	clock, err := (&dataFlags{Clock: f.Clock}).clock()
	if err != nil {
		return err
	}
	if err := terms.change(r, clock); err != nil {
		return err
	}
	body, err := on.PutTenant(t.ctx, f.Tenant, *r, query.Nanoseconds.Name)
	if err == nil {
		body, err = on.Tenant(t.ctx, f.Tenant, how.unit())
	}
	if err != nil {
		return err
	}
	if terms.Ends != nil && r.Ends != nil && *r.Ends <= clock().UnixNano() {
		times := newTimePrinter(body.Unit)
		switch {
		case body.Deletes != nil:
			t.note("the contract of %s has ended: everything of it is deleted at %s", f.Tenant, times.optional(body.Deletes))
		case body.Closes != nil:
			t.note("the contract of %s has ended: it is closed from %s on", f.Tenant, times.optional(body.Closes))
		default:
			t.note("the contract of %s has ended", f.Tenant)
		}
	}
	return how.print(t, body, func() *grid { return tenantGrid(body) })
}

type tenantShowCommand struct {
	oneTenantFlags
	outputFlags
}

// Help gives an example.
func (c *tenantShowCommand) Help() string {
	return `Example:
  hokan tenant show --data d --tenant t`
}

// Run implements the command.
func (c *tenantShowCommand) Run(t *terminal) error {
	return c.with(t, reading, func(on agreements) error {
		body, err := on.Tenant(t.ctx, c.Tenant, c.unit())
		if err != nil {
			return err
		}
		return c.print(t, body, func() *grid { return tenantGrid(body) })
	})
}

type tenantSetCommand struct {
	oneTenantFlags
	outputFlags
	termFlags
}

// Help gives examples.
func (c *tenantSetCommand) Help() string {
	return `What is not said stays as it is. What is said holds at once.

Examples:
  hokan tenant set --data d --tenant t --plan standard
  hokan tenant set --data d --tenant t --ends 2027-03-31T00:00:00Z --ending free`
}

// Run implements the command.
func (c *tenantSetCommand) Run(t *terminal) error {
	return c.with(t, writing, func(on agreements) error {
		now, err := on.Tenant(t.ctx, c.Tenant, query.Nanoseconds.Name)
		if err != nil {
			return err
		}
		r := api.TenantRequest{
			Plan: now.Plan, Quota: now.Quota, OverQuota: now.OverQuota, CeilingPercent: now.CeilingPercent, Ends: now.Ends, Ending: now.Ending,
		}
		return c.put(t, on, &r, &c.outputFlags, &c.termFlags)
	})
}

type tenantDeleteCommand struct {
	oneTenantFlags
	outputFlags
}

// Help gives an example.
func (c *tenantDeleteCommand) Help() string {
	return `Its tokens open nothing any more, and nothing of it can be read. That it was deleted,
when, and how much it had, is kept and printed.

Example:
  hokan tenant delete --data d --tenant t`
}

// Run implements the command.
func (c *tenantDeleteCommand) Run(t *terminal) error {
	return c.with(t, writing, func(on agreements) error {
		body, err := on.DeleteTenant(t.ctx, c.Tenant, c.unit())
		if err != nil {
			return err
		}
		return c.print(t, body, func() *grid {
			times := newTimePrinter(body.Unit)
			g := &grid{header: []string{"tenant", "deleted at", "bytes", "channels", "reason", "copies by"}}
			g.add(body.Tenant, times.text(body.DeletedAt), number(body.Bytes), number(body.Channels), body.Reason, times.text(body.CopiesBy))
			return g
		})
	})
}
