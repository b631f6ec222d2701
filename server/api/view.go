package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/query"
)

// ViewRequest asks for GET /api/v1/view.
type ViewRequest struct {
	Selection
	Buckets int    // about how many; 0: left out
	Fields  string // which lists of ViewChannel, by their names in JSON with commas between; "": all
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
// A list that was not asked for is nil and left out of the JSON. Mean is Sum
// divided by Count, to the bit.
type ViewChannel struct {
	Channel
	Count   []uint64 `json:"count,omitzero"`   // rows that hold a number
	Quality []uint64 `json:"quality,omitzero"` // rows that hold none
	Min     Values   `json:"min,omitzero"`
	Max     Values   `json:"max,omitzero"`
	Mean    Values   `json:"mean,omitzero"`
	Sum     Values   `json:"sum,omitzero"`
	First   Values   `json:"first,omitzero"`
	Last    Values   `json:"last,omitzero"`
}

// viewLists names the lists of a ViewChannel, in their order.
var viewLists = []string{"count", "quality", "min", "max", "mean", "sum", "first", "last"}

// parseFields reads which lists are asked for: a bit of each, by its place in
// viewLists.
func parseFields(text string) (asked uint, err error) {
	if text == "" {
		return 1<<len(viewLists) - 1, nil
	}
	for name := range strings.SplitSeq(text, ",") {
		i := slices.Index(viewLists, name)
		if i < 0 {
			return 0, NewError("malformed", fmt.Sprintf("fields: there is no %q among %s", name, strings.Join(viewLists, ",")))
		}
		asked |= 1 << i
	}
	return asked, nil
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
	asked, err := parseFields(r.Fields)
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
		body.Channels[i] = viewChannel(&view.Channels[i], view.Aggregates[i], asked)
	}
	return body, nil
}

// viewChannel turns a channel's aggregates into the lists that are asked for.
func viewChannel(c *model.Channel, buckets []model.Aggregate, asked uint) ViewChannel {
	v := ViewChannel{Channel: channelOf(c)}
	for i, list := range []*[]uint64{&v.Count, &v.Quality} {
		if asked&(1<<i) != 0 {
			*list = make([]uint64, len(buckets))
		}
	}
	for i, list := range []*Values{&v.Min, &v.Max, &v.Mean, &v.Sum, &v.First, &v.Last} {
		if asked&(1<<(i+2)) != 0 {
			*list = make(Values, len(buckets)) // null until known
		}
	}
	for i := range buckets {
		b := &buckets[i]
		if v.Count != nil {
			v.Count[i] = b.Count
		}
		if v.Quality != nil {
			v.Quality[i] = b.Quality
		}
		if b.Count == 0 {
			continue
		}
		v.Min.set(i, b.Min)
		v.Max.set(i, b.Max)
		v.First.set(i, b.First)
		v.Last.set(i, b.Last)
		if v.Mean != nil || v.Sum != nil {
			v.Mean.set(i, b.Mean())
			v.Sum.set(i, b.Total())
		}
	}
	return v
}

// set makes a value known; a list that is nil was not asked for.
func (v Values) set(i int, number float64) {
	if v != nil {
		v[i] = known(number)
	}
}
