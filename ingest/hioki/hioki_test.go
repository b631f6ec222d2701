package hioki

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/refusal"
	"github.com/hokan-db/hokan/ingest/text"
)

// newReader reads a file that is known to be a logger's.
func newReader(source io.Reader, name string, o text.Options) (*text.Reader, error) {
	return text.NewReader(text.NewLines(source), name, o, ReadLogger)
}

var testOptions = text.Options{Tenant: "t", Instrument: "i", Zone: time.UTC}

// read collects every sample of a file by channel, checking what holds for
// every batch.
func read(t testing.TB, source io.Reader, o text.Options) (map[string][]model.Sample, *text.Reader) {
	t.Helper()
	r, err := newReader(source, "file", o)
	if err != nil {
		t.Fatal(err)
	}
	samples, err := drain(t, r)
	if err != io.EOF {
		t.Fatal(err)
	}
	return samples, r
}

func drain(t testing.TB, r *text.Reader) (map[string][]model.Sample, error) {
	t.Helper()
	samples := map[string][]model.Sample{}
	accepted := 0
	var b model.Batch
	for {
		if err := r.Next(&b); err != nil {
			if report := r.Report(); report.Accepted != int64(accepted) {
				t.Fatalf("report says %d samples, batches held %d", report.Accepted, accepted)
			}
			return samples, err
		}
		if b.Rows() == 0 {
			t.Fatalf("a batch of no rows")
		}
		accepted += b.Rows()
		for _, c := range b.Columns {
			if len(c.Times) != len(c.Values) {
				t.Fatalf("%d times, %d values", len(c.Times), len(c.Values))
			}
			name := c.Labels.Channel()
			if c.Properties != nil && (samples[name] != nil || *c.Properties == (model.Properties{})) {
				t.Fatalf("%s: properties go once, and only where there are any", name)
			}
			for i := range c.Times {
				samples[name] = append(samples[name], model.Sample{Time: c.Times[i], Value: c.Values[i]})
			}
		}
	}
}

// checkAgainstText compares every sample with the text of its cell, read by
// strconv and by rational arithmetic. It is for files without quoted or
// refused cells in their data.
func checkAgainstText(t *testing.T, file []byte, r *text.Reader, samples map[string][]model.Sample) {
	t.Helper()
	plain := strings.ReplaceAll(string(file), "\r\n", "\n")
	rows := strings.Split(strings.TrimSuffix(plain, "\n"), "\n")[r.Layout().ColumnLine:]
	number := func(cell string) string {
		cell = strings.TrimSpace(cell)
		if r.Layout().Separator != ',' {
			cell = strings.Replace(cell, ",", ".", 1)
		}
		return cell
	}
	if int64(len(rows)) != r.Report().Rows {
		t.Fatalf("%d lines, %d rows", len(rows), r.Report().Rows)
	}
	billion := big.NewRat(1e9, 1)
	for i, row := range rows {
		cells := strings.Split(row, string(r.Layout().Separator))
		seconds, ok := new(big.Rat).SetString(number(cells[0]))
		nanoseconds := seconds.Mul(seconds, billion)
		if !ok || !nanoseconds.IsInt() {
			t.Fatalf("row %d: time %q", i, cells[0])
		}
		want := r.Layout().Clock.Start + nanoseconds.Num().Int64()
		for _, c := range r.Channels() {
			value, err := strconv.ParseFloat(number(cells[c.Column-1]), 64)
			if err != nil {
				t.Fatal(err)
			}
			got := samples[c.Labels.Channel()][i]
			if got.Time != want || math.Float64bits(got.Value) != math.Float64bits(value) {
				t.Fatalf("row %d, %s: %v, want time %d value %v", i, c.Labels.Channel(), got, want, value)
			}
		}
	}
}

// describeChannels writes channels one a line: name|unit|comment|scaling.
func describeChannels(r *text.Reader) string {
	var lines []string
	for _, c := range r.Channels() {
		p := c.Properties
		lines = append(lines, strings.Join([]string{c.Labels.Channel(), p.Unit, p.Name, p.Scaling}, "|"))
	}
	return strings.Join(lines, "\n")
}

func at8(text string) int64 {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return t.UnixNano()
}

