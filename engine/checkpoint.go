package engine

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/catalog"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/head"
	"github.com/hokan-db/hokan/engine/model"
)

// A checkpoint is one immutable object per partition: the fold state and the
// unflushed heads as of one offset. It is a file of kind disk.KindCheckpoint
// whose frames, joined, are one stream of bytes (disk.StreamWriter):
//
//	partition    u8
//	epoch        u64 LE
//	offset       u64 LE   every entry up to here is folded in
//	tenants      uvarint, then for each, ascending by name:
//	  name       counted string (uvarint length, bytes)
//	  applied    u64 LE   offset of its last entry; 0 if it was only created
//	  since      i64 LE   clock time of the active head's first entry, ns; of no
//	                      meaning if the last head is not active
//	  channels   uvarint, then for each, ascending by ID:
//	    ID       u32 LE
//	    labels   counted (model.Labels.Encoded)
//	    versions uvarint, then for each: valid from i64 LE, name, unit,
//	             scaling, group, app (counted each), decimals u8, has u8
//	    latest   known u8, then if 1: time i64 LE, value u64 LE (bits)
//	  alarms     counted (alarm.Set.AppendTo)
//	  heads      uvarint, then for each, oldest first; the last one is the active
//	             one if its offset is applied:
//	    offset   u64 LE   of the last entry it may hold
//	    rows     counted (head.Snapshot.AppendTo)
//
// The stream ends there; its last frame is followed by an empty one.

// checkpointer writes one checkpoint at a time.
type checkpointer struct{ writing sync.Mutex }

// partitionState is what a checkpoint holds, taken between two entries.
type partitionState struct {
	partition model.Partition
	offset    uint64
	keepFrom  uint64 // not in the checkpoint, but in the partition's record
	tenants   []tenantState
}

// headBytes is about how long the heads are, which are most of it.
func (s *partitionState) headBytes() (bytes uint64) {
	for i := range s.tenants {
		for _, h := range s.tenants[i].heads {
			bytes += uint64(h.bytes)
		}
	}
	return bytes
}

type tenantState struct {
	name     model.Tenant
	applied  uint64
	since    int64
	channels []model.Channel
	latest   []latestSample
	alarms   []byte
	heads    []headState
}

type headState struct {
	lastOffset uint64
	rows       *head.Snapshot
	bytes      int // about how long the rows are
}

// Checkpoint writes the checkpoint of every partition that has changed and
// trims the log to the oldest.
func (db *DB) Checkpoint(ctx context.Context) error {
	if err := db.gate.enter(); err != nil {
		return err
	}
	defer db.gate.leave()
	if db.options.ReadOnly {
		return ErrReadOnly
	}
	return db.checkpointAll(ctx, func(*partition) bool { return true })
}

// checkpointDue writes the checkpoints whose time or log bytes have come.
func (db *DB) checkpointDue(ctx context.Context, now int64) error {
	return db.checkpointAll(ctx, func(p *partition) bool {
		if p.checkpointDue == 0 {
			// Every partition has its own phase, so that they do not all write
			// at once.
			phase := db.options.CheckpointAge / model.Partitions * int64(p.id)
			p.checkpointDue = now - (now-phase)%db.options.CheckpointAge + db.options.CheckpointAge
		}
		return p.bytesSince >= db.options.CheckpointBytes || now >= p.checkpointDue
	})
}

// checkpointAll checkpoints the changed partitions for which due is true and
// then trims the log. due is called with the applier's mutex held.
func (db *DB) checkpointAll(ctx context.Context, due func(*partition) bool) error {
	db.keeper.writing.Lock()
	defer db.keeper.writing.Unlock()
	var errs []error
	written := false
	for _, p := range db.partitions {
		if err := ctx.Err(); err != nil {
			return err
		}
		state := db.capture(p, due)
		if state == nil {
			continue
		}
		if err := db.writeCheckpoint(p, state); err != nil {
			errs = append(errs, fmt.Errorf("partition %d: %w", p.id, err))
		} else {
			written = true
		}
	}
	if written {
		errs = append(errs, db.trimLog())
	}
	return errors.Join(errs...)
}

