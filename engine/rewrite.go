package engine

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/maintain"
	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

const (
	// smallChunkRows is the most rows that one chunk of a merged block holds.
	smallChunkRows = 8192
	// partBytes is where such a block ends and the next of its unit begins,
	// labels and index not counted: with them it stays below 512 MiB.
	partBytes = 500 << 20
)

// rewriteMemory is about how much memory a rewrite takes at most, open blocks
// not counted: the headers of groupChunks chunks, what is read ahead, a chunk
// and the pages of the block that is written. In bytes.
const rewriteMemory = 32 << 20

// rewriteBlocks writes the rows of old, what a job takes, into new blocks. On
// error it returns those already written too.
func (db *DB) rewriteBlocks(ctx context.Context, t *tenant, job *maintain.Job, old []block.Meta, pace *pace) ([]block.Meta, error) {
	defer db.memory.take(min(rewriteMemory, db.memory.limit/8))()
	rows, err := db.openRows(ctx, t, job.Span, old)
	if err != nil {
		return nil, err
	}
	defer rows.close()
	name := disk.BlockName{
		Tenant: t.name, Level: job.Level.String(), First: job.Span.From, Last: job.Span.To - 1,
		FirstOffset: old[0].FirstOffset, LastOffset: old[0].LastOffset, Epoch: db.epoch,
	}
	for i := range old {
		name.FirstOffset = min(name.FirstOffset, old[i].FirstOffset)
		name.LastOffset = max(name.LastOffset, old[i].LastOffset)
	}
	var written []block.Meta
	for rows.begin() {
		name.Part = db.flusher.parts.Add(1)
		var meta block.Meta
		err := db.blocks.Put(name.String(), func(w io.Writer) (err error) {
			meta, err = writePart(ctx, block.WriterOptions{Name: name, Form: chunk.Small, Rollups: true, Notes: t.notes(0)},
				&pacedWriter{w: w, ctx: ctx, pace: pace}, rows, db.compactor.bytes)
			return err
		})
		if errors.Is(err, block.ErrEmpty) { // of the last rollups nothing is left
			break
		}
		if err != nil {
			return written, err
		}
		meta.CleanTo = rows.cleanTo()
		meta.Written = db.options.Clock().UnixNano()
		written = append(written, meta)
	}
	return written, nil
}

// writePart writes rows as one block until there are no more or the block has
// so many bytes.
func writePart(ctx context.Context, o block.WriterOptions, w *pacedWriter, rows *mergedRows, bytes int64) (block.Meta, error) {
	writer := block.NewWriter(w, o)
	channel, alone := model.ChannelID(0), uint64(0)
	// Rollups alone do not begin a block, and a channel whose rows become rollups
	// is not split: two blocks with the same row could not be merged again.
	for rows.more() && (w.n < bytes || len(rows.times) == 0 || rows.folds() && rows.channel().ID == channel) {
		if err := ctx.Err(); err != nil {
			return block.Meta{}, err
		}
		if rows.copyNext() {
			copied, err := rows.copyRollups(writer)
			if err != nil {
				return block.Meta{}, err
			}
			if copied {
				alone++
			}
			continue
		}
		if c := rows.channel(); c.ID != channel {
			if err := rows.startIn(writer); err != nil {
				return block.Meta{}, err
			}
			if channel = c.ID; rows.folds() {
				alone++
			}
		}
		var err error
		if rows.folds() {
			err = rows.fold.add(writer, rows.times, rows.values)
		} else {
			err = writer.AddChunk(rows.times, rows.values)
		}
		if err == nil {
			err = rows.next(ctx)
		}
		if err == nil && (len(rows.times) == 0 || rows.channel().ID != channel) {
			err = rows.fold.end(writer)
		}
		if err != nil {
			return block.Meta{}, err
		}
	}
	if err := rows.fold.end(writer); err != nil {
		return block.Meta{}, err
	}
	if rows.more() || len(rows.apart) > 0 {
		writer.NoteMore()
	}
	meta, err := writer.Close()
	meta.RollupsAlone = alone
	return meta, err
}

// startIn begins the chunk's channel in a block, with what it was charged: of
// that, a block that has only some of the rows takes its share.
func (r *mergedRows) startIn(writer *block.Writer) error {
	c := r.channel()
	if err := writer.AddChannel(*c); err != nil {
		return err
	}
	if e := r.expired[c.ID]; e.fold != nil {
		r.fold.begin(e)
		return nil
	}
	for _, day := range r.charges[c.ID] {
		if err := writer.AddCharge(day.day, day.rows, day.bytes); err != nil {
			return err
		}
	}
	return nil
}

// pace is how fast background work writes; nil: as fast as it can.
type pace struct {
	rate int64 // bytes a second
	owed int64 // bytes that were not waited for yet
}

