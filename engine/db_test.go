package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

func openTest(t *testing.T, fs disk.FS) *DB {
	t.Helper()
	db, err := Open(scriptOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// TestManyWritersAndReaders writes from many goroutines while others read: no
// reader sees half of an entry, and all rows are there at the end. It is for
// the race detector as much as for its assertions.
func TestManyWritersAndReaders(t *testing.T) {
	ctx := context.Background()
	db, err := Open(Options{FS: vfs.NewMem(), Dir: "data", Clock: time.Now, HeadRows: 2, SegmentBytes: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const writers, batches = 6, 60
	for w := range writers {
		if err := db.CreateTenant(ctx, model.Tenant(fmt.Sprint("t", w%3))); err != nil {
			t.Fatal(err)
		}
	}
	var writing, reading sync.WaitGroup
	done := make(chan struct{})
	for w := range writers {
		writing.Go(func() {
			for i := range batches {
				times := []int64{int64(i) * 60e9}
				b := &model.Batch{Tenant: model.Tenant(fmt.Sprint("t", w%3)), Columns: []model.Column{
					{Labels: testLabels(fmt.Sprint("a", w)), Times: times, Values: []float64{float64(i)}},
					{Labels: testLabels(fmt.Sprint("b", w)), Times: times, Values: []float64{float64(i)}}}}
				if _, err := db.Append(ctx, b); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for r := range 2 {
		reading.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				name := model.Tenant(fmt.Sprint("t", r))
				channels, err := db.Channels(ctx, name, nil)
				if err != nil {
					t.Error(err)
					return
				}
				var ids []model.ChannelID
				for _, c := range channels {
					ids = append(ids, c.ID)
				}
				sums, err := db.Summarize(ctx, name, ids, model.AllTime())
				if err != nil {
					t.Error(err)
					return
				}
				for i := 0; i+1 < len(sums); i += 2 {
					a, b := channels[i].Labels.Channel(), channels[i+1].Labels.Channel()
					if a[1:] == b[1:] && sums[i].Count != sums[i+1].Count {
						t.Errorf("%s has %d rows and %s %d: half an entry", a, sums[i].Count, b, sums[i+1].Count)
					}
				}
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()
	if err := db.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	for w := range 3 {
		sums, err := db.Summarize(ctx, model.Tenant(fmt.Sprint("t", w)), []model.ChannelID{1, 2, 3, 4}, model.AllTime())
		if err != nil {
			t.Fatal(err)
		}
		for i := range sums {
			if sums[i].Count != batches {
				t.Errorf("tenant %d channel %d has %d rows, want %d", w, i+1, sums[i].Count, batches)
			}
		}
	}
}

// TestPropertiesKeepTheirHistory changes a unit and checks that old times keep
// the old one, across flush, checkpoint and reopening.
func TestPropertiesKeepTheirHistory(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewCrashableMem()
	db := openTest(t, fs)
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	write := func(at int64, unit string) {
		t.Helper()
		_, err := db.Append(ctx, &model.Batch{Tenant: "t", Columns: []model.Column{{Labels: testLabels("a"),
			Properties: &model.Properties{Unit: unit}, Times: []int64{at}, Values: []float64{1}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func() {
		t.Helper()
		channels, err := db.Channels(ctx, "t", mustSelector(`{unit="mV"}`))
		if err != nil || len(channels) != 1 {
			t.Fatalf("%v, %v", channels, err)
		}
		for at, unit := range map[int64]string{0: "V", 100: "V", 199: "V", 200: "mV", 1000: "mV"} {
			if got := channels[0].History.At(at).Unit; got != unit {
				t.Errorf("at %d the unit is %q, want %q", at, got, unit)
			}
		}
		if n := len(channels[0].History); n != 2 {
			t.Errorf("%d versions, want 2", n)
		}
	}
	write(100, "V")
	write(200, "mV")
	write(300, "mV") // says nothing new
	check()
	if err := db.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := db.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	crashed := crashClone(fs, 1, 0)
	db.Close()
	db = openTest(t, crashed)
	check()
	if err := db.Define(ctx, "t", []model.Definition{{Labels: testLabels("a"),
		Properties: &model.Properties{Unit: "mV", Name: "lake"}, ValidFrom: 400}}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openTest(t, crashed)
	defer db.Close()
	channels, err := db.Channels(ctx, "t", mustSelector(`{name="lake"}`))
	if err != nil || len(channels) != 1 || channels[0].History.At(399).Name != "" {
		t.Errorf("after Define: %v, %v", channels, err)
	}
}

// TestBadBatchesChangeNothing appends what must be refused.
func TestBadBatchesChangeNothing(t *testing.T) {
	ctx := context.Background()
	db := openTest(t, vfs.NewMem())
	defer db.Close()
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	good := model.Column{Labels: testLabels("a"), Times: []int64{1}, Values: []float64{1}}
	cases := map[string]struct {
		batch model.Batch
		want  error
	}{
		"unknown tenant":  {model.Batch{Tenant: "nobody", Columns: []model.Column{good}}, ErrUnknownTenant},
		"no labels":       {model.Batch{Tenant: "t", Columns: []model.Column{good, {Times: []int64{1}, Values: []float64{1}}}}, ErrInvalid},
		"unequal columns": {model.Batch{Tenant: "t", Columns: []model.Column{good, {Labels: testLabels("b"), Times: []int64{1, 2}, Values: []float64{1}}}}, ErrInvalid},
		"before 1678":     {model.Batch{Tenant: "t", Columns: []model.Column{good, {Labels: testLabels("b"), Times: []int64{math.MinInt64}, Values: []float64{1}}}}, ErrInvalid},
		"after 2261":      {model.Batch{Tenant: "t", Columns: []model.Column{good, {Labels: testLabels("b"), Times: []int64{model.MaxTime}, Values: []float64{1}}}}, ErrInvalid},
	}
	for name, c := range cases {
		if result, err := db.Append(ctx, &c.batch); !errors.Is(err, c.want) || result.Rows != 0 {
			t.Errorf("%s: %+v, %v; want %v", name, result, err, c.want)
		}
	}
	if channels, err := db.Channels(ctx, "t", nil); err != nil || len(channels) != 0 {
		t.Errorf("channels %v, %v; want none", channels, err)
	}
	for _, name := range []model.Tenant{"", "..", "a/b", "ü"} {
		if err := db.CreateTenant(ctx, name); !errors.Is(err, model.ErrBadTenant) {
			t.Errorf("tenant %q: %v", name, err)
		}
	}
}

// TestLargeBatchIsSplit appends more than one entry holds, of one channel and
// of many.
func TestLargeBatchIsSplit(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewCrashableMem()
	db := openTest(t, fs)
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	const n = 300_000
	times, values := make([]int64, n), make([]float64, n)
	for i := range times {
		times[i], values[i] = int64(i)*1e9, float64(i)/10
	}
	b := &model.Batch{Tenant: "t", Columns: []model.Column{
		{Labels: testLabels("a"), Times: times, Values: values}, {Labels: testLabels("b"), Times: times, Values: values}}}
	result, err := db.Append(ctx, b)
	if err != nil || result.Rows != 2*n {
		t.Fatalf("%+v, %v", result, err)
	}
	crashed := crashClone(fs, 1, 0)
	db.Close()
	db = openTest(t, crashed)
	defer db.Close()
	sums, err := db.Summarize(ctx, "t", []model.ChannelID{1, 2}, model.AllTime())
	if err != nil {
		t.Fatal(err)
	}
	for i := range sums {
		if sums[i].Count != n || sums[i].Last != values[n-1] {
			t.Errorf("channel %d: %d rows, last %v", i, sums[i].Count, sums[i].Last)
		}
	}
}

// TestSelectionIsOneMoment reads a selection after later writes, a flush and
// a correction: it shows none of them.
func TestSelectionIsOneMoment(t *testing.T) {
	ctx := context.Background()
	db := openTest(t, vfs.NewMem())
	defer db.Close()
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if _, err := db.Append(ctx, scriptBatch(i)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := db.Select(ctx, "t", []model.ChannelID{2, 1}, model.AllTime())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	changed := scriptBatch(2)
	changed.Columns[0].Values = []float64{99}
	for _, b := range []*model.Batch{changed, scriptBatch(7)} {
		if _, err := db.Append(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]float64{{0, 1, 2, 0, 1}, {0, 1, 2, 3, 4}} {
		_, values, err := s.Cursor(i).Next()
		if err != nil || !slices.Equal(values, want) {
			t.Errorf("cursor %d: %v, %v; want %v", i, values, err, want)
		}
	}
}

// TestBadQueries are refused with the errors that callers branch on.
func TestBadQueries(t *testing.T) {
	ctx := context.Background()
	db := openTest(t, vfs.NewMem())
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Append(ctx, scriptBatch(0)); err != nil {
		t.Fatal(err)
	}
	check := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	_, err := db.Select(ctx, "t", []model.ChannelID{1}, model.Span{From: 5, To: 5})
	check("empty span", err, model.ErrBadSpan)
	_, err = db.Select(ctx, "t", []model.ChannelID{1, 2, 1}, model.AllTime())
	check("channel asked for twice", err, ErrInvalid)
	_, err = db.Select(ctx, "x", []model.ChannelID{1}, model.AllTime())
	check("unknown tenant", err, ErrUnknownTenant)
	_, err = db.Latest(ctx, "t", []model.ChannelID{9})
	check("unknown channel", err, ErrUnknownChannel)
	_, err = db.SwitchAlarm(ctx, "t", 77, true)
	check("unknown alarm", err, ErrUnknownAlarm)
	_, err = db.PutAlarm(ctx, "t", entry.PutAlarm{Channel: 9, Operator: uint8(alarm.Less)})
	check("alarm on an unknown channel", err, ErrUnknownChannel)
	_, err = db.PutAlarm(ctx, "t", entry.PutAlarm{Channel: 1, Operator: uint8(alarm.Outside), Low: 2, High: 1})
	check("alarm with low above high", err, ErrInvalid)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = db.Append(cancelled, scriptBatch(1))
	check("cancelled append", err, context.Canceled)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = db.Append(ctx, scriptBatch(1))
	check("append after Close", err, ErrClosed)
	_, err = db.Channels(ctx, "t", nil)
	check("channels after Close", err, ErrClosed)
}

// TestCloseWaitsForReaders closes while a selection is open: Close waits for
// it, and other calls are refused instead of waiting too.
func TestCloseWaitsForReaders(t *testing.T) {
	ctx := context.Background()
	db := openTest(t, vfs.NewMem())
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Append(ctx, scriptBatch(0)); err != nil {
		t.Fatal(err)
	}
	s, err := db.Select(ctx, "t", []model.ChannelID{1}, model.AllTime())
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- db.Close() }()
	for !errors.Is(err, ErrClosed) { // until Close has begun
		_, err = db.Alarms("t")
	}
	if _, values, err := s.Cursor(0).Next(); err != nil || len(values) != 1 {
		t.Errorf("reading while Close waits: %v, %v", values, err)
	}
	select {
	case <-closed:
		t.Error("Close did not wait for the selection")
	default:
	}
	s.Close()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// TestAgeFlushesAndCheckpoints lets the clock pass the ages at which heads are
// flushed and checkpoints written.
func TestAgeFlushesAndCheckpoints(t *testing.T) {
	ctx := context.Background()
	now := time.Unix(1e9, 0)
	var mu sync.Mutex
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	db, err := Open(Options{FS: vfs.NewMem(), Dir: "data", Clock: clock, FlushAge: int64(time.Hour), CheckpointAge: int64(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Append(ctx, scriptBatch(0)); err != nil {
		t.Fatal(err)
	}
	p := db.partitions[model.Tenant("t").Partition()]
	tenant, err := db.tenant("t")
	if err != nil {
		t.Fatal(err)
	}
	pass := func(d time.Duration, blocks int) {
		t.Helper()
		mu.Lock()
		now = now.Add(d)
		mu.Unlock()
		db.freezeAged(clock().UnixNano())
		if err := db.flushTenant(ctx, tenant); err != nil { // what is frozen, no more
			t.Fatal(err)
		}
		stats, err := db.Stats()
		if err != nil || stats.Blocks != blocks {
			t.Errorf("%d blocks, want %d, %v", stats.Blocks, blocks, err)
		}
	}
	check := func(due bool) {
		t.Helper()
		if err := db.checkpointDue(ctx, clock().UnixNano()); err != nil {
			t.Fatal(err)
		}
		if done := p.record.Offset == db.Applied(p.id); done != due {
			t.Errorf("checkpoint at %d, applied %d; want it written: %v", p.record.Offset, db.Applied(p.id), due)
		}
	}
	check(false) // its time begins
	pass(30*time.Second, 0)
	check(false)
	pass(2*time.Minute, 0)
	check(true)
	pass(3*time.Hour, 1) // the flush age and a tenant's share of it
}
