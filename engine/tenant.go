package engine

import (
	"sort"
	"sync"
	"sync/atomic"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/head"
	"github.com/hokan-db/hokan/engine/index"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// tenant is the state of one tenant: what the fold over its entries made (the
// channels, the latest values, the alarms, the head), and which blocks hold
// the rows that the head no longer does.
type tenant struct {
	name      model.Tenant
	partition *partition

	// quota is what the tenant may use, nil: anything; blocked is why it takes
	// no rows, nil if it does. Both are set by callers and stay in memory.
	quota   atomic.Pointer[policy.Quota]
	blocked atomic.Pointer[error]
	files   tenantFiles

	// mu guards all below. The applier writes under it, once per entry;
	// readers hold it shared just long enough to take a snapshot.
	mu     sync.RWMutex
	index  *index.Index
	latest []latestSample // by channel ID
	alarms *alarm.Set
	taps   []*Tap

	// pending are the channels that an append has numbered and no applied
	// entry has defined yet.
	pending map[model.Labels]model.ChannelID
	nextID  model.ChannelID

	active      *head.Head
	activeSince int64         // clock time of the first entry in active
	frozen      []*frozenHead // oldest first
	lastApplied uint64        // offset of the tenant's last applied entry

	// flushedTo is the offset up to which every row is in a block.
	flushedTo uint64
	revision  uint64       // of the manifest
	blocks    []block.Meta // replaced whole when it changes, never changed in place

	// choosing is held shared while a query chooses blocks and opens them.
	// Holding it for a moment waits for every query that may still open a
	// block which the manifest no longer names. Queries that begin meanwhile
	// wait too: those of this tenant, not of others.
	choosing sync.RWMutex
}

// latestSample is the newest row of a channel: of equal times the last
// written.
type latestSample struct {
	time  int64
	value float64
	known bool
}

// frozenHead is a head that takes no more rows: it holds those entries after
// the previous one's lastOffset up to its own.
type frozenHead struct {
	*head.Head
	lastOffset uint64
}

func newTenant(name model.Tenant, p *partition) *tenant {
	return &tenant{
		name:      name,
		partition: p,
		index:     index.New(),
		alarms:    alarm.NewSet(),
		pending:   map[model.Labels]model.ChannelID{},
		nextID:    1,
		active:    head.New(),
	}
}

// freeze moves the active head, if it holds rows, to the frozen ones. The
// caller holds mu.
func (t *tenant) freeze() {
	if t.active.Empty() {
		return
	}
	t.frozen = append(t.frozen, &frozenHead{Head: t.active, lastOffset: t.lastApplied})
	t.active, t.activeSince = head.New(), 0
}

// setLatest folds rows of one channel into its latest value. The caller holds
// mu.
func (t *tenant) setLatest(id model.ChannelID, times []int64, values []float64) {
	if int(id) >= len(t.latest) {
		t.latest = append(t.latest, make([]latestSample, int(id)+1-len(t.latest))...)
	}
	l := &t.latest[id]
	for i, at := range times {
		if at >= l.time || !l.known {
			*l = latestSample{at, values[i], true}
		}
	}
}

func sortTenants(all []*tenant) {
	sort.Slice(all, func(i, j int) bool { return all[i].name < all[j].name })
}