const japaneseChannels = `1-1|kPa|炉内圧力ｾﾝｻ|ON ratio 2.50000E+01 offset -1.00000E+01
P-1|c|流量①|
IN-1||扉|
ALM-1||警報|
CALC-1|℃|差ソ表|
Event|||`

const tableChannels = `CH-1|V|LEVEL|
CH-10|V|GATE|ON ratio 2.00000E+00 offset 5.00000E-01
Event|||`

const unitChannels = `U1-1|C|oven; left, rear|
U1-2|V|shunt "A"|
ALM1|||
W1|W|power|`

func TestOwnFiles(t *testing.T) {
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	spain, err := time.LoadLocation("America/Port_of_Spain")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		file        string
		zone        *time.Location
		start       string
		dialect     string
		rows        int64
		first, last string
		channels    string
		skipped     int
	}{
		{"lr8400-en.csv", spain, "", "hioki-lr8400", 2000, "2024-03-11T07:05:20-04:00", "2024-03-11T12:38:30-04:00",
			"1-1|C|WATER|\n1-2|V|PROBE A|\n1-5|V|PROBE B|\n1-12|V|PUMP|\nEvent|||", 0},
		{"lr8400-ja-sjis.csv", tokyo, "", "hioki-lr8400", 40, "2023-11-02T09:29:55+09:00", "2023-11-02T09:30:14.5+09:00", japaneseChannels, 1},
		{"lr8400-ja-utf8bom.csv", tokyo, "", "hioki-lr8400", 40, "2023-11-02T09:29:55+09:00", "2023-11-02T09:30:14.5+09:00", japaneseChannels, 1},
		{"lr8430-en.csv", tokyo, "", "hioki-lr8430", 60, "2025-02-28T23:59:58+09:00", "2025-03-01T00:00:00.95+09:00", tableChannels, 0},
		{"lr8430-ja-sjis.csv", tokyo, "", "hioki-lr8430", 60, "2025-02-28T23:59:58+09:00", "2025-03-01T00:00:00.95+09:00", tableChannels, 0},
		{"lr8430-ja-utf8.csv", tokyo, "", "hioki-lr8430", 60, "2025-02-28T23:59:58+09:00", "2025-03-01T00:00:00.95+09:00", tableChannels, 0},
		{"lr8450-en.csv", tokyo, "", "hioki-lr8450", 50, "2026-05-27T10:09:11.772+09:00", "2026-05-27T10:09:11.821+09:00", unitChannels, 1},
		{"lr8450-semicolon.csv", tokyo, "", "hioki-lr8450", 50, "2026-05-27T10:09:11.772+09:00", "2026-05-27T10:09:11.821+09:00", unitChannels, 1},
		{"lr8450-tab.csv", tokyo, "", "hioki-lr8450", 50, "2026-05-27T10:09:11.772+09:00", "2026-05-27T10:09:11.821+09:00", unitChannels, 1},
		{"lr8450-space.csv", tokyo, "", "hioki-lr8450", 50, "2026-05-27T10:09:11.772+09:00", "2026-05-27T10:09:11.821+09:00", unitChannels, 1},
		{"headerless.csv", nil, "2022-06-06 18:43:33.25-04:00", "headerless", 30, "2022-06-06T18:43:33.25-04:00", "2022-06-06T19:12:33.25-04:00",
			"TEMP|C||\nPUMP|V||\nEvent|||", 0},
	} {
		for _, batchRows := range []int{0, 1, 7} {
			t.Run(test.file+"/"+strconv.Itoa(batchRows), func(t *testing.T) {
				file := ownFile(t, test.file)
				o := text.Options{Tenant: "t", Instrument: "lake", Group: "g", Zone: test.zone, Start: test.start, BatchRows: batchRows}
				samples, r := read(t, bytes.NewReader(file), o)
				report := r.Report()
				if r.Dialect() != test.dialect || report.Rows != test.rows || len(report.Skipped) != test.skipped {
					t.Errorf("%s, %d rows, skipped %q", r.Dialect(), report.Rows, report.Skipped)
				}
				if report.Rejected != 0 || report.Accepted != test.rows*int64(len(r.Channels())) || report.Bytes != int64(len(file)) {
					t.Errorf("%+v", report)
				}
				if report.First != at8(test.first) || report.Last != at8(test.last) {
					t.Errorf("from %v to %v", time.Unix(0, report.First), time.Unix(0, report.Last))
				}
				if got := describeChannels(r); got != test.channels {
					t.Errorf("channels\n%s\nwant\n%s", got, test.channels)
				}
				for _, c := range r.Channels() {
					if c.Labels.Instrument() != "lake" || c.Properties.Group != "g" || c.Properties.HasDecimals {
						t.Errorf("%v %+v", c.Labels, c.Properties)
					}
				}
				if !strings.Contains(test.file, "-ja-sjis") && !strings.Contains(test.file, "bom") {
					checkAgainstText(t, file, r, samples)
				}
			})
		}
	}
}

