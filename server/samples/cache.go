package samples

import (
	"sync"

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
	cachedOverhead = 96
)

// cache maps bytes to what was made from them, which depends on nothing else:
// that tenants share it changes no answer. Its memory is bounded: once half of
// it is filled, what was not used since the last time is forgotten.
type cache[V any] struct {
	most int // bytes

	mu     sync.RWMutex
	recent map[string]V
	older  map[string]V
	bytes  int // of recent
}

func (c *cache[V]) get(key []byte) (V, bool) {
	c.mu.RLock()
	v, ok := c.recent[string(key)]
	if ok {
		c.mu.RUnlock()
		return v, true
	}
	v, ok = c.older[string(key)]
	c.mu.RUnlock()
	if ok {
		c.put(key, v)
	}
	return v, ok
}

func (c *cache[V]) put(key []byte, v V) {
	if len(key) > longestCached {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.recent[string(key)]; known {
		return
	}
	size := 2*len(key) + cachedOverhead // what was made is about as long as its bytes
	if c.recent == nil || c.bytes+size > c.most/2 {
		c.older, c.recent, c.bytes = c.recent, map[string]V{}, 0
	}
	c.recent[string(key)] = v
	c.bytes += size
}
