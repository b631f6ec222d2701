package server

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hokan-db/hokan/engine/policy"
)

// TestLimitTable holds the table to the limits that there are: each is one of
// package policy's, once, and each metric is one that the server has.
func TestLimitTable(t *testing.T) {
	f := start(t)
	families, err := f.server.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var metrics []string
	for _, family := range families {
		metrics = append(metrics, family.GetName())
	}
	seen := map[string]bool{}
	for _, row := range LimitTable() {
		if seen[row.Name] || !slices.Contains(policy.Limits(), row.Limit) {
			t.Errorf("%s is listed twice, or is none of package policy", row.Name)
		}
		seen[row.Name] = true
		if !slices.Contains(metrics, row.Metric) && row.Metric != metricRejected { // has no reasons yet
			t.Errorf("%s: there is no metric %s", row.Name, row.Metric)
		}
	}
	fields := strings.Count(fmt.Sprintf("%+v", Limits{}), ":")
	const fixed = 3 // idempotency_keys, producers and receipt_bytes
	if fields+fixed != len(seen) {
		t.Errorf("the table has %d limits, Limits has %d fields", len(seen), fields)
	}
	if strings.Contains(fmt.Sprintf("%+v ", Limits{}.withDefaults()), ":0 ") {
		t.Errorf("a limit has no default: %+v", Limits{}.withDefaults())
	}
}

// blocked lets a request wait inside of a handler until release is closed.
func (f *fixture) blocked(pattern string, a access) (entered, release chan struct{}) {
	entered, release = make(chan struct{}), make(chan struct{})
	f.server.handle(operation{pattern: pattern, access: a, body: 1 << 20}, func(w http.ResponseWriter, r *http.Request) error {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return err
		}
		entered <- struct{}{}
		<-release
		return sendJSON(w, http.StatusOK, "done")
	})
	return entered, release
}

// busy checks that an answer is a refusal that says when to come back, and is
// counted for the limit.
func (f *fixture) busy(what string, limit policy.Limit, answer *http.Response, text string) {
	f.Helper()
	if answer.StatusCode != http.StatusTooManyRequests || !strings.Contains(text, `"busy"`) {
		f.Errorf("%s: %d %s", what, answer.StatusCode, text)
	}
	checkProblem(f.T, what, answer, text)
	_, metrics := f.ask("GET", "/metrics", f.admin, "")
	if strings.Contains(metrics, fmt.Sprintf("%s{limit=%q} 0\n", metricRefused, limit.Name)) ||
		!strings.Contains(metrics, fmt.Sprintf("%s{limit=%q}", metricRefused, limit.Name)) {
		f.Errorf("%s: %s is not counted", what, limit.Name)
	}
}

// TestRequestLimits meets the limits on requests and bytes in progress, of a
// tenant and of all.
func TestRequestLimits(t *testing.T) {
	f := start(t, func(o *Options) {
		o.Limits.TenantRequests, o.Limits.Requests = 2, 4
		o.Limits.TenantInFlightBytes, o.Limits.InFlightBytes = chargeStep, 2*chargeStep
	})
	f.fill()
	entered, release := f.blocked("POST /test/wait", writeTenant)
	done := make(chan int, 4)
	post := func(token, body string) {
		go func() {
			answer, _ := f.ask("POST", "/test/wait", token, body)
			done <- answer.StatusCode
		}()
		<-entered
	}
	post(f.both, "x")
	answer, text := f.ask("POST", "/test/wait", f.both, "x")
	f.busy("a tenant's bytes", policy.TenantInFlightBytes, answer, text)
	_, metrics := f.ask("GET", "/metrics", f.admin, "")
	for _, line := range []string{
		fmt.Sprintf(`hokan_quota_used{quota="in_flight_bytes",tenant="lake"} %d`, chargeStep),
		fmt.Sprintf(`hokan_quota_limit{quota="in_flight_bytes",tenant="lake"} %d`, chargeStep),
		fmt.Sprintf(`hokan_quota_used{quota="in_flight_bytes",tenant=""} %d`, chargeStep),
		fmt.Sprintf(`hokan_quota_limit{quota="in_flight_bytes",tenant=""} %d`, 2*chargeStep),
		`hokan_quota_limit{quota="memory_bytes",tenant=""} `, `hokan_quota_limit{quota="query_rows",tenant=""} `,
	} {
		if !strings.Contains(metrics, line) {
			f.Errorf("the metrics lack %s", line)
		}
	}
	post(f.both, "")
	answer, text = f.ask("GET", "/api/v1/latest", f.reader, "")
	f.busy("a tenant's requests", policy.TenantRequests, answer, text)
	post(f.other, "x")
	answer, text = f.ask("GET", "/healthz", "", "") // the fourth
	if answer.StatusCode != http.StatusOK {
		t.Errorf("within the limits: %d %s", answer.StatusCode, text)
	}
	post(f.other, "")
	close(release)
	for range 4 {
		if status := <-done; status != http.StatusOK {
			t.Errorf("a request in progress: %d", status)
		}
	}
	if now := f.server.admitted.now(); now.bytes != 0 || len(f.server.admitted.tenantsNow()) != 0 {
		t.Errorf("in progress after all: %+v", now)
	}
}

