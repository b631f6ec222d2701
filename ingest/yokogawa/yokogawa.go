// Package yokogawa reads the headers of the text files that Yokogawa's paperless
// recorders write (GX, GP, MV1000, DX and FX: display, event and manually
// sampled data).
//
// A file has keys and values with tabs between them, a table of the channels
// and the data; event data has two columns, Min and Max, for each channel:
//
//	YREC
//	Measure Data	Version 1.00.00
//	Ch	0001	0001	Message
//	Tag	TANK	TANK
//	Unit	C	C
//	Type	Meas	Meas	Message
//	Kind	Min	Max	Count
//	Sampling Data
//	2024/05/01 10:00:00	21.3	21.9	0
//
// From manuals: no real file was seen.
package yokogawa

import (
	"bytes"
	"strings"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/refusal"
	"github.com/hokan-db/hokan/ingest/text"
)

// Knows reports whether a file begins as a recorder's text file.
func Knows(begin []byte) bool {
	line, _, _ := bytes.Cut(bytes.TrimPrefix(begin, []byte("\xEF\xBB\xBF")), []byte{'\n'})
	return string(bytes.TrimSpace(line)) == "YREC"
}

var format = text.MustFormat("YYYY/MM/DD hh:mm:ss")

// words are what a recorder prints where it has no value, beside what others
// print too.
var words = map[string]float64{
	"Error": model.QualityMath.NaN(), "ERROR": model.QualityMath.NaN(),
	"Invalid": model.QualityNoData.NaN(), "INVALID": model.QualityNoData.NaN(), "No Data": model.QualityNoData.NaN(),
}

// Read reads the header.
func Read(l *text.Lines, o *text.Options) (*text.Layout, *refusal.Error) {
	layout := &text.Layout{Dialect: "yokogawa-yrec", Separator: '\t', Mark: '.', EmptyIsNo: true, Words: words, End: "M", EndLines: 1}
	rows := map[string][]string{}
	for room := text.MaxHeaderBytes; ; {
		line, refused := l.HeaderLine(room, "samples, which begin with a date")
		if refused != nil {
			return nil, refused
		}
		room -= len(line)
		raw, _ := text.SplitCells(line, '\t')
		charset := text.DetectCharset([][]byte{line})
		cells := make([]string, len(raw))
		for i := range raw {
			cells[i] = charset.Decode(raw[i])
		}
		key := text.Key(cells[0])
		if strings.HasPrefix(key, "reportdata") {
			return nil, text.At(l.Number, 0, refusal.Malformed, "this is a report, not measured data")
		}
		switch key {
		case "ch":
			layout.ColumnLine = l.Number
			rows[key] = cells[1:]
		case "tag", "unit", "kind":
			rows[key] = cells[1:]
		}
		first, _, _, _ := text.CutCell(l.Peek(), 0, '\t')
		if key == "samplingdata" || rows["ch"] != nil && format.Fits(first) {
			break
		}
	}
	return finish(layout, rows, o)
}

// finish makes the columns from the table of the channels.
func finish(layout *text.Layout, rows map[string][]string, o *text.Options) (*text.Layout, *refusal.Error) {
	channels := rows["ch"]
	for len(channels) > 0 && channels[len(channels)-1] == "" {
		channels = channels[:len(channels)-1]
		layout.Extra++
	}
	if len(channels) == 0 || len(channels) > text.MaxColumns {
		return nil, text.At(layout.ColumnLine, 0, refusal.Malformed, "the line Ch names %d channels", len(channels))
	}
	layout.Columns = []text.Column{{Kind: text.Time}}
	for i, name := range channels {
		get := func(key string) string {
			if row := rows[key]; i < len(row) {
				return row[i]
			}
			return ""
		}
		column := text.Column{Kind: text.Number, Name: name, Properties: model.Properties{Name: get("tag"), Unit: text.Unit(get("unit"))}}
		switch kind := get("kind"); {
		case strings.EqualFold(name, "Message"):
			column = text.Column{Kind: text.Skip}
		case strings.EqualFold(kind, "Min"), strings.EqualFold(kind, "Max"):
			column.Name += " " + kind
		}
		layout.Columns = append(layout.Columns, column)
	}
	var refused *refusal.Error
	layout.Clock, refused = o.ClockTimes(format, layout.ColumnLine)
	return layout, refused
}
