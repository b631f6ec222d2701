package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk/disktest"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// crashWriter works on a tenant of its own, one change after another, and knows
// what the tenant must hold after each.
type crashWriter struct {
	name   model.Tenant
	random *rand.Rand
	value  float64

	mu     sync.Mutex
	states []crashState // the first is that at the start; then after each change that was begun
	done   int          // of them changes that were acknowledged
}

// crashState is what a tenant holds.
type crashState struct {
	what     string // brought it about
	exists   bool
	keep     string // the rule's, "" for none
	channels map[string]crashChannel
}

type crashChannel struct {
	rows  map[int64]float64
	floor int64 // rows before have expired
}

func (s crashState) clone(what string) crashState {
	s.what, s.channels = what, maps.Clone(s.channels)
	for name, c := range s.channels {
		s.channels[name] = crashChannel{maps.Clone(c.rows), c.floor}
	}
	return s
}

// String tells everything that queries show.
func (s crashState) String() string {
	if !s.exists {
		return "no tenant"
	}
	text := []string{"kept: " + s.keep}
	for _, name := range slices.Sorted(maps.Keys(s.channels)) {
		text = append(text, fmt.Sprintf("%s: %v", name, s.channels[name].rows))
	}
	return strings.Join(text, "; ")
}

// age lets rows expire.
func (s crashState) age(now int64) {
	keep, err := time.ParseDuration(s.keep)
	if err != nil {
		return // nothing expires
	}
	for name, c := range s.channels {
		c.floor = max(c.floor, now-int64(keep))
		maps.DeleteFunc(c.rows, func(at int64, _ float64) bool { return at < c.floor })
		s.channels[name] = c
	}
}

// next chooses a change: what is done to the database, and the state after.
func (w *crashWriter) next(now int64) (crashState, func(context.Context, *DB) error) {
	before := w.states[len(w.states)-1]
	name := string(rune('a' + w.random.IntN(3)))
	c, made := before.channels[name]
	kind := w.random.IntN(60)
	switch {
	case !before.exists:
		after := crashState{what: "create", exists: true, channels: map[string]crashChannel{}}
		return after, func(ctx context.Context, db *DB) error { return db.CreateTenant(ctx, w.name) }
	case kind == 0:
		return crashState{what: "delete tenant"}, func(ctx context.Context, db *DB) error {
			_, err := db.DeleteTenant(ctx, w.name)
			return err
		}
	case made && kind < 3:
		after := before.clone("delete channel " + name)
		delete(after.channels, name)
		return after, func(ctx context.Context, db *DB) error {
			return db.DeleteChannels(ctx, w.name, w.ids(db, name))
		}
	case made && kind < 8 && len(c.rows) > 0:
		times := slices.Sorted(maps.Keys(c.rows))
		i := w.random.IntN(len(times))
		span := model.Span{From: times[i], To: times[i+w.random.IntN(len(times)-i)] + 1}
		after := before.clone(fmt.Sprintf("delete %v of %s", span, name))
		maps.DeleteFunc(after.channels[name].rows, func(at int64, _ float64) bool { return span.Contains(at) })
		return after, func(ctx context.Context, db *DB) error {
			_, err := db.DeleteRows(ctx, w.name, w.ids(db, name), span)
			return err
		}
	case kind < 12:
		after := before.clone("rule")
		after.keep = []string{"", "1h", "5h", "24h"}[w.random.IntN(4)]
		after.age(now)
		return after, func(ctx context.Context, db *DB) error { return db.SetRetention(ctx, w.name, crashRules(after.keep)) }
	}
	after := before.clone("rows of " + name)
	if !made {
		after.channels[name] = crashChannel{rows: map[int64]float64{}}
	}
	column := model.Column{Labels: testLabels(name)}
	for range 1 + w.random.IntN(12) {
		w.value++
		at := now - w.random.Int64N(30*60)*1e9 // which no rule lets expire yet
		column.Times, column.Values = append(column.Times, at), append(column.Values, w.value)
		after.channels[name].rows[at] = w.value
	}
	if w.random.IntN(2) == 0 { // as blocks are attached
		column.Times = slices.Compact(slices.Sorted(slices.Values(column.Times)))
		column.Values = column.Values[:0]
		for _, at := range column.Times {
			column.Values = append(column.Values, after.channels[name].rows[at])
		}
	}
	return after, func(ctx context.Context, db *DB) error {
		_, err := db.Append(ctx, &model.Batch{Tenant: w.name, Columns: []model.Column{column}})
		return err
	}
}

