package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/hokan-db/hokan/engine/catalog"
)

// Records are small values of the service around the engine: tokens, plans,
// what was sent. They are ordinary synced writes beside the log: nothing that
// is folded from the log may depend on them.

// PutRecord stores value under key, in place of what was there. When it
// returns, that is durable.
func (db *DB) PutRecord(ctx context.Context, key string, value []byte) error {
	return db.changeRecords(ctx, catalog.PutService(key, value))
}

// DeleteRecord removes the record under key, durably; that there is none is no
// error.
func (db *DB) DeleteRecord(ctx context.Context, key string) error {
	return db.changeRecords(ctx, catalog.DeleteService(key))
}

// RecordChange puts Value under Key, or removes what is there where Value is
// nil.
type RecordChange struct {
	Key   string
	Value []byte
}

// ChangeRecords makes all changes durable, or none.
func (db *DB) ChangeRecords(ctx context.Context, changes ...RecordChange) error {
	staged := make([]catalog.Change, len(changes))
	for i, c := range changes {
		if c.Value == nil {
			staged[i] = catalog.DeleteService(c.Key)
		} else {
			staged[i] = catalog.PutService(c.Key, c.Value)
		}
	}
	return db.changeRecords(ctx, staged...)
}

func (db *DB) changeRecords(ctx context.Context, changes ...catalog.Change) error {
	if err := db.gate.enter(); err != nil {
		return err
	}
	defer db.gate.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	err := db.catalog.Commit(changes...)
	if errors.Is(err, catalog.ErrBadKey) {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return err
}

// Record returns the value under key and whether there is one.
func (db *DB) Record(key string) ([]byte, bool, error) {
	if err := db.gate.enter(); err != nil {
		return nil, false, err
	}
	defer db.gate.leave()
	return db.catalog.ServiceRecord(key)
}

// Records visits the records whose keys begin with prefix, in the order of
// their keys, until visit returns an error. A value is visit's to keep.
func (db *DB) Records(prefix string, visit func(key string, value []byte) error) error {
	return db.RecordsAfter(prefix, "", visit)
}

// RecordsAfter is Records of those keys alone that come after after.
func (db *DB) RecordsAfter(prefix, after string, visit func(key string, value []byte) error) error {
	if err := db.gate.enter(); err != nil {
		return err
	}
	defer db.gate.leave()
	return db.catalog.ServiceRecords(prefix, after, visit)
}
