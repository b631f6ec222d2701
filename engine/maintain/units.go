package maintain

import (
	"cmp"
	"slices"
	"time"

	"github.com/hokan-db/hokan/engine/model"
)

// unit is what one flush or one job wrote for a span: its parts are split by
// channels and belong together.
type unit struct {
	blocks                  []int
	level                   Level
	span                    model.Span
	first, last             int64
	firstOffset, lastOffset uint64
	bytes, channels         uint64
	expired, hidden         uint64
	stale                   int64
	written                 int64
	damaged, alone, folds   bool
}

// full reports whether merging u with its neighbours gains nothing.
func (u *unit) full() bool { return u.bytes >= fullBytes && u.bytes >= fullChannel*u.channels }

// overlaps reports whether the days of both overlap.
func overlaps(a, b model.Span) bool { return a.From < b.To && b.From < a.To }

// monthOf returns the UTC month that holds t.
func monthOf(t int64) model.Span {
	year, month, _ := time.Unix(0, t).UTC().Date()
	from := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	return model.Span{From: from.UnixNano(), To: from.AddDate(0, 1, 0).UnixNano()}
}

// unitsOf returns the units of blocks that are not dead, by month, each month's
// in the order of their offsets.
func unitsOf(blocks []Block) map[int64][]unit {
	type key struct {
		span        model.Span
		first, last uint64
		level       Level
	}
	at := map[key]int{}
	var units []unit
	for i := range blocks {
		b := &blocks[i]
		if b.Dead {
			continue
		}
		k := key{b.Span, b.FirstOffset, b.LastOffset, b.Level}
		n, ok := at[k]
		if !ok {
			n = len(units)
			at[k] = n
			units = append(units, unit{level: b.Level, span: b.Span, first: b.First, last: b.Last,
				firstOffset: b.FirstOffset, lastOffset: b.LastOffset, written: b.Written})
		}
		u := &units[n]
		u.blocks = append(u.blocks, i)
		u.first, u.last = min(u.first, b.First), max(u.last, b.Last)
		u.bytes, u.channels = u.bytes+b.Bytes, u.channels+b.Channels
		u.expired, u.hidden = u.expired+b.Expired, u.hidden+b.Hidden
		if b.Stale != 0 && (u.stale == 0 || b.Stale < u.stale) {
			u.stale = b.Stale
		}
		u.written = max(u.written, b.Written)
		u.damaged, u.alone = u.damaged || b.Damaged, u.alone || b.Alone
		u.folds = u.folds || b.Folds
	}
	months := map[int64][]unit{}
	for i := range units {
		from := monthOf(units[i].span.From).From
		months[from] = append(months[from], units[i])
	}
	for _, list := range months {
		slices.SortFunc(list, func(a, b unit) int {
			return cmp.Or(cmp.Compare(a.lastOffset, b.lastOffset), cmp.Compare(a.span.From, b.span.From),
				cmp.Compare(a.firstOffset, b.firstOffset), cmp.Compare(a.span.To, b.span.To), cmp.Compare(a.level, b.level))
		})
	}
	return months
}

// set is some of a month's units, together.
type set struct {
	in                      []bool // by unit
	span                    model.Span
	first, last             int64 // times between which the rows lie
	firstOffset, lastOffset uint64
	bytes                   uint64
	units, blocks           int
	damaged                 bool // some of it cannot be merged, or not together
	alone, folds            bool
}

func newSet(units int) *set { return &set{in: make([]bool, units)} }

func (s *set) add(units []unit, i int) {
	if s.in[i] {
		return
	}
	u := &units[i]
	s.in[i] = true
	if s.units == 0 {
		s.span, s.firstOffset, s.lastOffset = u.span, u.firstOffset, u.lastOffset
		s.first, s.last = u.first, u.last
	}
	s.span.From, s.span.To = min(s.span.From, u.span.From), max(s.span.To, u.span.To)
	s.first, s.last = min(s.first, u.first), max(s.last, u.last)
	s.firstOffset, s.lastOffset = min(s.firstOffset, u.firstOffset), max(s.lastOffset, u.lastOffset)
	s.bytes += u.bytes
	s.units++
	s.blocks += len(u.blocks)
	s.alone = s.alone || u.alone
	s.damaged = s.damaged || u.damaged || s.alone && s.units > 1 && !s.folds
}

// close adds what a job of s must take too: every unit whose days overlap those
// of s and whose entries are not all before or all after those of s; of a job
// that folds also those whose rows lie over those of s.
func (s *set) close(units []unit) {
	for grown := true; grown; {
		grown = false
		for i := range units {
			u := &units[i]
			entries := overlaps(u.span, s.span) && u.firstOffset <= s.lastOffset && s.firstOffset <= u.lastOffset
			rows := s.folds && u.first <= s.last && s.first <= u.last
			if !s.in[i] && (entries || rows) {
				s.add(units, i)
				grown = true
			}
		}
	}
}

func (s *set) clone() *set {
	c := *s
	c.in = slices.Clone(s.in)
	return &c
}

// job returns the job that takes s.
func (s *set) job(units []unit, reason Reason, level Level) *Job {
	j := &Job{Reason: reason, Level: level, Span: s.span, Bytes: s.bytes}
	for i := range units {
		if s.in[i] {
			j.Blocks = append(j.Blocks, units[i].blocks...)
		}
	}
	return j
}

// cheapestRun returns the closed run of neighbours among some of a month's
// units, given in the order of their offsets, that costs the fewest bytes for
// each file that it takes away; nil where there is none of so many units.
func (p *picker) cheapestRun(units []unit, among []int, least int) *set {
	among = among[:min(len(among), candidates)]
	var best *set
	var bestCost float64
	for i := range among {
		s := newSet(len(units))
		s.add(units, among[i])
		for j := i + 1; j < len(among); j++ {
			s.add(units, among[j])
			s.close(units)
			if s.damaged || s.units > least && s.blocks > p.maxBlocks || s.bytes > p.room {
				break
			}
			if s.units < least {
				continue
			}
			cost := float64(s.bytes+fileCost) / float64(s.units-1)
			if best == nil || cost < bestCost {
				best, bestCost = s.clone(), cost
			}
		}
	}
	return best
}