// paceStep is how many bytes are written between two waits.
const paceStep = 256 << 10

// wrote waits as long as n bytes take at the pace.
func (p *pace) wrote(ctx context.Context, n int) error {
	if p == nil {
		return nil
	}
	if p.owed += int64(n); p.owed < paceStep {
		return nil
	}
	wait := time.NewTimer(time.Duration(float64(p.owed) / float64(p.rate) * float64(time.Second)))
	defer wait.Stop()
	p.owed = 0
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pacedWriter counts what is written to w, and keeps to the pace.
type pacedWriter struct {
	w    io.Writer
	ctx  context.Context
	pace *pace
	n    int64
}

// Write implements io.Writer.
func (p *pacedWriter) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	p.n += int64(n)
	if err == nil {
		err = p.pace.wrote(p.ctx, n)
	}
	return n, err
}

// mergedRows yields the rows of some blocks as a block holds them: by
// channel, then time, each time once. It holds one chunk of rows.
type mergedRows struct {
	db       *DB
	span     model.Span
	blocks   []block.Meta
	channels []model.Channel // whose rows are still to come, ascending; the first one's are being read
	// tombstones are those of the tenant: what they hide is left out.
	tombstones []model.Tombstone
	group      int // how many channels' pieces are found at once, where they are not too many
	snapshot   *snapshot
	part       model.Span      // of span: what the pieces are of
	pieces     [][]merge.Piece // of snapshot: those of the first of channels, and on
	cursor     *merge.Cursor
	// charges are what the rows of a group of channels were charged before, by
	// ascending day; a day has one of each block.
	charges   map[model.ChannelID][]dayCharge
	chargedTo model.ChannelID // the last of the group
	// What retention does to channels, and those of which there are rollups alone.
	expired map[model.ChannelID]expiry
	copies  []rollupCopy
	apart   [][]rollupCopy // more copies: each of them of one block that is written by itself
	fold    rollupFold
	// What of the cursor's last batch is not in a chunk yet.
	restTimes  []int64
	restValues []float64
	// The chunk, of the first of channels; without rows at the end.
	times  []int64
	values []float64
}

// dayCharge is what rows of a UTC day (days since 1970) were charged.
type dayCharge struct {
	day         int64
	rows, bytes uint64
}

// groupChunks is how many chunks' headers are held at most at once: at about
// 400 bytes with what reads them, 8 MB. A channel of 1 kHz has 640,000 a month,
// and is read part by part.
const groupChunks = 20_000

// openRows prepares to read the rows of some blocks, at least one, and reads
// the first chunk.
func (db *DB) openRows(ctx context.Context, t *tenant, span model.Span, blocks []block.Meta) (*mergedRows, error) {
	r := &mergedRows{db: db, span: span, blocks: blocks, cursor: merge.NewCursor(nil, span)}
	channels := map[model.ChannelID]model.Channel{}
	chunks := 0
	for i := range blocks {
		chunks += int(blocks[i].Chunks)
		err := ctx.Err()
		if err == nil {
			err = r.readChannels(&blocks[i], channels)
		}
		if err != nil {
			return nil, err
		}
	}
	now := db.freeable()
	t.mu.RLock()
	r.tombstones = t.tombstones
	for id := range channels {
		if c := t.index.Get(id); c != nil {
			channels[id] = *c // with the properties that it has by now
		}
	}
	for i := range r.copies {
		if c := t.index.Get(r.copies[i].channel.ID); c != nil {
			r.copies[i].channel = *c
		}
	}
	floors := t.floorsOf(channels, r.copies, now)
	t.mu.RUnlock()
	if err := r.expire(t, floors, channels); err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(channels)) {
		r.channels = append(r.channels, channels[id])
	}
	r.group = max(1, db.compactor.chunks*len(channels)/max(chunks, 1))
	err := r.startChannel(ctx, span.From)
	if err == nil {
		err = r.next(ctx)
	}
	if err != nil {
		r.close()
	}
	return r, err
}

// readChannels adds the channels of a block that has raw rows of them, and notes
// those of which it has rollups alone.
func (r *mergedRows) readChannels(m *block.Meta, channels map[model.ChannelID]model.Channel) error {
	reader, err := r.db.readers.acquire(m.Name)
	if err != nil {
		return err
	}
	defer r.db.readers.release(reader)
	return reader.Channels(func(c model.Channel) error {
		if reader.HasRaw(c.ID) {
			channels[c.ID] = c
		} else if reader.Stored(c.ID) != 0 {
			r.copies = append(r.copies, rollupCopy{c, m})
		}
		return nil
	})
}

// cleanTo returns the offset up to which deletions are heeded.
func (r *mergedRows) cleanTo() uint64 {
	if n := len(r.tombstones); n > 0 {
		return r.tombstones[n-1].Offset
	}
	return 0
}

