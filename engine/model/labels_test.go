package model_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/model"
)

func anyLabels() *rapid.Generator[[]model.Label] {
	return rapid.Custom(func(t *rapid.T) []model.Label {
		value := rapid.StringN(1, 20, model.MaxLabelValueBytes).Filter(func(s string) bool { return !strings.Contains(s, "\x00") })
		list := []model.Label{{Name: "instrument", Value: value.Draw(t, "instrument")}, {Name: "channel", Value: value.Draw(t, "channel")}}
		more := rapid.MapOfN(rapid.StringMatching(`[a-zA-Z_][a-zA-Z0-9_]{0,20}`), value, 0, 8).Draw(t, "more")
		for name, v := range more {
			if name != "instrument" && name != "channel" {
				list = append(list, model.Label{Name: name, Value: v})
			}
		}
		return rapid.Permutation(list).Draw(t, "order")
	})
}

func TestLabelsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := anyLabels().Draw(t, "labels")
		l, err := model.NewLabels(list...)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for _, one := range list {
			want[one.Name] = one.Value
			if got := l.Get(one.Name); got != one.Value {
				t.Fatalf("Get(%q) is %q, want %q", one.Name, got, one.Value)
			}
		}
		got, before := map[string]string{}, ""
		for name, value := range l.All() {
			if name <= before {
				t.Fatalf("%q after %q", name, before)
			}
			got[name], before = value, name
		}
		if !maps.Equal(got, want) || l.Instrument() != want["instrument"] || l.Channel() != want["channel"] {
			t.Fatalf("got %v, want %v", got, want)
		}
		decoded, err := model.DecodeLabels([]byte(l.Encoded()))
		if err != nil || decoded != l {
			t.Fatalf("decoded %s, %v, want %s", decoded, err, l)
		}
		s, err := model.ParseSelector(l.String())
		if err != nil || len(s) != len(want) || !s.Matches(&model.Channel{Labels: l}) {
			t.Fatalf("%s as a selector: %v, %v", l, s, err)
		}
		var fromJSON map[string]string
		b, err := json.Marshal(l)
		if err == nil {
			err = json.Unmarshal(b, &fromJSON)
		}
		if err != nil || !maps.Equal(fromJSON, want) {
			t.Fatalf("JSON %s: %v", b, err)
		}
	})
}

func TestLabelsAreOneIdentityInAnyOrder(t *testing.T) {
	a, errA := model.NewLabels(model.Label{Name: "instrument", Value: "i"}, model.Label{Name: "channel", Value: "c"})
	b, errB := model.NewLabels(model.Label{Name: "channel", Value: "c"}, model.Label{Name: "instrument", Value: "i"})
	if errA != nil || errB != nil || a != b || a.IsZero() {
		t.Errorf("%s, %s", a, b)
	}
	if !(model.Labels{}).IsZero() || (model.Labels{}).Get("instrument") != "" || (model.Labels{}).String() != "{}" {
		t.Error("the zero value has labels")
	}
}

func TestLabelsThatAreRefused(t *testing.T) {
	instrument, channel := model.Label{Name: "instrument", Value: "i"}, model.Label{Name: "channel", Value: "c"}
	with := func(name, value string) []model.Label {
		return []model.Label{instrument, channel, {Name: name, Value: value}}
	}
	many := []model.Label{instrument, channel}
	for i := range model.MaxLabels - 1 {
		many = append(many, model.Label{Name: fmt.Sprintf("l%d", i), Value: "v"})
	}
	for name, list := range map[string][]model.Label{
		"none": nil, "no channel": {instrument}, "no instrument": {channel}, "too many": many,
		"twice": with("channel", "d"), "no name": with("", "v"), "digit first": with("1a", "v"), "dash": with("a-b", "v"),
		"not ASCII": with("ä", "v"), "long name": with(strings.Repeat("n", model.MaxLabelNameBytes+1), "v"),
		"no value": with("a", ""), "long value": with("a", strings.Repeat("v", model.MaxLabelValueBytes+1)),
		"not UTF-8": with("a", "\xff"), "NUL": with("a", "x\x00"),
	} {
		if l, err := model.NewLabels(list...); !errors.Is(err, model.ErrBadLabel) || !l.IsZero() {
			t.Errorf("%s: %s, %v", name, l, err)
		}
	}
	full := many[:model.MaxLabels]
	full[2] = model.Label{Name: strings.Repeat("n", model.MaxLabelNameBytes), Value: strings.Repeat("v", model.MaxLabelValueBytes)}
	if _, err := model.NewLabels(full...); err != nil {
		t.Errorf("at every limit: %v", err)
	}
}

