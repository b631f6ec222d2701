package api

import (
	"context"
	"fmt"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/query"
	"github.com/hokan-db/hokan/server/tenants"
)

// OutboxBody answers GET /api/v1/outbox. Next is nil where nothing follows yet:
// then the cursor of the page before goes on to be the one to ask with.
type OutboxBody struct {
	Unit   string        `json:"unit"`
	Events []OutboxEvent `json:"events"`
	Next   *string       `json:"next"`
	// Trimmed is set where some were removed before they were read.
	Trimmed bool `json:"trimmed,omitempty" doc:"Behind the cursor some were removed before they were read: what is not about alarms is kept for 93 days, at most 1,000 of a tenant and 100,000 of all"`
}

// OutboxEvent is something that somebody should be told. It may be read more
// than once: its ID stays the same.
type OutboxEvent struct {
	ID     string       `json:"id"`
	Tenant string       `json:"tenant"`
	Kind   string       `json:"kind" enum:"capacity_low,over_quota,over_quota_deadline,deleted,tenant_deleted,alarm"`
	Time   int64        `json:"time"`
	Detail OutboxDetail `json:"detail"`
}

// OutboxDetail is what there is to say. Which members there are follows from
// the kind.
type OutboxDetail struct {
	Used     *uint64 `json:"used,omitempty" doc:"Bytes that were charged"`
	Quota    *uint64 `json:"quota,omitempty" doc:"Bytes"`
	Deadline *int64  `json:"deadline,omitempty" doc:"When something happens to a tenant that is over its quota"`
	Policy   string  `json:"policy,omitempty" doc:"What happens then, or happened"`
	Bytes    *uint64 `json:"bytes,omitempty" doc:"That were deleted"`
	Channels *int    `json:"channels,omitempty" doc:"That were deleted"`
	Reason   string  `json:"reason,omitempty" doc:"Of a deletion: request, trial, contract or retention"`
	CopiesBy *int64  `json:"copies_by,omitempty" doc:"When the last copy is gone"`
	Alarm    *Event  `json:"alarm,omitempty"`
}

// Outbox gives what somebody should be told, of all tenants, from a cursor on.
func (a *API) Outbox(ctx context.Context, after string, limit int, unit string) (*OutboxBody, error) {
	return answer(a.outbox(ctx, after, limit, unit))
}

func (a *API) outbox(ctx context.Context, after string, limit int, unitName string) (*OutboxBody, error) {
	unit, err := query.ParseUnit(unitName)
	if err != nil {
		return nil, err
	}
	if limit < 0 || int64(limit) > policy.TableRows.Default {
		return nil, fmt.Errorf("%w: limit %d, want 1 to %d", query.ErrInvalid, limit, policy.TableRows.Default)
	}
	page, err := a.Tenants.Outbox(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	events := page.Events
	body := &OutboxBody{Unit: unit.Name, Events: make([]OutboxEvent, len(events)), Next: optional(page.Next), Trimmed: page.Trimmed}
	channels := map[model.Tenant]map[model.ChannelID]*model.Channel{}
	for i := range events {
		e := &events[i]
		body.Events[i] = OutboxEvent{
			ID: e.ID, Tenant: string(e.Tenant), Kind: string(e.Kind), Time: unit.Floor(e.Time.UnixNano()),
		}
		if e.Alarm == nil {
			body.Events[i].Detail = outboxDetail(e, unit)
			continue
		}
		if channels[e.Tenant] == nil {
			if channels[e.Tenant], err = a.channelsByID(ctx, e.Tenant); err != nil {
				channels[e.Tenant] = map[model.ChannelID]*model.Channel{} // it is gone
			}
		}
		event := eventOf(&e.Alarm.Event, channels[e.Tenant], unit)
		body.Events[i].Detail.Alarm = &event
	}
	return body, nil
}

func outboxDetail(e *tenants.Event, unit query.Unit) OutboxDetail {
	d := &e.Detail
	to := OutboxDetail{Deadline: instant(d.Deadline, unit), Policy: string(d.Policy), Reason: string(d.Reason), CopiesBy: instant(d.CopiesBy, unit)}
	switch e.Kind {
	case tenants.KindCapacityLow, tenants.KindOverQuota, tenants.KindOverQuotaDeadline:
		to.Used, to.Quota = &d.Used, &d.Quota
	case tenants.KindTenantDeleted:
		to.Bytes, to.Channels = &d.Bytes, &d.Channels
	case tenants.KindDeleted:
		to.Bytes = &d.Bytes
	}
	return to
}
