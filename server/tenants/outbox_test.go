package tenants_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/tenants"
)

// lows lets a tenant, of which 95 rows are written, run low so many times.
func (w *world) lows(t model.Tenant, times int) {
	w.Helper()
	for range times {
		w.put(t, tenants.Terms{Quota: bytes(200)})
		w.put(t, tenants.Terms{})
	}
}

// made makes a tenant that lows works on.
func (w *world) made(names ...model.Tenant) {
	w.Helper()
	for _, t := range names {
		w.put(t, tenants.Terms{})
		w.must(w.write(t, "a", w.clock(), 95))
	}
}

// page reads a page of the outbox.
func (w *world) page(after string) tenants.Page {
	w.Helper()
	page, err := w.store.Outbox(w.Context(), after, 0)
	w.must(err)
	return page
}

// wantIDs checks which notices are in the outbox.
func (w *world) wantIDs(want ...string) {
	w.Helper()
	var got []string
	for _, e := range w.page("").Events {
		got = append(got, e.ID)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.Fatalf("kept %v, want %v", got, want)
	}
}

// notices counts the records of notices in the catalog.
func (w *world) notices() (n int) {
	w.Helper()
	w.must(w.db.Records("outbox/", func(string, []byte) error { n++; return nil }))
	return n
}

func TestOldNoticesGo(t *testing.T) {
	w := newWorld(t)
	w.made("t", "gone")
	w.lows("t", 1)
	w.now.Add(int64(time.Hour))
	if _, err := w.store.Delete(w.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	begin := w.page("").Next
	w.lows("t", 1)
	w.pass(93*day - time.Hour - 1)
	w.wantIDs("n1", "n2", "n3")
	w.pass(1)
	w.wantIDs("n2", "n3") // of a tenant that is gone, and nobody has read it
	if page := w.page(begin); len(page.Events) != 1 || page.Trimmed {
		t.Errorf("behind what was removed: %+v", page)
	}
	if page := w.page("0.0."); len(page.Events) != 2 || !page.Trimmed {
		t.Errorf("from before what was removed: %+v", page)
	}
	w.pass(time.Hour - 1)
	w.wantIDs("n2", "n3")
	w.pass(1)
	w.wantIDs()
	w.reopen() // no number is given twice
	page := w.page(begin)
	if len(page.Events) != 0 || !page.Trimmed || page.Next == "" {
		t.Errorf("all is removed: %+v", page)
	}
	if page = w.page(page.Next); page.Trimmed || page.Next != "" {
		t.Errorf("and then: %+v", page)
	}
	w.lows("t", 1)
	w.wantIDs("n4")
	if w.notices() != 1 {
		t.Errorf("%d records are kept", w.notices())
	}
	if kept, err := w.store.Deletions("gone"); err != nil || len(kept) != 1 {
		t.Errorf("the record of the deletion: %v, %v", kept, err)
	}
}

// TestNoticesAreBounded lets one tenant make many: its own oldest go first, those
// of the others only when all together are too many.
func TestNoticesAreBounded(t *testing.T) {
	w := newWorld(t)
	w.made("a", "b", "c")
	for range 2 {
		w.store.SetOutboxLimits(5, 3)
		w.lows("a", 1)
		w.lows("b", 7)
		w.reopen()
	}
	w.store.SetOutboxLimits(5, 3)
	w.wantIDs("n1", "n9", "n14", "n15", "n16")
	if page := w.page("12.0."); !page.Trimmed || len(page.Events) != 3 {
		t.Errorf("a reader that is late: %+v", page)
	}
	if page := w.page("13.0."); page.Trimmed || len(page.Events) != 3 {
		t.Errorf("a reader in time: %+v", page)
	}
	w.lows("c", 2)
	w.wantIDs("n14", "n15", "n16", "n17", "n18")
	w.lows("b", 1)
	w.wantIDs("n15", "n16", "n17", "n18", "n19")
	if w.notices() != 5 {
		t.Errorf("%d records are kept", w.notices())
	}
}

// TestCursorOfAnotherOutbox: one that is ahead would give nothing for a long time.
func TestCursorOfAnotherOutbox(t *testing.T) {
	w := newWorld(t)
	w.made("t")
	w.lows("t", 1)
	w.page("1.0.")
	if _, err := w.store.Outbox(w.Context(), "2.0.", 0); !errors.Is(err, tenants.ErrBadCursor) || !strings.Contains(err.Error(), "another database") {
		t.Errorf("ahead of the outbox: %v", err)
	}
}
