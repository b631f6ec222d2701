package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/server/auth"
)

// sampleBody is a request of one sample, and of one that is refused.
func sampleBody(value int) string {
	return fmt.Sprintf(`{"channels":[{"labels":{"instrument":"i","channel":"c"},"times":[1000,"x"],"values":[%d,0]}]}`, value)
}

// latest is the newest value of the tenant "lake".
func (f *fixture) latest() string {
	f.Helper()
	_, text := f.ask("GET", "/api/v1/latest", f.reader, "")
	return text
}

// repeats checks that an answer is that of the first request, again.
func repeats(t *testing.T, what string, first, again *http.Response, text, textAgain string) {
	t.Helper()
	if again.StatusCode != first.StatusCode || textAgain != text || again.Header.Get(replayHeader) != "true" || first.Header.Get(replayHeader) != "" ||
		again.Header.Get("Content-Type") != first.Header.Get("Content-Type") {
		t.Errorf("%s: first %d %v %s, then %d %v %s", what, first.StatusCode, first.Header, text, again.StatusCode, again.Header, textAgain)
	}
}

// TestRepeatedRequests sends requests again: they are answered as before and do
// nothing, for samples as for whatever else is posted.
func TestRepeatedRequests(t *testing.T) {
	f := start(t)
	f.fill()
	alarm := `{"name":"hot","match":"{channel=\"CH1\"}","operator":">","threshold":50}`
	for what, c := range map[string]struct {
		path, body string
		headers    []string
	}{
		"key":      {"/api/v1/samples", sampleBody(1), []string{keyHeader, "k-1"}},
		"producer": {"/api/v1/samples", sampleBody(1), []string{producerHeader, "gw", sequenceHeader, "7"}},
		"file":     {"/api/v1/files?instrument=pond&zone=UTC", loggerText, []string{keyHeader, "file"}},
		"alarm":    {"/api/v1/alarms", alarm, []string{keyHeader, `"quoted"`}},
	} {
		first, text := f.ask("POST", c.path, f.both, c.body, c.headers...)
		if first.StatusCode/100 != 2 {
			t.Fatalf("%s: %d %s", what, first.StatusCode, text)
		}
		if _, overwritten := f.ask("POST", "/api/v1/samples", f.both, sampleBody(2)); !strings.Contains(overwritten, `"accepted":1`) {
			t.Fatal(overwritten)
		}
		before := f.latest()
		again, textAgain := f.ask("POST", c.path, f.both, c.body, c.headers...)
		repeats(t, what, first, again, text, textAgain)
		if f.latest() != before {
			t.Errorf("%s: the repeat wrote %s", what, f.latest())
		}
		packed, _ := f.ask("POST", c.path, f.both, c.body, append(c.headers, "Accept-Encoding", "gzip")...)
		if packed.StatusCode != first.StatusCode || packed.Header.Get(replayHeader) != "true" {
			t.Errorf("%s, packed: %d", what, packed.StatusCode)
		}
		// Another body, another path, another token's tenant.
		if other, text := f.ask("POST", c.path, f.both, c.body+" ", c.headers...); other.StatusCode != 422 || !strings.Contains(text, `"code":"key_reused"`) {
			t.Errorf("%s, another body: %d %s", what, other.StatusCode, text)
		}
		if other, text := f.ask("POST", strings.Split(c.path, "?")[0]+"?unit=s", f.both, c.body, c.headers...); other.StatusCode == first.StatusCode {
			t.Errorf("%s, another query: %d %s", what, other.StatusCode, text)
		}
		if other, _ := f.ask("POST", c.path, f.other, c.body, c.headers...); other.Header.Get(replayHeader) != "" {
			t.Errorf("%s: another tenant gets the answer", what)
		}
	}
	if _, text := f.ask("GET", "/api/v1/alarms", f.reader, ""); strings.Count(text, `"hot"`) != 1 {
		t.Errorf("alarms: %s", text)
	}
}

// TestRefusalsAreNotKept: what was refused is judged again, and its name may be
// that of a better request.
func TestRefusalsAreNotKept(t *testing.T) {
	f := start(t)
	for _, body := range []string{`{`, strings.Replace(sampleBody(1), "1000", `"y"`, 1)} {
		for range 2 {
			if answer, text := f.ask("POST", "/api/v1/samples", f.both, body, keyHeader, "k"); answer.StatusCode/100 != 4 || answer.Header.Get(replayHeader) != "" {
				t.Errorf("%s: %d %s", body, answer.StatusCode, text)
			}
		}
	}
	for i, replay := range []string{"", "true"} {
		if answer, text := f.ask("POST", "/api/v1/samples", f.both, sampleBody(1), keyHeader, "k"); answer.StatusCode != 200 || answer.Header.Get(replayHeader) != replay {
			t.Errorf("%d: %d %s", i, answer.StatusCode, text)
		}
	}
}

