package engine

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// hoursOf returns the hours of channels of the month.
func (s *slow) hoursOf(ids []model.ChannelID) [][]model.Aggregate {
	s.t.Helper()
	buckets, err := model.PlanBuckets(model.Span{From: yearStart, To: yearStart + 30*model.Day}, 30*12)
	must(s.t.(*testing.T), err)
	got, err := s.db.Aggregate(context.Background(), "t", ids, buckets)
	must(s.t.(*testing.T), err)
	return got
}

func sameHours(t *testing.T, when string, got, want [][]model.Aggregate) {
	t.Helper()
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

// correct writes rows of the past again, in the middle of hours.
func (s *slow) correct(id int, from, rows int64, flush bool) {
	s.t.Helper()
	b := &model.Batch{Tenant: "t", Columns: []model.Column{{Labels: labelsOf(id)[id-1]}}}
	c := &b.Columns[0]
	for i := range rows {
		c.Times, c.Values = append(c.Times, from+(5+7*i)*minuteOf), append(c.Values, float64(100+i))
	}
	_, err := s.db.Append(context.Background(), b)
	must(s.t.(*testing.T), err)
	if flush {
		must(s.t.(*testing.T), s.db.Flush(context.Background()))
	}
}

// TestCorrectionsExpireWithWhatTheyCorrect: rows of the past that were written
// again, and are still apart from those when all have expired, count once in the
// rollups that outlive them.
func TestCorrectionsExpireWithWhatTheyCorrect(t *testing.T) {
	ctx := context.Background()
	ids := []model.ChannelID{1, 2, 3, 4, 5, 6, 7, 8}
	for _, flushed := range []bool{true, false} {
		fs := vfs.NewMem()
		s := aMonthAgo(t, fs)
		must(t, s.db.SetRetention(ctx, "t", keeping(t, "40d", "forever")))
		s.correct(1, yearStart+3*model.Day, 5, flushed)
		s.correct(2, yearStart+25*model.Day, 50, flushed)
		want := s.hoursOf(ids)
		for range 40 {
			s.db.compactor.touch(s.db.tenants["t"])
			s.now += model.Day
			s.db.compactDue(ctx, nil)
			sameHours(t, "on the way", s.hoursOf(ids), want)
		}
		s.pass(0)
		for range 3 {
			s.db.compactor.touch(s.db.tenants["t"])
			s.pass(model.Day)
		}
		sameHours(t, "when raw rows are gone", s.hoursOf(ids), want)
		for _, m := range s.db.tenants["t"].blocks {
			if m.Rows != 0 {
				t.Errorf("flushed %v: blocks still have raw rows: %+v", flushed, m)
			}
		}
		if faults, _ := s.db.Faults(); len(faults) > 0 {
			t.Error(faults)
		}
		must(t, s.db.Close())
	}
}

// TestChannelsThatExpireOneByOne: some channels keep their rows for less time
// than others, which get corrections when those of the first have become rollups
// already; the first get rows of days that have not expired. The blocks are
// merged in many parts, so that one channel's rows are in several.
func TestChannelsThatExpireOneByOne(t *testing.T) {
	ctx := context.Background()
	ids := []model.ChannelID{1, 2, 3, 4, 5, 6, 7, 8}
	for _, bytes := range []int64{2000, partBytes} {
		fs := vfs.NewMem()
		s := aMonthAgo(t, fs)
		s.db.compactor.bytes = bytes
		rules := keeping(t, "45d", "forever")
		shorter := keeping(t, "20d", "forever")[0]
		shorter.Scope = policy.ScopeChannel
		for i := range 6 {
			shorter.Match = labelsOf(8)[i].String()
			rules = append(rules, shorter)
		}
		must(t, s.db.SetRetention(ctx, "t", rules))
		step := func(days int) {
			t.Helper()
			want := s.hoursOf(ids)
			for range days {
				s.db.compactor.touch(s.db.tenants["t"])
				s.pass(model.Day)
				sameHours(t, "on the way", s.hoursOf(ids), want)
			}
		}
		s.correct(1, yearStart+27*model.Day, 50, true)
		step(8)
		s.correct(7, yearStart+10*model.Day, 50, true)
		s.correct(2, yearStart+29*model.Day, 50, true)
		step(25)
		must(t, s.db.Compact(ctx))
		s.correct(8, yearStart+29*model.Day, 5, true)
		step(25)
		for _, m := range s.db.tenants["t"].blocks {
			if m.Rows != 0 {
				t.Errorf("parts of %d bytes: a block has raw rows: %+v", bytes, m)
			}
		}
		want := s.hoursOf(ids)
		_, err := s.db.DeleteRows(ctx, "t", ids[2:3], model.AllTime())
		must(t, err)
		want[2] = make([]model.Aggregate, len(want[2]))
		sameHours(t, "after a deletion", s.hoursOf(ids), want)
		must(t, s.db.Compact(ctx))
		sameHours(t, "after it was heeded", s.hoursOf(ids), want)
		if n := len(s.db.tenants["t"].tombstones); n > 0 {
			t.Errorf("%d tombstones are left", n)
		}
		if faults, _ := s.db.Faults(); len(faults) > 0 {
			t.Error(faults)
		}
		must(t, s.db.Close())
		s = openSlow(t, fs, s.now)
		sameHours(t, "opened again", s.hoursOf(ids), want)
		must(t, s.db.Close())
	}
}
