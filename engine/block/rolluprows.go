package block

import (
	"math"

	"github.com/hokan-db/hokan/engine/model"
)

// RollupRows are rows of one channel, each the summary of the channel's raw
// rows in one interval of the step, in columns of equal length and by ascending
// time. Counts tell how many rows hold a number and Qualities how many do not;
// FirstTimes and LastTimes are those of the first and the last of both. The
// other columns are over the numbers and mean nothing where the count is 0.
type RollupRows struct {
	Step                            model.Step
	FirstTimes, LastTimes           []int64
	Counts, Qualities               []uint64
	Mins, Maxs, Firsts, Lasts, Sums []float64
}

// Len returns the number of rows.
func (r *RollupRows) Len() int { return len(r.FirstTimes) }

// Reset leaves no rows, to be filled with those of a step.
func (r *RollupRows) Reset(step model.Step) {
	*r = r.slice(0, 0)
	r.Step = step
}

// slice returns the rows from one on to another, in the same memory.
func (r *RollupRows) slice(from, to int) RollupRows {
	return RollupRows{r.Step, r.FirstTimes[from:to], r.LastTimes[from:to], r.Counts[from:to], r.Qualities[from:to],
		r.Mins[from:to], r.Maxs[from:to], r.Firsts[from:to], r.Lasts[from:to], r.Sums[from:to]}
}

// Slice returns the rows from one on to another, in the same memory.
func (r *RollupRows) Slice(from, to int) RollupRows { return r.slice(from, to) }

// Add appends a row.
func (r *RollupRows) Add(a *model.Aggregate) {
	r.FirstTimes, r.LastTimes = append(r.FirstTimes, a.FirstTime), append(r.LastTimes, a.LastTime)
	r.Counts, r.Qualities = append(r.Counts, a.Count), append(r.Qualities, a.Quality)
	r.Mins, r.Maxs = append(r.Mins, a.Min), append(r.Maxs, a.Max)
	r.Firsts, r.Lasts = append(r.Firsts, a.First), append(r.Lasts, a.Last)
	r.Sums = append(r.Sums, a.Total())
}

// Append appends rows of the same step.
func (r *RollupRows) Append(o *RollupRows) {
	r.FirstTimes, r.LastTimes = append(r.FirstTimes, o.FirstTimes...), append(r.LastTimes, o.LastTimes...)
	r.Counts, r.Qualities = append(r.Counts, o.Counts...), append(r.Qualities, o.Qualities...)
	r.Mins, r.Maxs = append(r.Mins, o.Mins...), append(r.Maxs, o.Maxs...)
	r.Firsts, r.Lasts = append(r.Firsts, o.Firsts...), append(r.Lasts, o.Lasts...)
	r.Sums = append(r.Sums, o.Sums...)
}

// resize makes room for n rows of any content.
func (r *RollupRows) resize(n int) {
	if cap(r.FirstTimes) < n {
		integers, counts, floats := make([]int64, 2*n), make([]uint64, 2*n), make([]float64, 5*n)
		r.FirstTimes, r.LastTimes = integers[:n:n], integers[n:]
		r.Counts, r.Qualities = counts[:n:n], counts[n:]
		r.Mins, r.Maxs, r.Firsts = floats[:n:n], floats[n:2*n:2*n], floats[2*n:3*n:3*n]
		r.Lasts, r.Sums = floats[3*n:4*n:4*n], floats[4*n:]
	}
	*r = r.slice(0, n)
}

// Aggregate returns a row.
func (r *RollupRows) Aggregate(i int) model.Aggregate {
	a := model.Aggregate{Quality: r.Qualities[i], FirstTime: r.FirstTimes[i], LastTime: r.LastTimes[i]}
	if r.Counts[i] > 0 {
		a.Count = r.Counts[i]
		a.Min, a.Max, a.First, a.Last, a.Sum = r.Mins[i], r.Maxs[i], r.Firsts[i], r.Lasts[i], r.Sums[i]
	}
	return a
}

// Fold adds the rows from one on to another to into, which must hold only
// earlier ones.
func (r *RollupRows) Fold(from, to int, into *model.Aggregate) {
	if from >= to {
		return
	}
	counts, qualities := r.Counts[from:to], r.Qualities[from:to]
	n := len(counts)
	mins, maxs, sums := r.Mins[from:to][:n], r.Maxs[from:to][:n], r.Sums[from:to][:n]
	var all model.Aggregate
	first, last := -1, -1
	least, most := math.Inf(1), math.Inf(-1)
	sum, compensation := 0.0, 0.0
	for i, count := range counts {
		all.Quality += qualities[i]
		if count == 0 {
			continue
		}
		if first < 0 {
			first = i
			least, most = mins[i], maxs[i]
		}
		last = i
		all.Count += count
		if mins[i] < least {
			least = mins[i]
		}
		if maxs[i] > most {
			most = maxs[i]
		}
		// Knuth's sum of two, as in model.Aggregate.AddValues.
		v := sums[i]
		s := sum + v
		virtual := s - sum
		compensation += (sum - (s - virtual)) + (v - virtual)
		sum = s
	}
	if sum-sum != 0 || compensation-compensation != 0 { // an infinity, or next to one
		for i := from; i < to; i++ {
			one := r.Aggregate(i)
			into.Merge(&one)
		}
		return
	}
	all.FirstTime, all.LastTime = r.FirstTimes[from], r.LastTimes[to-1]
	if first >= 0 {
		all.Min, all.Max, all.First, all.Last = least, most, r.Firsts[from+first], r.Lasts[from+last]
		all.Sum, all.Compensation = sum, compensation
	}
	into.Merge(&all)
}
