package engine

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// keeping returns rules that hold for a whole tenant: how long raw rows are
// kept, and rollups of an hour if that is said.
func keeping(t *testing.T, raw, hours string) policy.Rules {
	t.Helper()
	rule := policy.Rule{Scope: policy.ScopeTenant}
	keep, err := policy.ParseKeep(raw)
	must(t, err)
	rule.Keep[model.StepRaw] = &keep
	if hours != "" {
		longer, err := policy.ParseKeep(hours)
		must(t, err)
		rule.Keep[model.StepHour] = &longer
	}
	return policy.Rules{rule}
}

// aMonthAgo opens a database with a month of minutes of 8 channels, at rest.
func aMonthAgo(t *testing.T, fs *vfs.MemFS) *slow {
	t.Helper()
	s := openSlow(t, fs, yearStart+monthMinutes*minuteOf)
	fillMinutes(t, s.db, mixed(8), monthMinutes)
	s.pass(model.Day)
	s.pass(8 * model.Day)
	wantFiles(t, s.db, "month 2025-01-01")
	return s
}

func (s *slow) blockBytes() (bytes uint64) {
	for _, m := range s.db.tenants["t"].blocks {
		bytes += m.Bytes
	}
	return bytes
}

// rowsFrom checks that channel 1 has every minute of the month from a time on.
func (s *slow) rowsFrom(from int64) {
	s.t.Helper()
	rows := map[int64]float64{}
	must(s.t.(*testing.T), readAll(s.db, 1, rows))
	want := 0
	for i := range int64(monthMinutes) {
		if at := yearStart + i*minuteOf; at >= from {
			want++
			if _, ok := rows[at]; !ok {
				s.t.Fatalf("minute %d is missing", i)
			}
		}
	}
	if len(rows) != want {
		s.t.Fatalf("%d rows, not %d", len(rows), want)
	}
}

func TestExpiredRowsLeaveTheDisk(t *testing.T) {
	s := aMonthAgo(t, vfs.NewMem())
	before := s.blockBytes()
	must(t, s.db.SetRetention(context.Background(), "t", keeping(t, "30d", "")))
	smallest := before
	for len(s.db.tenants["t"].blocks) > 0 {
		s.rowsFrom(s.now - 30*model.Day)
		s.db.compactor.touch(s.db.tenants["t"])
		s.pass(model.Day)
		if n := s.blockBytes(); n > 0 {
			smallest = min(smallest, n)
		}
		if s.now > yearStart+70*model.Day {
			t.Fatal("the block stays for ever")
		}
	}
	if s.now < yearStart+59*model.Day {
		t.Errorf("all is gone after %d days", (s.now-yearStart)/model.Day)
	}
	if smallest > before/4 {
		t.Errorf("of %d bytes %d stayed until all went", before, smallest)
	}
	if faults, _ := s.db.Faults(); len(faults) > 0 {
		t.Error(faults)
	}
	must(t, s.db.Close())
}

// TestRollupsOutliveRawRows: views of whole hours are the same before and after
// the rows have gone, and after the block was written again.
func TestRollupsOutliveRawRows(t *testing.T) {
	fs := vfs.NewMem()
	s := aMonthAgo(t, fs)
	ctx := context.Background()
	must(t, s.db.SetRetention(ctx, "t", keeping(t, "20d", "forever")))
	ids := []model.ChannelID{1, 2, 3, 4, 5, 6, 7, 8}
	buckets, err := model.PlanBuckets(model.Span{From: yearStart, To: yearStart + 30*model.Day}, 30*12)
	must(t, err)
	want, err := s.db.Aggregate(ctx, "t", ids, buckets)
	must(t, err)
	same := func(when string) {
		t.Helper()
		got, err := s.db.Aggregate(ctx, "t", ids, buckets)
		must(t, err)
		for c := range want {
			for i := range want[c] {
				w, g := want[c][i], got[c][i]
				if w.Count != g.Count || w.Min != g.Min || w.Max != g.Max || w.First != g.First || w.Last != g.Last ||
					w.FirstTime != g.FirstTime || w.LastTime != g.LastTime || w.Quality != g.Quality {
					t.Fatalf("%s: channel %d, bucket %d is %+v, was %+v", when, c+1, i, g, w)
				}
			}
		}
	}
	s.db.compactor.touch(s.db.tenants["t"])
	s.pass(30 * model.Day)
	m := s.db.tenants["t"].blocks
	if len(m) != 1 || m[0].Rows != 0 || m[0].RollupsAlone != 8 || m[0].RollupRows != 8*720 {
		t.Fatalf("blocks are %+v", m)
	}
	same("when raw rows are gone")
	must(t, s.db.Close())
	s = openSlow(t, fs, s.now)
	same("opened again")
	_, err = s.db.DeleteRows(ctx, "t", ids[:1], model.Span{From: yearStart, To: yearStart + 1})
	must(t, err)
	s.db.compactor.touch(s.db.tenants["t"])
	s.pass(model.Day)
	s.db.compactor.touch(s.db.tenants["t"])
	s.pass(8 * model.Day)
	m = s.db.tenants["t"].blocks
	if len(m) != 1 || m[0].RollupRows != 8*720-1 || len(s.db.tenants["t"].tombstones) != 0 {
		t.Fatalf("after a deletion blocks are %+v, tombstones %v", m, s.db.tenants["t"].tombstones)
	}
	want[0][0] = model.Aggregate{}
	got, err := s.db.Aggregate(ctx, "t", ids[:1], buckets)
	must(t, err)
	if n := got[0][0].Count; n != 60 {
		t.Errorf("%d rows are left of two hours of which one was cut", n)
	}
	must(t, s.db.SetRetention(ctx, "t", keeping(t, "20d", "40d")))
	s.db.compactor.touch(s.db.tenants["t"])
	s.pass(40 * model.Day)
	if m := s.db.tenants["t"].blocks; len(m) != 0 {
		t.Errorf("blocks are %+v", m)
	}
	if faults, _ := s.db.Faults(); len(faults) > 0 {
		t.Error(faults)
	}
	must(t, s.db.Close())
}

