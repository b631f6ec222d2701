package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/server/auth"
)

// process is the program running beside the test.
type process struct {
	command *exec.Cmd
	first   string // line of stdout
	stdout  *bufio.Reader
	stderr  *lockedBuffer
}

// lockedBuffer is what a process writes, readable at any time.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// launch starts the program and waits for its first line.
func launch(t testing.TB, environment []string, args ...string) *process {
	t.Helper()
	return start(t, environment, args...).launched(t)
}

// launched waits for the first line.
func (p *process) launched(t testing.TB) *process {
	t.Helper()
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		p.command.Wait()
		t.Fatalf("hokan %q ended before its first line: %s", p.command.Args[1:], p.stderr)
	}
	p.first = strings.TrimSuffix(line, "\n")
	return p
}

// start starts the program.
func start(t testing.TB, environment []string, args ...string) *process {
	t.Helper()
	command := exec.Command(os.Args[0], args...)
	command.Env = append(append(os.Environ(), actAsProgram+"=1"), environment...)
	return startCommand(t, command)
}

// startCommand starts a command whose output is read.
func startCommand(t testing.TB, command *exec.Cmd) *process {
	t.Helper()
	p := &process{command: command, stderr: &lockedBuffer{}}
	p.command.Stderr = p.stderr
	out, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.command.Process.Kill() })
	p.stdout = bufio.NewReader(out)
	return p
}

// serve starts a server on a folder; address is what it prints.
func serveFolder(t testing.TB, data string, args ...string) (p *process, address string) {
	t.Helper()
	p = launch(t, nil, append([]string{"serve", "--data", data, "--listen", "127.0.0.1:0"}, args...)...)
	return p, strings.TrimSuffix(p.first, "/")
}

// stop sends a signal and checks that the program ends well.
func (p *process) stop(t testing.TB, signal os.Signal) {
	t.Helper()
	if err := p.command.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, p.stdout)
	if err := p.command.Wait(); err != nil {
		t.Fatalf("%v after %v: %s", err, signal, p.stderr)
	}
}

