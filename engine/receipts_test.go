package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// receiptsFixture is a database with a tenant, and a clock that a test moves.
type receiptsFixture struct {
	t   *testing.T
	fs  *vfs.MemFS
	db  *DB
	now atomic.Int64
}

func newReceiptsFixture(t *testing.T) *receiptsFixture {
	f := &receiptsFixture{t: t, fs: vfs.NewCrashableMem()}
	f.now.Store(1_800_000_000e9)
	f.open(f.fs)
	must(t, f.db.CreateTenant(context.Background(), "t"))
	t.Cleanup(func() { f.db.Close() })
	return f
}

func (f *receiptsFixture) open(fs *vfs.MemFS) {
	f.t.Helper()
	db, err := Open(Options{FS: fs, Dir: "data", Clock: func() time.Time { return time.Unix(0, f.now.Load()) }, Manual: true})
	must(f.t, err)
	f.fs, f.db = fs, db
}

// answer keeps an answer to a request.
func (f *receiptsFixture) answer(id RequestID, text string) {
	f.t.Helper()
	claim, done, err := f.db.ClaimRequest("t", id)
	if err != nil || done != nil {
		f.t.Fatalf("%+v: %+v, %v", id, done, err)
	}
	defer claim.Release()
	must(f.t, claim.Keep(Fingerprint{1}, 201, "Content-Type: text/plain\r\n", []byte(text)))
}

// answered checks what a request was answered; "" is that it is a new one.
func (f *receiptsFixture) answered(id RequestID, want string) {
	f.t.Helper()
	claim, done, err := f.db.ClaimRequest("t", id)
	if err != nil || (claim == nil) == (want == "") || want != "" && (string(done.Answer) != want || done.Status != 201 || done.Fingerprint != Fingerprint{1}) {
		f.t.Fatalf("%+v: %+v, %+v, %v, want %q", id, claim, done, err, want)
	}
	if claim != nil {
		claim.Release()
	}
}

// TestReceiptsSurvive: answers are there after a crash, a checkpoint, a restart
// and each after the other, until they are too old; and go with their tenant.
func TestReceiptsSurvive(t *testing.T) {
	ctx := context.Background()
	f := newReceiptsFixture(t)
	key, second, of := RequestID{Key: "k"}, RequestID{Key: "l"}, RequestID{Producer: "p", Sequence: 9}
	f.answer(key, "first")
	f.answer(of, "nine")
	crash := func() {
		copied := crashClone(f.fs, 1, 0)
		f.db.Close()
		f.open(copied)
	}
	crash()
	f.answered(key, "first")
	f.answered(of, "nine")
	must(t, f.db.Checkpoint(ctx))
	f.answer(second, "second")
	crash()
	must(t, f.db.Close())
	f.open(f.fs)
	for id, text := range map[RequestID]string{key: "first", second: "second", of: "nine", {Key: "m"}: "", {Producer: "p", Sequence: 10}: ""} {
		f.answered(id, text)
	}
	f.now.Add(model.Day)
	f.answered(key, "")
	f.answered(of, "nine")
	f.answer(key, "again")
	crash()
	f.answered(key, "again")
	f.answered(second, "")
	_, err := f.db.DeleteTenant(ctx, "t")
	must(t, err)
	if _, _, err := f.db.ClaimRequest("t", key); !errors.Is(err, ErrUnknownTenant) {
		t.Errorf("of a tenant that was deleted: %v", err)
	}
	must(t, f.db.CreateTenant(ctx, "t"))
	f.answered(key, "")
	f.answered(of, "")
}

// TestClaims: a request is answered by one at a time, and by the next where that
// one kept nothing.
func TestClaims(t *testing.T) {
	f := newReceiptsFixture(t)
	id := RequestID{Key: "k"}
	claim, _, err := f.db.ClaimRequest("t", id)
	must(t, err)
	if _, _, err := f.db.ClaimRequest("t", id); !errors.Is(err, ErrInProgress) {
		t.Errorf("claimed twice: %v", err)
	}
	f.answered(RequestID{Key: "other"}, "")
	f.answered(RequestID{Producer: "k", Sequence: 1}, "")
	claim.Release()
	f.answered(id, "")
	if _, _, err := f.db.ClaimRequest("t", RequestID{}); !errors.Is(err, ErrInvalid) {
		t.Errorf("no name: %v", err)
	}
	if _, _, err := f.db.ClaimRequest("nobody", id); !errors.Is(err, ErrUnknownTenant) {
		t.Errorf("nobody: %v", err)
	}
	claim, _, err = f.db.ClaimRequest("t", id)
	must(t, err)
	_, err = f.db.DeleteTenant(context.Background(), "t")
	must(t, err)
	if err := claim.Keep(Fingerprint{}, 200, "", nil); !errors.Is(err, ErrUnknownTenant) {
		t.Errorf("the tenant was deleted meanwhile: %v", err)
	}
	claim.Release()
	if faults, refused := f.db.Faults(); len(faults) > 0 || refused > 0 {
		t.Errorf("%v, %d entries refused", faults, refused)
	}
}

