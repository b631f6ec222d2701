package main

import (
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/server/api"
)

type eventsCommand struct {
	tenantFlags
	outputFlags
	Alarm string `placeholder:"ID" help:"Only events of this alarm."`
	From  string `placeholder:"TIME" help:"Start of the span (default the first event)."`
	To    string `placeholder:"TIME" help:"End of the span, itself left out (default just after the last event)."`
	Limit int    `default:"1000" help:"Events of a page (default ${default})."`
	After string `placeholder:"CURSOR" help:"Go on after the page that gave this cursor."`
}

// Help gives examples.
func (c *eventsCommand) Help() string {
	return `Examples:
  hokan events --data d --tenant t
  hokan events --data d --tenant t --alarm 12 -o json`
}

// Run implements the command.
func (c *eventsCommand) Run(t *terminal) error {
	if err := checkCount("--limit", c.Limit, policy.TableRows); err != nil {
		return err
	}
	return c.with(t, func(from source) error {
		body, err := from.Events(t.ctx, api.EventsRequest{
			Alarm: c.Alarm, From: c.From, To: c.To, After: c.After, Limit: c.Limit, Unit: c.unit(),
		})
		if err != nil {
			return err
		}
		if err := c.print(t, body, func() *grid { return eventGrid(body) }); err != nil {
			return err
		}
		if body.Next != nil && c.Output != "json" {
			t.note("there are more events: --after %s", *body.Next)
		}
		return nil
	})
}

func eventGrid(body *api.EventsBody) *grid {
	times := newTimePrinter(body.Unit)
	g := &grid{header: []string{"time", "alarm", "version", "name", "kind", "value", "channel", "id"}}
	for _, e := range body.Events {
		channel := ""
		if e.Labels != nil {
			channel = columnName(&api.Channel{Labels: *e.Labels})
		}
		g.add(times.text(e.Time), e.Alarm, number(e.Version), e.Name, e.Kind, e.Value.Text(), channel, e.ID)
	}
	return g
}
