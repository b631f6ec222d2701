package mapping

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/refusal"
	"github.com/hokan-db/hokan/ingest/text"
)

// Read makes the layout of a table that the map describes completely, as
// Guess returns it.
func (m *Map) Read(l *text.Lines, o *text.Options) (*text.Layout, *refusal.Error) {
	begin, whole := l.Beginning()
	layout := &text.Layout{Dialect: "csv", Separator: m.Separator, Mark: m.Decimal, ColumnLine: m.Header,
		Charset: text.DetectCharset(wholeLines(begin, whole))}
	var names []string
	for l.Number < max(m.Header, m.Data-1) {
		line, refused := l.HeaderLine(text.MaxHeaderBytes, fmt.Sprintf("line %d, where the map says that data begin", max(m.Header+1, m.Data)))
		if refused != nil {
			return nil, refused
		}
		if l.Number == m.Header {
			names = decodeAll(line, m.Separator, layout.Charset)
		}
	}
	names = trimEmpty(names, &layout.Extra)
	names = atLeast(names, l.Peek(), m.Separator)
	if len(names) > text.MaxColumns {
		return nil, text.At(m.Header, 0, refusal.Malformed, "%d columns, at most %d", len(names), text.MaxColumns)
	}
	layout.Columns = make([]text.Column, len(names))
	for i, name := range names {
		if layout.Columns[i].Name = name; name == "" {
			layout.Columns[i].Name = fmt.Sprintf("column %d", i+1)
		}
	}
	if refused := m.place(layout, names); refused != nil {
		return nil, refused
	}
	m.cells(layout)
	if m.doubt != "" {
		layout.Warnings = append(layout.Warnings, fmt.Sprintf("it is guessed that times are %s; %s would fit as well: say which with format=", m.Format, m.doubt))
	}
	if len(m.left) > 0 {
		layout.Warnings = append(layout.Warnings, "columns not taken: "+m.leftText())
	}
	return layout, m.clock(layout, o, l.Peek())
}

// leftText lists the columns that the guess did not take, the first 20 by name.
func (m *Map) leftText() string {
	const most = 20
	if len(m.left) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(m.left[:most], ", "), len(m.left)-most)
	}
	return strings.Join(m.left, ", ")
}

// place puts the time and the channels of the map into the columns.
func (m *Map) place(l *text.Layout, names []string) *refusal.Error {
	last := -1
	for _, ref := range m.Time {
		i, refused := ref.find(names, m.Header)
		if refused != nil {
			return refused
		}
		if i <= last {
			return text.At(m.Header, i+1, refusal.Malformed, "the columns of the time are not in the order of the file")
		}
		last = i
		l.Columns[i] = text.Column{Kind: text.Time}
	}
	used := map[string]bool{}
	for _, pick := range m.Channels {
		i, refused := pick.find(names, m.Header)
		if refused != nil {
			return refused
		}
		if l.Columns[i].Kind != text.Skip {
			return text.At(m.Header, i+1, refusal.Malformed, "the column %s is told twice", text.Shorten(names[i]))
		}
		said := pick.As
		if said == "" {
			said = names[i]
		}
		name, unit := splitUnit(said)
		if name == "" {
			name = fmt.Sprintf("column %d", i+1)
		}
		if used[name] {
			name = fmt.Sprintf("%s (column %d)", name, i+1)
		}
		used[name] = true
		l.Columns[i] = text.Column{Kind: text.Number, Name: name, Properties: model.Properties{Unit: unit}}
	}
	return nil
}

// find returns the place of a column.
func (r Ref) find(names []string, line int) (int, *refusal.Error) {
	if r.Number > 0 {
		if r.Number > len(names) {
			return 0, text.At(line, 0, refusal.Malformed, "the map names column %d, the file has %d", r.Number, len(names))
		}
		return r.Number - 1, nil
	}
	found := -1
	for i, name := range names {
		if name != r.Name {
			if bare, _ := splitUnit(name); bare != r.Name {
				continue
			}
		}
		if found >= 0 {
			return 0, text.At(line, i+1, refusal.Malformed, "columns %d and %d have the name %s: give the number", found+1, i+1, text.Shorten(r.Name))
		}
		found = i
	}
	if found < 0 {
		return 0, text.At(line, 0, refusal.Malformed, "the map names a column %s, which the file has not", text.Shorten(r.Name))
	}
	return found, nil
}

// cells tells the layout what stands for numbers and for no data.
func (m *Map) cells(l *text.Layout) {
	l.Words = map[string]float64{}
	for _, word := range m.Words {
		l.Words[word.Text] = word.Number
	}
	for _, marker := range m.Missing {
		if marker == "" {
			l.EmptyIsNo = true
			continue
		}
		l.Words[marker] = model.QualityNoData.NaN()
		if v, ok := text.ParseNumber([]byte(marker), l.Mark); ok {
			l.Missing = append(l.Missing, v)
		}
	}
}

