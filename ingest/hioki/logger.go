package hioki

import (
	"bytes"
	"strings"
	"time"

	"github.com/hokan-db/hokan/ingest/refusal"
	"github.com/hokan-db/hokan/ingest/text"
)

// KnowsLogger reports whether a file begins as a logger's or recorder's: with
// a key of their headers or, where people deleted the header, with a column
// line whose first cell is the time, above a number of seconds.
func KnowsLogger(begin []byte) bool {
	lines := bytes.SplitN(bytes.TrimPrefix(begin, []byte("\xEF\xBB\xBF")), []byte{'\n'}, maxHeaderLines)
	for i, line := range lines {
		line = bytes.TrimRight(line, "\r")
		first, next, _, open := text.CutCell(line, 0, separatorOf(line))
		switch keyNames[text.Key(decodeAlone(first))] {
		case "file", "trigger":
			return next < len(line) || open
		}
		if i == 0 && bytes.HasPrefix(line, []byte(`"File name`)) {
			return true // and ends within it
		}
		if isColumnLine(line) {
			return !datesFirst(first) && isSeconds(nextLine(lines[i+1:]), separatorOf(line))
		}
		if i > 20 {
			return false
		}
	}
	return false
}

// datesFirst reports whether the first column is called a date: that of a
// logger without a header counts seconds.
func datesFirst(cell []byte) bool {
	name := text.Key(decodeAlone(cell))
	return strings.HasPrefix(name, "date") || strings.HasPrefix(name, "日")
}

// nextLine returns the first line that is not blank, or nil.
func nextLine(lines [][]byte) []byte {
	for _, line := range lines {
		if line = bytes.TrimRight(line, "\r"); len(bytes.Trim(line, " \t")) > 0 {
			return line
		}
	}
	return nil
}

// isSeconds reports whether the first cell of a data line is a number, or the
// file ends before one.
func isSeconds(line []byte, separator byte) bool {
	if line == nil {
		return true
	}
	cell, _, _, _ := text.CutCell(line, 0, separator)
	_, ok := text.ParseNumber(cell, ',')
	return ok
}

// ReadLogger reads the header of a logger's or recorder's file.
func ReadLogger(l *text.Lines, o *text.Options) (*text.Layout, *refusal.Error) {
	h, refused := readHeader(l)
	if refused != nil {
		return nil, refused
	}
	layout := &text.Layout{
		Dialect: h.dialect(), Charset: h.charset, Separator: h.separator, Mark: h.mark,
		Columns: h.layoutColumns(), ColumnLine: h.columnLine, Extra: h.cells - len(h.columns),
	}
	cell, _, _, _ := text.CutCell(l.Peek(), 0, h.separator)
	format := clockFormat(cell)
	if format != nil {
		layout.Dialect = "hioki-clock"
		layout.Clock, refused = o.ClockTimes(format, h.columnLine)
		return layout, refused
	}
	layout.Clock = text.Clock{Unit: int64(time.Second), Duration: bytes.IndexByte(cell, ':') > 0}
	if unit, _ := timeUnit(h.columns[0]); unit != "" && unit != "s" && unit != "sec" && unit != "秒" && !layout.Clock.Duration {
		return nil, text.At(h.columnLine, 1, refusal.Malformed, "the time column %q is not in seconds", h.columns[0])
	}
	layout.Clock.Start, refused = o.StartOf(h.trigger, h.triggerLine, h.columnLine)
	return layout, refused
}

// clockFormats are how PC software writes a date and time of day in the first
// column, with and without a unit behind it. From descriptions: no real file
// was seen.
var clockFormats = []*text.Format{
	text.MustFormat("YYYY-MM-DD hh:mm:sss"), text.MustFormat("YY-MM-DD hh:mm:sss"),
	text.MustFormat("YYYY-MM-DD hh:mm:ss"), text.MustFormat("YY-MM-DD hh:mm:ss"),
	text.MustFormat("YYYY/MM/DD hh:mm:ss"), text.MustFormat("YY/MM/DD hh:mm:ss"),
	text.MustFormat("YYYY-MM-DD hh:mm"), text.MustFormat("YYYY/MM/DD hh:mm"),
}

// clockFormat returns how a cell is written, or nil if it is no such time.
func clockFormat(cell []byte) *text.Format {
	for _, format := range clockFormats {
		if format.Fits(cell) {
			return format
		}
	}
	return nil
}
