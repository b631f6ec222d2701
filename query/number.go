package query

import (
	"math"
	"strconv"

	"github.com/hokan-db/hokan/engine/model"
)

// Numbers are plain decimals, and have an exponent only below 1e-6 and from
// 1e21 on. These are the limits that JavaScript uses, and Go's encoding/json.
const (
	plainFrom  = 1e-6
	plainBelow = 1e21
)

// exactDigits bounds the integers of the fast path. Two different decimals of
// at most 15 digits are never the same float64, so one that reads back to the
// value is the shortest there is.
const exactDigits = 1e15

// fastDecimals are the numbers of decimals that the fast path tries.
var fastDecimals = [...]int{3, 6, 10}

var powersOf10 = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10}

// AppendNumber appends the shortest decimal that reads back to the bits of v,
// which must be finite. Negative zero is "-0".
func AppendNumber(dst []byte, v float64) []byte {
	magnitude := math.Abs(v)
	if magnitude >= plainFrom && magnitude < exactDigits {
		for _, decimals := range fastDecimals {
			scaled := magnitude * powersOf10[decimals]
			if scaled >= exactDigits {
				break
			}
			if n := uint64(scaled + 0.5); float64(n)/powersOf10[decimals] == magnitude {
				return appendScaled(dst, v < 0, n, decimals)
			}
		}
	}
	if magnitude == 0 {
		if math.Signbit(v) {
			return append(dst, "-0"...)
		}
		return append(dst, '0')
	}
	if magnitude >= plainFrom && magnitude < plainBelow {
		return strconv.AppendFloat(dst, v, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, v, 'e', -1, 64)
	if n := len(dst); dst[n-4] == 'e' && dst[n-2] == '0' { // e-07 is e-7
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// appendScaled appends n / 10^decimals without trailing zeros; n is not 0.
func appendScaled(dst []byte, negative bool, n uint64, decimals int) []byte {
	for decimals > 0 && n%10 == 0 {
		n /= 10
		decimals--
	}
	var digits [24]byte
	at := len(digits)
	if decimals > 0 {
		for ; decimals > 0; decimals-- {
			at--
			digits[at] = byte('0' + n%10)
			n /= 10
		}
		at--
		digits[at] = '.'
	}
	for first := true; first || n > 0; first = false {
		at--
		digits[at] = byte('0' + n%10)
		n /= 10
	}
	if negative {
		at--
		digits[at] = '-'
	}
	return append(dst, digits[at:]...)
}

// AppendValue appends v as JSON: a number, or a string where JSON has no number
// for it: "Infinity", "-Infinity", "NaN", or the word of a quality.
func AppendValue(dst []byte, v float64) []byte {
	if word := wordOf(v); word != "" {
		dst = append(dst, '"')
		dst = append(dst, word...)
		return append(dst, '"')
	}
	return AppendNumber(dst, v)
}

// AppendText is AppendValue without quotes, as CSV and tables have it.
func AppendText(dst []byte, v float64) []byte {
	if word := wordOf(v); word != "" {
		return append(dst, word...)
	}
	return AppendNumber(dst, v)
}

// wordOf returns what stands for a value that no decimal can write, else "".
func wordOf(v float64) string {
	if v-v == 0 {
		return ""
	}
	switch {
	case v > 0:
		return "Infinity"
	case v < 0:
		return "-Infinity"
	}
	return model.QualityOf(v).String()
}
