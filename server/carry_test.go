package server

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/server/auth"
)

// TestHeaders checks what every answer has, whoever made it.
func TestHeaders(t *testing.T) {
	f := start(t)
	for _, path := range []string{
		"/", "/monitor", "/login", "/none", "/static/none", "/api/v1/none", "/api/v1/channels", "/api/v1/docs", "/api/v1/openapi.json",
		"/healthz", "/readyz", "/metrics", "/api/v1/query",
	} {
		for _, method := range []string{"GET", "POST", "OPTIONS", "HEAD"} {
			answer, text := f.ask(method, path, "", "")
			h := answer.Header
			for name, wanted := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Content-Security-Policy": "frame-ancestors 'none'",
			} {
				if !strings.Contains(h.Get(name), wanted) {
					t.Errorf("%s %s: %s is %q", method, path, name, h.Get(name))
				}
			}
			if strings.Contains(h.Get("Content-Security-Policy"), "unsafe") || h.Get("Strict-Transport-Security") != "" ||
				h.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s %s: %v", method, path, h)
			}
			if method != "HEAD" {
				checkProblem(t, method+" "+path, answer, text)
			}
			if answer.StatusCode == http.StatusMethodNotAllowed && h.Get("Allow") == "" {
				t.Errorf("%s %s: 405 without Allow", method, path)
			}
		}
	}
	for path, want := range map[string]int{
		"/": 200, "/monitor": 200, "/viewer": 200, "/alarms": 200, "/login": 200, "/none": 404, "/api/v1/none": 404, "/write": 405,
		"/query": 401, "/ping": 204, "/health": 200, "/api/v2/write": 405, "/v1/metrics": 405, "/v1/traces": 404, "/healthz": 200, "/readyz": 200,
	} {
		if answer, text := f.ask("GET", path, "", ""); answer.StatusCode != want {
			t.Errorf("GET %s: %d, want %d: %.100s", path, answer.StatusCode, want, text)
		}
	}
	if answer, _ := f.ask("POST", "/api/v1/channels", f.both, "{}"); answer.StatusCode != 405 || answer.Header.Get("Allow") != "DELETE, GET, HEAD" {
		t.Errorf("POST where GET is: %d %v", answer.StatusCode, answer.Header)
	}
}

// TestSession goes a page's way: a token for a cookie, requests with the
// cookie, the end.
func TestSession(t *testing.T) {
	f := start(t)
	f.fill()
	answer, text := f.ask("POST", "/api/v1/session", "", `{"token":"`+f.both+`"}`, "Sec-Fetch-Site", "same-origin")
	if answer.StatusCode != http.StatusNoContent || len(answer.Cookies()) != 1 {
		t.Fatalf("begin: %d %s", answer.StatusCode, text)
	}
	c := answer.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure || c.Path != "/" || c.Name != sessionCookie {
		t.Errorf("the cookie: %+v", c)
	}
	cookie := c.Name + "=" + c.Value
	if answer, text = f.ask("GET", "/api/v1/latest", "", "", "Cookie", cookie); answer.StatusCode != http.StatusOK {
		t.Errorf("with the cookie: %d %s", answer.StatusCode, text)
	}
	alarm := bodies["POST /api/v1/alarms"]
	for origin, want := range map[string]int{"http://evil.example": 403, f.web.URL: 201} {
		if answer, text = f.ask("POST", "/api/v1/alarms", "", alarm, "Cookie", cookie, "Origin", origin); answer.StatusCode != want {
			t.Errorf("from %s: %d, want %d: %s", origin, answer.StatusCode, want, text)
		}
	}
	answer, _ = f.ask("DELETE", "/api/v1/session", "", "", "Cookie", cookie, "Sec-Fetch-Site", "same-origin")
	if answer.StatusCode != http.StatusNoContent || len(answer.Cookies()) != 1 || answer.Cookies()[0].MaxAge >= 0 {
		t.Errorf("end: %d %v", answer.StatusCode, answer.Cookies())
	}
	// A cookie whose token was revoked is taken away.
	for _, made := range f.server.tokens.List() {
		if err := f.server.tokens.Revoke(t.Context(), made.ID); err != nil {
			t.Fatal(err)
		}
	}
	answer, _ = f.ask("GET", "/api/v1/latest", "", "", "Cookie", cookie)
	if answer.StatusCode != http.StatusUnauthorized || len(answer.Cookies()) != 1 || answer.Cookies()[0].MaxAge >= 0 {
		t.Errorf("with a revoked token: %d %v", answer.StatusCode, answer.Cookies())
	}
}

