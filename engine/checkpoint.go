package engine

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/catalog"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/head"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/engine/receipt"
)

// A checkpoint is one immutable object per partition: the fold state and the
// unflushed heads as of one offset. It is a file of kind disk.KindCheckpoint
// whose frames, joined, are one stream of bytes (disk.StreamWriter):
//
//	partition    u8
//	epoch        u64 LE
//	offset       u64 LE   every entry up to here is folded in
//	graves       uvarint, then for each deleted tenant of which something may
//	             still be stored: name (counted), offset of the deletion u64 LE
//	tenants      uvarint, then for each, ascending by name:
//	  name       counted string (uvarint length, bytes)
//	  born       u64 LE   offset of the entry that created it
//	  applied    u64 LE   offset of its last entry; 0 if it was only created
//	  clock      i64 LE   the greatest time of its entries since the clock was set back, ns
//	  next       u32 LE   the ID that the next new channel gets
//	  since      i64 LE   clock time of the active head's first entry, ns; of no
//	                      meaning if the last head is not active
//	  retention  counted (policy.Rules.AppendTo; empty: no rules)
//	  tombstones uvarint, then for each, ascending by offset: offset u64 LE, from
//	             i64 LE, to i64 LE, channels uvarint plus 1 (0: every channel),
//	             then for each the ID minus the one before, uvarint
//	  pinned     uvarint, then for each channel whose floors are those of rules
//	             that hold no longer, ascending: ID u32 LE, a floor i64 LE for
//	             each model.Step
//	  channels   uvarint, then for each, ascending by ID:
//	    ID       u32 LE
//	    labels   counted (model.Labels.Encoded)
//	    versions uvarint, then for each: valid from i64 LE, name, unit,
//	             scaling, group, app (counted each), decimals u8, has u8
//	    latest   u8: 0 none, 1 known, 2 deleted; then if not 0: time i64 LE; and
//	             if 1: value u64 LE (bits)
//	  alarms     counted (alarm.Set.AppendTo)
//	  receipts   counted (receipt.Set.AppendTo); not in version 2
//	  heads      uvarint, then for each, oldest first; the last one is the active
//	             one if its offset is applied:
//	    offset   u64 LE   of the last entry it may hold
//	    rows     counted (head.Snapshot.AppendTo)
//	    attached uvarint, then for each block that an entry brought along,
//	             ascending: offset u64 LE of the entry, block counted;
//	             not before version 4
//
// The stream ends there; its last frame is followed by an empty one.

// checkpointer writes one checkpoint at a time.
type checkpointer struct{ writing sync.Mutex }

// partitionState is what a checkpoint holds, taken between two entries.
type partitionState struct {
	partition model.Partition
	offset    uint64
	keepFrom  uint64 // not in the checkpoint, but in the partition's record
	graves    []grave
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
	name    model.Tenant
	born    uint64
	applied uint64
	clock   int64
	since   int64
	nextID  model.ChannelID

	rules      policy.Rules
	tombstones []model.Tombstone
	pinned     map[model.ChannelID]policy.Floors

	channels []model.Channel
	latest   []latestSample
	alarms   []byte
	receipts []byte
	heads    []headState
}

type headState struct {
	lastOffset uint64
	rows       *head.Snapshot
	attached   []*attachedBlock
	room       int // about how long rows are
	bytes      int // and all
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
	state := &partitionState{partition: p.id, offset: p.lastOffset, keepFrom: p.keepFrom, graves: p.graves}
	for _, t := range db.allTenants(func(t *tenant) bool { return t.partition == p }) {
		state.tenants = append(state.tenants, t.capture())
	}
	p.dirtyFrom, p.schedule = 0, checkpointSchedule{last: p.schedule.last}
	p.flushed = false
	return state
}