// TestAllRequests meets the limits on requests of everybody, with a token and
// without: neither keeps the other out, and health is always told.
func TestAllRequests(t *testing.T) {
	for _, c := range []struct {
		limit            policy.Limit
		access           access
		refused, allowed string // paths
	}{
		{policy.Requests, anyToken, "/api/v1/tokens", "/login"},
		{policy.OpenRequests, open, "/login", "/api/v1/tokens"},
	} {
		f := start(t, func(o *Options) { o.Limits.Requests, o.Limits.OpenRequests = 1, 1 })
		token := map[bool]string{true: f.admin}
		entered, release := f.blocked("GET /test/wait", c.access)
		done := make(chan int)
		go func() {
			answer, _ := f.ask("GET", "/test/wait", token[c.access != open], "")
			done <- answer.StatusCode
		}()
		<-entered
		answer, text := f.ask("GET", c.refused, token[c.access != open], "")
		for path, token := range map[string]string{c.allowed: token[c.access == open], "/healthz": "", "/readyz": ""} {
			if answer, text := f.ask("GET", path, token, ""); answer.StatusCode != http.StatusOK {
				t.Errorf("%s beside what meets %s: %d %s", path, c.limit.Name, answer.StatusCode, text)
			}
		}
		close(release)
		if status := <-done; status != http.StatusOK {
			t.Errorf("the first: %d", status)
		}
		f.busy("one too many", c.limit, answer, text)
	}
}

// TestAddresses checks that one address has its share of what needs no token,
// and that this machine has no such limit.
func TestAddresses(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:1": "192.0.2.7", "[::ffff:192.0.2.7]:2": "192.0.2.7", "[2001:db8:1:2:3::4]:5": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:1": "fe80::/64", "127.0.0.1:1": "", "[::1]:1": "", "@": "",
	} {
		if got := addressOf(remote); got != want {
			t.Errorf("%s counts as %q, want %q", remote, got, want)
		}
	}
	a := newAdmission(&Limits{OpenRequests: 3, AddressOpenRequests: 2})
	for i, step := range []struct {
		address string
		leaves  bool
		limit   policy.Limit
	}{
		{"a", false, policy.Limit{}}, {"a", false, policy.Limit{}}, {"a", false, policy.AddressOpenRequests}, {"", false, policy.Limit{}},
		{"", false, policy.OpenRequests}, {"a", true, policy.Limit{}}, {"b", false, policy.Limit{}}, {"a", false, policy.OpenRequests},
		{"b", true, policy.Limit{}}, {"", true, policy.Limit{}}, {"a", true, policy.Limit{}},
	} {
		if step.leaves {
			a.leaveOpen(step.address)
		} else if err := a.enterOpen(step.address); (err == nil) != (step.limit.Name == "") ||
			err != nil && problemOf(err).limit != step.limit.Name {
			t.Errorf("step %d: %v", i, err)
		}
	}
	if a.now() != (usage{}) || len(a.addresses) != 0 {
		t.Errorf("in progress after all: %+v %v", a.now(), a.addresses)
	}
}

// TestStreams meets the limits on live streams, which take no place among the
// requests.
func TestStreams(t *testing.T) {
	s := serve(t, func(o *Options) { o.Limits.TenantStreams, o.Limits.Requests = 2, 1 })
	for range 2 {
		c := s.dial("GET /api/v1/live HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + s.reader + "\r\n\r\n")
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	answer, text := s.ask("GET", "/api/v1/live", s.reader, "")
	s.busy("a stream too many", policy.TenantStreams, answer, text)
	s.works()
}

// TestLargeBodies sends bodies that are too large, with and without their
// length told before.
func TestLargeBodies(t *testing.T) {
	f := start(t, func(o *Options) { o.Limits.BodyBytes, o.Limits.SmallBodyBytes = 2000, 1000 })
	for _, path := range []string{"/api/v1/samples", "/api/v1/alarms", "/api/v1/session"} {
		for _, chunked := range []bool{false, true} {
			var body io.Reader = strings.NewReader(`{"name":"` + strings.Repeat("x", 3000) + `"}`)
			if chunked {
				body = io.MultiReader(body)
			}
			r, err := http.NewRequest("POST", f.web.URL+path, body)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+f.both)
			r.Header.Set("Content-Type", "application/json")
			answer, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil || answer.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%s, chunked %v: %d %s %v", path, chunked, answer.StatusCode, text, err)
			}
			checkProblem(t, path, answer, string(text))
		}
	}
	_, metrics := f.ask("GET", "/metrics", f.admin, "")
	for limit, n := range map[policy.Limit]int{policy.BodyBytes: 2, policy.SmallBodyBytes: 4} {
		if !strings.Contains(metrics, fmt.Sprintf("%s{limit=%q} %d\n", metricRefused, limit.Name, n)) {
			t.Errorf("%s was met %d times, which is not what is counted", limit.Name, n)
		}
	}
}