func ownFile(t testing.TB, name string) []byte {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("..", "..", "testdata", "hioki", name))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// Variants in encoding, separator and decimal mark hold the same samples.
func TestVariantsAgree(t *testing.T) {
	for _, group := range [][]string{
		{"lr8400-ja-sjis.csv", "lr8400-ja-utf8bom.csv"},
		{"lr8430-en.csv", "lr8430-ja-sjis.csv", "lr8430-ja-utf8.csv"},
		{"lr8450-en.csv", "lr8450-semicolon.csv", "lr8450-tab.csv", "lr8450-space.csv"},
	} {
		first, _ := read(t, bytes.NewReader(ownFile(t, group[0])), testOptions)
		for _, name := range group[1:] {
			other, _ := read(t, bytes.NewReader(ownFile(t, name)), testOptions)
			sameSamples(t, first, other)
		}
	}
}

func sameSamples(t *testing.T, a, b map[string][]model.Sample) {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%d and %d channels", len(a), len(b))
	}
	for name := range a {
		if len(a[name]) != len(b[name]) {
			t.Fatalf("%s: %d and %d samples", name, len(a[name]), len(b[name]))
		}
		for i := range a[name] {
			if a[name][i].Time != b[name][i].Time || math.Float64bits(a[name][i].Value) != math.Float64bits(b[name][i].Value) {
				t.Fatalf("%s, sample %d: %v and %v", name, i, a[name][i], b[name][i])
			}
		}
	}
}

