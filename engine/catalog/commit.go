package catalog

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hokan-db/hokan/engine/model"
)

// PartitionRecord says from where a partition is recovered. The zero value,
// revision 0, is the record of a partition that never wrote a checkpoint.
type PartitionRecord struct {
	Revision   uint64
	Epoch      uint64
	Offset     uint64 // newest entry that the checkpoint holds
	Checkpoint string // its name
	// KeepFrom is the first entry that could not be applied: the log keeps it
	// and what follows. 0: there is none.
	KeepFrom uint64
	// Deletions is the checkpoint without channels, alarms and rows: what hides
	// rows, so that they stay hidden should the checkpoint be lost.
	Deletions []byte
}

// LogRecord says what the log may lack. The zero value, revision 0, is the
// record of a log that was never trimmed or closed.
type LogRecord struct {
	Revision  uint64
	TrimmedTo uint64 // entries up to here may be gone
	Durable   uint64 // newest offset at the last clean close
}

// Identity says which database this is. The zero value is that of none.
type Identity struct {
	Format uint32   // of the whole database
	ID     [16]byte // random, for ever
	Epoch  uint64   // grows whenever the database is opened for writing
}

// Change is one record to commit, made by PutManifest, PutPartition, PutLog or
// PutIdentity.
type Change struct {
	stage func(c *Catalog, batch *pebble.Batch) error
}

// PutPartition changes p's record.
func PutPartition(p model.Partition, r PartitionRecord) Change {
	return Change{func(c *Catalog, batch *pebble.Batch) error {
		var stored PartitionRecord
		key := partitionKey(p)
		if _, err := c.get(batch, key, &stored); err != nil {
			return err
		}
		if err := follows(stored.Revision, r.Revision); err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
		return put(batch, key, &r)
	}}
}

// PutLog changes the log's record.
func PutLog(r LogRecord) Change {
	return Change{func(c *Catalog, batch *pebble.Batch) error {
		var stored LogRecord
		key := []byte{keyLog}
		if _, err := c.get(batch, key, &stored); err != nil {
			return err
		}
		if err := follows(stored.Revision, r.Revision); err != nil {
			return fmt.Errorf("log: %w", err)
		}
		return put(batch, key, &r)
	}}
}

// PutIdentity sets the identity of a new database, or changes the format and
// raises the epoch of an old one. Another ID, or an epoch that is not above
// the stored one, is a conflict.
func PutIdentity(r Identity) Change {
	return Change{func(c *Catalog, batch *pebble.Batch) error {
		var stored Identity
		key := []byte{keyIdentity}
		found, err := c.get(batch, key, &stored)
		if err != nil {
			return err
		}
		if found && (stored.ID != r.ID || stored.Epoch >= r.Epoch) {
			return fmt.Errorf("identity: %w: stored %x epoch %d, new %x epoch %d",
				ErrConflict, stored.ID, stored.Epoch, r.ID, r.Epoch)
		}
		return put(batch, key, &r)
	}}
}

// follows reports whether revision may replace stored.
func follows(stored, revision uint64) error {
	if revision != stored+1 {
		return fmt.Errorf("%w: revision %d, stored is %d", ErrConflict, revision, stored)
	}
	return nil
}

// put adds a record to batch.
func put(batch *pebble.Batch, key []byte, record any) error {
	value, err := encodeRecord(key, record)
	if err != nil {
		return fmt.Errorf("record %q: %w", key, err)
	}
	return batch.Set(key, value, nil)
}

// Commit makes all changes durable, or none. A change sees those before it. It
// also makes every event durable that was put before. After ErrFailed the
// changes may be stored or not, but wholly either way.
func (c *Catalog) Commit(changes ...Change) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	c.commit.Lock()
	defer c.commit.Unlock()
	if err := c.writable(); err != nil {
		return err
	}
	batch := c.db.NewIndexedBatch()
	defer batch.Close()
	for _, change := range changes {
		if err := change.stage(c, batch); err != nil {
			return err
		}
	}
	return c.apply(batch, pebble.Sync)
}

// writable returns why a write must be refused.
func (c *Catalog) writable() error {
	if c.readOnly {
		return fmt.Errorf("catalog %s: %w", c.dir, ErrReadOnly)
	}
	return c.failure()
}

// apply writes batch. Pebble does not return the failures of the disk: they
// are asked for afterwards.
func (c *Catalog) apply(batch *pebble.Batch, sync *pebble.WriteOptions) error {
	err := protect(func() error {
		if batch.Empty() { // would not be synced
			return c.db.LogData(nil, sync)
		}
		return c.db.Apply(batch, sync)
	})
	if errors.Is(err, errPanic) {
		c.guard.detach(err)
	}
	if failure := c.failure(); failure != nil {
		return failure
	}
	if err != nil {
		return fmt.Errorf("catalog %s: %w", c.dir, err)
	}
	return nil
}

// LoadPartition returns p's record.
func (c *Catalog) LoadPartition(p model.Partition) (PartitionRecord, error) {
	return load[PartitionRecord](c, partitionKey(p))
}

// LoadLog returns the log's record.
func (c *Catalog) LoadLog() (LogRecord, error) { return load[LogRecord](c, []byte{keyLog}) }

// LoadIdentity returns the database's identity.
func (c *Catalog) LoadIdentity() (Identity, error) { return load[Identity](c, []byte{keyIdentity}) }

// load returns the record under key, the zero value where there is none.
func load[R any](c *Catalog, key []byte) (R, error) {
	var record, none R
	if err := c.enter(); err != nil {
		return none, err
	}
	defer c.leave()
	if _, err := c.get(c.db, key, &record); err != nil {
		return none, err
	}
	return record, nil
}
