package engine

import (
	"context"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// testRules are one rule about raw rows.
func testRules(keep, scope, match string) policy.Rules {
	k, err := policy.ParseKeep(keep)
	if err != nil {
		panic(err)
	}
	return policy.Rules{{Scope: policy.Scope(scope), Match: match, Keep: [model.StepCount]*policy.Keep{&k}}}
}

// TestRowsExpireAtTheInstant: a row is there as long as the rules say, to the
// nanosecond, and then nowhere, before anything has removed it; also by rules
// that were changed since, and whatever is done to the clock.
func TestRowsExpireAtTheInstant(t *testing.T) {
	ctx := context.Background()
	row := time.Date(2025, 2, 28, 12, 0, 0, 7, time.UTC).UnixNano()
	gone := time.Date(2026, 2, 28, 12, 0, 0, 8, time.UTC).UnixNano()
	now := row
	options := manualOptions(vfs.NewMem())
	options.Clock = func() time.Time { return time.Unix(0, now) }
	db := openManual(t, options)
	write(t, db, "a", row, 1)
	must(t, db.Flush(ctx))
	must(t, db.SetRetention(ctx, "t", testRules("1y", "tenant", "")))
	id := idOf(t, db, "a")
	there := func(want bool) {
		t.Helper()
		got := map[int64]float64{}
		must(t, readAll(db, id, got))
		latest, err := db.Latest(ctx, "t", []model.ChannelID{id})
		must(t, err)
		sums, err := db.Summarize(ctx, "t", []model.ChannelID{id}, model.AllTime())
		must(t, err)
		if (len(got) == 1) != want || latest[0].OK != want || (sums[0].Count == 1) != want {
			t.Fatalf("at %v: rows %v, latest %+v, sum %+v; want them there: %v", time.Unix(0, now).UTC(), got, latest[0], sums[0], want)
		}
	}
	now = gone - 1
	there(true)
	now = gone
	there(false)
	now = gone - model.Day // a clock that is set back
	there(false)
	must(t, db.SetRetention(ctx, "t", testRules("10y", "tenant", "")))
	there(false)
	must(t, db.SetRetention(ctx, "t", nil))
	there(false)
	must(t, db.Close())
	db, err := Open(options)
	must(t, err)
	defer db.Close()
	there(false)
	write(t, db, "a", gone, 2)
	there(true)
}
