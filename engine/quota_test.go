package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk/disktest"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

func instrumentLabels(t *testing.T, instrument, channel string) model.Labels {
	t.Helper()
	l, err := model.NewLabels(model.Label{Name: "instrument", Value: instrument}, model.Label{Name: "channel", Value: channel})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestChannelQuotas appends to channels there are and to new ones, more than
// there may be: the first flow on, the last are refused one by one.
func TestChannelQuotas(t *testing.T) {
	ctx := context.Background()
	db := tenantDB(t, vfs.NewMem())
	defer db.Close()
	at := int64(0)
	write := func(channels ...string) (AppendResult, error) {
		at++
		b := &model.Batch{Tenant: "t"}
		for _, c := range channels {
			b.Columns = append(b.Columns, model.Column{
				Labels: instrumentLabels(t, c[:1], c[1:]), Times: []int64{at}, Values: []float64{1}})
		}
		return db.Append(ctx, b)
	}
	expect := func(rows int, refused []RefusedColumn, channels ...string) {
		t.Helper()
		r, err := write(channels...)
		if err != nil || r.Rows != rows || !slices.Equal(r.Refused, refused) {
			t.Errorf("%v: %+v, %v; want %d rows, refused %+v", channels, r, err, rows, refused)
		}
	}
	expect(3, nil, "i1", "i2", "i3")
	if err := db.SetQuota("t", policy.Quota{Channels: 6, ChannelsPerInstrument: 2}); err != nil {
		t.Fatal(err)
	}
	expect(3, []RefusedColumn{{1, policy.CodeInstrumentLimit}}, "i3", "i4", "j1", "i1")
	expect(3, []RefusedColumn{{2, policy.CodeInstrumentLimit}, {3, policy.CodeInstrumentLimit}}, "j2", "i2", "j3", "i5", "k1")
	expect(0, []RefusedColumn{{0, policy.CodeChannelLimit}, {1, policy.CodeChannelLimit}}, "k2", "l1")
	expect(6, nil, "i1", "i2", "i3", "j1", "j2", "k1")
	if err := db.Define(ctx, "t", []model.Definition{{Labels: instrumentLabels(t, "m", "1")}}); !errors.Is(err, ErrTooManyChannels) {
		t.Errorf("define: %v", err)
	}
	if u, err := db.Usage(ctx, "t"); err != nil || u.Channels != 6 {
		t.Errorf("usage %+v, %v", u, err)
	}
	if err := db.SetQuota("t", policy.Quota{Channels: 7}); err != nil {
		t.Fatal(err)
	}
	expect(2, nil, "i9", "i1")
	expect(1, []RefusedColumn{{0, policy.CodeChannelLimit}}, "i8", "i1")
	if q, err := db.Quota("t"); err != nil || q.Channels != 7 {
		t.Errorf("quota %+v, %v", q, err)
	}
}

// TestAPlaceIsTakenOnce gives the last place to an append that fails: the same
// channel may have it when it is tried again.
func TestAPlaceIsTakenOnce(t *testing.T) {
	ctx := context.Background()
	fs := disktest.New(vfs.NewMem())
	db := tenantDB(t, fs)
	defer db.Close()
	if err := db.SetQuota("t", policy.Quota{Channels: 1, ChannelsPerInstrument: 1}); err != nil {
		t.Fatal(err)
	}
	b := &model.Batch{Tenant: "t", Columns: []model.Column{{Labels: testLabels("a"), Times: []int64{1}, Values: []float64{1}}}}
	fs.LimitWrites(0)
	if _, err := db.Append(ctx, b); !errors.Is(err, ErrFull) {
		t.Fatalf("on a full disk: %v", err)
	}
	fs.UnlimitWrites()
	if r, err := db.Append(ctx, b); err != nil || r.Rows != 1 || len(r.Refused) > 0 {
		t.Errorf("again: %+v, %v", r, err)
	}
}

// TestMemoryBudget fills memory faster than it can be flushed: writes are slowed,
// then refused as busy, and go on when there is room. Reads and deletions are
// not touched.
func TestMemoryBudget(t *testing.T) {
	ctx := context.Background()
	o := scriptOptions(vfs.NewMem())
	o.Manual = true // nothing is flushed but by the test
	o.HeadBytes, o.MemoryBytes = 1<<20, 2<<20
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	at := int64(0)
	write := func() error {
		times, values := make([]int64, 5000), make([]float64, 5000)
		for i := range times {
			at++
			times[i], values[i] = at*1e9+at*at%977, float64(at*at)*1.1
		}
		_, err := db.Append(ctx, &model.Batch{Tenant: "t", Columns: []model.Column{{Labels: testLabels("a"), Times: times, Values: values}}})
		return err
	}
	for err == nil {
		err = write()
		if use := db.Memory(); use.Used() > use.Limit+1<<20 {
			t.Fatalf("memory %+v", use)
		}
	}
	if !errors.Is(err, ErrBusy) {
		t.Fatalf("refused with %v", err)
	}
	if use := db.Memory(); use.Limit != o.MemoryBytes || use.Heads < use.Limit || use.Used() != use.Heads+use.Readers+use.Compaction {
		t.Errorf("memory %+v", use)
	}
	if _, err := db.Summarize(ctx, "t", []model.ChannelID{1}, model.AllTime()); err != nil {
		t.Errorf("reading: %v", err)
	}
	if err := db.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := write(); err != nil {
		t.Errorf("with room again: %v", err)
	}
	giveBack := db.memory.take(o.MemoryBytes)
	if err := write(); !errors.Is(err, ErrBusy) {
		t.Errorf("while compaction has all of it: %v", err)
	}
	giveBack()
	if err := write(); err != nil {
		t.Errorf("after compaction: %v", err)
	}
}

// TestWritersWaitForFlushing writes much more than memory has room for while a
// flusher runs: no write is refused.
func TestWritersWaitForFlushing(t *testing.T) {
	ctx := context.Background()
	db, err := Open(Options{FS: vfs.NewMem(), Dir: "data", Clock: time.Now, HeadBytes: 1 << 18, MemoryBytes: 1 << 19, CheckpointBytes: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for i := range 4 {
		if err := db.CreateTenant(ctx, model.Tenant(fmt.Sprint("t", i))); err != nil {
			t.Fatal(err)
		}
	}
	at := int64(0)
	for i := range 200 {
		times, values := make([]int64, 2000), make([]float64, 2000)
		for i := range times {
			at++
			times[i], values[i] = at*1e9+at*at%977, float64(at*at)*1.1
		}
		_, err := db.Append(ctx, &model.Batch{Tenant: model.Tenant(fmt.Sprint("t", i%4)),
			Columns: []model.Column{{Labels: testLabels("a"), Times: times, Values: values}}})
		if err != nil {
			t.Fatal(err)
		}
		if use := db.Memory(); use.Used() > 2*use.Limit {
			t.Fatalf("memory %+v", use)
		}
	}
}
