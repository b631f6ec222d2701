// Package turns shares places among tenants.
package turns

import (
	"context"
	"slices"
	"sync"

	"github.com/hokan-db/hokan/engine/model"
)

// Turns hands out places. Tenants that wait take turns, however many requests
// each has waiting, and no tenant has all places: one that is slow to leave its
// own never keeps others waiting.
type Turns struct {
	mu      sync.Mutex
	changed *sync.Cond // on mu: somebody waits, or no longer
	free    int
	most    int // places of one tenant
	tenants map[model.Tenant]*turn
	waiting []model.Tenant // those with requests that wait; the first is next
}

// turn is what one tenant has.
type turn struct {
	held  int
	queue []chan struct{} // closed when a request has its place; first come, first served
}

// New returns turns with a number of places, of which one tenant may have most.
func New(places, most int) *Turns {
	t := &Turns{free: places, most: most, tenants: map[model.Tenant]*turn{}}
	t.changed = sync.NewCond(&t.mu)
	return t
}

// Enter waits for a place, which must be left, unless ctx ends before.
func (t *Turns) Enter(ctx context.Context, name model.Tenant) error {
	place := make(chan struct{})
	t.mu.Lock()
	own := t.tenants[name]
	if own == nil {
		own = &turn{}
		t.tenants[name] = own
	}
	if own.queue = append(own.queue, place); len(own.queue) == 1 {
		t.waiting = append(t.waiting, name)
	}
	t.hand()
	t.changed.Broadcast()
	t.mu.Unlock()
	select {
	case <-place:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(own.queue, place)
	if i < 0 { // it was given meanwhile
		t.back(name)
		return ctx.Err()
	}
	if own.queue = slices.Delete(own.queue, i, i+1); len(own.queue) == 0 {
		t.waiting = slices.DeleteFunc(t.waiting, func(other model.Tenant) bool { return other == name })
	}
	t.forget(name)
	t.changed.Broadcast()
	return ctx.Err()
}

// Leave gives a place back.
func (t *Turns) Leave(name model.Tenant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.back(name)
}

// back is Leave. The caller holds mu.
func (t *Turns) back(name model.Tenant) {
	t.free++
	t.tenants[name].held--
	t.forget(name)
	t.hand()
	t.changed.Broadcast()
}

// Free returns the number of places that nobody has.
func (t *Turns) Free() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.free
}

// AwaitWaiting returns once n requests of a tenant wait. It is for tests.
func (t *Turns) AwaitWaiting(name model.Tenant, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		waiting := 0
		if own := t.tenants[name]; own != nil {
			waiting = len(own.queue)
		}
		if waiting == n {
			return
		}
		t.changed.Wait()
	}
}

// forget forgets a tenant that has nothing. The caller holds mu.
func (t *Turns) forget(name model.Tenant) {
	if own := t.tenants[name]; own.held == 0 && len(own.queue) == 0 {
		delete(t.tenants, name)
	}
}

// hand gives free places to those that wait. The caller holds mu.
func (t *Turns) hand() {
	for i := 0; t.free > 0 && i < len(t.waiting); {
		name := t.waiting[i]
		own := t.tenants[name]
		if own.held == t.most {
			i++
			continue
		}
		t.free--
		own.held++
		close(own.queue[0])
		own.queue = slices.Delete(own.queue, 0, 1)
		t.waiting = slices.Delete(t.waiting, i, i+1)
		if len(own.queue) > 0 {
			t.waiting = append(t.waiting, name)
		}
		i = 0
	}
}
