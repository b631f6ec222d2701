package samples

import (
	"sync"
	"sync/atomic"

	"github.com/hokan-db/hokan/engine/model"
)

// Gateways send the same labels and properties for ever: what was made from
// their bytes once is kept.
var (
	labelsSeen     = cache[model.Labels]{most: 64 << 20}
	propertiesSeen = cache[*model.Properties]{most: 4 << 20}
)

const (
	// longestCached bounds the bytes of a key: longer ones are rare.
	longestCached = 1 << 10
	// cachedOverhead is about what an entry takes beside its bytes.
	cachedOverhead = 144
)

// cache maps bytes to what was made from them, each tenant's by themselves: what
// one sends does not change what is expected of others. Its memory is bounded:
// once half of it is filled, what was not used since the last time is forgotten.
type cache[V any] struct {
	most int // bytes

	generation atomic.Uint32 // counts how often half of it was filled

	mu     sync.RWMutex
	recent map[cacheKey]*seen[V] // added in this generation
	older  map[cacheKey]*seen[V] // in the one before
	bytes  int                   // of recent
}

type cacheKey struct {
	tenant model.Tenant
	text   string
}

// seen is what was made from some bytes.
type seen[V any] struct {
	key        cacheKey
	value      V
	generation atomic.Uint32 // in which it was added last
	// next is what came after this in the request before: mostly it comes again.
	// Comparing its bytes is several times cheaper than finding them in the map.
	// Both were recent when it was set, and it goes when this is added again: so
	// what can be reached from the maps is in them.
	next atomic.Pointer[seen[V]]
}

// after returns what begins the bytes, if that is what came after s the last
// time. Bytes must be such that none begins with others and goes on: a map
// tells its own end. s may be nil.
func (c *cache[V]) after(s *seen[V], text []byte) *seen[V] {
	if s == nil {
		return nil
	}
	next := s.next.Load()
	if next == nil || len(text) < len(next.key.text) || string(text[:len(next.key.text)]) != next.key.text ||
		next.generation.Load() != c.generation.Load() { // get adds it again
		return nil
	}
	return next
}

// follows notes what comes after s. Both may be nil.
func (c *cache[V]) follows(s, next *seen[V]) {
	if s == nil || next == nil || s.next.Load() == next {
		return
	}
	c.mu.RLock() // the generation stays meanwhile
	defer c.mu.RUnlock()
	if now := c.generation.Load(); s.generation.Load() == now && next.generation.Load() == now {
		s.next.Store(next)
	}
}

// get returns nil where nothing is known of a tenant's bytes.
func (c *cache[V]) get(tenant model.Tenant, text []byte) *seen[V] {
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

// put keeps what was made from bytes; nil is returned where it is not kept.
func (c *cache[V]) put(tenant model.Tenant, text []byte, v V) *seen[V] {
	if len(text) > longestCached {
		return nil
	}
	return c.add(&seen[V]{key: cacheKey{tenant, string(text)}, value: v})
}

// add takes in s and returns it, or what another request was faster to add.
func (c *cache[V]) add(s *seen[V]) *seen[V] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.recent[s.key]; known != nil {
		return known
	}
	size := s.size()
	if c.recent == nil || c.bytes+size > c.most/2 {
		c.older, c.recent, c.bytes = c.recent, map[cacheKey]*seen[V]{}, 0
		c.generation.Add(1)
	}
	s.next.Store(nil)
	s.generation.Store(c.generation.Load())
	c.recent[s.key] = s
	c.bytes += size
	return s
}

// size is about how many bytes s takes: what was made is about as long as what
// it was made from.
func (s *seen[V]) size() int { return len(s.key.tenant) + 2*len(s.key.text) + cachedOverhead }
