package engine

import (
	"context"
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/catalog"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/disk/disktest"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// A repair is judged by what is read afterwards: repairable builds a database
// of every kind of thing, each test damages a copy of it.

// repairOptions make segments so small that a checkpoint trims most of the log.
func repairOptions(fs disk.FS, trimmed bool) Options {
	o := scriptOptions(fs)
	if !trimmed {
		o.SegmentBytes = 0 // the default
	}
	return o
}

// repairable is a closed database: tenant t has rows in merged blocks, in a
// flush block, in a checkpoint's head and in the log; some were deleted, so was
// a channel, and so was the tenant gone. want is what it holds.
func repairable(t *testing.T, trimmed bool) (image *vfs.MemFS, want map[string]map[int64]uint64) {
	t.Helper()
	ctx := context.Background()
	fs := vfs.NewMem()
	db, err := Open(repairOptions(fs, trimmed))
	if err != nil {
		t.Fatal(err)
	}
	check := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []model.Tenant{"t", "gone", "other"} {
		check(nil, db.CreateTenant(ctx, name))
		appendScript(t, db, name, 0, 10)
	}
	one := func(channel string, from, count int) {
		column := model.Column{Labels: hokLabels(t, channel)}
		for i := from; i < from+count; i++ {
			column.Times, column.Values = append(column.Times, int64(i)*3600e9), append(column.Values, float64(i))
		}
		check(db.Append(ctx, &model.Batch{Tenant: "t", Columns: []model.Column{column}}))
	}
	one("kept", 0, 60)
	one("dropped", 0, 60)
	check(nil, db.Flush(ctx))
	one("kept", 40, 60)
	check(nil, db.Flush(ctx))
	ids := channelIDs(t, db)
	check(db.DeleteRows(ctx, "t", []model.ChannelID{ids["kept"]}, model.Span{From: 10 * 3600e9, To: 20 * 3600e9}))
	check(nil, db.DeleteChannels(ctx, "t", []model.ChannelID{ids["dropped"]}))
	check(db.DeleteTenant(ctx, "gone"))
	check(nil, db.Compact(ctx))
	check(db.DeleteRows(ctx, "t", []model.ChannelID{ids["kept"]}, model.Span{From: 30 * 3600e9, To: 35 * 3600e9}))
	one("kept", 100, 30)
	check(nil, db.SetRetention(ctx, "t", policy.Rules{}))
	check(nil, db.Flush(ctx))
	one("kept", 130, 10)
	check(nil, db.Checkpoint(ctx))
	one("kept", 140, 10)
	check(nil, db.Checkpoint(ctx))
	one("kept", 150, 10)
	want, _ = channelBits(t, db, model.AllTime())
	check(nil, db.Close())
	return fs, want
}

// channelIDs returns the IDs of tenant t's channels by their label channel.
func channelIDs(t *testing.T, db *DB) map[string]model.ChannelID {
	t.Helper()
	channels, err := db.Channels(context.Background(), "t", model.Selector{})
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]model.ChannelID{}
	for _, c := range channels {
		ids[c.Labels.Channel()] = c.ID
	}
	return ids
}

// repaired repairs a database, which must then be without a fault beside what
// was set aside, and opens it.
func repaired(t *testing.T, fs disk.FS, trimmed bool) (*DB, RepairReport) {
	t.Helper()
	before := filesBelow(t, fs, "data", func(name string) bool { return !strings.Contains(name, "/catalog") })
	report, err := Repair(context.Background(), repairOptions(fs, trimmed))
	if err != nil {
		t.Fatalf("repair: %v; %+v", err, report)
	}
	for _, name := range before {
		if strings.Contains(name, "/log/") || strings.HasSuffix(name, ".ckpt") || disk.IsTemporary(name) {
			continue // trimmed, or followed by a newer one
		}
		_, plain := fs.Stat(name)
		_, aside := fs.Stat(name + disk.QuarantineSuffix)
		if plain != nil && aside != nil {
			t.Errorf("%s was deleted", name)
		}
	}
	faults, _ := verifyFaults(t, fs)
	for _, f := range faults {
		if !strings.Contains(f.What, "set aside") {
			t.Errorf("fault after repair: %v", f)
		}
	}
	db, err := Open(repairOptions(fs, trimmed))
	if err != nil {
		t.Fatal(err)
	}
	if faults, n := db.Faults(); len(faults) > 0 || n > 0 {
		t.Errorf("faults after repair: %v, %d entries", faults, n)
	}
	return db, report
}

