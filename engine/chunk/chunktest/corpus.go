package chunktest

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Set is the columns of one folder of the corpus.
type Set struct {
	Name   string
	Series []Series
}

// Rows returns the number of samples in the set.
func (s *Set) Rows() int {
	n := 0
	for i := range s.Series {
		n += len(s.Series[i].Values)
	}
	return n
}

// minRows is how many numbers make a column one of the corpus.
const minRows = 500

// A table is a folder of text files with a row a line.
type table struct {
	set, folder, files string
	separator          string // between cells
	decimalComma       bool
	first              int // of the columns that may hold values
	// time reads a row's time from its cells, rows counting those before it. A
	// line that has none is no row: a heading, or a remark at the end.
	time func(cells []string, rows int) (nanoseconds int64, ok bool)
}

var tables = []table{
	{"airquality", "airquality_uci_eu", "AirQualityUCI.csv", ";", true, 2, func(c []string, _ int) (int64, bool) {
		return clock("02/01/2006 15.04.05", c[0]+" "+c[1])
	}},
	{"alp_samples", "alp_samples_shared", "*.csv", ",", false, 0, every(second)},
	{"battery_bdf", "battery_bdf_shared", "batmo_bdf.csv", ",", false, 1, elapsed(3600)},
	{"battery_neware", "battery_neware_shared", "neware_uio.csv", ",", false, 0, stamp(20)},
	{"ett", "ett_shared", "ETTh1.csv", ",", false, 1, stamp(0)},
	// WAVE0002.CSV has the samples of WAVE0001.CSV again.
	{"hioki_lr8400_en", "hioki_lr8400_en", "WAVE0001.CSV", ",", false, 1, elapsed(1)},
	{"hioki_lr8431_ja", "hioki_lr8431_ja_shared", "*.CSV", ",", false, 1, elapsed(1)},
	{"keyence_nr500", "keyence_nr500_shared", "230207.CSV", ",", false, 2, func(c []string, _ int) (int64, bool) {
		micros, err := strconv.Atoi(c[1])
		t, ok := clock("2006/01/02 15:04:05", c[0])
		return t + int64(micros)*1000, ok && err == nil
	}},
	{"nab", "nab_shared", "*.csv", ",", false, 1, stamp(0)},
	{"occupancy", "occupancy_shared", "datatraining.txt", ",", false, 2, stamp(1)},
	{"skab", "skab_shared", "*.csv", ";", false, 1, stamp(0)},
	{"vibration_fan", "vibration_fan_shared", "accelerometer.csv", ",", false, 2, every(20 * millisecond)},
	{"weather_bdg", "weather_bdg_shared", "weather10.csv", ",", false, 1, stamp(0)},
	{"weather_midc", "weather_midc_shared", "midc_raw_20181018.txt", ",", false, 4, every(60 * second)},
}

// Corpus reads the real files in folders of dir: columns of at least 500
// numbers, with the times of their rows. Numbers that stand for none (-9999)
// stay, cells that are no numbers are left out, rows are put in order of time,
// and of rows at one time each is a millisecond after the one before it.
func Corpus(dir string) ([]Set, error) {
	var corpus []Set
	for i := range tables {
		set, err := tables[i].read(dir)
		if err != nil {
			return nil, err
		}
		corpus = append(corpus, set)
	}
	temperatures, err := cityTemperatures(dir)
	if err != nil {
		return nil, err
	}
	waves, err := waveforms(dir)
	if err != nil {
		return nil, err
	}
	corpus = append(append(corpus, temperatures), waves...)
	slices.SortFunc(corpus, func(a, b Set) int { return cmp.Compare(a.Name, b.Name) })
	return corpus, nil
}

// every counts time in rows of so many nanoseconds, for files that have none.
func every(step int64) func([]string, int) (int64, bool) {
	return func(cells []string, rows int) (int64, bool) {
		_, ok := number(cells[0], false)
		return int64(rows) * step, ok
	}
}

// stamp reads a date and time from a column.
func stamp(column int) func([]string, int) (int64, bool) {
	return func(cells []string, _ int) (int64, bool) {
		if column >= len(cells) {
			return 0, false
		}
		return clock(time.DateTime, cells[column])
	}
}

// elapsed reads the time since the start from the first column, in units of so
// many seconds, to the millisecond.
func elapsed(seconds float64) func([]string, int) (int64, bool) {
	return func(cells []string, _ int) (int64, bool) {
		t, ok := number(cells[0], false)
		return int64(math.Round(t*seconds*1e3)) * millisecond, ok
	}
}

