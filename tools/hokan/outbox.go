package main

import (
	"strings"

	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/server/api"
)

type outboxCommand struct {
	adminFlags
	outputFlags
	Limit int    `default:"1000" help:"Events of a page (default ${default})."`
	After string `placeholder:"CURSOR" help:"Go on after the page that gave this cursor."`
}

// Help gives examples.
func (c *outboxCommand) Help() string {
	return `Of all tenants, the oldest first. What is not about alarms is kept for 93 days, at
most 1,000 of a tenant and 100,000 of all; of a tenant that is deleted too. Events
of alarms go with their tenant.

Examples:
  hokan outbox --data d
  hokan outbox --token $ADMIN --after 12.0. -o json`
}

// Run implements the command.
func (c *outboxCommand) Run(t *terminal) error {
	if err := checkCount("--limit", c.Limit, policy.TableRows); err != nil {
		return err
	}
	return c.with(t, reading, func(on agreements) error {
		body, err := on.Outbox(t.ctx, c.After, c.Limit, c.unit())
		if err != nil {
			return err
		}
		if err := c.print(t, body, func() *grid { return outboxGrid(body) }); err != nil {
			return err
		}
		if c.Output == "json" {
			return nil
		}
		if body.Trimmed {
			t.note("some were removed before they were read")
		}
		if body.Next != nil {
			t.note("go on later with --after %s", *body.Next)
		}
		return nil
	})
}

func outboxGrid(body *api.OutboxBody) *grid {
	times := newTimePrinter(body.Unit)
	g := &grid{header: []string{"time", "tenant", "kind", "detail", "id"}}
	for i := range body.Events {
		e := &body.Events[i]
		g.add(times.text(e.Time), e.Tenant, e.Kind, outboxText(&e.Detail, times), e.ID)
	}
	return g
}

// outboxText is a detail as "what value" with commas between.
func outboxText(d *api.OutboxDetail, times timePrinter) string {
	var parts []string
	add := func(what, value string) {
		if value != "" {
			parts = append(parts, what+" "+value)
		}
	}
	count := func(what string, n *uint64) {
		if n != nil {
			add(what, number(*n))
		}
	}
	count("used", d.Used)
	count("of", d.Quota)
	add("deadline", times.optional(d.Deadline))
	add("policy", d.Policy)
	count("bytes", d.Bytes)
	if d.Channels != nil {
		add("channels", number(*d.Channels))
	}
	add("reason", d.Reason)
	add("copies by", times.optional(d.CopiesBy))
	if a := d.Alarm; a != nil {
		add("alarm", a.Alarm)
		add("name", a.Name)
		add(a.Kind, a.Value.Text())
		if a.Labels != nil {
			add("channel", columnName(&api.Channel{Labels: *a.Labels}))
		}
	}
	return strings.Join(parts, ", ")
}
