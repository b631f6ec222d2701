package lineprotocol

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What ends a name, unless a backslash stands before it, and what it escapes.
const (
	escapedInMeasurement = ", "
	escapedInTags        = ",= "
)

// byteSet is a set of bytes.
type byteSet [256]bool

// inMeasurement and inTag are what may stand in a measurement, and in the name
// or value of a tag or the name of a field.
var inMeasurement, inTag = namesBut(escapedInMeasurement), namesBut(escapedInTags)

func namesBut(ends string) (s byteSet) {
	for c := range s {
		s[c] = c >= ' ' && c != 0x7f && strings.IndexByte(ends, byte(c)) < 0
	}
	return s
}

// scan returns where the name that begins at a place ends.
func scan(b []byte, at int, set byteSet) int { return set.end(b, at) }

func (s *byteSet) end(b []byte, at int) int {
	for at < len(b) {
		switch c := b[at]; {
		case c == '\\':
			// What it escapes in this name is what ends such names.
			if at++; at < len(b) && b[at] >= ' ' && b[at] != 0x7f && b[at] != '\\' && !s[b[at]] {
				at++
			}
		case s[c]:
			at++
		default:
			return at
		}
	}
	return at
}

// syntaxError says what is wrong at a byte of the body.
type syntaxError struct {
	at   int
	what string
}

// Error implements error.
func (e *syntaxError) Error() string { return e.what }

// text says what is wrong, and what stands there.
func (e *syntaxError) text(body []byte) string {
	const most = 40
	rest := body[min(e.at, len(body)):]
	if end := bytes.IndexByte(rest, '\n'); end >= 0 {
		rest = rest[:end]
	}
	switch {
	case len(rest) == 0:
		return e.what + ", got the end of the line"
	case len(rest) > most:
		return e.what + ", got " + strconv.Quote(string(rest[:most])) + "…"
	}
	return e.what + ", got " + strconv.Quote(string(rest))
}

func (d *Decoder) wrong(what string) error { return &syntaxError{d.at, what} }

// next returns the next byte; at the end it is that of a line.
func (d *Decoder) next() byte {
	if d.at < len(d.body) {
		return d.body[d.at]
	}
	return '\n'
}

func (d *Decoder) skipSpaces() {
	for d.at < len(d.body) && d.body[d.at] == ' ' {
		d.at++
	}
}

// skipBlanks passes by empty lines and comments.
func (d *Decoder) skipBlanks() {
	for d.at < len(d.body) {
		switch d.body[d.at] {
		case ' ':
			d.at++
		case '#':
			d.skipLine()
		case '\n', '\r':
			if !d.takeEnd() {
				return
			}
		default:
			return
		}
	}
}

// skipLine passes by the rest of a line.
func (d *Decoder) skipLine() {
	end := bytes.IndexByte(d.body[d.at:], '\n')
	if end < 0 {
		d.at = len(d.body)
		return
	}
	d.at += end + 1
	d.line++
}

// takeEnd reads the end of a line, if it is next.
func (d *Decoder) takeEnd() bool {
	b := d.body[d.at:]
	switch {
	case len(b) == 0:
		return true
	case b[0] == '\n':
		d.at++
	case b[0] == '\r' && (len(b) == 1 || b[1] == '\n'):
		d.at += min(2, len(b))
	default:
		return false
	}
	d.line++
	return true
}

// readLine reads one line, whose samples it adds.
func (d *Decoder) readLine() error {
	first, line := len(d.samples), d.line
	e := channelsSeen.After(d.last, d.body[d.at:])
	if e != nil {
		d.at += e.Length()
		d.head.text, d.head.read = e.Text()[:e.Value.head-1], false
		if err := d.readField(e, &e.Value, line); err != nil {
			return err
		}
	} else {
		if err := d.readHead(); err != nil {
			return err
		}
		if err := d.lookUp(line); err != nil {
			return err
		}
	}
	for d.next() == ',' && d.at < len(d.body) {
		d.at++
		if next := channelsSeen.Next(d.last); next != nil && d.isNext(next) {
			d.at += next.Length() - next.Value.head
			if err := d.readField(next, &next.Value, line); err != nil {
				return err
			}
		} else if err := d.lookUp(line); err != nil {
			return err
		}
	}
	return d.finishLine(first, line)
}

// isNext reports whether the next field of the line is the one that is expected.
func (d *Decoder) isNext(e *entry) bool {
	text, head := e.Text(), e.Value.head
	if head != len(d.head.text)+1 {
		return false
	}
	field, rest := text[head:], d.body[d.at:]
	return len(rest) >= len(field) && string(rest[:len(field)]) == field && text[:head-1] == d.head.text
}

// readHead reads the measurement and the tags, and the space behind.
func (d *Decoder) readHead() error {
	start := d.at
	if err := d.readName(&inMeasurement, "want a measurement"); err != nil {
		return err
	}
	for d.next() == ',' && d.at < len(d.body) {
		d.at++
		if err := d.readName(&inTag, "want the name of a tag"); err != nil {
			return err
		}
		if d.next() != '=' {
			return d.wrong("want = behind the name of a tag")
		}
		d.at++
		if err := d.readName(&inTag, "want the value of a tag"); err != nil {
			return err
		}
	}
	if d.next() != ' ' {
		return d.wrong("want a space and fields")
	}
	d.head.text, d.head.read = string(d.body[start:d.at]), false
	d.skipSpaces()
	return nil
}

