package text

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/refusal"
)

// table reads data lines by a layout and returns times and values, one row a
// line, and the report.
func table(t *testing.T, data string, l Layout) (string, Report) {
	t.Helper()
	if l.Separator == 0 {
		l.Separator, l.Mark = ',', '.'
	}
	r, err := NewReader(NewLines(strings.NewReader(data)), "f", Options{Instrument: "i", BatchRows: 3},
		func(*Lines, *Options) (*Layout, *refusal.Error) { return &l, nil })
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	var b model.Batch
	for err == nil {
		if err = r.Next(&b); err == nil {
			for _, c := range b.Columns {
				for i := range c.Times {
					value := strconv.FormatFloat(c.Values[i], 'f', -1, 64)
					if q := model.QualityOf(c.Values[i]); q != model.QualityNone {
						value = q.String()
					}
					rows = append(rows, c.Labels.Channel()+" "+time.Unix(0, c.Times[i]).UTC().Format("02T15:04:05.999")+" "+value)
				}
			}
		}
	}
	if err != io.EOF {
		t.Fatal(err)
	}
	return strings.Join(rows, "\n"), r.Report()
}

func columns(kinds ...Kind) []Column {
	var all []Column
	for i, kind := range kinds {
		all = append(all, Column{Kind: kind, Name: fmt.Sprintf("c%d", i)})
	}
	return all
}

// Lines that carry clock times run through the hour that is shown twice; a time
// that was never shown is refused.
func TestClockChanges(t *testing.T) {
	l := Layout{Columns: columns(Time, Number), Clock: Clock{Format: MustFormat("YYYY-MM-DD hh:mm"), Zone: zone(t, "Europe/Berlin")}}
	rows, report := table(t, "2024-10-27 01:30,1\n2024-10-27 02:00,2\n2024-10-27 02:30,3\n2024-10-27 02:00,4\n2024-10-27 02:30,5\n2024-10-27 03:00,6\n", l)
	if rows != "c1 26T23:30:00 1\nc1 27T00:00:00 2\nc1 27T00:30:00 3\nc1 27T01:00:00 4\nc1 27T01:30:00 5\nc1 27T02:00:00 6" {
		t.Errorf("%s", rows)
	}
	if len(report.Warnings) != 1 || !strings.HasPrefix(report.Warnings[0], "4 rows at times that clocks showed twice") {
		t.Errorf("%q", report.Warnings)
	}
	rows, report = table(t, "2024-03-31 01:59,1\n2024-03-31 02:30,2\n2024-03-31 03:00,3\n2024-03-31 02:30Z,4\n", l)
	if rows != "c1 31T00:59:00 1\nc1 31T01:00:00 3\nc1 31T02:30:00 4" || report.Rejected != 1 || report.Errors[0].Line != 2 ||
		!strings.Contains(report.Errors[0].Detail, "never showed it") {
		t.Errorf("%s %+v", rows, report)
	}
}

// Lines without a time keep their places where one of them is refused.
func TestIntervals(t *testing.T) {
	rows, report := table(t, "1,a\nx,b,c,d\n\n3,c\n", Layout{Columns: columns(Number, Skip), Clock: Clock{Interval: 1e9}})
	if rows != "c0 01T00:00:00 1\nc0 01T00:00:02 3" || report.Rejected != 1 || report.Reasons[refusal.Malformed] != 1 {
		t.Errorf("%s %+v", rows, report)
	}
	_, report = table(t, "1\n2\n3\n", Layout{Columns: columns(Number), Clock: Clock{Start: model.MaxTime - 2, Interval: 1}})
	if report.Rows != 2 || report.Reasons[refusal.BadTime] != 1 {
		t.Errorf("%+v", report)
	}
}

