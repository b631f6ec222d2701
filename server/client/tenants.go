package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/hokan-db/hokan/server/api"
)

// What follows takes, for an administrator's token, the tenant that is meant;
// for a tenant's own it may be "".

// Tenant tells what is agreed with a tenant. It takes an administrator's token,
// as the next two do.
func (c *Client) Tenant(ctx context.Context, tenant, unit string) (*api.TenantBody, error) {
	body := new(api.TenantBody)
	return answer(body, c.get(ctx, tenantPath(tenant), values("unit", unit), body))
}

// PutTenant agrees on terms with a tenant.
func (c *Client) PutTenant(ctx context.Context, tenant string, r api.TenantRequest, unit string) (*api.TenantBody, error) {
	body := new(api.TenantBody)
	return answer(body, c.send(ctx, http.MethodPut, tenantPath(tenant), values("unit", unit), r, body))
}

// DeleteTenant deletes a tenant with all that it has.
func (c *Client) DeleteTenant(ctx context.Context, tenant, unit string) (*api.TenantDeletion, error) {
	body := new(api.TenantDeletion)
	return answer(body, c.erase(ctx, tenantPath(tenant), values("unit", unit), body))
}

func tenantPath(tenant string) string { return "/api/v1/tenants/" + url.PathEscape(tenant) }

// Outbox gives what somebody should be told. It takes an administrator's token.
func (c *Client) Outbox(ctx context.Context, after string, limit int, unit string) (*api.OutboxBody, error) {
	body := new(api.OutboxBody)
	return answer(body, c.get(ctx, "/api/v1/outbox", values("after", after, "limit", count(limit), "unit", unit), body))
}

// Usage tells what a tenant uses.
func (c *Client) Usage(ctx context.Context, tenant, unit string) (*api.UsageBody, error) {
	body := new(api.UsageBody)
	return answer(body, c.get(ctx, "/api/v1/usage", values("tenant", tenant, "unit", unit), body))
}

// UsageDays tells what is charged for each day.
func (c *Client) UsageDays(ctx context.Context, tenant, by string) (*api.UsageDaysBody, error) {
	body := new(api.UsageDaysBody)
	return answer(body, c.get(ctx, "/api/v1/usage/days", values("tenant", tenant, "by", by), body))
}

// Retention gives the rules of a tenant.
func (c *Client) Retention(ctx context.Context, tenant string) (*api.RetentionBody, error) {
	body := new(api.RetentionBody)
	return answer(body, c.get(ctx, "/api/v1/retention", values("tenant", tenant), body))
}

// PutRetention puts rules in place of all before.
func (c *Client) PutRetention(ctx context.Context, tenant string, rules api.RetentionBody) (*api.RetentionBody, error) {
	body := new(api.RetentionBody)
	return answer(body, c.send(ctx, http.MethodPut, "/api/v1/retention", values("tenant", tenant), rules, body))
}

// DeleteRetention removes all rules.
func (c *Client) DeleteRetention(ctx context.Context, tenant string) error {
	return c.erase(ctx, "/api/v1/retention", values("tenant", tenant), nil)
}

// EffectiveRetention tells how long channels keep what they have.
func (c *Client) EffectiveRetention(ctx context.Context, tenant string, s api.Selection) (*api.EffectiveBody, error) {
	body := new(api.EffectiveBody)
	return answer(body, c.get(ctx, "/api/v1/retention/effective", values("tenant", tenant, "match", s.Match), body))
}

// DeleteSamples deletes the samples of channels in a span.
func (c *Client) DeleteSamples(ctx context.Context, tenant string, s api.Selection) (*api.DeletedSamples, error) {
	body := new(api.DeletedSamples)
	return answer(body, c.erase(ctx, "/api/v1/samples", values("tenant", tenant, "match", s.Match, "from", s.From, "to", s.To), body))
}

// DeleteChannels deletes channels with all that they have.
func (c *Client) DeleteChannels(ctx context.Context, tenant string, s api.Selection) (*api.DeletedChannels, error) {
	body := new(api.DeletedChannels)
	return answer(body, c.erase(ctx, "/api/v1/channels", values("tenant", tenant, "match", s.Match), body))
}

// erase deletes and reads the answer; into nil wants none.
func (c *Client) erase(ctx context.Context, path string, query url.Values, into any) error {
	response, err := c.do(ctx, http.MethodDelete, path, query, nil, nil)
	if err != nil {
		return err
	}
	return c.decode(ctx, response, into)
}
