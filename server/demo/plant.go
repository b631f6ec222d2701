package demo

import (
	"fmt"
	"math"
	"time"

	"github.com/hokan-db/hokan/engine/model"
)

// plant is two sites with their instruments.
type plant struct {
	begun       int64 // when its history begins
	started     int64 // when this run of it started
	instruments []instrument
}

// instrument sends all its channels at once.
type instrument struct {
	name     string
	group    string // the site
	app      string // the gateway that it hangs on
	channels []channel
	// times appends the times in [from, to) at which it measures, step apart or
	// as it likes.
	times func(into []int64, from, to int64, step time.Duration) []int64
}

// channel is one quantity of an instrument.
type channel struct {
	name       string // the label
	properties model.Properties
	read       signal
}

// How far ahead of UTC the sites' clocks are; China has one zone.
const siteOffset = 8.0

// newPlant builds the plant as it is when its history begins at begun and this
// run of it starts at started.
func newPlant(begun, started int64) *plant {
	p := &plant{begun: begun, started: started}
	p.instruments = []instrument{p.logger(), p.powerShanghai(), p.powerBeijing(), p.batteryTester(), p.recorder()}
	for i := range p.instruments {
		one := &p.instruments[i]
		for c := range one.channels {
			one.channels[c].properties.Group, one.channels[c].properties.App = one.group, one.app
		}
		if one.times == nil {
			one.times = regular
		}
	}
	return p
}

// regular is times at every whole step.
func regular(into []int64, from, to int64, step time.Duration) []int64 {
	every := int64(step)
	for t := (from + every - 1) / every * every; t < to; t += every {
		into = append(into, t)
	}
	return into
}

func properties(name, unit string, decimals uint8) model.Properties {
	return model.Properties{Name: name, Unit: unit, Decimals: decimals, HasDecimals: true}
}

// brokenAfter is how long after the beginning of the history a sensor breaks.
const brokenAfter = 26 * 24 * time.Hour

// logger is thirty channels: thermocouples at 0.1 °C on unit 1, voltages of
// different ranges on unit 2, each resolved to range/20000.
func (p *plant) logger() instrument {
	i := instrument{name: "LR8450-SH1", group: "Shanghai", app: "Gateway SH-01"}
	thermocouple := func(name string, low, high float64, read signal) {
		n := len(i.channels) + 1
		i.channels = append(i.channels, channel{fmt.Sprintf("1-%d", n), properties(name, "°C", 1),
			func(t int64) float64 { return within(quantum(read(t)+0.15*noise(uint64(n), t), 10), low, high) }})
	}
	for zone, target := range []float64{180, 210, 235, 245, 240, 205} {
		seed := uint64(100 + zone)
		thermocouple(fmt.Sprintf("Oven zone %d", zone+1), -100, 400, func(t int64) float64 {
			heat := working(t, siteOffset)
			return 26 + (target-26)*math.Sqrt(heat) + 1.5*drift(seed, t, 7*time.Minute)*heat + 2*daily(t, siteOffset, 15)
		})
	}
	thermocouple("Oven exhaust", -100, 150, func(t int64) float64 { // above its range once a day
		return 32 + 88*working(t, siteOffset) + 4*drift(7, t, 11*time.Minute) + 140*pulse(t, 24*time.Hour, 5*time.Hour, 40*time.Minute)
	})
	thermocouple("Curing chamber", -100, 400, func(t int64) float64 { return 85 + 0.8*drift(8, t, 13*time.Minute) })
	thermocouple("Kiln wall", -100, 400, func(t int64) float64 {
		if t >= p.begun+int64(brokenAfter) {
			return model.QualityBurnout.NaN()
		}
		return 312 + 9*drift(9, t, 3*time.Hour)
	})
	for room := 1; room <= 2; room++ {
		seed := uint64(110 + room)
		phase := time.Duration(room) * 100 * time.Minute
		thermocouple(fmt.Sprintf("Cold store %d", room), -100, 100, func(t int64) float64 { // it defrosts every six hours
			return -21.5 + 0.7*drift(seed, t, 20*time.Minute) + 9*pulse(t, 6*time.Hour, phase, 25*time.Minute)
		})
	}
	thermocouple("Cooling water in", -100, 100, func(t int64) float64 { return 18 + 2.5*daily(t, siteOffset, 15) + 0.4*drift(12, t, 9*time.Minute) })
	thermocouple("Cooling water out", -100, 100, func(t int64) float64 {
		return 20 + 2.5*daily(t, siteOffset, 15) + 6*working(t, siteOffset) + 0.6*drift(13, t, 9*time.Minute)
	})
	thermocouple("Hall air", -100, 100, func(t int64) float64 {
		return 21 + 3*daily(t, siteOffset, 15) + 2*working(t, siteOffset) + 0.5*drift(14, t, time.Hour)
	})
	thermocouple("Outside air", -100, 100, func(t int64) float64 { return 12 + 5*daily(t, siteOffset, 14) + 4*drift(15, t, 30*time.Hour) })
	i.channels = append(i.channels, voltages(uint64(200))...)
	return i
}

