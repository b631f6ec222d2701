package block

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
)

// Chunk is one chunk of a block as a source of rows (merge.Source). It reads
// the file when it is decoded, unless Load has read it before. A chunk may be
// used by one goroutine at a time.
type Chunk struct {
	Ref    ChunkRef
	reader *Reader
	shared *decodedTimes // where its times are shared
	// The frames, where they were read. There is none of times that are
	// regular or in shared.
	times, values []byte
}

// Chunk returns the chunk that Chunks visited. The reader must stay open as
// long as it is used.
func (r *Reader) Chunk(ref ChunkRef) Chunk {
	c := Chunk{Ref: ref, reader: r}
	if ref.Shared() {
		c.shared = r.shared.acquire()
	}
	return c
}

// scratch is the memory that work on one chunk needs.
type scratch struct {
	decoder chunk.Decoder
	times   []int64
	cuts    []int
	wanted  []wantedFrame
	bytes   []byte
	chunk   Chunk
	list    [1]*Chunk
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// release gives s back, without what it knows of a reader.
func (s *scratch) release() {
	s.chunk = Chunk{}
	scratches.Put(s)
}

// Decode appends the chunk's rows.
func (c *Chunk) Decode(times []int64, values []float64) ([]int64, []float64, error) {
	return c.DecodeIn(nil, times, values)
}

// DecodeIn appends those of the chunk's rows that lie in spans, which ascend and
// touch no other; nil are all.
func (c *Chunk) DecodeIn(spans []model.Span, times []int64, values []float64) ([]int64, []float64, error) {
	s := scratches.Get().(*scratch)
	defer s.release()
	c, err := c.loaded(s)
	if err != nil {
		return times, values, err
	}
	rows, err := c.clock(s)
	if err != nil {
		return times, values, err
	}
	payload, err := c.payload()
	if err != nil {
		return times, values, err
	}
	s.cuts = append(s.cuts[:0], 0, rows.rows)
	if spans != nil {
		s.cuts = rows.stretches(s.cuts[:0], spans)
	}
	if len(s.cuts) == 0 {
		return times, values, nil
	}
	decoded, err := s.decoder.Stretches(values, s.cuts, payload, rows.rows)
	if err != nil {
		return times, values, c.reader.damage(c.Ref.Values.Position, err)
	}
	for cuts := s.cuts; len(cuts) > 0; cuts = cuts[2:] {
		times = rows.appendTo(times, cuts[0], cuts[1])
	}
	return times, decoded, nil
}

// Fold adds the chunk's rows in span to the buckets of g, whose end is not
// before that of span. On error out is of no use.
func (c *Chunk) Fold(span model.Span, g merge.Grid, out []model.Aggregate) error {
	s := scratches.Get().(*scratch)
	defer s.release()
	c, err := c.loaded(s)
	if err != nil {
		return err
	}
	rows, err := c.clock(s)
	if err != nil {
		return err
	}
	from := rows.before(0, span.From)
	to := rows.before(from, span.To)
	if from == to {
		return nil
	}
	bucket, last := g.Bucket(rows.at(from)), g.Bucket(rows.at(to-1))
	if last >= uint64(len(out)) || bucket > last {
		return fmt.Errorf("%w: rows in the buckets %d to %d of %d", merge.ErrPiece, bucket, last, len(out))
	}
	out = out[bucket : last+1]
	s.cuts = append(s.cuts[:0], from)
	for n := from; bucket < last; bucket++ {
		n = rows.before(n, g.End(bucket))
		s.cuts = append(s.cuts, n)
	}
	s.cuts = append(s.cuts, to)
	return c.fold(s, &rows, out)
}

// fold folds the rows between each of s.cuts and the next into an element of
// out. Only the first of them may hold earlier rows.
func (c *Chunk) fold(s *scratch, rows *clock, out []model.Aggregate) error {
	payload, err := c.payload()
	if err != nil {
		return err
	}
	earlier := out[0]
	if err := s.decoder.Fold(out, s.cuts, payload, rows.rows); err != nil {
		return c.reader.damage(c.Ref.Values.Position, err)
	}
	for i := range out {
		if from, to := s.cuts[i], s.cuts[i+1]; from < to {
			out[i].FirstTime, out[i].LastTime = rows.at(from), rows.at(to-1)
		}
	}
	if earlier.Rows() > 0 {
		earlier.Merge(&out[0])
		out[0] = earlier
	}
	return nil
}

// loaded returns c, or a copy in s whose bytes were read into s.
func (c *Chunk) loaded(s *scratch) (*Chunk, error) {
	if c.values != nil {
		return c, nil
	}
	s.chunk = *c
	s.list[0] = &s.chunk
	var err error
	s.bytes, err = c.reader.load(s, s.list[:], s.bytes[:0])
	return &s.chunk, err
}

// clock returns the times of c's rows, which are valid until s is used again.
func (c *Chunk) clock(s *scratch) (clock, error) {
	ref := &c.Ref
	if ref.Encoding != chunk.Fast && ref.Encoding != chunk.Small {
		return clock{}, fmt.Errorf("%s: byte %d: %w: chunk encoding %d", c.reader.meta.Name, ref.start(),
			disk.ErrVersion, uint8(ref.Encoding))
	}
	column := ref.column()
	result := clock{rows: int(column.rows), first: column.first, step: column.step()}
	if ref.Regular() {
		return result, nil
	}
	if result.times = c.shared.get(ref.Times); result.times == nil {
		payload, err := c.reader.frame(c.times, ref.Times)
		if err != nil {
			return clock{}, err
		}
		if s.times, err = s.decoder.Times(s.times[:0], payload, result.rows); err != nil {
			return clock{}, c.reader.damage(ref.Times.Position, err)
		}
		c.shared.put(ref.Times, s.times)
		result.times = s.times
	}
	if len(result.times) != result.rows || result.times[0] != column.first || result.times[result.rows-1] != column.last {
		return clock{}, c.reader.damage(ref.Times.Position, errors.New("times and index contradict each other"))
	}
	return result, nil
}

// payload returns the bytes of the column of values.
func (c *Chunk) payload() ([]byte, error) { return c.reader.frame(c.values, c.Ref.Values) }

// Describe says how a chunk is encoded. Regular times have no more than a mode.
func (c *Chunk) Describe() (times, values chunk.Description, err error) {
	s := scratches.Get().(*scratch)
	defer s.release()
	fail := func(err error) (chunk.Description, chunk.Description, error) {
		return chunk.Description{}, chunk.Description{}, err
	}
	unread := Chunk{Ref: c.Ref, reader: c.reader} // whose times are not known
	c, err = unread.loaded(s)
	if err != nil {
		return fail(err)
	}
	rows := int(c.Ref.Summary.Rows())
	times = chunk.Description{Mode: "regular"}
	if !c.Ref.Regular() {
		payload, err := c.reader.frame(c.times, c.Ref.Times)
		if err != nil {
			return fail(err)
		}
		if times, err = chunk.DescribeTimes(payload, rows); err != nil {
			return fail(c.reader.damage(c.Ref.Times.Position, err))
		}
	}
	payload, err := c.payload()
	if err != nil {
		return fail(err)
	}
	if values, err = chunk.DescribeValues(payload, rows); err != nil {
		return fail(c.reader.damage(c.Ref.Values.Position, err))
	}
	return times, values, nil
}

// wantedFrame is a frame to be read, and what is to be set to its bytes.
type wantedFrame struct {
	Frame
	bytes *[]byte
}

// Load reads the bytes of many chunks of this block, neighbours together, so
// that decoding them reads nothing more. Times that are shared and known from
// other chunks are not read. The bytes are appended to buffer,
// or to a new one where it has no room, which is returned: it must stay as it
// is while the chunks are used.
func (r *Reader) Load(chunks []*Chunk, buffer []byte) ([]byte, error) {
	s := scratches.Get().(*scratch)
	defer s.release()
	return r.load(s, chunks, buffer)
}

func (r *Reader) load(s *scratch, chunks []*Chunk, buffer []byte) ([]byte, error) {
	wanted := s.wanted[:0]
	for _, c := range chunks {
		if !c.Ref.Regular() && c.shared.get(c.Ref.Times) == nil {
			wanted = append(wanted, wantedFrame{c.Ref.Times, &c.times})
		}
		wanted = append(wanted, wantedFrame{c.Ref.Values, &c.values})
	}
	s.wanted = wanted
	defer clear(wanted)
	byPosition := func(a, b wantedFrame) int { return cmp.Compare(a.Position, b.Position) }
	if !slices.IsSortedFunc(wanted, byPosition) {
		slices.SortFunc(wanted, byPosition)
	}
	for len(wanted) > 0 {
		n := together(len(wanted), func(i int) (int64, int64) { return wanted[i].Position, wanted[i].end() })
		start, end := wanted[0].Position, wanted[0].end()
		for _, w := range wanted[1:n] {
			end = max(end, w.end())
		}
		size := int(end - start)
		if size > cap(buffer)-len(buffer) {
			buffer = make([]byte, 0, max(size, 2*cap(buffer), gapBytes))
		}
		read := buffer[len(buffer) : len(buffer)+size]
		if err := r.readAt(read, start); err != nil {
			return buffer, err
		}
		buffer = buffer[:len(buffer)+closeGaps(read, start, wanted[:n])]
		wanted = wanted[n:]
	}
	return buffer, nil
}

// closeGaps moves the wanted frames, ascending in what was read from start on,
// to its beginning and sets their bytes. It returns how many bytes they are: of
// channels far apart a small part of what was read.
func closeGaps(read []byte, start int64, wanted []wantedFrame) int {
	n, from, position := 0, 0, int64(-1)
	for _, w := range wanted {
		if w.Position != position { // not times that are there already
			position, from = w.Position, n
			frame := read[w.Position-start : w.end()-start]
			if w.Position-start == int64(n) {
				n += len(frame) // no gap so far
			} else {
				n += copy(read[n:], frame)
			}
		}
		*w.bytes = read[from:n:n]
	}
	return n
}
