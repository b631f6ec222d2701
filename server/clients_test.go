package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// served is a server that listens, and what ends it.
type served struct {
	*fixture
	address string
	stop    context.CancelFunc
	ended   chan error
}

// serve lets a fixture's server listen on this machine.
func serve(t *testing.T, change ...func(*Options)) *served {
	t.Helper()
	f := start(t, change...)
	f.fill()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &served{fixture: f, address: l.Addr().String(), stop: stop, ended: make(chan error, 1)}
	go func() { s.ended <- f.server.Serve(ctx, l) }()
	t.Cleanup(stop)
	return s
}

// dial opens a connection and sends text.
func (s *served) dial(text string) net.Conn {
	s.Helper()
	c, err := net.Dial("tcp", s.address)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		s.Fatal(err)
	}
	return c
}

// works checks that the server answers others.
func (s *served) works() {
	s.Helper()
	r, err := http.NewRequest("GET", "http://"+s.address+"/api/v1/latest", nil)
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.reader)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	answer, err := client.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		s.Fatalf("others get %s", answer.Status)
	}
}

// answerOf reads an answer and whether the connection is closed behind it.
func (s *served) answerOf(c net.Conn) (status int, body string, closed bool) {
	s.Helper()
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		s.Fatal(err)
	}
	r := bufio.NewReader(c)
	answer, err := http.ReadResponse(r, nil)
	if err != nil {
		s.Fatalf("no answer: %v", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.Fatal(err)
	}
	_, err = r.ReadByte()
	return answer.StatusCode, string(text), err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

func (s *served) post(token string, length int, body string) string {
	return fmt.Sprintf("POST /api/v1/samples HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		token, length, body)
}

// TestSilentSender checks that connections whose headers never come are closed.
func TestSilentSender(t *testing.T) {
	s := serve(t, func(o *Options) { o.Limits.HeaderTime = 300 * time.Millisecond })
	for name, c := range map[string]net.Conn{"silent": s.dial(""), "half a header": s.dial("GET / HTTP/1.1\r\nHost: h\r\n")} {
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection stays open", name)
		}
	}
	s.idle()
}

// TestSlowSender checks that bodies that never come end, whoever sends them,
// and that nothing stays in progress.
func TestSlowSender(t *testing.T) {
	s := serve(t, func(o *Options) {
		// The page, which needs no body, is answered within RequestTime.
		o.Limits.RequestTime, o.Limits.OpenBodyTime = 2*time.Second, 300*time.Millisecond
	})
	with := func(path string) net.Conn {
		return s.dial("GET " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\nAuthorization: Bearer " + s.reader + "\r\n\r\n")
	}
	for what, c := range map[string]struct {
		net.Conn
		status int
		code   string
	}{
		"half a body":               {s.dial(s.post(s.writer, 1000, `{"channels":`)), http.StatusTooManyRequests, `"busy"`},
		"a stranger's half body":    {s.dial(s.post("hkn_none", 1000, `{"channels":`)), http.StatusUnauthorized, `"unauthorized"`},
		"GET with half a body":      {with("/api/v1/alarms"), http.StatusOK, `"alarms"`},
		"a stream with half a body": {with("/api/v1/live"), http.StatusBadRequest, `"malformed"`},
	} {
		if status, body, closed := s.answerOf(c); status != c.status || !strings.Contains(body, c.code) || !closed {
			t.Errorf("%s: %d %s, closed %v", what, status, body, closed)
		}
	}
	s.idle()
}

// silent opens connections that begin a session and send no token.
func (s *served) silent(n int) (all []net.Conn) {
	s.Helper()
	for range n {
		all = append(all, s.dial("POST /api/v1/session HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"))
	}
	return all
}

// TestSilentStrangers checks that many who begin a session and send no token
// keep nobody else out.
func TestSilentStrangers(t *testing.T) {
	s := serve(t, func(o *Options) {
		o.Limits.Requests, o.Limits.OpenRequests, o.Limits.OpenBodyTime = 2, 4, time.Hour
	})
	silent := s.silent(4)
	s.until(func(now usage) bool { return now.open == 4 })
	s.works()
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/login": 429} {
		if answer, text := s.ask("GET", path, "", ""); answer.StatusCode != want {
			t.Errorf("%s: %d %s", path, answer.StatusCode, text)
		}
	}
	for _, c := range silent {
		c.Close()
	}
	s.idle()
	if answer, text := s.ask("GET", "/login", "", ""); answer.StatusCode != http.StatusOK {
		t.Errorf("/login after all: %d %s", answer.StatusCode, text)
	}
}

// TestSilentStrangersEnd checks that who sends no token is given up soon.
func TestSilentStrangersEnd(t *testing.T) {
	s := serve(t, func(o *Options) { o.Limits.OpenBodyTime = 300 * time.Millisecond })
	for _, c := range s.silent(4) {
		if status, body, closed := s.answerOf(c); status != http.StatusTooManyRequests || !strings.Contains(body, "in time") || !closed {
			t.Errorf("who sends nothing: %d %s, closed %v", status, body, closed)
		}
	}
	s.idle()
}

// TestOutOfTime checks that a request which the server cannot answer in time is
// told so, by body or without, and that its connection goes on.
func TestOutOfTime(t *testing.T) {
	s := serve(t, func(o *Options) { o.Limits.RequestTime = 300 * time.Millisecond })
	wait := func(w http.ResponseWriter, r *http.Request) error {
		if r.Method == "POST" {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return err
			}
		}
		<-r.Context().Done()
		select {
		case <-w.(*answer).request.Context().Done():
			t.Errorf("%s: who waits is taken for gone", r.Method)
		case <-time.After(100 * time.Millisecond):
		}
		return fmt.Errorf("wait: %w", r.Context().Err())
	}
	for _, method := range []string{"GET", "POST"} {
		s.server.handle(operation{pattern: method + " /test/long", access: readTenant, body: 10}, wait)
	}
	head := " /test/long HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + s.reader + "\r\n"
	for _, request := range []string{"GET" + head + "\r\n", "POST" + head + "Content-Length: 2\r\n\r\nab"} {
		c := s.dial(request)
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		answers := bufio.NewReader(c)
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Errorf("%.4s is not answered: %v", request, err)
			continue
		}
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Error(err)
		}
		s.busy(request[:4], policy.RequestTime, answer, string(text))
		if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Error(err)
		}
		if answer, err = http.ReadResponse(answers, nil); err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("the next request of the connection: %v", err)
		}
	}
	s.idle()
}

