package engine

import (
	"errors"
	"math"
	"math/bits"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// usagePart is what the rows take up that a block, or a head, has of one channel
// and UTC day. Where nothing tells of which channel rows are, it is channel 0.
type usagePart struct {
	channel     model.ChannelID
	first, last int64 // of one day; times between which the rows lie
	rows        uint64
	charged     uint64 // bytes, with those of rows that are hidden
}

// usageView is what a tenant's usage is found from.
type usageView struct {
	channels   int
	floors     *floorTable
	tombstones []model.Tombstone
	blocks     []block.Meta
	heads      []headUsage
	flushedTo  uint64 // offset up to which rows are in blocks
}

// headUsage is what a head has.
type headUsage struct {
	rows, visible uint64
	hider         *hider
	parts         []usagePart // where they are wanted
}

// viewUsage takes a view of t, with the parts of its heads if they are wanted.
// The caller holds t.usage.mu.
func (db *DB) viewUsage(t *tenant, parts bool) *usageView {
	t.usage.floors.refresh(t, db.now())
	t.mu.RLock()
	defer t.mu.RUnlock()
	v := &usageView{channels: t.index.Len(), floors: &t.usage.floors, tombstones: t.tombstones, blocks: t.blocks, flushedTo: t.flushedTo}
	for _, f := range t.frozen {
		v.addLayer(f.layer, f.lastOffset, parts)
	}
	v.addLayer(t.active, math.MaxUint64, parts)
	return v
}

// addLayer adds a layer. Its channels are looked at only where some of its rows may
// be hidden, or its parts are wanted.
func (v *usageView) addLayer(h *layer, lastOffset uint64, parts bool) {
	if h.Empty() {
		return
	}
	u := headUsage{rows: uint64(h.Rows()), visible: uint64(h.Rows()), hider: v.hiderOf(lastOffset, model.MinTime, model.MaxTime)}
	if hidden := !u.hider.hidesNothing(model.MinTime); hidden || parts {
		u.visible = 0
		add := func(p *usagePart) error {
			p.charged = p.rows * unchargedRow
			u.visible += u.hider.visible(p, p.rows)
			if parts {
				u.parts = append(u.parts, *p)
			}
			return nil
		}
		for _, p := range h.extents() {
			splitDays(p, add)
		}
	}
	v.heads = append(v.heads, u)
}

// extents returns what the layer has of each channel.
func (l *layer) extents() []usagePart {
	ids := l.Channels()
	parts := make([]usagePart, len(ids))
	at := make(map[model.ChannelID]*usagePart, len(ids))
	for i, id := range ids {
		parts[i] = usagePart{channel: id, first: math.MaxInt64, last: math.MinInt64}
		at[id] = &parts[i]
	}
	add := func(id model.ChannelID, first, last int64, rows uint64) {
		p := at[id]
		p.first, p.last, p.rows = min(p.first, first), max(p.last, last), p.rows+rows
	}
	for _, id := range l.Head.Channels() {
		view, _ := l.View(id)
		first, last := view.Bounds()
		add(id, first, last, uint64(view.Rows()))
	}
	for _, a := range l.attached {
		a.Chunks(a.channels, model.AllTime(), func(c block.ChunkRef) error { // in memory, and read before
			add(c.Channel, c.Summary.FirstTime, c.Summary.LastTime, c.Summary.Rows())
			return nil
		})
	}
	return parts
}

// hiderOf returns what hides rows between two times of entries up to an offset.
func (v *usageView) hiderOf(lastOffset uint64, first, last int64) *hider {
	h := &hider{floors: v.floors}
	for i := range v.tombstones {
		s := &v.tombstones[i]
		if s.Offset > lastOffset && s.Span.Overlaps(first, last) {
			h.tombstones = append(h.tombstones, s)
		}
	}
	return h
}

// splitDays cuts rows of several days into those of each, as if they were spread
// evenly.
func splitDays(p usagePart, visit func(*usagePart) error) error {
	whole, done := uint64(p.last-p.first)+1, uint64(0)
	for from := p.first; ; {
		to := min(dayOf(from)+(model.Day-1), p.last)
		till := p.rows
		if to < p.last {
			till = shareOf(p.rows, uint64(to-p.first)+1, whole)
		}
		if till == done && to < p.last && p.rows > 0 { // on to the day that has the next row
			high, low := bits.Mul64(done+1, whole)
			after, rest := bits.Div64(high, low, p.rows)
			if rest == 0 {
				after--
			}
			from = dayOf(p.first + int64(after))
			continue
		}
		part := usagePart{p.channel, from, to, till - done, 0}
		if err := visit(&part); err != nil || to == p.last {
			return err
		}
		done, from = till, to+1
	}
}

// sourceBlock is a block that is open, or cannot be read.
type sourceBlock struct {
	meta   *block.Meta
	reader *openReader // nil: it cannot be read
	db     *DB
	ids    model.ChannelID // greatest that its tenant ever gave
}

// openSource opens a block. The caller holds t.choosing.
func (db *DB) openSource(t *tenant, m *block.Meta) (sourceBlock, error) {
	t.mu.RLock()
	ids := t.nextID - 1
	t.mu.RUnlock()
	reader, err := db.readers.acquire(m.Name)
	if errors.Is(err, disk.ErrCorrupt) {
		reader, err = nil, nil // readers tell of damage; what is left of it is charged
	}
	return sourceBlock{m, reader, db, ids}, err
}

func (b *sourceBlock) close() {
	if b.reader != nil {
		b.db.readers.release(b.reader)
	}
}

// parts visits what the block's rows take up, by ascending channel, then day.
// All together are charged what its Meta says. Of a block that cannot be read
// it is one part.
func (b *sourceBlock) parts(visit func(*usagePart) error) error {
	var stopped error // by visit
	checked := func(p *usagePart) error {
		stopped = visit(p)
		return stopped
	}
	m := b.meta
	if b.reader != nil && (m.Uncharged == 0 || m.Charged == 0) {
		err := b.readParts(checked)
		if err == nil || stopped != nil || !errors.Is(err, disk.ErrCorrupt) {
			return err
		}
	}
	p := usagePart{0, m.First, m.Last, m.Rows, m.Charged + m.Uncharged*unchargedRow}
	return visit(&p)
}

func (b *sourceBlock) readParts(visit func(*usagePart) error) error {
	var parts []usagePart
	extents, err := b.extents(func(p usagePart) error {
		if b.meta.Charged > 0 {
			return nil
		}
		return splitDays(p, func(p *usagePart) error {
			p.charged = p.rows * unchargedRow
			parts = append(parts, *p)
			return nil
		})
	})
	if err == nil && b.meta.Charged > 0 {
		err = b.reader.Charges(func(id model.ChannelID, day int64, rows, bytes uint64) error {
			x := extents[id]
			parts = append(parts, usagePart{
				channel: id, first: max(day*model.Day, x.first), last: min(day*model.Day+model.Day-1, x.last),
				rows: rows, charged: bytes,
			})
			return nil
		})
	}
	for i := range parts { // only when all is read: damage makes one part of it
		if err == nil {
			err = visit(&parts[i])
		}
	}
	return err
}

// extent is where the rows of a channel lie.
type extent struct{ first, last int64 }

// extents visits the chunks, and returns where the rows of each channel lie.
func (b *sourceBlock) extents(visit func(usagePart) error) (map[model.ChannelID]extent, error) {
	ids := make([]model.ChannelID, b.ids)
	for i := range ids {
		ids[i] = model.ChannelID(i + 1)
	}
	all := map[model.ChannelID]extent{}
	err := b.reader.Chunks(ids, model.AllTime(), func(c block.ChunkRef) error {
		s := &c.Summary
		x, ok := all[c.Channel]
		if !ok {
			x.first = s.FirstTime
		}
		x.last = s.LastTime
		all[c.Channel] = x
		return visit(usagePart{c.Channel, s.FirstTime, s.LastTime, s.Rows(), 0})
	})
	return all, err
}
