package engine

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/engine/receipt"
)

// RequestID names a request that may come again, because whoever sent it does
// not know whether it arrived: by a key, or by a producer and its sequence.
type RequestID = receipt.ID

// Receipt is what was answered to a request.
type Receipt = receipt.Receipt

// Fingerprint tells requests of one RequestID apart.
type Fingerprint = receipt.Fingerprint

var (
	// ErrInProgress refuses a request that is being answered already.
	ErrInProgress = errors.New("in progress")
	// ErrSequenceTooOld refuses a sequence so far before its producer's highest
	// that it is not known whether it was done.
	ErrSequenceTooOld = errors.New("sequence too old")
	// ErrAnswerForgotten refuses a request that was done, and whose answer is
	// not kept.
	ErrAnswerForgotten = errors.New("answer not kept")
)

// ReceiptLimitError refuses a request for whose answer there is no room.
type ReceiptLimitError struct {
	Limit policy.Limit
	After time.Duration // when there is room again, if nothing else comes
}

// Error implements error.
func (e *ReceiptLimitError) Error() string {
	return fmt.Sprintf("%s: there may be %d %s", e.Limit.Name, e.Limit.Default, e.Limit.Doc)
}

// Claim is a request that nobody else may answer meanwhile.
type Claim struct {
	db *DB
	t  *tenant
	id RequestID
}

// ClaimRequest makes the caller the only one who answers a request, until the
// claim is released. Where it was answered before, the receipt of that is
// returned instead. A request that was done without its answer being known is
// ErrAnswerForgotten or ErrSequenceTooOld; one that is claimed is ErrInProgress;
// one too many a *ReceiptLimitError.
//
// An answer is kept for policy.KeyAge, by the times of entries; of a producer as
// long as its sequence is in the window and the producer not idle for
// policy.ProducerAge.
func (db *DB) ClaimRequest(name model.Tenant, id RequestID) (*Claim, *Receipt, error) {
	if err := id.Validate(); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	t, err := db.enterTenant(name)
	if err != nil {
		return nil, nil, err
	}
	defer db.gate.leave()
	now := db.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, claimed := t.claimed[id]; claimed {
		return nil, nil, ErrInProgress
	}
	switch state, done := t.receipts.Find(id, now); state {
	case receipt.Done:
		return nil, done, nil
	case receipt.Forgotten:
		return nil, done, fmt.Errorf("%w: the request was done; what was answered is not known any more", ErrAnswerForgotten)
	case receipt.TooOld:
		return nil, nil, fmt.Errorf("%w: of producer %q at most %d before the highest are known, and %d is before them",
			ErrSequenceTooOld, id.Producer, receipt.Window-1, id.Sequence)
	}
	if refused := t.receipts.Room(id, now, t.claimedKeys); refused != nil {
		return nil, nil, &ReceiptLimitError{refused.Limit, time.Duration(max(refused.Until-now, 0))}
	}
	t.claimed[id] = struct{}{}
	if id.Producer == "" {
		t.claimedKeys++
	}
	return &Claim{db, t, id}, nil, nil
}

// Keep makes what was answered durable: repeats get it from then on. Of an
// answer of more than policy.AnswerKept bytes it is kept that it was given.
func (c *Claim) Keep(f Fingerprint, status int, header string, answer []byte) error {
	if err := c.db.gate.enter(); err != nil {
		return err
	}
	defer c.db.gate.leave()
	if err := c.t.beginNaming(); err != nil { // so that the tenant stays meanwhile
		return err
	}
	defer c.t.naming.RUnlock()
	body := &entry.PutReceipt{ID: c.id, Fingerprint: f, Status: uint16(status), Header: header, Answer: slices.Clone(answer)}
	if int64(len(header)+len(answer)) > policy.AnswerKept.Default {
		body.Status, body.Header, body.Answer = 0, "", nil
	}
	_, err := c.db.write(c.t.partition, c.t.name, &entry.Entry{Body: body})
	return err
}

// Release lets others claim the request, whether its answer was kept or not.
func (c *Claim) Release() {
	c.t.mu.Lock()
	defer c.t.mu.Unlock()
	delete(c.t.claimed, c.id)
	if c.id.Producer == "" {
		c.t.claimedKeys--
	}
}
