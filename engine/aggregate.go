package engine

import (
	"context"

	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
)

// View is what View returns.
type View struct {
	// Aggregates has one aggregate per channel and bucket: [i][k] is over bucket
	// k of the i-th channel.
	Aggregates [][]model.Aggregate
	// Coarsest is the coarsest step whose rollups were used: StepRaw if none.
	Coarsest model.Step
}

// View folds channels into buckets. Each bucket is what a scan of the rows
// would give: counts, minimum, maximum, first and last to the bit, the sum
// within 2^-50 of the sum of |v|.
func (db *DB) View(ctx context.Context, name model.Tenant, ids []model.ChannelID, b model.Buckets) (View, error) {
	if err := db.gate.enter(); err != nil {
		return View{}, err
	}
	defer db.gate.leave()
	q, err := db.query(name, ids, b.Span())
	if err != nil {
		return View{}, err
	}
	answer := View{Aggregates: rooms(len(ids), b.Count)}
	step := model.StepOf(b.Width)
	for step > model.StepRaw && step.Start(b.From) != b.From { // its rows would lie in two buckets
		step--
	}
	f := folding{q, b.Span(), merge.Grid{From: b.From, Width: uint64(b.Width)}, step, answer.Aggregates}
	answer.Coarsest, err = db.fold(ctx, &f)
	return answer, err
}

// Aggregate is View where only the aggregates matter.
func (db *DB) Aggregate(ctx context.Context, name model.Tenant, ids []model.ChannelID, b model.Buckets) ([][]model.Aggregate, error) {
	v, err := db.View(ctx, name, ids, b)
	return v.Aggregates, err
}

// Summarize returns one aggregate per channel over the whole span.
func (db *DB) Summarize(ctx context.Context, name model.Tenant, ids []model.ChannelID, span model.Span) ([]model.Aggregate, error) {
	if err := db.gate.enter(); err != nil {
		return nil, err
	}
	defer db.gate.leave()
	q, err := db.query(name, ids, span)
	if err != nil {
		return nil, err
	}
	one := rooms(len(ids), 1)
	grid := merge.Grid{From: span.From, Width: uint64(span.To) - uint64(span.From)}
	if _, err := db.fold(ctx, &folding{q, span, grid, model.StepDay, one}); err != nil {
		return nil, err
	}
	result := make([]model.Aggregate, len(ids))
	for i := range result {
		result[i] = one[i][0]
	}
	return result, nil
}

// rooms returns room for so many aggregates of each channel.
func rooms(channels, each int) [][]model.Aggregate {
	all := make([]model.Aggregate, channels*each)
	list := make([][]model.Aggregate, channels)
	for i := range list {
		list[i] = all[i*each : (i+1)*each : (i+1)*each]
	}
	return list
}
