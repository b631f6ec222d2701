package catalog

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/model"
)

// MaxEvents bounds the events that one call of Events returns.
const MaxEvents = 1000

// eventIDBytes is the length of an event's ID in a key.
const eventIDBytes = 16

// placeBytes is the length of what orders events: time and ID.
const placeBytes = 8 + eventIDBytes

// EventQuery chooses events of a tenant.
type EventQuery struct {
	Alarm uint64     // of this alarm only, 0: of all
	Span  model.Span // whose time lies in it
	After string     // cursor: what Events returned as next, "": from the start
	Limit int        // at most so many; 0 or above MaxEvents: MaxEvents
}

// PutEvents stores events without a sync. An event that is stored already is
// stored again and stays one.
func (c *Catalog) PutEvents(t model.Tenant, events []alarm.Event) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	if err := c.writable(); err != nil {
		return err
	}
	if len(events) == 0 {
		return nil
	}
	batch := c.db.NewBatch()
	defer batch.Close()
	for i := range events {
		if err := putEvent(batch, t, &events[i]); err != nil {
			return err
		}
	}
	return c.apply(batch, pebble.NoSync)
}

// putEvent adds an event and its places among its alarm's and among all to
// batch.
func putEvent(batch *pebble.Batch, t model.Tenant, e *alarm.Event) error {
	id, err := hex.DecodeString(e.ID)
	if err != nil || len(id) != eventIDBytes {
		return fmt.Errorf("event ID %q is not %d bytes in hex", e.ID, eventIDBytes)
	}
	place := append(appendTime(make([]byte, 0, placeBytes), e.Time), id...)
	if err := put(batch, append(tenantKey(keyEvent, t), place...), e); err != nil {
		return err
	}
	if err := batch.Set(append(alarmKey(t, e.Alarm), place...), nil, nil); err != nil {
		return err
	}
	return put(batch, EventPlace{e.Offset, e.ID}.key(id), &eventOfEntry{t, e.Time})
}

// EventPlace is where an event stands among those of all tenants: they are in
// the order of the entries that brought them about, those of one entry in that
// of their IDs. The zero value comes before all.
type EventPlace struct {
	Offset uint64
	ID     string // 32 hexadecimal digits, or "" for before all of that entry
}

// key returns the key of the place, whose ID is id in bytes.
func (p EventPlace) key(id []byte) []byte {
	key := binary.BigEndian.AppendUint64(append(make([]byte, 0, 1+8+eventIDBytes), keyEventOfEntry), p.Offset)
	return append(key, id...)
}

// eventOfEntry tells where the event of an EventPlace is.
type eventOfEntry struct {
	Tenant model.Tenant
	Time   int64
}

// LoggedEvent is an event and whose it is.
type LoggedEvent struct {
	Tenant model.Tenant
	alarm.Event
}

// Place returns where the event stands.
func (e *LoggedEvent) Place() EventPlace { return EventPlace{e.Offset, e.ID} }

// EventsByEntry returns events of all tenants in the order of the log: those
// after a place that entries up to upTo brought about, at most limit of them;
// 0 or above MaxEvents is MaxEvents. Those of tenants that are gone are left
// out.
func (c *Catalog) EventsByEntry(after EventPlace, upTo uint64, limit int) (events []LoggedEvent, err error) {
	id, err := hex.DecodeString(after.ID)
	if err != nil || len(id) != eventIDBytes && len(id) != 0 {
		return nil, fmt.Errorf("%w: event ID %.40q", ErrBadCursor, after.ID)
	}
	if err := c.enter(); err != nil {
		return nil, err
	}
	defer c.leave()
	if limit <= 0 || limit > MaxEvents {
		limit = MaxEvents
	}
	if upTo < after.Offset || upTo == math.MaxUint64 {
		return nil, nil
	}
	from := after.key(id)
	if len(id) > 0 {
		from = append(from, 0) // the next possible key
	}
	snapshot := c.db.NewSnapshot()
	defer snapshot.Close()
	err = c.scan(snapshot, from, EventPlace{Offset: upTo + 1}.key(nil), func(key, value []byte) (bool, error) {
		if len(events) == limit {
			return false, nil
		}
		var at eventOfEntry
		if err := decodeRecord(key, value, &at); err != nil || len(key) != 1+8+eventIDBytes {
			return false, c.badRecord(bytes.Clone(key), cmp.Or(err, errors.New("its key is cut off")))
		}
		place := append(appendTime(make([]byte, 0, placeBytes), at.Time), key[1+8:]...)
		event := LoggedEvent{Tenant: at.Tenant}
		found, err := c.get(snapshot, append(tenantKey(keyEvent, at.Tenant), place...), &event.Event)
		if err != nil || !found {
			return true, err
		}
		events = append(events, event)
		return true, nil
	})
	return events, err
}

