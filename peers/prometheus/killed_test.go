package prometheus

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb/agent"
)

const (
	series = 50
	rounds = 60
	killed = 20 // rounds between kills
)

// TestAgentWritesToAKilledServer: the write path of Prometheus' agent mode, from
// its log to its queues, sends by remote write 2.0 to a server that is killed and
// started again: every sample is there, once, with its metadata.
func TestAgentWritesToAKilledServer(t *testing.T) {
	if os.Getenv("HOKAN_LONG") == "" {
		t.Skip("HOKAN_LONG=1 runs it")
	}
	s := newServer(t)
	dir := t.TempDir()
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	out := remote.NewStorage(logger, client.NewRegistry(), func() (int64, error) { return 0, nil }, dir, time.Minute, nil, false)
	options := agent.DefaultOptions()
	db, err := agent.Open(logger, client.NewRegistry(), out, dir, options)
	if err != nil {
		t.Fatal(err)
	}
	db.SetWriteNotified(out)
	c, err := config.Load(fmt.Sprintf(`
remote_write:
- url: http://%s/api/v1/write
  protobuf_message: io.prometheus.write.v2.Request
  authorization: {credentials: %s}
  queue_config: {max_backoff: 200ms, batch_send_deadline: 100ms, max_samples_per_send: 100}
`, s.listen, s.token), logger)
	if err != nil {
		t.Fatal(err)
	}
	if err := out.ApplyConfig(c); err != nil {
		t.Fatal(err)
	}
	start := time.Now().Add(10 * time.Second).UnixMilli() // what is older than the agent's start is not sent
	tick := time.NewTicker(50 * time.Millisecond)
	for round := range rounds {
		<-tick.C
		if round%killed == killed/2 {
			s.kill()
		} else if round%killed == killed-5 {
			s.start()
		}
		app := db.Appender(context.Background())
		for i := range series {
			l := labels.FromStrings("__name__", "peer_total", "instance", "host:1", "job", "peer", "n", fmt.Sprint(i))
			ref, err := app.Append(0, l, start+int64(round)*50, float64(round))
			if err == nil {
				_, err = app.UpdateMetadata(ref, l, metadata.Metadata{Type: "counter", Help: "Rounds.", Unit: "rounds"})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	var table peerTable
	for deadline := time.Now().Add(2 * time.Minute); ; <-tick.C {
		if table, err = s.read(`{channel="peer_total"}`); err == nil && len(table.Rows) >= rounds && complete(table) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v; %d channels, %d rows: %s", err, len(table.Channels), len(table.Rows), log.String())
		}
	}
	if len(table.Rows) != rounds || len(table.Channels) != series {
		t.Errorf("%d channels, %d rows", len(table.Channels), len(table.Rows))
	}
	for round, row := range table.Rows {
		for i, v := range row {
			if v != float64(round) {
				t.Fatalf("round %d, series %d: %v", round, i, v)
			}
		}
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// complete reports whether no row lacks a value.
func complete(table peerTable) bool {
	for _, row := range table.Rows {
		for _, v := range row {
			if v == nil {
				return false
			}
		}
	}
	return len(table.Channels) == series
}

// server is a program that is killed.
type server struct {
	*testing.T
	program, data, listen, token string
	command                      *exec.Cmd
}

func newServer(t *testing.T) *server {
	folder := t.TempDir()
	s := &server{T: t, program: filepath.Join(folder, "hokan"), data: filepath.Join(folder, "d")}
	build := exec.Command("go", "build", "-buildvcs=false", "-o", s.program, "./tools/hokan")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(s.program, "token", "create", "--data", s.data, "--tenant", "t").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	s.token = lines[len(lines)-1]
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.listen = l.Addr().String()
	l.Close()
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *server) start() {
	s.Helper()
	s.command = exec.Command(s.program, "serve", "--data", s.data, "--listen", s.listen)
	out, err := s.command.StdoutPipe()
	if err == nil {
		err = s.command.Start()
	}
	if err == nil {
		_, err = bufio.NewReader(out).ReadString('\n')
	}
	if err != nil {
		s.Fatal(err)
	}
}

// kill is SIGKILL: nothing is written any more.
func (s *server) kill() {
	_ = s.command.Process.Kill()
	_ = s.command.Wait()
}

type peerTable struct {
	Channels []struct{ Labels, Properties map[string]any }
	Rows     [][]any
}

func (s *server) read(match string) (table peerTable, err error) {
	r, err := http.NewRequest("GET", "http://"+s.listen+"/api/v1/table?"+url.Values{"match": {match}}.Encode(), nil)
	if err != nil {
		return table, err
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return table, err
	}
	defer answer.Body.Close()
	return table, json.NewDecoder(answer.Body).Decode(&table)
}