// wantRepaired checks that a repaired database holds rows, and nothing deleted.
func wantRepaired(t *testing.T, db *DB, want map[string]map[int64]uint64) {
	t.Helper()
	if got, _ := channelBits(t, db, model.AllTime()); !reflect.DeepEqual(got, want) {
		for labels, rows := range want {
			t.Errorf("%s has %d rows, want %d", labels, len(got[labels]), len(rows))
		}
		t.Errorf("%d channels, want %d", len(got), len(want))
	}
	if db.HasTenant("gone") {
		t.Error("a deleted tenant is back")
	}
	ids := channelIDs(t, db)
	sums, err := db.Summarize(context.Background(), "t", []model.ChannelID{ids["kept"]}, model.AllTime())
	if err != nil || sums[0].Count != uint64(len(want[hokLabels(t, "kept").String()])) {
		t.Errorf("counted %v, %v: rows count twice, or not", sums, err)
	}
	if _, err := db.Append(context.Background(), scriptBatch(30)); err != nil {
		t.Errorf("writing after repair: %v", err)
	}
	column := model.Column{Labels: hokLabels(t, "new"), Times: []int64{1}, Values: []float64{1}}
	if _, err := db.Append(context.Background(), &model.Batch{Tenant: "t", Columns: []model.Column{column}}); err != nil {
		t.Errorf("a new channel after repair: %v", err)
	}
	if id := channelIDs(t, db)["new"]; id <= 4 {
		t.Errorf("a new channel has the ID %d of an old one", id)
	}
}

// TestRepairOfAWholeDatabaseDoesNothing.
func TestRepairOfAWholeDatabaseDoesNothing(t *testing.T) {
	for _, trimmed := range []bool{false, true} {
		fs, want := repairable(t, trimmed)
		db, report := repaired(t, fs, trimmed)
		if !report.Empty() {
			t.Errorf("report: %+v", report)
		}
		wantRepaired(t, db, want)
		db.Close()
	}
}

