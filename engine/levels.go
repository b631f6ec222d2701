package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/maintain"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// mergeBlocks is how many blocks are open at once while they are merged, so
// that a month of any number of blocks can be.
const mergeBlocks = maintain.DefaultMaxBlocks

// compactor does the work on blocks that package maintain picks, one job at a
// time.
type compactor struct {
	running chan struct{} // holds an element while one runs
	// What follows is less in tests.
	bytes  int64 // partBytes
	blocks int   // mergeBlocks
	chunks int   // groupChunks

	mu sync.Mutex
	// due holds, of each tenant that has blocks, the clock time at which it is
	// to be looked at: of ten thousand, few are at any time. None is due before
	// first. Those of touched are due at once.
	due     map[*tenant]int64
	first   int64
	touched map[*tenant]bool
	changed chan struct{} // holds an element when a tenant became due
	// facts are what is known of blocks of tenants that deleted rows, or do not
	// keep all of them, by name.
	facts  map[string]blockFacts
	floors map[*tenant]tenantFloors
	// failed are the blocks of jobs that failed, and until when they are left
	// alone so that they do not keep the tenant's other work from being done.
	failed map[string]int64
}

func (c *compactor) init() {
	c.running = make(chan struct{}, 1)
	c.changed = make(chan struct{}, 1)
	c.bytes, c.blocks, c.chunks = partBytes, mergeBlocks, groupChunks
	c.due, c.first, c.touched = map[*tenant]int64{}, maintain.Never, map[*tenant]bool{}
	c.facts, c.floors = map[string]blockFacts{}, map[*tenant]tenantFloors{}
	c.failed = map[string]int64{}
}

// acquire waits until no other job runs.
func (c *compactor) acquire(ctx context.Context) error {
	select {
	case c.running <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *compactor) release() { <-c.running }

// touch has t looked at soon: its blocks, or what hides rows of them, changed.
func (c *compactor) touch(t *tenant) {
	c.mu.Lock()
	c.touched[t] = true
	c.mu.Unlock()
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// wait has t looked at when the clock says so.
func (c *compactor) wait(t *tenant, until int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if until != maintain.Never {
		c.due[t] = until
		c.first = min(c.first, until)
	}
}

// forget lets go of a tenant that was deleted.
func (c *compactor) forget(t *tenant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.floors, t)
	prefix := disk.BlocksDir + "/" + string(t.name) + "/"
	maps.DeleteFunc(c.facts, func(name string, _ blockFacts) bool { return strings.HasPrefix(name, prefix) })
}

// takeDue returns the tenants that are to be looked at, longest due first, and
// forgets them.
func (c *compactor) takeDue(now int64) []*tenant {
	c.mu.Lock()
	defer c.mu.Unlock()
	due := slices.Collect(maps.Keys(c.touched))
	at := make(map[*tenant]int64, len(due))
	for _, t := range due {
		at[t] = math.MinInt64
		delete(c.due, t)
	}
	clear(c.touched)
	if now >= c.first {
		c.first = maintain.Never
		for t, until := range c.due {
			if until > now {
				c.first = min(c.first, until)
				continue
			}
			due, at[t] = append(due, t), until
			delete(c.due, t)
		}
	}
	slices.SortFunc(due, func(a, b *tenant) int {
		return cmp.Or(cmp.Compare(at[a], at[b]), cmp.Compare(a.name, b.name))
	})
	return due
}

// compactAgain is how many nanoseconds of the clock pass before a tenant whose
// job failed is looked at again.
const compactAgain = int64(10 * time.Minute)

// failedRest is how many nanoseconds the blocks of a job that failed are left
// alone.
const failedRest = int64(6 * time.Hour)

// leaveAlone notes the blocks of a job that failed.
func (c *compactor) leaveAlone(blocks []block.Meta, until int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range blocks {
		c.failed[blocks[i].Name] = until
	}
}

// passOver takes those of a view's blocks that are left alone for damaged, and
// returns when that ends for one of them.
func (c *compactor) passOver(v *maintain.View, blocks []block.Meta, now int64) (ends int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ends = maintain.Never
	for i := range blocks {
		until, ok := c.failed[blocks[i].Name]
		switch {
		case !ok:
		case until <= now || until > now+failedRest: // the clock was set back
			delete(c.failed, blocks[i].Name)
		default:
			v.Blocks[i].Damaged = true
			ends = min(ends, until)
		}
	}
	return ends
}

// compactInBackground does what is due until ctx ends.
func (db *DB) compactInBackground(ctx context.Context) {
	for _, t := range db.allTenants(func(*tenant) bool { return true }) {
		db.compactor.touch(t)
	}
	ticker := time.NewTicker(maintainEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-db.compactor.changed:
		}
		db.compactDue(ctx, &pace{rate: policy.CompactionRate.Default})
	}
}

// compactDue does the jobs that are due by now, of every tenant one in turn.
// A tenant whose job fails waits; the others go on.
func (db *DB) compactDue(ctx context.Context, pace *pace) {
	for ctx.Err() == nil {
		now := db.options.Clock().UnixNano()
		due := db.compactor.takeDue(now)
		if len(due) == 0 {
			return
		}
		for _, t := range due {
			if ctx.Err() != nil {
				db.compactor.touch(t)
				continue
			}
			if !db.isLive(t) {
				db.compactor.forget(t)
				continue
			}
			db.compactor.wait(t, db.compactOnce(ctx, t, now, pace))
		}
	}
}

// expiresAt returns when more of t may have expired, or have been hidden for
// long enough: on the next day.
func (t *tenant) expiresAt(now int64) int64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.keepsAll() && len(t.tombstones) == 0 {
		return maintain.Never
	}
	return dayOf(now) + model.Day + int64(stagger(t.name)*float64(6*time.Hour))
}

// isLive reports whether t was not deleted.
func (db *DB) isLive(t *tenant) bool {
	db.tenantsMu.RLock()
	defer db.tenantsMu.RUnlock()
	return db.tenants[t.name] == t
}

// compactOnce does one job of a tenant, if one is due, and returns when the
// tenant is to be looked at again.
func (db *DB) compactOnce(ctx context.Context, t *tenant, now int64, pace *pace) (due int64) {
	if err := db.compactor.acquire(ctx); err != nil {
		return now
	}
	defer db.compactor.release()
	view, blocks, err := db.viewOf(t)
	var inputs []block.Meta
	if err == nil {
		ends := db.compactor.passOver(&view, blocks, now)
		var job *maintain.Job
		if job, due = maintain.Pick(view, now); job == nil {
			return min(due, ends, t.expiresAt(now))
		}
		inputs = inputsOf(job, blocks)
		err = db.doJob(ctx, t, job, inputs, pace)
	}
	switch {
	case err == nil, errors.Is(err, errChanged), ctx.Err() != nil, !db.isLive(t): // then it is forgotten
		return now
	case errors.Is(err, disk.ErrFull): // what frees room wakes it, or time
	default:
		db.faults.add(fmt.Errorf("compact tenant %s: %w", t.name, err))
		db.compactor.leaveAlone(inputs, now+failedRest)
	}
	return now + compactAgain
}
