//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/api"
)

const (
	smallDisk    = 48 << 20
	ballastBytes = 16 << 20 // a file of somebody else, removed to make room
	resumeWithin = 30 * time.Second
)

// mountSmallDisk gives the test a file system of its own.
func mountSmallDisk(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may mount a small file system")
	}
	dir := t.TempDir()
	if err := syscall.Mount("hokan-test", dir, "tmpfs", 0, fmt.Sprint("size=", smallDisk)); err != nil {
		t.Skipf("this machine mounts no small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestFullDisk fills a small disk under a server: writes are refused, reads
// and deletions go on, also after a restart; with room again, so does writing.
// Nothing that was acknowledged is lost.
func TestFullDisk(t *testing.T) {
	disk := mountSmallDisk(t)
	name, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, ballastBytes), 0o600); err != nil {
		t.Fatal(err)
	}
	d := &drill{t: t, program: name, data: filepath.Join(disk, "d"), random: rand.New(rand.NewPCG(1, 1)),
		clock: time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC)}
	d.token = newToken(t, d.data, "--tenant", "t")
	d.clients = []*killedClient{newKilledClient(0, 1)}
	k := d.clients[0]
	p, _ := d.serve()
	d.each("watch", (*killedClient).watch)
	for range 50 {
		k.mustDo(t, k.next())
	}
	filler := &fillWriter{}
	filler.fill(t, k)

	d.each("reading on a full disk", (*killedClient).check)
	for range 3 {
		full := k.write("rows", k.afterLast)
		refusedAsFull(t, full.send(full))
	}
	k.mustDo(t, k.delete(k.channels[0]))
	p.command.Process.Kill()
	p.command.Wait()
	p, _ = d.serve()
	d.each("reading on a full disk after a restart", (*killedClient).check)
	filler.check(t, k)
	filler.fill(t, k) // opening may have made room
	full := k.write("rows", k.afterLast)
	refusedAsFull(t, full.send(full))

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	k.resume(t)
	for range 50 {
		k.mustDo(t, k.next())
	}
	p.command.Process.Kill()
	p.command.Wait()
	p, _ = d.serve()
	d.each("after there was room again", (*killedClient).check)
	filler.check(t, k)
	p.stop(t, syscall.SIGTERM)
	if r := hokan("verify", "--data", d.data); r.code != 0 {
		t.Fatalf("verify: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// mustDo sends a request that must succeed.
func (k *killedClient) mustDo(t *testing.T, o *operation) {
	t.Helper()
	if err := k.do(o); err != nil {
		t.Fatal(err)
	}
}

// resume writes until it may.
func (k *killedClient) resume(t *testing.T) {
	t.Helper()
	o := k.write("rows", k.afterLast)
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for until := time.Now().Add(resumeWithin); ; <-retry.C {
		err := o.send(o)
		if err == nil {
			o.apply(k.channels)
			return
		}
		if refusedAsFull(t, err); time.Now().After(until) {
			t.Fatalf("there is room, and after %v it says: %v", resumeWithin, err)
		}
	}
}

func refusedAsFull(t *testing.T, err error) {
	t.Helper()
	if err == nil || api.AsError(err).Code != "disk_full" {
		t.Fatalf("a write on a full disk: %v, want disk_full", err)
	}
}

// fillWriter writes rows that hardly become smaller until the disk is full.
type fillWriter struct{ rows int }

const fillRows = 2000 // of a request: one entry of the log

func fillValue(n int) float64 {
	return rand.New(rand.NewPCG(uint64(n), 0)).Float64()
}

// fill writes until the disk stays full: what the server does meanwhile, such
// as a flush that finds no room and is undone, may give some back.
func (w *fillWriter) fill(t *testing.T, k *killedClient) {
	t.Helper()
	retry := time.NewTicker(100 * time.Millisecond)
	defer retry.Stop()
	for refused := 0; refused < 25; {
		column := model.Column{Labels: killedLabels("filler", "0"), Times: make([]int64, fillRows), Values: make([]float64, fillRows)}
		for i := range column.Times {
			column.Times[i], column.Values[i] = int64(w.rows+i)*1e6, fillValue(w.rows+i)
		}
		if _, err := k.client.Write(context.Background(), &model.Batch{Columns: []model.Column{column}}); err != nil {
			refusedAsFull(t, err)
			refused++
			<-retry.C
			continue
		}
		refused = 0
		w.rows += fillRows
	}
	t.Logf("full after %d rows", w.rows)
}

// check compares the rows bucket by bucket.
func (w *fillWriter) check(t *testing.T, k *killedClient) {
	t.Helper()
	view, err := k.client.View(context.Background(), api.ViewRequest{Selection: api.Selection{
		Match: killedLabels("filler", "0").String(), From: "0", To: fmt.Sprint(int64(w.rows) * 1e6)}, Buckets: 1000})
	if err != nil {
		t.Fatal(err)
	}
	got, n := view.Channels[0], 0
	for i, count := range got.Count {
		first, least, most := n, 1.0, 0.0
		for range count {
			v := fillValue(n)
			least, most = min(least, v), max(most, v)
			n++
		}
		if count > 0 && (got.First[i].Number != fillValue(first) || got.Last[i].Number != fillValue(n-1) || got.Min[i].Number != least || got.Max[i].Number != most) {
			t.Fatalf("bucket %d is not that of %d rows from row %d on", i, count, first)
		}
	}
	if n != w.rows {
		t.Fatalf("%d rows, want %d", n, w.rows)
	}
}
