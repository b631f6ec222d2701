package otlp_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/otlp"
)

// bodies begin the fuzzing.
var bodies = []string{
	`{}`, `{"resourceMetrics":[{}]}`, `{"resourceMetrics":null,"x":[{"a":null},"\u00e9",true,-1e3]}`,
	request(text("service.name", "s"), `"name":"n","version":"v"`, gauge("a", point+`,{"attributes":[`+text("k", "v")+`],"timeUnixNano":3,"asInt":"-4","flags":1}`)),
	request("", "", `{"name":"s","unit":"By","description":"d","sum":{"aggregationTemporality":1,"isMonotonic":true,"dataPoints":[`+point+`]}},{"name":"h","histogram":{"dataPoints":[{},{}]}}`),
	request(`{"key":"l","value":{"arrayValue":{"values":[{"intValue":1},{"kvlistValue":{"values":[{"key":"b","value":{"doubleValue":0.1}},{"key":"a","value":{"bytesValue":"AQI="}}]}}]}}}`, "", gauge("a", point)),
}

// fuzzed decodes and judges a body, and holds the result to what must be so
// whatever was sent.
func fuzzed(t *testing.T, d *otlp.Decoder, body []byte, encoding otlp.Encoding) (string, error) {
	r, err := d.Decode(tenant, body, encoding)
	if err != nil {
		if !errors.Is(err, otlp.ErrMalformed) && !errors.Is(err, otlp.ErrTooLarge) && !errors.Is(err, otlp.ErrTooManyChannels) {
			t.Fatalf("%v is none of the package's errors", err)
		}
		return "", err
	}
	result := r.Judge(now.UnixNano(), 1e18, nil)
	kept := int64(0)
	for i, c := range r.Columns() {
		if c.Labels.Instrument() == "" || c.Labels.Channel() == "" || len(c.Times) == 0 || len(c.Times) != len(c.Values) {
			t.Fatalf("column %d: %+v", i, c)
		}
		kept += int64(len(c.Times))
		for _, at := range c.Times {
			if at <= 0 || at >= model.MaxTime {
				t.Fatalf("column %d: time %d", i, at)
			}
		}
	}
	if kept+result.Rejected != int64(d.Points()) {
		t.Fatalf("%d data points, of which %d are kept and %d refused", d.Points(), kept, result.Rejected)
	}
	if result.Rejected > 0 && otlp.Describe(r, result) == "" {
		t.Fatal("what is refused is not told")
	}
	return written(r, result), nil
}

// FuzzProtobuf reads anything, twice: the second time from what is remembered.
func FuzzProtobuf(f *testing.F) {
	for _, body := range bodies {
		wire, err := otlp.Transcode([]byte(body))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d := &otlp.Decoder{}
		first, err := fuzzed(t, d, body, otlp.Protobuf)
		again, errAgain := fuzzed(t, d, body, otlp.Protobuf)
		if first != again || (err == nil) != (errAgain == nil) {
			t.Fatalf("first\n%s%v\nthen\n%s%v", first, err, again, errAgain)
		}
	})
}

// FuzzJSON reads anything. What is accepted is JSON, and means the same as
// protobuf.
func FuzzJSON(f *testing.F) {
	for _, body := range bodies {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d := &otlp.Decoder{}
		read, err := fuzzed(t, d, body, otlp.JSON)
		if err != nil {
			return
		}
		if !json.Valid(body) {
			t.Fatalf("%q is no JSON", body)
		}
		wire, err := otlp.Transcode(body)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := fuzzed(t, d, wire, otlp.Protobuf); err != nil || same != read {
			t.Fatalf("as JSON\n%s, as protobuf\n%s%v", read, same, err)
		}
	})
}
