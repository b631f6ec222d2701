package samples

import (
	"sync"
	"sync/atomic"

	"github.com/hokan-db/hokan/engine/model"
)

// Gateways send the same labels and properties for ever: what was made from
// their bytes once is kept.
var (
	labelsSeen     = cache[model.Labels]{most: 16 << 20}
	propertiesSeen = cache[*model.Properties]{most: 4 << 20}
)

const (
	// longestCached bounds the bytes of a key: longer ones are rare.
	longestCached = 1 << 10
	// cachedOverhead is about what an entry takes beside its bytes.
	cachedOverhead = 112
)

// cache maps bytes to what was made from them, which depends on nothing else:
// that tenants share it changes no answer. Its memory is bounded: once half of
// it is filled, what was not used since the last time is forgotten.
type cache[V any] struct {
	most int // bytes

	mu     sync.RWMutex
	recent map[string]*seen[V]
	older  map[string]*seen[V]
	bytes  int // of recent
}

// seen is what was made from some bytes.
type seen[V any] struct {
	key   string
	value V
	// next is what came after this in the request before: mostly it comes again.
	// Comparing its bytes is several times cheaper than finding them in the map.
	next atomic.Pointer[seen[V]]
}

// after returns what begins the bytes, if that is what came after s the last
// time. Bytes must be such that none begins with others and goes on: a map
// tells its own end. s may be nil.
func (s *seen[V]) after(text []byte) *seen[V] {
	if s == nil {
		return nil
	}
	next := s.next.Load()
	if next == nil || len(text) < len(next.key) || string(text[:len(next.key)]) != next.key {
		return nil
	}
	return next
}

// before notes what comes after s. Both may be nil.
func (s *seen[V]) before(next *seen[V]) {
	if s != nil && next != nil && s.next.Load() != next {
		s.next.Store(next)
	}
}

// get returns nil where nothing is known of a key.
func (c *cache[V]) get(key []byte) *seen[V] {
	c.mu.RLock()
	s := c.recent[string(key)]
	if s != nil {
		c.mu.RUnlock()
		return s
	}
	s = c.older[string(key)]
	c.mu.RUnlock()
	if s != nil {
		return c.add(s)
	}
	return nil
}

// put keeps what was made from a key; nil is returned where it is not kept.
func (c *cache[V]) put(key []byte, v V) *seen[V] {
	if len(key) > longestCached {
		return nil
	}
	return c.add(&seen[V]{key: string(key), value: v})
}

// add takes in s and returns it, or what another request was faster to add.
func (c *cache[V]) add(s *seen[V]) *seen[V] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.recent[s.key]; known != nil {
		return known
	}
	size := 2*len(s.key) + cachedOverhead // what was made is about as long as its bytes
	if c.recent == nil || c.bytes+size > c.most/2 {
		for key, old := range c.older {
			if c.recent[key] != old {
				old.next.Store(nil) // or chains of what is forgotten stay for ever
			}
		}
		c.older, c.recent, c.bytes = c.recent, map[string]*seen[V]{}, 0
	}
	c.recent[s.key] = s
	c.bytes += size
	return s
}