// newToken makes a token in a folder that no one serves.
func newToken(t testing.TB, data string, args ...string) string {
	t.Helper()
	return lastLine(expect(t, 0, append([]string{"token", "create", "--data", data}, args...)...).stdout)
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// TestAServerAnswersAsItsFolder asks everything twice: the server, and then
// its folder.
func TestAServerAnswersAsItsFolder(t *testing.T) {
	data := filepath.Join(t.TempDir(), "d")
	token := newToken(t, data, "--tenant", "t")
	p, address := serveFolder(t, data)
	remote, local := []string{"--server", address, "--token", token}, []string{"--data", data, "--tenant", "t"}

	name := loggerFile(t, "1,2,0", "OVER,4,0", "3,junk,1")
	r := expectCode(t, 3, "not_a_number", with(remote, "import", "--instrument", "lake", "--group", "g", "--zone", "UTC", name, "-o", "json")...)
	if b := importBody(t, r); b.Accepted != 8 || b.Rejected != 1 || b.Files[0].Channels != 3 {
		t.Errorf("import: %+v", b)
	}
	expect(t, 0, with(remote, "alarm", "create", "--name", "low", "--operator", "outside", "--low", "0", "--high", "9", `{channel="2-1"}`)...)
	var made struct{ ID string }
	body(t, &made, with(remote, "alarm", "create", "--operator", ">", "--threshold", "-0.5", `{channel="2-1"}`)...)
	expect(t, 0, with(remote, "import", "--instrument", "lake", "--start", "2023-01-01 00:00:00+00:00", loggerFile(t, "1,2,0", "-1,4,0"))...)
	expect(t, 0, with(remote, "alarm", "disable", made.ID)...)
	expect(t, 0, with(remote, "alarm", "enable", made.ID)...)
	expect(t, 0, with(remote, "alarm", "disable", made.ID)...)

	questions := [][]string{
		{"channels"}, {"channels", `{unit="V"}`, "-o", "json"}, {"latest", "-o", "json", "--unit", "us"}, {"latest"},
		{"view", "--buckets", "4", "-o", "json"}, {"view", "--from", "2022-06-06T00:00:00Z", "--to", "2022-06-07T00:00:00Z", "{}"},
		{"table", "-o", "json"}, {"table", "--limit", "2", "-o", "csv"}, {"alarm", "list", "-o", "json"}, {"alarm", "list"},
		{"events", "-o", "json"}, {"events", "--alarm", made.ID}, {"export", "--out", "-", "--zone", "Asia/Tokyo"},
		{"latest", `{channel="x"}`}, {"view", "--buckets", "20000"}, {"table", "--after", "x"}, {"channels", "{"},
		{"alarm", "delete", "99999"}, {"events", "--alarm", "none"},
	}
	answers := make([]result, len(questions))
	for i, q := range questions {
		answers[i] = hokan(with(remote, q...)...)
	}
	out := filepath.Join(t.TempDir(), "x.zip")
	answers = append(answers, hokan(with(remote, "export", "--out", out)...))
	p.stop(t, syscall.SIGTERM)
	for i, q := range append(questions, []string{"export", "--out", out}) {
		want := hokan(with(local, q...)...)
		if q[0] == "export" && q[2] == "-" { // an archive says when it was made
			answers[i].stdout, want.stdout = unzip(t, []byte(answers[i].stdout)), unzip(t, []byte(want.stdout))
		}
		if answers[i] != want {
			t.Errorf("%q: the server's answer is\n%+v\nthe folder's\n%+v", q, answers[i], want)
		}
	}
	if answers[8].code != 0 || !strings.Contains(answers[8].stdout, `"enabled":false`) || strings.Count(answers[10].stdout, `"kind"`) == 0 {
		t.Errorf("alarms: %s%s", answers[8].stdout, answers[10].stdout)
	}
	expect(t, 0, with(local, "alarm", "delete", made.ID)...)
}

func TestSecondServerIsLockedOut(t *testing.T) {
	data := filepath.Join(t.TempDir(), "d")
	p, address := serveFolder(t, data)
	expectCode(t, 1, "locked", "serve", "--data", data, "--listen", "127.0.0.1:0")
	expectCode(t, 1, "locked", "serve", "--data", data, "--listen", strings.TrimPrefix(address, "http://"))
	for _, command := range []string{"verify", "repair", "compact", "inspect"} {
		r := expectCode(t, 1, "locked", command, "--data", data)
		if !strings.Contains(r.stderr, "stop it first, or use a snapshot of it") || strings.Contains(r.stderr, "--token") {
			t.Errorf("%s: %s", command, r.stderr)
		}
	}
	expectCode(t, 1, "locked", "demo", "--data", data, "--listen", "127.0.0.1:0")
	r := expectCode(t, 1, "locked", "token", "create", "--data", data, "--tenant", "t")
	if want := "hokan: locked: " + data + " is in use by another process: if a server has it, use --server and --token, or stop it\n"; r.stderr != want {
		t.Errorf("locked: %q, want %q", r.stderr, want)
	}
	p.stop(t, os.Interrupt)
	newToken(t, data, "--tenant", "t")
}

func TestTokens(t *testing.T) {
	data := filepath.Join(t.TempDir(), "d")
	expectCode(t, 1, "not_found", "token", "list", "--data", data)
	admin := newToken(t, data, "--admin", "--name", "boss")
	reader := newToken(t, data, "--tenant", "t", "--scope", "read")
	if !strings.HasPrefix(admin, "hkn_") || admin == reader {
		t.Errorf("tokens %q and %q", admin, reader)
	}
	if r := expectCode(t, 2, "malformed", "token", "create", "--data", data); !strings.Contains(r.stderr, "--tenant is missing") {
		t.Errorf("no tenant: %s", r.stderr)
	}
	expectCode(t, 2, "malformed", "token", "create", "--data", data, "--tenant", "a/b")
	expectCode(t, 2, "usage", "token", "create", "--data", data, "--tenant", "t", "--scope", "all")
	expectCode(t, 2, "invalid", "token", "create", "--data", data, "--admin", "--tenant", "t")
	expectCode(t, 2, "invalid", "token", "create", "--data", data, "--admin", "--samples-per-second", "1")
	expectCode(t, 1, "not_found", "token", "revoke", "--data", data, "none")

	p, address := serveFolder(t, data)
	defer p.stop(t, syscall.SIGTERM)
	asAdmin := []string{"--server", address, "--token", admin}
	writer := lastLine(expect(t, 0, with(asAdmin, "token", "create", "--tenant", "u", "--scope", "write", "--name", "gateway")...).stdout)
	var all struct {
		Tokens []struct{ ID, Tenant, Name, Scope, Token string }
	}
	body(t, &all, with(asAdmin, "token", "list")...)
	if len(all.Tokens) != 3 || all.Tokens[2].Name != "gateway" || all.Tokens[2].Tenant != "u" || all.Tokens[2].Scope != "write" || all.Tokens[2].Token != "" {
		t.Errorf("tokens: %+v", all)
	}
	name := loggerFile(t, "1,2,0")
	write := func(token string) []string {
		return []string{"import", "--server", address, "--token", token, "--instrument", "i", "--zone", "UTC", name}
	}
	expect(t, 0, write(writer)...)
	expectCode(t, 1, "forbidden", write(reader)...)
	expectCode(t, 1, "forbidden", "channels", "--server", address, "--token", writer)
	expectCode(t, 1, "forbidden", "token", "list", "--server", address, "--token", reader)
	expect(t, 0, "channels", "--server", address, "--token", reader)
	if r := expect(t, 0, with(asAdmin, "token", "revoke", all.Tokens[2].ID)...); !strings.Contains(r.stderr, all.Tokens[2].ID+" is revoked") {
		t.Errorf("revoke says %q", r.stderr)
	}
	expectCode(t, 1, "unauthorized", write(writer)...)
	expectCode(t, 1, "unauthorized", "latest", "--server", address, "--token", "hkn_x")
	expectCode(t, 1, "not_found", with(asAdmin, "token", "revoke", all.Tokens[2].ID)...)
}

// TestTokenRates: the rate that a token is made with, in a folder or by a server,
// is listed, and holds when the folder is served.
func TestTokenRates(t *testing.T) {
	data := filepath.Join(t.TempDir(), "d")
	admin := newToken(t, data, "--admin")
	slow := newToken(t, data, "--tenant", "t", "--samples-per-second", "1")
	p, address := serveFolder(t, data)
	defer p.stop(t, syscall.SIGTERM)
	asAdmin := []string{"--server", address, "--token", admin}
	other := lastLine(expect(t, 0, with(asAdmin, "token", "create", "--tenant", "t", "--samples-per-second", "2000")...).stdout)
	if r := expect(t, 0, with(asAdmin, "token", "list", "-o", "csv")...); !strings.HasPrefix(r.stdout, "id,tenant,name,scope,samples per second,created\n") ||
		!strings.Contains(r.stdout, ",admin,,") || !strings.Contains(r.stdout, ",both,1,") || !strings.Contains(r.stdout, ",both,2000,") {
		t.Errorf("tokens:\n%s", r.stdout)
	}
	write := func(token string) (status int, text string) {
		t.Helper()
		var lines strings.Builder // ten minutes' worth of the slow one
		for at := time.Now(); at.After(time.Now().Add(-10 * time.Minute)); at = at.Add(-time.Second) {
			lines.WriteString("m a=1 " + strconv.FormatInt(at.UnixNano(), 10) + "\n")
		}
		r, err := http.NewRequest("POST", address+"/api/v2/write", strings.NewReader(lines.String()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		told, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(told)
	}
	for n, c := range []struct {
		token string
		want  int
	}{{slow, 204}, {slow, 429}, {other, 204}, {other, 204}} {
		if status, text := write(c.token); status != c.want {
			t.Errorf("request %d: %d %s, want %d", n, status, text, c.want)
		}
	}
}

func TestServerByEnvironment(t *testing.T) {
	flags, data := lake(t)
	token := newToken(t, data, "--tenant", "t")
	p, address := serveFolder(t, data)
	t.Setenv("HOKAN_SERVER", address)
	t.Setenv("HOKAN_TOKEN", token)
	if r := expect(t, 0, "channels", "-o", "csv"); strings.Count(r.stdout, "\n") != 4 {
		t.Errorf("channels:\n%s", r.stdout)
	}
	expectCode(t, 2, "usage", "channels", "--tenant", "t")
	p.stop(t, syscall.SIGTERM)
	expect(t, 0, with(flags, "channels")...) // what is said goes before it
	expectCode(t, 1, "unavailable", "channels")
}

func TestServerFlagsThatDoNotGoTogether(t *testing.T) {
	flags, data := lake(t)
	f := func(code string, args ...string) {
		t.Helper()
		expectCode(t, 2, code, args...)
	}
	f("usage", with(flags, "channels", "--server", "http://127.0.0.1:1")...)
	f("usage", with(flags, "channels", "--token", "x")...)
	f("usage", "channels", "--server", "http://127.0.0.1:1", "--clock", "now")
	f("usage", "token", "list", "--server", "http://127.0.0.1:1", "--data", data)
	f("usage", "token", "list")
	f("usage", "live")
	f("malformed", "channels", "--server", "127.0.0.1:1")
	f("malformed", "live", "--server", "ftp://127.0.0.1:1")
	f("malformed", "serve", "--data", data, "--listen", "4180")
	f("malformed", "serve", "--data", data, "--listen", ":0")
	f("malformed", "serve", "--data", data, "--listen", "0.0.0.0:0")
	f("malformed", "demo", "--data", data, "--listen", "0.0.0.0:0")
	f("malformed", "demo", "--data", data, "--days", "0")
	f("malformed", "serve", "--data", data, "--connections-per-address", "0")
	f("malformed", "serve", "--data", data, "--tls-cert", "x.pem")
	if r := expectCode(t, 2, "invalid", "serve", "--data", data, "--tls-cert", "x.pem", "--tls-key", "y.pem"); !strings.Contains(r.stderr, "--tls-cert x.pem: no such file") {
		t.Errorf("no certificate: %s", r.stderr)
	}
	certificate, _ := selfSigned(t)
	if r := expectCode(t, 2, "invalid", "serve", "--data", data, "--tls-cert", certificate, "--tls-key", "y.pem"); !strings.Contains(r.stderr, "--tls-key y.pem: no such file") {
		t.Errorf("no key: %s", r.stderr)
	}
	expectCode(t, 1, "unavailable", "channels", "--server", "http://127.0.0.1:1", "--token", "x")
	t.Setenv("HOKAN_TOKEN", "from the environment")
	t.Setenv("HOKAN_SERVER", "http://127.0.0.1:1")
	f("usage", "channels", "--token", "")
	f("usage", "token", "list", "--server=")
	f("usage", "token", "list", "--ca=")
	f("usage", "live", "--server", "http://127.0.0.1:1", "--token=")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	none := filepath.Join(t.TempDir(), "none")
	for _, command := range []string{"serve", "demo"} {
		for _, folder := range []string{data, none} {
			r := expectCode(t, 1, "unavailable", command, "--data", folder, "--listen", taken.Addr().String())
			if !strings.Contains(r.stderr, "--listen "+taken.Addr().String()+": the port is in use") {
				t.Errorf("a port in use: %s", r.stderr)
			}
		}
	}
	if _, err := os.Stat(none); !os.IsNotExist(err) {
		t.Errorf("a folder was made: %v", err)
	}
}

// TestStopBesideSlowClients checks that a server ends well and soon though
// clients have sent half of something, or read nothing.
func TestStopBesideSlowClients(t *testing.T) {
	data := filepath.Join(t.TempDir(), "d")
	token := newToken(t, data, "--tenant", "t")
	p, address := serveFolder(t, data)
	for _, text := range []string{
		"", "GET / HTTP/1.1\r\n",
		"POST /api/v1/samples HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + token +
			"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"GET /api/v1/live HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer " + token + "\r\n\r\n",
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
	}
	waitForStream(t, address)
	begun := time.Now()
	p.stop(t, syscall.SIGTERM)
	if taken := time.Since(begun); taken > 20*time.Second {
		t.Errorf("it took %v", taken)
	}
	expect(t, 0, "verify", "--data", data)
}

func TestPlaintextByFlag(t *testing.T) {
	p := launch(t, nil, "serve", "--data", filepath.Join(t.TempDir(), "d"), "--listen", "0.0.0.0:0", "--allow-plaintext")
	if !strings.HasPrefix(p.first, "http://127.0.0.1:") {
		t.Errorf("the first line is %q", p.first)
	}
	p.stop(t, syscall.SIGTERM)
}

func TestServeWithTLS(t *testing.T) {
	certificate, key := selfSigned(t)
	data := filepath.Join(t.TempDir(), "d")
	token := newToken(t, data, "--tenant", "t")
	p, address := serveFolder(t, data, "--tls-cert", certificate, "--tls-key", key)
	if !strings.HasPrefix(address, "https://127.0.0.1:") {
		t.Errorf("the first line is %q", p.first)
	}
	expectCode(t, 1, "untrusted", "channels", "--server", address, "--token", token) // by anybody
	expectCode(t, 2, "invalid", "channels", "--server", strings.Replace(address, "https", "http", 1), "--token", token)
	if r := expect(t, 0, "channels", "--server", address, "--token", token, "--ca", certificate, "-o", "json"); r.stdout != `{"unit":"ms","channels":[]}`+"\n" {
		t.Errorf("channels with --ca: %q", r.stdout)
	}
	for _, bad := range []string{key, certificate + ".none"} {
		if r := expectCode(t, 2, "invalid", "channels", "--server", address, "--token", token, "--ca", bad); !strings.Contains(r.stderr, "--ca "+bad) {
			t.Errorf("--ca %s: %s", bad, r.stderr)
		}
	}
	expectCode(t, 2, "usage", "channels", "--data", data, "--tenant", "t", "--ca", certificate)
	asking := launch(t, []string{"SSL_CERT_FILE=" + certificate}, "channels", "--server", address, "--token", token, "-o", "json")
	if asking.first != `{"unit":"ms","channels":[]}` {
		t.Errorf("channels over TLS: %q", asking.first)
	}
	asking.command.Wait()
	t.Setenv("HOKAN_CA", certificate)
	expect(t, 0, "channels", "--server", address, "--token", token)
	p.stop(t, syscall.SIGTERM)
}

// selfSigned writes a certificate for 127.0.0.1 and its key.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	certificate, key = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	for name, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "EC PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// TestLive imports while live samples are shown.
func TestLive(t *testing.T) {
	_, data := lake(t)
	token := newToken(t, data, "--tenant", "t")
	p, address := serveFolder(t, data)
	remote := []string{"--server", address, "--token", token}
	expectCode(t, 1, "no_channel", with(remote, "live", `{channel="none"}`)...)
	expect(t, 0, with(remote, "alarm", "create", "--name", "warm", "--operator", ">", "--threshold", "5", `{channel="2-1"}`)...)

	live := start(t, nil, with(remote, "live", "-o", "json", `{channel="2-1"}`)...)
	waitForStream(t, address)
	expect(t, 0, with(remote, "import", "--instrument", "lake", "--start", "2024-01-01 00:00:00Z", loggerFile(t, "7.5,1,0"))...)
	kinds := map[string]string{}
	for len(kinds) < 2 {
		line, err := live.stdout.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ended: %v", err)
		}
		var event struct {
			Event string
			Data  json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		kinds[event.Event] = string(event.Data)
	}
	if !strings.Contains(kinds["samples"], `"values":[7.5]`) || !strings.Contains(kinds["alarm"], `"kind":"start"`) {
		t.Errorf("events: %v", kinds)
	}
	live.stop(t, os.Interrupt)

	// As text; and a stream goes on when the server starts again, until its token
	// is revoked.
	live = start(t, nil, with(remote, "live")...)
	waitForStream(t, address)
	expect(t, 0, with(remote, "import", "--instrument", "lake", "--start", "2024-01-01 00:01:00Z", loggerFile(t, "-1,1,0"))...)
	text := ""
	for !strings.Contains(text, "alarm end  warm\n") || !strings.Contains(text, "lake/2-1  -1\n") {
		line, err := live.stdout.ReadString('\n')
		if err != nil {
			t.Fatalf("the stream ended after %q: %v", text, err)
		}
		text += line
	}
	p.stop(t, syscall.SIGTERM)
	admin := newToken(t, data, "--admin")
	p, again := serveFolder(t, data, "--listen", strings.TrimPrefix(address, "http://"))
	defer p.stop(t, syscall.SIGTERM)
	if again != address {
		t.Fatalf("the server is now at %s, not %s", again, address)
	}
	waitForStream(t, address)
	expect(t, 0, with(remote, "import", "--instrument", "lake", "--start", "2024-01-01 00:02:00Z", loggerFile(t, "-2,1,0"))...)
	for line := ""; !strings.Contains(line, "lake/2-1  -2\n"); {
		var err error
		if line, err = live.stdout.ReadString('\n'); err != nil {
			t.Fatalf("the stream did not go on: %v, %s", err, live.stderr)
		}
	}
	var tokens struct{ Tokens []struct{ ID, Tenant string } }
	body(t, &tokens, "token", "list", "--server", address, "--token", admin)
	for _, k := range tokens.Tokens {
		if k.Tenant == "t" {
			expect(t, 0, "token", "revoke", "--server", address, "--token", admin, k.ID)
		}
	}
	io.Copy(io.Discard, live.stdout)
	err := live.command.Wait()
	for _, want := range []string{"hokan: interrupted: ", "; connecting again\n", "hokan: connected again; ", "hokan: unauthorized: the token is unknown or was revoked\n"} {
		if err == nil || !strings.Contains(live.stderr.String(), want) {
			t.Errorf("a stream of a revoked token: %v, want %q in %s", err, want, live.stderr)
		}
	}
}

// waitForStream waits until the server streams.
func waitForStream(t *testing.T, address string) {
	t.Helper()
	for {
		response, err := http.Get(address + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nhokan_live_streams 1\n") {
			return
		}
	}
}

// TestDemo starts the demo twice on one folder, the second time two hours
// later by its clock.
func TestDemo(t *testing.T) {
	data := filepath.Join(t.TempDir(), "d")
	begin := func(clock string) (p *process, address, token string) {
		p = launch(t, nil, "demo", "--data", data, "--listen", "127.0.0.1:0", "--days", "2", "--clock", clock)
		address, token, found := strings.Cut(p.first, "/#token=")
		if !found || !strings.HasPrefix(address, "http://127.0.0.1:") || !strings.HasPrefix(token, "hkn_") {
			t.Fatalf("the first line is %q", p.first)
		}
		for !strings.Contains(p.stderr.String(), "Ctrl-C ends it") {
			if time.Sleep(10 * time.Millisecond); p.command.Process.Signal(syscall.Signal(0)) != nil {
				t.Fatalf("the demo ended: %s", p.stderr)
			}
		}
		return p, address, token
	}
	count := func(address, token string) (samples int) {
		var channels struct {
			Channels []struct {
				Samples    int
				Properties struct{ Group, App string }
			}
		}
		body(t, &channels, "channels", "--server", address, "--token", token)
		groups := map[string]bool{}
		for _, c := range channels.Channels {
			samples += c.Samples
			groups[c.Properties.Group] = true
		}
		if len(channels.Channels) != 57 || !groups["Shanghai"] || !groups["Beijing"] {
			t.Errorf("%d channels in %v", len(channels.Channels), groups)
		}
		return samples
	}
	p, address, first := begin("2026-11-21T10:00:00Z")
	before := count(address, first)
	if before < 54*2*24*60 {
		t.Errorf("%d samples in two days", before)
	}
	p.stop(t, os.Interrupt)
	p, address, second := begin("2026-11-21T12:00:00Z")
	if after := count(address, second); after-before < 54*118 || after-before > 60*140 {
		t.Errorf("%d samples were added in two hours", after-before)
	}
	count(address, first) // a page that stayed open goes on
	var events struct{ Events []struct{ Name string } }
	body(t, &events, "events", "--server", address, "--token", second)
	if len(events.Events) == 0 {
		t.Error("no alarm went off in two days")
	}
	p.stop(t, syscall.SIGTERM)
	// At the same time again there is no past to write.
	p, address, third := begin("2026-11-21T12:00:00Z")
	count(address, third)
	p.stop(t, syscall.SIGTERM)
	if text := p.stderr.String(); !strings.Contains(text, "the past is there already") || strings.Contains(text, "%") {
		t.Errorf("a third start says %s", text)
	}
	expect(t, 0, "verify", "--data", data)
	// The plant's own token, and the page's of three starts.
	if r := expect(t, 0, "token", "list", "--data", data, "-o", "csv"); strings.Count(r.stdout, "\n") != 1+1+3 {
		t.Errorf("tokens:\n%s", r.stdout)
	}
}

// TestDemoTokens starts a demo very often: its old tokens go.
func TestDemoTokens(t *testing.T) {
	db, err := engine.Open(engine.Options{FS: engine.DefaultFS(), Dir: t.TempDir(), Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tokens, err := auth.Open(db, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.CreateTenant(t.Context(), demoTenant); err != nil {
		t.Fatal(err)
	}
	var page string
	for range 2 * demoPageTokens {
		if page, _, err = demoTokens(t.Context(), tokens); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(tokens.List()); n != demoPageTokens+1 {
		t.Errorf("%d tokens after many starts", n)
	}
	if _, err := tokens.Lookup(page); err != nil {
		t.Errorf("the newest link does not work: %v", err)
	}
}
