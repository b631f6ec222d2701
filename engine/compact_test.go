package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/disk/disktest"
	"github.com/hokan-db/hokan/engine/model"
)

// writeHours appends the value at each of count hours from the first on, of
// channels a and b, and flushes.
func writeHours(t *testing.T, db *DB, first, count int, value float64) {
	t.Helper()
	ctx := context.Background()
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	b := &model.Batch{Tenant: "t"}
	for _, channel := range []string{"a", "b"} {
		c := model.Column{Labels: testLabels(channel)}
		for i := range count {
			c.Times = append(c.Times, int64(first+i)*3600e9)
			c.Values = append(c.Values, value+float64(i))
		}
		b.Columns = append(b.Columns, c)
	}
	if _, err := db.Append(ctx, b); err != nil {
		t.Fatal(err)
	}
	if err := db.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

func compact(t *testing.T, db *DB) {
	t.Helper()
	if err := db.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// allRows returns every row of both channels of tenant t.
func allRows(t *testing.T, db *DB) [2]map[int64]float64 {
	t.Helper()
	rows := [2]map[int64]float64{{}, {}}
	for i := range rows {
		if err := readAll(db, model.ChannelID(i+1), rows[i]); err != nil {
			t.Fatal(err)
		}
	}
	return rows
}

func sameRows(a, b [2]map[int64]float64) bool {
	return maps.EqualFunc(a[0], b[0], sameBits) && maps.EqualFunc(a[1], b[1], sameBits)
}

// blockFiles returns the level and month of each block of tenant t that is
// stored, be it set aside, and checks that the manifest names exactly these.
func blockFiles(t *testing.T, db *DB) []string {
	t.Helper()
	names, err := db.blocks.List(disk.BlocksDir + "/t/")
	if err != nil {
		t.Fatal(err)
	}
	_, aside, err := db.local.Leftovers()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range aside {
		names = append(names, strings.TrimSuffix(name, disk.QuarantineSuffix))
	}
	slices.Sort(names)
	var named, files []string
	for _, m := range db.tenants["t"].blocks {
		named = append(named, m.Name)
	}
	slices.Sort(named)
	if !slices.Equal(named, names) {
		t.Fatalf("stored are %v, named %v", names, named)
	}
	for _, name := range names {
		b, _ := disk.ParseBlockName(name)
		files = append(files, b.Level+" "+time.Unix(0, b.First).UTC().Format("2006-01-02"))
	}
	return files
}

func wantFiles(t *testing.T, db *DB, want ...string) {
	t.Helper()
	if got := blockFiles(t, db); !slices.Equal(got, want) {
		t.Fatalf("blocks are %v, want %v", got, want)
	}
}

func TestCompactMakesABlockPerMonth(t *testing.T) {
	fs := vfs.NewMem()
	db := openTest(t, fs)
	writeHours(t, db, -30, 100, 0)     // four days, of two months
	writeHours(t, db, -10, 30, 1000)   // overwrites some of it
	writeHours(t, db, 30*24, 48, 5000) // the last days of January, and February
	writeHours(t, db, -12, 2, 7000)
	want := allRows(t, db)
	before, err := db.Stats()
	if err != nil {
		t.Fatal(err)
	}
	compact(t, db)
	wantFiles(t, db, "month 1969-12-01", "month 1970-01-01", "month 1970-02-01")
	if got := allRows(t, db); !sameRows(got, want) || got[0][-12*3600e9] != 7000 || got[1][0] != 1010 {
		t.Fatalf("rows are %v, want %v", got, want)
	}
	after, err := db.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if after.Rows >= before.Rows || after.Rows != uint64(len(want[0])+len(want[1])) {
		t.Errorf("%d rows in blocks, before %d", after.Rows, before.Rows)
	}
	names, _ := db.blocks.List(disk.BlocksDir)
	compact(t, db)
	if again, _ := db.blocks.List(disk.BlocksDir); !slices.Equal(again, names) {
		t.Errorf("what was merged is merged again: %v, before %v", again, names)
	}
	writeHours(t, db, 0, 1, -1)
	compact(t, db)
	again, _ := db.blocks.List(disk.BlocksDir)
	if wantFiles(t, db, "month 1969-12-01", "month 1970-01-01", "month 1970-02-01"); again[0] != names[0] || again[2] != names[2] || again[1] == names[1] {
		t.Errorf("late rows of January made %v of %v", again, names)
	}
	want[0][0], want[1][0] = -1, -1
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openTest(t, fs)
	defer db.Close()
	if got := allRows(t, db); !sameRows(got, want) {
		t.Errorf("after opening again rows are %v, want %v", got, want)
	}
	if faults, _ := db.Faults(); len(faults) > 0 {
		t.Error(faults)
	}
}

func TestCompactSplitsWhatIsTooLarge(t *testing.T) {
	db := openTest(t, vfs.NewMem())
	defer db.Close()
	ctx := context.Background()
	writeHours(t, db, 0, 10, 0)
	for c := range 40 {
		column := model.Column{Labels: testLabels(fmt.Sprint("wide", c))}
		for i := range 3000 {
			column.Times = append(column.Times, int64(i)*60e9)
			column.Values = append(column.Values, math.Sin(float64(i*(c+1))))
		}
		if _, err := db.Append(ctx, &model.Batch{Tenant: "t", Columns: []model.Column{column}}); err != nil {
			t.Fatal(err)
		}
	}
	const limit = 150_000
	db.compactor.bytes, db.compactor.blocks = limit, 2 // fewer than the parts of one compaction
	sum := func() (rows uint64) {
		t.Helper()
		ids := make([]model.ChannelID, 42)
		for i := range ids {
			ids[i] = model.ChannelID(i + 1)
		}
		sums, err := db.Summarize(ctx, "t", ids, model.AllTime())
		if err != nil {
			t.Fatal(err)
		}
		for i := range sums {
			rows += sums[i].Rows()
		}
		return rows
	}
	for range 2 {
		compact(t, db)
		if files := blockFiles(t, db); len(files) < 4 {
			t.Fatalf("blocks are %v", files)
		}
		for _, m := range db.tenants["t"].blocks {
			if m.ChunkBytes > 2*limit {
				t.Errorf("a block of %d bytes", m.ChunkBytes)
			}
		}
		if rows := sum(); rows != 40*3000+20 {
			t.Fatalf("%d rows", rows)
		}
		before := db.tenants["t"].blocks
		if compact(t, db); !slices.Equal(db.tenants["t"].blocks, before) {
			t.Error("parts of one month are merged again")
		}
		writeHours(t, db, 0, 5, 100) // the same hours, new values
	}
}

func TestRowsThatComeLaterWinOverMergedOnes(t *testing.T) {
	fs := vfs.NewMem()
	db := openTest(t, fs)
	writeHours(t, db, 0, 5, 0)
	compact(t, db)
	writeHours(t, db, 1, 1, 100)
	for range 2 {
		if rows := allRows(t, db); rows[0][3600e9] != 100 || rows[0][2*3600e9] != 2 || len(rows[1]) != 5 {
			t.Fatalf("rows are %v", rows)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db = openTest(t, fs)
	}
	compact(t, db)
	defer db.Close()
	if rows := allRows(t, db); rows[0][3600e9] != 100 || len(rows[1]) != 5 {
		t.Fatalf("rows are %v", rows)
	}
}

func TestSelectionsReadOnWhileBlocksAreMerged(t *testing.T) {
	db := openTest(t, vfs.NewMem())
	defer db.Close()
	writeHours(t, db, 0, 30, 0)
	writeHours(t, db, 5, 30, 100)
	s, err := db.Select(context.Background(), "t", []model.ChannelID{1}, model.AllTime())
	if err != nil {
		t.Fatal(err)
	}
	compact(t, db)
	writeHours(t, db, 0, 1, -1)
	compact(t, db)
	rows := 0
	for c := s.Cursor(0); ; {
		times, values, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if len(times) == 0 {
			break
		}
		rows += len(times)
		if times[0] == 0 && values[0] != 0 {
			t.Errorf("the first value is %v: written after the selection", values[0])
		}
	}
	if rows != 35 {
		t.Errorf("%d rows", rows)
	}
	s.Close()
	if open, idle := len(db.readers.open), db.readers.idle.Len(); open+idle != 0 {
		t.Errorf("%d blocks are open, %d of them idle: all were deleted, or never read", open, idle)
	}
}

// TestBlocksStayUntilThoseWhoChoseThemHaveOpenedThem stops a query between
// choosing a block and opening it until a compaction wants to delete the block.
// Other tenants do not notice.
func TestBlocksStayUntilThoseWhoChoseThemHaveOpenedThem(t *testing.T) {
	faulty := disktest.New(vfs.NewMem())
	db := openTest(t, faulty)
	writeHours(t, db, 0, 30, 0)
	if err := db.CreateTenant(context.Background(), "u"); err != nil {
		t.Fatal(err)
	}
	row := &model.Batch{Tenant: "u", Columns: []model.Column{{Labels: testLabels("a"), Times: []int64{1}, Values: []float64{1}}}}
	if _, err := db.Append(context.Background(), row); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openTest(t, faulty)
	defer db.Close()
	compacted := make(chan error, 1)
	var stopped atomic.Bool
	faulty.Observe(func(op disktest.Op) {
		if op.Kind != "open" || !strings.HasSuffix(op.Path, ".blk") || stopped.Swap(true) {
			return
		}
		go func() { compacted <- db.Compact(context.Background()) }()
		for choosing := &db.tenants["t"].choosing; len(compacted) == 0 && choosing.TryRLock(); runtime.Gosched() {
			choosing.RUnlock()
		}
		other := make(chan error, 1)
		go func() {
			_, err := db.Summarize(context.Background(), "u", []model.ChannelID{1}, model.AllTime())
			other <- err
		}()
		select {
		case err := <-other:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Error("a query of another tenant waits for this one")
		}
	})
	if rows := allRows(t, db); len(rows[0]) != 30 {
		t.Errorf("%d rows", len(rows[0]))
	}
	if err := <-compacted; err != nil {
		t.Error(err)
	}
	wantFiles(t, db, "month 1970-01-01")
}

// TestQueriesAndWritersWhileBlocksAreMerged is for the race detector as much as
// for its assertions.
func TestQueriesAndWritersWhileBlocksAreMerged(t *testing.T) {
	db := openTest(t, vfs.NewMem())
	defer db.Close()
	ctx := context.Background()
	writeHours(t, db, 0, 200, 0)
	stop := make(chan struct{})
	var reading sync.WaitGroup
	for range 2 {
		reading.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				sums, err := db.Summarize(ctx, "t", []model.ChannelID{1, 2}, model.Span{From: 0, To: 200 * 3600e9})
				if err != nil || sums[0].Count != 200 || sums[1].Count != 200 {
					t.Errorf("%v, %v", sums, err)
					return
				}
			}
		})
	}
	for i := range 20 {
		writeHours(t, db, i, 3, float64(i))
		compact(t, db)
	}
	close(stop)
	reading.Wait()
	if rows := allRows(t, db); rows[0][19*3600e9] != 19 || rows[0][0] != 0 || rows[0][5*3600e9] != 5 {
		t.Errorf("rows are %v", rows)
	}
}

