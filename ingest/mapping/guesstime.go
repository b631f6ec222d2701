package mapping

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hokan-db/hokan/ingest/text"
)

// How dates and times of day are written, the usual first: where several fit a
// file alike, the first is taken.
var (
	dateForms = []string{"YYYY-MM-DD", "YYYY/MM/DD", "YYYY.MM.DD", "DD/MM/YYYY", "MM/DD/YYYY", "DD.MM.YYYY", "DD-MM-YYYY", "MM-DD-YYYY",
		"YY-MM-DD", "YY/MM/DD", "DD/MM/YY", "MM/DD/YY", "DD.MM.YY", "DD-MMM-YYYY", "DD MMM YYYY", "MMM DD YYYY", "YYYY年MM月DD日"}
	dayForms = []string{"hh:mm:ss", "hh:mm", "hh:mm:ss AP", "hh:mm AP", "hh.mm.ss", "hh.mm"}
	bareDate = []string{"YYYYMMDDhhmmss", "YYYYMMDDhhmm", "YYYYMMDD hhmmss", "YYYYMMDD hh:mm:ss", "YYYYMMDD hh:mm", "YYYYMMDD"}
)

// stampFormats are all of them, those without separators first.
var stampFormats = sync.OnceValue(func() (formats []*text.Format) {
	for _, bare := range bareDate {
		formats = append(formats, text.MustFormat(bare))
	}
	for _, date := range dateForms {
		for _, of := range dayForms {
			formats = append(formats, text.MustFormat(date+" "+of))
		}
		formats = append(formats, text.MustFormat(date))
	}
	return formats
})

// maxTimeColumns is how many of the first columns are looked at for the time.
const maxTimeColumns = 64

// guessTime finds the columns of the time and how they are written, where the
// map does not say.
func (s *sample) guessTime(m *Map) {
	if m.Interval > 0 || len(s.rows) == 0 {
		return
	}
	if m.Time != nil {
		if m.Format == "" {
			m.Format = s.formatOf(m.Time)
			m.doubt = s.otherOrder(m)
		}
		return
	}
	told := m.Format != ""
	for _, try := range []func() ([]int, string){s.stampColumn, s.dateAndTime, s.parts, s.numberColumn, s.durationColumn} {
		columns, format := try()
		if format == "" || m.Format != "" && m.Format != format {
			continue
		}
		m.Format = format
		for _, i := range columns {
			m.Time = append(m.Time, refAt(i, s.names))
		}
		if !told {
			m.doubt = s.otherOrder(m)
		}
		return
	}
}

// otherOrder returns the format with day and month the other way round, if the
// times fit it as well, and "" if they do not.
func (s *sample) otherOrder(m *Map) string {
	swapped := strings.NewReplacer("DD/MM", "MM/DD", "MM/DD", "DD/MM", "DD-MM", "MM-DD", "DD.MM", "MM.DD").Replace(m.Format)
	if swapped == m.Format || strings.HasPrefix(m.Format, "Y") {
		return ""
	}
	var columns []int
	for _, ref := range m.Time {
		i, _ := ref.find(s.names, 0)
		columns = append(columns, i)
	}
	one, err := text.ParseFormat(m.Format)
	other, err2 := text.ParseFormat(swapped)
	if err != nil || err2 != nil {
		return ""
	}
	most, _ := s.judge(one, columns)
	if back, ok := s.judge(other, columns); !ok || back != most {
		return ""
	}
	return swapped
}

// formatOf returns how the columns that the map names are written.
func (s *sample) formatOf(refs []Ref) string {
	var columns []int
	for _, ref := range refs {
		i, refused := ref.find(s.names, 0)
		if refused != nil {
			return ""
		}
		columns = append(columns, i)
	}
	if format := s.bestFormat(columns, true); format != "" {
		return format
	}
	if len(columns) > 1 {
		return ""
	}
	if s.isDuration(columns[0]) {
		return durationFormat
	}
	return s.numberFormat(columns[0])
}

// stampColumn finds a column that holds a date and time of day or, if none
// does, a date alone where no other column has a time of day.
func (s *sample) stampColumn() ([]int, string) {
	date, dateFormat := -1, ""
	for i := range s.names[:min(len(s.names), maxTimeColumns)] {
		if s.columns[i].texts == 0 && !timeName(s.names[i]) {
			continue
		}
		format := s.bestFormat([]int{i}, false)
		if strings.Contains(format, "hh") {
			return []int{i}, format
		}
		if format != "" && date < 0 {
			date, dateFormat = i, format
		}
	}
	if date < 0 {
		return nil, ""
	}
	if _, with := s.dateAndTime(); with != "" {
		return nil, ""
	}
	return []int{date}, dateFormat
}

// dateAndTime finds a column of dates and, behind it, one of times of day.
func (s *sample) dateAndTime() ([]int, string) {
	for i := range s.names[:min(len(s.names), maxTimeColumns)] {
		if s.columns[i].texts == 0 && !timeName(s.names[i]) || s.bestFormat([]int{i}, false) == "" {
			continue
		}
		for j := i + 1; j < min(len(s.names), maxTimeColumns); j++ {
			if s.columns[j].texts == 0 && !timeName(s.names[j]) {
				continue
			}
			if format := s.bestFormat([]int{i, j}, true); format != "" {
				return []int{i, j}, format
			}
		}
	}
	return nil, ""
}

