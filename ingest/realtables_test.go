package ingest

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/mapping"
)

// realTable is a table that no instrument's dialect describes, and what this
// test reads in it by itself.
type realTable struct {
	file      string
	maps      string // what the map says; the rest is guessed
	separator string
	header    int
	rows      int
	samples   int64
	nodata    int // of the samples
	at        func(row []string) int64
	channels  map[int]string // by column from 0
	missing   []string
	words     map[string]float64
	skipped   int
	warnings  []string // what the dirt in it is called
}

// local reads a time in UTC.
func local(t *testing.T, layout string, columns ...int) func(row []string) int64 {
	return func(row []string) int64 {
		var parts []string
		for _, c := range columns {
			parts = append(parts, row[c])
		}
		return stamp(t, layout, strings.Join(parts, " "), time.UTC)
	}
}

func realTables(t *testing.T) []realTable {
	start := stamp(t, time.DateTime, "2024-01-01 00:00:00", time.UTC)
	line := int64(-1)
	return []realTable{
		{file: "airquality_uci_eu/AirQualityUCI.csv", maps: "auto", separator: ";", header: 1, rows: 9357, samples: 121641, nodata: 16701,
			at: local(t, "02/01/2006 15.04.05", 0, 1), missing: []string{"-200", "-200,0"},
			channels: map[int]string{2: "CO(GT)", 3: "PT08.S1(CO)", 4: "NMHC(GT)", 5: "C6H6(GT)", 6: "PT08.S2(NMHC)", 7: "NOx(GT)", 8: "PT08.S3(NOx)",
				9: "NO2(GT)", 10: "PT08.S4(NO2)", 11: "PT08.S5(O3)", 12: "T", 13: "RH", 14: "AH"}},
		{file: "weather_midc_shared/midc_raw_20181018.txt", maps: "auto", separator: ",", header: 1, rows: 1440, samples: 23040, nodata: 3741,
			at: func(row []string) int64 {
				day, err := strconv.Atoi(row[2])
				clock, err2 := strconv.Atoi(row[3])
				if err != nil || err2 != nil {
					t.Fatal(row)
				}
				return time.Date(2018, 1, day, clock/100, clock%100, 0, 0, time.UTC).UnixNano()
			}, missing: []string{"-7999.0"},
			channels: map[int]string{0: "Unnamed: 0", 4: "Direct Normal", 10: "Temp CM22 (platform)", 18: "Peak Wind Speed @ 3m"}},
		{file: "battery_neware_shared/neware_uio.csv", maps: "auto", separator: ",", header: 1, rows: 9065, samples: 190365, skipped: 4,
			at: local(t, time.DateTime, 20), channels: map[int]string{0: "DataPoint", 6: "Current", 7: "Voltage", 24: "Contact resistance"},
			warnings: []string{"99 rows with the time of the row before, first line 723"}},
		{file: "battery_bdf_shared/batmo_bdf.csv", maps: "start=2024-01-01 00:00:00", separator: ",", header: 1, rows: 21206, samples: 6 * 21206, skipped: 2,
			at: func(row []string) int64 {
				hours, _ := new(big.Rat).SetString(row[0])
				ns, _ := new(big.Int).SetString(hours.Mul(hours, big.NewRat(3600e9, 1)).FloatString(0), 10)
				return start + ns.Int64()
			}, channels: map[int]string{1: "Current", 2: "Voltage", 5: "Cycle Count", 8: "Discharge Capacity"}},
		{file: "skab_shared/anomaly-free.csv", maps: "auto", separator: ";", header: 1, rows: 9405, samples: 8 * 9405,
			at: local(t, time.DateTime, 0), channels: map[int]string{1: "Accelerometer1RMS", 4: "Pressure", 8: "Volume Flow RateRMS"}},
		{file: "skab_shared/valve1_0.csv", maps: "auto", separator: ";", header: 1, rows: 1147, samples: 10 * 1147,
			at: local(t, time.DateTime, 0), channels: map[int]string{2: "Accelerometer2RMS", 9: "anomaly", 10: "changepoint"}},
		{file: "nab_shared/machine_temperature_system_failure.csv", maps: "auto", separator: ",", header: 1, rows: 22695, samples: 22695,
			at: local(t, time.DateTime, 0), channels: map[int]string{1: "value"}, warnings: []string{"goes back 1 time, by up to 55m0s, first at line 10151"}},
		{file: "nab_shared/occupancy_6005.csv", maps: "auto", separator: ",", header: 1, rows: 2380, samples: 2380,
			at: local(t, time.DateTime, 0), channels: map[int]string{1: "value"}},
		{file: "nab_shared/Twitter_volume_AAPL.csv", maps: "auto", separator: ",", header: 1, rows: 15902, samples: 15902,
			at: local(t, time.DateTime, 0), channels: map[int]string{1: "value"}},
		{file: "nab_shared/ec2_network_in_257a54.csv", maps: "auto", separator: ",", header: 1, rows: 4032, samples: 4032,
			at: local(t, time.DateTime, 0), channels: map[int]string{1: "value"}},
		{file: "ett_shared/ETTh1.csv", maps: "auto", separator: ",", header: 1, rows: 17420, samples: 7 * 17420,
			at: local(t, time.DateTime, 0), channels: map[int]string{1: "HUFL", 4: "MULL", 7: "OT"}},
		{file: "occupancy_shared/datatraining.txt", maps: "auto", separator: ",", header: 1, rows: 8143, samples: 6 * 8143, skipped: 1,
			at: local(t, time.DateTime, 1), channels: map[int]string{2: "Temperature", 5: "CO2", 6: "HumidityRatio", 7: "Occupancy"}},
		{file: "weather_bdg_shared/weather10.csv", maps: "auto", separator: ",", header: 1, rows: 7510, samples: 60080, nodata: 7497, skipped: 6,
			at: local(t, time.DateTime, 0), missing: []string{"-", "-9999", "-9999.0"}, words: map[string]float64{"Calm": 0},
			channels: map[int]string{2: "TemperatureC", 4: "Humidity", 8: "Wind SpeedKm/h", 9: "Gust SpeedKm/h", 13: "WindDirDegrees"}},
		{file: "hioki_rm_station/20260617.csv", maps: "auto", separator: ",", header: 1, rows: 14, samples: 28, skipped: 4,
			at: local(t, time.DateTime, 0), channels: map[int]string{1: "Resistance", 2: "Status"}, words: map[string]float64{"OK": 1, "NG": 0}},
		{file: "hioki_rm_station/network_status.log", maps: "channel=2:link", separator: ",", rows: 52977, samples: 52977, skipped: 1,
			at: local(t, time.DateTime, 0), channels: map[int]string{1: "link"}, words: map[string]float64{"connected": 1, "disconnected": 0},
			warnings: []string{"33 lines with NUL bytes before it, 2360 bytes in all, first line 710", "goes back 26 times", "2 rows with the time of the row before"}},
		{file: "vibration_fan_shared/accelerometer.csv", maps: "interval=20ms,start=2024-01-01 00:00:00", separator: ",", header: 1, rows: 153000, samples: 5 * 153000,
			at: func(row []string) int64 {
				line++
				return start + line*20e6
			}, channels: map[int]string{4: "z"}},
	}
}

