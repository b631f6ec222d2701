package chunk

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/model"
)

var forms = []Encoding{Fast, Small}

// long says that loops may take minutes.
var long = os.Getenv("HOKAN_LONG") != ""

// lengths returns how long test columns are: every length up to 5,000 in a
// long run, else all short ones and those about the sizes that encoders round
// to or cut at.
func lengths() []int {
	var all []int
	edges := []int{192, 255, 256, 257, 320, 511, 512, 513, 640, 1000, 1023, 1024, 1025, 1500, 2047, 2048, 2049, 3000, 4095, 4096, 4097, 4999, 5000}
	for n := 1; n <= 5000; n++ {
		if long || n <= 40 || n <= 130 && !underRace || slices.Contains(edges, n) {
			all = append(all, n)
		}
	}
	return all
}

// A fataler is a test, a benchmark or a rapid property.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// A columnChecker encodes and decodes with scratch memory that earlier columns
// left its traces in.
type columnChecker struct {
	e      Encoder
	d      Decoder
	bytes  []byte
	values []float64
	times  []int64
}

// checkValues takes values through bytes and back, in one form, and returns
// the bytes, which are the checker's.
func (c *columnChecker) checkValues(t fataler, name string, values []float64, form Encoding) []byte {
	t.Helper()
	before := slices.Clone(values)
	c.bytes = c.e.AppendValues(append(c.bytes[:0], "before"...), values, form)
	if !sameBits(values, before) {
		t.Fatalf("%s, %d rows, %v: AppendValues changed the values", name, len(values), form)
	}
	if string(c.bytes[:6]) != "before" {
		t.Fatalf("%s, %d rows, %v: AppendValues changed what was in dst", name, len(values), form)
	}
	src := c.bytes[6:]
	got, err := c.d.Values(append(c.values[:0], 7), src, len(values))
	c.values = got
	if err != nil {
		t.Fatalf("%s, %d rows, %v: %v", name, len(values), form, err)
	}
	if got[0] != 7 || len(got) != len(values)+1 {
		t.Fatalf("%s, %d rows, %v: got %d", name, len(values), form, len(got)-1)
	}
	for i, v := range values {
		if g := math.Float64bits(got[i+1]); g != math.Float64bits(v) {
			description, _ := DescribeValues(src, len(values))
			t.Fatalf("%s, %d rows, %v, %v: row %d is %#x, want %#x (%v)", name, len(values), form, description, i, g, math.Float64bits(v), v)
		}
	}
	return src
}

// checkTimes does the same with times.
func (c *columnChecker) checkTimes(t fataler, name string, times []int64, form Encoding) []byte {
	t.Helper()
	before := slices.Clone(times)
	c.bytes = c.e.AppendTimes(append(c.bytes[:0], "before"...), times, form)
	if !slices.Equal(times, before) {
		t.Fatalf("%s, %d rows, %v: AppendTimes changed the times", name, len(times), form)
	}
	if string(c.bytes[:6]) != "before" {
		t.Fatalf("%s, %d rows, %v: AppendTimes changed what was in dst", name, len(times), form)
	}
	src := c.bytes[6:]
	got, err := c.d.Times(append(c.times[:0], 7), src, len(times))
	c.times = got
	if err != nil {
		t.Fatalf("%s, %d rows, %v: %v", name, len(times), form, err)
	}
	if got[0] != 7 || !slices.Equal(got[1:], times) {
		description, _ := DescribeTimes(src, len(times))
		t.Fatalf("%s, %d rows, %v, %v: other times came back", name, len(times), form, description)
	}
	return src
}

func sameBits(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) })
}

func TestValuesComeBack(t *testing.T) {
	for k, kind := range columnKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			var c columnChecker
			for _, n := range lengths() {
				values := kind.make(rand.New(rand.NewPCG(uint64(k), uint64(n))), n)
				for _, form := range forms {
					c.checkValues(t, kind.name, values, form)
				}
			}
		})
	}
}

func TestTimesComeBack(t *testing.T) {
	for k, kind := range timesKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			var c columnChecker
			for _, n := range lengths() {
				times := kind.times(rand.New(rand.NewPCG(uint64(k), uint64(n))), n)
				for _, form := range forms {
					c.checkTimes(t, kind.name, times, form)
				}
			}
		})
	}
}

