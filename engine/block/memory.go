package block

// What a reader takes in memory, in bytes and about: itself with its open file
// and what the caller keeps of it, a page, and a run of channels in which the
// same is stored.
const (
	readerBytes = 1024
	perPage     = 48
	perRun      = 12
)

// MemoryBytes returns about how many bytes of memory the reader takes while no
// query runs.
func (r *Reader) MemoryBytes() int64 {
	pages := cap(r.channels) + cap(r.index) + cap(r.charges) + cap(r.notes)
	for _, list := range r.rollups {
		pages += cap(list)
	}
	return readerBytes + perPage*int64(pages) + perRun*int64(cap(r.stored))
}
