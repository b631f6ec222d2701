package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	seed    uint64
	program string
	data    string
	token   string
	admin   string // an administrator's token
	random  *rand.Rand
	clients []*killedClient
	reborn  []*reborn
	aging   []*aging
	bulk    bulkWriter
	server  *process // the last one
	failing sync.Once
	clock   time.Time // of the next process, always later
}

// TestKilledServers kills the server at random moments under clients that
// write, correct, delete and read, change alarms, rules of retention and quotas,
// and delete channels and tenants; and now and then a compaction of its folder
// or a server that is still starting. After each restart every acknowledged row
// and deletion is there, every event once, and what was not acknowledged is
// there wholly or not at all. What a failure leaves is kept, with the program:
// its message says where.
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
	d := &drill{t: t, seed: seed, random: rand.New(rand.NewPCG(seed, 0)), clock: time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)}
	d.prepare()
	clock := d.clock.Format(time.RFC3339) // rows expire by the latest time that was ever shown
	d.token, d.admin = newToken(t, d.data, "--clock", clock, "--tenant", "t"), newToken(t, d.data, "--clock", clock, "--admin")
	for i := range rebornTenants {
		d.reborn = append(d.reborn, newReborn(i, seed))
	}
	for i := range agingTenants {
		d.aging = append(d.aging, newAging(i, seed))
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

// prepare makes a folder for the program and its data, which stays if the test
// fails. The environment may name another program, such as one of before.
func (d *drill) prepare() {
	d.t.Helper()
	name := os.Getenv("HOKAN_PROGRAM")
	if name == "" {
		var err error
		if name, err = program(); err != nil {
			d.t.Fatal(err)
		}
	}
	folder, err := os.MkdirTemp("", "hokan-killed-")
	if err != nil {
		d.t.Fatal(err)
	}
	d.program, d.data = filepath.Join(folder, "hokan"), filepath.Join(folder, "d")
	d.t.Cleanup(func() {
		if d.t.Failed() {
			d.t.Logf("HOKAN_SEED=%d: the data and the program are kept in %s", d.seed, folder)
		} else if err := os.RemoveAll(folder); err != nil {
			d.t.Error(err)
		}
	})
	binary, err := os.ReadFile(name)
	if err == nil {
		err = os.WriteFile(d.program, binary, 0o755)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// serve starts a server, some hours after the one before, at a full hour.
func (d *drill) serve() (*process, string) {
	d.t.Helper()
	d.clock = d.clock.Add(time.Duration(1+d.random.IntN(12)) * time.Hour)
	command := exec.Command(d.program, "serve", "--data", d.data, "--listen", "127.0.0.1:0", "--clock", d.clock.Format(time.RFC3339))
	p := startCommand(d.t, command).launched(d.t)
	d.server = p
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
	for _, a := range d.aging {
		if err := a.connect(address, d.admin, d.clock.UnixMilli()); err != nil {
			d.t.Fatal(err)
		}
	}
	return p, address
}

// report fails the test, with what is needed to look into it: the server is
// killed before it changes what it has.
func (d *drill) report(what string, err error) {
	if err == nil {
		return
	}
	d.failing.Do(func() { // what others meet then follows from it
		d.server.command.Process.Kill()
		log := filepath.Join(filepath.Dir(d.data), "server.log")
		err = errors.Join(err, os.WriteFile(log, []byte(fmt.Sprint(d.server.stderr)), 0o600))
		d.t.Errorf("HOKAN_SEED=%d, clock %s: %s: %v\nwhat the server said: %s", d.seed, d.clock.Format(time.RFC3339), what, err, log)
	})
}

// each lets every client do something at once.
func (d *drill) each(what string, do func(*killedClient) error) {
	d.t.Helper()
	var clients sync.WaitGroup
	for _, k := range d.clients {
		clients.Go(func() { d.report(what, do(k)) })
	}
	clients.Wait()
	if d.t.Failed() {
		d.t.FailNow()
	}
}

// check compares all that the server has.
func (d *drill) check(address string) {
	d.t.Helper()
	var others sync.WaitGroup
	others.Go(func() { d.report("after a restart", d.bulk.check(address, d.token)) })
	for _, r := range d.reborn {
		others.Go(func() { d.report("after a restart", r.check(d.data)) })
	}
	for _, a := range d.aging {
		others.Go(func() { d.report("after a restart", a.check()) })
	}
	others.Wait()
	d.each("after a restart", (*killedClient).check)
}

// round checks what the kill before left, and works until the next one.
func (d *drill) round(round int) {
	d.t.Helper()
	p, address := d.serve()
	if round == 0 {
		d.each("watch", (*killedClient).watch)
	}
	d.check(address)
	killed := time.AfterFunc(time.Duration(20+d.random.IntN(900))*time.Millisecond, func() { p.command.Process.Kill() })
	defer killed.Stop()
	var others sync.WaitGroup
	others.Go(func() { d.report("at work", d.bulk.write(address, d.token)) })
	others.Go(func() { d.report("at work", roam(address, d.token)) })
	for _, r := range d.reborn {
		others.Go(func() { d.report("at work", r.work()) })
	}
	for _, a := range d.aging {
		others.Go(func() { d.report("at work", a.work()) })
	}
	d.each("at work", (*killedClient).work)
	others.Wait()
	p.command.Wait()
	d.count(round)
	switch d.random.IntN(3) {
	case 0:
		d.interrupt("compact")
	case 1:
		d.interrupt("serve", "--listen", "127.0.0.1:0") // while it recovers
	}
	if r := hokan("verify", "--data", d.data); r.code != 0 {
		d.t.Fatalf("HOKAN_SEED=%d: verify: exit %d\n%s%s", d.seed, r.code, r.stdout, r.stderr)
	}
}

// count tells what was done, and fails where a kind of work is never done.
func (d *drill) count(round int) {
	d.t.Helper()
	if d.t.Failed() {
		d.t.FailNow()
	}
	sent, rows, deletes, events := 0, 0, 0, 0
	add := func(k *killedClient) {
		sent += k.sent
		deletes += k.deleted
		for _, c := range k.channels {
			rows += len(c.rows)
			for _, a := range append(slices.Clone(c.past), c.alarm) {
				events += len(a.events)
			}
		}
	}
	for _, k := range d.clients {
		add(k)
	}
	again, ruled, kept := 0, 0, 0
	for _, r := range d.reborn {
		add(&r.killedClient)
		again += r.deletes
	}
	for _, a := range d.aging {
		add(&a.killedClient)
		ruled += a.ruled
		kept += a.kept
	}
	if sent > 1000 && (deletes == 0 || ruled == 0 || kept == 0) {
		d.t.Errorf("%d requests, with %d deletions, %d agreements and %d refusals", sent, deletes, ruled, kept)
	}
	d.t.Logf("killed %d: %d requests, %d of them deletions, %d of tenants, %d of rules and quotas, %d refused; %d rows, %d events, and %d rows in bulk",
		round+1, sent, deletes, again, ruled, kept, rows, events, d.bulk.acknowledged)
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
		if hasCode(err, "no_channel") {
			continue
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
		if _, err := c.View(context.Background(), api.ViewRequest{Selection: everything}); err != nil && !isGone(err) && !hasCode(err, "no_channel") {
			return fmt.Errorf("view of all: %w", err)
		}
	}
}
