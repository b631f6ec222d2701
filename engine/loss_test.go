package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/disk/disktest"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

// What is lost stays lost, but nothing more: after files are damaged or
// missing, what is left is neither deleted nor taken for something else.

// tenantDB opens a database on fs with the tenant t.
func tenantDB(t *testing.T, fs disk.FS) *DB {
	t.Helper()
	db := openTest(t, fs)
	if err := db.CreateTenant(context.Background(), "t"); err != nil {
		t.Fatal(err)
	}
	return db
}

func appendScript(t *testing.T, db *DB, name model.Tenant, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		b := scriptBatch(i)
		b.Tenant = name
		if _, err := db.Append(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
}

func anyFile(string) bool { return true }

// TestLostCatalogDeletesNothing removes the catalog, with FORMAT and without:
// neither is taken for a new database.
func TestLostCatalogDeletesNothing(t *testing.T) {
	for _, gone := range [][]string{{"catalog"}, {"catalog", "FORMAT"}, {"catalog", "FORMAT", "log"}} {
		fs := copyFS(t, builtDB(t))
		for _, name := range gone {
			if err := fs.RemoveAll("data/" + name); err != nil {
				t.Fatal(err)
			}
		}
		before := append(filesBelow(t, fs, "data/blocks", anyFile), filesBelow(t, fs, "data/checkpoints", anyFile)...)
		if _, err := Open(scriptOptions(fs)); !errors.Is(err, disk.ErrCorrupt) || errors.Is(err, disk.ErrNotFound) {
			t.Errorf("without %v: %v, want damage", gone, err)
		}
		after := append(filesBelow(t, fs, "data/blocks", anyFile), filesBelow(t, fs, "data/checkpoints", anyFile)...)
		if !slices.Equal(before, after) || len(before) == 0 {
			t.Errorf("without %v: %d files before, %d after", gone, len(before), len(after))
		}
		if faults, _ := verifyFaults(t, fs); len(faults) == 0 {
			t.Errorf("without %v: verify finds nothing", gone)
		}
	}
}

// TestOlderCatalogDeletesNothing puts back an older catalog: the blocks and
// checkpoints that it does not know may be the only copy.
func TestOlderCatalogDeletesNothing(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewCrashableMem()
	db := tenantDB(t, fs)
	store := func(from, to int) {
		t.Helper()
		appendScript(t, db, "t", from, to)
		if err := errors.Join(db.Flush(ctx), db.Checkpoint(ctx), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	store(0, 10)
	backup := copyFS(t, fs)
	db = openTest(t, fs)
	store(10, 80)
	if err := fs.RemoveAll("data/catalog"); err != nil {
		t.Fatal(err)
	}
	if _, err := vfs.Clone(backup, fs, "data/catalog", "data/catalog"); err != nil {
		t.Fatal(err)
	}
	before := filesBelow(t, fs, "data/blocks", anyFile)
	db = openTest(t, fs)
	defer db.Close()
	if faults, _ := db.Faults(); len(faults) == 0 {
		t.Error("an older catalog is not noticed")
	}
	if after := filesBelow(t, fs, "data/blocks", anyFile); !slices.Equal(before, after) {
		t.Errorf("blocks before %v, after %v", before, after)
	}
}

// TestMissingLogIsNoticed removes every segment.
func TestMissingLogIsNoticed(t *testing.T) {
	fs := copyFS(t, builtDB(t))
	for _, name := range filesBelow(t, fs, "data/log", anyFile) {
		if err := fs.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if faults, _ := verifyFaults(t, fs); len(faults) == 0 {
		t.Error("verify finds nothing")
	}
	db := openTest(t, fs)
	defer db.Close()
	if faults, _ := db.Faults(); len(faults) == 0 || !strings.Contains(faults[0].Error(), "log") {
		t.Errorf("open finds %v", faults)
	}
}

// TestLostDefinitionKeepsItsChannel damages the entry that defined channels
// whose rows are in a block: they are learnt from the block, a new channel does
// not get the ID of an old one, and the log keeps what could not be applied.
func TestLostDefinitionKeepsItsChannel(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewCrashableMem()
	db := tenantDB(t, fs)
	appendScript(t, db, "t", 0, 10)
	if err := db.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	appendScript(t, db, "t", 10, 20)
	crashed := crashClone(fs, 1, 0)
	db.Close()
	name := "data/log/" + disk.SegmentName(1)
	b := readFile(t, crashed, name)
	b[strings.Index(string(b), "instrument")] ^= 1
	writeFile(t, crashed, name, b)

	db = openTest(t, crashed)
	_, quarantined := db.Faults()
	if quarantined == 0 {
		t.Fatal("no entry was quarantined: the test shows nothing")
	}
	_, err := db.Append(ctx, &model.Batch{Tenant: "t", Columns: []model.Column{
		{Labels: testLabels("new"), Times: []int64{5}, Values: []float64{-1}}}})
	if err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		channels, err := db.Channels(ctx, "t", nil)
		if err != nil || len(channels) != 3 {
			t.Fatalf("channels %v, %v; want a and b of the block, and the new one", channels, err)
		}
		for _, c := range channels {
			rows := map[int64]float64{}
			if err := readAll(db, c.ID, rows); err != nil {
				t.Fatal(err)
			}
			want := 10
			if c.Labels.Channel() == "new" {
				want = 1
			}
			if len(rows) != want {
				t.Errorf("channel %s has %d rows, want %d", c.Labels, len(rows), want)
			}
		}
	}
	check()
	kept, _ := db.log.Bounds()
	for range 2 {
		appendScript(t, db, "t", 0, 5)
		if err := db.Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db = openTest(t, crashed)
		if first, _ := db.log.Bounds(); first > kept+5 {
			t.Errorf("the log begins at %d: what could not be applied is gone", first)
		}
		if faults, _ := db.Faults(); len(faults) == 0 {
			t.Error("the damage is forgotten")
		}
		check()
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if faults, _ := verifyFaults(t, crashed); len(faults) == 0 {
		t.Error("verify has forgotten the damage")
	}
}

// TestQuarantinedSegmentStaysAFault damages a segment and lets it be trimmed:
// it is set aside, and verify goes on naming it.
func TestQuarantinedSegmentStaysAFault(t *testing.T) {
	ctx := context.Background()
	fs := copyFS(t, builtDB(t))
	segments := filesBelow(t, fs, "data/log", anyFile)
	name := segments[len(segments)-2]
	b := readFile(t, fs, name)
	b[len(b)-40] ^= 1
	writeFile(t, fs, name, b)
	db := openTest(t, fs)
	appendScript(t, db, "t", 0, 60)
	if err := errors.Join(db.Checkpoint(ctx), db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Stat(name); err == nil {
		t.Fatal("the segment was not trimmed: the test shows nothing")
	}
	faults, _ := verifyFaults(t, fs)
	if len(faults) != 1 || !strings.Contains(faults[0].Path, disk.QuarantineSuffix) {
		t.Errorf("verify says %v, want the segment that was set aside", faults)
	}
}

// TestCheckpointWithoutADurableNameIsWrittenAgain fails the sync that would
// make a checkpoint's name durable, and the removal of the file: the next try
// may not take it for written.
func TestCheckpointWithoutADurableNameIsWrittenAgain(t *testing.T) {
	ctx := context.Background()
	memory := vfs.NewCrashableMem()
	faulty := disktest.New(memory)
	db := tenantDB(t, faulty)
	appendScript(t, db, "t", 0, 40)
	faulty.Count(func(op disktest.Op) bool {
		return strings.Contains(op.Path, "checkpoints") &&
			(op.Kind == "sync" && strings.HasSuffix(op.Path, "checkpoints") || op.Kind == "remove")
	})
	faulty.FailFrom(0, syscall.EIO)
	if err := db.Checkpoint(ctx); err == nil {
		t.Fatal("a checkpoint whose name is not durable was accepted")
	}
	faulty.Reset()
	if err := db.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	crashed := crashClone(memory, 1, 0)
	db.Close()
	db = openTest(t, crashed)
	defer db.Close()
	rows := map[int64]float64{}
	if err := readAll(db, 1, rows); err != nil || len(rows) != 40 {
		t.Errorf("%d rows, %v; want 40", len(rows), err)
	}
}

// TestTrimUnderLoad checkpoints while others write: the log is trimmed, and
// what is written survives a crash.
func TestTrimUnderLoad(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewCrashableMem()
	o := scriptOptions(fs)
	o.SegmentBytes = 4096
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	const writers = 6
	var writing sync.WaitGroup
	stop := make(chan struct{})
	written := make([]int, writers)
	for w := range writers {
		name := model.Tenant(fmt.Sprint("t", w))
		if err := db.CreateTenant(ctx, name); err != nil {
			t.Fatal(err)
		}
		writing.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				b := scriptBatch(i)
				b.Tenant = name
				if _, err := db.Append(ctx, b); err != nil {
					t.Error(err)
					return
				}
				written[w]++
			}
		})
	}
	trimmed := 0
	for before, _ := db.log.Bounds(); trimmed < 5; {
		if err := db.Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
		if after, _ := db.log.Bounds(); after > before {
			trimmed++
			before = after
		}
	}
	close(stop)
	writing.Wait()
	crashed := crashClone(fs, 1, 0)
	db.Close()
	db = openTest(t, crashed)
	defer db.Close()
	if faults, _ := db.Faults(); len(faults) > 0 {
		t.Fatal(faults)
	}
	for w := range writers {
		sums, err := db.Summarize(ctx, model.Tenant(fmt.Sprint("t", w)), []model.ChannelID{1}, model.AllTime())
		if err != nil || sums[0].Count != uint64(written[w]) {
			t.Errorf("tenant %d: %+v, %v; want %d rows", w, sums, err, written[w])
		}
	}
}

// TestCheckpointOfOnePartitionKeepsTheOthersLog checkpoints one of two tenants.
func TestCheckpointOfOnePartitionKeepsTheOthersLog(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewCrashableMem()
	db := tenantDB(t, fs)
	if err := db.CreateTenant(ctx, "other"); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		appendScript(t, db, "t", i, i+1)
		appendScript(t, db, "other", i, i+1)
	}
	only := model.Tenant("other").Partition()
	if err := db.checkpointAll(ctx, func(p *partition) bool { return p.id == only }); err != nil {
		t.Fatal(err)
	}
	crashed := crashClone(fs, 1, 0)
	db.Close()
	db = openTest(t, crashed)
	defer db.Close()
	rows := map[int64]float64{}
	if err := readAll(db, 1, rows); err != nil || len(rows) != 40 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
}

// TestDamagedPartitionKeepsItsLog removes a checkpoint and lets the other
// partitions go on.
func TestDamagedPartitionKeepsItsLog(t *testing.T) {
	ctx := context.Background()
	fs := copyFS(t, builtDB(t))
	p := model.Tenant("t").Partition()
	prefix := disk.CheckpointName(p, 0, 0)[:len("checkpoints/00-")]
	for _, name := range filesBelow(t, fs, "data/checkpoints", func(f string) bool { return strings.Contains(f, prefix) }) {
		if err := fs.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	db := openTest(t, fs)
	defer db.Close()
	appendScript(t, db, "other", 0, 60)
	if err := db.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	if first, _ := db.log.Bounds(); first > db.partitions[p].record.Offset+1 {
		t.Errorf("the log begins at %d, the damaged partition needs it from %d", first, db.partitions[p].record.Offset+1)
	}
}

// TestFirstWritesOfOneChannel has many writers make one channel at once.
func TestFirstWritesOfOneChannel(t *testing.T) {
	ctx := context.Background()
	db := tenantDB(t, vfs.NewMem())
	defer db.Close()
	for round := range 20 {
		var writing sync.WaitGroup
		for w := range 8 {
			writing.Go(func() {
				_, err := db.Append(ctx, &model.Batch{Tenant: "t", Columns: []model.Column{
					{Labels: testLabels(fmt.Sprint(round)), Times: []int64{int64(w)}, Values: []float64{1}}}})
				if err != nil {
					t.Error(err)
				}
			})
		}
		writing.Wait()
	}
	channels, err := db.Channels(ctx, "t", nil)
	if err != nil || len(channels) != 20 {
		t.Errorf("%d channels, %v; want 20", len(channels), err)
	}
}

// TestDeletingAnAlarmTwiceIsNoDamage has several delete one alarm at once.
func TestDeletingAnAlarmTwiceIsNoDamage(t *testing.T) {
	ctx := context.Background()
	db := tenantDB(t, vfs.NewMem())
	defer db.Close()
	appendScript(t, db, "t", 0, 1)
	for range 50 {
		a, err := db.PutAlarm(ctx, "t", entry.PutAlarm{Channel: 1, Operator: uint8(alarm.Less), Enabled: true})
		if err != nil {
			t.Fatal(err)
		}
		var deleting sync.WaitGroup
		for range 4 {
			deleting.Go(func() {
				if err := db.DeleteAlarm(ctx, "t", a.ID); err != nil && !errors.Is(err, ErrUnknownAlarm) {
					t.Error(err)
				}
			})
		}
		deleting.Wait()
	}
	if faults, quarantined := db.Faults(); len(faults) > 0 || quarantined > 0 {
		t.Errorf("faults %v, %d quarantined", faults, quarantined)
	}
}

// TestFailedCatalogWritesNoMoreBlocks flushes again and again after the
// catalog failed: the disk does not fill.
func TestFailedCatalogWritesNoMoreBlocks(t *testing.T) {
	ctx := context.Background()
	memory := vfs.NewMem()
	faulty := disktest.New(memory)
	db := tenantDB(t, faulty)
	appendScript(t, db, "t", 0, 1)
	faulty.Count(func(op disktest.Op) bool { return strings.Contains(op.Path, "catalog") && op.Writes() })
	faulty.FailFrom(0, syscall.EIO)
	for range 20 {
		if err := db.Flush(ctx); err == nil {
			t.Fatal("flushed although the catalog fails")
		}
	}
	if blocks := filesBelow(t, memory, "data/blocks", anyFile); len(blocks) > 1 {
		t.Errorf("%d files of one head", len(blocks))
	}
	if _, err := db.Append(ctx, scriptBatch(1)); err == nil {
		t.Error("written although the catalog fails")
	}
	db.Close()
}

// TestHeadsHaveABound makes flushing fail: writes are refused before memory is
// used up, and go on when flushing does.
func TestHeadsHaveABound(t *testing.T) {
	ctx := context.Background()
	faulty := disktest.New(vfs.NewMem())
	const headBytes = 256 << 10
	db, err := Open(Options{FS: faulty, Dir: "data", Clock: time.Now, HeadBytes: headBytes, CheckpointBytes: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	faulty.Count(func(op disktest.Op) bool { return strings.Contains(op.Path, "data/blocks") && op.Writes() })
	faulty.FailFrom(0, syscall.ENOSPC)
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
		if err = write(); db.headBytes.Load() > 8*headBytes {
			t.Fatalf("heads hold %d bytes", db.headBytes.Load())
		}
	}
	if !errors.Is(err, disk.ErrFull) {
		t.Errorf("refused with %v, want the cause", err)
	}
	faulty.Reset()
	if err := db.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := write(); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// TestTapEndsWithTheDatabase closes the database under a tap.
func TestTapEndsWithTheDatabase(t *testing.T) {
	db := tenantDB(t, vfs.NewMem())
	tap, err := db.Tap(context.Background(), "t", nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	<-tap.Ended()
	if feed, err := tap.Take(context.Background()); err != nil || len(feed.Rows) > 0 {
		t.Error("rows from a closed database", err)
	}
	tap.Close()
}

// TestReadOnly opens a crashed database on a disk that takes nothing: every
// row and event is there, writes are refused, and nothing is written.
func TestReadOnly(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewCrashableMem()
	live, want := flappingDB(t, fs)
	crashed := crashClone(fs, 1, 0)
	live.Close()
	sealed := disktest.New(crashed)
	sealed.Count(func(op disktest.Op) bool { return op.Writes() })
	sealed.FailFrom(0, syscall.EROFS)
	var writes []string
	sealed.Observe(func(op disktest.Op) {
		if op.Writes() {
			writes = append(writes, op.String())
		}
	})
	o := scriptOptions(sealed)
	o.ReadOnly = true
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if faults, _ := db.Faults(); len(faults) > 0 {
		t.Error(faults)
	}
	rows := map[int64]float64{}
	if err := readAll(db, 1, rows); err != nil || len(rows) != 20 {
		t.Errorf("%d rows, %v; want 20", len(rows), err)
	}
	got, _, err := db.Events(ctx, "t", EventQuery{Span: model.AllTime(), Limit: 100})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("events %v, %v", got, err)
	}
	for what, err := range map[string]error{
		"append": func() error { _, err := db.Append(ctx, scriptBatch(1)); return err }(),
		"flush":  db.Flush(ctx), "checkpoint": db.Checkpoint(ctx), "tenant": db.CreateTenant(ctx, "new"),
	} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: %v, want ErrReadOnly", what, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if !slices.Equal(writes, []string{"lock data/LOCK"}) {
		t.Errorf("it tries to write: %q", writes)
	}
	if _, err := Open(Options{FS: vfs.NewMem(), Dir: "data", Clock: time.Now, ReadOnly: true}); !errors.Is(err, ErrNotFound) {
		t.Errorf("reading what is not there: %v", err)
	}
}
