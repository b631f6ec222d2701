package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/receipt"
	"github.com/hokan-db/hokan/engine/wal"
)

// applier folds the entries of its partitions into their state, in offset
// order. There is one per core.
type applier struct {
	db      *DB
	folding sync.Mutex // held by who uses cursor and applies what it gives
	cursor  wal.Cursor

	// mu is held over a whole group of entries, the events they caused
	// included: whoever holds it sees partitions between entries.
	mu     sync.Mutex
	last   uint64                         // offset of the newest entry handled
	events map[model.Tenant][]alarm.Event // of the group
}

// catchUp applies what is durable until the entry of p at offset is applied.
// Whoever wrote it does that: with a group of few entries, handing them to
// another goroutine and being woken by it costs more than applying them.
func (a *applier) catchUp(p *partition, offset uint64) {
	if p.reached(offset) {
		return // another writer of the group was here
	}
	a.folding.Lock()
	defer a.folding.Unlock()
	for !p.reached(offset) {
		entries, err := a.cursor.Next(context.Background()) // it is durable, and comes
		if err != nil {
			return // what the log held is all applied
		}
		a.applyGroup(entries)
	}
}

// replay applies what the log holds already.
func (a *applier) replay() error {
	for {
		entries, err := a.cursor.TryNext()
		if err != nil || entries == nil {
			return err
		}
		a.applyGroup(entries)
		a.db.flusher.waitForRoom()
	}
}

// applyGroup applies entries, gives their events to the catalog, and only then
// tells those who wait: an answered write's events can be read.
func (a *applier) applyGroup(entries []*entry.Entry) {
	a.mu.Lock()
	a.last = entries[len(entries)-1].Offset
	for _, e := range entries {
		p := a.db.partitions[e.Partition]
		if p.damaged != nil {
			continue // its state is unknown; the log keeps the entry
		}
		bytes := estimateBytes(e)
		behind := a.db.logBytes.Add(bytes)
		if p.dirtyFrom == 0 {
			p.dirtyFrom, p.schedule.from = e.Offset, behind-bytes
		}
		p.schedule.bytes += bytes
		p.lastOffset = e.Offset
		if err := a.apply(p, e); err != nil {
			a.refuse(p, e, err)
		}
	}
	for t, events := range a.events {
		// A catalog that failed refuses everything until reopened, and the log
		// gives the same events again then.
		if err := a.db.catalog.PutEvents(t, events); err != nil {
			a.db.faults.add(err)
		} else if state, err := a.db.tenant(t); err == nil {
			state.offerEvents(events)
		}
		delete(a.events, t)
	}
	a.mu.Unlock()
	for i, e := range entries {
		// Entries of a group mostly share few partitions: tell each once.
		if i+1 == len(entries) || entries[i+1].Partition != e.Partition {
			a.db.partitions[e.Partition].advance(e.Offset)
		}
	}
}

// refuse notes that e could not be applied. That an alarm is gone already is
// an answer to whoever wrote e. Anything else is damage: the log keeps the
// entry, and what comes after it.
func (a *applier) refuse(p *partition, e *entry.Entry, err error) {
	if !errors.Is(err, alarm.ErrUnknown) {
		a.db.faults.quarantined(e, err)
		if p.keepFrom == 0 {
			p.keepFrom = e.Offset
		}
	}
	if p.inFlight.Load() == 0 {
		return // replayed: nobody waits
	}
	p.mu.Lock()
	p.refused[e.Offset] = err
	p.mu.Unlock()
}

// estimateBytes is about how long e is in the log.
func estimateBytes(e *entry.Entry) int64 {
	if r, ok := e.Body.(*entry.Rows); ok {
		return int64(64 + 10*r.Rows() + 100*len(r.Definitions))
	}
	if b, ok := e.Body.(*entry.Attach); ok {
		return int64(64 + 18*len(b.Newest) + 100*len(b.Definitions) + len(b.Block))
	}
	if r, ok := e.Body.(*entry.PutReceipt); ok {
		return int64(128 + len(r.ID.Key) + len(r.ID.Producer) + len(r.Header) + len(r.Answer))
	}
	return 256
}

// apply folds one entry into the state of its tenant. It reads nothing but
// that state and the entry. An entry that cannot be applied, because it is
// wrong or because applying it panics, is an error and changes as little as
// it can; the database goes on.
func (a *applier) apply(p *partition, e *entry.Entry) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("applying entry %d: %v", e.Offset, r)
		}
	}()
	if _, ok := e.Body.(*entry.CreateTenant); ok {
		a.db.createTenant(p, e)
		return nil
	}
	t, err := a.db.tenant(e.Tenant)
	if err != nil {
		return err
	}
	if body, ok := e.Body.(*entry.DeleteTenant); ok {
		return a.deleteTenant(p, t, e, body)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e.Body.(type) {
	case *entry.DeleteRows, *entry.DeleteChannels:
		t.freeze() // what it holds is older than the deletion, what comes is not
	}
	t.lastApplied = e.Offset
	t.sawTime(e.Time)
	switch body := e.Body.(type) {
	case *entry.Rows:
		return a.applyRows(t, e, body)
	case *entry.Attach:
		return a.applyAttach(t, e, body)
	case *entry.Define:
		return t.define(body.Definitions)
	case *entry.DeleteRows:
		a.deleteRows(p, t, e, body)
		return nil
	case *entry.DeleteChannels:
		a.deleteChannels(p, t, e, body)
		return nil
	case *entry.SetRetention:
		return t.setRetention(body.Rules)
	case *entry.PutAlarm:
		return t.putAlarm(e.Offset, body)
	case *entry.SwitchAlarm:
		return t.alarms.Switch(body)
	case *entry.DeleteAlarm:
		return t.alarms.Delete(body.ID)
	case *entry.PutReceipt:
		t.receipts.Put(&receipt.Receipt{
			ID: body.ID, Fingerprint: body.Fingerprint, Time: e.Time,
			Status: body.Status, Header: body.Header, Answer: body.Answer,
		}, t.clock)
		return nil
	}
	return fmt.Errorf("%w: entry of kind %d", ErrInvalid, e.Body.Kind())
}