// TestPacking checks that large answers are compressed as the client reads
// them, and small ones and archives are not.
func TestPacking(t *testing.T) {
	f := start(t)
	f.fill()
	const path = "/api/v1/view?buckets=1000&from=2023-11-14T22:13:20Z&to=2023-11-14T22:30:00Z"
	_, plain := f.ask("GET", path, f.both, "", "Accept-Encoding", "identity")
	read := map[string]func(string) (io.Reader, error){
		"":     func(s string) (io.Reader, error) { return strings.NewReader(s), nil },
		"gzip": func(s string) (io.Reader, error) { return gzip.NewReader(strings.NewReader(s)) },
		"zstd": func(s string) (io.Reader, error) { return zstd.NewReader(strings.NewReader(s)) },
	}
	for accepted, want := range map[string]string{
		"identity": "", "br": "", "gzip": "gzip", "gzip, deflate, br, zstd": "zstd", "zstd;q=0, gzip;q=0.5": "gzip", "gzip;q=0.0": "",
	} {
		answer, packed := f.ask("GET", path, f.both, "", "Accept-Encoding", accepted)
		if got := answer.Header.Get("Content-Encoding"); got != want || answer.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: packed as %q, want %q; %v", accepted, got, want, answer.Header)
			continue
		}
		r, err := read[want](packed)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(r); err != nil || string(text) != plain {
			t.Errorf("%q: %v, %d bytes, want %d", accepted, err, len(text), len(plain))
		}
	}
	for _, path := range []string{"/healthz", "/api/v1/export?format=csv", "/api/v1/none"} {
		if answer, _ := f.ask("GET", path, f.both, "", "Accept-Encoding", "gzip"); answer.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s is packed", path)
		}
	}
}

// counted counts what is written to it, without a lock.
type counted int

// Write implements io.Writer.
func (c *counted) Write(b []byte) (int, error) {
	*c += counted(len(b))
	return len(b), nil
}

// TestPackersWriteThemselves checks that no packer writes from a goroutine of
// its own, which would race with the account of what was sent.
func TestPackersWriteThemselves(t *testing.T) {
	var text []byte
	for noise := uint32(1); len(text) < 2<<20; noise = noise*1664525 + 1013904223 {
		text = strconv.AppendUint(text, uint64(noise), 10)
	}
	for coding, pools := range packers {
		for _, pool := range pools {
			var sent counted
			w := pool.Get().(resetter)
			w.Reset(&sent)
			if _, err := w.Write(text); err != nil || sent == 0 {
				t.Errorf("%s: %d bytes sent, %v", coding, sent, err)
			}
			if err := w.Close(); err != nil {
				t.Errorf("%s: %v", coding, err)
			}
		}
	}
}

// TestMetrics checks who sees the metrics, and that they count.
func TestMetrics(t *testing.T) {
	f := start(t)
	f.ask("POST", "/api/v1/samples", f.writer,
		`{"channels":[{"labels":{"instrument":"i","channel":"c"},"times":[1700000000000,1],"values":[1,"x"]}]}`)
	_, text := f.ask("GET", "/metrics", "", "")
	for _, wanted := range []string{
		"hokan_samples_accepted_total 1", `hokan_samples_rejected_total{reason="not_a_number"} 1`, "hokan_head_rows 1", "hokan_tenants 2",
		`hokan_http_requests_total{code="200",method="POST",route="POST /api/v1/samples"} 1`, "hokan_quarantined_total{kind=\"entry\"} 0",
	} {
		if !strings.Contains(text, wanted+"\n") {
			t.Errorf("lacks %s", wanted)
		}
	}
	for token, want := range map[string]int{"": 401, f.both: 403, f.admin: 200} {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.RemoteAddr = "192.0.2.7:1234"
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		f.server.Handler().ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("from elsewhere: %d, want %d", w.Code, want)
		}
	}
}

