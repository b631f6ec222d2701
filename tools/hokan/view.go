package main

import (
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/server/api"
)

type viewCommand struct {
	tenantFlags
	outputFlags
	spanFlags
	Buckets int `default:"1366" placeholder:"N" help:"About so many buckets: they are whole and begin on round times, so there may be one more (default ${default})."`
}

// Help gives examples.
func (c *viewCommand) Help() string {
	return `At most 32 channels. Buckets without a sample are left out of table and csv.

Examples:
  hokan view --data d --tenant t --buckets 24 '{channel="2-1"}'
  hokan view --data d --tenant t --from 2022-06-06T22:00:00Z --to 2022-06-07T22:00:00Z -o json`
}

// Run implements the command.
func (c *viewCommand) Run(t *terminal) error {
	if err := checkCount("--buckets", c.Buckets, policy.ViewBuckets); err != nil {
		return err
	}
	return c.with(t, func(from source) error {
		body, err := from.View(t.ctx, api.ViewRequest{
			Selection: api.Selection{Match: c.Selector, From: c.From, To: c.To, Unit: c.unit()}, Buckets: c.Buckets,
		})
		if err != nil {
			return err
		}
		return c.print(t, body, func() *grid { return viewGrid(body) })
	})
}

func viewGrid(body *api.ViewBody) *grid {
	times := newTimePrinter(body.Unit)
	g := &grid{header: []string{"channel", "from", "count", "quality", "min", "max", "mean", "sum", "first", "last"}}
	for i := range body.Channels {
		c := &body.Channels[i]
		name := columnName(&c.Channel)
		for b := range c.Count {
			if c.Count[b]+c.Quality[b] == 0 {
				continue
			}
			g.add(name, times.text(body.From+int64(b)*body.Width), number(c.Count[b]), number(c.Quality[b]),
				c.Min[b].Text(), c.Max[b].Text(), c.Mean[b].Text(), c.Sum[b].Text(), c.First[b].Text(), c.Last[b].Text())
		}
	}
	return g
}
