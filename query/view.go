package query

import (
	"context"
	"fmt"
	"math"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// DefaultBuckets is about how many buckets a view has where nothing is said:
// the width of a chart in pixels.
const DefaultBuckets = 1366

// ViewRequest asks for a view.
type ViewRequest struct {
	Scope
	Window
	Buckets int  // about so many: they are whole and begin on round times, so there may be one more; 0: DefaultBuckets
	Unit    Unit // in which the edges are answered
}

// ViewAnswer has an aggregate per channel and bucket.
type ViewAnswer struct {
	Buckets    model.Buckets
	Source     string // the coarsest step whose rollups were used, "raw" if none
	Channels   []model.Channel
	Aggregates [][]model.Aggregate // [channel][bucket]
}

// View summarises the selected channels in buckets of one width. A width that
// is finer than the unit is model.ErrBadSpan, as its edges could not be told
// apart; only where an end is left open and the rows lie within one unit is the
// answer one bucket of one unit.
func View(ctx context.Context, db *engine.DB, r ViewRequest) (*ViewAnswer, error) {
	if r.Buckets == 0 {
		r.Buckets = DefaultBuckets
	}
	if r.Buckets < 1 || int64(r.Buckets) > policy.ViewBuckets.Default {
		return nil, fmt.Errorf("%w: %d buckets, want 1 to %d", ErrInvalid, r.Buckets, policy.ViewBuckets.Default)
	}
	channels, ids, err := r.Scope.channels(ctx, db, policy.ViewChannels.Default)
	if err != nil {
		return nil, err
	}
	span, err := r.viewSpan(ctx, db, ids)
	if err != nil {
		return nil, err
	}
	if uint64(span.To)-uint64(span.From) <= uint64(r.Unit.Nanoseconds) && (r.From == nil || r.To == nil) {
		r.Buckets = 1
	}
	buckets, err := model.PlanBuckets(span, r.Buckets)
	if err != nil {
		return nil, err
	}
	if buckets.Width < r.Unit.Nanoseconds {
		return nil, fmt.Errorf("%w: a bucket is %d ns wide, finer than the unit %s: ask for unit %s or for fewer buckets",
			model.ErrBadSpan, buckets.Width, r.Unit.Name, nextBelow(buckets.Width).Name)
	}
	view, err := db.View(ctx, r.Tenant, ids, buckets)
	if err != nil {
		return nil, err
	}
	return &ViewAnswer{buckets, view.Coarsest.String(), channels, view.Aggregates}, nil
}

// viewSpan returns the span of a view, with open ends taken from what there is.
func (r *ViewRequest) viewSpan(ctx context.Context, db *engine.DB, ids []model.ChannelID) (model.Span, error) {
	span, err := r.Bounds()
	if err != nil || r.From != nil && r.To != nil {
		return span, err
	}
	found := false
	if !span.Empty() {
		if span, found, err = r.closed(ctx, db, ids, span); err != nil {
			return span, err
		}
	}
	if found {
		if span.To-span.From < r.Unit.Nanoseconds { // too short to be told apart
			if r.To == nil {
				span.To = min(span.From+r.Unit.Nanoseconds, model.MaxTime)
			} else {
				span.From = max(span.To-r.Unit.Nanoseconds, model.MinTime)
			}
		}
		return span, nil
	}
	switch { // nothing there: one empty bucket beside the end that is given
	case r.From != nil:
		return model.Span{From: *r.From, To: min(*r.From+r.Unit.Nanoseconds, model.MaxTime)}, nil
	case r.To != nil:
		return model.Span{From: max(*r.To-r.Unit.Nanoseconds, model.MinTime), To: *r.To}, nil
	}
	return model.Span{From: 0, To: r.Unit.Nanoseconds}, nil
}

// closed returns span with its open ends taken from what lies in it: rows, and
// rollups of rows that have expired.
func (r *ViewRequest) closed(ctx context.Context, db *engine.DB, ids []model.ChannelID, span model.Span) (_ model.Span, found bool, err error) {
	if r.From != nil { // the newest rows are at hand
		last, known, err := lastTime(ctx, db, r.Tenant, ids)
		if err != nil || known {
			span.To = last + 1
			return span, known && last >= span.From, err
		}
	}
	all, err := db.Summarize(ctx, r.Tenant, ids, span)
	if err != nil {
		return span, false, err
	}
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	for i := range all {
		if all[i].Rows() > 0 {
			first, last, found = min(first, all[i].FirstTime), max(last, all[i].LastTime), true
		}
	}
	if found && r.From == nil {
		span.From = first
	}
	if found && r.To == nil {
		span.To = last + 1
	}
	return span, found, nil
}

// lastTime returns the time of the newest row of all channels. It is not known
// where a channel has no row: there may be rollups of it.
func lastTime(ctx context.Context, db *engine.DB, t model.Tenant, ids []model.ChannelID) (last int64, known bool, err error) {
	latest, err := db.Latest(ctx, t, ids)
	if err != nil {
		return 0, false, err
	}
	last = math.MinInt64
	for _, l := range latest {
		if !l.OK {
			return 0, false, nil
		}
		last = max(last, l.Time)
	}
	return last, true, nil
}
