//go:build unix

package main

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestConnectionsLeaveFiles checks that clients cannot open so many connections
// that the database can open no files.
func TestConnectionsLeaveFiles(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh to set a limit with")
	}
	data := filepath.Join(t.TempDir(), "d")
	newToken(t, data, "--tenant", "t")
	admin := newToken(t, data, "--admin")
	command := exec.Command(shell, "-c", `ulimit -n 200 && exec "$0" "$@"`, os.Args[0], "serve", "--data", data, "--listen", "127.0.0.1:0")
	command.Env = append(os.Environ(), actAsProgram+"=1")
	p := startCommand(t, command).launched(t)
	address := strings.TrimSuffix(p.first, "/")
	client := &http.Client{Timeout: time.Minute}
	ask := func(method, path, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequest(method, address+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+admin)
		r.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
	open := func() string {
		_, text := ask("GET", "/metrics", "")
		_, after, _ := strings.Cut(text, "\nhokan_http_connections ")
		n, _, _ := strings.Cut(after, "\n")
		return n
	}
	open() // over a connection that stays
	for range 300 {
		c, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for deadline := time.Now().Add(30 * time.Second); open() != "150"; {
		if time.Now().After(deadline) {
			t.Fatalf("%s connections are open of 301, want 150", open())
		}
	}
	if code, text := ask("POST", "/api/v1/snapshot", `{"out":"`+filepath.Join(t.TempDir(), "copy")+`"}`); code/100 != 2 {
		t.Errorf("a copy: %d %s", code, text)
	}
	p.stop(t, syscall.SIGTERM)
}

// TestConnectionsPerAddress checks that one address has as many connections as
// the flag says.
func TestConnectionsPerAddress(t *testing.T) {
	address := ownAddress(t)
	p := launch(t, nil, "serve", "--data", filepath.Join(t.TempDir(), "d"), "--listen", net.JoinHostPort(address, "0"), "--allow-plaintext",
		"--connections-per-address", "2")
	to := strings.TrimSuffix(strings.TrimPrefix(p.first, "http://"), "/")
	ask := func() error {
		c, err := net.Dial("tcp", to)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n") // a connection that is closed may not take it
		_, err = c.Read(make([]byte, 1))
		return err
	}
	for n := range 2 {
		if err := ask(); err != nil {
			t.Fatalf("connection %d: %v", n+1, err)
		}
	}
	if err := ask(); err == nil {
		t.Error("a third connection is answered")
	}
	p.stop(t, syscall.SIGTERM)
}

// ownAddress is an address of this machine that is not loopback, which has no
// share.
func ownAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if network, ok := a.(*net.IPNet); ok && network.IP.To4() != nil && network.IP.IsGlobalUnicast() {
			return network.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback")
	return ""
}

func TestConnectionsOfFewFiles(t *testing.T) {
	for files, want := range map[uint64]int{1: 1, 256: 192, 20_000: 15_000, 1 << 20: 20_000, 1<<64 - 1: 20_000} {
		if got := connectionsOf(files); got != want {
			t.Errorf("%d files: %d connections, want %d", files, got, want)
		}
	}
}
