package main

import (
	"bytes"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestLoggerFilesComeBackExactly imports the real logger files below
// HOKAN_DATA and exports them: every cell must be the same decimal and every
// time the same instant.
func TestLoggerFilesComeBackExactly(t *testing.T) {
	root := os.Getenv("HOKAN_DATA")
	if root == "" {
		t.Skip("HOKAN_DATA is not set: no logger files")
	}
	f := func(folder, zone string, files, samples int) {
		t.Helper()
		names, err := filepath.Glob(filepath.Join(root, folder, "WAVE*.CSV"))
		if err != nil || len(names) != files {
			t.Fatalf("%d files in %s (%v), want %d", len(names), folder, err, files)
		}
		got := 0
		for _, name := range names {
			got += roundTrip(t, name, zone)
		}
		if got != samples {
			t.Errorf("%s holds %d samples, want %d", folder, got, samples)
		}
	}
	f("hioki_lr8400_en", "America/Port_of_Spain", 2, 2*166400)
	f("hioki_lr8431_ja_shared", "Asia/Tokyo", 10, 104676)
}

var triggerLine = regexp.MustCompile(`"'?(\d\d-\d\d-\d\d \d\d:\d\d:\d\d)"`)

// roundTrip imports and exports one file and returns how many cells it
// compared.
func roundTrip(t *testing.T, name, zoneName string) int {
	t.Helper()
	source, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation(zoneName)
	if err != nil {
		t.Fatal(err)
	}
	start := "22-06-06 18:43:33" // of the file that has no header
	flags := []string{"--data", filepath.Join(t.TempDir(), "d"), "--tenant", "t"}
	args := with(flags, "import", "--instrument", "i", "--zone", zoneName)
	if m := triggerLine.FindSubmatch(source); m != nil {
		start = string(m[1])
	} else {
		args = append(args, "--start", "20"+start)
	}
	trigger, err := time.ParseInLocation("06-01-02 15:04:05", start, zone)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, 0, append(args, name)...)
	out := filepath.Join(t.TempDir(), "x.zip")
	expect(t, 0, with(flags, "export", "--zone", zoneName, "--out", out)...)
	archive, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	exported := strings.Split(strings.TrimSuffix(unzip(t, archive), "\r\n"), "\r\n")[1:]

	at := bytes.Index(source, []byte(`"Time`))
	lines := strings.Split(strings.ReplaceAll(strings.TrimRight(string(source[at:]), "\r\n"), "\r\n", "\n"), "\n")[1:]
	if len(lines) != len(exported) {
		t.Fatalf("%s: %d rows came back, want %d", name, len(exported), len(lines))
	}
	compared := 0
	for i, line := range lines {
		want := strings.Split(strings.TrimSuffix(line, ","), ",")
		got := strings.Split(exported[i], ",")
		if len(want) != len(got) {
			t.Fatalf("%s: row %d is %s, want %s", name, i, exported[i], line)
		}
		if err := sameInstant(got[0], trigger, want[0]); err != nil {
			t.Fatalf("%s: row %d: %v", name, i, err)
		}
		for c := 1; c < len(want); c++ {
			if decimal(t, got[c]).Cmp(decimal(t, want[c])) != 0 {
				t.Fatalf("%s: row %d column %d is %s, want %s", name, i, c, got[c], want[c])
			}
			compared++
		}
	}
	return compared
}

func decimal(t *testing.T, cell string) *big.Rat {
	r, ok := new(big.Rat).SetString(strings.TrimSpace(cell))
	if !ok {
		t.Fatalf("%q is no decimal", cell)
	}
	return r
}

// sameInstant compares a cell with the trigger time plus an offset in seconds.
func sameInstant(cell string, trigger time.Time, offset string) error {
	seconds, ok := new(big.Rat).SetString(strings.TrimSpace(offset))
	got, err := time.Parse(time.RFC3339Nano, cell)
	if !ok || err != nil {
		return fmt.Errorf("time %q, offset %q: %w", cell, offset, err)
	}
	nanoseconds := seconds.Mul(seconds, big.NewRat(1e9, 1))
	want := trigger.Add(time.Duration(nanoseconds.Num().Int64()))
	if !nanoseconds.IsInt() || !got.Equal(want) {
		return fmt.Errorf("time %s, want %v", cell, want)
	}
	return nil
}
