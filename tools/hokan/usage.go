package main

import (
	"fmt"
	"strconv"

	"github.com/hokan-db/hokan/server/api"
)

type usageCommand struct {
	aboutFlags
	outputFlags
	By *string `placeholder:"WHAT" help:"Show each day by tenant, group or channel, instead of the sum."`
}

// Help gives examples.
func (c *usageCommand) Help() string {
	return `What is charged: samples as they were when they were first compacted, 2 bytes each
before that, and files. What is deleted or has expired is not.

Examples:
  hokan usage --data d --tenant t
  hokan usage --data d --tenant t --by group -o csv`
}

// Run implements the command.
func (c *usageCommand) Run(t *terminal) error {
	if err := c.checkUnit(); err != nil {
		return err
	}
	if by := c.By; by != nil && *by != "tenant" && *by != "group" && *by != "channel" {
		return api.NewError("malformed", fmt.Sprintf("--by %q is none of tenant, group, channel", *by))
	}
	return c.with(t, func(from source) error {
		if c.By != nil {
			body, err := from.usageDays(t.ctx, *c.By)
			if err != nil {
				return err
			}
			return c.print(t, body, func() *grid {
				g := &grid{header: []string{"day", "key", "bytes", "physical"}}
				for _, d := range body.Days {
					g.add(d.Day, d.Key, number(d.Bytes), number(d.Physical))
				}
				return g
			})
		}
		body, err := from.usage(t.ctx, c.unit())
		if err != nil {
			return err
		}
		return c.print(t, body, func() *grid { return usageGrid(body) })
	})
}

func usageGrid(body *api.UsageBody) *grid {
	times := newTimePrinter(body.Unit)
	quota := func(q *uint64) string {
		if q == nil {
			return "none"
		}
		return strconv.FormatUint(*q, 10)
	}
	g := &grid{header: []string{"what", "used", "quota", "state", "deadline", "full at"}}
	g.add("bytes", number(body.Bytes.Used), quota(body.Bytes.Quota), body.State, times.optional(body.Deadline), times.optional(body.FullAt))
	g.add("of files", number(body.Bytes.Files), "", "", "", "")
	g.add("on the disk", number(body.Bytes.Physical), "", "", "", "")
	g.add("channels", number(body.Channels.Used), quota(body.Channels.Quota), "", "", "")
	m := body.MachineBytes
	g.add("machine: log", number(m.Log), "", "", "", "")
	g.add("machine: blocks", number(m.Blocks), "", "", "", "")
	g.add("machine: catalog", number(m.Catalog), "", "", "", "")
	g.add("machine: temporary", number(m.Temporary), "", "", "", "")
	return g
}
