package server

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"google.golang.org/protobuf/encoding/protowire"
)

// metricsText is a body of POST /v1/metrics: a gauge with a data point.
func metricsText(name string, at time.Time, more string) string {
	return fmt.Sprintf(`{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"pump"}}]},"scopeMetrics":[{"metrics":[
		{"name":%q,"unit":"Cel","gauge":{"dataPoints":[{"timeUnixNano":"%d","asDouble":21.5}]}}%s]}]}]}`, name, at.UnixNano(), more)
}

// metricsWire is the same as protobuf, without a resource.
func metricsWire(name string, at time.Time) string {
	nested := func(number protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), b)
	}
	point := protowire.AppendFixed64([]byte{3<<3 | 1}, uint64(at.UnixNano()))
	point = protowire.AppendFixed64(append(point, 6<<3|1), 7)
	metric := append(nested(1, []byte(name)), nested(5, nested(1, point))...)
	return string(nested(1, nested(2, nested(2, metric))))
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.String()
}

func TestOTLP(t *testing.T) {
	f := start(t)
	const wire, histogram = "application/x-protobuf", `,{"name":"h","histogram":{"dataPoints":[{},{}]}}`
	at := time.Now().Add(-time.Minute)
	for name, c := range map[string]struct {
		token, body string
		headers     []string
		status      int
		want        string // of the answer, or how it begins
	}{
		"json":              {f.writer, metricsText("a", at, ""), nil, 200, `{}`},
		"protobuf":          {f.both, metricsWire("b", at), []string{"Content-Type", wire}, 200, ""},
		"gzip":              {f.writer, zipped(t, metricsWire("c", at)), []string{"Content-Type", wire, "Content-Encoding", "gzip"}, 200, ""},
		"nothing":           {f.writer, `{}`, nil, 200, `{}`},
		"partly":            {f.writer, metricsText("d", at, histogram), nil, 200, `{"partialSuccess":{"rejectedDataPoints":"2","errorMessage":"2 data points are refused (unsupported_type: 2); such as: metric \"h\": it is a histogram`},
		"1970":              {f.writer, metricsText("e", time.Unix(0, 1.7e9), ""), nil, 200, `{"partialSuccess":{"rejectedDataPoints":"0","errorMessage":"all times, read in ns, lie in January 1970`},
		"all refused":       {f.writer, metricsText("a", time.Now().Add(1e6*time.Hour), histogram), nil, 400, `{"code":3,"message":"nothing_accepted: all 3 data points are refused (too_far_ahead: 1, unsupported_type: 2); such as: metric \"h\"`},
		"malformed":         {f.writer, `{"resourceMetrics":`, nil, 400, `{"code":3,"message":"malformed: no ExportMetricsServiceRequest: byte 19: want a list, got the end of the body"}`},
		"malformed wire":    {f.writer, "\x0a\x05", []string{"Content-Type", wire}, 400, "\x08\x03\x12"},
		"no token":          {"", metricsText("a", at, ""), nil, 401, `{"code":16,"message":"unauthorized: `},
		"no token, wire":    {"", metricsWire("a", at), []string{"Content-Type", wire}, 401, "\x08\x10\x12"},
		"reader":            {f.reader, metricsText("a", at, ""), nil, 403, `{"code":7,"message":"forbidden: `},
		"administrator":     {f.admin, metricsText("a", at, ""), nil, 403, `{"code":7,"message":"forbidden: `},
		"another type":      {f.writer, metricsText("a", at, ""), []string{"Content-Type", "text/plain"}, 415, `{"code":3,"message":"unsupported_media_type: `},
		"another packing":   {f.writer, metricsText("a", at, ""), []string{"Content-Encoding", "br"}, 415, `{"code":3,"message":"unsupported_media_type: `},
		"no gzip":           {f.writer, metricsText("a", at, ""), []string{"Content-Encoding", "gzip"}, 400, `{"code":3,"message":"malformed: `},
		"a thousand times":  {f.writer, zipped(t, strings.Repeat(" ", 33<<20)), []string{"Content-Encoding", "gzip"}, 413, `{"code":8,"message":"body_too_large: `},
		"too many channels": {f.writer, manyChannels(100_001), nil, 400, `{"code":3,"message":"too_many_channels: `},
	} {
		answer, text := f.ask("POST", "/v1/metrics", c.token, c.body, c.headers...)
		if answer.StatusCode != c.status || !strings.HasPrefix(text, c.want) || c.want == "" && text != "" {
			t.Errorf("%s: %d %q", name, answer.StatusCode, text)
		}
		want := "application/json"
		if len(c.headers) > 0 && c.headers[1] == wire {
			want = wire
		}
		if got := answer.Header.Get("Content-Type"); got != want {
			t.Errorf("%s: Content-Type %q", name, got)
		}
	}
	_, latest := f.ask("GET", "/api/v1/latest", f.both, "")
	for _, wanted := range []string{`"channel":"a","instrument":"pump","service_name":"pump"`, `"channel":"b","instrument":"unknown_service"`, `"channel":"c"`, `"channel":"d"`, "21.5"} {
		if !strings.Contains(latest, wanted) {
			t.Errorf("there is no %s: %s", wanted, latest)
		}
	}
	_, metrics := f.ask("GET", "/metrics", f.admin, "")
	for _, wanted := range []string{"hokan_samples_accepted_total 5\n", `hokan_samples_rejected_total{reason="unsupported_type"} 4`, `hokan_samples_rejected_total{reason="too_far_ahead"} 1`,
		`hokan_http_requests_total{code="200",method="POST",route="POST /v1/metrics"} 6`} {
		if !strings.Contains(metrics, wanted) {
			t.Errorf("the metrics lack %s", wanted)
		}
	}
	if answer, _ := f.ask("GET", "/v1/metrics", f.both, ""); answer.StatusCode != http.StatusMethodNotAllowed || answer.Header.Get("Allow") != "POST" {
		t.Errorf("GET: %d %v", answer.StatusCode, answer.Header)
	}
}

