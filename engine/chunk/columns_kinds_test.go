package chunk

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/hokan-db/hokan/engine/model"
)

// specials are the values that are no ordinary readings, each by its bits.
var specials = []float64{
	0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1),
	math.NaN(), math.Float64frombits(0x7FF0000000000001), math.Float64frombits(0xFFF8DEADBEEF0001),
	math.Float64frombits(0x7FF0000000000002), // Prometheus' stale marker
	math.Float64frombits(math.MaxUint64),
	model.QualityOver.NaN(), model.QualityUnder.NaN(), model.QualityBurnout.NaN(), model.QualityNoData.NaN(),
	model.QualityMath.NaN(), model.QualityUnknown.NaN(),
	math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64,
	math.Float64frombits(0x000FFFFFFFFFFFFF), math.Float64frombits(0x0010000000000000),
	math.MaxFloat64, -math.MaxFloat64, math.MaxFloat32, math.SmallestNonzeroFloat32,
	1<<53 - 1, 1 << 53, 1<<53 + 2, 1 - 1<<53, -1 << 53, -2 - 1<<53, 1 << 62, 1 << 63, -1 << 63, 1 << 64,
	1e22, 1e23, -1e22, 1e300, 1e-300, 1e-22, 1e-23, 0.1, 0.3, 21.7, math.Pi, 1, -1,
}

// draw fills a column by a function of the row.
func draw(n int, value func(i int) float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = value(i)
	}
	return values
}

// decimals walks in steps of 1/unit.
func decimals(r *rand.Rand, n int, unit, step float64) []float64 {
	x := 25.0
	return draw(n, func(int) float64 {
		x += r.NormFloat64() * step
		return math.Round(x*unit) / unit
	})
}

// sprinkle replaces values, each with the chance, by one of those given.
func sprinkle(r *rand.Rand, values []float64, chance float64, with []float64) []float64 {
	for i := range values {
		if r.Float64() < chance {
			values[i] = with[r.IntN(len(with))]
		}
	}
	return values
}

// nudge moves values by up to a few units of their last place.
func nudge(r *rand.Rand, values []float64, chance float64, most int64) []float64 {
	for i, v := range values {
		if r.Float64() < chance {
			values[i] = math.Float64frombits(math.Float64bits(v) + uint64(r.Int64N(2*most+1)-most))
		}
	}
	return values
}

// A columnKind makes a column of n values that some way of keeping them is
// for, or that one could stumble over.
type columnKind struct {
	name string
	make func(r *rand.Rand, n int) []float64
}

// few draws from a handful of values, in runs about as long as given.
func few(values []float64, run float64) func(r *rand.Rand, n int) []float64 {
	return func(r *rand.Rand, n int) []float64 {
		v := values[0]
		return draw(n, func(int) float64 {
			if r.Float64()*run < 1 {
				v = values[r.IntN(len(values))]
			}
			return v
		})
	}
}

// scaled is a walk in counts of a converter, put into units.
func scaled(unit func(count float64) float64) func(r *rand.Rand, n int) []float64 {
	return func(r *rand.Rand, n int) []float64 {
		x := 300.0
		return draw(n, func(int) float64 {
			x += r.NormFloat64() * 20
			return unit(math.Round(x))
		})
	}
}

var irrationals = draw(40, func(i int) float64 { return math.Sqrt(float64(i) + 2) })

var columnKinds = slices.Concat(constantKinds, decimalKinds, integerKinds, binaryKinds, oddKinds)

var constantKinds = []columnKind{
	{"constant", func(_ *rand.Rand, n int) []float64 { return draw(n, func(int) float64 { return 25.3 }) }},
	{"constant zero", func(_ *rand.Rand, n int) []float64 { return make([]float64, n) }},
	{"constant NaN", func(_ *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return math.Float64frombits(0xFFF8DEADBEEF0001) })
	}},
	{"constant special", func(r *rand.Rand, n int) []float64 {
		v := specials[r.IntN(len(specials))]
		return draw(n, func(int) float64 { return v })
	}},
	{"constant but one", func(r *rand.Rand, n int) []float64 {
		values := make([]float64, n)
		values[r.IntN(n)] = 0.25
		return values
	}},
	{"status", few([]float64{0, 1}, 60)},
	{"states", few([]float64{0, 1, 2, 3, 4}, 30)},
	{"rare ones", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return float64(1 - min(r.IntN(10), 1)) })
	}},
	{"long runs of irrationals", few(irrationals, 100)},
	{"long runs of random decimals", func(r *rand.Rand, n int) []float64 {
		v := 0.0
		return draw(n, func(int) float64 {
			if r.IntN(40) == 0 {
				v = math.Round(r.NormFloat64()*1e9) / 1e3
			}
			return v
		})
	}},
}

