package tenants

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const grace = 31 * 24 * time.Hour

// scene walks a life through what is charged at which time.
type scene struct {
	*testing.T
	a    Agreement
	life Life
	now  time.Time
}

func newScene(t *testing.T, over OverQuota) *scene {
	return &scene{t, Agreement{Quota: 1000, Over: over, Grace: grace}, Life{}, noon}
}

// at steps to a time after noon and checks the state and what is told.
func (s *scene) at(after time.Duration, used uint64, state State, kinds ...Kind) []Notice {
	s.Helper()
	next, notices := s.life.Step(s.a, used, noon.Add(after))
	var told []Kind
	for _, n := range notices {
		told = append(told, n.Kind)
	}
	got := next.State
	if got == "" {
		got = StateOK
	}
	if got != state || !slices.Equal(told, kinds) {
		s.Fatalf("%d bytes after %v: %s and %v, want %s and %v", used, after, got, told, state, kinds)
	}
	s.life, s.now = next, noon.Add(after)
	return notices
}

func TestLowIsStrictAndArmsAgainAtTwelvePerCent(t *testing.T) {
	s := newScene(t, "")
	s.at(0, 900, StateOK) // exactly a tenth is left
	s.at(1, 901, StateLow, KindCapacityLow)
	s.at(2, 950, StateLow) // told once
	s.at(3, 881, StateLow) // 11.9 % left: neither low nor armed
	s.at(4, 905, StateLow) // not armed: not told
	s.at(5, 880, StateOK)  // exactly 12 %
	s.at(6, 901, StateLow, KindCapacityLow)
	s.at(7, 1000, StateLow) // full is not over
	s.at(8, 0, StateOK)
}

func TestOverDeletesTheOldestAtItsDeadline(t *testing.T) {
	s := newScene(t, "")
	told := s.at(0, 1001, StateOver, KindOverQuota)
	if d := told[0].Detail; !d.Deadline.Equal(noon.Add(grace)) || d.Used != 1001 || d.Quota != 1000 || d.Policy != DeleteOldest {
		t.Errorf("told %+v", d)
	}
	s.at(time.Hour, 1050, StateOver)
	s.at(grace-1, 1050, StateOver)
	if s.life.Deleting != nil {
		t.Error("deletes before its deadline")
	}
	s.at(grace, 1050, StateOver, KindOverQuotaDeadline)
	if s.life.Deleting == nil || s.life.Deleting.Used != 1050 {
		t.Errorf("deleting %+v", s.life.Deleting)
	}
	s.at(grace+1, 1020, StateOver) // part of it is deleted; the process may restart here
	told = s.at(grace+2, 980, StateLow, KindDeleted)
	if told[0].Detail.Bytes != 70 {
		t.Errorf("told %+v", told[0].Detail)
	}
	s.at(grace+3, 1001, StateOver, KindOverQuota) // a new deadline
	if !s.life.Deadline.Equal(noon.Add(2*grace + 3)) {
		t.Errorf("the deadline is %v", s.life.Deadline)
	}
}

func TestWhatFitsBeforeTheDeadlineIsKept(t *testing.T) {
	s := newScene(t, DeleteAll)
	s.at(0, 2000, StateOver, KindOverQuota)
	s.at(grace-1, 1000, StateLow)
	s.at(grace+1, 1000, StateLow)
	if s.life.Deleting != nil || !s.life.Deadline.IsZero() {
		t.Errorf("still %+v", s.life)
	}
}

// TestAClockThatIsSetBackTakesBackWhatWasDue checks that nothing goes on
// because the clock was wrong for a while.
func TestAClockThatIsSetBackTakesBackWhatWasDue(t *testing.T) {
	s := newScene(t, DeleteAll)
	s.at(0, 2000, StateOver, KindOverQuota)
	s.at(2*grace, 2000, StateOver, KindOverQuotaDeadline)
	s.at(time.Hour, 2000, StateOver)
	if s.life.Deleting != nil {
		t.Error("deletes before its deadline")
	}
	s = newScene(t, FreezeWrites)
	s.at(0, 1050, StateOver, KindOverQuota)
	s.at(2*grace, 1050, StateOver, KindOverQuotaDeadline)
	s.at(time.Hour, 1050, StateOver)
	if s.life.Refuses(s.a, 1050) {
		t.Error("refuses writes before its deadline")
	}
}

func TestDeleteAll(t *testing.T) {
	s := newScene(t, DeleteAll)
	s.at(0, 2000, StateOver, KindOverQuota)
	told := s.at(grace, 2000, StateOver, KindOverQuotaDeadline)
	if told[0].Detail.Policy != DeleteAll {
		t.Errorf("told %+v", told[0].Detail)
	}
	told = s.at(grace+1, 0, StateOK, KindDeleted)
	if told[0].Detail.Bytes != 2000 {
		t.Errorf("told %+v", told[0].Detail)
	}
}