// idle waits until nothing is in progress.
func (s *served) idle() {
	s.Helper()
	for end := time.Now().Add(time.Minute); s.server.admitted.now() != (usage{}) || len(s.server.admitted.tenantsNow()) > 0; {
		if time.Now().After(end) {
			s.Fatalf("in progress for ever: %+v %v", s.server.admitted.now(), s.server.admitted.tenantsNow())
		}
		<-time.After(time.Millisecond)
	}
}

func (a *admission) tenantsNow() map[model.Tenant]usage {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := map[model.Tenant]usage{}
	for t, u := range a.tenants {
		all[t] = *u
	}
	return all
}

// TestCutBody checks that of a body that ends too early nothing is kept.
func TestCutBody(t *testing.T) {
	s := serve(t)
	_, before := s.ask("GET", "/api/v1/channels", s.reader, "")
	body := bodies["POST /api/v1/samples"]
	for cut := range len(body) {
		c := s.dial(s.post(s.writer, len(body), body[:cut]))
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		// The client may be told; it must not be told that anything was kept.
		text, err := io.ReadAll(c)
		if err != nil || strings.Contains(string(text), " 200 ") {
			t.Fatalf("cut at %d: %v %s", cut, err, text)
		}
		c.Close()
	}
	if _, after := s.ask("GET", "/api/v1/channels", s.reader, ""); after != before {
		t.Errorf("a cut body was kept: %s", after)
	}
	s.works()
	s.idle()
}

// idleAddress tells a copy of the test program where to open connections.
const idleAddress = "HOKAN_TEST_IDLE"

