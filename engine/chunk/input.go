package chunk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Numbers of no fixed size are varints as encoding/binary has them: seven bits
// a byte, the lowest first, the top bit set on all bytes but the last, and no
// byte more than they need. Those that may be negative are zigzag: 0, -1, 1,
// -2, 2 are 0, 1, 2, 3, 4.

var errShort = errors.New("it ends in the middle")

// input reads the parts of a column from front to back. After the first thing
// that is not there it only gives zeros, and err says so.
type input struct {
	rest []byte
	err  error
}

func (in *input) fail(format string, arguments ...any) {
	if in.err == nil {
		in.err = fmt.Errorf(format, arguments...)
	}
	in.rest = nil
}

func (in *input) byte() byte {
	if len(in.rest) == 0 {
		in.fail("%w", errShort)
		return 0
	}
	b := in.rest[0]
	in.rest = in.rest[1:]
	return b
}

func (in *input) uvarint() uint64 {
	u, n := binary.Uvarint(in.rest)
	if n <= 0 {
		in.fail("%w", errShort)
		return 0
	}
	if n > 1 && in.rest[n-1] == 0 {
		in.fail("a number of more bytes than it needs")
		return 0
	}
	in.rest = in.rest[n:]
	return u
}

func (in *input) varint() int64 { return unzigzag(in.uvarint()) }

// count reads a number that must be at most limit.
func (in *input) count(what string, limit int) int {
	u := in.uvarint()
	if limit < 0 || u > uint64(limit) {
		in.fail("%d %s where %d are possible", u, what, limit)
		return 0
	}
	return int(u)
}

func (in *input) take(size int) []byte {
	if size < 0 || size > len(in.rest) {
		in.fail("%w", errShort)
		return nil
	}
	b := in.rest[:size]
	in.rest = in.rest[size:]
	return b
}

func (in *input) float() float64 {
	b := in.take(8)
	if b == nil {
		return 0
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}

func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

func appendVarint(dst []byte, v int64) []byte { return binary.AppendUvarint(dst, zigzagOf(v)) }

// resized returns a slice of n elements of any content, in s if they fit.
func resized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/8)
	}
	return s[:n]
}