// createTenant applies the making of a tenant.
func (db *DB) createTenant(p *partition, e *entry.Entry) {
	db.tenantsMu.Lock()
	defer db.tenantsMu.Unlock()
	if t := db.tenants[e.Tenant]; t != nil {
		if t.born == 0 { // until now only its manifest was known
			t.born = e.Offset
		}
		return
	}
	t := db.waiting[e.Tenant]
	if delete(db.waiting, e.Tenant); t == nil {
		t = newTenant(e.Tenant, p)
	}
	t.born, t.clock = e.Offset, e.Time
	db.tenants[e.Tenant] = t
}

// define applies definitions. The caller holds mu.
func (t *tenant) define(definitions []model.Definition) error {
	for _, d := range definitions {
		changed, err := t.defineOne(d)
		if err != nil {
			return err
		}
		if changed {
			for _, tap := range t.taps {
				tap.reconsider(d.ID)
			}
		}
		delete(t.pending, d.Labels)
		t.nextID = max(t.nextID, d.ID+1)
	}
	return nil
}

// putAlarm applies an alarm's definition. The caller holds mu.
func (t *tenant) putAlarm(offset uint64, body *entry.PutAlarm) error {
	if t.index.Get(body.Channel) == nil {
		return fmt.Errorf("%w %d", ErrUnknownChannel, body.Channel)
	}
	_, err := t.alarms.Put(offset, body)
	return err
}

// applyRows folds rows: definitions, head, latest values, alarms, taps. The
// caller holds t.mu.
func (a *applier) applyRows(t *tenant, e *entry.Entry, rows *entry.Rows) error {
	if err := t.define(rows.Definitions); err != nil {
		return err
	}
	watched := false
	for i := range rows.Columns {
		id := rows.Columns[i].Channel
		if err := t.mustKnow(id); err != nil {
			return err
		}
		watched = watched || t.alarms.Watches(id)
	}
	// Rows that a block holds already are not put into the head again when the
	// log is replayed. This changes no answer: the block's rows are the same.
	if e.Offset > t.flushedTo {
		a.db.headBytes.Add(t.grow(e, func() {
			for i := range rows.Columns {
				c := &rows.Columns[i]
				t.active.AppendColumn(c.Channel, c.Times, c.Values)
			}
		}))
	}
	for i := range rows.Columns {
		c := &rows.Columns[i]
		t.setLatest(c.Channel, c.Times, c.Values)
	}
	a.tellRows(t, e.Offset, rows.Columns, watched)
	return nil
}

// mustKnow refuses rows of a channel that is not defined. The caller holds mu.
func (t *tenant) mustKnow(id model.ChannelID) error {
	if t.index.Get(id) != nil {
		return nil
	}
	t.nextID = max(t.nextID, id+1) // it was given to somebody: not again
	return fmt.Errorf("%w %d", ErrUnknownChannel, id)
}

// tellRows tells of rows that are in the head now: alarms, if any watches them,
// taps, and the flusher. The caller holds t.mu.
func (a *applier) tellRows(t *tenant, offset uint64, columns []entry.Column, watched bool) {
	if watched {
		t.alarms.Fold(offset, columns, func(event alarm.Event) {
			a.events[t.name] = append(a.events[t.name], event)
		})
	}
	if len(t.taps) > 0 {
		t.offerRows(offset, columns)
	}
	if a.db.large(t.active) && !a.db.options.Manual {
		t.freeze()
		a.db.flusher.wake(t)
	}
}

// applyAttach folds rows that came as a block. It decodes those alone that alarms
// or taps want to see, and all where the head may have older ones among them: then
// they become rows of the head. The caller holds t.mu.
func (a *applier) applyAttach(t *tenant, e *entry.Entry, body *entry.Attach) error {
	if err := t.define(body.Definitions); err != nil {
		return err
	}
	watched := false
	for i := range body.Newest {
		id := body.Newest[i].Channel
		if err := t.mustKnow(id); err != nil {
			return err
		}
		watched = watched || t.alarms.Watches(id)
	}
	attached, err := openAttached(e.Offset, body.Block)
	if err == nil {
		err = attached.check(body.Newest)
	}
	var columns []entry.Column
	among := err == nil && e.Offset > t.flushedTo && t.active.under(attached)
	if err == nil && (among || watched || len(t.taps) > 0) {
		columns, err = attached.columns(func(id model.ChannelID) bool { return among || len(t.taps) > 0 || t.alarms.Watches(id) })
	}
	if err != nil {
		return err
	}
	if e.Offset > t.flushedTo {
		a.db.headBytes.Add(t.grow(e, func() {
			if !among {
				t.active.attach(attached)
				return
			}
			for i := range columns {
				t.active.AppendColumn(columns[i].Channel, columns[i].Times, columns[i].Values)
			}
		}))
	}
	for i := range body.Newest {
		n := &body.Newest[i]
		t.setLatest(n.Channel, []int64{n.Time}, []float64{n.Value})
	}
	a.tellRows(t, e.Offset, columns, watched)
	return nil
}
