package text

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

// times returns d × unit as a whole number, exactly, or where d has more digits
// the nearest, halves away from zero. It is false beyond int64.
func (d decimal) times(unit uint64) (int64, bool) {
	high, low := bits.Mul64(d.mantissa, unit)
	e := d.exponent
	switch {
	case high|low == 0:
		return 0, true
	case e > mostDigits || e >= 0 && high > 0:
		return 0, false
	case e > 0:
		if high, low = bits.Mul64(low, integerPowers[e]); high > 0 {
			return 0, false
		}
	case e < 0:
		if high, low = divideRounded(high, low, -e); high > 0 {
			return 0, false
		}
	}
	if low > math.MaxInt64 {
		return 0, false
	}
	if d.negative {
		return -int64(low), true
	}
	return int64(low), true
}

// divideRounded returns high:low / 10^power, halves up. What is cut off first
// cannot change the rounding, as half of any later power of ten is whole.
func divideRounded(high, low uint64, power int) (uint64, uint64) {
	for power > mostDigits {
		high, low, _ = divide(high, low, integerPowers[mostDigits])
		if power -= mostDigits; power > 3*mostDigits {
			return 0, 0
		}
	}
	p := integerPowers[power]
	high, low, rest := divide(high, low, p)
	if rest >= p-rest {
		var carry uint64
		low, carry = bits.Add64(low, 1, 0)
		high += carry
	}
	return high, low
}

func divide(high, low, by uint64) (uint64, uint64, uint64) {
	quotient, rest := high/by, high%by
	low, rest = bits.Div64(rest, low, by)
	return quotient, low, rest
}

// ParseNumber returns the float64 nearest to the decimal that is all of cell,
// exactly as strconv.ParseFloat rounds. What overflows to an infinity is no
// number.
func ParseNumber(cell []byte, mark byte) (float64, bool) {
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
	case "BURNOUT", "BURN-OUT":
		return model.QualityBurnout, true
	case "NODATA":
		return model.QualityNoData, true
	}
	if n >= 2 && bytes.Count(word[:n], word[:1]) == n { // one sign in every place
		switch word[0] {
		case '+':
			return model.QualityOver, true
		case '-', '*':
			return model.QualityNoData, true
		}
	}
	return model.QualityNone, false
}

// IsQuality reports whether an instrument's word for a quality is all of cell.
func IsQuality(cell []byte) bool {
	_, ok := qualityWord(cell)
	return ok
}
