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
	// roots[id>>14][id>>5&511] is the leaf of channel id, in which id&31 is its
	// place. Small leaves, and branches no longer than the tenant has channels,
	// keep a small tenant small.
	roots   [][]*leaf
	pages   chunk.Pages
	streams int // with rows
	rows    int
	largest int // rows of the channel that has the most
	lateCap int // rows that the late lists have room for
}

const (
	leafBits   = 5
	branchBits = 9
)

// leaf has its pointers in front: the garbage collector looks no further.
type leaf struct {
	late    [1 << leafBits]*lateRows // nil where a channel has none
	streams [1 << leafBits]chunk.Stream
}

// lateRows are the rows of a channel that were not later than the last one of
// its stream, in the order of arrival.
type lateRows struct {
	rows  []model.Sample
	first int64 // the smallest time
}

// streamBytes and lateBytes are what a channel and a late row cost.
const (
	streamBytes = 64 + 8
	lateBytes   = 16
)

// New returns an empty head.
func New() *Head { return &Head{} }

// AppendColumn adds rows of a channel (not 0), in any order. Of rows with equal times
// the one that was added last counts.
func (h *Head) AppendColumn(id model.ChannelID, times []int64, values []float64) {
	if len(times) == 0 {
		return
	}
	l, place := h.place(id)
	s := &l.streams[place]
	added := len(times)
	if s.Rows() == 0 {
		h.streams++
		s.Append(&h.pages, times[0], values[0])
		times, values = times[1:], values[1:]
	}
	values = values[:len(times)]
	for i, t := range times {
		if t > s.Last() {
			s.Append(&h.pages, t, values[i])
		} else {
			h.appendLate(&l.late[place], t, values[i])
		}
	}
	h.rows += added
	total := s.Rows()
	if late := l.late[place]; late != nil {
		total += len(late.rows)
	}
	h.largest = max(h.largest, total)
}

func (h *Head) appendLate(late **lateRows, t int64, v float64) {
	if *late == nil {
		*late = &lateRows{first: t}
	}
	l := *late
	h.lateCap -= cap(l.rows)
	l.rows = append(l.rows, model.Sample{Time: t, Value: v})
	h.lateCap += cap(l.rows)
	l.first = min(l.first, t)
}

// place returns the leaf of a channel, made where there is none, and the
// channel's place in it.
func (h *Head) place(id model.ChannelID) (l *leaf, place int) {
	place = int(id & (1<<leafBits - 1))
	if l = h.find(id); l != nil {
		return l, place
	}
	root := int(id >> (leafBits + branchBits))
	if root >= len(h.roots) {
		h.roots = append(h.roots, make([][]*leaf, root+1-len(h.roots))...)
	}
	branch := int(id >> leafBits & (1<<branchBits - 1))
	if branch >= len(h.roots[root]) {
		h.roots[root] = append(h.roots[root], make([]*leaf, branch+1-len(h.roots[root]))...)
	}
	l = new(leaf)
	h.roots[root][branch] = l
	return l, place
}

// find returns the leaf of a channel, nil where there is none.
func (h *Head) find(id model.ChannelID) *leaf {
	root := int(id >> (leafBits + branchBits))
	branch := int(id >> leafBits & (1<<branchBits - 1))
	if root >= len(h.roots) || branch >= len(h.roots[root]) {
		return nil
	}
	return h.roots[root][branch]
}

// each calls visit for every channel that has rows, in ascending order.
func (h *Head) each(visit func(id model.ChannelID, l *leaf, place int)) {
	for i, b := range h.roots {
		for j, l := range b {
			if l == nil {
				continue
			}
			for k := range l.streams {
				if l.streams[k].Rows() > 0 {
					visit(model.ChannelID((i<<branchBits|j)<<leafBits|k), l, k)
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
	h.each(func(id model.ChannelID, _ *leaf, _ int) { ids = append(ids, id) })
	return ids
}

// View returns a channel's rows as they are now, in constant time, and whether
// there are any.
func (h *Head) View(id model.ChannelID) (View, bool) {
	l, place := h.find(id), int(id&(1<<leafBits-1))
	if l == nil || l.streams[place].Rows() == 0 {
		return View{}, false
	}
	return h.view(l, place), true
}

func (h *Head) view(l *leaf, place int) View {
	v := View{stream: l.streams[place].View(&h.pages)}
	if late := l.late[place]; late != nil {
		v.late = *late
	}
	return v
}
