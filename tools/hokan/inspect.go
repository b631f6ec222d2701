package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/query"
	"github.com/hokan-db/hokan/server/api"
)

type inspectCommand struct {
	dataFlags
	outputFlags
	Tenant   string `placeholder:"T" help:"Only this tenant's blocks (default every tenant's)."`
	Selector string `arg:"" optional:"" default:"{}" help:"Which channels (default all)."`
}

// Help explains the columns and gives examples.
func (c *inspectCommand) Help() string {
	return `Prints how every chunk of every block is kept: in which form it was written, how
the numbers are turned into integers (mode), what is subtracted from each
(predictor), how the rest is packed (coder), how its times are kept, and the bytes
of both. What is in no block yet is left out.

Examples:
  hokan inspect --data d
  hokan inspect --data d '{instrument="lake"}' -o json`
}

// inspected is the result of inspect.
type inspected struct {
	Unit   string           `json:"unit"`
	Blocks []inspectedBlock `json:"blocks"`
}

type inspectedBlock struct {
	File   string           `json:"file"`
	Tenant model.Tenant     `json:"tenant"`
	Level  string           `json:"level"`
	From   int64            `json:"from"`
	To     int64            `json:"to"`
	Bytes  uint64           `json:"bytes"`
	Chunks []inspectedChunk `json:"chunks"`
}

type inspectedChunk struct {
	Labels     model.Labels `json:"labels"`
	Encoding   string       `json:"encoding"`
	Rows       uint64       `json:"rows"`
	Mode       string       `json:"mode"`
	Predictor  string       `json:"predictor"`
	Coder      string       `json:"coder"`
	Times      string       `json:"times"`
	TimeBytes  uint64       `json:"time_bytes"`
	ValueBytes uint64       `json:"value_bytes"`
}

// Run implements the command.
func (c *inspectCommand) Run(t *terminal) error {
	unit, err := query.ParseUnit(c.unit())
	if err != nil {
		return err
	}
	match, err := model.ParseSelector(c.Selector)
	if err != nil {
		return err
	}
	if c.Tenant != "" {
		if err := model.Tenant(c.Tenant).Validate(); err != nil {
			return err
		}
	}
	body := inspected{Unit: unit.Name, Blocks: []inspectedBlock{}}
	err = c.withData(t, reading, func(opened *api.API) error {
		return opened.DB.Inspect(t.ctx, model.Tenant(c.Tenant), match, func(b *engine.BlockInfo) error {
			body.Blocks = append(body.Blocks, inspectedOf(b, unit))
			return nil
		})
	})
	if errors.Is(err, engine.ErrLocked) {
		return c.onlyAtRest()
	}
	if err != nil {
		return err
	}
	return c.print(t, body, body.grid)
}

func inspectedOf(b *engine.BlockInfo, unit query.Unit) inspectedBlock {
	block := inspectedBlock{
		File: b.File, Tenant: b.Tenant, Level: b.Level,
		From: unit.Floor(b.Span.From), To: unit.Floor(b.Span.To), Bytes: b.Bytes,
	}
	for i := range b.Chunks {
		k := &b.Chunks[i]
		block.Chunks = append(block.Chunks, inspectedChunk{
			k.Labels, k.Encoding, k.Rows, k.Mode, k.Predictor, k.Coder, k.Times, k.TimeBytes, k.ValueBytes})
	}
	return block
}

// grid has a line per chunk.
func (body *inspected) grid() *grid {
	times := newTimePrinter(body.Unit)
	g := &grid{header: []string{"tenant", "level", "from", "instrument", "channel", "labels", "rows",
		"encoding", "mode", "predictor", "coder", "times", "time bytes", "value bytes", "bytes/row"}}
	for i := range body.Blocks {
		b := &body.Blocks[i]
		from, _, _ := strings.Cut(times.text(b.From), "T")
		for j := range b.Chunks {
			k := &b.Chunks[j]
			g.add(string(b.Tenant), b.Level, from, k.Labels.Instrument(), k.Labels.Channel(), freeLabels(k.Labels),
				number(k.Rows), k.Encoding, k.Mode, k.Predictor, k.Coder, k.Times, number(k.TimeBytes), number(k.ValueBytes),
				fmt.Sprintf("%.3f", float64(k.TimeBytes+k.ValueBytes)/float64(k.Rows)))
		}
	}
	return g
}
