package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hokan-db/hokan/ingest/otlp/otlptest"
	"github.com/hokan-db/hokan/ingest/remotewrite/remotewritetest"
	"github.com/hokan-db/hokan/server/auth"
	"github.com/hokan-db/hokan/server/rate"
)

// dialect is one of those by which samples come.
type dialect struct {
	name, path string
	headers    []string
	body       string // of 50 samples or more
	tooFast    int    // how samples are refused that come too fast
	// refused checks the form of a refusal with a code.
	refused func(answer *http.Response, text, code string) bool
}

// isProblem reports whether an answer is a problem with a code.
func isProblem(answer *http.Response, text, code string) bool {
	return answer.Header.Get("Content-Type") == "application/problem+json" && strings.Contains(text, `"code":"`+code+`"`)
}

// dialects are all that there are, with bodies of one time.
func dialects(at time.Time) []dialect {
	var lines strings.Builder
	samples := `{"channels":[`
	for i := range 50 {
		fmt.Fprintf(&lines, "m,host=a f%d=1.5 %d\n", i, at.UnixNano())
		if i > 0 {
			samples += ","
		}
		samples += fmt.Sprintf(`{"labels":{"instrument":"s","channel":"c%d"},"times":[%d],"values":[1.5]}`, i, at.UnixMilli())
	}
	series := remotewritetest.Scrape(5, 10, 1, at.UnixMilli())
	remote := func(contentType string) []string {
		return []string{"Content-Type", contentType, "Content-Encoding", "snappy"}
	}
	influxError := func(answer *http.Response, text, code string) bool {
		return strings.HasPrefix(text, `{"error":"`+code+": ") && strings.HasPrefix(answer.Header.Get("X-Influxdb-Error"), code+": ")
	}
	return []dialect{
		{"samples", "/api/v1/samples", nil, samples + "]}", 429, isProblem},
		{"line protocol 1", "/write", nil, lines.String(), 503, influxError},
		{"line protocol 2", "/api/v2/write", nil, lines.String(), 429, func(_ *http.Response, text, code string) bool {
			return strings.HasPrefix(text, `{"code":"`) && strings.Contains(text, `"message":"`+code+": ")
		}},
		{"remote write 1", "/api/v1/write", remote(protoType1), snappy(remotewritetest.Encode1(series)), 429, isProblem},
		{"remote write 2", "/api/v1/write", remote(protoType2), snappy(remotewritetest.Encode2(series)), 429, isProblem},
		{"OTLP", "/v1/metrics", []string{"Content-Type", "application/x-protobuf"}, string(otlptest.Agent("a", 5, 10, at.UnixNano())), 429,
			func(answer *http.Response, text, code string) bool {
				return answer.Header.Get("Content-Type") == "application/x-protobuf" && statusMessage(text, code)
			}},
		{"OTLP as JSON", "/v1/metrics", []string{"Content-Type", "application/json"}, metricsText("m", at, ""), 429,
			func(answer *http.Response, text, code string) bool {
				return answer.Header.Get("Content-Type") == "application/json" && strings.HasPrefix(text, `{"code":`) && strings.Contains(text, `"message":"`+code+": ")
			}},
		{"file", "/api/v1/files?instrument=f&zone=UTC", []string{"Content-Type", "application/octet-stream"}, loggerText, 429, isProblem},
	}
}

// statusMessage reports whether a google.rpc.Status has a message that begins
// with a code.
func statusMessage(text, code string) bool {
	_, _, n := protowire.ConsumeField([]byte(text))
	if n < 0 || text[0] != 1<<3 {
		return false
	}
	_, kind, tag := protowire.ConsumeTag([]byte(text[n:]))
	if tag < 0 || kind != protowire.BytesType {
		return false
	}
	message, m := protowire.ConsumeBytes([]byte(text[n+tag:]))
	return m >= 0 && strings.HasPrefix(string(message), code+": ")
}