// capture takes p's state between two entries, or nil if neither an entry nor a
// flush came since the last checkpoint or it is not due.
func (db *DB) capture(p *partition, due func(*partition) bool) *partitionState {
	a := db.appliers[int(p.id)%len(db.appliers)]
	a.mu.Lock()
	defer a.mu.Unlock()
	changed := p.dirtyFrom != 0 || p.flushed && (p.record.Offset != p.lastOffset || p.record.Epoch != db.epoch)
	if p.damaged != nil || !changed || !due(p) {
		return nil
	}
	state := &partitionState{partition: p.id, offset: p.lastOffset, keepFrom: p.keepFrom}
	for _, t := range db.allTenants(func(t *tenant) bool { return t.partition == p }) {
		state.tenants = append(state.tenants, t.capture())
	}
	p.dirtyFrom, p.bytesSince, p.checkpointDue = 0, 0, 0
	p.flushed = false
	return state
}

func (t *tenant) capture() tenantState {
	t.mu.RLock()
	defer t.mu.RUnlock()
	state := tenantState{
		name: t.name, applied: t.lastApplied, since: t.activeSince,
		channels: make([]model.Channel, 0, t.index.Len()),
		latest:   append([]latestSample(nil), t.latest...),
		alarms:   t.alarms.AppendTo(nil),
	}
	for id := model.ChannelID(1); id <= t.index.MaxID(); id++ {
		if c := t.index.Get(id); c != nil {
			state.channels = append(state.channels, *c)
		}
	}
	for _, f := range t.frozen {
		state.heads = append(state.heads, headState{f.lastOffset, f.Snapshot(), f.Bytes()})
	}
	if !t.active.Empty() {
		state.heads = append(state.heads, headState{t.lastApplied, t.active.Snapshot(), t.active.Bytes()})
	}
	return state
}

// writeCheckpoint makes state durable: the object, then the partition's
// record, and only then is the old object deleted.
func (db *DB) writeCheckpoint(p *partition, state *partitionState) error {
	name := disk.CheckpointName(p.id, db.epoch, state.offset)
	write := func(w io.Writer) error { return encodeCheckpoint(w, db.epoch, state) }
	err := db.reserve.fits(state.headBytes(), true)
	if err == nil {
		db.reserve.wrote(state.headBytes())
		err = db.blocks.Put(name, write)
	}
	if errors.Is(err, disk.ErrExists) {
		// An earlier try failed after it had been named: whether that name is
		// durable is not known.
		if err = db.blocks.Delete(name); err == nil {
			err = db.blocks.Put(name, write)
		}
	}
	if err != nil {
		db.retryCheckpoint(p)
		return err
	}
	record := p.record
	old := record.Checkpoint
	record.Epoch, record.Offset, record.Checkpoint = db.epoch, state.offset, name
	record.Revision++
	record.KeepFrom = state.keepFrom
	if err := db.catalog.Commit(catalog.PutPartition(p.id, record)); err != nil {
		db.retryCheckpoint(p)
		return err
	}
	a := db.appliers[int(p.id)%len(db.appliers)]
	a.mu.Lock()
	p.record = record
	a.mu.Unlock()
	if old != "" && old != name {
		if err := db.blocks.Delete(old); err != nil {
			db.faults.add(fmt.Errorf("old checkpoint: %w", err)) // the next opening removes it
		}
	}
	return nil
}

// retryCheckpoint notes that p's state is in no checkpoint after all.
func (db *DB) retryCheckpoint(p *partition) {
	a := db.appliers[int(p.id)%len(db.appliers)]
	a.mu.Lock()
	defer a.mu.Unlock()
	p.dirtyFrom = p.record.Offset + 1
}

