package engine

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/model"
)

// tapped opens a database with tenants t and u.
func tapped(t *testing.T) *DB {
	t.Helper()
	db := openTest(t, vfs.NewMem())
	t.Cleanup(func() { db.Close() })
	for _, name := range []model.Tenant{"t", "u"} {
		if err := db.CreateTenant(context.Background(), name); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func appendTo(t *testing.T, db *DB, b *model.Batch) {
	t.Helper()
	if _, err := db.Append(context.Background(), b); err != nil {
		t.Fatal(err)
	}
}

func openTap(t *testing.T, db *DB, selector string, limit int) *Tap {
	t.Helper()
	s, err := model.ParseSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	tap, err := db.Tap(context.Background(), "t", s, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tap.Close)
	return tap
}

// take returns the values in a feed, each after its channel's name.
func take(t *testing.T, tap *Tap) (got []string, dropped uint64) {
	t.Helper()
	select {
	case <-tap.Ready():
	default:
	}
	feed, err := tap.Take(context.Background())
	if err != nil {
		t.Error(err)
	}
	for _, rows := range feed.Rows {
		for i := range rows.Times {
			got = append(got, fmt.Sprintf("%s=%v", rows.Labels.Channel(), rows.Values[i]))
		}
	}
	for _, e := range feed.Events {
		got = append(got, fmt.Sprintf("%s %s %v", e.Labels.Channel(), e.Kind, e.Value))
	}
	return got, feed.Dropped
}

func expect(t *testing.T, tap *Tap, wantDropped uint64, want ...string) {
	t.Helper()
	if got, dropped := take(t, tap); !slices.Equal(got, want) || dropped != wantDropped {
		t.Errorf("got %q and %d dropped, want %q and %d", got, dropped, want, wantDropped)
	}
}

// TestTap receives what it asked for, in order, drops what does not fit and
// says how much.
func TestTap(t *testing.T) {
	db := tapped(t)
	appendTo(t, db, scriptBatch(0))
	tap := openTap(t, db, `{channel="b"}`, 3)
	all := openTap(t, db, `{}`, 100)
	for i := 1; i <= 5; i++ {
		appendTo(t, db, scriptBatch(i))
	}
	select {
	case <-tap.Ready():
	default:
		t.Error("nobody said that there are rows")
	}
	expect(t, tap, 2, "b=1", "b=2", "b=0")
	expect(t, tap, 0)
	expect(t, all, 0, "a=1", "b=1", "a=2", "b=2", "a=3", "b=0", "a=4", "b=1", "a=5", "b=2")
	appendTo(t, db, scriptBatch(7))
	expect(t, tap, 0, "b=1")
	tap.Close()
	appendTo(t, db, scriptBatch(6))
	expect(t, tap, 0)
	// What came together is taken, however much it is.
	small := openTap(t, db, `{channel="a"}`, 1)
	appendTo(t, db, &model.Batch{Tenant: "t", Columns: []model.Column{
		{Labels: testLabels("a"), Times: []int64{1, 2}, Values: []float64{1, 2}}}})
	expect(t, small, 0, "a=1", "a=2")
	if _, err := db.Tap(context.Background(), "nobody", nil, 1); err == nil {
		t.Error("a tenant that is not there is tapped")
	}
	if _, err := db.Tap(context.Background(), "t", nil, 0); err == nil {
		t.Error("a tap without room")
	}
}

// TestTapOfLaterChannels receives channels that are made after it, or whose
// properties come to be selected, and no longer those that cease to be.
func TestTapOfLaterChannels(t *testing.T) {
	db := tapped(t)
	tap := openTap(t, db, `{unit="V"}`, 100)
	write := func(tenant model.Tenant, channel, unit string, at int64) {
		t.Helper()
		appendTo(t, db, &model.Batch{Tenant: tenant, Columns: []model.Column{{Labels: testLabels(channel),
			Properties: &model.Properties{Unit: unit}, Times: []int64{at}, Values: []float64{float64(at)}}}})
	}
	write("t", "x", "V", 1)
	write("t", "y", "A", 2)
	write("u", "x", "V", 3) // another tenant's
	expect(t, tap, 0, "x=1")
	write("t", "y", "V", 4)
	write("t", "x", "A", 5)
	expect(t, tap, 0, "y=4")
}

// TestTapOfEvents receives the events of its channels once they can be read.
func TestTapOfEvents(t *testing.T) {
	db := tapped(t)
	appendTo(t, db, scriptBatch(0))
	for channel := range model.ChannelID(2) {
		if _, err := db.PutAlarm(context.Background(), "t", AlarmDefinition{Name: "high", Channel: channel + 1,
			Operator: uint8(GreaterOrEqual), Threshold: 2, Enabled: true}); err != nil {
			t.Fatal(err)
		}
	}
	tap := openTap(t, db, `{channel="b"}`, 100)
	for i := 1; i <= 3; i++ {
		appendTo(t, db, scriptBatch(i))
	}
	// The applier offers events before it answers those who wrote.
	expect(t, tap, 0, "b=1", "b=2", "b=0", "b start 2", "b end 0")
	narrow := openTap(t, db, `{channel="b"}`, 1)
	appendTo(t, db, scriptBatch(5))
	expect(t, narrow, 1, "b=2")
}

// TestTapsFeedNothingThatWasDeleted deletes rows that wait for two taps: when
// that is acknowledged, neither feeds them any more, nor is room taken by them.
func TestTapsFeedNothingThatWasDeleted(t *testing.T) {
	ctx := context.Background()
	db := tapped(t)
	tap, other := openTap(t, db, "{}", 4), openTap(t, db, "{}", 100)
	write(t, db, "a", 10, 1, 2, 3)
	write(t, db, "b", 11, 4)
	_, err := db.DeleteRows(ctx, "t", []model.ChannelID{idOf(t, db, "a")}, model.Span{From: 11, To: 12})
	must(t, err)
	write(t, db, "a", 11, 5) // later than the deletion
	for _, tap := range []*Tap{tap, other} {
		got := map[int64][]float64{}
		feed, err := tap.Take(ctx)
		must(t, err)
		for _, r := range feed.Rows {
			for i, at := range r.Times {
				got[at] = append(got[at], r.Values[i])
			}
		}
		if fmt.Sprint(got) != "map[10:[1] 11:[4 5] 12:[3]]" || feed.Dropped > 0 {
			t.Errorf("%v, %d dropped", got, feed.Dropped)
		}
		tap.GiveBack(feed)
	}
	write(t, db, "a", 20, 1, 2, 3)
	must(t, db.DeleteChannels(ctx, "t", []model.ChannelID{idOf(t, db, "a")}))
	if feed, err := tap.Take(ctx); err != nil || len(feed.Rows) > 0 {
		t.Errorf("of a deleted channel: %v, %v", feed, err)
	}
	tap.Close()
	other.Close()
	if used := db.tapMemory.used.Load(); used != 0 {
		t.Errorf("%d bytes are still counted", used)
	}
}
