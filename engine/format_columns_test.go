package engine

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/huff0"
	"github.com/klauspost/compress/zstd"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/model"
)

// dumpTimesColumn dumps a column of times as the encoder makes it.
func dumpTimesColumn(times []int64, form chunk.Encoding) func(*testing.T) string {
	return func(t *testing.T) string {
		d := newDump(t, new(chunk.Encoder).AppendTimes(nil, times, form))
		if got := d.times(len(times), len(d.b)); !slices.Equal(got, times) {
			t.Errorf("the dump reads %d, encoded were %d", got, times)
		}
		return d.String()
	}
}

// dumpValuesColumn dumps a column of values.
func dumpValuesColumn(values []float64, form chunk.Encoding) func(*testing.T) string {
	return func(t *testing.T) string {
		d := newDump(t, new(chunk.Encoder).AppendValues(nil, values, form))
		got := d.values(len(values), len(d.b))
		if !slices.EqualFunc(got, values, func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }) {
			t.Errorf("the dump reads %v, encoded were %v", got, values)
		}
		return d.String()
	}
}

// formatClock is a row a second by a clock that is a little late at times.
func formatClock() []int64 {
	var times []int64
	for i, late := range []int64{0, 3, 1, 0, 2, 0, 1, 1, 0, 2, 3, 0, 0, 1, 0, 2, 0, 1} {
		times = append(times, formatTime+int64(i)*1e9+late*1e6)
	}
	return times
}

// formatRoots are numbers that are no decimals, two of them over and over.
func formatRoots() []float64 {
	var values []float64
	for i := range 20 {
		values = append(values, math.Sqrt([]float64{2, 3, 7}[i*i%7%3]))
	}
	return values
}

// formatStates are long runs of a few states.
func formatStates() []float64 {
	values := make([]float64, 300)
	for i := range values {
		values[i] = float64(i / 41 * 5 % 3)
	}
	return values
}

// formatReadings are n readings of one decimal that go up and down.
func formatReadings(n int) []float64 {
	var values []float64
	reading := 253
	for i := range n {
		reading += i * i * 31 % 7 % 3 * (1 - i/5%2*2)
		values = append(values, float64(reading)/10)
	}
	return values
}

// zigzag reads a number that may be negative.
func (d *dump) zigzag(meaning string) int64 {
	d.t.Helper()
	v, n := binary.Varint(d.b[d.at:])
	d.take(n, "%s: %d", meaning, v)
	return v
}

// times reads a column of so many times that ends at byte end.
func (d *dump) times(rows, end int) []int64 {
	d.t.Helper()
	times := make([]int64, rows)
	switch form := d.u8("times (0: line, 1: integers)"); form {
	case 0:
		first := d.zigzagTime("first", 0)
		step := d.zigzag("step")
		for i, off := range d.integers("how far from first + step * row", rows) {
			times[i] = first + step*int64(i) + off
		}
	case 1:
		times = d.integers("times", rows)
	default:
		d.t.Fatalf("times of form %d", form)
	}
	d.ends(end)
	var shown []string
	for _, t := range times {
		shown = append(shown, clock(t)[len("2006-01-02T"):])
	}
	d.note("%s", strings.Join(shown, ", "))
	return times
}

// values reads a column of so many values that ends at byte end.
func (d *dump) values(rows, end int) []float64 {
	d.t.Helper()
	values := d.someValues("values", rows)
	d.ends(end)
	var shown []string
	for _, v := range values[:min(rows, 20)] {
		shown = append(shown, number(v))
	}
	if rows > len(shown) {
		shown = append(shown, "…")
	}
	d.note("%s", strings.Join(shown, ", "))
	return values
}

