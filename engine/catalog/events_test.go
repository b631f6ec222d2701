package catalog

import (
	"cmp"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/model"
)

// TestEvents lists events of one tenant in pages, of all alarms and of one.
func TestEvents(t *testing.T) {
	c := open(t, vfs.NewMem())
	defer closeCatalog(t, c)
	all := events(50)
	all[10].Time = all[11].Time // ordered by ID then
	must(t, c.PutEvents("t", all[25:]))
	must(t, c.PutEvents("t", all[:30])) // some a second time
	must(t, c.PutEvents("tt", events(3)))
	for _, id := range []uint64{0, 1, 3, 9} {
		for _, span := range []model.Span{model.AllTime(), {From: -1e9, To: 20e9}, {From: 5, To: 5}, {From: 9e18, To: 9.1e18}} {
			var want []alarm.Event
			for _, e := range all {
				if span.Contains(e.Time) && (id == 0 || e.Alarm == id) {
					want = append(want, e)
				}
			}
			for _, limit := range []int{1, 7, 1000, 0} {
				q := EventQuery{Alarm: id, Span: span, Limit: limit}
				var got []alarm.Event
				for {
					page, next, err := c.Events("t", q)
					must(t, err)
					if limit > 0 && len(page) > limit {
						t.Fatalf("%+v: a page of %d events", q, len(page))
					}
					got = append(got, page...)
					if q.After = next; next == "" {
						break
					}
				}
				if !reflect.DeepEqual(got, want) {
					t.Fatalf("%+v: got %+v, want %+v", q, got, want)
				}
			}
		}
	}
	if err := c.PutEvents("t", []alarm.Event{{ID: "12"}}); err == nil {
		t.Error("an event without a proper ID was accepted")
	}
}

// TestEventLimit checks that a call returns at most MaxEvents.
func TestEventLimit(t *testing.T) {
	c := open(t, vfs.NewMem())
	defer closeCatalog(t, c)
	must(t, c.PutEvents("t", events(MaxEvents+1)))
	for _, limit := range []int{0, -1, MaxEvents + 5} {
		page, next, err := c.Events("t", EventQuery{Span: model.AllTime(), Limit: limit})
		if err != nil || len(page) != MaxEvents || next == "" {
			t.Errorf("limit %d: %d events, next %q, %v", limit, len(page), next, err)
		}
	}
}

// TestBadCursor checks that a cursor that Events did not return is refused.
func TestBadCursor(t *testing.T) {
	c := open(t, vfs.NewMem())
	defer closeCatalog(t, c)
	must(t, c.PutEvents("t", events(9)))
	_, next, err := c.Events("t", EventQuery{Span: model.AllTime(), Limit: 8})
	must(t, err)
	for _, q := range []EventQuery{
		{Span: model.AllTime(), After: "x"},
		{Span: model.AllTime(), After: next + "A"},
		{Span: model.AllTime(), After: next[:20]},
		{Span: model.AllTime(), After: "../" + next[3:]},
		{Span: model.Span{From: -5e9, To: 0}, After: next},
	} {
		if page, _, err := c.Events("t", q); !errors.Is(err, ErrBadCursor) {
			t.Errorf("%+v: got %d events, %v; want ErrBadCursor", q, len(page), err)
		}
	}
}

// TestEventsByEntry reads the events of all tenants in the order of the log,
// page by page, and leaves out what is not asked for.
func TestEventsByEntry(t *testing.T) {
	c := open(t, vfs.NewMem())
	defer closeCatalog(t, c)
	var want []LoggedEvent
	all := events(40)
	for i := range all {
		all[i].Offset = uint64(100 - i/4) // four of an entry, the newest entries first in time
	}
	for i, tenant := range []model.Tenant{"t", "tt"} {
		part := all[20*i : 20*i+20]
		must(t, c.PutEvents(tenant, part))
		must(t, c.PutEvents(tenant, part[:3])) // some a second time
		for _, e := range part {
			want = append(want, LoggedEvent{tenant, e})
		}
	}
	slices.SortFunc(want, func(a, b LoggedEvent) int {
		return cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.ID, b.ID))
	})
	for _, limit := range []int{1, 7, 1000, 0} {
		for _, upTo := range []uint64{0, 90, 95, 100, math.MaxUint64 - 1} {
			var got []LoggedEvent
			for after := (EventPlace{}); ; after = got[len(got)-1].Place() {
				page, err := c.EventsByEntry(after, upTo, limit)
				must(t, err)
				if limit > 0 && len(page) > limit {
					t.Fatalf("a page of %d events, limit %d", len(page), limit)
				}
				if len(page) == 0 {
					break
				}
				got = append(got, page...)
			}
			var until []LoggedEvent
			for _, e := range want {
				if e.Offset <= upTo {
					until = append(until, e)
				}
			}
			if !reflect.DeepEqual(got, until) {
				t.Fatalf("up to %d by %d: %d events, want %d", upTo, limit, len(got), len(until))
			}
		}
	}
	must(t, c.Forget(TenantDeletion{Tenant: "tt", Offset: 200}, false))
	left := 0
	must(t, c.scan(c.db, []byte{keyEventOfEntry}, []byte{keyEventOfEntry + 1}, func([]byte, []byte) (bool, error) {
		left++
		return true, nil
	}))
	if left != 20 {
		t.Errorf("%d places are left after a tenant was deleted, want the other's 20", left)
	}
	if _, err := c.EventsByEntry(EventPlace{ID: "xy"}, 1, 1); !errors.Is(err, ErrBadCursor) {
		t.Errorf("a place without an ID: %v", err)
	}
}
