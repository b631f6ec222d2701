package chunk

import "github.com/hokan-db/hokan/engine/model"

// Summary is what a block's index says of a chunk.
type Summary = model.Aggregate

// Summarize returns what Aggregate.Add gives row by row, bit for bit, for rows
// in ascending order of time.
func Summarize(times []int64, values []float64) Summary {
	var a Summary
	if len(times) == 0 {
		return a
	}
	a.AddValues(values[:len(times)])
	a.FirstTime, a.LastTime = times[0], times[len(times)-1]
	return a
}
