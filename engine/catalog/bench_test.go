package catalog

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/model"
)

// openOnDisk opens a catalog in a temporary folder.
func openOnDisk(b *testing.B) *Catalog {
	c, err := Open(vfs.Default, vfs.Default.PathJoin(b.TempDir(), "catalog"), Options{})
	must(b, err)
	b.Cleanup(func() { must(b, c.Close()) })
	return c
}

// BenchmarkCommitManifest commits a manifest of n blocks with one more than
// before, on disk and, to leave out the sync, in memory.
func BenchmarkCommitManifest(b *testing.B) {
	for _, n := range []int{10, 1000, 5000, 10000} {
		for _, medium := range []string{"disk", "memory"} {
			b.Run(fmt.Sprintf("%d/%s", n, medium), func(b *testing.B) {
				c := open(b, vfs.NewMem())
				defer closeCatalog(b, c)
				if medium == "disk" {
					c = openOnDisk(b)
				}
				list := metas("t", 0, n+b.N+1)
				must(b, c.Commit(PutManifest("t", Manifest{Revision: 1, Blocks: list[:n]})))
				b.ResetTimer()
				for i := range b.N {
					must(b, c.Commit(PutManifest("t", Manifest{Revision: uint64(i) + 2, Blocks: list[:n+1+i]})))
				}
			})
		}
	}
}

// BenchmarkCommitPartition commits one small record on disk.
func BenchmarkCommitPartition(b *testing.B) {
	c := openOnDisk(b)
	for i := range b.N {
		must(b, c.Commit(PutPartition(1, PartitionRecord{Revision: uint64(i) + 1})))
	}
}

// BenchmarkLoadManifest loads a manifest of 10,000 blocks.
func BenchmarkLoadManifest(b *testing.B) {
	c := open(b, vfs.NewMem())
	defer closeCatalog(b, c)
	must(b, c.Commit(PutManifest("t", Manifest{Revision: 1, Blocks: metas("t", 0, 10000)})))
	for b.Loop() {
		_, err := c.LoadManifest("t")
		must(b, err)
	}
}

// BenchmarkPutEvents stores batches of 1,000 events.
func BenchmarkPutEvents(b *testing.B) {
	c := openOnDisk(b)
	list := events(1000)
	for i := range b.N {
		for j := range list {
			list[j].ID = fmt.Sprintf("%016x%016x", i, j)
			list[j].Time = int64(i*1000 + j)
		}
		must(b, c.PutEvents("t", list))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}

// BenchmarkEvents reads pages of 100 events, of all alarms and of one.
func BenchmarkEvents(b *testing.B) {
	c := open(b, vfs.NewMem())
	defer closeCatalog(b, c)
	must(b, c.PutEvents("t", events(50000)))
	for _, id := range []uint64{0, 2} {
		b.Run(fmt.Sprintf("alarm %d", id), func(b *testing.B) {
			for b.Loop() {
				_, _, err := c.Events("t", EventQuery{Alarm: id, Span: model.AllTime(), Limit: 100})
				must(b, err)
			}
		})
	}
}

// BenchmarkOpen makes a catalog, or opens one that was closed with some
// records, and closes it.
func BenchmarkOpen(b *testing.B) {
	for _, what := range []string{"new", "small"} {
		b.Run(what, func(b *testing.B) {
			root := b.TempDir()
			for i := range b.N {
				folder := vfs.Default.PathJoin(root, "small")
				if what == "new" {
					folder = vfs.Default.PathJoin(root, fmt.Sprint(i))
				}
				c, err := Open(vfs.Default, folder, Options{})
				must(b, err)
				b.StopTimer()
				if record, _ := c.LoadLog(); record.Revision == 0 && what == "small" {
					for n := 1; n <= 10; n++ {
						must(b, step(c, n))
					}
				}
				must(b, c.Close())
				b.StartTimer()
			}
		})
	}
}
