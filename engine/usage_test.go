package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// usageDB is a database whose usage is looked at, on a clock.
type usageDB struct {
	*DB
	t   *testing.T
	fs  vfs.FS
	now time.Time
	// random makes readings of which no two days take the same bytes.
	random *rand.Rand
}

const usageDay = int64(1_767_225_600e9) // 2026-01-01

func openUsageDB(t *testing.T) *usageDB {
	u := &usageDB{t: t, fs: vfs.NewMem(), now: time.Unix(0, usageDay), random: rand.New(rand.NewPCG(1, 2))}
	u.reopen()
	if err := u.CreateTenant(context.Background(), "t"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	})
	return u
}

func (u *usageDB) reopen() {
	u.t.Helper()
	if u.DB != nil {
		if err := u.Close(); err != nil {
			u.t.Fatal(err)
		}
	}
	o := scriptOptions(u.fs)
	o.Clock = func() time.Time { return u.now }
	var err error
	if u.DB, err = Open(o); err != nil {
		u.t.Fatal(err)
	}
}

// write writes a reading every ten minutes in a part of a day, in hours.
func (u *usageDB) write(channel string, day int, from, to int) {
	u.t.Helper()
	c := model.Column{Labels: testLabels(channel)}
	for at := from * 6; at < to*6; at++ {
		c.Times = append(c.Times, usageDay+int64(day)*model.Day+int64(at)*600e9)
		c.Values = append(c.Values, float64(u.random.IntN(1000))/10)
	}
	if _, err := u.Append(context.Background(), &model.Batch{Tenant: "t", Columns: []model.Column{c}}); err != nil {
		u.t.Fatal(err)
	}
}

func (u *usageDB) day(day, from, to int) model.Span {
	start := usageDay + int64(day)*model.Day
	return model.Span{From: start + int64(from)*3600e9, To: start + int64(to)*3600e9}
}

// charged returns the charged bytes, and checks that days add up to them, and
// to the physical bytes.
func (u *usageDB) charged() uint64 {
	u.t.Helper()
	usage, err := u.Usage(context.Background(), "t")
	if err != nil {
		u.t.Fatal(err)
	}
	var charged, physical uint64
	before := DayUsage{Day: -1 << 63}
	err = u.UsageDays(context.Background(), "t", func(d DayUsage) error {
		if d.Day%model.Day != 0 || d.Day < before.Day || d.Day == before.Day && d.Channel <= before.Channel {
			u.t.Errorf("day %+v after %+v", d, before)
		}
		before = d
		charged += d.Charged
		physical += d.Physical
		return nil
	})
	if err != nil || charged != usage.Charged || physical != usage.Physical {
		u.t.Errorf("the days have %d charged and %d physical bytes, %v; usage is %+v", charged, physical, err, usage)
	}
	return usage.Charged
}

// days returns what is charged for each channel of a day.
func (u *usageDB) dayUsage(day int) map[model.ChannelID]uint64 {
	u.t.Helper()
	all := map[model.ChannelID]uint64{}
	err := u.UsageDays(context.Background(), "t", func(d DayUsage) error {
		if d.Day == usageDay+int64(day)*model.Day {
			all[d.Channel] += d.Charged
		}
		return nil
	})
	if err != nil {
		u.t.Fatal(err)
	}
	return all
}

func (u *usageDB) expect(what string, want uint64) {
	u.t.Helper()
	if got := u.charged(); got != want {
		u.t.Errorf("%s: %d bytes are charged, want %d", what, got, want)
	}
}

func (u *usageDB) must(errs ...error) {
	u.t.Helper()
	if err := errors.Join(errs...); err != nil {
		u.t.Fatal(err)
	}
}

// TestUsageOfNewRows charges 2 bytes for each row that no compaction has
// written, wherever it is.
func TestUsageOfNewRows(t *testing.T) {
	ctx := context.Background()
	u := openUsageDB(t)
	u.expect("nothing", 0)
	u.write("a", 0, 0, 24)
	u.write("b", 0, 12, 24)
	u.expect("in the head", 2*216)
	if got := u.dayUsage(0); got[1] != 288 || got[2] != 144 {
		t.Errorf("by channel %v", got)
	}
	u.must(u.Flush(ctx))
	u.expect("in a block", 2*216)
	u.write("a", 40, 0, 1)
	u.expect("in both", 2*222)
	u.reopen()
	u.expect("opened again", 2*222)
	_, err := u.PutFile(ctx, "t", "file", strings.NewReader("12345"))
	u.must(err)
	u.expect("with a file", 2*222+5)
	if got := u.dayUsage(0); got[0] != 5 || got[1] != 288 {
		t.Errorf("by channel %v", got)
	}
}

