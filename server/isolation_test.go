package server

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hokan-db/hokan/server/auth"
)

// documented is a route of the OpenAPI document as it is served.
type documented struct {
	Method, Path string
	open         bool // takes no token
}

// routes reads the routes from the document that the server gives.
func (f *fixture) routes() []documented {
	f.Helper()
	answer, text := f.ask("GET", "/api/v1/openapi.json", "", "")
	if answer.StatusCode != http.StatusOK {
		f.Fatalf("the document: %d %s", answer.StatusCode, text)
	}
	var document struct {
		OpenAPI string
		Paths   map[string]map[string]struct{ Security []any }
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		f.Fatal(err)
	}
	if !strings.HasPrefix(document.OpenAPI, "3.1") {
		f.Errorf("OpenAPI %s, want 3.1", document.OpenAPI)
	}
	var all []documented
	for path, methods := range document.Paths {
		for method, operation := range methods {
			all = append(all, documented{strings.ToUpper(method), path, len(operation.Security) == 0})
		}
	}
	slices.SortFunc(all, func(a, b documented) int { return strings.Compare(a.Path+a.Method, b.Path+b.Method) })
	return all
}

// bodies are bodies that the routes take, so that nothing but the token is at
// fault.
var bodies = map[string]string{
	"POST /api/v1/alarms":     `{"name":"a","match":"{channel=\"CH1\"}","operator":">","threshold":1}`,
	"PUT /api/v1/alarms/{id}": `{"enabled":false}`,
	"POST /api/v1/samples":    `{"channels":[{"labels":{"instrument":"logger","channel":"CH1"},"times":[1700000000000],"values":[1]}]}`,
	"POST /api/v1/files":      "\"Time\",\"CH1[V]\"\n0.0,1.5\n1.0,2.5\n",
	"POST /api/v1/tokens":     `{"tenant":"lake"}`,
	"POST /api/v1/session":    `{"token":"hkn_x"}`,
	"POST /api/v1/write":      "\x00", // of no series, packed
	"POST /write":             "m,host=logger CH1=1\n",
	"POST /api/v2/write":      "m,host=logger CH1=1\n",
	"POST /v1/metrics":        `{"resourceMetrics":[]}`,

	"PUT /api/v1/tenants/{tenant}": `{"quota":{"bytes":1}}`,
	"PUT /api/v1/retention":        `{"rules":[{"scope":"tenant","raw":"100y"}]}`,
}

// writes are the routes that write samples: what another tenant sends is its own.
var writes = []string{
	"POST /api/v1/samples", "POST /api/v1/files", "POST /api/v1/write", "POST /write", "POST /api/v2/write", "POST /v1/metrics",
}

// foreign are the routes whose errors have a form of their own.
var foreign = []string{"POST /write", "POST /api/v2/write", "POST /v1/metrics"}

// agents are the routes that take no cookies.
var agents = []string{"POST /api/v1/write", "POST /write", "POST /api/v2/write"}

// address fills a route with IDs that exist, and what it requires.
func (d documented) address(alarm, token string) string {
	id := alarm
	if strings.Contains(d.Path, "/tokens/") {
		id = token
	}
	path := strings.NewReplacer("{id}", id, "{tenant}", "lake").Replace(d.Path)
	switch {
	case strings.HasSuffix(path, "/export"):
		path += "?format=csv"
	case strings.HasSuffix(path, "/files"):
		path += "?instrument=logger&zone=UTC&start=" + url.QueryEscape("2023-11-14 00:00:00")
	case strings.HasSuffix(path, "/live"):
		path += "?match=" + url.QueryEscape(`{instrument=~"l.+r"}`)
	case d.Method == "DELETE" && (strings.HasSuffix(path, "/samples") || strings.HasSuffix(path, "/channels")):
		path += "?match=" + url.QueryEscape("{}")
	}
	return path
}

// forAdmins reports whether a route is an administrator's alone.
func (d documented) forAdmins() bool {
	for _, path := range []string{"/api/v1/tokens", "/api/v1/snapshot", "/api/v1/tenants", "/api/v1/outbox"} {
		if strings.HasPrefix(d.Path, path) {
			return true
		}
	}
	return false
}

