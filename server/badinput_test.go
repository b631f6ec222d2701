package server

import (
	"bufio"
	"bytes"
	"compress/gzip"
	encoding "encoding/binary"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/hokan-db/hokan/ingest/otlp/otlptest"
	"github.com/hokan-db/hokan/ingest/remotewrite/remotewritetest"
)

// badInput is what a dialect makes of samples that are partly or wholly bad.
type badInput struct {
	// half is a body of which some is good; halfStatus is its answer's, and halfSays
	// is in it.
	half       string
	halfStatus int
	halfSays   string
	// long has one channel, with labels of so many bytes; longStatus is its answer's,
	// and longSays is in it.
	long       func(bytes int) string
	longStatus int
	longSays   string
	// many has so many channels that were not there before; manyStatus is its answer's
	// where ten of them are kept.
	// manySays is in it, and tooMany is the code for more than may be at all.
	many       func(channels int) string
	manyStatus int
	manySays   string
	tooMany    string
}

// badInputs are those of all dialects, by their names.
func badInputs(at time.Time) map[string]badInput {
	type series = remotewritetest.Series
	lines := badInput{
		half: fmt.Sprintf("m,host=h good=1 %d\nbroken\n", at.UnixNano()), halfStatus: 400, halfSays: "line 2: malformed: ", longStatus: 400, manyStatus: 400,
		manySays: "channel_limit", tooMany: "body_too_large", // for which clients send several
		long: func(n int) string { return "m,host=" + strings.Repeat("x", n) + " a=1\n" }, longSays: "bad_label",
		many: func(n int) string {
			var b strings.Builder
			for i := range n {
				fmt.Fprintf(&b, "m,host=h f%d=1\n", i)
			}
			return b.String()
		},
	}
	one := func(labels ...string) series {
		return series{Labels: labels, Times: []int64{at.UnixMilli()}, Values: []float64{1}}
	}
	remote := func(encode func([]series) []byte) badInput {
		return badInput{
			half: snappy(encode([]series{one("__name__", "good", "job", "j"), one("job", "j")})), halfStatus: 400, halfSays: "1 of 2 samples are refused, the others are kept: bad_label 1; timeseries[1]: ",
			long:       func(n int) string { return snappy(encode([]series{one("__name__", "m", "x", strings.Repeat("x", n))})) },
			longStatus: 400, longSays: "bad_label 1", manyStatus: 400, manySays: "channel_limit", tooMany: "too_many_channels",
			many: func(n int) string { return snappy(encode(manySeries(n))) },
		}
	}
	otlpJSON := func(attributes string) string {
		return metricsText("good", at, fmt.Sprintf(`,{"name":"bad","gauge":{"dataPoints":[{"timeUnixNano":"%d","asInt":1,"attributes":[%s]}]}}`, at.UnixNano(), attributes))
	}
	return map[string]badInput{
		"samples": {
			half: fmt.Sprintf(`{"times":[%d],"channels":[{"labels":{"instrument":"i","channel":"good"},"values":[1]},{"labels":{"instrument":"i"},"values":[1]}]}`, at.UnixMilli()),
			long: func(n int) string {
				return fmt.Sprintf(`{"channels":[{"labels":{"instrument":"i","channel":%q},"times":[%d],"values":[1]}]}`, strings.Repeat("x", n), at.UnixMilli())
			},
			many: func(n int) string {
				var b strings.Builder
				for i := range n {
					fmt.Fprintf(&b, `,{"labels":{"instrument":"i","channel":"c%d"},"values":[1]}`, i)
				}
				return fmt.Sprintf(`{"times":[%d],"channels":[`, at.UnixMilli()) + strings.TrimPrefix(b.String(), ",") + "]}"
			},
			halfStatus: 200, halfSays: `"accepted":1,"rejected":1,"reasons":{"bad_label":1}`, longStatus: 422, longSays: `"bad_label":1`, manyStatus: 200, manySays: "channel_limit", tooMany: "too_many_channels",
		},
		"line protocol 1": lines, "line protocol 2": lines,
		"remote write 1": remote(func(s []series) []byte { return remotewritetest.Encode1(s) }),
		"remote write 2": remote(remotewritetest.Encode2),
		"OTLP": {
			half:       string(otlptest.Agent("good", 1, 1, at.UnixNano())) + string(otlptest.Agent("good", 1, 1, at.Add(48*time.Hour).UnixNano())),
			long:       func(n int) string { return string(otlptest.Agent(strings.Repeat("x", n), 1, 1, at.UnixNano())) },
			many:       func(n int) string { return string(otlptest.Agent("m", (n+9)/10, 10, at.UnixNano())) },
			halfStatus: 200, halfSays: "1 data points are refused (too_far_ahead: 1)", longStatus: 400, longSays: "bad_label: 1", manyStatus: 200, manySays: "channel_limit", tooMany: "too_many_channels",
		},
		"OTLP as JSON": {
			half: metricsText("good", at, `,{"name":"h","histogram":{"dataPoints":[{}]}}`), halfStatus: 200, halfSays: `"rejectedDataPoints":"1"`,
			long: func(n int) string {
				return otlpJSON(`{"key":"k","value":{"stringValue":"` + strings.Repeat("x", n) + `"}}`)
			},
			longStatus: 200, longSays: "(bad_label: 1)", many: manyChannels, manyStatus: 200, manySays: "channel_limit", tooMany: "too_many_channels",
		},
		"file": {
			half: loggerText, halfStatus: 200, halfSays: `"not_a_number":1`,
			long: func(n int) string {
				return "\"File name\",\"W.CSV\",\"V 1.00\"\n\"Trigger Time\",\"'23-11-14 22:13:20\"\n\"Time\",\"" + strings.Repeat("x", n) + "[V]\",\n 0.0E+00, 1.25E+00,\n"
			},
			longStatus: 400, longSays: "bad_label",
			many: func(n int) string {
				head, row := strings.Builder{}, strings.Builder{}
				for i := range n {
					fmt.Fprintf(&head, ",\"c%d[V]\"", i)
					row.WriteString(",1")
				}
				return "\"Time\"" + head.String() + "\n0.0" + row.String() + "\n"
			},
			manyStatus: 400, manySays: "100001 columns, at most 10000", tooMany: "malformed",
		},
	}
}

