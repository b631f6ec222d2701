package main

import (
	"errors"

	"github.com/hokan-db/hokan/engine"
)

type compactCommand struct {
	dataFlags
	outputFlags
}

// Help gives an example.
func (c *compactCommand) Help() string {
	return `Ends tenants whose time is over and deletes what is due, drops what has expired or
was deleted, writes what the log holds into blocks, and merges blocks by month, with
rollups, until nothing is left to do. A server does it by itself.

Example:
  hokan compact --data d -o json`
}

// compacted is the result of compact.
type compacted struct {
	Before size `json:"before"`
	After  size `json:"after"`
}

// size is what all blocks together take.
type size struct {
	Files       int    `json:"files"`
	RawBytes    uint64 `json:"raw_bytes"`
	RollupBytes uint64 `json:"rollup_bytes"`
	IndexBytes  uint64 `json:"index_bytes"`
}

func sizeOf(s engine.Stats) size {
	return size{Files: s.Blocks, RawBytes: s.RawBytes, RollupBytes: s.RollupBytes, IndexBytes: s.IndexBytes}
}

// Run implements the command.
func (c *compactCommand) Run(t *terminal) (err error) {
	if err := c.checkUnit(); err != nil {
		return err
	}
	opened, err := c.openData(t, writing)
	if errors.Is(err, engine.ErrLocked) {
		return c.onlyAtRest()
	}
	if err != nil {
		return err
	}
	defer func() {
		if closing := opened.DB.Close(); err == nil {
			err = closing
		}
	}()
	before, err := opened.DB.Stats()
	if err != nil {
		return err
	}
	// What is due goes first: what it deletes need not be merged.
	if err := opened.Tenants.Sweep(t.ctx); err != nil {
		return err
	}
	if err := opened.DB.Compact(t.ctx); err != nil {
		return err
	}
	after, err := opened.DB.Stats()
	if err != nil {
		return err
	}
	body := compacted{sizeOf(before), sizeOf(after)}
	return c.print(t, body, func() *grid {
		g := &grid{header: []string{"", "files", "raw bytes", "rollup bytes", "index bytes"}}
		row := func(when string, s size) {
			g.add(when, number(s.Files), number(s.RawBytes), number(s.RollupBytes), number(s.IndexBytes))
		}
		row("before", body.Before)
		row("after", body.After)
		return g
	})
}
