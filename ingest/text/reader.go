package text

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/refusal"
)

// Bounds on a batch. The first is small, as most files are. Those of a long file
// grow until a batch is some blocks' worth, of whole chunks where channels are few
// enough: history goes into the database as blocks, several times cheaper than as
// rows. It takes 4 MiB, and the batch before as many.
const (
	firstBatchRows    = 8192
	firstBatchSamples = 96 << 10
	grownBatchSamples = 1 << 19
	batchGrowth       = 4
	chunkRows         = 4096
	maxBatchRows      = 1 << 16
	maxBatchSamples   = 1 << 20
)

// Reader turns one file into batches. It is not safe for concurrent use.
type Reader struct {
	lines     *Lines
	name      string
	layout    *Layout
	tenant    model.Tenant
	channels  []ChannelInfo
	plan      []step // what to do with each cell
	clock     clock
	timeCells [][]byte // of the line that is being read
	words     map[string]float64
	announced []bool // by channel: its properties were handed over
	batchRows int
	grows     bool       // batchRows does, up to what is best
	memory    [2]*memory // of the last two batches
	turn      int
	pending   []refusal.Error // cells of the line that is being read
	trailing  bool            // the last kept line ended with a separator
	report    Report
	dirt      dirt
	failure   error
}

// step is what to do with a cell.
type step struct {
	kind    Kind
	channel int32
	last    bool // of the time's cells
}

// NewReader has read, a dialect's, read what stands above the data. A file
// that is not of the dialect, or whose channels or start cannot be known, is
// refused with a *refusal.Error. The name stands in messages.
func NewReader(lines *Lines, name string, o Options, read func(*Lines, *Options) (*Layout, *refusal.Error)) (*Reader, error) {
	r := &Reader{lines: lines, name: name, tenant: o.Tenant}
	r.report.Reasons = map[string]int64{refusal.NotANumber: 0}
	layout, refused := read(lines, &o)
	if refused == nil {
		r.layout = layout
		r.channels, refused = layout.channels(&o)
	}
	if refused != nil {
		if err := lines.failure; err != nil && err != io.EOF {
			return nil, fmt.Errorf("%s: reading at byte %d: %w", name, lines.Consumed, err)
		}
		refused.File = name
		return nil, refused
	}
	r.prepare(&o)
	return r, nil
}

// prepare makes the plan of a line.
func (r *Reader) prepare(o *Options) {
	l := r.layout
	r.plan = make([]step, len(l.Columns))
	lastTime, channel := -1, int32(0)
	for i := range l.Columns {
		c := &l.Columns[i]
		r.plan[i] = step{kind: c.Kind, channel: -1}
		switch {
		case c.Kind == Time:
			r.timeCells = append(r.timeCells, nil)
			lastTime = i
		case c.Kind >= Number:
			r.plan[i].channel = channel
			channel++
		case c.Name != "":
			r.report.Skipped = append(r.report.Skipped, c.Name)
		}
	}
	if lastTime >= 0 {
		r.plan[lastTime].last = true
		if len(r.timeCells) == 1 && l.Clock.Format == nil && !l.Clock.Duration {
			r.plan[lastTime].kind = elapsed
		}
	}
	r.clock = clock{Clock: l.Clock, mark: l.Mark, local: local{last: math.MinInt64}}
	r.words = map[string]float64{}
	for word, v := range l.Words {
		r.words[l.Charset.encode(word)] = v
	}
	r.announced = make([]bool, len(r.channels))
	r.dirt.warnings = l.Warnings
	if o.BatchRows > 0 {
		r.batchRows = max(1, min(o.BatchRows, maxBatchRows, maxBatchSamples/len(r.channels)))
	} else {
		r.batchRows = max(1, min(firstBatchRows, firstBatchSamples/len(r.channels)))
		r.grows = true
	}
}

// grow makes the batches after a full one larger.
func (r *Reader) grow() {
	most := wholeChunks(max(r.batchRows, min(maxBatchRows, grownBatchSamples/len(r.channels))))
	r.batchRows = wholeChunks(min(most, r.batchRows*batchGrowth))
	r.grows = r.batchRows < most
}

// wholeChunks returns the greatest number of rows up to n that fills chunks, n
// where it fills none.
func wholeChunks(n int) int {
	if n < chunkRows {
		return n
	}
	return n / chunkRows * chunkRows
}

// Dialect names the way in which the file is written.
func (r *Reader) Dialect() string { return r.layout.Dialect }

// Layout returns how the file is written, which is not to be changed.
func (r *Reader) Layout() *Layout { return r.layout }

// Channels returns the columns of numbers, in the order of the file.
func (r *Reader) Channels() []ChannelInfo { return r.channels }

// Report returns the counts so far.
func (r *Reader) Report() Report {
	report := r.report.clone()
	report.Bytes = r.lines.Consumed
	report.Warnings = r.dirt.describe(r.clock.local.twice)
	return report
}

// memory is what one batch is made of. Times and values have one place per
// row; a row in which a column has no sample holds the hole there.
type memory struct {
	times  []int64
	values [][]float64
	own    [][]int64 // by channel: its times where it has holes
	holes  []bool    // by channel: there may be holes
}

// hole is a NaN that no cell stands for.
var hole = math.Float64frombits(0x7FF8_0000_0000_0B0E)

