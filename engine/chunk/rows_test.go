package chunk

import (
	"math"
	"math/rand/v2"
)

const (
	testStart  = int64(1751328000e9)
	testMinute = int64(60e9)
)

// walk returns one-minute temperatures: a random walk with steps of 0.06,
// rounded to 0.1.
func walk(rows int) (times []int64, values []float64) {
	r := rand.New(rand.NewPCG(1, uint64(rows)))
	x := 25.0
	for i := range rows {
		x += 0.06*r.NormFloat64() + 0.001*(25-x)
		times = append(times, testStart+int64(i)*testMinute)
		values = append(values, math.Round(x*10)/10)
	}
	return times, values
}
