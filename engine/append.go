package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/wal"
)

// AppendResult says how far an append came.
type AppendResult struct {
	Offset uint64 // of the last entry written
	Rows   int    // durable and readable
	// Refused are the columns whose channels would be more than the quota has
	// room for, in the order of the batch. Their rows are not written.
	Refused []RefusedColumn
}

// Append writes a batch: when it returns, its rows are durable, readable and
// have been judged by the alarms. A batch that does not fit into one log entry
// is written as several; if one of them fails, the result tells how many rows
// the ones before it had, and those stay. Within one entry a crash keeps all
// or nothing.
//
// Times outside [model.MinTime, model.MaxTime) and columns of unequal length
// are refused as a whole with ErrInvalid, before anything is written. A full
// disk, or one with less room than the reserve, is disk.ErrFull: nothing of the
// failing entry is kept, and a later append may succeed. Where memory is used
// up, and stays so for a while, it is ErrBusy: later is better. A column whose
// channel would be one too many is left out and told by the result. Cancelling ctx is heeded only between entries, since
// what is in the log can no longer be taken back.
func (db *DB) Append(ctx context.Context, b *model.Batch) (AppendResult, error) {
	t, err := db.enterTenant(b.Tenant)
	if err != nil {
		return AppendResult{}, err
	}
	defer db.gate.leave()
	if err := checkColumns(b.Columns); err != nil {
		return AppendResult{}, err
	}
	if err := t.writeBlock(); err != nil {
		return AppendResult{}, err
	}
	return db.appendColumns(ctx, t, b.Columns)
}

func checkColumns(columns []model.Column) error {
	for i := range columns {
		c := &columns[i]
		if len(c.Times) != len(c.Values) {
			return fmt.Errorf("%w: column %d has %d times and %d values", ErrInvalid, i, len(c.Times), len(c.Values))
		}
		if c.Labels.IsZero() {
			return fmt.Errorf("%w: column %d has no labels", ErrInvalid, i)
		}
		if i > 0 && len(c.Times) > 0 && len(columns[i-1].Times) == len(c.Times) && &columns[i-1].Times[0] == &c.Times[0] {
			continue // the same clock as the column before
		}
		for j, at := range c.Times {
			if at < model.MinTime || at >= model.MaxTime {
				return fmt.Errorf("%w: column %d row %d: time %d ns is outside the years 1678 to 2261", ErrInvalid, i, j, at)
			}
		}
	}
	return nil
}

// rowsEntry is the memory of one append, reused.
type rowsEntry struct {
	entry entry.Entry
	rows  entry.Rows
}

var rowsEntries = sync.Pool{New: func() any { return new(rowsEntry) }}

