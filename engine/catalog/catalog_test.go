package catalog

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

const dir = "data/catalog"

func open(t testing.TB, files vfs.FS) *Catalog {
	t.Helper()
	c, err := Open(files, dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func closeCatalog(t testing.TB, c *Catalog) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// metas returns n blocks, numbered from first, in the order of their names.
func metas(tenant model.Tenant, first, n int) []block.Meta {
	var list []block.Meta
	for i := first; i < first+n; i++ {
		from := int64(i) * model.Day
		name := disk.BlockName{Tenant: tenant, Level: block.Level, First: from, Last: from + model.Day - 1,
			FirstOffset: uint64(i) * 10, LastOffset: uint64(i)*10 + 9, Epoch: 1}
		list = append(list, block.Meta{Name: name.String(), Rows: uint64(i) + 100, Bytes: 1 << 20, Channels: 8,
			First: name.First, Last: name.Last, FirstOffset: name.FirstOffset, LastOffset: name.LastOffset, Epoch: 1})
	}
	return list
}

// TestRecords commits each kind of record, and reads it in the same process
// and after opening again.
func TestRecords(t *testing.T) {
	files := vfs.NewMem()
	c := open(t, files)
	identity := Identity{Format: 3, ID: [16]byte{1, 2, 3}, Epoch: 1}
	partition := PartitionRecord{Revision: 1, Epoch: 1, Offset: math.MaxUint64, Checkpoint: "checkpoints/x"}
	log := LogRecord{Revision: 1, TrimmedTo: 7, Durable: 9}
	manifest := Manifest{Revision: 1, Epoch: 1, FlushedTo: 42, Blocks: metas("a", 0, 3)}
	other := Manifest{Revision: 1, Epoch: 1, FlushedTo: 1}

	empty := func(got, zero any, err error) {
		t.Helper()
		if err != nil || !reflect.DeepEqual(got, zero) {
			t.Fatalf("an absent record is %+v, %v; want its zero value", got, err)
		}
	}
	gotIdentity, err := c.LoadIdentity()
	empty(gotIdentity, Identity{}, err)
	gotPartition, err := c.LoadPartition(63)
	empty(gotPartition, PartitionRecord{}, err)
	gotLog, err := c.LoadLog()
	empty(gotLog, LogRecord{}, err)
	gotManifest, err := c.LoadManifest("a")
	empty(gotManifest, Manifest{}, err)

	must(t, c.Commit(PutIdentity(identity), PutPartition(63, partition), PutLog(log),
		PutManifest("a", manifest), PutManifest("a.b", other)))
	for range 2 {
		same := func(got, want any, err error) {
			t.Helper()
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("got %+v, %v; want %+v", got, err, want)
			}
		}
		gotIdentity, err := c.LoadIdentity()
		same(gotIdentity, identity, err)
		gotPartition, err := c.LoadPartition(63)
		same(gotPartition, partition, err)
		gotLog, err := c.LoadLog()
		same(gotLog, log, err)
		gotManifest, err := c.LoadManifest("a")
		same(gotManifest, manifest, err)
		seen := map[model.Tenant]Manifest{}
		must(t, c.Manifests(func(tenant model.Tenant, m Manifest) error { seen[tenant] = m; return nil }))
		same(seen, map[model.Tenant]Manifest{"a": manifest, "a.b": other}, nil)
		closeCatalog(t, c)
		c = open(t, files)
	}
	closeCatalog(t, c)
}

// TestConflict checks that a revision must follow the stored one, and that a
// refused commit changes nothing.
func TestConflict(t *testing.T) {
	c := open(t, vfs.NewMem())
	defer closeCatalog(t, c)
	must(t, c.Commit(PutLog(LogRecord{Revision: 1}), PutIdentity(Identity{Epoch: 1})))
	for name, changes := range map[string][]Change{
		"repeated":      {PutLog(LogRecord{Revision: 1})},
		"skipped":       {PutLog(LogRecord{Revision: 3})},
		"partition":     {PutPartition(1, PartitionRecord{Revision: 2})},
		"manifest":      {PutManifest("a", Manifest{Revision: 2})},
		"twice":         {PutLog(LogRecord{Revision: 2}), PutLog(LogRecord{Revision: 2})},
		"second of two": {PutPartition(2, PartitionRecord{Revision: 1}), PutLog(LogRecord{Revision: 9})},
		"same epoch":    {PutIdentity(Identity{Epoch: 1})},
		"other ID":      {PutIdentity(Identity{Epoch: 2, ID: [16]byte{1}})},
	} {
		if err := c.Commit(changes...); !errors.Is(err, ErrConflict) {
			t.Errorf("%s: got %v, want ErrConflict", name, err)
		}
	}
	if p, err := c.LoadPartition(2); err != nil || p.Revision != 0 {
		t.Errorf("a refused commit left partition record %+v, %v", p, err)
	}
	must(t, c.Commit(PutLog(LogRecord{Revision: 2}), PutLog(LogRecord{Revision: 3}), PutIdentity(Identity{Epoch: 2})))
}

// TestManifestChanges walks a manifest through additions and removals.
func TestManifestChanges(t *testing.T) {
	c := open(t, vfs.NewMem())
	defer closeCatalog(t, c)
	all := metas("t", 0, 20)
	neighbour := Manifest{Revision: 1, Blocks: metas("u", 0, 5)}
	must(t, c.Commit(PutManifest("u", neighbour)))
	sets := [][]int{{0, 1, 2}, {2, 1, 0, 7}, {7}, {}, {19, 3, 4, 5, 18}, {4, 5, 6, 18}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 18, 19}}
	for i, set := range sets {
		m := Manifest{Revision: uint64(i) + 1, Epoch: 2, FlushedTo: uint64(i)}
		present := map[int]bool{}
		for _, block := range set {
			m.Blocks = append(m.Blocks, all[block])
			present[block] = true
		}
		must(t, c.Commit(PutManifest("t", m)))
		m.Blocks = nil
		for block := range all {
			if present[block] {
				m.Blocks = append(m.Blocks, all[block])
			}
		}
		got, err := c.LoadManifest("t")
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("set %d: got %+v, %v; want %+v", i, got, err, m)
		}
	}
	if got, err := c.LoadManifest("u"); err != nil || !reflect.DeepEqual(got, neighbour) {
		t.Errorf("the neighbour's manifest is %+v, %v", got, err)
	}
	twice := Manifest{Revision: uint64(len(sets)) + 1, Blocks: []block.Meta{all[1], all[0], all[1]}}
	if err := c.Commit(PutManifest("t", twice)); err == nil {
		t.Error("a block named twice was accepted")
	}
}

