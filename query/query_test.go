package query

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
)

const tenant = model.Tenant("t")

// start is when the tests' samples begin: 2022-06-06T18:43:33Z.
var start = time.Date(2022, 6, 6, 18, 43, 33, 0, time.UTC).UnixNano()

func openDB(t testing.TB) *engine.DB {
	t.Helper()
	clock := func() time.Time { return time.Unix(0, start).Add(time.Hour) }
	db, err := engine.Open(engine.Options{FS: vfs.NewMem(), Dir: "data", Clock: clock, Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.CreateTenant(context.Background(), tenant); err != nil {
		t.Fatal(err)
	}
	return db
}

func labels(t testing.TB, instrument, channel string) model.Labels {
	t.Helper()
	l, err := model.NewLabels(model.Label{Name: "instrument", Value: instrument}, model.Label{Name: "channel", Value: channel})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// write appends rows of one channel.
func write(t testing.TB, db *engine.DB, instrument, channel, unit string, times []int64, values []float64) {
	t.Helper()
	column := model.Column{Labels: labels(t, instrument, channel), Times: times, Values: values}
	if unit != "" {
		column.Properties = &model.Properties{Unit: unit}
	}
	_, err := db.Append(context.Background(), &model.Batch{Tenant: tenant, Columns: []model.Column{column}})
	if err != nil {
		t.Fatal(err)
	}
}

func scope(t testing.TB, selector string) Scope {
	t.Helper()
	s, err := model.ParseSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	return Scope{Tenant: tenant, Selector: s}
}

// seconds are times so many seconds after start.
func seconds(after ...int64) []int64 {
	times := make([]int64, len(after))
	for i, s := range after {
		times[i] = start + s*1e9
	}
	return times
}

// lake writes two instruments' channels.
func lake(t testing.TB, db *engine.DB) {
	t.Helper()
	write(t, db, "roof", "CH-1", "C", seconds(0, 10, 20), []float64{1, 2, 3})
	write(t, db, "lake", "2-1", "C", seconds(0, 10, 20, 30), []float64{26.21, 26.22, model.QualityBurnout.NaN(), 26.5})
	write(t, db, "lake", "2-4", "V", seconds(10, 15, 30), []float64{-0.0176, math.Copysign(0, -1), math.Inf(1)})
}

func TestChannelsTellsWhatEachHolds(t *testing.T) {
	db := openDB(t)
	lake(t, db)
	got, err := Channels(context.Background(), db, scope(t, `{instrument="lake"}`))
	if err != nil || len(got) != 2 {
		t.Fatalf("%d channels (%v), want 2", len(got), err)
	}
	first := got[0]
	if first.Labels.Channel() != "2-1" || first.Samples != 4 || first.First != start || first.Last != start+30e9 {
		t.Errorf("first channel is %v", first)
	}
	none, err := Channels(context.Background(), db, scope(t, `{instrument="moon"}`))
	if err != nil || len(none) != 0 {
		t.Errorf("a selector that matches nothing gives %v, %v", none, err)
	}
	if _, err := Channels(context.Background(), db, Scope{Tenant: "stranger", Selector: nil}); !errors.Is(err, engine.ErrUnknownTenant) {
		t.Errorf("another tenant: %v", err)
	}
}

func TestLatest(t *testing.T) {
	db := openDB(t)
	lake(t, db)
	got, err := Latest(context.Background(), db, scope(t, `{channel=~"2-.*"}`))
	if err != nil || len(got) != 2 {
		t.Fatalf("%v (%v)", got, err)
	}
	if got[0].Value != 26.5 || got[0].Time != start+30e9 || !got[0].Known || !math.IsInf(got[1].Value, 1) {
		t.Errorf("latest is %v", got)
	}
	if _, err := Latest(context.Background(), db, scope(t, `{channel="9"}`)); !errors.Is(err, ErrNoChannel) {
		t.Errorf("nothing matches: %v", err)
	}
}

func at(t int64) *int64 { return &t }

func TestViewBuckets(t *testing.T) {
	db := openDB(t)
	lake(t, db)
	got, err := View(context.Background(), db, ViewRequest{
		Scope: scope(t, `{instrument="lake"}`), Window: Window{at(start), at(start + 40e9)}, Buckets: 2, Unit: Milliseconds,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Buckets.Width != 20e9 || got.Buckets.From > start || got.Buckets.From%20e9 != 0 || got.Source != "raw" {
		t.Errorf("buckets are %+v from %s", got.Buckets, got.Source)
	}
	var count, quality uint64
	for i := range got.Aggregates[0] {
		count += got.Aggregates[0][i].Count
		quality += got.Aggregates[0][i].Quality
	}
	if count != 3 || quality != 1 {
		t.Errorf("%d numbers and %d qualities, want 3 and 1", count, quality)
	}
}

func TestViewSpanFollowsFromTheRows(t *testing.T) {
	db := openDB(t)
	lake(t, db)
	f := func(w Window, want model.Span) {
		t.Helper()
		got, err := View(context.Background(), db, ViewRequest{Scope: scope(t, "{}"), Window: w, Buckets: 10, Unit: Milliseconds})
		if err != nil {
			t.Fatal(err)
		}
		span := got.Buckets.Span()
		if span.From > want.From || span.To < want.To || span.From <= want.From-got.Buckets.Width || span.To >= want.To+got.Buckets.Width {
			t.Errorf("buckets cover %v, want just %v", span, want)
		}
	}
	f(Window{}, model.Span{From: start, To: start + 30e9 + 1})
	f(Window{From: at(start + 5e9)}, model.Span{From: start + 5e9, To: start + 30e9 + 1})
	f(Window{To: at(start + 15e9)}, model.Span{From: start, To: start + 15e9})
	f(Window{From: at(start + 1000e9)}, model.Span{From: start + 1000e9, To: start + 1000e9 + 1e6})
	f(Window{To: at(start - 1000e9)}, model.Span{From: start - 1000e9 - 1e6, To: start - 1000e9})
}

func TestViewWithinOneUnitIsOneBucket(t *testing.T) {
	db := openDB(t)
	write(t, db, "a", "1", "", []int64{start + 7, start + 9}, []float64{5, 6})
	for _, w := range []Window{{}, {From: at(start + 5)}, {To: at(start + 10)}} {
		got, err := View(context.Background(), db, ViewRequest{Scope: scope(t, "{}"), Window: w, Unit: Milliseconds})
		if err != nil {
			t.Fatal(err)
		}
		var count uint64
		for _, a := range got.Aggregates[0] {
			count += a.Count
		}
		if count != 2 || got.Buckets.Count > 2 || got.Buckets.Width != 1e6 {
			t.Errorf("%d samples in %+v", count, got.Buckets)
		}
	}
}

func TestViewRefuses(t *testing.T) {
	db := openDB(t)
	lake(t, db)
	for i := range 40 {
		write(t, db, "wide", fmt.Sprint(i), "", seconds(0), []float64{1})
	}
	f := func(selector string, w Window, buckets int, unit Unit, want error) error {
		t.Helper()
		_, err := View(context.Background(), db, ViewRequest{Scope: scope(t, selector), Window: w, Buckets: buckets, Unit: unit})
		if !errors.Is(err, want) {
			t.Errorf("%s %v: %v, want %v", selector, buckets, err, want)
		}
		return err
	}
	whole := Window{at(start), at(start + 40e9)}
	f(`{instrument="wide"}`, whole, 10, Milliseconds, ErrTooManyChannels)
	f(`{instrument="moon"}`, whole, 10, Milliseconds, ErrNoChannel)
	f(`{instrument="lake"}`, whole, -1, Milliseconds, ErrInvalid)
	f(`{instrument="lake"}`, whole, 1<<40, Milliseconds, ErrInvalid)
	f(`{instrument="lake"}`, Window{at(start), at(start)}, 10, Milliseconds, model.ErrBadSpan)
	f(`{instrument="lake"}`, Window{at(start + 1), at(start)}, 10, Milliseconds, model.ErrBadSpan)
	err := f(`{instrument="lake"}`, Window{at(start), at(start + 1e6)}, 1000, Milliseconds, model.ErrBadSpan)
	if want := "unit us"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a width finer than the unit: %v, want %q in it", err, want)
	}
	err = f(`{instrument="lake"}`, Window{at(start), at(start + 1000)}, 1000, Seconds, model.ErrBadSpan)
	if want := "unit ns"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a width finer than the unit: %v, want %q in it", err, want)
	}
}

func TestTableJoinsOnTime(t *testing.T) {
	db := openDB(t)
	lake(t, db)
	got, err := Table(context.Background(), db, TableRequest{Scope: scope(t, `{instrument="lake"}`)})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Times, seconds(0, 10, 15, 20, 30)) || got.Next != "" {
		t.Errorf("times %v, next %q", got.Times, got.Next)
	}
	want := []bool{true, false, true, true, false, true, true, false, true, true}
	if !slices.Equal(got.Present, want) {
		t.Errorf("samples at %v, want %v", got.Present, want)
	}
	if got.Values[2] != 26.22 || got.Values[3] != -0.0176 || !math.Signbit(got.Values[5]) ||
		model.QualityOf(got.Values[6]) != model.QualityBurnout {
		t.Errorf("values %v", got.Values)
	}
}

func TestTablePages(t *testing.T) {
	db := openDB(t)
	lake(t, db)
	ask := TableRequest{Scope: scope(t, "{}"), Limit: 2, Window: Window{From: at(start + 1)}}
	var times []int64
	for range 10 {
		got, err := Table(context.Background(), db, ask)
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, got.Times...)
		if ask.After = got.Next; got.Next == "" {
			break
		}
		if len(got.Times) != 2 {
			t.Errorf("a page of %d rows", len(got.Times))
		}
	}
	if !slices.Equal(times, seconds(10, 15, 20, 30)) {
		t.Errorf("pages give %v", times)
	}
}

func TestTableRefuses(t *testing.T) {
	db := openDB(t)
	lake(t, db)
	page, err := Table(context.Background(), db, TableRequest{Scope: scope(t, "{}"), Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	f := func(r TableRequest, want error) {
		t.Helper()
		if _, err := Table(context.Background(), db, r); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	f(TableRequest{Scope: scope(t, `{instrument="moon"}`)}, ErrNoChannel)
	f(TableRequest{Scope: scope(t, "{}"), Limit: -1}, ErrInvalid)
	f(TableRequest{Scope: scope(t, "{}"), Limit: 1 << 40}, ErrInvalid)
	f(TableRequest{Scope: scope(t, "{}"), After: "x"}, ErrBadCursor)
	f(TableRequest{Scope: scope(t, "{}"), After: "AAAA" + page.Next[4:]}, ErrBadCursor)
	f(TableRequest{Scope: scope(t, `{instrument="lake"}`), After: page.Next}, ErrBadCursor)
	f(TableRequest{Scope: scope(t, "{}"), Window: Window{at(start), at(start)}}, model.ErrBadSpan)
	empty, err := Table(context.Background(), db, TableRequest{Scope: scope(t, "{}"), Window: Window{From: at(start + 1e12)}})
	if err != nil || len(empty.Times) != 0 {
		t.Errorf("a span without rows: %v, %v", empty, err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Table(cancelled, db, TableRequest{Scope: scope(t, "{}")}); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: %v", err)
	}
}

func FuzzTableCursor(f *testing.F) {
	s := Scope{Tenant: tenant}
	f.Add(s.encodeCursor(start))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if last, err := s.decodeCursor(text); err == nil && s.encodeCursor(last) != text {
			t.Fatalf("%q and %q both stand for %d", text, s.encodeCursor(last), last)
		}
	})
}

// TestTableEqualsAScan compares pages with a map of the rows.
func TestTableEqualsAScan(t *testing.T) {
	db := openDB(t)
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		run++
		instrument := fmt.Sprint("run", run)
		channels := rapid.IntRange(1, 5).Draw(r, "channels")
		want := map[int64]map[int]float64{}
		for c := range channels {
			n := rapid.IntRange(1, 30).Draw(r, "rows")
			times, values := make([]int64, n), make([]float64, n)
			for i := range n {
				times[i] = start + int64(rapid.IntRange(0, 50).Draw(r, "time"))
				values[i] = float64(rapid.IntRange(-9, 9).Draw(r, "value"))
				if want[times[i]] == nil {
					want[times[i]] = map[int]float64{}
				}
				want[times[i]][c] = values[i]
			}
			write(t, db, instrument, fmt.Sprint(c), "", times, values)
		}
		ask := TableRequest{Scope: scope(t, `{instrument="`+instrument+`"}`), Limit: rapid.IntRange(1, 20).Draw(r, "limit")}
		seen, last := 0, int64(math.MinInt64)
		for {
			got, err := Table(context.Background(), db, ask)
			if err != nil {
				r.Fatal(err)
			}
			for i, t := range got.Times {
				if t <= last || want[t] == nil {
					r.Fatalf("row at %d after %d", t, last)
				}
				last = t
				seen++
				for c := range channels {
					v, ok := want[t][c]
					if ok != got.Present[i*channels+c] || ok && v != got.Values[i*channels+c] {
						r.Fatalf("row %d channel %d is %v", t, c, got.Values[i*channels+c])
					}
				}
			}
			if ask.After = got.Next; got.Next == "" {
				break
			}
		}
		if seen != len(want) {
			r.Fatalf("%d rows, want %d", seen, len(want))
		}
	})
}
