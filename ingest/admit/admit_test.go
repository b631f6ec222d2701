package admit_test

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/ingest/admit"
)

const tenant model.Tenant = "t"

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func labels(t testing.TB, channel string) model.Labels {
	t.Helper()
	l, err := model.NewLabels(model.Label{Name: "instrument", Value: "i"}, model.Label{Name: "channel", Value: channel})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func openWriter(t *testing.T) *admit.Writer {
	t.Helper()
	clock := func() time.Time { return now }
	db, err := engine.Open(engine.Options{FS: vfs.NewMem(), Dir: "data", Clock: clock, Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.CreateTenant(context.Background(), tenant); err != nil {
		t.Fatal(err)
	}
	return &admit.Writer{DB: db, Clock: clock}
}

// TestEverySampleIsAccountedFor sends what is good beside all that is not: the
// good is kept, the rest is counted by reason and named in order.
func TestEverySampleIsAccountedFor(t *testing.T) {
	w := openWriter(t)
	var counted *admit.Result
	wrote := 0
	w.Count = func(r *admit.Result) { counted = r }
	w.Wrote = func(_ context.Context, _ model.Tenant, samples int) { wrote += samples }
	if err := w.DB.SetQuota(tenant, policy.Quota{Channels: 2}); err != nil {
		t.Fatal(err)
	}
	second := now.Unix()
	r := &admit.Request{Tenant: tenant, Unit: admit.Seconds, Describe: func(at int) string { return string("?x"[at]) }}
	r.Refuse(admit.Refusal{Channel: -1, Index: 7, Code: "own"}, 3, func() string { return "the adapter's" })
	shared := r.AddClock([]int64{second, second + 1})
	own := r.AddClock([]int64{second, second + 48*3600, math.MaxInt64, 0})
	r.Clocks[own].Odd = []admit.Odd{{Index: 3}}
	r.Add(labels(t, "a"), nil, shared, []float64{1, 2})
	r.Add(labels(t, "b"), nil, own, []float64{3, 4, 5, 6})
	r.Add(labels(t, "a"), nil, shared, []float64{0, 8})
	r.Channels[2].Odd = []admit.Odd{{Index: 0, Null: true}, {Index: 1, At: 1}}
	r.Channels = append(r.Channels, admit.Channel{Clock: shared, Values: []float64{1, 2}, Refused: "no labels"})
	r.Add(labels(t, "c"), nil, shared, []float64{9, 9})
	result, err := w.Write(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]int64{"own": 3, "too_far_ahead": 1, "bad_time": 2, "not_a_number": 1, "bad_label": 2, "channel_limit": 2}
	if result.Accepted != 3 || result.Rejected != 11 || !maps.Equal(result.Reasons, reasons) || counted != result || wrote != 3 {
		t.Errorf("%+v, wrote %d", result, wrote)
	}
	var named []admit.Refusal
	for _, e := range result.Errors {
		if e.Detail == "" {
			t.Errorf("%+v says nothing", e)
		}
		e.Detail = ""
		named = append(named, e)
	}
	want := []admit.Refusal{{-1, 7, "own", ""}, {1, 1, "too_far_ahead", ""}, {1, 2, "bad_time", ""}, {1, 3, "bad_time", ""},
		{2, 1, "not_a_number", ""}, {3, 0, "bad_label", ""}, {4, 0, "channel_limit", ""}}
	if !slices.Equal(named, want) {
		t.Errorf("named %+v", named)
	}
}

// TestSharedClocks: a clock that many channels share is turned into nanoseconds
// once, also where some of them are sifted.
func TestSharedClocks(t *testing.T) {
	r := &admit.Request{Tenant: tenant, Unit: admit.Milliseconds}
	clock := r.AddClock([]int64{1e12, 1e12 + 1})
	for range 3 {
		r.Add(labels(t, "a"), nil, clock, []float64{1, 2})
	}
	r.Channels[1].Odd = []admit.Odd{{Index: 0, Null: true}}
	if result := r.Judge(now.UnixNano(), int64(time.Hour), nil); result.Rejected != 0 {
		t.Errorf("%+v", result)
	}
	for i, c := range r.Columns() {
		if c.Times[len(c.Times)-1] != (1e12+1)*1e6 || len(c.Times) != len(c.Values) || len(c.Times) != []int{2, 1, 2}[i] {
			t.Errorf("column %d: %v %v", i, c.Times, c.Values)
		}
	}
}

// TestNothingAccepted: where all is refused, by an adapter or here, the error
// says so beside the result; nothing but gaps is no error.
func TestNothingAccepted(t *testing.T) {
	w := openWriter(t)
	ahead := now.Add(48 * time.Hour).UnixNano()
	for name, c := range map[string]struct {
		fill func(*admit.Request)
		want int64
	}{
		"adapter": {func(r *admit.Request) {
			r.Refuse(admit.Refusal{Channel: -1, Code: "x"}, 2, func() string { return "no" })
		}, 2},
		"ahead": {func(r *admit.Request) { r.Add(labels(t, "a"), nil, r.AddClock([]int64{ahead}), []float64{1}) }, 1},
		"gaps": {func(r *admit.Request) {
			r.Add(labels(t, "a"), nil, r.AddClock([]int64{ahead}), []float64{1})
			r.Channels[0].Odd = []admit.Odd{{Null: true}}
		}, 0},
	} {
		r := &admit.Request{Tenant: tenant}
		c.fill(r)
		result, err := w.Write(context.Background(), r)
		if errors.Is(err, admit.ErrNothingAccepted) != (c.want > 0) || result == nil || result.Rejected != c.want {
			t.Errorf("%s: %+v, %v", name, result, err)
		}
	}
}

// TestRefusedAsAWhole: what is asked before the append refuses all, and nothing
// is counted as judged.
func TestRefusedAsAWhole(t *testing.T) {
	w := openWriter(t)
	slow := errors.New("slow down")
	w.Admit = func(_ context.Context, _ model.Tenant, samples int) error {
		if samples != 2 {
			t.Errorf("asked for %d samples", samples)
		}
		return slow
	}
	w.Count = func(*admit.Result) { t.Error("counted") }
	r := &admit.Request{Tenant: tenant}
	r.Add(labels(t, "a"), nil, r.AddClock([]int64{1, 2}), []float64{1, 2})
	if result, err := w.Write(context.Background(), r); result != nil || !errors.Is(err, slow) {
		t.Errorf("%+v, %v", result, err)
	}
	if channels, err := w.DB.Channels(context.Background(), tenant, nil); err != nil || len(channels) != 0 {
		t.Errorf("%d channels, %v", len(channels), err)
	}
}

// TestBatchesAsRequests: columns that have the very same times have one clock.
func TestBatchesAsRequests(t *testing.T) {
	w := openWriter(t)
	times := []int64{1e18, 1e18 + 1}
	b := &model.Batch{Tenant: tenant}
	for _, name := range []string{"a", "b", "c"} {
		b.Columns = append(b.Columns, model.Column{Labels: labels(t, name), Times: times, Values: []float64{1, 2}})
	}
	b.Columns[1].Times = []int64{1e18, math.MaxInt64}
	r := &admit.Request{}
	for range 2 { // its memory is used again
		r.Reset()
		r.AddBatch(b)
		result, err := w.Write(context.Background(), r)
		if err != nil || len(r.Clocks) != 3 || result.Accepted != 5 || result.Reasons["bad_time"] != 1 ||
			!strings.Contains(result.Errors[0].Detail, "1678 to 2261") {
			t.Errorf("%+v, %v", result, err)
		}
	}
}

// TestJudgingAllocatesNothingPerSample judges requests in memory that is used
// again: what is allocated is the result.
func TestJudgingAllocatesNothingPerSample(t *testing.T) {
	const channels = 500
	all := make([]model.Labels, channels)
	for i := range all {
		all[i] = labels(t, strings.Repeat("c", i%50+1))
	}
	times, values := make([]int64, 100), make([]float64, 100)
	r := &admit.Request{}
	allocated := testing.AllocsPerRun(20, func() {
		r.Reset()
		r.Unit = admit.Milliseconds
		for i := range times {
			times[i] = 1e12 + int64(i)
		}
		clock := r.AddClock(times)
		for i := range all {
			r.Add(all[i], nil, clock, values)
		}
		r.Judge(now.UnixNano(), 0, nil)
	})
	if allocated > 2 {
		t.Errorf("%v allocations for %d samples", allocated, channels*len(times))
	}
}