// TestSpecialsComeBack keeps every special value alone, next to every other
// one, and at every place of a short column of ordinary ones.
func TestSpecialsComeBack(t *testing.T) {
	var c columnChecker
	for _, form := range forms {
		for _, a := range specials {
			c.checkValues(t, "alone", []float64{a}, form)
			for _, b := range specials {
				c.checkValues(t, "a pair", []float64{a, b}, form)
				c.checkValues(t, "a pair, then decimals", []float64{a, b, 1.5, 1.6, 1.5, 1.7}, form)
				c.checkValues(t, "a pair in runs", []float64{a, a, a, a, a, b, b, b, b, b, a, a, a, a, a, b, b, b, b, b}, form)
			}
			for at := range 70 {
				values := decimals(rand.New(rand.NewPCG(1, 1)), 70, 10, 0.1)
				values[at] = a
				c.checkValues(t, "among decimals", values, form)
			}
		}
		for range 200 {
			c.checkValues(t, "every special", specials, form)
		}
	}
}

// TestEveryExponentComesBack keeps decimals of every exponent there is.
func TestEveryExponentComesBack(t *testing.T) {
	var c columnChecker
	r := rand.New(rand.NewPCG(2, 2))
	for exponent := -330; exponent <= 310; exponent++ {
		values := make([]float64, 200)
		for i := range values {
			digits := math.Round(r.NormFloat64() * 1000)
			if exponent < 0 {
				values[i] = digits / math.Pow(10, -float64(exponent))
			} else {
				values[i] = digits * math.Pow(10, float64(exponent))
			}
		}
		for _, form := range forms {
			c.checkValues(t, "decimals of one exponent", values, form)
		}
	}
	for exponent := -1080; exponent <= 1030; exponent += 3 {
		values := draw(150, func(int) float64 { return math.Ldexp(float64(r.IntN(4000)-2000), exponent) })
		for _, form := range forms {
			c.checkValues(t, "multiples of a power of two", values, form)
		}
	}
}

// TestEveryWidthComesBack keeps numbers that differ in so many low bits.
func TestEveryWidthComesBack(t *testing.T) {
	var c columnChecker
	r := rand.New(rand.NewPCG(3, 3))
	for width := range 65 {
		for _, n := range []int{1, 2, 63, 64, 65, 600} {
			integers := draw(n, func(int) float64 { return float64(int64(r.Uint64() >> (64 - width))) })
			bits := draw(n, func(int) float64 { return math.Float64frombits(r.Uint64() >> (64 - width)) })
			noise := draw(n, func(int) float64 {
				return math.Float64frombits(math.Float64bits(math.Pi) + r.Uint64()>>(64-width))
			})
			singles := draw(n, func(int) float64 {
				return float64(math.Float32frombits(0x41200000 ^ uint32(r.Uint64()>>(64-width))))
			})
			for _, form := range forms {
				for _, values := range [][]float64{integers, bits, noise, singles} {
					c.checkValues(t, "values of one width", values, form)
				}
				times := timesKind{start: -1 << 40, step: func(r *rand.Rand, _ int) int64 { return int64(r.Uint64() >> (64 - width) >> 1) }}
				c.checkTimes(t, "steps of one width", times.times(r, n), form)
			}
		}
	}
}

// drawColumn draws a column out of stretches of the kinds.
func drawColumn(t *rapid.T) []float64 {
	var values []float64
	for range rapid.IntRange(1, 3).Draw(t, "stretches") {
		kind := columnKinds[rapid.IntRange(0, len(columnKinds)-1).Draw(t, "kind")]
		n := rapid.OneOf(rapid.IntRange(1, 80), rapid.IntRange(1, 1500)).Draw(t, "rows")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		values = append(values, kind.make(r, n)...)
	}
	for range rapid.IntRange(0, 4).Draw(t, "changes") {
		at := rapid.IntRange(0, len(values)-1).Draw(t, "at")
		values[at] = rapid.OneOf(rapid.SampledFrom(specials), rapid.Float64(),
			rapid.Map(rapid.Uint64(), math.Float64frombits)).Draw(t, "value")
	}
	return values
}

func TestAnyValuesComeBack(t *testing.T) {
	var c columnChecker
	rapid.Check(t, func(t *rapid.T) {
		values := drawColumn(t)
		for _, form := range forms {
			c.checkValues(t, "any", values, form)
		}
	})
}

func TestAnyTimesComeBack(t *testing.T) {
	var c columnChecker
	rapid.Check(t, func(t *rapid.T) {
		times, _ := drawRows(t)
		kind := timesKinds[rapid.IntRange(0, len(timesKinds)-1).Draw(t, "kind")]
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		kind.start = rapid.OneOf(rapid.Just(kind.start), rapid.Int64()).Draw(t, "start")
		more := kind.times(r, rapid.IntRange(1, 2000).Draw(t, "times"))
		for _, form := range forms {
			c.checkTimes(t, kind.name, more, form)
			if len(times) > 0 {
				c.checkTimes(t, "any", times, form)
			}
		}
	})
}