// alarmKey returns the start of the keys of an alarm's events.
func alarmKey(t model.Tenant, id uint64) []byte {
	return binary.BigEndian.AppendUint64(tenantKey(keyEventOfAlarm, t), id)
}

// appendTime appends a time so that bytes sort as times do.
func appendTime(key []byte, time int64) []byte {
	return binary.BigEndian.AppendUint64(key, uint64(time)^(1<<63))
}

// Events returns events by time, then by ID. Where there are more than the
// limit, next is the cursor to go on with, else it is empty. A call reads no
// more than it returns, and one key.
func (c *Catalog) Events(t model.Tenant, q EventQuery) (events []alarm.Event, next string, err error) {
	if err := c.enter(); err != nil {
		return nil, "", err
	}
	defer c.leave()
	limit := q.Limit
	if limit <= 0 || limit > MaxEvents {
		limit = MaxEvents
	}
	if q.Span.Empty() {
		return nil, "", nil
	}
	prefix := tenantKey(keyEvent, t)
	if q.Alarm != 0 {
		prefix = alarmKey(t, q.Alarm)
	}
	from := appendTime(prefix[:len(prefix):len(prefix)], q.Span.From)
	if q.After != "" {
		place, err := parseCursor(q)
		if err != nil {
			return nil, "", err
		}
		from = append(append(prefix[:len(prefix):len(prefix)], place...), 0) // the next possible key
	}
	snapshot := c.db.NewSnapshot()
	defer snapshot.Close()
	last := make([]byte, placeBytes) // of the last event returned
	to := appendTime(prefix[:len(prefix):len(prefix)], q.Span.To)
	err = c.scan(snapshot, from, to, func(key, value []byte) (bool, error) {
		if len(events) == limit {
			next = base64.RawURLEncoding.EncodeToString(last)
			return false, nil
		}
		place := key[len(prefix):]
		event, err := c.event(snapshot, t, place, key, value)
		if err != nil {
			return false, err
		}
		copy(last, place)
		events = append(events, event)
		return true, nil
	})
	if err != nil {
		return nil, "", err
	}
	return events, next, nil
}

// event reads the event at place, which was found under key.
func (c *Catalog) event(from pebble.Reader, t model.Tenant, place, key, value []byte) (alarm.Event, error) {
	var event alarm.Event
	if len(place) != placeBytes {
		return event, c.badRecord(key, fmt.Errorf("its place has %d bytes, want %d", len(place), placeBytes))
	}
	if key[0] == keyEvent {
		if err := decodeRecord(key, value, &event); err != nil {
			return event, c.badRecord(key, err)
		}
		return event, nil
	}
	found, err := c.get(from, append(tenantKey(keyEvent, t), place...), &event)
	if err == nil && !found {
		err = c.badRecord(key, fmt.Errorf("its event is missing"))
	}
	return event, err
}

// parseCursor returns the place after which q goes on.
func parseCursor(q EventQuery) ([]byte, error) {
	place, err := base64.RawURLEncoding.Strict().DecodeString(q.After)
	if err != nil || len(place) != placeBytes {
		return nil, fmt.Errorf("%w %q", ErrBadCursor, q.After)
	}
	if time := int64(binary.BigEndian.Uint64(place) ^ (1 << 63)); !q.Span.Contains(time) {
		return nil, fmt.Errorf("%w %q: outside of the span", ErrBadCursor, q.After)
	}
	return place, nil
}
