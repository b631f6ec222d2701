package engine

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// Aggregate returns one aggregate per channel and bucket: result[i][k] is over
// bucket k of the channel ids[i]. It is what a scan of the rows would give:
// counts, minimum, maximum, first and last to the bit, the sum within 2^-50 of
// the sum of |v|.
func (db *DB) Aggregate(ctx context.Context, name model.Tenant, ids []model.ChannelID, b model.Buckets) ([][]model.Aggregate, error) {
	if err := db.gate.enter(); err != nil {
		return nil, err
	}
	defer db.gate.leave()
	s, position, err := db.selectPieces(ctx, name, ids, b.Span())
	if err != nil {
		return nil, err
	}
	defer s.close()
	v := view{ctx: ctx, snapshot: s, buckets: b, span: b.Span(), grid: merge.Grid{From: b.From, Width: uint64(b.Width)}}
	if err := v.plan(); err != nil {
		return nil, err
	}
	all := make([]model.Aggregate, len(ids)*b.Count)
	result := make([][]model.Aggregate, len(ids))
	v.result = make([][]model.Aggregate, len(ids))
	for i, at := range position {
		result[i] = all[i*b.Count : (i+1)*b.Count : (i+1)*b.Count]
		v.result[at] = result[i]
	}
	if err := v.run(); err != nil {
		return nil, err
	}
	return result, nil
}

// view is one call of Aggregate.
type view struct {
	ctx      context.Context
	snapshot *snapshot
	buckets  model.Buckets
	span     model.Span
	grid     merge.Grid
	result   [][]model.Aggregate // of each of the snapshot's channels

	rows   uint64 // that are decoded
	groups []int  // where, among the channels, groups end that are loaded together
	next   atomic.Int64
	mu     sync.Mutex
	err    error // the first
}

// helpedRows is how many rows a view decodes at least that is worth a second
// goroutine.
const helpedRows = 1 << 18

// plan counts what is to be read and makes groups of channels of it. Many, so
// that two goroutines end at about the same time.
func (v *view) plan() error {
	s := v.snapshot
	var rows uint64
	bytes, total := make([]int, len(s.ids)), 0
	for i, pieces := range s.pieces {
		for j := range pieces {
			c, ok := pieces[j].Source.(*block.Chunk)
			if !ok {
				continue // of a head
			}
			rows += c.Ref.Summary.Rows()
			if v.decodes(&c.Ref) {
				v.rows += c.Ref.Summary.Rows()
				bytes[i] += bytesOf(&c.Ref)
				total += bytesOf(&c.Ref)
			}
		}
	}
	if rows > uint64(policy.QueryRows.Default) {
		return fmt.Errorf("%w: %d rows to read, at most %d: ask for a shorter span or fewer channels",
			ErrTooManyRows, rows, policy.QueryRows.Default)
	}
	const most = 8
	together := 0
	for i := range bytes {
		if together > 0 && together+bytes[i] > min(loadBytes, total/most) {
			v.groups = append(v.groups, i)
			together = 0
		}
		together += bytes[i]
	}
	v.groups = append(v.groups, len(bytes))
	return nil
}

// decodes reports whether a chunk is decoded even where nothing overlaps it.
func (v *view) decodes(c *block.ChunkRef) bool {
	first, last := c.Summary.FirstTime, c.Summary.LastTime
	return first < v.span.From || last >= v.span.To || v.grid.Bucket(first) != v.grid.Bucket(last)
}

// run aggregates every group, a wide view on two cores.
func (v *view) run() error {
	if v.rows < helpedRows || len(v.groups) < 2 {
		v.work(false)
		return v.err
	}
	var helper sync.WaitGroup
	helping := v.snapshot.db.helping
	select {
	case helping <- struct{}{}:
		helper.Go(func() {
			defer func() {
				// Nobody above this goroutine would: the process would end.
				if r := recover(); r != nil {
					v.fail(fmt.Errorf("aggregating: %v", r))
				}
				<-helping
			}()
			v.work(true)
		})
	default:
	}
	func() {
		defer helper.Wait() // also if this panics: then the snapshot is closed
		v.work(false)
	}()
	return v.err
}

// work aggregates groups of channels until none is left or one fails.
func (v *view) work(helps bool) {
	l := loaders.Get().(*loader)
	defer l.release()
	var scratch merge.Scratch
	for {
		group := int(v.next.Add(1)) - 1
		if group >= len(v.groups) {
			return
		}
		from := 0
		if group > 0 {
			from = v.groups[group-1]
		}
		l.load(v.snapshot, from, v.groups[group], v.decodes)
		for i := from; i < v.groups[group]; i++ {
			err := v.ctx.Err()
			if err == nil {
				err = merge.Aggregate(v.snapshot.pieces[i], v.buckets, v.result[i], &scratch)
			}
			if err != nil {
				v.fail(err)
				return
			}
			if helps {
				runtime.Gosched() // to a writer that waits for a core
			}
		}
	}
}

// fail ends the view with err.
func (v *view) fail(err error) {
	v.next.Store(int64(len(v.groups)))
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err == nil {
		v.err = err
	}
}

// Summarize returns one aggregate per channel over the whole span.
func (db *DB) Summarize(ctx context.Context, name model.Tenant, ids []model.ChannelID, span model.Span) ([]model.Aggregate, error) {
	if err := db.gate.enter(); err != nil {
		return nil, err
	}
	defer db.gate.leave()
	s, position, err := db.selectPieces(ctx, name, ids, span)
	if err != nil {
		return nil, err
	}
	defer s.close()
	result := make([]model.Aggregate, len(ids))
	var scratch merge.Scratch
	for i := range ids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if result[i], err = scratch.Summarize(s.pieces[position[i]], span); err != nil {
			return nil, err
		}
	}
	return result, nil
}
