package tenants_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/server/auth"
	"github.com/hokan-db/hokan/server/rate"
	"github.com/hokan-db/hokan/server/tenants"
)

const day = 24 * time.Hour

// world is a database on a clock that tests move.
type world struct {
	*testing.T
	fs     *vfs.MemFS
	now    atomic.Int64
	db     *engine.DB
	tokens *auth.Store
	store  *tenants.Store
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, fs: vfs.NewMem()}
	w.now.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	w.open()
	t.Cleanup(w.close)
	return w
}

func (w *world) clock() time.Time { return time.Unix(0, w.now.Load()).UTC() }

func (w *world) open() {
	w.Helper()
	var err error
	if w.db, err = engine.Open(engine.Options{FS: w.fs, Dir: "data", Clock: w.clock, Manual: true}); err != nil {
		w.Fatal(err)
	}
	if w.tokens, err = auth.Open(w.db, w.clock); err != nil {
		w.Fatal(err)
	}
	if w.store, err = tenants.Open(w.db, w.clock, w.tokens); err != nil {
		w.Fatal(err)
	}
}

func (w *world) close() {
	if err := w.db.Close(); err != nil {
		w.Error(err)
	}
}

// reopen opens the database again, as after a restart.
func (w *world) reopen() {
	w.Helper()
	w.close()
	w.open()
}

// pass lets time go by, and sweeps.
func (w *world) pass(d time.Duration) {
	w.Helper()
	w.now.Add(int64(d))
	if err := w.store.Sweep(w.Context()); err != nil {
		w.Fatal(err)
	}
}

func (w *world) put(t model.Tenant, terms tenants.Terms) {
	w.Helper()
	if _, err := w.store.Put(w.Context(), t, terms); err != nil {
		w.Fatal(err)
	}
}

