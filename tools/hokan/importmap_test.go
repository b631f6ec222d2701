package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const airTable = "Date;Time;T;RH;door\n10/03/2024;18.00.00;13,6;-200;open\n13/03/2024;19.00.00;13,3;47,7;shut\n"

// A table is refused until a map is told; a dry run shows what is guessed,
// which can be kept in a file and corrected.
func TestImportOfATable(t *testing.T) {
	flags, data := newData(t)
	folder := t.TempDir()
	table, saved := filepath.Join(folder, "air.csv"), filepath.Join(folder, "air.map")
	if err := os.WriteFile(table, []byte(airTable), 0o600); err != nil {
		t.Fatal(err)
	}
	const guess = "separator=semicolon,decimal=comma,header=1,time=Date+Time,format=DD/MM/YYYY hh.mm.ss,channel=T+RH,missing=-200,words="
	r := expectCode(t, 2, "map_required", with(flags, "import", table)...)
	if !strings.Contains(r.stderr, "--map '"+guess+"'") || !strings.Contains(r.stderr, "Keyence NR-500") {
		t.Errorf("stderr: %s", r.stderr)
	}
	r = expect(t, 0, with(flags, "import", "--dry-run", "--save-map", saved, table)...)
	if b := importBody(t, r); b.Files[0].Map != guess || b.Files[0].Rows != 2 || b.Files[0].Dialect != "csv" || b.Accepted != 4 {
		t.Errorf("%+v", b)
	}
	if !strings.Contains(r.stderr, "hokan: "+table+": --map '"+guess+"'\n") {
		t.Errorf("stderr: %s", r.stderr)
	}
	if _, err := os.Stat(data); err == nil {
		t.Error("the dry run kept something")
	}
	if text, err := os.ReadFile(saved); err != nil || string(text) != guess+"\n" {
		t.Errorf("%q %v", text, err)
	}
	expect(t, 0, with(flags, "import", "--map", "@"+saved, table)...)
	got := expect(t, 0, append([]string{"table", "-o", "csv"}, flags[:4]...)...)
	const want = "time,lake/T,lake/RH\n2024-03-10T18:00:00Z,13.6,nodata\n2024-03-13T19:00:00Z,13.3,47.7\n"
	if got.stdout != want {
		t.Errorf("%s, want %s", got.stdout, want)
	}
	expect(t, 0, with(flags, "import", "--map", "channel=door:gate,words=open:1+shut:0", table)...)
	if got := expect(t, 0, append([]string{"latest", `{channel="gate"}`, "-o", "csv"}, flags[:4]...)...); !strings.Contains(got.stdout, "2024-03-13T19:00:00Z,0,") {
		t.Errorf("%s", got.stdout)
	}
}

func TestBadMapsOfTables(t *testing.T) {
	flags, _ := newData(t)
	expectCode(t, 2, "malformed", with(flags, "import", "--map", "colour=red", "x.csv")...)
	expectCode(t, 2, "malformed", with(flags, "import", "--map", "@"+filepath.Join(t.TempDir(), "none"), "x.csv")...)
	table := filepath.Join(t.TempDir(), "air.csv")
	if err := os.WriteFile(table, []byte(airTable), 0o600); err != nil {
		t.Fatal(err)
	}
	expectCode(t, 1, "malformed", with(flags, "import", "--map", "channel=wind", table)...)
	expectCode(t, 2, "zone_required", "import", "--data", t.TempDir(), "--tenant", "t", "--instrument", "i", "--map", "auto", table)
}

// What a guess does not take is said, and a cell of what it takes that is no
// number is refused by its place.
func TestColumnsThatAreNotTakenAreNamed(t *testing.T) {
	flags, _ := newData(t)
	table := filepath.Join(t.TempDir(), "air.csv")
	const text = "when,temp,depth,wind\n2024-01-02 00:00:00,1,1,NNE\n2024-01-02 00:00:01,2,x,E\n2024-01-02 00:00:02,oops,3,E\n2024-01-02 00:00:03,eek,4,E\n2024-01-02 00:00:04,ow,4,E\n"
	if err := os.WriteFile(table, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dry := range []string{"--dry-run=true", "--dry-run=false"} {
		r := expect(t, 3, with(flags[:len(flags):len(flags)], "import", dry, "--map", "auto", table)...)
		if !strings.Contains(r.stderr, "hokan: "+table+`: columns not taken: temp ("oops", line 4), wind`+"\n") ||
			!strings.Contains(r.stderr, table+`: line 3, column 3: "x" is no number`) {
			t.Errorf("stderr: %s", r.stderr)
		}
	}
}
