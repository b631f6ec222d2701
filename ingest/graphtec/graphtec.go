// Package graphtec reads the headers of Graphtec's GL loggers.
//
// A file has keys with values, a block with a line for each channel, and two
// lines above the data, of which the second holds units:
//
//	ベンダ,"GRAPHTEC Corporation"
//	アンプ設定
//	CH,信号名,アンプ,入力,レンジ,温度レンジ,フィルタ,スパン,,単位
//	CH1," CH 1","M",DC,100mV,,Off,+50.00,-50.00,[mV]
//	測定値
//	番号,日付/時間,ms,CH1,Alarm1-10
//	NO.,Time,ms,"mV","A1234567890"
//	         1,2026/09/24 09:01:55,200,+  0.28,LLLLLLLLLL
//
// English models write the same keys in English; GL980 writes the date and the
// time in two columns and counts microseconds. Of those no real file was seen.
package graphtec

import (
	"bytes"
	"strings"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/refusal"
	"github.com/hokan-db/hokan/ingest/text"
)

// Knows reports whether a file names Graphtec in its first lines.
func Knows(begin []byte) bool {
	for _, line := range bytes.SplitN(begin, []byte{'\n'}, 4) {
		if separator := separatorOf(line); separator != 0 {
			cells := split(line, separator)
			if len(cells) > 1 && strings.HasPrefix(strings.ToUpper(cells[1]), "GRAPHTEC") {
				return true
			}
		}
	}
	return false
}

// separatorOf returns what follows the key of a line.
func separatorOf(line []byte) byte {
	for _, c := range line {
		if c == ',' || c == ';' || c == '\t' {
			return c
		}
	}
	return 0
}

// channel is what the block of amplifiers says of one.
type channel struct{ name, unit string }

// header is what stands above the data.
type header struct {
	layout         *text.Layout
	channels       map[string]channel
	nameAt, unitAt int      // cells in the block of amplifiers; 0: not told
	names          []string // of the columns
	units          []string
}

// Read reads the header.
func Read(l *text.Lines, o *text.Options) (*text.Layout, *refusal.Error) {
	h := header{layout: &text.Layout{Dialect: "graphtec-gl", Mark: '.', EmptyIsNo: true, Words: words}, channels: map[string]channel{}}
	if h.layout.Separator = separatorOf(l.Peek()); h.layout.Separator != ',' {
		h.layout.Mark = ','
	}
	var lines [][]byte
	for room := text.MaxHeaderBytes; h.names == nil || h.unitsFollow(l.Peek()); {
		line, refused := l.HeaderLine(room, "a line of column names, which begins with 番号 or Number")
		if refused != nil {
			return nil, refused
		}
		room -= len(line)
		lines = append(lines, line)
		h.take(line, l.Number)
	}
	h.layout.Charset = text.DetectCharset(lines)
	return h.finish(o, l.Peek())
}

// unitsFollow reports whether the line after the names of the columns is one
// of units: its first cell is no number.
func (h *header) unitsFollow(line []byte) bool {
	cell, _, _, _ := text.CutCell(line, 0, h.layout.Separator)
	_, number := text.ParseNumber(cell, '.')
	return h.units == nil && len(cell) > 0 && !number
}

// words are what a GL prints for no number beside those that others print too.
var words = map[string]float64{}

func init() {
	for n := 2; n <= 12; n++ { // as wide as the column
		words[strings.Repeat("-", n)] = model.QualityUnder.NaN()
	}
}

// take reads one line of the header.
func (h *header) take(line []byte, number int) {
	cells := split(line, h.layout.Separator)
	switch first := text.Key(cells[0]); {
	case h.names != nil:
		h.units = cells
	case (first == "番号" || first == "number" || first == "no.") && len(cells) > 2:
		h.names, h.layout.ColumnLine = cells, number
	case first == "ch":
		for i, cell := range cells {
			switch text.Key(cell) {
			case "信号名", "signalname":
				h.nameAt = i
			case "単位", "unit":
				h.unitAt = max(h.unitAt, i)
			}
		}
	case strings.HasPrefix(first, "ch") && h.unitAt > 0 && h.nameAt > 0 && len(cells) > max(h.nameAt, h.unitAt):
		if _, there := h.channels[first]; there {
			break // computations have a block of the same names
		}
		unit := strings.TrimSuffix(strings.TrimPrefix(cells[h.unitAt], "["), "]")
		h.channels[first] = channel{cells[h.nameAt], unit}
	}
}

// dateForm returns how the date in a data line is written: a GL980 follows the
// habits of its place.
func (h *header) dateForm(line []byte, column int) string {
	cells, _ := text.SplitCells(line, h.layout.Separator)
	if column < len(cells) {
		date, _, _ := bytes.Cut(cells[column], []byte{' '})
		for _, form := range []string{"YYYY/MM/DD", "YYYY-MM-DD", "DD/MM/YYYY", "MM/DD/YYYY", "DD.MM.YYYY"} {
			if text.MustFormat(form).Fits(date) {
				return form
			}
		}
	}
	return "YYYY/MM/DD"
}

// finish makes the layout of the columns.
func (h *header) finish(o *text.Options, data []byte) (*text.Layout, *refusal.Error) {
	l := h.layout
	for len(h.names) > 0 && h.names[len(h.names)-1] == "" {
		h.names = h.names[:len(h.names)-1]
		l.Extra++
	}
	if len(h.names) > text.MaxColumns {
		return nil, text.At(l.ColumnLine, 0, refusal.Malformed, "%d columns, at most %d", len(h.names), text.MaxColumns)
	}
	form := ""
	for i, name := range h.names {
		var part string
		column := text.Column{Kind: text.Time}
		switch text.Key(name) {
		case "番号", "number", "no.":
			column = text.Column{Kind: text.Skip}
		case "日付/時間", "日付時間", "date&time", "date/time":
			part = h.dateForm(data, i) + " hh:mm:ss"
		case "日付", "date":
			part = h.dateForm(data, i)
		case "時間", "time":
			if part = "hh:mm:ss"; form == "" {
				part = h.dateForm(data, i) + " hh:mm:ss"
			}
		case "ms":
			part = "ms"
		case "us", "μs", "µs":
			part = "us"
		default:
			column = h.column(name, i)
		}
		form = strings.TrimSpace(form + " " + part)
		l.Columns = append(l.Columns, column)
	}
	format, err := text.ParseFormat(form)
	if err != nil {
		return nil, text.At(l.ColumnLine, 0, refusal.Malformed, "no column holds the time")
	}
	var refused *refusal.Error
	l.Clock, refused = o.ClockTimes(format, l.ColumnLine)
	return l, refused
}

// column returns the column of a channel, or of alarms and logic levels.
func (h *header) column(name string, place int) text.Column {
	c := text.Column{Kind: text.Number, Name: name}
	if key := text.Key(name); strings.HasPrefix(key, "alarm") || strings.HasPrefix(key, "logic") {
		c.Kind = text.Levels
		return c
	}
	described := h.channels[text.Key(name)]
	if described.unit == "" && place < len(h.units) {
		described.unit = h.units[place]
	}
	c.Properties = model.Properties{Unit: text.Unit(described.unit)}
	if text.Key(described.name) != text.Key(name) { // " CH 1" of CH1 is no name
		c.Properties.Name = described.name
	}
	return c
}

func split(line []byte, separator byte) []string {
	charset := text.DetectCharset([][]byte{line})
	raw, _ := text.SplitCells(bytes.TrimRight(line, "\r"), separator)
	cells := make([]string, len(raw))
	for i := range raw {
		cells[i] = charset.Decode(raw[i])
	}
	return cells
}
