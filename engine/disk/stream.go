package disk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A stream file is a header, frames numbered from 0 whose payloads joined are
// the stream, and a last frame with an empty payload that says that nothing is
// missing.

// streamVersions returns the oldest version of stream files of a kind that is
// read, and the one that is written.
func streamVersions(kind FileKind) (oldest, newest uint16) {
	if kind == KindCheckpoint {
		return 2, 4
	}
	return 1, 1
}

// StreamWriter writes a stream file. It must be closed to be complete.
type StreamWriter struct {
	w      io.Writer
	frame  []byte // room for a frame's header, then what is not written yet
	number uint32
	size   int
}

// NewStreamWriter writes the header of a stream file of the given kind to w.
// size is the number of payload bytes per frame.
func NewStreamWriter(w io.Writer, kind FileKind, size int) (*StreamWriter, error) {
	_, version := streamVersions(kind)
	header := AppendHeader(nil, FileHeader{Kind: kind, Version: version, Salt: NewSalt()})
	if _, err := w.Write(header); err != nil {
		return nil, err
	}
	return &StreamWriter{w: w, size: size, frame: BeginFrame(nil)}, nil
}

// Write adds to the stream.
func (s *StreamWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		part := p[:min(len(p), FrameHeaderSize+s.size-len(s.frame))]
		s.frame = append(s.frame, part...)
		p = p[len(part):]
		n += len(part)
		if len(s.frame) == FrameHeaderSize+s.size {
			if err := s.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (s *StreamWriter) flush() error {
	_, err := s.w.Write(FinishFrame(s.frame, 0, s.number))
	s.number++
	s.frame = s.frame[:FrameHeaderSize]
	return err
}

// EndFrame writes what is left as a frame of its own, so that it can be read
// without what follows. There must be something.
func (s *StreamWriter) EndFrame() error { return s.flush() }

// Close writes what is left and the end of the stream. It does not close the
// underlying writer.
func (s *StreamWriter) Close() error {
	if len(s.frame) > FrameHeaderSize {
		if err := s.flush(); err != nil {
			return err
		}
	}
	return s.flush()
}

// StreamReader reads a stream file. Its errors name the place in the file, and
// io.EOF comes only after a complete end.
type StreamReader struct {
	o       Object
	path    string
	version uint16
	at      int64  // of the next frame
	number  uint32 // of the next frame
	frame   []byte
	rest    []byte // of the frame's payload
	ended   bool
}

// NewStreamReader checks the header of the stream file o, called path in
// errors.
func NewStreamReader(o Object, path string, kind FileKind) (*StreamReader, error) {
	s := &StreamReader{o: o, path: path}
	header, err := s.read(HeaderSize)
	if err != nil {
		return nil, err
	}
	oldest, newest := streamVersions(kind)
	h, err := ReadHeader(header, kind, newest)
	s.version = h.Version
	switch {
	case err == nil && h.Version < oldest:
		return nil, fmt.Errorf("%s: %w", path, BeforeFreeze(kind, h.Version))
	case errors.Is(err, ErrVersion):
		return nil, fmt.Errorf("%s: %w", path, err)
	case err != nil:
		return nil, &Corruption{path, 0, err}
	}
	s.at = HeaderSize
	return s, nil
}

// Version returns the version in the file's header.
func (s *StreamReader) Version() uint16 { return s.version }

// Position returns the offset in the file of the first byte not read yet.
func (s *StreamReader) Position() int64 { return s.at - int64(len(s.rest)) }

// read returns n bytes from the position of the next frame on.
func (s *StreamReader) read(n int) ([]byte, error) {
	if left := s.o.Size() - s.at; int64(n) > left {
		return nil, Corrupt(s.path, s.at, "cut off: %d bytes of %d", left, n)
	}
	if cap(s.frame) < n {
		s.frame = make([]byte, n)
	}
	s.frame = s.frame[:n]
	if _, err := s.o.ReadAt(s.frame, s.at); err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s: byte %d: %w", s.path, s.at, err)
	}
	return s.frame, nil
}

// Read implements io.Reader.
func (s *StreamReader) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		if s.ended {
			return 0, io.EOF
		}
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// next reads the next frame.
func (s *StreamReader) next() error {
	header, err := s.read(FrameHeaderSize)
	if err != nil {
		return err
	}
	length := binary.LittleEndian.Uint32(header)
	if length > MaxPayload {
		return Corrupt(s.path, s.at, "frame of %d bytes", length)
	}
	frame, err := s.read(FrameHeaderSize + int(length))
	if err != nil {
		return err
	}
	payload, number, size, err := ReadFrame(frame)
	if err != nil {
		return &Corruption{s.path, s.at, err}
	}
	if number != s.number {
		return Corrupt(s.path, s.at, "frame %d where %d belongs", number, s.number)
	}
	s.number++
	s.at += int64(size)
	s.rest = payload
	s.ended = len(payload) == 0
	if s.ended && s.at != s.o.Size() {
		return Corrupt(s.path, s.at, "%d bytes after the end", s.o.Size()-s.at)
	}
	return nil
}
