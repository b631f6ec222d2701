package engine

import (
	"context"
	"fmt"
	"sync"

	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// Channels returns the channels of t that match, in ascending order of ID:
// the order in which they were made.
func (db *DB) Channels(ctx context.Context, name model.Tenant, s model.Selector) ([]model.Channel, error) {
	t, err := db.enterTenant(name)
	if err != nil {
		return nil, err
	}
	defer db.gate.leave()
	t.mu.RLock()
	defer t.mu.RUnlock()
	ids, err := t.selectChannels(ctx, s, nil)
	if err != nil {
		return nil, err
	}
	channels := make([]model.Channel, len(ids))
	for i, id := range ids {
		channels[i] = *t.index.Get(id)
	}
	return channels, nil
}

// cheapMatches is how many comparisons without a pattern are made before a
// writer that waits is let in: some microseconds' worth.
const cheapMatches = 256

// selectChannels returns the channels that s selects, ascending, unless ctx
// ends before. The caller holds mu shared. It is let go while a pattern is
// matched, which may take as long as whoever asks wishes: what writers do
// meanwhile may count or not. Patterns are matched in turns with those of others
// if turns is not nil.
func (t *tenant) selectChannels(ctx context.Context, s model.Selector, turns *matching) ([]model.ChannelID, error) {
	cheap := 0
	return t.index.SelectWith(s, func(m *model.Matcher, value string) (bool, error) {
		if cheap++; !m.IsPattern() && cheap%cheapMatches != 0 {
			return m.Matches(value), nil
		}
		t.mu.RUnlock()
		defer t.mu.RLock()
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if turns != nil && m.IsPattern() {
			if err := turns.take(ctx, value); err != nil {
				return false, err
			}
		}
		return m.Matches(value), nil
	})
}

// Selection is the rows of some channels in a span as they were at one moment:
// writes that come later do not show. It must be closed.
type Selection struct {
	db       *DB
	snapshot *snapshot
	position []int // of each channel in the snapshot
	span     model.Span

	mu      sync.Mutex
	cursors []*merge.Cursor // handed out
}

// cursors are reused with their buffers, which hold a whole chunk.
var cursors = sync.Pool{New: func() any { return merge.NewCursor(nil, model.AllTime()) }}

// Select takes a snapshot of channels for reading their rows in span. It is
// refused with ErrTooManyChannels where it asks for more channels than one query may.
func (db *DB) Select(ctx context.Context, name model.Tenant, ids []model.ChannelID, span model.Span) (*Selection, error) {
	if err := db.gate.enter(); err != nil {
		return nil, err
	}
	snapshot, position, err := db.selectPieces(ctx, name, ids, span)
	if err != nil {
		db.gate.leave()
		return nil, err
	}
	snapshot.loadAll()
	return &Selection{db: db, snapshot: snapshot, position: position, span: span}, nil // Close leaves the gate
}

// channelQuery is a question about some channels that was found to be good.
type channelQuery struct {
	tenant    *tenant
	ascending []model.ChannelID
	position  []int // in ascending, of each of the channels asked for
}

// query checks a question about channels and a span.
func (db *DB) query(name model.Tenant, ids []model.ChannelID, span model.Span) (channelQuery, error) {
	t, err := db.tenant(name)
	if err != nil {
		return channelQuery{}, err
	}
	if most := int(policy.QueryChannels.Default); len(ids) > most {
		return channelQuery{}, fmt.Errorf("%w: %d channels, at most %d in one query", ErrTooManyChannels, len(ids), most)
	}
	if span.Empty() {
		return channelQuery{}, fmt.Errorf("%w: it ends before it starts", model.ErrBadSpan)
	}
	ascending, order := sorted(ids)
	for i := 1; i < len(ascending); i++ {
		if ascending[i] == ascending[i-1] {
			return channelQuery{}, fmt.Errorf("%w: channel %d is asked for twice", ErrInvalid, ascending[i])
		}
	}
	position := make([]int, len(ids))
	for i, at := range order {
		position[at] = i
	}
	return channelQuery{t, ascending, position}, nil
}

// selectPieces checks a query and takes its snapshot. position tells where in
// the snapshot each of ids is.
func (db *DB) selectPieces(ctx context.Context, name model.Tenant, ids []model.ChannelID, span model.Span) (*snapshot, []int, error) {
	q, err := db.query(name, ids, span)
	if err != nil {
		return nil, nil, err
	}
	s, err := db.snapshot(ctx, q.tenant, q.ascending, span)
	return s, q.position, err
}

// closedRows stand for the rows of a selection that is closed.
type closedRows struct{}

// DecodeIn implements merge.Source.
func (closedRows) DecodeIn([]model.Span, []int64, []float64) ([]int64, []float64, error) {
	return nil, nil, fmt.Errorf("selection: %w", ErrClosed)
}

// Fold implements merge.Source.
func (closedRows) Fold(model.Span, merge.Grid, []model.Aggregate) error {
	return fmt.Errorf("selection: %w", ErrClosed)
}

// Cursor returns a cursor over the i-th channel's rows. Each call starts
// anew; cursors of different channels are independent. After Close the cursor
// gives ErrClosed.
func (s *Selection) Cursor(i int) *merge.Cursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.snapshot == nil {
		closed := merge.Piece{First: s.span.From, Last: s.span.To - 1, Source: closedRows{}}
		return merge.NewCursor([]merge.Piece{closed}, s.span)
	}
	c := cursors.Get().(*merge.Cursor)
	c.Reset(s.snapshot.pieces[s.position[i]], s.span)
	s.cursors = append(s.cursors, c)
	return c
}

// Close lets go of the snapshot. Cursors that were handed out before must not
// be used after it.
func (s *Selection) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.snapshot != nil {
		for _, c := range s.cursors {
			c.Reset(nil, s.span)
			cursors.Put(c)
		}
		s.cursors = nil
		s.snapshot.close()
		s.snapshot = nil
		s.db.gate.leave()
	}
}