// write writes so many rows of a channel, a second apart, the first at a time.
func (w *world) write(t model.Tenant, channel string, from time.Time, rows int) error {
	w.Helper()
	labels, err := model.NewLabels(model.Label{Name: "instrument", Value: "i"}, model.Label{Name: "channel", Value: channel})
	if err != nil {
		w.Fatal(err)
	}
	c := model.Column{Labels: labels}
	for i := range rows {
		c.Times = append(c.Times, from.Add(time.Duration(i)*time.Second).UnixNano())
		c.Values = append(c.Values, float64(i))
	}
	if err := w.store.Admit(w.Context(), t, rows); err != nil {
		return err
	}
	if _, err := w.db.Append(w.Context(), &model.Batch{Tenant: t, Columns: []model.Column{c}}); err != nil {
		return err
	}
	return w.store.Wrote(w.Context(), t, rows)
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// told reads the whole outbox, a page of two at a time.
func (w *world) told() (told []string) {
	w.Helper()
	for after := ""; ; {
		page, err := w.store.Outbox(w.Context(), after, 2)
		w.must(err)
		for _, e := range page.Events {
			told = append(told, fmt.Sprintf("%s %s", e.Tenant, e.Kind))
		}
		if page.Next == "" {
			return told
		}
		after = page.Next
	}
}

func (w *world) wantTold(want ...string) {
	w.Helper()
	if got := w.told(); !slices.Equal(got, want) {
		w.Fatalf("told %q, want %q", got, want)
	}
}

// rows counts what a tenant still has, as a query sees it.
func (w *world) rows(t model.Tenant) (rows int) {
	w.Helper()
	channels, err := w.db.Channels(w.Context(), t, nil)
	w.must(err)
	for _, c := range channels {
		s, err := w.db.Summarize(w.Context(), t, []model.ChannelID{c.ID}, model.AllTime())
		w.must(err)
		rows += int(s[0].Rows())
	}
	return rows
}

func (w *world) used(t model.Tenant) uint64 {
	w.Helper()
	u, err := w.db.Usage(w.Context(), t)
	w.must(err)
	return u.Charged
}

func bytes(n uint64) tenants.Quota { return tenants.Quota{Bytes: &n} }

// fillDays writes 100 rows, 200 bytes, on each of so many days up to today.
func (w *world) fillDays(t model.Tenant, count int) {
	w.Helper()
	for i := count; i > 0; i-- {
		w.must(w.write(t, "a", w.clock().Truncate(day).Add(-time.Duration(i-1)*day), 100))
	}
}

func TestDeleteOldestUntilItFits(t *testing.T) {
	w := newWorld(t)
	w.put("t", tenants.Terms{Quota: bytes(1000)})
	w.fillDays("t", 4)
	w.wantTold()
	w.must(w.write("t", "b", w.clock().Truncate(day), 60)) // 920 of 1000
	w.wantTold("t capacity_low")
	w.must(w.write("t", "b", w.clock().Truncate(day).Add(time.Hour), 60)) // 1040
	w.wantTold("t capacity_low", "t over_quota")
	w.pass(31*day - time.Second)
	w.wantTold("t capacity_low", "t over_quota")
	if w.rows("t") != 520 {
		t.Fatalf("%d rows before the deadline", w.rows("t"))
	}
	w.reopen()
	w.pass(time.Second)
	w.wantTold("t capacity_low", "t over_quota", "t over_quota_deadline", "t deleted")
	if w.used("t") > 1000 || w.rows("t") != 420 { // the oldest day is gone, and no other
		t.Errorf("%d bytes and %d rows are left", w.used("t"), w.rows("t"))
	}
	w.pass(60 * day)
	w.wantTold("t capacity_low", "t over_quota", "t over_quota_deadline", "t deleted")
}

func TestDeleteAllTakesSamplesAndFiles(t *testing.T) {
	w := newWorld(t)
	w.put("t", tenants.Terms{Quota: bytes(1000), OverQuota: tenants.DeleteAll})
	if _, err := w.db.PutFile(w.Context(), "t", "f", strings.NewReader(strings.Repeat("x", 500))); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Check(w.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	w.fillDays("t", 3)
	w.wantTold("t over_quota") // it was never only low
	w.pass(31 * day)
	w.wantTold("t over_quota", "t over_quota_deadline", "t deleted")
	if w.used("t") != 0 || w.rows("t") != 0 {
		t.Errorf("%d bytes and %d rows are left", w.used("t"), w.rows("t"))
	}
	if files, err := w.db.ListFiles(w.Context(), "t", ""); err != nil || len(files) > 0 {
		t.Errorf("files %v, %v", files, err)
	}
	w.must(w.write("t", "a", w.clock(), 10))
}

func TestFreezeRefusesWritesUntilItFits(t *testing.T) {
	w := newWorld(t)
	w.put("t", tenants.Terms{Quota: bytes(1000), OverQuota: tenants.FreezeWrites})
	w.fillDays("t", 5)
	w.must(w.write("t", "b", w.clock(), 10))
	w.pass(31 * day)
	w.wantTold("t capacity_low", "t over_quota", "t over_quota_deadline")
	for range 2 {
		if err := w.write("t", "a", w.clock(), 1); !errors.Is(err, engine.ErrOverQuota) {
			t.Fatalf("a frozen tenant writes: %v", err)
		}
		w.reopen() // it stays so
	}
	if w.rows("t") != 510 {
		t.Errorf("%d rows are left", w.rows("t"))
	}
	_, err := w.db.DeleteRows(w.Context(), "t", nil, model.Span{From: model.MinTime, To: w.clock().Add(-34 * day).UnixNano()})
	w.must(err)
	if _, err := w.store.Check(w.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	w.must(w.write("t", "a", w.clock(), 1))
}

func TestTheCeilingRefusesWrites(t *testing.T) {
	w := newWorld(t)
	w.put("t", tenants.Terms{Quota: bytes(1000)})
	w.must(w.write("t", "a", w.clock(), 549)) // 1098
	w.must(w.write("t", "b", w.clock(), 1))   // 1100: 110 %
	if err := w.write("t", "b", w.clock(), 1); !errors.Is(err, engine.ErrOverQuota) {
		t.Fatalf("beyond the ceiling: %v", err)
	}
	w.put("t", tenants.Terms{Quota: bytes(2000)})
	w.must(w.write("t", "b", w.clock(), 1))
	w.wantTold("t over_quota")
}

// TestTheCeilingHoldsAfterARestart refuses the first write already.
func TestTheCeilingHoldsAfterARestart(t *testing.T) {
	w := newWorld(t)
	w.put("t", tenants.Terms{Quota: bytes(1000)})
	w.must(w.write("t", "a", w.clock(), 550))
	w.reopen()
	if err := w.write("t", "a", w.clock().Add(time.Hour), 1); !errors.Is(err, engine.ErrOverQuota) {
		t.Errorf("the first write after a restart: %v", err)
	}
}

// TestAnOldTenantIsNoTrial refuses terms by which all would be deleted at once.
func TestAnOldTenantIsNoTrial(t *testing.T) {
	w := newWorld(t)
	w.put("t", tenants.Terms{Plan: "pro"})
	w.fillDays("t", 1)
	w.pass(93 * day)
	if _, err := w.store.Put(w.Context(), "t", tenants.Terms{Plan: tenants.PlanTrial}); !errors.Is(err, tenants.ErrInvalid) {
		t.Errorf("a trial that is over: %v", err)
	}
	w.pass(0)
	if !w.db.HasTenant("t") || w.rows("t") != 100 {
		t.Error("its data is gone")
	}
}

// TestNothingIsRememberedOfWhatFailed checks that a sweep does not look for a
// tenant that could not be made.
func TestNothingIsRememberedOfWhatFailed(t *testing.T) {
	w := newWorld(t)
	if _, _, err := w.store.CreateToken(w.Context(), auth.Token{Tenant: "t", Scope: "all"}); !errors.Is(err, auth.ErrInvalid) {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(w.Context())
	cancel()
	if _, err := w.store.Put(cancelled, "t", tenants.Terms{}); err == nil {
		t.Fatal("made by one who is gone")
	}
	w.pass(0)
	if all := w.store.All(); len(all) > 0 && !w.db.HasTenant("t") {
		t.Errorf("known: %+v", all)
	}
}

func TestATrialLapses(t *testing.T) {
	w := newWorld(t)
	secret, _, err := w.tokens.Create(w.Context(), auth.Token{Tenant: "t"})
	w.must(err)
	w.put("t", tenants.Terms{Plan: tenants.PlanTrial})
	w.put("other", tenants.Terms{Plan: "pro"})
	w.fillDays("t", 2)
	w.fillDays("other", 1)
	w.pass(93*day - 1)
	w.must(w.store.Admits("t"))
	w.now.Add(1)
	if err := w.store.Admits("t"); !errors.Is(err, tenants.ErrClosed) {
		t.Errorf("before the sweep, at its instant: %v", err)
	}
	w.pass(0)
	if w.db.HasTenant("t") || !w.db.HasTenant("other") {
		t.Error("the wrong tenant is there")
	}
	if _, err := w.tokens.Lookup(secret); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("its token: %v", err)
	}
	w.wantTold("t tenant_deleted")
	deletions, err := w.store.Deletions("t")
	w.must(err)
	if len(deletions) != 1 || deletions[0].Bytes != 400 || deletions[0].Channels != 1 || deletions[0].Reason != tenants.ReasonTrial ||
		!deletions[0].At.Equal(w.clock()) {
		t.Errorf("kept %+v", deletions)
	}
	w.reopen()
	w.put("t", tenants.Terms{})
	if w.rows("t") != 0 || w.rows("other") != 100 {
		t.Error("a tenant made anew has rows, or another lost its own")
	}
}

func TestContractsEnd(t *testing.T) {
	for _, c := range []struct {
		ending        tenants.Ending
		days          int // until it is deleted
		copies        int // further days
		writesRefused bool
	}{{tenants.EndingAtOnce, 0, 0, true}, {tenants.Ending30, 30, 14, true}, {tenants.Ending60, 60, 0, true}} {
		w := newWorld(t)
		ends := w.clock().Add(10 * day)
		w.put("t", tenants.Terms{Plan: "pro", Ends: ends, Ending: c.ending})
		w.fillDays("t", 2)
		w.pass(10*day - 1)
		w.must(w.write("t", "a", w.clock(), 1))
		if c.days > 0 {
			w.pass(1)
			if err := w.write("t", "a", w.clock(), 1); !errors.Is(err, tenants.ErrClosed) {
				t.Errorf("%s: a write after the end: %v", c.ending, err)
			}
			if w.rows("t") != 201 {
				t.Errorf("%s: rows went before their time", c.ending)
			}
			w.pass(time.Duration(c.days)*day - 1)
		}
		if !w.db.HasTenant("t") {
			t.Errorf("%s: deleted too early", c.ending)
		}
		w.pass(1)
		if w.db.HasTenant("t") {
			t.Errorf("%s: still there", c.ending)
		}
		kept, err := w.store.Deletions("t")
		w.must(err)
		if len(kept) != 1 || !kept[0].CopiesBy.Equal(kept[0].At.Add(time.Duration(c.copies)*day)) || kept[0].Reason != tenants.ReasonContract {
			t.Errorf("%s: kept %+v", c.ending, kept)
		}
	}
}

func TestAContractGoesOnAsFree(t *testing.T) {
	w := newWorld(t)
	w.put("t", tenants.Terms{Plan: "pro", Quota: bytes(7_000_000_000), Ends: w.clock().Add(day), Ending: tenants.EndingFree})
	old := w.clock().Add(-400 * day)
	w.must(w.write("t", "old", old, 10))
	w.fillDays("t", 2)
	if w.rows("t") != 210 {
		t.Fatalf("%d rows", w.rows("t"))
	}
	w.pass(day)
	r, err := w.store.Get("t")
	w.must(err)
	if r.Plan != tenants.PlanFree || r.Limits().Bytes != 5_000_000_000 || !r.Ends.IsZero() {
		t.Errorf("it is %+v", r)
	}
	if w.rows("t") != 200 { // what is older than a year is gone, the rest is usable
		t.Errorf("%d rows", w.rows("t"))
	}
	w.must(w.write("t", "a", w.clock(), 1))
}

// TestAYearRolls checks that samples and files of a free plan go when they are
// a calendar year old: samples at the instant, files with the next sweep.
func TestAYearRolls(t *testing.T) {
	w := newWorld(t)
	w.put("t", tenants.Terms{Plan: tenants.PlanFree})
	if _, err := w.db.PutFile(w.Context(), "t", "f", strings.NewReader("xyz")); err != nil {
		t.Fatal(err)
	}
	w.must(w.write("t", "a", w.clock(), 1))
	w.pass(365 * day) // from March 1st to March 1st
	if files, err := w.db.ListFiles(w.Context(), "t", ""); err != nil || len(files) != 1 || w.rows("t") != 1 {
		t.Errorf("at a year: files %v, %v, %d rows", files, err, w.rows("t"))
	}
	w.now.Add(1)
	if w.rows("t") != 0 {
		t.Error("an expired row is returned before the sweep")
	}
	w.pass(0)
	if files, err := w.db.ListFiles(w.Context(), "t", ""); err != nil || len(files) != 0 {
		t.Errorf("after a year: files %v, %v", files, err)
	}
	w.wantTold("t deleted")
}

func TestRulesStayBesideThePlans(t *testing.T) {
	w := newWorld(t)
	w.put("t", tenants.Terms{Plan: tenants.PlanFree})
	keep := func(text string) *policy.Keep {
		k, err := policy.ParseKeep(text)
		w.must(err)
		return &k
	}
	rule := policy.Rule{Scope: policy.ScopeInstrument, Match: "i", Keep: [model.StepCount]*policy.Keep{keep("90d")}}
	w.must(w.store.SetRules(w.Context(), "t", policy.Rules{rule}, false))
	rule.Keep[0] = keep("2y")
	if err := w.store.SetRules(w.Context(), "t", policy.Rules{rule}, false); !errors.Is(err, tenants.ErrInvalid) {
		t.Errorf("a tenant keeps longer than its plan: %v", err)
	}
	w.must(w.store.SetRules(w.Context(), "t", policy.Rules{rule}, true))
	beside := policy.Rule{Scope: policy.ScopeInstrument, Match: "j", Keep: [model.StepCount]*policy.Keep{keep("30d")}}
	w.must(w.store.SetRules(w.Context(), "t", policy.Rules{rule, beside}, false)) // what an administrator allowed may stay
	longer := rule
	longer.Keep[0] = keep("3y")
	if err := w.store.SetRules(w.Context(), "t", policy.Rules{longer}, false); !errors.Is(err, tenants.ErrInvalid) {
		t.Errorf("a tenant keeps longer than it may: %v", err)
	}
	w.must(w.store.SetRules(w.Context(), "t", policy.Rules{rule}, false))
	if err := w.store.SetRules(w.Context(), "t", policy.Rules{rule, rule}, true); !errors.Is(err, tenants.ErrInvalid) {
		t.Errorf("a rule set twice: %v", err)
	}
	if err := w.store.SetRules(w.Context(), "t", policy.Rules{{Scope: policy.ScopePlan, Keep: rule.Keep}}, true); !errors.Is(err, tenants.ErrInvalid) {
		t.Errorf("a plan's rule: %v", err)
	}
	own, err := w.store.Rules("t")
	w.must(err)
	if len(own) != 1 || own[0].Scope != policy.ScopeInstrument {
		t.Errorf("own rules %v", own)
	}
	w.put("t", tenants.Terms{Plan: "pro"})
	all, err := w.db.Retention("t")
	w.must(err)
	if len(all) != 1 {
		t.Errorf("after the plan: %v", all)
	}
}

// TestSamplesPerSecond lets a large request in and makes the next ones pay.
func TestSamplesPerSecond(t *testing.T) {
	w := newWorld(t)
	hundred := uint64(100)
	w.put("t", tenants.Terms{Quota: tenants.Quota{SamplesPerSecond: &hundred}})
	w.must(w.store.Admit(w.Context(), "t", 1000))
	var tooFast *rate.Error
	if err := w.store.Admit(w.Context(), "t", 1); !errors.As(err, &tooFast) || tooFast.After < 9*time.Second || tooFast.After > 10*time.Second {
		t.Fatalf("after ten seconds' worth: %v", err)
	}
	w.now.Add(int64(tooFast.After) - int64(time.Millisecond))
	if err := w.store.Admit(w.Context(), "t", 1); err == nil {
		t.Error("let in too early")
	}
	w.now.Add(int64(2 * time.Millisecond))
	w.must(w.store.Admit(w.Context(), "t", 1))
	w.must(w.store.Admit(w.Context(), "another", 1e9))
}

// TestInterruptedDeletionGoesOn lets a sweep after a restart end a deletion that
// was noted, and one that the engine has done already. Until then nobody gets in.
func TestInterruptedDeletionGoesOn(t *testing.T) {
	w := newWorld(t)
	w.put("t", tenants.Terms{})
	w.must(w.write("t", "a", w.clock(), 5))
	// As if the process had ended after it was noted, and again after the
	// engine had done it.
	for range 2 {
		w.must(w.db.PutRecord(w.Context(), "tenant/t", []byte(`{"tenant":"t","quota":{},"removing":{"tenant":"t","at":"2026-03-01T12:00:00Z","reason":"request","bytes":10,"channels":1,"copies_by":"2026-03-01T12:00:00Z"}}`)))
		w.reopen()
		if err := w.store.Admits("t"); !errors.Is(err, tenants.ErrClosed) {
			t.Errorf("its tokens: %v", err)
		}
		if _, _, err := w.store.CreateToken(w.Context(), auth.Token{Tenant: "t"}); !errors.Is(err, tenants.ErrClosed) || len(w.tokens.List()) > 0 {
			t.Errorf("a new token: %v", err)
		}
		if err := w.write("t", "a", w.clock(), 1); !errors.Is(err, tenants.ErrClosed) && !errors.Is(err, engine.ErrUnknownTenant) {
			t.Errorf("a tenant that is being deleted takes rows: %v", err)
		}
		w.pass(0)
		if w.db.HasTenant("t") {
			t.Fatal("it is still there")
		}
	}
	if _, err := w.store.Get("t"); !errors.Is(err, engine.ErrUnknownTenant) {
		t.Errorf("its record: %v", err)
	}
	if _, err := w.store.Delete(w.Context(), "t"); !errors.Is(err, engine.ErrUnknownTenant) {
		t.Errorf("deleted again: %v", err)
	}
}

func TestOutboxHasAlarms(t *testing.T) {
	w := newWorld(t)
	w.put("t", tenants.Terms{Quota: bytes(10)})
	w.put("tt", tenants.Terms{})
	for _, tenant := range []model.Tenant{"t", "tt"} {
		w.must(w.write(tenant, "a", w.clock(), 1))
		channels, err := w.db.Channels(w.Context(), tenant, nil)
		w.must(err)
		_, err = w.db.PutAlarm(w.Context(), tenant, engine.AlarmDefinition{
			Name: "high", Channel: channels[0].ID, Match: "{}", Operator: uint8(engine.Greater), Threshold: 1, Enabled: true,
		})
		w.must(err)
	}
	w.must(w.write("t", "a", w.clock().Add(time.Minute), 4))  // 0 1 2 3: starts; and it has 10 of 10 bytes
	w.must(w.write("tt", "a", w.clock().Add(time.Minute), 4)) // starts
	w.wantTold("t capacity_low", "t alarm", "tt alarm")
	first, err := w.store.Outbox(w.Context(), "", 0)
	w.must(err)
	if rest, err := w.store.Outbox(w.Context(), first.Next, 0); err != nil || len(rest.Events) > 0 || rest.Next != "" {
		t.Errorf("behind the end: %+v %v", rest, err)
	}
	w.reopen()
	again, err := w.store.Outbox(w.Context(), "", 0)
	w.must(err)
	for i := range first.Events {
		if first.Events[i].ID != again.Events[i].ID {
			t.Errorf("event %d was %s, is %s", i, first.Events[i].ID, again.Events[i].ID)
		}
	}
	w.must(w.write("tt", "a", w.clock().Add(time.Hour), 1)) // ends
	more, err := w.store.Outbox(w.Context(), first.Next, 0)
	w.must(err)
	if len(more.Events) != 1 || more.Events[0].Alarm == nil || more.Events[0].Tenant != "tt" {
		t.Errorf("then %+v", more)
	}
	if _, err := w.store.Delete(w.Context(), "tt"); err != nil {
		t.Fatal(err)
	}
	w.wantTold("t capacity_low", "tt tenant_deleted", "t alarm")
	for _, bad := range []string{"x", "1", "1.2", "1.2.3", "-1.0.", "0.0." + strings.Repeat("z", 32), "3.0."} {
		if _, err := w.store.Outbox(w.Context(), bad, 0); !errors.Is(err, tenants.ErrBadCursor) {
			t.Errorf("cursor %q: %v", bad, err)
		}
	}
}

func TestTermsAreRefused(t *testing.T) {
	w := newWorld(t)
	huge, most := uint64(1)<<61, uint64(1)<<32
	for name, terms := range map[string]tenants.Terms{
		"plan":     {Plan: "gold"},
		"over":     {OverQuota: "delete_some"},
		"ceiling":  {Ceiling: 99},
		"ending":   {Ending: "later", Ends: w.clock()},
		"no end":   {Ending: tenants.Ending60},
		"bytes":    {Quota: tenants.Quota{Bytes: &huge}},
		"channels": {Quota: tenants.Quota{Channels: &most}},
	} {
		if _, err := w.store.Put(w.Context(), "t", terms); !errors.Is(err, tenants.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.store.Put(w.Context(), "../t", tenants.Terms{}); !errors.Is(err, model.ErrBadTenant) {
		t.Errorf("a bad name: %v", err)
	}
	if w.db.HasTenant("t") {
		t.Error("refused terms made a tenant")
	}
	if _, err := w.store.Check(context.Background(), "t"); !errors.Is(err, engine.ErrUnknownTenant) {
		t.Errorf("no tenant: %v", err)
	}
}
