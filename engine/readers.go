package engine

import (
	"container/list"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/disk"
)

// maxIdleReaders bounds how many block files stay open while no query reads
// them.
const maxIdleReaders = 400

// readerCache keeps block files open between queries.
type readerCache struct {
	blocks disk.Blocks
	most   int64 // bytes of memory: with more in use, files are closed that nobody reads
	// damaged is told what a reader finds.
	damaged func(name string, cause error)

	// acquired counts the times that a block was asked for.
	acquired atomic.Int64

	bytes atomic.Int64 // of memory that open files take

	mu   sync.Mutex
	open map[string]*openReader
	idle *list.List // of *openReader, most recently used first
}

type openReader struct {
	*block.Reader
	name    string
	users   int
	element *list.Element // in idle, nil while in use
	gone    bool          // the block is deleted: closed when nobody uses it
	lasting bool          // of a block in memory: nobody closes it
}

func newReaderCache(blocks disk.Blocks, most int64, damaged func(name string, cause error)) *readerCache {
	return &readerCache{blocks: blocks, most: most, damaged: damaged, open: map[string]*openReader{}, idle: list.New()}
}

// acquire returns the reader of a block, to be given back with release.
func (c *readerCache) acquire(name string) (*openReader, error) {
	c.acquired.Add(1)
	c.mu.Lock()
	if r := c.open[name]; r != nil {
		c.take(r)
		c.mu.Unlock()
		return r, nil
	}
	c.mu.Unlock()
	opened, err := block.Open(c.blocks, name)
	if errors.Is(err, disk.ErrNotFound) {
		err = disk.Corrupt(name, 0, "the block is missing")
	} else if errors.Is(err, disk.ErrCorrupt) {
		c.damaged(name, err)
	}
	if err != nil {
		return nil, err
	}
	opened.OnDamage(func(cause error) { c.damaged(name, cause) })
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.open[name]; r != nil { // another query was faster
		c.take(r)
		return r, opened.Close()
	}
	r := &openReader{Reader: opened, name: name, users: 1}
	c.open[name] = r
	c.bytes.Add(r.MemoryBytes())
	return r, nil
}

func (c *readerCache) take(r *openReader) {
	r.users++
	if r.element != nil {
		c.idle.Remove(r.element)
		r.element = nil
	}
}

// release gives a reader back and closes those longest unused beyond the bound.
func (c *readerCache) release(r *openReader) {
	if r.lasting {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.users--; r.users > 0 {
		return
	}
	if r.gone {
		c.end(r)
		return
	}
	r.element = c.idle.PushFront(r)
	for c.idle.Len() > maxIdleReaders || c.idle.Len() > 0 && c.bytes.Load() > c.most {
		oldest := c.idle.Remove(c.idle.Back()).(*openReader)
		delete(c.open, oldest.name)
		c.end(oldest)
	}
}

// forget takes out a block that is being deleted, so that its file is closed as
// soon as nobody reads it.
func (c *readerCache) forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.open[name]
	if r == nil {
		return
	}
	delete(c.open, name)
	r.gone = true
	if r.element != nil {
		c.idle.Remove(r.element)
		c.end(r)
	}
}

// end closes a block's file. The caller holds mu.
func (c *readerCache) end(r *openReader) {
	c.bytes.Add(-r.MemoryBytes())
	r.Close() // of a file that was only read: nothing to lose
}

// close closes every file. No reader may be in use.
func (c *readerCache) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, r := range c.open {
		errs = append(errs, r.Close())
	}
	c.open = nil
	return errors.Join(errs...)
}