// TestMetricsBehindProxy checks that what a proxy on this machine passes on is
// not taken for a local request.
func TestMetricsBehindProxy(t *testing.T) {
	f := start(t)
	for _, c := range []struct {
		remote, host, header string
		want                 int
	}{
		{"127.0.0.1:9", "127.0.0.1:4180", "", 200}, {"[::1]:9", "localhost:4180", "", 200}, {"[::1]:9", "[::1]", "", 200},
		{"127.0.0.1:9", "hokan.example", "", 401}, {"127.0.0.1:9", "localhost.example:80", "", 401}, {"192.0.2.7:9", "localhost", "", 401},
		{"127.0.0.1:9", "localhost", "X-Forwarded-For", 401}, {"127.0.0.1:9", "localhost", "X-Forwarded-Proto", 401},
		{"127.0.0.1:9", "localhost", "Forwarded", 401}, {"127.0.0.1:9", "localhost", "Via", 401},
		{"127.0.0.1:9", "localhost", "X-Real-IP", 401},
	} {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.RemoteAddr, r.Host = c.remote, c.host
		if c.header != "" {
			r.Header.Set(c.header, "")
		}
		w := httptest.NewRecorder()
		if f.server.Handler().ServeHTTP(w, r); w.Code != c.want {
			t.Errorf("from %s for %s with %q: %d, want %d", c.remote, c.host, c.header, w.Code, c.want)
		}
		r.Header.Set("Authorization", "Bearer "+f.admin)
		w = httptest.NewRecorder()
		if f.server.Handler().ServeHTTP(w, r); w.Code != 200 {
			t.Errorf("an administrator from %s for %s: %d", c.remote, c.host, w.Code)
		}
	}
}

// TestRevocationThatIsNotStored checks that an administrator is told when a
// revocation holds only until the next start.
func TestRevocationThatIsNotStored(t *testing.T) {
	for cause, code := range map[error]string{engine.ErrClosed: "internal", engine.ErrFull: "disk_full"} {
		p := tokenProblem(fmt.Errorf("%w: %w", auth.ErrNotDurable, cause))
		if p.Code != code || !strings.Contains(p.Detail, "void until the server starts again") {
			t.Errorf("%v: %+v", cause, p)
		}
	}
}

// TestOwnRevocationThatIsNotStored checks that an administrator is told so of
// the token that the revocation is asked with too, and that the log has why.
func TestOwnRevocationThatIsNotStored(t *testing.T) {
	var log bytes.Buffer
	f := start(t, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	id := f.tokenID(f.admin)
	if err := f.db.Close(); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("DELETE", "/api/v1/tokens/"+id, nil)
	r.Header.Set("Authorization", "Bearer "+f.admin)
	w := httptest.NewRecorder()
	f.server.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "void until the server starts again") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), auth.ErrNotDurable.Error()) {
		t.Errorf("the log does not say why: %s", log.String())
	}
}

// TestLog checks that requests are logged, without what is secret.
func TestLog(t *testing.T) {
	var log bytes.Buffer
	var mu sync.Mutex
	f := start(t, func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(&locked{w: &log, mu: &mu}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	f.ask("GET", "/api/v1/channels", f.both, "")
	f.ask("POST", "/api/v1/session", "", `{"token":"`+f.both+`"}`)
	f.ask("GET", "/api/v1/channels", "", "", "Cookie", sessionCookie+"="+f.both)
	f.ask("POST", "/api/v1/tokens", f.admin, `{"tenant":"new"}`)
	f.ask("GET", "/api/v1/channels?match=x", f.both, "")
	f.web.Close() // the requests are accounted for
	mu.Lock()
	defer mu.Unlock()
	for _, wanted := range []string{"path=/api/v1/channels", "status=200", "tenant=lake", "status=400", "bad_selector"} {
		if !strings.Contains(log.String(), wanted) {
			t.Errorf("the log lacks %s:\n%s", wanted, log.String())
		}
	}
	if strings.Contains(log.String(), "hkn_") {
		t.Errorf("the log holds a secret:\n%s", log.String())
	}
}

// TestTLS checks what is different behind TLS, and that nothing older than 1.2
// is spoken.
func TestTLS(t *testing.T) {
	borrowed := httptest.NewTLSServer(nil) // for its certificate
	defer borrowed.Close()
	pair := borrowed.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certificateFile, keyFile := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for name, block := range map[string]*pem.Block{
		certificateFile: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := LoadTLS(keyFile, certificateFile); err == nil {
		t.Error("a key was taken for a certificate")
	}
	config, err := LoadTLS(certificateFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, func(o *Options) { o.TLS = config })
	roots := x509.NewCertPool()
	roots.AddCert(borrowed.Certificate())
	client := func(newest uint16) *http.Client {
		return &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: newest}, ForceAttemptHTTP2: true,
		}}
	}
	if answer, err := client(tls.VersionTLS11).Get("https://" + s.address + "/healthz"); err == nil {
		answer.Body.Close()
		t.Error("TLS 1.1 is spoken")
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		answer, err := client(version).Post("https://"+s.address+"/api/v1/session", "application/json", strings.NewReader(`{"token":"`+s.both+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusNoContent || answer.ProtoMajor != 2 || answer.TLS.Version != version ||
			answer.Header.Get("Strict-Transport-Security") == "" || !answer.Cookies()[0].Secure {
			t.Errorf("%s %s %v", answer.Proto, answer.Status, answer.Header)
		}
	}
}
