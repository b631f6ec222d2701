package ingest

import (
	"bytes"
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/mapping"
)

// readsBack imports a file into a database, opens that again, and compares
// what it holds with what the file says: at each time the last value.
func readsBack(t *testing.T, file []byte, m *mapping.Map, want *kept) {
	t.Helper()
	options := engine.Options{FS: engine.DefaultFS(), Dir: t.TempDir(), Clock: time.Now}
	db, err := engine.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	keep := func(ctx context.Context, b *model.Batch) error {
		_, err := db.Append(ctx, b)
		return err
	}
	if _, err := ImportFile(ctx, keep, bytes.NewReader(file), "f", FileOptions{Tenant: "t", Instrument: "i", Zone: time.UTC, Map: m}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if db, err = engine.Open(options); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	channels, err := db.Channels(ctx, "t", model.Selector{})
	if err != nil || len(channels) != len(want.order) {
		t.Fatalf("%d channels, want %d: %v", len(channels), len(want.order), err)
	}
	for i := range channels {
		name := channels[i].Labels.Channel()
		selected, err := db.Select(ctx, "t", []model.ChannelID{channels[i].ID}, model.AllTime())
		if err != nil {
			t.Fatal(err)
		}
		rows := lastAtEachTime(want.samples[name])
		cursor := selected.Cursor(0)
		at := 0
		for {
			times, values, err := cursor.Next()
			if err != nil {
				t.Fatal(err)
			}
			if len(times) == 0 {
				break
			}
			for j := range times {
				if at >= len(rows) || times[j] != rows[at].Time || math.Float64bits(values[j]) != math.Float64bits(rows[at].Value) {
					t.Fatalf("%s: row %d is %v at %d", name, at, values[j], times[j])
				}
				at++
			}
		}
		if at != len(rows) {
			t.Fatalf("%s: %d rows, want %d", name, at, len(rows))
		}
		selected.Close()
	}
}

// lastAtEachTime is what a channel holds of samples that were written in order.
func lastAtEachTime(samples []model.Sample) []model.Sample {
	sorted := slices.Clone(samples)
	slices.SortStableFunc(sorted, func(a, b model.Sample) int {
		switch {
		case a.Time < b.Time:
			return -1
		case a.Time > b.Time:
			return 1
		}
		return 0
	})
	rows := sorted[:0]
	for i, s := range sorted {
		if i+1 == len(sorted) || sorted[i+1].Time != s.Time {
			rows = append(rows, s)
		}
	}
	return rows
}
