package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWrongFlags checks that what no data can make right is exit 2, and that no
// message says a thing twice.
func TestWrongFlags(t *testing.T) {
	flags, data := lake(t)
	name := loggerFile(t, "1,2,0")
	load := func(args ...string) []string {
		return append([]string{"import", "--data", data, "--tenant", "t", name}, args...)
	}
	alarm := func(args ...string) []string {
		return with(flags, append([]string{"alarm", "create", `{channel="2-1"}`}, args...)...)
	}
	for _, test := range []struct {
		message string // after "hokan: "
		args    []string
	}{
		{`bad_time: --start "noon": want YYYY`, load("--instrument", "i", "--start", "noon")},
		{`bad_time: --start "2024-02-30 00:00:00": no such date`, load("--instrument", "i", "--start", "2024-02-30 00:00:00")},
		{`bad_time: --start "2024-10-27 02:30:00": clocks in Europe/Berlin showed it twice`,
			load("--instrument", "i", "--zone", "Europe/Berlin", "--start", "2024-10-27 02:30:00")},
		{`malformed: --start is when one file begins`, []string{"import", "--data", data, "--tenant", "t", "--instrument", "i", "--start", "2024-01-01 00:00:00Z", name, name}},
		{`bad_selector: byte 0: want {; a selector is such as {instrument="lake"`, with(flags, "channels", "lake")},
		{`zone_required: the time 2024-10-27`, load("--instrument", "i", "--start", "2024-10-27 02:30:00")},
		{`bad_label: "instrument" is empty`, load("--zone", "UTC", "--instrument", "")},
		{`bad_label: "instrument" is not UTF-8: "\xff"`, load("--zone", "UTC", "--instrument", "\xFF")},
		{`bad_label: instrument "a\nb" holds a control character`, load("--zone", "UTC", "--instrument", "a\nb")},
		{`bad_label: group "\xff"`, load("--zone", "UTC", "--instrument", "i", "--group", "\xFF")},
		{`malformed: --data is empty`, []string{"import", "--data", "", "--tenant", "t", "--instrument", "i", name}},
		{`malformed: --data is empty`, []string{"channels", "--data", "", "--tenant", "t"}},
		{`malformed: --data ` + name + `/x lies below a file`, []string{"channels", "--data", name + "/x", "--tenant", "t"}},
		{`malformed: --data ` + name + `/x lies below a file`, []string{"import", "--data", name + "/x", "--tenant", "t", "--instrument", "i", name}},
		{`malformed: --out is empty`, with(flags, "export", "--out", "")},
		{`malformed: --buckets -1, want 1 to 10000`, with(flags, "view", "--buckets", "-1")},
		{`malformed: --buckets 0, want`, with(flags, "view", "--buckets", "0")},
		{`malformed: --buckets 100000, want`, with(flags, "view", "--buckets", "100000")},
		{`malformed: --limit -1, want`, with(flags, "table", "--limit", "-1")},
		{`malformed: --limit -1, want`, with(flags, "events", "--limit", "-1")},
		{`malformed: bad cursor: "x"`, with(flags, "table", "--after", "x")},
		{`invalid: operator "=" is none of`, alarm("--operator", "=", "--threshold", "1")},
		{`invalid: operator > takes a threshold`, alarm("--operator", ">")},
		{`invalid: operator outside takes low and high`, alarm("--operator", "outside", "--low", "1")},
		{`invalid: low 2 is above high 1`, alarm("--operator", "outside", "--low", "2", "--high", "1")},
		{`invalid: NaN is not finite`, alarm("--operator", ">", "--threshold", "NaN")},
		{`invalid: name "\xff" is not UTF-8`, alarm("--operator", ">", "--threshold", "1", "--name", "\xFF")},
		{`bad_time: unit "zz" is none of`, []string{"compact", "--data", data, "--unit", "zz"}},
		{`bad_time: unit "zz" is none of`, []string{"verify", "--data", data, "--unit", "zz"}},
		{`bad_time: --clock: "noon" is no RFC 3339 time`, with(flags, "channels", "--clock", "noon")},
		{`bad_span: it ends`, with(flags, "table", "--from", "5", "--to", "3")},
	} {
		r := expect(t, 2, test.args...)
		if !strings.HasPrefix(r.stderr, "hokan: "+test.message) || strings.Count(r.stderr, "\n") != 1 || r.stdout != "" {
			t.Errorf("hokan %q: %q%q, want %q", test.args, r.stdout, r.stderr, test.message)
		}
	}
	if r := expect(t, 1, with(flags, "latest", `{a="b"}`)...); r.stderr != "hokan: no_channel: {a=\"b\"} matches nothing\n" {
		t.Errorf("%q", r.stderr)
	}
	if r := expect(t, 0, with(flags, "channels", "-o", "csv")...); strings.Count(r.stdout, "\n") != 4 {
		t.Errorf("something was kept:\n%s", r.stdout)
	}
}

