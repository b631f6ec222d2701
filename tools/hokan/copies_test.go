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
