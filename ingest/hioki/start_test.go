package hioki

import (
	"strings"
	"testing"
	"time"

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

// A trigger that clocks showed twice is refused with its place; with an
// offset, what is recorded runs through the change of clocks.
func TestTriggerInAnHourShownTwice(t *testing.T) {
	o := testOptions
	o.Zone = zone(t, "Europe/Berlin")
	file := "\"Trigger Time\",\"'24-10-27 02:30:00\"\n\"Time\",\"A\"\n-3600,1\n0,2\n3600,3\n"
	_, err := newReader(strings.NewReader(file), "f", o)
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
