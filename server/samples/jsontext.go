package samples

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"
)

// jsonText is JSON that is being read. Byte i is the next.
type jsonText struct {
	b       []byte
	i       int
	channel int    // the position of the channel being read, -1 outside
	field   string // the member being read, "" outside
}

// fail says that something else than what is wanted stands at the next byte.
func (p *jsonText) fail(want string) error {
	return p.failed(p.i, "want "+want+", got "+describeJSON(p.b, p.i))
}

// failed says what is wrong at a byte, and in which member.
func (p *jsonText) failed(at int, what string) error {
	return malformed("byte " + strconv.Itoa(at) + place(p.channel, p.field) + ": " + what)
}

// describeJSON returns what stands at a place of a body, cut to a readable
// length.
func describeJSON(b []byte, at int) string {
	if at >= len(b) {
		return "the end of the body"
	}
	const most = 40
	rest := b[at:]
	end := bytes.IndexAny(rest, ",]}: \n\r\t")
	if rest[0] == '"' {
		if closing := bytes.IndexByte(rest[1:], '"'); closing >= 0 {
			end = closing + 2
		}
	}
	if end < 0 {
		end = len(rest)
	}
	end = max(end, 1)
	cut := ""
	if end > most {
		end, cut = most, "…"
	}
	if text := rest[:end]; utf8.Valid(text) && bytes.IndexFunc(text, func(r rune) bool { return r < ' ' }) < 0 {
		return string(text) + cut
	}
	return strconv.Quote(string(rest[:end])) + cut
}

func (p *jsonText) blanks() {
	for p.i < len(p.b) {
		switch p.b[p.i] {
		case ' ', '\n', '\r', '\t':
			p.i++
		default:
			return
		}
	}
}

// take reads one byte of punctuation, if it is the next.
func (p *jsonText) take(c byte) bool {
	p.blanks()
	if p.i < len(p.b) && p.b[p.i] == c {
		p.i++
		return true
	}
	return false
}

// word reads a literal, if it is the next.
func (p *jsonText) word(w string) bool {
	if len(p.b)-p.i >= len(w) && string(p.b[p.i:p.i+len(w)]) == w {
		p.i += len(w)
		return true
	}
	return false
}

// text reads a string. What it returns may lie in the body.
func (p *jsonText) text(want string) ([]byte, error) {
	if p.i >= len(p.b) || p.b[p.i] != '"' {
		return nil, p.fail(want)
	}
	escaped := false
	for i := p.i + 1; i < len(p.b); i++ {
		switch c := p.b[i]; {
		case c == '"':
			raw := p.b[p.i : i+1]
			if !escaped {
				p.i = i + 1
				return raw[1 : len(raw)-1], nil
			}
			var text string
			if err := json.Unmarshal(raw, &text); err != nil {
				return nil, p.failed(p.i, "a string with a bad escape: "+quote(raw))
			}
			p.i = i + 1
			return []byte(text), nil
		case c == '\\':
			escaped = true
			i++
		case c < ' ':
			return nil, p.failed(i, "a control character in a string")
		}
	}
	return nil, p.failed(p.i, "the body ends inside a string")
}

// extent returns the bytes of the flat object that begins at the next byte, nil
// if there is none.
func (p *jsonText) extent() []byte {
	inText := false
	for i := p.i; i < len(p.b); i++ {
		switch c := p.b[i]; {
		case c == '"':
			inText = !inText
		case inText && c == '\\':
			i++
		case c == '}' && !inText:
			return p.b[p.i : i+1]
		case c == '{' && !inText && i > p.i:
			return nil
		}
	}
	return nil
}

// kind says what an element of a list is.
type kind uint8

const (
	isGood  kind = iota // a value of the list's type
	isOdd               // a value of another type
	isNull              // no value
	isOther             // no value that may stand there
)

// valueWord reads null, a word that stands for a number, or another string or
// literal.
func (p *jsonText) valueWord() (float64, kind) {
	switch {
	case p.i >= len(p.b):
		return 0, isOther
	case p.word("null"):
		return 0, isNull
	case p.word("true"), p.word("false"):
		return 0, isOdd
	case p.b[p.i] != '"':
		return 0, isOther
	}
	text, err := p.text("a string")
	if err != nil {
		return 0, isOther
	}
	return wordValue(text)
}

// grammar finds the end of the number at the next byte, 0 if there is none.
// exact tells that it is digits divided by 10^decimals, within 19 digits.
func (p *jsonText) grammar() (end int, negative bool, digits uint64, decimals int, exact bool) {
	b, i := p.b, p.i
	if i < len(b) && b[i] == '-' {
		negative = true
		i++
	}
	start := i
	for i < len(b) && b[i]-'0' <= 9 {
		digits = digits*10 + uint64(b[i]-'0')
		i++
	}
	count := i - start
	if count == 0 || count > 1 && b[start] == '0' {
		return 0, false, 0, 0, false
	}
	if i < len(b) && b[i] == '.' {
		i++
		point := i
		for i < len(b) && b[i]-'0' <= 9 {
			digits = digits*10 + uint64(b[i]-'0')
			i++
		}
		decimals = i - point
		if decimals == 0 {
			return 0, false, 0, 0, false
		}
	}
	exact = count+decimals <= 19
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		exact = false
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		exponent := i
		for i < len(b) && b[i]-'0' <= 9 {
			i++
		}
		if i == exponent {
			return 0, false, 0, 0, false
		}
	}
	return i, negative, digits, decimals, exact
}

// exactPowers are the powers of ten that a float64 holds exactly.
var exactPowers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// number reads a number: the nearest float64. One beyond all of them is odd.
func (p *jsonText) number() (float64, kind) {
	end, negative, digits, decimals, exact := p.grammar()
	if end == 0 {
		return 0, isOther
	}
	start := p.i
	p.i = end
	if exact && digits < 1<<53 {
		// Both are exact, so that the quotient is rounded once.
		v := float64(digits) / exactPowers[decimals]
		if negative {
			v = -v
		}
		return v, isGood
	}
	v, err := strconv.ParseFloat(string(p.b[start:end]), 64)
	if err != nil {
		return 0, isOdd
	}
	return v, isGood
}

// integer reads a number, which is odd unless it is an int64. 1.5e12 is one.
func (p *jsonText) integer() (int64, kind) {
	end, negative, digits, decimals, exact := p.grammar()
	if end == 0 {
		return 0, isOther
	}
	start := p.i
	p.i = end
	if exact && decimals == 0 && digits <= math.MaxInt64 {
		if negative {
			return -int64(digits), isGood
		}
		return int64(digits), isGood
	}
	if n, err := strconv.ParseInt(string(p.b[start:end]), 10, 64); err == nil {
		return n, isGood
	}
	v, err := strconv.ParseFloat(string(p.b[start:end]), 64)
	if err != nil {
		return 0, isOdd
	}
	return wholeNumber(v)
}
