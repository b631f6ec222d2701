// Package hokan runs a server that tests of other programs write to, and kills it
// and starts it again while they write: what was acknowledged must be there, and
// nothing twice.
package hokan

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// program is the path of hokan, which Main builds.
var program string

// Main is the TestMain of a package that starts servers: it builds hokan, runs
// the tests and returns the code to exit with.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "hokan-peers")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/hokan-db/hokan").Output()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	program = filepath.Join(dir, "hokan")
	build := exec.Command("go", "build", "-o", program, "./tools/hokan")
	build.Dir = strings.TrimSpace(string(module))
	if text, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, text)
		return 1
	}
	return m.Run()
}

// Server is a server with a folder of its own, which can be killed and started
// again at the same address.
type Server struct {
	*testing.T
	Token string // of the tenant, which may read and write

	dir, address string
	running      *exec.Cmd
}

// Start starts a server that knows the tenant "t"; it ends with the test.
func Start(t *testing.T) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &Server{T: t, dir: t.TempDir(), address: l.Addr().String()}
	l.Close()
	made, err := exec.Command(program, "token", "create", "--data", h.dir, "--tenant", "t").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(made))
	h.Token = lines[len(lines)-1]
	h.start()
	t.Cleanup(h.Kill)
	return h
}

// URL returns where it is.
func (h *Server) URL() string { return "http://" + h.address }

// start starts the server and returns when it is ready.
func (h *Server) start() {
	h.Helper()
	h.running = exec.Command(program, "serve", "--data", h.dir, "--listen", h.address, "--log", "error")
	h.running.Stderr = os.Stderr
	if err := h.running.Start(); err != nil {
		h.Fatal(err)
	}
	ctx, done := context.WithTimeout(h.Context(), time.Minute)
	defer done()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		answer, err := http.Get(h.URL() + "/readyz")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			h.Fatal("the server does not become ready: ", err)
		}
	}
}

// Kill ends the server at once.
func (h *Server) Kill() {
	if h.running != nil {
		_ = h.running.Process.Kill() // it may have ended
		_ = h.running.Wait()
		h.running = nil
	}
}

// Restart kills the server and starts it again.
func (h *Server) Restart() {
	h.Helper()
	h.Kill()
	h.start()
}

// Column returns all samples of the only channel that a selector matches.
func (h *Server) Column(match string) (times []int64, values []float64) {
	h.Helper()
	after := ""
	for {
		q := url.Values{"match": {match}, "unit": {"ns"}, "limit": {"10000"}}
		if after != "" {
			q.Set("after", after)
		}
		var page struct {
			Times    []int64
			Rows     [][]*float64
			Next     *string
			Channels []any
		}
		h.get("/api/v1/table?"+q.Encode(), &page)
		if len(page.Channels) != 1 {
			h.Fatalf("%s matches %d channels", match, len(page.Channels))
		}
		times = append(times, page.Times...)
		for _, row := range page.Rows {
			values = append(values, *row[0])
		}
		if page.Next == nil {
			return times, values
		}
		after = *page.Next
	}
}

func (h *Server) get(path string, body any) {
	h.Helper()
	r, err := http.NewRequest(http.MethodGet, h.URL()+path, nil)
	if err != nil {
		h.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+h.Token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		h.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		h.Fatalf("%s: %d %s %v", path, answer.StatusCode, text, err)
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(body); err != nil {
		h.Fatal(err)
	}
}

// CheckCount checks that a channel holds 0, 1, 2… in this order, to n-1: nothing
// is missing and nothing is there twice.
func (h *Server) CheckCount(match string, n int) {
	h.Helper()
	_, values := h.Column(match)
	if len(values) != n {
		h.Errorf("%s has %d samples, want %d", match, len(values), n)
	}
	for i, v := range values {
		if int(v) != i {
			h.Fatalf("%s: sample %d is %v", match, i, v)
		}
	}
}

// IsLong reports whether tests may take minutes.
func IsLong() bool { return os.Getenv("HOKAN_LONG") == "1" }

// Count returns how many samples the channels have that a selector matches.
func (h *Server) Count(match string) (n int) {
	h.Helper()
	var body struct{ Channels []struct{ Samples int } }
	h.get("/api/v1/channels?"+url.Values{"match": {match}}.Encode(), &body)
	for _, c := range body.Channels {
		n += c.Samples
	}
	return n
}