// trimLog lets go of the entries that every partition's checkpoint holds. The
// catalog says so first, so that a log that begins later than it should is
// known for damaged.
func (db *DB) trimLog() error {
	limit := uint64(0)
	for _, p := range db.partitions {
		limit = max(limit, p.record.Offset)
	}
	for _, p := range db.partitions {
		// In this order: an append that is not counted any more is applied, so
		// its entry shows in dirtyFrom; one that is counted later lies beyond
		// limit, which was durable before.
		busy := p.inFlight.Load() > 0
		a := db.appliers[int(p.id)%len(db.appliers)]
		a.mu.Lock()
		if busy {
			limit = min(limit, a.last) // its entries come after what is handled
		}
		if p.keepFrom != 0 {
			limit = min(limit, p.keepFrom-1)
		}
		if p.dirtyFrom != 0 {
			limit = min(limit, p.dirtyFrom-1)
		}
		if p.damaged != nil {
			limit = min(limit, p.record.Offset)
		}
		a.mu.Unlock()
	}
	record, err := db.catalog.LoadLog()
	if err != nil {
		return err
	}
	if limit <= record.TrimmedTo {
		return db.log.Trim(record.TrimmedTo) // what could not go before
	}
	record.Revision++
	record.TrimmedTo = limit
	if err := db.catalog.Commit(catalog.PutLog(record)); err != nil {
		return err
	}
	return db.log.Trim(limit)
}

// checkpointFrame is how many bytes of the stream one frame holds.
const checkpointFrame = 256 << 10

func encodeCheckpoint(w io.Writer, epoch uint64, s *partitionState) error {
	frames, err := disk.NewStreamWriter(w, disk.KindCheckpoint, checkpointFrame)
	if err != nil {
		return err
	}
	b := []byte{byte(s.partition)}
	b = binary.LittleEndian.AppendUint64(b, epoch)
	b = binary.LittleEndian.AppendUint64(b, s.offset)
	b = binary.AppendUvarint(b, uint64(len(s.tenants)))
	if _, err := frames.Write(b); err != nil {
		return err
	}
	for i := range s.tenants {
		if err := s.tenants[i].encode(frames); err != nil {
			return err
		}
	}
	return frames.Close()
}

func (s *tenantState) encode(w io.Writer) error {
	b := appendCounted(nil, string(s.name))
	b = binary.LittleEndian.AppendUint64(b, s.applied)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.since))
	b = binary.AppendUvarint(b, uint64(len(s.channels)))
	for i := range s.channels {
		b = s.appendChannel(b, &s.channels[i])
		if len(b) >= checkpointFrame {
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	b = appendCounted(b, string(s.alarms))
	b = binary.AppendUvarint(b, uint64(len(s.heads)))
	if _, err := w.Write(b); err != nil {
		return err
	}
	for _, h := range s.heads {
		rows := h.rows.AppendTo(make([]byte, 0, h.bytes))
		b = binary.LittleEndian.AppendUint64(b[:0], h.lastOffset)
		b = binary.AppendUvarint(b, uint64(len(rows)))
		if _, err := w.Write(b); err != nil {
			return err
		}
		if _, err := w.Write(rows); err != nil {
			return err
		}
	}
	return nil
}

func appendCounted(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func (s *tenantState) appendChannel(b []byte, c *model.Channel) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(c.ID))
	b = appendCounted(b, c.Labels.Encoded())
	b = binary.AppendUvarint(b, uint64(len(c.History)))
	for i := range c.History {
		v := &c.History[i]
		b = binary.LittleEndian.AppendUint64(b, uint64(v.ValidFrom))
		for _, text := range []string{v.Name, v.Unit, v.Scaling, v.Group, v.App} {
			b = appendCounted(b, text)
		}
		b = append(b, v.Decimals, boolByte(v.HasDecimals))
	}
	var latest latestSample
	if int(c.ID) < len(s.latest) {
		latest = s.latest[c.ID]
	}
	b = append(b, boolByte(latest.known))
	if latest.known {
		b = binary.LittleEndian.AppendUint64(b, uint64(latest.time))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(latest.value))
	}
	return b
}

func boolByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// checkpointReader reads the stream; the first error sticks.
type checkpointReader struct {
	r    *bufio.Reader
	size uint64 // of the file: no part of it is longer
	err  error
}

func (r *checkpointReader) bytes(n uint64) []byte {
	if r.err != nil {
		return nil
	}
	if n > r.size {
		r.err = io.ErrUnexpectedEOF
		return nil
	}
	b := make([]byte, n)
	if _, r.err = io.ReadFull(r.r, b); r.err != nil {
		return nil
	}
	return b
}

