package catalog

import (
	"bytes"
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// copyBatchBytes is how much a copy commits at once.
const copyBatchBytes = 1 << 20

// CopyTo makes a catalog in a folder that has none, with every record as it is
// now: what is committed meanwhile is not in it. It writes whole records
// instead of linking files: a disk that fails there leaves this catalog as it
// is, and the copy is checked as it is made.
func (c *Catalog) CopyTo(ctx context.Context, files vfs.FS, dir string) (*Catalog, error) {
	if err := c.enter(); err != nil {
		return nil, err
	}
	defer c.leave()
	snapshot := c.db.NewSnapshot()
	defer snapshot.Close()
	to, err := Open(files, dir, Options{})
	if err != nil {
		return nil, err
	}
	if err := c.copyRecords(ctx, snapshot, to); err != nil {
		return nil, errors.Join(err, to.Close())
	}
	return to, nil
}

func (c *Catalog) copyRecords(ctx context.Context, from pebble.Reader, to *Catalog) error {
	batch := to.db.NewBatch()
	defer func() { batch.Close() }()
	err := c.scan(from, []byte{0}, []byte{0xff}, func(key, value []byte) (bool, error) {
		if key[0] != keyEventOfAlarm { // which has no value
			if err := checkSum(key, value); err != nil {
				return false, c.badRecord(bytes.Clone(key), err)
			}
		}
		if err := batch.Set(key, value, nil); err != nil || batch.Len() < copyBatchBytes {
			return true, err
		}
		if err := errors.Join(ctx.Err(), to.apply(batch, pebble.NoSync), batch.Close()); err != nil {
			return false, err
		}
		batch = to.db.NewBatch()
		return true, nil
	})
	if err != nil {
		return err
	}
	return to.apply(batch, pebble.Sync)
}
