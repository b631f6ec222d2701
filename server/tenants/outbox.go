package tenants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
)

// ErrBadCursor refuses a cursor that the outbox did not give.
var ErrBadCursor = errors.New("bad cursor")

// MaxOutbox bounds the events of one page.
const MaxOutbox = 1000

// Event is something in the outbox: a notice of a tenant, or a start or end of
// an alarm. Its ID stays the same however often it is read.
type Event struct {
	ID     string
	Tenant model.Tenant
	Kind   Kind
	Time   time.Time
	Detail Detail              // of a notice
	Alarm  *engine.LoggedEvent // of an alarm
}

// storedEvent is a notice as it is kept.
type storedEvent struct {
	Tenant model.Tenant `json:"tenant"`
	Kind   Kind         `json:"kind"`
	Time   time.Time    `json:"time"`
	Detail Detail       `json:"detail"`
}

// outboxPrefix begins the keys of notices: a number of 20 digits follows, which
// grows by one with each.
const outboxPrefix = "outbox/"

// outbox numbers notices. Whoever commits some holds mu until they are
// durable, so that none appears before one with a smaller number.
type outbox struct {
	mu   sync.Mutex
	last uint64
}

// open finds the last number.
func (o *outbox) open(db *engine.DB) error {
	return db.Records(outboxPrefix, func(key string, _ []byte) error {
		n, err := strconv.ParseUint(strings.TrimPrefix(key, outboxPrefix), 10, 64)
		if err != nil {
			return fmt.Errorf("%w: record %s is no notice", engine.ErrCorrupt, key)
		}
		o.last = n
		return nil
	})
}

// durable returns the number of the last notice that is durable. One that is
// still being written can be read already, and lost.
func (o *outbox) durable() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

// commit makes changes and notices durable, all or none.
func (o *outbox) commit(ctx context.Context, db *engine.DB, changes []engine.RecordChange, t model.Tenant, now time.Time, notices []Notice) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, n := range notices {
		value, err := json.Marshal(storedEvent{t, n.Kind, now.UTC(), n.Detail})
		if err != nil {
			return err
		}
		changes = append(changes, engine.RecordChange{Key: outboxKey(o.last + uint64(i) + 1), Value: value})
	}
	if err := db.ChangeRecords(ctx, changes...); err != nil {
		return err
	}
	o.last += uint64(len(notices))
	return nil
}

func outboxKey(n uint64) string { return fmt.Sprintf("%s%020d", outboxPrefix, n) }

// cursor is a place in the outbox: how many notices, and which events of
// alarms, came before. Its text is number.offset.event.
type cursor struct {
	notices uint64
	alarms  engine.EventPlace
}

func (c cursor) String() string {
	return strconv.FormatUint(c.notices, 10) + "." + strconv.FormatUint(c.alarms.Offset, 10) + "." + c.alarms.ID
}

func parseCursor(text string) (c cursor, err error) {
	if text == "" {
		return c, nil
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 || len(parts[2]) != 0 && len(parts[2]) != 32 {
		return c, fmt.Errorf("%w %.80q", ErrBadCursor, text)
	}
	notices, badNotices := strconv.ParseUint(parts[0], 10, 64)
	offset, badOffset := strconv.ParseUint(parts[1], 10, 64)
	if badNotices != nil || badOffset != nil {
		return c, fmt.Errorf("%w %.80q", ErrBadCursor, text)
	}
	return cursor{notices, engine.EventPlace{Offset: offset, ID: parts[2]}}, nil
}

// Outbox returns a page of what is in the outbox behind a cursor ("": from the
// start), and the cursor behind it, which is "" where nothing follows yet.
// Notices are in the order in which they arose, and so are events of alarms;
// within a page they are merged by their times.
func (s *Store) Outbox(ctx context.Context, after string, limit int) (events []Event, next string, err error) {
	from, err := parseCursor(after)
	if err != nil {
		return nil, "", err
	}
	if limit <= 0 || limit > MaxOutbox {
		limit = MaxOutbox
	}
	to, last := from, s.out.durable()
	errEnough := errors.New("enough")
	err = s.db.RecordsAfter(outboxPrefix, outboxKey(from.notices), func(key string, value []byte) error {
		if len(events) == limit {
			return errEnough
		}
		var e storedEvent
		n, err := strconv.ParseUint(strings.TrimPrefix(key, outboxPrefix), 10, 64)
		if n > last {
			return errEnough
		}
		if err == nil {
			err = json.Unmarshal(value, &e)
		}
		if err != nil {
			return fmt.Errorf("%w: record %s: %w", engine.ErrCorrupt, key, err)
		}
		to.notices = n
		events = append(events, Event{ID: "n" + strconv.FormatUint(n, 10), Tenant: e.Tenant, Kind: e.Kind, Time: e.Time, Detail: e.Detail})
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, "", err
	}
	if room := limit - len(events); room > 0 {
		alarms, err := s.db.EventsByEntry(ctx, from.alarms, room)
		if errors.Is(err, engine.ErrBadCursor) {
			return nil, "", fmt.Errorf("%w %.80q", ErrBadCursor, after)
		}
		if err != nil {
			return nil, "", err
		}
		for i := range alarms {
			e := &alarms[i]
			to.alarms = e.Place()
			events = append(events, Event{ID: e.ID, Tenant: e.Tenant, Kind: KindAlarm, Time: time.Unix(0, e.Time).UTC(), Alarm: e})
		}
	}
	if len(events) == 0 {
		return nil, "", nil
	}
	slices.SortStableFunc(events, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return events, to.String(), nil
}