// TestHalfGoodInput: of a body that is half good the good half is kept, and the
// sender is told of the other in its protocol's terms.
func TestHalfGoodInput(t *testing.T) {
	at := time.Now().Add(-time.Minute)
	all := badInputs(at)
	for _, p := range dialects(at) {
		f := start(t)
		bad := all[p.name]
		answer, text := f.ask("POST", p.path, f.writer, bad.half, p.headers...)
		if answer.StatusCode != bad.halfStatus || !strings.Contains(text, bad.halfSays) {
			t.Errorf("%s: %d %s", p.name, answer.StatusCode, text)
		}
		if _, text := f.ask("GET", "/api/v1/latest", f.reader, ""); !strings.Contains(text, `"value":`) {
			t.Errorf("%s: the good half is not there: %s", p.name, text)
		}
		if _, metrics := f.ask("GET", "/metrics", f.admin, ""); !strings.Contains(metrics, `hokan_samples_rejected_total{reason="`) {
			t.Errorf("%s: what was refused is not counted", p.name)
		}
	}
}

// TestLongLabels: a channel with a label of a MiB is refused, and the answer does
// not have it.
func TestLongLabels(t *testing.T) {
	at := time.Now().Add(-time.Minute)
	all := badInputs(at)
	for _, p := range dialects(at) {
		f := start(t)
		bad := all[p.name]
		answer, text := f.ask("POST", p.path, f.writer, bad.long(1<<20), p.headers...)
		if answer.StatusCode != bad.longStatus || !strings.Contains(text, bad.longSays) || len(text) > 4000 {
			t.Errorf("%s: %d, %d bytes: %.500s", p.name, answer.StatusCode, len(text), text)
		}
		if _, text := f.ask("GET", "/api/v1/channels", f.reader, ""); strings.Contains(text, "xxx") {
			t.Errorf("%s: such a channel is there", p.name)
		}
		_, metrics := f.ask("GET", "/metrics", f.admin, "")
		if !strings.Contains(metrics, `hokan_samples_rejected_total{reason="bad_label"} 1`) && p.name != "file" {
			t.Errorf("%s: what was refused is not counted", p.name)
		}
	}
}

// TestManyNewChannels: of 100,000 new channels in one request as many are made as
// the tenant may have, and the others are refused and counted; more are refused
// as they are. A file has fewer columns than that.
func TestManyNewChannels(t *testing.T) {
	if testing.Short() {
		t.Skip("1,600,000 channels take minutes with the race detector")
	}
	at := time.Now().Add(-time.Minute)
	all := badInputs(at)
	for _, p := range dialects(at) {
		t.Run(p.name, func(t *testing.T) { manyNewChannels(t, p, all[p.name]) })
	}
}

func manyNewChannels(t *testing.T, p dialect, bad badInput) {
	f := start(t)
	if answer, text := f.ask("PUT", "/api/v1/tenants/lake", f.admin, `{"quota":{"channels":10}}`); answer.StatusCode != 200 {
		t.Fatal(text)
	}
	answer, text := f.ask("POST", p.path, f.writer, bad.many(100_000), p.headers...)
	if answer.StatusCode != bad.manyStatus || !strings.Contains(text, bad.manySays) || len(text) > 20_000 {
		t.Errorf("%s: %d, %d bytes: %.500s", p.name, answer.StatusCode, len(text), text)
	}
	_, metrics := f.ask("GET", "/metrics", f.admin, "")
	for _, want := range []string{`hokan_samples_rejected_total{reason="channel_limit"} 99990`, "hokan_samples_accepted_total 10\n"} {
		if !strings.Contains(metrics, want) && bad.manySays == "channel_limit" {
			t.Errorf("%s: the metrics lack %s", p.name, want)
		}
	}
	if answer, text = f.ask("POST", p.path, f.other, p.body, p.headers...); answer.StatusCode/100 != 2 {
		t.Errorf("%s: another tenant: %d %s", p.name, answer.StatusCode, text)
	}
	if answer, text = f.ask("POST", p.path, f.writer, bad.many(100_011), p.headers...); answer.StatusCode/100 != 4 || !p.refused(answer, text, bad.tooMany) {
		t.Errorf("%s, one too many: %d %.500s", p.name, answer.StatusCode, text)
	}
}

