package otlp_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/ingest/otlp"
)

const tenant = model.Tenant("t")

// now is the clock that samples are judged by.
var now = time.Unix(1.8e9, 0)

// decode decodes and judges a body.
func decode(t *testing.T, body []byte, encoding otlp.Encoding) (*admit.Request, *admit.Result, error) {
	t.Helper()
	d := &otlp.Decoder{}
	r, err := d.Decode(tenant, body, encoding)
	if err != nil {
		return nil, nil, err
	}
	return r, r.Judge(now.UnixNano(), int64(24*time.Hour), nil), nil
}

// written is what is kept of a request, a line for each channel, and its
// refusals by reason.
func written(r *admit.Request, result *admit.Result) string {
	var text strings.Builder
	for _, c := range r.Columns() {
		fmt.Fprint(&text, c.Labels)
		if p := c.Properties; p != nil {
			fmt.Fprintf(&text, " name=%q unit=%q scaling=%q", p.Name, p.Unit, p.Scaling)
		}
		for i, at := range c.Times {
			value := fmt.Sprint(c.Values[i])
			if q := model.QualityOf(c.Values[i]); q != model.QualityNone {
				value = q.String()
			}
			fmt.Fprintf(&text, " %d=%s", at, value)
		}
		text.WriteByte('\n')
	}
	for _, e := range result.Errors {
		fmt.Fprintf(&text, "refused %s: %s\n", e.Code, e.Detail)
	}
	return text.String()
}

// request wraps metrics, a resource's attributes and a scope.
func request(resource, scope, metrics string) string {
	return `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[` + metrics + `],"scope":{` + scope + `}}],"resource":{"attributes":[` + resource + `]}}]}`
}

// text is an attribute.
func text(name, value string) string {
	return fmt.Sprintf(`{"key":%q,"value":{"stringValue":%q}}`, name, value)
}

const point = `{"timeUnixNano":"1700000000000000000","asDouble":1.5}`

// gauge is a metric with data points.
func gauge(name, points string) string {
	return fmt.Sprintf(`{"name":%q,"gauge":{"dataPoints":[%s]}}`, name, points)
}

