package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/disk/disktest"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

// TestRepairThatWasBrokenOff makes the disk fail from each operation of a repair
// on: the next one makes the same of what is left.
func TestRepairThatWasBrokenOff(t *testing.T) {
	image, want := repairable(t, false)
	remove(t, image, "data/catalog")
	name := filesBelow(t, image, "data/blocks/t", anyFile)[0]
	b := readFile(t, image, name)
	b[disk.HeaderSize+disk.FrameHeaderSize+3] ^= 1
	writeFile(t, image, name, b)
	ctx := context.Background()
	for i := 0; ; i++ {
		fs := copyFS(t, image)
		faulty := disktest.New(fs)
		faulty.FailFrom(i, errors.New("broken"))
		_, err := Repair(ctx, repairOptions(faulty, false))
		if faulty.Failed() == 0 {
			t.Logf("%d operations", i)
			break
		}
		if err == nil && i == 0 {
			t.Fatal("a repair without a disk went well")
		}
		db, _ := repaired(t, fs, false)
		wantRepaired(t, db, want)
		db.Close()
		if t.Failed() {
			t.Fatalf("after operation %d failed: %v", i, err)
		}
		if !long() && i > 10 {
			i += i / 6
		}
	}
}

// TestRepairAfterHalfACompaction: the first of several blocks of a compaction
// was written, and then the catalog is lost: its rows, which are also in the
// blocks that were to be merged, count once.
func TestRepairAfterHalfACompaction(t *testing.T) {
	fs := vfs.NewMem()
	db := openManual(t, manualOptions(fs))
	ctx := context.Background()
	random := rand.New(rand.NewPCG(1, 2))
	for i := range int64(3) {
		for c := range 3 {
			values := make([]float64, 5000) // more than a writer holds back
			for k := range values {
				values[k] = random.Float64()
			}
			write(t, db, fmt.Sprint("c", c), i*5000, values...)
		}
		must(t, db.Flush(ctx))
	}
	_, err := db.DeleteRows(ctx, "t", []model.ChannelID{2}, model.Span{From: 0, To: 5001})
	must(t, err)
	must(t, db.Checkpoint(ctx))
	want, _ := channelBits(t, db, model.AllTime())
	died := copyFS(t, fs)
	db.compactor.bytes = 1
	must(t, db.Compact(ctx))
	blocks := mustTenant(t, db).blocks
	if len(blocks) < 3 {
		t.Fatalf("%d blocks", len(blocks))
	}
	for _, m := range blocks[:len(blocks)-1] { // the last was not written
		writeFile(t, died, "data/"+m.Name, readFile(t, fs, "data/"+m.Name))
	}
	remove(t, died, "data/catalog")
	o := manualOptions(died)
	if _, err := Repair(ctx, o); err != nil {
		t.Fatal(err)
	}
	db = openManual(t, o)
	if got, _ := channelBits(t, db, model.AllTime()); !reflect.DeepEqual(got, want) {
		t.Error("other rows are read")
	}
	sums, err := db.Summarize(ctx, "t", []model.ChannelID{1, 2}, model.AllTime())
	if err != nil || sums[0].Count != 15000 || sums[1].Count != 9999 {
		t.Errorf("counted %+v, %v", sums, err)
	}
	must(t, db.Compact(ctx))
	if got, _ := channelBits(t, db, model.AllTime()); !reflect.DeepEqual(got, want) {
		t.Error("merged, other rows are read")
	}
	if faults, _ := db.Faults(); len(faults) > 0 {
		t.Error(faults)
	}
}

// TestRepairLetsGoOfEntries: an entry that cannot be applied pins the log until
// a repair, which keeps its segment under another name.
func TestRepairLetsGoOfEntries(t *testing.T) {
	fs := vfs.NewMem()
	db := openManual(t, manualOptions(fs))
	ctx := context.Background()
	write(t, db, "a", 0, 1)
	column := entry.Column{Channel: 99, Times: []int64{1}, Values: []float64{1}}
	body := &entry.Rows{Columns: []entry.Column{column}}
	if _, err := db.write(mustTenant(t, db).partition, "t", &entry.Entry{Body: body}); err == nil {
		t.Fatal("rows of no channel were taken")
	}
	write(t, db, "a", 1, 2)
	must(t, db.Close())
	db = openManual(t, manualOptions(fs))
	if faults, _ := db.Faults(); len(faults) == 0 {
		t.Fatal("nothing is told of the entry")
	}
	must(t, db.Close())
	report, err := Repair(ctx, manualOptions(fs))
	if err != nil || len(report.Unknown) == 0 || len(report.SetAside) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	if left := filesBelow(t, fs, "data/log", disk.IsQuarantined); len(left) != 1 {
		t.Errorf("set aside are %v", left)
	}
	db = openManual(t, manualOptions(fs))
	if faults, n := db.Faults(); len(faults) > 0 || n > 0 || mustTenant(t, db).partition.keepFrom != 0 {
		t.Errorf("after the repair: %v, %d", faults, n)
	}
	reads(t, db, "a", 1, 2)
}