// clock tells the layout how lines tell their time.
func (m *Map) clock(l *text.Layout, o *text.Options, first []byte) (refused *refusal.Error) {
	told := *o
	if told.Zone == nil && m.Zone != "" {
		told.Zone, _ = model.LoadZone(m.Zone) // it was checked
	}
	if told.Start == "" {
		told.Start = m.Start
	}
	if m.Time == nil && m.Interval == 0 {
		return text.At(m.Header, 0, refusal.Malformed, "no column holds a time: say which with --map time=…, or --map interval=…,start=…")
	}
	clock, err := clockOf(m.Format)
	switch {
	case m.Interval > 0:
		l.Clock = text.Clock{Interval: int64(m.Interval)}
	case err != nil:
		return text.At(m.Header, 0, refusal.BadTime, "the format of the time: %v", err)
	case clock.Format != nil:
		if told.Zone == nil && told.Start == "" && m.hasOffset(first, clock.Format, l) {
			l.Clock = clock // a line without one is refused
			return nil
		}
		l.Clock, refused = told.ClockTimes(clock.Format, m.Header)
		return refused
	case strings.HasPrefix(m.Format, "unix"):
		l.Clock = clock
		return nil
	default:
		l.Clock = clock
	}
	l.Clock.Start, refused = told.StartOf("", 0, m.Header)
	return refused
}

// hasOffset reports whether the time in a data line says how far from UTC it
// is.
func (m *Map) hasOffset(line []byte, format *text.Format, l *text.Layout) bool {
	cells, _ := text.SplitCells(line, l.Separator)
	for i, column := range l.Columns {
		if column.Kind == text.Time && i < len(cells) {
			return len(m.Time) == 1 && format.HasOffset(cells[i])
		}
	}
	return false
}

// wholeLines cuts off a last line that the beginning of a file ends within.
func wholeLines(begin []byte, whole bool) [][]byte {
	begin = bytes.TrimPrefix(begin, []byte("\xEF\xBB\xBF"))
	lines := bytes.Split(begin, []byte{'\n'})
	if !whole && len(lines) > 1 {
		lines = lines[:len(lines)-1]
	}
	return lines
}

func decodeAll(line []byte, separator byte, charset text.Charset) []string {
	raw, _ := text.SplitCells(line, separator)
	cells := make([]string, len(raw))
	for i := range raw {
		cells[i] = charset.Decode(raw[i])
	}
	return cells
}

// trimEmpty takes empty names off the end and counts them.
func trimEmpty(names []string, count *int) []string {
	for len(names) > 0 && names[len(names)-1] == "" {
		names = names[:len(names)-1]
		*count++
	}
	return names
}

// atLeast gives every cell of a data line a name: "" to those after the last
// name or, where one name is missing, to the first, as tables are written whose
// rows have a number.
func atLeast(names []string, line []byte, separator byte) []string {
	cells, _ := text.SplitCells(line, separator)
	for len(cells) > 0 && len(cells[len(cells)-1]) == 0 {
		cells = cells[:len(cells)-1]
	}
	if len(names) > 0 && len(cells) == len(names)+1 {
		return append([]string{""}, names...)
	}
	for len(names) < len(cells) {
		names = append(names, "")
	}
	return names
}

// splitUnit splits the name of a column into name and unit: "T [C]",
// "Voltage / V" or, where what stands in parentheses is a unit that is known,
// "Current(A)".
func splitUnit(column string) (name, unit string) {
	if name, unit := text.SplitUnit(column); unit != "" {
		return name, unit
	}
	if name, unit, ok := strings.Cut(column, " / "); ok && name != "" && len(unit) < 12 {
		return strings.TrimSpace(name), text.Unit(unit)
	}
	if open := strings.LastIndexByte(column, '('); open > 0 && strings.HasSuffix(column, ")") {
		if unit := column[open+1 : len(column)-1]; knownUnits[unit] {
			return strings.TrimSpace(column[:open]), unit
		}
	}
	return column, ""
}

// knownUnits are those that parentheses after a name are taken for; any other
// may be a part of the name.
var knownUnits = func() map[string]bool {
	known := map[string]bool{}
	for _, unit := range strings.Fields("V mV uV µV kV A mA uA µA kA W mW kW MW Wh mWh kWh MWh Ah mAh VA kVA var kvar Hz kHz MHz s ms us min h " +
		"C °C ℃ degC F °F K Pa hPa kPa MPa bar mbar psi m mm cm km um µm m/s m/s2 m/s^2 km/h mph g kg mg t N kN Nm rpm r/min " +
		"l/min L/min m3/h % %RH ppm ppb ohm Ω mΩ mO kΩ MΩ lx lm W/m2 W/m^2 dB dBm deg ° rad mAh/g mWh/g mAh/V mAh/V.g mohm") {
		known[unit] = true
	}
	return known
}()
