package chunk

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"
)

// TestColumnsHaveOneForm: what no encoder writes is refused, each next to the
// nearest column that is taken.
func TestColumnsHaveOneForm(t *testing.T) {
	join := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	float := func(v float64) []byte { return binary.LittleEndian.AppendUint64(nil, math.Float64bits(v)) }
	zeros := []byte{0, 0, 0} // integers: packed in no bits, base 0
	exceptions := func(where []byte, values ...[]byte) []byte {
		return join([]byte{modeDecimal | headExceptions}, where, join(values...), []byte{1}, zeros)
	}
	first, second := inOrder(1.5), inOrder(2.5)
	dictionary := func(start, step int64) []byte { // of two values, and rows of the first
		return join([]byte{modeDictionary, 2, modeFloat64, predictDelta}, appendVarint(nil, start-step), []byte{0},
			appendVarint(nil, step), zeros)
	}
	grouped := func(letters, only byte) []byte { // four residuals a symbol, all symbols the same
		return join([]byte{modeDecimal, 1, coderSymbols << predictorBits, 2 << groupShift, letters - 1},
			[]byte{predictDelta, 1, 0, 2}, []byte{0, only})
	}
	for _, c := range []struct {
		name           string
		rows           int
		taken, refused []byte
	}{
		{"varint of too many bytes", 5, []byte{modeDecimal, 1, 0, 0, 0x80, 0x01}, []byte{modeDecimal, 1, 0, 0, 0x80, 0x00}},
		{"factor", 5, join([]byte{modeDecimal, 1, headFactor, 2, 0}, zeros[1:]), join([]byte{modeDecimal, 1, headFactor, 0, 0}, zeros[1:])},
		{"factor of one", 5, join([]byte{modeDecimal, 1, headFactor, 3, 0}, zeros[1:]), join([]byte{modeDecimal, 1, headFactor, 1, 0}, zeros[1:])},
		{"patches to one row", 5, []byte{modeDecimal, 1, headPatches, 0, 0, 2, 3, 8, 1, 8}, []byte{modeDecimal, 1, headPatches, 0, 0, 2, 3, 8, 0, 8}},
		{"no patches", 5, []byte{modeDecimal, 1, headPatches, 0, 0, 1, 0, 8}, []byte{modeDecimal, 1, headPatches, 0, 0, 0}},
		{"patches to runs", 5, []byte{modeDecimal, 1, coderRuns << predictorBits, 1, 0, 0, 0}, []byte{modeDecimal, 1, coderRuns<<predictorBits | headPatches, 1, 0, 0, 0}},
		{"adjacent stretches", 9, exceptions([]byte{2, 1, 0, 1, 0}, []byte{2}, float(7)), exceptions([]byte{2, 1, 0, 0, 0}, []byte{2}, float(7))},
		{"equal exceptions apart", 9, exceptions([]byte{1, 1, 1}, []byte{1}, float(7), []byte{1}, float(8)),
			exceptions([]byte{1, 1, 1}, []byte{1}, float(7), []byte{1}, float(7))},
		{"no exceptions", 9, exceptions([]byte{1, 0, 0}, []byte{1}, float(7)), exceptions([]byte{0})},
		{"a dictionary that falls", 9, dictionary(first, second-first), dictionary(second, first-second)},
		{"a dictionary of one value twice", 9, dictionary(first, 1), dictionary(first, 0)},
		{"bits after the last integer", 8, []byte{modeDecimal, 1, 0, 3, 0, 0, 0, 0, 7, 0, 0, 0, 0}, []byte{modeDecimal, 1, 0, 3, 0, 0, 0, 0, 8, 0, 0, 0, 0}},
		{"integers after the last", 4, []byte{modeDecimal, 1, 0, 3, 0, 0, 0, 0, 7, 0, 0, 0, 0}, []byte{modeDecimal, 1, 0, 3, 0, 0, 0, 0, 0, 7, 0, 0, 0}},
		{"letters that do not ascend", 8, grouped(3, 0), join([]byte{modeDecimal, 1, coderSymbols << predictorBits, 2 << groupShift, 2},
			[]byte{predictDelta, 0, 0, 0}, []byte{0, 0})},
		{"letters after the last row", 6, grouped(4, 0b1010), grouped(4, 0b11010)},
	} {
		var d Decoder
		if _, err := d.Values(nil, c.taken, c.rows); err != nil {
			t.Errorf("%s: next to it: %v", c.name, err)
		}
		if _, err := d.Values(nil, c.refused, c.rows); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
