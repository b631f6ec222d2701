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

func TestConnectionsOfFewFiles(t *testing.T) {
	for files, want := range map[uint64]int{1: 1, 256: 192, 20_000: 15_000, 1 << 20: 20_000, 1<<64 - 1: 20_000} {
		if got := connectionsOf(files); got != want {
			t.Errorf("%d files: %d connections, want %d", files, got, want)
		}
	}
}
