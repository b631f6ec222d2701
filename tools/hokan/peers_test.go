package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// peerKills is how often the server is killed under an agent.
const peerKills = 3

// peerChannels is how many series an agent scrapes whose values count scrapes.
const peerChannels = 20

// exporter counts how often it was scraped, in every series.
type exporter struct {
	*httptest.Server
	scrapes atomic.Int64
}

func startExporter(t *testing.T) *exporter {
	e := &exporter{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := e.scrapes.Add(1)
		fmt.Fprintln(w, "# HELP peer_scrapes Scrapes so far.\n# TYPE peer_scrapes gauge")
		for i := range peerChannels {
			fmt.Fprintf(w, "peer_scrapes{zone=\"z\",n=\"%d\"} %d\n", i, n)
		}
	}))
	t.Cleanup(e.Close)
	return e
}

// address is where it listens.
func (e *exporter) address() string { return strings.TrimPrefix(e.URL, "http://") }

// peer is an agent that writes to a server that is killed.
type peer struct {
	*testing.T
	exporter *exporter
	data     string // of the server
	listen   string
	token    string
	server   *process
}

func newPeer(t *testing.T) *peer {
	p := &peer{T: t, exporter: startExporter(t), data: filepath.Join(t.TempDir(), "d")}
	p.token = newToken(t, p.data, "--tenant", "t")
	l, err := net.Listen("tcp", "127.0.0.1:0") // the agent must find the server again
	if err != nil {
		t.Fatal(err)
	}
	p.listen = l.Addr().String()
	l.Close()
	p.serve()
	return p
}

func (p *peer) serve() {
	p.Helper()
	name, err := program()
	if err != nil {
		p.Fatal(err)
	}
	p.server = startCommand(p.T, exec.Command(name, "serve", "--data", p.data, "--listen", p.listen)).launched(p.T)
}

// config writes a file for the agent and returns its name.
func (p *peer) config(text string) string {
	p.Helper()
	text = strings.NewReplacer("TARGET", p.exporter.address(), "SERVER", p.listen, "TOKEN", p.token).Replace(text)
	name := filepath.Join(p.TempDir(), "config.yml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		p.Fatal(err)
	}
	return name
}

// start starts the agent, or skips the test where it is not installed.
func (p *peer) start(name string, args ...string) {
	p.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, name, args...)
	output := &lockedBuffer{}
	command.Stdout, command.Stderr = output, output
	if err := command.Start(); err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() {
		cancel()
		command.Wait()
		if p.Failed() {
			p.Log(output.String())
		}
	})
}

// rows are those of a table of channels.
type peerTable struct {
	Channels []struct {
		Labels, Properties map[string]any
	}
	Rows [][]any
	Next *string
}

// read returns all rows of the channels that match.
func (p *peer) read(match string) (all peerTable, err error) {
	q := url.Values{"match": {match}, "limit": {"1000"}}
	for {
		r, err := http.NewRequest("GET", "http://"+p.listen+"/api/v1/table?"+q.Encode(), nil)
		if err != nil {
			return all, err
		}
		r.Header.Set("Authorization", "Bearer "+p.token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return all, err
		}
		var page peerTable
		err = json.NewDecoder(answer.Body).Decode(&page)
		answer.Body.Close()
		if err != nil {
			return all, err
		}
		all.Channels, all.Rows = page.Channels, append(all.Rows, page.Rows...)
		if page.Next == nil {
			return all, nil
		}
		q.Set("after", *page.Next)
	}
}

// newest returns the newest count that the server has of the first series.
func (p *peer) newest() int64 {
	table, err := p.read(`{channel="peer_scrapes",n="0"}`)
	if err != nil {
		return 0
	}
	newest := 0.0
	for _, row := range table.Rows {
		if v, ok := row[0].(float64); ok {
			newest = max(newest, v)
		}
	}
	return int64(newest)
}

// until waits for the server to have a count.
func (p *peer) until(count int64) {
	p.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for tick := time.NewTicker(100 * time.Millisecond); p.newest() < count; <-tick.C {
		if time.Now().After(deadline) {
			p.Fatalf("the server has %d of %d", p.newest(), count)
		}
	}
}