// TestChargesAreCarried compacts the same rows in many ways: once a day is
// charged, the charge stays; rows that come later add theirs.
func TestChargesAreCarried(t *testing.T) {
	ctx := context.Background()
	u := openUsageDB(t)
	for day := range 3 {
		u.write("a", day, 0, 24)
		u.write("b", day, 0, 24)
	}
	u.must(u.Compact(ctx))
	first := u.charged()
	if first == 0 || first >= 2*864 {
		t.Fatalf("%d bytes are charged for 864 rows", first)
	}
	dayOne := u.dayUsage(1)
	u.write("c", 1, 0, 1)
	u.must(u.Compact(ctx))
	second := u.charged()
	if second <= first {
		t.Errorf("6 more rows: %d bytes after %d", second, first)
	}
	after := u.dayUsage(1)
	if after[1] != dayOne[1] || after[2] != dayOne[2] || after[3] != second-first {
		t.Errorf("the day's charges were %v and are %v", dayOne, after)
	}
	for i := range 3 {
		u.write("a", 10+i, 0, 24)
		more := uint64(2 * 144)
		u.expect("before compaction", second+more)
		u.must(u.Compact(ctx))
		if got := u.dayUsage(1); fmt.Sprint(got) != fmt.Sprint(after) {
			t.Errorf("the day's charges were %v and are %v", after, got)
		}
		second = u.charged()
	}
}

// TestDeletesAreCredited deletes rows in heads, flushed and compacted blocks:
// their charge goes at once, exactly where whole days of channels go, and
// stays gone when compaction removes them.
func TestDeletesAreCredited(t *testing.T) {
	for _, stage := range []string{"head", "flushed", "compacted"} {
		t.Run(stage, func(t *testing.T) {
			ctx := context.Background()
			u := openUsageDB(t)
			for day := range 4 {
				u.write("a", day, 0, 24)
				u.write("b", day, 6, 12)
			}
			if stage != "head" {
				u.must(u.Flush(ctx))
			}
			if stage == "compacted" {
				u.must(u.Compact(ctx))
			}
			all := u.charged()
			days := [4]map[model.ChannelID]uint64{u.dayUsage(0), u.dayUsage(1), u.dayUsage(2), u.dayUsage(3)}
			remove := func(span model.Span, ids ...model.ChannelID) {
				t.Helper()
				_, err := u.DeleteRows(ctx, "t", ids, span)
				u.must(err)
			}
			remove(u.day(1, 0, 24), 1)
			all -= days[1][1]
			u.expect("a day of a channel", all)
			remove(u.day(1, 0, 24), 1)
			u.expect("again", all)
			remove(u.day(2, 6, 12), 2)
			credit := all - u.charged()
			if day := days[2][2]; credit == 0 || credit > day || stage == "flushed" && credit != day {
				t.Errorf("all rows of a day that does not begin with them: %d of %d bytes are credited", credit, day)
			}
			all -= credit
			remove(u.day(0, 12, 24), 1)
			half := all - u.charged()
			if half < days[0][1]*45/100 || half > days[0][1]*55/100 {
				t.Errorf("half of a day of %d bytes credits %d", days[0][1], half)
			}
			all -= half
			u.write("a", 1, 0, 24)
			u.expect("written anew", all+288)
			u.must(u.Compact(ctx))
			rest := u.charged()
			if tolerance := all / 4; rest < all-tolerance || rest > all+288+tolerance {
				t.Errorf("after compaction %d bytes, before %d", rest, all+288)
			}
			u.reopen()
			u.expect("opened again", rest)
			_, err := u.DeleteRows(ctx, "t", nil, model.AllTime())
			u.must(err)
			u.expect("everything deleted", 0)
			u.must(u.Compact(ctx))
			u.expect("and compacted", 0)
			if usage, err := u.Usage(ctx, "t"); err != nil || usage.Channels != 2 {
				t.Errorf("usage %+v, %v", usage, err)
			}
			u.must(u.DeleteChannels(ctx, "t", []model.ChannelID{1}))
			if usage, err := u.Usage(ctx, "t"); err != nil || usage.Channels != 1 {
				t.Errorf("usage %+v, %v", usage, err)
			}
		})
	}
}