// A trigger in an hour that clocks had twice or never is named as the file's,
// with what would do instead.
func TestTriggerInAChangeOfClocks(t *testing.T) {
	for _, test := range []struct{ trigger, says string }{
		{"24-10-27 02:30:00", "twice: give --start with an offset, such as '2024-10-27 02:30:00+02:00', the first time, or '2024-10-27 02:30:00+01:00', the second"},
		{"24-03-31 02:30:00", "set forward over it: give --start with an offset, such as '2024-03-31 02:30:00+01:00'"},
	} {
		data := filepath.Join(t.TempDir(), "d")
		name := file(t, "\"Trigger Time\",\"'"+test.trigger+"\"\n\"Time\",\"A\"\n0,1\n")
		r := expectCode(t, 1, "bad_time", "import", "--data", data, "--tenant", "t", "--instrument", "i", "--zone", "Europe/Berlin", name)
		if !strings.Contains(r.stderr, `: line 1, column 2: the file's trigger time "'`+test.trigger+`": `) || !strings.Contains(r.stderr, test.says) {
			t.Errorf("%s", r.stderr)
		}
	}
}

func TestExportSaysHowLargeTheFileIs(t *testing.T) {
	flags, _ := lake(t)
	out := filepath.Join(t.TempDir(), "lake.zip")
	var written struct {
		Bytes, CSVBytes int64
	}
	r := expect(t, 0, with(flags, "export", "--out", out, "--clock", "2024-05-06T07:08:10Z", "-o", "json")...)
	decode(t, strings.Replace(r.stdout, "csv_bytes", "CSVBytes", 1), &written)
	archive, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if text := unzip(t, archive); written.Bytes != int64(len(archive)) || written.CSVBytes != int64(len(text)) {
		t.Errorf("%+v of a file of %d bytes with a CSV of %d", written, len(archive), len(text))
	}
	files, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	if made := files.File[0].Modified.Sub(time.Date(2024, 5, 6, 7, 8, 10, 0, time.UTC)); made < 0 || made > time.Minute {
		t.Errorf("the entry is dated %v", files.File[0].Modified)
	}
}

func TestExportThatCannotBeWritten(t *testing.T) {
	flags, _ := lake(t)
	plain := file(t, "x")
	expectCode(t, 1, "not_found", with(flags, "export", "--out", filepath.Join(t.TempDir(), "none", "x.zip"))...)
	expectCode(t, 1, "not_found", with(flags, "export", "--out", filepath.Join(plain, "x.zip"))...)
	expectCode(t, 2, "invalid", with(flags, "export", "--out", t.TempDir())...)
	if _, err := os.Stat("/dev/full"); err == nil {
		expectCode(t, 1, "disk_full", with(flags, "export", "--out", "/dev/full")...)
	}
	err := writeError("x", &fs.PathError{Op: "open", Path: "x.part", Err: syscall.EACCES})
	if err.Error() != "read_only: --out x cannot be written: permission denied" {
		t.Errorf("%v", err)
	}
	for _, name := range []string{plain + ".part", "/dev/full.part"} {
		if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
}

// fullWriter is a stdout without room.
type fullWriter struct{}

func (fullWriter) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}
}

func TestStdoutIsFull(t *testing.T) {
	flags, _ := lake(t)
	name := loggerFile(t, "junk,4,0")
	for _, args := range [][]string{{"channels"}, {"export", "--out", "-"}, {"import", "--instrument", "i", "--zone", "UTC", name}} {
		var stderr bytes.Buffer
		code := run(with(flags, args...), nil, fullWriter{}, &stderr)
		if code != 1 || !strings.Contains(stderr.String(), "hokan: disk_full: ") {
			t.Errorf("hokan %q: exit %d, %s", args, code, stderr.String())
		}
	}
}

