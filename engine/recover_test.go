package engine

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/disk/disktest"
	"github.com/hokan-db/hokan/engine/head"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// crashedScript is a database as a crash left it, with rows in blocks, in a
// checkpoint and in the log alone, and what it must hold.
func crashedScript(t *testing.T) (*vfs.MemFS, *script) {
	t.Helper()
	memory := vfs.NewCrashableMem()
	db, err := Open(scriptOptions(memory))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	s := newScript()
	for i := range scriptBatches {
		s.note(s.tried, i)
		if _, err := db.Append(ctx, scriptBatch(i)); err != nil {
			t.Fatal(err)
		}
		s.note(s.acknowledged, i)
		switch i {
		case 3:
			err = db.Flush(ctx)
		case 6:
			err = db.Checkpoint(ctx)
		case 8:
			err = db.Flush(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	crashed := crashClone(memory, 5, 30)
	db.Close()
	return crashed, s
}

// crashableCopy copies a file system into one that can crash, all synced.
func crashableCopy(t *testing.T, from *vfs.MemFS) *vfs.MemFS {
	t.Helper()
	to := vfs.NewCrashableMem()
	if _, err := vfs.Clone(from, to, "data", "data", vfs.CloneSync); err != nil {
		t.Fatal(err)
	}
	dir, err := to.OpenDir("")
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Sync(); err != nil {
		t.Fatal(err)
	}
	return to
}

// reopenAndClose recovers, flushes and closes, as far as it gets.
func reopenAndClose(fs disk.FS) error {
	db, err := Open(scriptOptions(fs))
	if err != nil {
		return err
	}
	db.Flush(context.Background())
	return db.Close()
}

// TestEveryOperationOfRecoveryFails makes each operation fail while a crashed
// database is recovered, flushed and closed: the next recovery finds all.
func TestEveryOperationOfRecoveryFails(t *testing.T) {
	image, s := crashedScript(t)
	for _, forEver := range []bool{false, true} {
		for i := 0; ; i++ {
			memory := crashableCopy(t, image)
			faulty := disktest.New(memory)
			if forEver {
				faulty.FailFrom(i, syscall.EIO)
			} else {
				faulty.FailOnce(i, syscall.EIO)
			}
			runErr := reopenAndClose(faulty)
			if faulty.Failed() == 0 {
				if runErr != nil {
					t.Fatal(runErr)
				}
				t.Logf("%d operations", i)
				break
			}
			for _, fs := range []disk.FS{crashClone(memory, uint64(i), 0), crashClone(memory, uint64(i), 50), memory} {
				if err := s.verify(fs); err != nil {
					t.Fatalf("operation %d failed (for ever: %v, run: %v): then %v", i, forEver, runErr, err)
				}
			}
		}
	}
}

// TestCrashDuringRecovery crashes before each operation that writes while a
// crashed database is recovered, flushed and closed.
func TestCrashDuringRecovery(t *testing.T) {
	image, s := crashedScript(t)
	memory := crashableCopy(t, image)
	faulty := disktest.New(memory)
	var mu sync.Mutex
	var crashes []*vfs.MemFS
	faulty.Observe(func(op disktest.Op) {
		if op.Writes() {
			mu.Lock()
			defer mu.Unlock()
			crashes = append(crashes, crashClone(memory, uint64(len(crashes)), 40*(len(crashes)%2)))
		}
	})
	if err := reopenAndClose(faulty); err != nil {
		t.Fatal(err)
	}
	for i, fs := range crashes {
		if err := s.verify(fs); err != nil {
			t.Fatalf("crash %d of %d: %v", i, len(crashes), err)
		}
	}
	if len(crashes) < 20 {
		t.Fatalf("only %d crashes: the test shows nothing", len(crashes))
	}
}

// TestSparseHistoryMakesFewBlocks writes one row a day for ten years: the
// flush makes a block per month, not per row.
func TestSparseHistoryMakesFewBlocks(t *testing.T) {
	ctx := context.Background()
	db := openTest(t, vfs.NewMem())
	defer db.Close()
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	start := time.Date(1965, 1, 1, 12, 0, 0, 0, time.UTC)
	var times []int64
	var values []float64
	for day := range 3652 {
		times = append(times, start.AddDate(0, 0, day).UnixNano())
		values = append(values, float64(day))
	}
	if _, err := db.Append(ctx, &model.Batch{Tenant: "t", Columns: []model.Column{
		{Labels: testLabels("a"), Times: times, Values: values}}}); err != nil {
		t.Fatal(err)
	}
	if err := db.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	stats, err := db.Stats()
	if err != nil || stats.Blocks != 122 || stats.Rows != uint64(len(times)) || stats.HeadRows != 0 {
		t.Errorf("%+v, %v; want 3,652 rows in 122 blocks", stats, err)
	}
	sums, err := db.Summarize(ctx, "t", []model.ChannelID{1}, model.AllTime())
	if err != nil || sums[0].Count != uint64(len(times)) || sums[0].Last != 3651 {
		t.Errorf("%+v, %v", sums, err)
	}
}

// TestMergedBlocksStayWhereOneIsMissing loses a month's block whose parts an
// interrupted compaction left: they are the only copy and must not be deleted.
func TestMergedBlocksStayWhereOneIsMissing(t *testing.T) {
	fs := vfs.NewMem()
	db := openTest(t, fs)
	writeHours(t, db, 0, 20, 0)
	writeHours(t, db, 10, 10, 100)
	left := map[string][]byte{}
	for _, m := range db.tenants["t"].blocks {
		left[m.Name] = readFile(t, fs, "data/"+m.Name)
	}
	compact(t, db)
	month := db.tenants["t"].blocks[0].Name
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	whole := readFile(t, fs, "data/"+month)
	for _, missing := range []bool{true, false} {
		for name, b := range left {
			writeFile(t, fs, "data/"+name, b)
		}
		if missing {
			if err := fs.Remove("data/" + month); err != nil {
				t.Fatal(err)
			}
		} else {
			writeFile(t, fs, "data/"+month, whole)
		}
		db = openTest(t, fs)
		for name := range left {
			if _, err := fs.Stat("data/" + name); (err == nil) != missing {
				t.Errorf("the month's block is missing: %v; of %s: %v", missing, name, err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// checkpointBytes is a checkpoint with every kind of content.
func checkpointBytes(tb testing.TB) []byte {
	h := head.New()
	h.AppendColumn(1, []int64{5, 6, 3}, []float64{1, 2, 3})
	state := &partitionState{partition: 3, offset: 99, graves: []grave{{"u", 44}}, tenants: []tenantState{{
		name: "t", born: 3, applied: 98, clock: 8, since: 7, nextID: 9, rules: testRules("1y", "channel", "a"),
		tombstones: []model.Tombstone{{Offset: 50, Span: model.AllTime()}, {Offset: 60, Span: model.Span{From: 1, To: 2}, Channels: []model.ChannelID{1, 200}}},
		pinned:     map[model.ChannelID]policy.Floors{2: {5, 4, 3, 2, 1}},
		channels: []model.Channel{
			{ID: 1, Labels: testLabels("a"), History: model.History{{ValidFrom: 4, Properties: model.Properties{Unit: "V", HasDecimals: true, Decimals: 2}}}},
			{ID: 2, Labels: testLabels("b")},
		},
		latest: []latestSample{{}, {6, 2, latestKnown}},
		heads:  []headState{{98, h.Snapshot(), nil, h.Bytes(), h.Bytes()}},
	}}}
	state.tenants[0].alarms = newTenant("t", nil).alarms.AppendTo(nil)
	state.tenants[0].receipts = formatReceipts()
	var b bytes.Buffer
	if err := encodeCheckpoint(&b, 1, state); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// bytesObject is a disk.Object in memory.
type bytesObject struct{ *bytes.Reader }

func (bytesObject) Close() error { return nil }

// FuzzCheckpoint reads arbitrary bytes as a checkpoint: it may refuse them, not
// panic. With right checksums around them it reaches every part.
func FuzzCheckpoint(f *testing.F) {
	whole := checkpointBytes(f)
	f.Add(whole, false)
	f.Add(whole[disk.HeaderSize+disk.FrameHeaderSize:len(whole)-disk.FrameHeaderSize], true)
	f.Fuzz(func(t *testing.T, b []byte, wrap bool) {
		if wrap {
			var framed bytes.Buffer
			w, err := disk.NewStreamWriter(&framed, disk.KindCheckpoint, checkpointFrame)
			if err != nil {
				t.Fatal(err)
			}
			w.Write(b)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			b = framed.Bytes()
		}
		decodeCheckpoint(bytesObject{bytes.NewReader(b)}, "fuzzed", func(*tenantCheckpoint) error { return nil })
	})
}

// TestCheckpointCutOrFlipped cuts a checkpoint at every length and flips a bit
// of every byte: both are damage that names the file.
func TestCheckpointCutOrFlipped(t *testing.T) {
	whole := checkpointBytes(t)
	read := func(b []byte) error {
		_, err := decodeCheckpoint(bytesObject{bytes.NewReader(b)}, "the file", func(*tenantCheckpoint) error { return nil })
		return err
	}
	if err := read(whole); err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 1 << (i % 8)
		for what, b := range map[string][]byte{"cut": whole[:i], "flipped": flipped} {
			if err := read(b); err == nil || !bytes.Contains([]byte(fmt.Sprint(err)), []byte("the file")) {
				t.Fatalf("%s at byte %d: %v", what, i, err)
			}
		}
	}
}

// TestReplayFreesNothingByRulesOfBefore: while the log is replayed heads are
// flushed, by rules that a later entry of it may end. Rows that these would have
// let expire since stay, as the rules did not hold any more.
func TestReplayFreesNothingByRulesOfBefore(t *testing.T) {
	ctx := context.Background()
	memory := vfs.NewCrashableMem()
	now := time.Date(2026, 1, 30, 10, 0, 0, 0, time.UTC).UnixNano()
	options := manualOptions(memory)
	options.Clock = func() time.Time { return time.Unix(0, now) }
	db := openManual(t, options)
	must(t, db.SetRetention(ctx, "t", testRules("1h", "tenant", "")))
	row := now - 30*60e9
	write(t, db, "a", row, 1)
	write(t, db, "a", row+1, 2)
	_, err := db.DeleteRows(ctx, "t", nil, model.Span{From: row, To: row + 1}) // which ends the head
	must(t, err)
	for i := range int64(20000) { // so that it is flushed before what follows is replayed
		write(t, db, "b", now+i, float64(i))
	}
	must(t, db.SetRetention(ctx, "t", nil))
	crashed := crashClone(memory, 1, 0)
	must(t, db.Close())

	now += 10 * 3600e9
	options.FS, options.Manual = crashed, false
	db, err = Open(options)
	must(t, err)
	defer db.Close()
	must(t, db.Flush(ctx))
	got := map[int64]float64{}
	must(t, readAll(db, idOf(t, db, "a"), got))
	if len(got) != 1 || got[row+1] != 2 {
		t.Errorf("rows %v, want that of %d, which no rule has let expire", got, row+1)
	}
}
