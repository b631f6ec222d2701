package policy_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

func keep(t testing.TB, text string) policy.Keep {
	t.Helper()
	k, err := policy.ParseKeep(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestParseKeep(t *testing.T) {
	for _, text := range []string{"forever", "1y", "10y", "6mo", "90d", "12h", "30m", "45s"} {
		if got := keep(t, text).String(); got != text {
			t.Errorf("%s became %s", text, got)
		}
	}
	for _, text := range []string{"", "1", "y", "0d", "-1d", "1.5y", "1w", "1Y", " 1y", "1y ", "1001y", "1 y", "99999999999d", "+1d", "1ymo"} {
		if k, err := policy.ParseKeep(text); !errors.Is(err, policy.ErrRetention) {
			t.Errorf("%q became %v, %v", text, k, err)
		}
	}
}

func at(t testing.TB, text string) int64 {
	t.Helper()
	when, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return when.UnixNano()
}

// TestFloor: a row at the floor is kept, one before it is not. Years and months
// are those of the calendar, in UTC.
func TestFloor(t *testing.T) {
	for _, c := range []struct{ keep, now, want string }{
		{"1y", "2026-11-22T05:06:07.000000008Z", "2025-11-22T05:06:07.000000008Z"},
		{"1y", "2025-02-28T23:59:59.999999999Z", "2024-02-28T23:59:59.999999999Z"},
		{"1y", "2025-03-01T00:00:00Z", "2024-03-01T00:00:00Z"},
		{"1y", "2024-02-29T12:00:00Z", "2023-03-01T00:00:00Z"},
		{"4y", "2024-02-29T12:00:00Z", "2020-02-29T12:00:00Z"},
		{"1mo", "2026-03-31T08:00:00Z", "2026-03-01T00:00:00Z"},
		{"1mo", "2026-01-31T08:00:00Z", "2025-12-31T08:00:00Z"},
		{"13mo", "2026-01-15T08:00:00Z", "2024-12-15T08:00:00Z"},
		{"90d", "2026-03-31T08:00:00Z", "2025-12-31T08:00:00Z"},
		{"45s", "2026-01-01T00:00:00Z", "2025-12-31T23:59:15Z"},
	} {
		if got := keep(t, c.keep).Floor(at(t, c.now)); got != at(t, c.want) {
			t.Errorf("%s at %s: %v, want %s", c.keep, c.now, time.Unix(0, got).UTC(), c.want)
		}
	}
	for _, text := range []string{"forever", "1000y", "366000d"} {
		if got := keep(t, text).Floor(0); got != policy.NoFloor {
			t.Errorf("%s in 1970: %d", text, got)
		}
	}
}

// TestFloorsNeverGoBack while the clock goes on.
func TestFloorsNeverGoBack(tt *testing.T) {
	rapid.Check(tt, func(t *rapid.T) {
		k := keep(tt, rapid.SampledFrom([]string{"forever", "1y", "4y", "1mo", "11mo", "90d", "1s"}).Draw(t, "keep"))
		now := rapid.Int64Range(model.MinTime, model.MaxTime-1).Draw(t, "now")
		later := now + rapid.OneOf(rapid.Int64Range(0, 3*model.Day), rapid.Int64Range(0, 1<<60)).Draw(t, "by")
		if later < now {
			later = math.MaxInt64
		}
		if k.Floor(later) < k.Floor(now) || k.Floor(now) > now {
			t.Fatalf("%s: at %d %d, at %d %d", k, now, k.Floor(now), later, k.Floor(later))
		}
	})
}

const someRules = `[{"scope":"tenant","raw":"1y","1h":"forever"},{"scope":"instrument","match":"i","raw":"90d"},
	{"scope":"group","match":"{group=\"g\"}","raw":"2y","1d":"10y"},{"scope":"channel","match":"a","raw":"5d"},
	{"scope":"channel","match":"{channel!=\"b\",unit=\"V\"}","raw":"6d","1m":"7d"},{"scope":"plan","raw":"1y","1s":"1d"}]`

func parse(t testing.TB, text string) policy.Rules {
	t.Helper()
	var rules policy.Rules
	if err := json.Unmarshal([]byte(text), &rules); err != nil {
		t.Fatal(err)
	}
	return rules
}

func channel(t testing.TB, name, group, unit string) *model.Channel {
	t.Helper()
	l, err := model.NewLabels(model.Label{Name: "instrument", Value: "i"}, model.Label{Name: "channel", Value: name})
	if err != nil {
		t.Fatal(err)
	}
	return &model.Channel{ID: 1, Labels: l, History: model.History{{Properties: model.Properties{Group: group, Unit: unit}}}}
}

// TestNearestScopeWins for each step by itself; of one scope the last.
func TestNearestScopeWins(t *testing.T) {
	p, err := parse(t, someRules).Compile()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		channel *model.Channel
		keep    [model.StepCount]string
		from    [model.StepCount]policy.Scope
	}{
		{channel(t, "x", "", ""), [5]string{"90d", "1d", "90d", "forever", "90d"},
			[5]policy.Scope{"instrument", "plan", "instrument", "tenant", "instrument"}},
		{channel(t, "x", "g", ""), [5]string{"90d", "1d", "90d", "forever", "10y"},
			[5]policy.Scope{"instrument", "plan", "instrument", "tenant", "group"}},
		{channel(t, "a", "", ""), [5]string{"5d", "1d", "5d", "forever", "5d"},
			[5]policy.Scope{"channel", "plan", "channel", "tenant", "channel"}},
		{channel(t, "a", "", "V"), [5]string{"6d", "1d", "7d", "forever", "6d"},
			[5]policy.Scope{"channel", "plan", "channel", "tenant", "channel"}},
		{channel(t, "b", "", "V"), [5]string{"90d", "1d", "90d", "forever", "90d"},
			[5]policy.Scope{"instrument", "plan", "instrument", "tenant", "instrument"}},
	} {
		e := p.Effective(c.channel)
		for _, s := range model.Steps() {
			if e.Keep[s].String() != c.keep[s] || e.From[s] != c.from[s] {
				t.Errorf("%s %s: %s from %s, want %s from %s", c.channel.Labels, s, e.Keep[s], e.From[s], c.keep[s], c.from[s])
			}
		}
		now := at(t, "2026-11-22T00:00:00Z")
		floors := e.Floors(now)
		for _, s := range model.Steps() {
			if floors[s] > floors[model.StepRaw] || floors[s] > e.Keep[s].Floor(now) {
				t.Errorf("%s: floors %v", c.channel.Labels, floors)
			}
		}
	}
	var none *policy.Policy
	if e := none.Effective(channel(t, "x", "", "")); !none.Always() || !e.Keep[0].Always() || e.From[4] != policy.ScopePlan || e.Floors(5) != policy.NoFloors {
		t.Errorf("no policy: %+v", e)
	}
}

func TestBadRules(t *testing.T) {
	for _, text := range []string{
		`[{"scope":"planet","raw":"1y"}]`, `[{"scope":"tenant"}]`, `[{"scope":"tenant","match":"x","raw":"1y"}]`,
		`[{"scope":"group","raw":"1y"}]`, `[{"scope":"channel","match":"{a=~\"b\"}","raw":"1y"}]`,
		`[{"scope":"channel","match":"{a","raw":"1y"}]`,
	} {
		if _, err := parse(t, text).Compile(); !errors.Is(err, policy.ErrRetention) {
			t.Errorf("%s: %v", text, err)
		}
	}
	var rules policy.Rules
	if err := json.Unmarshal([]byte(`[{"scope":"tenant","raw":"1 year"}]`), &rules); !errors.Is(err, policy.ErrRetention) {
		t.Errorf("a year in words: %v", err)
	}
	year := keep(t, "1y")
	many := make(policy.Rules, policy.RetentionRules.Default+1)
	for i := range many {
		many[i] = policy.Rule{Scope: policy.ScopeTenant, Keep: [model.StepCount]*policy.Keep{&year}}
	}
	if _, err := many.Compile(); !errors.Is(err, policy.ErrRetention) {
		t.Errorf("too many: %v", err)
	}
}

// TestRulesAsBytesAndText come back as they were.
func TestRulesAsBytesAndText(t *testing.T) {
	rules := parse(t, someRules)
	b := rules.AppendTo(nil)
	got, err := policy.DecodeRules(b)
	if err != nil || !got.Equal(rules) {
		t.Fatalf("%v, %v", got, err)
	}
	text, err := json.Marshal(got)
	if err != nil || !parse(t, string(text)).Equal(rules) {
		t.Fatalf("%s, %v", text, err)
	}
	for n := range b {
		if _, err := policy.DecodeRules(b[:n]); !errors.Is(err, policy.ErrRetention) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	for i := range rules {
		changed := append(policy.Rules(nil), rules...)
		changed[i].Match += "x"
		if changed.Equal(rules) {
			t.Errorf("a change of rule %d is not seen", i)
		}
	}
}

func FuzzDecodeRules(f *testing.F) {
	f.Add(parse(f, someRules).AppendTo(nil))
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		rules, err := policy.DecodeRules(b)
		if err != nil {
			return
		}
		if again := rules.AppendTo(nil); string(again) != string(b) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}
