// Package head keeps the rows of one tenant that no block holds yet, in
// memory: per channel a compressed stream of the rows that came in order, and
// a list of those that came late. It does no I/O and takes no locks.
package head

import (
	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/model"
)

// Head holds rows of one tenant. The caller serialises all its methods; Views
// and Snapshots may be read at any time without a lock.
type Head struct {
	// roots[id>>14][id>>6&255][id&63] is the stream of channel id. Small leaves
	// keep a small tenant small, and a leaf holds no pointers.
	roots   []*branch
	pages   chunk.Pages
	late    map[model.ChannelID]*lateRows
	streams int // with rows
	rows    int
	largest int // rows of the channel that has the most
	lateCap int // rows that the late lists have room for
}

const (
	leafBits   = 6
	branchBits = 8
)

type (
	leaf   [1 << leafBits]chunk.Stream
	branch [1 << branchBits]*leaf
)

// lateRows are the rows of a channel that were not later than the last one of
// its stream, in the order of arrival.
type lateRows struct {
	rows  []model.Sample
	first int64 // the smallest time
}

// streamBytes and lateBytes are what a channel and a late row cost.
const (
	streamBytes = 64
	lateBytes   = 16
)

// New returns an empty head.
func New() *Head { return &Head{late: map[model.ChannelID]*lateRows{}} }

// AppendColumn adds rows of a channel, in any order. Of rows with equal times
// the one that was added last counts.
func (h *Head) AppendColumn(id model.ChannelID, times []int64, values []float64) {
	if len(times) == 0 {
		return
	}
	s := h.stream(id)
	if s.Rows() == 0 {
		h.streams++
		s.Append(&h.pages, times[0], values[0])
		h.count(id, s, 1)
		times, values = times[1:], values[1:]
	}
	values = values[:len(times)]
	for i, t := range times {
		if t <= s.Last() {
			h.appendLate(id, t, values[i])
			continue
		}
		s.Append(&h.pages, t, values[i])
	}
	h.count(id, s, len(times))
}

func (h *Head) appendLate(id model.ChannelID, t int64, v float64) {
	l := h.late[id]
	if l == nil {
		l = &lateRows{first: t}
		h.late[id] = l
	}
	h.lateCap -= cap(l.rows)
	l.rows = append(l.rows, model.Sample{Time: t, Value: v})
	h.lateCap += cap(l.rows)
	l.first = min(l.first, t)
}

// count notes that a channel has got rows.
func (h *Head) count(id model.ChannelID, s *chunk.Stream, rows int) {
	h.rows += rows
	total := s.Rows()
	if len(h.late) > 0 {
		if l := h.late[id]; l != nil {
			total += len(l.rows)
		}
	}
	h.largest = max(h.largest, total)
}

// stream returns the place of a channel's stream, made where there is none.
func (h *Head) stream(id model.ChannelID) *chunk.Stream {
	root := int(id >> (leafBits + branchBits))
	if root >= len(h.roots) {
		h.roots = append(h.roots, make([]*branch, root+1-len(h.roots))...)
	}
	b := h.roots[root]
	if b == nil {
		b = new(branch)
		h.roots[root] = b
	}
	l := b[id>>leafBits&(1<<branchBits-1)]
	if l == nil {
		l = new(leaf)
		b[id>>leafBits&(1<<branchBits-1)] = l
	}
	return &l[id&(1<<leafBits-1)]
}

// each calls visit for every channel that has rows, in ascending order.
func (h *Head) each(visit func(id model.ChannelID, s *chunk.Stream)) {
	for i, b := range h.roots {
		if b == nil {
			continue
		}
		for j, l := range b {
			if l == nil {
				continue
			}
			for k := range l {
				if l[k].Rows() > 0 {
					visit(model.ChannelID((i<<branchBits|j)<<leafBits|k), &l[k])
				}
			}
		}
	}
}

// Rows returns the number of rows added, those with equal times included.
func (h *Head) Rows() int { return h.rows }

// Empty reports whether there are no rows.
func (h *Head) Empty() bool { return h.rows == 0 }

// LargestChannel returns the number of rows of the channel that has the most.
func (h *Head) LargestChannel() int { return h.largest }

// Bytes returns the memory that the rows take: pages, streams and late rows.
func (h *Head) Bytes() int { return h.pages.Bytes() + h.streams*streamBytes + h.lateCap*lateBytes }

// Channels returns the channels that have rows, in ascending order.
func (h *Head) Channels() []model.ChannelID {
	ids := make([]model.ChannelID, 0, h.streams)
	h.each(func(id model.ChannelID, _ *chunk.Stream) { ids = append(ids, id) })
	return ids
}

// View returns a channel's rows as they are now, in constant time, and whether
// there are any.
func (h *Head) View(id model.ChannelID) (View, bool) {
	root := int(id >> (leafBits + branchBits))
	if root >= len(h.roots) || h.roots[root] == nil {
		return View{}, false
	}
	l := h.roots[root][id>>leafBits&(1<<branchBits-1)]
	if l == nil || l[id&(1<<leafBits-1)].Rows() == 0 {
		return View{}, false
	}
	v := View{stream: l[id&(1<<leafBits-1)].View(&h.pages)}
	if late := h.late[id]; late != nil {
		v.late = *late
	}
	return v, true
}
