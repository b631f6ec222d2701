// Package keyence reads the headers of Keyence's NR-500 loggers.
//
// A file has keys with values, a table of the channels, a line #EndHeader that
// names the columns but the microseconds', the data, and marks behind them:
//
//	#BeginHeader,57
//	チャンネル番号,,(1)TH-CH01,(2)TH-CH01
//	波形名,,"Channel01","Channel01"
//	単位,,"ﾟC","ﾟC"
//	#EndHeader,日時(μs),(1)TH-CH01,(2)TH-CH01
//	2023/02/07 10:03:49,657000,-12.30,2.80
//	#BeginMark,3
package keyence

import (
	"bytes"
	"strings"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/refusal"
	"github.com/hokan-db/hokan/ingest/text"
)

// Knows reports whether a file begins as an NR-500's.
func Knows(begin []byte) bool {
	return bytes.HasPrefix(begin, []byte("#BeginHeader,")) || bytes.HasPrefix(begin, []byte("\xEF\xBB\xBF#BeginHeader,"))
}

// keys of the table of the channels, in Japanese and English.
var keys = map[string]string{
	"チャンネル番号": "number", "channelno.": "number", "channelnumber": "number",
	"波形名": "name", "wavename": "name", "waveformname": "name",
	"単位": "unit", "unit": "unit",
	"スケーリング": "scaling", "scaling": "scaling",
}

var format = text.MustFormat("YYYY/MM/DD hh:mm:ss us")

// Read reads the header.
func Read(l *text.Lines, o *text.Options) (*text.Layout, *refusal.Error) {
	var header [][]byte
	for room := text.MaxHeaderBytes; ; {
		line, refused := l.HeaderLine(room, "a line #EndHeader")
		if refused != nil {
			return nil, refused
		}
		room -= len(line)
		header = append(header, line)
		if bytes.HasPrefix(line, []byte("#EndHeader")) {
			break
		}
	}
	layout := &text.Layout{
		Dialect: "keyence-nr500", Charset: text.DetectCharset(header), Separator: ',', Mark: '.',
		ColumnLine: l.Number, EmptyIsNo: true,
		End: "#", EndLines: 3, // #BeginMark, names, #EndMark
	}
	rows := map[string][]string{} // of the table, by number as in the column line
	for _, line := range header {
		cells := split(line, layout.Charset)
		if key := keys[text.Key(cells[0])]; key != "" && len(cells) > 2 {
			rows[key] = cells[2:]
		}
	}
	names := split(header[len(header)-1], layout.Charset)
	if len(names) < 3 || len(names) > text.MaxColumns {
		return nil, text.At(l.Number, 0, refusal.Malformed, "the line #EndHeader names %d columns, want the time and at least one more", len(names)-1)
	}
	layout.Columns = []text.Column{{Kind: text.Time}, {Kind: text.Time}}
	for _, name := range names[2:] {
		layout.Columns = append(layout.Columns, column(name, rows))
	}
	var refused *refusal.Error
	layout.Clock, refused = o.ClockTimes(format, l.Number)
	return layout, refused
}

// column returns the column of that number, with what the table says of it.
func column(number string, rows map[string][]string) text.Column {
	c := text.Column{Kind: text.Number, Name: number}
	for i, listed := range rows["number"] {
		if listed != number {
			continue
		}
		get := func(key string) string {
			if row := rows[key]; i < len(row) {
				return row[i]
			}
			return ""
		}
		c.Properties = model.Properties{Name: get("name"), Unit: text.Unit(get("unit"))}
		if scaling := get("scaling"); scaling != "***" && !strings.EqualFold(scaling, "OFF") {
			c.Properties.Scaling = scaling
		}
		break
	}
	return c
}

func split(line []byte, charset text.Charset) []string {
	raw, _ := text.SplitCells(line, ',')
	cells := make([]string, len(raw))
	for i := range raw {
		cells[i] = charset.Decode(raw[i])
	}
	return cells
}