func TestWhatIsKept(t *testing.T) {
	service := text("service.name", "pump")
	for name, c := range map[string]struct{ body, want string }{
		"gauge": {
			request(service, "", `{"name":"temp","unit":"Cel","description":"of the water","gauge":{"dataPoints":[`+point+`,{"timeUnixNano":1700000001000000000,"asInt":"-7"}]}}`),
			`{channel="temp",instrument="pump",service_name="pump"} name="of the water" unit="Cel" scaling="" 1700000000000000000=1.5 1700000001000000000=-7` + "\n",
		},
		"sums": {
			request(service, "", `{"name":"a","sum":{"isMonotonic":true,"dataPoints":[`+point+`],"aggregationTemporality":2}},
				{"name":"b","sum":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA","dataPoints":[`+point+`]}},{"name":"c","sum":{"dataPoints":[`+point+`]}}`),
			`{channel="a",instrument="pump",service_name="pump"} name="" unit="" scaling="cumulative monotonic" 1700000000000000000=1.5
{channel="b",instrument="pump",service_name="pump"} name="" unit="" scaling="delta" 1700000000000000000=1.5
{channel="c",instrument="pump",service_name="pump"} name="" unit="" scaling="sum" 1700000000000000000=1.5
`,
		},
		"instance": {
			request(service+","+text("service.instance.id", "pump-7"), "", gauge("a", point)),
			`{channel="a",instrument="pump-7",service_instance_id="pump-7",service_name="pump"} 1700000000000000000=1.5` + "\n",
		},
		"host": {
			request(text("host.name", "h")+","+text("service.name", ""), "", gauge("a", point)),
			`{channel="a",host_name="h",instrument="h"} 1700000000000000000=1.5` + "\n",
		},
		"nobody": {
			request("", "", gauge("a", point)),
			`{channel="a",instrument="unknown_service"} 1700000000000000000=1.5` + "\n",
		},
		"scope": {
			request(service, `"name":"meter","version":"1.2","attributes":[`+text("kind", "x")+`]`, gauge("a", point)),
			`{channel="a",instrument="pump",otel_scope_kind="x",otel_scope_name="meter",otel_scope_version="1.2",service_name="pump"} 1700000000000000000=1.5` + "\n",
		},
		"data points with attributes": {
			request("", "", gauge("a", `{"attributes":[`+text("k", "1")+`],"timeUnixNano":"1","asInt":1},{"attributes":[`+text("k", "2")+`],"timeUnixNano":"1","asInt":2},`+
				`{"attributes":[`+text("k", "2")+`],"timeUnixNano":"2","asInt":3},{"attributes":[],"timeUnixNano":"2","asInt":4}`)),
			`{channel="a",instrument="unknown_service",k="1"} 1=1
{channel="a",instrument="unknown_service",k="2"} 1=2 2=3
{channel="a",instrument="unknown_service"} 2=4
`,
		},
		"names": {
			request(text("a.b", "1")+","+text("a-b", "0")+","+text("9x", "n")+","+text("温度", "w"), "",
				gauge("a", `{"attributes":[`+text("instrument", "i")+","+text("channel", "c")+","+text("9x", "m")+`],"timeUnixNano":"1","asInt":1}`)),
			`{__="w",a_b="0;1",channel="a",exported_channel="c",exported_instrument="i",instrument="unknown_service",key_9x="m"} 1=1` + "\n",
		},
		"values that are no text": {
			request(`{"key":"b","value":{"boolValue":true}},{"key":"i","value":{"intValue":"-5"}},{"key":"j","value":{"intValue":5}},{"key":"d","value":{"doubleValue":1e21}},
				{"key":"n","value":{"doubleValue":"NaN"}},{"key":"y","value":{"bytesValue":"AQL_"}},{"key":"e","value":{}},{"key":"f"},{"key":"g","value":null},
				{"key":"l","value":{"arrayValue":{"values":[{"stringValue":"x<\"y"},{"intValue":1},{},{"doubleValue":"-Infinity"},{"arrayValue":{}}]}}},
				{"key":"m","value":{"kvlistValue":{"values":[{"key":"z","value":{"boolValue":false}},{"key":"a","value":{"bytesValue":"AQI="}},{"key":"z","value":{"intValue":2}}]}}}`, "", gauge("a", point)),
			`{b="true",channel="a",d="1e+21",i="-5",instrument="unknown_service",j="5",l="[\"x<\\\"y\",1,null,\"-Infinity\",[]]",m="{\"a\":\"AQI=\",\"z\":2}",n="NaN",y="AQL/"} 1700000000000000000=1.5` + "\n",
		},
		"no recorded value": {
			request("", "", gauge("a", `{"timeUnixNano":"1","flags":1},{"timeUnixNano":"2","asInt":3,"flags":1},{"timeUnixNano":"3","asInt":3,"flags":2},{"timeUnixNano":"4","asDouble":"NaN"},{"timeUnixNano":"5","asDouble":"Infinity"}`)),
			`{channel="a",instrument="unknown_service"} 1=nodata 2=nodata 3=3 4=NaN 5=+Inf` + "\n",
		},
		"what is passed over": {
			request(service, "", `{"name":"a","metadata":[{"key":"x"}],"gauge":{"dataPoints":[{"startTimeUnixNano":"1","timeUnixNano":"2","asInt":"3","exemplars":[{"asDouble":1,"traceId":"00ff"}],"new":{"a":[1,"\"]}",null,-1.5e-3]}}]}}`),
			`{channel="a",instrument="pump",service_name="pump"} 2=3` + "\n",
		},
		"names of the protobuf definition": {
			`{"resource_metrics":[{"scope_metrics":[{"metrics":[{"name":"a","sum":{"is_monotonic":true,"data_points":[{"time_unix_nano":"1","as_int":"2"}]}}]}]}]}`,
			`{channel="a",instrument="unknown_service"} name="" unit="" scaling="sum monotonic" 1=2` + "\n",
		},
		"refused, and what stands beside": {
			request(service, "", `{"name":"h","histogram":{"dataPoints":[{},{"count":"3"}]}},{"name":"e","exponentialHistogram":{"dataPoints":[{}]}},{"name":"s","summary":{"dataPoints":[{}]}},
				{"name":"none"},{"name":"empty","histogram":{}},`+gauge("a", `{"asInt":1},{"timeUnixNano":"0","asInt":1},{"timeUnixNano":"18446744073709551615","asInt":1},{"timeUnixNano":"5"},`+point)+
				`,`+gauge("", point)+`,`+gauge("ahead", `{"timeUnixNano":"1900000000000000000","asInt":1}`)),
			`{channel="a",instrument="pump",service_name="pump"} 1700000000000000000=1.5
refused unsupported_type: metric "h": it is a histogram, of which nothing is kept: only gauges and sums are
refused unsupported_type: metric "e": it is an exponential histogram, of which nothing is kept: only gauges and sums are
refused unsupported_type: metric "s": it is a summary, of which nothing is kept: only gauges and sums are
refused bad_time: metric "a": the data point has no time: timeUnixNano is 0
refused bad_time: metric "a": the data point has no time: timeUnixNano is 0
refused bad_time: metric "a": timeUnixNano 18446744073709551615 lies outside the years 1678 to 2261
refused not_a_number: metric "a": the data point has neither asDouble nor asInt
refused bad_label: metric "": bad label: "channel" is empty
refused too_far_ahead: time 1900000000000000000 ns lies 3 years ahead of the server's clock, 2027-01-15T08:00:00Z
`,
		},
		"nothing": {`{}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			wire, err := otlp.Transcode([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			for encoding, body := range map[otlp.Encoding][]byte{otlp.JSON: []byte(c.body), otlp.Protobuf: wire} {
				for range 2 { // the second time by what is remembered
					r, result, err := decode(t, body, encoding)
					if err != nil {
						t.Fatal(err)
					}
					if got := written(r, result); got != c.want {
						t.Errorf("%d: got\n%swant\n%s", encoding, got, c.want)
					}
				}
			}
		})
	}
}

func TestAttributesThatMakeNoLabels(t *testing.T) {
	many := make([]string, model.MaxLabels+1)
	for i := range many {
		many[i] = text(fmt.Sprintf("a%d", i), "v")
	}
	deep := `{"stringValue":"x"}`
	for range 18 {
		deep = `{"arrayValue":{"values":[` + deep + `]}}`
	}
	for name, c := range map[string]struct{ attributes, want string }{
		"too many":   {strings.Join(many, ","), "more than 32 attributes"},
		"many":       {strings.Join(many[:31], ","), "33 labels, at most 32"},
		"long value": {text("a", strings.Repeat("v", 1025)), `attribute "a" has more than 1024 bytes`},
		"huge value": {text("a", strings.Repeat("v", 1<<20)), `attribute "a" has more than 1024 bytes`},
		"long list":  {`{"key":"a","value":{"arrayValue":{"values":[` + strings.Repeat(`{"intValue":1},`, 600) + `{}]}}}`, `attribute "a" has more than 1024 bytes`},
		"long name":  {text(strings.Repeat("n", 129), "v"), "an attribute's name has 129 bytes"},
		"no name":    {text("", "v"), "an attribute has no name"},
		"deep":       {`{"key":"a","value":` + deep + `}`, `attribute "a" is nested deeper than 16`},
		"NUL":        {`{"key":"a","value":{"stringValue":"\u0000"}}`, "holds a NUL"},
	} {
		t.Run(name, func(t *testing.T) {
			for place, body := range map[string]string{
				"resource": request(c.attributes, "", gauge("a", point+","+point)),
				"scope":    request("", `"attributes":[`+c.attributes+`]`, gauge("a", point+","+point)),
				"point":    request("", "", gauge("a", strings.Replace(point, "{", `{"attributes":[`+c.attributes+`],`, 1)+","+strings.Replace(point, "{", `{"attributes":[`+c.attributes+`],`, 1))),
			} {
				r, result, err := decode(t, []byte(body), otlp.JSON)
				if err != nil {
					t.Fatal(err)
				}
				if place == "scope" && name == "long name" {
					continue // the prefix makes others too long as well
				}
				if len(r.Columns()) != 0 || result.Rejected != 2 || result.Reasons[admit.BadLabel] != 2 || !strings.Contains(result.Errors[0].Detail, c.want) {
					t.Errorf("%s: %+v", place, result)
				}
			}
		})
	}
}

func TestWhatIsRefusedWhole(t *testing.T) {
	for _, body := range []string{
		``, `[]`, `null`, `{`, `{}x`, `{"resourceMetrics":{}}`, `{"resourceMetrics":[1]}`, `{"resourceMetrics":[null]}`, `{"resourceMetrics":[{}`,
		`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":5}]}]}]}`, `{"a":01}`, `{"a":tru}`, `{"a":"\x"}`, "{\"a\":\"\n\"}", `{"a" 1}`, `{"a":1,}`,
		request("", "", gauge("a", `{"timeUnixNano":"x"}`)), request("", "", gauge("a", `{"timeUnixNano":-1}`)), request("", "", gauge("a", `{"timeUnixNano":1.5}`)),
		request("", "", gauge("a", `{"asInt":"9223372036854775808"}`)), request("", "", gauge("a", `{"asDouble":1e999}`)), request("", "", gauge("a", `{"asDouble":"one"}`)),
		request(`{"key":"a","value":{"boolValue":1}}`, "", ""), request(`{"key":"a","value":{"bytesValue":"*"}}`, "", ""),
		`{"x":` + strings.Repeat("[", 1000000) + `}`, `{"resourceMetrics":[{"resource":{"attributes":[{"key":"a","value":` + strings.Repeat(`{"arrayValue":{"values":[`, 100000),
	} {
		if _, _, err := decode(t, []byte(body), otlp.JSON); !errors.Is(err, otlp.ErrMalformed) || len(err.Error()) > 200 {
			t.Errorf("%.80s: %v", body, err)
		}
	}
	whole, err := otlp.Transcode([]byte(request(text("service.name", "s"), `"name":"n"`, gauge("a", point))))
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(whole); n++ { // cut short
		if _, _, err := decode(t, whole[:n], otlp.Protobuf); !errors.Is(err, otlp.ErrMalformed) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestBounds(t *testing.T) {
	var points strings.Builder
	for i := range 100_001 {
		fmt.Fprintf(&points, `{"attributes":[{"key":"k","value":{"intValue":%d}}],"timeUnixNano":"1","asInt":1},`, i)
	}
	body := request("", "", gauge("a", strings.TrimSuffix(points.String(), ",")))
	if _, _, err := decode(t, []byte(body), otlp.JSON); !errors.Is(err, otlp.ErrTooManyChannels) {
		t.Error(err)
	}
	// Attributes without a name, which make no labels.
	body = request("", "", gauge("a", strings.ReplaceAll(strings.TrimSuffix(points.String(), ","), `"key":"k",`, "")))
	if _, _, err := decode(t, []byte(body), otlp.JSON); !errors.Is(err, otlp.ErrTooManyChannels) {
		t.Error(err)
	}
	// The same data point, of 20 bytes as protobuf, in the lists around it.
	wire := bytes.Repeat([]byte("\x0a\x12\x19\x01\x00\x00\x00\x00\x00\x00\x00\x31\x01\x00\x00\x00\x00\x00\x00\x00"), 4_000_001)
	for _, number := range []protowire.Number{5, 2, 2, 1} {
		wire = protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), wire)
	}
	if _, _, err := decode(t, wire, otlp.Protobuf); !errors.Is(err, otlp.ErrTooLarge) {
		t.Error(err)
	}
}

// TestLargeIntegers tells what becomes of integers that no float64 is.
func TestLargeIntegers(t *testing.T) {
	r, _, err := decode(t, []byte(request("", "", gauge("a", `{"timeUnixNano":"1","asInt":"9007199254740993"},{"timeUnixNano":"2","asInt":"9223372036854775807"}`))), otlp.JSON)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Columns()[0].Values; got[0] != 1<<53 || got[1] != math.MaxInt64 {
		t.Error(got)
	}
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct{ got, want []byte }{
		{otlp.AppendResponse(nil, otlp.JSON, 0, ""), []byte(`{}`)},
		{otlp.AppendResponse(nil, otlp.JSON, 3, `a "b"`), []byte(`{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"a \"b\""}}`)},
		{otlp.AppendResponse(nil, otlp.Protobuf, 0, ""), nil},
		{otlp.AppendResponse(nil, otlp.Protobuf, 300, "no"), []byte("\x0a\x07\x08\xac\x02\x12\x02no")},
		{otlp.AppendResponse(nil, otlp.Protobuf, 0, "w"), []byte("\x0a\x03\x12\x01w")},
		{otlp.AppendStatus(nil, otlp.JSON, 400, "no"), []byte(`{"code":3,"message":"no"}`)},
		{otlp.AppendStatus(nil, otlp.Protobuf, 503, "no"), []byte("\x08\x0e\x12\x02no")},
	} {
		if string(c.got) != string(c.want) {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
	for contentType, want := range map[string]bool{
		"application/x-protobuf": true, "application/json": true, "application/json; charset=utf-8": true, "": false, "text/plain": false, "application/grpc": false,
	} {
		if _, known := otlp.EncodingOf(contentType); known != want {
			t.Errorf("%q: %v", contentType, known)
		}
	}
}
