// Package chunktest has the data that codecs are measured and tested with: the
// instrument mix, which is made here, and the corpus, real files of loggers,
// test benches and weather stations.
package chunktest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
)

// Series is the rows of one channel, in strictly ascending order of time.
type Series struct {
	Class  string // what kind of quantity it is; of the corpus, the set's name
	Name   string
	Times  []int64 // nanoseconds since the epoch
	Values []float64
}

// mixStart is about when the first row of every channel of the mix is.
const mixStart = int64(1_760_000_000_000e6)

const (
	millisecond = int64(1e6)
	second      = int64(1e9)
)

// A kind is one class of the mix: how many channels of a hundred it has, and a
// way to start the c-th one, which returns the function that draws its values.
type kind struct {
	class string
	share int
	start func(r *rand.Rand, c int) (next func() float64)
}

var kinds = []kind{
	{"temperature", 30, temperature},
	{"voltage", 20, voltage},
	{"energy", 15, energy},
	{"status", 10, status},
	{"resistance", 10, resistance},
	{"float32noise", 10, float32Noise},
	{"fullmantissa", 5, fullMantissa},
}

// Mix returns 100*k channels of the kinds that instruments have, in the shares
// of a usual plant: quantised temperatures, voltages, energy counters, states,
// resistances, and 15 % of values that are no short decimals. There is a row a
// minute, in one channel of ten with a jitter of 2 ms (standard deviation).
// The same arguments give the same rows.
//
// Products are converted to float64 before anything is added: otherwise compilers
// fuse the two on some processors, and the rows would differ. Only the sine in
// fullmantissa is the library's, and may differ in its last bit.
func Mix(k, rows int, seed uint64) []Series {
	var mix []Series
	for _, kind := range kinds {
		for c := range kind.share * k {
			r := rand.New(rand.NewPCG(seed, uint64(len(mix))*7919+1))
			next := kind.start(r, c)
			s := Series{kind.class, fmt.Sprintf("%s-%03d", kind.class, c), make([]int64, rows), make([]float64, rows)}
			first := mixStart + int64(r.IntN(60000))*millisecond
			for i := range rows {
				s.Times[i] = first + int64(i)*60*second
				if c%10 == 3 {
					s.Times[i] += int64(math.Round(r.NormFloat64()*2)) * millisecond
				}
				s.Values[i] = next()
			}
			mix = append(mix, s)
		}
	}
	return mix
}

// VoltageUniform returns a channel of independent voltages from 100 V to 240 V
// in steps of 10 mV: the voltage of the mix as nobody could predict it.
func VoltageUniform(rows int, seed uint64) Series {
	r := rand.New(rand.NewPCG(seed, 99))
	s := Series{"voltage-iid", "voltage-iid", make([]int64, rows), make([]float64, rows)}
	for i := range rows {
		s.Times[i] = mixStart + int64(i)*60*second
		s.Values[i] = quantize(100+float64(140*r.Float64()), 100)
	}
	return s
}

// quantize rounds to a multiple of 1/steps, to the double that is the nearest
// to that decimal.
func quantize(v, steps float64) float64 { return math.Round(v*steps) / steps }

// significant rounds to so many significant decimal digits.
func significant(v float64, digits int) float64 {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', digits, 64), 64)
	if err != nil {
		panic(err) // never: it was printed by strconv
	}
	return rounded
}

// temperature walks slowly about its base, with noise, in steps of 0.1.
func temperature(r *rand.Rand, c int) func() float64 {
	step := []float64{0.02, 0.05, 0.1, 0.2}[c%4]
	base := 15 + float64(15*r.Float64())
	x := base
	return func() float64 {
		x += float64(r.NormFloat64()*step) - float64((x-base)*0.001)
		return quantize(x+float64(r.NormFloat64()*0.03), 10)
	}
}

// voltage is drawn to the mains' nominal one, in steps of 0.01.
func voltage(r *rand.Rand, c int) func() float64 {
	base := []float64{100, 110, 120, 200, 230, 240}[c%6]
	step := []float64{0.05, 0.1, 0.2, 0.5}[c%4]
	x := base
	return func() float64 {
		x += float64(r.NormFloat64()*step) - float64((x-base)*0.02)
		return quantize(x, 100)
	}
}

// energy counts kWh of a power that wanders between 0 and 5 kW, in steps of
// 0.001.
func energy(r *rand.Rand, _ int) func() float64 {
	counter := math.Floor(r.Float64() * 50000)
	power := r.Float64() * 3
	return func() float64 {
		power += float64(r.NormFloat64() * 0.1)
		if power < 0 {
			power = -power
		}
		if power > 5 {
			power = 10 - power
		}
		counter += power / 60
		return quantize(counter, 1000)
	}
}

// status holds one of two or five states for half an hour to two days.
func status(r *rand.Rand, c int) func() float64 {
	hold := []float64{30, 120, 600, 3000}[c%4]
	states := 2
	if c%5 == 4 {
		states = 5
	}
	state := 0
	return func() float64 {
		if r.Float64() < 1/hold {
			state = (state + 1 + r.IntN(states-1)) % states
		}
		return float64(state)
	}
}

// resistance has four or five significant digits.
func resistance(r *rand.Rand, c int) func() float64 {
	base := math.Pow(10, 1+float64(4*r.Float64()))
	x := base
	digits := 4 + c%2
	return func() float64 {
		x *= 1 + float64(r.NormFloat64()*2e-4) - float64((x/base-1)*0.001)
		return significant(x*(1+float64(r.NormFloat64()*1e-4)), digits)
	}
}

// float32Noise is white noise with the 24 bits of a float32.
func float32Noise(r *rand.Rand, c int) func() float64 {
	mean := []float64{0, 10, 1000}[c%3]
	deviation := []float64{1, 0.5, 5}[c%3]
	return func() float64 { return float64(float32(mean + float64(deviation*r.NormFloat64()))) }
}

// fullMantissa is a sine with white noise, all bits in use, as a computation
// gives.
func fullMantissa(r *rand.Rand, _ int) func() float64 {
	i := 0.0
	phase := r.Float64()
	return func() float64 {
		i++
		return 50 + float64(10*math.Sin(i/200+phase)) + float64(r.NormFloat64()*math.Sqrt2)
	}
}
