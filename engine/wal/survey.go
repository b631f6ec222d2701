package wal

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hokan-db/hokan/engine/disk"
)

// segment is a file of the log.
type segment struct {
	number uint64
	name   string // relative to the data folder, as findings name it
	path   string
	identity
	limit uint64 // offset of the next segment's first entry, or noLimit
	size  int64  // bytes that count: what is durable
	blame string // the file that stands, or stood, between it and the next one
}

// findings are what a survey or a scan comes upon.
type findings interface {
	fault(name string, offset int64, what string)
	note(name string, offset int64, what string)
}

// survey is what the files of a log's folder say they are.
type survey struct {
	segments []*segment // in order; the last has no limit
	strays   []*segment // files named like segments that hold no entry
	newest   uint64     // greatest number of a file
}

// takeSurvey reads the heads of all segments. The error is one of the file
// system, or ErrVersion.
func takeSurvey(fsys disk.FS, dir string, found findings) (survey, error) {
	names, err := fsys.List(dir)
	if err = disk.Wrap(err); errors.Is(err, disk.ErrNotFound) {
		return survey{}, nil
	} else if err != nil {
		return survey{}, err
	}
	slices.Sort(names)
	var s survey
	for _, name := range names {
		g := &segment{name: findingName(fsys, dir, name), path: fsys.PathJoin(dir, name), limit: noLimit}
		var ok bool
		if g.number, ok = disk.ParseSegmentName(name); !ok {
			found.note(g.name, 0, "not a segment")
			continue
		}
		if err := s.add(fsys, g, found); err != nil {
			return survey{}, fmt.Errorf("%s: %w", g.name, err)
		}
	}
	byNumber := func(a, b *segment) int { return int(int64(a.number) - int64(b.number)) }
	slices.SortFunc(s.segments, byNumber)
	slices.SortFunc(s.strays, byNumber)
	s.order(found)
	return s, nil
}

// findingName returns the name of a file of the log in findings and errors,
// relative to the data folder.
func findingName(fsys disk.FS, dir, name string) string { return fsys.PathBase(dir) + "/" + name }

// add reads the head of a file and counts it among the segments or the strays.
func (s *survey) add(fsys disk.FS, g *segment, found findings) error {
	info, err := fsys.Stat(g.path)
	if err != nil {
		return disk.Wrap(err)
	}
	if info.IsDir() {
		found.note(g.name, 0, "not a segment")
		return nil
	}
	s.newest = max(s.newest, g.number)
	g.size = info.Size()
	if g.size > maxSegmentBytes {
		s.stray(g, found, 0, fmt.Errorf("%d bytes are more than a segment has", g.size))
		return nil
	}
	head, err := readFile(fsys, g.path, min(g.size, segmentHead), nil)
	if err != nil {
		return err
	}
	id, at, headErr := readSegmentHead(head)
	if isNewer(headErr) {
		return headErr
	}
	if headErr != nil && g.size > segmentHead {
		data, err := readFile(fsys, g.path, g.size, nil)
		if err != nil {
			return err
		}
		if f, ok := findFrame(data, 0, identity{tag: id.tag}); ok {
			id = identity{first: f.offset - uint64(f.number) + 1, tag: f.tag}
		}
	}
	if id.first == 0 {
		s.stray(g, found, at, headErr)
		return nil
	}
	if headErr != nil {
		found.fault(g.name, at, headErr.Error())
	}
	g.identity = id
	s.segments = append(s.segments, g)
	return nil
}

// stray counts a file that holds no entry. One that has no room for any was
// being made when its process ended.
func (s *survey) stray(g *segment, found findings, at int64, err error) {
	s.strays = append(s.strays, g)
	if g.size > segmentHead {
		found.fault(g.name, at, fmt.Sprintf("no entry is readable: %v", err))
		return
	}
	found.note(g.name, at, fmt.Sprintf("a segment that was being made: %v", err))
}

// order gives each segment its limit, and says which file is to blame if
// entries are missing before the next.
func (s *survey) order(found findings) {
	var ordered []*segment
	for _, g := range s.segments {
		if len(ordered) == 0 {
			ordered = append(ordered, g)
			continue
		}
		last := ordered[len(ordered)-1]
		if g.first < last.first {
			found.fault(g.name, disk.HeaderSize,
				fmt.Sprintf("it begins with entry %d, the segment before it with %d", g.first, last.first))
			s.strays = append(s.strays, g)
			continue
		}
		last.limit = g.first
		last.blame = s.between(last, g)
		ordered = append(ordered, g)
	}
	s.segments = ordered
}

// between names the file that is unreadable or missing between two segments;
// "": none.
func (s *survey) between(g, next *segment) string {
	for _, stray := range s.strays {
		if stray.number > g.number && stray.number < next.number {
			return stray.name
		}
	}
	if next.number > g.number+1 {
		return g.name[:len(g.name)-len(disk.SegmentName(g.number))] + disk.SegmentName(g.number+1)
	}
	return ""
}

// scan returns a scanner of a segment's bytes.
func (g *segment) scan(data []byte, found findings) *scanner {
	s := newScanner(data, g.identity, g.limit)
	s.fault = func(at int, what string) { found.fault(g.name, int64(at), what) }
	s.lost = func(at int, what string) {
		if g.blame != "" {
			found.fault(g.blame, 0, "missing or not readable: "+what)
			return
		}
		s.fault(at, what)
	}
	s.note = func(at int, what string) { found.note(g.name, int64(at), what) }
	return s
}

// readFile reads the first size bytes of a file, or all if it has fewer, into
// buffer if that is large enough.
func readFile(fsys disk.FS, path string, size int64, buffer []byte) ([]byte, error) {
	if int64(cap(buffer)) < size {
		buffer = make([]byte, size)
	}
	buffer = buffer[:size]
	file, err := fsys.Open(path)
	if err != nil {
		return nil, disk.Wrap(err)
	}
	defer file.Close()
	n, err := io.ReadFull(file, buffer)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return buffer[:n], disk.Wrap(err)
}
