package engine

import (
	"context"
	"path"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
)

// TestFlushThatReplayRepeats: a flush was not committed when the process ended,
// and replaying the log flushes the same entries again. The blocks of the first
// are removed: a repair would take them for part of the database, and bring back
// what was deleted since.
func TestFlushThatReplayRepeats(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewMem()
	o := manualOptions(fs)
	db := openManual(t, o)
	write(t, db, "a", 0, 1, 2, 3)
	died := copyFS(t, fs) // with the rows in the log alone
	must(t, db.Flush(ctx))
	name := mustTenant(t, db).blocks[0].Name
	must(t, db.Close())
	b, ok := disk.ParseBlockName(name)
	if !ok {
		t.Fatal(name)
	}
	b.Part += 7 // else the second flush takes its name
	must(t, died.MkdirAll(path.Dir("data/"+b.String()), 0o755))
	writeFile(t, died, "data/"+b.String(), readFile(t, fs, "data/"+name))
	o = manualOptions(died)
	o.Manual, o.HeadBytes, o.ScrubRate = false, 1, -1
	db, err := Open(o)
	must(t, err)
	defer db.Close()
	for _, left := range filesBelow(t, died, "data/blocks", anyFile) {
		if strings.HasSuffix(left, b.String()) {
			t.Errorf("%s is left, rows are flushed up to %d", left, mustTenant(t, db).flushedTo)
		}
	}
}
