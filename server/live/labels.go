package live

import (
	"sync"

	"github.com/hokan-db/hokan/engine/model"
)

const (
	// labelBytes bounds the texts that are kept.
	labelBytes = 16 << 20
	// labelOverhead is about what a text takes beside its bytes and its key's.
	labelOverhead = 96
)

// labelCache keeps labels as JSON, for all streams. The zero value is empty.
type labelCache struct {
	mu    sync.RWMutex
	texts map[model.Labels][]byte
	bytes int // at most labelBytes: then all is forgotten
}

// text returns labels as JSON, which must not be changed.
func (c *labelCache) text(l model.Labels) []byte {
	c.mu.RLock()
	text := c.texts[l]
	c.mu.RUnlock()
	if text != nil {
		return text
	}
	text, _ = l.MarshalJSON() // of strings: cannot fail
	c.mu.Lock()
	defer c.mu.Unlock()
	size := len(l.Encoded()) + len(text) + labelOverhead
	if c.texts == nil || c.bytes+size > labelBytes {
		c.texts, c.bytes = map[model.Labels][]byte{}, 0
	}
	if c.texts[l] == nil {
		c.texts[l] = text
		c.bytes += size
	}
	return text
}
