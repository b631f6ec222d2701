package auth_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/server/auth"
	"github.com/hokan-db/hokan/server/rate"
)

func open(t *testing.T, fs vfs.FS) (*engine.DB, *auth.Store) {
	t.Helper()
	db, err := engine.Open(engine.Options{FS: fs, Dir: "data", Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	store, err := auth.Open(db, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return db, store
}

// TestTokens makes, finds, lists and revokes tokens, also after a crash that
// keeps only what was synced.
func TestTokens(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewCrashableMem()
	db, store := open(t, fs)
	create := func(asked auth.Token) (string, auth.Token) {
		t.Helper()
		secret, made, err := store.Create(ctx, asked)
		if err != nil {
			t.Fatal(err)
		}
		return secret, made
	}
	both, bothToken := create(auth.Token{Tenant: "lake", Name: "gateway"})
	read, _ := create(auth.Token{Tenant: "lake", Scope: auth.Read})
	admin, adminToken := create(auth.Token{Admin: true})
	revoked, revokedToken := create(auth.Token{Tenant: "lake", Scope: auth.Write})
	if !db.HasTenant("lake") {
		t.Error("the tenant was not made")
	}
	if bothToken.Scope != auth.Both || !bothToken.Scope.CanRead() || !bothToken.Scope.CanWrite() {
		t.Errorf("the default scope is %q", bothToken.Scope)
	}
	if !strings.HasPrefix(both, auth.Prefix) || len(both) != len(auth.Prefix)+43 || strings.Contains(both, bothToken.ID) {
		t.Errorf("secret %q, ID %q", both, bothToken.ID)
	}
	if err := store.Revoke(ctx, revokedToken.ID); err != nil {
		t.Fatal(err)
	}
	if err := store.Revoke(ctx, revokedToken.ID); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("revoked twice: %v", err)
	}
	check := func(store *auth.Store) {
		t.Helper()
		if found, err := store.Lookup(both); err != nil || found != bothToken {
			t.Errorf("found %+v, %v; want %+v", found, err, bothToken)
		}
		if found, err := store.Lookup(read); err != nil || found.Scope.CanWrite() {
			t.Errorf("found %+v, %v", found, err)
		}
		if found, err := store.Lookup(admin); err != nil || found != adminToken || found.Scope.CanRead() || found.Scope.CanWrite() {
			t.Errorf("found %+v, %v", found, err)
		}
		for _, secret := range []string{revoked, "", auth.Prefix, both[:len(both)-1], both + "A", strings.Repeat("x", 1<<20)} {
			if _, err := store.Lookup(secret); !errors.Is(err, auth.ErrUnknown) {
				t.Errorf("%.60q is found: %v", secret, err)
			}
		}
		if all := store.List(); len(all) != 3 {
			t.Errorf("lists %+v", all)
		}
	}
	check(store)
	// The database holds no secret.
	if err := db.Records("", func(key string, value []byte) error {
		for _, secret := range []string{both, read, admin} {
			if strings.Contains(string(value)+key, secret) || strings.Contains(string(value)+key, strings.TrimPrefix(secret, auth.Prefix)) {
				t.Errorf("record %s holds a secret", key)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, store = open(t, crashed)
	defer db.Close()
	check(store)
}

// TestRates: a token is held to its rate, also after a crash, until it is revoked;
// tokens without one, of records of before too, are not.
func TestRates(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewCrashableMem()
	db, store := open(t, fs)
	create := func(perSecond uint64) auth.Token {
		t.Helper()
		_, made, err := store.Create(ctx, auth.Token{Tenant: "lake", SamplesPerSecond: perSecond})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	slow, neighbour, free := create(10), create(10), create(0)
	const before = `{"id":"before","tenant":"lake","name":"","scope":"both","admin":false,"created":"2026-01-01T00:00:00Z","hash":"`
	if err := db.PutRecord(ctx, "token/before", []byte(before+strings.Repeat("ab", 32)+`"}`)); err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		for _, id := range []string{slow.ID, neighbour.ID, free.ID, "before", "none", ""} {
			if err := store.Owed(id); err != nil {
				t.Errorf("%s owes what it did not write: %v", id, err)
			}
		}
		for _, id := range []string{slow.ID, free.ID, "before", "none", ""} {
			store.Take(id, 1e6)
			var tooFast *rate.Error
			if err := store.Owed(id); id != slow.ID && err != nil {
				t.Errorf("%s has no rate: %v", id, err)
			} else if id == slow.ID && (!errors.As(err, &tooFast) || tooFast.Holder != rate.Token || tooFast.PerSecond != 10) {
				t.Errorf("after a million: %v", err)
			}
		}
		if err := store.Owed(neighbour.ID); err != nil {
			t.Errorf("another token pays: %v", err)
		}
	}
	check()
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, store = open(t, crashed)
	defer db.Close()
	check()
	if all := store.List(); len(all) != 4 || all[1].SamplesPerSecond+all[2].SamplesPerSecond+all[3].SamplesPerSecond != 20 || all[0].SamplesPerSecond != 0 {
		t.Errorf("lists %+v", all)
	}
	if err := store.Revoke(ctx, slow.ID); err != nil {
		t.Fatal(err)
	}
	if err := store.Owed(slow.ID); err != nil {
		t.Errorf("what is revoked has a rate: %v", err)
	}
}

// TestRevokeWithoutDisk checks that a token is void at once though its record
// cannot be removed, that this is said, and that it is not forgotten.
func TestRevokeWithoutDisk(t *testing.T) {
	ctx := context.Background()
	fs := vfs.NewMem()
	db, store := open(t, fs)
	secret, made, err := store.Create(ctx, auth.Token{Tenant: "lake"})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	store.OnRevoke(func(id string) {
		if _, err := store.Lookup(secret); !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("told while the token is still good: %v", err)
		}
		told = append(told, id)
	})
	if err := db.Close(); err != nil { // what is written from now on fails
		t.Fatal(err)
	}
	for range 2 {
		if err := store.Revoke(ctx, made.ID); !errors.Is(err, auth.ErrNotDurable) || !errors.Is(err, engine.ErrClosed) {
			t.Errorf("revoked without a disk: %v", err)
		}
		if _, err := store.Lookup(secret); !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("a token that could not be removed is found: %v", err)
		}
	}
	if len(told) != 1 || told[0] != made.ID {
		t.Errorf("told of %v", told)
	}
	if err := store.Revoke(ctx, "none"); !errors.Is(err, auth.ErrUnknown) {
		t.Errorf("revoked what never was: %v", err)
	}
	db, store = open(t, fs)
	defer db.Close()
	left, cancel := context.WithCancel(ctx)
	cancel() // who asks does not wait
	if err := store.Revoke(left, made.ID); err != nil {
		t.Error(err)
	}
}

// TestRefused asks for tokens that make no sense.
func TestRefused(t *testing.T) {
	db, store := open(t, vfs.NewMem())
	defer db.Close()
	for _, asked := range []auth.Token{
		{}, {Tenant: "../x"}, {Tenant: "t", Scope: "all"}, {Tenant: "t", Admin: true}, {Admin: true, Scope: auth.Read},
		{Tenant: "t", Name: strings.Repeat("n", 1000)},
		{Admin: true, SamplesPerSecond: 1}, {Tenant: "t", Scope: auth.Read, SamplesPerSecond: 1}, {Tenant: "t", SamplesPerSecond: rate.Most + 1},
	} {
		if _, _, err := store.Create(context.Background(), asked); !errors.Is(err, auth.ErrInvalid) {
			t.Errorf("%+v: %v, want ErrInvalid", asked, err)
		}
	}
	if len(store.List()) != 0 || db.HasTenant("t") {
		t.Error("something was made")
	}
}

// TestDamaged opens tokens of which one is no token.
func TestDamaged(t *testing.T) {
	for _, value := range []string{"", "{", `{"id":"x"}`, `{"id":"y","hash":"00"}`, `{"id":"x","samples_per_second":-1,"hash":"` + strings.Repeat("00", 32) + `"}`} {
		db, _ := open(t, vfs.NewMem())
		if err := db.PutRecord(context.Background(), "token/x", []byte(value)); err != nil {
			t.Fatal(err)
		}
		if _, err := auth.Open(db, time.Now); !errors.Is(err, engine.ErrCorrupt) || !strings.Contains(err.Error(), "token/x") {
			t.Errorf("%q: %v, want ErrCorrupt and the record's key", value, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
