package maintain

import (
	"maps"
	"math"
	"slices"

	"github.com/hokan-db/hokan/engine/model"
)

// picker looks at one tenant.
type picker struct {
	View
	now       int64
	maxBlocks int
	room      uint64
	due       int64 // when something will be due by the passing of time alone
}

// Pick returns what is to be done next, nil where nothing is, and then the time
// at which something will be if no block comes or goes until then.
func Pick(v View, now int64) (job *Job, due int64) {
	p := &picker{View: v, now: now, maxBlocks: v.MaxBlocks, room: v.Room, due: Never}
	if p.maxBlocks == 0 {
		p.maxBlocks = DefaultMaxBlocks
	}
	if p.room == 0 {
		p.room = math.MaxUint64
	}
	if job := p.dead(); job != nil {
		return job, now
	}
	months := unitsOf(v.Blocks)
	order := slices.Sorted(maps.Keys(months))
	rules := []func(model.Span, []unit) *Job{p.stack, p.settle, p.rewrite, p.form}
	if v.All { // the whole months first: what they take is not written twice
		rules = []func(model.Span, []unit) *Job{p.form, p.settle, p.rewrite}
	}
	for _, rule := range rules {
		for _, from := range order {
			if job := rule(monthOf(from), months[from]); job != nil {
				return job, now
			}
		}
	}
	return nil, p.due
}

// reached reports whether the time at has come, and notes it if not.
func (p *picker) reached(at int64) bool {
	if at <= p.now || p.All {
		return true
	}
	p.due = min(p.due, at)
	return false
}

// dead takes the blocks in which nothing can be read any more.
func (p *picker) dead() *Job {
	job := &Job{Reason: Dead}
	for i := range p.Blocks {
		if b := &p.Blocks[i]; b.Dead {
			job.Blocks = append(job.Blocks, i)
			job.Bytes += b.Bytes
		}
	}
	if job.Blocks == nil {
		return nil
	}
	return job
}

// fits reports whether a job may take s.
func (p *picker) fits(s *set) bool { return !s.damaged && s.bytes <= p.room }

// settled reports whether u waits for a reason of its own to be merged.
func settled(u *unit) bool { return u.level == Month || u.full() || u.alone }

// stack merges units of which too many lie over the same days: of one size, so
// that a fast channel's rows are written once for each size; or of any size,
// where their rows lie over each other.
func (p *picker) stack(month model.Span, units []unit) *Job {
	for _, over := range domains(month, units) {
		var light []int
		for i := range units {
			if !settled(&units[i]) && overlaps(units[i].span, over) {
				light = append(light, i)
			}
		}
		if s := p.tier(units, light); s != nil {
			return s.job(units, Stack, s.level(units))
		}
	}
	for i := range units {
		var above []int
		for j := i + 1; j < len(units); j++ {
			if units[j].lastOffset > units[i].lastOffset && units[j].first <= units[i].last && units[i].first <= units[j].last {
				above = append(above, j)
			}
		}
		if len(above) < stackUnits {
			continue
		}
		if s := p.cheapestRun(units, above, stackUnits/2); s != nil {
			return s.job(units, Stack, s.level(units))
		}
	}
	return nil
}

// tier returns neighbours among some of a month's units, given in the order of
// their offsets, that are of one size or less; at least half as many as make a
// merge due are of that size. Where there are none, but very many units, it
// returns the cheapest.
func (p *picker) tier(units []unit, among []int) *set {
	if len(among) < stackUnits {
		return nil
	}
	for size := uint64(tierBytes); size/tierGrowth < fullBytes; size *= tierGrowth {
		for rest := among; len(rest) >= stackUnits; {
			s := newSet(len(units))
			n, large := 0, 0
			for ; n < len(rest) && units[rest[n]].bytes < size; n++ {
				next := s.clone()
				next.add(units, rest[n])
				next.close(units)
				if !p.fits(next) || next.blocks > p.maxBlocks {
					break
				}
				s = next
				if units[rest[n]].bytes >= size/tierGrowth || size == tierBytes {
					large++
				}
			}
			if s.units >= stackUnits && large >= stackUnits/2 {
				return s
			}
			rest = rest[max(n, 1):]
		}
	}
	if len(among) < manyUnits {
		return nil
	}
	return p.cheapestRun(units, among, stackUnits/2)
}

// level returns that of what a merge of s makes: a base stays one.
func (s *set) level(units []unit) Level {
	for i := range units {
		if s.in[i] && units[i].level == Month {
			return Month
		}
	}
	return Day
}

// domains returns the spans over which units are counted: those of bases, and
// each day that no base has.
func domains(month model.Span, units []unit) []model.Span {
	var spans []model.Span
	for i := range units {
		if units[i].level == Month {
			spans = append(spans, units[i].span)
		}
	}
	bases := spans
	for day := month.From; day < month.To; day += model.Day {
		span := model.Span{From: day, To: day + model.Day}
		if !slices.ContainsFunc(bases, func(b model.Span) bool { return overlaps(b, span) }) {
			spans = append(spans, span)
		}
	}
	return spans
}

