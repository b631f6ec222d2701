package query

import (
	"context"
	"errors"
	"fmt"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
)

// Sentinels of package query; besides them, errors of the engine,
// model.ErrBadSpan, model.ErrBadSelector and ErrBadTime pass through.
var (
	ErrNoChannel       = errors.New("no channel")
	ErrTooManyChannels = errors.New("too many channels")
	ErrBadCursor       = errors.New("bad cursor")
	ErrInvalid         = errors.New("invalid")
)

// Scope is what every question is about: channels of one tenant.
type Scope struct {
	Tenant   model.Tenant
	Selector model.Selector
	// Admit, if not nil, may refuse the selected channels before anything else
	// is read of them.
	Admit func([]model.Channel) error
}

// selected returns the selected channels in the order in which they were made.
func (s Scope) selected(ctx context.Context, db *engine.DB) ([]model.Channel, error) {
	channels, err := db.Channels(ctx, s.Tenant, s.Selector)
	if err == nil && s.Admit != nil {
		err = s.Admit(channels)
	}
	return channels, err
}

// Channels returns the selected channels and their IDs, in the order in which
// they were made: at least one, at most the given number.
func (s Scope) Channels(ctx context.Context, db *engine.DB, most int64) ([]model.Channel, []model.ChannelID, error) {
	return s.channels(ctx, db, most)
}

// channels returns the selected channels in the order in which they were made:
// at least one, at most the given number.
func (s Scope) channels(ctx context.Context, db *engine.DB, most int64) ([]model.Channel, []model.ChannelID, error) {
	channels, err := s.selected(ctx, db)
	if err != nil {
		return nil, nil, err
	}
	if len(channels) == 0 {
		return nil, nil, fmt.Errorf("%w: %s matches nothing", ErrNoChannel, s.Selector)
	}
	if int64(len(channels)) > most {
		return nil, nil, fmt.Errorf("%w: %s matches %d, at most %d", ErrTooManyChannels, s.Selector, len(channels), most)
	}
	return channels, idsOf(channels), nil
}

func idsOf(channels []model.Channel) []model.ChannelID {
	ids := make([]model.ChannelID, len(channels))
	for i := range channels {
		ids[i] = channels[i].ID
	}
	return ids
}

// One returns the only channel that s selects.
func (s Scope) One(ctx context.Context, db *engine.DB) (model.Channel, error) {
	channels, _, err := s.channels(ctx, db, 1)
	if err != nil {
		return model.Channel{}, err
	}
	return channels[0], nil
}

// Window is the span that a question is about. An end that is nil lies at the
// first or just after the last sample selected.
type Window struct{ From, To *int64 }

// Bounds returns the widest span that w allows. It is empty only if no sample
// can lie in it; ends given in the wrong order are model.ErrBadSpan.
func (w Window) Bounds() (model.Span, error) {
	span := model.AllTime()
	if w.From != nil {
		span.From = *w.From
	}
	if w.To != nil {
		span.To = *w.To
	}
	if w.From != nil && w.To != nil && span.Empty() {
		return span, fmt.Errorf("%w: it ends at or before its start", model.ErrBadSpan)
	}
	return span, nil
}
