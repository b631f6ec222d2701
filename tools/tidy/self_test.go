package tidy

import (
	"fmt"
	"strings"
	"testing"
)

// TestRules breaks each rule in a small source, and keeps it in another.
func TestRules(t *testing.T) {
	f := func(rule func(*source) []finding, name, text string, want ...string) {
		t.Helper()
		s, err := parse(name, text)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, found := range rule(s) {
			if !found.mild {
				got = append(got, found.String())
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%s: got %q, want %q", name, got, want)
		}
		for i := range want {
			if !strings.Contains(got[i], want[i]) {
				t.Errorf("%s: got %q, want it to hold %q", name, got[i], want[i])
			}
		}
	}
	importing := func(paths ...string) string {
		text := "package p\n"
		for _, p := range paths {
			text += fmt.Sprintf("import _ %q\n", p)
		}
		return text
	}

	// Layers.
	f(imports, "engine/wal/a.go", importing(module+"/engine/entry", module+"/engine/disk", "fmt"))
	f(imports, "engine/wal/a.go", importing(module+"/engine/block"), "a.go:2: engine/wal may import only packages below it")
	f(imports, "engine/model/a.go", importing(module+"/engine"), "only packages below")
	f(imports, "engine/new/a.go", importing(module+"/engine/model"), "not in the list of storage packages")
	f(imports, "engine/catalog/a.go", importing(module+"/engine/alarm", module+"/engine/index", module+"/engine/block"))
	f(imports, "engine/a.go", importing(module+"/engine/merge", module+"/query"), "may not import query")
	f(imports, "query/a.go", importing(module+"/engine", module+"/engine/model", module+"/engine/policy"))
	f(imports, "query/sub/a.go", importing(module+"/query", module+"/engine/alarm"), "query may not import engine/alarm")
	f(imports, "ingest/a.go", importing(module+"/query"), "ingest may not import query")
	f(imports, "server/a.go", importing(module+"/query", module+"/ingest/lines", module+"/engine"))
	f(imports, "server/a.go", importing(module+"/engine/catalog"), "server may not import engine/catalog")
	f(imports, "tools/hokan/main.go", importing(module+"/server/api", module+"/engine"))
	f(imports, "tools/other/main.go", importing(module+"/server"), "no import rule")
	// Packages for tests.
	f(imports, "engine/disk/disktest/a.go", importing(module+"/engine/disk", "testing"))
	f(imports, "engine/disk/disktest/a.go", importing(module+"/engine/wal"), "only packages below it")
	f(imports, "engine/wal/a.go", importing(module+"/engine/disk/disktest"), "only tests may import")
	f(imports, "engine/wal/a_test.go", importing(module+"/engine/disk/disktest"))
	// Dependencies.
	f(imports, "engine/catalog/a.go", importing("github.com/cockroachdb/pebble/v2", "github.com/vmihailenco/msgpack/v5"))
	f(imports, "engine/wal/a.go", importing("github.com/cockroachdb/pebble/v2/vfs"))
	f(imports, "engine/wal/a.go", importing("github.com/cockroachdb/pebble/v2"), "is for catalog only")
	f(imports, "engine/wal/a.go", importing("example.com/x"), "not in the list of dependencies")
	f(imports, "engine/wal/a.go", importing("pgregory.net/rapid"), "property tests only")
	f(imports, "engine/wal/a_test.go", importing("pgregory.net/rapid"))

	// Clock and files.
	f(clock, "engine/wal/a.go", "package p\nimport \"time\"\nvar a = time.Now()\nvar b = time.Second", "a.go:3: the engine must not ask time.Now")
	f(clock, "engine/wal/a.go", "package p\nimport clock \"time\"\nvar a = clock.Since", "time.Since")
	f(clock, "engine/wal/a_test.go", "package p\nimport \"time\"\nvar a = time.Now()")
	f(clock, "server/a.go", "package p\nimport \"time\"\nvar a = time.Now()")
	f(clock, "engine/wal/a.go", importing("os"), "only engine/disk may import")
	f(clock, "engine/disk/a.go", importing("os"))

	// Panics.
	f(panics, "engine/wal/a.go", "package p\nfunc f() { panic(1) }", "must return errors")
	f(panics, "engine/wal/a.go", "package p\nvar f = func() { panic(1) }", "must return errors")
	f(panics, "engine/model/a.go", "package p\nfunc invariant() { panic(1) }")
	f(panics, "engine/wal/a_test.go", "package p\nfunc f() { panic(1) }")

	// Lengths.
	function := func(lines int) string {
		return "package p\nfunc f() {\n" + strings.Repeat("\n", lines-2) + "}\n"
	}
	f(lengths, "a.go", function(120))
	f(lengths, "a.go", function(121), "function f has 121 lines")
	f(lengths, "a.go", "package p\n"+strings.Repeat("\n", 999))
	f(lengths, "a.go", "package p\n"+strings.Repeat("\n", 1000), "file has 1001 lines")

	// Comments.
	f(comments, "a.go", "package p\n// A is.\nfunc A() {}\nfunc b() {}\ntype c int\nfunc (c) D() {}")
	f(comments, "a.go", "package p\nfunc A() {}\ntype B int\nfunc (*B) C() {}", "exported A", "exported B", "exported C")
	f(comments, "a.go", "package p\ntype (\n// A is.\nA[T any] int\n)\nfunc (*A[T]) B() {}", "exported B")
	f(comments, "a.go", "package p\n// All.\nconst (\nA = 1\nB = 2\n)\nvar (\nC = 1 // why\nD = 2\n)", "exported D")
	f(comments, "a_test.go", "package p\nfunc A() {}")
	f(comments, "disktest/a_test.go", "package p\nfunc A() {}")
	f(comments, "disktest/a.go", "package p\nfunc A() {}", "exported A")

	// Words.
	note := "TO" + "DO"
	f(leftovers, "a.go", "package p\n// "+note+": later", "a.go:2: holds a note")
	f(leftovers, "a.go", "package p\n// "+note+"S are words")
}

// TestReported checks that what is nearly too long is reported without failing.
func TestReported(t *testing.T) {
	s, err := parse("a.go", "package p\nfunc f() {\n"+strings.Repeat("\n", 69)+"}\n")
	if err != nil {
		t.Fatal(err)
	}
	if found := lengths(s); len(found) != 1 || !found[0].mild {
		t.Errorf("71 lines: got %v, want one mild finding", found)
	}
}

// TestMachinePaths checks what counts as a path of one machine.
func TestMachinePaths(t *testing.T) {
	for text, want := range map[string]int{
		"see /wo" + "rk/main/x":           1,
		"\"/ro" + "ot/go\"":               1,
		"https://example.com/ro" + "ot/x": 0,
		"net" + "work/frames":             0,
		"the /v1/query endpoint":          0,
	} {
		if got := len(machinePaths("a.md", text)); got != want {
			t.Errorf("%q: %d findings, want %d", text, got, want)
		}
	}
}

// TestPackageComments checks that a package without a comment is found.
func TestPackageComments(t *testing.T) {
	var sources []*source
	for name, text := range map[string]string{
		"engine/a/a.go": "package a", "engine/a/doc.go": "// Package a is.\npackage a", "engine/b/b.go": "package b",
	} {
		s, err := parse(name, text)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, s)
	}
	found := packageComments(sources)
	if len(found) != 1 || !strings.Contains(found[0].text, "engine/b") {
		t.Errorf("got %v, want engine/b alone", found)
	}
}
