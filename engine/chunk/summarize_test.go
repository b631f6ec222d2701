package chunk

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/model"
)

// sameSummary compares bit for bit, NaN included.
func sameSummary(a, b Summary) bool {
	floats := func(s Summary) [6]uint64 {
		var bits [6]uint64
		for i, f := range []float64{s.Min, s.Max, s.First, s.Last, s.Sum, s.Compensation} {
			bits[i] = math.Float64bits(f)
		}
		return bits
	}
	return floats(a) == floats(b) && a.Count == b.Count && a.Quality == b.Quality &&
		a.FirstTime == b.FirstTime && a.LastTime == b.LastTime
}

func TestSummarizeIsAddRowByRow(t *testing.T) {
	value := rapid.OneOf(
		rapid.Float64(),
		rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), 1e308, -1e308,
			1e-308, 1, 1e17, model.QualityOver.NaN()}),
		rapid.Map(rapid.IntRange(-100, 100), func(i int) float64 { return float64(i) / 10 }),
		rapid.Map(rapid.Uint64(), math.Float64frombits),
	)
	zeros := rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.NaN()})
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SampledFrom([]*rapid.Generator[float64]{value, value, zeros}).Draw(t, "kind")
		least := rapid.SampledFrom([]int{0, 1, 2, 50}).Draw(t, "least")
		values := rapid.SliceOfN(value, least, -1).Draw(t, "values")
		times := make([]int64, len(values))
		var want Summary
		for i, v := range values {
			times[i] = int64(i)*3 - 50
			want.Add(times[i], v)
		}
		if got := Summarize(times, values); !sameSummary(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

// TestSumsNextToTheGreatestFloat: what rounding takes off a sum may overflow on
// its way where the sum does not.
func TestSumsNextToTheGreatestFloat(t *testing.T) {
	values := []float64{0x1.8p971, -math.MaxFloat64, 0x1p969, math.MaxFloat64}
	times := []int64{0, 1, 2, 3}
	var want Summary
	for i, v := range values {
		want.Add(times[i], v)
	}
	if got := Summarize(times, values); !sameSummary(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}
