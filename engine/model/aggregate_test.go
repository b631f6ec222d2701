package model_test

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/model"
)

// sameExceptSum compares everything that is exact, bit for bit.
func sameExceptSum(a, b model.Aggregate) bool {
	same := true
	for _, pair := range [...][2]float64{{a.Min, b.Min}, {a.Max, b.Max}, {a.First, b.First}, {a.Last, b.Last}} {
		same = same && math.Float64bits(pair[0]) == math.Float64bits(pair[1])
	}
	return same && a.Count == b.Count && a.Quality == b.Quality && a.FirstTime == b.FirstTime && a.LastTime == b.LastTime
}

func anyNumber() *rapid.Generator[float64] {
	return rapid.OneOf(rapid.Float64Range(-1e3, 1e3), rapid.Float64Range(-1e300, 1e300),
		rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1, -1, 1e-300, 5e-324, 1e16, -1e16, 1e100, -1e100, 0.1}))
}

// naive scans all rows at once.
func naive(times []int64, values []float64) (a model.Aggregate, exact, absolute *big.Float) {
	exact, absolute = new(big.Float).SetPrec(4000), new(big.Float).SetPrec(4000)
	for i, v := range values {
		if i == 0 {
			a.FirstTime = times[0]
		}
		a.LastTime = times[i]
		if math.IsNaN(v) {
			a.Quality++
			continue
		}
		if a.Count == 0 || v < a.Min {
			a.Min = v
		}
		if a.Count == 0 || v > a.Max {
			a.Max = v
		}
		if a.Count == 0 {
			a.First = v
		}
		a.Last = v
		a.Count++
		exact.Add(exact, new(big.Float).SetFloat64(v))
		absolute.Add(absolute, new(big.Float).SetFloat64(math.Abs(v)))
	}
	return a, exact, absolute
}

func checkSum(t *rapid.T, a *model.Aggregate, exact, absolute *big.Float) {
	miss := new(big.Float).SetPrec(4000).SetFloat64(a.Total())
	miss.Sub(miss, exact).Abs(miss)
	bound := new(big.Float).SetPrec(4000).SetMantExp(absolute, -50)
	if miss.Cmp(bound) > 0 {
		t.Fatalf("the sum misses by %v, at most %v", miss, bound)
	}
}

// TestAddAndMergeAgree: however rows are cut into pieces and the pieces'
// summaries merged, the summary is that of a scan: exact but for the sum, and
// that within its bound.
func TestAddAndMergeAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.OneOf(anyNumber(), anyNumber(), anyNumber(),
			rapid.Just(model.QualityOver.NaN())), 0, 60).Draw(t, "values")
		times := make([]int64, len(values))
		for i := range times {
			times[i] = int64(i)*3 - 50
		}
		want, exact, absolute := naive(times, values)
		var added, merged, piece model.Aggregate
		for i, v := range values {
			added.Add(times[i], v)
			piece.Add(times[i], v)
			if rapid.IntRange(0, 3).Draw(t, "cut") == 0 {
				merged.Merge(&piece)
				piece = model.Aggregate{}
			}
		}
		merged.Merge(&piece)
		for name, got := range map[string]*model.Aggregate{"added": &added, "merged": &merged} {
			if !sameExceptSum(*got, want) {
				t.Fatalf("%s %+v, want %+v", name, *got, want)
			}
			if got.Rows() != uint64(len(values)) {
				t.Fatalf("%s: %d rows of %d", name, got.Rows(), len(values))
			}
			checkSum(t, got, exact, absolute)
		}
	})
}

// TestSumsThatNeedCompensation: a plain sum of these is wrong in every digit.
func TestSumsThatNeedCompensation(t *testing.T) {
	for name, values := range map[string][]float64{
		"cancelling": {1, 1e100, 1, -1e100},
		"tenths":     {1e16, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, -1e16},
	} {
		want := map[string]float64{"cancelling": 2, "tenths": 1}[name]
		var added, merged model.Aggregate
		for i, v := range values {
			added.Add(int64(i), v)
			var one model.Aggregate
			one.Add(int64(i), v)
			merged.Merge(&one)
		}
		if math.Abs(added.Total()-want) > 1e-12 || math.Abs(merged.Total()-want) > 1e-12 {
			t.Errorf("%s: added %v, merged %v, want %v", name, added.Total(), merged.Total(), want)
		}
		if mean := added.Mean(); math.Abs(mean-want/float64(len(values))) > 1e-12 {
			t.Errorf("%s: mean %v", name, mean)
		}
	}
}

func TestInfinitiesInSums(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{inf}, inf}, {[]float64{1, inf, 2}, inf}, {[]float64{inf, inf}, inf}, {[]float64{-inf, 5}, -inf},
		{[]float64{inf, -inf}, math.NaN()}, {[]float64{inf, -inf, 3}, math.NaN()},
		{[]float64{math.MaxFloat64, math.MaxFloat64, 1}, inf}, {nil, 0},
	} {
		var added, merged model.Aggregate
		for i, v := range c.values {
			added.Add(int64(i), v)
			var one model.Aggregate
			one.Add(int64(i), v)
			merged.Merge(&one)
		}
		for _, got := range []float64{added.Total(), merged.Total()} {
			if got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
				t.Errorf("%v: %v", c.values, got)
			}
		}
	}
	if mean := new(model.Aggregate).Mean(); !math.IsNaN(mean) {
		t.Errorf("the mean of nothing is %v", mean)
	}
}

func TestTheEarliestOfEqualNumbersIsKept(t *testing.T) {
	negative := math.Copysign(0, -1)
	for _, values := range [][]float64{{0, negative}, {negative, 0}} {
		var added, merged, second model.Aggregate
		added.Add(1, values[0])
		added.Add(2, values[1])
		merged.Add(1, values[0])
		second.Add(2, values[1])
		merged.Merge(&second)
		for _, a := range []model.Aggregate{added, merged} {
			if math.Signbit(a.Min) != math.Signbit(values[0]) || math.Signbit(a.Max) != math.Signbit(values[0]) {
				t.Errorf("%v: min %v, max %v", values, a.Min, a.Max)
			}
		}
	}
}
