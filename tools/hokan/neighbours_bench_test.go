package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/hokan-db/hokan/ingest/otlp/otlptest"
	"github.com/hokan-db/hokan/ingest/remotewrite/remotewritetest"
)

// BenchmarkNeighbours is a tenant that measures its own latency, of 40 durable
// writes of 50 samples a second, in turns alone, beside another that writes as
// much as was agreed, and beside one that writes ten times as much and does not
// wait when it is told to: a million samples a second, 1,000 a request. It takes
// half a minute for each protocol and reports the three latencies, and the core
// that the server took of each. The server has a core of its own where there are
// two.
func BenchmarkNeighbours(b *testing.B) {
	data := filepath.Join(b.TempDir(), "d")
	calm := newToken(b, data, "--tenant", "calm")
	loud := newToken(b, data, "--tenant", "loud")
	expect(b, 0, "tenant", "set", "--data", data, "--tenant", "loud", "--samples-per-second", fmt.Sprint(agreedSamples))
	p, address := serveFolder(b, data, "--log", "warn")
	giveCores(b, p.command.Process.Pid)
	for _, c := range neighbours() {
		b.Run(c.name, func(b *testing.B) {
			others := make([]*rawWriter, 8)
			for i := range others {
				others[i] = newWriter(b, address, loud, c.path, c.headers)
			}
			n := neighbourhood{b: b, neighbour: c, quiet: newWriter(b, address, calm, c.path, c.headers), others: others, server: p.command.Process.Pid}
			n.measure()
		})
	}
	p.stop(b, syscall.SIGTERM)
}

// agreedSamples is what the loud tenant may write a second, in requests of
// loudSamples.
const agreedSamples, loudSamples = 100_000, 1000

// neighbourhood is two tenants that write by one protocol.
type neighbourhood struct {
	neighbour
	b      *testing.B
	quiet  *rawWriter
	others []*rawWriter // of the loud tenant
	server int          // its process

	bodies         [64][]byte // of the loud tenant
	turn           int        // of the calm one
	taken, refused atomic.Int64
}

func (n *neighbourhood) measure() {
	const rounds, length = 6, 1500 * time.Millisecond
	for i := range n.bodies {
		n.bodies[i] = n.body(loudSamples, i)
	}
	for range 20 { // every channel is known before it is measured
		n.ask()
	}
	modes := []struct {
		name   string
		factor int
	}{{"alone", 0}, {"beside-agreed", 1}, {"beside-tenfold", 10}}
	latencies, used := make([][]time.Duration, len(modes)), make([]time.Duration, len(modes))
	for round := range rounds * len(modes) {
		mode := round % len(modes)
		var shouting sync.WaitGroup
		before, until := processorTime(n.b, n.server), time.Now().Add(length)
		for _, w := range n.others {
			if factor := modes[mode].factor; factor > 0 {
				shouting.Go(func() { n.shout(w, factor, until) })
			}
		}
		tick := time.NewTicker(25 * time.Millisecond)
		for time.Now().Before(until) {
			<-tick.C
			latencies[mode] = append(latencies[mode], n.ask())
		}
		tick.Stop()
		shouting.Wait()
		used[mode] += processorTime(n.b, n.server) - before
	}
	for i, mode := range modes {
		n.b.ReportMetric(quantile(latencies[i], 0.5), "ms-p50-"+mode.name)
		n.b.ReportMetric(quantile(latencies[i], 0.99), "ms-p99-"+mode.name)
		n.b.ReportMetric(100*used[i].Seconds()/(rounds*length.Seconds()), "%core-"+mode.name)
	}
	n.b.ReportMetric(float64(n.refused.Load())/float64(n.taken.Load()+n.refused.Load()), "refused")
	n.b.ReportMetric(0, "ns/op")
}

// ask writes as the calm tenant, and returns how long it took.
func (n *neighbourhood) ask() time.Duration {
	body := n.body(50, n.turn)
	n.turn++
	begun := time.Now()
	if status, err := n.quiet.write(body); err != nil || status/100 != 2 {
		n.b.Fatalf("the calm tenant: %d %v", status, err)
	}
	return time.Since(begun)
}

