package tenants

import (
	"testing"
	"time"
)

// TestClockThatJumps lets a clock go ahead, stay and come back.
func TestClockThatJumps(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for name, steps := range map[string][]struct {
		running, ahead time.Duration
		trusted        bool
	}{
		"steady":        {{0, 0, true}, {time.Minute, 0, true}, {100 * time.Hour, 0, true}},
		"wrong at once": {{0, year, true}, {time.Minute, year, true}},
		"slow drift":    {{0, 0, true}, {time.Hour, time.Minute, true}, {90 * time.Hour, time.Hour, true}},
		"set back":      {{0, 0, true}, {time.Minute, -year, true}},
		"for minutes":   {{0, 0, true}, {time.Minute, year, false}, {30 * time.Minute, year, false}, {31 * time.Minute, 0, true}, {80 * time.Minute, year, false}},
		"for good":      {{0, 0, true}, {time.Minute, year, false}, {60 * time.Minute, year, false}, {61 * time.Minute, year, true}, {62 * time.Minute, year, true}},
		"to and fro":    {{0, 0, true}, {time.Minute, year, false}, {40 * time.Minute, 2 * year, false}, {70 * time.Minute, 2 * year, false}, {101 * time.Minute, 2 * year, true}},
	} {
		var w clockWatch
		for i, s := range steps {
			if got := w.trusts(noon.Add(s.running+s.ahead), s.running); got != s.trusted {
				t.Errorf("%s: step %d: trusted %v", name, i, got)
			}
		}
	}
}
