package model

import "math"

// Aggregate summarises rows of one channel in time order. Count numbers and
// Quality rows that hold none; Min, Max, Sum, First and Last are over the
// numbers and meaningless where Count is 0; FirstTime and LastTime are over
// all rows and meaningless where both counts are 0.
//
// Counts, Min, Max, First and Last are exact to the bit: of equal numbers (0
// and -0) the earliest row's is kept. The sum is compensated (Neumaier 1974):
// Total is within 2^-50 of the sum of |v|.
type Aggregate struct {
	Count, Quality      uint64
	Min, Max            float64
	First, Last         float64
	Sum, Compensation   float64 // the sum is their total
	FirstTime, LastTime int64
}

// Rows returns the number of rows summarised, numbers or not.
func (a *Aggregate) Rows() uint64 { return a.Count + a.Quality }

// Add folds in one row, which must be later than all before.
func (a *Aggregate) Add(t int64, v float64) {
	if a.Count+a.Quality == 0 {
		a.FirstTime = t
	}
	a.LastTime = t
	if v != v {
		a.Quality++
		return
	}
	if a.Count == 0 {
		a.Min, a.Max, a.First = v, v, v
	} else {
		if v < a.Min {
			a.Min = v
		}
		if v > a.Max {
			a.Max = v
		}
	}
	a.Last = v
	a.Count++
	a.addToSum(v)
}

// AddValues folds in rows, later than all before, as Add does one by one, bit
// for bit, but leaves FirstTime and LastTime for the caller to set.
func (a *Aggregate) AddValues(values []float64) {
	for a.Count == 0 && len(values) > 0 { // until there is a number
		a.Add(0, values[0])
		values = values[1:]
	}
	before := *a
	smallest, largest, last := a.Min, a.Max, a.Last
	sum, compensation := a.Sum, a.Compensation
	quality := uint64(0)
	for _, v := range values {
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
		// Knuth's sum of two has no branch, which is unpredictable for noise
		// about zero. Both are exact where nothing overflows; next to the
		// greatest float it does on its way even where the sum does not.
		s := sum + v
		virtual := s - sum
		compensation += (sum - (s - virtual)) + (v - virtual)
		sum = s
	}
	a.Count += uint64(len(values)) - quality
	a.Quality += quality
	a.Min, a.Max, a.Last = smallest, largest, last
	a.Sum, a.Compensation = sum, compensation
	if sum-sum != 0 || compensation-compensation != 0 {
		*a = before
		for _, v := range values {
			a.Add(0, v)
		}
	}
}

func (a *Aggregate) addToSum(v float64) {
	s := a.Sum + v
	if math.Abs(a.Sum) >= math.Abs(v) {
		a.Compensation += (a.Sum - s) + v
	} else {
		a.Compensation += (v - s) + a.Sum
	}
	a.Sum = s
}

// Merge folds in the summary of rows that are all later than those in a.
func (a *Aggregate) Merge(later *Aggregate) {
	if later.Count+later.Quality == 0 {
		return
	}
	if a.Count+a.Quality == 0 {
		*a = *later
		return
	}
	a.LastTime = later.LastTime
	a.Quality += later.Quality
	if later.Count == 0 {
		return
	}
	if a.Count == 0 {
		a.Min, a.Max, a.First = later.Min, later.Max, later.First
	} else {
		if later.Min < a.Min {
			a.Min = later.Min
		}
		if later.Max > a.Max {
			a.Max = later.Max
		}
	}
	a.Last = later.Last
	a.Count += later.Count
	a.addToSum(later.Sum)
	a.Compensation += later.Compensation
}

// Total returns the sum of the numbers, 0 where there are none.
func (a *Aggregate) Total() float64 {
	if t := a.Sum + a.Compensation; t == t && !math.IsInf(a.Sum, 0) {
		return t
	}
	return a.Sum // an infinity, or opposite ones: compensation has no meaning
}

// Mean returns Total / Count, NaN where Count is 0.
func (a *Aggregate) Mean() float64 { return a.Total() / float64(a.Count) }
