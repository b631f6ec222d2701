package tenants_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/auth"
	"github.com/hokan-db/hokan/server/tenants"
)

// BenchmarkSweep looks at 10,000 tenants, of which a
// quarter each has a plan, when nothing is due.
func BenchmarkSweep(b *testing.B) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	db, err := engine.Open(engine.Options{FS: vfs.NewMem(), Dir: "data", Clock: clock, Manual: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	tokens, err := auth.Open(db, clock)
	if err != nil {
		b.Fatal(err)
	}
	store, err := tenants.Open(db, clock, tokens)
	if err != nil {
		b.Fatal(err)
	}
	labels, err := model.NewLabels(model.Label{Name: "instrument", Value: "i"}, model.Label{Name: "channel", Value: "c"})
	if err != nil {
		b.Fatal(err)
	}
	plans := []string{"", tenants.PlanTrial, tenants.PlanFree, "pro"}
	for i := range 10_000 {
		t := model.Tenant(fmt.Sprintf("t%05d", i))
		if _, err := store.Put(b.Context(), t, tenants.Terms{Plan: plans[i%len(plans)]}); err != nil {
			b.Fatal(err)
		}
		batch := &model.Batch{Tenant: t, Columns: []model.Column{{Labels: labels, Times: []int64{now.UnixNano()}, Values: []float64{1}}}}
		if _, err := db.Append(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := store.Sweep(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
