package catalog

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// MaxServiceKeyBytes bounds a record's key.
const MaxServiceKeyBytes = 256

// serviceRecord is a value of the service around the engine (a token, a plan) that
// nothing of the log's may depend on. Its key is chosen by the service.
type serviceRecord struct{ Value []byte }

// ErrBadKey refuses a key that is empty or too long.
var ErrBadKey = errors.New("bad key")

// serviceKey returns a record's key.
func serviceKey(key string) ([]byte, error) {
	if len(key) == 0 || len(key) > MaxServiceKeyBytes {
		return nil, fmt.Errorf("%w: %d bytes, want 1 to %d", ErrBadKey, len(key), MaxServiceKeyBytes)
	}
	return append([]byte{keyService}, key...), nil
}

// PutService stores value under key, in place of what was there.
func PutService(key string, value []byte) Change {
	return Change{func(c *Catalog, batch *pebble.Batch) error {
		stored, err := serviceKey(key)
		if err != nil {
			return err
		}
		return put(batch, stored, &serviceRecord{value})
	}}
}

// DeleteService removes what is under key; that nothing is there is no error.
func DeleteService(key string) Change {
	return Change{func(c *Catalog, batch *pebble.Batch) error {
		stored, err := serviceKey(key)
		if err != nil {
			return err
		}
		return batch.Delete(stored, nil)
	}}
}

// ServiceRecord returns the value under key and whether there is one.
func (c *Catalog) ServiceRecord(key string) ([]byte, bool, error) {
	stored, err := serviceKey(key)
	if err != nil {
		return nil, false, err
	}
	if err := c.enter(); err != nil {
		return nil, false, err
	}
	defer c.leave()
	var t serviceRecord
	found, err := c.get(c.db, stored, &t)
	if err != nil {
		return nil, false, err
	}
	return t.Value, found, nil
}

// ServiceRecords visits what is stored under keys that begin with prefix and
// come after after, in the order of their keys, until visit returns an error.
// The value is visit's to keep.
func (c *Catalog) ServiceRecords(prefix, after string, visit func(key string, value []byte) error) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	begin := append([]byte{keyService}, prefix...)
	from := begin
	if after >= prefix {
		from = append(append([]byte{keyService}, after...), 0) // the next possible key
	}
	return c.scan(c.db, from, []byte{keyService + 1}, func(key, value []byte) (bool, error) {
		if !bytes.HasPrefix(key, begin) {
			return false, nil
		}
		var t serviceRecord
		if err := decodeRecord(key, value, &t); err != nil {
			return false, c.badRecord(bytes.Clone(key), err)
		}
		return true, visit(string(key[1:]), t.Value)
	})
}
