package engine

import (
	"fmt"
	"io"
	"math/bits"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
)

// countingFS counts what is written and synced, by what it is.
type countingFS struct {
	disk.FS
	kinds    [kindCount]writtenKind
	open     atomic.Int64
	mostOpen atomic.Int64
}

// What is told apart.
const (
	kindLog = iota
	kindCheckpoints
	kindFlushed // blocks, as they leave memory
	kindMerged  // blocks
	kindCatalog
	kindOthers
	kindCount
)

var kindNames = [kindCount]string{"log", "checkpoints", "flushed", "merged", "catalog", "others"}

type writtenKind struct {
	files, bytes atomic.Int64
	syncs        histogram // as long as they took
}

func (c *countingFS) of(name string) *writtenKind {
	in := func(folder string) bool { return strings.Contains(name+"/", "/"+folder+"/") }
	switch {
	case in(disk.LogDir):
		return &c.kinds[kindLog]
	case in(disk.CheckpointsDir):
		return &c.kinds[kindCheckpoints]
	case in(disk.CatalogDir):
		return &c.kinds[kindCatalog]
	case in(disk.BlocksDir) && strings.Contains(name, "/flush-"):
		return &c.kinds[kindFlushed]
	case in(disk.BlocksDir):
		return &c.kinds[kindMerged]
	}
	return &c.kinds[kindOthers]
}

// reset forgets all but what is open.
func (c *countingFS) reset() {
	for i := range c.kinds {
		f := &c.kinds[i]
		f.files.Store(0)
		f.bytes.Store(0)
		f.syncs.reset()
	}
}

// bytes returns what was written of a kind.
func (c *countingFS) bytes(kind int) int64 { return c.kinds[kind].bytes.Load() }

// perSample tells how many bytes of each kind were written for one of so many
// samples.
func (c *countingFS) perSample(samples float64) string {
	var text []string
	for i := range c.kinds {
		text = append(text, fmt.Sprintf("%s %.2f", kindNames[i], float64(c.bytes(i))/samples))
	}
	return strings.Join(text, ", ")
}

// told tells of each kind what was written and how long its syncs took.
func (c *countingFS) told() string {
	var text []string
	for i := range c.kinds {
		k := &c.kinds[i]
		text = append(text, fmt.Sprintf("%s %d files %d MB %d syncs p50 %v p99 %v max %v", kindNames[i], k.files.Load(),
			k.bytes.Load()>>20, k.syncs.total(), k.syncs.at(0.5), k.syncs.at(0.99), k.syncs.at(1)))
	}
	return strings.Join(text, "; ")
}

func (c *countingFS) wrap(name string, f vfs.File, err error, writes bool) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	kind := c.of(name)
	if writes {
		kind.files.Add(1)
	}
	if n := c.open.Add(1); n > c.mostOpen.Load() {
		c.mostOpen.Store(n)
	}
	return &countingFile{f, c, kind}, nil
}

// Create implements vfs.FS.
func (c *countingFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.Create(name, category)
	return c.wrap(name, f, err, true)
}

// ReuseForWrite implements vfs.FS.
func (c *countingFS) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := c.FS.ReuseForWrite(old, name, category)
	return c.wrap(name, f, err, true)
}

// OpenReadWrite implements vfs.FS.
func (c *countingFS) OpenReadWrite(name string, category vfs.DiskWriteCategory, options ...vfs.OpenOption) (vfs.File, error) {
	f, err := c.FS.OpenReadWrite(name, category, options...)
	return c.wrap(name, f, err, true)
}

// Open implements vfs.FS.
func (c *countingFS) Open(name string, options ...vfs.OpenOption) (vfs.File, error) {
	f, err := c.FS.Open(name, options...)
	return c.wrap(name, f, err, false)
}

// OpenDir implements vfs.FS.
func (c *countingFS) OpenDir(name string) (vfs.File, error) {
	f, err := c.FS.OpenDir(name)
	return c.wrap(name, f, err, false)
}

type countingFile struct {
	vfs.File
	all  *countingFS
	kind *writtenKind
}

// Write implements io.Writer.
func (f *countingFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.kind.bytes.Add(int64(n))
	return n, err
}

// WriteAt implements io.WriterAt.
func (f *countingFile) WriteAt(p []byte, at int64) (int, error) {
	n, err := f.File.WriteAt(p, at)
	f.kind.bytes.Add(int64(n))
	return n, err
}

// Sync implements vfs.File.
func (f *countingFile) Sync() error {
	defer f.synced(time.Now())
	return f.File.Sync()
}

// SyncData implements vfs.File.
func (f *countingFile) SyncData() error {
	defer f.synced(time.Now())
	return f.File.SyncData()
}

func (f *countingFile) synced(begun time.Time) { f.kind.syncs.add(time.Since(begun)) }

// Close implements vfs.File.
func (f *countingFile) Close() error {
	f.all.open.Add(-1)
	return f.File.Close()
}

var _ io.WriterAt = (*countingFile)(nil)

// histogram counts durations in steps of an eighth.
type histogram struct{ counts [512]atomic.Int64 }

func (h *histogram) add(d time.Duration) {
	n := uint64(max(d, 8))
	shift := bits.Len64(n) - 4
	h.counts[shift*8+int(n>>shift)-8].Add(1)
}

func (h *histogram) reset() {
	for i := range h.counts {
		h.counts[i].Store(0)
	}
}

func (h *histogram) total() (n int64) {
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}

// at returns the duration below which a share of all lies, at most an eighth
// too long.
func (h *histogram) at(share float64) time.Duration {
	left := int64(share * float64(h.total()))
	for i := range h.counts {
		if left -= h.counts[i].Load(); left <= 0 && h.counts[i].Load() > 0 {
			return time.Duration(uint64(i%8+9) << (i / 8)).Round(time.Microsecond)
		}
	}
	return 0
}
