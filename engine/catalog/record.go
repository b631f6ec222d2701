package catalog

// The catalog on disk is a pebble database. Its keys begin with a byte that
// tells the record; integers in keys are big-endian so that keys sort by them.
//
//	'i'                                        Identity
//	'l'                                        LogRecord
//	'p' partition(1)                           PartitionRecord
//	'm' tenant                                 manifestHead
//	'b' tenant 00 block name                   block.Meta
//	'e' tenant 00 time(8) event(16)            alarm.Event
//	'a' tenant 00 alarm(8) time(8) event(16)   nothing: events by alarm
//	'd' offset(8)                              TenantDeletion
//	's' key                                    serviceRecord, of the service around the engine
//
// A time is its two's complement with the sign bit flipped, which sorts
// negative times first; an event is the 16 bytes of its ID. A tenant's name
// holds no 00.
//
// A value, except of 'a', is
//
//	u32 LE   CRC32C over the key and the payload
//	payload  the record in msgpack, a map by the names of the struct's fields
//
// A field that is not known is skipped and a missing one is zero, so records
// may grow.

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

const (
	keyIdentity     = 'i'
	keyLog          = 'l'
	keyPartition    = 'p'
	keyManifest     = 'm'
	keyBlock        = 'b'
	keyEvent        = 'e'
	keyEventOfAlarm = 'a'
	keyEventOfEntry = 'o'
	keyService      = 's'
	keyDeletion     = 'd'
)

// checksumBytes is the length of a value's checksum.
const checksumBytes = 4

// castagnoli is the polynomial of every checksum in Hokan's files.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// tenantKey returns the start of the keys of one kind that belong to t.
func tenantKey(kind byte, t model.Tenant) []byte {
	key := make([]byte, 0, 1+len(t)+1+40) // room for what follows in events
	key = append(key, kind)
	key = append(key, t...)
	return append(key, 0)
}

// partitionKey returns the key of p's record.
func partitionKey(p model.Partition) []byte { return []byte{keyPartition, byte(p)} }

// manifestKey returns the key of t's manifest.
func manifestKey(t model.Tenant) []byte { return append([]byte{keyManifest}, t...) }

// keyAfter returns the first key behind all that start with prefix, which must
// not end in FF.
func keyAfter(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	end[len(end)-1]++
	return end
}

func checksum(key, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, payload)
}

var errShort = errors.New("shorter than its checksum")

// encodeRecord returns the value that holds record under key.
func encodeRecord(key []byte, record any) ([]byte, error) {
	var buffer bytes.Buffer
	buffer.Write(make([]byte, checksumBytes))
	encoder := msgpack.GetEncoder()
	defer msgpack.PutEncoder(encoder)
	encoder.Reset(&buffer)
	encoder.UseCompactInts(true)
	if err := encoder.Encode(record); err != nil {
		return nil, err
	}
	value := buffer.Bytes()
	binary.LittleEndian.PutUint32(value, checksum(key, value[checksumBytes:]))
	return value, nil
}

// decodeRecord reads what encodeRecord made.
func decodeRecord(key, value []byte, record any) error {
	if err := checkSum(key, value); err != nil {
		return err
	}
	return msgpack.Unmarshal(value[checksumBytes:], record)
}

// checkSum checks a value's checksum.
func checkSum(key, value []byte) error {
	if len(value) < checksumBytes {
		return errShort
	}
	if binary.LittleEndian.Uint32(value) != checksum(key, value[checksumBytes:]) {
		return errors.New("checksum differs")
	}
	return nil
}

// get reads the record under key and reports whether there is one.
func (c *Catalog) get(from pebble.Reader, key []byte, record any) (bool, error) {
	var value []byte
	err := protect(func() error {
		stored, closer, err := from.Get(key)
		if err != nil {
			return err
		}
		value = bytes.Clone(stored)
		return closer.Close()
	})
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, c.readError(err)
	}
	if err := decodeRecord(key, value, record); err != nil {
		return false, c.badRecord(key, err)
	}
	return true, nil
}

// scan visits the records in [from, to) in the order of their keys until visit
// returns false or an error. Key and value are valid during the visit only.
func (c *Catalog) scan(in pebble.Reader, from, to []byte, visit func(key, value []byte) (bool, error)) error {
	return c.iterate(in, from, to, func(records *pebble.Iterator) error { return c.visit(records, from, visit) })
}

// iterate gives use an iterator over the records in [from, to).
func (c *Catalog) iterate(in pebble.Reader, from, to []byte, use func(*pebble.Iterator) error) error {
	var iterator *pebble.Iterator
	err := protect(func() (err error) {
		iterator, err = in.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
		return err
	})
	if err != nil {
		return c.readError(err)
	}
	used := use(iterator)
	err = protect(iterator.Close)
	if used != nil {
		return used
	}
	return c.readError(err)
}

// visit visits the records of an iterator from a key on, as scan does. An
// iterator that a visit left at the first of them goes on: that is far cheaper
// than to look for it, for each of many tenants.
func (c *Catalog) visit(records *pebble.Iterator, from []byte, visit func(key, value []byte) (bool, error)) error {
	var visitErr error
	err := protect(func() error {
		left := records.Valid() && bytes.HasPrefix(records.Key(), from)
		for more := left || records.SeekGE(from); more && visitErr == nil; {
			value, err := records.ValueAndErr()
			if err != nil {
				return err
			}
			if more, visitErr = visit(records.Key(), value); more {
				more = records.Next()
			}
		}
		return records.Error()
	})
	if visitErr != nil {
		return visitErr
	}
	return c.readError(err)
}

// badRecord names a damaged record.
func (c *Catalog) badRecord(key []byte, err error) error {
	return disk.Corrupt(c.dir, 0, "record %q: %w", key, err)
}
