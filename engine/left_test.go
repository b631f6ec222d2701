package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/index"
	"github.com/hokan-db/hokan/engine/model"
)

// What deletions leave behind when something else happens at that moment.

// TestADeadBlockLeftBehindGoes: everything in a block was deleted, the manifest
// names it no longer, and the process dies before the file is removed. Opening
// removes it: a repair would take it for live.
func TestADeadBlockLeftBehindGoes(t *testing.T) {
	for _, channels := range []bool{false, true} {
		fs := vfs.NewMem()
		s := openSlow(t, fs, 0)
		ctx := context.Background()
		writeHours(t, s.db, 0, 20, 0)
		must(t, s.db.Flush(ctx))
		must(t, s.db.Checkpoint(ctx))
		left := s.db.tenants["t"].blocks[0].Name
		copied := readFile(t, fs, "data/"+left)
		var err error
		if channels {
			all, _ := s.db.Channels(ctx, "t", model.Selector{})
			for _, c := range all {
				must(t, s.db.DeleteChannels(ctx, "t", []model.ChannelID{c.ID}))
			}
		} else {
			_, err = s.db.DeleteRows(ctx, "t", nil, model.AllTime())
		}
		must(t, err)
		s.db.compactor.touch(s.db.tenants["t"])
		s.pass(0)
		if n := len(s.db.tenants["t"].blocks); n != 0 {
			t.Fatalf("%d blocks are left", n)
		}
		died := copyFS(t, fs)
		s.db.Close()
		writeFile(t, died, "data/"+left, copied)
		s = openSlow(t, died, s.now)
		if _, err := died.Stat("data/" + left); err == nil {
			t.Errorf("channels %v: the block stays", channels)
		}
		if faults, _ := s.db.Faults(); len(faults) > 0 || len(s.db.tenants["t"].tombstones) > 0 {
			t.Errorf("faults %v, tombstones %v", faults, s.db.tenants["t"].tombstones)
		}
		must(t, s.db.Close())
	}
}

// TestInputsStayWhileAnyPartIsDamaged: blocks were merged into several, the
// process dies before they are removed, and one of the several is damaged.
// Whichever it is, the blocks that it was made of are not deleted.
func TestInputsStayWhileAnyPartIsDamaged(t *testing.T) {
	fs := vfs.NewMem()
	s := openSlow(t, fs, 0)
	ctx := context.Background()
	s.db.compactor.bytes = 150_000
	for range 2 {
		for c := range 40 {
			values := make([]float64, 3000)
			for i := range values {
				values[i] = math.Sin(float64(i * (c + 1)))
			}
			write(t, s.db, fmt.Sprint("wide", c), 0, values...)
		}
		must(t, s.db.Flush(ctx))
	}
	inputs := map[string][]byte{}
	for _, m := range s.db.tenants["t"].blocks {
		inputs[m.Name] = readFile(t, fs, "data/"+m.Name)
	}
	must(t, s.db.Compact(ctx))
	parts := s.db.tenants["t"].blocks
	if len(parts) < 2 {
		t.Fatalf("%d parts", len(parts))
	}
	must(t, s.db.Close())
	for name, b := range inputs {
		writeFile(t, fs, "data/"+name, b)
	}
	for damaged := -1; damaged < len(parts); damaged++ {
		died := copyFS(t, fs)
		if damaged >= 0 {
			b := readFile(t, died, "data/"+parts[damaged].Name)
			b[disk.HeaderSize+disk.FrameHeaderSize+2] ^= 16
			writeFile(t, died, "data/"+parts[damaged].Name, b)
		}
		s := openSlow(t, died, s.now)
		for name := range inputs {
			if _, err := died.Stat("data/" + name); (err == nil) != (damaged >= 0) {
				t.Errorf("part %d is damaged: %s: %v", damaged, name, err)
			}
		}
		must(t, s.db.Close())
	}
}

