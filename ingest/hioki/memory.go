package hioki

import (
	"bytes"
	"strings"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/refusal"
	"github.com/hokan-db/hokan/ingest/text"
)

// KnowsMemory reports whether a file begins as those of the 8841 and recorders
// of its age, whose header has a key and its values in each line:
//
//	"DATE","01-01-1999"
//	"TIME","10:10:00"
//	"SIGNAL","TIME","ACH 1","LCHA1"
//	"DATA"
//
// From manuals: no real file was seen.
func KnowsMemory(begin []byte) bool {
	found := 0
	for _, line := range bytes.SplitN(begin, []byte{'\n'}, 30) {
		cell, _, _, _ := text.CutCell(line, 0, ',')
		switch string(cell) {
		case "NUM_SIGS", "HORZ_UNITS", "VERT_UNITS", "SIGNAL":
			found++
		}
	}
	return found >= 2
}

// ReadMemory reads the header of such a file.
func ReadMemory(l *text.Lines, o *text.Options) (*text.Layout, *refusal.Error) {
	layout := &text.Layout{Dialect: "hioki-8841", Separator: ',', Mark: '.'}
	var date, clock, horizontal string
	var units, signals []string
	triggerLine := 0
	for room := text.MaxHeaderBytes; ; {
		line, refused := l.HeaderLine(room, `the line "DATA"`)
		if refused != nil {
			return nil, refused
		}
		room -= len(line)
		raw, _ := text.SplitCells(line, ',')
		charset := text.DetectCharset([][]byte{line})
		cells := make([]string, len(raw))
		for i := range raw {
			cells[i] = charset.Decode(raw[i])
		}
		switch cells[0] {
		case "DATE":
			date, triggerLine = strings.Join(cells[1:], ""), l.Number
		case "TIME":
			clock = strings.Join(cells[1:], "")
		case "HORZ_UNITS":
			horizontal = strings.Join(cells[1:], "")
		case "VERT_UNITS":
			units = cells[1:]
		case "SIGNAL":
			signals, layout.ColumnLine = cells[1:], l.Number
		case "DATA":
			return finishMemory(layout, o, []string{date, clock, horizontal}, triggerLine, units, signals)
		}
	}
}

// finishMemory makes the layout from what the header said: said are the date
// (month first), the time of day and the unit of the time column.
func finishMemory(layout *text.Layout, o *text.Options, said []string, triggerLine int, units, signals []string) (*text.Layout, *refusal.Error) {
	for len(signals) > 0 && signals[len(signals)-1] == "" {
		signals = signals[:len(signals)-1]
	}
	if len(signals) < 2 || len(signals) > text.MaxColumns {
		return nil, text.At(layout.ColumnLine, 0, refusal.Malformed, "the header names %d signals, want the time and at least one more", len(signals))
	}
	for i, name := range signals {
		column := text.Column{Kind: text.Number, Name: text.StripBlanks(name)}
		if i == 0 {
			column = text.Column{Kind: text.Time}
		} else if i < len(units) {
			column.Properties = model.Properties{Unit: text.Unit(units[i])}
		}
		layout.Columns = append(layout.Columns, column)
	}
	unit := map[string]time.Duration{"": time.Second, "S": time.Second, "MS": time.Millisecond, "US": time.Microsecond}[strings.ToUpper(said[2])]
	if unit == 0 {
		return nil, text.At(0, 0, refusal.Malformed, "the unit of time is %s, want S, MS or US", text.Shorten(said[2]))
	}
	trigger := said[0] + " " + said[1]
	if d := said[0]; len(d) == 10 { // month, day, year
		trigger = d[6:] + "-" + d[:2] + "-" + d[3:5] + " " + said[1]
	}
	start, refused := o.StartOf(trigger, triggerLine, layout.ColumnLine)
	layout.Clock = text.Clock{Start: start, Unit: int64(unit)}
	return layout, refused
}
