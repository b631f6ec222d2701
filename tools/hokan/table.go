package main

import (
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/server/api"
)

type tableCommand struct {
	tenantFlags
	outputFlags
	spanFlags
	Limit int    `default:"1000" help:"Rows of a page (default ${default})."`
	After string `placeholder:"CURSOR" help:"Go on after the page that gave this cursor."`
}

// Help gives examples.
func (c *tableCommand) Help() string {
	return `Examples:
  hokan table --data d --tenant t --limit 20
  hokan table --data d --tenant t --from now-1d '{instrument="lake"}' -o csv`
}

// Run implements the command.
func (c *tableCommand) Run(t *terminal) error {
	if err := checkCount("--limit", c.Limit, policy.TableRows); err != nil {
		return err
	}
	return c.with(t, func(from source) error {
		body, err := from.Table(t.ctx, api.TableRequest{
			Selection: api.Selection{Match: c.Selector, From: c.From, To: c.To, Unit: c.unit()},
			Limit:     c.Limit, After: c.After,
		})
		if err != nil {
			return err
		}
		if err := c.print(t, body, func() *grid { return tableGrid(body) }); err != nil {
			return err
		}
		if body.Next != nil && c.Output != "json" {
			t.note("there are more rows: --after %s", *body.Next)
		}
		return nil
	})
}

func tableGrid(body *api.TableBody) *grid {
	times := newTimePrinter(body.Unit)
	g := &grid{header: []string{"time"}}
	for i := range body.Channels {
		g.header = append(g.header, columnName(&body.Channels[i]))
	}
	for i, at := range body.Times {
		cells := make([]string, 0, len(g.header))
		cells = append(cells, times.text(at))
		for _, v := range body.Rows.Row(i) {
			cells = append(cells, v.Text())
		}
		g.add(cells...)
	}
	return g
}
