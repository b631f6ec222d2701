package server

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/server/influx"
)

// line writes line protocol, and returns the answer.
func (f *fixture) line(path, body string, headers ...string) (*http.Response, influx.Body) {
	f.Helper()
	answer, text := f.ask("POST", path, "", body, headers...)
	var said influx.Body
	if text != "" {
		if err := json.Unmarshal([]byte(text), &said); err != nil {
			f.Fatalf("%s: %d %v: %s", path, answer.StatusCode, err, text)
		}
	}
	return answer, said
}

// What InfluxDB's clients send is kept, as README says, and can be read.
func TestLineProtocolIsKept(t *testing.T) {
	f := start(t)
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("anyone:"+f.writer))
	for _, c := range []struct{ path, header string }{
		{"/write?db=any&rp=any&precision=s", "Bearer " + f.writer},
		{"/write?db=any&precision=s", basic},
		{"/write?db=any&precision=s&u=any&p=" + f.writer, ""},
		{"/api/v2/write?org=any&bucket=any&precision=s", "Token " + f.writer},
		{"/api/v2/write?precision=s", "Token any:" + f.writer},
	} {
		headers := []string{"Content-Type", "text/plain; charset=utf-8"}
		if c.header != "" {
			headers = append(headers, "Authorization", c.header)
		}
		body := "cpu,host=a,region=eu usage=1.5,idle=97i,up=t 1700000000\ntemperature,instrument=pond value=4.25 1700000000\n"
		answer, _ := f.line(c.path, body, headers...)
		if answer.StatusCode != http.StatusNoContent || answer.Header.Get("X-Influxdb-Version") == "" {
			t.Errorf("%s %.6s: %d", c.path, c.header, answer.StatusCode)
		}
	}
	_, text := f.ask("GET", "/api/v1/table?"+match(`{instrument="a"}`)+"&unit=s", f.reader, "")
	if !strings.Contains(text, `"labels":{"channel":"cpu.idle","host":"a","instrument":"a","region":"eu"}`) ||
		!strings.Contains(text, `"times":[1700000000],"rows":[[1.5,97,1]]`) {
		t.Error(text)
	}
	if _, text = f.ask("GET", "/api/v1/latest?"+match(`{instrument="pond",channel="temperature"}`)+"&unit=s", f.reader, ""); !strings.Contains(text, `"time":1700000000,"value":4.25`) {
		t.Error(text)
	}
}

// Without a time a line has the server's.
func TestLinesWithoutTimes(t *testing.T) {
	f := start(t, func(o *Options) { o.Clock = func() time.Time { return time.Unix(1_700_000_061, 5e8) } })
	for precision, want := range map[string]int64{"": 1_700_000_061_500, "s": 1_700_000_061_000, "m": 1_700_000_040_000} {
		name := "c" + precision
		if answer, said := f.line("/write?precision="+precision, name+" value=1", "Authorization", "Bearer "+f.writer); answer.StatusCode != 204 {
			t.Fatal(said)
		}
		if _, text := f.ask("GET", "/api/v1/latest?"+match(`{channel="`+name+`"}`), f.reader, ""); !strings.Contains(text, fmt.Sprintf(`"time":%d`, want)) {
			t.Errorf("%s: %s", precision, text)
		}
	}
}

// What is refused is named by its line, and the rest is durable.
func TestPartialWrites(t *testing.T) {
	f := start(t)
	body := "m,host=a a=1,s=\"text\" 1700000000\nbroken\nm,host=a a=2 4000000000\nm,host=a a=3 1700000003\n"
	answer, said := f.line("/write?precision=s", body, "Authorization", "Bearer "+f.writer)
	for _, want := range []string{"partial write: line 1: not_a_number: field of channel \"m.s\" is a string", "line 2: malformed: want a space and fields",
		"line 3: too_far_ahead: ", "1 malformed, 1 not_a_number, 1 too_far_ahead, 2 samples kept dropped=3"} {
		if answer.StatusCode != 400 || !strings.Contains(said.Error, want) || said.Code != "" {
			t.Errorf("%d %+v\nlacks %s", answer.StatusCode, said, want)
		}
	}
	if _, text := f.ask("GET", "/api/v1/table?"+match(`{instrument="a"}`)+"&unit=s", f.reader, ""); !strings.Contains(text, `"times":[1700000000,1700000003],"rows":[[1],[3]]`) {
		t.Error(text)
	}
	answer, said = f.line("/api/v2/write?precision=s", "\n\nbroken\n", "Authorization", "Token "+f.writer)
	if answer.StatusCode != 400 || said.Code != "invalid" || said.Line != 3 || !strings.Contains(said.Message, "0 samples kept dropped=1") || said.Error != "" {
		t.Errorf("%d %+v", answer.StatusCode, said)
	}
	if _, metrics := f.ask("GET", "/metrics", f.admin, ""); !strings.Contains(metrics, `hokan_samples_rejected_total{reason="malformed"} 2`) {
		t.Error("refused lines are not counted")
	}
	if answer, said := f.line("/api/v2/write", "", "Authorization", "Token "+f.writer); answer.StatusCode != 204 {
		t.Errorf("nothing: %+v", said)
	}
}