func (t *tenant) capture() tenantState {
	t.mu.RLock()
	defer t.mu.RUnlock()
	state := tenantState{
		name: t.name, born: t.born, applied: t.lastApplied, clock: t.clock, since: t.activeSince, nextID: t.nextID,
		rules: t.rules(), tombstones: t.tombstones, pinned: maps.Clone(t.pinned),
		channels: make([]model.Channel, 0, t.index.Len()),
		latest:   append([]latestSample(nil), t.latest...),
		alarms:   t.alarms.AppendTo(nil),
		receipts: t.receipts.AppendTo(nil),
	}
	for id := model.ChannelID(1); id <= t.index.MaxID(); id++ {
		if c := t.index.Get(id); c != nil {
			state.channels = append(state.channels, *c)
		}
	}
	for _, f := range t.frozen {
		state.heads = append(state.heads, headState{f.lastOffset, f.Snapshot(), f.attached, f.Head.Bytes(), f.Bytes()})
	}
	if !t.active.Empty() {
		state.heads = append(state.heads, headState{t.lastApplied, t.active.Snapshot(), t.active.attached, t.active.Head.Bytes(), t.active.Bytes()})
	}
	return state
}

// writeCheckpoint makes state durable: the object, then the partition's
// record, and only then is the old object deleted.
func (db *DB) writeCheckpoint(p *partition, state *partitionState) error {
	name := disk.CheckpointName(p.id, db.epoch, state.offset)
	var size byteCount
	write := func(w io.Writer) error {
		size = 0
		return encodeCheckpoint(io.MultiWriter(w, &size), db.epoch, state)
	}
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
	record.KeepFrom, record.Deletions = state.keepFrom, state.skeleton()
	if err := db.catalog.Commit(catalog.PutPartition(p.id, record)); err != nil {
		db.retryCheckpoint(p)
		return err
	}
	a := db.appliers[int(p.id)%len(db.appliers)]
	a.mu.Lock()
	p.record, p.schedule.last = record, int64(size)
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
	if p.dirtyFrom == 0 {
		p.schedule.from = db.logBytes.Load()
	}
	p.dirtyFrom = p.record.Offset + 1
	p.schedule.last = 0 // it is tried again at the next age
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
	b = binary.AppendUvarint(b, uint64(len(s.graves)))
	for _, g := range s.graves {
		b = appendCounted(b, string(g.tenant))
		b = binary.LittleEndian.AppendUint64(b, g.offset)
	}
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
	b = binary.LittleEndian.AppendUint64(b, s.born)
	b = binary.LittleEndian.AppendUint64(b, s.applied)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.clock))
	b = binary.LittleEndian.AppendUint32(b, uint32(s.nextID))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.since))
	b = s.appendRetention(b)
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
	b = appendCounted(b, string(s.receipts))
	b = binary.AppendUvarint(b, uint64(len(s.heads)))
	if _, err := w.Write(b); err != nil {
		return err
	}
	for _, h := range s.heads {
		rows := h.rows.AppendTo(make([]byte, 0, h.room))
		b = binary.LittleEndian.AppendUint64(b[:0], h.lastOffset)
		b = binary.AppendUvarint(b, uint64(len(rows)))
		if _, err := w.Write(b); err != nil {
			return err
		}
		if _, err := w.Write(rows); err != nil {
			return err
		}
		if err := writeAttached(w, h.attached); err != nil {
			return err
		}
	}
	return nil
}