// TestClaimRefusals: what cannot be told, or kept, is refused, and says why.
func TestClaimRefusals(t *testing.T) {
	f := newReceiptsFixture(t)
	for i := range policy.IdempotencyKeys.Default - 1 {
		f.answer(RequestID{Key: fmt.Sprint(i)}, "a")
		f.now.Add(1)
	}
	claim, _, err := f.db.ClaimRequest("t", RequestID{Key: "in progress"})
	must(t, err)
	_, _, err = f.db.ClaimRequest("t", RequestID{Key: "4097"})
	var full *ReceiptLimitError
	if !errors.As(err, &full) || full.Limit.Name != "idempotency_keys" || !strings.Contains(err.Error(), "4096") ||
		full.After != 24*time.Hour-time.Duration(policy.IdempotencyKeys.Default-1) {
		t.Errorf("%+v, %v", full, err)
	}
	f.answered(RequestID{Key: "0"}, "a") // those that are known are answered
	claim.Release()
	f.answered(RequestID{Key: "4097"}, "")

	f.answer(RequestID{Producer: "p", Sequence: 1000}, "a")
	if _, _, err := f.db.ClaimRequest("t", RequestID{Producer: "p", Sequence: 936}); !errors.Is(err, ErrSequenceTooOld) {
		t.Errorf("before the window: %v", err)
	}
	f.answered(RequestID{Producer: "p", Sequence: 937}, "")
	f.answer(RequestID{Producer: "p", Sequence: 999}, strings.Repeat("x", int(policy.AnswerKept.Default)))
	if _, _, err := f.db.ClaimRequest("t", RequestID{Producer: "p", Sequence: 999}); !errors.Is(err, ErrAnswerForgotten) {
		t.Errorf("an answer too large to keep: %v", err)
	}
}

// TestReceiptsAreCopied: what was answered is the caller's again, and does not
// change what is kept.
func TestReceiptsAreCopied(t *testing.T) {
	f := newReceiptsFixture(t)
	answer := []byte("first")
	claim, _, err := f.db.ClaimRequest("t", RequestID{Key: "k"})
	must(t, err)
	must(t, claim.Keep(Fingerprint{1}, 201, "", answer))
	claim.Release()
	copy(answer, "XXXXX")
	f.answered(RequestID{Key: "k"}, "first")
}

// TestCheckpointWithoutReceipts reads a checkpoint of version 2, which has none.
func TestCheckpointWithoutReceipts(t *testing.T) {
	state := &partitionState{partition: 3, offset: 9, tenants: []tenantState{{name: "t", born: 3, applied: 9, nextID: 1}}}
	state.tenants[0].alarms = newTenant("t", nil).alarms.AppendTo(nil)
	var file bytes.Buffer
	must(t, encodeCheckpoint(&file, 1, state))
	stream := file.Bytes()[disk.HeaderSize+disk.FrameHeaderSize : file.Len()-disk.FrameHeaderSize]
	// The stream ends with the counts of bytes of receipts and of heads, both 0.
	stream = stream[:len(stream)-1]
	old := disk.AppendHeader(nil, disk.FileHeader{Kind: disk.KindCheckpoint, Version: 2, Salt: disk.NewSalt()})
	old = append(old, disk.FinishFrame(append(disk.BeginFrame(nil), stream...), 0, 0)...)
	old = append(old, disk.FinishFrame(disk.BeginFrame(nil), 0, 1)...)
	found := 0
	_, err := decodeCheckpoint(bytesObject{bytes.NewReader(old)}, "old", func(c *tenantCheckpoint) error {
		found++
		if keys, producers := c.receiptSet.Len(); c.name != "t" || keys+producers > 0 {
			t.Errorf("%+v", c)
		}
		return nil
	})
	if err != nil || found != 1 {
		t.Errorf("%d tenants, %v", found, err)
	}
}