// TestIdleConnections lets another process open many connections that send
// nothing, and checks that others are served.
func TestIdleConnections(t *testing.T) {
	n := 500
	if os.Getenv("HOKAN_LONG") != "" {
		n = 10_000
	}
	if address := os.Getenv(idleAddress); address != "" {
		openIdle(t, address, n)
		return
	}
	s := serve(t, func(o *Options) { o.Limits.Connections = n + 5 })
	child := exec.Command(os.Args[0], "-test.run=^TestIdleConnections$")
	child.Env = append(os.Environ(), idleAddress+"="+s.address)
	child.Stdout, child.Stderr = os.Stderr, os.Stderr
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stdin.Close()
		if err := child.Wait(); err != nil {
			t.Error(err)
		}
	}()
	for end := time.Now().Add(60 * time.Second); s.server.metrics.open() < n; {
		if time.Now().After(end) {
			t.Fatalf("%d connections of %d", s.server.metrics.open(), n)
		}
		<-time.After(10 * time.Millisecond)
	}
	begun := time.Now()
	for range 100 {
		s.works()
	}
	t.Logf("beside %d idle connections a request with its connection takes %v", n, time.Since(begun)/100)
}

// openIdle opens connections until stdin ends.
func openIdle(t *testing.T, address string, n int) {
	for range n {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		t.Error(err)
	}
}

// TestConnectionLimit checks that connections beyond the limit wait for a
// place, and get it.
func TestConnectionLimit(t *testing.T) {
	s := serve(t, func(o *Options) { o.Limits.Connections = 2 })
	first, second := s.dial(""), s.dial("")
	waiting := s.dial("GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if err := waiting.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := waiting.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a connection too many is served: %d %v", n, err)
	}
	first.Close()
	if status, _, _ := s.answerOf(waiting); status != http.StatusOK {
		t.Errorf("after a place became free: %d", status)
	}
	second.Close()
}

// borrowedListener gives connections that claim to come from elsewhere.
type borrowedListener struct {
	net.Listener
	from chan string
}

type borrowedConnection struct {
	net.Conn
	from net.Addr
}

// Accept implements net.Listener.
func (l borrowedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return borrowedConnection{c, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(<-l.from))}, nil
}

// RemoteAddr implements net.Conn.
func (c borrowedConnection) RemoteAddr() net.Addr { return c.from }

// TestAddressConnections checks that one address has at most its share of the
// connections, which it gets back.
func TestAddressConnections(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	from := make(chan string, 1)
	refused := make(chan struct{}, 1)
	l := limitConnections(borrowedListener{inner, from}, &Limits{Connections: 4, AddressConnections: 2}, func() { refused <- struct{}{} })
	defer l.Close()
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	dial := func(address string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		from <- address
		return c
	}
	dial("192.0.2.7:1")
	first := <-accepted
	dial("192.0.2.7:2")
	<-accepted
	third := dial("192.0.2.7:3")
	<-refused
	if _, err := third.Read(make([]byte, 1)); err == nil {
		t.Error("a connection too many of one address stays open")
	}
	dial("192.0.2.8:1")
	<-accepted // another address is not concerned
	first.Close()
	dial("192.0.2.7:4")
	<-accepted
}

// TestHalfClosed checks that the server can end what it sends while the client
// still sends.
func TestHalfClosed(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := limitConnections(inner, &Limits{Connections: 1}, func() {})
	defer l.Close()
	client, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	half, ok := c.(interface{ CloseWrite() error })
	if !ok {
		t.Fatal("a connection cannot be closed by halves")
	}
	if err := half.CloseWrite(); err != nil {
		t.Error(err)
	}
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the client reads %v", err)
	}
	if _, err := client.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Errorf("the server reads %v", err)
	}
}