var decimalKinds = []columnKind{
	{"tenths", func(r *rand.Rand, n int) []float64 { return decimals(r, n, 10, 0.1) }},
	{"hundredths", func(r *rand.Rand, n int) []float64 { return decimals(r, n, 100, 5) }},
	{"quiet tenths", func(r *rand.Rand, n int) []float64 { return decimals(r, n, 10, 0.005) }},
	{"15 digits", func(r *rand.Rand, n int) []float64 { return decimals(r, n, 1e13, 0.1) }},
	{"many digits after the point", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return math.Round(r.NormFloat64()*1000) / 1e22 })
	}},
	{"counter of thousandths", func(r *rand.Rand, n int) []float64 {
		x := 12345.0
		return draw(n, func(int) float64 {
			x += r.Float64() * 0.08
			return math.Round(x*1000) / 1000
		})
	}},
	{"steady counter with resets", func(r *rand.Rand, n int) []float64 {
		x := 0.0
		return draw(n, func(int) float64 {
			if x += 7; r.IntN(300) == 0 {
				x = 0
			}
			return x / 100
		})
	}},
	{"steps of 5e-5", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return math.Round(r.NormFloat64()*4000) * 5 / 1e5 })
	}},
	{"two clusters", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 {
			return math.Round((4.93*float64(r.IntN(2))+r.NormFloat64()*0.001)*2000) / 2000
		})
	}},
	{"digits that vary", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 {
			unit := math.Pow(10, float64(r.IntN(5)))
			return math.Round(r.NormFloat64()*unit) / unit
		})
	}},
	{"late digits", func(r *rand.Rand, n int) []float64 { // a sample of the head misses them
		values := decimals(r, n, 10, 0.2)
		values[n-1] += 0.000001
		return values
	}},
	{"spikes", func(r *rand.Rand, n int) []float64 {
		return sprinkle(r, decimals(r, n, 10, 0.1), 0.01, []float64{-9999, 1e9, -1e12, 850})
	}},
	{"float32 of tenths", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return float64(float32(math.Round(r.NormFloat64()*300) / 10)) })
	}},
	{"float32 of thousandths, walking", func(r *rand.Rand, n int) []float64 {
		values := decimals(r, n, 1000, 0.02)
		return draw(n, func(i int) float64 { return float64(float32(values[i])) })
	}},
	{"tenths with noise in the last place", func(r *rand.Rand, n int) []float64 {
		return nudge(r, decimals(r, n, 10, 0.1), 0.5, 1)
	}},
	{"thousandths with a little noise", func(r *rand.Rand, n int) []float64 {
		return nudge(r, decimals(r, n, 1000, 10), 0.1, 4)
	}},
	{"float32 of hundredths with noise", func(r *rand.Rand, n int) []float64 {
		values := decimals(r, n, 100, 1)
		return draw(n, func(i int) float64 {
			return float64(math.Float32frombits(math.Float32bits(float32(values[i])) + uint32(r.IntN(3)) - 1))
		})
	}},
}

var integerKinds = []columnKind{
	{"integers", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return math.Round(r.NormFloat64() * 1000) })
	}},
	{"integers about 2^53", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return 1<<53 + float64(r.IntN(9)-4) })
	}},
	{"integers about -2^53", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return -1<<53 + float64(r.IntN(9)-4) })
	}},
	{"integers about 2^63", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return math.Copysign(1<<63+float64(r.IntN(9)-4)*1024, float64(r.IntN(2))-0.5) })
	}},
	{"both ends of 2^53", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return math.Copysign(1<<53-float64(r.IntN(3)), float64(r.IntN(2))-0.5) })
	}},
	{"thousands", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return math.Round(r.NormFloat64()*50) * 1000 })
	}},
	{"squares", func(_ *rand.Rand, n int) []float64 { return draw(n, func(i int) float64 { return float64(i * i) }) }},
	{"ramp", func(_ *rand.Rand, n int) []float64 { return draw(n, func(i int) float64 { return float64(i) / 4 }) }},
	{"saw", func(_ *rand.Rand, n int) []float64 { return draw(n, func(i int) float64 { return float64(i%17) / 10 }) }},
	{"counts by a gain", scaled(func(count float64) float64 { return count / 2281 })},
	{"counts times a gain", scaled(func(count float64) float64 { return count * 0.0030517578125e-1 })},
	{"counts times an odd gain", scaled(func(count float64) float64 { return count * 0.0012345678 })},
	{"a long pattern", func(_ *rand.Rand, n int) []float64 {
		r := rand.New(rand.NewPCG(7, 7))
		pattern := draw(300, func(int) float64 { return math.Round(r.NormFloat64() * 1e6) })
		return draw(n, func(i int) float64 { return pattern[i%300] })
	}},
	{"counts times an odd gain and exceptions", func(r *rand.Rand, n int) []float64 {
		return sprinkle(r, scaled(func(count float64) float64 { return count * 0.0012345678 })(r, n), 0.01, specials)
	}},
}

