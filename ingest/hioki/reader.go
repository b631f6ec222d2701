package hioki

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/refusal"
)

// Bounds on a batch. By default its log entry stays well below 1 MiB.
const (
	defaultBatchRows    = 8192
	defaultBatchSamples = 96 << 10
	maxBatchRows        = 1 << 16
	maxBatchSamples     = 1 << 20
)

// Options say what the file does not.
type Options struct {
	Tenant     model.Tenant
	Instrument string         // the label of every channel
	Group      string         // measurement group, a property; may be empty
	Zone       *time.Location // of the trigger time, or of Start where that has no offset
	// Start replaces the trigger time: YYYY-MM-DD hh:mm:ss[.fff][±hh:mm].
	Start     string
	BatchRows int // 0: chosen by the number of channels
}

// Reader turns one file into batches. It is not safe for concurrent use.
type Reader struct {
	lines     *lines
	name      string
	header    *header
	tenant    model.Tenant
	channels  []ChannelInfo
	start     int64   // instant of the trigger, ns since the epoch
	plan      []int32 // for each cell after the time its channel, or -1
	announced []bool  // by channel: its properties were handed over
	batchRows int
	memory    [2]*memory // of the last two batches
	turn      int
	pending   []refusal.Error // cells of the line that is being read
	trailing  bool            // the last kept line ended with a separator
	report    Report
	failure   error
}

// NewReader reads the header. A file that is not a logger's, or whose channels
// or start cannot be known, is refused with a *refusal.Error. The name stands
// in messages.
func NewReader(r io.Reader, name string, o Options) (*Reader, error) {
	reader := &Reader{lines: newLines(r), name: name, tenant: o.Tenant}
	reader.report.Reasons = map[string]int64{refusal.NotANumber: 0}
	if refused := reader.open(&o); refused != nil {
		if err := reader.lines.failure; err != nil && err != io.EOF {
			return nil, fmt.Errorf("%s: reading at byte %d: %w", name, reader.lines.consumed, err)
		}
		refused.File = name
		return nil, refused
	}
	return reader, nil
}

func (r *Reader) open(o *Options) (refused *refusal.Error) {
	if r.header, refused = readHeader(r.lines); refused != nil {
		return refused
	}
	if r.channels, r.report.Skipped, refused = channelsOf(r.header, o); refused != nil {
		return refused
	}
	if r.start, refused = startOf(r.header, o); refused != nil {
		return refused
	}
	r.plan = make([]int32, len(r.header.columns)-1)
	for i := range r.plan {
		r.plan[i] = -1
	}
	for i := range r.channels {
		r.plan[r.channels[i].Column-2] = int32(i)
	}
	r.announced = make([]bool, len(r.channels))
	if o.BatchRows > 0 {
		r.batchRows = max(1, min(o.BatchRows, maxBatchRows, maxBatchSamples/len(r.channels)))
	} else {
		r.batchRows = max(1, min(defaultBatchRows, defaultBatchSamples/len(r.channels)))
	}
	return nil
}

// Validate refuses, with a *refusal.Error, what no file can make good: an
// instrument that is no label, a group that is no text, a start that is no
// time.
func (o *Options) Validate() error {
	_, err := model.NewLabels(
		model.Label{Name: model.InstrumentLabel, Value: o.Instrument},
		model.Label{Name: model.ChannelLabel, Value: "any"})
	switch {
	case err != nil:
		return at(0, 0, refusal.BadLabel, "%s", strings.TrimPrefix(err.Error(), model.ErrBadLabel.Error()+": "))
	case strings.ContainsFunc(o.Instrument, unicode.IsControl):
		return at(0, 0, refusal.BadLabel, "instrument %s holds a control character", shorten(o.Instrument))
	case !utf8.ValidString(o.Group) || len(o.Group) > model.MaxLabelValueBytes || strings.ContainsFunc(o.Group, unicode.IsControl):
		return at(0, 0, refusal.BadLabel, "group %s is not UTF-8 without control characters of at most %d bytes",
			shorten(o.Group), model.MaxLabelValueBytes)
	}
	if o.Start != "" {
		if _, refused := startOf(&header{}, o); refused != nil {
			return refused
		}
	}
	return nil
}

// startOf returns the instant that the times in the file count from.
func startOf(h *header, o *Options) (int64, *refusal.Error) {
	text, line, column := o.Start, 0, 0
	if text == "" {
		text, line, column = h.trigger, h.triggerLine, 2
	}
	if text == "" && o.Zone == nil {
		return 0, at(0, 0, refusal.ZoneRequired, "the file says neither when nor where it was recorded: give --zone and --start")
	}
	if text == "" {
		return 0, at(h.columnLine, 0, refusal.StartRequired, "the file has no trigger time: give --start 'YYYY-MM-DD hh:mm:ss'")
	}
	c, err := parseCivil(text)
	if err != nil && o.Start == "" {
		return 0, at(line, column, refusal.BadTime, "the file's trigger time %s: %v, or give --start", shorten(text), err)
	}
	if err != nil {
		return 0, at(0, 0, refusal.BadTime, "--start %s: %v", shorten(text), err)
	}
	if o.Zone == nil && !c.hasOffset {
		return 0, at(line, 0, refusal.ZoneRequired, "the time %s has no zone: give --zone, such as Europe/Berlin", text)
	}
	start, err := c.instant(o.Zone)
	if err != nil && o.Start == "" {
		return 0, at(line, column, refusal.BadTime, "the file's trigger time %s: %v", shorten(text), err)
	}
	if err != nil {
		return 0, at(0, 0, refusal.BadTime, "--start %s: %v", shorten(text), err)
	}
	return start, nil
}

// Dialect names the shape of the file: "hioki-lr8400", "hioki-lr8430",
// "hioki-lr8450" or "headerless".
func (r *Reader) Dialect() string { return r.header.dialect() }

// Channels returns the numeric columns, in the order of the file.
func (r *Reader) Channels() []ChannelInfo { return r.channels }

// Report returns the counts so far.
func (r *Reader) Report() Report {
	report := r.report.clone()
	report.Bytes = r.lines.consumed
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
	if r.memory[r.turn] == nil {
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
	for len(b.Columns) == 0 { // a batch of holes is none
		if r.failure != nil {
			return r.failure
		}
		n := r.fill(m)
		r.deliver(b, m, n)
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
				r.failure = fmt.Errorf("%s: reading at byte %d: %w", r.name, r.lines.consumed, err)
			}
			return n
		}
		var refused *refusal.Error
		switch {
		case err != nil:
			refused = at(0, 0, refusal.Malformed, "the line has over %d bytes", maxLineBytes)
		case len(line) == 0 || len(bytes.Trim(line, " ")) == 0:
			continue
		default:
			refused = r.row(line, m, n)
		}
		if refused != nil {
			refused.Line = r.lines.number
			r.report.reject(refused, len(r.channels))
			continue
		}
		r.keep(m.times[n])
		n++
	}
	return n
}

// keep counts a row and the cells that were refused in it.
func (r *Reader) keep(t int64) {
	if r.report.Rows == 0 {
		r.report.First, r.report.Last = t, t
	}
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
