package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// TestWhatRemains: what is left of a span is what no tombstone in force hides
// and what has not expired.
func TestWhatRemains(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		span := func(what string) model.Span {
			from := rapid.Int64Range(0, 30).Draw(t, what)
			return model.Span{From: from, To: from + rapid.Int64Range(1, 12).Draw(t, what+" length")}
		}
		h := hiding{floors: policy.NoFloors}
		if rapid.Bool().Draw(t, "expires") {
			h.floors[model.StepRaw] = rapid.Int64Range(0, 40).Draw(t, "floor")
		}
		for i := range rapid.IntRange(0, 5).Draw(t, "tombstones") {
			h.tombstones = append(h.tombstones, model.Tombstone{Offset: uint64(i + 1), Span: span("hole")})
		}
		cleanTo := rapid.Uint64Range(0, 5).Draw(t, "clean to")
		rows := span("rows")
		var times []int64
		var values []float64
		var want []int64
		for at := rows.From; at < rows.To; at++ {
			times, values = append(times, at), append(values, float64(at))
			gone := at < h.floors[model.StepRaw]
			for _, s := range h.tombstones {
				gone = gone || s.Offset > cleanTo && s.Span.Contains(at)
			}
			if !gone {
				want = append(want, at)
			}
		}
		var got []int64
		spans := h.remains(nil, cleanTo, rows.From, rows.To-1)
		for i, s := range spans {
			if s.Empty() || i > 0 && s.From <= spans[i-1].To {
				t.Fatalf("spans %v", spans)
			}
			for at := s.From; at < s.To; at++ {
				got = append(got, at)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
		times, values = h.filter(cleanTo, times, values)
		if !slices.Equal(times, want) || len(values) != len(times) {
			t.Fatalf("filtered to %v %v, want %v", times, values, want)
		}
		for i := range times {
			if values[i] != float64(times[i]) {
				t.Fatalf("values %v of %v", values, times)
			}
		}
	})
}

func manualOptions(fs disk.FS) Options {
	o := scriptOptions(fs)
	o.SegmentBytes = 1 << 20
	return o
}

func openManual(t testing.TB, o Options) *DB {
	t.Helper()
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.CreateTenant(context.Background(), "t"); err != nil {
		t.Fatal(err)
	}
	return db
}

// write appends rows of one channel.
func write(t testing.TB, db *DB, channel string, at int64, values ...float64) {
	t.Helper()
	c := model.Column{Labels: testLabels(channel), Values: values}
	for i := range values {
		c.Times = append(c.Times, at+int64(i))
	}
	if _, err := db.Append(context.Background(), &model.Batch{Tenant: "t", Columns: []model.Column{c}}); err != nil {
		t.Fatal(err)
	}
}

func idOf(t testing.TB, db *DB, channel string) model.ChannelID {
	t.Helper()
	channels, err := db.Channels(context.Background(), "t", mustSelector(fmt.Sprintf("{channel=%q}", channel)))
	if err != nil || len(channels) != 1 {
		t.Fatalf("channel %s: %v, %v", channel, channels, err)
	}
	return channels[0].ID
}

// reads fails unless a channel has just these rows, at 0, 1, …: NaN is none.
func reads(t testing.TB, db *DB, channel string, want ...float64) {
	t.Helper()
	got := map[int64]float64{}
	if err := readAll(db, idOf(t, db, channel), got); err != nil {
		t.Fatal(err)
	}
	for i, v := range want {
		if g, ok := got[int64(i)]; ok == math.IsNaN(v) || ok && g != v {
			t.Fatalf("%s: %v, want %v", channel, got, want)
		}
		delete(got, int64(i))
	}
	if len(got) > 0 {
		t.Fatalf("%s: %v is too much", channel, got)
	}
}

// TestLastWrittenWins writes the same times into the head, a frozen head,
// overlays and merged blocks, deletes between, and reads after a replay of the
// log, after one from a checkpoint, and after a clean start.
func TestLastWrittenWins(t *testing.T) {
	ctx, none := context.Background(), math.NaN()
	for _, how := range []string{"head", "flushed", "merged", "checkpoint"} {
		t.Run(how, func(t *testing.T) {
			memory := vfs.NewCrashableMem()
			db := openManual(t, manualOptions(memory))
			settle := func() {
				switch how {
				case "flushed":
					must(t, db.Flush(ctx))
				case "merged":
					must(t, db.Compact(ctx))
				case "checkpoint":
					must(t, db.Checkpoint(ctx))
				}
			}
			write(t, db, "a", 0, 1, 1, 1, 1, 1, 1)
			settle()
			write(t, db, "a", 1, 2, 2, 2)
			settle()
			_, err := db.DeleteRows(ctx, "t", nil, model.Span{From: 2, To: 5})
			must(t, err)
			settle()
			write(t, db, "a", 3, 3)
			settle()
			_, err = db.DeleteRows(ctx, "t", []model.ChannelID{idOf(t, db, "a")}, model.Span{From: 0, To: 1})
			must(t, err)
			write(t, db, "a", 5, 4)
			reads(t, db, "a", none, 2, none, 3, none, 4)
			for _, crashed := range []bool{true, false} {
				fs := crashClone(memory, 1, 0)
				if !crashed {
					must(t, db.Close())
					fs = memory
				}
				again, err := Open(manualOptions(fs))
				must(t, err)
				reads(t, again, "a", none, 2, none, 3, none, 4)
				must(t, again.Compact(ctx))
				reads(t, again, "a", none, 2, none, 3, none, 4)
				must(t, again.Close())
			}
		})
	}
}

