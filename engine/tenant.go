package engine

import (
	"context"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/index"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/engine/receipt"
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
	usage   usageCache

	// mu guards all below. The applier writes under it, once per entry;
	// readers hold it shared just long enough to take a snapshot.
	mu     sync.RWMutex
	index  *index.Index
	latest []latestSample // by channel ID
	alarms *alarm.Set
	taps   []*Tap

	receipts *receipt.Set
	// claimed are the requests that are being answered: those with a key, and
	// the sequences of producers.
	claimed     map[receipt.ID]struct{}
	claimedKeys int

	// What was deleted and how long the rest stays. Lists are replaced whole
	// when they change, never changed in place.
	tombstones        []model.Tombstone // ascending by offset
	tombstoneChannels int               // that they name
	policy            *policy.Policy    // nil: everything is kept
	// pinned are floors of rules that hold no longer for a channel: what had
	// expired by them stays so.
	pinned map[model.ChannelID]policy.Floors

	born  uint64 // offset of the entry that created it
	clock int64  // greatest time of its entries since it was set back
	gone  bool   // it was deleted: nothing of it may become durable any more

	// pending are the channels that an append has numbered and no applied
	// entry has defined yet.
	pending map[model.Labels]model.ChannelID
	nextID  model.ChannelID

	active      *layer
	activeSince int64         // clock time of the first entry in active
	frozen      []*frozenHead // oldest first
	lastApplied uint64        // offset of the tenant's last applied entry

	// flushedTo is the offset up to which every row is in a block.
	flushedTo uint64
	// dropped are as in the manifest. They are read and changed by those who may
	// change that.
	dropped  []string
	revision uint64       // of the manifest
	blocks   []block.Meta // replaced whole when it changes, never changed in place
	// leaving are blocks that the manifest no longer names and whose files may
	// still be stored. What was deleted of their rows is remembered until they are
	// gone: should the catalog be lost meanwhile, they may be found again.
	leaving []block.Meta

	// naming is held shared from where an entry is given the IDs of channels
	// until it is applied, so that none of them is deleted between. A deletion
	// of channels, or of the tenant, holds it alone.
	naming sync.RWMutex
	// committing is held while a manifest is committed, and while it is noted
	// that there must be none any more. It comes before mu.
	committing sync.Mutex

	// writing is held shared while blocks of the tenant are written; it comes
	// before the flusher's lock. life ends when the tenant is deleted, and with it
	// a job on its blocks: whoever then holds writing knows that no more come.
	writing sync.RWMutex
	life    context.Context
	end     context.CancelFunc

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
	state latestState
}

// latestState tells what is known of a channel's newest row. Numbers are part
// of the checkpoint format.
type latestState uint8

const (
	latestNone  latestState = 0 // there is no row
	latestKnown latestState = 1
	// latestLost: the newest row was deleted, at the time given. Of the rows
	// that are left all are before it.
	latestLost latestState = 2
)

// frozenHead is a layer that takes no more rows: it holds those entries after
// the previous one's lastOffset up to its own.
type frozenHead struct {
	*layer
	lastOffset uint64
}

func newTenant(name model.Tenant, p *partition) *tenant {
	life, end := context.WithCancel(context.Background())
	return &tenant{
		life:      life,
		end:       end,
		name:      name,
		partition: p,
		index:     index.New(),
		alarms:    alarm.NewSet(),
		receipts:  &receipt.Set{},
		claimed:   map[receipt.ID]struct{}{},
		pending:   map[model.Labels]model.ChannelID{},
		nextID:    1,
		active:    newLayer(),
	}
}

// freeze moves the active head, if it holds rows, to the frozen ones. The
// caller holds mu.
func (t *tenant) freeze() {
	if t.active.Empty() {
		return
	}
	t.frozen = append(t.frozen, &frozenHead{t.active, t.lastApplied})
	t.active, t.activeSince = newLayer(), 0
}

// setLatest folds rows of one channel into its latest value. The caller holds
// mu.
func (t *tenant) setLatest(id model.ChannelID, times []int64, values []float64) {
	if int(id) >= len(t.latest) {
		t.latest = append(t.latest, make([]latestSample, int(id)+1-len(t.latest))...)
	}
	l := &t.latest[id]
	for i, at := range times {
		// A row before one that was deleted may be the newest, or not.
		if l.state == latestNone || at >= l.time {
			*l = latestSample{at, values[i], latestKnown}
		}
	}
}

func sortTenants(all []*tenant) {
	sort.Slice(all, func(i, j int) bool { return all[i].name < all[j].name })
}
