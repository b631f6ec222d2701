package chunk

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"
)

// Stream is a Gorilla chunk that grows row by row in pages of memory. The zero
// value has no rows. It holds no pointers, so that the garbage collector need
// not look at hundreds of thousands of them.
//
// A row's data and a group's control never cross the end of a page: the page
// is left shorter instead. The control of a group that is not full yet is kept
// here; its place in the page is written once, when the group is full, and no
// View reads it before. So all bytes that a View reads are immutable.
type Stream struct {
	row          encoder // the last row
	control      uint64  // of the last group
	rows         uint32
	first, last  uint32 // addresses of pages
	controlPage  uint32 // address of the page with the control's place
	controlAt    uint16 // its place there
	length, size uint16 // of the last page: bytes used and there, without header
}

// Rows returns the number of rows.
func (s *Stream) Rows() int { return int(s.rows) }

// Last returns the time of the last row; it means nothing where there is none.
func (s *Stream) Last() int64 { return s.row.time }

// Append adds a row, which must be later than the last one.
func (s *Stream) Append(p *Pages, t int64, v float64) {
	if s.rows == 0 {
		s.begin(p, t, v)
		return
	}
	place := (s.rows - 1) % groupRows
	if place == 0 {
		s.beginGroup(p)
	}
	var control uint64
	if s.size-s.length >= maxRowBytes {
		var n int
		control, n = s.row.put((*[maxRowBytes]byte)(at(p.slabs, s.last, s.length)), t, v)
		s.length += uint16(n)
	} else {
		control = s.appendAtPageEnd(p, t, v)
	}
	s.control |= control << (4 * place)
	s.rows++
	if place == groupRows-1 {
		binary.LittleEndian.PutUint64(at(p.slabs, s.controlPage, s.controlAt), s.control)
	}
}

func (s *Stream) begin(p *Pages, t int64, v float64) {
	s.first = p.take(firstPage)
	s.last, s.size, s.length = s.first, firstPage-pageHeader, firstRowBytes
	page := at(p.slabs, s.last, 0)
	binary.LittleEndian.PutUint64(page, uint64(t))
	binary.LittleEndian.PutUint64(page[8:], math.Float64bits(v))
	s.row = encoder{time: t, value: math.Float64bits(v)}
	s.rows = 1
}

func (s *Stream) beginGroup(p *Pages) {
	if s.size-s.length < controlBytes {
		s.nextPage(p)
	}
	s.control, s.controlPage, s.controlAt = 0, s.last, s.length
	s.length += controlBytes
}

// appendAtPageEnd adds a row that may not fit in what is left of the page.
func (s *Stream) appendAtPageEnd(p *Pages, t int64, v float64) (control uint64) {
	var data [maxRowBytes]byte
	control, n := s.row.put(&data, t, v)
	if n > int(s.size-s.length) {
		s.nextPage(p)
	}
	copy(at(p.slabs, s.last, s.length), data[:n])
	s.length += uint16(n)
	return control
}

// nextPage goes on to a new page, a little larger than the last one. Pages in
// proportion to the square root of the stream's length waste least: headers
// and ends of many pages, or the empty part of a large last one.
func (s *Stream) nextPage(p *Pages) {
	size := min(uint32(s.size)+pageHeader+pageGrowth, largestPage)
	next := p.take(size)
	p.putHeader(s.last, next, s.length)
	s.last, s.length, s.size = next, 0, uint16(size-pageHeader)
}

// restoredPage is how many bytes of a chunk one page holds at most.
const restoredPage = 4 << 10