// readName reads a name.
func (d *Decoder) readName(set *byteSet, want string) error {
	start := d.at
	d.at = set.end(d.body, start)
	switch {
	case d.at == start:
		return d.wrong(want)
	case !utf8.Valid(d.body[start:d.at]):
		d.at = start
		return d.wrong(want + " in UTF-8")
	}
	return nil
}

// lookUp reads a field whose channel is not the expected one.
func (d *Decoder) lookUp(line int32) error {
	start := d.at
	if err := d.readName(&inTag, "want the name of a field"); err != nil {
		return err
	}
	if d.next() != '=' {
		return d.wrong("want = behind the name of a field")
	}
	before := d.last
	e, k, err := d.find(d.body[start:d.at])
	if err != nil {
		return err
	}
	channelsSeen.Follows(before, e)
	d.at++
	return d.readField(e, &k, line)
}

// readField reads the value of a field and adds the sample.
func (d *Decoder) readField(e *entry, k *known, line int32) error {
	d.last = e
	if d.at == len(d.body) {
		return d.wrong("want the value of a field")
	}
	start := d.at
	value, kind := d.readValue()
	switch {
	case kind == isNumber && k.refused == "":
		position, err := d.position(e, k)
		if err != nil {
			return err
		}
		d.samples = append(d.samples, sample{value: value, channel: position, line: line})
		return nil
	case kind == isWrong:
		return &syntaxError{start, "want the value of a field"}
	case kind == isText:
		d.refuse(isNotANumber, line, func() string {
			return d.fieldName(k, start) + " is a string, and only numbers are kept: leave it out, or send it as a tag"
		})
	case kind == isTooLarge:
		d.refuse(isNotANumber, line, func() string {
			return d.fieldName(k, start) + " is beyond what it can hold: " + string(shorten(d.body[start:d.at]))
		})
	default:
		d.refuse(isBadLabel, line, func() string { return k.refused })
	}
	return nil
}

// fieldName says which field has the value that starts at a place.
func (d *Decoder) fieldName(k *known, start int) string {
	if k.refused == "" {
		return "field of channel " + strconv.Quote(string(shorten([]byte(k.labels.Channel()))))
	}
	return "field of " + strconv.Quote(string(shorten([]byte(d.head.text))))
}

func shorten(text []byte) []byte {
	const most = 60
	if len(text) > most {
		return append(bytes.ToValidUTF8(text[:most], nil), "…"...)
	}
	return text
}

// finishLine reads the time and the end of the line, whose samples begin at
// first.
func (d *Decoder) finishLine(first int, line int32) error {
	c := d.next()
	if c != ' ' && c != '\n' && c != '\r' {
		return d.wrong("want a comma, a space or the end of the line behind a value")
	}
	at := d.now
	fits := true
	if d.skipSpaces(); !d.takeEnd() {
		var ok bool
		if at, fits, ok = d.readTime(); !ok {
			return d.wrong("want an integer as time")
		}
		if c := d.next(); c != ' ' && c != '\n' && c != '\r' {
			return d.wrong("want the end of the line behind the time")
		}
		if d.skipSpaces(); !d.takeEnd() {
			return d.wrong("want the end of the line behind the time")
		}
	}
	for i := first; i < len(d.samples); i++ {
		s := &d.samples[i]
		switch {
		case s.channel < 0:
		case fits:
			s.time = at
		default:
			s.channel, s.time = isBadTime, noReason
			if len(d.reasons) < mostReasons {
				s.time = int64(len(d.reasons))
				d.reasons = append(d.reasons, "the time is beyond what 64 bits hold")
			}
		}
	}
	return nil
}

// readTime reads a time. It is mostly that of the line before.
func (d *Decoder) readTime() (at int64, fits, ok bool) {
	b, n := d.body[d.at:], len(d.timeText)
	if n > 0 && len(b) > n && b[n] <= ' ' && string(b[:n]) == string(d.timeText) {
		d.at += n
		return d.time, true, true
	}
	i, negative := 0, false
	if len(b) > 0 && b[0] == '-' {
		i, negative = 1, true
	}
	from, n64 := i, uint64(0)
	for i < len(b) && b[i]-'0' <= 9 {
		if n64 > (math.MaxUint64-9)/10 {
			n64 = math.MaxUint64 // and stays beyond
			i++
			continue
		}
		n64 = n64*10 + uint64(b[i]-'0')
		i++
	}
	if i == from {
		return 0, false, false
	}
	text := b[:i]
	d.at += i
	switch {
	case negative && n64 <= 1<<63:
		at = -int64(n64)
	case !negative && n64 <= math.MaxInt64:
		at = int64(n64)
	default:
		return 0, false, true
	}
	d.timeText, d.time = text, at
	return at, true, true
}
