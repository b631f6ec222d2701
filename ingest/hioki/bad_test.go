package hioki

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hokan-db/hokan/ingest/refusal"
)

// places writes refusals as "code line:column", one after the other.
func places(errs []refusal.Error) string {
	var all []string
	for _, e := range errs {
		all = append(all, fmt.Sprintf("%s %d:%d", e.Code, e.Line, e.Column))
	}
	return strings.Join(all, ", ")
}

// Files that are refused in part: what is good in them is kept, and the
// refusal names its place.
func TestPartlyBadFiles(t *testing.T) {
	for _, test := range []struct {
		file           string
		rows, accepted int64
		rejected       int64
		errors         string
	}{
		{"bad-header-only.csv", 0, 0, 0, ""},
		{"bad-nul.csv", 2, 6, 3, "malformed 5:0"},
		{"bad-cells.csv", 2, 6, 6, "malformed 5:0, malformed 6:5"},
		{"bad-number.csv", 4, 8, 4, "not_a_number 4:2, not_a_number 5:2, not_a_number 5:3, not_a_number 6:2"},
		{"bad-time.csv", 1, 3, 9, "bad_time 4:1, bad_time 5:1, bad_time 6:1"},
		{"bad-order.csv", 3, 9, 0, ""},
		{"bad-torn.csv", 1, 3, 3, "malformed 5:0"},
	} {
		t.Run(test.file, func(t *testing.T) {
			_, r := read(t, bytes.NewReader(ownFile(t, test.file)), testOptions)
			report := r.Report()
			if report.Rows != test.rows || report.Accepted != test.accepted || report.Rejected != test.rejected {
				t.Errorf("%+v", report)
			}
			if got := places(report.Errors); got != test.errors {
				t.Errorf("errors %q, want %q", got, test.errors)
			}
			var sum int64
			for _, n := range report.Reasons {
				sum += n
			}
			if sum != report.Rejected {
				t.Errorf("reasons %v, rejected %d", report.Reasons, report.Rejected)
			}
			for _, e := range report.Errors {
				if e.Detail == "" {
					t.Errorf("%+v says nothing", e)
				}
			}
		})
	}
}

