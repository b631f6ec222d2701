package engine

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/disk/disktest"
	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
)

// writeWide makes blocks with so many rows, a second apart, of each of 8
// channels.
func writeWide(t *testing.T, db *DB, rows int) []model.ChannelID {
	t.Helper()
	ctx := context.Background()
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	times := make([]int64, rows)
	for i := range times {
		times[i] = int64(i) * 1e9
	}
	var ids []model.ChannelID
	for c := range 8 {
		values := make([]float64, rows)
		for i := range values {
			values[i] = math.Round(100*math.Sin(float64(i*(c+1))/1000)) / 10
		}
		b := &model.Batch{Tenant: "t", Columns: []model.Column{{Labels: testLabels(string(rune('a' + c))), Times: times, Values: values}}}
		if _, err := db.Append(ctx, b); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, model.ChannelID(c+1))
	}
	if err := db.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	return ids
}

// openHelped opens a database whose wide views may have a second goroutine,
// whatever the machine.
func openHelped(t *testing.T, fs disk.FS) *DB {
	db := openTest(t, fs)
	db.helping = make(chan struct{}, 1)
	return db
}

func TestAWideViewIsThatOfEveryChannelAlone(t *testing.T) {
	db := openHelped(t, vfs.NewMem())
	defer db.Close()
	const rows = 40_000 // times 8 is more than helpedRows
	ids := writeWide(t, db, rows)
	b, err := model.PlanBuckets(model.Span{From: 100e9, To: (rows - 100) * 1e9}, 333)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	var views sync.WaitGroup
	for range 3 {
		views.Go(func() {
			wide, err := db.Aggregate(ctx, "t", ids, b)
			if err != nil {
				t.Error(err)
				return
			}
			for i, id := range ids {
				alone, err := db.Aggregate(ctx, "t", []model.ChannelID{id}, b)
				if err != nil {
					t.Error(err)
					return
				}
				for k := range alone[0] {
					if wide[i][k] != alone[0][k] {
						t.Errorf("channel %d bucket %d: %+v, alone %+v", id, k, wide[i][k], alone[0][k])
						return
					}
				}
			}
		})
	}
	views.Wait()
	if n := len(db.helping); n != 0 {
		t.Errorf("%d helpers are still counted", n)
	}
}

func TestAWideViewEndsAtDamage(t *testing.T) {
	fs := vfs.NewMem()
	db := openTest(t, fs)
	ids := writeWide(t, db, 40_000)
	name := "data/" + db.tenants["t"].blocks[0].Name
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b := readFile(t, fs, name)
	b[disk.HeaderSize+disk.FrameHeaderSize+3] ^= 1 // in the first chunk
	writeFile(t, fs, name, b)
	db = openHelped(t, fs)
	defer db.Close()
	buckets := model.Buckets{From: 0, Width: 1000e9, Count: 40}
	if _, err := db.Aggregate(context.Background(), "t", ids, buckets); !errors.Is(err, disk.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
	if view, err := db.Aggregate(context.Background(), "t", ids[1:], buckets); err != nil || view[0][0].Count != 1000 {
		t.Errorf("channels that are not damaged: %v", err)
	}
	if n := len(db.helping); n != 0 {
		t.Errorf("%d helpers are still counted", n)
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if _, err := db.Aggregate(stopped, "t", ids[1:], buckets); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

// panicking panics when two goroutines read such sources at once.
type panicking struct{ both *sync.WaitGroup }

func (p panicking) DecodeIn(_ []model.Span, times []int64, values []float64) ([]int64, []float64, error) {
	return times, values, p.Fold(model.AllTime(), merge.Grid{}, nil)
}

func (p panicking) Fold(model.Span, merge.Grid, []model.Aggregate) error {
	p.both.Done()
	p.both.Wait()
	panic("no such rows")
}

// TestAPanicOfTheHelperIsAnError has both goroutines of a view panic: the
// caller's own reaches the caller, who may recover.
func TestAPanicOfTheHelperIsAnError(t *testing.T) {
	db := openHelped(t, vfs.NewMem())
	defer db.Close()
	var both sync.WaitGroup
	both.Add(2)
	piece := []merge.Piece{{First: 0, Last: 1, Source: panicking{&both}}}
	v := pass{
		ctx: context.Background(), db: db, ids: []model.ChannelID{1, 2}, rows: helpedRows, groups: []int{1, 2},
		do: func(_ int, scratch *merge.Scratch) error {
			return merge.Aggregate(piece, model.Buckets{From: 0, Width: 2, Count: 1}, make([]model.Aggregate, 1), scratch)
		},
	}
	func() {
		defer func() {
			if r := recover(); r != "no such rows" {
				t.Errorf("the caller recovers %v", r)
			}
		}()
		v.run()
	}()
	if v.err == nil || !strings.Contains(v.err.Error(), "no such rows") {
		t.Errorf("the error is %v", v.err)
	}
	if n := len(db.helping); n != 0 {
		t.Errorf("%d helpers are still counted", n)
	}
}

// TestChunksAreReadTogether counts the reads of a block that is open.
func TestChunksAreReadTogether(t *testing.T) {
	faulty := disktest.New(vfs.NewMem())
	db := openTest(t, faulty)
	defer db.Close()
	ids := writeWide(t, db, 6000)
	ctx := context.Background()
	var reads atomic.Int64
	faulty.Observe(func(op disktest.Op) {
		if op.Kind == "read" && strings.HasSuffix(op.Path, ".blk") {
			reads.Add(1)
		}
	})
	view := func() {
		if _, err := db.Aggregate(ctx, "t", ids, model.Buckets{From: 0, Width: 100e9, Count: 60}); err != nil {
			t.Fatal(err)
		}
	}
	view() // opens the block
	reads.Store(0)
	view()
	// The index, and one for each group of channels.
	if n := reads.Load(); n > 1+8 {
		t.Errorf("a view made %d reads, of 16 chunks", n)
	}
	reads.Store(0)
	s, err := db.Select(ctx, "t", ids, model.AllTime())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range ids {
		for c := s.Cursor(i); ; {
			times, _, err := c.Next()
			if err != nil {
				t.Fatal(err)
			}
			if len(times) == 0 {
				break
			}
		}
	}
	if n := reads.Load(); n != 2 {
		t.Errorf("all rows took %d reads: want the index and one of all chunks", n)
	}
	reads.Store(0)
	if view, err := db.Aggregate(ctx, "t", ids, model.Buckets{From: 0, Width: model.Day, Count: 1}); err != nil || view[7][0].Count != 6000 {
		t.Fatal(view, err)
	}
	if n := reads.Load(); n != 1 {
		t.Errorf("one bucket took %d reads: want the index alone", n)
	}
}

// TestCursorOfAClosedSelection is an error, whatever the selection held.
func TestCursorOfAClosedSelection(t *testing.T) {
	db := openTest(t, vfs.NewMem())
	defer db.Close()
	writeHours(t, db, 0, 3, 0)
	for _, span := range []model.Span{model.AllTime(), {From: 5, To: 6}} {
		s, err := db.Select(context.Background(), "t", []model.ChannelID{1}, span)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		if times, _, err := s.Cursor(0).Next(); !errors.Is(err, ErrClosed) || len(times) != 0 {
			t.Errorf("%d rows, %v", len(times), err)
		}
		s.Close() // again
	}
}