func crashRules(keep string) policy.Rules {
	if keep == "" {
		return nil
	}
	return testRules(keep, "tenant", "")
}

// ids returns the ID of a channel.
func (w *crashWriter) ids(db *DB, name string) []model.ChannelID {
	channels, err := db.Channels(context.Background(), w.name, mustSelector(fmt.Sprintf("{channel=%q}", name)))
	if err != nil || len(channels) != 1 {
		return []model.ChannelID{1 << 31} // which there is not
	}
	return []model.ChannelID{channels[0].ID}
}

// work makes changes until ctx ends.
func (w *crashWriter) work(ctx context.Context, db *DB, now int64) error {
	for ctx.Err() == nil {
		after, change := w.next(now)
		w.mu.Lock()
		w.states = append(w.states, after)
		w.mu.Unlock()
		if err := change(ctx, db); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("tenant %s: %s: %w", w.name, after.what, err)
		}
		w.mu.Lock()
		w.done = len(w.states) - 1
		w.mu.Unlock()
	}
	return nil
}

// resume takes a database, opened after a crash, for the start of what follows.
// It must hold what it held after the last of the first done changes, or after
// one of those that were begun then.
func (w *crashWriter) resume(db *DB, done, begun int, now int64) error {
	found, err := w.read(db)
	if err != nil {
		return fmt.Errorf("tenant %s: %w", w.name, err)
	}
	var wanted []string
	for i := begun; i >= done; i-- {
		s := w.states[i].clone(w.states[i].what)
		if s.age(now); s.String() == found {
			w.states, w.done = []crashState{s}, 0
			return nil
		}
		wanted = append(wanted, fmt.Sprintf("after change %d, %s: %v", i, s.what, s))
	}
	return fmt.Errorf("tenant %s holds\n%s\n%d changes were acknowledged, %d begun; want one of\n%s", w.name, found, done, begun, strings.Join(wanted, "\n"))
}

// read returns what the database says, as a crashState does.
func (w *crashWriter) read(db *DB) (string, error) {
	s := crashState{exists: db.HasTenant(w.name), channels: map[string]crashChannel{}}
	if !s.exists {
		return s.String(), nil
	}
	rules, err := db.Retention(w.name)
	if err != nil {
		return "", err
	}
	if len(rules) > 0 {
		s.keep = rules[0].Keep[model.StepRaw].String()
		if s.keep == "1d" {
			s.keep = "24h"
		}
	}
	channels, err := db.Channels(context.Background(), w.name, nil)
	if err != nil {
		return "", err
	}
	for _, c := range channels {
		rows := map[int64]float64{}
		selected, err := db.Select(context.Background(), w.name, []model.ChannelID{c.ID}, model.AllTime())
		if err != nil {
			return "", err
		}
		for cursor := selected.Cursor(0); ; {
			times, values, err := cursor.Next()
			if err != nil {
				selected.Close()
				return "", err
			}
			if len(times) == 0 {
				break
			}
			for i, at := range times {
				rows[at] = values[i]
			}
		}
		selected.Close()
		s.channels[c.Labels.Channel()] = crashChannel{rows: rows}
	}
	return s.String(), nil
}

// crashNow is a disk as the power failed, and how far writers were by then.
type crashNow struct {
	disk        *vfs.MemFS
	done, begun []int
}

