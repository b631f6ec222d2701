package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk/disktest"
	"github.com/hokan-db/hokan/engine/model"
)

// TestReserve lets the disk fill up to its reserve and empties it again: what
// grows is refused meanwhile, everything else goes on, and so does writing as
// soon as there is room.
func TestReserve(t *testing.T) {
	ctx := context.Background()
	fs := disktest.New(vfs.NewMem())
	now := time.Unix(1_700_000_000, 0)
	o := scriptOptions(fs)
	o.Clock = func() time.Time { return now }
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const gigabyte = 1 << 30
	fs.SetUsage(gigabyte/20, gigabyte)
	if err := db.CreateTenant(ctx, "t"); err != nil {
		t.Fatalf("with exactly the reserve: %v", err)
	}
	at := now.UnixNano()
	write := func() error {
		at++
		_, err := db.Append(ctx, &model.Batch{Tenant: "t", Columns: []model.Column{
			{Labels: testLabels("a"), Times: []int64{at}, Values: []float64{1}}}})
		return err
	}
	put := func() error {
		at++
		_, err := db.PutFile(ctx, "t", fmt.Sprint("file", at), strings.NewReader("text"))
		return err
	}
	if err := errors.Join(write(), put()); err != nil {
		t.Fatal(err)
	}
	file := at
	alarm, err := db.PutAlarm(ctx, "t", AlarmDefinition{Name: "x", Channel: 1, Operator: uint8(Greater), Threshold: 1})
	if err != nil {
		t.Fatal(err)
	}

	fs.SetUsage(gigabyte/20-1, gigabyte)
	if err := write(); err != nil {
		t.Errorf("the disk was asked twice in a second: %v", err)
	}
	now = now.Add(time.Second)
	refused := map[string]error{
		"append": write(), "put file": put(), "create tenant": db.CreateTenant(ctx, "u"),
		"define": db.Define(ctx, "t", []model.Definition{{Labels: testLabels("b")}}),
	}
	_, refused["put alarm"] = db.PutAlarm(ctx, "t", AlarmDefinition{Name: "y", Channel: 1, Operator: uint8(Greater)})
	for what, err := range refused {
		if !errors.Is(err, ErrFull) {
			t.Errorf("%s: %v, want ErrFull", what, err)
		}
	}
	sums, err := db.Summarize(ctx, "t", []model.ChannelID{1}, model.AllTime())
	if err != nil || sums[0].Count != 2 {
		t.Errorf("reading: %+v, %v", sums, err)
	}
	if room := db.DiskRoom(); !room.Known || room.Reserve != gigabyte/20 || room.Free != room.Reserve-1 {
		t.Errorf("room %+v", room)
	}
	checkFits(t, db, gigabyte/20)
	checkFreeing(t, db, alarm.ID, fmt.Sprint("file", file))

	fs.SetUsage(gigabyte/20, gigabyte)
	now = now.Add(time.Second)
	if err := errors.Join(write(), put()); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// checkFits checks what work on blocks may write with next to the reserve free.
func checkFits(t *testing.T, db *DB, reserve uint64) {
	t.Helper()
	if err := db.reserve.fits(reserve/2, true); err != nil {
		t.Errorf("what frees room may not use the reserve: %v", err)
	}
	if err := db.reserve.fits(reserve, true); !errors.Is(err, ErrFull) {
		t.Errorf("what frees room may use all of the reserve: %v", err)
	}
	if err := db.reserve.fits(0, false); !errors.Is(err, ErrFull) {
		t.Errorf("other work may use the reserve: %v", err)
	}
}

// checkFreeing checks that what frees room, or bounds what is kept, goes on
// below the reserve.
func checkFreeing(t *testing.T, db *DB, alarm uint64, file string) {
	t.Helper()
	ctx := context.Background()
	if err := db.DeleteAlarm(ctx, "t", alarm); err != nil {
		t.Errorf("delete alarm: %v", err)
	}
	_, err := db.DeleteRows(ctx, "t", nil, model.AllTime())
	for what, err := range map[string]error{
		"delete rows": err, "set retention": db.SetRetention(ctx, "t", testRules("1y", "tenant", "")),
		"delete channels": db.DeleteChannels(ctx, "t", []model.ChannelID{1}),
		"delete file":     db.DeleteFile(ctx, "t", file),
		"flush":           db.Flush(ctx), "compact": db.Compact(ctx), "record": db.PutRecord(ctx, "key", nil),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestReserveOfADiskThatDoesNotTell writes where nobody knows what is free, and
// where no reserve is wanted.
func TestReserveOfADiskThatDoesNotTell(t *testing.T) {
	ctx := context.Background()
	for name, change := range map[string]func(*Options, *disktest.FS){
		"it does not tell": func(*Options, *disktest.FS) {},
		"it fails": func(_ *Options, fs *disktest.FS) {
			fs.SetUsage(0, 1<<40)
			fs.Count(func(op disktest.Op) bool { return op.Kind == "usage" })
			fs.FailFrom(0, errors.New("no answer"))
		},
		"no reserve": func(o *Options, fs *disktest.FS) {
			fs.SetUsage(0, 1<<40)
			o.FreeReserve = -1
		},
	} {
		fs := disktest.New(vfs.NewMem())
		o := scriptOptions(fs)
		change(&o, fs)
		db, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.CreateTenant(ctx, "t"), db.reserve.fits(1<<20, false), db.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
