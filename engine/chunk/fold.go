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
		fold := v.readForFold(&d.block, n)
		done := 0 // rows of the block
		for piece < len(out) && cuts[piece] < start+n {
			from, to := max(cuts[piece]-start, done), min(cuts[piece+1]-start, n)
			if from < to {
				fold(d, nil, done, from)
				fold(d, &out[piece], from, to)
				done = to
			}
			if cuts[piece+1] > start+n {
				break
			}
			piece++
		}
		fold(d, nil, done, n)
	}
	return v.finish()
}

// readForFold reads the next n rows and returns what folds some of them: those
// from one on to another, in order. Without an aggregate it passes them over.
func (v *values) readForFold(floats *[blockRows]float64, n int) func(d *Decoder, a *model.Aggregate, from, to int) {
	if !valueModes[v.mode].linear || v.exceptions.within(v.at, n) {
		v.fill(floats[:n])
		return (*Decoder).foldFloats
	}
	v.at += n
	if v.integers.factor == 1 && v.integers.predictor() == predictDelta {
		v.integers.fillResiduals(v.block[:n])
		return (*Decoder).foldDifferences
	}
	v.integers.fill(v.block[:n])
	return (*Decoder).foldIntegers
}

func (d *Decoder) foldFloats(a *model.Aggregate, from, to int) {
	if a != nil {
		a.AddValues(d.block[from:to])
	}
}

// foldIntegers folds rows of a linear mode. The sum of a block cannot overflow:
// integers are below 2^53.
func (d *Decoder) foldIntegers(a *model.Aggregate, from, to int) {
	if a == nil {
		return
	}
	block := d.values.block[from:to]
	smallest, largest, sum := block[0], block[0], int64(0)
	for _, x := range block {
		smallest, largest = min(smallest, x), max(largest, x)
		sum += x
	}
	d.values.merge(a, to-from, smallest, largest, block[0], block[len(block)-1], sum)
}

// foldDifferences is sums and foldIntegers in one.
func (d *Decoder) foldDifferences(a *model.Aggregate, from, to int) {
	block, last := d.values.block[from:to], d.values.integers.last
	if a == nil || from == to {
		d.values.integers.last = sums(block, last)
		return
	}
	first := last + block[0]
	smallest, largest, sum := first, first, int64(0)
	for _, x := range block {
		last += x
		smallest, largest = min(smallest, last), max(largest, last)
		sum += last
	}
	d.values.integers.last = last
	d.values.merge(a, to-from, smallest, largest, first, last, sum)
}

// merge adds rows of a linear mode to a. Integers that no encoder makes, and
// whose sum may have overflowed, are not answered: see finish.
func (v *values) merge(a *model.Aggregate, rows int, smallest, largest, first, last, sum int64) {
	v.outside = v.outside || smallest < -maxInteger || largest > maxInteger
	later := model.Aggregate{
		Count: uint64(rows),
		Min:   v.scale.at(smallest),
		Max:   v.scale.at(largest),
		First: v.scale.at(first),
		Last:  v.scale.at(last),
		Sum:   v.scale.at(sum),
	}
	if v.scale.high < 0 {
		later.Min, later.Max = later.Max, later.Min
	}
	a.Merge(&later)
}
