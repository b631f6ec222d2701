// Package api answers the endpoints, without their transport: requests come in
// as structs of what a query or a body says, answers go out as structs whose
// JSON is the endpoint's body, and every error is an *Error with a code that
// programs can rely on. The HTTP server and the command line call the same
// handlers, so they cannot differ.
package api

import (
	"context"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/query"
	"github.com/hokan-db/hokan/server/tenants"
)

// API answers for one database. It is safe for concurrent use.
type API struct {
	DB      *engine.DB
	Clock   model.Clock    // what "now" means in requests
	Tenants *tenants.Store // what is agreed with tenants; needed for what is about that
	// Charge, if not nil, is told about how many bytes the answer to a request
	// will take, before it is made, and may refuse it.
	Charge func(ctx context.Context, bytes int64) error
}

// Selection is what most requests say: which channels, over which span, and the
// unit of the times in the answer. Texts are as they stand in a query; an empty
// one was left out.
type Selection struct {
	Match string // a selector; "" is {}
	From  string
	To    string
	Unit  string
}

// scope reads the selector.
func (s Selection) scope(t model.Tenant) (query.Scope, error) {
	scope := query.Scope{Tenant: t}
	if s.Match == "" {
		return scope, nil
	}
	var err error
	scope.Selector, err = model.ParseSelector(s.Match)
	return scope, err
}

// window reads the span.
func (a *API) window(s Selection) (w query.Window, err error) {
	if w.From, err = a.optionalTime(s.From); err != nil {
		return w, err
	}
	w.To, err = a.optionalTime(s.To)
	return w, err
}

func (a *API) optionalTime(text string) (*int64, error) {
	if text == "" {
		return nil, nil
	}
	t, err := query.ParseTime(text, a.Clock())
	return &t, err
}

// read reads all parts of a selection.
func (a *API) read(t model.Tenant, s Selection) (scope query.Scope, w query.Window, u query.Unit, err error) {
	if scope, err = s.scope(t); err != nil {
		return
	}
	if w, err = a.window(s); err != nil {
		return
	}
	u, err = query.ParseUnit(s.Unit)
	return
}

// admit returns what charges an answer that has every selected channel.
func (a *API) admit(ctx context.Context) func([]model.Channel) error {
	if a.Charge == nil {
		return nil
	}
	return func(channels []model.Channel) error {
		size := int64(0)
		for i := range channels {
			c := channelOf(&channels[i])
			size += int64(c.size())
		}
		return a.Charge(ctx, size)
	}
}

// channelsByID returns the tenant's channels by ID, to name those that alarms
// and events refer to.
func (a *API) channelsByID(ctx context.Context, t model.Tenant) (map[model.ChannelID]*model.Channel, error) {
	channels, err := a.DB.Channels(ctx, t, nil)
	if err != nil {
		return nil, err
	}
	byID := make(map[model.ChannelID]*model.Channel, len(channels))
	for i := range channels {
		byID[channels[i].ID] = &channels[i]
	}
	return byID, nil
}
