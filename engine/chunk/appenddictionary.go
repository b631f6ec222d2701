package chunk

import (
	"encoding/binary"
	"math"
	"slices"
)

const (
	// dictionaryBits is what a row must cost, in bits, for a dictionary to be
	// worth a look.
	dictionaryBits = 3
	// mostDifferent is how many of sampleRows values may differ.
	mostDifferent = sampleRows * 15 / 16
	// sparseness is how many times fewer integers must be in use than there are
	// between the smallest and the largest.
	sparseness = 2
)

// tryDictionary replaces the column from start on by one with a dictionary, if
// that is shorter.
func (e *Encoder) tryDictionary(dst []byte, start int, values []float64) []byte {
	size := len(dst) - start
	if !e.small || !e.may(partDictionary) || size*8 < dictionaryBits*len(values) || !e.repeats(values) {
		return dst
	}
	e.sorted = resized(e.sorted, len(values))
	for i, v := range values {
		e.sorted[i] = inOrder(v)
	}
	slices.Sort(e.sorted)
	different := slices.Compact(e.sorted)
	if len(different) > len(values)*3/5 {
		return dst
	}
	e.indexes = resized(e.indexes, len(values))
	for i, v := range values {
		index, _ := slices.BinarySearch(different, inOrder(v))
		e.indexes[i] = int64(index)
	}
	dictionary := resized(e.dictionary, len(different))
	for i, bits := range different {
		dictionary[i] = math.Float64frombits(uint64(ordered(bits)))
	}
	column := binary.AppendUvarint(append(e.other[:0], modeDictionary), uint64(len(dictionary)))
	column = e.appendColumn(column, dictionary)
	if len(column) < size {
		column = e.appendIntegers(column, e.indexes, 0)
	}
	if e.dictionary, e.other = dictionary, column; len(column) < size {
		dst = append(dst[:start], column...)
	}
	return dst
}

// repeats reports whether values come again so often, and their integers lie so
// far apart, that a dictionary may pay. e.integers has what appendColumn left of
// these: without their common factor, which makes no difference here.
func (e *Encoder) repeats(values []float64) bool {
	sample := e.trial[:0]
	for i := range sampleRows {
		sample = append(sample, inOrder(values[i*len(values)/sampleRows]))
	}
	e.trial = sample
	if !e.histogram.count(sample, 0, mostDifferent) {
		return false
	}
	different := 2 * histogramMost // or more
	if e.histogram.count(e.integers, 0, histogramMost) {
		different = len(e.histogram.used)
	}
	span := uint64(slices.Max(e.integers)) - uint64(slices.Min(e.integers))
	return span > uint64(sparseness*different)
}