// someValues reads a column of so many values.
func (d *dump) someValues(what string, rows int) []float64 {
	d.t.Helper()
	head := int(d.peek(1))
	mode := head & 15
	d.take(1, "%s: mode %d, exceptions %d", what, mode, head>>4&1)
	exceptions := map[int]float64{}
	if head>>4&1 != 0 {
		exceptions = d.exceptions()
	}
	values := make([]float64, rows)
	fill := func(of func(integer int64) float64) {
		for i, x := range d.integers("integers", rows) {
			values[i] = of(x)
		}
	}
	switch mode {
	case 0:
		power := math.Pow10(d.u8("digits"))
		fill(func(x int64) float64 { return float64(x) / power })
	case 1:
		base := d.float("base")
		fill(func(x int64) float64 { return float64(x) * base })
	case 2:
		base := d.float("base")
		fill(func(x int64) float64 { return float64(x) / base })
	case 4:
		fill(func(x int64) float64 {
			b := uint32(x)
			if b>>31 != 0 {
				b ^= 1<<31 - 1
			}
			return float64(math.Float32frombits(b))
		})
	case 5:
		fill(floatInOrder)
	case 6:
		dictionary := d.someValues("dictionary", int(d.uvarint("different values")))
		fill(func(x int64) float64 { return dictionary[x] })
	default:
		d.t.Fatalf("values of mode %d", mode)
	}
	for row, v := range exceptions {
		values[row] = v
	}
	return values
}

func floatInOrder(x int64) float64 {
	if x < 0 {
		x ^= math.MaxInt64
	}
	return math.Float64frombits(uint64(x))
}

// exceptions reads the rows that have values of their own.
func (d *dump) exceptions() map[int]float64 {
	d.t.Helper()
	var rows []int
	row := 0
	for range d.uvarint("stretches of exceptions") {
		row += int(d.uvarint("rows since the one before"))
		for range d.uvarint("rows in it less 1") + 1 {
			rows = append(rows, row)
			row++
		}
	}
	values := map[int]float64{}
	for len(rows) > 0 {
		n := d.uvarint("how many are")
		v := d.float("this")
		for _, row := range rows[:n] {
			values[row] = v
		}
		rows = rows[n:]
	}
	return values
}

// note adds a line of no bytes.
func (d *dump) note(format string, arguments ...any) {
	d.lines = append(d.lines, fmt.Sprintf("%31s= %s", "", fmt.Sprintf(format, arguments...)))
}

// integers reads a column of n integers.
func (d *dump) integers(what string, n int) []int64 {
	d.t.Helper()
	head := int(d.peek(1))
	predictor, coder := head&3, head>>2&7
	d.take(1, "%s: predictor %d, coder %d, factor %d, patches %d", what, predictor, coder, head>>5&1, head>>6&1)
	factor, origin := int64(1), int64(0)
	if head>>5&1 != 0 {
		factor = int64(d.uvarint("factor"))
		origin = d.zigzag("origin")
	}
	var last, slope int64
	if predictor > 0 {
		last = d.zigzag("start")
	}
	if predictor == 2 {
		slope = d.zigzag("slope")
	}
	residuals := make([]int64, n)
	switch coder {
	case 0:
		width := d.u8("bits of each")
		base := d.zigzag("base")
		patches := d.patches(head)
		for i, x := range d.packed(n, width) {
			residuals[i] = base + int64(x)
		}
		for row, x := range patches {
			residuals[row] = base + x
		}
	case 1:
		d.symbols(head, residuals)
	case 2:
		d.zstd(residuals)
	case 3:
		d.runs(residuals)
	default:
		d.t.Fatalf("coder %d", coder)
	}
	for i, x := range residuals {
		switch predictor {
		case 1:
			last += x
			x = last
		case 2:
			slope += x
			last += slope
			x = last
		}
		residuals[i] = origin + factor*x
	}
	return residuals
}

// patches reads the residuals that are kept apart, less the base.
func (d *dump) patches(head int) map[int]int64 {
	d.t.Helper()
	patches := map[int]int64{}
	if head>>6&1 == 0 {
		return patches
	}
	row := 0
	for range d.uvarint("patches") {
		row += int(d.uvarint("rows since the one before"))
		patches[row] = d.zigzag("residual less the base")
	}
	return patches
}

