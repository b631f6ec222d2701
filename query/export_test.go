package query

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/model"
)

// unzip returns samples.csv of an archive that holds nothing else.
func unzip(t testing.TB, archive []byte) string {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.File) != 1 || r.File[0].Name != "samples.csv" {
		t.Fatalf("the archive holds %v", r.File)
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

func TestExportCSV(t *testing.T) {
	db := openDB(t)
	lake(t, db)
	zone, err := ParseZone("America/Port_of_Spain")
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewExport(context.Background(), db, ExportRequest{Scope: scope(t, "{}"), Zone: zone})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var archive bytes.Buffer
	if err := e.WriteZip(context.Background(), &archive); err != nil {
		t.Fatal(err)
	}
	want := "\uFEFFtime[America/Port_of_Spain],lake/2-1[C],lake/2-4[V],roof/CH-1[C]\r\n" +
		"2022-06-06T14:43:33-04:00,26.21,,1\r\n" +
		"2022-06-06T14:43:43-04:00,26.22,-0.0176,2\r\n" +
		"2022-06-06T14:43:48-04:00,,-0,\r\n" +
		"2022-06-06T14:43:53-04:00,burnout,,3\r\n" +
		"2022-06-06T14:44:03-04:00,26.5,Infinity,\r\n"
	got := unzip(t, archive.Bytes())
	if got != want {
		t.Errorf("CSV is\n%s\nwant\n%s", got, want)
	}
	if n := e.Counts(); n.Channels != 3 || n.Rows != 5 || n.CSVBytes != int64(len(got)) {
		t.Errorf("counts are %+v", n)
	}
}

func TestExportOfASpanWithoutRowsIsAHeader(t *testing.T) {
	db := openDB(t)
	lake(t, db)
	for _, w := range []Window{{From: at(start + 1e12)}, {From: at(model.MaxTime)}, {at(start + 1), at(start + 2)}} {
		e, err := NewExport(context.Background(), db, ExportRequest{Scope: scope(t, `{unit="V"}`), Window: w})
		if err != nil {
			t.Fatal(err)
		}
		var archive bytes.Buffer
		if err := e.WriteZip(context.Background(), &archive); err != nil {
			t.Fatal(err)
		}
		if got := unzip(t, archive.Bytes()); got != "\uFEFFtime[UTC],lake/2-4[V]\r\n" {
			t.Errorf("CSV is %q", got)
		}
		e.Close()
	}
}

func TestExportQuotesNames(t *testing.T) {
	db := openDB(t)
	write(t, db, `a "b", c`, "1\n2", " V", seconds(0), []float64{1})
	write(t, db, "日本", "温度", "℃", seconds(0), []float64{2})
	e, err := NewExport(context.Background(), db, ExportRequest{Scope: scope(t, "{}")})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var text bytes.Buffer
	if err := e.writeCSV(context.Background(), &text); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&text).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if lines[0][1] != "a \"b\", c/1\n2[ V]" || lines[0][2] != "日本/温度[℃]" || lines[1][2] != "2" {
		t.Errorf("cells are %q", lines)
	}
}