func TestKindsOfCells(t *testing.T) {
	l := Layout{Columns: columns(Number, Hexadecimal, Levels), Clock: Clock{Interval: 1e9}, Missing: []float64{-99},
		Words: map[string]float64{"open": 1}, EmptyIsNo: true}
	rows, report := table(t, "+  1.5,ff,LH\n-99,0xA0,L\nopen,,HHH\n-99.0,fg,LX\n,0000000A,\n1e400,fffffffffffff,***\n", l)
	want := "c0 01T00:00:00 1.5\nc0 01T00:00:01 nodata\nc0 01T00:00:02 1\n" +
		"c1 01T00:00:00 255\nc1 01T00:00:01 160\nc1 01T00:00:02 nodata\n" +
		"c2 01T00:00:00 2\nc2 01T00:00:01 0\nc2 01T00:00:02 7\n" +
		"c0 01T00:00:03 nodata\nc0 01T00:00:04 nodata\n" +
		"c1 01T00:00:04 10\nc1 01T00:00:05 4503599627370495\n" +
		"c2 01T00:00:04 nodata\nc2 01T00:00:05 nodata"
	if rows != want {
		t.Errorf("%s", rows)
	}
	if report.Rejected != 3 || report.Errors[2].Detail != "\"1e400\" is beyond the largest number that can be stored, about 1.8E308" {
		t.Errorf("%+v", report)
	}
}

// Times are put together from cells, in their order, and told by durations or
// by numbers of any unit.
func TestWaysToTellTheTime(t *testing.T) {
	f := func(data, want string, clock Clock, kinds ...Kind) {
		t.Helper()
		rows, report := table(t, data, Layout{Columns: columns(kinds...), Clock: clock})
		if rows != want || report.Rejected > 0 {
			t.Errorf("%q: %s, %+v", data, rows, report)
		}
	}
	f("2024-01-02,7,03:04:05\n", "c1 02T03:04:05 7", Clock{Format: MustFormat("YYYY-MM-DD hh:mm:ss"), Zone: time.UTC}, Time, Number, Time)
	f("1 02:00:00.5,7\n", "c1 02T02:00:00.5 7", Clock{Duration: true}, Time, Number)
	f("-0:00:01,7\n", "c1 01T00:00:59 7", Clock{Duration: true, Start: 60e9}, Time, Number)
	f("0.138888888888889,7\n", "c1 01T00:08:20 7", Clock{Unit: 3600e9}, Time, Number)
	f("\" 1500 \",7\n", "c1 01T00:00:01.5 7", Clock{Unit: 1e6}, Time, Number)
}

// What is wrong with a file's times is said once for each kind.
func TestDirt(t *testing.T) {
	_, report := table(t, "\x00\x00\x001,1\n5,2\n5,3\n2,4\n1,5\n9,6\n\x008,\x007\n", Layout{Columns: columns(Time, Number), Clock: Clock{Unit: 1e9}})
	want := []string{
		"2 lines with NUL bytes before it, 4 bytes in all, first line 1,",
		"the clock goes back 2 times, by up to 3s, first at line 4:",
		"1 row with the time of the row before, first line 3:",
	}
	if len(report.Warnings) != len(want) {
		t.Fatalf("%q", report.Warnings)
	}
	for i := range want {
		if !strings.HasPrefix(report.Warnings[i], want[i]) {
			t.Errorf("%q", report.Warnings[i])
		}
	}
	if report.Rows != 6 || len(report.Errors) != 1 || report.Errors[0].Line != 7 || !strings.Contains(report.Errors[0].Detail, "byte 30 of the file") {
		t.Errorf("%+v", report.Errors)
	}
}

// The data end where the layout says, and what follows is read as nothing.
func TestEndOfData(t *testing.T) {
	data := "1,1\n#Mark\n2,2\n"
	rows, report := table(t, data, Layout{Columns: columns(Time, Number), Clock: Clock{Unit: 1e9}, End: "#", EndLines: 1})
	if len(report.Warnings) != 1 || !strings.HasPrefix(report.Warnings[0], "1 line behind the data") {
		t.Errorf("%q", report.Warnings)
	}
	if rows != "c1 01T00:00:01 1" || report.Bytes != int64(len(data)) || report.Rejected != 0 {
		t.Errorf("%s %+v", rows, report)
	}
}

