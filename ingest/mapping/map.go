package mapping

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/text"
)

// Map says how a table is written. As text it is KEY=VALUE with commas between:
//
//	separator=semicolon     comma, semicolon, tab, pipe or blank
//	decimal=comma           comma or point
//	header=1                the line that names the columns; 0: none does
//	data=2                  the first line of data, where it is not the next
//	time=Date+Time          the columns of the time, by name or number from 1
//	format=DD/MM/YYYY hh.mm.ss
//	                        as text.Format, of the columns with blanks between; or
//	                        unix, unix-ms, unix-us, unix-ns: since 1970; or
//	                        ns, us, ms, s, min, h, d: numbers since the start; or
//	                        h:mm:ss: since the start
//	interval=20ms           between lines, where no column is the time
//	start=2024-01-01 00:00:00
//	                        of the first line, or of what times count from
//	zone=Europe/Berlin      or +01:00; of times without an offset
//	channel=T+RH:humidity[%]
//	                        which columns, with another name where one follows
//	missing=-200+NA         what stands for no data; "" is an empty cell
//	words=open:1+shut:0     words that stand for numbers
//
// A value, or a part of one, with a comma, a plus or a colon in it stands in
// double quotes, as does a column whose name is a number. What is left out is
// guessed.
type Map struct {
	Separator byte // 0: guessed
	Decimal   byte // 0: guessed
	Header    int  // -1: guessed
	Data      int  // 0: the line after the header
	Time      []Ref
	Format    string
	Interval  time.Duration
	Start     string
	Zone      string
	Channels  []Pick // nil: guessed
	Missing   []string
	Words     []Word
	missing   bool // Missing is told, if only as none
	words     bool
	left      []string // columns that a guess did not take, for people
	doubt     string   // a format that fits the file as well as the one guessed
}

// Ref is a column by its number from 1 or, where that is 0, by its name.
type Ref struct {
	Number int
	Name   string
}

// Pick is a column that becomes a channel.
type Pick struct {
	Ref
	As string // its name and [unit]; "": as the file says
}

// Word is a word that stands for a number.
type Word struct {
	Text   string
	Number float64
}

var separators = []struct {
	name string
	char byte
}{{"comma", ','}, {"semicolon", ';'}, {"tab", '\t'}, {"pipe", '|'}, {"blank", ' '}}

// part is a piece of a value: quoted text or not.
type part struct {
	text   string
	quoted bool
}

// Guessed reports whether the map tells nothing: all of it is to be guessed.
func (m *Map) Guessed() bool { return m.String() == "" }