// TestPowerFailsUnderLoad lets the power fail again and again, at any write,
// while tenants are written to, deleted and made anew, and their rows deleted and
// let expire by changing rules; and heads are flushed, blocks merged and
// checkpoints written by themselves. The clock goes on from one failure to the
// next. What was acknowledged is there each time, what was begun wholly or not.
func TestPowerFailsUnderLoad(t *testing.T) {
	rounds := 15
	if long() {
		rounds = 500
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("HOKAN_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("HOKAN_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var writers []*crashWriter
	for i := range 4 {
		writers = append(writers, &crashWriter{
			name: model.Tenant(fmt.Sprint("w", i)), random: rand.New(rand.NewPCG(seed, uint64(i)+1)), states: []crashState{{}},
		})
	}
	memory := vfs.NewCrashableMem()
	now := time.Date(2026, 1, 30, 0, 0, 0, 0, time.UTC).UnixNano()
	changes := 0
	for round := range rounds {
		now += random.Int64N(7) * 3600e9
		for _, w := range writers {
			w.states[0].age(now)
		}
		crash, err := crashUnderLoad(memory, writers, now, random)
		for i := range crash.done {
			changes += crash.done[i]
		}
		if err == nil {
			memory = crash.disk
			err = resumeAll(memory, writers, crash, now)
		}
		if err != nil {
			t.Fatalf("HOKAN_SEED=%d, round %d of %d: %v", seed, round, rounds, err)
		}
	}
	t.Logf("%d changes", changes)
	if changes < 5*rounds {
		t.Errorf("%d changes in %d rounds show nothing", changes, rounds)
	}
}

func crashOptions(fs FS, now int64) Options {
	return Options{
		FS: fs, Dir: "data", Clock: func() time.Time { return time.Unix(0, now) },
		SegmentBytes: 4 << 10, HeadRows: 1, ScrubRate: -1, CheckpointBytes: 8 << 10,
	}
}

// crashUnderLoad opens the database, has all at work, and returns the disk as it
// is at some write.
func crashUnderLoad(memory *vfs.MemFS, writers []*crashWriter, now int64, random *rand.Rand) (crash crashNow, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	left, percent, seed := 1+random.IntN(random.IntN(1500)+1), []int{0, 0, 30, 100}[random.IntN(4)], random.Uint64()
	var mu sync.Mutex
	faulty := disktest.New(memory)
	faulty.Observe(func(op disktest.Op) {
		mu.Lock()
		defer mu.Unlock()
		if !op.Writes() || left == 0 {
			return
		}
		if left--; left > 0 {
			return
		}
		for _, w := range writers {
			w.mu.Lock()
			crash.done = append(crash.done, w.done)
			w.mu.Unlock()
		}
		crash.disk = crashClone(memory, seed, percent)
		for _, w := range writers {
			w.mu.Lock()
			crash.begun = append(crash.begun, len(w.states)-1)
			w.mu.Unlock()
		}
		cancel()
	})
	db, err := Open(crashOptions(faulty, now))
	if err != nil {
		return crash, fmt.Errorf("open: %w", err)
	}
	db.attach.rows, db.attach.average = 3, 1
	errs, maintaining := make([]error, len(writers)), error(nil)
	var working sync.WaitGroup
	for i, w := range writers {
		working.Go(func() { errs[i] = w.work(ctx, db, now) })
	}
	working.Go(func() {
		for ctx.Err() == nil {
			err := errors.Join(db.Checkpoint(ctx), db.Compact(ctx))
			if ctx.Err() == nil {
				maintaining = errors.Join(maintaining, err)
			}
		}
	})
	working.Wait()
	if faults, _ := db.listFaults(); len(faults) > 0 {
		errs = append(errs, fmt.Errorf("faults at work: %v", faults))
	}
	errs = append(errs, maintaining, db.Close())
	mu.Lock()
	defer mu.Unlock()
	return crash, errors.Join(errs...)
}

// resumeAll compares what all tenants hold after a crash.
func resumeAll(memory *vfs.MemFS, writers []*crashWriter, crash crashNow, now int64) error {
	db, err := Open(crashOptions(memory, now))
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	errs := []error{nil}
	if faults, quarantined := db.listFaults(); len(faults) > 0 || quarantined > 0 {
		errs = append(errs, fmt.Errorf("faults: %v, %d quarantined", faults, quarantined))
	}
	for i, w := range writers {
		errs = append(errs, w.resume(db, crash.done[i], crash.begun[i], now))
	}
	return errors.Join(append(errs, db.Close())...)
}