// run kills the server again and again, and checks what it has at the end.
func (p *peer) run() {
	p.Helper()
	p.until(1)
	for range peerKills {
		p.until(p.exporter.scrapes.Load() + 3)
		if err := p.server.command.Process.Kill(); err != nil {
			p.Fatal(err)
		}
		p.server.command.Wait()
		down := p.exporter.scrapes.Load()
		for tick := time.NewTicker(20 * time.Millisecond); p.exporter.scrapes.Load() < down+3; <-tick.C { // what the agent must keep
		}
		p.serve()
	}
	p.until(p.exporter.scrapes.Load() + 3)
	p.check()
	p.server.stop(p.T, syscall.SIGTERM)
}

// check looks for every count in every series: each is there once, but for
// scrapes that failed.
func (p *peer) check() {
	p.Helper()
	up, err := p.read(`{channel="up"}`)
	if err != nil {
		p.Fatal(err)
	}
	failed := 0
	for _, row := range up.Rows {
		if row[0] != 1.0 {
			failed++
		}
	}
	table, err := p.read(`{channel="peer_scrapes",zone="z",instrument="` + p.exporter.address() + `"}`)
	if err != nil || len(table.Channels) != peerChannels {
		p.Fatalf("%d channels, %v", len(table.Channels), err)
	}
	for c, channel := range table.Channels {
		if channel.Labels["job"] != "peer" {
			p.Errorf("%v", channel.Labels)
		}
		var before, missing, count int64
		for _, row := range table.Rows {
			v, ok := row[c].(float64)
			if !ok {
				continue // stale, or not of this time
			}
			switch n := int64(v); {
			case n <= before:
				p.Fatalf("series %d: %d comes after %d", c, n, before)
			case before > 0:
				missing += n - before - 1
			}
			before = int64(v)
			count++
		}
		if missing > int64(failed) || count < 3*peerKills {
			p.Errorf("series %d: %d of %d counts are missing, and %d scrapes failed", c, missing, count, failed)
		}
	}
	p.Logf("%d times, %d scrapes failed", len(table.Rows), failed)
}

// installed returns where an agent is, or skips the test.
func installed(t *testing.T, name, packet string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip("it needs " + name + ", of Debian's package " + packet)
	}
	return path
}

// TestPrometheusWritesToAKilledServer: Debian's Prometheus sends what it scrapes
// by remote write 1.0. The server is killed again and again: nothing is lost, and
// nothing is there twice.
func TestPrometheusWritesToAKilledServer(t *testing.T) {
	name := installed(t, "prometheus", "prometheus")
	p := newPeer(t)
	p.start(name, "--web.listen-address=127.0.0.1:0", "--storage.tsdb.path="+filepath.Join(t.TempDir(), "p"), "--config.file="+p.config(`
global: {scrape_interval: 250ms, scrape_timeout: 250ms}
scrape_configs: [{job_name: peer, static_configs: [{targets: ["TARGET"]}]}]
remote_write:
- url: http://SERVER/api/v1/write
  authorization: {credentials: TOKEN}
  queue_config: {max_backoff: 200ms, batch_send_deadline: 200ms}
  metadata_config: {send_interval: 1s}
`))
	p.run()
}

// TestVMAgentWritesToAKilledServer is the same with Debian's vmagent, which does
// not sort labels and whose token is a password.
func TestVMAgentWritesToAKilledServer(t *testing.T) {
	name := installed(t, "vmagent", "victoria-metrics")
	p := newPeer(t)
	p.start(name, "-httpListenAddr=127.0.0.1:0", "-remoteWrite.tmpDataPath="+filepath.Join(t.TempDir(), "v"),
		"-remoteWrite.url=http://"+p.listen+"/api/v1/write", "-remoteWrite.flushInterval=200ms",
		"-remoteWrite.basicAuth.username=hokan", "-remoteWrite.basicAuth.password="+p.token, "-promscrape.config="+p.config(`
global: {scrape_interval: 250ms, scrape_timeout: 250ms}
scrape_configs: [{job_name: peer, static_configs: [{targets: ["TARGET"]}]}]
`))
	p.run()
}
