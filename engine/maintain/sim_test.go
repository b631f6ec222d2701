package maintain

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/hokan-db/hokan/engine/model"
)

// simulation is a tenant whose blocks are flushed, merged and dropped in
// numbers only. Its clock moves from one event to the next.
type simulation struct {
	view    View
	rows    []uint64 // of each of view.Blocks
	now     int64
	offset  uint64
	flushed uint64 // bytes of all flush blocks
	merged  uint64 // bytes that jobs wrote
	// log is called after each job; it may be nil.
	log func(j *Job, inputs []Block, written uint64)
	// check is called before each job; it may be nil.
	check func(v View, j *Job)
}

// blockBytes is about what a block takes.
func blockBytes(level Level, rows, channels uint64) uint64 {
	switch level {
	case Flush:
		return 2*rows + 60*channels + 300
	case Day:
		return rows*115/100 + 60*channels + 500
	}
	return rows + 40*channels + 500
}

// flush writes rows of channels between two times, both included, in one block
// for each day, or one for each month where there are more than three days.
func (s *simulation) flush(first, last int64, rows, channels uint64) {
	s.offset++
	var spans []model.Span
	for day := dayOf(first); day <= last; day += model.Day {
		spans = append(spans, model.Span{From: day, To: day + model.Day})
	}
	if days := spans; len(days) > 3 {
		spans = nil
		for _, d := range days {
			if n := len(spans); n > 0 && monthOf(spans[n-1].From) == monthOf(d.From) {
				spans[n-1].To = d.To
			} else {
				spans = append(spans, d)
			}
		}
	}
	total := last - first + 1
	for _, span := range spans {
		from, to := max(first, span.From), min(last, span.To-1)
		part := max(uint64(float64(rows)*float64(to-from+1)/float64(total)), 1)
		b := Block{Level: Flush, Span: span, First: from, Last: to, FirstOffset: s.offset, LastOffset: s.offset,
			Bytes: blockBytes(Flush, part, min(channels, part)), Channels: min(channels, part), Written: s.now}
		s.view.Blocks, s.rows = append(s.view.Blocks, b), append(s.rows, part)
		s.flushed += b.Bytes
	}
}

func dayOf(t int64) int64 { return t - (t%model.Day+model.Day)%model.Day }

// run does every job that is due and returns when the next one is.
func (s *simulation) run() (due int64) {
	for n := 0; ; n++ {
		job, due := Pick(s.view, s.now)
		if job == nil {
			return due
		}
		if n > 10_000 {
			panic("the picker does not come to an end")
		}
		if s.check != nil {
			s.check(s.view, job)
		}
		s.do(job)
	}
}

// do does a job as the engine would.
func (s *simulation) do(j *Job) {
	var inputs []Block
	taken := map[int]bool{}
	var rows, channels uint64
	for _, i := range j.Blocks {
		inputs, taken[i] = append(inputs, s.view.Blocks[i]), true
		rows, channels = rows+s.rows[i], max(channels, s.view.Blocks[i].Channels)
	}
	var blocks []Block
	var kept []uint64
	for i := range s.view.Blocks {
		if !taken[i] {
			blocks, kept = append(blocks, s.view.Blocks[i]), append(kept, s.rows[i])
		}
	}
	written := uint64(0)
	if j.Reason != Dead {
		b := inputs[0]
		b.Level, b.Span, b.Channels, b.Written = j.Level, j.Span, channels, s.now
		b.Expired, b.Hidden, b.Stale = 0, 0, 0
		for _, in := range inputs {
			b.First, b.Last = min(b.First, in.First), max(b.Last, in.Last)
			b.FirstOffset, b.LastOffset = min(b.FirstOffset, in.FirstOffset), max(b.LastOffset, in.LastOffset)
			rows -= rows * (in.Expired + in.Hidden) / max(j.Bytes, 1)
		}
		written = blockBytes(j.Level, rows, channels)
		s.merged += written
		const most = 512 << 20
		left := written
		for parts := written/most + 1; parts > 0; parts-- { // split by channels
			part := b
			part.Bytes, part.Channels = left/parts, max(channels/parts, 1)
			blocks, kept = append(blocks, part), append(kept, rows/parts)
			left, rows = left-part.Bytes, rows-rows/parts
		}
	}
	s.view.Blocks, s.rows = blocks, kept
	if s.log != nil {
		s.log(j, inputs, written)
	}
}

// until lets time pass, doing what becomes due.
func (s *simulation) until(at int64) {
	for {
		due := s.run()
		if due > at {
			s.now = at
			return
		}
		s.now = max(due, s.now)
	}
}

// live writes channels at a step for some time, a flush block every so often.
func (s *simulation) live(length, every, step int64, channels uint64) {
	for end := s.now + length; s.now < end; {
		from := s.now
		s.until(s.now + every)
		s.flush(from, s.now-1, channels*uint64(every/step), channels)
	}
	s.run()
}

// overlaysOver returns the most blocks of later entries whose rows lie over
// those of any one unit, each unit counted once.
func (s *simulation) overlaysOver() int {
	most := 0
	for _, units := range unitsOf(s.view.Blocks) {
		for i := range units {
			above := 0
			for j := range units {
				if units[j].lastOffset > units[i].lastOffset && units[j].first <= units[i].last && units[i].first <= units[j].last {
					above++
				}
			}
			most = max(most, above)
		}
	}
	return most
}

// draw returns the layout as a timeline of each month: a line for each unit,
// the oldest entries first, a column for each day.
func (s *simulation) draw() string {
	text := ""
	months := unitsOf(s.view.Blocks)
	var order []int64
	for from := range months {
		order = append(order, from)
	}
	slices.Sort(order)
	for _, from := range order {
		month := monthOf(from)
		units := months[from]
		slices.SortStableFunc(units, func(a, b unit) int { return cmp.Compare(b.level, a.level) })
		text += fmt.Sprintf("%s  1       8      15      22      29\n", time.Unix(0, from).UTC().Format("2006-01"))
		for _, u := range units {
			line := []byte("                               ")
			for day := month.From; day < month.To; day += model.Day {
				if overlaps(u.span, model.Span{From: day, To: day + model.Day}) {
					line[(day-month.From)/model.Day] = map[Level]byte{Flush: 'f', Day: 'd', Month: 'M'}[u.level]
				}
			}
			text += fmt.Sprintf("  %-5s  %s  %8s  entries %d-%d", u.level, line, size(u.bytes), u.firstOffset, u.lastOffset)
			if len(u.blocks) > 1 {
				text += fmt.Sprintf(", %d files", len(u.blocks))
			}
			text += "\n"
		}
	}
	return text
}

// size gives bytes with their unit.
func size(bytes uint64) string {
	switch {
	case bytes >= 10<<20:
		return fmt.Sprintf("%d MiB", bytes>>20)
	case bytes >= 10<<10:
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
	return fmt.Sprintf("%d B", bytes)
}