// manyChannels is a body with a metric of n data points, each of other attributes.
func manyChannels(n int) string {
	var text strings.Builder
	text.WriteString(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[`)
	for i := range n {
		fmt.Fprintf(&text, `{"attributes":[{"key":"k","value":{"intValue":%d}}],"timeUnixNano":"%d","asInt":1},`, i, time.Now().UnixNano())
	}
	return strings.TrimSuffix(text.String(), ",") + `]}}]}]}]}`
}

// TestOTLPTriesAgain: what is no fault of the request is answered so that its
// sender tries again, with a time to wait.
func TestOTLPTriesAgain(t *testing.T) {
	for code, want := range map[string]int{"disk_full": 503, "over_quota": 503, "read_only": 503, "internal": 503, "interrupted": 503, "busy": 429, "rate_limited": 429, "forbidden": 403, "malformed": 400} {
		w := httptest.NewRecorder()
		refuseOTLP(w, httptest.NewRequest("POST", "/v1/metrics", nil), newProblem(code, "why"))
		if w.Code != want || (w.Header().Get("Retry-After") != "") != (want == 503 || want == 429) {
			t.Errorf("%s: %d %v", code, w.Code, w.Header())
		}
	}
	f := start(t)
	if answer, text := f.ask("PUT", "/api/v1/tenants/lake", f.admin, `{"quota":{"samples_per_second":1}}`); answer.StatusCode != 200 {
		t.Fatal(answer.StatusCode, text)
	}
	for range 2 {
		answer, text := f.ask("POST", "/v1/metrics", f.writer, manyChannels(1000))
		if answer.StatusCode == http.StatusTooManyRequests {
			if answer.Header.Get("Retry-After") == "" || !strings.HasPrefix(text, `{"code":8,"message":"rate_limited: `) {
				t.Errorf("%v %s", answer.Header, text)
			}
			return
		}
	}
	t.Error("the rate is not held")
}
