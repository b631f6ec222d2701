package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/server/auth"
)

// get is a request that a connection sends.
func get(path, token string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + token + "\r\n\r\n"
}

// flood adds a route that writes until it is called off, and tells that it has
// begun.
func (s *served) flood(o operation) (begun chan struct{}) {
	o.access = readTenant
	begun = make(chan struct{}, 1)
	s.server.handle(o, func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.WriteHeader(http.StatusOK)
		begun <- struct{}{}
		for piece := make([]byte, 256<<10); r.Context().Err() == nil; {
			if _, err := w.Write(piece); err != nil {
				return err
			}
		}
		return r.Context().Err()
	})
	return begun
}

// waiter adds a route that waits until it is called off, and then answers as
// end says.
func (s *served) waiter(pattern string, end func(http.ResponseWriter, error) error) (entered chan struct{}) {
	entered = make(chan struct{}, 1)
	s.server.handle(operation{pattern: pattern, access: readTenant}, func(w http.ResponseWriter, r *http.Request) error {
		entered <- struct{}{}
		<-r.Context().Done()
		return end(w, r.Context().Err())
	})
	return entered
}

// until waits until what is in progress is as it should be.
func (s *served) until(is func(usage) bool) {
	s.Helper()
	for end := time.Now().Add(time.Minute); !is(s.server.admitted.now()); {
		if time.Now().After(end) {
			s.Fatalf("in progress: %+v", s.server.admitted.now())
		}
		<-time.After(time.Millisecond)
	}
}

// tokenID returns the ID of a secret.
func (f *fixture) tokenID(secret string) string {
	f.Helper()
	found, err := f.server.tokens.Lookup(secret)
	if err != nil {
		f.Fatal(err)
	}
	return found.ID
}

// drained reads c to its end and returns what the end was.
func (s *served) drained(c net.Conn) error {
	s.Helper()
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		s.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// TestRevocationEndsWhatRuns checks that nothing goes on with a token that an
// administrator revokes, and that others are not concerned.
func TestRevocationEndsWhatRuns(t *testing.T) {
	s := serve(t, func(o *Options) { o.lastWords = time.Minute })
	flooding := s.flood(operation{pattern: "GET /test/flood", export: true})
	failing := s.waiter("GET /test/failing", func(_ http.ResponseWriter, err error) error { return err })
	answering := s.waiter("GET /test/answering", func(w http.ResponseWriter, _ error) error {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		return jsonFormat.Marshal(w, "what was asked for")
	})
	stream := s.dial(get("/api/v1/live", s.reader))
	cookie := s.dial("GET /api/v1/live HTTP/1.1\r\nHost: h\r\nCookie: " + sessionCookie + "=" + s.reader + "\r\n\r\n")
	other := s.dial(get("/api/v1/live", s.both))
	for _, c := range []net.Conn{stream, cookie, other} {
		if _, err := c.Read(make([]byte, 1)); err != nil { // it runs
			t.Fatal(err)
		}
	}
	export := s.dial(get("/test/flood", s.reader))
	failed, answered := s.dial(get("/test/failing", s.reader)), s.dial(get("/test/answering", s.reader))
	<-failing
	<-answering
	<-flooding
	s.until(func(now usage) bool { return now.requests == 3 })
	if answer, text := s.ask("DELETE", "/api/v1/tokens/"+s.tokenID(s.reader), s.admin, ""); answer.StatusCode != http.StatusNoContent {
		t.Fatalf("revoke: %d %s", answer.StatusCode, text)
	}
	for _, c := range []net.Conn{stream, cookie} {
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		// The stream ends as a whole one does, though its connection may go on.
		tail := make([]byte, 0, 1<<16)
		for !strings.HasSuffix(string(tail), "0\r\n\r\n") {
			n, err := c.Read(tail[len(tail):cap(tail)])
			if tail = tail[:len(tail)+n]; err != nil {
				t.Fatalf("a revoked token's stream: %v", err)
			}
		}
	}
	for _, c := range []net.Conn{failed, answered} {
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Error(err)
		}
		if checkProblem(t, "a revoked token's request", answer, string(text)); answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("a revoked token's request: %d %s", answer.StatusCode, text)
		}
	}
	if err := s.drained(export); err == nil {
		t.Error("half an export looks whole")
	}
	s.until(func(now usage) bool { return now == usage{streams: 1} }) // the other's
	// Who revokes the token that is asked with is answered.
	if answer, _ := s.ask("DELETE", "/api/v1/tokens/"+s.tokenID(s.admin), s.admin, ""); answer.StatusCode != http.StatusNoContent {
		t.Errorf("an administrator's own token: %d", answer.StatusCode)
	}
}

