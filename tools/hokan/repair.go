package main

import (
	"errors"
	"fmt"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/server/api"
)

type repairCommand struct {
	dataFlags
	outputFlags
}

// Help gives an example.
func (c *repairCommand) Help() string {
	return `Makes a damaged database whole again as far as that can be: it rebuilds the catalog
from checkpoints, log and blocks, takes what is readable out of damaged blocks, and
gives up what cannot be read. It deletes nothing: what is damaged or left over is
renamed to end in .quarantine. What was deleted stays deleted. The report says what
was rebuilt, what was set aside and what is lost or cannot be known; it is kept in
DIR/REPAIRED too. Copy the folder first if you can.

Exit: 0 nothing is lost, 3 something is or may be.

Example:
  hokan repair --data d -o json`
}

// Run implements the command.
func (c *repairCommand) Run(t *terminal) error {
	if err := c.checkUnit(); err != nil {
		return err
	}
	options, err := c.options(writing)
	if err != nil {
		return err
	}
	report, err := engine.Repair(t.ctx, options)
	if errors.Is(err, engine.ErrNotFound) && !errors.Is(err, engine.ErrCorrupt) {
		return api.NewError("not_found", fmt.Sprintf("there is no database in %s", c.Data))
	}
	if errors.Is(err, engine.ErrLocked) {
		return c.onlyAtRest()
	}
	if err != nil {
		return err
	}
	err = c.print(t, report, func() *grid {
		g := &grid{header: []string{"", "path", "what"}}
		for _, part := range []struct {
			word  string
			items []engine.RepairItem
		}{{"rebuilt", report.Rebuilt}, {"set aside", report.SetAside}, {"unknown", report.Unknown}} {
			for _, item := range part.items {
				g.add(part.word, item.Path, item.What)
			}
		}
		return g
	})
	switch {
	case err != nil:
		return err
	case report.Empty():
		t.note("there was nothing to repair")
	case len(report.Unknown) == 1:
		t.note("repaired; 1 thing is lost or cannot be known")
		return exitCode(exitPartial)
	case len(report.Unknown) > 0:
		t.note("repaired; %d things are lost or cannot be known", len(report.Unknown))
		return exitCode(exitPartial)
	default:
		t.note("repaired; nothing is lost")
	}
	return nil
}