func isHole(v float64) bool { return math.Float64bits(v) == 0x7FF8_0000_0000_0B0E }

func (r *Reader) nextMemory() *memory {
	r.turn ^= 1
	if m := r.memory[r.turn]; m == nil || len(m.times) < r.batchRows {
		m := &memory{
			times:  make([]int64, r.batchRows),
			values: make([][]float64, len(r.channels)),
			own:    make([][]int64, len(r.channels)),
			holes:  make([]bool, len(r.channels)),
		}
		all := make([]float64, r.batchRows*len(r.channels))
		for i := range m.values {
			m.values[i] = all[i*r.batchRows : (i+1)*r.batchRows : (i+1)*r.batchRows]
		}
		r.memory[r.turn] = m
	}
	m := r.memory[r.turn]
	clear(m.holes)
	return m
}

// Next fills b with the next rows, at most Options.BatchRows; io.EOF after the
// last. Columns without a hole share one Times slice. A channel's properties,
// where the file says any, go with its first column. What b refers to stays as it is until Next has
// been called twice more: one batch can be written while the next is read.
func (r *Reader) Next(b *model.Batch) error {
	b.Tenant = r.tenant
	b.Columns = b.Columns[:0]
	m := r.nextMemory()
	n := 0
	for len(b.Columns) == 0 { // a batch of holes is none
		if r.failure != nil {
			return r.failure
		}
		n = r.fill(m)
		r.deliver(b, m, n)
	}
	if r.grows && n == r.batchRows {
		r.grow()
	}
	return nil
}

// fill reads lines into m until it is full or the file ends, and returns the
// number of rows.
func (r *Reader) fill(m *memory) int {
	n := 0
	for n < r.batchRows {
		line, err := r.lines.next()
		if err != nil && !errors.Is(err, errLongLine) {
			r.failure = err
			if err != io.EOF {
				r.failure = fmt.Errorf("%s: reading at byte %d: %w", r.name, r.lines.Consumed, err)
			}
			return n
		}
		var refused *refusal.Error
		switch {
		case err != nil:
			refused = At(0, 0, refusal.Malformed, "the line has over %d bytes", maxLineBytes)
		case len(line) == 0 || r.isBlank(line):
			continue
		case r.layout.End != "" && bytes.HasPrefix(line, []byte(r.layout.End)):
			if r.failure = r.passRest(); r.failure != io.EOF {
				r.failure = fmt.Errorf("%s: reading at byte %d: %w", r.name, r.lines.Consumed, r.failure)
			}
			return n
		default:
			if line[0] == 0 {
				whole := len(line)
				line = r.dirt.cutNULs(line, r.lines.Number)
				r.lines.offset += int64(whole - len(line))
			}
			refused = r.row(line, m, n)
		}
		r.clock.lines++
		if refused != nil {
			refused.Line = r.lines.Number
			r.report.reject(refused, len(r.channels))
			continue
		}
		r.keep(m.times[n])
		n++
	}
	return n
}

// isBlank reports whether a line holds nothing but blanks and separators.
func (r *Reader) isBlank(line []byte) bool {
	if line[0] != ' ' && line[0] != '\t' && line[0] != r.layout.Separator {
		return false
	}
	for _, c := range line {
		if c != ' ' && c != '\t' && c != r.layout.Separator {
			return false
		}
	}
	return true
}

// passRest reads what stands behind the data, whose first line was read.
func (r *Reader) passRest() error {
	for n := 1; ; n++ {
		line, err := r.lines.next()
		if err != nil && !errors.Is(err, errLongLine) {
			r.dirt.behind = max(0, n-r.layout.EndLines)
			return err
		}
		if err == nil && len(line) == 0 {
			n--
		}
	}
}

// keep counts a row and the cells that were refused in it.
func (r *Reader) keep(t int64) {
	if r.report.Rows == 0 {
		r.report.First, r.report.Last = t, t
	} else if t <= r.dirt.last {
		r.dirt.notLater(t, r.lines.Number)
	}
	r.dirt.last = t
	r.report.First, r.report.Last = min(r.report.First, t), max(r.report.Last, t)
	r.report.Rows++
	for i := range r.pending {
		r.report.reject(&r.pending[i], 1)
	}
	r.pending = r.pending[:0]
}

// deliver makes the first n rows of m the columns of b.
func (r *Reader) deliver(b *model.Batch, m *memory, n int) {
	for i := range r.channels {
		times, values := m.times[:n], m.values[i][:n]
		if m.holes[i] {
			times, values = m.withoutHoles(i, n)
		}
		if len(values) == 0 {
			continue
		}
		column := model.Column{Labels: r.channels[i].Labels, Times: times, Values: values}
		if p := &r.channels[i].Properties; !r.announced[i] && *p != (model.Properties{}) {
			column.Properties = p
		}
		r.announced[i] = true
		b.Columns = append(b.Columns, column)
		r.report.Accepted += int64(len(values))
	}
	clear(m.holes)
}

// withoutHoles closes the holes of one channel.
func (m *memory) withoutHoles(channel, n int) ([]int64, []float64) {
	all := m.values[channel][:n]
	values, times := all[:0], m.own[channel][:0]
	for i, v := range all {
		if !isHole(v) {
			values = append(values, v)
			times = append(times, m.times[i])
		}
	}
	m.own[channel] = times
	if len(values) == n {
		return m.times[:n], values
	}
	return times, values
}