// Refusals have the forms and statuses of both versions.
func TestInfluxRefusals(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.BodyBytes, o.Limits.TenantInFlightBytes = 200_000, 300_000 })
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	z.Write(bytes.Repeat([]byte(" "), 300_000_000))
	z.Close()
	for _, c := range []struct {
		name, query, token, body string
		headers                  []string
		first, second            int
		code                     string
	}{
		{"no token", "", "", "m a=1", nil, 401, 401, "unauthorized"},
		{"another's cookie", "", "", "m a=1", []string{"Cookie", sessionCookie + "=" + f.writer}, 401, 401, "unauthorized"},
		{"unknown token", "", "none", "m a=1", nil, 401, 401, "unauthorized"},
		{"may not write", "", f.reader, "m a=1", nil, 403, 403, "forbidden"},
		{"precision", "?precision=d", f.writer, "m a=1", nil, 400, 400, "invalid"},
		{"encoding", "", f.writer, "m a=1", []string{"Content-Encoding", "br"}, 415, 415, "invalid"},
		{"no gzip", "", f.writer, "m a=1", []string{"Content-Encoding", "gzip"}, 400, 400, "invalid"},
		{"cut gzip", "", f.writer, bomb.String()[:1000], []string{"Content-Encoding", "gzip"}, 413, 413, "request too large"},
		{"bomb", "", f.writer, bomb.String()[:190_000], []string{"Content-Encoding", "gzip"}, 413, 413, "request too large"},
		{"too large", "", f.writer, strings.Repeat("m a=1\n", 50_000), nil, 413, 413, "request too large"},
	} {
		for _, second := range []bool{false, true} {
			path, want := "/write", c.first
			if second {
				path, want = "/api/v2/write", c.second
			}
			headers := c.headers
			if c.token != "" {
				headers = append(headers, "Authorization", "Token "+c.token)
			}
			answer, said := f.line(path+c.query, c.body, headers...)
			if answer.StatusCode != want || second != (said.Error == "") || second && (said.Code != c.code || said.Message == "") {
				t.Errorf("%s %s: %d %+v", c.name, path, answer.StatusCode, said)
			}
			if !second && answer.Header.Get("X-Influxdb-Error") != said.Error {
				t.Errorf("%s: %q", c.name, answer.Header)
			}
		}
	}
}

// Who is to send again later is told when, in a status that makes clients do it:
// Telegraf's output for InfluxDB 1 gives up what meets a 4xx.
func TestInfluxIsToldWhen(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.TenantInFlightBytes = 1 })
	for path, want := range map[string]int{"/write": 503, "/api/v2/write": 429} {
		answer, said := f.line(path, "m a=1", "Authorization", "Token "+f.writer)
		if answer.StatusCode != want || answer.Header.Get("Retry-After") == "" || !strings.Contains(said.Error+said.Message, "busy") {
			t.Errorf("%s: %d %v %+v", path, answer.StatusCode, answer.Header, said)
		}
	}
	if _, metrics := f.ask("GET", "/metrics", f.admin, ""); !strings.Contains(metrics, `hokan_http_refused_total{limit="`+policy.TenantInFlightBytes.Name+`"} 2`) {
		t.Error("what was refused is not counted")
	}
}