// TestATenantThatIsTooFast: who sends more than agreed is told so in the terms of
// each protocol, and when to come again; it is counted, and others are not told
// anything of the kind.
func TestATenantThatIsTooFast(t *testing.T) {
	var clock atomic.Int64
	clock.Store(time.Now().UnixNano())
	now := func() time.Time { return time.Unix(0, clock.Load()) }
	f := start(t, func(o *Options) { o.Clock = now })
	if answer, text := f.ask("PUT", "/api/v1/tenants/lake", f.admin, `{"quota":{"samples_per_second":1}}`); answer.StatusCode != 200 {
		t.Fatal(text)
	}
	refusals := 0
	for _, p := range dialects(now().Add(-time.Minute)) {
		write := func(token string) (*http.Response, string) { return f.ask("POST", p.path, token, p.body, p.headers...) }
		unread := func(token string) (*http.Response, string) {
			return f.ask("POST", p.path, token, "broken", p.headers...)
		}
		if answer, text := write(f.writer); answer.StatusCode/100 != 2 {
			t.Fatalf("%s: %d %s", p.name, answer.StatusCode, text)
		}
		for n := range 10 {
			send := write
			if n%2 > 0 {
				send = unread // nobody looks at it
			}
			answer, text := send(f.writer)
			if refusals++; answer.StatusCode != p.tooFast || answer.Header.Get("Retry-After") == "" || !p.refused(answer, text, "rate_limited") || answer.Close {
				t.Errorf("%s: %d %v %q, closes: %v", p.name, answer.StatusCode, answer.Header, text, answer.Close)
			}
			if answer, text := write(f.other); answer.StatusCode/100 != 2 {
				t.Errorf("another tenant by %s: %d %s", p.name, answer.StatusCode, text)
			}
		}
		clock.Add(int64(time.Hour)) // what was sent is paid for
	}
	_, metrics := f.ask("GET", "/metrics", f.admin, "")
	if want := fmt.Sprintf("%s{limit=\"samples_per_second\"} %d\n", metricRefused, refusals); !strings.Contains(metrics, want) {
		t.Errorf("the metrics lack %s", want)
	}
	if want := `hokan_quota_limit{quota="samples_per_second",tenant="lake"} 1`; !strings.Contains(metrics, want) {
		t.Errorf("the metrics lack %s", want)
	}
}

