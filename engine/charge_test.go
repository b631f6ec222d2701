package engine

import (
	"context"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/model"
)

// TestRowsOfRollupsAreCharged: a view pays for the rows of rollups that it reads
// as for rows, and all of its passes pay together.
func TestRowsOfRollupsAreCharged(t *testing.T) {
	const days = 30
	s := openSlow(t, vfs.NewMem(), yearStart)
	ctx := context.Background()
	ids := fillMinutes(t, s.db, mixed(2), days*1440)
	must(t, s.db.Compact(ctx))
	hours := model.Buckets{From: yearStart, Width: 3600e9, Count: days * 24}
	view := func(name string, want uint64) {
		t.Helper()
		s.db.queryRows = want
		s.db.mostRows.Store(0)
		if _, err := s.db.View(ctx, "t", ids, hours); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, _ := s.db.QueryRows(); got != want {
			t.Errorf("%s: %d rows are charged, want %d", name, got, want)
		}
		s.db.queryRows--
		if _, err := s.db.View(ctx, "t", ids, hours); !errors.Is(err, ErrTooManyRows) {
			t.Errorf("%s, with room for a row less: %v", name, err)
		}
	}
	view("rollups", 2*days*24)
	labels := labelsOf(2)
	at := yearStart + 3*model.Day + model.Day/2
	batch := &model.Batch{Tenant: "t", Columns: []model.Column{{Labels: labels[0], Times: []int64{at}, Values: []float64{7}}}}
	_, err := s.db.Append(ctx, batch)
	must(t, err)
	rows := uint64(0) // of the chunks in which the corrected hour may be
	snapshot, err := s.db.snapshot(ctx, s.db.tenants["t"], ids[:1], model.Span{From: at, To: at + 3600e9})
	must(t, err)
	for i := range snapshot.blocks {
		for j := range snapshot.blocks[i].chunks {
			rows += snapshot.blocks[i].chunks[j].Ref.Summary.Rows()
		}
	}
	snapshot.close()
	view("rollups and the rows behind a correction", 2*days*24+rows)
	must(t, s.db.Close())
}
