package wal

import "github.com/hokan-db/hokan/engine/disk"

// Part is a file of the log with the bytes of it that count.
type Part struct {
	Name  string // in the log's folder
	Bytes int64
	// Sealed says that the file does not grow any more.
	Sealed bool
	Last   uint64 // offset of the newest entry that may be in it
}

// Contents returns the files that hold all entries which are durable now. They
// stay as they are for as long as nobody trims the log.
func (l *Local) Contents() []Part {
	l.mu.Lock()
	defer l.mu.Unlock()
	parts := make([]Part, 0, len(l.segments))
	for i, g := range l.segments {
		parts = append(parts, Part{Name: disk.SegmentName(g.number), Bytes: g.size, Sealed: i+1 < len(l.segments), Last: min(g.limit-1, l.last)})
	}
	return parts
}
