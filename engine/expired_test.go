package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

func TestZones(t *testing.T) {
	const minute, hour, day = int64(60e9), int64(3600e9), model.Day
	none := int64(policy.NoFloor)
	span := model.Span{From: 0, To: 10 * day}
	check := func(name string, f policy.Floors, at model.Step, want ...zone) {
		t.Helper()
		if got := zones(f, span, at); !slices.Equal(got, want) {
			t.Errorf("%s:\n got %v\nwant %v", name, got, want)
		}
	}
	check("all is kept", policy.NoFloors, model.StepHour, zone{span, model.StepHour, false})
	raw := 5*day + 90*minute + 7
	check("no rollup outlives the rows", policy.Floors{raw, raw, raw, raw, raw}, model.StepHour, zone{span, model.StepHour, false})
	check("hours for ever", policy.Floors{raw, raw, raw, none, raw}, model.StepDay,
		zone{model.Span{From: 0, To: 5*day + 2*hour}, model.StepHour, true},
		zone{model.Span{From: 5*day + 2*hour, To: 10 * day}, model.StepDay, false})
	check("minutes for a time, then days", policy.Floors{raw, raw, 2*day + 5*minute, 2*day + 5*minute, none}, model.StepMinute,
		zone{model.Span{From: 0, To: 3 * day}, model.StepDay, true},
		zone{model.Span{From: 3 * day, To: 5*day + 91*minute}, model.StepMinute, true},
		zone{model.Span{From: 5*day + 91*minute, To: 10 * day}, model.StepMinute, false})
	check("days for a time, minutes for longer", policy.Floors{raw, raw, day + 1, raw, 3*day + hour}, model.StepDay,
		zone{model.Span{From: day + minute, To: 4 * day}, model.StepMinute, true},
		zone{model.Span{From: 4 * day, To: 6 * day}, model.StepDay, true},
		zone{model.Span{From: 6 * day, To: 10 * day}, model.StepDay, false})
	check("all has expired", policy.Floors{12 * day, 12 * day, 12 * day, 12 * day, 11 * day}, model.StepHour)
}

// keptRows is what is kept of rows at some time, folded as they are kept.
func keptRows(times []int64, values []float64, list []zone, out []model.Aggregate, b model.Buckets) {
	for _, z := range list {
		var row model.Aggregate
		count := func() {
			if row.Rows() > 0 && b.Span().Contains(row.FirstTime) {
				out[(row.FirstTime-b.From)/b.Width].Merge(&row)
			}
			row = model.Aggregate{}
		}
		start := int64(0)
		for i, at := range times {
			if !z.span.Contains(at) {
				continue
			}
			if !z.expired {
				row.Add(at, values[i])
				count()
				continue
			}
			if s := z.step.Start(at); s != start {
				count()
				start = s
			}
			row.Add(at, values[i])
		}
		count()
	}
}

// TestKeptStepsOutliveRows moves the clock on, so that rows and then steps
// expire, while the rows are in memory, in blocks, merged, or gone.
func TestKeptStepsOutliveRows(t *testing.T) {
	keep := func(text string) *policy.Keep {
		k, err := policy.ParseKeep(text)
		if err != nil {
			t.Fatal(err)
		}
		return &k
	}
	rules := map[string][model.StepCount]*policy.Keep{
		"minutes for ever":       {keep("2h"), nil, keep("forever"), nil, nil},
		"minutes, then hours":    {keep("2h"), nil, keep("20h"), keep("40h"), nil},
		"days":                   {keep("1h"), nil, nil, nil, keep("forever")},
		"hours, minutes longer":  {keep("3h"), nil, keep("30h"), keep("10h"), nil},
		"nothing beside the raw": {keep("5h"), nil, nil, nil, nil},
	}
	for name, keeps := range rules {
		for layout := range 4 {
			t.Run(fmt.Sprintf("%s, layout %d", name, layout), func(t *testing.T) { testKeptSteps(t, keeps, layout) })
		}
	}
}