func TestBytesThatAreNoLabels(t *testing.T) {
	const good = "\x07channel\x01c\x0ainstrument\x01i"
	if _, err := model.DecodeLabels([]byte(good)); err != nil {
		t.Fatal(err)
	}
	many := good
	for i := range model.MaxLabels - 1 {
		many += fmt.Sprintf("\x03l%02d\x01v", i)
	}
	for name, b := range map[string]string{
		"nothing": "", "half": good[:9], "cut short": good[:len(good)-1], "name alone": good + "\x01z",
		"not sorted": "\x0ainstrument\x01i\x07channel\x01c", "twice": "\x07channel\x01c" + good,
		"long length": "\x87\x00channel\x01c\x0ainstrument\x01i", "endless length": "\x87\x80\x80\x80\x80\x00" + good,
		"huge length": "\xff\xff\xff\x7f" + good, "too many": many, "bad name": good + "\x01-\x01v", "no value": good + "\x01z\x00",
	} {
		if l, err := model.DecodeLabels([]byte(b)); !errors.Is(err, model.ErrBadLabel) || !l.IsZero() {
			t.Errorf("%s: %s, %v", name, l, err)
		}
	}
}

func FuzzDecodeLabels(f *testing.F) {
	for _, s := range []string{"", "\x07channel\x01c\x0ainstrument\x01i", "\x0ainstrument\x01i\x07channel\x01c",
		"\x87\x00channel\x01c\x0ainstrument\x01i", "\x07channel\x01c\x0ainstrument\x01i\x01z", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"\x01a\x01b\x07channel\x01c\x0ainstrument\x01i\x01z\x01z"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := model.DecodeLabels(b)
		if err != nil {
			if !errors.Is(err, model.ErrBadLabel) || !l.IsZero() {
				t.Fatalf("%s, %v", l, err)
			}
			return
		}
		if l.Encoded() != string(b) {
			t.Fatalf("%q became %q", b, l.Encoded())
		}
		var list []model.Label
		for name, value := range l.All() {
			list = append(list, model.Label{Name: name, Value: value})
		}
		if again, err := model.NewLabels(list...); err != nil || again != l {
			t.Fatalf("built again: %s, %v", again, err)
		}
	})
}

func TestTenant(t *testing.T) {
	for _, name := range []model.Tenant{"a", "0", "_", "-", "A.b", model.Tenant(strings.Repeat("x", model.MaxTenantBytes))} {
		if err := name.Validate(); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []model.Tenant{"", ".", "..", ".a", "a/b", `a\b`, "a b", "ä", "a\x00", "a:b",
		model.Tenant(strings.Repeat("x", model.MaxTenantBytes+1))} {
		if err := name.Validate(); !errors.Is(err, model.ErrBadTenant) {
			t.Errorf("%q: %v", name, err)
		}
	}
	// The partition is part of the format: these never change.
	for name, want := range map[model.Tenant]model.Partition{"": 37, "a": 12, "default": 62} {
		if got := name.Partition(); got != want {
			t.Errorf("%q is in partition %d, want %d", name, got, want)
		}
	}
	seen := map[model.Partition]bool{}
	for i := range 1000 {
		seen[model.Tenant(fmt.Sprintf("tenant-%d", i)).Partition()] = true
	}
	if len(seen) != model.Partitions {
		t.Errorf("1,000 tenants are in %d partitions", len(seen))
	}
}