// Parse reads a map. "auto" and "" leave all to be guessed.
func Parse(source string) (*Map, error) {
	m := &Map{Header: -1}
	if source = strings.TrimSpace(source); source == "auto" {
		return m, nil
	}
	seen := map[string]bool{}
	settings, err := split(source, ',')
	if err != nil {
		return nil, err
	}
	for _, setting := range settings {
		if strings.TrimSpace(setting) == "" {
			continue
		}
		key, value, ok := strings.Cut(setting, "=")
		key = strings.TrimSpace(key)
		if !ok {
			return nil, fmt.Errorf("%q is no KEY=VALUE", setting)
		}
		if seen[key] {
			return nil, fmt.Errorf("%s is told twice", key)
		}
		seen[key] = true
		if err := m.set(key, strings.TrimSpace(value)); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	if m.Interval > 0 && m.Time != nil {
		return nil, errors.New("a time column and an interval exclude each other")
	}
	return m, nil
}

// set takes one setting.
func (m *Map) set(key, value string) (err error) {
	switch key {
	case "separator":
		m.Separator, err = separatorNamed(unquote(value).text)
	case "decimal":
		switch unquote(value).text {
		case "comma", ",":
			m.Decimal = ','
		case "point", ".":
			m.Decimal = '.'
		default:
			err = errors.New("want comma or point")
		}
	case "header":
		m.Header, err = count(value, 0)
	case "data":
		m.Data, err = count(value, 1)
	case "time":
		var columns []part
		columns, err = items(value)
		for _, column := range columns {
			m.Time = append(m.Time, refOf(column))
		}
	case "format":
		m.Format = unquote(value).text
		_, err = clockOf(m.Format)
	case "interval":
		if m.Interval, err = time.ParseDuration(value); err == nil && m.Interval <= 0 {
			err = errors.New("it is not above 0")
		}
	case "start":
		m.Start = unquote(value).text
	case "zone":
		m.Zone = unquote(value).text
		_, err = model.LoadZone(m.Zone)
	case "channel":
		err = m.setChannels(value)
	case "missing":
		err = m.setMissing(value)
	case "words":
		err = m.setWords(value)
	default:
		err = errors.New("there is no such setting; there are separator, decimal, header, data, time, format, interval, start, zone, channel, missing and words")
	}
	return err
}

func (m *Map) setChannels(value string) error {
	columns, err := split(value, '+')
	if err != nil {
		return err
	}
	m.Channels = []Pick{}
	for _, column := range columns {
		halves, err := split(column, ':')
		if err != nil {
			return err
		}
		pick := Pick{Ref: refOf(unquote(halves[0]))}
		if pick.Ref == (Ref{}) || len(halves) > 2 {
			return fmt.Errorf("%q is no column, nor COLUMN:NAME", column)
		}
		if len(halves) == 2 {
			pick.As = unquote(halves[1]).text
		}
		m.Channels = append(m.Channels, pick)
	}
	return nil
}

func (m *Map) setMissing(value string) error {
	m.missing = true
	if value == "" {
		return nil
	}
	markers, err := items(value)
	for _, marker := range markers {
		m.Missing = append(m.Missing, marker.text)
	}
	return err
}

func (m *Map) setWords(value string) error {
	m.words = true
	if value == "" {
		return nil
	}
	words, err := split(value, '+')
	if err != nil {
		return err
	}
	for _, word := range words {
		halves, err := split(word, ':')
		if err != nil || len(halves) != 2 {
			return fmt.Errorf("%q is no WORD:NUMBER", word)
		}
		number, ok := text.ParseNumber([]byte(strings.TrimSpace(halves[1])), '.')
		if !ok {
			return fmt.Errorf("%q is no WORD:NUMBER", word)
		}
		m.Words = append(m.Words, Word{unquote(halves[0]).text, number})
	}
	return nil
}

// split cuts source at every separator outside quotes.
func split(source string, separator byte) ([]string, error) {
	var parts []string
	begin, quoted := 0, false
	for i := range len(source) {
		switch {
		case source[i] == '"':
			quoted = !quoted
		case source[i] == separator && !quoted:
			parts = append(parts, source[begin:i])
			begin = i + 1
		}
	}
	if quoted {
		return nil, fmt.Errorf("a quote in %q is not closed", source)
	}
	return append(parts, source[begin:]), nil
}

// items cuts a list.
func items(value string) ([]part, error) {
	texts, err := split(value, '+')
	var list []part
	for _, item := range texts {
		p := unquote(item)
		if p.text == "" && !p.quoted {
			return nil, fmt.Errorf("an item of %q is empty", value)
		}
		list = append(list, p)
	}
	return list, err
}

// unquote takes the quotes and the blanks round a value off.
func unquote(value string) part {
	value = strings.TrimSpace(value)
	if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
		return part{strings.ReplaceAll(value[1:len(value)-1], `""`, `"`), true}
	}
	return part{value, false}
}

func refOf(p part) Ref {
	if n, err := strconv.Atoi(p.text); err == nil && n > 0 && !p.quoted {
		return Ref{Number: n}
	}
	return Ref{Name: p.text}
}

func count(value string, least int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > 1e6 {
		return 0, fmt.Errorf("%q is no number of a line", value)
	}
	return n, nil
}