// TestDeletionsFreeSpace: a large one at once, a small one in time, and one
// that hides nothing keeps no tombstone.
func TestDeletionsFreeSpace(t *testing.T) {
	fs := vfs.NewMem()
	s := aMonthAgo(t, fs)
	ctx := context.Background()
	before := s.blockBytes()
	_, err := s.db.DeleteRows(ctx, "t", nil, model.Span{From: yearStart, To: yearStart + 15*model.Day})
	must(t, err)
	s.db.compactor.touch(s.db.tenants["t"])
	s.pass(0)
	half := s.blockBytes()
	if half > before*6/10 || len(s.db.tenants["t"].tombstones) != 0 {
		t.Errorf("%d bytes of %d, tombstones %v", half, before, s.db.tenants["t"].tombstones)
	}
	s.rowsFrom(yearStart + 15*model.Day)
	_, err = s.db.DeleteRows(ctx, "t", []model.ChannelID{2}, model.Span{From: yearStart + 20*model.Day, To: yearStart + 21*model.Day})
	must(t, err)
	s.db.compactor.touch(s.db.tenants["t"])
	s.pass(model.Day)
	if s.blockBytes() != half {
		t.Error("a block is written again at once for a day of one channel")
	}
	s.pass(8 * model.Day)
	if s.blockBytes() >= half || len(s.db.tenants["t"].tombstones) != 0 {
		t.Errorf("%d bytes of %d, tombstones %v", s.blockBytes(), half, s.db.tenants["t"].tombstones)
	}
	name := s.db.tenants["t"].blocks[0].Name
	_, err = s.db.DeleteRows(ctx, "t", []model.ChannelID{2}, model.Span{From: yearStart + 20*model.Day, To: yearStart + 21*model.Day})
	must(t, err)
	s.db.compactor.touch(s.db.tenants["t"])
	s.pass(0)
	if s.db.tenants["t"].blocks[0].Name != name || len(s.db.tenants["t"].tombstones) != 0 {
		t.Errorf("a deletion of nothing: tombstones %v", s.db.tenants["t"].tombstones)
	}
	must(t, s.db.Close())
	s = openSlow(t, fs, s.now)
	if faults, _ := s.db.Faults(); len(faults) > 0 || len(s.db.tenants["t"].tombstones) != 0 {
		t.Error(faults, s.db.tenants["t"].tombstones)
	}
	s.rowsFrom(yearStart + 15*model.Day)
	must(t, s.db.Close())
}

// TestSmallDeletionsFreeSpaceThoughRestarted: a database that is opened again
// every day, as on a machine that is switched off at night, frees what a small
// deletion hides all the same.
func TestSmallDeletionsFreeSpaceThoughRestarted(t *testing.T) {
	fs := vfs.NewMem()
	s := aMonthAgo(t, fs)
	_, err := s.db.DeleteRows(context.Background(), "t", []model.ChannelID{2}, model.Span{From: yearStart + 20*model.Day, To: yearStart + 21*model.Day})
	must(t, err)
	for range 10 {
		s.db.compactor.touch(s.db.tenants["t"])
		s.pass(model.Day)
		must(t, s.db.Close())
		s = openSlow(t, fs, s.now)
	}
	if n := len(s.db.tenants["t"].tombstones); n > 0 {
		t.Errorf("after ten days %d tombstones are left", n)
	}
	must(t, s.db.Close())
}
