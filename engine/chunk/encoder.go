package chunk

import (
	"encoding/binary"
	"math"

	"github.com/klauspost/compress/huff0"
)

// Encoder turns columns into bytes. Its zero value is ready for use, by one
// goroutine; it keeps scratch memory from one column to the next. Equal columns
// become equal bytes, on every machine: what the encoder weighs are integers.
type Encoder struct {
	without parts

	small bool // the form is Small

	// What follows is scratch memory. Each field belongs to the functions named,
	// and means nothing outside of them and what they call.

	// Columns: convert, appendColumn, appendLine, appendTimes.
	integers   []int64 // what values or times became; appendIntegers spoils it
	second     []int64 // of near: floats further up
	exceptions []int   // rows, ascending
	other      []byte  // tryDictionary, appendTimes: the same column kept another way

	// tryDictionary.
	sorted     []int64 // the values' bits in order
	dictionary []float64
	indexes    []int64 // of each row in dictionary

	// appendIntegers. The columns in runs use these too, once those around them
	// have done with them.
	residuals []int64 // appendPredictor makes them for appendResiduals
	trial     []int64 // choosePredictor, repeats: a sample
	runs      []byte  // the column as runs, next to the one that it may replace
	lengths   []int64 // appendRuns: of each run, less one
	each      []int64 // appendRuns: the residual of each run
	patches   []int   // misfits, findPatches and groupSymbols, to whoever calls: rows, ascending

	// planSymbols and appendSymbols.
	histogram histogram                  // of what its caller counts last
	letters   [3][]letter                // all of a sample, the best plan's, those of the plan that is priced
	counts    []int                      // priceSymbols: of each letter
	codes     []byte                     // codesOf: the number of each residual's letter
	direct    [4096]uint8                // codesOf: number of a letter by its distance from the first
	groups    [256]int                   // chooseGroup: how often each symbol occurs
	number    [maxLetters]uint8          // chooseGroup, for groupSymbols: among the letters that it keeps
	grouped   []byte                     // groupSymbols: what it returns
	huffman   huff0.Scratch              // appendHuffman
	recurring [1 << recurringBits]uint32 // recurs: hashes of windows
	zstdIn    []byte                     // zstdOf: residuals as varints
	zstdOut   []byte                     // zstdOf: what it returns
}

// parts are what an encoder may be made to do without, to see what it is worth:
// see the table in doc.go. Bytes made so decode as any others.
type parts uint32

// The order is that of partNames.
const (
	partDecimal parts = 1 << iota
	partMultiple
	partNear
	partFloat32
	partDictionary
	partDelta
	partSlope
	partRuns
	partFactor
	partPatches
	partSymbols
	partLowBits
	partGroups
	partZstd
	partLine
)

var partNames = [...]string{
	"mode decimal", "modes product and quotient", "mode near", "mode float32",
	"mode dictionary", "predictor delta", "predictor slope", "coder runs", "factor", "patches", "coder symbols",
	"low bits below symbols", "symbols for groups", "coder zstd", "times line",
}

func (e *Encoder) may(part parts) bool { return e.without&part == 0 }

// AppendTimes appends the bytes of a column of strictly ascending times, at
// least one and at most MaxRows, to dst. The form is Fast or Small.
func (e *Encoder) AppendTimes(dst []byte, times []int64, form Encoding) []byte {
	e.small = form == Small
	return e.appendTimes(dst, times)
}

// AppendValues appends the bytes of a column of values, at least one and at
// most MaxRows, to dst.
// The values may have any bits; the form is Fast or Small.
func (e *Encoder) AppendValues(dst []byte, values []float64, form Encoding) []byte {
	e.small = form == Small
	start := len(dst)
	dst = e.appendColumn(dst, values)
	return e.tryDictionary(dst, start, values)
}

// AppendIntegers appends the bytes of a column of integers, at least one and at
// most MaxRows, to dst. It spoils values; the form is Fast or Small. Unlike
// those of times and of values the bytes say where they end.
func (e *Encoder) AppendIntegers(dst []byte, values []int64, form Encoding) []byte {
	e.small = form == Small
	return e.appendIntegers(dst, values, 0)
}

// appendColumn appends a column in one of the modes that make integers of the
// values themselves.
func (e *Encoder) appendColumn(dst []byte, values []float64) []byte {
	plan := e.convert(values)
	head := byte(plan.mode)
	if len(e.exceptions) > 0 {
		head |= headExceptions
	}
	dst = append(dst, head)
	dst = e.appendExceptions(dst, values)
	switch plan.mode {
	case modeDecimal, modeNear:
		dst = append(dst, plan.digits)
	case modeProduct, modeQuotient:
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(plan.base))
	}
	dst = e.appendIntegers(dst, e.integers, 0)
	if plan.mode == modeNear {
		dst = e.appendIntegers(dst, e.second, 0)
	}
	return dst
}

func (e *Encoder) appendExceptions(dst []byte, values []float64) []byte {
	if len(e.exceptions) == 0 {
		return dst
	}
	stretches := 1
	for i, row := range e.exceptions[1:] {
		if row != e.exceptions[i]+1 {
			stretches++
		}
	}
	dst = binary.AppendUvarint(dst, uint64(stretches))
	end := 0 // of the stretch before
	for left := e.exceptions; len(left) > 0; {
		length := 1
		for length < len(left) && left[length] == left[0]+length {
			length++
		}
		dst = binary.AppendUvarint(dst, uint64(left[0]-end))
		dst = binary.AppendUvarint(dst, uint64(length-1))
		end = left[0] + length
		left = left[length:]
	}
	for left := e.exceptions; len(left) > 0; {
		value := math.Float64bits(values[left[0]])
		same := 1
		for same < len(left) && math.Float64bits(values[left[same]]) == value {
			same++
		}
		dst = binary.AppendUvarint(dst, uint64(same))
		dst = binary.LittleEndian.AppendUint64(dst, value)
		left = left[same:]
	}
	return dst
}