// settle merges the flush blocks of days that are over, with what is older and
// not much larger.
func (p *picker) settle(month model.Span, units []unit) *Job {
	for i := range units {
		u := &units[i]
		if u.level != Flush || p.forms(month, units) || !p.reached(p.settlesAt(u)) {
			continue
		}
		s := newSet(len(units))
		s.add(units, i)
		s.close(units)
		if !u.full() {
			s = p.grow(units, s, p.domainOf(units, u))
		}
		if p.fits(s) {
			return s.job(units, Settle, s.level(units))
		}
	}
	return nil
}

// forms reports whether a month is about to get its base: its flush blocks go
// there at once.
func (p *picker) forms(month model.Span, units []unit) bool {
	bytes := uint64(0)
	for i := range units {
		if settled(&units[i]) || units[i].damaged {
			return false
		}
		bytes += units[i].bytes
	}
	return p.formsAt(month) <= p.now && bytes <= p.room
}

// formsAt returns when a month is over.
func (p *picker) formsAt(month model.Span) int64 {
	return month.To + monthGrace + int64(p.Stagger*float64(monthStagger))
}

// settlesAt returns when a flush block is merged though no other asks for it.
func (p *picker) settlesAt(u *unit) int64 {
	return max(u.span.To+dayGrace+int64(p.Stagger*float64(dayStagger)), u.written+settleAfter)
}

// domainOf returns the days whose units u may be merged with: those of the base
// that it lies over, or its own.
func (p *picker) domainOf(units []unit, u *unit) model.Span {
	for i := range units {
		if units[i].level == Month && overlaps(units[i].span, u.span) {
			return units[i].span
		}
	}
	return u.span
}

// grow adds to s newer flush blocks that are due too, and then older units
// while they are not much larger than s.
func (p *picker) grow(units []unit, s *set, over model.Span) *set {
	var near []int
	first, last := -1, -1
	for i := range units {
		if !overlaps(units[i].span, over) || !s.in[i] && settled(&units[i]) {
			continue
		}
		if s.in[i] {
			if first < 0 {
				first = len(near)
			}
			last = len(near)
		}
		near = append(near, i)
	}
	try := func(at int) bool {
		next := s.clone()
		next.add(units, near[at])
		next.close(units)
		if !p.fits(next) || next.blocks > p.maxBlocks {
			return false
		}
		s = next
		return true
	}
	for at := last + 1; at < len(near); at++ {
		u := &units[near[at]]
		if u.level != Flush || !p.All && p.settlesAt(u) > p.now || !try(at) {
			break
		}
	}
	for at := first - 1; at >= 0; at-- {
		if units[near[at]].bytes > growth*s.bytes || !try(at) {
			break
		}
	}
	return s
}

// rewrite rids a unit of rows that nobody can read.
func (p *picker) rewrite(_ model.Span, units []unit) *Job {
	for i := range units {
		u := &units[i]
		var reason Reason
		switch {
		case u.hidden > 0 && (p.All || u.hidden*hiddenShare >= u.bytes || u.stale != 0 && p.reached(u.stale)):
			reason = Deleted
		case u.expired > 0 && (p.All || u.expired*expiredShare >= u.bytes):
			reason = Expired
		default:
			continue
		}
		s := newSet(len(units))
		s.folds = reason == Expired && u.folds
		s.add(units, i)
		s.close(units)
		if p.fits(s) {
			return s.job(units, reason, max(s.level(units), min(u.level, Month)))
		}
	}
	return nil
}

// form makes the base of a month that is over, or rewrites it with its
// overlays when these are large enough.
func (p *picker) form(month model.Span, units []unit) *Job {
	s := newSet(len(units))
	var base, overlays uint64
	oldest, newest := Never, int64(0)
	var light []int
	for i := range units {
		u := &units[i]
		s.add(units, i)
		if u.level == Month && !u.alone {
			base += u.bytes
			continue
		}
		if u.full() || u.alone {
			return p.formDays(units)
		}
		light = append(light, i)
		overlays += u.bytes
		oldest, newest = min(oldest, u.written), max(newest, u.written)
	}
	if len(light) == 0 && s.units == 1 {
		return nil
	}
	if !p.reached(p.formsAt(month)) {
		return nil
	}
	reason := Form
	switch {
	case base == 0 || p.All:
		if !p.reached(min(newest+quiet, oldest+patience)) {
			return nil
		}
	case overlays*share >= base:
		if reason = Share; !p.reached(newest + settleAfter) {
			return nil
		}
	case overlays*agedShare >= base:
		if reason = Share; !p.reached(oldest + age) {
			return nil
		}
	default:
		return nil
	}
	if s.blocks > p.maxBlocks && s.units > 2 { // first fewer
		if some := p.cheapestRun(units, light, 2); some != nil {
			return some.job(units, reason, some.level(units))
		}
	}
	if !p.fits(s) {
		return nil
	}
	job := s.job(units, reason, Month)
	job.Span = month
	return job
}

// formDays leaves a month with full units as days: to write it again would
// cost much and gain nothing. With All the rest of each day becomes one.
func (p *picker) formDays(units []unit) *Job {
	if !p.All {
		return nil
	}
	for i := range units {
		var same []int
		for j := range units {
			if !settled(&units[j]) && units[j].span == units[i].span {
				same = append(same, j)
			}
		}
		if len(same) < 2 {
			continue
		}
		if s := p.cheapestRun(units, same, 2); s != nil {
			return s.job(units, Form, s.level(units))
		}
	}
	return nil
}
