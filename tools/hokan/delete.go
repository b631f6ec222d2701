package main

import "github.com/hokan-db/hokan/server/api"

type deleteCommand struct {
	aboutFlags
	outputFlags
	Selector string `arg:"" help:"Which channels; {} is all."`
	Channels bool   `help:"Delete the channels themselves with all that they have."`
	From     string `placeholder:"TIME" help:"Start of the span (default the first sample)."`
	To       string `placeholder:"TIME" help:"End of the span, itself left out (default just after the last sample)."`
}

// Help gives examples.
func (c *deleteCommand) Help() string {
	return `What is deleted cannot be brought back. It is gone from every answer at once; what
it took on the disk is freed as blocks are merged, by hokan compact or by a server.
What is written later is not touched.

Examples:
  hokan delete --data d --tenant t --from 2026-03-01T00:00:00Z --to 2026-03-02T00:00:00Z '{instrument="lake"}'
  hokan delete --data d --tenant t --channels '{instrument="lake",channel="2-1"}'`
}

// Run implements the command.
func (c *deleteCommand) Run(t *terminal) error {
	if err := c.checkUnit(); err != nil {
		return err
	}
	if c.Channels && (c.From != "" || c.To != "") {
		return api.NewError("malformed", "--channels deletes all that the channels have: it goes without --from and --to")
	}
	wanted := api.Selection{Match: c.Selector, From: c.From, To: c.To}
	return c.change(t, func(from source) error {
		if c.Channels {
			body, err := from.deleteChannels(t.ctx, wanted)
			if err != nil {
				return err
			}
			return c.print(t, body, func() *grid {
				g := &grid{header: []string{"channels"}}
				g.add(number(body.Channels))
				return g
			})
		}
		body, err := from.deleteSamples(t.ctx, wanted)
		if err != nil {
			return err
		}
		return c.print(t, body, func() *grid {
			g := &grid{header: []string{"channels", "offset"}}
			g.add(number(body.Channels), number(body.Offset))
			return g
		})
	})
}
