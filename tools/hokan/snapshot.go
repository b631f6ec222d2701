package main

import (
	"path/filepath"

	"github.com/hokan-db/hokan/server/api"
)

type snapshotCommand struct {
	adminFlags
	outputFlags
	Out string `required:"" placeholder:"DIR" help:"Folder of the copy, missing or empty; with --server on the server's machine."`
}

// Help gives examples.
func (c *snapshotCommand) Help() string {
	return `Copies a whole database: every write that was acknowledged before is in it. A server
goes on meanwhile. Files that never change are linked where the file system can, so
that a copy on the same disk takes little room and little time; copy it elsewhere from
there. The copy is a database: open it with --data.

Examples:
  hokan snapshot --data d --out /backup/today
  hokan snapshot --server http://127.0.0.1:4180 --token T --out /backup/today`
}

// Run implements the command.
func (c *snapshotCommand) Run(t *terminal) error {
	if err := c.checkUnit(); err != nil {
		return err
	}
	body, err := c.take(t)
	if err != nil {
		return err
	}
	return c.print(t, body, func() *grid {
		g := &grid{header: []string{"out", "files", "linked", "bytes", "offset"}}
		g.add(body.Out, number(body.Files), number(body.Linked), number(body.Bytes), number(body.Offset))
		return g
	})
}

func (c *snapshotCommand) take(t *terminal) (body *api.SnapshotBody, err error) {
	if c.Server != "" {
		to, err := c.connect()
		if err != nil {
			return nil, err
		}
		defer to.Close()
		return to.Snapshot(t.ctx, api.SnapshotRequest{Out: c.Out})
	}
	out, err := filepath.Abs(c.Out)
	if err != nil {
		return nil, err
	}
	err = (&dataFlags{*c.Data, c.Clock}).withData(t, reading, func(opened *api.API) error {
		body, err = opened.Snapshot(t.ctx, api.SnapshotRequest{Out: out})
		return err
	})
	return body, err
}
