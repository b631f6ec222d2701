package engine

import (
	"context"
	"fmt"

	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// Aggregate returns one aggregate per channel and bucket: result[i][k] is over
// bucket k of the channel ids[i]. It is what a scan of the rows would give:
// counts, minimum, maximum, first and last to the bit, the sum within 2^-50 of
// the sum of |v|.
func (db *DB) Aggregate(ctx context.Context, name model.Tenant, ids []model.ChannelID, b model.Buckets) ([][]model.Aggregate, error) {
	if err := db.gate.enter(); err != nil {
		return nil, err
	}
	defer db.gate.leave()
	s, position, err := db.selectPieces(ctx, name, ids, b.Span())
	if err != nil {
		return nil, err
	}
	defer s.close()
	if rows := s.rows(); rows > uint64(policy.QueryRows.Default) {
		return nil, fmt.Errorf("%w: %d rows to read, at most %d: ask for a shorter span or fewer channels",
			ErrTooManyRows, rows, policy.QueryRows.Default)
	}
	all := make([]model.Aggregate, len(ids)*b.Count)
	result := make([][]model.Aggregate, len(ids))
	var scratch merge.Scratch
	for i := range ids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		result[i] = all[i*b.Count : (i+1)*b.Count : (i+1)*b.Count]
		if err := merge.Aggregate(s.pieces[position[i]], b, result[i], &scratch); err != nil {
			return nil, err
		}
	}
	return result, nil
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
