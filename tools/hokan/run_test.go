package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// result is what one run of the program gave.
type result struct {
	code           int
	stdout, stderr string
}

func hokan(args ...string) result {
	var stdout, stderr bytes.Buffer
	code := run(args, strings.NewReader(""), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// expect runs the program and checks its exit code.
func expect(t testing.TB, code int, args ...string) result {
	t.Helper()
	r := hokan(args...)
	if r.code != code {
		t.Fatalf("hokan %q: exit %d, want %d\nstdout: %s\nstderr: %s", args, r.code, code, r.stdout, r.stderr)
	}
	return r
}

// expectCode runs the program and checks the exit code and that stderr has a
// line `hokan: CODE: text`.
func expectCode(t *testing.T, exit int, code string, args ...string) result {
	t.Helper()
	r := expect(t, exit, args...)
	if !strings.Contains("\n"+r.stderr, "\nhokan: "+code+": ") {
		t.Fatalf("hokan %q: stderr %q does not tell %q", args, r.stderr, code)
	}
	return r
}

// body runs a command with -o json and decodes its stdout.
func body(t *testing.T, into any, args ...string) {
	t.Helper()
	r := expect(t, 0, append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(r.stdout), into); err != nil {
		t.Fatalf("hokan %q: %v in %s", args, err, r.stdout)
	}
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

const loggerHeader = `"File name","WAVE0002.CSV","V 1.27"
"Title comment","TEST"
"Trigger Time","'22-06-06 18:43:33"
"Ch","A 2- 1","A 2- 4",
"Mode","Tc","Voltage",
"Range","100 C","1V",
"Comment","TEMP","湖の名前",
"Scaling","Off","Off",
"Ratio"," 1.00000E+00"," 1.00000E+00"
"Offset"," 0.00000E+00"," 0.00000E+00"
"Time","2-1[C]","2-4[V]","Event",
`

// loggerFile writes a logger's file with one row every ten seconds and returns
// its name.
func loggerFile(t *testing.T, rows ...string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(loggerHeader)
	for i, row := range rows {
		fmt.Fprintf(&b, " %.9E,%s,\n", float64(i)*10, row)
	}
	return file(t, b.String())
}

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "WAVE.CSV")
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// lake imports a small file and returns the flags that name its data.
func lake(t *testing.T) (flags []string, data string) {
	t.Helper()
	data = filepath.Join(t.TempDir(), "d")
	flags = []string{"--data", data, "--tenant", "t"}
	name := loggerFile(t, " 2.62100E+01,-1.76000E-02,0", " 2.62200E+01,-1.60500E-02,0", " 2.60000E+01, 0.00000E+00,0")
	expect(t, 0, append([]string{"import", "--instrument", "lake", "--zone", "America/Port_of_Spain", name}, flags...)...)
	return flags, data
}

func with(flags []string, args ...string) []string {
	return append(args[:len(args):len(args)], flags...)
}

func TestImportThenAsk(t *testing.T) {
	flags, _ := lake(t)
	var channels struct {
		Unit     string
		Channels []struct {
			Labels, Properties map[string]any
			First, Last        int64
			Samples            int
		}
	}
	body(t, &channels, with(flags, "channels")...)
	if len(channels.Channels) != 3 || channels.Unit != "ms" {
		t.Fatalf("channels: %+v", channels)
	}
	c := channels.Channels[0]
	if c.Labels["channel"] != "2-1" || c.Properties["unit"] != "C" || c.Properties["name"] != "TEMP" ||
		c.First != 1654555413000 || c.Last != 1654555433000 || c.Samples != 3 {
		t.Errorf("channel: %+v", c)
	}
	var latest struct {
		Channels []struct {
			Time  int64
			Value float64
		}
	}
	body(t, &latest, with(flags, "latest", `{unit="C"}`, "--unit", "s")...)
	if len(latest.Channels) != 1 || latest.Channels[0].Time != 1654555433 || latest.Channels[0].Value != 26 {
		t.Errorf("latest: %+v", latest)
	}
	var view struct {
		From, Width int64
		Source      string
		Channels    []struct{ Count []int }
	}
	body(t, &view, with(flags, "view", "--buckets", "3", `{channel="2-1"}`)...)
	if view.Source != "raw" || view.Width%1000 != 0 || len(view.Channels) != 1 {
		t.Errorf("view: %+v", view)
	}
	var table struct {
		Times []int64
		Rows  [][]*float64
		Next  *string
	}
	body(t, &table, with(flags, "table", "--limit", "2")...)
	if len(table.Times) != 2 || len(table.Rows) != 2 || len(table.Rows[0]) != 3 || *table.Rows[0][0] != 26.21 || table.Next == nil {
		t.Fatalf("table: %+v", table)
	}
	body(t, &table, with(flags, "table", "--limit", "2", "--after", *table.Next)...)
	if len(table.Times) != 1 || table.Next != nil {
		t.Errorf("second page: %+v", table)
	}
	expect(t, 0, with(flags, "verify")[:3]...)
}

func TestTextOutput(t *testing.T) {
	flags, _ := lake(t)
	r := expect(t, 0, with(flags, "channels")...)
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "instrument  channel  name      unit") {
		t.Errorf("table:\n%s", r.stdout)
	}
	// Wide characters take two columns.
	if !strings.HasPrefix(lines[2], "lake        2-4      湖の名前  V") {
		t.Errorf("table:\n%s", r.stdout)
	}
	r = expect(t, 0, with(flags, "table", "-o", "csv", `{unit=~".+"}`)...)
	want := "time,lake/2-1[C],lake/2-4[V]\n2022-06-06T22:43:33Z,26.21,-0.0176\n" +
		"2022-06-06T22:43:43Z,26.22,-0.01605\n2022-06-06T22:43:53Z,26,0\n"
	if r.stdout != want {
		t.Errorf("csv:\n%s", r.stdout)
	}
	for _, command := range []string{"latest", "view", "table", "events"} {
		if r := expect(t, 0, with(flags, command)...); len(strings.Split(r.stdout, "\n")) < 2 || r.stderr != "" {
			t.Errorf("%s:\n%s%s", command, r.stdout, r.stderr)
		}
	}
	r = expect(t, 0, with(flags, "table", "--limit", "1")...)
	if !strings.Contains(r.stderr, "--after ") {
		t.Errorf("a page that is not the last says nothing: %q", r.stderr)
	}
}

func TestExport(t *testing.T) {
	flags, _ := lake(t)
	out := filepath.Join(t.TempDir(), "lake.zip")
	expect(t, 0, with(flags, "export", "--format", "csv", "--zone", "America/Port_of_Spain", "--out", out, "{}")...)
	want := "\uFEFFtime[America/Port_of_Spain],lake/2-1[C],lake/2-4[V],lake/Event\r\n" +
		"2022-06-06T18:43:33-04:00,26.21,-0.0176,0\r\n2022-06-06T18:43:43-04:00,26.22,-0.01605,0\r\n" +
		"2022-06-06T18:43:53-04:00,26,0,0\r\n"
	archive, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if got := unzip(t, archive); got != want {
		t.Errorf("CSV is %q", got)
	}
	r := expect(t, 0, with(flags, "export", "--out", "-", "--zone", "America/Port_of_Spain")...)
	if got := unzip(t, []byte(r.stdout)); got != want {
		t.Errorf("CSV on stdout is %q", got)
	}
	missing := filepath.Join(t.TempDir(), "none", "x.zip")
	expectCode(t, 1, "not_found", with(flags, "export", "--out", missing)...)
	expectCode(t, 1, "no_channel", with(flags, "export", "--out", out+"2", `{channel="x"}`)...)
	if found, _ := filepath.Glob(out + "2*"); len(found) > 0 {
		t.Errorf("a refused export leaves %v", found)
	}
	expectCode(t, 2, "bad_time", with(flags, "export", "--out", out, "--zone", "Mars/Olympus")...)
}

func unzip(t *testing.T, archive []byte) string {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Open("samples.csv")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAlarms(t *testing.T) {
	flags, _ := lake(t)
	var made struct{ ID, State, Operator string }
	body(t, &made, with(flags, "alarm", "create", "--operator", ">=", "--threshold", "-5", `{channel="2-1"}`)...)
	if made.ID == "" || made.State != "unknown" || made.Operator != ">=" {
		t.Fatalf("alarm: %+v", made)
	}
	name := loggerFile(t, "-6,0,0", "-5,0,0", "-7,0,0")
	expect(t, 0, with(flags, "import", "--instrument", "lake", "--start", "2023-01-01 00:00:00+00:00", name)...)
	var events struct {
		Events []struct {
			Alarm, Kind string
			Time        int64
			Value       float64
		}
		Next *string
	}
	body(t, &events, with(flags, "events", "--alarm", made.ID)...)
	if len(events.Events) != 2 || events.Events[0].Kind != "start" || events.Events[0].Value != -5 ||
		events.Events[0].Time != 1672531210000 || events.Events[1].Kind != "end" {
		t.Errorf("events: %+v", events)
	}
	var alarms struct{ Alarms []struct{ ID, State string } }
	body(t, &alarms, with(flags, "alarm", "list")...)
	if len(alarms.Alarms) != 1 || alarms.Alarms[0].State != "normal" {
		t.Errorf("alarms: %+v", alarms)
	}
	for _, args := range [][]string{{"disable"}, {"enable"}, {"delete"}} {
		expect(t, 0, with(flags, "alarm", args[0], made.ID)...)
	}
	expectCode(t, 1, "not_found", with(flags, "alarm", "enable", made.ID)...)
	expectCode(t, 1, "not_found", with(flags, "alarm", "delete", "x")...)
	expectCode(t, 1, "no_channel", with(flags, "alarm", "create", "--operator", ">", "--threshold", "1", `{channel="9"}`)...)
	expectCode(t, 1, "too_many_channels", with(flags, "alarm", "create", "--operator", ">", "--threshold", "1", `{}`)...)
	expectCode(t, 2, "invalid", with(flags, "alarm", "create", "--operator", ">", `{channel="2-1"}`)...)
	expectCode(t, 2, "invalid", with(flags, "alarm", "create", "--operator", "outside", "--low", "2", "--high", "1", `{channel="2-1"}`)...)
}

func TestUsageErrors(t *testing.T) {
	flags, data := lake(t)
	name := loggerFile(t, "1,2,0")
	f := func(code string, args ...string) {
		t.Helper()
		expectCode(t, 2, code, args...)
	}
	f("usage")
	f("usage", "fly")
	f("usage", "channels")
	f("usage", "channels", "--data", data)
	f("usage", with(flags, "channels", "--color")...)
	f("usage", with(flags, "channels", "-o", "xml")...)
	f("usage", with(flags, "view", "--buckets", "many")...)
	f("usage", with(flags, "export")...)
	f("usage", with(flags, "import", "--zone", "UTC", name)...)
	f("malformed", "channels", "--data", data, "--tenant", "../t")
	f("malformed", with(flags, "table", "--after", "garbage")...)
	f("malformed", "channels", "--data", name, "--tenant", "t")
	f("malformed", "verify", "--data", name)
	f("bad_selector", with(flags, "channels", `{instrument}`)...)
	f("bad_selector", with(flags, "latest", `{channel=~"("}`)...)
	f("bad_time", with(flags, "table", "--from", "yesterday")...)
	f("bad_time", with(flags, "channels", "--unit", "weeks")...)
	f("bad_time", with(flags, "channels", "--clock", "noon")...)
	f("bad_span", with(flags, "table", "--from", "2023-01-01T00:00:00Z", "--to", "2022-01-01T00:00:00Z")...)
	r := expectCode(t, 2, "bad_span", with(flags, "view", "-o", "json", "--from", "1654555413000000000", "--to", "1654555413001000000")...)
	if !strings.Contains(r.stderr, "unit ns") {
		t.Errorf("the unit to ask for is not named: %s", r.stderr)
	}
	f("zone_required", with(flags, "import", "--instrument", "lake", name)...)
	f("bad_time", with(flags, "import", "--instrument", "lake", "--zone", "Mars", name)...)
}

func TestFailures(t *testing.T) {
	flags, _ := lake(t)
	expectCode(t, 1, "no_channel", with(flags, "latest", `{instrument="moon"}`)...)
	expectCode(t, 1, "no_channel", with(flags, "table", `{instrument="moon"}`)...)
	expect(t, 0, with(flags, "channels", `{instrument="moon"}`)...)
	expectCode(t, 1, "not_found", "channels", "--data", flags[1], "--tenant", "stranger")
}

func TestReadingMakesNothing(t *testing.T) {
	data := filepath.Join(t.TempDir(), "none")
	for _, command := range []string{"channels", "latest", "view", "table", "events"} {
		expectCode(t, 1, "not_found", command, "--data", data, "--tenant", "t")
	}
	expectCode(t, 1, "not_found", "verify", "--data", data)
	expectCode(t, 1, "not_found", "compact", "--data", data)
	expectCode(t, 1, "not_found", "alarm", "list", "--data", data, "--tenant", "t")
	expectCode(t, 1, "not_found", "export", "--data", data, "--tenant", "t", "--out", data+".zip")
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Errorf("the folder was made: %v", err)
	}
}

func TestSecondProcessIsLocked(t *testing.T) {
	flags, data := lake(t)
	opened, err := (&dataFlags{Data: data}).openData(&terminal{stderr: io.Discard}, reading)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.DB.Close()
	expectCode(t, 1, "locked", with(flags, "channels")...)
}

func TestHelpAndVersion(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"alarm", "--help"}, {"alarm", "create", "--help"}} {
		if r := expect(t, 0, args...); !strings.Contains(r.stdout, "Usage: hokan") {
			t.Errorf("%q prints %q", args, r.stdout)
		}
	}
	f := func(remote bool, example string, commands ...string) {
		t.Helper()
		for _, command := range commands {
			r := expect(t, 0, append(strings.Fields(command), "--help")...)
			if !strings.Contains(r.stdout, "hokan "+command+example) {
				t.Errorf("%s --help has no example:\n%s", command, r.stdout)
			}
			if strings.Contains(r.stdout, "--server") != remote {
				t.Errorf("%s offers --server: %v", command, !remote)
			}
		}
	}
	f(true, " --data d", "import", "channels", "latest", "view", "table", "export", "events", "alarm create", "alarm edit", "alarm list",
		"alarm enable", "alarm disable", "alarm delete", "token create", "token list", "token revoke")
	f(true, " --server", "live")
	f(false, " --data d", "compact", "inspect", "verify", "serve", "demo")
	fields := strings.Fields(expect(t, 0, "version").stdout)
	if len(fields) != 4 || fields[0] != "hokan" || !strings.HasPrefix(fields[3], "go1") {
		t.Errorf("version: %q", fields)
	}
}

func TestClockStartsWhereToldTo(t *testing.T) {
	flags, _ := lake(t)
	r := expect(t, 0, with(flags, "table", "-o", "csv", "--clock", "2022-06-06T22:43:53Z", "--from", "now-10s", `{channel="2-1"}`)...)
	if lines := strings.Split(strings.TrimSpace(r.stdout), "\n"); len(lines) > 3 || !strings.Contains(r.stdout, "22:43:53Z,26") {
		t.Errorf("the last ten seconds are\n%s", r.stdout)
	}
}
