package engine

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/head"
	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// snapshot is what one query reads: the pieces of each channel as they were at
// one moment. It holds block files open until it is closed.
type snapshot struct {
	db     *DB
	ids    []model.ChannelID // of the query, ascending
	pieces [][]merge.Piece   // of each of ids
	hidden []hiding          // of each of ids; nil: nothing is hidden of any
	blocks []openBlock
	chunks int     // of blocks
	most   int     // chunks that addBlock takes, 0: any number
	loaded *loader // what load read for all of them
}

// openBlock is a block and those of its chunks that a query reads, by ascending
// channel, then time.
type openBlock struct {
	*openReader
	meta   block.Meta // as the manifest has it
	chunks []block.Chunk
}

// snapshot takes the pieces of channels that may hold rows in span. ids must
// be ascending.
func (db *DB) snapshot(ctx context.Context, t *tenant, ids []model.ChannelID, span model.Span) (*snapshot, error) {
	s, err := db.openSnapshot(ctx, t, ids, span, false)
	if err != nil {
		return nil, err
	}
	for i := range s.blocks {
		err := ctx.Err()
		if err == nil {
			err = s.addChunks(&s.blocks[i], ids, span)
		}
		if err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// openSnapshot takes the pieces of heads, and opens the blocks that may hold
// rows in span without looking for their chunks. Rows that have expired it
// leaves out, unless they are asked for too.
func (db *DB) openSnapshot(ctx context.Context, t *tenant, ids []model.ChannelID, span model.Span, expired bool) (*snapshot, error) {
	s := &snapshot{db: db, ids: ids, pieces: make([][]merge.Piece, len(ids))}
	t.choosing.RLock()
	defer t.choosing.RUnlock()
	now := db.now()
	t.mu.RLock()
	s.hidden = t.hidings(ids, span, now)
	for i := range s.hidden {
		if expired {
			s.hidden[i].floors = policy.NoFloors
		}
	}
	blocks := t.blocks
	for _, f := range t.frozen {
		s.addLayer(f.layer, f.lastOffset, span)
	}
	s.addLayer(t.active, math.MaxUint64, span)
	t.mu.RUnlock()
	for _, m := range blocks {
		if !span.Overlaps(m.First, m.Last) {
			continue
		}
		err := ctx.Err()
		if err == nil {
			_, err = s.openBlock(m)
		}
		if err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// headRows adapts a head's view to merge.Source.
type headRows struct{ head.View }

// DecodeIn implements merge.Source.
func (h headRows) DecodeIn(_ []model.Span, times []int64, values []float64) ([]int64, []float64, error) {
	return h.Decode(times, values)
}

// Fold implements merge.Source.
func (h headRows) Fold(span model.Span, g merge.Grid, out []model.Aggregate) error {
	return merge.DecodeAndFold(h, span, g, out)
}

// addLayer adds the rows of a layer's head, and the blocks attached to it that
// may have some in span.
func (s *snapshot) addLayer(l *layer, rank uint64, span model.Span) {
	for i, id := range s.ids {
		s.addHead(i, l.Head, id, rank, span)
	}
	for _, a := range l.attached {
		if span.Overlaps(a.meta.First, a.meta.Last) {
			s.blocks = append(s.blocks, openBlock{openReader: a.openReader, meta: a.meta})
		}
	}
}

func (s *snapshot) addHead(i int, h *head.Head, id model.ChannelID, rank uint64, span model.Span) {
	view, ok := h.View(id)
	if !ok {
		return
	}
	if first, last := view.Bounds(); span.Overlaps(first, last) {
		s.add(i, merge.Piece{Rank: rank, First: first, Last: last, Source: headRows{view}}, rank)
	}
}

// add adds what is not hidden of a piece of the i-th channel. Deletions before
// cleanTo are not asked for.
func (s *snapshot) add(i int, p merge.Piece, cleanTo uint64) {
	if s.hidden == nil {
		s.pieces[i] = append(s.pieces[i], p)
	} else {
		s.pieces[i] = s.hidden[i].clip(s.pieces[i], p, cleanTo)
	}
}

// errManyChunks says that blocks have more chunks than a snapshot may.
var errManyChunks = errors.New("more chunks than are held at once")

// openBlock opens a block.
func (s *snapshot) openBlock(m block.Meta) (*openBlock, error) {
	r, err := s.db.readers.acquire(m.Name)
	if err != nil {
		return nil, err
	}
	s.blocks = append(s.blocks, openBlock{openReader: r, meta: m})
	return &s.blocks[len(s.blocks)-1], nil
}

// addBlock opens a block and adds the pieces that may hold rows in span.
func (s *snapshot) addBlock(m block.Meta, span model.Span) error {
	b, err := s.openBlock(m)
	if err != nil {
		return err
	}
	return s.addChunks(b, s.ids, span)
}

// addChunks adds the pieces of some of the channels in a block that may hold
// rows in span.
func (s *snapshot) addChunks(b *openBlock, ids []model.ChannelID, span model.Span) error {
	return s.addWanted(b, ids, span, func(int, *block.ChunkRef) bool { return true })
}

// addWanted is addChunks of those that wanted likes, of the channel s.ids[at].
// It is called once for an openBlock.
func (s *snapshot) addWanted(b *openBlock, ids []model.ChannelID, span model.Span, wanted func(at int, c *block.ChunkRef) bool) error {
	at := 0
	err := b.Chunks(ids, span, func(c block.ChunkRef) error {
		for s.ids[at] != c.Channel { // both ascend
			at++
		}
		if !wanted(at, &c) {
			return nil
		}
		if s.chunks++; s.most > 0 && s.chunks > s.most {
			return errManyChunks
		}
		b.chunks = append(b.chunks, b.Chunk(c))
		return nil
	})
	at = 0
	for i := range b.chunks {
		c := &b.chunks[i]
		for s.ids[at] != c.Ref.Channel {
			at++
		}
		s.add(at, merge.Piece{
			Rank: b.meta.LastOffset, First: c.Ref.Summary.FirstTime, Last: c.Ref.Summary.LastTime,
			Summary: &c.Ref.Summary, Source: c,
		}, cleanTo(&b.meta))
	}
	return err
}

func (s *snapshot) close() {
	for _, b := range s.blocks {
		s.db.readers.release(b.openReader)
	}
	s.blocks = nil
	if s.loaded != nil {
		s.loaded.release()
		s.loaded = nil
	}
}

// sorted returns ids ascending, and for each of them its position in ids.
func sorted(ids []model.ChannelID) (ascending []model.ChannelID, position []int) {
	position = make([]int, len(ids))
	for i := range position {
		position[i] = i
	}
	if !slices.IsSorted(ids) {
		slices.SortFunc(position, func(a, b int) int { return int(int64(ids[a]) - int64(ids[b])) })
	}
	ascending = make([]model.ChannelID, len(ids))
	for i, at := range position {
		ascending[i] = ids[at]
	}
	return ascending, position
}
