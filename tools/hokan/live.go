package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/api"
)

type liveCommand struct {
	serverFlags
	outputFlags
	Selector string `arg:"" optional:"" default:"{}" help:"Which channels (default all)."`
}

// Help gives examples.
func (c *liveCommand) Help() string {
	return `Prints samples, and starts and ends of alarms, as they are written, until Ctrl-C;
when the server starts again it goes on, and does not show what it missed.
With -o json a line per event of the stream: its kind and its data.

Examples:
  hokan live --server http://127.0.0.1:4180 --token $TOKEN '{instrument="lake"}'
  hokan live -o json`
}

// Validate completes the flags from the environment. The parser calls it.
func (c *liveCommand) Validate() error {
	if err := c.complete(false); err != nil {
		return err
	}
	if c.Server == "" {
		return errors.New("missing flags: --server=URL and --token=T")
	}
	return nil
}

// Run implements the command.
func (c *liveCommand) Run(t *terminal) error {
	own, err := c.connect()
	if err != nil {
		return err
	}
	defer own.Close()
	return own.Follow(t.ctx, c.Selector, c.unit(), func(kind string, data []byte) error {
		if err := c.event(t, kind, data); err != nil {
			return err
		}
		return t.stdout.Flush()
	}, func(why error) {
		if why == nil {
			t.note("connected again; what was written meanwhile is not shown")
			return
		}
		t.note("%v; connecting again", why)
	})
}

// event prints one event of the stream.
func (c *liveCommand) event(t *terminal, kind string, data []byte) error {
	if c.Output == "json" {
		_, err := fmt.Fprintf(t.stdout, "{\"event\":%q,\"data\":%s}\n", kind, data)
		return err
	}
	lines, err := liveLines(kind, data)
	if err != nil {
		return fmt.Errorf("event %s: %w", printable(kind), err)
	}
	if c.Output == "csv" {
		return csv.NewWriter(t.stdout).WriteAll(lines)
	}
	for _, cells := range lines {
		for i := range cells {
			cells[i] = printable(cells[i])
		}
		fmt.Fprintln(t.stdout, strings.Join(cells, "  "))
	}
	return nil
}

// liveLines are the lines of an event: time, channel, value; and for alarms
// what happened and the alarm's name.
func liveLines(kind string, data []byte) ([][]string, error) {
	var lines [][]string
	switch kind {
	case "samples":
		var body struct {
			Unit     string
			Channels []struct {
				Labels model.Labels
				Times  []int64
				Values api.Values
			}
		}
		if err := json.Unmarshal(data, &body); err != nil {
			return nil, err
		}
		times := newTimePrinter(body.Unit)
		for _, ch := range body.Channels {
			for i := range min(len(ch.Times), len(ch.Values)) {
				lines = append(lines, []string{times.text(ch.Times[i]), columnName(&api.Channel{Labels: ch.Labels}), ch.Values[i].Text()})
			}
		}
	case "alarm":
		var body struct {
			api.Event
			Unit string
		}
		if err := json.Unmarshal(data, &body); err != nil {
			return nil, err
		}
		channel := ""
		if body.Labels != nil {
			channel = columnName(&api.Channel{Labels: *body.Labels})
		}
		lines = append(lines, []string{newTimePrinter(body.Unit).text(body.Time), channel, body.Value.Text(), "alarm " + body.Kind, body.Name})
	case "missed":
		var body struct{ Dropped int64 }
		if err := json.Unmarshal(data, &body); err != nil {
			return nil, err
		}
		lines = append(lines, []string{fmt.Sprintf("missed %d samples: too slow to read them", body.Dropped)})
	}
	return lines, nil
}
