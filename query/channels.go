package query

import (
	"context"
	"math"
	"slices"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
)

// ChannelSummary is a channel and how much it holds.
type ChannelSummary struct {
	model.Channel
	Samples     uint64 // rows, numbers or not
	First, Last int64  // times of the first and last row; meaningless without rows
}

// Channels returns the selected channels in the order in which they were made.
// None is no error.
func Channels(ctx context.Context, db *engine.DB, scope Scope) ([]ChannelSummary, error) {
	channels, err := scope.selected(ctx, db)
	if err != nil || len(channels) == 0 {
		return nil, err
	}
	summaries := make([]ChannelSummary, 0, len(channels))
	for part := range slices.Chunk(channels, summarizedTogether) {
		all, err := db.Summarize(ctx, scope.Tenant, idsOf(part), model.AllTime())
		if err != nil {
			return nil, err
		}
		for i, c := range part {
			summaries = append(summaries, ChannelSummary{c, all[i].Rows(), all[i].FirstTime, all[i].LastTime})
		}
	}
	return summaries, nil
}

// summarizedTogether is how many channels are summarised from one snapshot: a
// tenant may have more than one query may read.
const summarizedTogether = 1000

// LatestValue is a channel and its newest row.
type LatestValue struct {
	model.Channel
	Time  int64
	Value float64
	Known bool // false: the channel has no row
}

// Latest returns the newest row of every selected channel.
func Latest(ctx context.Context, db *engine.DB, scope Scope) ([]LatestValue, error) {
	channels, ids, err := scope.channels(ctx, db, math.MaxInt64)
	if err != nil {
		return nil, err
	}
	rows, err := db.Latest(ctx, scope.Tenant, ids)
	if err != nil {
		return nil, err
	}
	values := make([]LatestValue, len(channels))
	for i, c := range channels {
		values[i] = LatestValue{c, rows[i].Time, rows[i].Value, rows[i].OK}
	}
	return values, nil
}
