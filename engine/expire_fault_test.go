package engine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// keepsOf returns rules of single channels: of each, how long raw rows and
// rollups of an hour are kept.
func keepsOf(t testing.TB, channels map[string][2]string) (rules policy.Rules) {
	t.Helper()
	for name, keeps := range channels {
		r := policy.Rule{Scope: policy.ScopeChannel, Match: name}
		for i, step := range []model.Step{model.StepRaw, model.StepHour} {
			if keeps[i] == "" {
				continue
			}
			keep, err := policy.ParseKeep(keeps[i])
			if err != nil {
				t.Fatal(err)
			}
			r.Keep[step] = &keep
		}
		rules = append(rules, r)
	}
	return rules
}

// openAt opens a database of which the clock stands at the start of a day of
// 1970, counted from 0, and whose compactions take many steps.
func openAt(t testing.TB, fs disk.FS, day int64) *DB {
	t.Helper()
	o := scriptOptions(fs)
	o.SegmentBytes = 4 << 10
	o.Clock = func() time.Time { return time.Unix(day*86400, 0) }
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	db.compactor.blocks, db.compactor.chunks = 2, 1
	return db
}

// endingDay is the day on which what endingScenario made comes to its end.
const endingDay = 95

// endingScenario makes a database whose next compaction has something of each
// kind to end: January and February of channels of which one keeps hours when
// its rows go, one keeps a month, and one loses some days to a deletion; and of
// a fourth, alone in December, which keeps nothing.
func endingScenario(t *testing.T, fs disk.FS) (*DB, string) {
	t.Helper()
	ctx := context.Background()
	db := openAt(t, fs, 60)
	must(t, db.CreateTenant(ctx, "t"))
	for _, part := range []struct {
		channels []string
		from, to int64 // days
	}{{[]string{"a", "b", "c"}, 0, 59}, {[]string{"d"}, -3, -1}} {
		b := &model.Batch{Tenant: "t"}
		for k, channel := range part.channels {
			c := model.Column{Labels: testLabels(channel)}
			for at := part.from * model.Day; at < part.to*model.Day; at += 2 * 3600e9 {
				c.Times = append(c.Times, at, at+60e9)
				c.Values = append(c.Values, float64(at%1e12)/1e9+float64(k), 0.5)
			}
			b.Columns = append(b.Columns, c)
		}
		_, err := db.Append(ctx, b)
		must(t, err)
		must(t, db.Compact(ctx))
	}
	must(t, db.SetRetention(ctx, "t", keepsOf(t, map[string][2]string{
		"a": {"60d", "forever"}, "b": {"45d", ""}, "d": {"10d", ""},
	})))
	_, err := db.DeleteRows(ctx, "t", []model.ChannelID{3}, model.Span{From: 5 * model.Day, To: 50*model.Day + 3600e9})
	must(t, err)
	must(t, db.Close())
	db = openAt(t, fs, endingDay)
	return db, whatEnds(t, db)
}

// whatEnds says what can be read: the hours of channel a, and the rows of the
// others.
func whatEnds(t testing.TB, db *DB) string {
	t.Helper()
	buckets := model.Buckets{From: -4 * model.Day, Width: 3600e9, Count: 24 * 70}
	hours, err := db.Aggregate(context.Background(), "t", []model.ChannelID{1}, buckets)
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for i, h := range hours[0] {
		if h.Rows() > 0 {
			text += fmt.Sprintf("%d:%d %v %v %v %v %v, ", i, h.Count, h.Min, h.Max, h.First, h.Last, h.Total())
		}
	}
	for id := model.ChannelID(2); id <= 4; id++ {
		rows := map[int64]float64{}
		if err := readAll(db, id, rows); err != nil {
			t.Fatal(err)
		}
		first, last, sum := int64(math.MaxInt64), int64(math.MinInt64), 0.0
		for at, v := range rows {
			first, last, sum = min(first, at), max(last, at), sum+math.Round(v*2)
		}
		text += fmt.Sprintf("%d: %d rows from %d to %d, sum %v; ", id, len(rows), first, last, sum)
	}
	return text
}

// checkEnding opens what is left and checks that what can be read is the same,
// that nothing else lies about, and that compacting ends what there is to end.
func checkEnding(t *testing.T, what string, fs disk.FS, want string) {
	t.Helper()
	db := openAt(t, fs, endingDay)
	defer db.Close()
	if faults, _ := db.Faults(); len(faults) > 0 {
		t.Fatalf("%s: %v", what, faults)
	}
	if got := whatEnds(t, db); got != want {
		t.Fatalf("%s:\n%s, want\n%s", what, got, want)
	}
	blockFiles(t, db)
	compact(t, db)
	if got := whatEnds(t, db); got != want {
		t.Fatalf("%s, then compacted:\n%s, want\n%s", what, got, want)
	}
	blockFiles(t, db)
	u := db.tenants["t"]
	for _, m := range u.blocks {
		if m.RollupsAlone != 1 && m.First < 31*model.Day || m.First < 0 {
			t.Errorf("%s: rows of channels that keep none are still in %+v", what, m)
		}
	}
	if len(u.tombstones) > 0 {
		t.Errorf("%s: tombstones %v", what, u.tombstones)
	}
}

// endingDrill has rows that have expired, or were deleted, leave the disk.
var endingDrill = compactDrill[string]{
	scenario: endingScenario,
	open: func(t *testing.T, what string, db *DB, want string) {
		if got := whatEnds(t, db); got != want {
			t.Fatalf("%s:\n%s, want\n%s", what, got, want)
		}
	},
	reopened: checkEnding,
}

func TestCrashAtEveryWriteOfEndings(t *testing.T) { endingDrill.crashAtEveryWrite(t) }

func TestEveryOperationOfEndingsFails(t *testing.T) { endingDrill.everyOperationFails(t) }

// TestWhatExpiresDuringADayIsNotWrittenAgain: a channel's last rows have
// expired, but whole days go. A block is not written again and again for them.
func TestWhatExpiresDuringADayIsNotWrittenAgain(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, hours := range []string{"", "2000h"} {
		s := openSlow(t, vfs.NewMem(), yearStart)
		for _, channel := range []string{"a", "b"} {
			write(t, s.db, channel, yearStart, 1, 2, 3)
		}
		must(t, s.db.Compact(ctx))
		keep := "999h"
		if hours != "" {
			keep = "99h"
		}
		must(t, s.db.SetRetention(ctx, "t", keepsOf(t, map[string][2]string{"a": {keep, hours}})))
		for _, passed := range []int64{999, 2000} {
			s.now = yearStart + (passed+1)*3600e9
			must(t, s.db.Compact(ctx))
			before := blockFiles(t, s.db)
			names := slices.Clone(s.db.tenants["t"].blocks)
			s.db.compactor.touch(s.db.tenants["t"])
			s.db.compactDue(ctx, nil)
			if ctx.Err() != nil || !slices.Equal(before, blockFiles(t, s.db)) || names[0].Name != s.db.tenants["t"].blocks[0].Name {
				t.Fatalf("%d hours: %v: blocks %v, then %v", passed, ctx.Err(), names, s.db.tenants["t"].blocks)
			}
		}
		s.now += model.Day
		must(t, s.db.Compact(ctx))
		if m := s.db.tenants["t"].blocks; len(m) != 1 || m[0].Channels != 1 {
			t.Errorf("blocks are %+v", m)
		}
		must(t, s.db.Close())
	}
}
