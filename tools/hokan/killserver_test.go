package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/client"
)

// program builds the program, once for all tests that kill it.
var program = sync.OnceValues(func() (string, error) {
	name := filepath.Join(scratch, "hokan")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", name, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return name, nil
})

// scratch is a folder that is removed when all tests are done.
var scratch string

// drill kills a server again and again on one folder.
type drill struct {
	t       *testing.T
	program string
	data    string
	token   string
	admin   string // an administrator's token
	deletes bool   // the server has them
	random  *rand.Rand
	clients []*killedClient
	reborn  []*reborn
	bulk    bulkWriter
	clock   time.Time // of the next process, always later
}

// TestKilledServers kills the server at random moments under clients that
// write, correct, delete and read, with an alarm on every channel, and now and
// then a compaction of its folder or a server that is still starting. After each restart every acknowledged
// row and deletion is there, every event once, and what was not acknowledged
// is there wholly or not at all.
func TestKilledServers(t *testing.T) {
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	if os.Getenv("HOKAN_LONG") != "" {
		rounds = 100
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("HOKAN_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("HOKAN_SEED=%d", seed)
	name, err := program()
	if err != nil {
		t.Fatal(err)
	}
	d := &drill{
		t: t, program: name, data: filepath.Join(t.TempDir(), "d"), random: rand.New(rand.NewPCG(seed, 0)),
		clock: time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC),
	}
	d.token, d.admin = newToken(t, d.data, "--tenant", "t"), newToken(t, d.data, "--admin")
	for i := range rebornTenants {
		d.reborn = append(d.reborn, newReborn(i, seed))
	}
	for i := range killedClients {
		d.clients = append(d.clients, newKilledClient(i, seed))
	}
	for round := range rounds {
		d.round(round)
	}
	p, address := d.serve()
	d.check(address)
	p.stop(t, syscall.SIGTERM)
}

// serve starts a server, some hours after the one before.
func (d *drill) serve() (*process, string) {
	d.t.Helper()
	d.clock = d.clock.Add(time.Duration(d.random.Int64N(int64(12 * time.Hour))))
	command := exec.Command(d.program, "serve", "--data", d.data, "--listen", "127.0.0.1:0", "--clock", d.clock.Format(time.RFC3339))
	p := startCommand(d.t, command).launched(d.t)
	address := strings.TrimSuffix(p.first, "/")
	for _, k := range d.clients {
		if err := k.connect(address, d.token, d.clock.UnixMilli()); err != nil {
			d.t.Fatal(err)
		}
	}
	for _, r := range d.reborn {
		if err := r.connect(address, d.admin, d.clock.UnixMilli()); err != nil {
			d.t.Fatal(err)
		}
	}
	return p, address
}

// each lets every client do something at once.
func (d *drill) each(what string, do func(*killedClient) error) {
	d.t.Helper()
	var clients sync.WaitGroup
	for _, k := range d.clients {
		clients.Go(func() {
			if err := do(k); err != nil {
				d.t.Errorf("%s: %v", what, err)
			}
		})
	}
	clients.Wait()
	if d.t.Failed() {
		d.t.FailNow()
	}
}

// check compares all that the server has.
func (d *drill) check(address string) {
	d.t.Helper()
	d.each("after a restart", (*killedClient).check)
	if err := d.bulk.check(address, d.token); err != nil {
		d.t.Fatal(err)
	}
	for _, r := range d.reborn {
		if err := r.check(d.data); err != nil {
			d.t.Fatal(err)
		}
	}
}

// round checks what the kill before left, and works until the next one.
func (d *drill) round(round int) {
	d.t.Helper()
	p, address := d.serve()
	if round == 0 {
		d.deletes = hasDeletes(d.t, address)
		d.each("watch", (*killedClient).watch)
	}
	d.check(address)
	killed := time.AfterFunc(time.Duration(20+d.random.IntN(900))*time.Millisecond, func() { p.command.Process.Kill() })
	defer killed.Stop()
	var others sync.WaitGroup
	others.Go(func() { d.report(d.bulk.write(address, d.token)) })
	others.Go(func() { d.report(roam(address, d.token)) })
	for _, r := range d.reborn {
		others.Go(func() { d.report(r.work()) })
	}
	d.each("at work", func(k *killedClient) error { return k.work(d.deletes) })
	others.Wait()
	p.command.Wait()
	sent, rows, deletes := 0, 0, 0
	for _, k := range d.clients {
		sent += k.sent
		deletes += k.deleted
		for _, c := range k.channels {
			rows += len(c.rows)
		}
	}
	again := 0
	for _, r := range d.reborn {
		sent += r.sent
		deletes += r.deleted
		again += r.deletes
	}
	if deletes == 0 && sent > 1000 {
		d.t.Errorf("%d requests, and none deleted anything", sent)
	}
	d.t.Logf("killed %d: %d requests, %d of them deletions, %d of tenants, %d rows, and %d in bulk",
		round+1, sent, deletes, again, rows, d.bulk.acknowledged)
	switch d.random.IntN(3) {
	case 0:
		d.interrupt("compact")
	case 1:
		d.interrupt("serve", "--listen", "127.0.0.1:0") // while it recovers
	}
	if r := hokan("verify", "--data", d.data); r.code != 0 {
		d.t.Fatalf("verify: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

func (d *drill) report(err error) {
	if err != nil {
		d.t.Error(err)
	}
}

// interrupt runs a command on the folder and kills it, if it is not done by
// then.
func (d *drill) interrupt(args ...string) {
	d.t.Helper()
	command := exec.Command(d.program, append(args, "--data", d.data, "--clock", d.clock.Format(time.RFC3339))...)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	if err := command.Start(); err != nil {
		d.t.Fatal(err)
	}
	killer := time.AfterFunc(time.Duration(d.random.IntN(300))*time.Millisecond, func() { command.Process.Kill() })
	defer killer.Stop()
	err := command.Wait()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != -1) {
		d.t.Fatalf("%q: %v: %s", args, err, &out)
	}
}

// hasDeletes reports whether the server's API deletes samples.
func hasDeletes(t *testing.T, address string) bool {
	t.Helper()
	answer, err := http.Get(address + "/api/v1/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var document struct {
		Paths map[string]map[string]any
	}
	if err := json.NewDecoder(answer.Body).Decode(&document); err != nil {
		t.Fatal(err)
	}
	return document.Paths["/api/v1/samples"]["delete"] != nil
}

// bulkWriter writes one channel in requests that take several log entries:
// of one that was not acknowledged the first rows may be there.
type bulkWriter struct {
	acknowledged, sent int
}

const (
	bulkRows     = 100_000
	bulkRequests = 4 // to one server
)

func bulkValue(n int) float64 { return float64(n*7919%100_003) / 16 }

// write writes some requests, unless the server is gone before. Row n is at n ms.
func (w *bulkWriter) write(address, token string) error {
	c, err := client.New(address, token)
	if err != nil {
		return err
	}
	defer c.Close()
	for range bulkRequests {
		column := model.Column{Labels: killedLabels("bulk", "0"), Times: make([]int64, bulkRows), Values: make([]float64, bulkRows)}
		for i := range column.Times {
			column.Times[i], column.Values[i] = int64(w.acknowledged+i)*1e6, bulkValue(w.acknowledged+i)
		}
		w.sent = w.acknowledged + bulkRows
		body, err := c.Write(context.Background(), &model.Batch{Columns: []model.Column{column}})
		if isGone(err) {
			return nil
		}
		if err != nil || body.Accepted != bulkRows {
			return fmt.Errorf("bulk: accepted %+v: %w", body, err)
		}
		w.acknowledged += bulkRows
	}
	return nil
}

// check compares the rows bucket by bucket, and goes on after the last.
func (w *bulkWriter) check(address, token string) error {
	if w.sent == 0 {
		return nil
	}
	c, err := client.New(address, token)
	if err != nil {
		return err
	}
	defer c.Close()
	view, err := c.View(context.Background(), api.ViewRequest{
		Selection: api.Selection{Match: `{instrument="bulk"}`, From: "0", To: fmt.Sprint(int64(w.sent) * 1e6)}, Buckets: 100, Fields: "count,sum,first,last"})
	if err != nil && w.acknowledged == 0 && strings.HasPrefix(err.Error(), "no_channel") {
		return nil
	}
	if err != nil {
		return err
	}
	n := 0
	for i, count := range view.Channels[0].Count {
		first, sum := n, 0.0
		for range count {
			sum += bulkValue(n)
			n++
		}
		got := view.Channels[0]
		if count > 0 && (got.First[i].Number != bulkValue(first) || got.Last[i].Number != bulkValue(n-1) || got.Sum[i].Number != sum ||
			view.From+int64(i)*view.Width != int64(first)) {
			return fmt.Errorf("bulk: bucket %d with %d rows is wrong: it should begin with row %d", i, count, first)
		}
	}
	if n < w.acknowledged || n > w.sent {
		return fmt.Errorf("bulk: %d rows, %d were acknowledged and %d sent", n, w.acknowledged, w.sent)
	}
	w.acknowledged, w.sent = n, n
	return nil
}

// roam reads all channels until the server is gone: no value may be another
// channel's.
func roam(address, token string) error {
	c, err := client.New(address, token)
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		latest, err := c.Latest(context.Background(), api.Selection{Match: `{instrument!="bulk"}`})
		if isGone(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("latest of all: %w", err)
		}
		for i, got := range latest.Channels {
			var client, channel int
			if _, err := fmt.Sscanf(got.Labels.Instrument()+" "+got.Labels.Channel(), "i%d %d", &client, &channel); err != nil {
				return err
			}
			if got.Time != nil && !ownValue(client*clientChannels+channel, got.Value.Number) {
				return fmt.Errorf("latest %d: %s has %v, which is not its own", i, got.Labels, got.Value)
			}
		}
		everything := api.Selection{Match: `{channel="0"}`, From: "0", To: "4000000000000000000"}
		if _, err := c.View(context.Background(), api.ViewRequest{Selection: everything}); err != nil && !isGone(err) {
			return fmt.Errorf("view of all: %w", err)
		}
	}
}