// TestRelearnedChannels: a channel that only blocks know has its newest row, and
// one that was deleted does not come back, also where all rows were deleted
// since.
func TestRelearnedChannels(t *testing.T) {
	db := openManual(t, manualOptions(vfs.NewMem()))
	ctx := context.Background()
	write(t, db, "kept", 0, 1, 2, 3)
	write(t, db, "dropped", 0, 1)
	must(t, db.Flush(ctx))
	kept, dropped := idOf(t, db, "kept"), idOf(t, db, "dropped")
	must(t, db.DeleteChannels(ctx, "t", []model.ChannelID{dropped}))
	state := mustTenant(t, db)
	forget := func() {
		state.index, state.latest = index.New(), nil
		for _, m := range state.blocks {
			must(t, db.relearnFrom(state, m.Name))
		}
		if channels, err := db.Channels(ctx, "t", model.Selector{}); err != nil || len(channels) != 1 || channels[0].ID != kept {
			t.Fatalf("channels %v, %v", channels, err)
		}
	}
	forget()
	write(t, db, "kept", 1, 7) // a late row
	if latest, err := db.Latest(ctx, "t", []model.ChannelID{kept}); err != nil || latest[0] != (Latest{2, 3, true}) {
		t.Errorf("the newest row is %v, %v", latest, err)
	}
	_, err := db.DeleteRows(ctx, "t", nil, model.AllTime())
	must(t, err)
	forget()
}

