package samples_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
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

	"github.com/klauspost/compress/zstd"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/samples"
)

// batchColumns are 1,000 samples: rows at a second's distance from start of each
// of 1,000/rows channels. Values are tenths, as instruments give them.
func batchColumns(tb testing.TB, gateway, rows, start int) []model.Column {
	tb.Helper()
	times := make([]int64, rows)
	for i := range times {
		times[i] = 1.7e12 + int64(start+i)*1000
	}
	columns := make([]model.Column, 1000/rows)
	for c := range columns {
		labels, err := model.NewLabels(
			model.Label{Name: "instrument", Value: fmt.Sprintf("logger-%03d-%02d", gateway, c/30)},
			model.Label{Name: "channel", Value: fmt.Sprintf("%d-%d", c%30/10+1, c%10+1)})
		if err != nil {
			tb.Fatal(err)
		}
		values := make([]float64, rows)
		for i := range values {
			values[i] = math.Round(2000+300*math.Sin(float64(start+i)/400+float64(c)))/10 + 0.1*float64((start+i*7+c)%3)
		}
		columns[c] = model.Column{Labels: labels, Times: times, Values: values}
	}
	return columns
}

// BenchmarkDecode is the cost of a request without the engine: of 1,000
// samples, as rows of fewer or more channels.
func BenchmarkDecode(b *testing.B) {
	for _, rows := range []int{1, 10, 100, 1000} {
		columns := batchColumns(b, 0, rows, 0)
		body := samples.AppendMsgpack(nil, "ms", columns)
		text := asJSON(b, columns)
		for _, c := range []struct {
			name, contentType, encoding string
			body                        []byte
		}{
			{"msgpack+zstd", msgpackType, "zstd", pack(b, "zstd", body)},
			{"msgpack", msgpackType, "", body},
			{"json+gzip", jsonType, "gzip", pack(b, "gzip", text)},
			{"json", jsonType, "", text},
		} {
			b.Run(fmt.Sprintf("%s/rows=%d", c.name, rows), func(b *testing.B) {
				b.ReportAllocs()
				reader := bytes.NewReader(nil)
				for b.Loop() {
					reader.Reset(c.body)
					n, err := samples.DecodeOnly(c.contentType, c.encoding, reader)
					if err != nil || n != 1000 {
						b.Fatal(n, err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/sample")
				b.ReportMetric(float64(len(c.body))/1000, "B/sample")
			})
		}
	}
}

// asJSON is a request with columns that share their times.
func asJSON(tb testing.TB, columns []model.Column) []byte {
	tb.Helper()
	type channel struct {
		Labels model.Labels `json:"labels"`
		Values []float64    `json:"values"`
	}
	request := struct {
		Times    []int64   `json:"times"`
		Channels []channel `json:"channels"`
	}{Times: columns[0].Times}
	for _, c := range columns {
		request.Channels = append(request.Channels, channel{c.Labels, c.Values})
	}
	text, err := json.Marshal(request)
	if err != nil {
		tb.Fatal(err)
	}
	return text
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
	w := &samples.Writer{To: &admit.Writer{DB: db, Clock: time.Now}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(l, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := w.Write(r.Context(), tenant, r.Header.Get("Content-Type"), r.Header.Get("Content-Encoding"), r.Body)
		if err != nil {
			http.Error(rw, err.Error(), api.AsError(err).Status)
			return
		}
		text, _ := api.AppendBody(nil, body)
		rw.Header().Set("Content-Type", "application/json")
		rw.Write(text)
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

// BenchmarkServer writes durable batches of 1,000 samples as msgpack with zstd
// over keep-alive connections: the server on one core, the clients on another.
// cpu-samples/s is what the server's core would take if it never waited.
//
//	go test -run '^$' -bench Server -benchtime 5000x ./server/samples
func BenchmarkServer(b *testing.B) {
	taskset, err := exec.LookPath("taskset")
	if err != nil || runtime.NumCPU() < 2 {
		b.Skip("needs taskset and two cores")
	}
	for _, rows := range []int{1, 10, 100} {
		for _, clients := range []int{8, 32} {
			b.Run(fmt.Sprintf("rows=%d/clients=%d", rows, clients), func(b *testing.B) {
				benchmarkServer(b, taskset, rows, clients)
			})
		}
	}
}

func benchmarkServer(b *testing.B, taskset string, rows, clients int) {
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
	url := "http://" + line() + "/api/v1/samples"
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
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		b.Fatal(err)
	}
	const distinct = 64 // then the same samples again, which are written like any others
	for c := range bodies {
		for turn := range min(turns, distinct) {
			plain := samples.AppendMsgpack(nil, "ms", batchColumns(b, c, rows, turn*rows))
			bodies[c] = append(bodies[c], encoder.EncodeAll(plain, nil))
		}
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	send := func(body []byte) {
		request, _ := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
		request.Header.Set("Content-Type", msgpackType)
		request.Header.Set("Content-Encoding", "zstd")
		response, err := client.Do(request)
		if err != nil {
			b.Error(err)
			return
		}
		defer response.Body.Close()
		if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
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
