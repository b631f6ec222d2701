package tenants

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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

// trimmedKey is where the greatest number is kept of a notice that was removed.
const trimmedKey = "outbox-trimmed"

// outboxLimits are how much the outbox keeps of notices, read or not, of
// tenants that are there or gone.
type outboxLimits struct {
	age    time.Duration // from then on it goes with the next sweep
	all    int
	tenant int // of one, so that none crowds out the others
}

var defaultOutboxLimits = outboxLimits{age: days(93), all: 100_000, tenant: 1000}

// outbox numbers notices. Whoever commits some holds mu until they are
// durable, so that none appears before one with a smaller number.
type outbox struct {
	limits outboxLimits

	mu      sync.Mutex
	last    uint64
	trimmed uint64         // the greatest number that was removed
	kept    []storedNotice // in the order of their numbers
	of      map[model.Tenant]int
}

// storedNotice is as much of a notice as says when it goes.
type storedNotice struct {
	number uint64
	tenant model.Tenant
	at     int64 // nanoseconds since the epoch
}

// open finds what is kept.
func (o *outbox) open(db *engine.DB) error {
	o.limits, o.of = defaultOutboxLimits, map[model.Tenant]int{}
	text, _, err := db.Record(trimmedKey)
	if err != nil {
		return err
	}
	if text != nil {
		if o.trimmed, err = strconv.ParseUint(string(text), 10, 64); err != nil {
			return fmt.Errorf("%w: record %s: %w", engine.ErrCorrupt, trimmedKey, err)
		}
	}
	o.last = o.trimmed
	return db.Records(outboxPrefix, func(key string, value []byte) error {
		n, e, err := readNotice(key, value)
		if err == nil {
			o.last = n
			o.add(storedNotice{n, e.Tenant, e.Time.UnixNano()})
		}
		return err
	})
}

// readNotice returns the number of a notice, and the notice.
func readNotice(key string, value []byte) (n uint64, e storedEvent, err error) {
	n, err = strconv.ParseUint(strings.TrimPrefix(key, outboxPrefix), 10, 64)
	if err == nil {
		err = json.Unmarshal(value, &e)
	}
	if err != nil {
		err = fmt.Errorf("%w: record %s: %w", engine.ErrCorrupt, key, err)
	}
	return n, e, err
}

func (o *outbox) add(n storedNotice) {
	o.kept = append(o.kept, n)
	o.of[n.tenant]++
}

// durable returns the number of the last notice that is durable. One that is
// still being written can be read already, and lost.
func (o *outbox) durable() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

// removed returns the greatest number of a notice that was removed.
func (o *outbox) removed() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.trimmed
}

// commit makes changes and notices durable, all or none. Where there are too
// many then, the oldest go.
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
	if err := o.remove(ctx, db, changes, o.crowdedOut(t, len(notices))); err != nil {
		return err
	}
	for range notices {
		o.last++
		o.add(storedNotice{o.last, t, now.UnixNano()})
	}
	return nil
}

// crowdedOut returns the numbers of the notices that make room for so many more
// of a tenant: of its own first, in ascending order both.
func (o *outbox) crowdedOut(t model.Tenant, more int) (numbers []uint64) {
	own := o.of[t] + more - o.limits.tenant
	for i := 0; i < len(o.kept) && own > 0 && more > 0; i++ {
		if o.kept[i].tenant == t {
			numbers = append(numbers, o.kept[i].number)
			own--
		}
	}
	all := len(o.kept) - len(numbers) + more - o.limits.all
	for i := 0; i < len(o.kept) && all > 0 && more > 0; i++ {
		if !slices.Contains(numbers, o.kept[i].number) {
			numbers = append(numbers, o.kept[i].number)
			all--
		}
	}
	return numbers
}

