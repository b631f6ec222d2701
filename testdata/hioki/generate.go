//go:build ignore

// Generate writes the logger files of this folder:
//
//	go run testdata/hioki/generate.go
//
// The values are ours. What the files share with those of real instruments is
// the layout, the steps in which a range is measured (a voltage is an integer
// times range/20000, a thermocouple reads 0.01 C) and the printed forms.
package main

import (
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/text/encoding/japanese"
)

// meter reads values near a centre in whole steps.
type meter struct{ noise *rand.Rand }

// newMeter always reads the same, so that the variants of a file hold the same
// values.
func newMeter() meter { return meter{rand.New(rand.NewPCG(8400, 1))} }

func (m meter) reading(centre, spread, step float64) float64 {
	return math.Round((centre+m.noise.NormFloat64()*spread)/step) * step
}

func main() {
	files := map[string]string{
		"lr8400-en.csv":         lr8400(2000),
		"lr8400-ja-sjis.csv":    shiftJIS(japaneseRows(40)),
		"lr8400-ja-utf8bom.csv": "\uFEFF" + japaneseRows(40),
		"lr8430-en.csv":         table(60, false),
		"lr8430-ja-sjis.csv":    shiftJIS(table(60, true)),
		"lr8430-ja-utf8.csv":    lf(table(60, true)),
		"lr8450-en.csv":         lr8450(50, ",", "."),
		"lr8450-semicolon.csv":  lr8450(50, ";", ","),
		"lr8450-tab.csv":        lr8450(50, "\t", ","),
		"lr8450-space.csv":      lr8450(50, " ", "."),
		"headerless.csv":        headerless(30),
		"words.csv":             words,
	}
	for name, text := range bad() {
		files["bad-"+name+".csv"] = text
	}
	_, source, _, _ := runtime.Caller(0)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(filepath.Dir(source), name), []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// lr8400 is a pond over five and a half hours: a temperature and three probes.
func lr8400(rows int) string {
	var b strings.Builder
	m := newMeter()
	line(&b, `"File name","LAKE0001.CSV","V 1.27"`)
	line(&b, `"Title comment","POND WEST"`)
	line(&b, `"Trigger Time","'24-03-11 07:05:20"`)
	line(&b, `"Ch","A 1- 1","A 1- 2","A 1- 5","A 1-12",`)
	line(&b, `"Mode","Tc","Voltage","Voltage","Voltage",`)
	line(&b, `"Range","100 C","1V","1V","10V",`)
	line(&b, `"Comment","WATER","PROBE A","PROBE B","PUMP",`)
	line(&b, `"Scaling","Off","Off","Off","Off",`)
	line(&b, `"Ratio"," 1.00000E+00"," 1.00000E+00"," 1.00000E+00"," 1.00000E+00",`)
	line(&b, `"Offset"," 0.00000E+00"," 0.00000E+00"," 0.00000E+00"," 0.00000E+00",`)
	line(&b, `"Time","1-1[C]","1-2[V]","1-5[V]","1-12[V]","Event",`)
	for i := range rows {
		phase := float64(i) / float64(rows)
		water := 26.4 + 5.2*math.Sin(math.Pi*phase) + 0.4*math.Sin(37*phase)
		pump := 0.0
		if i/180%3 == 1 {
			pump = 4.93
		}
		event := 0
		if i == 700 || i == 1400 {
			event = 1
		}
		fmt.Fprintf(&b, "% .9E,% .5E,% .5E,% .5E,% .5E,%d,\r\n", float64(i)*10,
			m.reading(water, 0.012, 0.01),
			m.reading(-0.0175+0.01*math.Sin(9*phase), 0.0004, 5e-5),
			m.reading(0.2110+0.05*phase, 0.0002, 5e-5),
			m.reading(pump, 0.001, 5e-4), event)
	}
	return b.String()
}

func line(b *strings.Builder, text string) { b.WriteString(text + "\r\n") }

func lf(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

func shiftJIS(text string) string {
	encoded, err := japanese.ShiftJIS.NewEncoder().String(text)
	if err != nil {
		log.Fatal(err)
	}
	return encoded
}

// japaneseRows has pulse, logic, alarm, alarm source and computed columns.
func japaneseRows(rows int) string {
	var b strings.Builder
	m := newMeter()
	line(&b, `"ファイル名","TEST0007.CSV","V 1.30"`)
	line(&b, `"タイトルコメント","表示試験"`)
	line(&b, `"トリガ時刻","23-11-02 09:30:00"`)
	line(&b, `"CH","A 1- 1","P 1","LOGIC-1","ALM-1","ALM-SOURCE-1","Z 1",`)
	line(&b, `"モード","電圧","積算","ロジック","アラーム","アラームソース","演算",`)
	line(&b, `"レンジ","10V","","","","","",`)
	line(&b, `"コメント","炉内圧力ｾﾝｻ","流量①","扉","警報","","差ソ表",`)
	line(&b, `"スケーリング","ON","OFF",`)
	line(&b, `"変換比"," 2.50000E+01"," 1.00000E+00",`)
	line(&b, `"オフセット","-1.00000E+01"," 0.00000E+00",`)
	line(&b, `"Time","1-1[kPa]","P-1[c]","IN-1","ALM-1","ALM-SOURCE-1","CALC-1[℃]","Event",`)
	for i := range rows {
		alarm, source := 0, `""`
		if i >= 30 {
			alarm, source = 1, `"1-1,P-1"`
		}
		fmt.Fprintf(&b, "% .9E,% .5E,% .9E,%d,%d,%s,% .14E,0,\r\n", float64(i-10)*0.5,
			m.reading(40+float64(i)*0.1, 0.05, 5e-4*25), float64(i*i), i/4%2, alarm, source, 20+math.Sqrt(float64(i)))
	}
	return b.String()
}

// table is the family whose header has one row per channel.
func table(rows int, japanese bool) string {
	var b strings.Builder
	m := newMeter()
	if japanese {
		line(&b, `"ファイル名","WAVE0042.CSV","V 1.11"`)
		line(&b, `"タイトルコメント","受信 22"`)
		line(&b, `"トリガ時刻","25-02-28 23:59:58"`)
	} else {
		line(&b, `"File name","WAVE0042.CSV","V 1.00"`)
		line(&b, `"Title comment","RECEIVER 22"`)
		line(&b, `"Trigger Time","'25-02-28 23:59:58"`)
	}
	mode := "Voltage"
	if japanese {
		mode = "電圧"
	}
	line(&b, `"CH","Mode","Range","Comment","Scaling","Ratio","Offset"`)
	line(&b, `"CH-1","`+mode+`","1V","LEVEL","OFF","-","-"`)
	line(&b, `"CH-10","`+mode+`","10V","GATE","ON"," 2.00000E+00"," 5.00000E-01"`)
	line(&b, `"Time","CH-1[V]","CH-10[V]","Event",`)
	for i := range rows {
		fmt.Fprintf(&b, "% .9E,% .5E,% .5E,0,\r\n", float64(i)*0.05,
			m.reading(0.16, 0.03, 5e-5), m.reading(float64(i/8%2)*4.93, 0.001, 5e-4))
	}
	return b.String()
}

// lr8450 has a UnitID row, fractions of a second in the trigger time and signs
// on every number.
func lr8450(rows int, separator, mark string) string {
	var b strings.Builder
	m := newMeter()
	write := func(cells ...string) {
		b.WriteString(strings.Join(cells, separator))
		b.WriteString(separator + "\r\n")
	}
	number := func(format string, v float64) string {
		return strings.Replace(fmt.Sprintf(format, v), ".", mark, 1)
	}
	write(`"File name"`, `"AUTO0001.CSV"`, `"V 2.10"`)
	write(`"Title comment"`)
	write(`"Trigger Time"`, `"2026-05-27 10:09:11.772"`)
	write(`"CH"`, `"U1-1"`, `"U1-2"`, `"ALM1"`, `" ALM-SOURCE-1-U1"`, `"W1"`)
	write(`"Mode"`, `"Tc"`, `"Voltage"`, `"Alarm"`, `"Alarm Source"`, `"Calculation"`)
	write(`"Range"`, `"100C"`, `"1V"`, `""`, `""`, `""`)
	write(`"UnitID"`, `""`, `""`, `""`, `""`, `""`)
	write(`"Comment"`, `"oven; left, rear"`, `"shunt ""A"""`, `""`, `""`, `"power"`)
	write(`"Scaling"`, `"OFF"`, `"OFF"`)
	write(`"Ratio"`, `"1`+mark+`00000E+00"`, `"1`+mark+`00000E+00"`)
	write(`"Offset"`, `"0`+mark+`00000E+00"`, `"0`+mark+`00000E+00"`)
	write(`"Time"`, `"U1-1[C]"`, `"U1-2[V]"`, `"ALM1"`, `" ALM-SOURCE-1-U1"`, `"W1[W]"`)
	for i := range rows {
		source := `""`
		if i > 40 {
			source = `"U1-1"`
		}
		write(number("%+.9E", float64(i)*0.001), number("%+.5E", m.reading(180, 0.3, 0.01)),
			number("%+.5E", m.reading(0.05, 0.001, 5e-5)), fmt.Sprint(min(1, i/41)), source,
			number("%+.13E", float64(i)/7))
	}
	return b.String()
}

// headerless is what remains when a person deletes the header and types the
// column line anew.
func headerless(rows int) string {
	var b strings.Builder
	m := newMeter()
	b.WriteString("\"Time [s]\",\"TEMP [C]\",\"PUMP [V]\",\"Event\",\n")
	for i := range rows {
		fmt.Fprintf(&b, "% .9E,% .5E,% .5E,0,\n", float64(i)*60, m.reading(22, 0.1, 0.01), m.reading(1.5, 0.01, 5e-4))
	}
	return b.String()
}

const head = `"File name","W.CSV","V 1.00"` + "\n" + `"Trigger Time","'24-01-02 03:04:05"` + "\n" + `"Time","A[V]","B[V]","Event",` + "\n"

// words has every word that stands for a missing number, empty cells, and a
// last line without a line end.
const words = head + ` 0.000000000E+00, OVER,-OVER,0,
 1.000000000E+00,+OVER,UNDER,0,
 2.000000000E+00,BURNOUT,"BURN OUT",0,
 3.000000000E+00,nodata,NO DATA,0,
 4.000000000E+00,, 1.50000E+00,0,
 5.000000000E+00,"",  ,0,
 6.000000000E+00,-0.00000E+00, 4.9E-324,0,
 7.000000000E+00, 1, 0.1,0,`

// bad holds what is refused, in part or whole.
func bad() map[string]string {
	row := " 1.0E+00, 1.0E+00, 2.0E+00,0,\n"
	return map[string]string{
		"empty":            "",
		"foreign":          "id;name\n1;x\n2;y\n",
		"header-only":      head,
		"truncated-header": head[:40],
		"nul":              head + row + " 2.0E+00, 1.0\x00\x00\x00,0,\n" + row,
		"cells":            head + row + " 2.0E+00, 1.0E+00, 2.0E+00\n 3.0E+00, 1.0E+00, 2.0E+00,0,0,\n" + row,
		"number":           head + " 1.0E+00, abc, 2.0E+00,0,\n 2.0E+00, inf, 1E400,0,\n 3.0E+00, nan, 2.0E+00,0,\n" + row,
		"time":             head + " x, 1, 2,0,\n, 1, 2,0,\n 9.9E+09, 1, 2,0,\n" + row,
		"order":            head + " 5.0E+00, 1, 2,0,\n 3.0E+00, 3, 4,0,\n 3.0E+00, 5, 6,0,\n",
		"torn":             head + row + " 2.0E+00, 1.0E+00, 2.0E",
		"date":             strings.Replace(head, "'24-01-02", "1499-01-02", 1) + row,
		"no-such-date":     strings.Replace(head, "'24-01-02", "'23-02-30", 1) + row,
		"duplicate-column": strings.Replace(head, "B[V]", "A [mV]", 1) + row,
		"long-name":        strings.Replace(head, "B[V]", strings.Repeat("n", 10240), 1) + row,
		"invalid-name":     strings.Replace(head, "B[V]", "B\xff\xfe\x80", 1) + row,
		"no-name":          strings.Replace(head, "B[V]", "[V]", 1) + row,
		"milliseconds":     strings.Replace(head, `"Time"`, `"Time [ms]"`, 1) + row,
	}
}
