package engine

import (
	"sort"
	"sync"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/model"
)

// loadBytes bounds what one goroutine of a query reads ahead of decoding.
const loadBytes = 4 << 20

// loader reads chunks ahead of decoding, neighbours in a file together. It is
// used by one goroutine at a time.
type loader struct {
	chunks []*block.Chunk
	buffer []byte
}

var loaders = sync.Pool{New: func() any { return new(loader) }}

// release gives the memory back: what was loaded is of no use any more.
func (l *loader) release() {
	clear(l.chunks)
	loaders.Put(l)
}

// load reads those chunks of the channels from ids[from] up to ids[to], in
// blocks, that wanted likes, unless they are too many. What cannot be read is left for
// decoding to tell: it reads what was not loaded, and it knows whom it
// concerns. What was loaded before must not be used any more.
func (l *loader) load(blocks []openBlock, ids []model.ChannelID, from, to int, wanted func(*block.ChunkRef) bool) {
	l.buffer = l.buffer[:0]
	bytes := 0
	for i := range blocks {
		b := &blocks[i]
		clear(l.chunks)
		l.chunks = l.chunks[:0]
		for j := b.find(ids[from]); j < len(b.chunks) && b.chunks[j].Ref.Channel <= ids[to-1]; j++ {
			if c := &b.chunks[j]; wanted(&c.Ref) {
				l.chunks = append(l.chunks, c)
				bytes += bytesOf(&c.Ref)
			}
		}
		if bytes > loadBytes {
			return
		}
		if len(l.chunks) > 0 {
			l.buffer, _ = b.Load(l.chunks, l.buffer)
		}
	}
}

// bytesOf returns how long a chunk is in the file.
func bytesOf(c *block.ChunkRef) int {
	if c.Regular() || c.Shared() {
		return int(c.Values.Length)
	}
	return int(c.Times.Length + c.Values.Length)
}

// find returns the index of the first chunk of the channel, or of one after it.
// It touches no part of a chunk that another goroutine may load.
func (b *openBlock) find(id model.ChannelID) int {
	return sort.Search(len(b.chunks), func(i int) bool { return b.chunks[i].Ref.Channel >= id })
}

// loadAll loads a query that is small as a whole.
func (s *snapshot) loadAll() {
	bytes := 0
	for i := range s.blocks {
		for j := range s.blocks[i].chunks {
			bytes += bytesOf(&s.blocks[i].chunks[j].Ref)
		}
	}
	if bytes == 0 || bytes > loadBytes {
		return
	}
	s.loaded = loaders.Get().(*loader)
	s.loaded.load(s.blocks, s.ids, 0, len(s.ids), func(*block.ChunkRef) bool { return true })
}
