package server

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/hokan-db/hokan/ingest/remotewrite/remotewritetest"
)

const (
	protoType1 = "application/x-protobuf"
	protoType2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
)

func snappy(body []byte) string { return string(s2.EncodeSnappy(nil, body)) }

// remote sends a body of remote write and checks the status.
func (f *fixture) remote(status int, contentType, packed string, headers ...string) (*http.Response, string) {
	f.Helper()
	headers = append([]string{"Content-Type", contentType, "Content-Encoding", "snappy"}, headers...)
	answer, text := f.ask("POST", "/api/v1/write", f.writer, packed, headers...)
	if answer.StatusCode != status {
		f.Fatalf("%s: %d, want %d: %s", contentType, answer.StatusCode, status, text)
	}
	return answer, text
}

func remoteSeries(name, instance string, at int64, values ...float64) remotewritetest.Series {
	s := remotewritetest.Series{Labels: []string{"__name__", name, "instance", instance, "job", "node"}, Values: values}
	for i := range values {
		s.Times = append(s.Times, at+int64(i)*1000)
	}
	return s
}

func TestRemoteWrite(t *testing.T) {
	for name, c := range map[string]struct {
		contentType string
		encode      func([]remotewritetest.Series) []byte
	}{
		"1.0": {protoType1, func(s []remotewritetest.Series) []byte { return remotewritetest.Encode1(s) }},
		"2.0": {protoType2, remotewritetest.Encode2},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			at := int64(1_700_000_000_000)
			one := remoteSeries("temp", "a:1", at, 1.5, 2.5)
			one.Kind, one.Help, one.Unit = 2, "Heat.", "celsius"
			body := snappy(c.encode([]remotewritetest.Series{one, remoteSeries("up", "b:1", at, 1)}))
			for range 2 { // sending it again changes nothing
				answer, text := f.remote(204, c.contentType, body, "X-Prometheus-Remote-Write-Version", "0.1.0")
				want := ""
				if name == "2.0" {
					want = "3"
				}
				if got := answer.Header.Get("X-Prometheus-Remote-Write-Samples-Written"); got != want || text != "" {
					t.Errorf("%q samples written, %q", got, text)
				}
			}
			_, text := f.ask("GET", "/api/v1/channels?"+match(`{job="node"}`), f.reader, "")
			if !strings.Contains(text, `"channel":"temp","instrument":"a:1","job":"node"`) || !strings.Contains(text, `"samples":2`) {
				t.Error(text)
			}
			if name == "2.0" && !strings.Contains(text, `"name":"Heat.","unit":"celsius","scaling":"gauge"`) {
				t.Error(text)
			}
			// One row more, out of order, and beside it all that is refused.
			histogram := remotewritetest.Series{Labels: []string{"__name__", "h", "job", "x"}, Histograms: 2, Exemplars: 1}
			unnamed := remotewritetest.Series{Labels: []string{"job", "x"}, Times: []int64{1}, Values: []float64{1}}
			ahead := remoteSeries("temp", "a:1", time.Now().UnixMilli()+1e11, 1)
			answer, text := f.remote(400, c.contentType,
				snappy(c.encode([]remotewritetest.Series{histogram, unnamed, remoteSeries("temp", "a:1", at-5000, 7), ahead})))
			if answer.Header.Get("Content-Type") != "text/plain; charset=utf-8" || strings.Count(text, "\n") != 1 ||
				!strings.HasPrefix(text, "4 of 5 samples are refused, the others are kept: bad_label 1, native_histogram 2, too_far_ahead 1; ") ||
				!strings.Contains(text, "timeseries[1]: bad_label: there is no label __name__") ||
				!strings.Contains(text, `timeseries[3] channel "temp" of instrument "a:1": too_far_ahead`) {
				t.Errorf("%s", text)
			}
			if name == "2.0" && (answer.Header.Get("X-Prometheus-Remote-Write-Samples-Written") != "1" ||
				answer.Header.Get("X-Prometheus-Remote-Write-Histograms-Written") != "0" || answer.Header.Get("X-Prometheus-Remote-Write-Exemplars-Written") != "0") {
				t.Error(answer.Header)
			}
			_, text = f.ask("GET", "/api/v1/table?"+match(`{channel="temp"}`), f.reader, "")
			if !strings.Contains(text, `"rows":[[7],[1.5],[2.5]]`) {
				t.Error(text)
			}
			f.remote(400, c.contentType, snappy(c.encode([]remotewritetest.Series{unnamed}))) // nothing at all
			f.remote(204, c.contentType, snappy(nil))
		})
	}
}

func TestStaleMarkersHaveTheQualityNoData(t *testing.T) {
	f := start(t)
	body := remotewritetest.Encode1([]remotewritetest.Series{remoteSeries("up", "a", 1_700_000_000_000, 1, remotewritetest.Stale)})
	f.remote(204, protoType1, snappy(body))
	if _, text := f.ask("GET", "/api/v1/table?"+match(`{channel="up"}`), f.reader, ""); !strings.Contains(text, `[[1],["nodata"]]`) {
		t.Error(text)
	}
}

