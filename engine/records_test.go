package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
)

// TestRecords puts, replaces, lists and deletes records, and finds them again
// after a crash that keeps only what was synced.
func TestRecords(t *testing.T) {
	fs := vfs.NewCrashableMem()
	ctx := context.Background()
	open := func(fs vfs.FS) *engine.DB {
		t.Helper()
		db, err := engine.Open(engine.Options{FS: fs, Dir: "data", Clock: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	check := func(db *engine.DB, prefix string, want ...string) {
		t.Helper()
		var got []string
		if err := db.Records(prefix, func(key string, value []byte) error {
			got = append(got, fmt.Sprintf("%s=%s", key, value))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("records under %q are %q, want %q", prefix, got, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	db := open(fs)
	must(db.PutRecord(ctx, "b/1", []byte("x")))
	must(db.PutRecord(ctx, "a/2", []byte("y")))
	must(db.PutRecord(ctx, "a/1", nil))
	must(db.PutRecord(ctx, "a/2", []byte("z")))
	must(db.PutRecord(ctx, "a\xff", []byte("v")))
	must(db.PutRecord(ctx, "gone", []byte("w")))
	must(db.DeleteRecord(ctx, "gone"))
	must(db.DeleteRecord(ctx, "never there"))
	must(db.PutRecord(ctx, "gone too", []byte("w")))
	must(db.ChangeRecords(ctx, engine.RecordChange{Key: "b/1", Value: []byte("xx")}, engine.RecordChange{Key: "gone too"},
		engine.RecordChange{Key: "b/1", Value: []byte("x")}))
	if err := db.ChangeRecords(ctx, engine.RecordChange{Key: "half", Value: []byte("1")}, engine.RecordChange{Key: ""}); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("changes with one that is refused: %v", err)
	}

	crashed := fs.CrashClone(vfs.CrashCloneCfg{}) // nothing but what was synced
	must(db.Close())
	db = open(crashed)
	defer db.Close()
	check(db, "a/", "a/1=", "a/2=z")
	check(db, "", "a/1=", "a/2=z", "a\xff=v", "b/1=x")
	check(db, "gone")
	if value, found, err := db.Record("a/2"); err != nil || !found || string(value) != "z" {
		t.Errorf("a/2 is %q, %v, %v", value, found, err)
	}
	if _, found, err := db.Record("gone"); err != nil || found {
		t.Errorf("a deleted record is found: %v, %v", found, err)
	}
	for _, key := range []string{"", strings.Repeat("k", 1000)} {
		if err := db.PutRecord(ctx, key, nil); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("a key of %d bytes: %v, want ErrInvalid", len(key), err)
		}
	}
	stop := errors.New("stop")
	if err := db.Records("", func(string, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a visit's error is %v", err)
	}
}

// TestRecordsStandBeside checks that records take no part in what the log
// makes: no tenant, no offset.
func TestRecordsStandBeside(t *testing.T) {
	db, err := engine.Open(engine.Options{FS: vfs.NewMem(), Dir: "data", Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	before := db.Applied(model.Tenant("t").Partition())
	if err := db.PutRecord(context.Background(), "t", []byte("v")); err != nil {
		t.Fatal(err)
	}
	if db.HasTenant("t") || db.Applied(model.Tenant("t").Partition()) != before {
		t.Error("a record changed what the log makes")
	}
	if err := db.Err(); err != nil {
		t.Errorf("an open database refuses writes: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.PutRecord(context.Background(), "t", nil); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
	if err := db.Err(); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
}
