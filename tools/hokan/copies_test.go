package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hokan-db/hokan/server/api"
)

// TestSnapshotIsADatabase copies a database, with a server and without: the
// copies answer as the original does.
func TestSnapshotIsADatabase(t *testing.T) {
	flags, data := lake(t)
	admin := newToken(t, data, "--admin")
	want := expect(t, 0, with(flags, "table", "-o", "csv")...)
	copies := t.TempDir()
	fromFolder, fromServer := filepath.Join(copies, "a"), filepath.Join(copies, "b")
	var body1, body2 api.SnapshotBody
	body(t, &body1, "snapshot", "--data", data, "--out", fromFolder)
	p, address := serveFolder(t, data)
	body(t, &body2, "snapshot", "--server", address, "--token", admin, "--out", fromServer)
	expectCode(t, 2, "invalid", "snapshot", "--server", address, "--token", admin, "--out", fromServer)
	expectCode(t, 1, "locked", "snapshot", "--data", data, "--out", filepath.Join(copies, "c"))
	p.stop(t, syscall.SIGTERM)
	for _, b := range []api.SnapshotBody{body1, body2} {
		if b.Files == 0 || b.Bytes == 0 || b.Offset == 0 {
			t.Errorf("snapshot: %+v", b)
		}
		expect(t, 0, "verify", "--data", b.Out)
		if got := expect(t, 0, "table", "--data", b.Out, "--tenant", "t", "-o", "csv"); got != want {
			t.Errorf("the copy's table is %+v, want %+v", got, want)
		}
	}
	expectCode(t, 2, "invalid", "snapshot", "--data", data, "--out", filepath.Join(data, "blocks", "copy"))
	if _, err := os.Stat(filepath.Join(data, "blocks", "copy")); err == nil {
		t.Error("a copy in the database itself was begun")
	}
}

// TestHOKGoesToAnotherFolder exports, with a server and without, and imports
// into another folder, which then answers as the first does.
func TestHOKGoesToAnotherFolder(t *testing.T) {
	flags, data := lake(t)
	files := t.TempDir()
	local, remote := filepath.Join(files, "local.hok"), filepath.Join(files, "remote") // by its bytes, not its name
	var made exported
	body(t, &made, with(flags, "export", "--format", "hok", "--out", local)...)
	token := newToken(t, data, "--tenant", "t")
	p, address := serveFolder(t, data)
	var again exported
	body(t, &again, "export", "--server", address, "--token", token, "--format", "hok", "--out", remote)
	p.stop(t, syscall.SIGTERM)
	if made.Channels != again.Channels || made.Rows != again.Rows || made.Rows == 0 {
		t.Errorf("exported %+v, by a server %+v", made, again)
	}
	want := expect(t, 0, with(flags, "table", "-o", "csv")...)
	wantChannels := expect(t, 0, with(flags, "channels", "-o", "json")...)
	for _, name := range []string{local, remote} {
		other := []string{"--data", filepath.Join(t.TempDir(), "d"), "--tenant", "t"}
		b := importBody(t, expect(t, 0, with(other, "import", name, "-o", "json")...))
		if b.Accepted != made.Rows || b.Files[0].Dialect != "hok" || b.Files[0].Channels != made.Channels {
			t.Errorf("import: %+v", b)
		}
		if got := expect(t, 0, with(other, "table", "-o", "csv")...); got != want {
			t.Errorf("table after import: %+v, want %+v", got, want)
		}
		if got := expect(t, 0, with(other, "channels", "-o", "json")...); got != wantChannels {
			t.Errorf("channels after import: %+v, want %+v", got, wantChannels)
		}
	}
	served := filepath.Join(t.TempDir(), "d")
	token = newToken(t, served, "--tenant", "t")
	p, address = serveFolder(t, served)
	if b := importBody(t, expect(t, 0, "import", "--server", address, "--token", token, local, "-o", "json")); b.Accepted != made.Rows {
		t.Errorf("import to a server: %+v", b)
	}
	p.stop(t, syscall.SIGTERM)
	if got := expect(t, 0, "table", "--data", served, "--tenant", "t", "-o", "csv"); got != want {
		t.Errorf("table after import to a server: %+v, want %+v", got, want)
	}
	text, err := os.ReadFile(local)
	if err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(files, "damaged.hok")
	text[len(text)/2] ^= 1
	if err := os.WriteFile(damaged, text, 0o644); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(t.TempDir(), "d")
	expectCode(t, 1, "corrupt", "import", "--data", fresh, "--tenant", "t", damaged)
	if _, err := os.Stat(fresh); err == nil {
		t.Error("an import of which nothing was taken made a database")
	}
	expectCode(t, 2, "malformed", with(flags, "import", "--instrument", "x", local)...)
	expectCode(t, 2, "invalid", with(flags, "export", "--format", "hok", "--zone", "Asia/Tokyo", "--out", damaged)...)
}

// TestRepair loses the catalog of a folder, which then cannot be opened, and
// repairs it.
func TestRepair(t *testing.T) {
	flags, data := lake(t)
	want := expect(t, 0, with(flags, "table", "-o", "csv")...)
	expect(t, 0, "repair", "--data", data)
	if err := os.RemoveAll(filepath.Join(data, "catalog")); err != nil {
		t.Fatal(err)
	}
	expectCode(t, 1, "corrupt", with(flags, "table")...)
	var report struct{ Rebuilt, SetAside, Unknown []struct{ Path, What string } }
	decode(t, expect(t, 3, "repair", "--data", data, "-o", "json").stdout, &report)
	if len(report.Rebuilt) == 0 || len(report.Unknown) == 0 || len(report.Unknown) > 5 {
		t.Errorf("report: %+v", report)
	}
	if got := expect(t, 0, with(flags, "table", "-o", "csv")...); got != want {
		t.Errorf("table after repair: %+v, want %+v", got, want)
	}
	expect(t, 0, "verify", "--data", data)
	expectCode(t, 1, "not_found", "repair", "--data", t.TempDir())
}