// TestExportHeaderIsNoFormula checks that a spreadsheet runs nothing that a
// channel's name says.
func TestExportHeaderIsNoFormula(t *testing.T) {
	for name, want := range map[string]string{
		"=1+1/x": "'=1+1/x", "+1/x": "'+1/x", "-1/x": "'-1/x", "@a/x": "'@a/x", "\t=1/x": "'\t=1/x", "＝1/x": "'＝1/x",
		"lake/=1": "lake/=1", "/=1": "/=1", "": "", "日本/温度": "日本/温度", "\xff=": "\xff=",
	} {
		if got := inert(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
	db := openDB(t)
	write(t, db, `=HYPERLINK("x")`, "1", "V", seconds(0), []float64{-1})
	e, err := NewExport(context.Background(), db, ExportRequest{Scope: scope(t, "{}")})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var text bytes.Buffer
	if err := e.writeCSV(context.Background(), &text); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(&text).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if lines[0][1] != `'=HYPERLINK("x")/1[V]` || lines[1][1] != "-1" {
		t.Errorf("cells are %q", lines)
	}
}

// failingWriter fails after so many bytes.
type failingWriter struct{ left int }

var errBroken = errors.New("broken")

func (w *failingWriter) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 {
		return 0, errBroken
	}
	return len(b), nil
}

func TestExportEndsWithTheReaderOrTheRequest(t *testing.T) {
	db := openDB(t)
	times, values := steps(20000)
	write(t, db, "a", "1", "", times, values)
	export := func(ctx context.Context, w io.Writer) error {
		e, err := NewExport(context.Background(), db, ExportRequest{Scope: scope(t, "{}")})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		return e.WriteZip(ctx, w)
	}
	if err := export(context.Background(), &failingWriter{1000}); !errors.Is(err, errBroken) {
		t.Errorf("a broken pipe: %v", err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if err := export(cancelled, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
}

// steps are n rows of a temperature, one a minute.
func steps(n int) (times []int64, values []float64) {
	for i := range n {
		times = append(times, start+int64(i)*60e9)
		values = append(values, math.Round(2600+300*math.Sin(float64(i)/100))/100)
	}
	return times, values
}

func TestExportReadsBackToTheSameBits(t *testing.T) {
	db := openDB(t)
	times, values := steps(3000)
	write(t, db, "a", "1", "", times, values)
	e, err := NewExport(context.Background(), db, ExportRequest{Scope: scope(t, "{}"), Zone: time.FixedZone("x", 3600)})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var text bytes.Buffer
	if err := e.writeCSV(context.Background(), &text); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(text.String(), "\r\n"), "\r\n")[1:]
	if len(lines) != len(times) {
		t.Fatalf("%d rows, want %d", len(lines), len(times))
	}
	for i, line := range lines {
		cell, number, _ := strings.Cut(line, ",")
		when, err := time.Parse(time.RFC3339Nano, cell)
		v, err2 := strconv.ParseFloat(number, 64)
		if err != nil || err2 != nil || when.UnixNano() != times[i] || math.Float64bits(v) != math.Float64bits(values[i]) {
			t.Fatalf("row %d is %s", i, line)
		}
	}
}

func benchmarkExport(b *testing.B, output func(*Export, io.Writer) error) {
	db := openDB(b)
	times, values := steps(200000)
	for from := 0; from < len(times); from += 4000 {
		for _, channel := range []string{"1", "2", "3", "4", "5"} {
			write(b, db, "lake", channel, "C", times[from:from+4000], values[from:from+4000])
		}
		if err := db.Flush(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for range b.N {
		e, err := NewExport(context.Background(), db, ExportRequest{Scope: scope(b, "{}"), Zone: time.FixedZone("", 8*3600)})
		if err != nil {
			b.Fatal(err)
		}
		if err := output(e, io.Discard); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(e.Counts().CSVBytes)
		e.Close()
	}
}

func BenchmarkExportCSV(b *testing.B) {
	benchmarkExport(b, func(e *Export, w io.Writer) error { return e.writeCSV(context.Background(), w) })
}

func BenchmarkExportZip(b *testing.B) {
	benchmarkExport(b, func(e *Export, w io.Writer) error { return e.WriteZip(context.Background(), w) })
}

// BenchmarkExportMonth writes 30 days of minutes of 32 channels as CSV.
func BenchmarkExportMonth(b *testing.B) {
	db := openDB(b)
	for c := range 32 {
		var times []int64
		var values []float64
		walk := rand.New(rand.NewPCG(1, uint64(c)))
		v := 2000 + 100*float64(c)
		for i := range 30 * 1440 {
			v += float64(walk.IntN(7) - 3)
			times = append(times, start+int64(i)*60e9)
			values = append(values, v/[]float64{1, 10, 100, 1000}[c%4])
		}
		write(b, db, "lake", strconv.Itoa(c), "C", times, values)
	}
	if err := db.Compact(context.Background()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		e, err := NewExport(context.Background(), db, ExportRequest{Scope: scope(b, "{}"), Zone: time.FixedZone("", 8*3600)})
		if err != nil {
			b.Fatal(err)
		}
		if err := e.writeCSV(context.Background(), io.Discard); err != nil {
			b.Fatal(err)
		}
		if e.Counts().Rows != 30*1440 {
			b.Fatalf("%d rows", e.Counts().Rows)
		}
		e.Close()
	}
}