// TestRetentionIsCredited lets rows expire: by a rule, by the clock, in heads
// and blocks. A longer rule brings no charge back.
func TestRetentionIsCredited(t *testing.T) {
	for _, stage := range []string{"head", "flushed", "compacted"} {
		t.Run(stage, func(t *testing.T) {
			ctx := context.Background()
			u := openUsageDB(t)
			for day := range 4 {
				u.write("a", day, 0, 24)
				u.write("b", day, 0, 24)
			}
			u.now = time.Unix(0, u.day(4, 0, 1).From)
			if stage != "head" {
				u.must(u.Flush(ctx))
			}
			if stage == "compacted" {
				u.must(u.Compact(ctx))
			}
			all := u.charged()
			days := [4]map[model.ChannelID]uint64{u.dayUsage(0), u.dayUsage(1), u.dayUsage(2), u.dayUsage(3)}
			u.must(u.SetRetention(ctx, "t", testRules("3d", "channel", "a")))
			all -= days[0][1]
			u.expect("a channel is kept three days", all)
			u.must(u.SetRetention(ctx, "t", testRules("3d", "tenant", "")))
			all -= days[0][2]
			u.expect("all are", all)
			u.must(u.SetRetention(ctx, "t", policy.Rules{}))
			u.expect("all are kept for ever again", all)
			u.must(u.SetRetention(ctx, "t", testRules("3d", "tenant", "")))
			u.now = time.Unix(0, u.day(5, 0, 1).From)
			all -= days[1][1] + days[1][2]
			u.expect("a day later", all)
			u.now = time.Unix(0, u.day(5, 12, 13).From)
			half := all - u.charged()
			if day := days[2][1] + days[2][2]; half < day*45/100 || half > day*55/100 {
				t.Errorf("half of a day of %d bytes credits %d", day, half)
			}
			u.now = time.Unix(0, u.day(9, 0, 1).From)
			u.expect("everything expired", 0)
		})
	}
}

// TestUsageReadsNoBlocksTwice asks for the usage again and again: a block of
// which something is hidden is read once.
func TestUsageReadsNoBlocksTwice(t *testing.T) {
	ctx := context.Background()
	u := openUsageDB(t)
	for day := range 4 {
		u.write("a", day, 0, 24)
	}
	u.must(u.Compact(ctx))
	_, err := u.DeleteRows(ctx, "t", nil, u.day(1, 6, 12))
	u.must(err)
	u.charged()
	before := u.readers.acquired.Load()
	for range 3 {
		if _, err := u.Usage(ctx, "t"); err != nil {
			t.Fatal(err)
		}
	}
	if after := u.readers.acquired.Load(); after != before {
		t.Errorf("blocks were opened %d times", after-before)
	}
	u.now = u.now.Add(time.Hour)
	if _, err := u.Usage(ctx, "t"); err != nil || u.readers.acquired.Load() != before {
		t.Errorf("an hour later, with nothing that expires: %v", err)
	}
}

// BenchmarkUsage asks for the usage of a tenant with ten years of blocks, of
// which the oldest is cut by retention.
func BenchmarkUsage(b *testing.B) {
	ctx := context.Background()
	o := scriptOptions(vfs.NewMem())
	db, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if err := db.CreateTenant(ctx, "t"); err != nil {
		b.Fatal(err)
	}
	now := o.Clock().UnixNano()
	for month := range 120 {
		var columns []model.Column
		for c := range 24 {
			columns = append(columns, model.Column{
				Labels: testLabels(fmt.Sprint(c)), Times: []int64{now - int64(month)*30*model.Day}, Values: []float64{1}})
		}
		if _, err := db.Append(ctx, &model.Batch{Tenant: "t", Columns: columns}); err != nil {
			b.Fatal(err)
		}
	}
	if err := errors.Join(db.Compact(ctx), db.SetRetention(ctx, "t", testRules("9y", "tenant", ""))); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := db.Usage(ctx, "t"); err != nil {
			b.Fatal(err)
		}
	}
}
