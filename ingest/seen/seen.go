// Package seen keeps what was made from bytes that come again and again: gateways
// send the same labels and properties for ever, and reading them once is enough.
package seen

import (
	"sync"
	"sync/atomic"

	"github.com/hokan-db/hokan/engine/model"
)

const (
	// longestCached bounds the bytes of a key: longer ones are rare.
	longestCached = 1 << 10
	// cachedOverhead is about what an entry takes beside its bytes.
	cachedOverhead = 144
)

// Cache maps bytes to what was made from them, each tenant's by themselves: what
// one sends does not change what is expected of others. Its memory is bounded:
// once half of it is filled, what was not used since the last time is forgotten.
// It is safe for concurrent use.
type Cache[V any] struct {
	Most int // bytes

	generation atomic.Uint32 // counts how often half of it was filled

	mu     sync.RWMutex
	recent map[cacheKey]*Entry[V] // added in this generation
	older  map[cacheKey]*Entry[V] // in the one before
	bytes  int                    // of recent
}

type cacheKey struct {
	tenant model.Tenant
	text   string
}

// Entry is what was made from some bytes.
type Entry[V any] struct {
	key        cacheKey
	Value      V
	generation atomic.Uint32 // in which it was added last
	// next is what came after this in the request before: mostly it comes again.
	// Comparing its bytes is several times cheaper than finding them in the map.
	// Both were recent when it was set, and it goes when this is added again: so
	// what can be reached from the maps is in them.
	next atomic.Pointer[Entry[V]]
}

// After returns what begins the bytes, if that is what came after s the last
// time. Bytes must be such that none begins with others and goes on, as a map
// tells its own end; else the caller looks, by Length, where they end. s may be
// nil.
func (c *Cache[V]) After(s *Entry[V], text []byte) *Entry[V] {
	if s == nil {
		return nil
	}
	next := s.next.Load()
	if next == nil || len(text) < len(next.key.text) || string(text[:len(next.key.text)]) != next.key.text ||
		next.generation.Load() != c.generation.Load() { // Get adds it again
		return nil
	}
	return next
}

// Next returns what came after s the last time, nil where that is not known. It
// is for bytes that begin alike and need not be compared as a whole again; the
// caller compares the Text.
func (c *Cache[V]) Next(s *Entry[V]) *Entry[V] {
	if s == nil {
		return nil
	}
	next := s.next.Load()
	if next == nil || next.generation.Load() != c.generation.Load() {
		return nil
	}
	return next
}

// Follows notes what comes after s. Both may be nil.
func (c *Cache[V]) Follows(s, next *Entry[V]) {
	if s == nil || next == nil || s.next.Load() == next {
		return
	}
	c.mu.RLock() // the generation stays meanwhile
	defer c.mu.RUnlock()
	if now := c.generation.Load(); s.generation.Load() == now && next.generation.Load() == now {
		s.next.Store(next)
	}
}

// Get returns nil where nothing is known of a tenant's bytes.
func (c *Cache[V]) Get(tenant model.Tenant, text []byte) *Entry[V] {
	c.mu.RLock()
	s := c.recent[cacheKey{tenant, string(text)}]
	if s != nil {
		c.mu.RUnlock()
		return s
	}
	s = c.older[cacheKey{tenant, string(text)}]
	c.mu.RUnlock()
	if s != nil {
		return c.add(s)
	}
	return nil
}

// Put keeps what was made from bytes; nil is returned where it is not kept.
func (c *Cache[V]) Put(tenant model.Tenant, text []byte, v V) *Entry[V] {
	if len(text) > longestCached {
		return nil
	}
	return c.add(&Entry[V]{key: cacheKey{tenant, string(text)}, Value: v})
}

// add takes in s and returns it, or what another request was faster to add.
func (c *Cache[V]) add(s *Entry[V]) *Entry[V] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.recent[s.key]; known != nil {
		return known
	}
	size := s.size()
	if c.recent == nil || c.bytes+size > c.Most/2 {
		c.older, c.recent, c.bytes = c.recent, map[cacheKey]*Entry[V]{}, 0
		c.generation.Add(1)
	}
	s.next.Store(nil)
	s.generation.Store(c.generation.Load())
	c.recent[s.key] = s
	c.bytes += size
	return s
}

// Length returns how many bytes it was made from.
func (s *Entry[V]) Length() int { return len(s.key.text) }

// Text returns the bytes it was made from.
func (s *Entry[V]) Text() string { return s.key.text }

// size is about how many bytes s takes: what was made is about as long as what
// it was made from.
func (s *Entry[V]) size() int { return len(s.key.tenant) + 2*len(s.key.text) + cachedOverhead }
