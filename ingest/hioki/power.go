package hioki

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/refusal"
	"github.com/hokan-db/hokan/ingest/text"
)

// KnowsPower reports whether a file begins as a power meter's log (PW8001 and
// its kin): one line of names, first of all Date, Time and, somewhere, Status.
// From manuals: no real file was seen.
func KnowsPower(begin []byte) bool {
	line, _, _ := bytes.Cut(bytes.TrimPrefix(begin, []byte("\xEF\xBB\xBF")), []byte{'\n'})
	line = bytes.TrimRight(line, "\r")
	cells, _ := text.SplitCells(line, separatorOf(line))
	has := func(want string) bool {
		for _, cell := range cells {
			if strings.EqualFold(string(cell), want) {
				return true
			}
		}
		return false
	}
	return len(cells) > 4 && strings.EqualFold(string(cells[0]), "Date") && strings.EqualFold(string(cells[1]), "Time") &&
		has("Etime") && has("Status")
}

// powerUnits are the units of the items whose meaning their name tells.
var powerUnits = []struct {
	name *regexp.Regexp
	unit string
}{
	{regexp.MustCompile(`^U(rms|mn|ac|dc|fnd|pk[+-]?)[0-9]*$`), "V"},
	{regexp.MustCompile(`^I(rms|mn|ac|dc|fnd|pk[+-]?)[0-9]*$`), "A"},
	{regexp.MustCompile(`^P(fnd)?[0-9]+$`), "W"},
	{regexp.MustCompile(`^S(fnd)?[0-9]+$`), "VA"},
	{regexp.MustCompile(`^Q(fnd)?[0-9]+$`), "var"},
	{regexp.MustCompile(`^(FREQ|fU|fI|f)[0-9]+$`), "Hz"},
	{regexp.MustCompile(`^WP[+-]?[0-9]+$`), "Wh"},
	{regexp.MustCompile(`^Ih[+-]?[0-9]+$`), "Ah"},
}

// powerWords are what such a meter prints for no measurement: above the range
// of the peak, and a value that it cannot compute.
var powerWords = map[string]float64{
	"99999.9E+99": model.QualityOver.NaN(), "+99999.9E+99": model.QualityOver.NaN(), "-99999.9E+99": model.QualityUnder.NaN(),
	"77777.7E+99": model.QualityNoData.NaN(), "+77777.7E+99": model.QualityNoData.NaN(), "-77777.7E+99": model.QualityNoData.NaN(),
}

// dates are how such a meter may be set to write them.
var dates = []string{"YYYY/MM/DD", "YY/MM/DD", "YYYY-MM-DD", "YY-MM-DD"}

// ReadPower reads the line of names.
func ReadPower(l *text.Lines, o *text.Options) (*text.Layout, *refusal.Error) {
	line, refused := l.HeaderLine(text.MaxHeaderBytes, "a line of names")
	if refused != nil {
		return nil, refused
	}
	layout := &text.Layout{Dialect: "hioki-pw", Mark: '.', Separator: separatorOf(line), ColumnLine: l.Number, Words: powerWords}
	if layout.Separator != ',' {
		layout.Mark = ','
	}
	charset := text.DetectCharset([][]byte{line})
	raw, _ := text.SplitCells(line, layout.Separator)
	for len(raw) > 1 && len(raw[len(raw)-1]) == 0 {
		raw = raw[:len(raw)-1]
		layout.Extra++
	}
	if len(raw) > text.MaxColumns {
		return nil, text.At(l.Number, 0, refusal.Malformed, "%d columns, at most %d", len(raw), text.MaxColumns)
	}
	milliseconds := false
	for _, cell := range raw {
		column := powerColumn(charset.Decode(cell))
		milliseconds = milliseconds || column.Kind == text.Time && len(layout.Columns) > 1
		layout.Columns = append(layout.Columns, column)
	}
	format := powerTime(l.Peek(), layout.Separator)
	if milliseconds {
		format += " ms"
	}
	layout.Clock, refused = o.ClockTimes(text.MustFormat(format), l.Number)
	return layout, refused
}

// powerTime returns how the date and the time of a data line are written.
func powerTime(line []byte, separator byte) string {
	cell, _, _, _ := text.CutCell(line, 0, separator)
	for _, date := range dates {
		if text.MustFormat(date).Fits(cell) {
			return date + " hh:mm:ss"
		}
	}
	return dates[0] + " hh:mm:ss"
}

// powerColumn tells what a column of that name is.
func powerColumn(name string) text.Column {
	column := text.Column{Kind: text.Number, Name: name}
	switch bare := text.Key(name); {
	case bare == "date", bare == "time", bare == "time(ms)":
		return text.Column{Kind: text.Time}
	case strings.HasPrefix(bare, "etime"):
		column.Kind = text.Skip // the time since the start: the same as the time
	case strings.HasPrefix(bare, "status"), bare == "harmstatus":
		column.Kind = text.Hexadecimal
	default:
		if plain, unit := text.SplitUnit(name); unit != "" {
			column.Name, column.Properties.Unit = plain, unit
		}
		for _, known := range powerUnits {
			if known.name.MatchString(column.Name) && column.Properties.Unit == "" {
				column.Properties.Unit = known.unit
			}
		}
	}
	return column
}
