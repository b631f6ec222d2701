package mapping

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/hokan-db/hokan/ingest/text"
)

// maxSampleLines bounds how much of a file is looked at.
const maxSampleLines = 20000

// sample is what is looked at to guess a map: the data lines of the beginning.
type sample struct {
	names   []string // of the columns; "" where there is none
	rows    [][][]byte
	lines   []int // of the rows, from 1
	columns []profile
}

// profile is what the cells of a column look like.
type profile struct {
	numbers int
	words   map[string]int // cells that are neither empty nor numbers, at most maxWords of them
	texts   int            // cells that are neither empty nor numbers
	values  map[float64]int
}

// maxWords is how many different words of a column are counted: a state has
// few.
const maxWords = 50

// Guess completes a map from the beginning of a file; whole means that nothing
// follows. Where nothing is found the map says nothing, and Read refuses it.
func (m *Map) Guess(begin []byte, whole bool) *Map {
	g := *m
	lines := wholeLines(begin, whole)
	if g.Separator == 0 {
		g.Separator = guessSeparator(lines)
	}
	charset := text.DetectCharset(lines)
	first := g.guessHeader(lines)
	s := newSample(lines, min(first, len(lines)), g.Separator)
	if g.Header > 0 && g.Header <= len(lines) {
		var extra int
		s.names = trimEmpty(decodeAll(bytes.TrimRight(lines[g.Header-1], "\r"), g.Separator, charset), &extra)
	}
	if len(s.rows) > 0 {
		s.names = atLeast(s.names, bytes.Join(s.rows[0], []byte{g.Separator}), g.Separator)
	}
	if g.Decimal == 0 {
		g.Decimal = guessDecimal(s.rows, g.Separator)
	}
	s.profile(g.Decimal)
	s.guessTime(&g)
	s.guessChannels(&g, charset)
	return &g
}

// guessSeparator takes what cuts the most lines into the same number of cells,
// and more than one.
func guessSeparator(lines [][]byte) byte {
	best, most := byte(','), 0
	for _, candidate := range []byte("\t;|, ") {
		counts := map[int]int{}
		for _, line := range lines[:min(len(lines), 500)] {
			cells, _ := text.SplitCells(bytes.Trim(line, "\r\x00"), candidate)
			if counts[len(cells)]++; len(cells) > 1 && counts[len(cells)] > most {
				best, most = candidate, counts[len(cells)]
			}
		}
	}
	return best
}

// guessHeader returns the place of the first line of data and notes in the map
// which line names the columns.
func (m *Map) guessHeader(lines [][]byte) (first int) {
	if m.Data > 0 {
		first = m.Data - 1
	} else if m.Header >= 0 {
		first = m.Header
	} else {
		first = firstData(lines, m.Separator)
	}
	if m.Header < 0 {
		m.Header = headerAbove(lines[:min(first, len(lines))], len(cellsOf(lines, first, m.Separator)), m.Separator)
	}
	if m.Data == 0 && first != m.Header {
		m.Data = first + 1
	}
	return first
}

// headerAbove returns which line, from 1, names the columns of data that begin
// behind lines: the first of those right above the data that have as many cells,
// as units and the like may stand between; or the last, if it has several cells;
// 0 for none.
func headerAbove(lines [][]byte, cells int, separator byte) int {
	header := 0
	for i := len(lines) - 1; i >= 0; i-- {
		own := cellsOf(lines, i, separator)
		switch {
		case len(own) == 1 && len(own[0]) == 0 && header == 0:
			continue // blank
		case header == 0 && len(own) > 1:
			header = i + 1
		case header > 0 && len(own) == cells && !slices.ContainsFunc(own, isDatum):
			header = i + 1
		default:
			return header
		}
	}
	return header
}

// cellsOf returns the cells of the line in place i.
func cellsOf(lines [][]byte, i int, separator byte) [][]byte {
	if i >= len(lines) {
		return nil
	}
	cells, _ := text.SplitCells(bytes.Trim(lines[i], "\r\x00"), separator)
	return cells
}

