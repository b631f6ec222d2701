package webtest

import (
	"bufio"
	"context"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
)

// BenchmarkReady measures from the start of the program to a server that says
// it is ready, on a gigabyte of blocks.
func BenchmarkReady(b *testing.B) {
	long(b)
	program, dir := build(b), b.TempDir()
	stored := fillBlocks(b, dir, 1<<30)
	var took []float64
	for b.Loop() {
		start := time.Now()
		server := exec.Command(program, "serve", "--data", dir, "--listen", "127.0.0.1:41807")
		server.Stderr = b.Output()
		if err := server.Start(); err != nil {
			b.Fatal(err)
		}
		for {
			answer, err := http.Get("http://127.0.0.1:41807/readyz")
			if err == nil {
				answer.Body.Close()
				if answer.StatusCode == http.StatusOK {
					break
				}
			}
			if time.Since(start) > time.Minute {
				b.Fatal("not ready within a minute: ", err)
			}
			time.Sleep(2 * time.Millisecond) // between two tries
		}
		took = append(took, float64(time.Since(start).Milliseconds()))
		if err := server.Process.Signal(os.Interrupt); err != nil {
			b.Fatal(err)
		}
		if err := server.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(median(took), "ms/ready")
	b.ReportMetric(float64(stored)/(1<<20), "MiB")
}

// fillBlocks writes a database whose blocks hold size bytes of values that do
// not compress.
func fillBlocks(b *testing.B, dir string, size uint64) (stored uint64) {
	b.Helper()
	db, err := engine.Open(engine.Options{FS: engine.DefaultFS(), Dir: dir, Clock: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	const channels, rows = 500, 60
	if err := db.CreateTenant(context.Background(), "plant"); err != nil {
		b.Fatal(err)
	}
	for from := 0; stored < size; from += rows {
		batch := &model.Batch{Tenant: "plant"}
		times := make([]int64, rows)
		for i := range times {
			times[i] = 1.7e18 + int64(from+i)*1e9
		}
		for c := range channels {
			labels, err := model.NewLabels(model.Label{Name: model.InstrumentLabel, Value: "i"}, model.Label{Name: model.ChannelLabel, Value: strconv.Itoa(c)})
			if err != nil {
				b.Fatal(err)
			}
			values := make([]float64, rows)
			for i := range values {
				values[i] = math.Sin(float64(c) + float64(from+i)*math.Pi)
			}
			batch.Columns = append(batch.Columns, model.Column{Labels: labels, Times: times, Values: values})
		}
		if _, err := db.Append(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
		stats, err := db.Stats()
		if err != nil {
			b.Fatal(err)
		}
		stored = stats.RawBytes + stats.IndexBytes
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	return stored
}

// build makes the program as a user would.
func build(b *testing.B) string {
	b.Helper()
	program := filepath.Join(b.TempDir(), "hokan")
	if output, err := exec.Command("go", "build", "-o", program, "../../../tools/hokan").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, output)
	}
	return program
}

// BenchmarkDemo measures how soon the demo's page has data, and the memory
// that the demo holds half a minute after its past was filled in.
func BenchmarkDemo(b *testing.B) {
	long(b)
	program := build(b)
	var memory, started, filled []float64
	for b.Loop() {
		start := time.Now()
		demo := exec.Command(program, "demo", "--data", filepath.Join(b.TempDir(), "data"), "--listen", "127.0.0.1:0")
		demo.Stderr = b.Output()
		output, err := demo.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := demo.Start(); err != nil {
			b.Fatal(err)
		}
		line, err := bufio.NewReader(output).ReadString('\n')
		if err != nil {
			b.Fatal(err)
		}
		started = append(started, time.Since(start).Seconds())
		go io.Copy(io.Discard, output)
		address, token, ok := strings.Cut(strings.TrimSpace(line), "/#token=")
		if !ok {
			b.Fatalf("the first line is %q", line)
		}
		for !hasMonth(address, token) {
			if time.Since(start) > time.Minute {
				b.Fatal("the past is not there within a minute")
			}
			time.Sleep(20 * time.Millisecond) // between two tries
		}
		filled = append(filled, time.Since(start).Seconds())
		time.Sleep(30 * time.Second) // what is measured: the demo at rest
		memory = append(memory, resident(b, demo.Process.Pid))
		if err := demo.Process.Signal(os.Interrupt); err != nil {
			b.Fatal(err)
		}
		if err := demo.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(median(started), "s/address")
	b.ReportMetric(median(filled), "s/filled")
	b.ReportMetric(median(memory), "MB/resident")
}

// hasMonth reports whether the demo has written up to now.
func hasMonth(address, token string) bool {
	r, err := http.NewRequest("GET", address+"/api/v1/latest?unit=ms", nil)
	if err != nil {
		return false
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return false
	}
	newest := 0
	for _, part := range strings.Split(string(text), `"time":`)[1:] {
		digits := part[:strings.IndexFunc(part+",", func(r rune) bool { return r < '0' || r > '9' })]
		ms, _ := strconv.ParseInt(digits, 10, 64) // unreadable: 0
		if time.Since(time.UnixMilli(ms)) < 2*time.Minute {
			newest++
		}
	}
	return newest >= 30
}

// resident returns the memory a process holds, in MB.
func resident(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		b.Skip("no /proc: ", err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	fields := strings.Fields(rest)
	kib, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kib * 1024 / 1e6
}
