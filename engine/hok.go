package engine

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
)

// An export in the format HOK is a block of its own: the chosen channels,
// numbered from 1, with their labels and all versions of their properties, and
// the chosen rows in the small form, bit for bit. It has the format of the
// database's blocks and is read by the same code, but it is never one of them:
// it is written from what a query gives, so that nothing deleted, expired or of
// others is in it, and it names no tenant, entry or epoch.

// Magic is what the bytes of a file in the format HOK begin with.
const Magic = "HOKANBLK"

// ErrEmpty says that a selection has no rows, of which no block can be made.
var ErrEmpty = errors.New("there are no samples to make a file of")

// exportLevel is the level of a block that is an export. It stands in no file.
const exportLevel = "export"

// WriteHOK writes the rows of a selection, of these channels in this order, and
// returns how many there are. progress, if it is not nil, is told that number now
// and then.
func (s *Selection) WriteHOK(ctx context.Context, w io.Writer, channels []model.Channel, progress func(rows int64)) (rows int64, err error) {
	writer := block.NewWriter(w, block.WriterOptions{Name: disk.BlockName{Level: exportLevel}, Form: chunk.Small})
	for i := range channels {
		c := channels[i]
		c.ID = model.ChannelID(i + 1)
		if err := writer.AddChannel(c); err != nil {
			return rows, err
		}
		n, err := writeRows(ctx, writer, s.Cursor(i))
		if err != nil {
			return rows, err
		}
		rows += n
		if progress != nil {
			progress(rows)
		}
	}
	if _, err := writer.Close(); errors.Is(err, block.ErrEmpty) {
		return 0, ErrEmpty
	} else if err != nil {
		return rows, err
	}
	return rows, nil
}

// writeRows writes all rows of a cursor in chunks that are as long as possible.
func writeRows(ctx context.Context, w *block.Writer, c *merge.Cursor) (rows int64, err error) {
	times, values := make([]int64, 0, chunk.MaxRows), make([]float64, 0, chunk.MaxRows)
	flush := func() error {
		err := w.AddChunk(times, values)
		rows += int64(len(times))
		times, values = times[:0], values[:0]
		return err
	}
	for {
		if err := ctx.Err(); err != nil {
			return rows, err
		}
		nextTimes, nextValues, err := c.Next()
		if err != nil {
			return rows, err
		}
		if len(nextTimes) == 0 {
			return rows, flush()
		}
		for len(nextTimes) > 0 {
			n := min(len(nextTimes), chunk.MaxRows-len(times))
			times, values = append(times, nextTimes[:n]...), append(values, nextValues[:n]...)
			nextTimes, nextValues = nextTimes[n:], nextValues[n:]
			if len(times) == chunk.MaxRows {
				if err := flush(); err != nil {
					return rows, err
				}
			}
		}
	}
}

// HOK is a file in the format HOK that is open for reading.
type HOK struct {
	reader   *block.Reader
	channels []model.Channel
}

// OpenHOK reads every byte of a file in the format HOK, or of a block, and
// returns it if all is as it was written. name stands in errors. A file of a
// newer version is disk.ErrVersion; a damaged one, and any other file,
// ErrCorrupt. Close closes nothing but what OpenHOK opened.
func OpenHOK(name string, file io.ReaderAt, size int64) (*HOK, error) {
	store := oneFile{file: file, size: size}
	if err := checkBlock(store, name); err != nil {
		return nil, err
	}
	r, err := block.Open(store, name)
	if err != nil {
		return nil, err
	}
	h := &HOK{reader: r}
	err = r.Channels(func(c model.Channel) error {
		h.channels = append(h.channels, c)
		return nil
	})
	return h, err
}

// Channels returns the channels with the properties that they had.
func (h *HOK) Channels() []model.Channel { return h.channels }

// Rows returns the number of rows, and the times of the first and the last.
func (h *HOK) Rows() (rows int64, first, last int64) {
	m := h.reader.Meta()
	return int64(m.Rows), m.First, m.Last
}