// timeName reports whether a column is called as times are.
func timeName(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "time") || strings.Contains(name, "date") || strings.Contains(name, "stamp") ||
		slices.Contains([]string{"t", "ts", "epoch", "elapsed", "時刻", "日時", "時間"}, name)
}

// joinedCells returns the cells of the columns in a row with blanks between.
func joinedCells(row [][]byte, columns []int) []byte {
	if len(columns) == 1 && columns[0] < len(row) {
		return row[columns[0]]
	}
	var parts [][]byte
	for _, i := range columns {
		if i >= len(row) {
			return nil
		}
		parts = append(parts, row[i])
	}
	return bytes.Join(parts, []byte{' '})
}

// bestFormat returns the format in which nearly all cells of the columns are
// times and which has them go back least often, or "".
func (s *sample) bestFormat(columns []int, bare bool) string {
	candidates := stampFormats()
	if !bare && !timeName(s.names[columns[0]]) {
		candidates = candidates[len(bareDate):]
	}
	begin := s.rows[:min(len(s.rows), 5)]
	best, fewest := "", 0
	for _, format := range candidates {
		if !slices.ContainsFunc(begin, func(row [][]byte) bool { return format.Fits(joinedCells(row, columns)) }) {
			continue
		}
		if back, ok := s.judge(format, columns); ok && (best == "" || back < fewest) {
			best, fewest = format.String(), back
		}
	}
	return best
}

// judge counts how often times go back, and is false where more than one cell
// in a hundred is no time.
func (s *sample) judge(format *text.Format, columns []int) (back int, ok bool) {
	wrong, last := 0, int64(0)
	for i, row := range s.rows {
		at, ok := format.Seconds(joinedCells(row, columns))
		if !ok {
			wrong++
			continue
		}
		if i > 0 && at < last {
			back++
		}
		last = at
	}
	return back, wrong*100 <= len(s.rows)
}

// parts finds a date in columns of its parts: year, month and day, or year and
// day of the year; and the time of day behind them, in one number (hhmm) or
// several.
func (s *sample) parts() ([]int, string) {
	find := func(names ...string) int {
		return slices.IndexFunc(s.names, func(name string) bool { return slices.Contains(names, strings.ToLower(name)) })
	}
	year, month, day := find("year", "yyyy", "yr"), find("month", "mm", "mon"), find("day", "dd", "dom")
	ordinal := find("doy", "day of year", "dayofyear", "jday", "julian day")
	var columns []int
	var format string
	switch {
	case year < 0:
		return nil, ""
	case month > year && day > month:
		columns, format = []int{year, month, day}, "YYYY MM DD"
	case ordinal > year:
		columns, format = []int{year, ordinal}, "YYYY DDD"
	default:
		return nil, ""
	}
	last := columns[len(columns)-1]
	hour, minute, second := find("hour", "hh", "hr"), find("minute", "min"), find("second", "sec", "ss")
	switch clock := last + 1; {
	case hour > last && minute > hour && second > minute:
		columns, format = append(columns, hour, minute, second), format+" hh mm ss"
	case hour > last && minute > hour:
		columns, format = append(columns, hour, minute), format+" hh mm"
	case hour > last:
		columns, format = append(columns, hour), format+" hh"
	case clock < len(s.names) && s.fits(append(slices.Clone(columns), clock), format+" hhmm"):
		columns, format = append(columns, clock), format+" hhmm"
	case clock < len(s.names) && s.fits(append(slices.Clone(columns), clock), format+" hh:mm:ss"):
		columns, format = append(columns, clock), format+" hh:mm:ss"
	}
	if !s.fits(columns, format) {
		return nil, ""
	}
	return columns, format
}

func (s *sample) fits(columns []int, format string) bool {
	_, ok := s.judge(text.MustFormat(format), columns)
	return ok
}

// numberColumn finds a column that is called a time and holds numbers.
func (s *sample) numberColumn() ([]int, string) {
	for i, name := range s.names {
		bare, _ := splitUnit(name)
		if c := &s.columns[i]; c.numbers == 0 || c.texts > 0 || !timeName(bare) {
			continue
		}
		return []int{i}, s.numberFormat(i)
	}
	return nil, ""
}

// numberFormat returns what the numbers of a column count: by the unit in its
// name; else since 1970 where they are of our time; else seconds.
func (s *sample) numberFormat(i int) string {
	_, unit := splitUnit(s.names[i])
	if units[strings.ToLower(unit)] > 0 {
		return strings.ToLower(unit)
	}
	if i >= len(s.rows[0]) {
		return ""
	}
	first, err := strconv.ParseFloat(string(s.rows[0][i]), 64)
	if err != nil {
		return "s"
	}
	const from, to = 6e8, 4e9 // 1989 and 2096, in seconds
	for scale, format := range map[float64]string{1: "unix", 1e3: "unix-ms", 1e6: "unix-us", 1e9: "unix-ns"} {
		if first > from*scale && first < to*scale {
			return format
		}
	}
	return "s"
}

// durationColumn finds a column that is called a time and holds hours, minutes
// and seconds.
func (s *sample) durationColumn() ([]int, string) {
	for i, name := range s.names {
		if timeName(name) && s.isDuration(i) {
			return []int{i}, durationFormat
		}
	}
	return nil, ""
}

func (s *sample) isDuration(i int) bool {
	for _, row := range s.rows[:min(len(s.rows), 100)] {
		if i >= len(row) || !text.IsDuration(row[i]) {
			return false
		}
	}
	return true
}

// numberText writes a number as a map does.
func numberText(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
