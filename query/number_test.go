package query

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/model"
)

// wantNumber is AppendNumber by strconv alone.
func wantNumber(v float64) string {
	a := math.Abs(v)
	if a != 0 && (a < 1e-6 || a >= 1e21) {
		s := strconv.FormatFloat(v, 'e', -1, 64)
		return strings.Replace(s, "e-0", "e-", 1)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

func checkNumber(t interface {
	Helper()
	Fatalf(string, ...any)
}, v float64) {
	t.Helper()
	got := string(AppendNumber(nil, v))
	if want := wantNumber(v); got != want {
		t.Fatalf("%x is written %s, want %s", math.Float64bits(v), got, want)
	}
	back, err := strconv.ParseFloat(got, 64)
	if err != nil || math.Float64bits(back) != math.Float64bits(v) {
		t.Fatalf("%s reads back as %v (%v)", got, back, err)
	}
	if !json.Valid([]byte(got)) {
		t.Fatalf("%s is no JSON", got)
	}
}

func TestNumbersAreShortestDecimals(t *testing.T) {
	f := func(v float64, want string) {
		t.Helper()
		checkNumber(t, v)
		if got := string(AppendNumber(nil, v)); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
	f(0, "0")
	f(math.Copysign(0, -1), "-0")
	f(26.21, "26.21")
	f(-0.0176, "-0.0176")
	f(-0.01255, "-0.01255")
	f(100, "100")
	f(1e15, "1000000000000000")
	f(1e20, "100000000000000000000")
	f(1e21, "1e+21")
	f(0.000001, "0.000001")
	f(1e-7, "1e-7")
	f(-1.5e-10, "-1.5e-10")
	f(5e-324, "5e-324")
	f(math.MaxFloat64, "1.7976931348623157e+308")
	f(math.Nextafter(0.3, 1), "0.30000000000000004")
	f(1.0/3, "0.3333333333333333")
	f(9007199254740993, "9007199254740992")
	f(999999999999.999, "999999999999.999")
}

func TestNumbersAgreeWithStrconv(t *testing.T) {
	for n := -200000; n <= 200000; n += 7 {
		for _, scale := range []float64{1, 10, 100, 1000, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 2e4} {
			checkNumber(t, float64(n)/scale)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.Uint64().Draw(t, "bits")
		if v := math.Float64frombits(bits); v-v == 0 {
			checkNumber(t, v)
		}
		n := rapid.Int64Range(-1<<60, 1<<60).Draw(t, "digits")
		k := rapid.IntRange(-25, 25).Draw(t, "exponent")
		v, _ := strconv.ParseFloat(strconv.FormatInt(n, 10)+"e"+strconv.Itoa(k), 64)
		checkNumber(t, v)
		checkNumber(t, math.Nextafter(v, 0))
		checkNumber(t, math.Nextafter(v, math.Inf(1)))
	})
}

func TestValuesWithoutADecimalAreWords(t *testing.T) {
	f := func(v float64, word string) {
		t.Helper()
		if got := string(AppendValue(nil, v)); got != `"`+word+`"` {
			t.Errorf("JSON %s, want %q", got, word)
		}
		if got := string(AppendText(nil, v)); got != word {
			t.Errorf("text %s, want %s", got, word)
		}
	}
	f(math.Inf(1), "Infinity")
	f(math.Inf(-1), "-Infinity")
	f(math.NaN(), "NaN")
	f(math.Float64frombits(0x7FF0000000000001), "NaN")
	f(model.QualityOver.NaN(), "over")
	f(model.QualityUnder.NaN(), "under")
	f(model.QualityBurnout.NaN(), "burnout")
	f(model.QualityNoData.NaN(), "nodata")
	f(model.QualityMath.NaN(), "math")
	if got := string(AppendText(AppendValue(nil, 1.5), -2)); got != "1.5-2" {
		t.Errorf("numbers are written %s", got)
	}
}

func BenchmarkAppendNumber(b *testing.B) {
	values := make([]float64, 1024)
	for name, scale := range map[string]float64{"temperature": 100, "voltage": 1e5, "count": 1} {
		for i := range values {
			values[i] = float64(i*37%20000-10000) / scale
		}
		b.Run(name, func(b *testing.B) {
			var buffer []byte
			for i := 0; i < b.N; i++ {
				buffer = AppendNumber(buffer[:0], values[i%len(values)])
			}
		})
	}
}
