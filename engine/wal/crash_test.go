package wal_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk/disktest"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/wal"
	"github.com/hokan-db/hokan/engine/wal/logtest"
)

// crashed is the disk as a crash left it, and what had been promised by then.
type crashed struct {
	name         string
	fs           *vfs.MemFS
	acknowledged map[uint64]int64 // time by offset
	refused      map[int64]bool   // times of entries refused before an acknowledged one
}

// crasher clones the disk before every operation that writes.
type crasher struct {
	t    *testing.T
	base *vfs.MemFS
	fs   *disktest.FS
	rng  *rand.Rand

	mu           sync.Mutex
	acknowledged map[uint64]int64
	failed       map[int64]uint64 // times of refused entries, and the newest offset then
	refused      map[int64]bool   // those that a later offset was acknowledged after
	clones       []crashed
	count        int
}

func newCrasher(t *testing.T, base *vfs.MemFS, seed uint64) *crasher {
	c := &crasher{t: t, base: base, fs: disktest.New(base), rng: rand.New(rand.NewPCG(seed, 1)),
		acknowledged: map[uint64]int64{}, failed: map[int64]uint64{}, refused: map[int64]bool{}}
	c.fs.Observe(c.observe)
	return c
}

func (c *crasher) observe(op disktest.Op) {
	if !op.Writes() && op.Kind != "sync" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	for _, percent := range []int{0, 50, 100} {
		promised, refused := map[uint64]int64{}, map[int64]bool{}
		for offset, id := range c.acknowledged {
			promised[offset] = id
		}
		for id := range c.refused {
			refused[id] = true
		}
		c.clones = append(c.clones, crashed{
			name: fmt.Sprintf("before operation %d, %v, with %d %% of unsynced data", c.count, op, percent),
			fs:   c.base.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: c.rng}),

			acknowledged: promised, refused: refused,
		})
	}
}

func (c *crasher) append(l wal.Log, i, rows int) {
	e := logtest.Entry(model.Tenant(fmt.Sprint("tenant-", i%5)), i, rows)
	offset, err := logtest.Append(l, e)
	_, last := l.Bounds()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.failed[int64(i)] = last
		return
	}
	if _, taken := c.acknowledged[offset]; taken {
		c.t.Errorf("offset %d was given twice", offset)
	}
	c.acknowledged[offset] = int64(i)
	for id, newest := range c.failed {
		if offset > newest {
			c.refused[id] = true
		}
	}
}

// check opens what a crash left, three times with an append in between.
func (c crashed) check(t *testing.T) {
	t.Helper()
	times := map[uint64]int64{} // as recovered; must not change any more
	for round := range 3 {
		l := mustOpen(t, c.fs, "log")
		all, err := logtest.Drain(l)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if faults := l.Faults(); len(faults) > 0 {
			t.Fatalf("%s: round %d: %v", c.name, round, faults)
		}
		first, last := l.Bounds()
		if uint64(len(all)) != last+1-first {
			t.Fatalf("%s: %d entries from %d to %d", c.name, len(all), first, last)
		}
		for i := range all {
			offset, id := all[i].Offset, all[i].Time
			if offset != first+uint64(i) {
				t.Fatalf("%s: entry %d where %d belongs", c.name, offset, first+uint64(i))
			}
			if promised, ok := c.acknowledged[offset]; ok && promised != id {
				t.Fatalf("%s: entry %d is of time %d, acknowledged was %d", c.name, offset, id, promised)
			}
			if before, ok := times[offset]; ok && before != id {
				t.Fatalf("%s: round %d: entry %d is of time %d and was %d", c.name, round, offset, id, before)
			}
			if c.refused[id] {
				t.Fatalf("%s: entry %d was refused before an acknowledged one", c.name, offset)
			}
			times[offset] = id
		}
		for offset := range c.acknowledged {
			if offset >= first && offset > last {
				t.Fatalf("%s: entry %d is lost", c.name, offset)
			}
		}
		for offset := range times {
			if offset > last {
				t.Fatalf("%s: round %d: entry %d was recovered before and is lost", c.name, round, offset)
			}
		}
		e := logtest.Entry("after", 1_000_000+round, 3)
		offset, err := logtest.Append(l, e)
		if err != nil || offset != last+1 {
			t.Fatalf("%s: append gave %d, %v", c.name, offset, err)
		}
		times[offset] = e.Time
		if round == 0 {
			// The next round sees what a second crash keeps for certain.
			c.fs = c.fs.CrashClone(vfs.CrashCloneCfg{})
		}
		l.Close()
	}
	checkClean(t, c.fs, "log")
}

