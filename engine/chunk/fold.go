package chunk

import (
	"fmt"
	"slices"

	"github.com/hokan-db/hokan/engine/model"
)

// Fold aggregates a column of so many values: rows cuts[i] up to cuts[i+1] into
// out[i], which is overwritten and says nothing of times. The cuts ascend and
// may leave out rows at either end; there is one more of them than of out.
//
// Rows that are integers by a scale are added up as such: exactly, and faster.
func (d *Decoder) Fold(out []model.Aggregate, cuts []int, src []byte, rows int) error {
	if len(cuts) != len(out)+1 || cuts[0] < 0 || cuts[len(out)] > rows || !slices.IsSorted(cuts) {
		return fmt.Errorf("cuts %v do not make %d pieces of %d rows", cuts, len(out), rows)
	}
	clear(out)
	v := &d.values
	if err := v.open(src, rows); err != nil {
		return err
	}
	for piece := 0; v.at < cuts[len(out)]; {
		start, n := v.at, min(blockRows, rows-v.at)
		floats := v.fillForFold(&d.block, n)
		for piece < len(out) && cuts[piece] < start+n {
			from, to := max(cuts[piece]-start, 0), min(cuts[piece+1]-start, n)
			if from < to && floats {
				foldFloats(&out[piece], d.block[from:to])
			} else if from < to {
				a := v.foldIntegers(v.block[from:to])
				out[piece].Merge(&a)
			}
			if cuts[piece+1] > start+n {
				break
			}
			piece++
		}
	}
	return v.finish()
}

// fillForFold reads the next n rows: into floats, or as integers into v.block.
func (v *values) fillForFold(floats *[blockRows]float64, n int) bool {
	if !valueModes[v.mode].linear || v.exceptions.within(v.at, n) {
		v.fill(floats[:n])
		return true
	}
	v.integers.fill(v.block[:n])
	v.at += n
	return false
}

// foldIntegers aggregates rows of a linear mode, at least one. The sum of a
// block cannot overflow: integers are below 2^53.
func (v *values) foldIntegers(block []int64) model.Aggregate {
	smallest, largest, sum := block[0], block[0], int64(0)
	for _, x := range block {
		smallest, largest = min(smallest, x), max(largest, x)
		sum += x
	}
	a := model.Aggregate{
		Count: uint64(len(block)),
		Min:   v.scale.at(smallest),
		Max:   v.scale.at(largest),
		First: v.scale.at(block[0]),
		Last:  v.scale.at(block[len(block)-1]),
		Sum:   v.scale.at(sum),
	}
	if v.scale.high < 0 {
		a.Min, a.Max = a.Max, a.Min
	}
	return a
}

// foldFloats adds rows to a, which says nothing of times, as Aggregate.Add
// would, bit for bit.
func foldFloats(a *model.Aggregate, values []float64) {
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
		// about zero. Both are exact where nothing overflows.
		s := sum + v
		virtual := s - sum
		compensation += (sum - (s - virtual)) + (v - virtual)
		sum = s
	}
	a.Count += uint64(len(values)) - quality
	a.Quality += quality
	a.Min, a.Max, a.Last = smallest, largest, last
	a.Sum, a.Compensation = sum, compensation
	if sum-sum != 0 {
		*a = before
		for _, v := range values {
			a.Add(0, v)
		}
	}
}
