package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// BenchmarkConnections is 10,000 agents of 100 tenants, each with a connection
// of its own that stays open and a line of ten fields a minute. It takes two
// minutes and a half, with HOKAN_LONG ten, and reports the latency of durable
// writes and the most memory that the server took. The server has a core of its
// own where there are two.
func BenchmarkConnections(b *testing.B) {
	const (
		tenants     = 100
		connections = 10000
		interval    = time.Minute
	)
	rounds := 2
	if os.Getenv("HOKAN_LONG") != "" {
		rounds = 10
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		b.Skip("there is no /proc to read the server's memory from")
	}
	needDescriptors(b, connections)
	data := filepath.Join(b.TempDir(), "d")
	tokens := make([]string, tenants)
	for t := range tokens {
		tokens[t] = newToken(b, data, "--tenant", fmt.Sprintf("t%d", t), "--scope", "write")
	}
	p, address := serveFolder(b, data, "--log", "warn")
	giveCores(b, p.command.Process.Pid)
	agents := make([]agent, connections)
	var failed atomic.Int64
	var running sync.WaitGroup
	for starting := range 64 { // every channel is known before it is measured
		running.Go(func() {
			for i := starting; i < connections; i += 64 {
				agents[i] = newAgent(b, address, tokens[i%tenants], i)
				if err := agents[i].write(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	running.Wait()
	if b.Failed() {
		return
	}
	b.Logf("%d connections, resident %.0f MiB", connections, float64(memoryOf(b, p, "VmRSS"))/(1<<20))
	disk := probeDisk(b)
	used, begun := processorTime(b, p.command.Process.Pid), time.Now()
	latencies := make([][]time.Duration, connections)
	for i := range agents {
		running.Go(func() {
			for round := range rounds {
				due := begun.Add(time.Duration(round)*interval + interval*time.Duration(i)/connections)
				time.Sleep(time.Until(due))
				if err := agents[i].write(); err != nil {
					failed.Add(1)
					b.Errorf("connection %d, round %d: %v", i, round, err)
					return
				}
				latencies[i] = append(latencies[i], time.Since(due))
			}
		})
	}
	running.Wait()
	took := time.Since(begun)
	used = processorTime(b, p.command.Process.Pid) - used
	all := slices.Concat(latencies...)
	b.ReportMetric(float64(memoryOf(b, p, "VmHWM"))/(1<<20), "MiB-resident")
	b.ReportMetric(quantile(all, 0.5), "ms-p50")
	b.ReportMetric(quantile(all, 0.99), "ms-p99")
	b.ReportMetric(quantile(all, 1), "ms-max")
	b.ReportMetric(quantile(disk(), 0.99), "ms-disk-p99")
	b.ReportMetric(100*used.Seconds()/took.Seconds(), "%core")
	b.ReportMetric(0, "ns/op")
	for i := range agents {
		agents[i].connection.Close()
	}
	p.stop(b, syscall.SIGTERM)
}

// quantile sorts durations and returns what a share of them is below, in
// milliseconds.
func quantile(all []time.Duration, share float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(int(share*float64(len(all))), len(all)-1)].Seconds() * 1000
}

// probeDisk syncs a small file ten times a second until stop is called, which
// returns how long it took: no write can be faster than its disk.
func probeDisk(b *testing.B) (stop func() []time.Duration) {
	file, err := os.Create(filepath.Join(b.TempDir(), "probe"))
	if err != nil {
		b.Fatal(err)
	}
	ended, result := make(chan struct{}), make(chan []time.Duration)
	go func() {
		var all []time.Duration
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				file.Close()
				result <- all
				return
			case begun := <-tick.C:
				file.WriteAt(make([]byte, 1024), 0)
				file.Sync()
				all = append(all, time.Since(begun))
			}
		}
	}()
	return func() []time.Duration {
		close(ended)
		return <-result
	}
}

// needDescriptors skips where a process may have too few files open.
func needDescriptors(b *testing.B, n uint64) {
	b.Helper()
	if most := mostFiles(); uint64(connectionsOf(most)) < n {
		b.Skipf("a process may have %d files open, which is too few for %d connections", most, n)
	}
}

// giveCores gives the server a core and this process the other.
func giveCores(b *testing.B, server int) {
	b.Helper()
	taskset, err := exec.LookPath("taskset")
	if err != nil || runtime.NumCPU() < 2 {
		b.Log("without taskset or a second core the server shares its cores")
		return
	}
	for core, pid := range []int{server, os.Getpid()} {
		if out, err := exec.Command(taskset, "-apc", strconv.Itoa(core), strconv.Itoa(pid)).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
}

// agent writes over a connection that stays open. It has no http.Client, whose
// ten thousand pairs of goroutines would be measured too.
type agent struct {
	connection net.Conn
	answers    *bufio.Reader
	head, line string
}

func newAgent(b *testing.B, address, token string, i int) agent {
	host := strings.TrimPrefix(address, "http://")
	connection, err := net.Dial("tcp", host)
	if err != nil {
		b.Error(err)
		return agent{}
	}
	var line strings.Builder
	fmt.Fprintf(&line, "machine,host=agent-%d,site=hall ", i)
	for field := range 10 {
		if field > 0 {
			line.WriteByte(',')
		}
		fmt.Fprintf(&line, "f%d=%d.%d", field, i, field)
	}
	return agent{
		connection: connection, answers: bufio.NewReaderSize(connection, 1024), line: line.String(),
		head: "POST /write HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Token " + token + "\r\nContent-Length: ",
	}
}

// write writes a line and waits for the answer.
func (a *agent) write() error {
	if a.connection == nil {
		return net.ErrClosed
	}
	body := fmt.Sprintf("%s %d\n", a.line, time.Now().UnixNano())
	if _, err := fmt.Fprintf(a.connection, "%s%d\r\n\r\n%s", a.head, len(body), body); err != nil {
		return err
	}
	answer, err := http.ReadResponse(a.answers, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusNoContent {
		return fmt.Errorf("%s: %s", answer.Status, text)
	}
	return nil
}

// memoryOf returns a line of a process's status in bytes: VmRSS is what is
// resident, VmHWM the most that was.
func memoryOf(b *testing.B, p *process, name string) int64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if value, ok := strings.CutPrefix(string(line), name+":"); ok {
			kilobytes, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	b.Fatalf("there is no %s", name)
	return 0
}