// firstData returns the place of the first line that has as many cells as most
// of those with a number or a time.
func firstData(lines [][]byte, separator byte) int {
	counts := map[int]int{}
	most := 0
	head := lines[:min(len(lines), 500)]
	counted := make([]int, len(head)) // cells of lines that have such a cell
	for i := range head {
		cells := cellsOf(head, i, separator)
		if len(cells) > 1 && slices.ContainsFunc(cells, isDatum) {
			counted[i] = len(cells)
			if counts[len(cells)]++; counts[len(cells)] > counts[most] {
				most = len(cells)
			}
		}
	}
	if most == 0 {
		return 0
	}
	return slices.Index(counted, most)
}

// isDatum reports whether a cell seems to be a number or a time: it begins with
// a digit, and its letters are such as times have. "10cm" is a name.
func isDatum(cell []byte) bool {
	cell = bytes.TrimLeft(cell, "'+-.")
	if len(cell) == 0 || cell[0]-'0' > 9 {
		return false
	}
	var letters []byte
	for _, c := range cell {
		if c |= 0x20; c >= 'a' && c <= 'z' {
			letters = append(letters, c)
		}
	}
	switch string(letters) {
	case "", "e", "t", "z", "tz", "am", "pm":
		return true
	}
	return len(letters) == 3 && strings.Contains("jan feb mar apr may jun jul aug sep oct nov dec", string(letters))
}

// newSample cuts the lines from the one in place first on.
func newSample(lines [][]byte, first int, separator byte) *sample {
	s := &sample{}
	for i, line := range lines[first:min(len(lines), first+maxSampleLines)] {
		line = bytes.TrimLeft(bytes.TrimRight(line, "\r"), "\x00")
		cells, open := text.SplitCells(line, separator)
		blank := !slices.ContainsFunc(cells, func(cell []byte) bool { return len(cell) > 0 })
		if !blank && !open {
			s.rows = append(s.rows, cells)
			s.lines = append(s.lines, first+i+1)
		}
	}
	return s
}

// guessDecimal takes a comma for the decimal mark where more cells are numbers
// with one than with a period.
func guessDecimal(rows [][][]byte, separator byte) byte {
	if separator == ',' {
		return '.'
	}
	commas, points := 0, 0
	for _, row := range rows[:min(len(rows), 1000)] {
		for _, cell := range row {
			comma, point := bytes.IndexByte(cell, ','), bytes.IndexByte(cell, '.')
			if _, ok := text.ParseNumber(cell, ','); !ok {
				continue
			}
			if comma >= 0 {
				commas++
			} else if point >= 0 {
				points++
			}
		}
	}
	if commas > points {
		return ','
	}
	return '.'
}

// profile looks at every cell.
func (s *sample) profile(mark byte) {
	s.columns = make([]profile, len(s.names))
	for i := range s.columns {
		s.columns[i] = profile{words: map[string]int{}, values: map[float64]int{}}
	}
	for _, row := range s.rows {
		for i, cell := range row[:min(len(row), len(s.columns))] {
			if len(cell) == 0 {
				continue
			}
			c := &s.columns[i]
			if v, ok := text.ParseNumber(cell, mark); ok {
				c.numbers++
				if len(c.values) < 10000 {
					c.values[v]++
				}
				continue
			}
			c.texts++
			if len(c.words) < maxWords || c.words[string(cell)] > 0 {
				c.words[string(cell)]++
			}
		}
	}
}

// noData are words that people and programs write where there is no value.
var noData = []string{"-", "--", "---", "----", "- - - -", "NA", "N/A", "n/a", "na", "#N/A", "NaN", "nan", "NAN", "null", "NULL", "None", "none", "?", "missing"}

// states are words for the two states of something, and what else has a number.
var states = map[string]float64{
	"connected": 1, "disconnected": 0, "on": 1, "off": 0, "true": 1, "false": 0, "yes": 1, "no": 0, "ok": 1, "ng": 0, "pass": 1, "fail": 0,
	"high": 1, "low": 0, "up": 1, "down": 0, "active": 1, "inactive": 0, "running": 1, "stopped": 0, "alarm": 1, "normal": 0,
	"online": 1, "offline": 0, "合格": 1, "不合格": 0, "オン": 1, "オフ": 0,
	"calm": 0, // of the wind, in weather reports
}

// sentinels are numbers that programs write where there is no value. One is
// taken for that where no other value is near: -200 in a column of humidity.
var sentinels = []float64{-200, -999, -999.9, -9999, -9999.9, -99999, -6999, -7999, -32768}