// TestLatestAfterDeletions finds the newest row that is left, also in blocks.
func TestLatestAfterDeletions(t *testing.T) {
	ctx := context.Background()
	db := openManual(t, manualOptions(vfs.NewMem()))
	write(t, db, "a", 0, 0, 1, 2, 3, 4, 5, 6, 7)
	id := idOf(t, db, "a")
	latest := func(want float64) {
		t.Helper()
		got, err := db.Latest(ctx, "t", []model.ChannelID{id})
		if err != nil || got[0] != (Latest{int64(want), want, true}) {
			t.Fatalf("latest %+v, %v; want %v", got, err, want)
		}
	}
	remove := func(from, to int64) {
		t.Helper()
		_, err := db.DeleteRows(ctx, "t", []model.ChannelID{id}, model.Span{From: from, To: to})
		must(t, err)
	}
	remove(7, 8)
	latest(6)
	must(t, db.Flush(ctx))
	remove(5, 100)
	write(t, db, "a", 2, 2) // not the newest
	latest(4)
	must(t, db.Flush(ctx))
	remove(4, 5)
	write(t, db, "a", 4, 4) // exactly where the newest was
	latest(4)
	remove(0, 100)
	if got, err := db.Latest(ctx, "t", []model.ChannelID{id, id}); err != nil || got[0].OK || got[1].OK {
		t.Fatalf("latest %+v, %v; want none", got, err)
	}
	write(t, db, "a", 1, 1)
	latest(1)
}

// TestDeletedChannels: alarms and labels go with a channel, its ID is not given
// again after a restart, and rows in heads of that time are no obstacle.
func TestDeletedChannels(t *testing.T) {
	ctx := context.Background()
	memory := vfs.NewCrashableMem()
	db := openManual(t, manualOptions(memory))
	write(t, db, "a", 0, 1)
	write(t, db, "b", 0, 2)
	a, b := idOf(t, db, "a"), idOf(t, db, "b")
	for _, id := range []model.ChannelID{a, b} {
		_, err := db.PutAlarm(ctx, "t", entry.PutAlarm{Channel: id, Operator: uint8(alarm.Greater), Enabled: true})
		must(t, err)
	}
	if err := db.DeleteChannels(ctx, "t", []model.ChannelID{b, 99}); !errors.Is(err, ErrUnknownChannel) {
		t.Fatalf("an unknown channel: %v", err)
	}
	must(t, db.DeleteChannels(ctx, "t", []model.ChannelID{b}))
	check := func(db *DB) {
		t.Helper()
		channels, err := db.Channels(ctx, "t", nil)
		if err != nil || len(channels) != 1 || channels[0].ID != a {
			t.Fatalf("channels %v, %v", channels, err)
		}
		alarms, err := db.Alarms("t")
		if err != nil || len(alarms) != 1 || alarms[0].Channel != a {
			t.Fatalf("alarms %v, %v", alarms, err)
		}
		if _, err := db.Latest(ctx, "t", []model.ChannelID{b}); !errors.Is(err, ErrUnknownChannel) {
			t.Fatalf("latest of the deleted: %v", err)
		}
		got := map[int64]float64{}
		if err := readAll(db, b, got); err != nil || len(got) > 0 {
			t.Fatalf("rows of the deleted: %v, %v", got, err)
		}
	}
	check(db)
	must(t, db.Flush(ctx))
	check(db)
	must(t, db.Checkpoint(ctx))
	must(t, db.Close())
	db, err := Open(manualOptions(memory))
	must(t, err)
	defer db.Close()
	check(db)
	write(t, db, "b", 0, 3)
	if id := idOf(t, db, "b"); id == b {
		t.Fatalf("channel ID %d is given again", id)
	}
	reads(t, db, "b", 3)
	reads(t, db, "a", 1)
}

