package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hokan-db/hokan/engine/model"
)

// slowSelector takes about a quarter of a second for each channel of slowChannels.
const slowSelector = `{channel=~"(.*.?){900}x"}`

// slowChannels writes a row of n channels with long names.
func slowChannels(t *testing.T, db *DB, n int) {
	t.Helper()
	b := &model.Batch{Tenant: "t"}
	for i := range n {
		labels := testLabels(strings.Repeat("a", 1000) + fmt.Sprint(i))
		b.Columns = append(b.Columns, model.Column{Labels: labels, Times: []int64{1}, Values: []float64{1}})
	}
	appendTo(t, db, b)
}

func mustTenant(t *testing.T, db *DB) *tenant {
	t.Helper()
	tenant, err := db.tenant("t")
	if err != nil {
		t.Fatal(err)
	}
	return tenant
}

func parseSelector(t *testing.T, text string) model.Selector {
	t.Helper()
	s, err := model.ParseSelector(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// askedContext tells when it was asked for its error a number of times. It is
// for one goroutine.
type askedContext struct {
	context.Context
	after int
	asked chan struct{} // closed then
}

func (c *askedContext) Err() error {
	if c.after--; c.after == 0 {
		close(c.asked)
	}
	return c.Context.Err()
}

// TestSlowPatterns selects with a pattern that takes far longer than anybody
// may wait: writers do not, and who asked can stop it.
func TestSlowPatterns(t *testing.T) {
	db := tapped(t)
	slowChannels(t, db, 30)
	s := parseSelector(t, slowSelector)
	for what, selects := range map[string]func(context.Context) error{
		"channels": func(ctx context.Context) error { _, err := db.Channels(ctx, "t", s); return err },
		"tap":      func(ctx context.Context) error { _, err := db.Tap(ctx, "t", s, 10); return err },
	} {
		ctx, cancel := context.WithCancel(context.Background())
		done, begun := make(chan error, 1), make(chan struct{})
		go func() { done <- selects(&askedContext{Context: ctx, after: 2, asked: begun}) }()
		<-begun // one value was matched, the next is
		for i := range 10 {
			appendTo(t, db, scriptBatch(i))
		}
		select {
		case err := <-done:
			t.Errorf("%s: rows were written after it was done (%v), or it was not slow", what, err)
		default:
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled: %v", what, err)
		}
	}
	if taps := mustTenant(t, db).taps; len(taps) > 0 {
		t.Errorf("%d taps are left", len(taps))
	}
}

// TestSlowPatternsOfLaterChannels: it is who takes that matches new channels,
// not who writes, and can stop too.
func TestSlowPatternsOfLaterChannels(t *testing.T) {
	db := tapped(t)
	tap := openTap(t, db, slowSelector, 1000)
	slowChannels(t, db, 2)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := tap.Take(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for _, c := range tap.candidates {
		if c.wanted != undecided {
			t.Error("the pattern was matched by who wrote")
		}
	}
	expect(t, tap, 0)
}

// TestCheapMatchesHeedContext: comparing very many channels can be stopped too.
func TestCheapMatchesHeedContext(t *testing.T) {
	db := tapped(t)
	b := &model.Batch{Tenant: "t"}
	for i := range 2 * cheapMatches {
		b.Columns = append(b.Columns, model.Column{Labels: testLabels(fmt.Sprint(i)), Times: []int64{1}, Values: []float64{1}})
	}
	appendTo(t, db, b)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := db.Channels(ctx, "t", parseSelector(t, `{unit="V"}`)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestTapWhileItChanges: a channel that changes between its rows is judged by
// what it was at each, and by what it is from then on.
func TestTapWhileItChanges(t *testing.T) {
	db := tapped(t)
	tap := openTap(t, db, `{unit="V"}`, 100)
	for i, unit := range []string{"V", "A", "V", "A"} {
		appendTo(t, db, &model.Batch{Tenant: "t", Columns: []model.Column{{Labels: testLabels("x"),
			Properties: &model.Properties{Unit: unit}, Times: []int64{int64(i)}, Values: []float64{float64(i)}}}})
	}
	expect(t, tap, 0, "x=0", "x=2")
	appendTo(t, db, &model.Batch{Tenant: "t", Columns: []model.Column{{Labels: testLabels("x"), Times: []int64{9}, Values: []float64{9}}}})
	expect(t, tap, 0)
	if len(tap.candidates) > 0 {
		t.Errorf("%d candidates are left", len(tap.candidates))
	}
}

// TestTapMemory holds taps to their bytes, alone and together. What was taken
// counts until the next is; who always takes loses nothing to those that do not.
func TestTapMemory(t *testing.T) {
	db := tapped(t)
	const rows = 1000
	perWrite := int64(tapRowsOverhead + rows*tapRowBytes)
	db.tapMemory.mostOfOne, db.tapMemory.most = 10*perWrite, 15*perWrite+100 // and what taps note of channels
	write := func(n int) {
		t.Helper()
		for range n {
			appendTo(t, db, &model.Batch{Tenant: "t", Columns: []model.Column{
				{Labels: testLabels("a"), Times: make([]int64, rows), Values: make([]float64, rows)}}})
		}
	}
	write(1)
	slow, other := openTap(t, db, `{}`, 1e9), openTap(t, db, `{}`, 1e9)
	used := func(want int64) {
		t.Helper()
		got := db.tapMemory.used.Load()
		for _, tap := range mustTenant(t, db).taps {
			got -= tap.own
		}
		if got != want*perWrite {
			t.Errorf("%v writes' bytes are in use, want %d", float64(got)/float64(perWrite), want)
		}
	}
	taken := func(tap *Tap, writes int, dropped uint64) {
		t.Helper()
		if got, d := take(t, tap); len(got) != writes*rows || d != dropped {
			t.Errorf("%d rows, %d dropped; want %d writes' and %d", len(got), d, writes, dropped)
		}
	}
	write(12)
	used(15)
	taken(slow, 8, 4*rows)
	taken(other, 7, 5*rows)
	used(15) // whoever took them may still have them
	slow.GiveBack(TapFeed{})
	used(7)
	write(12)
	used(15)
	taken(slow, 4, 8*rows)
	taken(other, 4, 8*rows)
	other.Close()
	slow.GiveBack(TapFeed{})
	used(0)
	write(12)
	used(10)
	taken(slow, 10, 2*rows)
	slow.GiveBack(TapFeed{})
	used(0)
	write(12)
	// With nothing left of all there is a little for each.
	db.tapMemory.most = 1
	small := openTap(t, db, `{}`, 1e9)
	for range 10 {
		write(3)
		taken(small, 3, 0)
		small.GiveBack(TapFeed{})
	}
	slow.Close()
	small.Close()
	used(0)
}

// TestTapEventMemory: events that nobody takes are dropped too.
func TestTapEventMemory(t *testing.T) {
	db := tapped(t)
	appendTo(t, db, scriptBatch(0))
	if _, err := db.PutAlarm(context.Background(), "t", AlarmDefinition{Name: strings.Repeat("n", 500), Channel: 1,
		Operator: uint8(GreaterOrEqual), Threshold: 1, Enabled: true}); err != nil {
		t.Fatal(err)
	}
	tap := openTap(t, db, `{channel="a"}`, 1e9)
	db.tapMemory.mostOfOne, db.tapMemory.most = 100<<10, 100<<10
	b := &model.Batch{Tenant: "t", Columns: []model.Column{{Labels: testLabels("a")}}}
	for i := range 1000 {
		b.Columns[0].Times = append(b.Columns[0].Times, int64(100+i))
		b.Columns[0].Values = append(b.Columns[0].Values, float64(i%2))
	}
	appendTo(t, db, b)
	feed, err := tap.Take(context.Background())
	if err != nil || len(feed.Rows) != 1 || len(feed.Events) == 0 || len(feed.Events) > 150 || len(feed.Events)+int(feed.Dropped) < 998 {
		t.Errorf("%d rows, %d events, %d dropped, %v", len(feed.Rows), len(feed.Events), feed.Dropped, err)
	}
}

// TestTapsKnowledgeIsCounted counts what taps note of channels, those that they
// have not decided on too, and refuses taps that would need too much.
func TestTapsKnowledgeIsCounted(t *testing.T) {
	db := tapped(t)
	write := func(from, to int) {
		t.Helper()
		b := &model.Batch{Tenant: "t"}
		for i := from; i < to; i++ {
			b.Columns = append(b.Columns, model.Column{Labels: testLabels(fmt.Sprint(i)), Times: []int64{1}, Values: []float64{1}})
		}
		appendTo(t, db, b)
	}
	used := func(least, most int64) {
		t.Helper()
		if got := db.tapMemory.used.Load(); got < least || got > most {
			t.Errorf("%d bytes are in use, want %d to %d", got, least, most)
		}
	}
	const channels, more = tapAlways + 1000, 1000
	write(0, tapAlways/2)
	small := openTap(t, db, `{}`, 1)
	used(tapAlways/2, tapAlways)
	small.Close()
	used(0, 0)
	write(tapAlways/2, channels)
	tap := openTap(t, db, `{channel!="x"}`, 1e9)
	if tap.Selected() != channels {
		t.Errorf("%d channels are selected", tap.Selected())
	}
	used(channels, channels*3/2)
	before := db.tapMemory.used.Load()
	write(channels, channels+more)
	waiting := int64(more * (tapRowsOverhead + tapRowBytes + candidateBytes))
	used(before+waiting, before+waiting)
	if got, _ := take(t, tap); len(got) != more {
		t.Errorf("%d rows", len(got))
	}
	tap.GiveBack(TapFeed{})
	used(channels+more, channels*2)
	db.tapMemory.most = 2 * channels
	if _, err := db.Tap(context.Background(), "t", nil, 1); !errors.Is(err, ErrTooManyTaps) {
		t.Errorf("one tap too many: %v", err)
	}
	tap.Close()
	used(0, 0)
}

// TestPatternsInTurns: while a tenant has as many places for matching patterns
// as it may, its next waits, when it opens a tap and when it takes; others, and
// what has no patterns, do not.
func TestPatternsInTurns(t *testing.T) {
	db := tapped(t)
	appendTo(t, db, scriptBatch(0))
	appendTo(t, db, &model.Batch{Tenant: "u", Columns: []model.Column{{Labels: testLabels("x"), Times: []int64{7}, Values: []float64{7}}}})
	ctx := context.Background()
	const pattern = `{channel=~"a|x"}`
	plain, tap := openTap(t, db, `{channel!="y"}`, 10), openTap(t, db, pattern, 10)
	appendTo(t, db, &model.Batch{Tenant: "t", Columns: []model.Column{{Labels: testLabels("x"), Times: []int64{7}, Values: []float64{7}}}})
	held := patterns.Free() / 2
	for range held {
		if err := patterns.Enter(ctx, "t"); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, plain, 0, "x=7")
	got, opened := make(chan TapFeed), make(chan error)
	go func() {
		feed, err := tap.Take(ctx)
		if err != nil {
			t.Error(err)
		}
		got <- feed
	}()
	patterns.AwaitWaiting("t", 1)
	soon, cancel := context.WithCancel(ctx)
	go func() {
		_, err := db.Tap(soon, "t", parseSelector(t, pattern), 10)
		opened <- err
	}()
	patterns.AwaitWaiting("t", 2)
	cancel()
	if err := <-opened; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	other, err := db.Tap(ctx, "u", parseSelector(t, pattern), 10)
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	patterns.Leave("t")
	if feed := <-got; len(feed.Rows) != 1 {
		t.Errorf("%d rows", len(feed.Rows))
	}
	for range held - 1 {
		patterns.Leave("t")
	}
}

// TestPatternsGiveWay: whoever has matched much lets the next do so.
func TestPatternsGiveWay(t *testing.T) {
	ctx := context.Background()
	long := strings.Repeat("v", bytesInTurn)
	var had []*matching
	for range patterns.Free() / 2 {
		m := &matching{tenant: "t"}
		if err := m.take(ctx, long); err != nil {
			t.Fatal(err)
		}
		defer m.end()
		had = append(had, m)
	}
	next := &matching{tenant: "t"}
	took := false
	go func() {
		if err := next.take(ctx, long); err != nil {
			t.Error(err)
		}
		took = true
		next.end()
	}()
	patterns.AwaitWaiting("t", 1)
	if err := had[0].take(ctx, ""); err != nil || !took {
		t.Errorf("the next had its turn: %v; %v", took, err)
	}
}