// appendRetention appends what was deleted and how long the rest stays.
func (s *tenantState) appendRetention(b []byte) []byte {
	var rules []byte
	if len(s.rules) > 0 {
		rules = s.rules.AppendTo(nil)
	}
	b = appendCounted(b, string(rules))
	b = binary.AppendUvarint(b, uint64(len(s.tombstones)))
	for i := range s.tombstones {
		t := &s.tombstones[i]
		b = binary.LittleEndian.AppendUint64(b, t.Offset)
		b = binary.LittleEndian.AppendUint64(b, uint64(t.Span.From))
		b = binary.LittleEndian.AppendUint64(b, uint64(t.Span.To))
		if t.Channels == nil {
			b = append(b, 0)
			continue
		}
		b = binary.AppendUvarint(b, uint64(len(t.Channels))+1)
		var before model.ChannelID
		for _, id := range t.Channels {
			b = binary.AppendUvarint(b, uint64(id-before))
			before = id
		}
	}
	b = binary.AppendUvarint(b, uint64(len(s.pinned)))
	for _, id := range slices.Sorted(maps.Keys(s.pinned)) {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
		for _, floor := range s.pinned[id] {
			b = binary.LittleEndian.AppendUint64(b, uint64(floor))
		}
	}
	return b
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
	b = append(b, byte(latest.state))
	if latest.state != latestNone {
		b = binary.LittleEndian.AppendUint64(b, uint64(latest.time))
	}
	if latest.state == latestKnown {
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
	version uint16
	r       *bufio.Reader
	size    uint64 // of the file: no part of it is longer
	err     error
	// part is the memory of what bytes returns. Most of a checkpoint is heads,
	// which are copied: memory for each would be as much again.
	part []byte
}

// bytes returns the next n bytes, which are good until it is called again.
func (r *checkpointReader) bytes(n uint64) []byte {
	if r.err != nil || n == 0 {
		return nil
	}
	if n > r.size {
		r.err = io.ErrUnexpectedEOF
		return nil
	}
	if uint64(cap(r.part)) < n {
		r.part = make([]byte, n)
	}
	b := r.part[:n]
	if _, r.err = io.ReadFull(r.r, b); r.err != nil {
		return nil
	}
	return b
}

// fixed reads a number of n bytes, at most 8.
func (r *checkpointReader) fixed(n int) uint64 {
	if r.err != nil {
		return 0
	}
	b, err := r.r.Peek(n)
	if r.err = err; err != nil {
		return 0
	}
	var number [8]byte
	copy(number[:], b)
	r.r.Discard(n) // what was peeked at can be
	return binary.LittleEndian.Uint64(number[:])
}

func (r *checkpointReader) uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	var v uint64
	v, r.err = binary.ReadUvarint(r.r)
	return v
}

// counted returns what its length goes before, as bytes does.
func (r *checkpointReader) counted() []byte { return r.bytes(r.uvarint()) }

// tenantCheckpoint is a tenant as a checkpoint gives it back.
type tenantCheckpoint struct {
	tenantState
	alarmSet   *alarm.Set
	receiptSet *receipt.Set
	restored   []*frozenHead // the active head last
}

// checkpointHead is what a checkpoint says of its partition.
type checkpointHead struct {
	partition model.Partition
	offset    uint64
	graves    []grave
}

// decodeCheckpoint reads a checkpoint and calls visit for each tenant.
func decodeCheckpoint(o disk.Object, path string, visit func(*tenantCheckpoint) error) (checkpointHead, error) {
	frames, err := disk.NewStreamReader(o, path, disk.KindCheckpoint)
	if err != nil {
		return checkpointHead{}, err
	}
	r := &checkpointReader{r: bufio.NewReaderSize(frames, checkpointFrame), version: frames.Version(), size: uint64(o.Size())}
	head := r.head()
	tenants := r.uvarint()
	for i := uint64(0); i < tenants && r.err == nil; i++ {
		t, err := r.tenant()
		if err != nil {
			return head, disk.Corrupt(path, frames.Position(), "tenant %d of the checkpoint: %w", i, err)
		}
		if err := visit(t); err != nil {
			return head, disk.Corrupt(path, frames.Position(), "tenant %d of the checkpoint: %w", i, err)
		}
	}
	if r.err == nil {
		if _, extra := r.r.ReadByte(); extra != io.EOF {
			return head, disk.Corrupt(path, frames.Position(), "bytes after the last tenant (%v)", extra)
		}
	}
	if r.err != nil {
		return head, disk.Corrupt(path, frames.Position(), "checkpoint cut short: %w", r.err)
	}
	return head, nil
}

// checkCheckpoint reads all of a checkpoint and returns the first damage.
func checkCheckpoint(store disk.Blocks, name string) error {
	p, _, offset, ok := disk.ParseCheckpointName(name)
	if !ok {
		return nil
	}
	o, err := store.Open(name)
	if err != nil {
		return err
	}
	defer o.Close()
	holds, err := decodeCheckpoint(o, name, func(*tenantCheckpoint) error { return nil })
	if err == nil && (holds.partition != p || holds.offset != offset) {
		return disk.Corrupt(name, disk.HeaderSize, "it is of partition %d at offset %d", holds.partition, holds.offset)
	}
	return err
}