func TestVerifySaysThatNothingWasFound(t *testing.T) {
	_, data := lake(t)
	if r := expect(t, 0, "verify", "--data", data); r.stdout != "" || r.stderr != "hokan: no fault found\n" {
		t.Errorf("%q, %q", r.stdout, r.stderr)
	}
	if r := expect(t, 0, "verify", "--data", data, "-o", "json"); r.stdout != "{\"faults\":[],\"notes\":[]}\n" || r.stderr != "" {
		t.Errorf("%q, %q", r.stdout, r.stderr)
	}
}

// TestAlarmListNamesTheChannel also where the match says less.
func TestAlarmListNamesTheChannel(t *testing.T) {
	flags, _ := lake(t)
	expect(t, 0, with(flags, "alarm", "create", "--operator", ">", "--threshold", "5", `{channel="2-1"}`)...)
	r := expect(t, 0, with(flags, "alarm", "list")...)
	if !strings.Contains(r.stdout, `{channel="2-1",instrument="lake"}  {channel="2-1"}`) {
		t.Errorf("alarm list prints\n%s", r.stdout)
	}
}

// TestAlarmEdit changes what is said of an alarm and nothing else, in a folder
// and on a server.
func TestAlarmEdit(t *testing.T) {
	flags, data := lake(t)
	type alarm struct {
		ID, Name, Match, Operator string
		Version                   int
		Threshold, Low, High      *float64
		Enabled                   bool
	}
	var made, all alarm
	body(t, &made, with(flags, "alarm", "create", "--name", "n", "--operator", ">", "--threshold", "5", `{channel="2-1"}`)...)
	token := newToken(t, data, "--tenant", "t")
	expect(t, 0, with(flags, "alarm", "disable", made.ID)...)
	body(t, &all, with(flags, "alarm", "edit", made.ID, "--threshold", "6")...)
	if all.Name != "n" || *all.Threshold != 6 || all.Operator != ">" || all.Version != 2 || all.Enabled {
		t.Errorf("a new threshold: %+v", all)
	}
	expectCode(t, 2, "invalid", with(flags, "alarm", "edit", made.ID, "--low", "1")...)
	expectCode(t, 1, "not_found", with(flags, "alarm", "edit", "77", "--threshold", "1")...)
	p, address := serveFolder(t, data)
	defer p.stop(t, syscall.SIGTERM)
	all = alarm{}
	body(t, &all, "alarm", "edit", "--server", address, "--token", token, made.ID, `{channel="2-4"}`,
		"--operator", "outside", "--low", "1", "--high", "2", "--name", "")
	if all.Name != "" || all.Threshold != nil || *all.Low != 1 || *all.High != 2 || all.Match != `{channel="2-4"}` || all.Version != 3 || all.Enabled {
		t.Errorf("limits: %+v", all)
	}
	expect(t, 0, "alarm", "enable", "--server", address, "--token", token, made.ID)
}

// TestImportOfAnUnsetClock is noted, and kept.
func TestImportOfAnUnsetClock(t *testing.T) {
	flags, _ := lake(t)
	name := loggerFile(t, "1,2,0")
	r := expect(t, 0, with(flags, "import", "--instrument", "new", "--start", "1970-01-01 00:00:00Z", name)...)
	if !strings.Contains(r.stderr, "all times lie in January 1970") {
		t.Errorf("nothing is noted: %q", r.stderr)
	}
	if r = expect(t, 0, with(flags, "import", "--instrument", "new", "--start", "2024-01-01 00:00:00Z", name)...); r.stderr != "" {
		t.Errorf("noted without a reason: %q", r.stderr)
	}
}

func TestDeletedAlarmIsPrinted(t *testing.T) {
	flags, _ := lake(t)
	var made, deleted struct{ ID, Match string }
	body(t, &made, with(flags, "alarm", "create", "--operator", ">", "--threshold", "1", `{channel="2-1"}`)...)
	body(t, &deleted, with(flags, "alarm", "delete", made.ID)...)
	if deleted != made {
		t.Errorf("%+v, want %+v", deleted, made)
	}
	expectCode(t, 1, "not_found", with(flags, "alarm", "delete", made.ID)...)
}
