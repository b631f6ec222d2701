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
)

// pass is one pass over the channels of a query, with chunks of blocks read
// ahead: on two cores where that is worth it.
type pass struct {
	ctx    context.Context
	db     *DB
	ids    []model.ChannelID
	blocks []openBlock
	charge *rowCharge
	// wanted says which chunks of blocks are read.
	wanted func(*block.ChunkRef) bool
	// do is what is done with the channel ids[i], of different channels perhaps
	// at the same time.
	do func(i int, scratch *merge.Scratch) error

	rows   uint64 // that are decoded
	groups []int  // where, among the channels, groups end that are loaded together
	next   atomic.Int64
	mu     sync.Mutex
	err    error // the first
}

// helpedRows is how many rows a pass decodes at least that is worth a second
// goroutine.
const helpedRows = 1 << 18

// plan counts what is to be read and makes groups of channels of it. Many, so
// that two goroutines end at about the same time.
func (p *pass) plan() error {
	var rows uint64
	bytes, total := make([]int, len(p.ids)), 0
	for i := range p.blocks {
		at := 0
		for j := range p.blocks[i].chunks {
			c := &p.blocks[i].chunks[j].Ref
			for p.ids[at] != c.Channel { // both ascend
				at++
			}
			rows += c.Summary.Rows()
			if p.wanted(c) {
				p.rows += c.Summary.Rows()
				bytes[at] += bytesOf(c)
				total += bytesOf(c)
			}
		}
	}
	if err := p.charge.take(rows); err != nil {
		return err
	}
	const most = 8
	together := 0
	for i := range bytes {
		if together > 0 && together+bytes[i] > min(loadBytes, total/most) {
			p.groups = append(p.groups, i)
			together = 0
		}
		together += bytes[i]
	}
	if len(bytes) > 0 {
		p.groups = append(p.groups, len(bytes))
	}
	return nil
}

// rowCharge counts the rows that one query reads: of chunks before they are
// decoded, of rollups as their pages are.
type rowCharge struct {
	db   *DB
	rows uint64
}

// take charges rows to the query, and refuses it where they are too many.
func (c *rowCharge) take(rows uint64) error {
	c.rows += rows
	c.db.noteQueryRows(c.rows)
	if c.rows > c.db.queryRows {
		return fmt.Errorf("%w: %d rows to read so far, at most %d: ask for a shorter span or fewer channels",
			ErrTooManyRows, c.rows, c.db.queryRows)
	}
	return nil
}

// QueryRows returns how many rows the largest view has asked for since the
// database was opened, and how many one may.
func (db *DB) QueryRows() (largest, limit uint64) {
	return db.mostRows.Load(), db.queryRows
}

func (db *DB) noteQueryRows(rows uint64) {
	for {
		most := db.mostRows.Load()
		if rows <= most || db.mostRows.CompareAndSwap(most, rows) {
			return
		}
	}
}

// run works on every group.
func (p *pass) run() error {
	if p.rows < helpedRows || len(p.groups) < 2 {
		p.work(false)
		return p.err
	}
	var helper sync.WaitGroup
	helping := p.db.helping
	select {
	case helping <- struct{}{}:
		helper.Go(func() {
			defer func() {
				// Nobody above this goroutine would: the process would end.
				if r := recover(); r != nil {
					p.fail(fmt.Errorf("aggregating: %v", r))
				}
				<-helping
			}()
			p.work(true)
		})
	default:
	}
	func() {
		defer helper.Wait() // also if this panics: then the snapshot is closed
		p.work(false)
	}()
	return p.err
}

// work does groups of channels until none is left or one fails.
func (p *pass) work(helps bool) {
	l := loaders.Get().(*loader)
	defer l.release()
	var scratch merge.Scratch
	for {
		group := int(p.next.Add(1)) - 1
		if group >= len(p.groups) {
			return
		}
		from := 0
		if group > 0 {
			from = p.groups[group-1]
		}
		l.load(p.blocks, p.ids, from, p.groups[group], p.wanted)
		for i := from; i < p.groups[group]; i++ {
			err := p.ctx.Err()
			if err == nil {
				err = p.do(i, &scratch)
			}
			if err != nil {
				p.fail(err)
				return
			}
			if helps {
				runtime.Gosched() // to a writer that waits for a core
			}
		}
	}
}

// fail ends the pass with err.
func (p *pass) fail(err error) {
	p.next.Store(int64(len(p.groups)))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}