func separatorNamed(name string) (byte, error) {
	for _, s := range separators {
		if name == s.name || name == string(s.char) {
			return s.char, nil
		}
	}
	return 0, fmt.Errorf("%q is none of comma, semicolon, tab, pipe and blank", name)
}

// String writes the map as Parse reads it.
func (m *Map) String() string {
	var settings []string
	add := func(key, value string) { settings = append(settings, key+"="+value) }
	for _, s := range separators {
		if s.char == m.Separator {
			add("separator", s.name)
		}
	}
	switch m.Decimal {
	case ',':
		add("decimal", "comma")
	case '.':
		add("decimal", "point")
	}
	if m.Header >= 0 {
		add("header", strconv.Itoa(m.Header))
	}
	if m.Data > 0 && m.Data != m.Header+1 {
		add("data", strconv.Itoa(m.Data))
	}
	if m.Time != nil {
		add("time", joined(m.Time, Ref.String))
	}
	if m.Format != "" {
		add("format", quote(m.Format, ","))
	}
	if m.Interval > 0 {
		add("interval", m.Interval.String())
	}
	if m.Start != "" {
		add("start", quote(m.Start, ","))
	}
	if m.Zone != "" {
		add("zone", quote(m.Zone, ","))
	}
	if m.Channels != nil {
		add("channel", joined(m.Channels, Pick.String))
	}
	if m.missing {
		add("missing", joined(m.Missing, func(marker string) string { return quote(marker, ",+") }))
	}
	if m.words {
		add("words", joined(m.Words, Word.String))
	}
	return strings.Join(settings, ",")
}

func joined[T any](list []T, item func(T) string) string {
	var texts []string
	for _, v := range list {
		texts = append(texts, item(v))
	}
	return strings.Join(texts, "+")
}

// quote puts text that reads as something else bare into quotes.
func quote(bare, special string) string {
	if bare == "" || strings.ContainsAny(bare, special+`"`) || strings.TrimSpace(bare) != bare {
		return `"` + strings.ReplaceAll(bare, `"`, `""`) + `"`
	}
	return bare
}

// String writes the column as a map does.
func (r Ref) String() string {
	if r.Number > 0 {
		return strconv.Itoa(r.Number)
	}
	if refOf(part{r.Name, false}).Number > 0 {
		return `"` + r.Name + `"`
	}
	return quote(r.Name, ",+:")
}

// String writes the column and its name as a map does.
func (p Pick) String() string {
	if p.As == "" {
		return p.Ref.String()
	}
	return p.Ref.String() + ":" + quote(p.As, ",+:")
}

// String writes the word and its number as a map does.
func (w Word) String() string {
	return quote(w.Text, ",+:") + ":" + numberText(w.Number)
}

// clockOf returns how times of a format are read; "" is no format.
func clockOf(format string) (text.Clock, error) {
	if since, ok := strings.CutPrefix(format, "unix"); ok {
		unit := units[strings.TrimPrefix(since, "-")]
		if since == "" {
			unit = time.Second
		}
		if unit == 0 || unit > time.Second {
			return text.Clock{}, fmt.Errorf("%q is none of unix, unix-ms, unix-us and unix-ns", format)
		}
		return text.Clock{Unit: int64(unit)}, nil
	}
	if unit := units[format]; unit > 0 {
		return text.Clock{Unit: int64(unit)}, nil
	}
	if format == durationFormat {
		return text.Clock{Duration: true}, nil
	}
	f, err := text.ParseFormat(format)
	return text.Clock{Format: f}, err
}

// durationFormat is hours, minutes and seconds since the start.
const durationFormat = "h:mm:ss"

// units of numbers of time, by the names that maps use.
var units = map[string]time.Duration{
	"ns": 1, "us": time.Microsecond, "ms": time.Millisecond, "s": time.Second, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
}
