package engine

import (
	"context"
	"time"

	"github.com/hokan-db/hokan/engine/catalog"
)

// LoggedEvent is an event of an alarm and the tenant whose it is.
type LoggedEvent = catalog.LoggedEvent

// EventPlace is where an event stands among those of all tenants.
type EventPlace = catalog.EventPlace

// EventsByEntry returns events of all tenants in the order of the log: those
// after a place, at most limit of them. Reading on from the place of the last
// one misses none: what is returned was brought about by entries before which
// every entry is applied.
func (db *DB) EventsByEntry(ctx context.Context, after EventPlace, limit int) ([]LoggedEvent, error) {
	if err := db.gate.enter(); err != nil {
		return nil, err
	}
	defer db.gate.leave()
	_, upTo := db.log.Bounds()
	for _, p := range db.partitions {
		if err := p.settle(ctx, upTo); err != nil {
			return nil, err
		}
	}
	return db.catalog.EventsByEntry(after, upTo, limit)
}

// settle waits until every entry of p up to upTo, which is durable, is applied:
// until p has come that far, or nobody waits for an entry of it.
func (p *partition) settle(ctx context.Context, upTo uint64) error {
	const pause = time.Millisecond // about what applying a group of entries takes
	for {
		p.mu.Lock()
		applied := p.applied
		p.mu.Unlock()
		if applied >= upTo || p.inFlight.Load() == 0 {
			return nil
		}
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		}
	}
}
