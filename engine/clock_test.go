package engine

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/model"
)

// TestAClockThatWasWrongHidesNothingForEver writes a row, and other rules, while
// the clock stands years ahead: when it is set right, what the rules keep by the
// right clock is there, at once and after the database is opened again, and that
// the clock was set back is told until an entry shows the right time.
func TestAClockThatWasWrongHidesNothingForEver(t *testing.T) {
	ctx := context.Background()
	right := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixNano()
	now := right
	options := manualOptions(vfs.NewMem())
	options.Clock = func() time.Time { return time.Unix(0, now) }
	db := openManual(t, options)
	must(t, db.SetRetention(ctx, "t", testRules("90d", "tenant", "")))
	write(t, db, "a", right-30*model.Day, 1)
	id := idOf(t, db, "a")
	rows := func(want int) {
		t.Helper()
		got := map[int64]float64{}
		must(t, readAll(db, id, got))
		if len(got) != want {
			t.Fatalf("at %v: rows %v, want %d", time.Unix(0, now).UTC(), got, want)
		}
	}
	told := func(want bool) {
		t.Helper()
		faults, _ := db.Faults()
		if len(faults) > 1 || (len(faults) == 1) != want || want && !strings.Contains(faults[0].Error(), "clock was set back") {
			t.Fatalf("faults %v, want the clock named: %v", faults, want)
		}
	}
	reopen := func() {
		t.Helper()
		must(t, db.Close())
		var err error
		db, err = Open(options)
		must(t, err)
	}
	defer func() { must(t, db.Close()) }()
	now = right + 3*366*model.Day
	rows(0)
	write(t, db, "b", right, 2)
	must(t, db.SetRetention(ctx, "t", testRules("180d", "tenant", "")))
	told(false)
	now = right + 3600e9
	rows(1)
	told(true)
	reopen()
	rows(1)
	told(true)
	write(t, db, "b", right+1, 2)
	rows(1)
	reopen()
	rows(1)
	told(false)
	now = right + 160*model.Day
	rows(0)
}

// TestALostClockBringsNothingBack: a machine that does not know the time at all
// shows a time before this program was.
func TestALostClockBringsNothingBack(t *testing.T) {
	ctx := context.Background()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixNano()
	options := manualOptions(vfs.NewMem())
	options.Clock = func() time.Time { return time.Unix(0, now) }
	db := openManual(t, options)
	must(t, db.SetRetention(ctx, "t", testRules("90d", "tenant", "")))
	write(t, db, "a", now-91*model.Day, 1)
	now = 0
	got := map[int64]float64{}
	must(t, readAll(db, idOf(t, db, "a"), got))
	if faults, _ := db.Faults(); len(got) != 0 || len(faults) != 1 {
		t.Errorf("rows %v, faults %v; want none, and the clock", got, faults)
	}
	must(t, db.Close())
}

// TestAClockThatIsPutAheadFreesNothingAtOnce merges blocks while the clock stands
// years ahead: rows leave the disk when it has stood so for an hour.
func TestAClockThatIsPutAheadFreesNothingAtOnce(t *testing.T) {
	ctx := context.Background()
	for _, opened := range []bool{false, true} { // while the clock is wrong
		start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixNano()
		s := openSlow(t, vfs.NewMem(), start)
		s.db.clock.trusted = start // as if it were watched
		must(t, s.db.SetRetention(ctx, "t", testRules("90d", "tenant", "")))
		write(t, s.db, "a", start, 1)
		write(t, s.db, "b", start-89*model.Day, 1)
		if !opened {
			must(t, s.db.Flush(ctx))
		}
		s.now += 1000 * model.Day
		if opened {
			must(t, s.db.resumeClock())
			s.db.clock.trusted = start + model.Day // not believed without being watched
		}
		stored := func() (rows uint64) {
			s.pass(0)
			stats, err := s.db.Stats()
			must(t, err)
			return stats.Rows + uint64(stats.HeadRows)
		}
		wait := int(clockPatience / maintainEvery)
		for range wait - 1 {
			s.db.clock.tick(s.now)
			s.now += int64(maintainEvery)
		}
		must(t, s.db.Flush(ctx))
		if rows := stored(); rows != 2 {
			t.Fatalf("%d rows are stored, want 2: the clock jumped", rows)
		}
		s.db.clock.tick(s.now)
		s.now += model.Day
		s.db.clock.tick(s.now) // doubted again, by a day
		if rows := stored(); rows != 0 {
			t.Fatalf("%d rows are stored, want none", rows)
		}
		must(t, s.db.Close())
	}
}

// TestTicks checks when a clock is trusted.
func TestTicks(t *testing.T) {
	const hour, tick = int64(time.Hour), int64(maintainEvery)
	c := rowClock{trusted: 100 * hour}
	run := func(from int64, ticks int) int64 {
		for i := range ticks {
			c.tick(from + int64(i)*tick)
		}
		return c.trusted
	}
	patience := int(int64(clockPatience) / tick)
	if got := run(101*hour, 1); got != 101*hour {
		t.Errorf("an hour ahead: trusted %d", got)
	}
	if got := run(90*hour, 1); got != 90*hour {
		t.Errorf("set back: trusted %d", got)
	}
	if got := run(200*hour, patience-1); got != 90*hour {
		t.Errorf("put ahead, for less than an hour: trusted %d", got)
	}
	if got := run(300*hour, patience-1); got != 90*hour {
		t.Errorf("put ahead twice: trusted %d", got)
	}
	if got := run(91*hour, 1); got != 91*hour {
		t.Errorf("set right: trusted %d", got)
	}
	if got := run(200*hour, patience); got < 200*hour {
		t.Errorf("put ahead, for an hour: trusted %d", got)
	}
	c.trust(math.MaxInt64)
	if got := run(5*hour, 1); got != 5*hour {
		t.Errorf("after everything was trusted: %d", got)
	}
}