func (r *checkpointReader) fixed(n int) uint64 {
	var b [8]byte
	copy(b[:], r.bytes(uint64(n)))
	return binary.LittleEndian.Uint64(b[:])
}

func (r *checkpointReader) uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	var v uint64
	v, r.err = binary.ReadUvarint(r.r)
	return v
}

func (r *checkpointReader) counted() []byte { return r.bytes(r.uvarint()) }

// tenantCheckpoint is a tenant as a checkpoint gives it back.
type tenantCheckpoint struct {
	tenantState
	alarmSet *alarm.Set
	restored []*frozenHead // the active head last
}

// decodeCheckpoint reads a checkpoint and calls visit for each tenant.
func decodeCheckpoint(o disk.Object, path string, visit func(*tenantCheckpoint) error) (p model.Partition, offset uint64, err error) {
	frames, err := disk.NewStreamReader(o, path, disk.KindCheckpoint)
	if err != nil {
		return 0, 0, err
	}
	r := &checkpointReader{r: bufio.NewReaderSize(frames, checkpointFrame), size: uint64(o.Size())}
	p = model.Partition(r.fixed(1))
	r.fixed(8) // the epoch is in the name
	offset = r.fixed(8)
	tenants := r.uvarint()
	for i := uint64(0); i < tenants && r.err == nil; i++ {
		t, err := r.tenant()
		if err != nil {
			return 0, 0, disk.Corrupt(path, frames.Position(), "tenant %d of the checkpoint: %w", i, err)
		}
		if err := visit(t); err != nil {
			return 0, 0, disk.Corrupt(path, frames.Position(), "tenant %d of the checkpoint: %w", i, err)
		}
	}
	if r.err == nil {
		if _, extra := r.r.ReadByte(); extra != io.EOF {
			return 0, 0, disk.Corrupt(path, frames.Position(), "bytes after the last tenant (%v)", extra)
		}
	}
	if r.err != nil {
		return 0, 0, disk.Corrupt(path, frames.Position(), "checkpoint cut short: %w", r.err)
	}
	return p, offset, nil
}

func (r *checkpointReader) tenant() (*tenantCheckpoint, error) {
	t := &tenantCheckpoint{}
	t.name = model.Tenant(r.counted())
	t.applied = r.fixed(8)
	t.since = int64(r.fixed(8))
	channels := r.uvarint()
	for i := uint64(0); i < channels && r.err == nil; i++ {
		if err := r.channel(t); err != nil {
			return nil, err
		}
	}
	alarms := r.counted()
	heads := r.uvarint()
	for i := uint64(0); i < heads && r.err == nil; i++ {
		lastOffset := r.fixed(8)
		rows := r.counted()
		if r.err != nil {
			break
		}
		h, err := head.Decode(rows)
		if err != nil {
			return nil, err
		}
		t.restored = append(t.restored, &frozenHead{h, lastOffset})
	}
	if r.err != nil {
		return nil, r.err
	}
	var err error
	if t.alarmSet, err = alarm.DecodeSet(alarms); err != nil {
		return nil, err
	}
	return t, t.name.Validate()
}

func (r *checkpointReader) channel(t *tenantCheckpoint) error {
	c := model.Channel{ID: model.ChannelID(r.fixed(4))}
	labels := r.counted()
	if r.err != nil {
		return r.err
	}
	var err error
	if c.Labels, err = model.DecodeLabels(labels); err != nil {
		return err
	}
	versions := r.uvarint()
	for i := uint64(0); i < versions && r.err == nil; i++ {
		v := model.PropertyVersion{ValidFrom: int64(r.fixed(8))}
		for _, text := range []*string{&v.Name, &v.Unit, &v.Scaling, &v.Group, &v.App} {
			*text = string(r.counted())
		}
		v.Decimals = uint8(r.fixed(1))
		v.HasDecimals = r.fixed(1) == 1
		c.History = append(c.History, v)
	}
	latest := latestSample{known: r.fixed(1) == 1}
	if latest.known {
		latest.time = int64(r.fixed(8))
		latest.value = math.Float64frombits(r.fixed(8))
	}
	t.channels = append(t.channels, c)
	t.latest = append(t.latest, latest)
	return r.err
}