// TestClosed checks that a closed catalog refuses everything.
func TestClosed(t *testing.T) {
	c := open(t, vfs.NewMem())
	closeCatalog(t, c)
	_, loadErr := c.LoadLog()
	_, manifestErr := c.LoadManifest("a")
	_, _, eventsErr := c.Events("a", EventQuery{Span: model.AllTime()})
	for _, err := range []error{loadErr, manifestErr, eventsErr, c.Commit(), c.PutEvents("a", events(1)), c.Close(),
		c.Manifests(func(model.Tenant, Manifest) error { return nil })} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	}
}

// TestLocked checks that a catalog is written to by one opener at a time.
func TestLocked(t *testing.T) {
	for name, files := range map[string]vfs.FS{"memory": vfs.NewMem(), "disk": vfs.Default} {
		folder := dir
		if files == vfs.Default {
			folder = files.PathJoin(t.TempDir(), "catalog")
		}
		c, err := Open(files, folder, Options{})
		must(t, err)
		if second, err := Open(files, folder, Options{}); !errors.Is(err, disk.ErrLocked) {
			t.Errorf("%s: second opener got %v, %v; want ErrLocked", name, second, err)
		}
		closeCatalog(t, c)
		c, err = Open(files, folder, Options{})
		must(t, err)
		closeCatalog(t, c)
	}
}

// TestDamagedRecord changes a record below its checksum.
func TestDamagedRecord(t *testing.T) {
	files := vfs.NewMem()
	c := open(t, files)
	must(t, c.Commit(PutLog(LogRecord{Revision: 1}), PutManifest("a", Manifest{Revision: 1, Blocks: metas("a", 0, 4)})))
	value, err := encodeRecord([]byte("other key"), &LogRecord{Revision: 1})
	must(t, err)
	must(t, c.db.Set([]byte{keyLog}, value, nil))
	must(t, c.db.Delete(append(tenantKey(keyBlock, "a"), metas("a", 2, 1)[0].Name...), nil))
	_, logErr := c.LoadLog()
	_, manifestErr := c.LoadManifest("a")
	for _, err := range []error{logErr, manifestErr, c.Commit(PutLog(LogRecord{Revision: 2}))} {
		var corruption *disk.Corruption
		if !errors.As(err, &corruption) || corruption.Path != dir {
			t.Errorf("got %v, want a corruption of %s", err, dir)
		}
	}
	closeCatalog(t, c)
	if found := check(t, files); len(found) != 1 {
		t.Errorf("Check found %q, want the log's record", found)
	}
}

// check returns what Check reports.
func check(t testing.TB, files vfs.FS) []string {
	t.Helper()
	var found []string
	must(t, Check(files, dir, func(path string, offset int64, what string) {
		found = append(found, fmt.Sprintf("%s:%d: %s", path, offset, what))
	}))
	return found
}

// events returns n events of alarms 1 to 3, one a second from time -2 s.
func events(n int) []alarm.Event {
	var list []alarm.Event
	for i := range n {
		list = append(list, alarm.Event{ID: fmt.Sprintf("%032x", i*7919), Alarm: uint64(i%3) + 1, Version: 1, Kind: alarm.Start,
			Time: int64(i-2) * 1e9, Value: float64(i), Offset: uint64(i), Channel: 5, Name: "too hot"})
	}
	return list
}