// TestRevocationBesideWhoReadsNothing checks that what a revoked token's owner
// does not take is not kept for him.
func TestRevocationBesideWhoReadsNothing(t *testing.T) {
	s := serve(t, func(o *Options) { o.Limits.WriteTime, o.lastWords = time.Hour, 300*time.Millisecond })
	flooding := s.flood(operation{pattern: "GET /test/flood", export: true})
	s.dial(get("/test/flood", s.reader))
	<-flooding
	if err := s.server.tokens.Revoke(t.Context(), s.tokenID(s.reader)); err != nil {
		t.Fatal(err)
	}
	s.idle()
}

// TestStopBesideSlowClients checks that no client can keep a server from
// stopping, and that this is no failure.
func TestStopBesideSlowClients(t *testing.T) {
	s := serve(t, func(o *Options) {
		o.Limits.StallTime, o.Limits.HeaderTime = time.Second, 2*time.Second
	})
	s.flood(operation{pattern: "GET /test/export", export: true})
	s.flood(operation{pattern: "GET /test/stream", stream: true})
	s.flood(operation{pattern: "GET /test/whole"})
	for _, path := range []string{"/test/export", "/test/stream", "/test/whole"} {
		s.dial(get(path, s.reader)) // reads nothing
	}
	half := s.dial(s.post(s.writer, 1000, `{"channels":`))
	s.dial("GET / HTTP/1.1\r\nHost: h\r\n")
	s.until(func(now usage) bool { return now.requests == 3 && now.streams == 1 })
	s.stop()
	if status, text, closed := s.answerOf(half); status != http.StatusTooManyRequests || !strings.Contains(text, `"busy"`) || !closed {
		t.Errorf("half a body: %d %s, closed %v", status, text, closed)
	}
	s.stopped()
}

// stopped checks that Serve returns well, before clients run out of their
// usual time.
func (s *served) stopped() {
	s.Helper()
	select {
	case err := <-s.ended:
		if err != nil {
			s.Error(err)
		}
	case <-time.After(time.Minute):
		s.Error("Serve does not return")
	}
}

// TestStopBesideLongRequests checks that a request that takes longer than a
// stopping server waits is told so.
func TestStopBesideLongRequests(t *testing.T) {
	s := serve(t, func(o *Options) { o.Limits.ShutdownTime, o.lastWords = 200*time.Millisecond, time.Minute })
	entered := s.waiter("GET /test/long", func(_ http.ResponseWriter, err error) error { return fmt.Errorf("long: %w", err) })
	long := s.dial(get("/test/long", s.reader))
	<-entered
	s.stop()
	if status, text, _ := s.answerOf(long); status != http.StatusTooManyRequests || !strings.Contains(text, "stopping") {
		t.Errorf("a long request: %d %s", status, text)
	}
	s.stopped()
}

// large adds a route whose answer waits in memory, larger than what sockets
// hold.
func (s *served) large(pattern string) {
	text := make([]byte, 32<<20+1)
	s.server.handle(operation{pattern: pattern, access: readTenant}, func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		return w.(*answer).give(nil, text)
	})
}

// TestAnswersInMemory checks that answers whose clients do not take them are
// charged to their tenant and to all, and keep no small answer out.
func TestAnswersInMemory(t *testing.T) {
	s := serve(t, func(o *Options) { o.Limits.TenantAnswerBytes, o.Limits.AnswerBytes = 40<<20, 70<<20 })
	s.large("GET /test/large")
	s.dial(get("/test/large", s.reader))
	s.until(func(now usage) bool { return now.answers > 32<<20 })
	refused, refusal := s.ask("GET", "/test/large", s.reader, "")
	s.busy("a tenant's answers", policy.TenantAnswerBytes, refused, refusal)
	s.dial(get("/test/large", s.other))
	s.until(func(now usage) bool { return now.answers > 64<<20 })
	third := s.token(auth.Token{Tenant: "third"})
	refused, refusal = s.ask("GET", "/test/large", third, "")
	s.busy("all answers", policy.AnswerBytes, refused, refusal)
	s.works()
}

// TestAnswerTooLarge checks that an answer larger than its tenant's share is
// refused for good, before it is made, and what is charged before is taken back.
func TestAnswerTooLarge(t *testing.T) {
	s := serve(t, func(o *Options) { o.Limits.TenantAnswerBytes = 100_000 })
	var columns []string
	for i := range 400 {
		columns = append(columns, fmt.Sprintf(`{"labels":{"instrument":"many","channel":"c%d"},"times":[1700000000000],"values":[1]}`, i))
	}
	s.ask("POST", "/api/v1/samples", s.writer, `{"channels":[`+strings.Join(columns, ",")+`]}`)
	for _, path := range []string{"/api/v1/latest", "/api/v1/channels"} {
		answer, text := s.ask("GET", path, s.reader, "")
		if checkProblem(t, path, answer, text); answer.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, "narrower") {
			t.Errorf("%s: %d %s", path, answer.StatusCode, text)
		}
		some := path + "?match=" + url.QueryEscape(`{instrument="many",channel=~"c[1-3].*"}`)
		if answer, text := s.ask("GET", some, s.reader, ""); answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %d %s", some, answer.StatusCode, text)
		}
	}
	if _, metrics := s.ask("GET", "/metrics", s.admin, ""); !strings.Contains(metrics, `{limit="`+policy.TenantAnswerBytes.Name+`"} 2`) {
		t.Error("the refusals are not counted")
	}
	s.idle()
}

