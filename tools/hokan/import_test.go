package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// imported is the body of an import.
type imported struct {
	Unit  string
	Files []struct {
		File, Dialect, Instrument string
		Channels                  int
		Rows, Accepted, Rejected  int64
		From, To                  *int64
		Reasons                   map[string]int64
		Map                       string
		Warnings                  []string
		Errors                    []struct {
			Line, Column int
			Code, Detail string
		}
	}
	Accepted, Rejected int64
}

func newData(t *testing.T) (flags []string, data string) {
	data = filepath.Join(t.TempDir(), "d")
	return []string{"--data", data, "--tenant", "t", "--instrument", "lake", "--zone", "UTC", "-o", "json"}, data
}

func importBody(t *testing.T, r result) (b imported) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.stdout), &b); err != nil {
		t.Fatalf("%v in %q", err, r.stdout)
	}
	return b
}

func TestImportBody(t *testing.T) {
	flags, _ := newData(t)
	name := loggerFile(t, "1,2,0", "3,4,0")
	b := importBody(t, expect(t, 0, with(flags, "import", "--group", "g", name)...))
	f := b.Files[0]
	if f.File != name || f.Dialect != "hioki-lr8400" || f.Instrument != "lake" || f.Channels != 3 || f.Rows != 2 ||
		f.Accepted != 6 || f.Rejected != 0 || *f.From != 1654541013000 || *f.To != 1654541023000 || len(f.Errors) != 0 ||
		f.Reasons["not_a_number"] != 0 || b.Accepted != 6 || b.Unit != "ms" {
		t.Errorf("body: %+v", b)
	}
	r := expect(t, 0, append([]string{"channels", `{group="g"}`, "-o", "csv"}, flags[:4]...)...)
	if strings.Count(r.stdout, "\n") != 4 {
		t.Errorf("channels of the group:\n%s", r.stdout)
	}
}

func TestImportOfPartIsExit3(t *testing.T) {
	flags, _ := newData(t)
	name := loggerFile(t, "1,2,0", "junk,4,0")
	r := expectCode(t, 3, "not_a_number", with(flags, "import", name)...)
	b := importBody(t, r)
	if b.Accepted != 5 || b.Rejected != 1 || b.Files[0].Reasons["not_a_number"] != 1 || b.Files[0].Errors[0].Column != 2 {
		t.Errorf("body: %+v", b)
	}
	if !strings.Contains(r.stderr, "line 13") {
		t.Errorf("the line is not named: %s", r.stderr)
	}
}

func TestImportGoesOnAfterABadFile(t *testing.T) {
	flags, _ := newData(t)
	bad, good := file(t, "GIF89a\x00\x00"), loggerFile(t, "1,2,0")
	r := expect(t, 3, with(flags, "import", bad, good, filepath.Join(t.TempDir(), "none.csv"))...)
	b := importBody(t, r)
	if len(b.Files) != 3 || b.Accepted != 3 || len(b.Files[0].Errors) != 1 || b.Files[2].Errors[0].Code != "not_found" {
		t.Errorf("body: %+v", b)
	}
	if !strings.Contains(r.stderr, bad) || !strings.Contains(r.stderr, "none.csv") {
		t.Errorf("stderr does not name the files: %s", r.stderr)
	}
}

func TestImportOfNothingIsExit1AndMakesNothing(t *testing.T) {
	flags, data := newData(t)
	expect(t, 1, with(flags, "import", file(t, ""))...)
	expect(t, 1, with(flags, "import", file(t, "GIF89a"), filepath.Join(t.TempDir(), "none.csv"))...)
	expectCode(t, 1, "malformed", with(flags, "import", t.TempDir())...)
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Errorf("the folder was made: %v", err)
	}
}

func TestDryRunKeepsNothing(t *testing.T) {
	flags, data := newData(t)
	b := importBody(t, expect(t, 0, with(flags, "import", "--dry-run", loggerFile(t, "1,2,0"))...))
	if b.Accepted != 3 {
		t.Errorf("body: %+v", b)
	}
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Errorf("the folder was made: %v", err)
	}
}

