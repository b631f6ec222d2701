package chunk

import (
	"math"

	"github.com/hokan-db/hokan/engine/model"
)

// Summary is what a block's index says of a chunk.
type Summary = model.Aggregate

// Summarize returns what Aggregate.Add gives row by row, bit for bit, for rows
// in ascending order of time.
func Summarize(times []int64, values []float64) Summary {
	var a Summary
	values = values[:len(times)]
	first := 0
	for first < len(times) && a.Count == 0 { // until there is a number
		a.Add(times[first], values[first])
		first++
	}
	if first == len(times) {
		return a
	}
	smallest, largest, last := a.Min, a.Max, a.Last
	sum, compensation := a.Sum, a.Compensation
	quality := a.Quality
	for _, v := range values[first:] {
		if v != v {
			quality++
			continue
		}
		if v < smallest {
			smallest = v
		}
		if v > largest {
			largest = v
		}
		last = v
		s := sum + v
		if math.Abs(sum) >= math.Abs(v) {
			compensation += (sum - s) + v
		} else {
			compensation += (v - s) + sum
		}
		sum = s
	}
	a.Count = uint64(len(times)) - quality
	a.Quality = quality
	a.Min, a.Max, a.Last = smallest, largest, last
	a.Sum, a.Compensation = sum, compensation
	a.LastTime = times[len(times)-1]
	return a
}
