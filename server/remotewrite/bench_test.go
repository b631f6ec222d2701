package remotewrite_test

import (
	"bytes"
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

	"github.com/klauspost/compress/s2"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/ingest/remotewrite/remotewritetest"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/remotewrite"
)

const tenant = "lake"

// scraped are 1,000 samples: rows at a quarter minute's distance from start of
// each of 1,000/rows series, of ten targets of one agent.
func scraped(agent, rows, start int) []remotewritetest.Series {
	all := remotewritetest.Scrape(10, 100/rows, rows, 1.7e12+int64(start)*15000)
	for i := range all {
		all[i].Labels = append(all[i].Labels[:len(all[i].Labels):len(all[i].Labels)], "zz_agent", strconv.Itoa(agent))
	}
	return all
}

// The server of BenchmarkServer is this program again, on a core of its own.
const (
	serveEnvironment = "HOKAN_BENCH_SERVE"
	serverCore       = "0"
	clientCore       = "1"
)

// TestMain serves a folder instead of testing, if it is told to.
func TestMain(m *testing.M) {
	if dir := os.Getenv(serveEnvironment); dir != "" {
		if err := serveFolder(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveFolder serves writes over plain net/http until its input ends. It prints
// its address, and for every line of input the nanoseconds of CPU it has used.
func serveFolder(dir string) error {
	db, err := engine.Open(engine.Options{FS: engine.DefaultFS(), Dir: dir, Clock: time.Now})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.CreateTenant(context.Background(), tenant); err != nil {
		return err
	}
	w := &remotewrite.Writer{To: &admit.Writer{DB: db, Clock: time.Now}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(l, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		answer, err := w.Write(r.Context(), tenant, r.Header, r.Body)
		answer.SetHeaders(rw.Header())
		switch {
		case err != nil:
			http.Error(rw, err.Error(), api.AsError(err).Status)
		case answer.Refused != "":
			http.Error(rw, answer.Refused, http.StatusBadRequest)
		default:
			rw.WriteHeader(http.StatusNoContent)
		}
	}))
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

// BenchmarkServer writes durable requests of 1,000 samples by remote write, of
// one sample a series as from a scrape, or of more, over keep-alive connections: the server on one core, the clients on another.
// cpu-samples/s is what the server's core would take if it never waited.
//
//	go test -run '^$' -bench Server -benchtime 5000x ./server/remotewrite
func BenchmarkServer(b *testing.B) {
	taskset, err := exec.LookPath("taskset")
	if err != nil || runtime.NumCPU() < 2 {
		b.Skip("needs taskset and two cores")
	}
	for _, version := range []int{1, 2} {
		for _, rows := range []int{1, 10} {
			for _, clients := range []int{8, 32} {
				b.Run(fmt.Sprintf("%d.0/rows=%d/clients=%d", version, rows, clients), func(b *testing.B) {
					benchmarkServer(b, taskset, version, rows, clients)
				})
			}
		}
	}
}

func benchmarkServer(b *testing.B, taskset string, version, rows, clients int) {
	server := exec.Command(taskset, "-c", serverCore, os.Args[0])
	server.Env = append(os.Environ(), serveEnvironment+"="+b.TempDir(), "GOMAXPROCS=1")
	server.Stderr = os.Stderr
	input, err := server.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	output, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		input.Close()
		io.Copy(io.Discard, output)
		server.Wait()
	}()
	line := func() string {
		text := make([]byte, 64)
		n, err := output.Read(text)
		if err != nil {
			b.Fatal(err)
		}
		return strings.TrimSpace(string(text[:n]))
	}
	url := "http://" + line() + "/api/v1/write"
	cpu := func() time.Duration {
		if _, err := input.Write([]byte{'\n'}); err != nil {
			b.Fatal(err)
		}
		n, err := strconv.ParseInt(line(), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		return time.Duration(n)
	}
	// Bodies are made before the clock runs, for every client.
	turns := (b.N + clients - 1) / clients
	bodies := make([][][]byte, clients)
	const distinct = 64 // then the same samples again, which are written like any others
	for c := range bodies {
		for turn := range min(turns, distinct) {
			series := scraped(c, rows, turn*rows)
			plain := remotewritetest.Encode1(series)
			if version == 2 {
				plain = remotewritetest.Encode2(series)
			}
			bodies[c] = append(bodies[c], s2.EncodeSnappy(nil, plain))
		}
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	send := func(body []byte) {
		request, _ := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
		request.Header.Set("Content-Type", [...]string{"", "application/x-protobuf", "application/x-protobuf;proto=io.prometheus.write.v2.Request"}[version])
		request.Header.Set("Content-Encoding", "snappy")
		response, err := client.Do(request)
		if err != nil {
			b.Error(err)
			return
		}
		defer response.Body.Close()
		if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusNoContent {
			b.Errorf("%d: %s", response.StatusCode, text)
		}
	}
	for c := range clients { // channels are made, connections opened
		send(bodies[c][0])
	}
	var next atomic.Int64
	before := cpu()
	b.ResetTimer()
	var sending sync.WaitGroup
	for c := range clients {
		sending.Go(func() {
			for turn := 0; next.Add(1) <= int64(b.N); turn++ {
				send(bodies[c][turn%len(bodies[c])])
			}
		})
	}
	sending.Wait()
	b.StopTimer()
	used := cpu() - before
	total := float64(b.N) * 1000
	b.ReportMetric(total/b.Elapsed().Seconds(), "samples/s")
	b.ReportMetric(total/used.Seconds(), "cpu-samples/s")
	b.ReportMetric(float64(used.Nanoseconds())/total, "cpu-ns/sample")
}