// TestAnswerTime checks that an answer whose client does not take it is given
// up, which is counted.
func TestAnswerTime(t *testing.T) {
	s := serve(t, func(o *Options) { o.Limits.AnswerTime = 300 * time.Millisecond })
	s.large("GET /test/large")
	never := s.dial(get("/test/large", s.reader))
	wanted := fmt.Sprintf("%s{limit=%q} 1\n", metricRefused, policy.AnswerTime.Name)
	for end := time.Now().Add(time.Minute); ; {
		w := httptest.NewRecorder() // which takes everything at once
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Header.Set("Authorization", "Bearer "+s.admin)
		if s.server.Handler().ServeHTTP(w, r); strings.Contains(w.Body.String(), wanted) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("lacks %s", wanted)
		}
		<-time.After(10 * time.Millisecond)
	}
	s.idle() // others' reading has no part in it
	if err := s.drained(never); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("who does not take an answer: %v", err)
	}
}

// TestBuffersKept checks that a large answer's buffer is not kept for others.
func TestBuffersKept(t *testing.T) {
	for range 10 {
		if err := jsonFormat.Marshal(io.Discard, strings.Repeat("x", 2*keptBytes)); err != nil {
			t.Fatal(err)
		}
		if text := texts.Get().(*[]byte); cap(*text) > keptBytes {
			t.Fatalf("a buffer of %d bytes is kept", cap(*text))
		}
	}
}

// deadlines keeps the last one that was set.
type deadlines struct{ read, write time.Time }

// SetReadDeadline implements control.
func (d *deadlines) SetReadDeadline(t time.Time) error { d.read = t; return nil }

// SetWriteDeadline implements control.
func (d *deadlines) SetWriteDeadline(t time.Time) error { d.write = t; return nil }

// Flush implements control.
func (d *deadlines) Flush() error { return nil }

// TestPace checks how long a client may take for the next piece.
func TestPace(t *testing.T) {
	limits := &Limits{WriteTime: 30 * time.Second, AnswerTime: 100 * time.Second, SendRate: 1000, StallTime: 5 * time.Second}
	for i, c := range []struct {
		kind          kind
		since, waited time.Duration // the first piece, for the client
		sent          int64
		hurried       bool
		left          time.Duration
		limit         string
	}{
		{whole, 0, 0, 0, false, 30 * time.Second, policy.WriteTime.Name},
		{whole, 90 * time.Second, 90 * time.Second, 1 << 30, false, 10 * time.Second, policy.AnswerTime.Name},
		{whole, 90 * time.Second, 90 * time.Second, 1 << 30, true, 5 * time.Second, policy.AnswerTime.Name},
		{steady, 0, 0, 0, false, 30 * time.Second, policy.WriteTime.Name},
		{steady, time.Hour, 20 * time.Second, 0, false, 10 * time.Second, policy.SendRate.Name},
		{steady, time.Hour, 20 * time.Second, 15_000, false, 25 * time.Second, policy.SendRate.Name},
		{steady, time.Hour, time.Minute, 1_000_000, false, 30 * time.Second, policy.WriteTime.Name},
		{steady, time.Hour, time.Hour, 1_000_000, false, -2570 * time.Second, policy.SendRate.Name},
		{endless, time.Hour, time.Hour, 0, false, 30 * time.Second, policy.WriteTime.Name},
	} {
		set := &deadlines{}
		p := &pace{control: set, limits: limits, kind: c.kind, waited: c.waited, hurried: c.hurried}
		now := time.Now()
		p.begun = now.Add(-c.since)
		p.allow(now, c.sent)
		if left := set.write.Sub(now); left < c.left-time.Millisecond || left > c.left+time.Second || p.limit != c.limit {
			t.Errorf("case %d: %v by %s, want %v by %s", i, left, p.limit, c.left, c.limit)
		}
		p.leave()
		set.write = time.Time{}
		p.end(errStopping)
		if _ = p.SetWriteDeadline(now); !set.write.IsZero() {
			t.Errorf("case %d: a deadline is set on a connection that is given back", i)
		}
	}
}
