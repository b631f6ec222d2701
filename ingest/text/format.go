package text

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Format is how a file writes dates and times of day. As text it is made of
// YYYY or YY, MM or MMM (Jan), DD or DDD (day of the year), hh, mm, ss, AP (AM
// or PM), ms, us or ns (whole milliseconds and so on), and of what stands
// between them. A fraction may follow the seconds and an offset (Z, +09:00)
// the end; a blank stands for any number of them or a T.
type Format struct {
	text string
	ops  []operation
}

// operation is a field or a literal byte.
type operation struct {
	field   field
	width   int // of numbers: at most so many digits
	literal byte
}

type field byte

const (
	literal field = iota
	year
	shortYear
	month
	monthName
	day
	dayOfYear
	hour
	minute
	second
	half
	millisecond
	microsecond
	nanosecond
	fieldCount
)

// tokens in the order in which they are tried.
var tokens = []struct {
	text  string
	field field
	width int
}{
	{"YYYY", year, 4}, {"YY", shortYear, 2}, {"MMM", monthName, 0}, {"MM", month, 2}, {"DDD", dayOfYear, 3}, {"DD", day, 2},
	{"hh", hour, 2}, {"mm", minute, 2}, {"ss", second, 2}, {"AP", half, 0},
	{"ms", millisecond, 3}, {"us", microsecond, 6}, {"ns", nanosecond, 9},
}

// ParseFormat reads a format.
func ParseFormat(format string) (*Format, error) {
	f := &Format{text: format}
	var has [fieldCount]bool
	rest := format
	for rest != "" {
		op := operation{literal: rest[0]}
		n := 1
		for _, token := range tokens {
			if strings.HasPrefix(rest, token.text) {
				op, n = operation{field: token.field, width: token.width}, len(token.text)
				break
			}
		}
		if op.field != literal && has[op.field] {
			return nil, fmt.Errorf("the format %q has %s twice", format, rest[:n])
		}
		has[op.field] = op.field != literal
		f.ops = append(f.ops, op)
		rest = rest[n:]
		if op.field == second && len(rest) > 1 && (rest[0] == '.' || rest[0] == ',') && rest[1] == 'f' {
			rest = strings.TrimLeft(rest[1:], "f") // a fraction is read wherever one stands
		}
	}
	switch {
	case !has[year] && !has[shortYear], !has[dayOfYear] && (!has[day] || !has[month] && !has[monthName]):
		return nil, fmt.Errorf("the format %q has no date, such as YYYY-MM-DD", format)
	case has[second] && !has[minute], has[minute] && !has[hour]:
		return nil, fmt.Errorf("the format %q leaves out a part of the time of day", format)
	}
	return f, nil
}

// MustFormat is ParseFormat for formats that stand in a program's source.
func MustFormat(format string) *Format {
	f, err := ParseFormat(format)
	if err != nil {
		panic(err)
	}
	return f
}

// String returns the format as text.
func (f *Format) String() string { return f.text }

// moment is a date and time of day as it was written: what it would be at
// offset 0 in seconds since the epoch.
type moment struct {
	seconds    int64
	nanosecond int64
	offset     int64 // seconds east of UTC; only if hasOffset
	hasOffset  bool
}

var (
	errForm   = errors.New("not of the form")
	errNoDate = errors.New("no such date or time of day")
)

// parts are the numbers of a time while it is read.
type parts struct {
	values   [fieldCount]int64
	fraction int64
}

// parse reads all of cell.
func (f *Format) parse(cell []byte) (moment, error) {
	p := parts{}
	p.values[month], p.values[day], p.values[dayOfYear] = 1, 1, -1
	at := 0
	for at < len(cell) && (cell[at] == '\'' || cell[at] == ' ') { // a mark against spreadsheets
		at++
	}
	for i := 0; i < len(f.ops); {
		op := f.ops[i]
		switch {
		case op.field == literal:
			at = skipLiteral(cell, at, op.literal)
			i++
		case op.width == 0:
			at = p.word(cell, at, op.field)
			i++
		default:
			run := i + 1
			for run < len(f.ops) && f.ops[run].width > 0 {
				run++
			}
			at = p.digits(cell, at, f.ops[i:run])
			i = run
		}
		if at < 0 {
			return moment{}, errForm
		}
	}
	m, err := p.moment()
	if err != nil || at == len(cell) {
		return m, err
	}
	if m.offset, m.hasOffset = parseOffset(cell[at:]); !m.hasOffset {
		return moment{}, errForm
	}
	return m, nil
}

// skipLiteral returns the place behind a literal, or -1.
func skipLiteral(cell []byte, at int, c byte) int {
	if c == ' ' {
		start := at
		if at < len(cell) && cell[at] == 'T' {
			return at + 1
		}
		for at < len(cell) && cell[at] == ' ' {
			at++
		}
		if at == start {
			return -1
		}
		return at
	}
	if at < len(cell) && cell[at] == c {
		return at + 1
	}
	return -1
}

