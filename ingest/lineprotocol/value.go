package lineprotocol

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"unicode/utf8"
)

// kind says what the value of a field is.
type kind uint8

const (
	isNumber   kind = iota
	isText          // a string
	isTooLarge      // a number that no 64-bit float, or no 64-bit integer, can hold
	isWrong         // nothing that may stand there
)

// exactPowers are the powers of ten that a float64 holds exactly.
var exactPowers = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// readValue reads the value of a field. At least one byte is there.
func (d *Decoder) readValue() (float64, kind) {
	b, i := d.body, d.at
	negative := b[i] == '-'
	if negative {
		i++
	}
	digits, start := uint64(0), i
	for i < len(b) && b[i]-'0' <= 9 {
		digits = digits*10 + uint64(b[i]-'0')
		i++
	}
	count, decimals := i-start, 0
	if i < len(b) && b[i] == '.' {
		i++
		point := i
		for i < len(b) && b[i]-'0' <= 9 {
			digits = digits*10 + uint64(b[i]-'0')
			i++
		}
		decimals = i - point
		count += decimals
	}
	if count == 0 || count > 19 || digits >= 1<<53 || i < len(b) && !endsValue(b[i]) {
		return d.readOther()
	}
	d.at = i
	// Both are exact, so that the quotient is rounded once.
	v := float64(digits) / exactPowers[decimals]
	if negative {
		v = -v
	}
	return v, isNumber
}

func endsValue(c byte) bool { return c == ',' || c == ' ' || c == '\n' || c == '\r' }

// readOther reads a value that is no short decimal number.
func (d *Decoder) readOther() (float64, kind) {
	if d.body[d.at] == '"' {
		return 0, d.readText()
	}
	end := d.at
	for end < len(d.body) && !endsValue(d.body[end]) {
		end++
	}
	text := d.body[d.at:end]
	d.at = end
	if len(text) == 0 {
		return 0, isWrong
	}
	switch text[0] {
	case '-', '.', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return number(text)
	case 't', 'T', 'f', 'F':
		switch string(text) {
		case "t", "T", "true", "True", "TRUE":
			return 1, isNumber
		case "f", "F", "false", "False", "FALSE":
			return 0, isNumber
		}
		return 0, isWrong
	}
	return word(text)
}

// word reads what says that there is no finite number.
func word(text []byte) (float64, kind) {
	sign := 1
	switch text[0] {
	case '-':
		sign, text = -1, text[1:]
	case '+':
		text = text[1:]
	}
	switch {
	case bytes.EqualFold(text, []byte("nan")):
		return math.NaN(), isNumber
	case bytes.EqualFold(text, []byte("inf")), bytes.EqualFold(text, []byte("infinity")):
		return math.Inf(sign), isNumber
	}
	return 0, isWrong
}

// number reads a number in full generality.
func number(text []byte) (float64, kind) {
	var v float64
	var err error
	switch digits := string(text[:len(text)-1]); text[len(text)-1] {
	case 'i':
		var n int64
		n, err = strconv.ParseInt(digits, 10, 64)
		v = float64(n)
	case 'u':
		var n uint64
		n, err = strconv.ParseUint(digits, 10, 64)
		v = float64(n)
	default:
		v, err = strconv.ParseFloat(string(text), 64)
	}
	switch {
	case err == nil && (math.IsInf(v, 0) || math.IsNaN(v)):
		return word(text)
	case err == nil:
		return v, isNumber
	case errors.Is(err, strconv.ErrRange):
		return 0, isTooLarge
	}
	return word(text)
}

// readText passes by a string, which may have lines.
func (d *Decoder) readText() kind {
	start := d.at + 1
	for i := start; i < len(d.body); i++ {
		switch d.body[i] {
		case '\\':
			i++
			if i < len(d.body) && d.body[i] == '\n' {
				d.line++
			}
		case '\n':
			d.line++
		case '"':
			d.at = i + 1
			if !utf8.Valid(d.body[start:i]) {
				return isWrong
			}
			return isText
		}
	}
	d.at = len(d.body) // where it ends nobody knows
	return isWrong
}
