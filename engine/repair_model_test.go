package engine

import (
	"context"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// The models lose a part of the database, repair what is left, and go on: every
// answer is as before but for what the report says cannot be known.

// repair loses the catalog, a file of it or a checkpoint.
func (m *machine) repair(t *rapid.T) {
	m.release()
	m.must(m.db.Close())
	what := rapid.SampledFrom([]string{disk.CatalogDir, disk.CatalogDir + " file", disk.CheckpointsDir}).Draw(t, "lost")
	lost := loseSome(t, m.fs, m.options.Dir, what)
	report := m.runRepair()
	t.Logf("%s was lost: %+v", lost, report)
	m.open()
	var unsure []model.Tenant // whose state the log's entries are not told upon as they were
	if p, _, _, ok := disk.ParseCheckpointName(lost); ok && len(report.Unknown) > 0 {
		for _, name := range machineTenants {
			if name.Partition() == p {
				m.adopt(name)
				unsure = append(unsure, name)
			}
		}
	}
	m.adoptEvents(report, unsure)
}

func (m *machine) runRepair() RepairReport {
	report, err := repairAndVerify(m.options)
	if err != nil {
		m.t.Fatalf("%v: %+v", err, report)
	}
	return report
}

// loseSome removes a folder or damages one file in it, whose name it returns.
func loseSome(t *rapid.T, fs *vfs.MemFS, dir, what string) string {
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	folder, inFolder := strings.CutSuffix(what, " file")
	folder = path.Join(dir, folder)
	if !inFolder && what == disk.CatalogDir {
		must(fs.RemoveAll(folder))
		return what
	}
	names, err := fs.List(folder)
	must(err)
	slices.Sort(names)
	if len(names) == 0 {
		return ""
	}
	name := path.Join(folder, rapid.SampledFrom(names).Draw(t, "file"))
	file, err := fs.Open(name)
	must(err)
	b, err := io.ReadAll(file)
	must(err)
	must(file.Close())
	if rapid.Bool().Draw(t, "all of it") || len(b) == 0 {
		must(fs.Remove(name))
	} else {
		b[rapid.IntRange(0, len(b)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		must(disk.WriteAtomic(fs, name, b))
	}
	return strings.TrimPrefix(name, dir+"/")
}

// repairAndVerify repairs; what is left is then without a fault beside what was
// set aside.
func repairAndVerify(o Options) (RepairReport, error) {
	report, err := Repair(context.Background(), o)
	if err != nil {
		return report, err
	}
	err = Verify(context.Background(), o, func(f Fault) {
		if !strings.Contains(f.What, "set aside") {
			err = fmt.Errorf("fault after repair: %v", f)
		}
	}, func(string) {})
	return report, err
}

// adopt takes over what is left of a tenant whose checkpoint was lost: nothing
// that was not there before.
func (m *machine) adopt(name model.Tenant) {
	n, ctx := m.tenants[name], context.Background()
	m.expire()
	if !m.db.HasTenant(name) {
		delete(m.tenants, name)
		return
	}
	channels, err := m.db.Channels(ctx, name, nil)
	m.must(err)
	if n == nil {
		m.t.Fatalf("the deleted tenant %s is back", name)
	}
	before := n.rows
	n.rows, n.order, n.floors = map[string]map[int64]uint64{}, nil, map[string]int64{}
	for _, c := range channels {
		channel := c.Labels.Channel()
		if before[channel] == nil {
			m.t.Fatalf("the deleted channel %s of %s is back", channel, name)
		}
		rows := n.channel(channel)
		if floors, ok := pinnedOf(m.db, name, c.ID); ok {
			n.floors[channel] = floors[model.StepRaw]
		}
		s, err := m.db.Select(ctx, name, []model.ChannelID{c.ID}, model.AllTime())
		m.must(err)
		readBits(m.t, s, rows)
		s.Close()
		for at := range rows {
			if _, had := before[channel][at]; !had {
				m.t.Fatalf("the deleted row at %d of %s of %s is back", at, channel, name)
			}
		}
	}
	n.rules, err = m.db.Retention(name)
	m.must(err)
	alarms, err := m.db.Alarms(name)
	m.must(err)
	for _, a := range alarms {
		m.must(m.db.DeleteAlarm(ctx, name, a.ID))
	}
	n.alarms = nil
	for id := range n.answers { // what is kept of them stays as it was
		if claim, _, err := m.db.ClaimRequest(name, id); err == nil && claim != nil {
			claim.Release()
			delete(n.answers, id)
		}
	}
}

func readBits(t *rapid.T, s *Selection, into map[int64]uint64) {
	for c := s.Cursor(0); ; {
		times, values, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		if len(times) == 0 {
			return
		}
		for i, at := range times {
			into[at] = math.Float64bits(values[i])
		}
	}
}

// adoptEvents takes over the events that are left: all but those that the report
// says are lost. Where an entry came upon another state than it did, its events
// may be others too.
func (m *machine) adoptEvents(report RepairReport, unsure []model.Tenant) {
	known := uint64(0)
	for _, item := range report.Unknown {
		_, _ = fmt.Sscanf(item.What, "alarm events of before entry %d:", &known)
	}
	for name, n := range m.tenants {
		got := m.events(name)
		had := slices.Concat(n.events, n.lost)
		for _, e := range got {
			if !slices.Contains(had, e) && !slices.Contains(unsure, name) {
				m.t.Fatalf("%s has the event %v, want one of %v", name, e, had)
			}
		}
		for _, e := range n.events {
			if e.entry >= known && !slices.Contains(got, e) {
				m.t.Fatalf("%s has lost the event %v; only those of before entry %d may be", name, e, known)
			}
		}
		// Where a checkpoint is lost later, the log may tell them again.
		n.events, n.lost = got, slices.DeleteFunc(had, func(e naiveEvent) bool { return slices.Contains(got, e) })
	}
}

// repair loses the catalog.
func (m *remover) repair(t *rapid.T) {
	m.must(m.db.Close())
	m.now.Store(m.time())
	loseSome(t, m.fs, m.options.Dir, disk.CatalogDir)
	report, err := repairAndVerify(m.options)
	if err != nil {
		m.t.Fatalf("%v: %+v", err, report)
	}
	m.open()
}

// pinnedOf returns the floors of rules that hold no longer for a channel.
func pinnedOf(db *DB, name model.Tenant, id model.ChannelID) (policy.Floors, bool) {
	t := db.tenants[name]
	t.mu.RLock()
	defer t.mu.RUnlock()
	floors, ok := t.pinned[id]
	return floors, ok
}
