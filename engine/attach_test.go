package engine

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/model"
)

// history is columns of so many rows of some channels from a time on.
func history(channels, rows int, from, step int64) []model.Column {
	times := make([]int64, rows)
	for i := range times {
		times[i] = from + int64(i)*step
	}
	var columns []model.Column
	for c := range channels {
		values := make([]float64, rows)
		for i := range values {
			values[i] = math.Round(1000*math.Sin(float64(i*(c+3))/500)) / 10
		}
		columns = append(columns, model.Column{Labels: testLabels(string(rune('a' + c))), Times: times, Values: values})
	}
	return columns
}

// TestHistoryIsAttached: enough rows go in as blocks, and are read, flushed, and
// found again like others.
func TestHistoryIsAttached(t *testing.T) {
	fs := vfs.NewMem()
	db := openManual(t, manualOptions(fs))
	ctx := context.Background()
	columns := history(3, 20_000, yearStart, 60e9)
	appendColumns := func(columns []model.Column) {
		t.Helper()
		result, err := db.Append(ctx, &model.Batch{Tenant: "t", Columns: columns})
		if err != nil || result.Rows != len(columns)*len(columns[0].Times) {
			t.Fatalf("%+v, %v", result, err)
		}
	}
	appendColumns(columns)
	if n := len(mustTenant(t, db).active.attached); n == 0 {
		t.Fatal("nothing is attached")
	}
	expect := func(when string) {
		t.Helper()
		for i := range columns {
			c := &columns[i]
			id := idOf(t, db, c.Labels.Channel())
			times, values := readRows(t, db, id)
			if !slices.Equal(times, c.Times) || !slices.Equal(values, c.Values) {
				t.Errorf("%s: %d rows of %s, want %d", when, len(times), c.Labels, len(c.Times))
			}
			latest, err := db.Latest(ctx, "t", []model.ChannelID{id})
			if last := len(c.Times) - 1; err != nil || latest[0] != (Latest{c.Times[last], c.Values[last], true}) {
				t.Errorf("%s: the newest row is %v, %v", when, latest, err)
			}
		}
	}
	expect("in memory")
	db = openManual(t, manualOptions(copyFS(t, fs)))
	expect("replayed")
	must(t, db.Checkpoint(ctx))
	db = openManual(t, manualOptions(copyFS(t, fs)))
	expect("from a checkpoint")
	must(t, db.Flush(ctx))
	if state := mustTenant(t, db); len(state.frozen) != 0 || !state.active.Empty() {
		t.Error("something is not flushed")
	}
	expect("flushed")
	must(t, db.Compact(ctx))
	expect("compacted")
}

// readRows reads all rows of a channel.
func readRows(t *testing.T, db *DB, id model.ChannelID) (times []int64, values []float64) {
	t.Helper()
	s, err := db.Select(context.Background(), "t", []model.ChannelID{id}, model.AllTime())
	must(t, err)
	defer s.Close()
	for c := s.Cursor(0); ; {
		some, its, err := c.Next()
		must(t, err)
		if len(some) == 0 {
			return times, values
		}
		times, values = append(times, some...), append(values, its...)
	}
}
