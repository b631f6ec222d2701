package text

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestFormats(t *testing.T) {
	f := func(format, cell, want string) {
		t.Helper()
		m, err := MustFormat(format).parse([]byte(cell))
		if err != nil {
			t.Errorf("%q as %s: %v", cell, format, err)
			return
		}
		if got := time.Unix(m.seconds-m.offset, m.nanosecond).UTC().Format(time.RFC3339Nano); got != want {
			t.Errorf("%q as %s is %s, want %s", cell, format, got, want)
		}
	}
	f("YYYY-MM-DD hh:mm:ss", "2022-06-06 18:43:33", "2022-06-06T18:43:33Z")
	f("YYYY-MM-DD hh:mm:ss", "2022-06-06T18:43:33.25+09:00", "2022-06-06T09:43:33.25Z")
	f("YYYY-MM-DD hh:mm:ss", "2022-06-06  18:43:33,5Z", "2022-06-06T18:43:33.5Z")
	f("YYYY-MM-DD hh:mm:ss.fff", "2022-06-06 18:43:33.123456789", "2022-06-06T18:43:33.123456789Z")
	f("DD/MM/YYYY hh.mm.ss", "10/03/2004 18.00.00", "2004-03-10T18:00:00Z")
	f("YYYY DDD hhmm", "2018 291 0", "2018-10-18T00:00:00Z")
	f("YYYY DDD hhmm", "2018 291 1359", "2018-10-18T13:59:00Z")
	f("YYYY DDD hhmm", "2020 366 105", "2020-12-31T01:05:00Z")
	f("YYYY/MM/DD hh:mm:ss us", "2023/02/07 10:03:49 657000", "2023-02-07T10:03:49.657Z")
	f("YYYY/MM/DD hh:mm:ss ms", "2026/09/24 09:01:55   0", "2026-09-24T09:01:55Z")
	f("MM/DD/YYYY hh:mm:ss AP", "1/2/2024 12:00:00 AM", "2024-01-02T00:00:00Z")
	f("MM/DD/YYYY hh:mm:ss AP", "1/2/2024 12:00:00 pm", "2024-01-02T12:00:00Z")
	f("YY-MM-DD hh:mm:sss", "'18-09-24 09:55:00s", "2018-09-24T09:55:00Z")
	f("DD-MMM-YYYY hh:mm", "05-Feb-2024 24:00", "2024-02-06T00:00:00Z")
	f("YYYYMMDDhhmmss", "20240229235959", "2024-02-29T23:59:59Z")
	f("YYYY-MM-DD", "2000-02-29", "2000-02-29T00:00:00Z")
}

func TestNoTimes(t *testing.T) {
	f := func(format, cell string, want error) {
		t.Helper()
		if m, err := MustFormat(format).parse([]byte(cell)); !errors.Is(err, want) {
			t.Errorf("%q as %s: %+v %v, want %v", cell, format, m, err, want)
		}
	}
	f("YYYY-MM-DD hh:mm:ss", "", errForm)
	f("YYYY-MM-DD hh:mm:ss", "2022-06-06", errForm)
	f("YYYY-MM-DD hh:mm:ss", "22-06-06 01:02:03", errForm)
	f("YYYY-MM-DD hh:mm:ss", "2022-06-06 18:43:33 x", errForm)
	f("YYYY-MM-DD hh:mm:ss", "2022-06-06 18:43:60", errNoDate)
	f("YYYY-MM-DD hh:mm:ss", "2022-02-29 18:43:00", errNoDate)
	f("YYYY-MM-DD hh:mm:ss", "2022-13-01 18:43:00", errNoDate)
	f("YYYY-MM-DD hh:mm:ss", "2022-00-01 18:43:00", errNoDate)
	f("YYYY-MM-DD hh:mm:ss", "2022-01-00 18:43:00", errNoDate)
	f("YYYY-MM-DD hh:mm:ss", "2022-01-01 24:00:01", errNoDate)
	f("YYYY DDD hhmm", "2019 366 0", errNoDate)
	f("YYYY DDD hhmm", "2019 0 0", errNoDate)
	f("YYYY DDD hhmm", "2019 1 1360", errNoDate)
	f("YYYY-MM-DD hh:mm AP", "2019-01-01 13:00 PM", errNoDate)
	for _, format := range []string{"", "hh:mm:ss", "YYYY-MM", "YYYY-MM-DD hh:ss", "YYYY-MM-DD mm", "YYYY-MM-DD YYYY"} {
		if f, err := ParseFormat(format); err == nil {
			t.Errorf("%q is %+v", format, f)
		}
	}
}

// Every date is the day that package time says.
func TestDays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-9e9, 9e9).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC()
		for layout, format := range map[string]string{
			"2006-01-02 15:04:05.000000000":    "YYYY-MM-DD hh:mm:ss",
			"2.1.2006 3:04:05.999999999 PM":    "DD.MM.YYYY hh:mm:ss AP",
			"2006 002 150405.000000000":        "YYYY DDD hhmmss",
			"Jan 2 2006 15:04:05.000000000":    "MMM DD YYYY hh:mm:ss",
			"20060102150405.000000000Z07:00":   "YYYYMMDDhhmmss",
			"2006-01-02T15:04:05.999999999-07": "YYYY-MM-DD hh:mm:ss",
		} {
			m, err := MustFormat(format).parse([]byte(at.Format(layout)))
			if err != nil || m.seconds != at.Unix() || m.nanosecond != int64(at.Nanosecond()) {
				t.Fatalf("%s as %s: %+v %v", at.Format(layout), format, m, err)
			}
		}
	})
}
