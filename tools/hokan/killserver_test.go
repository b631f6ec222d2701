package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/client"
)

// writer writes one channel, row by row of time, through as many servers as it
// takes. Row n is at n milliseconds; its value is n or -n, by turns of seven,
// so that an alarm above 0 goes off and ends again and again.
type writer struct {
	name  string
	acked int // rows that a server said are durable: 0 to acked-1
	sent  int // rows that may be there
}

const killedBatch = 10

func killedValue(n int) float64 {
	if n/7%2 == 0 {
		return -float64(n)
	}
	return float64(n)
}

func (w *writer) labels(t *testing.T) model.Labels {
	labels, err := model.NewLabels(model.Label{Name: "instrument", Value: "i"}, model.Label{Name: "channel", Value: w.name})
	if err != nil {
		t.Error(err)
	}
	return labels
}

// write writes until the server is gone. What was not acknowledged is written
// again by the next call.
func (w *writer) write(t *testing.T, address, token string) {
	c, err := client.New(address, token)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	labels := w.labels(t)
	for {
		times, values := make([]int64, killedBatch), make([]float64, killedBatch)
		for i := range times {
			times[i], values[i] = int64(w.acked+i)*int64(time.Millisecond), killedValue(w.acked+i)
		}
		w.sent = w.acked + killedBatch
		body, err := c.Write(context.Background(), &model.Batch{Columns: []model.Column{{Labels: labels, Times: times, Values: values}}})
		if err != nil {
			return
		}
		if body.Accepted != killedBatch {
			t.Errorf("accepted %d of %d: %+v", body.Accepted, killedBatch, body)
			return
		}
		w.acked += killedBatch
	}
}

// TestKilledServers kills the server under eight clients that write, again and
// again on one folder: every row that was acknowledged is there, and every
// event once.
func TestKilledServers(t *testing.T) {
	rounds := 4
	if os.Getenv("HOKAN_LONG") != "" {
		rounds = 20
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	data := filepath.Join(t.TempDir(), "d")
	token := newToken(t, data, "--tenant", "t")
	writers := make([]*writer, 8)
	for i := range writers {
		writers[i] = &writer{name: fmt.Sprint(i)}
	}
	for round := range rounds {
		p, address := serveFolder(t, data)
		if round == 0 {
			watch(t, address, token, writers)
		}
		var writing sync.WaitGroup
		for _, w := range writers {
			writing.Go(func() { w.write(t, address, token) })
		}
		killed := time.AfterFunc(time.Duration(50+random.IntN(350))*time.Millisecond, func() { p.command.Process.Kill() })
		writing.Wait()
		killed.Stop()
		p.command.Process.Kill()
		p.command.Wait()
		if t.Failed() {
			t.FailNow()
		}
		total := 0
		for _, w := range writers {
			total += w.acked
		}
		t.Logf("killed %d: %d rows acknowledged", round+1, total)
	}
	if r := hokan("verify", "--data", data); r.code != 0 {
		t.Fatalf("verify: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	p, address := serveFolder(t, data)
	c, err := client.New(address, token)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range writers {
		rows := w.check(t, c)
		w.checkEvents(t, c, rows)
	}
	c.Close()
	p.stop(t, syscall.SIGTERM)
}

// watch writes a first row of every channel and sets an alarm on it.
func watch(t *testing.T, address, token string, writers []*writer) {
	t.Helper()
	c, err := client.New(address, token)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, w := range writers {
		labels := w.labels(t)
		_, err := c.Write(t.Context(), &model.Batch{Columns: []model.Column{{Labels: labels, Times: []int64{0}, Values: []float64{killedValue(0)}}}})
		if err != nil {
			t.Fatal(err)
		}
		w.acked, w.sent = 1, 1
		above := 0.0
		if _, err := c.CreateAlarm(t.Context(), api.AlarmRequest{Name: w.name, Match: labels.String(), Operator: ">", Threshold: &above}, ""); err != nil {
			t.Fatal(err)
		}
	}
}

// check reads every row of the writer's channel and returns how many there are.
func (w *writer) check(t *testing.T, c *client.Client) (rows int) {
	t.Helper()
	request := api.TableRequest{Selection: api.Selection{Match: w.labels(t).String()}, Limit: 10000}
	for {
		page, err := c.Table(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		for i, at := range page.Times {
			if got := page.Rows.Row(i)[0]; at != int64(rows) || !got.Known || got.Number != killedValue(rows) {
				t.Fatalf("channel %s, row %d: %d %v", w.name, rows, at, got)
			}
			rows++
		}
		if page.Next == nil {
			break
		}
		request.After = *page.Next
	}
	if rows < w.acked || rows > w.sent {
		t.Fatalf("channel %s has %d rows, %d were acknowledged and %d sent", w.name, rows, w.acked, w.sent)
	}
	return rows
}

// checkEvents holds the events of the writer's alarm to the rows.
func (w *writer) checkEvents(t *testing.T, c *client.Client, rows int) {
	t.Helper()
	alarms, err := c.Alarms(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	request := api.EventsRequest{Limit: 10000}
	for i := range alarms.Alarms {
		if alarms.Alarms[i].Name == w.name {
			request.Alarm = alarms.Alarms[i].ID
		}
	}
	seen, next := map[string]bool{}, 7 // the first row above 0
	for {
		page, err := c.Events(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			kind := "start"
			if next/7%2 == 0 {
				kind = "end"
			}
			if seen[e.ID] || e.Kind != kind || e.Time != int64(next) || e.Value.Number != killedValue(next) {
				t.Fatalf("channel %s: event %+v, want the %s at row %d, once", w.name, e, kind, next)
			}
			seen[e.ID] = true
			next += 7
		}
		if page.Next == nil {
			break
		}
		request.After = *page.Next
	}
	if next < rows {
		t.Fatalf("channel %s: no event at row %d of %d", w.name, next, rows)
	}
}