func (r *mergedRows) close() {
	if r.snapshot != nil {
		r.snapshot.close()
	}
}

// channel returns the chunk's channel.
func (r *mergedRows) channel() *model.Channel { return &r.channels[0] }

// next reads the next chunk.
func (r *mergedRows) next(ctx context.Context) error {
	r.times, r.values = r.times[:0], r.values[:0]
	for len(r.channels) > 0 && len(r.times) < smallChunkRows {
		if len(r.restTimes) == 0 {
			var err error
			if r.restTimes, r.restValues, err = r.cursor.Next(); err != nil {
				return err
			}
		}
		if len(r.restTimes) == 0 { // the end of the part
			from := r.part.To
			if from == r.span.To { // and of the channel
				if len(r.times) > 0 {
					return nil
				}
				r.channels, from = r.channels[1:], r.span.From
			}
			r.pieces = r.pieces[1:]
			if err := r.startChannel(ctx, from); err != nil {
				return err
			}
		}
		n := min(len(r.restTimes), smallChunkRows-len(r.times))
		r.times, r.values = append(r.times, r.restTimes[:n]...), append(r.values, r.restValues[:n]...)
		r.restTimes, r.restValues = r.restTimes[n:], r.restValues[n:]
	}
	return nil
}

// startChannel begins to read the first of channels, if there is one, at from.
func (r *mergedRows) startChannel(ctx context.Context, from int64) error {
	if len(r.channels) == 0 {
		return nil
	}
	if len(r.pieces) == 0 {
		if err := r.findPieces(ctx, from); err != nil {
			return err
		}
	}
	r.cursor.Reset(r.pieces[0], r.part)
	return nil
}

// findPieces finds the pieces of the next group of channels; where these are
// too many, of fewer channels; and where a single one has too many, of a part
// of what it has after from.
func (r *mergedRows) findPieces(ctx context.Context, from int64) error {
	n := min(r.group, len(r.channels))
	part := model.Span{From: from, To: r.span.To}
	if from != r.span.From {
		n = 1
	} else if err := r.findCharges(n); err != nil {
		return err
	}
	for {
		err := r.findPiecesIn(ctx, n, part)
		switch {
		case !errors.Is(err, errManyChunks):
			return err
		case n > 1:
			n /= 2
		case part.To-part.From == 1:
			return disk.Corrupt(r.blocks[0].Name, 0, "it or another block of its month has chunks that overlap")
		default:
			part.To = part.From + (part.To-part.From)/2
		}
	}
}

// findCharges finds what the first n channels were charged, unless it is known.
func (r *mergedRows) findCharges(n int) error {
	first, last := r.channels[0].ID, r.channels[n-1].ID
	if last <= r.chargedTo {
		return nil
	}
	r.chargedTo = last
	r.charges = map[model.ChannelID][]dayCharge{}
	for i := range r.blocks {
		if r.blocks[i].Charged == 0 {
			continue
		}
		reader, err := r.db.readers.acquire(r.blocks[i].Name)
		if err != nil {
			return err
		}
		err = reader.ChargesOf(first, last, func(id model.ChannelID, day int64, rows, bytes uint64) error {
			r.charges[id] = append(r.charges[id], dayCharge{day, rows, bytes})
			return nil
		})
		r.db.readers.release(reader)
		if err != nil {
			return err
		}
	}
	for _, days := range r.charges {
		slices.SortStableFunc(days, func(a, b dayCharge) int { return cmp.Compare(a.day, b.day) })
	}
	return nil
}

// findPiecesIn finds the pieces of the first n channels in part, unless that
// is errManyChunks.
func (r *mergedRows) findPiecesIn(ctx context.Context, n int, part model.Span) error {
	r.close()
	ids := make([]model.ChannelID, n)
	for i := range ids {
		ids[i] = r.channels[i].ID
	}
	r.snapshot = &snapshot{db: r.db, ids: ids, pieces: make([][]merge.Piece, n)}
	if overlapping := tombstonesIn(r.tombstones, part); len(overlapping) > 0 || len(r.expired) > 0 {
		r.snapshot.hidden = make([]hiding, n)
		for i, id := range ids {
			floors := policy.NoFloors
			if e, ok := r.expired[id]; ok {
				floors[model.StepRaw] = e.from
			}
			r.snapshot.hidden[i] = hiding{tombstonesOf(overlapping, id), floors}
		}
	}
	// A block has no more than one chunk of a channel at any time: with as many
	// chunks as blocks some part is short enough.
	r.snapshot.most = max(r.db.compactor.chunks, len(r.blocks))
	for _, m := range r.blocks {
		err := ctx.Err()
		if err == nil {
			err = r.snapshot.addBlock(m, part)
		}
		if err != nil {
			return err
		}
	}
	r.part, r.pieces = part, r.snapshot.pieces
	return nil
}
