package wal

import (
	"errors"
	"fmt"
	"io"

	"github.com/hokan-db/hokan/engine/disk"
)

// rereadStep is how many bytes are read between two waits.
const rereadStep = 256 << 10

// Reread reads a segment that does not grow any more once again and returns the
// damage that was not known, each a *disk.Corruption. What is damaged twice in
// a row is damage: Faults and Damaged tell it from then on, and Trim sets the
// segment aside. A file that is not, or no longer, such a segment is passed
// over. wait is called with the bytes to be read next; its error ends it.
func (l *Local) Reread(name string, wait func(bytes int) error) ([]error, error) {
	g, ok := l.sealed(name)
	if !ok || l.findings.isDamaged(g.name) {
		return nil, nil
	}
	for try := range 2 {
		data, err := readPaced(l.options.FS, g, wait)
		if errors.Is(err, disk.ErrNotFound) {
			return nil, nil // trimmed meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("log: %s: %w", g.name, err)
		}
		found := newRecord()
		g.check(data, found)
		if len(found.faults) == 0 {
			return nil, nil
		}
		if _, ok := l.sealed(name); !ok {
			return nil, nil
		}
		if try == 0 {
			wait = func(int) error { return nil }
			continue
		}
		g.check(data, l.findings)
		return found.faults, nil
	}
	return nil, nil
}

// sealed returns a copy of a segment that another follows.
func (l *Local) sealed(name string) (segment, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range max(len(l.segments), 1) - 1 {
		if g := l.segments[i]; disk.SegmentName(g.number) == name {
			return *g, true
		}
	}
	return segment{}, false
}

// readPaced reads the bytes of a segment that count, step by step.
func readPaced(fsys disk.FS, g segment, wait func(bytes int) error) ([]byte, error) {
	file, err := fsys.Open(g.path)
	if err != nil {
		return nil, disk.Wrap(err)
	}
	defer file.Close()
	data := make([]byte, g.size)
	for at := 0; at < len(data); {
		step := data[at:min(at+rereadStep, len(data))]
		if err := wait(len(step)); err != nil {
			return nil, err
		}
		n, err := io.ReadFull(file, step)
		at += n
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return data[:at], nil
		}
		if err != nil {
			return nil, disk.Wrap(err)
		}
	}
	return data, nil
}
