package hioki

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/ingest/refusal"
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
// they showed it twice; a trigger in such an hour is refused with its place.
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
	o := testOptions
	o.Zone = zone(t, "Europe/Berlin")
	file := "\"Trigger Time\",\"'24-10-27 02:30:00\"\n\"Time\",\"A\"\n-3600,1\n0,2\n3600,3\n"
	_, err := NewReader(strings.NewReader(file), "f", o)
	if refused := refusedAs(t, err, refusal.BadTime); refused.Line != 1 || refused.Column != 2 {
		t.Errorf("%v", refused)
	}
	// Only the trigger is local: offsets run through the change of clocks.
	o.Start = "2024-10-27 02:30:00+02:00"
	samples, _ := read(t, strings.NewReader(file), o)
	for i, want := range []string{"2024-10-26T23:30:00Z", "2024-10-27T00:30:00Z", "2024-10-27T01:30:00Z"} {
		if got := samples["A"][i].Time; got != at8(want) {
			t.Errorf("sample %d at %v", i, time.Unix(0, got).UTC())
		}
	}
}

func TestMillisecondsInTheirOwnCell(t *testing.T) {
	_, r := read(t, strings.NewReader("\"Trigger Time\",\"2019-12-26 10:15:32\",\"772\"\n\"Time\",\"A\"\n0,1\n"), testOptions)
	if got := r.Report().First; got != at8("2019-12-26T10:15:32.772Z") {
		t.Errorf("%v", time.Unix(0, got).UTC())
	}
}

// A spreadsheet writes the cells with other quotes than the instrument did.
func TestSpreadsheetVariants(t *testing.T) {
	want := map[string][]int64{"1-1": {1704067200e9, 1704067210e9}, "Event": {1704067200e9, 1704067210e9}}
	for _, file := range []string{
		"File name,W.CSV,V 1.00,,\r\nTrigger Time,'24-01-01 00:00:00,,,\r\nTime,1-1[V],Event,,\r\n0.00E+00,1.5,0,,\r\n1.00E+01,2.5,0,,\r\n",
		"\"Trigger Time\",\"24-01-01 00:00:00\"\n\"Time\",\"1-1[V]\",\"Event\"\n\"0\",\"1.5\",\"0\"\n\" 1E1 \", 2.5 ,\" 0\"",
		"Trigger Time;2024-01-01 00:00:00,0\nTime(s);1-1[V];Event\n0;1,5;0\n10,0;2,5;0\n",
		"\xef\xbb\xbfTrigger Time\t2024-01-01 00:00:00\n時間[秒]\t1-1[V]\tEvent\n0\t1.5\t0\n10.0\t2.5\t0\n",
	} {
		samples, r := read(t, strings.NewReader(file), testOptions)
		if report := r.Report(); report.Rejected != 0 {
			t.Errorf("%q: %+v", file, report)
		}
		for name, times := range want {
			if len(samples[name]) != 2 || samples[name][0].Time != times[0] || samples[name][1].Time != times[1] {
				t.Errorf("%q: %s: %v", file, name, samples[name])
			}
		}
		if s := samples["1-1"]; s[0].Value != 1.5 || s[1].Value != 2.5 {
			t.Errorf("%q: %v", file, s)
		}
	}
}

// Rows whose time would leave the years that can be stored are refused alone.
func TestTimesAtTheEdge(t *testing.T) {
	o := testOptions
	o.Start = "2261-12-31 23:59:50"
	_, r := read(t, strings.NewReader("Time,A\n9.999999999,1\n10,2\n9223372036,3\n-18446744073,4\n-9223372036,5\n"), o)
	report := r.Report()
	if report.Rows != 2 || places(report.Errors) != "bad_time 3:1, bad_time 4:1, bad_time 5:1" {
		t.Errorf("%+v", report)
	}
}
