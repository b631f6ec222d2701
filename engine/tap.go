package engine

import (
	"slices"
	"sync"

	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

// TapRows are rows of one channel as they were applied.
type TapRows struct {
	Channel model.ChannelID
	Offset  uint64 // of the entry that wrote them
	Times   []int64
	Values  []float64
}

// Tap is a live feed of rows, in the order in which they are applied. It never
// holds up writing: what does not fit into its buffer is dropped and counted.
type Tap struct {
	tenant *tenant
	wanted map[model.ChannelID]bool

	mu      sync.Mutex
	rows    chan TapRows
	dropped uint64
	closed  bool
}

// Tap feeds the rows of channels that are applied from now on. buffer is how
// many pieces (rows of one channel in one entry) may wait to be received.
func (db *DB) Tap(name model.Tenant, ids []model.ChannelID, buffer int) (*Tap, error) {
	t, err := db.enterTenant(name)
	if err != nil {
		return nil, err
	}
	defer db.gate.leave()
	tap := &Tap{tenant: t, wanted: map[model.ChannelID]bool{}, rows: make(chan TapRows, buffer)}
	for _, id := range ids {
		tap.wanted[id] = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taps = append(slices.Clone(t.taps), tap)
	return tap, nil
}

// Rows delivers the feed; it is closed by Close.
func (t *Tap) Rows() <-chan TapRows { return t.rows }

// Dropped returns how many rows were dropped since the last call.
func (t *Tap) Dropped() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.dropped
	t.dropped = 0
	return n
}

// closeTaps ends every feed.
func (db *DB) closeTaps() {
	for _, t := range db.allTenants(func(*tenant) bool { return true }) {
		t.mu.Lock()
		taps := t.taps
		t.taps = nil
		t.mu.Unlock()
		for _, tap := range taps {
			tap.end()
		}
	}
}

// Close ends the feed. Closing the database does so too.
func (t *Tap) Close() {
	t.tenant.mu.Lock()
	t.tenant.taps = slices.DeleteFunc(slices.Clone(t.tenant.taps), func(o *Tap) bool { return o == t })
	t.tenant.mu.Unlock()
	t.end()
}

func (t *Tap) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.closed = true
		close(t.rows)
	}
}

// offer gives the tap copies of the rows it wants, as far as there is room.
func (t *Tap) offer(offset uint64, columns []entry.Column) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range columns {
		c := &columns[i]
		if t.closed || !t.wanted[c.Channel] || len(c.Times) == 0 {
			continue
		}
		if len(t.rows) == cap(t.rows) {
			t.dropped += uint64(len(c.Times))
			continue
		}
		t.rows <- TapRows{c.Channel, offset, slices.Clone(c.Times), slices.Clone(c.Values)}
	}
}