// TestCrashes crashes before every write, sync and change of a name while one
// writer, or several at once, append, the disk is full for a while, the log is
// trimmed and opened again.
func TestCrashes(t *testing.T) {
	seeds := uint64(3)
	if os.Getenv("HOKAN_LONG") != "" {
		seeds = 60
	}
	for seed := range seeds {
		base := vfs.NewCrashableMem()
		if err := base.MkdirAll("log", 0o755); err != nil {
			t.Fatal(err)
		}
		syncRoot(t, base)
		c := newCrasher(t, base, seed)
		for round := range 3 {
			l := mustOpen(t, c.fs, "log")
			for i := range 5 {
				c.append(l, 1000*round+i, 1+200*(i%2))
			}
			var writers sync.WaitGroup
			for w := range 4 {
				writers.Go(func() {
					for i := range 3 {
						c.append(l, 1000*round+100*(w+1)+i, 1+i*150)
					}
				})
			}
			writers.Wait()
			c.fs.LimitWrites(int64(100 + c.rngInt(3000)))
			for w := range 3 {
				writers.Go(func() {
					for i := range 3 {
						c.append(l, 1000*round+600+100*w+i, 40)
					}
				})
			}
			writers.Wait()
			c.fs.UnlimitWrites()
			c.append(l, 1000*round+950, 5)
			if err := l.Trim(uint64(8 * round)); err != nil {
				t.Fatal(err)
			}
			if round != 1 {
				l.Close() // else it is left as a killed process would
			}
		}
		for _, clone := range c.clones {
			clone.check(t)
		}
		if len(c.refused) == 0 {
			t.Error("the full disk refused nothing")
		}
		t.Logf("seed %d: %d crashes", seed, len(c.clones))
	}
}

func (c *crasher) rngInt(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rng.IntN(n)
}

func syncRoot(t *testing.T, fsys vfs.FS) {
	t.Helper()
	dir, err := fsys.OpenDir("/")
	if err == nil {
		err = dir.Sync()
		dir.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestReadIsDurable opens a log whose process was killed between a write and
// its sync: what is handed over then survives a crash of the machine.
func TestReadIsDurable(t *testing.T) {
	base := vfs.NewCrashableMem()
	fsys := disktest.New(base)
	l := mustOpen(t, fsys, "log")
	if _, err := logtest.Append(l, logtest.Entry("a", 1, 1)); err != nil {
		t.Fatal(err)
	}
	fsys.Count(func(op disktest.Op) bool { return op.Kind == "sync" })
	fsys.FailFrom(0, syscall.EIO)
	if _, err := logtest.Append(l, logtest.Entry("a", 2, 1)); !errors.Is(err, wal.ErrFailed) {
		t.Fatal(err)
	}
	if _, err := wal.Open(wal.Options{FS: fsys, Dir: "log"}); !errors.Is(err, syscall.EIO) {
		t.Errorf("open while nothing can be made durable: %v", err)
	}
	fsys.Reset()
	before, err := logtest.Drain(mustOpen(t, fsys, "log"))
	if err != nil || len(before) != 2 {
		t.Fatalf("%d entries, %v", len(before), err)
	}
	crashed := mustOpen(t, base.CrashClone(vfs.CrashCloneCfg{}), "log")
	after, err := logtest.Drain(crashed)
	if err != nil || len(after) != len(before) {
		t.Errorf("%d entries of %d that were read, %v", len(after), len(before), err)
	}
}

// TestKeptOrRefused ends the process after a failed write: its whole frames
// are handed over or not, but what recovery decided stays.
func TestKeptOrRefused(t *testing.T) {
	fsys := disktest.New(vfs.NewMem())
	l := mustOpen(t, fsys, "log")
	if _, err := logtest.Append(l, logtest.Entry("a", 1, 1)); err != nil {
		t.Fatal(err)
	}
	tail, err := l.Tail(nil, func(model.Partition) uint64 { return 1 })
	if err != nil {
		t.Fatal(err)
	}
	fsys.LimitWrites(1000)
	refused := 0
	for i := range 40 {
		if _, err := logtest.Append(l, logtest.Entry("a", 2+i, 1)); err != nil {
			refused++
		}
	}
	if entries, err := tail.TryNext(); err != nil || len(entries)+refused != 40 {
		t.Errorf("%d handed over and %d refused of 40, %v", len(entries), refused, err)
	}
	fsys.UnlimitWrites()
	next := mustOpen(t, fsys, "log")
	before, err := logtest.Drain(next)
	if err != nil {
		t.Fatal(err)
	}
	if offset, err := logtest.Append(next, logtest.Entry("a", 99, 1)); err != nil || offset != uint64(len(before))+1 {
		t.Errorf("append: %d, %v", offset, err)
	}
	next.Close()
	after, err := logtest.Drain(mustOpen(t, fsys, "log"))
	if err != nil || len(after) != len(before)+1 || after[len(before)].Time != 99 {
		t.Errorf("%d entries after %d, %v", len(after), len(before), err)
	}
	checkClean(t, fsys, "log")
}
