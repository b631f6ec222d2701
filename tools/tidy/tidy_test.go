package tidy

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the repository's root, seen from this package.
const root = "../.."

// modules are modules of their own: only their words and lengths are judged.
var modules = []string{"bench", "peers"}

// TestTree holds every file of the repository to the rules.
func TestTree(t *testing.T) {
	var sources []*source
	report := func(found []finding) {
		for _, f := range found {
			if f.mild {
				t.Log(f)
			} else {
				t.Error(f)
			}
		}
	}
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		if entry.IsDir() {
			return skipFolder(relative)
		}
		if !entry.Type().IsRegular() || !isText(relative) {
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		report(machinePaths(relative, string(content)))
		if path.Ext(relative) != ".go" {
			return nil
		}
		s, err := parse(relative, string(content))
		if err != nil {
			t.Error(err)
			return nil
		}
		if slices.ContainsFunc(modules, func(m string) bool { return within(s.folder, m) }) {
			report(lengths(s))
			report(leftovers(s))
			return nil
		}
		sources = append(sources, s)
		for _, rule := range fileRules {
			report(rule(s))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) == 0 {
		t.Fatal("found no Go files")
	}
	report(packageComments(sources))
}

// skipFolder leaves out what git and the go command leave out.
func skipFolder(relative string) error {
	base := path.Base(relative)
	hidden := strings.HasPrefix(base, ".") && base != "." && base != ".ci" || strings.HasPrefix(base, "_")
	if hidden || base == "testdata" || base == "hokan-data" || base == "node_modules" {
		return filepath.SkipDir
	}
	return nil
}

// isText tells the files that people write.
func isText(relative string) bool {
	switch path.Ext(relative) {
	case ".go", ".md", ".sh", ".mod", ".yml", ".yaml", ".toml", ".json", ".js", ".css", ".html", ".txt":
		return true
	}
	return path.Dir(relative) == ".ci"
}
