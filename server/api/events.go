package api

import (
	"context"
	"fmt"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/query"
)

// DefaultEvents is how many events a page has where nothing is said.
const DefaultEvents = 1000

// EventsRequest asks for GET /api/v1/events.
type EventsRequest struct {
	Alarm string // an alarm's ID; "" is all
	From  string
	To    string
	After string // the cursor of the page before
	Limit int    // 0: DefaultEvents
	Unit  string
}

// EventsBody answers GET /api/v1/events. Next is nil after the last page.
type EventsBody struct {
	Unit   string  `json:"unit"`
	Events []Event `json:"events"`
	Next   *string `json:"next"`
}

// Event is the start or the end of an alarm: the sample that caused it.
type Event struct {
	ID      string        `json:"id"`
	Alarm   string        `json:"alarm"`
	Version uint64        `json:"version"`
	Kind    string        `json:"kind"` // start, end
	Time    int64         `json:"time"`
	Value   Value         `json:"value"`
	Name    string        `json:"name"`   // of the alarm, as it was then
	Labels  *model.Labels `json:"labels"` // of the channel
}

// Events lists alarm events by time.
func (a *API) Events(ctx context.Context, t model.Tenant, r EventsRequest) (*EventsBody, error) {
	return answer(a.events(ctx, t, r))
}

func (a *API) events(ctx context.Context, t model.Tenant, r EventsRequest) (*EventsBody, error) {
	_, window, unit, err := a.read(t, Selection{From: r.From, To: r.To, Unit: r.Unit})
	if err != nil {
		return nil, err
	}
	span, err := window.Bounds()
	if err != nil {
		return nil, err
	}
	if r.Limit == 0 {
		r.Limit = DefaultEvents
	}
	if r.Limit < 1 || int64(r.Limit) > policy.TableRows.Default {
		return nil, fmt.Errorf("%w: limit %d, want 1 to %d", query.ErrInvalid, r.Limit, policy.TableRows.Default)
	}
	wanted := engine.EventQuery{Span: span, After: r.After, Limit: r.Limit}
	if r.Alarm != "" {
		if wanted.Alarm, err = alarmID(r.Alarm); err != nil {
			return nil, err
		}
	}
	body := &EventsBody{Unit: unit.Name, Events: []Event{}}
	if span.Empty() {
		return body, nil
	}
	events, next, err := a.DB.Events(ctx, t, wanted)
	if err != nil || len(events) == 0 {
		return body, err
	}
	channels, err := a.channelsByID(ctx, t)
	if err != nil {
		return nil, err
	}
	for i := range events {
		body.Events = append(body.Events, eventOf(&events[i], channels, unit))
	}
	body.Next = optional(next)
	return body, nil
}

func eventOf(e *engine.Event, channels map[model.ChannelID]*model.Channel, unit query.Unit) Event {
	var labels *model.Labels
	if c := channels[e.Channel]; c != nil {
		labels = &c.Labels
	}
	return NewEvent(e, labels, unit)
}

// NewEvent returns the body of an event. labels are those of its channel, nil
// if it is not known.
func NewEvent(e *engine.Event, labels *model.Labels, unit query.Unit) Event {
	return Event{
		ID: e.ID, Alarm: formatID(e.Alarm), Version: e.Version, Kind: e.Kind.String(),
		Time: unit.Floor(e.Time), Value: known(e.Value), Name: e.Name, Labels: labels,
	}
}
