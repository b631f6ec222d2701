package engine

import (
	"context"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// eachScript runs a fault loop twice: over what writes and keeps, and over
// what deletes, expires and copies as well.
func eachScript(t *testing.T, name string, loop func(t *testing.T, newScript func() *script)) {
	t.Run(name, func(t *testing.T) { loop(t, newScript) })
	t.Run(name+", with endings", func(t *testing.T) {
		loop(t, func() *script {
			s := newScript()
			s.life = &endings{begun: map[string]bool{}, done: map[string]bool{}}
			return s
		})
	})
}

// endings are the operations that end something: which were begun, and which
// were acknowledged.
type endings struct{ begun, done map[string]bool }

func (e *endings) clone() *endings {
	if e == nil {
		return nil
	}
	return &endings{maps.Clone(e.begun), maps.Clone(e.done)}
}

// The batches up to these are deleted, and expire.
const (
	deletedBatches = 3
	expiredBatches = 4
)

// ended reports whether batch i must not be there any more, or may not.
func (e *endings) ended(i int) (must, may bool) {
	if e == nil {
		return false, false
	}
	deleted, expired := i < deletedBatches, i < expiredBatches
	return deleted && e.done["delete rows"] || expired && e.done["retention"],
		deleted && e.begun["delete rows"] || expired && e.begun["retention"]
}

// try notes an operation that is begun, and that it is done.
func (s *script) try(name string, do func() error) {
	s.mu.Lock()
	s.life.begun[name] = true
	s.mu.Unlock()
	if err := do(); err == nil {
		s.mu.Lock()
		s.life.done[name] = true
		s.mu.Unlock()
	}
}

// end does what ends things, after batch i.
func (s *script) end(db *DB, i int) {
	ctx := context.Background()
	switch i {
	case 0: // a tenant and a channel that will be deleted
		s.try("guest", func() error {
			if err := db.CreateTenant(ctx, "guest"); err != nil {
				return err
			}
			b := scriptBatch(0)
			b.Tenant = "guest"
			_, err := db.Append(ctx, b)
			return err
		})
		s.try("channel", func() error {
			_, err := db.Append(ctx, &model.Batch{Tenant: "t", Columns: []model.Column{{Labels: testLabels("c"), Times: []int64{7}, Values: []float64{7}}}})
			return err
		})
	case 2:
		s.try("receipt", func() error { return keepReceipt(db, "early") })
	case 8:
		s.try("late receipt", func() error { return keepReceipt(db, "late") })
	case 4:
		s.try("file", func() error {
			_, err := db.PutFile(ctx, "t", "report", strings.NewReader("content"))
			return err
		})
		s.try("delete channel", func() error {
			ids, err := db.Channels(ctx, "t", mustSelector(`{channel="c"}`))
			if err != nil || len(ids) == 0 {
				return fmt.Errorf("no channel: %w", err)
			}
			return db.DeleteChannels(ctx, "t", []model.ChannelID{ids[0].ID})
		})
	case 6:
		s.try("delete rows", func() error {
			_, err := db.DeleteRows(ctx, "t", nil, model.Span{From: 0, To: deletedBatches * 60e9})
			return err
		})
	case 7:
		s.try("delete tenant", func() error {
			if !s.life.done["guest"] {
				return fmt.Errorf("it may not be there")
			}
			_, err := db.DeleteTenant(ctx, "guest")
			return err
		})
	case 9:
		s.try("retention", func() error {
			keep, err := policy.ParseKeep(fmt.Sprint(int64(1e9)-expiredBatches*60, "s"))
			if err != nil {
				return err
			}
			return db.SetRetention(ctx, "t", policy.Rules{{Scope: policy.ScopeTenant, Keep: [model.StepCount]*policy.Keep{&keep}}})
		})
		for _, t := range db.allTenants(func(*tenant) bool { return true }) {
			db.compactor.touch(t)
		}
		db.compactDue(ctx, nil)
	case 10:
		s.try("snapshot", func() error { _, err := db.Snapshot(ctx, "copy"); return err })
	}
}

// keepReceipt answers a request with its key.
func keepReceipt(db *DB, key string) error {
	claim, done, err := db.ClaimRequest("t", RequestID{Key: key})
	if err != nil || done != nil {
		return err
	}
	defer claim.Release()
	return claim.Keep(Fingerprint{}, 200, "", []byte(key))
}

// verifyReceipt checks that a request whose answer was kept gets it again.
func verifyReceipt(db *DB, key string) error {
	claim, done, err := db.ClaimRequest("t", RequestID{Key: key})
	if err == nil && (done == nil || string(done.Answer) != key) {
		err = fmt.Errorf("request %q gets the answer %+v", key, done)
	}
	if claim != nil {
		claim.Release()
	}
	return err
}

// verifyEndings checks what was ended, and the copy that was made.
func (s *script) verifyEndings(db *DB, fs disk.FS) error {
	ctx, e := context.Background(), s.life
	if e.done["delete tenant"] && db.HasTenant("guest") {
		return fmt.Errorf("the tenant that was deleted is there")
	}
	if e.done["guest"] && !e.begun["delete tenant"] && !db.HasTenant("guest") {
		return fmt.Errorf("the second tenant is lost")
	}
	if db.HasTenant("t") {
		channels, err := db.Channels(ctx, "t", mustSelector(`{channel="c"}`))
		if err != nil {
			return err
		}
		if len(channels) > 0 && e.done["delete channel"] {
			return fmt.Errorf("the channel that was deleted is there")
		}
		if len(channels) == 0 && e.done["channel"] && !e.begun["delete channel"] {
			return fmt.Errorf("the third channel is lost")
		}
	}
	for name, key := range map[string]string{"receipt": "early", "late receipt": "late"} {
		if e.done[name] {
			if err := verifyReceipt(db, key); err != nil {
				return err
			}
		}
	}
	if e.done["file"] {
		_, content, err := db.OpenFile(ctx, "t", "report")
		if err != nil {
			return err
		}
		text, err := io.ReadAll(content)
		if content.Close(); err != nil || string(text) != "content" {
			return fmt.Errorf("the uploaded file reads %q: %w", text, err)
		}
	}
	if e.done["snapshot"] {
		return s.verifyCopy(fs)
	}
	return nil
}

// verifyCopy checks a copy that was made when all but the last batch was there.
func (s *script) verifyCopy(fs disk.FS) error {
	options := scriptOptions(fs)
	options.Dir = "copy"
	db, err := Open(options)
	if err != nil {
		return fmt.Errorf("open the copy: %w", err)
	}
	defer db.Close()
	if faults, _ := db.Faults(); len(faults) > 0 {
		return fmt.Errorf("faults of the copy: %v", faults)
	}
	early := s.soFar()
	early.acknowledged[scriptBatches-1] = false
	if err := early.verifyRows(db); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	return nil
}
