package engine

import (
	"context"
	"testing"

	"github.com/hokan-db/hokan/engine/disk"
)

// TestScrubFindsWhatNobodyReads damages a block that no query reads: one round
// sets it aside, and leaves the others.
func TestScrubFindsWhatNobodyReads(t *testing.T) {
	fs := copyFS(t, builtDB(t))
	name := filesBelow(t, fs, "data/blocks/t", anyFile)[0]
	b := readFile(t, fs, name)
	b[disk.HeaderSize+disk.FrameHeaderSize+2] ^= 16
	writeFile(t, fs, name, b)
	db := openTest(t, fs)
	defer db.Close()
	var s scrubber
	read := 0
	for db.scrubNext(context.Background(), &s, nil) {
		if read++; read > 100 {
			t.Fatal("a round has no end")
		}
	}
	stats, err := db.Stats()
	if err != nil || read != stats.Blocks || read < 2 {
		t.Errorf("%d blocks of %d were read, %v", read, stats.Blocks, err)
	}
	if n := db.Quarantined()[KindBlock]; n != 1 {
		t.Errorf("%d blocks are set aside, want 1", n)
	}
	if _, err := fs.Stat(name + disk.QuarantineSuffix); err != nil {
		t.Error(err)
	}
	if faults, _ := db.Faults(); len(faults) == 0 {
		t.Error("no fault is told")
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	s = scrubber{}
	for range 3 {
		db.scrubNext(ended, &s, nil)
	}
	if n := db.Quarantined()[KindBlock]; n != 1 {
		t.Errorf("a scrub that was stopped set %d blocks aside", n)
	}
}