// TestBytesDependOnTheColumnAlone: what an encoder did before leaves no trace.
func TestBytesDependOnTheColumnAlone(t *testing.T) {
	var used Encoder
	for _, n := range []int{1, 100, 1000, 4096} {
		for k, kind := range columnKinds {
			values := kind.make(rand.New(rand.NewPCG(uint64(k), uint64(n))), n)
			for _, form := range forms {
				var fresh Encoder
				if string(used.AppendValues(nil, values, form)) != string(fresh.AppendValues(nil, values, form)) {
					t.Errorf("%s, %d rows, %v: a used encoder gives other bytes", kind.name, n, form)
				}
			}
		}
		for k, kind := range timesKinds {
			times := kind.times(rand.New(rand.NewPCG(uint64(k), uint64(n))), n)
			for _, form := range forms {
				var fresh Encoder
				if string(used.AppendTimes(nil, times, form)) != string(fresh.AppendTimes(nil, times, form)) {
					t.Errorf("%s, %d rows, %v: a used encoder gives other bytes", kind.name, n, form)
				}
			}
		}
	}
}

// TestDecodersRefuseOtherLengths cuts columns short, lengthens them, and asks
// for other numbers of rows: there is an error or, where the bytes do not say
// how many rows they hold, a column of that many.
func TestDecodersRefuseOtherLengths(t *testing.T) {
	var d Decoder
	var e Encoder
	for k, kind := range columnKinds {
		for _, n := range []int{1, 2, 40, 700} {
			values := kind.make(rand.New(rand.NewPCG(uint64(k), uint64(n))), n)
			for _, form := range forms {
				src := e.AppendValues(nil, values, form)
				refused := func(src []byte) {
					got, err := d.Values([]float64{7}, src, n)
					if !errors.Is(err, ErrCorrupt) || len(got) != 1 || got[0] != 7 {
						t.Errorf("%s, %d rows, %v, %d bytes: %v, %d values", kind.name, n, form, len(src), err, len(got))
					}
				}
				for cut := range src {
					if cut < 50 || cut > len(src)-20 {
						refused(src[:cut])
					}
				}
				refused(append(slices.Clone(src), 0))
				for _, rows := range []int{-1, 0, math.MinInt, math.MaxInt} {
					if got, err := d.Values(nil, src, rows); !errors.Is(err, ErrCorrupt) || len(got) != 0 {
						t.Errorf("%s, %v, %d rows of %d: %v", kind.name, form, rows, n, err)
					}
				}
				for _, rows := range []int{n - 1, n + 1, 2 * n} {
					if got, err := d.Values(nil, src, rows); err == nil && len(got) != rows {
						t.Errorf("%s, %v, %d rows of %d: %d", kind.name, form, rows, n, len(got))
					}
				}
			}
		}
	}
}

// TestDecodersKeepTheirMemory: what a used decoder allocates does not grow with
// the column.
func TestDecodersKeepTheirMemory(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	var e Encoder
	var d Decoder
	for _, kind := range columnKinds {
		values := kind.make(rand.New(rand.NewPCG(6, 6)), 4096)
		for _, form := range forms {
			src := e.AppendValues(nil, values, form)
			got := make([]float64, 0, 4096)
			out := make([]model.Aggregate, 1)
			if n := testing.AllocsPerRun(5, func() { got, _ = d.Values(got[:0], src, 4096) }); n > 1 {
				t.Errorf("%s, %v: Values allocates %v times", kind.name, form, n)
			}
			if n := testing.AllocsPerRun(5, func() { _ = d.Fold(out, []int{0, 4096}, src, 4096) }); n > 2 {
				t.Errorf("%s, %v: Fold allocates %v times", kind.name, form, n)
			}
		}
	}
	for _, kind := range timesKinds {
		times := kind.times(rand.New(rand.NewPCG(6, 6)), 4096)
		for _, form := range forms {
			src := e.AppendTimes(nil, times, form)
			got := make([]int64, 0, 4096)
			if n := testing.AllocsPerRun(5, func() { got, _ = d.Times(got[:0], src, len(times)) }); n > 1 {
				t.Errorf("%s, %v: Times allocates %v times", kind.name, form, n)
			}
		}
	}
}
