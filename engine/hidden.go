package engine

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// floorAge is how long the floors of a tenant are taken as they were, for what
// is charged: reading heeds them to the nanosecond.
const floorAge = int64(time.Hour)

// floorStep is how many channels' floors are looked up while writers wait.
const floorStep = 1024

// floorTable is up to when the raw rows of each channel have expired.
type floorTable struct {
	hour        int64 // of the clock
	policy      *policy.Policy
	pinned      int
	list        []int64 // by channel, from ID 1; empty: nothing expires
	least, most int64   // of the list
	print       uint64  // another where the list is another
}

// refresh makes the table that of an hour and of the rules in force.
func (f *floorTable) refresh(t *tenant, now int64) {
	hour := now - now%floorAge
	t.mu.RLock()
	keepsAll, rules, pinned, channels := t.keepsAll(), t.policy, len(t.pinned), int(t.nextID)-1
	t.mu.RUnlock()
	if keepsAll {
		*f = floorTable{least: math.MinInt64, most: math.MinInt64}
		return
	}
	if f.hour != hour || f.policy != rules || f.pinned != pinned || len(f.list) == 0 {
		*f = floorTable{hour: hour, policy: rules, pinned: pinned, list: f.list[:0], least: math.MaxInt64, most: math.MinInt64}
	}
	var b []byte
	for len(f.list) < channels {
		t.mu.RLock()
		for range min(floorStep, channels-len(f.list)) {
			floor := t.floors(model.ChannelID(len(f.list)+1), hour)[model.StepRaw]
			f.list = append(f.list, floor)
			f.least, f.most = min(f.least, floor), max(f.most, floor)
			b = binary.LittleEndian.AppendUint64(b, uint64(floor))
		}
		t.mu.RUnlock()
	}
	if b != nil {
		f.print = hash64(binary.LittleEndian.AppendUint64(b, f.print))
	}
}

// of returns the time before which the raw rows of a channel have expired.
func (f *floorTable) of(id model.ChannelID) int64 {
	if i := int(id) - 1; i >= 0 && i < len(f.list) {
		return f.list[i]
	}
	return math.MinInt64
}

// hider tells which rows of a block or a head are hidden, by deletions and by
// retention.
type hider struct {
	floors     *floorTable
	tombstones []*model.Tombstone

	// What hides rows of one channel: spans in order, none touching another.
	channel model.ChannelID
	spans   []model.Span
	known   bool
}

// hidesNothing reports whether nothing from first on is hidden.
func (h *hider) hidesNothing(first int64) bool {
	return len(h.tombstones) == 0 && h.floors.most <= first
}

// hidesAll reports whether everything between two times is hidden, of every
// channel, by one of what hides.
func (h *hider) hidesAll(first, last int64) bool {
	if len(h.floors.list) > 0 && h.floors.least > last {
		return true
	}
	return slices.ContainsFunc(h.tombstones, func(s *model.Tombstone) bool {
		return s.Channels == nil && s.Span.From <= first && s.Span.To > last
	})
}

// fingerprint returns a number that is another when something else is hidden.
func (h *hider) fingerprint() uint64 {
	b := binary.LittleEndian.AppendUint64(nil, h.floors.print)
	for _, s := range h.tombstones {
		for _, n := range []uint64{s.Offset, uint64(s.Span.From), uint64(s.Span.To), uint64(len(s.Channels))} {
			b = binary.LittleEndian.AppendUint64(b, n)
		}
	}
	return hash64(b)
}

func hash64(b []byte) uint64 {
	sum := fnv.New64a()
	sum.Write(b)
	return sum.Sum64()
}

// of returns what hides rows of a channel.
func (h *hider) of(id model.ChannelID) []model.Span {
	if h.known && h.channel == id {
		return h.spans
	}
	h.channel, h.known, h.spans = id, true, h.spans[:0]
	if floor := h.floors.of(id); floor > model.MinTime {
		h.spans = append(h.spans, model.Span{From: model.MinTime, To: floor})
	}
	for _, s := range h.tombstones {
		if s.Covers(id) {
			h.spans = append(h.spans, s.Span)
		}
	}
	slices.SortFunc(h.spans, func(a, b model.Span) int { return cmp.Compare(a.From, b.From) })
	joined := h.spans[:0]
	for _, s := range h.spans {
		if n := len(joined); n > 0 && s.From <= joined[n-1].To {
			joined[n-1].To = max(joined[n-1].To, s.To)
			continue
		}
		joined = append(joined, s)
	}
	h.spans = joined
	return joined
}

// visible returns how much of an amount that belongs to the rows of p is left
// without those that are hidden, as if they were spread evenly.
func (h *hider) visible(p *usagePart, amount uint64) uint64 {
	whole := uint64(p.last-p.first) + 1
	hidden := uint64(0)
	for _, s := range h.of(p.channel) {
		from, to := max(s.From, p.first), min(s.To, p.last+1)
		if from < to {
			hidden += uint64(to - from)
		}
	}
	return amount - shareOf(amount, hidden, whole)
}

// shareOf returns amount * part / whole, rounded down; part is at most whole.
func shareOf(amount, part, whole uint64) uint64 {
	if part == whole {
		return amount
	}
	high, low := bits.Mul64(amount, part)
	quotient, _ := bits.Div64(high, low, whole)
	return quotient
}