// shout writes as the loud tenant, over one of its connections.
func (n *neighbourhood) shout(w *rawWriter, factor int, until time.Time) {
	tick := time.NewTicker(time.Duration(len(n.others)) * time.Second * loudSamples / time.Duration(factor*agreedSamples))
	defer tick.Stop()
	for i := 0; time.Now().Before(until); i++ {
		<-tick.C
		switch status, err := w.write(n.bodies[i%len(n.bodies)]); {
		case err != nil:
			n.b.Error(err)
			return
		case status/100 == 2:
			n.taken.Add(1)
		default:
			n.refused.Add(1)
		}
	}
}

// neighbour is a protocol, and a body of it with so many samples of a time that
// goes on with the turn.
type neighbour struct {
	name, path string
	headers    string
	body       func(samples, turn int) []byte
}

func neighbours() []neighbour {
	start := time.Now().Add(-12 * time.Hour).Truncate(time.Second)
	at := func(turn int) time.Time { return start.Add(time.Duration(turn) * 10 * time.Second) }
	remote := func(encode func([]remotewritetest.Series) []byte) func(samples, turn int) []byte {
		return func(samples, turn int) []byte {
			return s2.EncodeSnappy(nil, encode(remotewritetest.Scrape(10, samples/10, 1, at(turn).UnixMilli())))
		}
	}
	protobuf := "Content-Type: application/x-protobuf"
	return []neighbour{
		{"samples", "/api/v1/samples", "Content-Type: application/json", func(samples, turn int) []byte {
			var text strings.Builder
			fmt.Fprintf(&text, `{"times":[%d],"channels":[`, at(turn).UnixMilli())
			for i := range samples {
				if i > 0 {
					text.WriteByte(',')
				}
				fmt.Fprintf(&text, `{"labels":{"instrument":"logger-%02d","channel":"%d"},"values":[%d.5]}`, i/30, i%30, turn+i)
			}
			return []byte(text.String() + "]}")
		}},
		{"line-protocol", "/write", "Content-Type: text/plain", func(samples, turn int) []byte {
			var text strings.Builder
			for i := range samples / 10 {
				fmt.Fprintf(&text, "cpu,host=server-%03d,region=eu-west ", i)
				for f := range 10 {
					if f > 0 {
						text.WriteByte(',')
					}
					fmt.Fprintf(&text, "usage_%d=%d.%d", f, turn+i, f)
				}
				fmt.Fprintf(&text, " %d\n", at(turn).UnixNano())
			}
			return []byte(text.String())
		}},
		{"remote-write", "/api/v1/write", protobuf, remote(func(s []remotewritetest.Series) []byte { return remotewritetest.Encode1(s) })},
		{"remote-write-2", "/api/v1/write", protobuf + ";proto=io.prometheus.write.v2.Request", remote(remotewritetest.Encode2)},
		{"otlp", "/v1/metrics", protobuf, func(samples, turn int) []byte {
			return otlptest.Agent("machine", samples/10, 10, at(turn).UnixNano())
		}},
	}
}

// rawWriter writes over a connection that stays open.
type rawWriter struct {
	connection net.Conn
	answers    *bufio.Reader
	head       string
}

func newWriter(b *testing.B, address, token, path, headers string) *rawWriter {
	b.Helper()
	host := strings.TrimPrefix(address, "http://")
	connection, err := net.Dial("tcp", host)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { connection.Close() })
	return &rawWriter{connection: connection, answers: bufio.NewReader(connection), head: "POST " + path + " HTTP/1.1\r\nHost: " + host +
		"\r\nAuthorization: Bearer " + token + "\r\n" + headers + "\r\nContent-Length: "}
}

// write sends a body and returns the status of the answer.
func (w *rawWriter) write(body []byte) (status int, err error) {
	if _, err := w.connection.Write(append(fmt.Appendf(nil, "%s%d\r\n\r\n", w.head, len(body)), body...)); err != nil {
		return 0, err
	}
	answer, err := http.ReadResponse(w.answers, nil)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}
