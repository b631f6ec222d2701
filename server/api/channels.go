package api

import (
	"context"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/query"
)

// ChannelsBody answers GET /api/v1/channels.
type ChannelsBody struct {
	Unit     string        `json:"unit"`
	Channels []ChannelRows `json:"channels"`
}

// ChannelRows is a channel and how much it holds. First and Last are nil where
// it has no sample.
type ChannelRows struct {
	Channel
	First   *int64 `json:"first"`
	Last    *int64 `json:"last"`
	Samples uint64 `json:"samples"`
}

// Channels lists channels; a selector that matches nothing gives none.
func (a *API) Channels(ctx context.Context, t model.Tenant, s Selection) (*ChannelsBody, error) {
	return answer(a.channels(ctx, t, s))
}

func (a *API) channels(ctx context.Context, t model.Tenant, s Selection) (*ChannelsBody, error) {
	scope, _, unit, err := a.read(t, s)
	if err != nil {
		return nil, err
	}
	scope.Admit = a.admit(ctx)
	channels, err := query.Channels(ctx, a.DB, scope)
	if err != nil {
		return nil, err
	}
	body := &ChannelsBody{Unit: unit.Name, Channels: make([]ChannelRows, len(channels))}
	for i := range channels {
		c := &channels[i]
		body.Channels[i] = ChannelRows{Channel: channelOf(&c.Channel), Samples: c.Samples}
		if c.Samples > 0 {
			first, last := unit.Floor(c.First), unit.Floor(c.Last)
			body.Channels[i].First, body.Channels[i].Last = &first, &last
		}
	}
	return body, nil
}

// LatestBody answers GET /api/v1/latest.
type LatestBody struct {
	Unit     string       `json:"unit"`
	Channels []LatestRows `json:"channels"`
}

// LatestRows is a channel and its newest sample. Time is nil where it has none.
type LatestRows struct {
	Channel
	Time  *int64 `json:"time"`
	Value Value  `json:"value"`
}

// Latest gives the newest sample of every channel.
func (a *API) Latest(ctx context.Context, t model.Tenant, s Selection) (*LatestBody, error) {
	return answer(a.latest(ctx, t, s))
}

func (a *API) latest(ctx context.Context, t model.Tenant, s Selection) (*LatestBody, error) {
	scope, _, unit, err := a.read(t, s)
	if err != nil {
		return nil, err
	}
	scope.Admit = a.admit(ctx)
	values, err := query.Latest(ctx, a.DB, scope)
	if err != nil {
		return nil, err
	}
	body := &LatestBody{Unit: unit.Name, Channels: make([]LatestRows, len(values))}
	for i := range values {
		v := &values[i]
		body.Channels[i] = LatestRows{Channel: channelOf(&v.Channel), Value: Value{v.Value, v.Known}}
		if v.Known {
			at := unit.Floor(v.Time)
			body.Channels[i].Time = &at
		}
	}
	return body, nil
}
