package web

import (
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// usedKeys finds the keys that templates and modules use: whole ones that must
// exist, and beginnings of keys that are put together, as in t("state." + s).
func usedKeys(t *testing.T) (whole map[string]string, beginnings, literals map[string]bool) {
	t.Helper()
	whole, beginnings, literals = map[string]string{}, map[string]bool{}, map[string]bool{}
	inTemplate := regexp.MustCompile(`\.T "([^"]+)"`)
	call := regexp.MustCompile(`\bt\((?:[^()"]*\?\s*)?"([^"]+)"(\s*\+)?(?:\s*:\s*"([^"]+)")?`)
	literal := regexp.MustCompile("[\"'`]([a-z_]+(?:\\.[A-Za-z_-]+)*)[\"'`]")
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		text := string(raw)
		switch {
		case path.Ext(name) == ".html":
			for _, m := range inTemplate.FindAllStringSubmatch(text, -1) {
				whole[m[1]] = name
			}
		case strings.HasPrefix(name, "static/") && path.Ext(name) == ".js":
			for _, m := range call.FindAllStringSubmatch(text, -1) {
				if m[2] != "" {
					beginnings[m[1]] = true
				} else {
					whole[m[1]] = name
				}
				if m[3] != "" {
					whole[m[3]] = name
				}
			}
			for _, m := range literal.FindAllStringSubmatch(text, -1) {
				literals[m[1]] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return whole, beginnings, literals
}

func TestEveryTextIsThereInEveryLanguage(t *testing.T) {
	c, err := readCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	whole, beginnings, literals := usedKeys(t)
	used := func(key string) bool {
		if whole[key] != "" || literals[key] {
			return true
		}
		return slices.ContainsFunc(slices.Collect(maps.Keys(beginnings)), func(b string) bool { return strings.HasPrefix(key, b) })
	}
	for _, code := range languages {
		for key, name := range whole {
			if c[code][key] == "" {
				t.Errorf("%s uses %q, which %s does not have", name, key, code)
			}
			if strings.HasPrefix(key, "html.") && path.Ext(name) == ".js" {
				t.Errorf("%s uses %q, which is sent to templates only", name, key)
			}
		}
		for begin := range beginnings {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(c[code])), func(k string) bool { return strings.HasPrefix(k, begin) }) {
				t.Errorf("a module uses keys that begin with %q, which %s does not have", begin, code)
			}
		}
		for key, text := range c[code] {
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s: %s is empty", code, key)
			}
			if !used(key) {
				t.Errorf("%s: nothing uses %s", code, key)
			}
		}
	}
}

func TestTextsTakeTheSameValuesInEveryLanguage(t *testing.T) {
	c, err := readCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	holes := regexp.MustCompile(`\{\w+\}`)
	sorted := func(text string) []string { return slices.Sorted(slices.Values(holes.FindAllString(text, -1))) }
	for key, text := range c["en"] {
		for _, code := range languages {
			if other, ok := c[code][key]; !ok || !slices.Equal(sorted(text), sorted(other)) {
				t.Errorf("%s: %q in %s, %q in en", key, other, code, text)
			}
		}
	}
	for _, code := range languages {
		if len(c[code]) != len(c["en"]) {
			t.Errorf("%s has %d texts, en %d", code, len(c[code]), len(c["en"]))
		}
	}
}