// TestRepairOfALostCatalog loses the catalog in many ways: nothing else is lost.
func TestRepairOfALostCatalog(t *testing.T) {
	ways := map[string]func(t *testing.T, fs *vfs.MemFS){
		"no folder": func(t *testing.T, fs *vfs.MemFS) { remove(t, fs, "data/catalog") },
		"empty folder": func(t *testing.T, fs *vfs.MemFS) {
			remove(t, fs, "data/catalog")
			if err := fs.MkdirAll("data/catalog", 0o755); err != nil {
				t.Fatal(err)
			}
		},
		"no FORMAT": func(t *testing.T, fs *vfs.MemFS) {
			remove(t, fs, "data/catalog")
			remove(t, fs, "data/FORMAT")
		},
		"no MANIFEST":       func(t *testing.T, fs *vfs.MemFS) { remove(t, fs, catalogFile(t, fs, "MANIFEST")) },
		"an empty MANIFEST": func(t *testing.T, fs *vfs.MemFS) { writeFile(t, fs, catalogFile(t, fs, "MANIFEST"), nil) },
		"a damaged MANIFEST": func(t *testing.T, fs *vfs.MemFS) {
			name := catalogFile(t, fs, "MANIFEST")
			b := readFile(t, fs, name)
			b[20] ^= 1
			writeFile(t, fs, name, b)
		},
		"damaged tables": func(t *testing.T, fs *vfs.MemFS) {
			db, err := Open(repairOptions(fs, false)) // which makes tables of the catalog's log
			if err == nil {
				err = db.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range filesBelow(t, fs, "data/catalog", func(f string) bool { return strings.HasSuffix(f, ".sst") }) {
				b := readFile(t, fs, name)
				b[len(b)/3] ^= 1
				writeFile(t, fs, name, b)
			}
		},
	}
	for _, trimmed := range []bool{false, true} {
		image, want := repairable(t, trimmed)
		for what, damage := range ways {
			t.Run(fmt.Sprintf("%s, trimmed %v", what, trimmed), func(t *testing.T) {
				fs := copyFS(t, image)
				damage(t, fs)
				if faults, _ := verifyFaults(t, fs); len(faults) == 0 {
					t.Fatal("this is no damage")
				}
				db, report := repaired(t, fs, trimmed)
				defer db.Close()
				if len(report.Rebuilt) == 0 || len(report.Unknown) == 0 {
					t.Errorf("report: %+v", report)
				}
				wantRepaired(t, db, want)
				if text := readFile(t, fs, "data/"+RepairedName); !strings.Contains(string(text), "catalog") {
					t.Errorf("the note says %q", text)
				}
			})
		}
	}
}

func remove(t *testing.T, fs *vfs.MemFS, name string) {
	t.Helper()
	if err := fs.RemoveAll(name); err != nil {
		t.Fatal(err)
	}
}

// catalogFile returns the newest file of the catalog whose name has a part.
func catalogFile(t *testing.T, fs disk.FS, part string) string {
	t.Helper()
	files := filesBelow(t, fs, "data/catalog", func(f string) bool { return strings.HasPrefix(path.Base(f), part) })
	if len(files) == 0 {
		t.Fatalf("no %s", part)
	}
	return slices.Max(files)
}

// checkpointOf returns the checkpoint file of tenant t's partition.
func checkpointOf(t *testing.T, fs disk.FS) string {
	t.Helper()
	prefix := fmt.Sprintf("%02d-", model.Tenant("t").Partition())
	files := filesBelow(t, fs, "data/checkpoints", func(f string) bool { return strings.HasPrefix(path.Base(f), prefix) })
	if len(files) == 0 {
		t.Fatal("no checkpoint")
	}
	return slices.Max(files)
}

// TestRepairOfALostCheckpoint damages a checkpoint, with the catalog and
// without. Where the log is whole nothing is lost; else what is in blocks and
// in the log is served, and what was deleted stays so.
func TestRepairOfALostCheckpoint(t *testing.T) {
	for _, trimmed := range []bool{false, true} {
		for _, withCatalog := range []bool{true, false} {
			for _, how := range []string{"flip", "empty", "remove"} {
				t.Run(fmt.Sprintf("%s, trimmed %v, catalog %v", how, trimmed, withCatalog), func(t *testing.T) {
					image, want := repairable(t, trimmed)
					fs := copyFS(t, image)
					name := checkpointOf(t, fs)
					b := readFile(t, fs, name)
					switch how {
					case "flip":
						b[len(b)/2] ^= 1
						writeFile(t, fs, name, b)
					case "empty":
						writeFile(t, fs, name, nil)
					case "remove":
						remove(t, fs, name)
					}
					if !withCatalog {
						remove(t, fs, "data/catalog")
					}
					db, report := repaired(t, fs, trimmed)
					defer db.Close()
					if !trimmed {
						wantRepaired(t, db, want)
						return
					}
					if len(report.Unknown) == 0 {
						t.Errorf("rows are lost, and the report says %+v", report)
					}
					got, _ := channelBits(t, db, model.AllTime())
					for labels, rows := range got {
						for at := range rows {
							if _, ok := want[labels][at]; !ok && len(want[labels]) > 0 {
								t.Errorf("%s has a row at %d that was deleted", labels, at/3600e9)
							}
						}
					}
					kept := got[hokLabels(t, "kept").String()]
					if len(kept) < 100 {
						t.Errorf("%d rows are left of what is in blocks", len(kept))
					}
					if _, ok := got[hokLabels(t, "dropped").String()]; ok {
						t.Error("a deleted channel is back")
					}
					if db.HasTenant("gone") && withCatalog {
						t.Error("a deleted tenant is back")
					}
				})
			}
		}
	}
}

// TestRepairOfBlocks damages, empties and removes each block of tenant t.
func TestRepairOfBlocks(t *testing.T) {
	for _, trimmed := range []bool{false, true} {
		image, want := repairable(t, trimmed)
		blocks := filesBelow(t, image, "data/blocks/t", anyFile)
		for i := range blocks {
			for _, how := range []string{"flip", "empty", "remove"} {
				t.Run(fmt.Sprintf("%d %s, trimmed %v", i, how, trimmed), func(t *testing.T) {
					fs := copyFS(t, image)
					b := readFile(t, fs, blocks[i])
					switch how {
					case "flip":
						b[disk.HeaderSize+disk.FrameHeaderSize+3] ^= 1 // in the first chunk
						writeFile(t, fs, blocks[i], b)
					case "empty":
						writeFile(t, fs, blocks[i], nil)
					case "remove":
						remove(t, fs, blocks[i])
					}
					db, report := repaired(t, fs, trimmed)
					defer db.Close()
					if !trimmed {
						wantRepaired(t, db, want)
						return
					}
					if len(report.Unknown) == 0 {
						t.Errorf("rows are lost, and the report says %+v", report)
					}
					got, _ := channelBits(t, db, model.AllTime())
					least := 60
					if how == "flip" {
						least = 90
					}
					if n := len(got[hokLabels(t, "kept").String()]); n < least {
						t.Errorf("%d rows are left", n)
					}
				})
			}
		}
	}
}

// TestRepairOfALostSegment removes each segment: what they held and nothing
// else does is lost, and said to be.
func TestRepairOfALostSegment(t *testing.T) {
	image, _ := repairable(t, true)
	segments := filesBelow(t, image, "data/log", anyFile)
	for i, name := range segments {
		for _, how := range []string{"flip", "remove"} {
			t.Run(fmt.Sprintf("%d %s", i, how), func(t *testing.T) {
				fs := copyFS(t, image)
				if b := readFile(t, fs, name); how == "flip" {
					b[len(b)*2/3] ^= 1
					writeFile(t, fs, name, b)
				} else {
					remove(t, fs, name)
				}
				faults, _ := verifyFaults(t, fs)
				report, err := Repair(context.Background(), repairOptions(fs, true))
				if err != nil {
					t.Fatal(err)
				}
				if len(faults) > 0 && len(report.Unknown) == 0 {
					t.Errorf("faults %v, and the report says %+v", faults, report)
				}
				db, err := Open(repairOptions(fs, true))
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				got, _ := channelBits(t, db, model.AllTime())
				if n := len(got[hokLabels(t, "kept").String()]); n < 115 {
					t.Errorf("%d rows are left", n)
				}
			})
		}
	}
}

// TestRepairOfNothing refuses what is no database.
func TestRepairOfNothing(t *testing.T) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("data", 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Repair(context.Background(), scriptOptions(fs)); !errors.Is(err, disk.ErrNotFound) {
		t.Errorf("an empty folder: %v", err)
	}
	writeFile(t, fs, "data/FORMAT", []byte("hokan 99\n"))
	if _, err := Repair(context.Background(), scriptOptions(fs)); !errors.Is(err, disk.ErrVersion) {
		t.Errorf("another version: %v", err)
	}
}

// TestRepairTwice loses the catalog again after what was salvaged and set aside
// was deleted: it stays so, and nothing is told twice.
func TestRepairTwice(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewMem()
	o := manualOptions(fs)
	o.SegmentBytes = 300 // so that the log is trimmed
	db := openManual(t, o)
	values := make([]float64, 3000)
	write(t, db, "a", 0, values...)
	write(t, db, "b", 0, 1, 2, 3)
	must(t, db.Flush(ctx))
	must(t, db.Checkpoint(ctx))
	write(t, db, "b", 3, 4)
	must(t, db.Checkpoint(ctx))
	must(t, db.Close())
	name := filesBelow(t, fs, "data/blocks/t", anyFile)[0]
	b := readFile(t, fs, name)
	b[disk.HeaderSize+disk.FrameHeaderSize+3] ^= 1 // in the first chunk
	writeFile(t, fs, name, b)
	repair := func() RepairReport {
		t.Helper()
		report, err := Repair(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		told := map[string]bool{}
		for _, item := range report.Unknown {
			if told[item.What] {
				t.Errorf("told twice: %v", item)
			}
			told[item.What] = true
		}
		return report
	}
	report := repair()
	if len(report.SetAside) != 1 || len(report.Unknown) != 1 {
		t.Errorf("one chunk is lost: %+v", report)
	}
	if report = repair(); !report.Empty() {
		t.Errorf("there was nothing to repair: %+v", report)
	}
	faults, notes := verifyFaults(t, fs)
	if len(faults) != 0 || !strings.Contains(fmt.Sprint(notes), disk.QuarantineSuffix) {
		t.Errorf("after a repair: faults %v, notes %v", faults, notes)
	}
	db = openManual(t, o)
	_, err := db.DeleteRows(ctx, "t", nil, model.AllTime())
	must(t, err)
	must(t, db.Compact(ctx))
	write(t, db, "b", 9, 9)
	must(t, db.Flush(ctx))
	must(t, db.Checkpoint(ctx))
	write(t, db, "b", 10, 10)
	must(t, db.Checkpoint(ctx))
	want, _ := channelBits(t, db, model.AllTime())
	must(t, db.Close())
	remove(t, fs, "data/catalog")
	report = repair()
	db = openManual(t, o)
	if got, _ := channelBits(t, db, model.AllTime()); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v; %+v", got, want, report)
	}
}

// TestRepairOfAnUpload sets a damaged file aside: Verify is content.
func TestRepairOfAnUpload(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewMem()
	db := openManual(t, manualOptions(fs))
	_, err := db.PutFile(ctx, "t", "notes", strings.NewReader("three words here"))
	must(t, err)
	must(t, db.Close())
	flip(t, fs, filesBelow(t, fs, "data/files", anyFile)[0])
	report, err := Repair(ctx, manualOptions(fs))
	if err != nil || len(report.SetAside) != 1 || len(report.Unknown) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	if faults, _ := verifyFaults(t, fs); len(faults) > 0 {
		t.Error(faults)
	}
}

// TestDeletionsOutliveTheirFiles loses the catalog while a block still stands
// whose rows were all deleted: they stay so.
func TestDeletionsOutliveTheirFiles(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewMem()
	files := disktest.New(fs)
	o := manualOptions(files)
	o.SegmentBytes = 300 // so that the log is trimmed
	db := openManual(t, o)
	write(t, db, "a", 0, 1, 2, 3)
	must(t, db.Flush(ctx))
	must(t, db.Checkpoint(ctx))
	a, err := db.Channels(ctx, "t", nil)
	must(t, err)
	must(t, db.DeleteChannels(ctx, "t", []model.ChannelID{a[0].ID}))
	files.Count(func(op disktest.Op) bool { return op.Kind == "remove" && strings.Contains(op.Path, "/blocks/") })
	files.FailFrom(0, errors.New("it stays"))
	must(t, db.Compact(ctx))
	if files.Failed() == 0 {
		t.Fatal("no block was to be removed")
	}
	for at := range int64(40) { // the deletion leaves the log
		write(t, db, "b", at, float64(at))
		must(t, db.Checkpoint(ctx))
	}
	want, _ := channelBits(t, db, model.AllTime())
	must(t, db.Close())
	if first, _ := db.log.Bounds(); first == 1 {
		t.Error("the log holds everything")
	}
	remove(t, fs, "data/catalog")
	o.FS = fs
	report, err := Repair(ctx, o)
	must(t, err)
	db = openManual(t, o)
	if got, _ := channelBits(t, db, model.AllTime()); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v; %+v", got, want, report)
	}
}

