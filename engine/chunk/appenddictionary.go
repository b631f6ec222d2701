package chunk

import (
	"encoding/binary"
	"math"
	"slices"
)

// tryDictionary replaces the column from start on by one with a dictionary, if
// that is shorter.
func (e *Encoder) tryDictionary(dst []byte, start int, values []float64) []byte {
	dictionary := e.dictionaryOf(values)
	if dictionary == nil {
		return dst
	}
	e.integers = resized(e.integers, len(values))
	for i, v := range values {
		index, _ := slices.BinarySearch(dictionary, ordered(int64(math.Float64bits(v))))
		e.integers[i] = int64(index)
	}
	column := binary.AppendUvarint(append(e.line[:0], modeDictionary), uint64(len(dictionary)))
	column = e.appendIntegers(column, dictionary, 1)
	column = e.appendIntegers(column, e.integers, 0)
	if e.line = column; len(column) < len(dst)-start {
		dst = append(dst[:start], column...)
	}
	return dst
}

// dictionaryOf returns the different values' bits in order, or nothing where
// more than half of the values differ.
func (e *Encoder) dictionaryOf(values []float64) []int64 {
	all := resized(e.second, len(values))
	e.second = all
	for i, v := range values {
		all[i] = ordered(int64(math.Float64bits(v)))
	}
	slices.Sort(all)
	different := slices.Compact(all)
	if len(different) > len(values)/2 {
		return nil
	}
	return different
}