func TestStartIsRequiredWithoutATriggerTime(t *testing.T) {
	flags, _ := newData(t)
	name := file(t, "\"Time\",\"2-1[C]\",\n 0,1,\n 10,2,\n")
	expectCode(t, 2, "start_required", with(flags, "import", name)...)
	expect(t, 0, with(flags, "import", "--start", "2022-06-06 18:43:33+02:00", name)...)
}

func TestCompactThenVerifyFindsAFlippedByte(t *testing.T) {
	flags, data := lake(t)
	var sizes struct {
		Before, After struct{ Files, RawBytes, RollupBytes, IndexBytes int }
	}
	r := expect(t, 0, "compact", "--data", data, "-o", "json")
	text := strings.NewReplacer("raw_bytes", "RawBytes", "rollup_bytes", "RollupBytes", "index_bytes", "IndexBytes").Replace(r.stdout)
	if err := json.Unmarshal([]byte(text), &sizes); err != nil {
		t.Fatal(err)
	}
	if sizes.Before.Files != 0 || sizes.After.Files != 1 || sizes.After.RawBytes == 0 || sizes.After.IndexBytes == 0 {
		t.Errorf("sizes: %s", r.stdout)
	}
	if r := expect(t, 0, "verify", "--data", data); r.stdout != "" {
		t.Errorf("verify of a sound database prints %q", r.stdout)
	}
	blocks, err := filepath.Glob(filepath.Join(data, "blocks", "t", "*"))
	if err != nil || len(blocks) != 1 {
		t.Fatalf("blocks: %v, %v", blocks, err)
	}
	content, err := os.ReadFile(blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	content[64+sizes.After.RawBytes/2] ^= 1 // in a chunk: those come first, behind the header
	if err := os.WriteFile(blocks[0], content, 0o644); err != nil {
		t.Fatal(err)
	}
	if r := expect(t, 4, "verify", "--data", data); !strings.Contains(r.stdout, "blocks/t/") || strings.Count(r.stdout, "\n") < 1 {
		t.Errorf("faults: %q", r.stdout)
	}
	var faults struct {
		Faults []struct {
			Path, What string
			Offset     int64
		}
	}
	r = expect(t, 4, "verify", "--data", data, "-o", "json")
	if err := json.Unmarshal([]byte(r.stdout), &faults); err != nil || len(faults.Faults) == 0 {
		t.Errorf("faults: %s (%v)", r.stdout, err)
	}
	expectCode(t, 1, "corrupt", with(flags, "table")...)
}

// TestImportRefusesWhatIsNotKept imports a file into a folder before and after
// what is in it is older than the tenant keeps.
func TestImportRefusesWhatIsNotKept(t *testing.T) {
	in := []string{"--data", filepath.Join(t.TempDir(), "d"), "--tenant", "t"}
	early := append([]string{"--clock", "2026-01-01T00:30:00Z"}, in...)
	expect(t, 0, with(early, "tenant", "create")...)
	expect(t, 0, with(early, "retention", "set", "--raw", "1h")...)
	name := loggerFile(t, "1,2,0", "3,4,0", "5,6,0")
	arguments := []string{"import", "--instrument", "lake", "--start", "2026-01-01 00:00:00+00:00", name, "-o", "json"}
	b := importBody(t, expect(t, 0, with(early, arguments...)...))
	if b.Accepted != 9 || b.Rejected != 0 {
		t.Errorf("none is too old: %+v", b)
	}
	late := append([]string{"--clock", "2026-01-01T01:00:15Z"}, in...) // rows are ten seconds apart
	b = importBody(t, expectCode(t, 3, "before_retention", with(late, arguments...)...))
	if b.Accepted != 3 || b.Rejected != 6 || b.Files[0].Reasons["before_retention"] != 6 {
		t.Errorf("two rows of three are too old: %+v", b)
	}
}
