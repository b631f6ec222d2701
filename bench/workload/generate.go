package workload

import (
	"fmt"
	"math"
	"slices"
	"syscall"
	"unsafe"
)

// Classes are the kinds of channel in workload G.
var Classes = []string{"temperature", "voltage", "energy", "status", "resistance", "float32", "computed"}

const (
	temperature = iota // a random walk in steps of 0.1
	voltage            // about 100 to 240 V in steps of 0.01
	energy             // a rising counter in steps of 0.001
	status             // 0 or 1, changing about every 2,000 samples
	resistance         // four or five digits
	float32s           // noise of 0.1 % that was a float32
	computed           // a quotient: every bit counts
)

// mix is the class of each channel, over and over: 30 % temperatures, 20 %
// voltages, 15 % energies, 10 % each of states, resistances and float32s, and
// 5 % computed.
var mix = []int{
	temperature, voltage, temperature, energy, temperature, voltage, resistance, temperature, float32s, status,
	temperature, voltage, energy, temperature, float32s, voltage, resistance, status, energy, computed,
}

const (
	// Step is the time between samples of a channel.
	Step = int64(60_000)
	// Start is the time of the first samples: 2025-07-01 UTC.
	Start = int64(1_751_328_000_000)
	// One channel in ten, the eighth of each, has a clock of its own that jitters.
	jitterEvery, jitterAt = 10, 7
	// Jitter is how many milliseconds such a clock is off at most.
	Jitter = 3
)

// Generate makes workload G: so many channels of all classes with so many
// samples each. The same arguments give the same samples.
func Generate(name string, channels, samples int) *Set {
	return generate(name, channels, samples, func(channel int) int { return mix[channel%len(mix)] })
}

// GenerateClass makes channels that are all of one class.
func GenerateClass(class string, channels, samples int) (*Set, error) {
	kind := slices.Index(Classes, class)
	if kind < 0 {
		return nil, fmt.Errorf("there is no class %q of workload G", class)
	}
	return generate(class, channels, samples, func(int) int { return kind }), nil
}

func generate(name string, channels, samples int, kindOf func(channel int) int) *Set {
	s := &Set{Name: name, Channels: make([]Channel, channels)}
	clocks := 1 + (channels+jitterEvery-1-jitterAt)/jitterEvery // the shared one and those with jitter
	memory := newArena(8 * samples * (channels + clocks))
	s.release = memory.release
	shared := take[int64](memory, samples)
	for i := range shared {
		shared[i] = Start + int64(i)*Step
	}
	for channel := range s.Channels {
		c := &s.Channels[channel]
		kind := kindOf(channel)
		c.Class, c.Times, c.Values = Classes[kind], shared, take[float64](memory, samples)
		if channel%jitterEvery == jitterAt {
			c.Times = take[int64](memory, samples)
			jitter(c.Times, shared, channel)
		}
		g := newGenerator(channel, kind)
		for i := range c.Values {
			c.Values[i] = g.next()
		}
	}
	return s
}

// jitter writes the times of a channel whose clock is a little off, the first
// one exact.
func jitter(times, exact []int64, channel int) {
	copy(times, exact)
	for i := 1; i < len(times); i++ {
		times[i] += int64(scramble(uint64(channel)<<32^uint64(i))%(2*Jitter+1)) - Jitter
	}
}

// generator draws the values of one channel.
type generator struct {
	kind   int
	random random
	base   float64 // around what it wanders, or how fast it rises
	at     float64 // where it is
	scale  float64
}

func newGenerator(channel, kind int) *generator {
	g := &generator{kind: kind, random: random(scramble(uint64(channel)*7919 + 12345))}
	uniform := g.random.uniform
	switch kind {
	case temperature:
		g.base = 15 + 40*uniform()
		g.at = g.base
	case voltage:
		g.base = []float64{100, 120, 200, 230, 240}[int(uniform()*5)]
	case energy:
		g.at = 1000 * uniform()
		g.base = 0.005 + 0.1*uniform()
	case status:
		g.at = math.Floor(2 * uniform())
	case resistance:
		g.base = 1000 + 90000*uniform()
		g.at = g.base
		g.scale = []float64{1000, 10000}[int(uniform()*2)]
	case float32s:
		g.base = 0.5 + 50*uniform()
	case computed:
		g.at, g.scale = 230, 5+10*uniform()
	}
	return g
}

func (g *generator) next() float64 {
	switch g.kind {
	case temperature:
		g.at += 0.06*g.random.normal() + 0.001*(g.base-g.at)
		return math.Round(g.at*10) / 10
	case voltage:
		g.at = 0.98*g.at + 0.08*g.random.normal()
		return math.Round((g.base+g.at+0.05*g.random.normal())*100) / 100
	case energy:
		g.at += g.base * (0.5 + g.random.uniform())
		return math.Round(g.at*1000) / 1000
	case status:
		if g.random.uniform() < 1.0/2000 {
			g.at = 1 - g.at
		}
		return g.at
	case resistance:
		g.at += 1.5*g.random.normal() + 0.01*(g.base-g.at)
		return math.Round(g.at) / g.scale
	case float32s:
		return float64(float32(g.base * (1 + 0.001*g.random.normal())))
	default:
		g.at = 230 + 0.98*(g.at-230) + 0.08*g.random.normal()
		return g.at / (g.scale * (1 + 0.01*g.random.normal()))
	}
}

// random is SplitMix64: small, and the same on every machine.
type random uint64

const increment = 0x9e3779b97f4a7c15

// scramble is SplitMix64's output after one step from z.
func scramble(z uint64) uint64 {
	z += increment
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// uniform draws from [0, 1).
func (r *random) uniform() float64 {
	*r += increment
	return float64(scramble(uint64(*r))>>11) / (1 << 53)
}

// normal draws a number that is about normally distributed, of variance 1: a
// sum of four uniform ones.
func (r *random) normal() float64 {
	return (r.uniform() + r.uniform() + r.uniform() + r.uniform() - 2) * 1.7320508
}

// arena is memory outside of Go's heap: samples that wait to be written must
// not change how often the collector runs for a store in the same process.
type arena struct{ all, free []byte }

func newArena(size int) *arena {
	memory, err := syscall.Mmap(-1, 0, max(size, 1), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil { // no address space: then on the heap
		memory = make([]byte, size)
		return &arena{free: memory}
	}
	return &arena{memory, memory}
}

func take[T int64 | float64](a *arena, n int) []T {
	if n == 0 {
		return nil
	}
	taken := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(a.free))), n)
	a.free = a.free[8*n:]
	return taken
}

func (a *arena) release() {
	if a.all != nil {
		_ = syscall.Munmap(a.all) // refused only for what is no mapping
	}
}