// TestNeverReads checks that a client that asks for much and reads nothing is
// given up, and that others are served meanwhile.
func TestNeverReads(t *testing.T) {
	s := serve(t, func(o *Options) { o.Limits.WriteTime = 500 * time.Millisecond })
	batch := &model.Batch{Tenant: "lake"}
	labels, err := model.NewLabels(model.Label{Name: "instrument", Value: "logger"}, model.Label{Name: "channel", Value: "long"})
	if err != nil {
		t.Fatal(err)
	}
	c := model.Column{Labels: labels}
	for i := range 1_000_000 { // some 10 MB of zip: more than sockets hold
		c.Times = append(c.Times, int64(i)*1_000_003)
		c.Values = append(c.Values, float64(i)*1.000_000_7)
	}
	batch.Columns = append(batch.Columns, c)
	if _, err := s.db.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/v1/export?format=csv", "/api/v1/table?limit=10000", "/api/v1/live"} {
		for range 3 {
			s.dial("GET " + path + " HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + s.reader + "\r\n\r\n")
		}
	}
	s.works()
	// Streams of which nobody reads are dropped once their buffers are full.
	for i := 0; s.server.admitted.now() != (usage{}); i++ {
		if i > 5000 {
			t.Fatalf("in progress for ever: %+v", s.server.admitted.now())
		}
		batch.Columns = batch.Columns[:1]
		batch.Columns[0].Times, batch.Columns[0].Values = c.Times[:20_000], c.Values[:20_000]
		if s.server.admitted.now().streams == 0 {
			<-time.After(5 * time.Millisecond)
			continue
		}
		if _, err := s.db.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	s.works()
}

// TestPanic checks that a handler that panics is answered, logged and counted,
// and that the rest is served.
func TestPanic(t *testing.T) {
	var log bytes.Buffer
	var mu sync.Mutex
	s := serve(t, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&locked{w: &log, mu: &mu}, nil)) })
	s.server.handle(operation{pattern: "GET /test/early"}, func(http.ResponseWriter, *http.Request) error { panic("a secret reason") })
	s.server.handle(operation{pattern: "GET /test/held"}, func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		panic("before the body")
	})
	s.server.handle(operation{pattern: "GET /test/late"}, func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "text/plain")
		_, err := w.Write([]byte("half"))
		if err == nil {
			err = http.NewResponseController(w).Flush()
		}
		if err != nil {
			return err
		}
		panic(errors.New("too late"))
	})
	for _, path := range []string{"/test/early", "/test/held"} {
		answer, text := s.ask("GET", path, "", "")
		checkProblem(t, path, answer, text)
		if answer.StatusCode != http.StatusInternalServerError || !strings.Contains(text, `"internal"`) || strings.Contains(text, "secret") {
			t.Errorf("%s: %d %s", path, answer.StatusCode, text)
		}
	}
	answer, err := http.Get("http://" + s.address + "/test/late")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err == nil {
		t.Errorf("a half answer looks whole: %q", text)
	}
	s.works()
	mu.Lock()
	defer mu.Unlock()
	for _, wanted := range []string{"a secret reason", "before the body", "too late", "TestPanic"} {
		if !strings.Contains(log.String(), wanted) {
			t.Errorf("the log lacks %q:\n%s", wanted, log.String())
		}
	}
}

// locked is a writer that several goroutines may use.
type locked struct {
	w  io.Writer
	mu *sync.Mutex
}

// Write implements io.Writer.
func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// TestShutdown checks that a server that is told to stop answers what it has
// accepted, ends streams, accepts nothing more, and returns.
func TestShutdown(t *testing.T) {
	s := serve(t, func(o *Options) { o.Limits.ShutdownTime, o.Limits.StallTime = time.Minute, time.Minute })
	entered, release := make(chan struct{}), make(chan struct{})
	s.server.handle(operation{pattern: "GET /test/slow"}, func(w http.ResponseWriter, _ *http.Request) error {
		close(entered)
		<-release
		return sendJSON(w, http.StatusOK, "answered")
	})
	body := bodies["POST /api/v1/samples"]
	half := s.dial(s.post(s.writer, len(body), body[:10]))
	stream := s.dial("GET /api/v1/live HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + s.reader + "\r\n\r\n")
	if _, err := stream.Read(make([]byte, 10)); err != nil { // it runs
		t.Fatal(err)
	}
	slow := s.dial("GET /test/slow HTTP/1.1\r\nHost: h\r\n\r\n")
	<-entered
	s.stop()
	if _, err := io.Copy(io.Discard, stream); err != nil { // ends by itself
		t.Errorf("the stream: %v", err)
	}
	for { // the listener closes
		c, err := net.Dial("tcp", s.address)
		if err != nil {
			break
		}
		c.Close()
	}
	select {
	case err := <-s.ended:
		t.Fatalf("ended with a request in progress: %v", err)
	default:
	}
	if answer, text := s.ask("GET", "/readyz", "", ""); answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("readyz while stopping: %d %s", answer.StatusCode, text)
	}
	if _, err := io.WriteString(half, body[10:]); err != nil {
		t.Fatal(err)
	}
	if status, text, _ := s.answerOf(half); status != http.StatusOK {
		t.Errorf("the write in progress: %d %s", status, text)
	}
	close(release)
	if status, text, _ := s.answerOf(slow); status != http.StatusOK || !strings.Contains(text, "answered") {
		t.Errorf("the request in progress: %d %s", status, text)
	}
	select {
	case err := <-s.ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("Serve does not return")
	}
}