var binaryKinds = []columnKind{
	{"float32 noise", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return float64(float32(10 + r.NormFloat64()/2)) })
	}},
	{"float32 about 0", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return float64(float32(r.NormFloat64())) })
	}},
	{"any float32", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return float64(math.Float32frombits(r.Uint32())) })
	}},
	{"doubles", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(i int) float64 { return 50 + 10*math.Sin(float64(i)/200) + r.NormFloat64() })
	}},
	{"smooth doubles", func(_ *rand.Rand, n int) []float64 {
		return draw(n, func(i int) float64 { return 50 + 10*math.Sin(float64(i)/2000) })
	}},
	{"few irrationals", few(irrationals, 1)},
	{"very few irrationals", few(irrationals[:3], 1)},
	{"hundreds of irrationals", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return math.Sqrt(float64(r.IntN(600) + 2)) })
	}},
	{"a dictionary with specials", func(r *rand.Rand, n int) []float64 {
		return few(append(slices.Clone(irrationals[:10]), specials...), 3)(r, n)
	}},
	{"random bits", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return math.Float64frombits(r.Uint64()) })
	}},
	{"random low bits", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 {
			return math.Float64frombits(0x4035000000000000 | r.Uint64()>>uint(r.IntN(64))&0xFFFFFFFFFF)
		})
	}},
	{"any exponent", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return math.Ldexp(r.Float64()-0.5, r.IntN(2200)-1100) })
	}},
	{"powers of ten", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return math.Pow(10, float64(r.IntN(600)-300)) })
	}},
	{"denormals", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return math.Float64frombits(r.Uint64N(1<<52) | r.Uint64()&(1<<63)) })
	}},
	{"least denormals", func(r *rand.Rand, n int) []float64 {
		return draw(n, func(int) float64 { return math.Float64frombits(r.Uint64N(4)) })
	}},
}

var oddKinds = []columnKind{
	{"specials", few(specials, 1)},
	{"zeros of both signs", few([]float64{0, math.Copysign(0, -1)}, 1)},
	{"qualities alone", few(specials[9:15], 5)},
	{"tenths, some quality", func(r *rand.Rand, n int) []float64 {
		return sprinkle(r, decimals(r, n, 10, 0.1), 0.05, specials[9:15])
	}},
	{"tenths, then no data", func(r *rand.Rand, n int) []float64 {
		values := decimals(r, n, 10, 0.1)
		for i := n / 2; i < n; i++ {
			values[i] = model.QualityNoData.NaN()
		}
		return values
	}},
	{"tenths, rare specials", func(r *rand.Rand, n int) []float64 {
		return sprinkle(r, decimals(r, n, 10, 0.1), 0.001, specials)
	}},
	{"tenths, some specials", func(r *rand.Rand, n int) []float64 {
		return sprinkle(r, decimals(r, n, 10, 0.1), 0.02, specials)
	}},
	{"tenths, many specials", func(r *rand.Rand, n int) []float64 {
		return sprinkle(r, decimals(r, n, 10, 0.1), 0.3, specials)
	}},
	{"tenths, negative zeros", func(r *rand.Rand, n int) []float64 {
		return sprinkle(r, few([]float64{0, 0.1, -0.1}, 1)(r, n), 0.1, []float64{math.Copysign(0, -1)})
	}},
	{"float32, rare specials", func(r *rand.Rand, n int) []float64 {
		return sprinkle(r, draw(n, func(int) float64 { return float64(float32(r.NormFloat64())) }), 0.001, specials)
	}},
	{"float32, some specials", func(r *rand.Rand, n int) []float64 {
		return sprinkle(r, draw(n, func(int) float64 { return float64(float32(r.NormFloat64())) }), 0.05, specials)
	}},
	{"noisy decimals, some specials", func(r *rand.Rand, n int) []float64 {
		return sprinkle(r, nudge(r, decimals(r, n, 10, 0.1), 0.3, 2), 0.02, specials)
	}},
	{"kinds one after the other", func(r *rand.Rand, n int) []float64 {
		values := decimals(r, n, 10, 0.1)
		copy(values[n/3:], draw(n, func(int) float64 { return r.NormFloat64() }))
		copy(values[2*n/3:], draw(n, func(int) float64 { return float64(float32(r.NormFloat64())) }))
		return values
	}},
}

