package wal

import (
	"fmt"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/entry"
)

// checker passes findings on.
type checker struct {
	report  func(path string, offset int64, what string)
	comment func(text string)
}

func (c checker) fault(name string, offset int64, what string) { c.report(name, offset, what) }

func (c checker) note(name string, offset int64, what string) {
	c.comment(noteText(name, offset, what))
}

// Check reads every byte of a log and changes nothing. Damage goes to report,
// with a path relative to the data folder; what is to be expected after a
// crash or a full disk goes to note. The entry expectFrom, if not 0, and every
// later one up to the last must be there. Check returns the bounds of what it
// found, 1 and 0 for nothing. The error is one of reading.
func Check(fsys disk.FS, dir string, expectFrom uint64,
	report func(path string, offset int64, what string), note func(text string)) (first, last uint64, err error) {
	found := checker{report, note}
	s, err := takeSurvey(fsys, dir, found)
	if err != nil {
		return 0, 0, fmt.Errorf("log: %w", err)
	}
	if len(s.segments) == 0 {
		return 1, 0, nil
	}
	first = s.segments[0].first
	if expectFrom > 0 && first > expectFrom {
		found.fault(s.segments[0].name, 0, "it is the first segment: "+span(expectFrom, first)+" missing")
	}
	var buffer []byte
	for _, g := range s.segments {
		if buffer, err = readFile(fsys, g.path, g.size, buffer); err != nil {
			return 0, 0, fmt.Errorf("log: %s: %w", g.name, err)
		}
		last = g.check(buffer, found)
	}
	return first, last, nil
}

// check reads a segment's entries and returns the offset of the last.
func (g *segment) check(data []byte, found findings) (last uint64) {
	s := g.scan(data, found)
	var e entry.Entry
	for {
		f, ok := s.next()
		if !ok {
			return s.offset() - 1
		}
		if err := entry.Decode(f.body, &e); err != nil {
			found.fault(g.name, int64(f.at), fmt.Sprintf("entry %d: %v", f.offset, err))
		}
	}
}