// voltages are the fifteen channels of the logger's second unit.
func voltages(seed uint64) []channel {
	var made []channel
	// perUnit is how many steps of range/20000 make one of the unit.
	voltage := func(name, unit, scaling string, decimals uint8, perUnit, reach float64, read signal) {
		n := len(made) + 1
		own := seed + uint64(n)
		p := properties(name, unit, decimals)
		p.Scaling = scaling
		made = append(made, channel{fmt.Sprintf("2-%d", n), p, func(t int64) float64 {
			return within(quantum(read(t)+noise(own, t)/perUnit, perUnit), -reach, reach)
		}})
	}
	level := func(own uint64, middle, swing float64, period time.Duration) signal {
		return func(t int64) float64 { return middle + swing*drift(own, t, period) }
	}
	for n := 1; n <= 4; n++ { // 10 V range: 0.5 mV
		voltage(fmt.Sprintf("Pressure sensor %d", n), "V", "", 4, 2000, 10, level(seed+40+uint64(n), 1.5+float64(n), 0.3, 17*time.Minute))
	}
	for n := 1; n <= 3; n++ { // 1 V range: 0.05 mV
		voltage(fmt.Sprintf("Strain bridge %d", n), "V", "", 5, 20000, 1, level(seed+50+uint64(n), 0.12*float64(n), 0.04, 5*time.Minute))
	}
	for n := 1; n <= 3; n++ { // 100 mV range: 5 µV
		voltage(fmt.Sprintf("Shunt %d", n), "mV", "", 3, 200, 100, level(seed+60+uint64(n), 22*float64(n), 8, 3*time.Minute))
	}
	// 1-5 V range, scaled to what the transmitter measures.
	voltage("Air pressure line A", "MPa", "1-5 V = 0-1 MPa", 4, 10000, 1.1, func(t int64) float64 {
		return 0.62 + 0.05*drift(seed+71, t, 4*time.Minute) - 0.08*working(t, siteOffset)
	})
	voltage("Air pressure line B", "MPa", "1-5 V = 0-1 MPa", 4, 10000, 1.1, level(seed+72, 0.58, 0.03, 4*time.Minute))
	voltage("Coolant flow", "L/min", "1-5 V = 0-200 L/min", 2, 100, 220, func(t int64) float64 {
		return 35 + 95*working(t, siteOffset) + 3*drift(seed+73, t, time.Minute)
	})
	voltage("Humidity", "%RH", "0-1 V = 0-100 %RH", 1, 10, 100, func(t int64) float64 {
		return 52 - 9*daily(t, siteOffset, 15) + 6*drift(seed+74, t, 5*time.Hour)
	})
	voltage("Tank level", "%", "1-5 V = 0-100 %", 2, 100, 110, func(t int64) float64 { // drained in 9 h, filled in 3
		at := math.Mod(hours(t), 12) / 12
		return 20 + 70*max(1-at/0.75, 0) + 70*ramp(at, 0.75, 1)
	})
	return made
}

// inrush is when and for how long the compressor of Shanghai starts up with
// the demo itself, so that an alarm can be seen to go off.
const (
	inrushAfter  = 45 * time.Second
	inrushLength = 90 * time.Second
)

// powerShanghai measures the compressor. It starts up twice a day, and a
// little after the demo is started.
func (p *plant) powerShanghai() instrument {
	current := func(t int64) float64 {
		started := 0.0
		if since := t - p.started; since > 0 && since < int64(day) {
			at := float64(since-int64(inrushAfter)) / float64(inrushLength)
			started = ramp(at, 0, 0.1) * (1 - ramp(at, 0.9, 1))
		}
		started = max(started, pulse(t, 12*time.Hour, 23*time.Hour, 4*time.Minute))
		return 31 + 11*working(t, siteOffset) + 1.8*drift(301, t, 2*time.Minute) + 34*started
	}
	return instrument{name: "PW3390-SH2", group: "Shanghai", app: "Gateway SH-01",
		channels: powerChannels("Compressor", 301, 400, current, 0.86)}
}

// powerBeijing measures the feed of the building.
func (p *plant) powerBeijing() instrument {
	current := func(t int64) float64 {
		return 62 + 85*working(t, siteOffset) + 6*drift(401, t, 5*time.Minute) + 5*daily(t, siteOffset, 14)
	}
	return instrument{name: "PW3360-BJ1", group: "Beijing", app: "Gateway BJ-01",
		channels: powerChannels("Main feed", 401, 400, current, 0.94)}
}

// energySince is when the meters began to count, 1 January 2024.
const energySince = int64(1704067200) * int64(time.Second)

