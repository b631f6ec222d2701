package engine

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/catalog"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

// flappingDB writes rows that make an alarm start and end at every second row,
// with a checkpoint in the middle, and returns the events.
func flappingDB(t *testing.T, fs disk.FS) (db *DB, events []Event) {
	t.Helper()
	ctx := context.Background()
	db, err := Open(scriptOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(db.CreateTenant(ctx, "t"))
	write := func(i int) {
		_, err := db.Append(ctx, &model.Batch{Tenant: "t", Columns: []model.Column{
			{Labels: testLabels("a"), Times: []int64{int64(i) * 60e9}, Values: []float64{float64(i % 2)}}}})
		must(err)
	}
	write(0)
	_, err = db.PutAlarm(ctx, "t", entry.PutAlarm{Channel: 1, Operator: uint8(alarm.Greater), Threshold: 0.5, Enabled: true})
	must(err)
	for i := 1; i < 20; i++ {
		write(i)
		if i == 10 {
			must(db.Checkpoint(ctx))
		}
	}
	events, _, err = db.Events(ctx, "t", EventQuery{Span: model.AllTime(), Limit: 100})
	must(err)
	if len(events) != 19 {
		t.Fatalf("%d events, want 19", len(events))
	}
	return db, events
}

// reopenEvents opens the database on fs and returns its events.
func reopenEvents(t *testing.T, fs disk.FS) []Event {
	t.Helper()
	db, err := Open(scriptOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if faults, quarantined := db.Faults(); len(faults) > 0 || quarantined > 0 {
		t.Fatalf("faults: %v, %d quarantined", faults, quarantined)
	}
	events, _, err := db.Events(context.Background(), "t", EventQuery{Span: model.AllTime(), Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// TestCatalogBehindTheFold loses every event that was written without a sync:
// replay gives the same ones again, with the same IDs.
func TestCatalogBehindTheFold(t *testing.T) {
	fs := vfs.NewCrashableMem()
	db, want := flappingDB(t, fs)
	crashed := crashClone(fs, 1, 0)
	db.Close()
	if lost := eventsInCatalog(t, crashed); lost == len(want) {
		t.Fatal("the crash lost no event from the catalog: the test shows nothing")
	}
	if got := reopenEvents(t, crashed); !slices.Equal(got, want) {
		t.Fatalf("got %v\nwant %v", got, want)
	}
}

// TestCatalogAheadOfTheFold keeps every event in the catalog but only the old
// checkpoint: replay writes the same events over them.
func TestCatalogAheadOfTheFold(t *testing.T) {
	fs := vfs.NewCrashableMem()
	db, want := flappingDB(t, fs)
	// A synced commit makes the events durable, ahead of the checkpoint.
	record, err := db.catalog.LoadLog()
	if err != nil {
		t.Fatal(err)
	}
	record.Revision++
	if err := db.catalog.Commit(catalog.PutLog(record)); err != nil {
		t.Fatal(err)
	}
	crashed := crashClone(fs, 1, 0)
	db.Close()
	if kept := eventsInCatalog(t, crashed); kept != len(want) {
		t.Fatalf("the catalog holds %d events after the crash, want all %d", kept, len(want))
	}
	if got := reopenEvents(t, crashed); !slices.Equal(got, want) {
		t.Fatalf("got %v\nwant %v", got, want)
	}
}

func eventsInCatalog(t *testing.T, fs disk.FS) int {
	t.Helper()
	c, err := catalog.Open(fs, "data/catalog", catalog.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	events, _, err := c.Events("t", EventQuery{Span: model.AllTime(), Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return len(events)
}

// TestFailedCatalogCommit makes each sync of the catalog fail in turn, from
// then on for ever: nothing that a failed commit was to make safe may have
// been trimmed or deleted, and every acknowledged batch is there after a crash.
func TestFailedCatalogCommit(t *testing.T) {
	inCatalog := func(kind, name string) bool {
		return kind == "sync" && strings.Contains(name, path.Join("data", disk.CatalogDir))
	}
	for i := 0; ; i++ {
		memory := vfs.NewCrashableMem()
		faulty := newFaultyFS(memory, i, inCatalog)
		s := newScript()
		runErr := s.run(faulty)
		if faulty.Failed() == 0 {
			if runErr != nil {
				t.Fatal(runErr)
			}
			if i < 5 {
				t.Fatalf("only %d syncs of the catalog: the test shows nothing", i)
			}
			t.Logf("%d syncs of the catalog", i)
			return
		}
		for _, percent := range []int{0, 100} {
			if err := s.verify(crashClone(memory, uint64(i), percent)); err != nil {
				t.Fatalf("catalog sync %d failed, %d%% kept (run: %v): then %v", i, percent, runErr, err)
			}
		}
	}
}

// TestCheckpointsSpreadOverPartitions writes as tenants of many partitions,
// checkpoints, trims and crashes: each partition is recovered from its own
// checkpoint, and the log keeps what the oldest needs.
func TestCheckpointsSpreadOverPartitions(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewCrashableMem()
	db, err := Open(scriptOptions(fs))
	if err != nil {
		t.Fatal(err)
	}
	write := func(tenant string, i int) {
		t.Helper()
		b := scriptBatch(i)
		b.Tenant = model.Tenant(tenant)
		if _, err := db.Append(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	for k := range 20 {
		if err := db.CreateTenant(ctx, model.Tenant(fmt.Sprint("t", k))); err != nil {
			t.Fatal(err)
		}
		write(fmt.Sprint("t", k), k)
	}
	if err := db.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	first, _ := db.log.Bounds()
	for i := range 40 {
		write("t3", 100+i)
	}
	only := db.partitions[model.Tenant("t3").Partition()]
	if err := db.checkpointAll(ctx, func(p *partition) bool { return p == only }); err != nil {
		t.Fatal(err)
	}
	if trimmed, _ := db.log.Bounds(); trimmed <= first {
		t.Errorf("the log still begins at %d: idle partitions pin it", trimmed)
	}
	write("t4", 500)
	crashed := crashClone(fs, 3, 0)
	db.Close()
	db, err = Open(scriptOptions(crashed))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if faults, _ := db.Faults(); len(faults) > 0 {
		t.Fatal(faults)
	}
	for k, want := range map[int]uint64{0: 1, 3: 41, 4: 2, 19: 1} {
		sums, err := db.Summarize(ctx, model.Tenant(fmt.Sprint("t", k)), []model.ChannelID{1}, model.AllTime())
		if err != nil {
			t.Fatal(err)
		}
		if sums[0].Count != want {
			t.Errorf("tenant t%d has %d rows, want %d", k, sums[0].Count, want)
		}
	}
}
