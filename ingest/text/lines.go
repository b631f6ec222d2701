package text

import (
	"bytes"
	"errors"
	"io"

	"github.com/hokan-db/hokan/ingest/refusal"
)

// Byte order marks.
const (
	byteOrderMark   = "\xEF\xBB\xBF"
	byteOrderMark16 = "\xFF\xFE"
	byteOrderMarkBE = "\xFE\xFF"
)

// Sizes of the read buffer. It grows once, when a line does not fit or the
// beginning is asked for.
const (
	bufferBytes  = 256 << 10
	maxLineBytes = 1 << 20
)

// errLongLine means that a line of more than maxLineBytes was passed over.
var errLongLine = errors.New("line too long")

// Lines cuts a stream into lines.
type Lines struct {
	Number   int   // of the line handed over last, from 1
	Consumed int64 // bytes of all lines handed over

	source     io.Reader
	buffer     []byte
	start, end int
	offset     int64 // of the line handed over last, in the stream
	open       bool  // that line had no newline: it is the last
	failure    error // of the source; io.EOF at its end
}

// NewLines returns the lines of source.
func NewLines(source io.Reader) *Lines {
	return &Lines{source: source, buffer: make([]byte, bufferBytes)}
}

// Beginning returns what the stream begins with, at most 1 MiB, and hands over
// none of it. It is valid until a line is asked for. whole means that nothing
// follows.
func (l *Lines) Beginning() (begin []byte, whole bool) {
	for l.failure == nil && l.end-l.start < maxLineBytes {
		l.fill()
	}
	held := l.buffer[l.start:l.end]
	return held[:min(len(held), maxLineBytes)], l.failure == io.EOF && len(held) <= maxLineBytes
}

// next returns the next line without its line end, valid until the next call;
// io.EOF after the last; errLongLine for a line that was passed over, after
// which reading goes on.
func (l *Lines) next() ([]byte, error) {
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
func (l *Lines) take(n, newline int) []byte {
	line := l.buffer[l.start : l.start+n]
	l.Number++
	l.offset = l.Consumed
	l.Consumed += int64(n + newline)
	l.start += n + newline
	if n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}

// fill reads once more into the buffer, after making room.
func (l *Lines) fill() {
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
func (l *Lines) skip() error {
	l.Number++
	l.offset = l.Consumed
	for {
		held := l.buffer[l.start:l.end]
		if i := bytes.IndexByte(held, '\n'); i >= 0 {
			l.Consumed += int64(i + 1)
			l.start += i + 1
			return errLongLine
		}
		l.Consumed += int64(len(held))
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

// HeaderLine returns a copy of the next line, of at most room bytes; what names
// the line that the header has to end with.
func (l *Lines) HeaderLine(room int, what string) ([]byte, *refusal.Error) {
	line, err := l.next()
	switch {
	case err == io.EOF && l.Consumed == 0:
		return nil, At(0, 0, refusal.Malformed, "the file is empty")
	case err == io.EOF:
		return nil, At(l.Number, 0, refusal.Malformed,
			"the file ends at byte %d without %s", l.Consumed, what)
	case errors.Is(err, errLongLine) || err == nil && len(line) > room:
		return nil, At(l.Number, 0, refusal.Malformed, "its header has a line of over %d bytes", min(room, maxLineBytes))
	case err != nil:
		return nil, At(l.Number+1, 0, refusal.Malformed, "reading at byte %d: %v", l.Consumed, err)
	}
	if l.Number == 1 {
		if bytes.HasPrefix(line, []byte(byteOrderMark16)) || bytes.HasPrefix(line, []byte(byteOrderMarkBE)) {
			return nil, At(1, 0, refusal.Malformed, "the text is UTF-16: save it as UTF-8 or Shift_JIS")
		}
		if packed := packedAs(line); packed != "" {
			return nil, At(1, 0, refusal.Malformed, "this is a %s file: unpack it first", packed)
		}
		line = bytes.TrimPrefix(line, []byte(byteOrderMark))
	}
	if i := bytes.IndexByte(line, 0); i >= 0 {
		return nil, At(l.Number, 0, refusal.Malformed, "a NUL byte in the header, byte %d of the file", l.offset+int64(i))
	}
	return append([]byte(nil), line...), nil
}

// packedAs tells compressed files by how they begin; "" is any other.
func packedAs(beginning []byte) string {
	for _, kind := range []struct{ name, magic string }{
		{"gzip", "\x1F\x8B"}, {"zip", "PK\x03\x04"}, {"zip", "PK\x05\x06"}, {"zstd", "\x28\xB5\x2F\xFD"}, {"xz", "\xFD7zXZ\x00"},
		{"bzip2", "BZh"}, {"7z", "7z\xBC\xAF\x27\x1C"},
	} {
		if bytes.HasPrefix(beginning, []byte(kind.magic)) {
			return kind.name
		}
	}
	return ""
}

// Peek returns the next line that is not blank, without handing it over, or nil
// at the end. It is valid until a line is asked for.
func (l *Lines) Peek() []byte {
	begin, _ := l.Beginning()
	for len(begin) > 0 {
		line, rest, _ := bytes.Cut(begin, []byte{'\n'})
		if line = bytes.TrimRight(line, "\r"); len(bytes.Trim(line, " \t")) > 0 {
			return line
		}
		begin = rest
	}
	return nil
}