func TestCompactCanBeStopped(t *testing.T) {
	memory := vfs.NewMem()
	faulty := disktest.New(memory)
	db := openTest(t, faulty)
	defer db.Close()
	writeHours(t, db, 0, 48, 0)
	writeHours(t, db, 31*24, 48, 0)
	want, before := allRows(t, db), blockFiles(t, db)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	faulty.Observe(func(op disktest.Op) {
		if op.Kind == "create" && strings.Contains(op.Path, "/month-") {
			cancel()
		}
	})
	if err := db.Compact(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	faulty.Observe(nil)
	wantFiles(t, db, before...)
	if got := allRows(t, db); !sameRows(got, want) {
		t.Errorf("rows are %v, want %v", got, want)
	}
	compact(t, db)
	wantFiles(t, db, "month 1970-01-01", "month 1970-02-01")
}

func TestADamagedMonthIsLeftAndOthersAreMerged(t *testing.T) {
	fs := vfs.NewMem()
	db := openTest(t, fs)
	writeHours(t, db, 0, 48, 0)
	writeHours(t, db, 31*24, 48, 0)
	january := db.tenants["t"].blocks[0].Name
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b := readFile(t, fs, "data/"+january)
	b[disk.HeaderSize+disk.FrameHeaderSize+3] ^= 16 // in the first chunk
	writeFile(t, fs, "data/"+january, b)
	db = openTest(t, fs)
	defer db.Close()
	if err := db.Compact(context.Background()); !errors.Is(err, disk.ErrCorrupt) || !strings.Contains(err.Error(), "1970-01") {
		t.Fatalf("got %v", err)
	}
	wantFiles(t, db, "flush 1970-01-01", "flush 1970-01-02", "month 1970-02-01")
}

// TestCompactHasFewBlocksOpen merges a month of many blocks, every one over
// some of the rows of the one before.
func TestCompactHasFewBlocksOpen(t *testing.T) {
	const most = 5
	faulty := disktest.New(vfs.NewMem())
	db := openTest(t, faulty)
	defer db.Close()
	db.compactor.blocks = most
	for i := range 40 {
		writeHours(t, db, i%7, 5, float64(100*i))
	}
	want := allRows(t, db)
	if err := db.Close(); err != nil { // and with it every block
		t.Fatal(err)
	}
	db = openTest(t, faulty)
	db.compactor.blocks = most
	open, creates := 0, 0
	faulty.Observe(func(op disktest.Op) {
		if op.Writes() && strings.HasPrefix(op.Path, "data/blocks/") {
			db.readers.mu.Lock()
			open = max(open, len(db.readers.open))
			db.readers.mu.Unlock()
		}
		if op.Kind == "create" && strings.Contains(op.Path, ".blk") {
			creates++
		}
	})
	compact(t, db)
	faulty.Observe(nil)
	wantFiles(t, db, "month 1970-01-01")
	if got := allRows(t, db); !sameRows(got, want) {
		t.Errorf("rows are %v, want %v", got, want)
	}
	if open != most || creates > 8+2+1 {
		t.Errorf("%d blocks are open at once, %d are made", open, creates)
	}
}

// TestCompactReadsLongChannelsInParts merges blocks that have many more chunks
// of a channel than may be held.
func TestCompactReadsLongChannelsInParts(t *testing.T) {
	db := openTest(t, vfs.NewMem())
	defer db.Close()
	ctx := context.Background()
	writeHours(t, db, 0, 700, 0) // nearly all of January
	c := model.Column{Labels: testLabels("a")}
	for i := range 30 * chunkRows {
		c.Times = append(c.Times, 5*model.Day+int64(i)*1e9)
		c.Values = append(c.Values, float64(i%1000))
	}
	for i := range 3 {
		if _, err := db.Append(ctx, &model.Batch{Tenant: "t", Columns: []model.Column{c}}); err != nil {
			t.Fatal(err)
		}
		c.Values[i] = -1
		if err := db.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	want := allRows(t, db)
	blocks := db.tenants["t"].blocks
	db.compactor.chunks = 8
	rows, err := db.openRows(ctx, db.tenants["t"], monthOf(0), blocks)
	if err != nil {
		t.Fatal(err)
	}
	read, held, chunks := 0, 0, 0
	for ; len(rows.times) > 0; chunks++ {
		now := 0
		for i := range rows.snapshot.blocks {
			now += len(rows.snapshot.blocks[i].chunks)
		}
		read, held = read+len(rows.times), max(held, now)
		if err := rows.next(ctx); err != nil {
			t.Fatal(err)
		}
	}
	rows.close()
	all := len(want[0]) + len(want[1])
	if full := (len(want[0])+smallChunkRows-1)/smallChunkRows + 1; read != all || held > max(8, len(blocks)) || chunks != full {
		t.Errorf("%d rows of %d in %d chunks, full ones are %d; %d chunks are held at once", read, all, chunks, full, held)
	}
	compact(t, db)
	wantFiles(t, db, "month 1970-01-01")
	if got := allRows(t, db); !sameRows(got, want) {
		t.Error("other rows than before")
	}
}

// TestBlocksOfTwoMonthsAreNotMerged: what is outside the month would be lost.
func TestBlocksOfTwoMonthsAreNotMerged(t *testing.T) {
	db := openTest(t, vfs.NewMem())
	defer db.Close()
	writeHours(t, db, 31*24-3, 6, 0)
	writeHours(t, db, 60*24, 1, 0)
	want := allRows(t, db)
	db.tenants["t"].blocks[0].Last = 32 * model.Day
	err := db.Compact(context.Background())
	if !errors.Is(err, disk.ErrCorrupt) || !strings.Contains(err.Error(), "1970-01") {
		t.Errorf("got %v", err)
	}
	wantFiles(t, db, "flush 1970-01-31", "month 1970-02-01", "month 1970-03-01")
	if got := allRows(t, db); !sameRows(got, want) {
		t.Errorf("rows are %v, want %v", got, want)
	}
}

// TestASecondCompactMayGiveUp: it does not wait for the first one for ever.
func TestASecondCompactMayGiveUp(t *testing.T) {
	faulty := disktest.New(vfs.NewMem())
	db := openTest(t, faulty)
	defer db.Close()
	writeHours(t, db, 0, 48, 0)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	second := make(chan error, 1)
	var asked atomic.Bool
	faulty.Observe(func(op disktest.Op) {
		if op.Kind != "create" || !strings.Contains(op.Path, "/month-") || asked.Swap(true) {
			return
		}
		go func() { second <- db.Compact(ctx) }()
		select {
		case err := <-second:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("it waits for the first one")
		}
	})
	compact(t, db)
	if !asked.Load() {
		t.Error("the first one made nothing")
	}
}

func TestCompactOfAReadOnlyDatabaseIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	db := openTest(t, fs)
	writeHours(t, db, 0, 1, 0)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	options := scriptOptions(fs)
	options.ReadOnly = true
	db, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Compact(context.Background()); !errors.Is(err, ErrReadOnly) {
		t.Errorf("got %v", err)
	}
}

// openSmall opens a database whose compactions take many steps.
func openSmall(t *testing.T, fs disk.FS) *DB {
	t.Helper()
	db := openTest(t, fs)
	db.compactor.blocks, db.compactor.chunks = 2, 1
	return db
}

// mergeScenario makes a database whose next compaction has much to do, on fs:
// three merges of January in two rounds, and one of February.
func mergeScenario(t *testing.T, fs disk.FS) (*DB, [2]map[int64]float64) {
	t.Helper()
	db := openSmall(t, fs)
	writeHours(t, db, 0, 48, 0)
	compact(t, db)
	writeHours(t, db, 10, 48, 100)
	writeHours(t, db, 31*24-2, 4, 200)
	writeHours(t, db, 40, 3, 300)
	return db, allRows(t, db)
}

// checkAfterCrash opens what is left and checks that it holds want, that
// nothing else lies about, and that compacting works.
func checkAfterCrash(t *testing.T, what string, fs disk.FS, want [2]map[int64]float64) {
	t.Helper()
	db := openSmall(t, fs)
	defer db.Close()
	if faults, _ := db.Faults(); len(faults) > 0 {
		t.Fatalf("%s: %v", what, faults)
	}
	blockFiles(t, db)
	if got := allRows(t, db); !sameRows(got, want) {
		t.Fatalf("%s: rows are %v, want %v", what, got, want)
	}
	compact(t, db)
	wantFiles(t, db, "month 1970-01-01", "month 1970-02-01")
	if got := allRows(t, db); !sameRows(got, want) {
		t.Fatalf("%s, then merged: rows are %v, want %v", what, got, want)
	}
}

// compactDrill is a database that is about to be compacted, made anew for each
// way in which that may go wrong, and what must hold whatever happens.
type compactDrill[W any] struct {
	scenario func(*testing.T, disk.FS) (*DB, W)
	open     func(t *testing.T, what string, db *DB, want W)     // of the database that goes on
	reopened func(t *testing.T, what string, fs disk.FS, want W) // of the disk that it leaves
}

// crashAtEveryWrite takes the disk as it would be if the power failed just
// before each operation that writes.
func (d *compactDrill[W]) crashAtEveryWrite(t *testing.T) {
	for _, percent := range []int{0, 50} {
		memory := vfs.NewCrashableMem()
		faulty := disktest.New(memory)
		db, want := d.scenario(t, faulty)
		type crash struct {
			what string
			fs   disk.FS
		}
		var crashes []crash
		faulty.Observe(func(op disktest.Op) {
			if op.Writes() {
				crashes = append(crashes, crash{op.String(), crashClone(memory, uint64(len(crashes)), percent)})
			}
		})
		compact(t, db)
		faulty.Observe(nil)
		crashes = append(crashes, crash{"the end", crashClone(memory, 0, percent)})
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		for i, c := range crashes {
			d.reopened(t, fmt.Sprintf("crash %d before %s", i, c.what), c.fs, want)
		}
		t.Logf("%d crashes", len(crashes))
	}
}

// everyOperationFails makes each operation on the disk fail in turn, once and
// for ever: in the process that goes on and after a crash nothing is wrong.
func (d *compactDrill[W]) everyOperationFails(t *testing.T) {
	for _, forEver := range []bool{false, true} {
		for i := 0; ; i++ {
			memory := vfs.NewCrashableMem()
			faulty := disktest.New(memory)
			db, want := d.scenario(t, faulty)
			if forEver {
				faulty.FailFrom(i, syscall.EIO)
			} else {
				faulty.FailOnce(i, syscall.EIO)
			}
			err := db.Compact(context.Background())
			failed := faulty.Failed()
			faulty.Reset()
			what := fmt.Sprintf("operation %d failed (%v)", i, err)
			d.open(t, what, db, want)
			crashed := crashClone(memory, uint64(i), 0)
			db.Close()
			d.reopened(t, what+", crashed", crashed, want)
			d.reopened(t, what, memory, want)
			if failed == 0 {
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%d operations", i)
				break
			}
			if !long() {
				i += i / 20
			}
		}
	}
}

// mergeDrill merges: every row stays.
var mergeDrill = compactDrill[[2]map[int64]float64]{
	scenario: mergeScenario,
	open: func(t *testing.T, what string, db *DB, want [2]map[int64]float64) {
		if got := allRows(t, db); !sameRows(got, want) {
			t.Fatalf("%s: rows are %v, want %v", what, got, want)
		}
	},
	reopened: checkAfterCrash,
}

func TestCrashAtEveryWriteOfCompact(t *testing.T) { mergeDrill.crashAtEveryWrite(t) }

func TestEveryOperationOfCompactFails(t *testing.T) { mergeDrill.everyOperationFails(t) }

// TestCompactLeavesNothingInTheLog compacts in the process that wrote and in
// another one: what is in blocks is in no checkpoint and no log any more.
func TestCompactLeavesNothingInTheLog(t *testing.T) {
	for _, reopen := range []bool{false, true} {
		fsys := vfs.NewMem()
		db := openTest(t, fsys)
		if err := db.CreateTenant(context.Background(), "t"); err != nil {
			t.Fatal(err)
		}
		c := model.Column{Labels: testLabels("a")}
		for i := range 50_000 {
			c.Times = append(c.Times, int64(i)*1e9)
			c.Values = append(c.Values, float64(i*i%1000))
		}
		if _, err := db.Append(context.Background(), &model.Batch{Tenant: "t", Columns: []model.Column{c}}); err != nil {
			t.Fatal(err)
		}
		if reopen {
			if err := db.Checkpoint(context.Background()); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			db = openTest(t, fsys)
		}
		compact(t, db)
		for _, folder := range []string{"log", "checkpoints"} {
			bytes := int64(0)
			names, err := fsys.List("data/" + folder)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				info, err := fsys.Stat("data/" + folder + "/" + name)
				if err != nil {
					t.Fatal(err)
				}
				bytes += info.Size()
			}
			if bytes > 2<<10 {
				t.Errorf("reopened %v: %d bytes in %s: %v", reopen, bytes, folder, names)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db = openTest(t, fsys)
		if rows := len(allRows(t, db)[0]); rows != 50_000 {
			t.Errorf("reopened %v: %d rows", reopen, rows)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
