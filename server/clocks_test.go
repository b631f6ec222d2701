package server

import (
	"fmt"
	"testing"
	"time"
)

// statuses are those of a reader and a writer, and of an administrator who
// asks for the tenant.
type statuses struct{ read, write, show int }

// wants checks what is answered now, before and after a sweep, and after a
// restart.
func (l *life) wants(before, after statuses) {
	l.Helper()
	check := func(want statuses) {
		l.Helper()
		l.ask(want.read, l.token, "GET", "/channels", "", nil)
		l.write(want.write, "a", 0, 1)
		l.ask(want.show, l.admin, "GET", "/tenants/t", "", nil)
	}
	check(before)
	l.sweep()
	check(after)
	l.restart()
	check(after)
}

// TestDeletionClocks goes to just before and to the very instant of each clock
// that ends in a deletion of a tenant.
func TestDeletionClocks(t *testing.T) {
	const begin = "2026-03-01T12:00:00Z"
	made, err := time.Parse(time.RFC3339, begin)
	if err != nil {
		t.Fatal(err)
	}
	ends := made.Add(10 * day)
	contract := func(ending string) string {
		return fmt.Sprintf(`{"plan":"pro","ends":%d,"ending":%q}`, ends.UnixNano(), ending)
	}
	usual, frozen := statuses{200, 200, 200}, statuses{200, 403, 200}
	closed, gone := statuses{403, 403, 200}, statuses{401, 401, 404}
	for _, c := range []struct {
		name, terms, reason string
		frozen, deleted     time.Time // zero: never
		copies              time.Duration
	}{
		{"trial", `{"plan":"trial"}`, "trial", time.Time{}, made.Add(93 * day), 0},
		{"at the end", contract("at_end"), "contract", time.Time{}, ends, 0},
		{"within 30 days", contract("within_30_days"), "contract", ends, ends.Add(30 * day), 14 * day},
		{"after 60 days", contract("after_60_days"), "contract", ends, ends.Add(60 * day), 0},
		{"kept", contract("keep"), "", time.Time{}, time.Time{}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLife(t)
			l.agree(c.terms)
			l.wants(usual, usual)
			before := usual
			if !c.frozen.IsZero() {
				l.at(c.frozen.Add(-1))
				l.wants(usual, usual)
				l.now.Add(1)
				l.wants(frozen, frozen)
				before = frozen
			}
			if c.deleted.IsZero() {
				l.at(ends.Add(1000 * day))
				l.wants(usual, usual)
				l.tells()
				return
			}
			l.at(c.deleted.Add(-1))
			l.wants(before, before)
			l.tells()
			l.now.Add(1)
			l.wants(closed, gone)
			d := l.tells("tenant_deleted")[0]
			if d.Tenant != "t" || d.Time != c.deleted.UnixNano() || d.Detail["reason"] != c.reason || d.Detail["copies_by"] != float64(c.deleted.Add(c.copies).UnixNano()) {
				t.Errorf("told %+v", d)
			}
			l.at(c.deleted.Add(50 * day))
			l.tells("tenant_deleted")
		})
	}
}

// TestAContractGoesOnAsFree: at its end the plan changes, nobody is kept out, and
// of the samples those go that are older than a year, each at its instant.
func TestAContractGoesOnAsFree(t *testing.T) {
	l := newLife(t)
	ends := l.clock().Add(10 * day)
	l.agree(fmt.Sprintf(`{"plan":"pro","ends":%d,"ending":"free"}`, ends.UnixNano()))
	l.write(200, "old", 365-10, 1) // it will be a year old some hours before the end
	l.write(200, "new", 0, 1)
	plan := func(want string, rows int) {
		t.Helper()
		var body struct{ Plan string }
		l.ask(200, l.admin, "GET", "/tenants/t", "", &body)
		if body.Plan != want || l.left() != rows {
			t.Fatalf("at %v: plan %s, %d rows, want %s and %d", l.clock(), body.Plan, l.left(), want, rows)
		}
	}
	l.at(ends.Add(-1))
	plan("pro", 2)
	l.at(ends)
	plan("free", 1)
	l.restart()
	plan("free", 1)
	year := time.Date(2027, 3, 1, 0, 0, 1, 0, time.UTC) // the new one is of a second after midnight
	l.now.Store(year.UnixNano())                        // no sweep is needed
	plan("free", 1)
	l.now.Add(1)
	plan("free", 0)
	l.restart()
	plan("free", 0)
	l.tells()
}