// Every table below HOKAN_DATA is read with what is guessed of it: every row
// arrives at its time, with the decimal that stands in the file, and the dirt
// in it is named.
func TestRealTables(t *testing.T) {
	for _, table := range realTables(t) {
		t.Run(table.file, func(t *testing.T) {
			file := realFile(t, table.file)
			m, err := mapping.Parse(table.maps)
			if err != nil {
				t.Fatal(err)
			}
			k, result, err := importBytes(file, FileOptions{Instrument: "i", Zone: time.UTC, Map: m})
			if err != nil {
				t.Fatal(err)
			}
			if result.Dialect != "csv" || result.Rows != int64(table.rows) || result.Accepted != table.samples || result.Rejected != 0 ||
				len(result.SkippedColumns) != table.skipped {
				t.Errorf("%+v", result)
			}
			wanted := table.warnings
			if table.skipped > 0 && !strings.Contains(table.maps, "channel=") {
				wanted = append([]string{"columns not taken: "}, wanted...)
			}
			if len(result.Warnings) != len(wanted) {
				t.Errorf("warnings %q", result.Warnings)
			} else {
				for i, want := range wanted {
					if !strings.Contains(result.Warnings[i], want) {
						t.Errorf("%q does not say %q", result.Warnings[i], want)
					}
				}
			}
			table.compare(t, file, k)
			table.mapSuffices(t, file, result)
			readsBack(t, file, m, k)
		})
	}
}

// compare reads the file by other means.
func (table *realTable) compare(t *testing.T, file []byte, k *kept) {
	lines := strings.Split(strings.ReplaceAll(strings.TrimSpace(string(file)), "\r\n", "\n"), "\n")[table.header:]
	want := map[string][]model.Sample{}
	for _, line := range lines {
		row := strings.Split(strings.ReplaceAll(strings.TrimLeft(line, "\x00"), `"`, ""), table.separator)
		if strings.Trim(line, table.separator) == "" {
			continue
		}
		at := table.at(row)
		for column, name := range table.channels {
			if value, there := table.value(t, row[column]); there {
				want[name] = append(want[name], model.Sample{Time: at, Value: value})
			}
		}
	}
	for name := range want {
		if len(k.samples[name]) != len(want[name]) {
			t.Fatalf("%s: %d samples, want %d", name, len(k.samples[name]), len(want[name]))
		}
		for i, w := range want[name] {
			if got := k.samples[name][i]; got.Time != w.Time || math.Float64bits(got.Value) != math.Float64bits(w.Value) {
				t.Fatalf("%s: sample %d is %v, want %v", name, i, got, w)
			}
		}
	}
	nodata := 0
	for _, samples := range k.samples {
		for _, s := range samples {
			if model.QualityOf(s.Value) == model.QualityNoData {
				nodata++
			}
		}
	}
	if nodata != table.nodata {
		t.Errorf("%d samples are nodata, want %d", nodata, table.nodata)
	}
}

// value reads a cell by other means; an empty one is no sample.
func (table *realTable) value(t *testing.T, cell string) (float64, bool) {
	if cell == "" {
		return 0, false
	}
	for _, marker := range table.missing {
		if cell == marker {
			return model.QualityNoData.NaN(), true
		}
	}
	if number, ok := table.words[cell]; ok {
		return number, true
	}
	v, err := strconv.ParseFloat(strings.Replace(cell, ",", ".", 1), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v, true
}

// mapSuffices imports once more with the map that was guessed as text, which
// leaves nothing to be guessed.
func (table *realTable) mapSuffices(t *testing.T, file []byte, first FileResult) {
	m, err := mapping.Parse(first.Map)
	if err != nil {
		t.Fatalf("%s: %v", first.Map, err)
	}
	if len(first.Warnings) > 0 && strings.HasPrefix(first.Warnings[0], "columns not taken: ") {
		first.Warnings = first.Warnings[1:] // the guess is no longer one
	}
	_, second, err := importBytes(file, FileOptions{Instrument: "i", Zone: time.UTC, Map: m})
	if err != nil || fmt.Sprint(second) != fmt.Sprint(first) {
		t.Errorf("%v\n%+v\n%+v", err, first, second)
	}
}
