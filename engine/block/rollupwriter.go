package block

import (
	"fmt"
	"math"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

const (
	// leastRatio is how many rows of the level below a row of a step must
	// stand for, on average, for the step to be stored.
	leastRatio = 30
	// decideRows is after how many rows of a step it is decided whether the
	// channel's are stored, if the channel has so many.
	decideRows = 1024
	// spillBytes is how many bytes of complete pages are kept until they are
	// written between chunks: so few stretches of them interrupt the chunks.
	spillBytes = 4 << 20
)

// rollupWriter folds the rows of channels, and collects them in pages.
type rollupWriter struct {
	enabled  bool // Options.Rollups
	channel  model.ChannelID
	raw      uint64 // rows of the channel so far
	copied   bool   // the channel's rows come from AddRollups
	steps    [model.StepCount]stepWriter
	segments *segmentWriter // made when it is needed: it is large
	full     []rollupPage   // to be written
	bytes    int            // of full
	stored   storedRuns
	rows     uint64
	size     uint64 // of what was written
	pages    [model.StepCount][]page
	first    int64 // time of the earliest row
	last     int64
	began    bool
	piece    model.Aggregate
	emit     func(model.Step) // takes pending rows in place of pages; nil: pages do
}

// rollupPage is a page that is full.
type rollupPage struct {
	step    model.Step
	bounds  page
	payload []byte
}

// What is known of whether a channel's rows of a step are stored.
const (
	undecided = iota
	chosen
	dropped
)

// stepWriter has the rows of one step.
type stepWriter struct {
	state     int
	rows      uint64          // of the channel, the open one too
	open      model.Aggregate // the row that may grow; without rows: none
	absolute  float64         // of open: sum of |v|
	interval  int64           // of open
	pending   RollupRows      // of the channel, not in the page yet
	absolutes []float64       // of pending; nil: sums stay as they are
	last      int64           // of copied rows: time of the last
	wrote     bool            // rows of the channel are in pages
	// The page that still grows.
	before   segmentHead
	payload  []byte
	bounds   page
	pageRows int
}

func newRollupWriter(enabled bool) rollupWriter {
	return rollupWriter{enabled: enabled, first: math.MaxInt64, last: math.MinInt64}
}

// begin begins a channel.
func (w *rollupWriter) begin(id model.ChannelID) {
	w.end()
	w.channel, w.began, w.raw, w.copied = id, true, 0, false
	for i := range w.steps {
		s := &w.steps[i]
		s.state, s.rows, s.open, s.wrote = undecided, 0, model.Aggregate{}, false
		if !w.enabled || i == int(model.StepRaw) {
			s.state = dropped
		}
		s.pending.Reset(model.Step(i))
		s.absolutes = s.absolutes[:0]
	}
}

// add folds raw rows.
func (w *rollupWriter) add(times []int64, values []float64) {
	w.decide(times)
	w.raw += uint64(len(times))
	finest := w.finest()
	if finest == model.StepRaw {
		return
	}
	width := finest.Width()
	for from := 0; from < len(times); {
		to := from + intervalRows(times[from:], width)
		w.piece = model.Aggregate{}
		w.piece.AddValues(values[from:to])
		w.piece.FirstTime, w.piece.LastTime = times[from], times[to-1]
		w.addPiece(finest, absoluteOf(&w.piece, values[from:to]))
		from = to
	}
}

// absoluteOf returns the sum of |v|.
func absoluteOf(a *model.Aggregate, values []float64) float64 {
	switch {
	case a.Count == 0 || a.Min >= 0:
		return a.Total()
	case a.Max <= 0:
		return -a.Total()
	}
	return sizeOf(values)
}

// intervalRows returns how many of the rows are in the interval of the first.
func intervalRows(times []int64, width int64) int {
	_, place := intervalOf(times[0], width)
	rest := uint64(width - place)
	n := 1
	for n < len(times) && uint64(times[n])-uint64(times[0]) < rest {
		n++
	}
	return n
}

// finest returns the finest step that is not dropped, StepRaw where all are.
func (w *rollupWriter) finest() model.Step {
	for step := model.StepSecond; step < model.StepCount; step++ {
		if w.steps[step].state != dropped {
			return step
		}
	}
	return model.StepRaw
}

// addPiece adds some rows of one interval of the finest step, and so of all.
func (w *rollupWriter) addPiece(finest model.Step, absolute float64) {
	for step := finest; step < model.StepCount; step++ {
		s := &w.steps[step]
		if s.state == dropped {
			continue
		}
		interval, _ := intervalOf(w.piece.FirstTime, step.Width())
		if s.open.Rows() > 0 && s.interval == interval {
			s.open.Merge(&w.piece)
			s.absolute += absolute
			continue
		}
		w.complete(step)
		s.open, s.absolute, s.interval = w.piece, absolute, interval
		s.rows++
	}
}

// complete ends the open row of a step.
func (w *rollupWriter) complete(step model.Step) {
	s := &w.steps[step]
	if s.open.Rows() == 0 {
		return
	}
	if s.pending.Len() == MaxRollupRows { // so many rows are only kept of a step that is chosen
		w.flush(step)
	}
	s.pending.Add(&s.open)
	s.absolutes = append(s.absolutes, s.absolute)
	s.open = model.Aggregate{}
}

// decide drops steps that the rows so far, and these, are too few for. Whether
// a step is stored is decided where its row decideRows begins.
func (w *rollupWriter) decide(times []int64) {
	for step := model.StepSecond; step < model.StepCount; step++ {
		s := &w.steps[step]
		if s.state != undecided {
			continue
		}
		rows, used := s.count(times, step.Width(), decideRows)
		if rows < decideRows {
			return // coarser steps have no more
		}
		below := w.raw + uint64(used)
		if finer := w.chosenBelow(step); finer != model.StepRaw {
			below, _ = w.steps[finer].count(times[:used], finer.Width(), math.MaxUint64)
		}
		w.settle(step, below, rows)
	}
}

// chosenBelow returns the coarsest stored step that is finer than step, StepRaw
// where there is none.
func (w *rollupWriter) chosenBelow(step model.Step) model.Step {
	for step--; step > model.StepRaw; step-- {
		if w.steps[step].state == chosen {
			break
		}
	}
	return step
}

// settle decides whether a step is stored that has so many rows, where the
// level below has so many.
func (w *rollupWriter) settle(step model.Step, below, rows uint64) {
	s := &w.steps[step]
	if below >= leastRatio*rows || step == model.StepDay && w.steps[model.StepHour].state == chosen {
		s.state = chosen
		return
	}
	s.state = dropped
}

// count returns how many rows the step has with these raw rows, up to most,
// and how many of them that takes.
func (s *stepWriter) count(times []int64, width int64, most uint64) (rows uint64, used int) {
	rows = s.rows
	for from := 0; from < len(times); {
		interval, _ := intervalOf(times[from], width)
		if from > 0 || s.open.Rows() == 0 || s.interval != interval {
			if rows == most {
				return rows, from
			}
			rows++
		}
		from += intervalRows(times[from:], width)
	}
	return rows, len(times)
}

// copy adds rows of a channel without raw ones.
func (w *rollupWriter) copy(r *RollupRows) error {
	if r.Len() == 0 {
		return nil
	}
	if r.Step == model.StepRaw || r.Step >= model.StepCount {
		return fmt.Errorf("rollups of %s", r.Step)
	}
	s := &w.steps[r.Step]
	before, some := s.last, w.copied && (s.wrote || s.pending.Len() > 0)
	for i, first := range r.FirstTimes {
		from, place := intervalOf(first, r.Step.Width())
		to, _ := intervalOf(r.LastTimes[i], r.Step.Width())
		if last, _ := intervalOf(before, r.Step.Width()); some && last >= from {
			return fmt.Errorf("%w: a row of %s of channel %d at %d after %d", ErrOrder, r.Step, w.channel, first, before)
		}
		if from != to || r.LastTimes[i] < first || place < 0 || r.Counts[i]+r.Qualities[i] == 0 || r.Counts[i]|r.Qualities[i] >= 1<<62 {
			return fmt.Errorf("a row of %s of channel %d at %d is none", r.Step, w.channel, first)
		}
		before, some = r.LastTimes[i], true
	}
	w.copied, s.last, s.state = true, before, chosen
	for from := 0; from < r.Len(); {
		if s.pending.Len() == MaxRollupRows {
			w.flush(r.Step)
		}
		to := min(from+MaxRollupRows-s.pending.Len(), r.Len())
		part := r.slice(from, to)
		s.pending.Append(&part)
		from = to
	}
	w.first, w.last = min(w.first, r.FirstTimes[0]), max(w.last, before)
	return nil
}

// end ends the channel.
func (w *rollupWriter) end() {
	if !w.began {
		return
	}
	w.began = false
	for step := model.StepSecond; step < model.StepCount; step++ {
		w.complete(step)
	}
	for step := model.StepSecond; step < model.StepCount; step++ {
		s := &w.steps[step]
		if s.state == undecided {
			below := w.raw
			if finer := w.chosenBelow(step); finer != model.StepRaw {
				below = w.steps[finer].rows
			}
			w.settle(step, below, s.rows)
		}
	}
	var set StepSet
	if w.raw > 0 {
		set = set.With(model.StepRaw)
	}
	for step := model.StepSecond; step < model.StepCount; step++ {
		s := &w.steps[step]
		if s.state == chosen {
			w.flush(step)
		}
		if s.wrote {
			set = set.With(step)
		}
	}
	w.stored = w.stored.add(w.channel, set)
}

// flush moves the pending rows of a step into its page.
func (w *rollupWriter) flush(step model.Step) {
	s := &w.steps[step]
	n := s.pending.Len()
	if n == 0 {
		return
	}
	if w.emit != nil {
		w.emit(step)
		s.pending.Reset(step)
		s.absolutes = s.absolutes[:0]
		return
	}
	if s.pageRows+n > MaxRollupRows {
		w.endPage(step)
	}
	if s.pageRows == 0 {
		s.payload = append(s.payload[:0], byte(step))
		s.before = segmentHead{}
		s.bounds = page{firstChannel: w.channel, first: math.MaxInt64, last: math.MinInt64}
	}
	if w.segments == nil {
		w.segments = new(segmentWriter)
	}
	absolutes := s.absolutes
	if w.copied {
		absolutes = nil
	}
	s.payload = w.segments.append(s.payload, &s.before, w.channel, &s.pending, absolutes)
	b := &s.bounds
	b.lastChannel = w.channel
	b.first, b.last = min(b.first, s.pending.FirstTimes[0]), max(b.last, s.pending.LastTimes[n-1])
	s.pageRows += n
	w.rows += uint64(n)
	s.wrote = true
	s.pending.Reset(step)
	s.absolutes = s.absolutes[:0]
}

// endPage ends the page of a step.
func (w *rollupWriter) endPage(step model.Step) {
	s := &w.steps[step]
	if s.pageRows == 0 {
		return
	}
	w.full = append(w.full, rollupPage{step, s.bounds, append([]byte(nil), s.payload...)})
	w.bytes += len(s.payload)
	s.pageRows = 0
}

// writeRollups writes the pages that are full.
func (b *Writer) writeRollups() error {
	w := &b.rollups
	for i := range w.full {
		p := &w.full[i]
		b.begin()
		b.out = append(b.out, p.payload...)
		var err error
		if p.bounds.Frame, err = b.finish(); err != nil {
			return err
		}
		w.size += disk.FrameHeaderSize + uint64(p.bounds.Length)
		w.pages[p.step] = append(w.pages[p.step], p.bounds)
	}
	w.full, w.bytes = w.full[:0], 0
	b.index.open = false // the next chunk does not follow the one before
	return nil
}
