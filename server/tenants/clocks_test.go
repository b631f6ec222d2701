package tenants

import (
	"testing"
	"time"
)

func TestSchedules(t *testing.T) {
	date := func(year int, month time.Month, day int) time.Time {
		return time.Date(year, month, day, 12, 0, 0, 0, time.UTC)
	}
	made := date(2026, 1, 1)
	end := date(2026, 3, 1)
	lapse := made.Add(93 * 24 * time.Hour)
	for _, c := range []struct {
		name   string
		plan   string
		ends   time.Time
		ending Ending
		want   Schedule
	}{
		{"nothing agreed", "", time.Time{}, "", Schedule{}},
		{"a plan without an end", "pro", time.Time{}, "", Schedule{}},
		{"a trial", PlanTrial, time.Time{}, "", Schedule{Closes: lapse, Delete: lapse, Copies: lapse, Reason: ReasonTrial}},
		{"a contract that is kept", "pro", end, "", Schedule{}},
		{"a contract that becomes free", "pro", end, EndingFree, Schedule{Change: end, Plan: PlanFree}},
		{"deleted at the end", "pro", end, EndingAtOnce,
			Schedule{Closes: end, Frozen: end, Delete: end, Copies: end, Reason: ReasonContract}},
		{"deleted within thirty days", "pro", end, Ending30,
			Schedule{Closes: date(2026, 3, 31), Frozen: end, Delete: date(2026, 3, 31), Copies: date(2026, 4, 14), Reason: ReasonContract}},
		{"deleted after sixty days", "pro", end, Ending60,
			Schedule{Closes: date(2026, 4, 30), Frozen: end, Delete: date(2026, 4, 30), Copies: date(2026, 4, 30), Reason: ReasonContract}},
		{"a trial that ends before it lapses", PlanTrial, end, EndingAtOnce,
			Schedule{Closes: end, Frozen: end, Delete: end, Copies: end, Reason: ReasonContract}},
		{"a trial that lapses before its contract is deleted", PlanTrial, end, Ending60,
			Schedule{Closes: lapse, Frozen: end, Delete: lapse, Copies: lapse, Reason: ReasonTrial}},
		{"a trial that becomes free in time", PlanTrial, end, EndingFree, Schedule{Change: end, Plan: PlanFree}},
		{"a trial that would become free too late", PlanTrial, date(2027, 1, 1), EndingFree,
			Schedule{Closes: lapse, Delete: lapse, Copies: lapse, Reason: ReasonTrial}},
	} {
		if got := DefaultClocks().Schedule(c.plan, made, c.ends, c.ending); got != c.want {
			t.Errorf("%s:\n%+v, want\n%+v", c.name, got, c.want)
		}
	}
	if lapse != date(2026, 4, 4) {
		t.Errorf("a trial of January 1st lapses on %v", lapse)
	}
}

func TestDueIsTheInstantItself(t *testing.T) {
	if due(time.Time{}, noon) || due(noon, noon.Add(-1)) || !due(noon, noon) || !due(noon, noon.Add(1)) {
		t.Error("a time is due from its instant on, and no time never")
	}
}

func TestForecast(t *testing.T) {
	today := dayOf(noon)
	daily := map[int64]uint64{}
	for day := today - 10; day <= today; day++ {
		daily[day] = 100
	}
	daily[today-400] = 1_000_000 // long ago
	if got, want := Forecast(daily, 500, 1500, noon), noon.Add(10*24*time.Hour); !got.Equal(want) {
		t.Errorf("full at %v, want %v", got, want)
	}
	if got := Forecast(daily, 1500, 1500, noon); !got.Equal(noon) {
		t.Errorf("a full quota is full at %v", got)
	}
	for name, got := range map[string]time.Time{
		"no quota":      Forecast(daily, 500, 0, noon),
		"no growth":     Forecast(map[int64]uint64{today - 400: 7}, 500, 1500, noon),
		"only today":    Forecast(map[int64]uint64{today: 7}, 500, 1500, noon),
		"in a far time": Forecast(map[int64]uint64{today - 1: 1}, 0, 1<<62, noon),
	} {
		if !got.IsZero() {
			t.Errorf("%s: full at %v", name, got)
		}
	}
	if dayOf(time.Unix(-1, 0)) != -1 || dayOf(time.Unix(0, 0)) != 0 || dayOf(time.Unix(86400, 0)) != 1 {
		t.Error("days are wrong")
	}
}
