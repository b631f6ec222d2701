package catalog

import (
	"bytes"
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/model"
)

// Saved says what Salvage could read.
type Saved struct {
	Records  int  // of the service
	Events   int  // of alarms
	Whole    bool // all of both
	Identity Identity
}

// Salvage copies what can be read of a damaged catalog, and can be made from
// nothing else, into another: records of the service, alarm events, records of
// deletions, and the identity, which is returned. It writes nothing to the
// damaged one. The error is about the other.
func Salvage(ctx context.Context, files vfs.FS, dir string, to *Catalog) (Saved, error) {
	var saved Saved
	from, err := Open(files, dir, Options{ReadOnly: true})
	if err != nil {
		return saved, nil
	}
	defer func() { _ = from.Close() }()
	saved.Identity, err = from.LoadIdentity()
	saved.Whole = err == nil
	for _, kind := range []byte{keyService, keyEvent, keyEventOfAlarm, keyEventOfEntry, keyDeletion} {
		whole, err := from.salvage(ctx, kind, to, &saved)
		if err != nil {
			return saved, err
		}
		saved.Whole = saved.Whole && whole
	}
	return saved, nil
}

// salvage copies the records of one kind from both ends to the first that
// cannot be read.
func (c *Catalog) salvage(ctx context.Context, kind byte, to *Catalog, saved *Saved) (whole bool, err error) {
	last, whole, err := c.salvageFrom(ctx, kind, nil, true, to, saved)
	if err == nil && !whole {
		_, _, err = c.salvageFrom(ctx, kind, last, false, to, saved)
	}
	return whole, err
}

// salvageFrom copies records forwards or backwards, those after the key after
// alone, and returns the last key.
func (c *Catalog) salvageFrom(ctx context.Context, kind byte, after []byte, forwards bool, to *Catalog, saved *Saved) (last []byte, whole bool, err error) {
	lower := []byte{kind}
	if after != nil {
		lower = append(bytes.Clone(after), 0)
	}
	batch := to.db.NewBatch()
	defer batch.Close()
	var failure error // of the other catalog
	damage := protect(func() error {
		iterator, err := c.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: []byte{kind + 1}})
		if err != nil {
			return err
		}
		first, next := iterator.First, iterator.Next
		if !forwards {
			first, next = iterator.Last, iterator.Prev
		}
		for more := first(); more && failure == nil; more = next() {
			value, err := iterator.ValueAndErr()
			if err != nil {
				return errors.Join(err, iterator.Close())
			}
			key := iterator.Key()
			if kind != keyEventOfAlarm && checkSum(key, value) != nil {
				saved.Whole = false
				continue
			}
			if failure = errors.Join(ctx.Err(), batch.Set(key, value, nil)); failure != nil {
				break
			}
			last = bytes.Clone(key)
			switch kind {
			case keyService:
				saved.Records++
			case keyEvent:
				saved.Events++
			}
		}
		return iterator.Close()
	})
	if failure == nil {
		failure = to.apply(batch, pebble.NoSync)
	}
	return last, damage == nil, failure
}

// DropEvents removes the events for which drop is true, given the tenant and
// the offset of their entry. It is not synced: what is committed later is
// durable only together with it.
func (c *Catalog) DropEvents(drop func(t model.Tenant, offset uint64) bool) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	batch := c.db.NewBatch()
	defer batch.Close()
	err := c.scan(c.db, []byte{keyEvent}, []byte{keyEvent + 1}, func(key, value []byte) (bool, error) {
		var e alarm.Event
		end := bytes.IndexByte(key, 0)
		if err := decodeRecord(key, value, &e); err != nil || end < 0 || len(key) != end+1+placeBytes {
			return true, nil // whoever reads it is told
		}
		t, place := model.Tenant(key[1:end]), key[end+1:]
		if !drop(t, e.Offset) {
			return true, nil
		}
		return true, errors.Join(
			batch.Delete(key, nil),
			batch.Delete(append(alarmKey(t, e.Alarm), place...), nil),
			batch.Delete(EventPlace{e.Offset, e.ID}.key(place[len(place)-eventIDBytes:]), nil))
	})
	if err != nil {
		return err
	}
	return c.apply(batch, pebble.NoSync)
}
