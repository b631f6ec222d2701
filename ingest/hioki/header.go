package hioki

import (
	"bytes"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hokan-db/hokan/ingest/refusal"
	"github.com/hokan-db/hokan/ingest/text"
)

// Bounds on the header, far above what instruments write.
const (
	maxHeaderLines = 2000
	maxRecordLines = 100 // of one record, whose quoted cells may hold newlines
)

// wanted is the line that a header has to end with.
const wanted = "a column line, whose first cell is Time"

// header is what stands above the data.
type header struct {
	charset     text.Charset
	separator   byte
	mark        byte // decimal mark beside the period, or a period
	columns     []string
	columnLine  int
	cells       int // in the column line, with empty last ones
	trigger     string
	triggerLine int
	keyed       bool // a key that HIOKI writes was found
	table       bool // one row per channel
	unitIDs     bool
	recorder    bool                 // channels are numbered as a Memory HiCORDER numbers them
	channels    map[string]described // by name without blanks
}

// described is what the header says of one channel.
type described struct {
	line                   int
	mode, comment          string
	scaling, ratio, offset string
}

// readHeader reads up to and including the column line.
func readHeader(l *text.Lines) (*header, *refusal.Error) {
	block, refused := readBlock(l)
	if refused != nil {
		return nil, refused
	}
	h := &header{columnLine: l.Number, channels: map[string]described{}}
	column := block[len(block)-1]
	if h.separator = separatorOf(column); h.separator != ',' {
		h.mark = ','
	} else {
		h.mark = '.'
	}
	for {
		_, open := text.SplitCells(column, h.separator)
		if !open {
			break
		}
		if l.Number-h.columnLine >= maxRecordLines {
			return nil, text.At(h.columnLine, 0, refusal.Malformed, "a quoted name does not end")
		}
		line, refused := l.HeaderLine(text.MaxHeaderBytes-len(column), wanted)
		if refused != nil {
			return nil, refused
		}
		column = append(append(column, '\n'), line...)
	}
	block[len(block)-1] = column
	h.charset = text.DetectCharset(block)
	h.readKeys(block[:len(block)-1])
	return h, h.readColumns(column)
}

// readBlock reads the lines up to the one whose first cell is the time.
func readBlock(l *text.Lines) ([][]byte, *refusal.Error) {
	var block [][]byte
	room := text.MaxHeaderBytes
	for len(block) < maxHeaderLines && room > 0 {
		line, refused := l.HeaderLine(room, wanted)
		if refused != nil {
			return nil, refused
		}
		room -= len(line)
		block = append(block, line)
		if isColumnLine(line) {
			return block, nil
		}
	}
	return nil, text.At(l.Number, 0, refusal.Malformed,
		"this is no logger file: no column line, whose first cell is Time, down to byte %d", l.Consumed)
}

// isColumnLine reports whether line names the columns: its first cell is the
// time, alone or with a unit, and its second cell is no date or time of day
// (another family's header has keys DATE and TIME).
func isColumnLine(line []byte) bool {
	separator := separatorOf(line)
	first, next, _, _ := text.CutCell(line, 0, separator)
	if _, ok := timeUnit(decodeAlone(first)); !ok {
		return false
	}
	if next == len(line) {
		return true
	}
	second, _, _, _ := text.CutCell(line, next+1, separator)
	return !(len(second) > 5 && second[0]-'0' <= 9 && second[2] == second[5] && (second[2] == ':' || second[2] == '-'))
}

// decodeAlone decodes one cell before the file's encoding is known.
func decodeAlone(raw []byte) string {
	return text.DetectCharset([][]byte{raw}).Decode(raw)
}

// timeUnit returns what follows the word for time in the name of the first
// column, such as "s" in "Time [s]", and false for any other column.
func timeUnit(name string) (string, bool) {
	for _, word := range []string{"time", "date/time", "date", "時間", "時刻", "日時", "日付/時間"} {
		if len(name) < len(word) || !strings.EqualFold(name[:len(word)], word) {
			continue
		}
		rest := strings.TrimSpace(name[len(word):])
		first, _ := utf8.DecodeRuneInString(rest)
		if rest == "" || !unicode.IsLetter(first) {
			return strings.ToLower(strings.Trim(rest, " []()/_,:")), true
		}
	}
	return "", false
}

// separatorOf finds what separates the cells of a column line: what follows
// the quotes of its first cell or, without quotes, the most frequent of tab,
// semicolon and comma, or else the blank.
func separatorOf(line []byte) byte {
	line = bytes.TrimLeft(line, " ")
	if len(line) > 0 && line[0] == '"' {
		if end := bytes.IndexByte(line[1:], '"'); end >= 0 {
			rest := bytes.TrimLeft(line[end+2:], " ")
			if len(rest) > 0 && bytes.IndexByte([]byte(",;\t"), rest[0]) >= 0 {
				return rest[0]
			}
			if len(rest) > 0 {
				return ' '
			}
			return ','
		}
	}
	best, most := byte(' '), 0
	for _, candidate := range []byte("\t;,") {
		if n := bytes.Count(line, []byte{candidate}); n > most {
			best, most = candidate, n
		}
	}
	return best
}

