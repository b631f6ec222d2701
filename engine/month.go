package engine

import (
	"context"
	"io"
	"maps"
	"slices"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
)

const (
	// monthLevel is the level in the names of blocks that compaction wrote.
	monthLevel = "month"
	// monthChunkRows is the most rows that one chunk of such a block holds.
	monthChunkRows = 8192
	// monthBytes is where such a block ends and the next of its month begins,
	// labels and index not counted: with them it stays below 512 MiB.
	monthBytes = 500 << 20
)

// mergeMonth writes the rows of a month's blocks into new ones. On error it
// returns those already written too.
func (db *DB) mergeMonth(ctx context.Context, t *tenant, month model.Span, old []block.Meta) ([]block.Meta, error) {
	rows, err := db.openMonth(t, month, old)
	if err != nil {
		return nil, err
	}
	defer rows.close()
	name := disk.BlockName{
		Tenant: t.name, Level: monthLevel, First: month.From, Last: month.To - 1,
		FirstOffset: old[0].FirstOffset, LastOffset: old[0].LastOffset, Epoch: db.epoch,
	}
	for i := range old {
		name.FirstOffset = min(name.FirstOffset, old[i].FirstOffset)
		name.LastOffset = max(name.LastOffset, old[i].LastOffset)
	}
	var written []block.Meta
	for len(rows.times) > 0 {
		name.Part = db.flusher.parts.Add(1)
		var meta block.Meta
		err := db.blocks.Put(name.String(), func(w io.Writer) (err error) {
			meta, err = writeMonth(ctx, name, w, rows, db.compactor.bytes)
			return err
		})
		if err != nil {
			return written, err
		}
		written = append(written, meta)
	}
	return written, nil
}

// writeMonth writes rows as one block until there are no more or the block has
// so many bytes.
func writeMonth(ctx context.Context, name disk.BlockName, w io.Writer, rows *monthRows, bytes int64) (block.Meta, error) {
	counted := &countingWriter{w: w}
	writer := block.NewWriter(counted, block.WriterOptions{Name: name, Form: chunk.Small})
	channel := model.ChannelID(0)
	for len(rows.times) > 0 && counted.n < bytes {
		if err := ctx.Err(); err != nil {
			return block.Meta{}, err
		}
		if c := rows.channel(); c.ID != channel {
			if err := writer.AddChannel(*c); err != nil {
				return block.Meta{}, err
			}
			channel = c.ID
		}
		if err := writer.AddChunk(rows.times, rows.values); err != nil {
			return block.Meta{}, err
		}
		if err := rows.next(); err != nil {
			return block.Meta{}, err
		}
	}
	return writer.Close()
}

// countingWriter counts what is written to w.
type countingWriter struct {
	w io.Writer
	n int64
}

// Write implements io.Writer.
func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// monthRows yields the rows of a month's blocks as a block holds them: by
// channel, then time, each time once. It holds one chunk of rows.
type monthRows struct {
	db       *DB
	month    model.Span
	blocks   []block.Meta
	channels []model.Channel // whose rows are still to come, ascending; the first one's are being read
	group    int             // how many channels' pieces are found at once
	snapshot *snapshot
	pieces   [][]merge.Piece // of snapshot: those of the first of channels, and on
	cursor   *merge.Cursor
	// What of the cursor's last batch is not in a chunk yet.
	restTimes  []int64
	restValues []float64
	// The chunk, of the first of channels; without rows at the end.
	times  []int64
	values []float64
}

// groupChunks is about how many chunks' headers are held at once: 4 MB.
const groupChunks = 20_000

// openMonth prepares to read a month's blocks, at least one, and reads the
// first chunk.
func (db *DB) openMonth(t *tenant, month model.Span, blocks []block.Meta) (*monthRows, error) {
	r := &monthRows{db: db, month: month, blocks: blocks, cursor: merge.NewCursor(nil, month)}
	channels := map[model.ChannelID]model.Channel{}
	chunks := 0
	for i := range blocks {
		chunks += int(blocks[i].Chunks)
		if err := db.readChannels(blocks[i].Name, channels); err != nil {
			return nil, err
		}
	}
	t.mu.RLock()
	for id := range channels {
		if c := t.index.Get(id); c != nil {
			channels[id] = *c // with the properties that it has by now
		}
	}
	t.mu.RUnlock()
	for _, id := range slices.Sorted(maps.Keys(channels)) {
		r.channels = append(r.channels, channels[id])
	}
	r.group = max(1, groupChunks*len(channels)/max(chunks, 1))
	err := r.startChannel()
	if err == nil {
		err = r.next()
	}
	if err != nil {
		r.close()
	}
	return r, err
}

// readChannels adds the channels of a block.
func (db *DB) readChannels(name string, channels map[model.ChannelID]model.Channel) error {
	reader, err := db.readers.acquire(name)
	if err != nil {
		return err
	}
	defer db.readers.release(reader)
	return reader.Channels(func(c model.Channel) error {
		channels[c.ID] = c
		return nil
	})
}

func (r *monthRows) close() {
	if r.snapshot != nil {
		r.snapshot.close()
	}
}

// channel returns the chunk's channel.
func (r *monthRows) channel() *model.Channel { return &r.channels[0] }

// next reads the next chunk.
func (r *monthRows) next() error {
	r.times, r.values = r.times[:0], r.values[:0]
	for len(r.channels) > 0 && len(r.times) < monthChunkRows {
		if len(r.restTimes) == 0 {
			var err error
			if r.restTimes, r.restValues, err = r.cursor.Next(); err != nil {
				return err
			}
		}
		if len(r.restTimes) == 0 { // the end of the channel
			if len(r.times) > 0 {
				return nil
			}
			r.channels, r.pieces = r.channels[1:], r.pieces[1:]
			if err := r.startChannel(); err != nil {
				return err
			}
		}
		n := min(len(r.restTimes), monthChunkRows-len(r.times))
		r.times, r.values = append(r.times, r.restTimes[:n]...), append(r.values, r.restValues[:n]...)
		r.restTimes, r.restValues = r.restTimes[n:], r.restValues[n:]
	}
	return nil
}

// startChannel begins to read the first of channels, if there is one.
func (r *monthRows) startChannel() error {
	if len(r.channels) == 0 {
		return nil
	}
	if len(r.pieces) == 0 {
		if err := r.findPieces(); err != nil {
			return err
		}
	}
	r.cursor.Reset(r.pieces[0], r.month)
	return nil
}

// findPieces finds the pieces of the next group of channels.
func (r *monthRows) findPieces() error {
	r.close()
	ids := make([]model.ChannelID, min(r.group, len(r.channels)))
	for i := range ids {
		ids[i] = r.channels[i].ID
	}
	r.snapshot = &snapshot{db: r.db, ids: ids, pieces: make([][]merge.Piece, len(ids))}
	for _, m := range r.blocks {
		if err := r.snapshot.addBlock(m, r.month); err != nil {
			return err
		}
	}
	r.pieces = r.snapshot.pieces
	return nil
}