func clock(layout, text string) (int64, bool) {
	t, err := time.Parse(layout, text)
	return t.UnixNano(), err == nil
}

func number(cell string, decimalComma bool) (float64, bool) {
	if decimalComma {
		cell = strings.Replace(cell, ",", ".", 1)
	}
	v, err := strconv.ParseFloat(cell, 64)
	return v, err == nil
}

func (t *table) read(dir string) (Set, error) {
	set := Set{Name: t.set}
	paths, err := filepath.Glob(filepath.Join(dir, t.folder, t.files))
	if err != nil {
		return set, err
	}
	if len(paths) == 0 {
		return set, fmt.Errorf("no %s in folder %s of the corpus", t.files, t.folder)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return set, err
		}
		for i, column := range t.columns(string(text)) {
			name := fmt.Sprintf("%s column %d", filepath.Base(path), i+1)
			if s, ok := column.series(t.set, name); ok {
				set.Series = append(set.Series, s)
			}
		}
	}
	return set, nil
}

// sample is one cell that is a number.
type sample struct {
	time  int64
	value float64
}

// column is the cells of one column that are numbers, and how many are text.
type column struct {
	samples []sample
	texts   int
}

// columns reads a file; what comes before t.first comes out empty.
func (t *table) columns(text string) []column {
	var columns []column
	rows := 0
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.TrimRight(line, "\r\n"), t.separator)
		for i, c := range cells {
			cells[i] = strings.Trim(c, ` "`)
		}
		if len(cells) <= t.first {
			continue
		}
		at, ok := t.time(cells, rows)
		if !ok {
			continue
		}
		rows++
		for len(columns) < len(cells) {
			columns = append(columns, column{})
		}
		for i := t.first; i < len(cells); i++ {
			if v, ok := number(cells[i], t.decimalComma); ok {
				columns[i].samples = append(columns[i].samples, sample{at, v})
			} else {
				columns[i].texts++
			}
		}
	}
	return columns
}

// series returns the rows in order, or false where the column is too short or
// mostly text.
func (c *column) series(class, name string) (Series, bool) {
	if len(c.samples) < minRows || len(c.samples) < c.texts {
		return Series{}, false
	}
	slices.SortStableFunc(c.samples, func(a, b sample) int { return cmp.Compare(a.time, b.time) })
	s := Series{Class: class, Name: name}
	for i, row := range c.samples {
		if i > 0 && row.time <= s.Times[i-1] {
			row.time = s.Times[i-1] + millisecond
		}
		s.Times = append(s.Times, row.time)
		s.Values = append(s.Values, row.value)
	}
	return s, true
}

// cityTemperatures reads a file of bare little-endian doubles: daily
// temperatures of cities, one city after the other.
func cityTemperatures(dir string) (Set, error) {
	data, err := os.ReadFile(filepath.Join(dir, "alp_samples_shared", "city_temperature_f_tw.bin"))
	if err != nil {
		return Set{}, err
	}
	s := Series{Class: "city_temperature", Name: "city_temperature_f_tw"}
	for i := range len(data) / 8 {
		s.Times = append(s.Times, int64(i)*second)
		s.Values = append(s.Values, math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:])))
	}
	return Set{s.Class, []Series{s}}, nil
}

// waveforms reads a recording of format 212 (two 12-bit samples in three bytes)
// at 250 Hz: its counts, and the physical values that they stand for.
func waveforms(dir string) ([]Set, error) {
	data, err := os.ReadFile(filepath.Join(dir, "waveform_multi_shared", "v102s.dat"))
	if err != nil {
		return nil, err
	}
	gains := []float64{2281, 1856, 1250, 38880} // counts to a unit, as v102s.hea says
	sets := []Set{{Name: "waveform_multi counts"}, {Name: "waveform_multi phys"}}
	for s := range sets {
		for g := range gains {
			sets[s].Series = append(sets[s].Series, Series{Class: sets[s].Name, Name: fmt.Sprintf("v102s signal %d", g+1)})
		}
	}
	put := func(i int, bits uint16) {
		count := float64(int16(bits<<4) >> 4)
		at := int64(i/len(gains)) * 4 * millisecond
		for s, v := range []float64{count, count / gains[i%len(gains)]} {
			column := &sets[s].Series[i%len(gains)]
			column.Times, column.Values = append(column.Times, at), append(column.Values, v)
		}
	}
	for i := 0; i+3 <= len(data); i += 3 {
		a, b, c := uint16(data[i]), uint16(data[i+1]), uint16(data[i+2])
		put(i/3*2, a|b&0x0F<<8)
		put(i/3*2+1, c|b>>4<<8)
	}
	return sets, nil
}
