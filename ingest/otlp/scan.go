package otlp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// scanner reads JSON. Byte i is the next.
type scanner struct {
	b []byte
	i int
}

// fail says that something else than what is wanted stands at the next byte.
func (s *scanner) fail(want string) error {
	got := "the end of the body"
	if s.i < len(s.b) {
		got = quote(s.b[s.i:min(len(s.b), s.i+20)])
	}
	return s.failed("want " + want + ", got " + got)
}

// failed says what is wrong at the next byte.
func (s *scanner) failed(what string) error {
	return fmt.Errorf("%w: byte %d: %s", ErrMalformed, s.i, what)
}

func (s *scanner) blanks() {
	for s.i < len(s.b) && s.b[s.i] <= ' ' {
		switch s.b[s.i] {
		case ' ', '\n', '\r', '\t':
			s.i++
		default:
			return
		}
	}
}

// take reads one byte of punctuation, if it is the next.
func (s *scanner) take(c byte) bool {
	if s.blanks(); s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

// word reads a literal, if it is the next.
func (s *scanner) word(w string) bool {
	if len(s.b)-s.i >= len(w) && string(s.b[s.i:s.i+len(w)]) == w {
		s.i += len(w)
		return true
	}
	return false
}

// name reads the name of a member, and the colon behind it.
func (s *scanner) name() ([]byte, error) {
	s.blanks()
	name, err := s.text()
	if err != nil {
		return nil, err
	}
	if !s.take(':') {
		return nil, s.fail("a colon")
	}
	s.blanks()
	return name, nil
}

// text reads a string. What it returns may lie in the body.
func (s *scanner) text() ([]byte, error) {
	if s.i >= len(s.b) || s.b[s.i] != '"' {
		return nil, s.fail("a string")
	}
	for i := s.i + 1; i < len(s.b); i++ {
		switch c := s.b[i]; {
		case c == '"':
			text := s.b[s.i+1 : i]
			s.i = i + 1
			return text, nil
		case c == '\\':
			return s.escaped(i)
		case c < ' ':
			return nil, s.failed("a control character in a string")
		}
	}
	return nil, s.failed("the body ends inside a string")
}

// escaped reads a string whose first backslash is byte i.
func (s *scanner) escaped(i int) ([]byte, error) {
	for ; i < len(s.b); i++ {
		switch s.b[i] {
		case '\\':
			i++
		case '"':
			var text string
			if json.Unmarshal(s.b[s.i:i+1], &text) != nil {
				return nil, s.failed("a string with a bad escape")
			}
			s.i = i + 1
			return []byte(text), nil
		}
	}
	return nil, s.failed("the body ends inside a string")
}

// skip reads any value.
func (s *scanner) skip(depth int) (err error) {
	if depth > mostDepth {
		return s.failed(fmt.Sprintf("nested deeper than %d", mostDepth))
	}
	if s.blanks(); s.i >= len(s.b) {
		return s.fail("a value")
	}
	switch s.b[s.i] {
	case '"':
		_, err = s.text()
		return err
	case '{':
		return s.skipAll('}', func() error {
			if _, err := s.name(); err != nil {
				return err
			}
			return s.skip(depth + 1)
		})
	case '[':
		return s.skipAll(']', func() error { return s.skip(depth + 1) })
	}
	if s.word("null") || s.word("true") || s.word("false") {
		return nil
	}
	_, err = s.number()
	return err
}

// skipAll reads the elements of an object or a list.
func (s *scanner) skipAll(end byte, element func() error) error {
	s.i++
	if s.take(end) {
		return nil
	}
	for {
		if err := element(); err != nil {
			return err
		}
		if s.take(end) {
			return nil
		}
		if !s.take(',') {
			return s.fail("a comma or " + string(end))
		}
	}
}

// number reads a number and returns its text.
func (s *scanner) number() ([]byte, error) {
	n := numberLength(s.b[s.i:])
	if n == 0 {
		return nil, s.fail("a number")
	}
	s.i += n
	return s.b[s.i-n : s.i], nil
}

// numberLength returns how long the number is that b begins with, 0 if with none.
func numberLength(b []byte) int {
	i := 0
	if i < len(b) && b[i] == '-' {
		i++
	}
	first := i
	i += digits(b[i:])
	if i == first || b[first] == '0' && i > first+1 {
		return 0
	}
	if i < len(b) && b[i] == '.' {
		n := digits(b[i+1:])
		if n == 0 {
			return 0
		}
		i += 1 + n
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		j := i + 1
		if j < len(b) && (b[j] == '+' || b[j] == '-') {
			j++
		}
		n := digits(b[j:])
		if n == 0 {
			return 0
		}
		i = j + n
	}
	return i
}

// digits returns how many digits b begins with.
func digits(b []byte) int {
	for i, c := range b {
		if c-'0' > 9 {
			return i
		}
	}
	return len(b)
}

// numberText reads a number, which may be in quotes, and returns its text.
func (s *scanner) numberText() ([]byte, error) {
	if s.i >= len(s.b) || s.b[s.i] != '"' {
		return s.number()
	}
	from := s.i
	text, err := s.text()
	if err != nil {
		return nil, err
	}
	if numberLength(text) != len(text) || len(text) == 0 {
		s.i = from
		return nil, s.fail("a number")
	}
	return text, nil
}

// integer reads an int64.
func (s *scanner) integer() (int64, error) {
	from := s.i
	text, err := s.numberText()
	if err != nil {
		return 0, err
	}
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return n, nil
	}
	v, err := strconv.ParseFloat(string(text), 64) // such as 1e3
	if err != nil || v != math.Trunc(v) || v < -(1<<63) || v >= 1<<63 || !bytes.ContainsAny(text, ".eE") {
		s.i = from
		return 0, s.fail("a whole number of 64 bits")
	}
	return int64(v), nil
}

// unsigned reads a uint64.
func (s *scanner) unsigned() (uint64, error) {
	from := s.i
	text, err := s.numberText()
	if err != nil {
		return 0, err
	}
	if n, err := strconv.ParseUint(string(text), 10, 64); err == nil {
		return n, nil
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil || v != math.Trunc(v) || v < 0 || v >= 1<<64 || !bytes.ContainsAny(text, ".eE") {
		s.i = from
		return 0, s.fail("a whole number of 64 bits, not negative")
	}
	return uint64(v), nil
}

// double reads a float64, which may be one of the words for what is no number.
func (s *scanner) double() (float64, error) {
	switch {
	case s.word(`"NaN"`):
		return math.NaN(), nil
	case s.word(`"Infinity"`):
		return math.Inf(1), nil
	case s.word(`"-Infinity"`):
		return math.Inf(-1), nil
	}
	from := s.i
	text, err := s.numberText()
	if err != nil {
		return 0, err
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		s.i = from
		return 0, s.fail("a number that 64 bits can hold")
	}
	return v, nil
}