// word reads the name of a month, AM or PM.
func (p *parts) word(cell []byte, at int, what field) int {
	const months = "janfebmaraprmayjunjulaugsepoctnovdec"
	if what == half {
		if at+2 > len(cell) || cell[at+1]|0x20 != 'm' {
			return -1
		}
		switch cell[at] | 0x20 {
		case 'a':
			p.values[half] = 1
		case 'p':
			p.values[half] = 2
		default:
			return -1
		}
		return at + 2
	}
	if at+3 > len(cell) {
		return -1
	}
	name := [3]byte{cell[at] | 0x20, cell[at+1] | 0x20, cell[at+2] | 0x20}
	for i := 0; i < 12; i++ {
		if months[3*i:3*i+3] == string(name[:]) {
			p.values[month] = int64(i + 1)
			return at + 3
		}
	}
	return -1
}

// digits reads numbers that nothing separates: from the right, so that leading
// zeros may be missing. One number alone is read as far as it may reach.
func (p *parts) digits(cell []byte, at int, run []operation) int {
	widths := 0
	for i := range run {
		widths += run[i].width
	}
	for at < len(cell) && cell[at] == ' ' { // padding
		at++
	}
	start := at
	for at < len(cell) && at-start < widths && cell[at]-'0' <= 9 {
		at++
	}
	if at == start || run[0].field == year && (at-start != 4 && len(run) == 1) {
		return -1
	}
	end := at
	for i := len(run) - 1; i >= 0; i-- {
		begin := max(start, end-run[i].width)
		var n int64
		for _, c := range cell[begin:end] {
			n = n*10 + int64(c-'0')
		}
		p.values[run[i].field] = n
		end = begin
	}
	if run[len(run)-1].field == second && at+1 < len(cell) && (cell[at] == '.' || cell[at] == ',') && cell[at+1]-'0' <= 9 {
		at = p.readFraction(cell, at+1)
	}
	return at
}

// readFraction reads digits of a second, rounding down to a nanosecond.
func (p *parts) readFraction(cell []byte, at int) int {
	unit := int64(1e8)
	for at < len(cell) && cell[at]-'0' <= 9 {
		p.fraction += int64(cell[at]-'0') * unit
		unit /= 10
		at++
	}
	return at
}

// moment puts the parts together.
func (p *parts) moment() (moment, error) {
	v := &p.values
	y := v[year]
	if y == 0 {
		y = 2000 + v[shortYear]
	}
	h := v[hour]
	if v[half] > 0 {
		if h < 1 || h > 12 {
			return moment{}, errNoDate
		}
		h = h%12 + 12*(v[half]-1)
	}
	midnight := h == 24 && v[minute] == 0 && v[second] == 0
	if h > 23 && !midnight || v[minute] > 59 || v[second] > 59 || v[month] < 1 || v[month] > 12 {
		return moment{}, errNoDate
	}
	days := daysOf(y, v[month], v[day])
	if v[dayOfYear] >= 0 {
		if days = daysOf(y, 1, 1) + v[dayOfYear] - 1; v[dayOfYear] < 1 || days >= daysOf(y+1, 1, 1) {
			return moment{}, errNoDate
		}
	} else if v[day] < 1 || v[day] > daysIn(y, v[month]) {
		return moment{}, errNoDate
	}
	return moment{
		seconds:    days*86400 + h*3600 + v[minute]*60 + v[second],
		nanosecond: p.fraction + v[millisecond]*1e6 + v[microsecond]*1e3 + v[nanosecond],
	}, nil
}

// daysOf returns the days from the epoch to a date of the Gregorian calendar.
// The year begins in March, so that its leap day is its last.
func daysOf(y, m, d int64) int64 {
	if m <= 2 {
		y, m = y-1, m+12
	}
	return 365*y + y/4 - y/100 + y/400 + (153*(m-3)+2)/5 + d - 719469
}

func daysIn(y, m int64) int64 {
	switch {
	case m == 2 && (y%4 == 0 && y%100 != 0 || y%400 == 0):
		return 29
	case m == 2:
		return 28
	case m == 4 || m == 6 || m == 9 || m == 11:
		return 30
	}
	return 31
}

// parseOffset reads Z, ±hh, ±hhmm or ±hh:mm after blanks.
func parseOffset(b []byte) (seconds int64, ok bool) {
	rest := strings.TrimLeft(string(b), " ")
	if rest == "Z" || rest == "UTC" {
		return 0, true
	}
	for _, form := range []string{"-07:00", "-0700", "-07"} {
		if t, err := time.Parse(form, rest); err == nil {
			_, offset := t.Zone()
			return int64(offset), true
		}
	}
	return 0, false
}

// Fits reports whether cell is a time in this format.
func (f *Format) Fits(cell []byte) bool {
	_, err := f.parse(cell)
	return err == nil
}

// HasOffset reports whether cell is a time in this format that says how far it
// is from UTC.
func (f *Format) HasOffset(cell []byte) bool {
	m, err := f.parse(cell)
	return err == nil && m.hasOffset
}

// Seconds returns the time in a cell as seconds since the epoch, as if it were
// UTC.
func (f *Format) Seconds(cell []byte) (int64, bool) {
	m, err := f.parse(cell)
	return m.seconds, err == nil
}