// TestRepairOfAFlushWithoutItsLastBlock loses the catalog after the last block of
// a flush went with its rows: the others are no leftovers of a flush that was
// broken off, although the log still has their entries.
func TestRepairOfAFlushWithoutItsLastBlock(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewMem()
	o := manualOptions(fs)
	now := int64(1_772_388_000_000_000_000)
	o.Clock = func() time.Time { return time.Unix(0, now) }
	db := openManual(t, o)
	write(t, db, "a", now-5*model.Day, 1)
	must(t, db.Flush(ctx))
	must(t, db.Checkpoint(ctx))
	must(t, db.Close())
	db = openManual(t, o) // begins another segment, and the first one goes
	write(t, db, "a", now, 2)
	write(t, db, "a", now+model.Day, 3)
	must(t, db.Flush(ctx))
	flushed := filesBelow(t, fs, "data/blocks/t", anyFile)
	_, err := db.DeleteRows(ctx, "t", nil, model.Span{From: now + 1, To: now + 2*model.Day})
	must(t, err)
	db.compactor.touch(db.tenants["t"])
	db.compactDue(ctx, nil)
	if left := filesBelow(t, fs, "data/blocks/t", anyFile); len(left) >= len(flushed) {
		t.Fatalf("of %v stay %v", flushed, left)
	}
	must(t, db.Checkpoint(ctx))
	want, _ := channelBits(t, db, model.AllTime())
	if first, last := db.log.Bounds(); first == 1 || first > last {
		t.Errorf("the log has entries %d to %d", first, last)
	}
	must(t, db.Close())
	remove(t, fs, "data/catalog")
	report, err := Repair(ctx, o)
	must(t, err)
	db = openManual(t, o)
	if got, _ := channelBits(t, db, model.AllTime()); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v; %+v", got, want, report)
	}
}