// A timesKind makes steps in nanoseconds, which times sums up from a start, as
// far as they ascend.
type timesKind struct {
	name  string
	start int64
	step  func(r *rand.Rand, i int) int64
	off   func(r *rand.Rand) int64 // what a time shows too much; nil: nothing
}

const epoch = int64(1_760_000_000e9)

// jitter is how far a clock that shows each tick up to most units off is.
func jitter(unit, most int64) func(r *rand.Rand) int64 {
	return func(r *rand.Rand) int64 { return (r.Int64N(2*most+1) - most) * unit }
}

func every(step int64) func(*rand.Rand, int) int64 {
	return func(*rand.Rand, int) int64 { return step }
}

// rate is a step of a clock that ticks n times in d nanoseconds.
func rate(n, d int64) func(r *rand.Rand, i int) int64 {
	return func(_ *rand.Rand, i int) int64 { return int64(i+1)*d/n - int64(i)*d/n }
}

var timesKinds = []timesKind{
	{"regular", epoch, every(60e9), nil},
	{"a nanosecond apart", epoch, every(1), nil},
	{"regular, before 1970", -epoch, every(10e6), nil},
	{"jitter of milliseconds", epoch, every(60e9), jitter(1e6, 5)},
	{"jitter of nanoseconds", epoch, every(1e9), jitter(1, 5000)},
	{"jitter of one", epoch, every(1e9), jitter(1e9/4, 1)},
	{"44.1 kHz", epoch, rate(44100, 1e9), nil},
	{"thirds of seconds", epoch, rate(3, 1e9), nil},
	{"an odd rate", epoch, rate(999983, 1e12+39), nil},
	{"three a nanosecond short of two", epoch, rate(3, 5), nil},
	{"drift", epoch, func(_ *rand.Rand, i int) int64 { return 1e9 + int64(i) }, nil},
	{"slow drift with jitter", epoch, func(r *rand.Rand, i int) int64 { return 1e9 + 37 + r.Int64N(2) }, nil},
	{"gaps", epoch, func(r *rand.Rand, _ int) int64 {
		if r.IntN(50) == 0 {
			return (1 + r.Int64N(1000)) * 60e9
		}
		return 60e9
	}, nil},
	{"one gap", epoch, func(_ *rand.Rand, i int) int64 {
		if i == 77 {
			return 86400e9 + 1
		}
		return 1e9
	}, nil},
	{"gaps in jitter", epoch, func(r *rand.Rand, _ int) int64 {
		if r.IntN(100) == 0 {
			return r.Int64N(1e15)
		}
		return 1e9 + r.Int64N(2000)
	}, nil},
	{"seconds at random", epoch, func(r *rand.Rand, _ int) int64 { return (1 + r.Int64N(90)) * 1e9 }, nil},
	{"59, 60 or 61 s", epoch, func(r *rand.Rand, _ int) int64 { return (59 + r.Int64N(3)) * 1e9 }, nil},
	{"two rates", epoch, func(_ *rand.Rand, i int) int64 {
		if i%600 < 300 {
			return 1e9
		}
		return 10e6
	}, nil},
	{"a pattern", epoch, func(_ *rand.Rand, i int) int64 { return []int64{1e9, 1e9, 5e9, 2e8}[i%4] }, nil},
	{"anything", epoch, func(r *rand.Rand, _ int) int64 { return r.Int64N(1e18)>>r.IntN(60) + 1 }, nil},
	{"huge jumps", math.MinInt64, func(r *rand.Rand, _ int) int64 { return r.Int64()>>uint(r.IntN(63)) + 1 }, nil},
	{"huge equal steps", math.MinInt64, every(math.MaxInt64 / 2500), nil},
	{"from the first nanosecond", math.MinInt64, every(1), nil},
	{"to the last nanosecond", math.MaxInt64 - 4999, every(1), nil},
	{"from end to end", math.MinInt64, func(_ *rand.Rand, i int) int64 {
		if i%2 == 0 {
			return math.MaxInt64
		}
		return 1
	}, nil},
	{"about 0", -2500 * 3, every(3), nil},
}

// times sums the steps of a kind up, to n times or as far as they ascend.
func (k timesKind) times(r *rand.Rand, n int) []int64 {
	times := []int64{k.start}
	tick := k.start
	for i := range n - 1 {
		last := times[i]
		tick += k.step(r, i)
		next := tick
		if k.off != nil {
			next += k.off(r)
		}
		if next <= last {
			if last == math.MaxInt64 {
				break
			}
			next = last + 1
			tick = next
		}
		times = append(times, next)
	}
	return times
}