// Restore gives a stream without rows those of a chunk: its bytes go into pages
// as they are, few large ones and a last one of the size that it would have if
// the rows had been appended, and all of them are read on the way. Bytes that
// Decode refuses are refused with the same error; the stream and its Pages are
// good for nothing then.
func (s *Stream) Restore(p *Pages, payload []byte, rows int) error {
	if err := plausible(payload, rows); err != nil || rows == 0 {
		return err
	}
	s.row = encoder{time: int64(binary.LittleEndian.Uint64(payload)), value: binary.LittleEndian.Uint64(payload[8:])}
	s.rows = uint32(rows)
	var times [groupRows]int64
	var values [groupRows]float64
	var copied [2 * maxGroupBytes]byte     // of the end, as in decode
	at, group, kept := firstRowBytes, 0, 0 // of the next group, of the last one, and what is in pages
	for left := rows - 1; left > 0; left -= groupRows {
		src := payload[at:]
		if len(src) < maxGroupBytes {
			src = copied[:copy(copied[:], src)]
		}
		taken := min(left, groupRows)
		n := s.row.take((*[maxGroupBytes]byte)(src[:maxGroupBytes]), times[:taken], values[:taken])
		if n == 0 || n > len(src) {
			return fmt.Errorf("%w: in the rows from byte %d on", ErrCorrupt, at)
		}
		if at+n-kept > restoredPage {
			s.addPage(p, payload[kept:at], 0)
			kept = at
		}
		group = at
		at += n
	}
	if at != len(payload) {
		return fmt.Errorf("%w: bytes after the last row, from byte %d on", ErrCorrupt, at)
	}
	s.restoreEnd(p, payload, kept, group)
	return nil
}

// restoreEnd puts what is left of a chunk, from kept on, into pages: the last
// group, if there is any, begins the last one, unless all fits there.
func (s *Stream) restoreEnd(p *Pages, payload []byte, kept, group int) {
	size := uint32(firstPage)
	for left := len(payload); left > int(size-pageHeader); size = min(size+pageGrowth, largestPage) {
		left -= int(size - pageHeader)
	}
	if group > kept && len(payload)-kept > int(size-pageHeader) {
		s.addPage(p, payload[kept:group], 0)
		kept = group
	}
	s.addPage(p, payload[kept:], size)
	if group > 0 {
		s.control, s.controlPage, s.controlAt = binary.LittleEndian.Uint64(payload[group:]), s.last, uint16(group-kept)
	}
}

// addPage puts bytes into a page of their own, of at least a size.
func (s *Stream) addPage(p *Pages, data []byte, size uint32) {
	size = max(size, (uint32(len(data))+pageHeader+addressUnit-1)/addressUnit*addressUnit)
	page := p.take(size)
	if s.size == 0 {
		s.first = page
	} else {
		p.putHeader(s.last, page, s.length)
	}
	s.last, s.size, s.length = page, uint16(size-pageHeader), uint16(len(data))
	copy(at(p.slabs, page, 0), data)
}

// View is the rows that a stream had at one time. It stays valid whatever
// happens to the stream, and may be read while the stream grows.
type View struct {
	slabs  [][]byte
	stream Stream
}

// View returns the rows there are now, in constant time.
func (s *Stream) View(p *Pages) View { return View{p.slabs, *s} }

// Rows returns the number of rows.
func (v View) Rows() int { return int(v.stream.rows) }

// First returns the time of the first row; it means nothing where there is
// none.
func (v View) First() int64 {
	if v.stream.rows == 0 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(at(v.slabs, v.stream.first, 0)))
}

// Last returns the time of the last row; it means nothing where there is none.
func (v View) Last() int64 { return v.stream.row.time }

// AppendTo appends the view's chunk to dst: the bytes that Encode gives for
// its rows.
func (v View) AppendTo(dst []byte) []byte {
	s := &v.stream
	if s.rows == 0 {
		return dst
	}
	open := (s.rows-1)%groupRows != 0 // the place of the control may be written to
	for address := s.first; ; {
		next, used := address, s.length
		if address != s.last {
			next, used = header(v.slabs, address)
		}
		data := at(v.slabs, address, 0)[:used]
		if open && address == s.controlPage {
			dst = append(dst, data[:s.controlAt]...)
			dst = binary.LittleEndian.AppendUint64(dst, s.control)
			data = data[s.controlAt+controlBytes:]
		}
		dst = append(dst, data...)
		if address == s.last {
			return dst
		}
		address = next
	}
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Decode appends the view's rows to times and values.
func (v View) Decode(times []int64, values []float64) ([]int64, []float64, error) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	*buffer = v.AppendTo((*buffer)[:0])
	return Decode(*buffer, v.Rows(), times, values)
}
