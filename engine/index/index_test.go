package index_test

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/index"
	"github.com/hokan-db/hokan/engine/model"
)

func labels(t interface{ Fatal(...any) }, instrument, channel string, more ...string) model.Labels {
	list := []model.Label{{Name: "instrument", Value: instrument}, {Name: "channel", Value: channel}}
	for i := 0; i < len(more); i += 2 {
		list = append(list, model.Label{Name: more[i], Value: more[i+1]})
	}
	l, err := model.NewLabels(list...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func define(t testing.TB, x *index.Index, d model.Definition) bool {
	t.Helper()
	changed, err := x.Define(d)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

func TestDefine(t *testing.T) {
	x := index.New()
	a, b := labels(t, "i", "a"), labels(t, "i", "b")
	if x.Len() != 0 || x.MaxID() != 0 || x.Get(0) != nil || x.Get(1) != nil || len(x.Select(nil)) != 0 {
		t.Error("a new index has something")
	}
	volt, ampere := &model.Properties{Unit: "V"}, &model.Properties{Unit: "A"}
	for _, step := range []struct {
		d       model.Definition
		changed bool
	}{
		{model.Definition{ID: 3, Labels: a}, true},
		{model.Definition{ID: 3, Labels: a}, false},
		{model.Definition{ID: 1, Labels: b, Properties: volt, ValidFrom: 10}, true},
		{model.Definition{ID: 1, Labels: b, Properties: volt, ValidFrom: 10}, false},
		{model.Definition{ID: 1, Labels: b, Properties: volt, ValidFrom: 20}, false},
		{model.Definition{ID: 1, Labels: b}, false},
		{model.Definition{ID: 1, Labels: b, Properties: ampere, ValidFrom: 30}, true},
		{model.Definition{ID: 1, Labels: b, Properties: ampere, ValidFrom: 20}, true},
	} {
		if got := define(t, x, step.d); got != step.changed {
			t.Errorf("%+v: changed %v", step.d, got)
		}
	}
	want := model.History{{ValidFrom: 10, Properties: *volt}, {ValidFrom: 20, Properties: *ampere}}
	if h := x.Get(1).History; !reflect.DeepEqual(h, want) {
		t.Errorf("history %+v", h)
	}
	if id, ok := x.Lookup(a); !ok || id != 3 {
		t.Errorf("a is %d, %v", id, ok)
	}
	if _, ok := x.Lookup(labels(t, "i", "c")); ok {
		t.Error("c exists")
	}
	if x.Len() != 2 || x.MaxID() != 3 || x.Get(2) != nil || x.Get(4) != nil || x.Get(math.MaxUint32) != nil {
		t.Errorf("%d channels up to %d", x.Len(), x.MaxID())
	}
	if got := x.Select(nil); !slices.Equal(got, []model.ChannelID{1, 3}) {
		t.Errorf("all are %v", got)
	}
}

func TestConflicts(t *testing.T) {
	x := index.New()
	a, b := labels(t, "i", "a"), labels(t, "i", "b")
	define(t, x, model.Definition{ID: 1, Labels: a})
	for name, d := range map[string]model.Definition{
		"other labels": {ID: 1, Labels: b}, "other ID": {ID: 2, Labels: a}, "ID 0": {Labels: b},
		"no labels": {ID: 2}, "no labels, known": {ID: 1}, "wild ID": {ID: math.MaxUint32, Labels: b},
	} {
		d.Properties = &model.Properties{Unit: "V"}
		if changed, err := x.Define(d); changed || !errors.Is(err, index.ErrConflict) {
			t.Errorf("%s: %v, %v", name, changed, err)
		}
	}
	if x.Len() != 1 || x.MaxID() != 1 || len(x.Get(1).History) != 0 || !slices.Equal(x.Select(nil), []model.ChannelID{1}) {
		t.Error("a refused definition left something")
	}
	if _, ok := x.Lookup(b); ok {
		t.Error("b exists")
	}
}

var (
	somePatterns = []string{"", "a", "b", "a|b", ".*", ".+", "[ac].*", "1", "V"}
	someNames    = []string{"instrument", "channel", "site", "unit", "group", "rack", "none", "decimals"}
)

func anySelector(t *rapid.T) model.Selector {
	var s model.Selector
	for range rapid.IntRange(0, 4).Draw(t, "matchers") {
		m, err := model.NewMatcher(rapid.SampledFrom(someNames).Draw(t, "name"),
			model.MatchOp(rapid.IntRange(0, 3).Draw(t, "op")), rapid.SampledFrom(somePatterns).Draw(t, "value"))
		if err != nil {
			t.Fatal(err)
		}
		s = append(s, m)
	}
	return s
}

// TestSelectIsFiltering: postings change how fast channels are found, never
// which. There are enough channels to make lists turn into bitmaps.
func TestSelectIsFiltering(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := index.New()
		count := rapid.OneOf(rapid.IntRange(0, 20), rapid.IntRange(100, 800)).Draw(t, "channels")
		seed := rapid.Uint64().Draw(t, "seed")
		random := func(n uint64) uint64 {
			seed = seed*6364136223846793005 + 1442695040888963407
			return seed >> 33 % n
		}
		values := []string{"a", "b", "ab", "c"}
		known := map[model.Labels]bool{}
		for range count {
			var more []string
			if random(2) == 0 {
				more = append(more, "site", values[random(4)])
			}
			if random(3) == 0 {
				more = append(more, "unit", "a", "rack", fmt.Sprint(random(9)))
			}
			l := labels(t, values[random(4)], fmt.Sprint(random(300)), more...)
			d := model.Definition{ID: model.ChannelID(random(2000) + 1), Labels: l}
			if random(2) == 0 {
				d.Properties = &model.Properties{Unit: values[random(4)], Group: values[random(4)], Decimals: 1, HasDecimals: random(2) == 0}
				d.ValidFrom = int64(random(3))
			}
			if x.Get(d.ID) != nil || known[l] {
				continue
			}
			known[l] = true
			if _, err := x.Define(d); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 {
			s := anySelector(t)
			want := []model.ChannelID{}
			for id := model.ChannelID(1); id <= x.MaxID(); id++ {
				if c := x.Get(id); c != nil && s.Matches(c) {
					want = append(want, id)
				}
			}
			if got := x.Select(s); !slices.Equal(got, want) {
				t.Fatalf("%s: %v, want %v", s, got, want)
			}
		}
	})
}

func TestSelectSeesCurrentProperties(t *testing.T) {
	x := index.New()
	l := labels(t, "i", "a")
	s, err := model.ParseSelector(`{unit="A"}`)
	if err != nil {
		t.Fatal(err)
	}
	define(t, x, model.Definition{ID: 1, Labels: l, Properties: &model.Properties{Unit: "V"}, ValidFrom: 1})
	if got := x.Select(s); len(got) != 0 {
		t.Error("A before it was said")
	}
	define(t, x, model.Definition{ID: 1, Labels: l, Properties: &model.Properties{Unit: "A"}, ValidFrom: 2})
	if got := x.Select(s); len(got) != 1 {
		t.Error("not A after it was said")
	}
}

// instruments fills an index with n channels of perInstrument per instrument.
func instruments(t testing.TB, n, perInstrument int) (*index.Index, []model.Labels) {
	x := index.New()
	all := make([]model.Labels, n)
	for i := range n {
		all[i] = labels(t, fmt.Sprintf("LR8450-%06d", i/perInstrument), fmt.Sprintf("CH%d-%d", i%perInstrument/15+1, i%15+1))
		define(t, x, model.Definition{ID: model.ChannelID(i + 1), Labels: all[i]})
	}
	return x, all
}

func selector(t testing.TB, text string) model.Selector {
	s, err := model.ParseSelector(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// heapBytes is the live heap that build's result takes.
func heapBytes(build func() any) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	kept := build()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(kept)
	return after.HeapAlloc - before.HeapAlloc
}

// TestMemory holds the index to a budget: 240,000 channels of many to an
// instrument in 60 MB, their labels included.
func TestMemory(t *testing.T) {
	for _, c := range []struct {
		name       string
		perChannel int
		most       uint64
	}{{"100 channels per instrument", 100, 250}, {"one channel per instrument", 1, 350}} {
		const n = 50_000
		bytes := heapBytes(func() any {
			x, _ := instruments(t, n, c.perChannel)
			return x
		})
		t.Logf("%s: %d bytes per channel", c.name, bytes/n)
		if bytes/n > c.most {
			t.Errorf("%s: %d bytes per channel, at most %d", c.name, bytes/n, c.most)
		}
	}
	const tenants = 1000
	bytes := heapBytes(func() any {
		all := make([]*index.Index, tenants)
		for i := range all {
			all[i], _ = instruments(t, 10, 10)
		}
		return all
	})
	t.Logf("ten channels: %d bytes per tenant", bytes/tenants)
	if bytes/tenants > 8192 {
		t.Errorf("a tenant of ten channels takes %d bytes", bytes/tenants)
	}
}

func BenchmarkLookup(b *testing.B) {
	x, all := instruments(b, 100_000, 100)
	i := 0
	for b.Loop() {
		if _, ok := x.Lookup(all[i]); !ok {
			b.Fatal(all[i])
		}
		i = (i + 7919) % len(all)
	}
}

func BenchmarkLookupInOrder(b *testing.B) {
	x, all := instruments(b, 100_000, 100)
	i := 0
	for b.Loop() {
		x.Lookup(all[i])
		i = (i + 1) % len(all)
	}
}

func BenchmarkSelect(b *testing.B) {
	for _, c := range []struct {
		name, selector string
		perInstrument  int
		want           int
	}{
		{"32 by instrument", `{instrument="LR8450-000100"}`, 32, 32},
		{"instrument and pattern", `{instrument="LR8450-000100",channel=~"CH1-.*"}`, 100, 15},
		{"one channel of each", `{channel="CH1-1"}`, 100, 1000},
		{"pattern alone", `{channel=~"CH1-.*"}`, 100, 15_000},
		{"not one", `{instrument!="LR8450-000100"}`, 100, 99_900},
		{"all", `{}`, 100, 100_000},
		{"property", `{unit="V"}`, 100, 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			x, _ := instruments(b, 100_000, c.perInstrument)
			s := selector(b, c.selector)
			b.ReportAllocs()
			for b.Loop() {
				if got := len(x.Select(s)); got != c.want {
					b.Fatalf("%d channels, want %d", got, c.want)
				}
			}
		})
	}
}

func BenchmarkDefine(b *testing.B) {
	_, all := instruments(b, 100_000, 100)
	x := index.New()
	i := 0
	for b.Loop() {
		if i == len(all) {
			i, x = 0, index.New()
		}
		if _, err := x.Define(model.Definition{ID: model.ChannelID(i + 1), Labels: all[i]}); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// TestRestore compares an index that was restored with one that was defined,
// before and after both change.
func TestRestore(t *testing.T) {
	defined, restored := index.New(), index.New()
	var channels []model.Channel
	for i := range 300 {
		d := model.Definition{ID: model.ChannelID(2*i + 1), Labels: labels(t, fmt.Sprint("i", i%7), fmt.Sprint("c", i)),
			Properties: &model.Properties{Unit: fmt.Sprint("u", i%3)}, ValidFrom: 5}
		define(t, defined, d)
		channels = append(channels, *defined.Get(d.ID))
	}
	if err := restored.Restore(channels); err != nil {
		t.Fatal(err)
	}
	same := func() {
		t.Helper()
		if restored.Len() != defined.Len() || restored.MaxID() != defined.MaxID() {
			t.Errorf("%d channels up to %d, want %d up to %d", restored.Len(), restored.MaxID(), defined.Len(), defined.MaxID())
		}
		for _, text := range []string{`{}`, `{instrument="i3"}`, `{instrument!="i3",unit="u1"}`, `{channel=~"c1.*"}`} {
			s := selector(t, text)
			if got, want := restored.Select(s), defined.Select(s); !slices.Equal(got, want) {
				t.Errorf("%s selects %v, want %v", text, got, want)
			}
		}
		if got, want := restored.Count("instrument", "i3"), defined.Count("instrument", "i3"); got != want {
			t.Errorf("%d channels of i3, want %d", got, want)
		}
	}
	change := func(id model.ChannelID) {
		for _, x := range []*index.Index{defined, restored} {
			x.Remove([]model.ChannelID{1, 3, id})
			define(t, x, model.Definition{ID: 900 + id, Labels: labels(t, "i3", fmt.Sprint("new", id))})
		}
	}
	change(7) // before anybody asked
	same()
	change(11)
	same()
	twice := []model.Channel{channels[0], {ID: 9, Labels: channels[0].Labels}}
	for _, bad := range [][]model.Channel{twice, {channels[0], channels[0]}, {{ID: 4}}, {{Labels: channels[0].Labels}}} {
		if err := index.New().Restore(slices.Clone(bad)); !errors.Is(err, index.ErrConflict) {
			t.Errorf("%v is restored: %v", bad, err)
		}
	}
}
