package chunk

import (
	"encoding/binary"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/model"
)

// plainFold is what Fold must give, row by row.
func plainFold(values []float64) model.Aggregate {
	var a model.Aggregate
	for _, v := range values {
		a.Add(0, v)
	}
	return a
}

// checkSum holds a sum to 2^-50 of the sum of the magnitudes; where that
// overflows, to the infinities among the values alone.
func checkSum(t fataler, got *model.Aggregate, values []float64) {
	t.Helper()
	magnitudes, infinite := 0.0, 0.0
	exact := new(big.Float).SetPrec(2300)
	term := new(big.Float).SetPrec(53)
	for _, v := range values {
		if math.IsInf(v, 0) {
			infinite += v
		} else if v == v {
			magnitudes += math.Abs(v)
			exact.Add(exact, term.SetFloat64(v))
		}
	}
	switch total := got.Total(); {
	case math.IsInf(magnitudes, 0): // it may overflow on the way
	case infinite != 0: // infinite or, of both signs, NaN
		if total != infinite && !(math.IsNaN(total) && math.IsNaN(infinite)) {
			t.Fatalf("the sum is %v, want %v", total, infinite)
		}
	case math.IsNaN(total) || math.IsInf(total, 0):
		t.Fatalf("the sum is %v, want %v", total, exact)
	default:
		miss := new(big.Float).SetPrec(2300).SetFloat64(total)
		miss.Sub(miss, exact).Abs(miss)
		// A denormal has no finer bits to be right in.
		bound := math.Ldexp(magnitudes, -50) + 2*math.SmallestNonzeroFloat64
		if m, _ := miss.Float64(); m > bound {
			t.Fatalf("the sum %v misses by %v, at most %v", total, m, bound)
		}
	}
}

// checkStretches decodes every other piece of a column.
func checkStretches(t fataler, name string, d *Decoder, src []byte, values []float64, cuts []int) {
	t.Helper()
	cuts = cuts[:len(cuts)&^1]
	want := []float64{7}
	for i := 0; i < len(cuts); i += 2 {
		want = append(want, values[cuts[i]:cuts[i+1]]...)
	}
	got, err := d.Stretches([]float64{7}, cuts, src, len(values))
	if err != nil || !sameBits(got, want) {
		t.Fatalf("%s, %d rows, stretches %v: %v, %v, want %v", name, len(values), cuts, got, err, want)
	}
}

// checkFold folds a column and compares each piece with a plain loop.
func checkFold(t fataler, name string, d *Decoder, src []byte, values []float64, cuts []int) {
	t.Helper()
	checkStretches(t, name, d, src, values, cuts)
	out := make([]model.Aggregate, len(cuts)-1)
	for i := range out { // must be overwritten
		out[i] = model.Aggregate{Count: 3, Quality: 4, Min: -1e308, Max: 1e308, Sum: 5, Compensation: 6, First: 7, Last: 8}
	}
	if err := d.Fold(out, cuts, src, len(values)); err != nil {
		t.Fatalf("%s, %d rows: %v", name, len(values), err)
	}
	for i := range out {
		rows := values[cuts[i]:cuts[i+1]]
		got, want := &out[i], plainFold(rows)
		if got.Count != want.Count || got.Quality != want.Quality {
			t.Fatalf("%s, rows %d to %d: %d numbers and %d qualities, want %d and %d",
				name, cuts[i], cuts[i+1], got.Count, got.Quality, want.Count, want.Quality)
		}
		if want.Count == 0 {
			continue
		}
		if !sameBits([]float64{got.Min, got.Max, got.First, got.Last}, []float64{want.Min, want.Max, want.First, want.Last}) {
			t.Fatalf("%s, rows %d to %d: min %v, max %v, first %v, last %v; want %v, %v, %v, %v", name, cuts[i], cuts[i+1],
				got.Min, got.Max, got.First, got.Last, want.Min, want.Max, want.First, want.Last)
		}
		checkSum(t, got, rows)
	}
}

// cutsOf returns cuts of so many rows: all in one, each row its own, equal
// pieces, and random ones with empty pieces and both ends left out.
func cutsOf(r *rand.Rand, rows int) [][]int {
	every := make([]int, min(rows, 200)+1)
	for i := range every {
		every[i] = i
	}
	var equal []int
	for i := 0; i <= rows; i += 60 {
		equal = append(equal, i)
	}
	random := make([]int, 2+r.IntN(12))
	for i := range random {
		random[i] = r.IntN(rows + 1)
	}
	slices.Sort(random)
	return [][]int{{0, rows}, {rows / 2, rows}, {0, 0, rows, rows}, {0, rows / 3}, {rows}, every, equal, random}
}