// appendColumns writes the columns as one entry, or as several where they do
// not fit into one.
func (db *DB) appendColumns(ctx context.Context, t *tenant, columns []model.Column) (result AppendResult, err error) {
	r := rowsEntries.Get().(*rowsEntry)
	defer rowsEntries.Put(r)
	if err := t.beginNaming(); err != nil {
		return result, err
	}
	defer t.naming.RUnlock()
	r.rows.Definitions = r.rows.Definitions[:0]
	r.rows.Columns = r.rows.Columns[:0]
	if result.Refused, err = t.resolve(columns, &r.rows); err != nil || len(r.rows.Columns) == 0 && len(columns) > 0 {
		return result, err
	}
	if db.attaches(&r.rows) {
		return result, db.appendAttached(ctx, t, &r.rows, &result)
	}
	pieces := []*entry.Rows{&r.rows}
	if r.rows.Size() > entry.MaxBytes {
		if pieces, err = r.rows.Split(); err != nil {
			return result, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	for _, piece := range pieces {
		if err := ctx.Err(); err != nil {
			return result, err
		}
		if err := db.admit(ctx); err != nil {
			return result, err
		}
		r.entry = entry.Entry{Body: piece}
		if result.Offset, err = db.write(t.partition, t.name, &r.entry); err != nil {
			return result, err
		}
		result.Rows += piece.Rows()
	}
	return result, nil
}

// resolve turns labels into channel IDs. Into rows go the columns, and the
// definition of every channel that no applied entry has defined or whose
// properties the batch changes. Columns of channels that there is no room for
// are left out and returned.
func (t *tenant) resolve(columns []model.Column, rows *entry.Rows) ([]RefusedColumn, error) {
	t.mu.RLock()
	missing := 0
	var id model.ChannelID
	for i := range columns {
		c := &columns[i]
		var ok bool
		if id, ok = t.find(c.Labels, id); !ok {
			missing++
		} else if c.Properties != nil {
			from := validFrom(c.Times)
			if t.index.Get(id).History.At(from) != *c.Properties {
				rows.Definitions = append(rows.Definitions, definition(id, c, from))
			}
		}
		rows.Columns = append(rows.Columns, entry.Column{Channel: id, Times: c.Times, Values: c.Values})
	}
	t.mu.RUnlock()
	if missing == 0 {
		return nil, nil
	}
	return t.resolveNew(columns, rows)
}

// resolveNew numbers and defines the channels that rows still lack.
func (t *tenant) resolveNew(columns []model.Column, rows *entry.Rows) (refused []RefusedColumn, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	room := t.newChannelRoom()
	for i := range columns {
		if rows.Columns[i].Channel != 0 {
			continue
		}
		id, code, err := t.number(columns[i].Labels, room)
		if err != nil {
			return nil, err
		}
		if code != "" {
			refused = append(refused, RefusedColumn{Column: i, Code: code})
			continue
		}
		rows.Columns[i].Channel = id
		rows.Definitions = append(rows.Definitions, definition(id, &columns[i], validFrom(columns[i].Times)))
	}
	if refused != nil {
		rows.Columns = slices.DeleteFunc(rows.Columns, func(c entry.Column) bool { return c.Channel == 0 })
	}
	return refused, nil
}

// find returns the channel that has these labels. Channels that were made
// together mostly come together: comparing those of the ID after before is
// several times cheaper than finding labels. The caller holds mu shared.
func (t *tenant) find(l model.Labels, before model.ChannelID) (model.ChannelID, bool) {
	if next := t.index.Get(before + 1); next != nil && next.Labels == l {
		return before + 1, true
	}
	return t.index.Lookup(l)
}

// number returns the ID of a channel, giving it one where it has none and there
// is room, else the code of what refuses it. IDs given to appends that then
// fail stay theirs: an ID is never used twice. The caller holds mu.
func (t *tenant) number(labels model.Labels, room *channelRoom) (id model.ChannelID, code string, err error) {
	if id, ok := t.index.Lookup(labels); ok {
		return id, "", nil
	}
	if id, ok := t.pending[labels]; ok {
		return id, "", nil
	}
	if t.nextID == 0 {
		return 0, "", fmt.Errorf("%w: every channel ID is used", ErrInvalid)
	}
	if code := room.take(labels); code != "" {
		return 0, code, nil
	}
	id = t.nextID
	t.nextID++
	t.pending[labels] = id
	return id, "", nil
}

func definition(id model.ChannelID, c *model.Column, from int64) model.Definition {
	return model.Definition{ID: id, Labels: c.Labels, Properties: c.Properties, ValidFrom: from}
}

// validFrom is the time from which properties sent with rows hold: the
// earliest row's.
func validFrom(times []int64) int64 {
	if len(times) == 0 {
		return model.MinTime
	}
	first := times[0]
	for _, at := range times {
		first = min(first, at)
	}
	return first
}

// write appends e to the log and returns when it is durable and applied.
func (db *DB) write(p *partition, t model.Tenant, e *entry.Entry) (uint64, error) {
	if err := db.writable(); err != nil {
		return 0, err
	}
	e.Partition, e.Tenant = p.id, t
	e.Time = db.entryTime(e.Body)
	p.inFlight.Add(1)
	defer p.inFlight.Add(-1)
	offset, err := db.log.Append(wal.Claim{Partition: p.id, Epoch: db.epoch}, e)
	if err != nil {
		if errors.Is(err, wal.ErrFailed) {
			db.logFailure.CompareAndSwap(nil, &err)
		}
		return 0, err
	}
	db.reserve.wrote(uint64(estimateBytes(e)))
	db.appliers[int(p.id)%len(db.appliers)].catchUp(p, offset)
	return offset, p.wait(offset)
}

// writable refuses writes after the catalog failed, as its outputs could no
// longer be kept.
func (db *DB) writable() error {
	if db.options.ReadOnly {
		return fmt.Errorf("the database is open for reading only: %w", ErrReadOnly)
	}
	return db.catalog.Err()
}

// admit refuses what grows where the disk has no more room than its reserve,
// and where memory is used up: it waits while heads hold more than they may
// and flushing gets on. What deletes, or bounds what is kept, asks for no
// admission: it may use the reserve.
func (db *DB) admit(ctx context.Context) error {
	if err := db.writable(); err != nil {
		return err
	}
	if err := db.reserve.check(); err != nil {
		return err
	}
	if err := db.memory.admit(ctx); err != nil {
		return err
	}
	db.flusher.waitForRoom()
	return db.flusher.overfull()
}

// CreateTenant makes t; a tenant that exists is left as it is.
func (db *DB) CreateTenant(ctx context.Context, t model.Tenant) error {
	if err := db.gate.enter(); err != nil {
		return err
	}
	defer db.gate.leave()
	if err := t.Validate(); err != nil {
		return err
	}
	p := db.partitions[t.Partition()]
	if p.damaged != nil {
		return p.damaged
	}
	if db.HasTenant(t) {
		return nil
	}
	if err := db.admit(ctx); err != nil {
		return err
	}
	db.burying.RLock()
	if len(db.gravesOf(p, t)) == 0 {
		defer db.burying.RUnlock()
	} else {
		db.burying.RUnlock()
		db.burying.Lock()
		defer db.burying.Unlock()
		if err := db.clearGrave(p, t); err != nil {
			return err
		}
	}
	_, err := db.write(p, t, &entry.Entry{Body: &entry.CreateTenant{}})
	return err
}

// Define writes channel properties, or channels without rows: definitions
// need Labels, Properties and ValidFrom; their IDs are filled in.
func (db *DB) Define(ctx context.Context, name model.Tenant, definitions []model.Definition) error {
	t, err := db.enterTenant(name)
	if err != nil {
		return err
	}
	defer db.gate.leave()
	if err := t.writeBlock(); err != nil {
		return err
	}
	if err := db.admit(ctx); err != nil {
		return err
	}
	if err := t.beginNaming(); err != nil {
		return err
	}
	defer t.naming.RUnlock()
	if err := t.numberAll(definitions); err != nil {
		return err
	}
	_, err = db.write(t.partition, name, &entry.Entry{Body: &entry.Define{Definitions: definitions}})
	return err
}

// numberAll fills in the IDs of definitions. Where one of them would be a
// channel too many, all are refused.
func (t *tenant) numberAll(definitions []model.Definition) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	room := t.newChannelRoom()
	for i := range definitions {
		if definitions[i].Labels.IsZero() {
			return fmt.Errorf("%w: definition %d has no labels", ErrInvalid, i)
		}
		id, code, err := t.number(definitions[i].Labels, room)
		if err != nil {
			return err
		}
		if code != "" {
			return fmt.Errorf("%w: definition %d: %s", ErrTooManyChannels, i, code)
		}
		definitions[i].ID = id
	}
	return nil
}
