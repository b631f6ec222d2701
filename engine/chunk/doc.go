// Package chunk turns rows of one channel into bytes and back, bit for bit:
// whole at once (Encode) or row by row in pages of memory (Stream). Both give
// the same bytes, so that one decoder reads them. It does no I/O.
package chunk

import "errors"

// Encoding numbers the forms that a chunk's bytes may have. The numbers are
// part of the block format and are never given another meaning.
type Encoding uint8

// Gorilla is a stream of XORed values and differences of time differences, in
// the manner of Pelkonen et al., VLDB 2015. gorilla.go has the bytes.
const Gorilla Encoding = 1

// Fast and Small are adaptive columns, times and values apart. Both have the
// same decoder: the name says how hard the encoder looked for a short form.
const (
	Fast  Encoding = 2
	Small Encoding = 3
)

// String returns the encoding's name.
func (e Encoding) String() string {
	switch e {
	case Gorilla:
		return "gorilla"
	case Fast:
		return "fast"
	case Small:
		return "small"
	}
	return "unknown"
}

// ErrCorrupt is wrapped by every refusal of bytes that Encode did not make.
var ErrCorrupt = errors.New("corrupt chunk")