// remove makes changes durable, and that the notices of these numbers are gone.
func (o *outbox) remove(ctx context.Context, db *engine.DB, changes []engine.RecordChange, numbers []uint64) error {
	trimmed := o.trimmed
	for _, n := range numbers {
		trimmed = max(trimmed, n)
		changes = append(changes, engine.RecordChange{Key: outboxKey(n)})
	}
	if trimmed > o.trimmed {
		changes = append(changes, engine.RecordChange{Key: trimmedKey, Value: strconv.AppendUint(nil, trimmed, 10)})
	}
	if err := db.ChangeRecords(ctx, changes...); err != nil || len(numbers) == 0 {
		return err
	}
	o.trimmed = trimmed
	gone := make(map[uint64]bool, len(numbers))
	for _, n := range numbers {
		gone[n] = true
	}
	o.kept = slices.DeleteFunc(o.kept, func(n storedNotice) bool {
		if gone[n.number] {
			o.of[n.tenant]--
		}
		return gone[n.number]
	})
	maps.DeleteFunc(o.of, func(_ model.Tenant, n int) bool { return n == 0 })
	return nil
}

// expire removes the notices that are too old at now.
func (o *outbox) expire(ctx context.Context, db *engine.DB, now time.Time) error {
	const atOnce = 10_000 // in one commit
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		var numbers []uint64
		oldest := now.Add(-o.limits.age).UnixNano()
		for i := 0; i < len(o.kept) && len(numbers) < atOnce; i++ { // all: a clock may have been wrong
			if o.kept[i].at <= oldest {
				numbers = append(numbers, o.kept[i].number)
			}
		}
		if len(numbers) == 0 {
			return nil
		}
		if err := o.remove(ctx, db, nil, numbers); err != nil {
			return err
		}
	}
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

// Page is some of the outbox.
type Page struct {
	Events []Event
	Next   string // the cursor behind it; "" where nothing follows yet
	// Trimmed is set where notices behind the cursor were removed before they
	// were read from it.
	Trimmed bool
}

// Outbox returns a page of what is in the outbox behind a cursor ("": from the
// oldest that is kept). Notices are in the order in which they arose, and so are
// events of alarms; within a page they are merged by their times.
func (s *Store) Outbox(ctx context.Context, after string, limit int) (Page, error) {
	from, err := parseCursor(after)
	if err != nil {
		return Page{}, err
	}
	if limit <= 0 || limit > MaxOutbox {
		limit = MaxOutbox
	}
	to, last := from, s.out.durable()
	if from.notices > last { // nothing would be given until as many have come
		return Page{}, fmt.Errorf("%w %.80q: the outbox ends before it: it is of another database, or of before a repair; begin without one", ErrBadCursor, after)
	}
	var page Page
	errEnough := errors.New("enough")
	err = s.db.RecordsAfter(outboxPrefix, outboxKey(from.notices), func(key string, value []byte) error {
		n, e, err := readNotice(key, value)
		if err != nil {
			return err
		}
		if n > last || len(page.Events) == limit {
			return errEnough
		}
		to.notices = n
		page.Events = append(page.Events, Event{ID: "n" + strconv.FormatUint(n, 10), Tenant: e.Tenant, Kind: e.Kind, Time: e.Time, Detail: e.Detail})
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return Page{}, err
	}
	if trimmed := s.out.removed(); after != "" && trimmed > from.notices { // asked last: what was not found may be gone
		page.Trimmed = true
		if len(page.Events) == 0 {
			to.notices = trimmed
		}
	}
	if room := limit - len(page.Events); room > 0 {
		alarms, err := s.db.EventsByEntry(ctx, from.alarms, room)
		if errors.Is(err, engine.ErrBadCursor) {
			return Page{}, fmt.Errorf("%w %.80q", ErrBadCursor, after)
		}
		if err != nil {
			return Page{}, err
		}
		for i := range alarms {
			e := &alarms[i]
			to.alarms = e.Place()
			page.Events = append(page.Events, Event{ID: e.ID, Tenant: e.Tenant, Kind: KindAlarm, Time: time.Unix(0, e.Time).UTC(), Alarm: e})
		}
	}
	if to != from {
		page.Next = to.String()
	}
	slices.SortStableFunc(page.Events, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return page, nil
}