// powerChannels are what a meter of three phases shows: rms voltage and
// current, active, reactive and apparent power, power factor, frequency,
// energy.
func powerChannels(load string, seed uint64, nominal float64, current signal, factor float64) []channel {
	u := func(t int64) float64 {
		return quantum(nominal*(1+0.008*drift(seed+1, t, 3*time.Minute)-0.006*working(t, siteOffset))+0.04*noise(seed+1, t), 50)
	}
	i := func(t int64) float64 { return quantum(current(t)+0.01*noise(seed+2, t), 100) }
	pf := func(t int64) float64 { return quantum(min(factor+0.03*drift(seed+3, t, 8*time.Minute), 1), 10000) }
	apparent := func(t int64) float64 { return math.Sqrt(3) * u(t) * i(t) / 1000 }
	// The meter's own integral: of the mean load, and of what the day adds.
	energy := func(t int64) float64 {
		mean := math.Sqrt(3) * nominal * factor / 1000
		h := hours(t - energySince)
		return mean * (70*h + 12*math.Sin(2*math.Pi*h/24)*24/(2*math.Pi))
	}
	return []channel{
		{"Urms", properties(load+" voltage", "V", 2), u},
		{"Irms", properties(load+" current", "A", 2), i},
		{"P", properties(load+" active power", "kW", 3), func(t int64) float64 { return quantum(apparent(t)*pf(t), 1000) }},
		{"Q", properties(load+" reactive power", "kvar", 3), func(t int64) float64 { return quantum(apparent(t)*math.Sqrt(1-pf(t)*pf(t)), 1000) }},
		{"S", properties(load+" apparent power", "kVA", 3), func(t int64) float64 { return quantum(apparent(t), 1000) }},
		{"PF", properties(load+" power factor", "", 4), pf},
		{"Freq", properties("Mains frequency", "Hz", 3), func(t int64) float64 {
			return quantum(50+0.03*drift(999, t, 40*time.Second)+0.002*noise(seed+5, t), 1000)
		}},
		{"WP", properties(load+" energy", "kWh", 2), func(t int64) float64 { return quantum(energy(t), 100) }},
	}
}

// batteryTester measures cells as they come along the line: at irregular
// times, and none at night.
func (p *plant) batteryTester() instrument {
	cell := func(seed uint64, t int64) float64 { return drift(seed, t, 47*time.Second) } // each its own
	return instrument{name: "BT3554-BJ2", group: "Beijing", app: "Gateway BJ-02", times: irregular, channels: []channel{
		{"R", properties("Internal resistance", "mΩ", 3), func(t int64) float64 {
			worn := 0.0
			if random(501, t/int64(time.Minute)) > 0.985 {
				worn = 6
			}
			return quantum(18.2+1.1*cell(501, t)+worn, 1000)
		}},
		{"V", properties("Open-circuit voltage", "V", 4), func(t int64) float64 { return quantum(3.6852+0.021*cell(502, t), 10000) }},
		{"T", properties("Cell temperature", "°C", 1), func(t int64) float64 {
			return quantum(24.5+1.5*daily(t, siteOffset, 15)+0.6*cell(503, t), 10)
		}},
	}}
}

// irregular is a time somewhere in most minutes of the day; step means nothing
// to it.
func irregular(into []int64, from, to int64, _ time.Duration) []int64 {
	minute := int64(time.Minute)
	for n := from/minute - 1; n*minute < to; n++ {
		if random(510, n) < 0.15+0.5*(1-working(n*minute, siteOffset)) {
			continue
		}
		t := n*minute + int64(random(511, n)*58e3)*int64(time.Millisecond)
		if t >= from && t < to {
			into = append(into, t)
		}
	}
	return into
}

// recorder has the rms values of waveforms, and logic channels that are 0 or 1.
func (p *plant) recorder() instrument {
	i := instrument{name: "MR8875-BJ3", group: "Beijing", app: "Gateway BJ-02"}
	for n, name := range []string{"Spindle vibration X", "Spindle vibration Y", "Gearbox vibration"} {
		seed := uint64(600 + n)
		i.channels = append(i.channels, channel{fmt.Sprintf("CH%d", n+1), properties(name, "mm/s", 2), func(t int64) float64 {
			run := working(t, siteOffset)
			return quantum(0.12+run*(2.4+0.5*float64(n)+0.8*drift(seed, t, 30*time.Second))+0.05*math.Abs(noise(seed, t)), 100)
		}})
	}
	i.channels = append(i.channels, channel{"CH4", properties("Drive current rms", "A", 3), func(t int64) float64 {
		return quantum(0.4+working(t, siteOffset)*(11+2.2*drift(604, t, 20*time.Second)), 1000)
	}})
	logic := func(name string, on func(t int64) bool) {
		n := len(i.channels) - 3
		i.channels = append(i.channels, channel{fmt.Sprintf("L%d", n), properties(name, "", 0), func(t int64) float64 {
			if on(t) {
				return 1
			}
			return 0
		}})
	}
	logic("Conveyor running", func(t int64) bool { return working(t, siteOffset) > 0.05 })
	logic("Pump 1 on", func(t int64) bool { return pulse(t, 17*time.Minute, 0, 9*time.Minute) > 0.5 })
	logic("Door open", func(t int64) bool { return random(607, t/int64(2*time.Minute)) > 0.93 })
	logic("Part present", func(t int64) bool {
		return working(t, siteOffset) > 0.5 && random(608, t/int64(10*time.Second)) > 0.4
	})
	return i
}
