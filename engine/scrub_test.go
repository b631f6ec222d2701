package engine

import (
	"context"
	"errors"
	"io"
	"path"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// scrubRound reads all files once and returns how many they were.
func scrubRound(t *testing.T, db *DB) (read int) {
	t.Helper()
	var s scrubber
	for db.scrubNext(context.Background(), &s, nil) {
		if read++; read > 1000 {
			t.Fatal("a round has no end")
		}
	}
	return read
}

// flip damages a byte of a file in its middle.
func flip(t *testing.T, fs *vfs.MemFS, name string) {
	t.Helper()
	b := readFile(t, fs, name)
	b[len(b)/2] ^= 16
	writeFile(t, fs, name, b)
}

// TestScrubFindsWhatNobodyReads damages a file of each kind: one round sets it
// aside, and leaves the others; nothing is lost, whatever comes next.
func TestScrubFindsWhatNobodyReads(t *testing.T) {
	kinds := map[string]struct{ dir, suffix string }{
		KindBlock:      {"data/blocks/t", ".blk"},
		KindCheckpoint: {"data/checkpoints", ".ckpt"},
		KindSegment:    {"data/log", ".seg"},
		KindFile:       {"data/files", ""},
	}
	for kind, of := range kinds {
		t.Run(kind, func(t *testing.T) {
			ctx := context.Background()
			fs := copyFS(t, builtDB(t))
			db := openTest(t, fs)
			defer func() { db.Close() }()
			column := model.Column{Labels: hokLabels(t, "late"), Times: []int64{1, 2}, Values: []float64{1, 2}}
			if _, err := db.Append(ctx, &model.Batch{Tenant: "t", Columns: []model.Column{column}}); err != nil {
				t.Fatal(err)
			}
			if _, err := db.PutFile(ctx, "t", "notes", strings.NewReader("three words here")); err != nil {
				t.Fatal(err)
			}
			want, _ := channelBits(t, db, model.AllTime())
			name := filesBelow(t, fs, of.dir, func(f string) bool { return strings.HasSuffix(f, of.suffix) })[0]
			if kind == KindCheckpoint {
				name = checkpointOf(t, fs)
			}
			flip(t, fs, name)
			if read := scrubRound(t, db); read < 4 {
				t.Errorf("%d files were read", read)
			}
			counts := db.Quarantined()
			for other, n := range counts {
				if (n == 1) != (other == kind) {
					t.Errorf("set aside are %v", counts)
				}
			}
			if faults, _ := db.Faults(); len(faults) == 0 || !strings.Contains(faults[0].Error(), path.Base(name)) {
				t.Errorf("faults are %v", faults)
			}
			if _, err := fs.Stat(name + disk.QuarantineSuffix); err != nil {
				t.Error(err)
			}
			before := len(filesBelow(t, fs, "data", disk.IsQuarantined))
			scrubRound(t, db)
			if now := len(filesBelow(t, fs, "data", disk.IsQuarantined)); now != before {
				t.Errorf("another round set %d files aside", now-before)
			}
			if kind == KindBlock {
				return // its rows are an error
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			faults, _ := verifyFaults(t, fs)
			for _, f := range faults {
				if !strings.Contains(f.What, "set aside") {
					t.Error(f)
				}
			}
			db = openTest(t, fs)
			if faults, _ := db.Faults(); len(faults) > 0 {
				t.Errorf("opened again: %v", faults)
			}
			if got, _ := channelBits(t, db, model.AllTime()); !reflect.DeepEqual(got, want) {
				t.Error("other rows are read")
			}
		})
	}
}

// TestScrubThatIsStopped sets nothing aside.
func TestScrubThatIsStopped(t *testing.T) {
	fs := copyFS(t, builtDB(t))
	db := openTest(t, fs)
	defer db.Close()
	for _, name := range filesBelow(t, fs, "data/blocks/t", anyFile) {
		flip(t, fs, name)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	var s scrubber
	for range 3 {
		db.scrubNext(ended, &s, nil)
	}
	if n := db.Quarantined()[KindBlock]; n != 0 {
		t.Errorf("a scrub that was stopped set %d blocks aside", n)
	}
}

// TestDamagedUpload is an error until it is deleted or put again, and goes with
// its tenant.
func TestDamagedUpload(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewMem()
	db := openManual(t, manualOptions(fs))
	put := func(content string) {
		t.Helper()
		if _, err := db.PutFile(ctx, "t", "notes", strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	read := func() (string, error) {
		_, r, err := db.OpenFile(ctx, "t", "notes")
		if err != nil {
			return "", err
		}
		defer r.Close()
		b, err := io.ReadAll(r)
		return string(b), err
	}
	aside := func() int { return len(filesBelow(t, fs, "data/files", disk.IsQuarantined)) }
	damage := func() {
		t.Helper()
		name := filesBelow(t, fs, "data/files", func(f string) bool { return !disk.IsQuarantined(f) })[0]
		b := readFile(t, fs, name)
		b[len(b)-disk.FrameHeaderSize-3] ^= 1 // in the content
		writeFile(t, fs, name, b)
	}
	put("three words here")
	damage()
	for range 2 { // from the file, then because it is set aside
		if _, err := read(); !errors.Is(err, ErrCorrupt) || aside() != 1 {
			t.Errorf("damaged, it gives %v; %d are set aside", err, aside())
		}
	}
	if list, err := db.ListFiles(ctx, "t", ""); err != nil || len(list) != 0 {
		t.Errorf("listed are %v, %v", list, err)
	}
	if usage, err := db.Usage(ctx, "t"); err != nil || usage.Files != 0 {
		t.Errorf("it is charged %d bytes, %v", usage.Files, err)
	}
	must(t, db.DeleteFile(ctx, "t", "notes"))
	if _, err := read(); !errors.Is(err, ErrNotFound) || aside() != 0 {
		t.Errorf("deleted, it gives %v; %d are set aside", err, aside())
	}
	put("again")
	damage()
	scrubRound(t, db)
	put("whole")
	if text, err := read(); text != "whole" || err != nil || aside() != 1 {
		t.Errorf("put again, it gives %q, %v; %d are set aside", text, err, aside())
	}
	_, err := db.DeleteTenant(ctx, "t")
	must(t, err)
	if left := filesBelow(t, fs, "data/files", anyFile); len(left) != 0 || db.Quarantined()[KindFile] != 0 {
		t.Errorf("of the deleted tenant %v are left", left)
	}
	must(t, db.CreateTenant(ctx, "t"))
	if _, err := read(); !errors.Is(err, ErrNotFound) {
		t.Errorf("of a later tenant it gives %v", err)
	}
}

// TestScrubPaceCountsFiles: many small files take time for their number, though
// they have hardly a byte.
func TestScrubPaceCountsFiles(t *testing.T) {
	db := openManual(t, manualOptions(vfs.NewMem()))
	for day := range int64(8) {
		write(t, db, "a", day*1440, 1)
		must(t, db.Flush(context.Background()))
	}
	synctest.Test(t, func(t *testing.T) { // on a clock of its own
		s, files, begun := scrubber{}, 0, time.Now()
		for db.scrubNext(context.Background(), &s, &pace{rate: paceStep}) {
			files++
		}
		if took := time.Since(begun); files < 8 || took < time.Duration(files)*time.Second {
			t.Errorf("%d files in %v at a file a second", files, took)
		}
	})
}