// TestATokenThatIsTooFast: who sends more than agreed with a token is told so in
// the terms of each protocol; that takes nothing from the tenant, and its other
// tokens write on.
func TestATokenThatIsTooFast(t *testing.T) {
	var clock atomic.Int64
	clock.Store(time.Now().UnixNano())
	now := func() time.Time { return time.Unix(0, clock.Load()) }
	f := start(t, func(o *Options) { o.Clock = now })
	if answer, text := f.ask("PUT", "/api/v1/tenants/lake", f.admin, `{"quota":{"samples_per_second":1000000}}`); answer.StatusCode != 200 {
		t.Fatal(text)
	}
	slow, neighbour := f.token(auth.Token{Tenant: "lake", SamplesPerSecond: 1}), f.token(auth.Token{Tenant: "lake", SamplesPerSecond: 1_000_000})
	used := func() string {
		_, metrics := f.ask("GET", "/metrics", f.admin, "")
		_, after, _ := strings.Cut(metrics, `hokan_quota_used{quota="samples_per_second",tenant="lake"} `)
		n, _, _ := strings.Cut(after, "\n")
		return n
	}
	refusals := 0
	for _, p := range dialects(now().Add(-time.Minute)) {
		write := func(token string) (*http.Response, string) { return f.ask("POST", p.path, token, p.body, p.headers...) }
		unread := func(token string) (*http.Response, string) {
			return f.ask("POST", p.path, token, "broken", p.headers...)
		}
		if answer, text := write(slow); answer.StatusCode/100 != 2 {
			t.Fatalf("%s: %d %s", p.name, answer.StatusCode, text)
		}
		before := used()
		for n := range 10 {
			send := write
			if n%2 > 0 {
				send = unread // nobody looks at it
			}
			answer, text := send(slow)
			if refusals++; answer.StatusCode != p.tooFast || answer.Header.Get("Retry-After") == "" || !p.refused(answer, text, "rate_limited") || answer.Close {
				t.Errorf("%s: %d %v %q, closes: %v", p.name, answer.StatusCode, answer.Header, text, answer.Close)
			}
			if want := "more than the token's 1 samples per second"; !strings.Contains(text, want) {
				t.Errorf("%s: %q does not say %q", p.name, text, want)
			}
		}
		if after := used(); before == "" || before == "0" || after != before {
			t.Errorf("%s: refusals changed what the tenant uses from %q to %q", p.name, before, after)
		}
		for _, token := range []string{f.writer, neighbour, f.other} {
			if answer, text := write(token); answer.StatusCode/100 != 2 {
				t.Errorf("another token by %s: %d %s", p.name, answer.StatusCode, text)
			}
		}
		clock.Add(int64(time.Hour)) // what was sent is paid for
	}
	_, metrics := f.ask("GET", "/metrics", f.admin, "")
	for limit, n := range map[string]int{"token_samples_per_second": refusals, "samples_per_second": 0} {
		if want := fmt.Sprintf("%s{limit=%q} %d\n", metricRefused, limit, n); !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

// TestNeitherRatePaysForTheOther: samples that were let in before they were
// counted meet both rates; the one that refuses them leaves the other alone.
func TestNeitherRatePaysForTheOther(t *testing.T) {
	at := time.Now()
	f := start(t, func(o *Options) { o.Clock = func() time.Time { return at } })
	agree := func(perSecond int) {
		t.Helper()
		if answer, text := f.ask("PUT", "/api/v1/tenants/lake", f.admin, fmt.Sprintf(`{"quota":{"samples_per_second":%d}}`, perSecond)); answer.StatusCode != 200 {
			t.Fatal(text)
		}
	}
	let := func(samples int, secret string) error {
		t.Helper()
		token, err := f.server.tokens.Lookup(secret)
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.WithValue(t.Context(), answerKey{}, &answer{caller: caller{Token: token}})
		return f.server.letIn(ctx, "lake", samples)
	}
	slow, fast := f.token(auth.Token{Tenant: "lake", SamplesPerSecond: 10}), f.token(auth.Token{Tenant: "lake", SamplesPerSecond: 1000})
	agree(100)
	for _, c := range []struct {
		token   string
		samples int
		refuses rate.Holder // "" for nobody
	}{
		{slow, 20, ""}, {slow, 1000, rate.Token}, {fast, 79, ""}, {fast, 10, ""}, {fast, 1000, rate.Tenant}, {f.both, 1, rate.Tenant},
	} {
		var tooFast *rate.Error
		if err := let(c.samples, c.token); errors.As(err, &tooFast) != (c.refuses != "") || tooFast != nil && tooFast.Holder != c.refuses {
			t.Errorf("%d samples: %v, want it refused by %q", c.samples, err, c.refuses)
		}
	}
	agree(0)
	if err := let(1, fast); err != nil {
		t.Errorf("what the tenant's rate refused is owed by the token: %v", err)
	}
}

// TestARepeatIsNotTooFast: the answer to what was done is given whatever is owed.
func TestARepeatIsNotTooFast(t *testing.T) {
	f := start(t)
	if answer, text := f.ask("PUT", "/api/v1/tenants/lake", f.admin, `{"quota":{"samples_per_second":1}}`); answer.StatusCode != 200 {
		t.Fatal(text)
	}
	body := dialects(time.Now().Add(-time.Minute))[0].body
	for _, want := range []struct{ key, replay string }{{"a", ""}, {"a", "true"}} {
		if answer, text := f.ask("POST", "/api/v1/samples", f.writer, body, keyHeader, want.key); answer.StatusCode != 200 || answer.Header.Get(replayHeader) != want.replay {
			t.Errorf("%+v: %d %s", want, answer.StatusCode, text)
		}
	}
	if answer, text := f.ask("POST", "/api/v1/samples", f.writer, body, keyHeader, "b"); answer.StatusCode != 429 {
		t.Errorf("%d %s", answer.StatusCode, text)
	}
}