// Close ends reading.
func (h *HOK) Close() error { return h.reader.Close() }

// Read visits the rows of every channel in parts, which are valid during the
// visit: by channel, then time. The channel is one of Channels.
func (h *HOK) Read(ctx context.Context, visit func(channel int, times []int64, values []float64) error) error {
	var times []int64
	var values []float64
	for i := range h.channels {
		ids := []model.ChannelID{h.channels[i].ID}
		err := h.reader.Chunks(ids, model.AllTime(), func(ref block.ChunkRef) (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			c := h.reader.Chunk(ref)
			if times, values, err = c.Decode(times[:0], values[:0]); err != nil {
				return err
			}
			return visit(i, times, values)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// importedRows is how many rows are appended at once, about, and
// importedDefinitions how many versions of properties.
const (
	importedRows        = 32 << 10
	importedDefinitions = 256
)

// ImportHOK appends everything in a file to a tenant: rows, and what the
// channels' properties were and when. Channels that the tenant has already, by
// their labels, get the rows; at equal times the file's win. progress, if it
// is not nil, is told the rows that are durable. An error ends the import: what
// accepted counts stays, and the same file may be imported again. Rows of channels that a quota refuses are counted
// in refused.
func (db *DB) ImportHOK(ctx context.Context, name model.Tenant, h *HOK, progress func(rows int64)) (accepted, refused int64, err error) {
	batch := model.Batch{Tenant: name}
	waiting := 0
	write := func() error {
		if waiting == 0 {
			return nil
		}
		result, err := db.Append(ctx, &batch)
		accepted += int64(result.Rows)
		if err == nil {
			refused += int64(waiting - result.Rows)
		}
		batch.Columns, waiting = nil, 0
		if progress != nil {
			progress(accepted)
		}
		return err
	}
	err = h.Read(ctx, func(channel int, times []int64, values []float64) error {
		batch.Columns = append(batch.Columns, model.Column{
			Labels: h.channels[channel].Labels,
			Times:  append([]int64(nil), times...), Values: append([]float64(nil), values...),
		})
		if waiting += len(times); waiting < importedRows {
			return nil
		}
		return write()
	})
	if err == nil {
		err = write()
	}
	if err != nil {
		return accepted, refused, fmt.Errorf("import: %w", err)
	}
	if err := db.importProperties(ctx, name, h.channels); err != nil {
		return accepted, refused, fmt.Errorf("import: properties: %w", err)
	}
	return accepted, refused, nil
}

// importProperties defines all versions of the properties of channels. A
// channel that rows could not make, because a quota refused it, is left out.
func (db *DB) importProperties(ctx context.Context, name model.Tenant, channels []model.Channel) error {
	t, err := db.enterTenant(name)
	if err != nil {
		return err
	}
	defer db.gate.leave()
	var definitions []model.Definition
	write := func() error {
		if len(definitions) == 0 {
			return nil
		}
		err := db.Define(ctx, name, definitions)
		definitions = nil
		return err
	}
	for i := range channels {
		c := &channels[i]
		t.mu.RLock()
		_, exists := t.index.Lookup(c.Labels)
		t.mu.RUnlock()
		if !exists {
			continue
		}
		for j := range c.History {
			v := &c.History[j]
			definitions = append(definitions, model.Definition{Labels: c.Labels, Properties: &v.Properties, ValidFrom: v.ValidFrom})
			if len(definitions) >= importedDefinitions {
				if err := write(); err != nil {
					return err
				}
			}
		}
	}
	return write()
}

// oneFile is a store of one object.
type oneFile struct {
	disk.Blocks
	file io.ReaderAt
	size int64
}

// Open implements disk.Blocks.
func (f oneFile) Open(string) (disk.Object, error) { return openFile{f.file, f.size}, nil }

type openFile struct {
	io.ReaderAt
	size int64
}

// Size implements disk.Object.
func (f openFile) Size() int64 { return f.size }

// Close implements disk.Object.
func (f openFile) Close() error { return nil }