// TestNamesOfRequests refuses headers that do not name a request, and names where
// there is no tenant.
func TestNamesOfRequests(t *testing.T) {
	f := start(t)
	for _, headers := range [][]string{
		{keyHeader, ""}, {keyHeader, strings.Repeat("k", 256)}, {keyHeader, "schlüssel"},
		{keyHeader, "k", producerHeader, "p", sequenceHeader, "1"},
		{producerHeader, "p"}, {sequenceHeader, "1"}, {producerHeader, "p", sequenceHeader, "0"},
		{producerHeader, "p", sequenceHeader, "-1"}, {producerHeader, "p", sequenceHeader, "9223372036854775808"},
	} {
		if answer, text := f.ask("POST", "/api/v1/samples", f.both, sampleBody(1), headers...); answer.StatusCode != 400 || !strings.Contains(text, `"code":"malformed"`) {
			t.Errorf("%v: %d %s", headers, answer.StatusCode, text)
		}
	}
	if answer, text := f.ask("POST", "/api/v1/tokens", f.admin, `{"tenant":"lake"}`, keyHeader, "k"); answer.StatusCode != 400 || strings.Contains(text, `"token"`) {
		t.Errorf("a token: %d %s", answer.StatusCode, text)
	}
	if answer, text := f.ask("GET", "/api/v1/channels", f.both, "", keyHeader, ""); answer.StatusCode != 200 {
		t.Errorf("a read: %d %s", answer.StatusCode, text)
	}
}

// TestRequestInProgress sends a request while the same is being answered.
func TestRequestInProgress(t *testing.T) {
	f := start(t)
	text := sampleBody(1)
	claim, _, err := f.db.ClaimRequest("lake", engine.RequestID{Key: "k"}) // as one does that is being answered
	if err != nil {
		t.Fatal(err)
	}
	second, problem := f.ask("POST", "/api/v1/samples", f.both, text, keyHeader, "k")
	if second.StatusCode != 409 || second.Header.Get("Retry-After") != "1" || !strings.Contains(problem, `"code":"in_progress"`) {
		t.Errorf("%d %v %s", second.StatusCode, second.Header, problem)
	}
	claim.Release()
	for _, replay := range []string{"", "true"} {
		if again, text := f.ask("POST", "/api/v1/samples", f.both, text, keyHeader, "k"); again.StatusCode != 200 || again.Header.Get(replayHeader) != replay {
			t.Errorf("%d %v, want replay %q: %s", again.StatusCode, again.Header, replay, text)
		}
	}
}

// TestIdempotencyLimits: the 4,097th key is refused by name, counted, and told
// when to come again; a sequence before its producer's window is refused.
func TestIdempotencyLimits(t *testing.T) {
	f := start(t)
	for i := range policy.IdempotencyKeys.Default {
		claim, _, err := f.db.ClaimRequest("lake", engine.RequestID{Key: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		if err := claim.Keep(engine.Fingerprint{}, 200, "", nil); err != nil {
			t.Fatal(err)
		}
		claim.Release()
	}
	answer, text := f.ask("POST", "/api/v1/samples", f.both, sampleBody(1), keyHeader, "4097")
	if answer.StatusCode != 429 || !strings.Contains(text, `"code":"idempotency_limit"`) || !strings.Contains(text, "idempotency_keys") ||
		len(answer.Header.Get("Retry-After")) != 5 || !strings.HasPrefix(answer.Header.Get("Retry-After"), "86") {
		t.Errorf("%d %v %s", answer.StatusCode, answer.Header, text)
	}
	if _, metrics := f.ask("GET", "/metrics", f.admin, ""); !strings.Contains(metrics, `hokan_http_refused_total{limit="idempotency_keys"} 1`) {
		t.Error("the refusal is not counted")
	}
	if answer, _ := f.ask("POST", "/api/v1/samples", f.both, sampleBody(1)); answer.StatusCode != 200 {
		t.Errorf("without a key: %d", answer.StatusCode)
	}
	for _, c := range []struct {
		sequence string
		status   int
		code     string
	}{{"100", 200, ""}, {"36", 422, "sequence_too_old"}, {"37", 200, ""}, {"101", 200, ""}, {"37", 422, "sequence_too_old"}, {"38", 200, ""}} {
		answer, text := f.ask("POST", "/api/v1/samples", f.both, sampleBody(1), producerHeader, "p", sequenceHeader, c.sequence)
		if answer.StatusCode != c.status || !strings.Contains(text, c.code) || answer.Header.Get(replayHeader) != "" {
			t.Errorf("sequence %s: %d %s", c.sequence, answer.StatusCode, text)
		}
	}
}

// TestRepeatAfterTheServerDied answers a request, loses the server with all that
// was not synced, and sends it again to the one that comes after it.
func TestRepeatAfterTheServerDied(t *testing.T) {
	fs := vfs.NewCrashableMem()
	serve := func(fs *vfs.MemFS) (*engine.DB, *httptest.Server, string) {
		db, err := engine.Open(engine.Options{FS: fs, Dir: "data", Clock: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(Options{DB: db})
		if err != nil {
			t.Fatal(err)
		}
		secret, _, err := s.tokens.Create(context.Background(), auth.Token{Tenant: "lake"})
		if err != nil {
			t.Fatal(err)
		}
		return db, httptest.NewServer(s.Handler()), secret
	}
	db, web, token := serve(fs)
	f := &fixture{T: t, db: db, web: web}
	first, text := f.ask("POST", "/api/v1/samples", token, sampleBody(1), keyHeader, "k")
	lost := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0, RNG: rand.New(rand.NewPCG(1, 1))})
	web.Close()
	db.Close()
	db, web, token = serve(lost)
	defer db.Close()
	defer web.Close()
	f = &fixture{T: t, db: db, web: web}
	again, textAgain := f.ask("POST", "/api/v1/samples", token, sampleBody(1), keyHeader, "k")
	repeats(t, "after the crash", first, again, text, textAgain)
	if first.StatusCode != 200 {
		t.Errorf("%d %s", first.StatusCode, text)
	}
}
