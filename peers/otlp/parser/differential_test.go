// Package parser holds the reader of OTLP metrics to that of the protocol's own
// library. It starts no server, so that it can be fuzzed.
package parser

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/hokan-db/hokan/engine/model"
	reader "github.com/hokan-db/hokan/ingest/otlp"
)

// readOTLP is what Hokan makes of a body: a line for each data point that is kept, in
// order of text, and one for all that are not.
func readOTLP(body []byte, encoding reader.Encoding) (string, error) {
	d := &reader.Decoder{}
	r, err := d.Decode("t", body, encoding)
	if err != nil {
		return "", err
	}
	result := r.Judge(time.Now().UnixNano(), math.MaxInt64, nil)
	var lines []string
	for _, c := range r.Columns() {
		p := c.Properties
		if p == nil {
			p = &model.Properties{}
		}
		for i, at := range c.Times {
			lines = append(lines, otlpLine(c.Labels, p.Unit, p.Name, p.Scaling, at, c.Values[i]))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + fmt.Sprintf("\nrefused: %d", result.Rejected), nil
}

func otlpLine(l model.Labels, unit, description, scaling string, at int64, value float64) string {
	text := fmt.Sprint(value)
	if q := model.QualityOf(value); q != model.QualityNone {
		text = q.String()
	}
	return fmt.Sprintf("%s %q %q %q %d %s", l, unit, description, scaling, at, text)
}

// meantOTLP is what a request means, by the types of the official library.
func meantOTLP(r *collector.ExportMetricsServiceRequest) string {
	var lines []string
	refused := 0
	for _, ofResource := range r.ResourceMetrics {
		for _, ofScope := range ofResource.ScopeMetrics {
			for _, m := range ofScope.Metrics {
				var points []*metrics.NumberDataPoint
				scaling := ""
				switch data := m.Data.(type) {
				case *metrics.Metric_Gauge:
					points = data.Gauge.GetDataPoints()
				case *metrics.Metric_Sum:
					points = data.Sum.GetDataPoints()
					scaling = map[int32]string{1: "delta", 2: "cumulative"}[int32(data.Sum.GetAggregationTemporality())]
					if scaling == "" {
						scaling = "sum"
					}
					if data.Sum.GetIsMonotonic() {
						scaling += " monotonic"
					}
				case *metrics.Metric_Histogram:
					refused += len(data.Histogram.GetDataPoints())
				case *metrics.Metric_ExponentialHistogram:
					refused += len(data.ExponentialHistogram.GetDataPoints())
				case *metrics.Metric_Summary:
					refused += len(data.Summary.GetDataPoints())
				}
				for _, p := range points {
					labels, ok := otlpLabels(ofResource, ofScope, m.Name, p)
					value, has := pointValue(p)
					if !ok || !has || p.TimeUnixNano == 0 || p.TimeUnixNano >= uint64(model.MaxTime) {
						refused++
						continue
					}
					lines = append(lines, otlpLine(labels, m.Unit, m.Description, scaling, int64(p.TimeUnixNano), value))
				}
			}
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + fmt.Sprintf("\nrefused: %d", refused)
}

func pointValue(p *metrics.NumberDataPoint) (float64, bool) {
	if p.Flags&uint32(metrics.DataPointFlags_DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK) != 0 {
		return model.QualityNoData.NaN(), true
	}
	switch v := p.Value.(type) {
	case *metrics.NumberDataPoint_AsDouble:
		return v.AsDouble, true
	case *metrics.NumberDataPoint_AsInt:
		return float64(v.AsInt), true
	}
	return 0, false
}

var notInLabels = regexp.MustCompile(`[^a-zA-Z0-9_]`)

// otlpLabels returns the labels of a data point, and whether it has some.
func otlpLabels(r *metrics.ResourceMetrics, s *metrics.ScopeMetrics, name string, p *metrics.NumberDataPoint) (model.Labels, bool) {
	all := map[string]string{}
	ok := true
	add := func(prefix string, attributes []*common.KeyValue) {
		for _, a := range attributes {
			value := attributeText(a.Value)
			ok = ok && len(a.Key) <= model.MaxLabelNameBytes && len(value) <= model.MaxLabelValueBytes && (a.Key != "" || value == "") && proto.Size(a.Value) <= 8*model.MaxLabelValueBytes
			if value != "" {
				all[prefix+a.Key] = value
			}
		}
	}
	add("", r.Resource.GetAttributes())
	instrument := "unknown_service"
	for _, key := range []string{"host.name", "service.name", "service.instance.id"} {
		if all[key] != "" {
			instrument = all[key]
		}
	}
	add("otel_scope_", s.Scope.GetAttributes())
	for key, value := range map[string]string{"otel_scope_name": s.Scope.GetName(), "otel_scope_version": s.Scope.GetVersion()} {
		if value != "" {
			all[key] = value
		}
	}
	add("", p.Attributes)
	ok = ok && len(all) <= model.MaxLabels
	var keys []string
	for key := range all {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	clean := map[string][]string{}
	for _, key := range keys {
		label := notInLabels.ReplaceAllString(key, "_")
		switch {
		case label == "":
			ok = false
		case label == "instrument", label == "channel":
			label = "exported_" + label
		case label[0] >= '0' && label[0] <= '9':
			label = "key_" + label
		}
		clean[label] = append(clean[label], all[key])
	}
	list := []model.Label{{Name: "channel", Value: name}, {Name: "instrument", Value: instrument}}
	for label, values := range clean {
		list = append(list, model.Label{Name: label, Value: strings.Join(values, ";")})
	}
	labels, err := model.NewLabels(list...)
	return labels, ok && err == nil
}

// attributeText returns an attribute's value as text.
func attributeText(v *common.AnyValue) string {
	switch v := v.GetValue().(type) {
	case nil:
		return ""
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_BytesValue:
		return base64.StdEncoding.EncodeToString(v.BytesValue)
	case *common.AnyValue_DoubleValue:
		if text, ok := plainValue(&common.AnyValue{Value: v}).(string); ok {
			return text
		}
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(plainValue(v)); err != nil {
		panic(err)
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// plainValue returns a value as package json writes it.
func plainValue(v *common.AnyValue) any {
	switch v := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_BytesValue:
		return base64.StdEncoding.EncodeToString(v.BytesValue)
	case *common.AnyValue_BoolValue:
		return v.BoolValue
	case *common.AnyValue_IntValue:
		return v.IntValue
	case *common.AnyValue_DoubleValue:
		switch {
		case math.IsNaN(v.DoubleValue):
			return "NaN"
		case math.IsInf(v.DoubleValue, 0):
			return strings.TrimPrefix(strings.Replace(strconv.FormatFloat(v.DoubleValue, 'g', -1, 64), "Inf", "Infinity", 1), "+")
		}
		return v.DoubleValue
	case *common.AnyValue_ArrayValue:
		list := []any{}
		for _, element := range v.ArrayValue.GetValues() {
			list = append(list, plainValue(element))
		}
		return list
	case *common.AnyValue_KvlistValue:
		pairs := map[string]any{}
		for _, pair := range v.KvlistValue.GetValues() {
			pairs[pair.Key] = plainValue(pair.Value)
		}
		return pairs
	}
	return nil
}

const otlpSeed = `{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}},{"key":"a.b","value":{"arrayValue":{"values":[{"intValue":"1"},{"kvlistValue":{"values":[{"key":"z","value":{"bytesValue":"AQI="}},{"key":"y","value":{"doubleValue":0.5}}]}}]}}}]},
	"scopeMetrics":[{"scope":{"name":"n","version":"v"},"metrics":[{"name":"g","unit":"By","description":"d","gauge":{"dataPoints":[{"attributes":[{"key":"k","value":{"boolValue":true}}],"timeUnixNano":"1700000000000000000","asDouble":1.5,"flags":1},{"timeUnixNano":"3","asInt":"-5"},{"asInt":"1"}]}},
	{"name":"s","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"timeUnixNano":"9","asDouble":"NaN","exemplars":[{"asInt":"1"}]}]}},{"name":"h","histogram":{"dataPoints":[{"count":"1"}]}},{"name":"e","exponentialHistogram":{"dataPoints":[{}]}},{"name":"q","summary":{"dataPoints":[{}]}}]}]}]}`

// FuzzProtobuf: what the official library reads, Hokan reads as the same.
func FuzzProtobuf(f *testing.F) {
	var r collector.ExportMetricsServiceRequest
	if err := protojson.Unmarshal([]byte(otlpSeed), &r); err != nil {
		f.Fatal(err)
	}
	wire, err := proto.Marshal(&r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wire)
	f.Add(slices.Concat(wire, wire))
	f.Add([]byte("\x0a\x0c\x12\x05\x12\x03\x0a\x01a\x0a\x03\x0a\x01a"))
	f.Fuzz(func(t *testing.T, body []byte) {
		var r collector.ExportMetricsServiceRequest
		if proto.Unmarshal(body, &r) != nil {
			_, _ = readOTLP(body, reader.Protobuf) // which may be more lenient
			return
		}
		sameOTLP(t, body, reader.Protobuf, &r)
	})
}

// FuzzJSON does the same with JSON.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(otlpSeed))
	f.Add([]byte(`{"resource_metrics":[{"scope_metrics":[{"metrics":[{"name":"a\u00e9","sum":{"aggregation_temporality":"AGGREGATION_TEMPORALITY_DELTA","data_points":[{"time_unix_nano":1e3,"as_int":7}]}}]}]}],"x":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var r collector.ExportMetricsServiceRequest
		if (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, &r) != nil || bytes.Count(body, []byte{'{'})+bytes.Count(body, []byte{'['}) > 90 {
			_, _ = readOTLP(body, reader.JSON)
			return
		}
		sameOTLP(t, body, reader.JSON, &r)
	})
}

// sameOTLP holds what Hokan reads to what the request means.
func sameOTLP(t *testing.T, body []byte, encoding reader.Encoding, r *collector.ExportMetricsServiceRequest) {
	t.Helper()
	got, err := readOTLP(body, encoding)
	if errors.Is(err, reader.ErrTooLarge) || errors.Is(err, reader.ErrTooManyChannels) {
		return
	}
	if err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	if want := meantOTLP(r); got != want && utf8.ValidString(want) {
		t.Fatalf("%q: got\n%s\nwant\n%s", body, got, want)
	}
}

// TestCollectorReadsTheSame compares with the collector's own types, in both
// encodings, as its exporter writes them.
func TestCollectorReadsTheSame(t *testing.T) {
	request := pmetricotlp.NewExportRequest()
	if err := request.UnmarshalJSON([]byte(otlpSeed)); err != nil {
		t.Fatal(err)
	}
	var r collector.ExportMetricsServiceRequest
	if err := protojson.Unmarshal([]byte(otlpSeed), &r); err != nil {
		t.Fatal(err)
	}
	wire, err := request.MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	text, err := request.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	sameOTLP(t, wire, reader.Protobuf, &r)
	sameOTLP(t, text, reader.JSON, &r)
	// And the answers.
	for _, encoding := range []reader.Encoding{reader.Protobuf, reader.JSON} {
		answer := pmetricotlp.NewExportResponse()
		body := reader.AppendResponse(nil, encoding, 7, `why "so"`)
		if err := map[reader.Encoding]func([]byte) error{reader.Protobuf: answer.UnmarshalProto, reader.JSON: answer.UnmarshalJSON}[encoding](body); err != nil {
			t.Fatal(err)
		}
		if p := answer.PartialSuccess(); p.RejectedDataPoints() != 7 || p.ErrorMessage() != `why "so"` {
			t.Errorf("%q", body)
		}
	}
}
