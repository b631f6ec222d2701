package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/hokan-db/hokan/engine/catalog"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/engine/wal"
)

// Sentinels that callers branch on. What the disk refused is told by
// disk.ErrLocked, ErrFull, ErrReadOnly, ErrCorrupt and ErrNotFound, which pass
// through.
var (
	ErrUnknownTenant   = errors.New("unknown tenant")
	ErrUnknownChannel  = errors.New("unknown channel")
	ErrInvalid         = errors.New("invalid")
	ErrTooManyChannels = errors.New("too many channels") // for one query
	ErrTooManyRows     = errors.New("too many rows")     // for one view
	ErrClosed          = errors.New("database is closed")
)

// Options say where a database lives and how it behaves. FS, Dir and Clock are
// required; zero values of the rest mean the defaults of package policy.
type Options struct {
	FS    FS
	Dir   string
	Clock model.Clock
	// MustExist refuses to make a database where there is none.
	MustExist bool
	// HeadRows is the number of rows in one channel at which a tenant's head
	// is flushed, where it has 64 times as many in all.
	HeadRows int
	// HeadBytes bounds the memory of all heads together: beyond it the largest
	// is flushed.
	HeadBytes int64
	// MemoryBytes bounds the memory of heads, open blocks and compaction
	// together; it is at least twice HeadBytes.
	MemoryBytes int64
	// FreeReserve is how many bytes of the disk stay free at most; less than 0
	// is none.
	FreeReserve int64
	// FlushAge is the age, in nanoseconds, at which a head is flushed.
	FlushAge int64
	// CheckpointBytes is the amount of a partition's log after which it writes
	// a checkpoint, CheckpointAge the time in nanoseconds, and ReplayBytes the
	// amount of all log after which it waits no longer than that.
	CheckpointBytes, CheckpointAge, ReplayBytes int64
	// SegmentBytes is the size of a log segment.
	SegmentBytes int64
	// ScrubRate is how many bytes of files a second are read again in the
	// background, to find what has rotted, each file as 256 KiB more; less than
	// 0: none.
	ScrubRate int64
	// ReadOnly opens a database that exists for reading alone: nothing is
	// written, so that a full disk or a folder without permission will do, and
	// every write is refused with ErrReadOnly.
	ReadOnly bool
	// Manual leaves flushing and checkpoints to explicit calls: for tests that
	// must repeat exactly.
	Manual bool
}

func (o Options) withDefaults() (Options, error) {
	if o.FS == nil || o.Dir == "" || o.Clock == nil {
		return o, fmt.Errorf("%w: options need FS, Dir and Clock", ErrInvalid)
	}
	o.MustExist = o.MustExist || o.ReadOnly
	o.Manual = o.Manual || o.ReadOnly
	setDefault(&o.HeadBytes, policy.HeadMemory.Default)
	setDefault(&o.MemoryBytes, policy.Memory.Default)
	o.MemoryBytes = max(o.MemoryBytes, 2*o.HeadBytes)
	setDefault(&o.FreeReserve, policy.FreeReserve.Default)
	setDefault(&o.ScrubRate, policy.ScrubRate.Default)
	setDefault(&o.FlushAge, policy.FlushAge.Default)
	setDefault(&o.CheckpointBytes, policy.CheckpointBytes.Default)
	setDefault(&o.CheckpointAge, policy.CheckpointAge.Default)
	setDefault(&o.ReplayBytes, policy.ReplayBytes.Default)
	if o.HeadRows == 0 {
		o.HeadRows = int(policy.HeadRows.Default)
	}
	return o, nil
}

func setDefault(value *int64, otherwise int64) {
	if *value == 0 {
		*value = otherwise
	}
}

// DB is an open database. All methods are safe for concurrent use.
type DB struct {
	options Options
	fs      disk.FS
	lock    io.Closer
	blocks  disk.Blocks
	catalog *catalog.Catalog
	log     wal.Log
	// logFaults returns the damage that opening and replaying the log found.
	logFaults func() []error
	// damagedSegments returns the names of the log's segments in which damage
	// was found.
	damagedSegments func() []string
	logParts        func() []wal.Part // the files of the log
	// rereadSegment reads a file of the log again and returns new damage.
	rereadSegment func(name string, wait func(bytes int) error) ([]error, error)
	// deleting is held to keep objects from being deleted.
	deleting sync.RWMutex
	local    *disk.LocalBlocks // what blocks stands on
	readers  *readerCache
	epoch    uint64 // of this opening: in claims, records and file names
	made     bool   // the folder was a database before this opening

	partitions [model.Partitions]*partition
	appliers   []*applier

	tenantsMu sync.RWMutex
	tenants   map[model.Tenant]*tenant
	// loaded is, while the database is being opened, where each tenant's rows were
	// before the log was replayed.
	loaded map[model.Tenant]loadedRows
	// waiting holds what manifests say of tenants that the log, as far as it was
	// replayed, has not created yet. Guarded by tenantsMu.
	waiting map[model.Tenant]*tenant

	clock rowClock
	// replayedTo is the offset of the last entry that there was when the database
	// was opened.
	replayedTo uint64
	// burying is held while what is left of deleted tenants is removed, and
	// shared while a tenant is made: one of a name is made when nothing is left
	// of the one before.
	burying sync.RWMutex

	logFailure atomic.Pointer[error] // why the log takes no more writes

	headBytes atomic.Int64 // of all heads, frozen ones included
	logBytes  atomic.Int64 // of the entries applied since Open, estimated
	memory    memory
	reserve   reserve
	mostRows  atomic.Uint64 // of one view, in blocks
	queryRows uint64        // policy.QueryRows; less in tests
	attach    attachLimits  // defaultAttach; less in tests
	machine   machineBytes
	flusher   flusher
	keeper    checkpointer
	compactor compactor
	faults    faultList

	quarantine quarantine

	tapMemory *tapMemory

	background sync.WaitGroup
	life       context.Context    // of background work
	stop       context.CancelFunc // ends it

	gate gate // every call is inside it
	// helping holds an element per view that is worked on by a second
	// goroutine: where all may, writers find a core all the same.
	helping chan struct{}
}