// Signs of units tell Western European text from Japanese.
func TestCharsets(t *testing.T) {
	f := func(raw, want string, charset Charset) {
		t.Helper()
		got := DetectCharset([][]byte{[]byte(raw)})
		if got != charset || got.Decode([]byte(raw)) != want {
			t.Errorf("%q is %d %q", raw, got, got.Decode([]byte(raw)))
		}
	}
	f("T [°C]", "T [°C]", UTF8)
	f("T [\xB0C]", "T [°C]", CP1252)
	f("v [\xB5m/s\xB2]", "v [µm/s²]", CP1252)
	f("\x89\xB7\x93x", "温度", CP932)
	f("\xDFC", "ﾟC", CP932)
}

func benchTable(rows int) []byte {
	var b strings.Builder
	for i := range rows {
		at := time.Unix(1.7e9+int64(i), 0).UTC()
		fmt.Fprintf(&b, "%s,%.2f,%.3f,%d,%.1f\n", at.Format(time.DateTime), float64(i%1000)/100, float64(i%777)/1000, i%50, float64(i%90))
	}
	return []byte(b.String())
}

func BenchmarkClockTimes(b *testing.B) {
	file := string(benchTable(100_000))
	tokyo, _ := time.LoadLocation("Asia/Tokyo")
	l := Layout{Separator: ',', Mark: '.', Columns: columns(Time, Number, Number, Number, Number), Missing: []float64{-200},
		Clock: Clock{Format: MustFormat("YYYY-MM-DD hh:mm:ss"), Zone: tokyo}}
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := NewReader(NewLines(strings.NewReader(file)), "f", Options{Instrument: "i"},
			func(*Lines, *Options) (*Layout, *refusal.Error) { return &l, nil })
		if err != nil {
			b.Fatal(err)
		}
		var batch model.Batch
		for err == nil {
			err = r.Next(&batch)
		}
		if report := r.Report(); report.Rows != 100_000 || report.Rejected > 0 {
			b.Fatal(err, report)
		}
	}
}

// TestBatchesOfLongFilesGrow: the first is small, the last are as large as is
// best, of whole chunks, and what two batches in turn hold stays as it is.
func TestBatchesOfLongFilesGrow(t *testing.T) {
	for _, test := range []struct {
		channels, rows int
		want           []int
	}{
		{1, 200_000, []int{8192, 32768, 65536, 65536, 27968}},
		{30, 30_000, []int{3276, 12288, 14436}},
		{100, 9_000, []int{983, 3932, 4085}},
		{600, 3_000, []int{163, 652, 873, 873, 439}},
	} {
		var data strings.Builder
		for i := range test.rows {
			fmt.Fprintf(&data, "%d", i)
			for c := range test.channels {
				fmt.Fprintf(&data, ",%d", i+c)
			}
			data.WriteByte('\n')
		}
		kinds := append([]Kind{Time}, slices.Repeat([]Kind{Number}, test.channels)...)
		r, err := NewReader(NewLines(strings.NewReader(data.String())), "f", Options{Instrument: "i"},
			func(*Lines, *Options) (*Layout, *refusal.Error) {
				return &Layout{Columns: columns(kinds...), Separator: ',', Mark: '.', Clock: Clock{Unit: 1e9}}, nil
			})
		if err != nil {
			t.Fatal(err)
		}
		var batches [2]model.Batch
		var sizes []int
		row := 0
		for turn := 0; ; turn ^= 1 {
			err := r.Next(&batches[turn])
			if n := len(sizes); n > 0 { // the one before, while the next is there
				for c := range batches[turn^1].Columns {
					for i, v := range batches[turn^1].Columns[c].Values {
						if v != float64(row+i+c) {
							t.Fatalf("%d channels: row %d of channel %d is %v", test.channels, row+i, c, v)
						}
					}
				}
				row += sizes[n-1]
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, len(batches[turn].Columns[0].Times))
		}
		if !slices.Equal(sizes, test.want) {
			t.Errorf("%d channels: batches of %v rows, want %v", test.channels, sizes, test.want)
		}
	}
}
