package webtest

import (
	"fmt"
	"testing"
)

// TestLate plays writers of several habits to the module that says when a
// channel is late: while they live it must stay quiet, and when they die it must
// say so soon.
func TestLate(t *testing.T) {
	p := serve(t).fill()
	b := p.signedIn(laptop, "/monitor")
	b.shown(hook("channel"))
	// play(pauses, delay, interval): pauses between arrivals in seconds, again
	// and again for 60 arrivals, each of a sample that is delay
	// seconds old. It gives how often the channel was late while alive, but for the
	// first 12 arrivals, and after how many seconds without a sample it is.
	const play = `(async (pauses, delay, interval) => {
		const { isLate, waited } = await import(document.querySelector('script[src$="/monitor.js"]').src.replace("monitor.js", "late.js"));
		const c = { interval: interval * 1e3, seldom: 0, time: -delay * 1e3 };
		let at = 0, cried = 0, early = 0;
		for (let i = 0; i < 60; i++) {
			for (let s = 0; s < pauses[i %% pauses.length]; s++) { at += 1e3; if (isLate(c, at)) i < 12 ? early++ : cried++; }
			waited(c, at - c.time);
			c.time = at - delay * 1e3;
		}
		let dead = 0;
		while (!isLate(c, at + dead * 1e3) && dead < 1e5) dead++;
		return [early, cried, dead];
	})(%s, %d, %v)`
	for _, c := range []struct {
		habit     string
		pauses    string
		delay     int
		interval  float64
		diesUntil int // seconds
	}{
		{"every second", "[1]", 0, 1, 6},
		{"every minute", "[60]", 0, 60, 200},
		{"every minute, sampled each second", "[60]", 0, 1, 200},
		{"every ten seconds, ten minutes old", "[10]", 600, 10, 1900},
		{"bursts of five and a pause", "[1,1,1,1,60]", 0, 12, 130},
		{"at whim", "[5,90,20,40,3,70,11,80]", 0, 40, 200},
		{"every minute with one outage", "[60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,60,170,60]", 0, 60, 200},
	} {
		var got [3]int
		if err := b.evaluate(fmt.Sprintf(play, c.pauses, c.delay, c.interval), &got); err != nil {
			t.Fatal(err)
		}
		early, cried, dead := got[0], got[1], got[2]
		if c.delay == 0 && early > 0 || cried > 0 {
			t.Errorf("%s: late for %d s at first and %d s later though it lives", c.habit, early, cried)
		}
		if dead > c.diesUntil {
			t.Errorf("%s: noticed %d s after its last sample, want %d", c.habit, dead, c.diesUntil)
		}
	}
}