// about reports whether an administrator may say whose data a route is about.
func (d documented) about() bool {
	return strings.HasPrefix(d.Path, "/api/v1/usage") || strings.HasPrefix(d.Path, "/api/v1/retention") ||
		d.Method == "DELETE" && (d.Path == "/api/v1/samples" || d.Path == "/api/v1/channels")
}

// TestIsolation takes every documented route with no token, tokens that were
// never made or are revoked, tokens without the scope, and another tenant's.
func TestIsolation(t *testing.T) {
	f := start(t)
	f.fill()
	alarm := f.alarm()
	revoked, revokedToken, err := f.server.tokens.Create(t.Context(), auth.Token{Tenant: "lake"})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.server.tokens.Revoke(t.Context(), revokedToken.ID); err != nil {
		t.Fatal(err)
	}
	victim := f.server.tokens.List()[0].ID
	routes := f.routes()
	if len(routes) < 18 {
		t.Fatalf("the document has %d routes: %v", len(routes), routes)
	}
	var before string
	snapshot := func() string {
		all := ""
		for _, path := range []string{"/api/v1/channels", "/api/v1/alarms", "/api/v1/latest", "/api/v1/retention", "/api/v1/retention/effective"} {
			_, text := f.ask("GET", path, f.reader, "")
			all += text
		}
		for _, path := range []string{"/api/v1/tokens", "/api/v1/tenants/lake", "/api/v1/outbox"} {
			_, text := f.ask("GET", path, f.admin, "")
			all += text
		}
		return all
	}
	before = snapshot()
	for _, r := range routes {
		name := r.Method + " " + r.Path
		path, body := r.address(alarm, victim), bodies[name]
		want := func(who, token string, status int, headers ...string) {
			t.Helper()
			answer, text := f.ask(r.Method, path, token, body, headers...)
			if answer.StatusCode != status {
				t.Errorf("%s with %s: %d, want %d: %.200s", name, who, answer.StatusCode, status, text)
			}
			if !slices.Contains(foreign, name) {
				checkProblem(t, name+" with "+who, answer, text)
			}
		}
		for who, token := range map[string]string{"none": "", "a revoked token": revoked, "an unknown token": "hkn_unknown"} {
			want(who, token, http.StatusUnauthorized)
		}
		if r.open {
			if name != "POST /api/v1/session" {
				t.Errorf("%s takes no token", name)
			}
			continue
		}
		want("no scheme", "", http.StatusUnauthorized, "Authorization", f.both)
		want("a basic password", "", http.StatusUnauthorized, "Authorization", "Basic "+f.both)
		want("a revoked cookie", "", http.StatusUnauthorized, "Cookie", sessionCookie+"="+revoked)
		switch {
		case r.forAdmins():
			for who, token := range map[string]string{"a reader": f.reader, "a writer": f.writer, "a tenant": f.both, "another": f.other} {
				want(who, token, http.StatusForbidden)
			}
		case strings.HasPrefix(r.Path, "/api/v1/session"):
		case r.about():
			if r.Method == "GET" {
				want("a writer", f.writer, http.StatusForbidden)
			} else {
				want("a reader", f.reader, http.StatusForbidden)
				want("a page elsewhere", "", http.StatusForbidden, "Cookie", sessionCookie+"="+f.both, "Sec-Fetch-Site", "cross-site")
			}
			want("an administrator who names nobody", f.admin, http.StatusBadRequest)
			named := func(who, token, tenant string, status int) {
				t.Helper()
				and := "?"
				if strings.Contains(path, "?") {
					and = "&"
				}
				if answer, text := f.ask(r.Method, path+and+"tenant="+url.QueryEscape(tenant), token, body); answer.StatusCode != status {
					t.Errorf("%s with %s of tenant %s: %d, want %d: %.200s", name, who, tenant, answer.StatusCode, status, text)
				}
			}
			named("an administrator", f.admin, "nobody", http.StatusNotFound)
			named("an administrator", f.admin, "../x", http.StatusBadRequest)
			named("another tenant", f.other, "lake", http.StatusNotFound)
			named("a token without the scope", map[bool]string{true: f.writer, false: f.reader}[r.Method == "GET"], "other", http.StatusForbidden)
		case r.Method == "GET":
			want("a writer", f.writer, http.StatusForbidden)
			want("an administrator", f.admin, http.StatusForbidden)
		default:
			want("a reader", f.reader, http.StatusForbidden)
			want("an administrator", f.admin, http.StatusForbidden)
			if slices.Contains(agents, name) {
				want("a page", "", http.StatusUnauthorized, "Cookie", sessionCookie+"="+f.both)
				continue
			}
			want("a page elsewhere", "", http.StatusForbidden, "Cookie", sessionCookie+"="+f.both, "Sec-Fetch-Site", "cross-site")
		}
	}
	if after := snapshot(); after != before {
		t.Errorf("refused requests changed\n%s\nto\n%s", before, after)
	}
	f.another(routes, alarm, victim)
	if after := snapshot(); after != before {
		t.Errorf("another tenant changed\n%s\nto\n%s", before, after)
	}
}

