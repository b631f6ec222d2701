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
	all := make([]model.Aggregate, len(ids)*b.Count)
	answer := View{Aggregates: make([][]model.Aggregate, len(ids))}
	v := view{db: db, tenant: q.tenant, ids: q.ascending, step: model.StepOf(b.Width), buckets: b,
		out: make([][]model.Aggregate, len(ids))}
	for i, at := range q.position {
		answer.Aggregates[i] = all[i*b.Count : (i+1)*b.Count : (i+1)*b.Count]
		v.out[at] = answer.Aggregates[i]
	}
	if err := v.run(ctx); err != nil {
		return View{}, err
	}
	answer.Coarsest = v.coarsest
	return answer, nil
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
	s, position, err := db.selectPieces(ctx, name, ids, span)
	if err != nil {
		return nil, err
	}
	defer s.close()
	result := make([]model.Aggregate, len(ids))
	var scratch merge.Scratch
	for i := range ids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if result[i], err = scratch.Summarize(s.pieces[position[i]], span); err != nil {
			return nil, err
		}
	}
	return result, nil
}