// readKeys reads the lines above the column line. Unknown keys are passed
// over: models and firmware differ.
func (h *header) readKeys(block [][]byte) {
	rows := map[string][]string{}
	var names []string
	var places map[string]int // of the table's columns
	channelLine := 0
	for i := 0; i < len(block); i++ {
		line, record := i+1, block[i]
		raw, open := text.SplitCells(record, h.separator)
		for ; open && i+1 < len(block) && i+1-line < maxRecordLines; raw, open = text.SplitCells(record, h.separator) {
			i++
			record = append(append(record, '\n'), block[i]...)
		}
		cells := make([]string, len(raw))
		for j := range raw {
			cells[j] = h.charset.Decode(raw[j])
		}
		switch name := keyNames[text.Key(cells[0])]; {
		case places != nil && name == "":
			h.describeTableRow(cells, places, line)
		case name == "file":
			h.keyed = true
		case name == "trigger":
			h.keyed = true
			h.trigger, h.triggerLine = triggerText(cells), line
		case name == "channel":
			h.keyed = true
			if places = tablePlaces(cells); places == nil {
				names, channelLine = cells, line
			}
		case name != "" && places == nil:
			rows[name] = cells
		}
	}
	h.table = places != nil
	h.unitIDs = rows["unit"] != nil
	h.describeColumns(names, rows, channelLine)
}

// keyNames maps the keys that instruments write, in English and Japanese, to
// ours. Keys are compared without blanks and in lower case.
var keyNames = map[string]string{
	"filename": "file", "ファイル名": "file",
	"titlecomment": "title", "タイトルコメント": "title",
	"triggertime": "trigger", "starttriggertime": "trigger",
	"トリガ時刻": "trigger", "トリガー時刻": "trigger", "スタートトリガ時刻": "trigger",
	"ch": "channel", "channel": "channel", "チャネル": "channel", "チャンネル": "channel",
	"mode": "mode", "モード": "mode",
	"range": "range", "レンジ": "range",
	"unitid": "unit", "ユニットid": "unit",
	"comment": "comment", "コメント": "comment",
	"scaling": "scaling", "スケーリング": "scaling",
	"ratio": "ratio", "変換比": "ratio",
	"offset": "offset", "オフセット": "offset",
}

// recorderName is a channel as a Memory HiCORDER names it, without a unit's
// number before it.
var recorderName = regexp.MustCompile(`^(CH[0-9]+|L[A-H][1-4])$`)

// triggerText joins the time with the milliseconds that some settings write
// into a cell of their own.
func triggerText(cells []string) string {
	if len(cells) < 2 {
		return ""
	}
	trigger := cells[1]
	if len(cells) > 2 && len(cells[2]) == 3 && !strings.ContainsAny(trigger, ".,") && strings.Trim(cells[2], "0123456789") == "" {
		trigger += "." + cells[2]
	}
	return trigger
}

// tablePlaces returns which cell of a table row holds what, or nil if cells,
// the row that begins with CH, lists channels instead.
func tablePlaces(cells []string) map[string]int {
	places := map[string]int{}
	for i, cell := range cells[1:] {
		if name := keyNames[text.Key(cell)]; name != "" {
			places[name] = i + 1
		}
	}
	if len(places) < 2 {
		return nil
	}
	return places
}

func (h *header) describeTableRow(cells []string, places map[string]int, line int) {
	get := func(name string) string {
		if i := places[name]; i > 0 && i < len(cells) {
			return cells[i]
		}
		return ""
	}
	h.describe(cells[0], described{line: line, mode: get("mode"), comment: get("comment"),
		scaling: get("scaling"), ratio: get("ratio"), offset: get("offset")})
}

func (h *header) describeColumns(names []string, rows map[string][]string, line int) {
	for i := 1; i < len(names); i++ {
		get := func(name string) string {
			if row := rows[name]; i < len(row) {
				return row[i]
			}
			return ""
		}
		h.recorder = h.recorder || recorderName.MatchString(text.StripBlanks(names[i]))
		h.describe(names[i], described{line: line, mode: get("mode"), comment: get("comment"),
			scaling: get("scaling"), ratio: get("ratio"), offset: get("offset")})
	}
}

// describe files d under the name that the header uses for a channel and the
// names that the column line may use for the same: "A 2- 1" is 2-1 there,
// "P 1" is P-1, "Z 1" is CALC-1 and "LOGIC-3" is IN-3.
func (h *header) describe(name string, d described) {
	name = text.StripBlanks(name)
	if name == "" {
		return
	}
	names := []string{name}
	digitAt := func(i int) bool { return i < len(name) && name[i]-'0' <= 9 }
	switch {
	case name[0] == 'A' && digitAt(1):
		names = append(names, name[1:])
	case name[0] == 'P' && digitAt(1):
		names = append(names, "P-"+name[1:])
	case name[0] == 'Z' && digitAt(1):
		names = append(names, "CALC-"+name[1:])
	case strings.HasPrefix(name, "LOGIC-"):
		names = append(names, "IN-"+name[len("LOGIC-"):])
	}
	for _, name := range names {
		if _, ok := h.channels[name]; !ok {
			h.channels[name] = d
		}
	}
}

// readColumns reads the column line.
func (h *header) readColumns(record []byte) *refusal.Error {
	raw, _ := text.SplitCells(record, h.separator)
	h.cells = len(raw)
	for len(raw) > 1 && len(raw[len(raw)-1]) == 0 {
		raw = raw[:len(raw)-1]
	}
	if len(raw) == 1 {
		return text.At(h.columnLine, 0, refusal.Malformed, "the column line names no channel")
	}
	if len(raw) > text.MaxColumns {
		return text.At(h.columnLine, 0, refusal.Malformed, "%d columns, at most %d", len(raw), text.MaxColumns)
	}
	for _, cell := range raw {
		h.columns = append(h.columns, h.charset.Decode(cell))
	}
	return nil
}

// dialect names the shape of the header.
func (h *header) dialect() string {
	if !h.keyed {
		return "headerless"
	}
	if h.table {
		return "hioki-lr8430"
	}
	if h.unitIDs {
		return "hioki-lr8450"
	}
	if h.recorder {
		return "hioki-mr8880"
	}
	return "hioki-lr8400"
}
