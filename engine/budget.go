package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// ErrBusy refuses a write because memory is used up and was not freed in time:
// the same write may succeed later.
var ErrBusy = errors.New("busy")

// memoryWait is how long a write waits at most for memory that is used up, and
// memorySlow how long while a quarter of it is left.
const (
	memoryWait = 10 * time.Second
	memorySlow = 100 * time.Millisecond
)

// readersShare is the part of the memory that open blocks may take: one in so
// many.
const readersShare = 8

// MemoryUse is how much of the memory budget is in use, and by what. In bytes.
type MemoryUse struct {
	Limit      int64
	Heads      int64 // rows that no block holds yet
	Readers    int64 // what is kept of open blocks
	Compaction int64
}

// Used returns the sum.
func (m MemoryUse) Used() int64 { return m.Heads + m.Readers + m.Compaction }

// Memory returns how much of the memory budget is in use.
func (db *DB) Memory() MemoryUse { return db.memory.use() }

// memory is the budget that heads, open blocks and compaction share. Writers
// feel it alone: they are slowed and then refused, so that reads and flushing
// never lack memory.
type memory struct {
	db         *DB
	limit      int64
	compaction atomic.Int64

	mu    sync.Mutex
	freed chan struct{} // closed, and made anew, when memory was freed
}

func (m *memory) init(db *DB) {
	m.db, m.limit = db, db.options.MemoryBytes
	m.freed = make(chan struct{})
}

func (m *memory) use() MemoryUse {
	return MemoryUse{Limit: m.limit, Heads: m.db.headBytes.Load(), Readers: m.db.readers.bytes.Load(), Compaction: m.compaction.Load()}
}

// notify wakes writers that wait for memory.
func (m *memory) notify() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.freed)
	m.freed = make(chan struct{})
}

// take notes that compaction uses so many bytes until they are given back. It
// waits for nothing: compaction bounds what it takes, and what it takes slows
// writers.
func (m *memory) take(bytes int64) (giveBack func()) {
	m.compaction.Add(bytes)
	return func() {
		m.compaction.Add(-bytes)
		m.notify()
	}
}

// admit lets a write in that makes heads grow. While less than a quarter of
// the memory is left it waits a moment; while none is left it waits longer, and
// is then refused.
func (m *memory) admit(ctx context.Context) error {
	slow := m.limit - m.limit/4
	if m.use().Used() < slow {
		return nil
	}
	m.wait(ctx, slow, memorySlow)
	if m.use().Used() < m.limit {
		return nil
	}
	m.wait(ctx, m.limit, memoryWait)
	if used := m.use().Used(); used >= m.limit {
		if err := m.db.flusher.failure(); err != nil {
			return fmt.Errorf("heads cannot be flushed: %w", err)
		}
		return fmt.Errorf("%w: %d of %d bytes of memory are in use", ErrBusy, used, m.limit)
	}
	return nil
}

// wait returns when less than bytes are in use, ctx ends, the time is over, or
// nothing is at work that could free any.
func (m *memory) wait(ctx context.Context, bytes int64, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	for {
		m.mu.Lock()
		freed := m.freed
		m.mu.Unlock()
		if m.use().Used() < bytes || !m.db.flusher.relieve() {
			return
		}
		select {
		case <-freed:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
