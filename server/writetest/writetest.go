// Package writetest measures what writes over HTTP cost, for the benchmarks of
// the packages that take them. The server is the test program again, on a core
// of its own, with a database on disk; the clients have the other core.
package writetest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/admit"
)

// Tenant is whose samples are written.
const Tenant = model.Tenant("lake")

// Samples is how many each body has.
const Samples = 1000

// distinct is how many bodies a client sends; then they come again, which are
// written like any others.
const distinct = 64

const (
	serveEnvironment = "HOKAN_BENCH_SERVE"
	serverCore       = "0"
	clientCore       = "1"
)

// Main is TestMain of a package that calls Run: it serves a folder instead of
// testing, if it is told to.
func Main(m *testing.M, handler func(*admit.Writer) http.HandlerFunc) {
	dir := os.Getenv(serveEnvironment)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := serve(dir, handler); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// serve serves writes over plain net/http until its input ends. It prints its
// address, and for every line of input the nanoseconds of CPU it has used.
func serve(dir string, handler func(*admit.Writer) http.HandlerFunc) error {
	db, err := engine.Open(engine.Options{FS: engine.DefaultFS(), Dir: dir, Clock: time.Now})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.CreateTenant(context.Background(), Tenant); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(l, handler(&admit.Writer{DB: db, Clock: time.Now}))
	fmt.Println(l.Addr())
	for line := []byte{0}; ; {
		if _, err := os.Stdin.Read(line); err != nil {
			return nil
		}
		var u syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		fmt.Println(u.Utime.Nano() + u.Stime.Nano())
	}
}

// Load is what clients send, each the next body when the one before is answered.
type Load struct {
	Path    string // with its query
	Header  map[string]string
	Clients int // over a keep-alive connection each
	Samples int // of each body; 0: Samples
	Body    func(client, turn int) []byte
}

// Run sends b.N bodies. It reports samples a second by the clock, and by the
// CPU that the server used: what its core would take if it never waited; and the
// bytes of bodies by the clock.
func Run(b *testing.B, load Load) {
	b.Helper()
	taskset, err := exec.LookPath("taskset")
	if err != nil || runtime.NumCPU() < 2 {
		b.Skip("needs taskset and two cores")
	}
	if out, err := exec.Command(taskset, "-apc", clientCore, strconv.Itoa(os.Getpid())).CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	s := start(b, taskset)
	bodies := make([][][]byte, load.Clients)
	for c := range bodies {
		for turn := range min(b.N/load.Clients+1, distinct) {
			bodies[c] = append(bodies[c], load.Body(c, turn))
		}
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: load.Clients}}
	for c := range bodies { // channels are made, connections opened
		load.send(b, client, s.url+load.Path, bodies[c][0])
	}
	var next atomic.Int64
	var sending sync.WaitGroup
	before := s.cpu(b)
	b.ResetTimer()
	for c := range bodies {
		sending.Go(func() {
			for turn := 0; next.Add(1) <= int64(b.N); turn++ {
				load.send(b, client, s.url+load.Path, bodies[c][turn%len(bodies[c])])
			}
		})
	}
	sending.Wait()
	b.StopTimer()
	used := s.cpu(b) - before
	total := float64(b.N) * float64(cmp.Or(load.Samples, Samples))
	b.SetBytes(int64(len(bodies[0][0])))
	b.ReportMetric(total/b.Elapsed().Seconds(), "samples/s")
	b.ReportMetric(total/used.Seconds(), "cpu-samples/s")
	b.ReportMetric(float64(used.Nanoseconds())/total, "cpu-ns/sample")
}

func (l *Load) send(b *testing.B, client *http.Client, url string, body []byte) {
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		b.Error(err)
		return
	}
	for name, value := range l.Header {
		request.Header.Set(name, value)
	}
	answer, err := client.Do(request)
	if err != nil {
		b.Error(err)
		return
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode/100 != 2 {
		b.Errorf("%d: %s", answer.StatusCode, text)
	}
}

// server is the process that serves.
type server struct {
	url    string
	input  io.Writer
	output io.Reader
}

func start(b *testing.B, taskset string) *server {
	b.Helper()
	process := exec.Command(taskset, "-c", serverCore, os.Args[0])
	process.Env = append(os.Environ(), serveEnvironment+"="+b.TempDir(), "GOMAXPROCS=1")
	process.Stderr = os.Stderr
	input, err := process.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	output, err := process.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := process.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		input.Close()
		io.Copy(io.Discard, output)
		process.Wait()
	})
	s := &server{input: input, output: output}
	s.url = "http://" + s.line(b)
	return s
}

// line returns the next line that the server prints.
func (s *server) line(b *testing.B) string {
	b.Helper()
	text := make([]byte, 64)
	n, err := s.output.Read(text)
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(string(text[:n]))
}

// cpu returns how much CPU the server has used.
func (s *server) cpu(b *testing.B) time.Duration {
	b.Helper()
	if _, err := s.input.Write([]byte{'\n'}); err != nil {
		b.Fatal(err)
	}
	n, err := strconv.ParseInt(s.line(b), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(n)
}