// TestTenantsGoWhileTheyAreFlushed deletes a tenant while its rows become
// blocks: for the race detector, and nothing is left.
func TestTenantsGoWhileTheyAreFlushed(t *testing.T) {
	fs := vfs.NewMem()
	db := openManual(t, manualOptions(fs))
	ctx := context.Background()
	for range 20 {
		must(t, db.CreateTenant(ctx, "t"))
		for i := range int64(4) {
			write(t, db, "a", i*model.Day, 1, 2)
			must(t, db.Flush(ctx))
		}
		write(t, db, "a", 9, 1, 2)
		var both sync.WaitGroup
		for _, work := range []func(context.Context) error{db.Flush, db.Compact} {
			both.Go(func() {
				if err := work(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		_, err := db.DeleteTenant(ctx, "t")
		must(t, err)
		both.Wait()
		if left := filesBelow(t, fs, "data/blocks", anyFile); len(left) > 0 {
			t.Fatalf("%v is left", left)
		}
	}
	if faults, _ := db.Faults(); len(faults) > 0 {
		t.Error(faults)
	}
}

// TestNoTapOfATenantThatIsGone: it would never end.
func TestNoTapOfATenantThatIsGone(t *testing.T) {
	db := openManual(t, manualOptions(vfs.NewMem()))
	state := mustTenant(t, db)
	_, err := db.DeleteTenant(context.Background(), "t")
	must(t, err)
	tap := &Tap{tenant: state, memory: db.tapMemory}
	if err := tap.begin(); !errors.Is(err, ErrUnknownTenant) || db.tapMemory.used.Load() != 0 {
		t.Errorf("it began: %v, %d bytes", err, db.tapMemory.used.Load())
	}
}

// TestTheClockComesBack: rows that were written while it was ahead by years are
// flushed, checkpointed and merged as if it had not been.
func TestTheClockComesBack(t *testing.T) {
	s := openSlow(t, vfs.NewMem(), yearStart)
	const years = 10 * 365 * model.Day
	s.pass(years)
	for i := range int64(3) {
		write(t, s.db, "a", yearStart+i*10, 1, 2)
		must(t, s.db.Flush(context.Background()))
	}
	write(t, s.db, "a", yearStart+100, 1, 2)
	must(t, s.db.keepTime(context.Background()))
	s.now -= years
	s.pass(0)
	p := mustTenant(t, s.db).partition
	if due := p.schedule.aged; due > s.now+s.db.options.CheckpointAge {
		t.Errorf("the next checkpoint is due %d days from now", (due-s.now)/model.Day)
	}
	s.pass(2 * s.db.options.FlushAge)
	if state := mustTenant(t, s.db); !state.active.Empty() {
		t.Error("the head stays in memory")
	}
	s.pass(2 * model.Day)
	if n := len(mustTenant(t, s.db).blocks); n != 1 {
		t.Errorf("the day has %d blocks", n)
	}
	must(t, s.db.Close())
}

// TestAJobThatFailsDoesNotStopOthers: one month cannot be merged, though nothing
// says that it is damaged, and the next one is.
func TestAJobThatFailsDoesNotStopOthers(t *testing.T) {
	fs := vfs.NewMem()
	s := openSlow(t, fs, 0)
	ctx := context.Background()
	for _, day := range []int64{2, 40} {
		for i := range int64(3) {
			write(t, s.db, "a", day*model.Day+i, float64(i))
			must(t, s.db.Flush(ctx))
		}
	}
	state := mustTenant(t, s.db)
	first := state.blocks[0].Name
	remove(t, fs, "data/"+first)
	s.pass(60 * model.Day)
	s.db.compactor.touch(state)
	s.pass(0)
	if n := len(state.blocks); n != 4 {
		t.Errorf("%d blocks: %v", n, levelsOf(s.db))
	}
	s.db.Close()
}

// TestRepairKeepsRollupsWithoutRows: of channels whose rows have expired a
// repair keeps what can be read, knows that they are alone, and says what is
// lost.
func TestRepairKeepsRollupsWithoutRows(t *testing.T) {
	image := vfs.NewMem()
	s := aMonthAgo(t, image)
	ctx := context.Background()
	rules := keeping(t, "20d", "forever")
	rules[0].Keep[model.StepDay] = rules[0].Keep[model.StepHour]
	must(t, s.db.SetRetention(ctx, "t", rules))
	s.db.compactor.touch(s.db.tenants["t"])
	s.pass(30 * model.Day)
	ids := []model.ChannelID{1, 2, 3, 4, 5, 6, 7, 8}
	buckets, err := model.PlanBuckets(model.Span{From: yearStart, To: yearStart + 30*model.Day}, 30)
	must(t, err)
	want, err := s.db.Aggregate(ctx, "t", ids, buckets)
	must(t, err)
	block := "data/" + s.db.tenants["t"].blocks[0].Name
	must(t, s.db.Close())
	for _, damage := range []string{"catalog", "block", "both"} {
		fs := copyFS(t, image)
		if damage != "block" {
			remove(t, fs, "data/catalog")
		}
		if damage != "catalog" {
			b := readFile(t, fs, block)
			b[disk.HeaderSize+disk.FrameHeaderSize+2] ^= 16 // in rollups
			writeFile(t, fs, block, b)
		}
		o := s.db.options
		o.FS = fs
		report, err := Repair(ctx, o)
		must(t, err)
		if damage != "catalog" && len(report.Unknown) == 0 {
			t.Errorf("%s: %+v", damage, report)
		}
		s := openSlow(t, fs, s.now)
		m := s.db.tenants["t"].blocks
		if len(m) != 1 || m[0].RollupsAlone != 8 {
			t.Fatalf("%s: blocks are %+v; %+v", damage, m, report)
		}
		got, err := s.db.Aggregate(ctx, "t", ids, buckets)
		must(t, err)
		for c := range want {
			for i := range want[c] {
				w, g := want[c][i], got[c][i]
				if w.Count != g.Count || w.Min != g.Min || w.Max != g.Max || w.First != g.First || math.Abs(w.Sum-g.Sum) > 1e-6*math.Abs(w.Sum) {
					t.Fatalf("%s: channel %d, bucket %d is %+v, was %+v", damage, c+1, i, g, w)
				}
			}
		}
		must(t, s.db.Close())
	}
}
