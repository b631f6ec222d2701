package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// BenchmarkGateways is 70,000 devices that each send a sample a minute, every
// one in a request of its own, over the connections of 70 gateways. It takes
// 20 seconds and reports what the server needs of the machine.
func BenchmarkGateways(b *testing.B) {
	const (
		gateways = 70
		devices  = 70000
		length   = 20 * time.Second
	)
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		b.Skip("there is no /proc to read the server's time from")
	}
	data := filepath.Join(b.TempDir(), "d")
	token := newToken(b, data, "--tenant", "t", "--scope", "write")
	p, address := serveFolder(b, data, "--log", "warn")
	devicesOf := devices / gateways
	var sent, failed atomic.Int64
	write := func(c *http.Client, gateway, device int) {
		text := fmt.Sprintf(`{"channels":[{"labels":{"instrument":"gateway %d","channel":"device %d"},"times":[%d],"values":[%d.5]}]}`,
			gateway, device, time.Now().UnixMilli(), device)
		r, err := http.NewRequest("POST", address+"/api/v1/samples", strings.NewReader(text))
		if err != nil {
			b.Error(err)
			return
		}
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("Content-Type", "application/json")
		response, err := c.Do(r)
		if err != nil {
			failed.Add(1)
			return
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode != 200 {
			failed.Add(1)
		}
		sent.Add(1)
	}
	run := func(each func(c *http.Client, gateway int)) {
		var running sync.WaitGroup
		for gateway := range gateways {
			running.Go(func() {
				c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
				defer c.CloseIdleConnections()
				each(c, gateway)
			})
		}
		running.Wait()
	}
	run(func(c *http.Client, gateway int) { // every device is known before it is measured
		for device := range devicesOf {
			write(c, gateway, device)
		}
	})
	b.Logf("%d devices made, %d refused", sent.Swap(0), failed.Load())
	used, begun := processorTime(b, p.command.Process.Pid), time.Now()
	run(func(c *http.Client, gateway int) {
		tick := time.NewTicker(time.Minute / time.Duration(devicesOf))
		defer tick.Stop()
		for device := 0; time.Since(begun) < length; device++ {
			<-tick.C
			write(c, gateway, device%devicesOf)
		}
	})
	took := time.Since(begun)
	used = processorTime(b, p.command.Process.Pid) - used
	b.ReportMetric(50*used.Seconds()/took.Seconds(), "%of2cores")
	b.ReportMetric(float64(sent.Load())/took.Seconds(), "requests/s")
	b.ReportMetric(used.Seconds()/float64(sent.Load())*1e6, "us-cpu/request")
	b.ReportMetric(0, "ns/op")
	if failed.Load() > 0 {
		b.Errorf("%d requests failed", failed.Load())
	}
	p.stop(b, syscall.SIGTERM)
}

// processorTime is what a process has used of all cores.
func processorTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	// After the name in brackets: user and system time are fields 14 and 15, in
	// hundredths of a second.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	total := 0
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(string(field))
		if err != nil {
			b.Fatal(err)
		}
		total += n
	}
	return time.Duration(total) * 10 * time.Millisecond
}
