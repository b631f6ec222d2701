package catalog

import (
	"errors"
	"reflect"
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
