package query

import (
	"errors"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/model"
)

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	f := func(text string, want int64) {
		t.Helper()
		if got, err := ParseTime(text, now); err != nil || got != want {
			t.Errorf("%s is %d (%v), want %d", text, got, err, want)
		}
	}
	f("now", now.UnixNano())
	f("now-30d", now.Add(-30*24*time.Hour).UnixNano())
	f("now-1h", now.Add(-time.Hour).UnixNano())
	f("now-5m", now.Add(-5*time.Minute).UnixNano())
	f("now-2s", now.Add(-2*time.Second).UnixNano())
	f("now-3ms", now.Add(-3*time.Millisecond).UnixNano())
	f("now-4us", now.Add(-4*time.Microsecond).UnixNano())
	f("now-7ns", now.UnixNano()-7)
	f("1780000000000000001", 1780000000000000001)
	f("-1", -1)
	f("2022-06-06T18:43:33-04:00", time.Date(2022, 6, 6, 22, 43, 33, 0, time.UTC).UnixNano())
	f("2022-06-06T22:43:33.000000001Z", time.Date(2022, 6, 6, 22, 43, 33, 1, time.UTC).UnixNano())
	f("1678-01-01T00:00:00Z", model.MinTime)
	f("2262-01-01T00:00:00Z", model.MaxTime)
}

func TestParseTimeRefuses(t *testing.T) {
	for _, text := range []string{"", "yesterday", "2022-06-06", "2022-06-06T18:43:33", "2022-06-06 18:43:33Z",
		"2022-06-06T8:43:33Z", "2022-13-06T18:43:33Z", "now-", "now+1h", "now-1", "now-1w", "now-1h30m", "now--1h",
		"now-999999d", "now-99999999999999999999d", "now-9223372036854775807ns", "1677-12-31T23:59:59Z", "2262-01-01T00:00:01Z",
		"9999-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9223372036854775807", "99999999999999999999", "1.5", "1e18"} {
		if _, err := ParseTime(text, time.Unix(0, 0)); !errors.Is(err, ErrBadTime) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := ParseTime(strings.Repeat("x", 1e5), time.Unix(0, 0)); len(err.Error()) > 300 {
		t.Errorf("the refusal of a long text has %d bytes", len(err.Error()))
	}
}

func FuzzParseTime(f *testing.F) {
	f.Add("now-30d")
	f.Add("2022-06-06T18:43:33-04:00")
	f.Add("-1")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseTime(text, time.Unix(1780000000, 0))
		if err == nil && (got < model.MinTime || got > model.MaxTime) {
			t.Fatalf("%q is %d", text, got)
		}
	})
}

func TestUnitsRoundDown(t *testing.T) {
	f := func(name string, at, want int64) {
		t.Helper()
		u, err := ParseUnit(name)
		if err != nil || u.Floor(at) != want {
			t.Errorf("%d in %q is %d (%v), want %d", at, name, u.Floor(at), err, want)
		}
	}
	f("", 1999999, 1)
	f("ms", -1, -1)
	f("ms", -1000000, -1)
	f("ms", -1000001, -2)
	f("s", 1999999999, 1)
	f("s", -1999999999, -2)
	f("us", -999, -1)
	f("ns", -7, -7)
	f("s", model.MinTime, model.MinTime/1e9)
	if _, err := ParseUnit("min"); !errors.Is(err, ErrBadTime) {
		t.Errorf("unit min: %v", err)
	}
}

func TestParseZone(t *testing.T) {
	for _, name := range []string{"", "UTC", "Asia/Shanghai", "America/Port_of_Spain"} {
		if _, err := ParseZone(name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"Local", "Nowhere/Land", "../../etc/passwd", "JST", "+8", "+25:00", "+08:60"} {
		if _, err := ParseZone(name); !errors.Is(err, ErrBadTime) || !strings.Contains(err.Error(), "+09:00") {
			t.Errorf("%q: %v", name, err)
		}
	}
	for name, want := range map[string]int{"+09:00": 9 * 3600, "-03:30": -12600} {
		zone, err := ParseZone(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, offset := time.Unix(0, 0).In(zone).Zone(); offset != want || got != name {
			t.Errorf("%q: %s, %d", name, got, offset)
		}
	}
}

// wantTime formats by the standard library, with offsets of whole minutes.
func wantTime(t int64, zone *time.Location) string {
	at := time.Unix(0, t).In(zone)
	_, seconds := at.Zone()
	return at.In(time.FixedZone("", seconds/60*60)).Format(time.RFC3339Nano)
}

func TestTimesAreRFC3339InTheZone(t *testing.T) {
	names := []string{"UTC", "Asia/Shanghai", "America/Port_of_Spain", "Europe/London", "America/New_York",
		"Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Africa/Monrovia", "Pacific/Apia"}
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom(names).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		f := NewTimeFormatter(zone)
		at := rapid.Int64Range(model.MinTime, model.MaxTime).Draw(t, "start")
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			got := string(f.Append(nil, at))
			if want := wantTime(at, zone); got != want {
				t.Fatalf("%d is written %s, want %s", at, got, want)
			}
			if back, err := ParseTime(got, time.Time{}); err != nil || back != at {
				t.Fatalf("%s reads back as %d (%v), want %d", got, back, err, at)
			}
			step := rapid.SampledFrom([]int64{1, 1e5, 1e9, 60e9, 3600e9, model.Day, 30 * model.Day, -3600e9}).Draw(t, "step")
			at = min(max(at+step, model.MinTime), model.MaxTime)
		}
	})
}

func TestTimesAcrossAClockChange(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	f := NewTimeFormatter(zone)
	start := time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC).UnixNano()
	for i, want := range []string{"2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"} {
		if got := string(f.Append(nil, start+int64(i)*3600e9)); got != want {
			t.Errorf("hour %d is %s, want %s", i, got, want)
		}
	}
}

func BenchmarkTimeFormatter(b *testing.B) {
	f := NewTimeFormatter(time.FixedZone("", 8*3600))
	var buffer []byte
	for i := 0; i < b.N; i++ {
		buffer = f.Append(buffer[:0], 1780000000e9+int64(i)*60e9)
	}
}