// guessChannels takes the columns that hold at least as many numbers as other
// text, whose cells are refused one by one, and those of states. It notes the
// others.
func (s *sample) guessChannels(m *Map, charset text.Charset) {
	guessed := m.Channels == nil
	var missing []string
	for i, name := range s.names {
		if m.isTime(i, s.names) || !guessed && !m.isChannel(i, s.names) {
			continue
		}
		c := &s.columns[i]
		known, marks, words := c.sortWords(charset)
		if guessed {
			if c.texts-known > c.numbers || name == "" && m.Header > 0 {
				if c.texts+c.numbers > 0 {
					m.left = append(m.left, s.describe(i, m.Decimal, charset))
				}
				continue
			}
			m.Channels = append(m.Channels, Pick{Ref: refAt(i, s.names)})
		}
		if !m.words {
			for _, w := range words {
				if !slices.Contains(m.Words, w) {
					m.Words = append(m.Words, w)
				}
			}
		}
		missing = append(missing, marks...)
		missing = append(missing, c.sentinels()...)
	}
	if guessed && m.Channels == nil {
		m.Channels = []Pick{}
	}
	if !m.missing {
		slices.Sort(missing)
		m.Missing = slices.Compact(missing)
	}
	m.missing, m.words = true, true
	slices.SortFunc(m.Words, func(a, b Word) int { return strings.Compare(a.Text, b.Text) })
}

// sortWords returns how many cells hold words with a meaning, those that mean
// no data, and those that stand for a number.
func (c *profile) sortWords(charset text.Charset) (known int, missing []string, words []Word) {
	for raw, n := range c.words {
		word := charset.Decode([]byte(raw))
		if !isKnown(raw, word) {
			continue
		}
		known += n
		if slices.Contains(noData, word) {
			missing = append(missing, word)
		} else if number, ok := states[strings.ToLower(word)]; ok {
			words = append(words, Word{word, number})
		}
	}
	return known, missing, words
}

// isKnown reports whether a cell, and the word that it is, has a meaning though
// it is no number.
func isKnown(raw, word string) bool {
	_, state := states[strings.ToLower(word)]
	return state || slices.Contains(noData, word) || text.IsQuality([]byte(raw))
}

// describe names the column in place i and, where it holds a number, the first
// of its cells that is none.
func (s *sample) describe(i int, mark byte, charset text.Charset) string {
	name := text.Clip(s.names[i])
	if name == "" {
		name = fmt.Sprintf("column %d", i+1)
	}
	if s.columns[i].numbers == 0 {
		return name
	}
	for n, row := range s.rows {
		if i >= len(row) || len(row[i]) == 0 {
			continue
		}
		word := charset.Decode(row[i])
		if _, ok := text.ParseNumber(row[i], mark); !ok && !isKnown(string(row[i]), word) {
			return fmt.Sprintf("%s (%s, line %d)", name, text.Shorten(word), s.lines[n])
		}
	}
	return name
}

// sentinels returns the numbers in the column that stand for no data.
func (c *profile) sentinels() (found []string) {
	for _, sentinel := range sentinels {
		if c.values[sentinel] == 0 {
			continue
		}
		alone := true
		for v := range c.values {
			alone = alone && (v == sentinel || v > sentinel/2 || slices.Contains(sentinels, v))
		}
		if alone {
			found = append(found, numberText(sentinel))
		}
	}
	return found
}

func (m *Map) isTime(i int, names []string) bool {
	return slices.ContainsFunc(m.Time, func(r Ref) bool { return r.is(i, names) })
}

func (m *Map) isChannel(i int, names []string) bool {
	return slices.ContainsFunc(m.Channels, func(p Pick) bool { return p.is(i, names) })
}

// is reports whether the reference is to the column in place i.
func (r Ref) is(i int, names []string) bool {
	at, refused := r.find(names, 0)
	return refused == nil && at == i
}

// refAt returns a reference to the column in place i: its name, where that is
// told and no other column's.
func refAt(i int, names []string) Ref {
	ref := Ref{Name: names[i]}
	if names[i] == "" || len(names[i]) > 60 || !ref.is(i, names) {
		return Ref{Number: i + 1}
	}
	return ref
}

// Found reports whether the map names a time and a channel at least: whether a
// guess found a table.
func (m *Map) Found() bool {
	return (m.Time != nil && m.Format != "" || m.Interval > 0) && len(m.Channels) > 0
}
