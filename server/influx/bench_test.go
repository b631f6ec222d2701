package influx_test

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

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/influx"
)

// The server of BenchmarkServer is this program again, on a core of its own.
const (
	serveEnvironment = "HOKAN_BENCH_SERVE"
	serverCore       = "0"
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
	if err := db.CreateTenant(context.Background(), "t"); err != nil {
		return err
	}
	w := &influx.Writer{To: &admit.Writer{DB: db, Clock: time.Now}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(l, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		partial, err := w.Write(r.Context(), "t", r.URL.Query().Get("precision"), r.Header.Get("Content-Encoding"), r.Body)
		switch {
		case err != nil:
			http.Error(rw, err.Error(), api.AsError(err).Status)
		case partial != nil:
			http.Error(rw, partial.Message, http.StatusBadRequest)
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

// lines are 1,000 samples of a gateway: of 100 instruments, ten fields each.
func lines(gateway, turn int) []byte {
	var b bytes.Buffer
	for i := range 100 {
		fmt.Fprintf(&b, "cpu,host=server-%02d-%03d,region=eu-west ", gateway, i)
		for f := range 10 {
			if f > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "usage_%d=%.1f", f, float64((turn*37+i*7+f*11)%1000)/10)
		}
		fmt.Fprintf(&b, " %d\n", 1_700_000_000+turn*10)
	}
	return b.Bytes()
}

// BenchmarkServer writes durable batches of 1,000 samples over keep-alive
// connections: the server on one core, the clients on another. cpu-samples/s is
// what the server's core would take if it never waited.
//
//	go test -run '^$' -bench Server -benchtime 5000x ./server/influx
func BenchmarkServer(b *testing.B) {
	taskset, err := exec.LookPath("taskset")
	if err != nil || runtime.NumCPU() < 2 {
		b.Skip("needs taskset and two cores")
	}
	for _, clients := range []int{8, 32} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) { benchmarkServer(b, taskset, clients) })
	}
}

func benchmarkServer(b *testing.B, taskset string, clients int) {
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
	said := func() string {
		text := make([]byte, 64)
		n, err := output.Read(text)
		if err != nil {
			b.Fatal(err)
		}
		return strings.TrimSpace(string(text[:n]))
	}
	url := "http://" + said() + "/write?precision=s"
	cpu := func() time.Duration {
		if _, err := input.Write([]byte{'\n'}); err != nil {
			b.Fatal(err)
		}
		n, err := strconv.ParseInt(said(), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		return time.Duration(n)
	}
	const distinct = 32 // then the same samples again, which are written like any others
	bodies := make([][][]byte, clients)
	for c := range bodies {
		for turn := range distinct {
			bodies[c] = append(bodies[c], lines(c, turn))
		}
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	send := func(body []byte) {
		response, err := client.Post(url, "text/plain", bytes.NewReader(body))
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
				send(bodies[c][turn%distinct])
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
