package chunk

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// withoutOthers returns the parts whose names begin with a word, but for one:
// an encoder without them takes that one where it can.
func withoutOthers(word, one string) (without parts) {
	for i, name := range partNames {
		if strings.HasPrefix(name, word) && !strings.Contains(name, one) {
			without |= 1 << i
		}
	}
	return without
}

// A use is data for which an encoder takes one mode, predictor or coder, from a
// number of rows on whatever their number is.
type use struct {
	of      string // mode, predictor or coder
	name    string
	kind    string // of columnKinds or timesKinds
	without parts
	from    int
}

var valueUses = []use{
	{"mode", "decimal", "tenths", 0, 40},
	{"mode", "product", "counts times an odd gain", withoutOthers("mode", "product"), 64},
	{"mode", "quotient", "counts by a gain", withoutOthers("mode", "product"), 64},
	{"mode", "near", "tenths with noise in the last place", withoutOthers("mode", "near"), 64},
	{"mode", "float32", "float32 noise", withoutOthers("mode", "float32"), 64},
	{"mode", "float64", "random bits", 0, 64},
	{"mode", "dictionary", "hundreds of irrationals", withoutOthers("mode", "dictionary"), 1000},
	{"predictor", "none", "integers", 0, 1000},
	{"predictor", "delta", "hundredths", 0, 300},
	{"predictor", "slope", "squares", 0, 40},
	{"coder", "packed", "random bits", withoutOthers("coder", "packed"), 64},
	{"coder", "symbols", "hundredths", 0, 1000},
	{"coder", "symbols/", "rare ones", withoutOthers("coder", "symbols"), 1000},
	{"coder", "zstd", "a long pattern", 0, 2000},
	{"coder", "runs", "long runs of random decimals", withoutOthers("coder", "runs") | withoutOthers("predictor", "none"), 300},
}

var timesUses = []use{
	{"mode", "line", "jitter of milliseconds", 0, 300},
	{"mode", "integers", "seconds at random", withoutOthers("times", "integers"), 300},
}

// suits reports whether a column is kept as u wants. Symbols for groups are of
// several sizes.
func (u *use) suits(d Description) bool {
	part := map[string]string{"mode": d.Mode, "predictor": d.Predictor, "coder": d.Coder}[u.of]
	return part == u.name || u.name == "symbols/" && strings.HasPrefix(part, u.name)
}

// TestEveryPartAtEveryLength makes the small form use each mode, predictor and
// coder, at every length, and makes sure that it does.
func TestEveryPartAtEveryLength(t *testing.T) {
	for _, u := range valueUses {
		t.Run(fmt.Sprintf("values, %s %s", u.of, u.name), func(t *testing.T) {
			t.Parallel()
			k := slices.IndexFunc(columnKinds, func(k columnKind) bool { return k.name == u.kind })
			c := columnChecker{e: Encoder{without: u.without}}
			var missed []int
			for _, n := range lengths() {
				src := c.checkValues(t, u.kind, columnKinds[k].make(rand.New(rand.NewPCG(uint64(n), 0)), n), Small)
				d, err := DescribeValues(src, n)
				if err != nil {
					t.Fatal(err)
				}
				if n >= u.from && !u.suits(d) {
					missed = append(missed, n)
				}
			}
			if len(missed) > 0 {
				t.Errorf("%s is not kept so with %v rows", u.kind, missed)
			}
		})
	}
	for _, u := range timesUses {
		t.Run(fmt.Sprintf("times, %s %s", u.of, u.name), func(t *testing.T) {
			k := slices.IndexFunc(timesKinds, func(k timesKind) bool { return k.name == u.kind })
			c := columnChecker{e: Encoder{without: u.without}}
			for _, n := range lengths() {
				times := timesKinds[k].times(rand.New(rand.NewPCG(uint64(n), 0)), n)
				d, err := DescribeTimes(c.checkTimes(t, u.kind, times, Small), n)
				if err != nil || n >= u.from && !u.suits(d) {
					t.Fatalf("%s is kept with %d rows as %v, %v", u.kind, n, d, err)
				}
			}
		})
	}
}

// TestEveryPartIsForced: what the format can say is among what the test above
// makes encoders use.
func TestEveryPartIsForced(t *testing.T) {
	check := func(uses []use, of string, names []string) {
		t.Helper()
		for _, name := range names {
			if !slices.ContainsFunc(uses, func(u use) bool { return u.of == of && u.name == name }) {
				t.Errorf("%s %s is not forced", of, name)
			}
		}
	}
	var modes []string
	for _, m := range valueModes {
		modes = append(modes, m.name)
	}
	check(valueUses, "mode", modes)
	check(valueUses, "predictor", predictorNames[:])
	check(valueUses, "coder", coderNames[:])
	check(timesUses, "mode", timesNames[:])
}

// TestColumnsWithoutParts encodes every kind of column with every part missing,
// and with any parts missing: what is left to the encoder must do.
func TestColumnsWithoutParts(t *testing.T) {
	for i, name := range partNames {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := columnChecker{e: Encoder{without: 1 << i}}
			for _, n := range []int{1, 2, 65, 1111} {
				for k, kind := range columnKinds {
					values := kind.make(rand.New(rand.NewPCG(uint64(k), uint64(n))), n)
					for _, form := range forms {
						src := c.checkValues(t, kind.name, values, form)
						if (k+i)%7 == 0 {
							checkFold(t, kind.name, &c.d, src, values, []int{0, n / 3, n})
						}
					}
				}
				for k, kind := range timesKinds {
					times := kind.times(rand.New(rand.NewPCG(uint64(k), uint64(n))), n)
					for _, form := range forms {
						c.checkTimes(t, kind.name, times, form)
					}
				}
			}
		})
	}
}

func TestAnyValuesWithoutAnyParts(t *testing.T) {
	var c columnChecker
	rapid.Check(t, func(t *rapid.T) {
		values := drawColumn(t)
		c.e.without = parts(rapid.Uint32().Draw(t, "without"))
		for _, form := range forms {
			src := c.checkValues(t, "any", values, form)
			checkFold(t, "any", &c.d, src, values, []int{0, len(values) / 3, len(values)})
		}
	})
}

// TestQualityIsCheap: rows that hold no number do not spoil the others.
func TestQualityIsCheap(t *testing.T) {
	var e Encoder
	for _, name := range []string{"tenths, some quality", "tenths, then no data", "tenths, rare specials"} {
		kind := columnKinds[slices.IndexFunc(columnKinds, func(k columnKind) bool { return k.name == name })]
		for _, n := range []int{500, 1000, 4096} {
			values := kind.make(rand.New(rand.NewPCG(8, 8)), n)
			for _, form := range forms {
				if bits := bitsPerRow(len(e.AppendValues(nil, values, form)), n); bits > 9 {
					t.Errorf("%s, %d rows, %v: %.1f bits a value", name, n, form, bits)
				}
			}
		}
	}
}
