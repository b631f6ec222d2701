package main

import (
	"errors"
	"fmt"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/server/api"
)

type verifyCommand struct {
	dataFlags
	outputFlags
}

// Help gives an example.
func (c *verifyCommand) Help() string {
	return `Prints a line per fault: path, offset in bytes, what. Changes nothing. A torn end of
the log, files that nothing names, what was set aside and a repair has settled, and
a folder killed while it was being made are no faults; they are noted on stderr, and
so is that no fault was found.

Example:
  hokan verify --data d`
}

// verified is the result of verify.
type verified struct {
	Faults []faultBody `json:"faults"`
	Notes  []string    `json:"notes"`
}

type faultBody struct {
	Path   string `json:"path"`
	Offset int64  `json:"offset"`
	What   string `json:"what"`
}

// Run implements the command.
func (c *verifyCommand) Run(t *terminal) error {
	if err := c.checkUnit(); err != nil {
		return err
	}
	options, err := c.options(reading)
	if err != nil {
		return err
	}
	body := verified{Faults: []faultBody{}, Notes: []string{}}
	err = engine.Verify(t.ctx, options,
		func(f engine.Fault) { body.Faults = append(body.Faults, faultBody{f.Path, f.Offset, f.What}) },
		func(text string) {
			body.Notes = append(body.Notes, text)
			t.note("note: %s", text)
		})
	if errors.Is(err, engine.ErrNotFound) {
		return api.NewError("not_found", fmt.Sprintf("there is no database in %s", c.Data))
	}
	if errors.Is(err, engine.ErrLocked) {
		return c.onlyAtRest()
	}
	if err != nil {
		return err
	}
	if err := c.printFaults(t, &body); err != nil {
		return err
	}
	switch n := len(body.Faults); {
	case n == 1:
		t.note("corrupt: 1 fault")
	case n > 1:
		t.note("corrupt: %d faults", n)
	case c.Output == "table":
		t.note("no fault found")
	}
	if len(body.Faults) > 0 {
		return exitCode(exitFaults)
	}
	return nil
}

// printFaults prints nothing where there are none, except in JSON.
func (c *verifyCommand) printFaults(t *terminal, body *verified) error {
	if c.Output == "table" {
		for _, f := range body.Faults {
			fmt.Fprintf(t.stdout, "%s\t%d\t%s\n", printable(f.Path), f.Offset, printable(f.What))
		}
		return nil
	}
	return c.print(t, body, func() *grid {
		g := &grid{header: []string{"path", "offset", "what"}}
		for _, f := range body.Faults {
			g.add(f.Path, number(f.Offset), f.What)
		}
		return g
	})
}