// packed reads n integers of so many bits in eight lanes.
func (d *dump) packed(n, width int) []uint64 {
	d.t.Helper()
	lane := (n + 7) / 8 * width // bits
	tail := (lane%64 + 7) / 8   // bytes of a word in the last row
	numbers := make([]uint64, n)
	if lane == 0 {
		return numbers
	}
	b := d.b[d.at:]
	for i := range numbers {
		for bit := range width {
			place := i/8*width + bit
			at := place/64*64 + i%8*8
			if place/64 == lane/64 {
				at = place/64*64 + i%8*tail
			}
			if at += place % 64 / 8; b[at]>>(place%8)&1 != 0 {
				numbers[i] |= 1 << bit
			}
		}
	}
	d.take(lane/64*64+tail*8, "packed: %s", shorten(numbers))
	return numbers
}

// shorten shows the first of many numbers.
func shorten[T any](numbers []T) string {
	if len(numbers) <= 20 {
		return strings.Trim(fmt.Sprint(numbers), "[]")
	}
	return strings.Trim(fmt.Sprint(numbers[:20]), "[]") + " …"
}

func (d *dump) zstd(residuals []int64) {
	d.t.Helper()
	size := int(d.uvarint("bytes of the zstd frame"))
	decoder, err := zstd.NewReader(nil)
	must(d.t, err)
	defer decoder.Close()
	b, err := decoder.DecodeAll(d.b[d.at:d.at+size], nil)
	must(d.t, err)
	for i := range residuals {
		x, n := binary.Varint(b)
		residuals[i], b = x, b[n:]
	}
	d.take(size, "zstd frame of %s", shorten(residuals))
}

func (d *dump) runs(residuals []int64) {
	d.t.Helper()
	runs := int(d.uvarint("runs"))
	lengths := []int64{}
	if runs > 1 {
		lengths = d.integers("lengths less 1, but the last", runs-1)
	}
	each := d.integers("residual of each run", runs)
	row := 0
	for i, x := range each {
		end := len(residuals)
		if i < len(lengths) {
			end = row + int(lengths[i]) + 1
		}
		for ; row < end; row++ {
			residuals[row] = x
		}
	}
}

func (d *dump) symbols(head int, residuals []int64) {
	d.t.Helper()
	form := int(d.peek(1))
	low, group := form&63, form>>6
	d.take(1, "symbols: %d low bits, of %d residuals each", low, 1<<group)
	letters := d.integers("letters", 1+d.u8("letters less 1"))
	patches := d.patches(head)
	codes := make([]byte, (len(residuals)+1<<group-1)>>group)
	if size := d.uvarint("bytes of table and code * 2, and 1 where it is four streams"); size == 0 {
		only := byte(d.u8("all symbols"))
		for i := range codes {
			codes[i] = only
		}
	} else {
		b := d.b[d.at:]
		scratch, code, err := huff0.ReadTable(b[:size>>1], nil)
		must(d.t, err)
		if size&1 != 0 {
			codes, err = scratch.Decoder().Decompress4X(codes, code)
		} else {
			codes, err = scratch.Decoder().Decompress1X(codes[:0], code)
		}
		must(d.t, err)
		d.take(int(size>>1), "Huffman table and code of the symbols %s", shorten(codes))
	}
	bits := 8 >> group
	lows := d.packed(len(residuals), low)
	for i := range residuals {
		letter := int(codes[i>>group]) >> (i % (1 << group) * bits) & (1<<bits - 1)
		residuals[i] = letters[letter]<<low + int64(lows[i])
	}
	for row, x := range patches {
		residuals[row] = x
	}
}

// specialReadings are readings two of which were none.
func specialReadings() []float64 {
	values := formatReadings(200)
	values[60], values[61] = model.QualityOver.NaN(), model.QualityOver.NaN()
	return values
}
