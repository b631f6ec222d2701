package engine

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

// Many rows of each of a few channels, such as bulk history, go into the log as
// blocks: a quarter of the bytes, which are encoded once. Flushing copies them;
// only what lies over other rows of its channel, or over the edge of a block, is
// decoded first. To whoever writes and reads nothing is different.

// attachLimits say when rows go into the log as blocks.
type attachLimits struct {
	rows    int // of the append at least
	average int // of a channel, at least
	most    int // of one entry
	bytes   int // of one entry's block at most
}

// defaultAttach are the limits. A block costs some 50 µs whatever is in it, which
// is little for as many rows as one chunk has; chunks of fewer rows than a quarter
// of that are larger and slower than rows are.
var defaultAttach = attachLimits{rows: chunkRows, average: chunkRows / 4, most: 1 << 20, bytes: entry.MaxBytes}

// attaches reports whether the columns are to go into the log as blocks: there is
// enough of each, each channel comes once, in ascending order, and so do the times
// of its rows.
func (db *DB) attaches(rows *entry.Rows) bool {
	all := rows.Rows()
	if all < db.attach.rows || all/len(rows.Columns) < db.attach.average {
		return false
	}
	var before []int64
	for i := range rows.Columns {
		c := &rows.Columns[i]
		if len(c.Times) == 0 || i > 0 && c.Channel <= rows.Columns[i-1].Channel {
			return false
		}
		same := len(c.Times) == len(before) && &c.Times[0] == &before[0]
		if before = c.Times; same {
			continue
		}
		for j := 1; j < len(c.Times); j++ {
			if c.Times[j] <= c.Times[j-1] {
				return false
			}
		}
	}
	return !slices.ContainsFunc(rows.Definitions, func(d model.Definition) bool {
		return entry.AttachRoom([]model.Definition{d}, 1) < entry.MaxBytes/2 // there may be no room for rows
	})
}

// appendAttached writes the rows as blocks, each in an entry of its own.
func (db *DB) appendAttached(ctx context.Context, t *tenant, rows *entry.Rows, result *AppendResult) error {
	slices.SortStableFunc(rows.Definitions, func(a, b model.Definition) int { return cmp.Compare(a.ID, b.ID) })
	a := attacher{limits: db.attach, definitions: rows.Definitions, columns: rows.Columns, labels: t.labelsOf(rows)}
	for len(a.columns) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := db.admit(ctx); err != nil {
			return err
		}
		body, n, err := a.next()
		if err != nil {
			return err
		}
		if result.Offset, err = db.write(t.partition, t.name, &entry.Entry{Body: body}); err != nil {
			return err
		}
		result.Rows += n
	}
	return nil
}

// labelsOf returns the labels of the columns' channels.
func (t *tenant) labelsOf(rows *entry.Rows) []model.Labels {
	list := make([]model.Labels, len(rows.Columns))
	t.mu.RLock()
	defer t.mu.RUnlock()
	for i := range list {
		if c := t.index.Get(rows.Columns[i].Channel); c != nil {
			list[i] = c.Labels
		}
	}
	for i := range rows.Definitions {
		d := &rows.Definitions[i]
		at, _ := slices.BinarySearchFunc(rows.Columns, d.ID, func(c entry.Column, id model.ChannelID) int { return cmp.Compare(c.Channel, id) })
		list[at] = d.Labels
	}
	return list
}

// attacher makes the bodies of entries of what is left of some columns.
type attacher struct {
	limits      attachLimits
	definitions []model.Definition // ascending by channel
	columns     []entry.Column
	labels      []model.Labels // of each of columns
}

// mostChunkBytes is how many bytes a chunk can have, and what is said of it.
const mostChunkBytes = chunkRows*(8+10) + 512

var attachBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// next makes the body of one entry, and returns how many rows it has.
func (a *attacher) next() (*entry.Attach, int, error) {
	b := attachBuffers.Get().(*bytes.Buffer)
	defer attachBuffers.Put(b)
	b.Reset()
	body := &entry.Attach{}
	writer := block.NewWriter(b, block.WriterOptions{Name: disk.BlockName{Level: block.Level}})
	rows := 0
	full := func(definitions []model.Definition, labels int) bool {
		room := min(a.limits.bytes, entry.AttachRoom(definitions, len(body.Newest)+1))
		return rows > 0 && (rows >= a.limits.most || int(writer.Size())+labels+mostChunkBytes > room)
	}
	for ; len(a.columns) > 0; a.columns, a.labels = a.columns[1:], a.labels[1:] {
		c, definitions, left := &a.columns[0], body.Definitions, a.definitions
		for len(left) > 0 && left[0].ID <= c.Channel {
			definitions, left = append(definitions, left[0]), left[1:]
		}
		if full(definitions, len(a.labels[0].Encoded())) {
			break
		}
		body.Definitions, a.definitions = definitions, left
		if err := writer.AddChannel(model.Channel{ID: c.Channel, Labels: a.labels[0]}); err != nil {
			return nil, 0, err
		}
		done := 0
		for done < len(c.Times) && (done == 0 || !full(body.Definitions, 0)) {
			n := min(chunkRows, len(c.Times)-done)
			if err := writer.AddChunk(c.Times[done:done+n], c.Values[done:done+n]); err != nil {
				return nil, 0, err
			}
			done += n
			rows += n
		}
		body.Newest = append(body.Newest, entry.NewestRow{Channel: c.Channel, Sample: model.Sample{Time: c.Times[done-1], Value: c.Values[done-1]}})
		if c.Times, c.Values = c.Times[done:], c.Values[done:]; len(c.Times) > 0 {
			break
		}
	}
	_, err := writer.Close()
	body.Block = bytes.Clone(b.Bytes()) // what the layer keeps
	return body, rows, err
}