// TestBodiesThatEndTooEarly: a body that stops in the middle, of the request or of
// itself, is refused whole.
func TestBodiesThatEndTooEarly(t *testing.T) {
	f := start(t)
	cut := map[string]string{ // in itself; lines have no end of their own
		"samples": "malformed", "remote write 1": "malformed", "remote write 2": "malformed", "OTLP": "malformed", "OTLP as JSON": "malformed",
	}
	for _, p := range dialects(time.Now().Add(-time.Minute)) {
		answer, text := f.raw(p, p.body[:len(p.body)-3], len(p.body))
		if answer.StatusCode != 400 || !p.refused(answer, text, "malformed") {
			t.Errorf("%s stops: %d %s", p.name, answer.StatusCode, text)
		}
		if code := cut[p.name]; code != "" {
			if answer, text := f.ask("POST", p.path, f.writer, p.body[:len(p.body)-3], p.headers...); answer.StatusCode != 400 || !p.refused(answer, text, code) {
				t.Errorf("%s is cut: %d %s", p.name, answer.StatusCode, text)
			}
		}
		if _, metrics := f.ask("GET", "/metrics", f.admin, ""); !strings.Contains(metrics, `hokan_http_requests_total{code="400",method="POST",route="POST `+strings.Split(p.path, "?")[0]+`"}`) {
			t.Errorf("%s: what was refused is not counted", p.name)
		}
	}
	if _, text := f.ask("GET", "/api/v1/channels", f.reader, ""); !strings.Contains(text, `"channels":[]`) {
		t.Errorf("kept: %.300s", text)
	}
}

// raw sends a body that does not have the length that is said, and returns the
// answer.
func (f *fixture) raw(p dialect, body string, length int) (*http.Response, string) {
	f.Helper()
	c, err := net.Dial("tcp", f.web.Listener.Addr().String())
	if err != nil {
		f.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n", p.path, f.writer, length)
	if !slices.Contains(p.headers, "Content-Type") {
		fmt.Fprint(c, "Content-Type: application/json\r\n")
	}
	for i := 0; i < len(p.headers); i += 2 {
		fmt.Fprintf(c, "%s: %s\r\n", p.headers[i], p.headers[i+1])
	}
	fmt.Fprintf(c, "\r\n%s", body)
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		f.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		f.Fatal(err)
	}
	return answer, f.textOf(answer)
}

// TestBodiesThatGrow: what would be a thousand times as large unpacked, or says
// that it is, is refused before it is, in every packing.
func TestBodiesThatGrow(t *testing.T) {
	f := start(t)
	large := make([]byte, 64<<20)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(large)
	z.Close()
	zstandard, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	// A frame that says it has 2^62 bytes, and one block of the byte 0 repeated.
	lying := encoding.LittleEndian.AppendUint64([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0}, 1<<62)
	lying = append(lying, 0x03|0xff&^0x07, 0xff, 0x0f, 0)
	bodies := []struct{ packing, body, code string }{
		{"gzip", zipped.String(), "body_too_large"},
		{"zstd", string(zstandard.EncodeAll(large, nil)), "body_too_large"},
		{"snappy", string(s2.EncodeSnappy(nil, large)), "body_too_large"},
		{"snappy", string(encoding.AppendUvarint(nil, 1<<32-1)) + "\x00x", "body_too_large"},
		{"snappy", string(encoding.AppendUvarint(nil, 1<<60)) + "\x00x", ""},
		{"snappy", "\x05\x00x", "malformed"},
		{"zstd", string(lying), ""},
	}
	refused := 0
	for _, p := range dialects(time.Now().Add(-time.Minute)) {
		for i, b := range bodies {
			answer, text := f.ask("POST", p.path, f.writer, b.body, append(slices.Clone(p.headers), "Content-Encoding", b.packing)...)
			tooLarge := p.refused(answer, text, "body_too_large")
			if answer.StatusCode/100 != 4 || !tooLarge && !p.refused(answer, text, "malformed") || b.code != "" && tooLarge != (b.code == "body_too_large") {
				t.Errorf("%s, %s of body %d: %d %s", p.name, b.packing, i, answer.StatusCode, text)
			}
			if tooLarge {
				refused++
			}
		}
	}
	if _, metrics := f.ask("GET", "/metrics", f.admin, ""); !strings.Contains(metrics, fmt.Sprintf("%s{limit=\"body_bytes\"} %d\n", metricRefused, refused)) {
		t.Errorf("%d refusals are not counted", refused)
	}
}
