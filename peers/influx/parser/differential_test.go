// Package parser holds the reader of line protocol to the official one. It starts no
// server, so that it can be fuzzed.
package parser

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	official "github.com/influxdata/line-protocol/v2/lineprotocol"

	"github.com/hokan-db/hokan/ingest/lineprotocol"
)

// officialLines reads a body with InfluxDB's own parser, and lists of every line
// that it takes the channel, time and value of every number.
func officialLines(body []byte) (lines map[string]int) {
	lines = map[string]int{}
	d := official.NewDecoderWithBytes(body)
next:
	for d.Next() {
		measurement, err := d.Measurement()
		if err != nil {
			continue
		}
		name, instrument, host, labels := string(measurement), "", "", 0
		names := map[string]bool{}
		for {
			key, value, err := d.NextTag()
			if err != nil {
				continue next
			}
			if key == nil {
				break
			}
			switch string(key) {
			case "instrument":
				instrument = string(value)
			case "host":
				host = string(value)
			}
			if names[string(key)] || len(value) > 1000 || strings.ContainsFunc(string(key), func(r rune) bool { return r < 'a' || r > 'z' }) {
				labels = 1000 // may be refused
			}
			names[string(key)] = true
			labels++
		}
		if instrument == "" {
			instrument = host
		}
		if instrument == "" {
			instrument = name
		}
		var fields []string
		for {
			key, value, err := d.NextField()
			if err != nil {
				if strings.Contains(err.Error(), "out of range") || strings.Contains(err.Error(), "not allowed") {
					return nil // which refuses the field alone here
				}
				continue next
			}
			if key == nil {
				break
			}
			var v float64
			switch value.Kind() {
			case official.Int:
				v = float64(value.IntV())
			case official.Uint:
				v = float64(value.UintV())
			case official.Float:
				v = value.FloatV()
			case official.Bool:
				if value.BoolV() {
					v = 1
				}
			default:
				continue
			}
			channel := name
			if string(key) != "value" {
				channel += "." + string(key)
			}
			if len(channel) > 1000 || len(instrument) > 1000 {
				return nil
			}
			fields = append(fields, fmt.Sprintf("%q %q %x", instrument, channel, math.Float64bits(v)))
		}
		at, err := d.Time(official.Nanosecond, time.Unix(0, 77))
		if err != nil {
			if strings.Contains(err.Error(), "out of range") {
				return nil
			}
			continue
		}
		if labels > 30 {
			return nil
		}
		for _, f := range fields {
			lines[fmt.Sprintf("%s %d", f, at.UnixNano())]++
		}
	}
	return lines
}

// FuzzLineProtocol compares Hokan's parser with InfluxDB's own: both keep the
// same samples. Where a field is refused alone, of a line that the other refuses,
// nothing is compared.
func FuzzLineProtocol(f *testing.F) {
	for _, seed := range []string{
		"cpu,host=a usage=1.5,idle=2i 1700000000000000000\ncpu,host=a usage=1.6,idle=3i 1700000000000000001\n",
		"m\\ x,t\\==\\, f=\"a\\\"\n\",g=T 5\r\n#c\n\nm f=1", "m a=1,b=-.5e3,c=0x1p-2,d=1u -9223372036854775808", "m a=1\nm a\nm b=2 3", "m,a=b", "\r", "m \\==1",
		"m,a=b  c=1  5  \n  m c=t", "m\\\\ a=1\nm a\\=\\ =2\nm a=1 2 3\nm a=5", "m a=\"x\nm b=1", "#\tx\nm a=1",
	} {
		f.Add([]byte(seed))
	}
	var d lineprotocol.Decoder
	f.Fuzz(func(t *testing.T, body []byte) {
		want := officialLines(body)
		if want == nil || slices.Contains(body, 0) {
			return
		}
		r, err := d.Decode("t", body, lineprotocol.Options{Now: 77})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, c := range r.Channels {
			for j, at := range r.Clocks[c.Clock].Times {
				if math.IsNaN(c.Values[j]) || math.IsInf(c.Values[j], 0) {
					return
				}
				got[fmt.Sprintf("%q %q %x %d", c.Labels.Instrument(), c.Labels.Channel(), math.Float64bits(c.Values[j]), at)]++
			}
		}
		for k, n := range want {
			if got[k] != n {
				t.Errorf("%s: %d, want %d", k, got[k], n)
			}
		}
		for k, n := range got {
			if want[k] != n {
				t.Errorf("%s: %d, want %d", k, n, want[k])
			}
		}
	})
}
