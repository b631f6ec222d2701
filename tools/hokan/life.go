package main

import (
	"context"

	"github.com/hokan-db/hokan/server/api"
)

// aboutFlags are tenantFlags of commands that an administrator may use for any
// tenant of a server: then --tenant says whose data is meant.
type aboutFlags struct{ tenantFlags }

// Validate implements what the parser calls.
func (f *aboutFlags) Validate() error {
	if f.Data != nil {
		return f.tenantFlags.Validate()
	}
	about := f.Tenant
	f.Tenant = ""
	err := f.tenantFlags.Validate()
	f.Tenant = about
	return err
}

func (r remote) usage(ctx context.Context, unit string) (*api.UsageBody, error) {
	return r.Usage(ctx, r.tenant, unit)
}

func (r remote) usageDays(ctx context.Context, by string) (*api.UsageDaysBody, error) {
	return r.UsageDays(ctx, r.tenant, by)
}

func (r remote) retention(ctx context.Context) (*api.RetentionBody, error) {
	return r.Retention(ctx, r.tenant)
}

func (r remote) putRetention(ctx context.Context, rules api.RetentionBody) (*api.RetentionBody, error) {
	return r.PutRetention(ctx, r.tenant, rules)
}

func (r remote) deleteRetention(ctx context.Context) error { return r.DeleteRetention(ctx, r.tenant) }

func (r remote) effectiveRetention(ctx context.Context, s api.Selection) (*api.EffectiveBody, error) {
	return r.EffectiveRetention(ctx, r.tenant, s)
}

func (r remote) deleteSamples(ctx context.Context, s api.Selection) (*api.DeletedSamples, error) {
	return r.DeleteSamples(ctx, r.tenant, s)
}

func (r remote) deleteChannels(ctx context.Context, s api.Selection) (*api.DeletedChannels, error) {
	return r.DeleteChannels(ctx, r.tenant, s)
}

func (l local) usage(ctx context.Context, unit string) (*api.UsageBody, error) {
	return l.api.Usage(ctx, l.tenant, unit)
}

func (l local) usageDays(ctx context.Context, by string) (*api.UsageDaysBody, error) {
	return l.api.UsageDays(ctx, l.tenant, by)
}

func (l local) retention(context.Context) (*api.RetentionBody, error) {
	return l.api.Retention(l.tenant)
}

// Whoever has the folder is an administrator.
func (l local) putRetention(ctx context.Context, rules api.RetentionBody) (*api.RetentionBody, error) {
	return l.api.PutRetention(ctx, l.tenant, rules, true)
}

func (l local) deleteRetention(ctx context.Context) error {
	return l.api.DeleteRetention(ctx, l.tenant)
}

func (l local) effectiveRetention(ctx context.Context, s api.Selection) (*api.EffectiveBody, error) {
	return l.api.EffectiveRetention(ctx, l.tenant, s)
}

func (l local) deleteSamples(ctx context.Context, s api.Selection) (*api.DeletedSamples, error) {
	return l.api.DeleteSamples(ctx, l.tenant, s)
}

func (l local) deleteChannels(ctx context.Context, s api.Selection) (*api.DeletedChannels, error) {
	return l.api.DeleteChannels(ctx, l.tenant, s)
}
