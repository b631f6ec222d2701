package demo

import (
	"math"
	"time"

	"github.com/hokan-db/hokan/engine/model"
)

// A signal gives a channel's reading at any time. It depends on nothing but
// the time, so that whoever asks again, or after a pause, gets the same.
type signal func(t int64) float64

const day = float64(24 * time.Hour)

// hours is t as hours since the epoch.
func hours(t int64) float64 { return float64(t) / float64(time.Hour) }

// random mixes a number into one of 0 to 1, without memory.
func random(seed uint64, n int64) float64 {
	x := uint64(n)*0x9E3779B97F4A7C15 + seed*0xD1B54A32D192ED03
	x ^= x >> 32
	x *= 0xD6E8FEB86659FD93
	x ^= x >> 32
	x *= 0xD6E8FEB86659FD93
	x ^= x >> 32
	return float64(x>>11) / (1 << 53)
}

// noise is a reading's own error, from -1 to 1, different at every time.
func noise(seed uint64, t int64) float64 { return 2*random(seed, t/int64(time.Second)) - 1 }

// drift wanders between -1 and 1; period is how long it keeps to a direction.
func drift(seed uint64, t int64, period time.Duration) float64 {
	step := t / int64(period)
	at := float64(t%int64(period)) / float64(period)
	at = at * at * (3 - 2*at)
	from, to := 2*random(seed, step)-1, 2*random(seed, step+1)-1
	return from + (to-from)*at
}

// daily swings between -1 and 1 once a day, highest at the hour peak of a site
// whose clock is offset hours ahead of UTC.
func daily(t int64, offset, peak float64) float64 {
	return math.Cos(2 * math.Pi * (hours(t) + offset - peak) / 24)
}

// working is 1 during the hours of work at a site, 0 outside them, with half
// an hour between.
func working(t int64, offset float64) float64 {
	local := hours(t) + offset
	hour := math.Mod(local, 24)
	weekday := int64(math.Floor(local/24)+4) % 7 // 1 January 1970 was a Thursday
	load := ramp(hour, 7.5, 8) * (1 - ramp(hour, 19, 19.5))
	if weekday == 0 {
		return 0.1 * load
	}
	return load
}

// ramp goes from 0 at from to 1 at to.
func ramp(x, from, to float64) float64 { return min(max((x-from)/(to-from), 0), 1) }

// pulse is 1 for length at the beginning of every period, begun at phase into
// it, with edges that take a tenth of length.
func pulse(t int64, period, phase, length time.Duration) float64 {
	at := float64((t-int64(phase))%int64(period)) / float64(length)
	return ramp(at, 0, 0.1) * (1 - ramp(at, 0.9, 1))
}

// quantum rounds to what an instrument resolves: the nearest n/perUnit, which
// is the very double that its decimal reads as.
func quantum(v, perUnit float64) float64 { return math.Round(v*perUnit) / perUnit }

// within gives over and under where an instrument's range ends.
func within(v, low, high float64) float64 {
	switch {
	case v > high:
		return model.QualityOver.NaN()
	case v < low:
		return model.QualityUnder.NaN()
	}
	return v
}
