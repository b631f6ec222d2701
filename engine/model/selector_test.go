package model_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hokan-db/hokan/engine/model"
)

func TestSelectorsThatAreRead(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                                  `{}`,
		" { } ":                               `{}`,
		`{a="b"}`:                             `{a="b"}`,
		`{a="b",}`:                            `{a="b"}`,
		"{\ta\n!=\r\"b\" , c =~ `d.\\d` ,\n}": `{a!="b",c=~"d.\\d"}`,
		`{a!~"x|y",_9="日本\t\u00e9"}`:          `{a!~"x|y",_9="日本\té"}`,
		`{a="",a=""}`:                         `{a="",a=""}`,
	} {
		s, err := model.ParseSelector(text)
		if err != nil || s.String() != want {
			t.Errorf("%s: %s, %v", text, s, err)
		}
		if again, err := model.ParseSelector(s.String()); err != nil || again.String() != want {
			t.Errorf("%s read again: %s, %v", s, again, err)
		}
	}
}

// TestSelectorErrors: every way to be wrong names the byte where reading
// stopped.
func TestSelectorErrors(t *testing.T) {
	for text, want := range map[string]string{
		``:                    "byte 0: want {",
		`  `:                  "byte 2: want {",
		`a="b"`:               "byte 0: want {",
		`{`:                   "byte 1: want a label or property name",
		`{,}`:                 "byte 1: want a label or property name",
		`{ 1="b"}`:            "byte 2: want a label or property name",
		`{"a"="b"}`:           "byte 1: want a label or property name",
		`{a="b",,}`:           "byte 7: want a label or property name",
		`{a="b", `:            "byte 8: want a label or property name",
		`{a`:                  "byte 2: want one of = != =~ !~",
		`{a}`:                 "byte 2: want one of = != =~ !~",
		`{a-b="c"}`:           "byte 2: want one of = != =~ !~",
		`{a ! ="b"}`:          "byte 3: want one of = != =~ !~",
		`{a=`:                 "byte 3: want a quoted value",
		`{a==“b”}`:            "byte 3: want a quoted value",
		`{a=b}`:               "byte 3: want a quoted value",
		`{a='b'}`:             "byte 3: want a quoted value",
		`{a="b}`:              "byte 3: want a quoted value",
		`{a="\q"}`:            "byte 3: want a quoted value",
		"{a=\"b\n\"}":         "byte 3: want a quoted value",
		"{a=`b}":              "byte 3: want a quoted value",
		`{a="b"`:              "byte 6: want , or }",
		`{a="b" c="d"}`:       "byte 7: want , or }",
		`{a="b"} x`:           "byte 8: want nothing after }",
		`{}{}`:                "byte 2: want nothing after }",
		`{a=~"("}`:            "byte 4: a=~",
		`{ab = "c",a!~"x**"}`: "byte 13: a!~",
		`{a=~"b)|(c"}`:        "byte 4: a=~",
		strings.Repeat(" ", model.MaxSelectorBytes+1): "8193 bytes, at most 8192",
	} {
		s, err := model.ParseSelector(text)
		if !errors.Is(err, model.ErrBadSelector) || !strings.Contains(err.Error(), want) || s != nil {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if _, err := model.ParseSelector("{}" + strings.Repeat(" ", model.MaxSelectorBytes-2)); err != nil {
		t.Errorf("at the limit: %v", err)
	}
}

func TestMatching(t *testing.T) {
	l, err := model.NewLabels(model.Label{Name: "instrument", Value: "i"}, model.Label{Name: "channel", Value: "CH1\n2"},
		model.Label{Name: "unit", Value: "label"})
	if err != nil {
		t.Fatal(err)
	}
	c := &model.Channel{Labels: l, History: model.History{{ValidFrom: 1, Properties: model.Properties{Unit: "V", Group: "old"}},
		{ValidFrom: 2, Properties: model.Properties{Unit: "V", Group: "g", Name: "n", Scaling: "s", App: "a", Decimals: 12, HasDecimals: true}}}}
	for text, want := range map[string]bool{
		`{}`: true, `{instrument="i"}`: true, `{instrument="I"}`: false, `{instrument!="i"}`: false, `{instrument!="x"}`: true,
		`{channel=~"CH"}`: false, `{channel=~"CH.*"}`: true, `{channel=~"CH.*|x"}`: true, `{channel=~"x|CH1"}`: false,
		`{channel!~"CH1"}`: true, `{channel!~".*2"}`: false, "{channel=~`CH1$.*`}": false,
		`{none=""}`: true, `{none!=""}`: false, `{none=~".*"}`: true, `{none=~".+"}`: false, `{none!~"x"}`: true,
		`{group="g"}`: true, `{group="old"}`: false, `{unit="label"}`: true, `{unit="V"}`: false, // labels come first
		`{name="n",scaling="s",app="a",decimals="12"}`: true, `{instrument="i",group="x"}`: false,
	} {
		s, err := model.ParseSelector(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := s.Matches(c); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestPropertiesByName(t *testing.T) {
	p := model.Properties{Name: "n", Unit: "u", Scaling: "s", Group: "g", App: "a", Decimals: 200, HasDecimals: true}
	for name, want := range map[string]string{"name": "n", "unit": "u", "scaling": "s", "group": "g", "app": "a",
		"decimals": "200", "other": "", "": ""} {
		if got := p.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
		if got := model.IsProperty(name); got != (want != "") {
			t.Errorf("IsProperty(%q) is %v", name, got)
		}
	}
	for d := range 256 {
		p.Decimals = uint8(d)
		if got := p.Get("decimals"); got != fmt.Sprint(d) {
			t.Errorf("%d is written %q", d, got)
		}
	}
	p.HasDecimals = false
	if p.Get("decimals") != "" {
		t.Error("decimals that are not set are written")
	}
}

func FuzzParseSelector(f *testing.F) {
	for _, text := range []string{`{}`, `{a="b"}`, `{a=~"b.*",c!~"[d]", e!="\xff" ,}`, "{a=`x`}", `{a='x'}`, `{a=~"(?i)x"}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := model.ParseSelector(text)
		if err != nil {
			if !errors.Is(err, model.ErrBadSelector) || s != nil {
				t.Fatalf("%v, %v", s, err)
			}
			return
		}
		s.Matches(&model.Channel{})
		written := s.String()
		if len(written) > model.MaxSelectorBytes { // quoting may make it longer
			return
		}
		again, err := model.ParseSelector(written)
		if err != nil || len(again) != len(s) {
			t.Fatalf("%q became %q: %v", text, written, err)
		}
		for i := range s {
			if again[i].Name != s[i].Name || again[i].Op != s[i].Op || again[i].Value != s[i].Value {
				t.Fatalf("%q became %q", text, written)
			}
		}
	})
}

// TestPatternsThatGrowAreRefused gives patterns whose counted repeats multiply,
// and long ones that do not.
func TestPatternsThatGrowAreRefused(t *testing.T) {
	for _, pattern := range []string{"(?:.?){999}(?:.?){999}(?:.?){999}(?:.?){999}(?:.?){999}", "(?:(?:a{30}){30}){30}", "[a-z]{1000}.{1000}x{1000}y{1000}z{1000}v{1000}"} {
		if _, err := model.NewMatcher("channel", model.MatchRegexp, pattern); !errors.Is(err, model.ErrBadSelector) {
			t.Errorf("%s: %v, want ErrBadSelector", pattern, err)
		}
	}
	for _, pattern := range []string{strings.Repeat("CH-10|", 1300) + "x", "[0-9]{1,20}-.{3}", ""} {
		if _, err := model.NewMatcher("channel", model.MatchRegexp, pattern); err != nil {
			t.Errorf("%.20s: %v", pattern, err)
		}
	}
}