func TestFoldIsAPlainLoop(t *testing.T) {
	for k, kind := range columnKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			var e Encoder
			var d Decoder
			sizes := []int{1, 2, 3, 17, 63, 64, 65, 128, 500, 1024, 1300, 4096, 5000}
			for _, n := range sizes {
				r := rand.New(rand.NewPCG(uint64(k), uint64(n)))
				values := kind.make(r, n)
				for _, form := range forms {
					src := e.AppendValues(nil, values, form)
					for _, cuts := range cutsOf(r, n) {
						checkFold(t, kind.name, &d, src, values, cuts)
					}
				}
			}
		})
	}
}

func TestFoldOfAnyValues(t *testing.T) {
	var e Encoder
	var d Decoder
	rapid.Check(t, func(t *rapid.T) {
		values := drawColumn(t)
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(values)), 1, 20).Draw(t, "cuts")
		slices.Sort(cuts)
		for _, form := range forms {
			checkFold(t, "any", &d, e.AppendValues(nil, values, form), values, cuts)
		}
	})
}

// TestFoldOfPairsOfSpecials: which of equal numbers is the least, and what
// comes first and last, is decided by few values.
func TestFoldOfPairsOfSpecials(t *testing.T) {
	var e Encoder
	var d Decoder
	for _, a := range specials {
		for _, b := range specials {
			for _, values := range [][]float64{{a, b}, {a, b, a}, {b, 1.5, a, a, b, 1.5, 1.6, a}, {0, a, 0, b, 0, 0, 0.1, 0, a}} {
				for _, form := range forms {
					src := e.AppendValues(nil, values, form)
					checkFold(t, "specials", &d, src, values, []int{0, len(values)})
					checkFold(t, "specials", &d, src, values, []int{1, 2, len(values)})
				}
			}
		}
	}
}

// TestScalesAreRefused: of these, integers do not become numbers in their order,
// and Fold would not be a plain loop.
func TestScalesAreRefused(t *testing.T) {
	for mode, factors := range map[byte][]float64{
		modeProduct:  {0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1)},
		modeQuotient: {0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1), 5e-324},
	} {
		for _, factor := range append(factors, 3) {
			src := binary.LittleEndian.AppendUint64([]byte{mode}, math.Float64bits(factor))
			src = new(Encoder).appendIntegers(src, []int64{1, 0, -1}, 0)
			var d Decoder
			_, err := d.Values(nil, src, 3)
			foldError := d.Fold(make([]model.Aggregate, 1), []int{0, 3}, src, 3)
			if sound := factor == 3; sound != (err == nil) || sound != (foldError == nil) {
				t.Errorf("mode %d of %v: %v, Fold: %v", mode, factor, err, foldError)
			}
		}
	}
}

func TestFoldRefuses(t *testing.T) {
	var e Encoder
	var d Decoder
	values := decimals(rand.New(rand.NewPCG(1, 1)), 100, 10, 0.1)
	for _, form := range forms {
		src := e.AppendValues(nil, values, form)
		out := make([]model.Aggregate, 1)
		for _, cuts := range [][]int{nil, {0}, {0, 101}, {-1, 5}, {5, 4}, {0, 1, 2}} {
			if err := d.Fold(out, cuts, src, 100); err == nil {
				t.Errorf("cuts %v", cuts)
			}
			if _, err := d.Stretches(nil, cuts, src, 100); err == nil && len(cuts) > 0 {
				t.Errorf("stretches %v", cuts)
			}
		}
		for n := range src {
			if err := d.Fold(out, []int{0, 100}, src[:n], 100); !errors.Is(err, ErrCorrupt) {
				t.Errorf("cut to %d bytes: %v", n, err)
			}
			if got, err := d.Stretches(values[:1], []int{50, 60}, src[:n], 100); !errors.Is(err, ErrCorrupt) || len(got) != 1 {
				t.Errorf("a stretch, cut to %d bytes: %v", n, err)
			}
		}
		if err := d.Fold(out, []int{0, 100}, append(src, 0), 100); !errors.Is(err, ErrCorrupt) {
			t.Errorf("a byte more: %v", err)
		}
	}
}
