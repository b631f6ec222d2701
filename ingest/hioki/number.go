package hioki

import (
	"bytes"
	"math"
	"math/bits"
	"strconv"

	"github.com/hokan-db/hokan/engine/model"
)

// decimal is a number as it was written: mantissa × 10^exponent.
type decimal struct {
	mantissa uint64
	exponent int
	negative bool
	long     bool // digits after the 19th significant one were dropped
}

// mostDigits is the number of decimal digits that any uint64 holds.
const mostDigits = 19

// scanDecimal reads [+-]digits[.digits][E[+-]digits] at b[at:], after blanks,
// and returns where it stopped, or -1 where no number stands. mark is a second
// decimal mark beside the period: a comma, or a period where there is none.
func scanDecimal(b []byte, at int, mark byte) (d decimal, next int) {
	for at < len(b) && b[at] == ' ' {
		at++
	}
	if at < len(b) && (b[at] == '-' || b[at] == '+') {
		d.negative = b[at] == '-'
		at++
	}
	start, digits := at, 0
	for at < len(b) && b[at]-'0' <= 9 {
		d.mantissa = d.mantissa*10 + uint64(b[at]-'0')
		at++
	}
	digits = at - start
	if at < len(b) && (b[at] == '.' || b[at] == mark) {
		at++
		point := at
		for at < len(b) && b[at]-'0' <= 9 {
			d.mantissa = d.mantissa*10 + uint64(b[at]-'0')
			at++
		}
		digits += at - point
		d.exponent = point - at
	}
	if digits == 0 {
		return d, -1
	}
	if digits > mostDigits {
		d.scanLong(b[start:at])
	}
	if at < len(b) && b[at]|0x20 == 'e' {
		return d.scanExponent(b, at+1)
	}
	return d, at
}

// scanExponent reads what follows the E at b[at-1].
func (d decimal) scanExponent(b []byte, at int) (decimal, int) {
	negative := false
	if at < len(b) && (b[at] == '-' || b[at] == '+') {
		negative = b[at] == '-'
		at++
	}
	start, e := at, 0
	for at < len(b) && b[at]-'0' <= 9 {
		if e < 1<<20 { // beyond that every number is 0 or too large
			e = e*10 + int(b[at]-'0')
		}
		at++
	}
	if at == start {
		return d, -1
	}
	if negative {
		e = -e
	}
	d.exponent += e
	return d, at
}

// scanLong reads digits with at most one mark among them once more, dropping
// what the mantissa cannot hold.
func (d *decimal) scanLong(digits []byte) {
	d.mantissa, d.exponent = 0, 0
	kept, fraction := 0, false
	for _, c := range digits {
		switch {
		case c-'0' > 9:
			fraction = true
		case kept < mostDigits:
			d.mantissa = d.mantissa*10 + uint64(c-'0')
			if d.mantissa > 0 {
				kept++
			}
			if fraction {
				d.exponent--
			}
		default:
			d.long = true
			if !fraction {
				d.exponent++
			}
		}
	}
}

// Powers of ten that a float64 holds exactly.
var floatPowers = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10,
	1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

var integerPowers = [...]uint64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10,
	1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19}

// float returns the float64 nearest to d if one correctly rounded operation on
// exact operands gives it, as it does for what instruments print.
func (d decimal) float() (float64, bool) {
	if d.mantissa > 1<<53 || d.long {
		return 0, false
	}
	v := float64(d.mantissa)
	switch {
	case d.exponent == 0 || d.mantissa == 0:
	case d.exponent < 0 && d.exponent >= -22:
		v /= floatPowers[-d.exponent]
	case d.exponent > 0 && d.exponent <= 22:
		v *= floatPowers[d.exponent]
	default:
		return 0, false
	}
	if d.negative {
		v = -v
	}
	return v, true
}

// nanoseconds returns d seconds as nanoseconds: exactly, or where d has digits
// below the nanosecond the nearest, halves away from zero. It is false beyond
// int64.
func (d decimal) nanoseconds() (int64, bool) {
	n := d.mantissa
	switch e := d.exponent + 9; {
	case n == 0 || e == 0:
	case e > mostDigits:
		return 0, false
	case e > 0:
		high, low := bits.Mul64(n, integerPowers[e])
		if high != 0 {
			return 0, false
		}
		n = low
	case e < -mostDigits:
		n = 0
	default:
		p := integerPowers[-e]
		rest := n % p
		n /= p
		if rest >= p-rest {
			n++
		}
	}
	if n > math.MaxInt64 {
		return 0, false
	}
	if d.negative {
		return -int64(n), true
	}
	return int64(n), true
}

// parseNumber returns the float64 nearest to the decimal that is all of cell,
// exactly as strconv.ParseFloat rounds. What overflows to an infinity is no
// number.
func parseNumber(cell []byte, mark byte) (float64, bool) {
	d, next := scanDecimal(cell, 0, mark)
	if next != len(cell) {
		return 0, false
	}
	if v, ok := d.float(); ok {
		return v, true
	}
	text := bytes.TrimLeft(cell, " ")
	if mark == ',' {
		text = bytes.Replace(text, []byte{','}, []byte{'.'}, 1)
	}
	v, err := strconv.ParseFloat(string(text), 64)
	return v, err == nil
}

// qualityWord returns the quality that an instrument's word stands for.
func qualityWord(cell []byte) (model.Quality, bool) {
	const longest = 16
	var word [longest]byte
	n := 0
	for _, c := range cell {
		if c == ' ' || c == '\t' {
			continue
		}
		if n == longest {
			return model.QualityNone, false
		}
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		word[n] = c
		n++
	}
	switch string(word[:n]) {
	case "OVER", "+OVER":
		return model.QualityOver, true
	case "-OVER", "UNDER", "-UNDER":
		return model.QualityUnder, true
	case "BURNOUT":
		return model.QualityBurnout, true
	case "NODATA":
		return model.QualityNoData, true
	}
	return model.QualityNone, false
}