// partition is one of the virtual shards: the unit of apply and of
// checkpoints.
type partition struct {
	id model.Partition
	// inFlight counts appends that have been given to the log and are not
	// applied yet.
	inFlight atomic.Int64

	mu      sync.Mutex
	changed *sync.Cond // broadcast when applied moves
	applied uint64     // offset of the last entry applied
	// refused holds why entries were quarantined, for those who wait for them.
	refused map[uint64]error
	damaged error // why the checkpoint cannot be read; the partition serves nothing

	// Guarded by the applier's mutex.
	record     catalog.PartitionRecord
	lastOffset uint64 // of the last entry folded in
	keepFrom   uint64 // offset of the first entry that could not be applied; 0: none
	dirtyFrom  uint64 // offset of the first entry that no checkpoint holds; 0: none
	flushed    bool   // rows that the checkpoint holds are in blocks
	schedule   checkpointSchedule
	// graves are the deleted tenants of which something may still be stored.
	graves []grave
}

func newPartition(id model.Partition) *partition {
	p := &partition{id: id, refused: map[uint64]error{}}
	p.changed = sync.NewCond(&p.mu)
	return p
}

// advance tells those who wait that every entry up to offset is applied.
func (p *partition) advance(offset uint64) {
	p.mu.Lock()
	p.applied = max(p.applied, offset)
	p.mu.Unlock()
	p.changed.Broadcast()
}

// reached reports whether the entry at offset is applied.
func (p *partition) reached(offset uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.applied >= offset
}

// wait returns once the entry at offset is applied, with the reason if it was
// quarantined.
func (p *partition) wait(offset uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.applied < offset {
		p.changed.Wait()
	}
	err := p.refused[offset]
	delete(p.refused, offset)
	return err
}

// Applied returns the offset of the newest entry of p that readers see.
func (db *DB) Applied(p model.Partition) uint64 {
	part := db.partitions[p]
	part.mu.Lock()
	defer part.mu.Unlock()
	return part.applied
}

// tenant returns t's state, or ErrUnknownTenant, or why its partition cannot
// be served.
func (db *DB) tenant(t model.Tenant) (*tenant, error) {
	db.tenantsMu.RLock()
	state := db.tenants[t]
	db.tenantsMu.RUnlock()
	if err := db.partitions[t.Partition()].damaged; err != nil {
		return nil, err
	}
	if state == nil {
		return nil, fmt.Errorf("%w %q", ErrUnknownTenant, string(t))
	}
	return state, nil
}

// enterTenant lets a call in and finds its tenant. Where there is no error the
// caller must leave the gate.
func (db *DB) enterTenant(name model.Tenant) (*tenant, error) {
	if err := db.gate.enter(); err != nil {
		return nil, err
	}
	t, err := db.tenant(name)
	if err != nil {
		db.gate.leave()
	}
	return t, err
}

// HasTenant reports whether t was created.
func (db *DB) HasTenant(t model.Tenant) bool {
	db.tenantsMu.RLock()
	defer db.tenantsMu.RUnlock()
	return db.tenants[t] != nil
}

// allTenants returns the tenants of one partition, or of all for which keep
// is true.
func (db *DB) allTenants(keep func(*tenant) bool) []*tenant {
	db.tenantsMu.RLock()
	defer db.tenantsMu.RUnlock()
	var all []*tenant
	for _, t := range db.tenants {
		if keep(t) {
			all = append(all, t)
		}
	}
	sortTenants(all)
	return all
}

// Close stops background work, writes the checkpoints that are due and closes
// every file. What was acknowledged is durable already, so an error here loses
// nothing. Close waits for calls in progress.
func (db *DB) Close() error {
	if !db.gate.shut() {
		return nil
	}
	db.stop()
	db.background.Wait()
	db.closeTaps()
	var err error
	if !db.options.ReadOnly {
		err = db.closeClean()
	}
	return errors.Join(err, db.release())
}

// closeClean checkpoints what changed and notes where the log ends, so that
// the next opening replays nothing and can tell a shortened log.
func (db *DB) closeClean() error {
	if err := db.checkpointAll(context.Background(), func(p *partition) bool { return true }); err != nil {
		return fmt.Errorf("checkpoint at close: %w", err)
	}
	record, err := db.catalog.LoadLog()
	if err != nil {
		return err
	}
	_, last := db.log.Bounds()
	if record.Durable == last {
		return nil
	}
	record.Revision++
	record.Durable = last
	return db.catalog.Commit(catalog.PutLog(record))
}

// release closes files in the reverse order of opening.
func (db *DB) release() error {
	var errs []error
	if db.log != nil {
		errs = append(errs, db.log.Close())
	}
	for _, a := range db.appliers {
		a.cursor.Close()
	}
	if db.readers != nil {
		errs = append(errs, db.readers.close())
	}
	if db.catalog != nil {
		errs = append(errs, db.catalog.Close())
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Close())
	}
	return errors.Join(errs...)
}

// applierCount is one applier per core.
func applierCount() int { return min(runtime.GOMAXPROCS(0), model.Partitions) }