// Files that are refused whole.
func TestBadFiles(t *testing.T) {
	plain := `"Time","A[V]"` + "\n 0,1\n"
	for _, test := range []struct{ name, text, code, contains string }{
		{"empty", "", refusal.Malformed, "empty"},
		{"no start", plain, refusal.StartRequired, "--start"},
		{"binary", "\x89PNG\r\n\x1a\n\x00\x00", refusal.Malformed, "line 3: a NUL byte in the header, byte 8"},
		{"gzip", "\x1f\x8b\x08\x00\x00", refusal.Malformed, "this is a gzip file: unpack it first"},
		{"zip", "PK\x03\x04\x00", refusal.Malformed, "this is a zip file: unpack it first"},
		{"UTF-16", "\xff\xfeT\x00i\x00", refusal.Malformed, "UTF-16"},
		{"NUL", "\"File name\"\n\x00", refusal.Malformed, "line 2"},
		{"no channel", "\"Trigger Time\",\"24-01-01 00:00:00\"\n\"Time\",\n", refusal.Malformed, "line 2"},
		{"only text", "\"Trigger Time\",\"24-01-01 00:00:00\"\n\"Time\",\"ALM-SOURCE-1\",\n", refusal.Malformed, "no column holds numbers"},
		{"endless header", strings.Repeat("x\n", 5000), refusal.Malformed, "line 2000"},
		{"long header line", strings.Repeat("x", 3<<20), refusal.Malformed, "line 1"},
		{"endless quote", `"Time","A` + strings.Repeat("\n", 500), refusal.Malformed, "does not end"},
		{"many columns", `"Time"` + strings.Repeat(",a", 20000), refusal.Malformed, "20001 columns"},
		{"another family", "\"DATE\",\"01-01-1999\"\n\"TIME\",\"10:10:00\"\n\"DATA\"\n", refusal.Malformed, "line 3"},
		{"long comment", "\"Trigger Time\",\"24-01-01 00:00:00\"\n\"Ch\",\"A\"\n\"Comment\",\"" + strings.Repeat("c", 10<<10) + "\"\n" + plain, refusal.BadLabel, "10240 bytes"},
		{"trigger", "\"Trigger Time\",\"yesterday\"\n" + plain, refusal.BadTime, "line 1, column 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := newReader(strings.NewReader(test.text), "W.CSV", testOptions)
			refusedAs(t, err, test.code)
			if text := err.Error(); !strings.Contains(text, test.contains) || !strings.HasPrefix(text, test.code+": W.CSV: ") {
				t.Errorf("%q does not contain %q", text, test.contains)
			}
		})
	}
	for _, test := range []struct{ file, code, contains string }{
		{"bad-empty.csv", refusal.Malformed, "empty"},
		{"bad-foreign.csv", refusal.Malformed, "line 3"},
		{"bad-truncated-header.csv", refusal.Malformed, "byte 40"},
		{"bad-date.csv", refusal.BadTime, "1678"},
		{"bad-no-such-date.csv", refusal.BadTime, "no such date"},
		{"bad-duplicate-column.csv", refusal.BadLabel, `line 3, column 3: column 2 has the name "A" already`},
		{"bad-long-name.csv", refusal.BadLabel, "10240 bytes"},
		{"bad-invalid-name.csv", refusal.BadLabel, "line 3, column 3"},
		{"bad-no-name.csv", refusal.BadLabel, "line 3, column 3"},
		{"bad-milliseconds.csv", refusal.Malformed, "not in seconds"},
	} {
		t.Run(test.file, func(t *testing.T) {
			_, err := newReader(bytes.NewReader(ownFile(t, test.file)), test.file, testOptions)
			refusedAs(t, err, test.code)
			if !strings.Contains(err.Error(), test.contains) {
				t.Errorf("%q does not contain %q", err, test.contains)
			}
		})
	}
}

func TestZoneRequired(t *testing.T) {
	o := testOptions
	o.Zone = nil
	for _, text := range []string{"\"Trigger Time\",\"24-01-01 00:00:00\"\n\"Time\",\"A\"\n", "\"Time\",\"A\"\n"} {
		_, err := newReader(strings.NewReader(text), "f", o)
		refusedAs(t, err, refusal.ZoneRequired)
	}
	o.Start = "2024-01-01 00:00:00"
	_, err := newReader(strings.NewReader("\"Time\",\"A\"\n"), "f", o)
	refusedAs(t, err, refusal.ZoneRequired)
}

// Names may hold quotes, separators and line ends; comments as instruments
// write them, with quotes that are not doubled, do not hide other lines.
func TestStrangeNames(t *testing.T) {
	file := "\"Title comment\",\"a 3/4\" pipe\"\n\"Trigger Time\",\"24-01-01 00:00:00\"\n" +
		"\"Ch\",\"A 1- 1\"\n\"Comment\",\"two\nlines\"\n" +
		"\"Time\",\"1-1[V]\",\"say \"\"x\"\", [now]\",\"up\r\ndown[A]\",\n 0,1,2,3,\n 1,x,2,3,\n"
	samples, r := read(t, strings.NewReader(file), testOptions)
	if got, want := describeChannels(r), "1-1|V|two\nlines|\nsay \"x\",|now||\nup\ndown|A||"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if len(samples["up\ndown"]) != 2 || places(r.Report().Errors) != "not_a_number 9:2" {
		t.Errorf("%v, %+v", samples, r.Report())
	}
}

