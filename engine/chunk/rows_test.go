package chunk

import (
	"math"
	"math/rand/v2"
)

const (
	testStart  = int64(1751328000e9)
	testMinute = int64(60e9)
)

// A kind of instrument channel, as rows for benchmarks and tests.
var kinds = []struct {
	name string
	next func(r *rand.Rand, x float64) (state, value float64)
}{
	{"temperature", func(r *rand.Rand, x float64) (float64, float64) {
		x += 0.06*r.NormFloat64() - 0.001*x
		return x, math.Round((25+x)*10) / 10
	}},
	{"voltage", func(r *rand.Rand, x float64) (float64, float64) {
		x = 0.98*x + 0.08*r.NormFloat64()
		return x, math.Round((230+x+0.05*r.NormFloat64())*100) / 100
	}},
	{"counter", func(r *rand.Rand, x float64) (float64, float64) {
		x += 0.05 * (0.5 + r.Float64())
		return x, math.Round((700+x)*1000) / 1000
	}},
	{"status", func(r *rand.Rand, x float64) (float64, float64) {
		if r.IntN(2000) == 0 {
			x = 1 - x
		}
		return x, x
	}},
	{"float32", func(r *rand.Rand, x float64) (float64, float64) {
		return x, float64(float32(20 * (1 + 0.001*r.NormFloat64())))
	}},
	{"computed", func(r *rand.Rand, x float64) (float64, float64) {
		x = 0.98*x + 0.08*r.NormFloat64()
		return x, (230 + x) / (8 * (1 + 0.01*r.NormFloat64()))
	}},
}

// kindRows returns one-minute rows of kinds[kind]; each time is off by up to
// jitter units.
func kindRows(kind, rows, jitter int, unit int64) (times []int64, values []float64) {
	r := rand.New(rand.NewPCG(1, uint64(kind)))
	var x, v float64
	for i := range rows {
		x, v = kinds[kind].next(r, x)
		off := int64(r.IntN(2*jitter+1)-jitter) * unit
		times = append(times, testStart+int64(i)*testMinute+off)
		values = append(values, v)
	}
	return times, values
}

// walk returns one-minute temperatures: a random walk rounded to 0.1.
func walk(rows int) (times []int64, values []float64) { return kindRows(0, rows, 0, 1) }