func (r *checkpointReader) head() (h checkpointHead) {
	h.partition = model.Partition(r.fixed(1))
	r.fixed(8) // the epoch is in the name
	h.offset = r.fixed(8)
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		h.graves = append(h.graves, grave{model.Tenant(r.counted()), r.fixed(8)})
	}
	return h
}

func (r *checkpointReader) tenant() (*tenantCheckpoint, error) {
	t := &tenantCheckpoint{}
	t.name = model.Tenant(r.counted())
	t.born = r.fixed(8)
	t.applied = r.fixed(8)
	t.clock = int64(r.fixed(8))
	t.nextID = model.ChannelID(r.fixed(4))
	t.since = int64(r.fixed(8))
	if err := r.retention(t); err != nil {
		return nil, err
	}
	channels := r.uvarint()
	for i := uint64(0); i < channels && r.err == nil; i++ {
		if err := r.channel(t); err != nil {
			return nil, err
		}
	}
	alarms := r.counted()
	if r.err != nil {
		return nil, r.err
	}
	var err error
	if t.alarmSet, err = alarm.DecodeSet(alarms); err != nil {
		return nil, err
	}
	var receipts []byte
	if r.version > 2 {
		receipts = r.counted()
	}
	if r.err != nil {
		return nil, r.err
	}
	if t.receiptSet, err = receipt.DecodeSet(receipts); err != nil {
		return nil, err
	}
	heads := r.uvarint()
	for i := uint64(0); i < heads && r.err == nil; i++ {
		lastOffset := r.fixed(8)
		rows := r.counted()
		if r.err != nil {
			break
		}
		l := newLayer()
		if l.Head, err = head.Decode(rows); err == nil && r.version > 3 {
			err = r.attached(l)
		}
		if err != nil {
			return nil, err
		}
		t.restored = append(t.restored, &frozenHead{l, lastOffset})
	}
	if r.err != nil {
		return nil, r.err
	}
	return t, t.name.Validate()
}

// retention reads what was deleted and how long the rest stays.
func (r *checkpointReader) retention(t *tenantCheckpoint) (err error) {
	if rules := r.counted(); len(rules) > 0 {
		if t.rules, err = policy.DecodeRules(rules); err != nil {
			return err
		}
	}
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		s := model.Tombstone{Offset: r.fixed(8), Span: model.Span{From: int64(r.fixed(8)), To: int64(r.fixed(8))}}
		channels := r.uvarint()
		if channels > r.size {
			return io.ErrUnexpectedEOF
		}
		if channels > 0 {
			s.Channels = make([]model.ChannelID, 0, channels-1)
		}
		var id model.ChannelID
		for range max(channels, 1) - 1 {
			id += model.ChannelID(r.uvarint())
			s.Channels = append(s.Channels, id)
		}
		t.tombstones = append(t.tombstones, s)
	}
	pinned := r.uvarint()
	if pinned > 0 && r.err == nil {
		t.pinned = map[model.ChannelID]policy.Floors{}
	}
	for ; pinned > 0 && r.err == nil; pinned-- {
		id := model.ChannelID(r.fixed(4))
		var floors policy.Floors
		for s := range floors {
			floors[s] = int64(r.fixed(8))
		}
		t.pinned[id] = floors
	}
	return r.err
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
	latest := latestSample{state: latestState(r.fixed(1))}
	if latest.state > latestLost {
		return fmt.Errorf("what is known of channel %d's latest row is %d", c.ID, latest.state)
	}
	if latest.state != latestNone {
		latest.time = int64(r.fixed(8))
	}
	if latest.state == latestKnown {
		latest.value = math.Float64frombits(r.fixed(8))
	}
	t.channels = append(t.channels, c)
	t.latest = append(t.latest, latest)
	return r.err
}
