package main

import "github.com/hokan-db/hokan/server/api"

type channelsCommand struct {
	tenantFlags
	outputFlags
	Selector string `arg:"" optional:"" default:"{}" help:"Which channels (default all)."`
}

// Help gives examples.
func (c *channelsCommand) Help() string {
	return `Examples:
  hokan channels --data d --tenant t
  hokan channels --data d --tenant t '{instrument="lake",unit="V"}' -o json`
}

// Run implements the command.
func (c *channelsCommand) Run(t *terminal) error {
	return c.with(t, func(from source) error {
		body, err := from.Channels(t.ctx, api.Selection{Match: c.Selector, Unit: c.unit()})
		if err != nil {
			return err
		}
		return c.print(t, body, func() *grid {
			times := newTimePrinter(body.Unit)
			g := &grid{header: []string{"instrument", "channel", "name", "unit", "group", "labels", "first", "last", "samples"}}
			for _, ch := range body.Channels {
				p := ch.Properties
				g.add(ch.Labels.Instrument(), ch.Labels.Channel(), p.Name, p.Unit, p.Group, freeLabels(ch.Labels),
					times.optional(ch.First), times.optional(ch.Last), number(ch.Samples))
			}
			return g
		})
	})
}

type latestCommand struct {
	tenantFlags
	outputFlags
	Selector string `arg:"" optional:"" default:"{}" help:"Which channels (default all)."`
}

// Help gives examples.
func (c *latestCommand) Help() string {
	return `Examples:
  hokan latest --data d --tenant t
  hokan latest --data d --tenant t '{channel=~"2-.*"}' -o csv`
}

// Run implements the command.
func (c *latestCommand) Run(t *terminal) error {
	return c.with(t, func(from source) error {
		body, err := from.Latest(t.ctx, api.Selection{Match: c.Selector, Unit: c.unit()})
		if err != nil {
			return err
		}
		return c.print(t, body, func() *grid {
			times := newTimePrinter(body.Unit)
			g := &grid{header: []string{"instrument", "channel", "name", "time", "value", "unit", "labels"}}
			for _, ch := range body.Channels {
				g.add(ch.Labels.Instrument(), ch.Labels.Channel(), ch.Properties.Name,
					times.optional(ch.Time), ch.Value.Text(), ch.Properties.Unit, freeLabels(ch.Labels))
			}
			return g
		})
	})
}
