package text

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
)

// CutCell returns the cell that begins at line[at:] and the place of the
// separator behind it, or len(line). Blanks and quotes round the cell are cut
// off; open means that the line ended within quotes. A quote inside a quoted
// cell ends it only where a separator or the end of the line follows, since
// instruments do not double the quotes of a comment.
func CutCell(line []byte, at int, separator byte) (cell []byte, next int, quoted, open bool) {
	for at < len(line) && line[at] == ' ' {
		at++
	}
	if at == len(line) || line[at] != '"' {
		end := bytes.IndexByte(line[at:], separator)
		if end < 0 {
			end = len(line) - at
		}
		return bytes.Trim(line[at:at+end], " \t"), at + end, false, false
	}
	at++
	for i := at; i < len(line); i++ {
		if line[i] != '"' {
			continue
		}
		if i+1 < len(line) && line[i+1] == '"' {
			i++ // a doubled quote stands for one
			continue
		}
		after := i + 1
		for separator != ' ' && after < len(line) && line[after] == ' ' {
			after++
		}
		if after == len(line) || line[after] == separator {
			return bytes.Trim(line[at:i], " \t"), after, true, false
		}
	}
	return line[at:], len(line), true, true
}

// SplitCells cuts a record of the header into cells, the last of which is
// empty where the record ends with a separator.
func SplitCells(record []byte, separator byte) (cells [][]byte, open bool) {
	for at := 0; ; {
		cell, next, quoted, open := CutCell(record, at, separator)
		if quoted {
			cell = bytes.ReplaceAll(cell, []byte(`""`), []byte(`"`))
		}
		cells = append(cells, cell)
		if next == len(record) {
			return cells, open
		}
		at = next + 1
	}
}

// Charset is how the text of a file is encoded.
type Charset int

// The encodings that are told apart.
const (
	UTF8   Charset = iota
	CP932          // Shift_JIS with the vendors' characters
	CP1252         // Western European
)

// DetectCharset takes for UTF-8 only what is valid throughout. Of the others
// it takes for Western European what has no letters beside ASCII's but the
// signs that units are written with: in Shift_JIS those bytes are half-width
// katakana, of which a single one is no word.
func DetectCharset(lines [][]byte) Charset {
	valid, signs := true, true
	for _, line := range lines {
		valid = valid && utf8.Valid(line)
		for i, c := range line {
			signs = signs && (c < 0x80 || strings.IndexByte("\xB0\xB2\xB3\xB5\xB7", c) >= 0 && (i == 0 || line[i-1] < 0x80))
		}
	}
	switch {
	case valid:
		return UTF8
	case signs:
		return CP1252
	}
	return CP932
}

func (c Charset) encoding() encoding.Encoding {
	if c == CP1252 {
		return charmap.Windows1252
	}
	return japanese.ShiftJIS
}

// Decode returns raw as UTF-8 without blanks round it; what is no text in
// the encoding becomes U+FFFD.
func (c Charset) Decode(raw []byte) string {
	text := string(raw)
	if c != UTF8 {
		decoded, err := c.encoding().NewDecoder().Bytes(raw)
		if err != nil {
			return strings.ToValidUTF8(text, string(utf8.RuneError))
		}
		text = string(decoded)
	}
	return strings.TrimSpace(text)
}

// encode is the reverse of Decode; text that the encoding lacks stays as it is.
func (c Charset) encode(text string) string {
	if c == UTF8 {
		return text
	}
	if encoded, err := c.encoding().NewEncoder().String(text); err == nil {
		return encoded
	}
	return text
}

// Key brings a header's key or word to the form in which it is compared.
func Key(text string) string {
	return strings.ToLower(StripBlanks(text))
}

var blanks = strings.NewReplacer(" ", "", "\t", "", "　", "")

// StripBlanks removes every blank: instruments pad numbers inside names, as in
// "A 2- 1".
func StripBlanks(text string) string { return blanks.Replace(text) }

// SplitUnit splits "2-4[V]" or "TEMP [C]" into name and unit.
func SplitUnit(column string) (name, unit string) {
	open := strings.LastIndexByte(column, '[')
	if open < 0 || !strings.HasSuffix(column, "]") {
		return column, ""
	}
	return strings.TrimSpace(column[:open]), Unit(column[open+1 : len(column)-1])
}

// Unit returns a unit as it is written elsewhere: instruments that have no
// degree sign print the half-width one of Japanese voicing.
func Unit(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "ﾟ", "°")
}

// Shorten quotes text from a file for a message, cut to a readable length.
func Shorten(text string) string {
	if len(text) > mostShown {
		return strconv.Quote(text[:mostShown]) + "…"
	}
	return strconv.Quote(text)
}

// mostShown is how many bytes of a text from a file a message has.
const mostShown = 40

// Clip is Shorten without quotes where the text is short and plain, as names of
// columns in a list are.
func Clip(text string) string {
	if quoted := strconv.Quote(text); len(text) > mostShown || strings.ContainsAny(text, ",") || quoted != `"`+text+`"` {
		return Shorten(text)
	}
	return text
}