func TestRemoteWriteIsRefusedByType(t *testing.T) {
	f := start(t)
	body := snappy(remotewritetest.Encode1([]remotewritetest.Series{remoteSeries("up", "a", 1_700_000_000_000, 1)}))
	for _, c := range []struct {
		status  int
		headers []string
	}{
		{415, []string{"Content-Type", "application/json"}},
		{415, []string{"Content-Type", "application/x-protobuf;proto=io.prometheus.write.v3.Request"}},
		{415, []string{"Content-Type", "application/x-protobuf; ;"}},
		{415, []string{"Content-Encoding", "br"}},
		{415, []string{"X-Prometheus-Remote-Write-Version", "3.0.0"}},
		{400, []string{"Content-Type", protoType2}}, // it is no such message
		{204, []string{"Content-Type", "application/x-protobuf; proto=prometheus.WriteRequest"}},
		{204, []string{"X-Prometheus-Remote-Write-Version", "2.0.0"}},
		{204, []string{"Content-Type", "", "Content-Encoding", ""}},
	} {
		f.remote(c.status, protoType1, body, c.headers...)
	}
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := s2.Decode(nil, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	f.remote(204, protoType1, string(z.EncodeAll(plain, nil)), "Content-Encoding", "zstd")
	for status, bad := range map[int]string{
		400: body[:len(body)-3],
		413: "\xff\xff\xff\xff\x0f" + body[1:], // a length that lies
	} {
		f.remote(status, protoType1, bad)
	}
	f.remote(400, protoType1, "\x80\x80\x80\x01"+body[1:])                          // one that lies within the bounds
	f.remote(413, protoType1, snappy(make([]byte, 40<<20)))                         // thousandfold, and too large
	f.remote(400, protoType1, snappy(make([]byte, 20<<20)))                         // thousandfold, and nothing
	f.remote(422, protoType1, snappy(remotewritetest.Encode1(manySeries(100_001)))) // more than one request may have
}

func manySeries(n int) []remotewritetest.Series {
	all := make([]remotewritetest.Series, n)
	for i := range all {
		all[i] = remoteSeries("m", fmt.Sprint(i), 1_700_000_000_000, 1)
	}
	return all
}

// A hundred thousand channels may be made by one request, and others be refused
// without an effect.
func TestVeryManyNewSeries(t *testing.T) {
	f := start(t)
	f.remote(204, protoType1, snappy(remotewritetest.Encode1(manySeries(100_000))))
	_, text := f.ask("GET", "/api/v1/usage", f.reader, "")
	if !strings.Contains(text, `"channels":{"used":100000`) {
		t.Error(text)
	}
	f.ask("PUT", "/api/v1/tenants/lake", f.admin, `{"quota":{"channels":100001}}`)
	answer, text := f.remote(400, protoType2, snappy(remotewritetest.Encode2([]remotewritetest.Series{
		remoteSeries("new", "1", 1_700_000_000_000, 1), remoteSeries("m", "5", 1_700_000_000_000, 1), remoteSeries("new", "2", 1_700_000_000_000, 1),
	})))
	if !strings.HasPrefix(text, "1 of 3 samples are refused, the others are kept: channel_limit 1; timeseries[2] channel \"new\" of instrument \"2\"") ||
		answer.Header.Get("X-Prometheus-Remote-Write-Samples-Written") != "2" {
		t.Error(text)
	}
}

// Agents that know users and passwords have the token as the password. A browser
// that adds one by itself must come from the server's own pages.
func TestATokenMayBeAPassword(t *testing.T) {
	f := start(t)
	body := snappy(remotewritetest.Encode1([]remotewritetest.Series{remoteSeries("up", "a", 1_700_000_000_000, 1)}))
	basic := func(password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte("anyone:"+password))
	}
	f.remote(204, protoType1, body, "Authorization", basic(f.writer))
	f.remote(401, protoType1, body, "Authorization", basic("wrong"))
	f.remote(401, protoType1, body, "Authorization", "Basic ?")
	f.remote(403, protoType1, body, "Authorization", basic(f.reader))
	answer, _ := f.remote(401, protoType1, body, "Authorization", basic(f.writer), "Sec-Fetch-Site", "cross-site", "Origin", "https://elsewhere.example")
	if answer.Header.Get("Set-Cookie") != "" {
		t.Error("a cookie of nobody is ended")
	}
}

// Senders drop what is refused with 429 unless they are told otherwise; what the
// server has no room for they must send again.
func TestABusyServerIsAskedAgain(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.TenantInFlightBytes = 1 })
	body := snappy(remotewritetest.Encode1([]remotewritetest.Series{remoteSeries("up", "a", 1_700_000_000_000, 1)}))
	answer, text := f.remote(503, protoType1, body)
	var p Problem
	if err := json.Unmarshal([]byte(text), &p); err != nil || p.Status != 503 || p.Code != "busy" || answer.Header.Get("Retry-After") != "1" {
		t.Errorf("%v %s %v", err, text, answer.Header)
	}
	f = start(t)
	f.ask("PUT", "/api/v1/tenants/lake", f.admin, `{"quota":{"samples_per_second":1}}`)
	f.remote(204, protoType1, body)
	answer, _ = f.remote(429, protoType1, snappy(remotewritetest.Encode1(manySeries(100))))
	if answer.Header.Get("Retry-After") == "" {
		t.Error(answer.Header)
	}
}

func TestExemplarsAreCounted(t *testing.T) {
	f := start(t)
	one := remoteSeries("up", "a", 1_700_000_000_000, 1)
	one.Exemplars = 3
	f.remote(204, protoType1, snappy(remotewritetest.Encode1([]remotewritetest.Series{one})))
	if _, text := f.ask("GET", "/metrics", f.admin, ""); !strings.Contains(text, "hokan_exemplars_ignored_total 3") {
		t.Error(text)
	}
}
