package hioki

import (
	"bytes"
	"errors"
	"io"
)

// Sizes of the read buffer. It grows once, when a line does not fit.
const (
	bufferBytes  = 256 << 10
	maxLineBytes = 1 << 20
)

// errLongLine means that a line of more than maxLineBytes was passed over.
var errLongLine = errors.New("line too long")

// lines cuts a stream into lines.
type lines struct {
	source     io.Reader
	buffer     []byte
	start, end int
	number     int   // of the line handed over last, from 1
	offset     int64 // of that line's first byte in the stream
	consumed   int64 // bytes of all lines handed over
	open       bool  // that line had no newline: it is the last
	failure    error // of the source; io.EOF at its end
}

func newLines(source io.Reader) *lines {
	return &lines{source: source, buffer: make([]byte, bufferBytes)}
}

// next returns the next line without its line end, valid until the next call;
// io.EOF after the last; errLongLine for a line that was passed over, after
// which reading goes on.
func (l *lines) next() ([]byte, error) {
	scanned := 0
	for {
		if i := bytes.IndexByte(l.buffer[l.start+scanned:l.end], '\n'); i >= 0 {
			return l.take(scanned+i, 1), nil
		}
		scanned = l.end - l.start
		if l.failure != nil {
			if l.failure == io.EOF && scanned > 0 {
				l.open = true
				return l.take(scanned, 0), nil
			}
			return nil, l.failure
		}
		if scanned >= maxLineBytes {
			return nil, l.skip()
		}
		l.fill()
	}
}

// take hands over the next n bytes; newline is the length of what ends them.
func (l *lines) take(n, newline int) []byte {
	line := l.buffer[l.start : l.start+n]
	l.number++
	l.offset = l.consumed
	l.consumed += int64(n + newline)
	l.start += n + newline
	if n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}

// fill reads once more into the buffer, after making room.
func (l *lines) fill() {
	if l.start > 0 {
		l.end = copy(l.buffer, l.buffer[l.start:l.end])
		l.start = 0
	}
	if l.end == len(l.buffer) {
		l.buffer = append(l.buffer, make([]byte, maxLineBytes+bufferBytes-len(l.buffer))...)
	}
	for tries := 0; tries < 100; tries++ {
		n, err := l.source.Read(l.buffer[l.end:])
		l.end += n
		if l.failure = err; n > 0 || err != nil {
			return
		}
	}
	l.failure = io.ErrNoProgress
}

// skip passes over the rest of a line that is too long.
func (l *lines) skip() error {
	l.number++
	l.offset = l.consumed
	for {
		held := l.buffer[l.start:l.end]
		if i := bytes.IndexByte(held, '\n'); i >= 0 {
			l.consumed += int64(i + 1)
			l.start += i + 1
			return errLongLine
		}
		l.consumed += int64(len(held))
		l.start, l.end = 0, 0
		if l.failure == io.EOF {
			return errLongLine
		}
		if l.failure != nil {
			return l.failure
		}
		l.fill()
	}
}
