package api

import (
	"context"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/query"
)

// ViewRequest asks for GET /api/v1/view.
type ViewRequest struct {
	Selection
	Buckets int // about how many; 0: left out
}

// ViewBody answers GET /api/v1/view. Bucket i is [From+i*Width, From+(i+1)*Width).
type ViewBody struct {
	Unit     string        `json:"unit"`
	From     int64         `json:"from"`
	Width    int64         `json:"width"`
	Source   string        `json:"source"`
	Channels []ViewChannel `json:"channels"`
}

// ViewChannel has one channel's buckets. Where Count is 0 the values are null.
type ViewChannel struct {
	Channel
	Count   []uint64 `json:"count"`   // rows that hold a number
	Quality []uint64 `json:"quality"` // rows that hold none
	Min     Values   `json:"min"`
	Max     Values   `json:"max"`
	Mean    Values   `json:"mean"`
	Sum     Values   `json:"sum"`
	First   Values   `json:"first"`
	Last    Values   `json:"last"`
}

// View gives channels in buckets of time.
func (a *API) View(ctx context.Context, t model.Tenant, r ViewRequest) (*ViewBody, error) {
	return answer(a.view(ctx, t, r))
}

func (a *API) view(ctx context.Context, t model.Tenant, r ViewRequest) (*ViewBody, error) {
	scope, window, unit, err := a.read(t, r.Selection)
	if err != nil {
		return nil, err
	}
	view, err := query.View(ctx, a.DB, query.ViewRequest{Scope: scope, Window: window, Buckets: r.Buckets, Unit: unit})
	if err != nil {
		return nil, err
	}
	body := &ViewBody{
		Unit:     unit.Name,
		From:     unit.Floor(view.Buckets.From),
		Width:    unit.Floor(view.Buckets.Width),
		Source:   view.Source,
		Channels: make([]ViewChannel, len(view.Channels)),
	}
	for i := range view.Channels {
		body.Channels[i] = viewChannel(&view.Channels[i], view.Aggregates[i])
	}
	return body, nil
}

func viewChannel(c *model.Channel, buckets []model.Aggregate) ViewChannel {
	n := len(buckets)
	counts := make([]uint64, 2*n)
	values := make(Values, 6*n) // null until known
	part := func(i int) Values { return values[i*n : (i+1)*n : (i+1)*n] }
	v := ViewChannel{
		Channel: channelOf(c), Count: counts[:n:n], Quality: counts[n:],
		Min: part(0), Max: part(1), Mean: part(2), Sum: part(3), First: part(4), Last: part(5),
	}
	for i := range buckets {
		b := &buckets[i]
		v.Count[i], v.Quality[i] = b.Count, b.Quality
		if b.Count == 0 {
			continue
		}
		v.Min[i], v.Max[i] = known(b.Min), known(b.Max)
		v.Mean[i], v.Sum[i] = known(b.Mean()), known(b.Total())
		v.First[i], v.Last[i] = known(b.First), known(b.Last)
	}
	return v
}