// TestDeletionLimits: a deletion of many channels is several entries, and when
// there are too many tombstones, a deletion is refused until some are gone.
func TestDeletionLimits(t *testing.T) {
	ctx := context.Background()
	db := openManual(t, manualOptions(vfs.NewMem()))
	write(t, db, "a", 0, 0, 1)
	state := db.tenants["t"]
	must(t, db.Flush(ctx))
	many := make([]model.Tombstone, policy.Tombstones.Default)
	for i := range many {
		many[i] = model.Tombstone{Offset: math.MaxUint64, Span: model.Span{From: 0, To: 1}}
	}
	state.setTombstones(many)
	if _, err := db.DeleteRows(ctx, "t", nil, model.AllTime()); !errors.Is(err, ErrTooManyDeletions) {
		t.Fatalf("one deletion too many: %v", err)
	}
	for i := range many {
		many[i].Span = model.Span{From: model.Day, To: model.Day + 1} // where there is nothing
	}
	state.setTombstones(many)
	_, err := db.DeleteRows(ctx, "t", nil, model.Span{From: 0, To: 1})
	must(t, err)
	reads(t, db, "a", math.NaN(), 1)
	if n := len(state.tombstones); n != 1 {
		t.Errorf("%d tombstones", n)
	}
	_, err = db.DeleteRows(ctx, "t", nil, model.Span{From: 0, To: 5})
	must(t, err)
	if n := len(state.tombstones); n != 1 {
		t.Errorf("%d tombstones where one covers the other", n)
	}
	for _, span := range []model.Span{{From: 5, To: 5}, {From: model.MaxTime, To: math.MaxInt64}} {
		if _, err := db.DeleteRows(ctx, "t", nil, span); !errors.Is(err, model.ErrBadSpan) {
			t.Errorf("%v: %v", span, err)
		}
	}
}

// TestLargeDeletionIsSplit deletes rows of more channels than one entry names.
func TestLargeDeletionIsSplit(t *testing.T) {
	ctx := context.Background()
	db := openManual(t, manualOptions(vfs.NewMem()))
	n := int(policy.DeletionChannels.Default) + 5
	ids := manyChannels(t, db, n)
	before := db.Applied(model.Tenant("t").Partition())
	offset, err := db.DeleteRows(ctx, "t", ids, model.AllTime())
	if err != nil || offset != before+2 {
		t.Fatalf("offset %d after %d: %v", offset, before, err)
	}
	sums, err := db.Summarize(ctx, "t", []model.ChannelID{ids[0], ids[n-1]}, model.AllTime())
	if err != nil || sums[0].Rows() > 0 || sums[1].Rows() > 0 {
		t.Fatalf("%v, %v", sums, err)
	}
}

// manyChannels writes a row of each of n channels.
func manyChannels(t testing.TB, db *DB, n int) []model.ChannelID {
	b := &model.Batch{Tenant: "t"}
	times := []int64{1}
	for i := range n {
		b.Columns = append(b.Columns, model.Column{Labels: testLabels(fmt.Sprint(i)), Times: times, Values: []float64{1}})
	}
	if _, err := db.Append(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	ids := make([]model.ChannelID, n)
	for i := range ids {
		ids[i] = model.ChannelID(i + 1)
	}
	return ids
}

// BenchmarkDeleteRows is the time to the acknowledgement of a deletion, with a
// disk that syncs in no time: of one channel, and of 80,000.
func BenchmarkDeleteRows(b *testing.B) {
	for _, n := range []int{1, 80_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			db := openManual(b, manualOptions(vfs.NewMem()))
			ids := manyChannels(b, db, 80_000)[:n]
			slowest := time.Duration(0)
			at := int64(0)
			for b.Loop() {
				b.StopTimer()
				write(b, db, "0", at, 1)
				at++
				if at%20 == 0 {
					cleanUp(b, db)
				}
				b.StartTimer()
				start := time.Now()
				if _, err := db.DeleteRows(context.Background(), "t", ids, model.Span{From: at, To: at + model.Day}); err != nil {
					b.Fatal(err)
				}
				slowest = max(slowest, time.Since(start))
			}
			b.ReportMetric(float64(slowest.Microseconds())/1000, "ms-slowest")
		})
	}
}

// cleanUp flushes, so that tombstones do not pile up.
func cleanUp(b *testing.B, db *DB) {
	if err := db.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	db.tenants["t"].setTombstones(nil)
}

// TestBlocksNoteDeletions: flushed and merged blocks say what was deleted and
// what the rules are.
func TestBlocksNoteDeletions(t *testing.T) {
	ctx := context.Background()
	db := openManual(t, manualOptions(vfs.NewMem()))
	write(t, db, "a", 0, 1, 2, 3)
	must(t, db.Flush(ctx))
	rules := testRules("1y", "tenant", "")
	write(t, db, "b", 0, 1)
	offset, err := db.DeleteRows(ctx, "t", []model.ChannelID{idOf(t, db, "a")}, model.Span{From: 1, To: 2})
	must(t, err)
	must(t, db.Flush(ctx))
	must(t, db.SetRetention(ctx, "t", rules))
	write(t, db, "c", 1e18, 1)
	must(t, db.Flush(ctx))
	var noted []uint64
	found := false
	for _, m := range db.tenants["t"].blocks {
		r, err := db.readers.acquire(m.Name)
		must(t, err)
		notes, err := r.Notes()
		must(t, err)
		db.readers.release(r)
		for _, s := range notes.Tombstones {
			noted = append(noted, s.Offset)
		}
		if notes.Retention != nil {
			got, err := policy.DecodeRules(notes.Retention)
			found = err == nil && got.Equal(rules)
		}
	}
	if !slices.Contains(noted, offset) || !found {
		t.Errorf("deletions noted %v, want %d; rules found: %v", noted, offset, found)
	}
}
