package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// snapshot returns every file and folder below dir with its bytes and when it
// was changed, except when the lock was: taking it opens it.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	held := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		var content []byte
		if !entry.IsDir() {
			if content, err = os.ReadFile(name); err != nil {
				return err
			}
		}
		if entry.Name() == "LOCK" {
			held[name] = fmt.Sprintf("%v %x", info.Mode(), content)
			return nil
		}
		held[name] = fmt.Sprintf("%v %v %x", info.Mode(), info.ModTime(), content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return held
}

// Commands that read leave every byte and every time as they were, whether the
// rows are in the log or in blocks.
func TestReadingChangesNothing(t *testing.T) {
	flags, data := lake(t)
	expect(t, 0, with(flags, "alarm", "create", "--operator", ">", "--threshold", "1", `{channel="2-1"}`)...)
	read := func() {
		t.Helper()
		before := snapshot(t, data)
		for _, args := range [][]string{{"channels"}, {"latest"}, {"view"}, {"table"}, {"events"}, {"alarm", "list"}, {"usage"}, {"retention", "get"},
			{"tenant", "show"},
			{"export", "--out", filepath.Join(t.TempDir(), "x.zip")}} {
			expect(t, 0, with(flags, args...)...)
			after := snapshot(t, data)
			for name, held := range before {
				if after[name] != held {
					t.Errorf("hokan %q changes %s", args, name)
				}
				delete(after, name)
			}
			for name := range after {
				t.Errorf("hokan %q makes %s", args, name)
			}
			if t.Failed() {
				t.FailNow()
			}
		}
		expect(t, 0, "verify", "--data", data)
	}
	read()
	expect(t, 0, "compact", "--data", data)
	name := loggerFile(t, "1,2,0")
	expect(t, 0, with(flags, "import", "--instrument", "lake", "--start", "2023-01-01 00:00:00+00:00", name)...)
	read()
}

// TestReadmeShowsWhatIsPrinted runs the README's first commands, whose output
// it shows.
func TestReadmeShowsWhatIsPrinted(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	flags := []string{"--data", filepath.Join(t.TempDir(), "d"), "--tenant", "t"}
	expect(t, 0, with(flags, "import", "--instrument", "lake", "--zone", "America/Port_of_Spain",
		filepath.Join("..", "..", "testdata", "hioki", "lr8400-en.csv"))...)
	for shown, args := range map[string][]string{
		"channels":                           {"channels"},
		`view --buckets 3 '{channel="1-1"}'`: {"view", "--buckets", "3", `{channel="1-1"}`},
	} {
		want := "$ ./hokan " + shown + "\n" + expect(t, 0, with(flags, args...)...).stdout
		if !strings.Contains(string(readme), want) {
			t.Errorf("README does not show\n%s", want)
		}
	}
}
