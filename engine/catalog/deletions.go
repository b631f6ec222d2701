package catalog

import (
	"encoding/binary"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/model"
)

// TenantDeletion is the record of a tenant that was deleted.
type TenantDeletion struct {
	Tenant   model.Tenant
	Offset   uint64 // of the entry that deleted it
	Time     int64  // of that entry, ns since the epoch
	Bytes    uint64 // that its blocks and files took on the disk
	Channels uint64
}

// deletionKey returns the key of the record of the deletion at an offset.
func deletionKey(offset uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{keyDeletion}, offset)
}

// Forget records that a tenant was deleted and removes all its events and, where
// manifest is true, its manifest. It is not synced: what is committed later is
// durable only together with it. It may be repeated.
func (c *Catalog) Forget(d TenantDeletion, manifest bool) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	if err := c.writable(); err != nil {
		return err
	}
	batch := c.db.NewBatch()
	defer batch.Close()
	if err := c.forgetPlaces(batch, d.Tenant); err != nil {
		return err
	}
	kinds := []byte{keyEvent, keyEventOfAlarm}
	if manifest {
		kinds = append(kinds, keyBlock)
		if err := batch.Delete(manifestKey(d.Tenant), nil); err != nil {
			return err
		}
	}
	for _, kind := range kinds {
		prefix := tenantKey(kind, d.Tenant)
		if err := batch.DeleteRange(prefix, keyAfter(prefix), nil); err != nil {
			return err
		}
	}
	if err := put(batch, deletionKey(d.Offset), &d); err != nil {
		return err
	}
	return c.apply(batch, pebble.NoSync)
}

// forgetPlaces removes the places of a tenant's events among those of all.
func (c *Catalog) forgetPlaces(batch *pebble.Batch, t model.Tenant) error {
	prefix := tenantKey(keyEvent, t)
	return c.scan(c.db, prefix, keyAfter(prefix), func(key, value []byte) (bool, error) {
		var e alarm.Event
		if err := decodeRecord(key, value, &e); err != nil || len(key) != len(prefix)+placeBytes {
			return true, nil // it goes all the same, and nothing is found by its place
		}
		return true, batch.Delete(EventPlace{e.Offset, e.ID}.key(key[len(key)-eventIDBytes:]), nil)
	})
}

// TenantDeletions returns the records of deletions after an offset, in the order
// of the log, at most limit of them; 0 or above MaxEvents is MaxEvents.
func (c *Catalog) TenantDeletions(after uint64, limit int) (list []TenantDeletion, err error) {
	if err := c.enter(); err != nil {
		return nil, err
	}
	defer c.leave()
	if limit <= 0 || limit > MaxEvents {
		limit = MaxEvents
	}
	if after == math.MaxUint64 {
		return nil, nil
	}
	err = c.scan(c.db, deletionKey(after+1), []byte{keyDeletion + 1}, func(key, value []byte) (bool, error) {
		var d TenantDeletion
		if err := decodeRecord(key, value, &d); err != nil {
			return false, c.badRecord(key, err)
		}
		list = append(list, d)
		return len(list) < limit, nil
	})
	return list, err
}