func realFiles(t testing.TB, pattern string) []string {
	t.Helper()
	folder := os.Getenv("HOKAN_DATA")
	if folder == "" {
		t.Skip("HOKAN_DATA is not set: no files of real instruments")
	}
	files, err := filepath.Glob(filepath.Join(folder, pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s in HOKAN_DATA: %v", pattern, err)
	}
	return files
}

func TestRealFiles(t *testing.T) {
	for _, test := range []struct {
		pattern, dialect string
		files            int
		rows, samples    int64
	}{
		{"hioki_lr8400_en/WAVE0002.CSV", "hioki-lr8400", 1, 33280, 166400},
		{"hioki_lr8400_en/WAVE0001.CSV", "headerless", 1, 33280, 166400},
		{"hioki_lr8431_ja_shared/*.CSV", "hioki-lr8430", 10, 34892, 104676},
	} {
		t.Run(test.pattern, func(t *testing.T) {
			files := realFiles(t, test.pattern)
			var rows, samples int64
			for _, path := range files {
				file, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				o := testOptions
				if test.dialect == "headerless" {
					o.Start = "2022-06-06 18:43:33"
				}
				got, r := read(t, bytes.NewReader(file), o)
				checkAgainstText(t, file, r, got)
				rows += r.Report().Rows
				samples += r.Report().Accepted
				if r.Dialect() != test.dialect || r.Report().Rejected != 0 {
					t.Errorf("%s: %s, %+v", path, r.Dialect(), r.Report())
				}
			}
			if len(files) != test.files || rows != test.rows || samples != test.samples {
				t.Errorf("%d files, %d rows, %d samples", len(files), rows, samples)
			}
		})
	}
}

// The file whose header a person deleted holds the same samples as the other.
func TestRealFilesWithAndWithoutHeaderAgree(t *testing.T) {
	with, err := os.ReadFile(realFiles(t, "hioki_lr8400_en/WAVE0002.CSV")[0])
	if err != nil {
		t.Fatal(err)
	}
	without, err := os.ReadFile(realFiles(t, "hioki_lr8400_en/WAVE0001.CSV")[0])
	if err != nil {
		t.Fatal(err)
	}
	a, r := read(t, bytes.NewReader(with), testOptions)
	if got := describeChannels(r); got != "2-1|C|TEMP|\n2-4|V|HS|\n2-6|V|P|\n2-8|V|L|\nEvent|||" {
		t.Errorf("channels\n%s", got)
	}
	o := testOptions
	o.Start = "2022-06-06 18:43:33"
	b, _ := read(t, bytes.NewReader(without), o)
	renamed := map[string][]model.Sample{"2-1": b["TEMP"], "2-4": b["HS"], "2-6": b["PUMP"], "2-8": b["LAKE"], "Event": b["Event"]}
	sameSamples(t, a, renamed)
}

func TestWords(t *testing.T) {
	samples, r := read(t, bytes.NewReader(ownFile(t, "words.csv")), testOptions)
	want := map[string][]string{
		"A": {"over", "over", "burnout", "nodata", "-0", "1"},
		"B": {"under", "under", "burnout", "nodata", "1.5", "5e-324", "0.1"},
	}
	for name, values := range want {
		var got []string
		for _, s := range samples[name] {
			if q := model.QualityOf(s.Value); q != model.QualityNone {
				got = append(got, q.String())
			} else {
				got = append(got, strconv.FormatFloat(s.Value, 'g', -1, 64))
			}
		}
		if strings.Join(got, " ") != strings.Join(values, " ") {
			t.Errorf("%s: %q, want %q", name, got, values)
		}
	}
	if s := samples["A"][4]; s.Time != at8("2024-01-02T03:04:11Z") {
		t.Errorf("the sample after two empty cells is at %v", time.Unix(0, s.Time).UTC())
	}
	if report := r.Report(); report.Rows != 8 || report.Accepted != 21 || report.Rejected != 0 {
		t.Errorf("%+v", report)
	}
}

// Columns in which no cell is empty share one Times slice, the others have
// their own.
func TestSharedTimes(t *testing.T) {
	r, err := newReader(bytes.NewReader(ownFile(t, "words.csv")), "file", testOptions)
	if err != nil {
		t.Fatal(err)
	}
	var b model.Batch
	if err := r.Next(&b); err != nil {
		t.Fatal(err)
	}
	a, second, event := b.Columns[0].Times, b.Columns[1].Times, b.Columns[2].Times
	if len(a) != 6 || len(second) != 7 || len(event) != 8 || &a[0] == &event[0] || &second[0] == &event[0] {
		t.Errorf("%d, %d and %d times", len(a), len(second), len(event))
	}
	r, err = newReader(bytes.NewReader(ownFile(t, "lr8430-en.csv")), "file", testOptions)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Next(&b); err != nil {
		t.Fatal(err)
	}
	if &b.Columns[0].Times[0] != &b.Columns[2].Times[0] {
		t.Error("full columns do not share their times")
	}
	if p := b.Columns[1].Properties; p == nil || p.Name != "GATE" || p.Unit != "V" || b.Columns[2].Properties != nil {
		t.Errorf("properties %+v and %+v", p, b.Columns[2].Properties)
	}
}

// A batch stays as it is while the next one is read.
func TestBatchOutlivesNextRead(t *testing.T) {
	o := testOptions
	o.BatchRows = 5
	r, err := newReader(bytes.NewReader(ownFile(t, "words.csv")), "file", o)
	if err != nil {
		t.Fatal(err)
	}
	var first, second model.Batch
	if err := r.Next(&first); err != nil {
		t.Fatal(err)
	}
	before := append([]int64(nil), first.Columns[2].Times...)
	if err := r.Next(&second); err != nil {
		t.Fatal(err)
	}
	for i, want := range before {
		if got := first.Columns[2].Times[i]; got != want {
			t.Errorf("time %d changed from %d to %d", i, want, got)
		}
	}
}

// refusedAs returns err as a refusal with the code.
func refusedAs(t *testing.T, err error, code string) *refusal.Error {
	t.Helper()
	var refused *refusal.Error
	if !errors.As(err, &refused) || refused.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	return refused
}
