package engine

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/model"
)

// TestFlushDecodesAChannelOnce flushes a channel of 20,000 rows, most of them
// late, in 100 months. What decoding it for every block would allocate is
// several times more than what is allowed here.
func TestFlushDecodesAChannelOnce(t *testing.T) {
	const months, rows = 100, 20_000
	ctx := context.Background()
	db := openTest(t, vfs.NewMem())
	defer db.Close()
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	first := time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	c := model.Column{Labels: testLabels("a")}
	for i := range rows {
		c.Times = append(c.Times, first.AddDate(0, months-1-i%months, 0).Add(time.Duration(i)).UnixNano())
		c.Values = append(c.Values, float64(i))
	}
	if _, err := db.Append(ctx, &model.Batch{Tenant: "t", Columns: []model.Column{c}}); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := db.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	stats, err := db.Stats()
	if err != nil || stats.Blocks != months || stats.Rows != rows {
		t.Errorf("%+v, %v", stats, err)
	}
	allocated := after.TotalAlloc - before.TotalAlloc
	t.Logf("%d bytes", allocated)
	if allocated > 60<<20 {
		t.Errorf("a flush of %d rows into %d blocks allocates %d bytes", rows, months, allocated)
	}
}

// TestFlushHoldsNoMoreThanItsShare splits more rows than are held: all come out.
func TestFlushHoldsNoMoreThanItsShare(t *testing.T) {
	h := newTenant("t", nil).active
	const rows = 400_000
	times, values := make([]int64, rows), make([]float64, rows)
	for i := range times {
		times[i] = int64(i) * 1e9 // five days
	}
	var columns []flushColumn
	for id := range model.ChannelID(4) {
		h.AppendColumn(id+1, times, values)
		view, _ := h.View(id + 1)
		columns = append(columns, flushColumn{pieces: []flushPiece{headPiece(view)}})
	}
	if spans, err := flushSpans(columns); err != nil || len(spans) != 3 {
		t.Fatalf("%v, %v", spans, err)
	}
	var buffer rowBuffer
	held := 0
	for i := range columns {
		held += len(columns[i].times)
		if got, _, err := columns[i].rows(&buffer); err != nil || len(got) != rows || got[rows-1] != times[rows-1] {
			t.Errorf("channel %d: %d rows, %v", i+1, len(got), err)
		}
	}
	if held != 2*rows {
		t.Errorf("%d rows are held", held)
	}
}
