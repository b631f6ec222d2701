package ingest

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/japanese"
)

func realFile(t testing.TB, name string) []byte {
	t.Helper()
	folder := os.Getenv("HOKAN_DATA")
	if folder == "" {
		t.Skip("HOKAN_DATA is not set: no files of real instruments")
	}
	file, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// sameDecimals compares a channel with the cells of a column: each is the
// float64 nearest to the decimal in the file, at the time that want says.
func (k *kept) sameDecimals(t *testing.T, channel string, rows [][]string, column int, at func(row []string) int64) {
	t.Helper()
	samples := k.samples[channel]
	if len(samples) != len(rows) {
		t.Fatalf("%s: %d samples, want %d", channel, len(samples), len(rows))
	}
	for i, row := range rows {
		cell := strings.ReplaceAll(strings.TrimPrefix(strings.ReplaceAll(row[column], " ", ""), "+"), ",", ".")
		want, err := strconv.ParseFloat(cell, 64)
		if err != nil {
			t.Fatalf("%s: row %d: %v", channel, i, err)
		}
		if got := samples[i]; math.Float64bits(got.Value) != math.Float64bits(want) || got.Time != at(row) {
			t.Fatalf("%s: row %d is %v at %d, the file says %s at %d", channel, i, got.Value, got.Time, cell, at(row))
		}
	}
}

// cells splits lines that hold no quotes.
func cells(lines []string, separator string) [][]string {
	var rows [][]string
	for _, line := range lines {
		rows = append(rows, strings.Split(line, separator))
	}
	return rows
}

func decodeJapanese(t *testing.T, file []byte) []string {
	t.Helper()
	text, err := japanese.ShiftJIS.NewDecoder().Bytes(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
}

func stamp(t *testing.T, layout, text string, zone *time.Location) int64 {
	t.Helper()
	at, err := time.ParseInLocation(layout, text, zone)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixNano()
}

func TestRealKeyence(t *testing.T) {
	file := realFile(t, "keyence_nr500_shared/230207.CSV")
	tokyo := zone(t, "Asia/Tokyo")
	k, result, err := importBytes(file, FileOptions{Instrument: "i", Zone: tokyo})
	if err != nil || result.Dialect != "keyence-nr500" || result.Rows != 8830 || result.Accepted != 9*8830 || result.Rejected != 0 ||
		len(result.Warnings) > 0 {
		t.Fatalf("%v %+v", err, result)
	}
	lines := decodeJapanese(t, file)
	rows := cells(lines[57:57+8830], ",")
	for c, name := range strings.Split(lines[56], ",")[2:] {
		k.sameDecimals(t, name, rows, c+2, func(row []string) int64 {
			return stamp(t, "2006/01/02 15:04:05.000000", row[0]+"."+row[1], tokyo)
		})
		if p := k.properties[name]; p.Unit != "°C" || !strings.HasPrefix(p.Name, "Channel0") {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestRealGraphtec(t *testing.T) {
	file := realFile(t, "graphtec_gl240_shared/260924-090155.CSV")
	tokyo := zone(t, "Asia/Tokyo")
	k, result, err := importBytes(file, FileOptions{Instrument: "i", Zone: tokyo})
	if err != nil || result.Dialect != "graphtec-gl" || result.Rows != 36 || result.Accepted != 4*36 || result.Rejected != 0 {
		t.Fatalf("%v %+v", err, result)
	}
	lines := decodeJapanese(t, file)
	for len(lines) > 0 && !strings.HasPrefix(lines[0], "NO.") {
		lines = lines[1:]
	}
	for column, name := range map[int]string{3: "CH1", 4: "CH2"} {
		k.sameDecimals(t, name, cells(lines[1:37], ","), column, func(row []string) int64 {
			ms, err := strconv.Atoi(strings.TrimSpace(row[2]))
			if err != nil {
				t.Fatal(err)
			}
			return stamp(t, "2006/01/02 15:04:05", row[1], tokyo) + int64(ms)*1e6
		})
	}
	if k.properties["CH1"].Unit != "mV" || k.properties["CH2"].Unit != "V" {
		t.Errorf("%+v", k.properties)
	}
}
