package hioki

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"
)

// cutCell returns the cell that begins at line[at:] and the place of the
// separator behind it, or len(line). Blanks and quotes round the cell are cut
// off; open means that the line ended within quotes. A quote inside a quoted
// cell ends it only where a separator or the end of the line follows, since
// instruments do not double the quotes of a comment.
func cutCell(line []byte, at int, separator byte) (cell []byte, next int, quoted, open bool) {
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

// splitCells cuts a record of the header into cells, the last of which is
// empty where the record ends with a separator.
func splitCells(record []byte, separator byte) (cells [][]byte, open bool) {
	for at := 0; ; {
		cell, next, quoted, open := cutCell(record, at, separator)
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

// charset is how the text of a file is encoded.
type charset bool

const (
	charsetUTF8  charset = false
	charsetCP932 charset = true // Shift_JIS with the vendors' characters
)

// detectCharset takes for UTF-8 only what is valid throughout.
func detectCharset(header [][]byte) charset {
	for _, line := range header {
		if !utf8.Valid(line) {
			return charsetCP932
		}
	}
	return charsetUTF8
}

// decode returns raw as UTF-8 without blanks round it; what is no text in
// either encoding becomes U+FFFD.
func (c charset) decode(raw []byte) string {
	text := string(raw)
	if c == charsetCP932 {
		decoded, err := japanese.ShiftJIS.NewDecoder().Bytes(raw)
		if err != nil {
			return strings.ToValidUTF8(text, string(utf8.RuneError))
		}
		text = string(decoded)
	}
	return strings.TrimSpace(text)
}

// key brings a header's key or word to the form in which it is compared.
func key(text string) string {
	return strings.ToLower(stripBlanks(text))
}

// stripBlanks removes every blank: instruments pad numbers inside names, as in
// "A 2- 1".
func stripBlanks(text string) string {
	return strings.NewReplacer(" ", "", "\t", "", "　", "").Replace(text)
}
