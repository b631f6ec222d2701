package text

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// checkNumber compares parseNumber with strconv: the same bits where the cell
// is a decimal, nothing where it is not or overflows.
func checkNumber(t interface{ Fatalf(string, ...any) }, cell string) {
	got, ok := ParseNumber([]byte(cell), '.')
	want, err := strconv.ParseFloat(strings.TrimLeft(cell, " "), 64)
	plain := strings.Trim(cell, "0123456789.+-eE ") == "" // no hexadecimals, words or underscores
	if ok != (err == nil && plain) {
		t.Fatalf("%q: %v %v, strconv says %v %v", cell, got, ok, want, err)
	}
	if ok && math.Float64bits(got) != math.Float64bits(want) {
		t.Fatalf("%q: %v, strconv says %v", cell, got, want)
	}
	comma, ok2 := ParseNumber([]byte(strings.Replace(cell, ".", ",", 1)), ',')
	if ok2 != ok || ok && math.Float64bits(comma) != math.Float64bits(got) {
		t.Fatalf("%q with a comma: %v %v, want %v %v", cell, comma, ok2, got, ok)
	}
}

func TestNumbersAreStrconvs(t *testing.T) {
	for _, cell := range []string{"0", "-0", " 2.62100E+01", "-1.76000E-02", "+2.62400E+01", "1e22", "1e23", "9007199254740992",
		"9007199254740993", "9007199254740993e-5", "123456789012345678901234567890", "0.000000000000000000000000000000012345",
		"1e400", "-1E400", "1e-400", "1.7976931348623157e308", "1.7976931348623159e308", "4.9e-324", "2.4e-324",
		"", " ", ".", "+", "1.", ".5", "1e", "1e+", "1.2.3", "--1", "1 ", "0x10", "inf", "nan", "1_0", "1e99999999999999999999",
		"0e99999999999999999999", "1e-99999999999999999999", "0.0000000000000000000000", "18446744073709551616", "9999999999999999999"} {
		checkNumber(t, cell)
	}
	rapid.Check(t, func(t *rapid.T) {
		checkNumber(t, rapid.StringMatching(` ?[+-]?[0-9]{0,25}(\.[0-9]{0,25})?([eE][+-]?[0-9]{0,3})?`).Draw(t, "cell"))
	})
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float64().Draw(t, "v")
		digits := rapid.IntRange(-1, 20).Draw(t, "digits")
		format := rapid.SampledFrom([]byte("eEfg")).Draw(t, "format")
		checkNumber(t, strconv.FormatFloat(v, format, digits, 64))
	})
}

func FuzzNumber(f *testing.F) {
	for _, cell := range []string{" 2.62100E+01", "-1.7e-3", "9007199254740993", "1e400", "0.1", "x", "1e-330"} {
		f.Add(cell)
	}
	f.Fuzz(func(t *testing.T, cell string) {
		if strings.Contains(cell, ",") {
			return
		}
		checkNumber(t, cell)
	})
}

// Seconds become nanoseconds as rational arithmetic says.
func TestSecondsAreExact(t *testing.T) {
	check := func(t interface{ Fatalf(string, ...any) }, cell string) {
		d, end := scanDecimal([]byte(cell), 0, '.')
		if end != len(cell) {
			t.Fatalf("%q stopped at %d", cell, end)
		}
		got, ok := d.times(1e9)
		exact, _ := new(big.Rat).SetString(cell)
		exact.Mul(exact, big.NewRat(1e9, 1))
		rounded, _ := new(big.Int).SetString(exact.FloatString(0), 10) // halves away from zero
		if want := rounded.IsInt64() && rounded.Int64() != math.MinInt64; ok != want {
			t.Fatalf("%q: %v, want %v", cell, ok, want)
		}
		if ok && got != rounded.Int64() {
			t.Fatalf("%q: %d, want %s", cell, got, rounded)
		}
	}
	for cell, want := range map[string]int64{
		"0.000000000E+00": 0, "1.000000000E+01": 1e10, "5.000000000E-02": 5e7, "3.327900000E+05": 332790e9,
		"-1.5": -15e8, "0.1": 1e8, "1.23456789123E+05": 123456789123000, "1E-9": 1, "4E-10": 0, "5E-10": 1, "-5E-10": -1, "0E400": 0,
	} {
		d, _ := scanDecimal([]byte(cell), 0, '.')
		if got, ok := d.times(1e9); !ok || got != want {
			t.Errorf("%q: %d %v, want %d", cell, got, ok, want)
		}
	}
	for _, cell := range []string{"9223372036.854775807", "9223372036.854775808", "-9223372036.854775807", "1E10", "1E400", "1E-400", "18446744073709551615"} {
		check(t, cell)
	}
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.Uint64Max(9_999_999_999_999_999_999).Draw(t, "digits")
		check(t, fmt.Sprintf("%dE%d", digits, rapid.IntRange(-30, 12).Draw(t, "exponent")))
	})
}

// A line that is too long is passed over, and the next has its right place.
func TestLongLineError(t *testing.T) {
	l := NewLines(strings.NewReader(strings.Repeat("x", 2<<20) + "\nnext"))
	if _, err := l.next(); !errors.Is(err, errLongLine) {
		t.Fatal(err)
	}
	if line, err := l.next(); err != nil || string(line) != "next" || l.Number != 2 || l.offset != 2<<20+1 {
		t.Fatalf("%q %v, line %d at byte %d", line, err, l.Number, l.offset)
	}
}
