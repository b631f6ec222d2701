package engine

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/head"
	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
)

// flushColumn is a channel of a head with its labels and properties.
type flushColumn struct {
	channel model.Channel
	hidden  hiding // what of it is not written
	rank    uint64 // of the head
	// pieces are its rows: in order of time, and none over another, unless they
	// are tangled.
	pieces  []flushPiece
	tangled bool
	// All its rows, held where several blocks may need them.
	times  []int64
	values []float64
}

// flushPiece is rows of a channel: those in the head, or a chunk of a block that
// is attached to it.
type flushPiece struct {
	merge.Piece
	chunk *block.Chunk // nil: of the head
}

// rowBuffer is memory to decode columns into, one after the other.
type rowBuffer struct {
	times  []int64
	values []float64
}

// rows returns the rows that c holds, or else decodes them into b, where they
// are valid until b's next use.
func (c *flushColumn) rows(b *rowBuffer) ([]int64, []float64, error) {
	if c.times != nil {
		return c.times, c.values, nil
	}
	if len(c.pieces) == 1 {
		return c.rowsOf(&c.pieces[0], b)
	}
	b.times, b.values = b.times[:0], b.values[:0]
	pieces := make([]merge.Piece, len(c.pieces))
	for i := range pieces {
		pieces[i] = c.pieces[i].Piece
	}
	for cursor := merge.NewCursor(pieces, model.AllTime()); ; {
		times, values, err := cursor.Next()
		if err != nil {
			return nil, nil, fmt.Errorf("channel %d of the head: %w", c.channel.ID, err)
		}
		if len(times) == 0 {
			break
		}
		b.times, b.values = append(b.times, times...), append(b.values, values...)
	}
	times, values := c.hidden.filter(c.rank, b.times, b.values)
	return times, values, nil
}

// rowsOf is rows of one piece.
func (c *flushColumn) rowsOf(p *flushPiece, b *rowBuffer) ([]int64, []float64, error) {
	var err error
	if b.times, b.values, err = p.Source.DecodeIn(nil, b.times[:0], b.values[:0]); err != nil {
		return nil, nil, fmt.Errorf("channel %d of the head: %w", c.channel.ID, err)
	}
	times, values := c.hidden.filter(c.rank, b.times, b.values)
	return times, values, nil
}

// together reports whether all rows are decoded together: there is nothing to copy,
// or no order to copy it in.
func (c *flushColumn) together() bool {
	return c.tangled || len(c.pieces) == 1 && c.pieces[0].chunk == nil
}

// bounds returns between which times the rows lie.
func (c *flushColumn) bounds() (first, last int64) {
	first, last = math.MaxInt64, math.MinInt64
	for i := range c.pieces {
		first, last = min(first, c.pieces[i].First), max(last, c.pieces[i].Last)
	}
	return first, last
}

// sort brings the pieces in order, and notes whether one lies over another.
func (c *flushColumn) sort() {
	slices.SortFunc(c.pieces, func(a, b flushPiece) int { return cmp.Compare(a.First, b.First) })
	last := int64(math.MinInt64)
	for i := range c.pieces {
		c.tangled = c.tangled || i > 0 && c.pieces[i].First <= last
		last = max(last, c.pieces[i].Last)
	}
}

// flushColumns returns f's channels, with what nobody can read any more of them,
// and the offset up to which deletions are heeded by that. Channels that were
// deleted are left out.
func (t *tenant) flushColumns(f *frozenHead, now int64) (columns []flushColumn, cleanTo uint64, err error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if n := len(t.tombstones); n > 0 {
		cleanTo = t.tombstones[n-1].Offset
	}
	for _, id := range f.Channels() {
		c := t.index.Get(id)
		if c == nil && id < t.nextID {
			continue
		}
		if c == nil {
			return nil, 0, fmt.Errorf("%w %d in the head", ErrUnknownChannel, id)
		}
		floors := t.floors(id, now)
		floors[model.StepRaw] = floors.Least() // as long as a rollup is kept, it is made of rows
		hidden := hiding{tombstonesOf(t.tombstones, id), floors}
		column := flushColumn{channel: *c, hidden: hidden, rank: f.lastOffset}
		if view, ok := f.View(id); ok {
			column.pieces = append(column.pieces, headPiece(view))
		}
		columns = append(columns, column)
	}
	for _, a := range f.attached {
		if err := addAttached(columns, a); err != nil {
			return nil, 0, err
		}
	}
	for i := range columns {
		columns[i].sort()
	}
	return columns, cleanTo, nil
}

