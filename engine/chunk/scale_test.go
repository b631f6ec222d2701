package chunk

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// TestScalesAreTheFormula holds quotients of any base to the formula in
// values.go, computed exactly and rounded where it says so.
func TestScalesAreTheFormula(t *testing.T) {
	rat := func(f float64) *big.Rat { return new(big.Rat).SetFloat64(f) }
	round := func(r *big.Rat) float64 { f, _ := r.Float64(); return f }
	times := func(a, b float64) *big.Rat { return new(big.Rat).Mul(rat(a), rat(b)) }
	formula := func(base float64, integer int64) float64 {
		high := round(new(big.Rat).Quo(rat(1), rat(base)))
		rest := round(new(big.Rat).Sub(rat(1), times(high, base)))
		low := round(new(big.Rat).Quo(rat(rest), rat(base)))
		f := float64(integer)
		return round(new(big.Rat).Add(times(f, high), rat(round(times(f, low)))))
	}
	check := func(base float64, integer int64) {
		if got, want := dividing(base).at(integer), formula(base, integer); got != want {
			t.Errorf("%d / %v is %v, want %v", integer, base, got, want)
		}
	}
	check(1.1129871557242899e+307, 608010826682) // where it is not the nearest float
	r := rand.New(rand.NewPCG(3, 3))
	for range 2000 {
		check(math.Ldexp(1+r.Float64(), r.IntN(1900)-950), r.Int64N(2*maxInteger)-maxInteger)
		check(powersOfTen[r.IntN(len(powersOfTen))], r.Int64N(2*maxInteger)-maxInteger)
	}
}
