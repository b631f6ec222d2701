package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/api"
)

// What requests say about tenants and what they use.
type (
	AboutQuery struct {
		Tenant string `query:"tenant" doc:"Whose data, of an administrator's token; a tenant's says it itself"`
	}
	TenantPath struct {
		UnitQuery
		Tenant string `path:"tenant" doc:"A tenant's name"`
	}
	tenantInput struct {
		TenantPath
		Body api.TenantRequest
	}
	usageQuery struct {
		UnitQuery
		AboutQuery
	}
	usageDaysQuery struct {
		AboutQuery
		By string `query:"by" doc:"tenant, group or channel; left out: tenant" default:"tenant"`
	}
	outboxQuery struct {
		UnitQuery
		After string `query:"after" doc:"The page before's next"`
		Limit int    `query:"limit" doc:"Events of the page; left out: 1000" default:"1000" minimum:"1"`
	}
	retentionInput struct {
		AboutQuery
		Body api.RetentionBody
	}
	effectiveQuery struct {
		AboutQuery
		Match string `query:"match" doc:"Which channels: a selector; left out: all" example:"{instrument=\"lake\"}"`
	}
	DeleteQuery struct {
		AboutQuery
		Match string `query:"match" doc:"Which channels: a selector, which must be given; {} is all" example:"{instrument=\"lake\",channel=~\"2-.*\"}"`
	}
	deleteSpanQuery struct {
		DeleteQuery
		From string `query:"from" doc:"Start of the span: RFC 3339, nanoseconds since 1970, now or now-30d; left out: the first sample"`
		To   string `query:"to" doc:"End of the span, itself left out; left out: just after the last sample"`
	}
)

const (
	isMissing = http.StatusNotFound
	isInvalid = http.StatusUnprocessableEntity
	isFull    = http.StatusInsufficientStorage
)

// addTenants adds what an administrator does with tenants.
func (s *Server) addTenants() {
	huma.Register(s.document, s.op("GET", "/tenants/{tenant}", "tenant", "What is agreed with a tenant", adminOnly, isMissing),
		func(_ context.Context, in *TenantPath) (*output[api.TenantBody], error) {
			return reply(s.api.Tenant(model.Tenant(in.Tenant), in.Unit))
		})
	huma.Register(s.document, s.op("PUT", "/tenants/{tenant}", "put-tenant",
		"Agree on quotas, a plan and an end, in place of those before; makes the tenant where it is missing", adminOnly,
		isInvalid, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, isFull),
		func(ctx context.Context, in *tenantInput) (*output[api.TenantBody], error) {
			return reply(s.api.PutTenant(ctx, model.Tenant(in.Tenant), in.Body, in.Unit))
		})
	huma.Register(s.document, s.op("DELETE", "/tenants/{tenant}", "delete-tenant",
		"Delete a tenant with all that it has; the answer is the record that is kept of it", adminOnly, isMissing, isFull),
		func(ctx context.Context, in *TenantPath) (*output[api.TenantDeletion], error) {
			return reply(s.api.DeleteTenant(ctx, model.Tenant(in.Tenant), in.Unit))
		})
	huma.Register(s.document, s.op("GET", "/outbox", "outbox",
		"What somebody should be told, of all tenants: each is given at least once, under an ID that stays", adminOnly, isInvalid),
		func(ctx context.Context, in *outboxQuery) (*output[api.OutboxBody], error) {
			return reply(s.api.Outbox(ctx, in.After, in.Limit, in.Unit))
		})
}

// addUsage adds what a tenant uses and how long it keeps what it has.
func (s *Server) addUsage() {
	huma.Register(s.document, s.op("GET", "/usage", "usage", "What a tenant uses, of what it may, and until when", readAbout, isMissing),
		func(ctx context.Context, in *usageQuery) (*output[api.UsageBody], error) {
			return reply(s.api.Usage(ctx, tenantOf(ctx), in.Unit))
		})
	huma.Register(s.document, s.op("GET", "/usage/days", "usage-days", "What is charged for each day", readAbout, isMissing),
		func(ctx context.Context, in *usageDaysQuery) (*output[api.UsageDaysBody], error) {
			return reply(s.api.UsageDays(ctx, tenantOf(ctx), in.By))
		})
	huma.Register(s.document, s.op("GET", "/retention", "retention", "How long what is kept, as rules", readAbout, isMissing),
		func(ctx context.Context, _ *AboutQuery) (*output[api.RetentionBody], error) {
			return reply(s.api.Retention(tenantOf(ctx)))
		})
	huma.Register(s.document, s.op("PUT", "/retention", "put-retention",
		"Put rules in place of all before. They hold at once; what had expired stays so", writeAbout,
		isMissing, isInvalid, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, isFull),
		func(ctx context.Context, in *retentionInput) (*output[api.RetentionBody], error) {
			return reply(s.api.PutRetention(ctx, tenantOf(ctx), in.Body, isAdmin(ctx)))
		})
	huma.Register(s.document, s.op("DELETE", "/retention", "delete-retention",
		"Remove all rules; a plan's stay", writeAbout, isMissing, isFull),
		func(ctx context.Context, _ *AboutQuery) (*none, error) {
			if err := s.api.DeleteRetention(ctx, tenantOf(ctx)); err != nil {
				return nil, problemOf(err)
			}
			return &none{}, nil
		})
	huma.Register(s.document, s.op("GET", "/retention/effective", "effective-retention",
		"How long each channel keeps what it has, and which rule says so", readAbout, isMissing, isInvalid),
		func(ctx context.Context, in *effectiveQuery) (*output[api.EffectiveBody], error) {
			return reply(s.api.EffectiveRetention(ctx, tenantOf(ctx), api.Selection{Match: in.Match}))
		})
}

// addDeletions adds what deletes samples and channels.
func (s *Server) addDeletions() {
	huma.Register(s.document, s.op("DELETE", "/samples", "delete-samples",
		"Delete the samples of a span that were written before; at once, and for ever", writeAbout, isMissing, isInvalid, isFull),
		func(ctx context.Context, in *deleteSpanQuery) (*output[api.DeletedSamples], error) {
			return reply(s.api.DeleteSamples(ctx, tenantOf(ctx), api.Selection{Match: in.Match, From: in.From, To: in.To}))
		})
	huma.Register(s.document, s.op("DELETE", "/channels", "delete-channels",
		"Delete channels with all that they have", writeAbout, isMissing, isInvalid, isFull),
		func(ctx context.Context, in *DeleteQuery) (*output[api.DeletedChannels], error) {
			return reply(s.api.DeleteChannels(ctx, tenantOf(ctx), api.Selection{Match: in.Match}))
		})
}
