package block

import (
	"slices"
	"sort"
	"sync"
	"weak"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/model"
)

// isRegular reports whether all steps between ascending times are equal.
func isRegular(times []int64) bool {
	for i := 2; i < len(times); i++ {
		if times[i]-times[i-1] != times[1]-times[0] {
			return false
		}
	}
	return true
}

// timesWriter finds times that a block has already.
type timesWriter struct {
	known   map[uint64]knownTimes // by hash
	bytes   int                   // of known
	decoder chunk.Decoder
	decoded []int64
}

type knownTimes struct {
	frame  Frame
	column []byte // what is stored
}

// maxKnownTimes bounds the bytes that are kept to find equal times: beyond, it
// begins anew.
const maxKnownTimes = 8 << 20

// find returns the frame of these times.
func (w *timesWriter) find(times []int64) (Frame, bool) {
	known, ok := w.known[hashTimes(times)]
	if !ok {
		return Frame{}, false
	}
	var err error
	w.decoded, err = w.decoder.Times(w.decoded[:0], known.column, len(times))
	return known.frame, err == nil && slices.Equal(w.decoded, times)
}

// add remembers what was stored for times.
func (w *timesWriter) add(times []int64, f Frame, column []byte) {
	if w.known == nil || w.bytes+len(column) > maxKnownTimes {
		w.known, w.bytes = map[uint64]knownTimes{}, 0
	}
	w.known[hashTimes(times)] = knownTimes{f, column}
	w.bytes += len(column) + 64
}

// hashTimes is FNV-1a over words in place of bytes.
func hashTimes(times []int64) uint64 {
	hash := uint64(14695981039346656037)
	for _, t := range times {
		hash = (hash ^ uint64(t)) * 1099511628211
		hash ^= hash >> 32
	}
	return hash
}

// sharedTimes finds the times that chunks of one block share, decoded, for as
// long as there are chunks that hold them. The reader itself holds none.
type sharedTimes struct {
	mu     sync.Mutex
	shared weak.Pointer[decodedTimes]
}

// acquire returns what the chunks of all queries that run now have decoded.
func (s *sharedTimes) acquire() *decodedTimes {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.shared.Value(); d != nil {
		return d
	}
	d := &decodedTimes{columns: map[Frame][]int64{}}
	s.shared = weak.Make(d)
	return d
}

// decodedTimes are columns of times by all that is said of their frames: an
// entry with the position of a frame, but another length or checksum, does not
// get what the frame holds. What is in it stays in it as it is.
type decodedTimes struct {
	mu      sync.Mutex
	columns map[Frame][]int64
	rows    int
}

// maxSharedRows bounds the rows in decodedTimes. The first to come stay: a
// query meets them again in the next channel, in the same order.
const maxSharedRows = 1 << 19

// get returns the times of a frame, nil where it does not have them.
func (d *decodedTimes) get(f Frame) []int64 {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.columns[f]
}

func (d *decodedTimes) put(f Frame, times []int64) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.columns[f] == nil && d.rows+len(times) <= maxSharedRows {
		d.columns[f] = slices.Clone(times)
		d.rows += len(times)
	}
}

// clock tells the times of a chunk's rows.
type clock struct {
	rows  int
	first int64
	step  uint64  // where times is nil
	times []int64 // of each row; nil: they are regular
}

// at returns the time of a row.
func (c *clock) at(row int) int64 {
	if c.times != nil {
		return c.times[row]
	}
	return c.first + int64(uint64(row)*c.step)
}

// before returns how many rows are before t, where it is known that the first
// from are. Its cost grows with the logarithm of the rows from there.
func (c *clock) before(from int, t int64) int {
	if c.times == nil {
		if t <= c.first {
			return 0
		}
		if c.step == 0 {
			return c.rows
		}
		return int(min((uint64(t)-uint64(c.first)-1)/c.step+1, uint64(c.rows)))
	}
	rest := c.times[from:]
	high := 1
	for high <= len(rest) && rest[high-1] < t {
		high <<= 1
	}
	low := high >> 1
	n, _ := slices.BinarySearch(rest[low:min(high, len(rest))], t)
	return from + low + n
}

// stretches appends the rows that lie in ascending spans: of each stretch of
// them the first and the one behind the last.
func (c *clock) stretches(dst []int, spans []model.Span) []int {
	first, last := c.at(0), c.at(c.rows-1)
	next := sort.Search(len(spans), func(i int) bool { return spans[i].To > first })
	to := 0
	for ; next < len(spans) && spans[next].From <= last; next++ {
		from := c.before(to, spans[next].From)
		to = c.before(from, spans[next].To)
		if n := len(dst); n > 0 && dst[n-1] == from {
			dst[n-1] = to
		} else if from < to {
			dst = append(dst, from, to)
		}
	}
	return dst
}

// appendTo appends the times of rows from one on to another.
func (c *clock) appendTo(dst []int64, from, to int) []int64 {
	if c.times != nil {
		return append(dst, c.times[from:to]...)
	}
	n := len(dst)
	dst = slices.Grow(dst, to-from)[:n+to-from]
	t := c.at(from)
	for i := range dst[n:] {
		dst[n+i] = t
		t += int64(c.step)
	}
	return dst
}
