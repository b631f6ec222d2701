package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/mapping"
	"github.com/hokan-db/hokan/ingest/refusal"
)

// kept collects what an import appends, by channel.
type kept struct {
	samples    map[string][]model.Sample
	properties map[string]model.Properties
	order      []string // of the channels
}

func (k *kept) append(_ context.Context, b *model.Batch) error {
	for _, c := range b.Columns {
		name := c.Labels.Channel()
		if k.samples[name] == nil {
			k.order = append(k.order, name)
		}
		if c.Properties != nil {
			k.properties[name] = *c.Properties
		}
		for i := range c.Times {
			k.samples[name] = append(k.samples[name], model.Sample{Time: c.Times[i], Value: c.Values[i]})
		}
	}
	return nil
}

func importBytes(file []byte, o FileOptions) (*kept, FileResult, error) {
	k := &kept{samples: map[string][]model.Sample{}, properties: map[string]model.Properties{}}
	result, err := ImportFile(context.Background(), k.append, bytes.NewReader(file), "f", o)
	return k, result, err
}

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func instrumentFile(t testing.TB, name string) []byte {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("..", "testdata", "instruments", name))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// valueText writes a sample's value: the shortest decimal, or its quality.
func valueText(v float64) string {
	if q := model.QualityOf(v); q != model.QualityNone {
		return q.String()
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// dump writes channels one a line: label|unit|name: values. The times are those
// of the first channel, which has no hole.
func (k *kept) dump(zone *time.Location) string {
	var b strings.Builder
	for _, s := range k.samples[k.order[0]] {
		fmt.Fprintf(&b, " %s", time.Unix(0, s.Time).In(zone).Format("2006-01-02T15:04:05.999999"))
	}
	for _, name := range k.order {
		fmt.Fprintf(&b, "\n%s|%s|%s:", name, k.properties[name].Unit, k.properties[name].Name)
		for _, s := range k.samples[name] {
			b.WriteString(" " + valueText(s.Value))
		}
	}
	return strings.TrimSpace(b.String())
}

// Each dialect has a small file of our own: what becomes of every cell.
func TestDialects(t *testing.T) {
	f := func(file, dialect string, accepted, rejected int64, want string) {
		t.Helper()
		tokyo := zone(t, "Asia/Tokyo")
		k, result, err := importBytes(instrumentFile(t, file), FileOptions{Instrument: "i", Zone: tokyo, BatchRows: 2})
		if err != nil {
			t.Errorf("%s: %v", file, err)
			return
		}
		if result.Dialect != dialect || result.Accepted != accepted || result.Rejected != rejected {
			t.Errorf("%s: %+v", file, result)
		}
		if got := k.dump(tokyo); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", file, got, want)
		}
	}
	f("graphtec-gl240.csv", "graphtec-gl", 24, 0, `2025-03-04T23:59:58 2025-03-04T23:59:58.5 2025-03-04T23:59:59 2025-03-04T23:59:59.5 2025-03-05T00:00:00 2025-03-05T00:00:00.5
CH1|mV|: 0.28 -0.3 over under 12.34 nodata
CH2|°C|炉温: 21.5 -1.5 burnout 21.6 nodata 100
Alarm1-10||: 0 1 514 0 0 0
AlarmOut||: 0 1 8 0 0 0`)
	f("graphtec-gl980.csv", "graphtec-gl", 6, 0, `2024-03-14T17:01:09 2024-03-14T17:01:09.1 2024-03-14T17:01:09.2
CH3|V|U supply: 23.99 24.001 24.012
CH4|°C|Shaft: 5.0021 -5.0003 0`)
	f("keyence-nr500.csv", "keyence-nr500", 14, 1, `2024-02-28T23:59:58.5 2024-02-28T23:59:59.5 2024-02-29T00:00:00.5 2024-02-29T00:00:02.5
(1)TH-CH01|°C|Channel01: -12.3 -12.4 -12.35 -12.25
(1)TH-CH02|°C|入口: -12 nodata -12.1 -12.25 -12.35
(2)HA-CH01|V|Channel01: 1.25 -1.25 nodata 0 0.005`)
	f("yokogawa-yrec.txt", "yokogawa-yrec", 12, 0, `2024-05-01T10:00:00 2024-05-01T10:00:01 2024-05-01T10:00:02 2024-05-01T10:00:03.5
0001 Min|C|TANK: 21.3 21.4 burnout under
0001 Max|C|TANK: 21.9 over nodata 22
A002|l/min|FLOW: 0.5 math 0.75 0.001`)
	f("yokogawa-manual.txt", "yokogawa-yrec", 4, 0, `2024-05-01T10:00:00 2024-05-02T10:00:00
CH001|kPa|EAST: 101.3 99.8
CH002|kPa|WEST: 101.9 nodata`)
	f("mr8880.csv", "hioki-mr8880", 12, 0, `2010-06-30T15:53:02.99999 2010-06-30T15:53:03 2010-06-30T15:53:03.00001
CH1|V|MOTOR: -1.17266 -1.17188 -1.17109
CH2|V|: 1.49687 1.49688 1.49689
LA1||DOOR: 1 1 0
LA2||: 0 1 1`)
	f("hioki-8841.csv", "hioki-8841", 9, 0, `1999-12-31T23:59:59 1999-12-31T23:59:59.000001 2000-01-01T00:00:01
ACH1|V|: -0.0059375 -0.00625 0.00625
ACH2|mV|: 1.25 1.26 -1.27
LCHA1|Bit|: 1 0 1`)
	f("hioki-pw8001.csv", "hioki-pw", 24, 0, `2025-06-01T09:00:00 2025-06-01T09:00:00.2 2025-06-01T09:00:00.4
Status||: 0 2147483649 0
Status1||: 10 65535 11
StatusM||: 0 0 0
HARM Status||: 0 16 31
Urms1|V|: 230.1234 over 230.1235
Irms1|A|: 1.234567 1.234568 over
P1|W|: 284.1021 -284.1021 nodata
LAMBDA1||: 0.998 nodata 0.997`)
	f("hioki-clock.csv", "hioki-clock", 6, 0, `2018-09-24T09:55:00 2018-09-24T09:55:01 2018-09-24T09:55:01.5
CH1|C|入口: 21 21.1 21.2
CH2|V|: 1.5 -1.5 0`)
	f("hioki-relative.csv", "hioki-lr8400", 8, 0, `2018-09-24T09:55:00 2018-09-25T09:54:59.5 2018-09-25T09:55:00 2018-09-26T10:55:00
CH1|C|: 1 3 5 7
CH2|V|: 2 4 6 8`)
}

// A file of no dialect is refused with those that are known.
func TestUnknownFile(t *testing.T) {
	_, _, err := importBytes([]byte("once upon a time\n"), FileOptions{Instrument: "i", Zone: time.UTC})
	var refused *Error
	if !errors.As(err, &refused) || refused.Code != refusal.Malformed {
		t.Fatal(err)
	}
	for i := range dialects {
		if !strings.Contains(refused.Detail, dialects[i].name) {
			t.Errorf("%q does not name %s", refused.Detail, dialects[i].name)
		}
	}
}

// What is known by its content is read so, whether a map is to be guessed or, where
// that is wished, is told; else the map that is told counts.
func TestDialectsComeBeforeGuesses(t *testing.T) {
	for file, dialect := range map[string]string{"graphtec-gl240.csv": "graphtec-gl", "keyence-nr500.csv": "keyence-nr500", "mr8880.csv": "hioki-mr8880"} {
		for source, others := range map[string]bool{"auto": false, "time=when,channel=T": true} {
			m, err := mapping.Parse(source)
			if err != nil {
				t.Fatal(err)
			}
			_, result, err := importBytes(instrumentFile(t, file), FileOptions{Instrument: "i", Zone: time.UTC, Map: m, MapForOthers: others})
			if err != nil || result.Dialect != dialect || result.Map != "" {
				t.Errorf("%s, %s: %v, %+v", file, source, err, result)
			}
		}
		m := &mapping.Map{Header: -1, Separator: ';'}
		if _, result, err := importBytes(instrumentFile(t, file), FileOptions{Instrument: "i", Zone: time.UTC, Map: m}); result.Dialect == dialect {
			t.Errorf("%s: the map that was told did not count: %v", file, err)
		}
	}
}