// A body that is shorter than it says is kept not at all: its last line may be
// half a number.
func TestABodyThatLies(t *testing.T) {
	f := start(t)
	c, err := net.Dial("tcp", f.web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /write HTTP/1.1\r\nHost: h\r\nAuthorization: Token %s\r\nContent-Length: 1000\r\n\r\nm a=1 5\nm a=1", f.writer)
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 1000)
	n, _ := c.Read(text)
	if !strings.Contains(string(text[:n]), " 400 ") {
		t.Errorf("%s", text[:n])
	}
	if _, text := f.ask("GET", "/api/v1/channels", f.reader, ""); !strings.Contains(text, `"channels":[]`) {
		t.Error(text)
	}
}

func TestNewChannelsAreLimited(t *testing.T) {
	f := start(t)
	if answer, text := f.ask("PUT", "/api/v1/tenants/lake", f.admin, `{"quota":{"channels":10}}`); answer.StatusCode != 200 {
		t.Fatal(text)
	}
	var b strings.Builder
	for i := range 20 {
		fmt.Fprintf(&b, "m f%d=1\n", i)
	}
	answer, said := f.line("/api/v2/write", b.String(), "Authorization", "Token "+f.writer)
	if answer.StatusCode != 400 || said.Line != 11 || !strings.Contains(said.Message, "10 channel_limit, 10 samples kept dropped=10") {
		t.Errorf("%d %+v", answer.StatusCode, said)
	}
}

func TestWhatInfluxClientsAsk(t *testing.T) {
	f := start(t)
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/ping", "", 204, ""},
		{"HEAD", "/ping", "", 204, ""},
		{"GET", "/ping?verbose=true", "", 200, `"version":"1.8.10-hokan"`},
		{"GET", "/health", "", 200, `"status":"pass"`},
		{"GET", "/query?q=SHOW+DATABASES&u=any&p=" + f.both, "", 200, `{"results":[{"statement_id":0,"series":[{"name":"databases","columns":["name"],"values":[["lake"]]}]}]}`},
		{"POST", "/query?p=" + f.writer, url.Values{"q": {`CREATE DATABASE "telegraf";`}}.Encode(), 200, `{"results":[{"statement_id":0}]}`},
		{"GET", "/query?q=show+retention+policies+on+x&p=" + f.both, "", 200, `"autogen"`},
		{"GET", "/query?q=SELECT+1&p=" + f.both, "", 400, `{"error":"malformed: only SHOW`},
		{"GET", "/query?p=" + f.both, "", 400, `missing required parameter`},
		{"GET", "/query?q=SHOW+DATABASES", "", 401, `{"error":"unauthorized: `},
	} {
		answer, text := f.ask(c.method, c.path, "", c.body, "Content-Type", "application/x-www-form-urlencoded")
		if answer.StatusCode != c.status || !strings.Contains(text, c.want) || c.status < 300 && answer.Header.Get("X-Influxdb-Build") == "" {
			t.Errorf("%s %s: %d %s", c.method, c.path, answer.StatusCode, text)
		}
	}
	f.server.draining.Store(true)
	if answer, text := f.ask("GET", "/health", "", ""); answer.StatusCode != 503 || !strings.Contains(text, `"status":"fail"`) {
		t.Errorf("%d %s", answer.StatusCode, text)
	}
}

// Times that are written in another unit than they are read in are kept, and the
// answer and the log say how that looks.
func TestLineProtocolInTheWrongUnitIsWarnedOf(t *testing.T) {
	var log bytes.Buffer
	var mu sync.Mutex
	f := start(t, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&locked{w: &log, mu: &mu}, nil)) })
	for path, warned := range map[string]bool{"/write": true, "/api/v2/write?precision=ms": true, "/write?precision=s": false} {
		answer, _ := f.line(path, "cpu value=1 1700000000\n", "Authorization", "Token "+f.writer)
		warning := answer.Header.Get("Hokan-Warning")
		if answer.StatusCode != 204 || warned != strings.Contains(warning, "lie in January 1970: is that the unit? the query parameter precision") {
			t.Errorf("%s: %d %q", path, answer.StatusCode, warning)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if n := strings.Count(log.String(), "level=WARN msg=\"what is kept looks wrong\""); n != 2 {
		t.Errorf("%d warnings: %s", n, log.String())
	}
}
