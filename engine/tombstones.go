package engine

import (
	"slices"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// A deletion is a tombstone: from the moment its entry is applied it hides the
// rows of its span that older entries wrote. Rows of one head or block are all
// older than a tombstone or all newer, as a deletion freezes the head: so it
// hides them by rank, without looking at them. Compaction and flushing leave
// out what is hidden; a tombstone below which nothing is left is forgotten.

// hiding is what of one channel's rows no query gives, wherever they may still
// be stored.
type hiding struct {
	tombstones []model.Tombstone // that are about the channel and overlap the span in question
	floors     policy.Floors     // rows before the one of their step have expired
}

// hidesNothing reports whether every row is given.
func (h *hiding) hidesNothing() bool { return len(h.tombstones) == 0 && h.floors == policy.NoFloors }

// remains appends to dst what is left of the rows from first to last, both
// included, of which deletions before cleanTo hide nothing: spans, ascending.
func (h *hiding) remains(dst []model.Span, cleanTo uint64, first, last int64) []model.Span {
	start := len(dst)
	first = max(first, h.floors[model.StepRaw])
	if first > last {
		return dst
	}
	dst = append(dst, model.Span{From: first, To: last + 1})
	for i := range h.tombstones {
		t := &h.tombstones[i]
		if t.Offset <= cleanTo || !t.Span.Overlaps(first, last) {
			continue
		}
		dst = cutOut(dst, start, t.Span)
	}
	return dst
}

// cutOut takes the times of hole out of the spans from start on.
func cutOut(spans []model.Span, start int, hole model.Span) []model.Span {
	for i := start; i < len(spans); i++ {
		s := spans[i]
		before := model.Span{From: s.From, To: min(s.To, hole.From)}
		after := model.Span{From: max(s.From, hole.To), To: s.To}
		switch {
		case before.Empty() && after.Empty():
			spans = slices.Delete(spans, i, i+1)
			i--
		case after.Empty():
			spans[i] = before
		case before.Empty():
			spans[i] = after
		default:
			spans[i] = before
			i++
			spans = slices.Insert(spans, i, after)
		}
	}
	return spans
}

// clip appends to dst what is left of a piece of which deletions before cleanTo
// hide nothing: the piece itself, or clipped ones.
func (h *hiding) clip(dst []merge.Piece, p merge.Piece, cleanTo uint64) []merge.Piece {
	var room [4]model.Span
	spans := h.remains(room[:0], cleanTo, p.First, p.Last)
	if len(spans) == 1 && spans[0].From == p.First && spans[0].To == p.Last+1 {
		return append(dst, p)
	}
	for _, s := range spans {
		clipped := p
		clipped.First, clipped.Last, clipped.Clipped, clipped.Summary = s.From, s.To-1, true, nil
		dst = append(dst, clipped)
	}
	return dst
}

// filter leaves of ascending rows, of which deletions before cleanTo hide
// nothing, those that are not hidden, in place.
func (h *hiding) filter(cleanTo uint64, times []int64, values []float64) ([]int64, []float64) {
	if len(times) == 0 || h.hidesNothing() {
		return times, values
	}
	n := 0
	for _, s := range h.remains(nil, cleanTo, times[0], times[len(times)-1]) {
		part := clip(times, s)
		copy(times[n:], times[part[0]:part[1]])
		n += copy(values[n:], values[part[0]:part[1]])
	}
	return times[:n], values[:n]
}

// tombstonesOf returns those of some tombstones that are about a channel.
func tombstonesOf(tombstones []model.Tombstone, id model.ChannelID) []model.Tombstone {
	return those(tombstones, func(s *model.Tombstone) bool { return s.Covers(id) })
}

// tombstonesIn returns those of some tombstones that overlap a span.
func tombstonesIn(tombstones []model.Tombstone, span model.Span) []model.Tombstone {
	return those(tombstones, func(s *model.Tombstone) bool { return !s.Span.Intersect(span).Empty() })
}

// those returns the tombstones for which keep is true: the very list where it
// is for all.
func those(tombstones []model.Tombstone, keep func(*model.Tombstone) bool) []model.Tombstone {
	n := 0
	for n < len(tombstones) && keep(&tombstones[n]) {
		n++
	}
	if n == len(tombstones) {
		return tombstones
	}
	list := slices.Clone(tombstones[:n])
	for i := n + 1; i < len(tombstones); i++ {
		if keep(&tombstones[i]) {
			list = append(list, tombstones[i])
		}
	}
	return list
}

// hidings returns what is hidden of each of some channels in a span at a time;
// nil where nothing is. The caller holds mu, shared or not.
func (t *tenant) hidings(ids []model.ChannelID, span model.Span, now int64) []hiding {
	tombstones := tombstonesIn(t.tombstones, span)
	if len(tombstones) == 0 && t.keepsAll() {
		return nil
	}
	list := make([]hiding, len(ids))
	for i, id := range ids {
		list[i] = hiding{tombstonesOf(tombstones, id), t.floors(id, now)}
	}
	return list
}

// cleanTo returns the offset before which no tombstone hides a row of a block:
// its rows were written later, or what is hidden was left out of it.
func cleanTo(m *block.Meta) uint64 { return max(m.LastOffset, m.CleanTo) }

// hides reports whether a tombstone may hide a row of what t holds: of a head,
// of a block, or of one whose file is not gone yet. The caller holds mu.
func (t *tenant) hides(s *model.Tombstone) bool {
	if len(t.frozen) > 0 && t.frozen[0].lastOffset < s.Offset {
		return true
	}
	return hidesIn(s, t.blocks) || hidesIn(s, t.leaving)
}

func hidesIn(s *model.Tombstone, blocks []block.Meta) bool {
	for i := range blocks {
		m := &blocks[i]
		if cleanTo(m) < s.Offset && s.Span.Overlaps(m.First, m.Last) {
			return true
		}
	}
	return false
}

// tombstonesInForce returns those of t's tombstones that may still hide a row.
// The caller holds mu, shared or not.
func (t *tenant) tombstonesInForce() []model.Tombstone {
	return those(t.tombstones, t.hides)
}

// forgetTombstones drops those of t's tombstones that hide nothing any more. It
// is called when t's blocks have changed, durably. The caller holds mu.
func (t *tenant) forgetTombstones() { t.setTombstones(t.tombstonesInForce()) }

// setTombstones puts a list, which is not changed afterwards, in place of t's.
// The caller holds mu.
func (t *tenant) setTombstones(list []model.Tombstone) {
	t.tombstones, t.tombstoneChannels = list, 0
	for i := range list {
		t.tombstoneChannels += len(list[i].Channels)
	}
}

// notes returns what blocks of t say, so that their catalog can be made anew:
// the deletions after an offset, and the rules.
func (t *tenant) notes(after uint64) block.Notes {
	t.mu.RLock()
	defer t.mu.RUnlock()
	first := 0
	for first < len(t.tombstones) && t.tombstones[first].Offset <= after {
		first++
	}
	n := block.Notes{Tombstones: t.tombstones[first:]}
	if rules := t.rules(); len(rules) > 0 {
		n.Retention = rules.AppendTo(nil)
	}
	return n
}
