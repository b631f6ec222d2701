package engine

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestInspectTakesOneBlockAtATime visits blocks, of which none is held
// meanwhile, and goes on where those that it has not come to are merged.
func TestInspectTakesOneBlockAtATime(t *testing.T) {
	for _, merge := range []bool{false, true} {
		db := openTest(t, vfs.NewMem())
		defer db.Close()
		writeHours(t, db, 0, 48, 0)
		writeHours(t, db, 24, 40, 0)
		writeHours(t, db, 0, 10, 0)
		visited := 0
		err := db.Inspect(context.Background(), "t", nil, func(b *BlockInfo) error {
			visited++
			if len(b.Chunks) != 2 {
				t.Errorf("%s has %d chunks", b.File, len(b.Chunks))
			}
			for name, r := range db.readers.open {
				if r.users > 0 {
					t.Errorf("%s is held while %s is visited", name, b.File)
				}
			}
			if merge {
				compact(t, db)
			}
			return nil
		})
		want := 5
		if merge {
			want = 1 // the others are gone
		}
		if err != nil || visited != want {
			t.Errorf("%d blocks, want %d, %v", visited, want, err)
		}
	}
}