// A last line without line end is kept where it is whole, and refused where
// it ends before the separator that ends the others.
func TestLastLine(t *testing.T) {
	head := "\"Time\",\"A\",\"B\"\n"
	for _, test := range []struct {
		text string
		rows int64
	}{
		{head + "0,1,2\n1,2,3", 2},
		{head + "0,1,2,\n1,2,3,", 2},
		{head + "0,1,2,\n1,2,3", 1}, // 3 may have been 35
		{head + "0,1,2,\r\n1,2,3,\r", 2},
		{head + "0,1,2,\n\n  \n\r\n", 1},
	} {
		o := testOptions
		o.Start = "2024-01-01 00:00:00"
		_, r := read(t, strings.NewReader(test.text), o)
		if got := r.Report().Rows; got != test.rows {
			t.Errorf("%q: %d rows, want %d", test.text, got, test.rows)
		}
	}
}

// repeated yields a text again and again.
type repeated struct {
	text string
	left int
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && r.left > 0 {
		k := copy(p[n:], r.text[r.at:])
		n += k
		if r.at += k; r.at == len(r.text) {
			r.at = 0
			r.left--
		}
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

const smallHead = "\"Trigger Time\",\"24-01-01 00:00:00\"\n\"Time\",\"A\",\"B\",\n"

// Memory does not grow with the file, nor with a line of 100 MB, which is
// passed over; the line numbers after it are right.
func TestMemoryIsBounded(t *testing.T) {
	file := io.MultiReader(strings.NewReader(smallHead+" 1,1,1,\n"),
		&repeated{text: "0123456789,", left: 100 << 20 / 11},
		strings.NewReader("\n 2,2,2,\n 3,x,3,\n"),
		&repeated{text: " 4.000000000E+00, 1.00000E+00,,\n", left: 1 << 20})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := newReader(strings.NewReader(""), "", testOptions)
	refusedAs(t, err, refusal.Malformed)
	r, err := newReader(file, "f", testOptions)
	if err != nil {
		t.Fatal(err)
	}
	b := newBatch()
	for err == nil {
		err = r.Next(b)
	}
	runtime.ReadMemStats(&after)
	report := r.Report()
	if err != io.EOF || report.Rows != 3+1<<20 || report.Bytes < 130<<20 {
		t.Fatalf("%v, %+v", err, report)
	}
	if got := places(report.Errors); got != "malformed 4:0, not_a_number 6:2" {
		t.Errorf("errors %q", got)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 8<<20 {
		t.Errorf("%d bytes were allocated", allocated)
	}
}

// A file of nothing but refused cells is read in bounded memory too, and its
// errors are counted beyond those listed.
func TestErrorsAreBounded(t *testing.T) {
	_, r := read(t, io.MultiReader(strings.NewReader(smallHead), &repeated{text: "1,x,y\n", left: 50000}), testOptions)
	report := r.Report()
	if report.Rejected != 100000 || report.Reasons[refusal.NotANumber] != 100000 || len(report.Errors) != 20 || report.Rows != 50000 {
		t.Errorf("%d rejected, %d errors", report.Rejected, len(report.Errors))
	}
}

// What was read before the source failed is handed over first.
func TestSourceFails(t *testing.T) {
	broken := errors.New("broken")
	r, err := newReader(io.MultiReader(strings.NewReader(smallHead+"1,2,3\n2,3,"), iotest.ErrReader(broken)), "f", testOptions)
	if err != nil {
		t.Fatal(err)
	}
	samples, err := drain(t, r)
	if !errors.Is(err, broken) || len(samples["A"]) != 1 || r.Report().Rejected != 0 {
		t.Errorf("%v, %v", err, samples)
	}
	if _, err = newReader(iotest.ErrReader(broken), "f", testOptions); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// The file may arrive in any pieces.
func TestSmallReads(t *testing.T) {
	want, _ := read(t, bytes.NewReader(ownFile(t, "lr8400-ja-sjis.csv")), testOptions)
	got, _ := read(t, iotest.OneByteReader(bytes.NewReader(ownFile(t, "lr8400-ja-sjis.csv"))), testOptions)
	sameSamples(t, want, got)
	got, _ = read(t, iotest.DataErrReader(bytes.NewReader(ownFile(t, "lr8400-ja-sjis.csv"))), testOptions)
	sameSamples(t, want, got)
}
