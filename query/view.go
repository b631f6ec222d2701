package query

import (
	"context"
	"fmt"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// DefaultBuckets is how many buckets a view has at most where nothing is said:
// the width of a chart in pixels.
const DefaultBuckets = 1366

// SourceRaw says that a view was made from rows; rollups will have the names of
// their steps.
const SourceRaw = "raw"

// ViewRequest asks for a view.
type ViewRequest struct {
	Scope
	Window
	Buckets int  // 0: DefaultBuckets
	Unit    Unit // in which the edges are answered
}

// ViewAnswer has an aggregate per channel and bucket.
type ViewAnswer struct {
	Buckets    model.Buckets
	Source     string
	Channels   []model.Channel
	Aggregates [][]model.Aggregate // [channel][bucket]
}

// View summarises the selected channels in buckets of one width. A width that
// is finer than the unit is model.ErrBadSpan, as its edges could not be told
// apart; only where the data are a single instant and the request leaves an
// end open is the answer one bucket of one unit.
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
	all, err := db.Aggregate(ctx, r.Tenant, ids, buckets)
	if err != nil {
		return nil, err
	}
	return &ViewAnswer{buckets, SourceRaw, channels, all}, nil
}

// viewSpan returns the span of a view, with open ends taken from the rows.
func (r *ViewRequest) viewSpan(ctx context.Context, db *engine.DB, ids []model.ChannelID) (model.Span, error) {
	span, err := r.Bounds()
	if err != nil || r.From != nil && r.To != nil {
		return span, err
	}
	var found bool
	var rows model.Span
	if !span.Empty() {
		all, err := db.Summarize(ctx, r.Tenant, ids, span)
		if err != nil {
			return span, err
		}
		rows, found = extent(all)
	}
	if !found { // nothing there: one empty bucket beside the end that is given
		rows = model.Span{From: 0, To: r.Unit.Nanoseconds}
		if r.From != nil {
			rows = model.Span{From: *r.From, To: min(*r.From+r.Unit.Nanoseconds, model.MaxTime)}
		} else if r.To != nil {
			rows = model.Span{From: max(*r.To-r.Unit.Nanoseconds, model.MinTime), To: *r.To}
		}
	} else if rows.To-rows.From == 1 { // a single instant
		rows.To = min(rows.From+r.Unit.Nanoseconds, model.MaxTime)
	}
	if r.From != nil {
		rows.From = *r.From
	}
	if r.To != nil {
		rows.To = *r.To
	}
	return rows, nil
}

// extent returns the span from the first to just after the last row of all.
func extent(all []model.Aggregate) (span model.Span, found bool) {
	for i := range all {
		a := &all[i]
		if a.Rows() == 0 {
			continue
		}
		if !found {
			span, found = model.Span{From: a.FirstTime, To: a.LastTime + 1}, true
			continue
		}
		span.From = min(span.From, a.FirstTime)
		span.To = max(span.To, a.LastTime+1)
	}
	return span, found
}