func TestFreezeDeletesNothing(t *testing.T) {
	s := newScene(t, FreezeWrites)
	s.at(0, 1001, StateOver, KindOverQuota)
	if s.life.Refuses(s.a, 1001) {
		t.Error("refuses writes within the days of grace")
	}
	s.at(grace, 1001, StateOver, KindOverQuotaDeadline)
	s.at(grace+1, 1001, StateOver)
	if s.life.Deleting != nil || !s.life.Refuses(s.a, 1001) {
		t.Errorf("%+v", s.life)
	}
	s.at(grace+2, 1000, StateLow)
	if s.life.Refuses(s.a, 1000) {
		t.Error("refuses writes though it fits again")
	}
}

func TestTheCeilingHoldsWhateverIsAgreed(t *testing.T) {
	for _, over := range []OverQuota{"", DeleteAll, FreezeWrites} {
		a := Agreement{Quota: 1000, Over: over, Grace: grace}
		if (Life{}).Refuses(a, 1099) || !(Life{}).Refuses(a, 1100) {
			t.Errorf("%s: the ceiling is not at 1100", over)
		}
		a.Ceiling = 150
		if (Life{}).Refuses(a, 1499) || !(Life{}).Refuses(a, 1500) {
			t.Errorf("%s: the ceiling is not at 1500", over)
		}
	}
	if (Life{}).Refuses(Agreement{}, math.MaxUint64) {
		t.Error("no quota refuses")
	}
}

func TestARaisedQuotaOrAnotherPolicyStopsTheDeletion(t *testing.T) {
	s := newScene(t, DeleteOldest)
	s.at(0, 2000, StateOver, KindOverQuota)
	s.at(grace, 2000, StateOver, KindOverQuotaDeadline)
	s.a.Over = FreezeWrites
	s.at(grace+1, 1900, StateOver, KindDeleted, KindOverQuotaDeadline) // what went is told
	if s.life.Deleting != nil || !s.life.Frozen {
		t.Errorf("%+v", s.life)
	}
	s.a.Over = DeleteAll
	s.at(grace+2, 1900, StateOver)
	if s.life.Frozen || s.life.Deleting == nil {
		t.Errorf("%+v", s.life)
	}
	s.a.Quota = 5000
	s.at(grace+3, 1900, StateOK)
	s.a.Quota = 0
	s.at(grace+4, 1900, StateOK)
}

// TestLifeHolds walks random lives: what must hold of every one of them.
func TestLifeHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Agreement{
			Quota: rapid.SampledFrom([]uint64{0, 1, 9, 10, 15, 99, 1000, 5_000_000_000, math.MaxUint64}).Draw(t, "quota"),
			Over:  rapid.SampledFrom([]OverQuota{"", DeleteOldest, DeleteAll, FreezeWrites}).Draw(t, "over"), Grace: grace,
		}
		var l Life
		now, overSince := noon, time.Time{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*24*time.Hour)).Draw(t, "later")))
			percent := rapid.Uint64Range(0, 130).Draw(t, "percent")
			used := share(percent, a.Quota)
			next, notices := l.Step(a, used, now)
			over := a.Quota > 0 && used > a.Quota
			if over != (next.State == StateOver) || over == next.Deadline.IsZero() {
				t.Fatalf("%d of %d: %+v", used, a.Quota, next)
			}
			if !over {
				overSince = time.Time{}
			} else if overSince.IsZero() {
				overSince = now
			}
			if (next.Deleting != nil || next.Frozen) != (over && !now.Before(overSince.Add(grace))) {
				t.Fatalf("over since %v, at %v: %+v", overSince, now, next)
			}
			if again, more := next.Step(a, used, now); again.State != next.State || len(more) > 0 {
				t.Fatalf("the same again: %+v %+v, then %+v", next, again, more)
			}
			if at := next.NextCheck(a, used); at != ^uint64(0) && at > used+1 {
				if quiet, told := next.Step(a, at-1, now); len(told) > 0 && at-1 >= used || quiet.Refuses(a, at-1) != next.Refuses(a, used) {
					t.Fatalf("%d of %d: nothing until %d, but at %d %v", used, a.Quota, at, at-1, told)
				}
			}
			_ = notices
			l = next
		}
	})
}

func TestSharesAreExact(t *testing.T) {
	for _, c := range []struct {
		part, percent, whole uint64
		less                 bool
	}{
		{99, 10, 1000, true}, {100, 10, 1000, false}, {0, 10, 1, true}, {1, 10, 10, false}, {1, 10, 9, false}, {0, 10, 9, true},
		{math.MaxUint64, 100, math.MaxUint64, false}, {math.MaxUint64 - 1, 100, math.MaxUint64, true},
		{math.MaxUint64 / 10, 10, math.MaxUint64, true}, {math.MaxUint64/10 + 1, 10, math.MaxUint64, false},
	} {
		if less(c.part, c.percent, c.whole) != c.less {
			t.Errorf("%d < %d %% of %d: want %v", c.part, c.percent, c.whole, c.less)
		}
	}
}
