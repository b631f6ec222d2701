package block

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
)

// ReadChunk appends the rows of a chunk that Chunks visited.
func (r *Reader) ReadChunk(ref *ChunkRef, times []int64, values []float64) ([]int64, []float64, error) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	size := int(ref.end() - ref.Position)
	*buffer = slices.Grow((*buffer)[:0], size)[:size]
	if err := r.readAt(*buffer, ref.Position); err != nil {
		return times, values, err
	}
	return r.decode(ref, *buffer, times, values)
}

// decode appends the rows of a chunk whose frame was read.
func (r *Reader) decode(ref *ChunkRef, frame []byte, times []int64, values []float64) ([]int64, []float64, error) {
	payload, err := r.frame(frame, ref.Position, ref.Length, ref.crc)
	if err != nil {
		return times, values, err
	}
	if ref.Encoding != chunk.Gorilla {
		return times, values, fmt.Errorf("%s: byte %d: %w: chunk encoding %d", r.meta.Name, ref.Position,
			disk.ErrVersion, uint8(ref.Encoding))
	}
	n := len(times)
	times, values, err = chunk.Decode(payload, int(ref.Summary.Rows()), times, values)
	if err != nil {
		return times[:n], values[:n], r.damage(ref.Position, err)
	}
	if len(times) == n || times[n] != ref.Summary.FirstTime || times[len(times)-1] != ref.Summary.LastTime {
		return times[:n], values[:n], r.damage(ref.Position, errors.New("chunk and index contradict each other"))
	}
	return times, values, nil
}

// Chunk is one chunk of a block as a source of rows (merge.Source). It reads
// the file when it is decoded, unless Load has read it before.
type Chunk struct {
	Ref    ChunkRef
	reader *Reader
	frame  []byte
}

// Chunk returns the chunk that Chunks visited. The reader must stay open as
// long as it is used.
func (r *Reader) Chunk(ref ChunkRef) Chunk { return Chunk{Ref: ref, reader: r} }

// Decode appends the chunk's rows.
func (c *Chunk) Decode(times []int64, values []float64) ([]int64, []float64, error) {
	if c.frame != nil {
		return c.reader.decode(&c.Ref, c.frame, times, values)
	}
	return c.reader.ReadChunk(&c.Ref, times, values)
}

// Fold adds the chunk's rows in span to the buckets of g.
func (c *Chunk) Fold(span model.Span, g merge.Grid, out []model.Aggregate) error {
	return merge.DecodeAndFold(c, span, g, out)
}

// Load reads the bytes of many chunks of this block, neighbours together, so
// that decoding them reads nothing more. Chunks that ascend by position, as
// Chunks visits them, need the fewest reads. The bytes are appended to buffer,
// or to a new one where it has no room, which is returned: it must stay as it
// is while the chunks are used.
func (r *Reader) Load(chunks []*Chunk, buffer []byte) ([]byte, error) {
	extent := func(i int) (int64, int64) { return chunks[i].Ref.Position, chunks[i].Ref.end() }
	for len(chunks) > 0 {
		n := together(len(chunks), extent)
		start, end := chunks[0].Ref.Position, chunks[n-1].Ref.end()
		size := int(end - start)
		if size > cap(buffer)-len(buffer) {
			buffer = make([]byte, 0, max(size, 2*cap(buffer), gapBytes))
		}
		read := buffer[len(buffer) : len(buffer)+size]
		if err := r.readAt(read, start); err != nil {
			return buffer, err
		}
		buffer = buffer[:len(buffer)+size]
		for _, c := range chunks[:n] {
			c.frame = read[c.Ref.Position-start : c.Ref.end()-start]
		}
		chunks = chunks[n:]
	}
	return buffer, nil
}