// TestRepairKeepsTheLastRules loses a checkpoint: the rules are those that were
// set last, not those that the newest block tells.
func TestRepairKeepsTheLastRules(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewMem()
	o := manualOptions(fs)
	db := openManual(t, o)
	set := func(keep string) {
		t.Helper()
		must(t, db.SetRetention(ctx, "t", testRules(keep, "tenant", "")))
	}
	set("200y")
	write(t, db, "a", 0, 1)
	must(t, db.Flush(ctx))
	set("100y")
	must(t, db.Checkpoint(ctx))
	must(t, db.Close())
	db = openManual(t, o) // in another segment
	write(t, db, "a", 1, 2)
	must(t, db.Checkpoint(ctx))
	must(t, db.Close())
	for _, name := range filesBelow(t, fs, "data/checkpoints", anyFile) {
		remove(t, fs, name)
	}
	report, err := Repair(ctx, o)
	must(t, err)
	db = openManual(t, o)
	if rules, err := db.Retention("t"); err != nil || !rules.Equal(testRules("100y", "tenant", "")) {
		t.Errorf("rules %v, %v; %+v", rules, err, report)
	}
}

// TestCatalogThatLostAManifest: the catalog has forgotten that rows are in a
// block, as it does when one of pebble's tables falls out of its list. Opening
// keeps the block and tells; a repair brings its rows back.
func TestCatalogThatLostAManifest(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewMem()
	o := manualOptions(fs)
	db := openManual(t, o)
	write(t, db, "a", 0, 1, 2, 3)
	must(t, db.Flush(ctx))
	must(t, db.Checkpoint(ctx))
	want, _ := channelBits(t, db, model.AllTime())
	revision := mustTenant(t, db).revision
	must(t, db.Close())
	c, err := catalog.Open(fs, "data/catalog", catalog.Options{})
	must(t, err)
	must(t, c.Commit(catalog.PutManifest("t", catalog.Manifest{Revision: revision + 1})))
	must(t, c.Close())
	db = openManual(t, o)
	if faults, _ := db.Faults(); !strings.Contains(fmt.Sprint(faults), "does not know the block") {
		t.Errorf("faults %v", faults)
	}
	must(t, db.Close())
	report, err := Repair(ctx, o)
	must(t, err)
	db = openManual(t, o)
	if got, _ := channelBits(t, db, model.AllTime()); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v; %+v", got, want, report)
	}
}

// TestCatalogThatLostAPartition: the catalog has forgotten the checkpoint of a
// partition, without which the log, which was trimmed, does not say that its
// tenants exist. A repair takes the checkpoint for what it is.
func TestCatalogThatLostAPartition(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewMem()
	o := manualOptions(fs)
	o.SegmentBytes = 300
	db := openManual(t, o)
	for at := range int64(20) {
		write(t, db, "a", at, 1)
	}
	must(t, db.Checkpoint(ctx))
	want, _ := channelBits(t, db, model.AllTime())
	p := mustTenant(t, db).partition
	revision := p.record.Revision
	if first, _ := db.log.Bounds(); first <= 1 {
		t.Fatal("the log was not trimmed")
	}
	must(t, db.Close())
	c, err := catalog.Open(fs, "data/catalog", catalog.Options{})
	must(t, err)
	must(t, c.Commit(catalog.PutPartition(p.id, catalog.PartitionRecord{Revision: revision + 1})))
	must(t, c.Close())
	report, err := Repair(ctx, o)
	must(t, err)
	db = openManual(t, o)
	if got, _ := channelBits(t, db, model.AllTime()); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v; %+v", got, want, report)
	}
}
