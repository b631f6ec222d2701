package text

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"pgregory.net/rapid"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestStart(t *testing.T) {
	for _, test := range []struct{ text, zone, want string }{
		{"'22-06-06 18:43:33", "America/Port_of_Spain", "2022-06-06T22:43:33Z"},
		{"25-05-16 13:06:33", "Asia/Tokyo", "2025-05-16T04:06:33Z"},
		{"26-05-27 10:09:11.772", "Asia/Tokyo", "2026-05-27T01:09:11.772Z"},
		{"2026-05-27 10:09:11,5", "Asia/Tokyo", "2026-05-27T01:09:11.5Z"},
		{"2026/05/27 10:09:11", "UTC", "2026-05-27T10:09:11Z"},
		{" 99-12-31 23:59:59 ", "UTC", "2099-12-31T23:59:59Z"},
		{"2024-10-27 02:30:00+01:00", "Europe/Berlin", "2024-10-27T01:30:00Z"},
		{"2024-10-27 02:30:00+02:00", "Europe/Berlin", "2024-10-27T00:30:00Z"},
		{"2024-10-27T02:30:00Z", "Europe/Berlin", "2024-10-27T02:30:00Z"},
		{"2024-10-27 01:59:59", "Europe/Berlin", "2024-10-26T23:59:59Z"},
		{"2024-10-27 03:00:00", "Europe/Berlin", "2024-10-27T02:00:00Z"},
		{"2024-03-31 03:00:00", "Europe/Berlin", "2024-03-31T01:00:00Z"},
		{"2011-12-31 00:00:00", "Pacific/Apia", "2011-12-30T10:00:00Z"},
		{"1700-01-01 00:00:00", "UTC", "1700-01-01T00:00:00Z"},
	} {
		c, err := parseCivil(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		got, err := c.instant(zone(t, test.zone))
		if err != nil || got != at8(test.want) {
			t.Errorf("%q in %s: %v %v", test.text, test.zone, time.Unix(0, got).UTC(), err)
		}
	}
}

func TestBadStart(t *testing.T) {
	for _, test := range []struct{ text, zone, contains string }{
		{"2024-10-27 02:30:00", "Europe/Berlin", "twice: give --start with an offset, such as '2024-10-27 02:30:00+02:00'"},
		{"2024-03-31 02:30:00", "Europe/Berlin", "set forward"},
		{"2011-12-30 12:00:00", "Pacific/Apia", "set forward"},
		{"2262-01-01 00:00:00", "UTC", "1678"},
		{"1677-12-31 23:59:59", "UTC", "1678"},
		{"9999-12-31 23:59:59", "UTC", "1678"},
	} {
		c, err := parseCivil(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if got, err := c.instant(zone(t, test.zone)); err == nil || !strings.Contains(err.Error(), test.contains) {
			t.Errorf("%q: %d %v", test.text, got, err)
		}
	}
	for _, text := range []string{"", "'", "2024", "2024-1-2 03:04:05", "2024-01-02", "2024-01-02 03:04", "2024-13-02 03:04:05",
		"2024-02-30 03:04:05", "2024-01-02 24:00:00", "2024-01-02 03:60:00", "2024-01-02 03:04:60", "2024-01-02 03:04:05.",
		"2024-01-02 03:04:05 x", "2024-01-02 03:04:05+9", "2024-01-02 03:04:05+25:00", "024-01-02 03:04:05", "2024-01-02 03:04:05.1234567891"} {
		if c, err := parseCivil(text); err == nil {
			t.Errorf("%q gives %v", text, c)
		}
	}
}

// Whatever clocks show is read as the instant at which they showed it, unless
// they showed it twice.
func TestEveryInstantIsFound(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Pacific/Apia", "Australia/Lord_Howe", "Asia/Kathmandu",
		"America/St_Johns", "Africa/Casablanca", "Pacific/Kwajalein", "Africa/Monrovia"} {
		z := zone(t, name)
		rapid.Check(t, func(t *rapid.T) {
			instant := time.Unix(rapid.Int64Range(-8e9, 8e9).Draw(t, "seconds"), 0).In(z)
			c, err := parseCivil(instant.Format(time.DateTime))
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.instant(z)
			twice := false
			for _, other := range []time.Duration{-24 * time.Hour, -time.Hour, -30 * time.Minute, 30 * time.Minute, time.Hour, 24 * time.Hour} {
				twice = twice || instant.Add(other).Format(time.DateTime) == instant.Format(time.DateTime)
			}
			if !twice && (err != nil || got != instant.UnixNano()) {
				t.Fatalf("%v: %v %v", instant, time.Unix(0, got).In(z), err)
			}
		})
	}
}

func at8(text string) int64 {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t.UnixNano()
}