func testKeptSteps(t *testing.T, keeps [model.StepCount]*policy.Keep, layout int) {
	var clock atomic.Int64
	start := yearStart + 20*3600e9 + 17e9
	clock.Store(start)
	db, err := Open(Options{FS: vfs.NewMem(), Dir: "data", Clock: func() time.Time { return time.Unix(0, clock.Load()) }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := context.Background()
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	if err := db.SetRetention(ctx, "t", policy.Rules{{Scope: policy.ScopeTenant, Keep: keeps}}); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(uint64(layout), 1))
	var times []int64
	var values []float64
	for at := start; at < start+9*3600e9; at += 1e9 + rng.Int64N(2e9) {
		times, values = append(times, at), append(values, float64(rng.IntN(1000))/8)
	}
	labels := labelsOf(1)[0]
	for from := 0; from < len(times); from += 4000 {
		to := min(from+4000, len(times))
		batch := &model.Batch{Tenant: "t", Columns: []model.Column{{Labels: labels, Times: times[from:to], Values: values[from:to]}}}
		if _, err := db.Append(ctx, batch); err != nil {
			t.Fatal(err)
		}
		if layout > 0 && from == 8000 {
			if err := db.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	for hour := range int64(60) {
		clock.Store(start + (9+hour)*3600e9 + rng.Int64N(3600e9))
		if layout == 2 && hour == 0 || layout == 3 && hour%4 == 0 {
			if err := db.Compact(ctx); err != nil {
				t.Fatal(err)
			}
		}
		span := model.Span{From: start - rng.Int64N(5*3600e9), To: start + (9*3600e9 + rng.Int64N(20*3600e9))}
		for _, n := range []int{1, 7, 200, 1366} {
			b, err := model.PlanBuckets(span, n)
			if err != nil {
				t.Fatal(err)
			}
			list := zones(floorsOf(db, 1), b.Span(), model.StepOf(b.Width))
			if n := len(list); n > 0 && !list[n-1].expired {
				last := &list[len(list)-1].span
				last.From = max(last.From, floorsOf(db, 1)[model.StepRaw])
			}
			want := make([]model.Aggregate, b.Count)
			keptRows(times, values, list, want, b)
			got, err := db.View(ctx, "t", []model.ChannelID{1}, b)
			if err != nil {
				t.Fatal(err)
			}
			for k := range want {
				if what := differs(&got.Aggregates[0][k], &want[k], want[k].Total()); what != "" {
					t.Fatalf("hour %d, %+v, bucket %d, zones %+v: %s:\n got %+v\nwant %+v", hour, b, k, list, what, got.Aggregates[0][k], want[k])
				}
			}
		}
	}
}

// TestKeptRowsFarApart: an instrument whose clock was wrong for a while must
// not make a view hold a row for each second, or minute, of the years between.
func TestKeptRowsFarApart(t *testing.T) {
	for _, step := range []model.Step{model.StepSecond, model.StepDay} {
		s := openSlow(t, vfs.NewMem(), yearStart)
		ctx := context.Background()
		times := []int64{model.MinTime + 5, 7, 1e9 - 1, 1e9, model.Day, yearStart - 100*model.Day}
		for i, at := range times {
			write(t, s.db, "a", at, float64(i))
		}
		raw, err := policy.ParseKeep("30d")
		must(t, err)
		rule := policy.Rule{Scope: policy.ScopeTenant}
		rule.Keep[model.StepRaw], rule.Keep[step] = &raw, new(policy.Keep)
		must(t, s.db.SetRetention(ctx, "t", policy.Rules{rule}))
		for _, compacted := range []bool{false, true} {
			if compacted {
				must(t, s.db.Compact(ctx))
			}
			sums, err := s.db.Summarize(ctx, "t", []model.ChannelID{1}, model.AllTime())
			must(t, err)
			if a := &sums[0]; a.Count != 6 || a.Min != 0 || a.Max != 5 || a.FirstTime != times[0] || a.LastTime != times[5] {
				t.Errorf("%s, compacted %v: %+v", step, compacted, a)
			}
			b := model.Buckets{From: 3, Width: yearStart / 50, Count: 50}
			view, err := s.db.Aggregate(ctx, "t", []model.ChannelID{1}, b)
			must(t, err)
			rows := uint64(0)
			for i := range view[0] {
				rows += view[0][i].Count
			}
			if rows != 5 {
				t.Errorf("%s, compacted %v: a view has %d rows", step, compacted, rows)
			}
		}
		// What is years apart is read in several passes.
		if rows, _ := s.db.QueryRows(); rows != map[model.Step]uint64{model.StepSecond: 5, model.StepDay: 4}[step] {
			t.Errorf("%s: %d rows of rollups are charged", step, rows)
		}
		must(t, s.db.Close())
	}
}

// floorsOf returns the times before which a channel's rows are gone, by step.
func floorsOf(db *DB, id model.ChannelID) policy.Floors {
	t, now := db.tenants["t"], db.now()
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.floors(id, now)
}