func headPiece(v head.View) flushPiece {
	first, last := v.Bounds()
	return flushPiece{Piece: merge.Piece{Rank: math.MaxUint64, First: first, Last: last, Source: headRows{v}}}
}

// addAttached adds the chunks of an attached block to the columns of its channels.
func addAttached(columns []flushColumn, a *attachedBlock) error {
	at := 0
	return a.Chunks(a.channels, model.AllTime(), func(ref block.ChunkRef) error {
		for at < len(columns) && columns[at].channel.ID < ref.Channel { // both ascend
			at++
		}
		if at == len(columns) || columns[at].channel.ID != ref.Channel {
			return nil // it was deleted
		}
		c := &columns[at]
		chunk := a.Chunk(ref)
		c.pieces = append(c.pieces, flushPiece{merge.Piece{
			Rank: a.meta.LastOffset, First: ref.Summary.FirstTime, Last: ref.Summary.LastTime, Source: &chunk,
		}, &chunk})
		return nil
	})
}

// addDays adds the days on which c has rows, piece by piece. It decodes those
// alone of which its day or its step does not tell.
func (c *flushColumn) addDays(days map[int64]bool, buffer *rowBuffer) error {
	for i := range c.pieces {
		p := &c.pieces[i]
		if c.shows(p) && (dayOf(p.First) == dayOf(p.Last) || p.chunk != nil && p.chunk.Ref.EveryDay()) {
			for day := dayOf(p.First); day <= p.Last; day += model.Day {
				days[day] = true
			}
			continue
		}
		times, _, err := c.rowsOf(p, buffer)
		if err != nil {
			return err
		}
		addDays(days, times)
	}
	return nil
}

// shows reports whether nothing of a piece is hidden.
func (c *flushColumn) shows(p *flushPiece) bool {
	if c.hidden.hidesNothing() {
		return true
	}
	var room [4]model.Span
	spans := c.hidden.remains(room[:0], c.rank, p.First, p.Last)
	return len(spans) == 1 && spans[0] == model.Span{From: p.First, To: p.Last + 1}
}

// write writes the rows that lie in a span.
func (c *flushColumn) write(writer *block.Writer, span model.Span, buffer *rowBuffer) error {
	if first, last := c.bounds(); !span.Overlaps(first, last) {
		return nil
	}
	if c.together() {
		times, values, err := c.rows(buffer)
		if err != nil {
			return err
		}
		return writeChannel(writer, c.channel, clip(times, span), times, values)
	}
	begun := false
	begin := func() error {
		if begun {
			return nil
		}
		begun = true
		return writer.AddChannel(c.channel)
	}
	for i := range c.pieces {
		p := &c.pieces[i]
		if !span.Overlaps(p.First, p.Last) {
			continue
		}
		if p.chunk != nil && c.shows(p) && span.Contains(p.First) && span.Contains(p.Last) {
			if err := errors.Join(begin(), writer.CopyChunk(p.chunk)); err != nil {
				return err
			}
			continue
		}
		times, values, err := c.rowsOf(p, buffer)
		if err != nil {
			return err
		}
		part := clip(times, span)
		if part[0] == part[1] {
			continue
		}
		if err := errors.Join(begin(), addChunks(writer, part, times, values)); err != nil {
			return err
		}
	}
	return nil
}

// clip returns the index range of ascending times that lie in s.
func clip(times []int64, s model.Span) [2]int {
	from, _ := slices.BinarySearch(times, s.From)
	to, _ := slices.BinarySearch(times, s.To)
	return [2]int{from, to}
}

func writeChannel(w *block.Writer, c model.Channel, part [2]int, times []int64, values []float64) error {
	if part[0] == part[1] {
		return nil
	}
	if err := w.AddChannel(c); err != nil {
		return err
	}
	return addChunks(w, part, times, values)
}

func addChunks(w *block.Writer, part [2]int, times []int64, values []float64) error {
	for from := part[0]; from < part[1]; from += chunkRows {
		to := min(from+chunkRows, part[1])
		if err := w.AddChunk(times[from:to], values[from:to]); err != nil {
			return err
		}
	}
	return nil
}
