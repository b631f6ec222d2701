package main

import (
	"encoding/csv"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/query"
	"github.com/hokan-db/hokan/server/api"
)

// grid is a result as lines of cells.
type grid struct {
	header []string
	rows   [][]string
}

func (g *grid) add(cells ...string) { g.rows = append(g.rows, cells) }

// print writes a result to stdout in the form asked for: the body as JSON, or
// the grid made from it.
func (o *outputFlags) print(t *terminal, body any, lines func() *grid) error {
	switch o.Output {
	case "json":
		text, err := api.AppendBody(nil, body)
		if err != nil {
			return err
		}
		_, err = t.stdout.Write(append(text, '\n'))
		return err
	case "csv":
		g := lines()
		w := csv.NewWriter(t.stdout)
		if err := w.Write(g.header); err != nil {
			return err
		}
		return w.WriteAll(g.rows)
	}
	lines().align(t)
	return nil
}

// align prints the grid in columns two blanks apart.
func (g *grid) align(t *terminal) {
	lines := make([][]string, 0, 1+len(g.rows))
	lines = append(lines, g.header)
	lines = append(lines, g.rows...)
	widths := make([]int, len(g.header))
	for _, line := range lines {
		for i, cell := range line {
			line[i] = printable(cell)
			widths[i] = max(widths[i], displayWidth(line[i]))
		}
	}
	for _, line := range lines {
		pending := 0
		for i, cell := range line {
			if cell != "" {
				t.stdout.WriteString(strings.Repeat(" ", pending))
				t.stdout.WriteString(cell)
				pending = 0
			}
			pending += widths[i] + 2
			if cell != "" {
				pending -= displayWidth(cell)
			}
		}
		t.stdout.WriteByte('\n')
	}
}

// displayWidth is how many columns of a terminal text takes.
func displayWidth(text string) int {
	n := 0
	for _, r := range text {
		if r < 0x300 {
			n++
			continue
		}
		switch kind := width.LookupRune(r).Kind(); {
		case unicode.Is(unicode.Mn, r):
		case kind == width.EastAsianWide || kind == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// printable escapes what would break a line or steer a terminal, and what is
// not UTF-8.
func printable(text string) string {
	if utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) && r != '\u3000' }) < 0 {
		return text
	}
	quoted := strconv.Quote(text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// timePrinter prints times of a body, which are in the body's unit.
type timePrinter struct {
	unit   query.Unit
	format *query.TimeFormatter
}

func newTimePrinter(unitName string) timePrinter {
	unit, err := query.ParseUnit(unitName)
	if err != nil {
		unit = query.Milliseconds // a body names its unit rightly
	}
	return timePrinter{unit, query.NewTimeFormatter(time.UTC)}
}

// text returns the time as RFC 3339, UTC.
func (p timePrinter) text(at int64) string {
	nanoseconds := at * p.unit.Nanoseconds
	if nanoseconds/p.unit.Nanoseconds != at {
		return strconv.FormatInt(at, 10) + p.unit.Name
	}
	return string(p.format.Append(nil, nanoseconds))
}

// optional is text of a time that may be missing.
func (p timePrinter) optional(at *int64) string {
	if at == nil {
		return ""
	}
	return p.text(*at)
}

// columnName is how a channel is called where it heads a column.
func columnName(c *api.Channel) string {
	name := c.Labels.Instrument() + "/" + c.Labels.Channel()
	if c.Properties.Unit != "" {
		name += "[" + c.Properties.Unit + "]"
	}
	return name
}

// freeLabels are the labels besides instrument and channel, "name=value" with
// blanks between.
func freeLabels(l model.Labels) string {
	var parts []string
	for name, value := range l.All() {
		if name != model.InstrumentLabel && name != model.ChannelLabel {
			parts = append(parts, name+"="+value)
		}
	}
	return strings.Join(parts, " ")
}

func number[N int | int64 | uint64](n N) string { return strconv.FormatInt(int64(n), 10) }