// another takes every route with the token of another tenant: what is not its
// own is not there.
func (f *fixture) another(routes []documented, alarm, victim string) {
	f.Helper()
	for _, r := range routes {
		name := r.Method + " " + r.Path
		if r.open || r.Path == "/api/v1/session" || r.forAdmins() || slices.Contains(writes, name) {
			continue // no data, an administrator's, or the other's own
		}
		answer, text := f.ask(r.Method, r.address(alarm, victim), f.other, bodies[name])
		for _, secret := range []string{"logger", "CH1", "hot"} {
			if strings.Contains(text, secret) && !strings.Contains(bodies[name], secret) {
				f.Errorf("%s shows another tenant %q: %s", name, secret, text)
			}
		}
		want := http.StatusNotFound
		switch r.Path {
		case "/api/v1/events", "/api/v1/usage", "/api/v1/usage/days":
			want = http.StatusOK // an empty list
		case "/api/v1/channels":
			if r.Method == "GET" {
				want = http.StatusOK
			}
		case "/api/v1/retention":
			if want = http.StatusOK; r.Method == "DELETE" {
				want = http.StatusNoContent
			}
		case "/api/v1/alarms":
			if r.Method == "GET" {
				want = http.StatusOK
			}
		}
		if answer.StatusCode != want {
			f.Errorf("%s with another tenant's token: %d, want %d: %s", name, answer.StatusCode, want, text)
		}
	}
	// What it writes under the same labels is its own.
	for _, name := range writes {
		method, path, _ := strings.Cut(name, " ")
		path = documented{Method: method, Path: path}.address(alarm, victim)
		var headers []string
		if name == "POST /api/v1/write" {
			headers = []string{"Content-Type", "application/x-protobuf"}
		}
		if answer, text := f.ask(method, path, f.other, bodies[name], headers...); answer.StatusCode >= 300 {
			f.Errorf("another tenant's write: %s: %d %s", name, answer.StatusCode, text)
		}
	}
}

// alarm makes an alarm of the tenant "lake" and returns its ID.
func (f *fixture) alarm() string {
	f.Helper()
	answer, text := f.ask("POST", "/api/v1/alarms", f.both,
		`{"name":"hot","match":"{channel=\"CH1\"}","operator":">","threshold":30}`)
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(text), &made); err != nil || answer.StatusCode != http.StatusCreated {
		f.Fatalf("make an alarm: %d %s", answer.StatusCode, text)
	}
	return made.ID
}

// checkProblem holds an error to RFC 9457 and its code to its type.
func checkProblem(t *testing.T, what string, answer *http.Response, text string) {
	t.Helper()
	if answer.StatusCode < 400 {
		return
	}
	var p Problem
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Errorf("%s: %d is no problem: %s", what, answer.StatusCode, text)
		return
	}
	if answer.Header.Get("Content-Type") != "application/problem+json" || p.Type != "urn:hokan:"+p.Code || p.Code == "" ||
		p.Status != answer.StatusCode || p.Title != http.StatusText(p.Status) || p.Detail == "" {
		t.Errorf("%s: a problem of type %q: %+v", what, answer.Header.Get("Content-Type"), p)
	}
	if answer.StatusCode == http.StatusTooManyRequests && answer.Header.Get("Retry-After") == "" {
		t.Errorf("%s: 429 without Retry-After", what)
	}
	if answer.StatusCode == http.StatusUnauthorized && answer.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("%s: 401 without WWW-Authenticate", what)
	}
}
