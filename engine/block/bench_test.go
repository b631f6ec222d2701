package block

import (
	"fmt"
	"io"
	"testing"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
)

// month writes one block per day into a store on the disk: channels with a
// row a minute.
func month(b *testing.B, days, channels int) (disk.Blocks, []string) {
	store := disk.NewLocalBlocks(disk.Default(), b.TempDir())
	var names []string
	for day := range days {
		name := testName
		name.First, name.Part = int64(day)*model.Day, uint32(day)
		err := store.Put(name.String(), func(w io.Writer) error {
			bw := NewWriter(w, WriterOptions{Name: name})
			for c := range channels {
				rows := minutes(int64(day)*model.Day, 1440, c)
				if err := bw.AddChannel(labelled(b, model.ChannelID(c+1), "LR8450", fmt.Sprint("CH", c))); err != nil {
					return err
				}
				if err := bw.AddChunk(rows.times, rows.values); err != nil {
					return err
				}
			}
			_, err := bw.Close()
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		names = append(names, name.String())
	}
	return store, names
}

func openAll(b *testing.B, store disk.Blocks, names []string) []*Reader {
	var readers []*Reader
	for _, name := range names {
		r, err := Open(store, name)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { r.Close() })
		readers = append(readers, r)
	}
	return readers
}

func channelIDs(n int) (ids []model.ChannelID) {
	for i := range n {
		ids = append(ids, model.ChannelID(i+1))
	}
	return ids
}

// BenchmarkIndex is all index work of a view: 40 blocks, 32 channels, of 32
// or of 500 in the blocks.
func BenchmarkIndex(b *testing.B) {
	for _, channels := range []int{32, 500} {
		b.Run(fmt.Sprint(channels), func(b *testing.B) {
			store, names := month(b, 40, channels)
			readers := openAll(b, store, names)
			ids := channelIDs(32)
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for _, r := range readers {
					if err := r.Chunks(ids, everything, func(ChunkRef) error { n++; return nil }); err != nil {
						b.Fatal(err)
					}
				}
				if n != 40*32 {
					b.Fatal(n)
				}
			}
		})
	}
}

// BenchmarkView is a graph of 32 channels over 30 days of minutes, from open
// readers to buckets: bytes read chunk by chunk or loaded together.
func BenchmarkView(b *testing.B) {
	for _, load := range []bool{false, true} {
		b.Run(fmt.Sprint("load=", load), func(b *testing.B) {
			store, names := month(b, 30, 32)
			readers := openAll(b, store, names)
			ids := channelIDs(32)
			buckets, err := model.PlanBuckets(model.Span{From: 0, To: 30 * model.Day}, 1366)
			if err != nil {
				b.Fatal(err)
			}
			out := make([]model.Aggregate, buckets.Count)
			var scratch merge.Scratch
			var buffer []byte
			b.ReportAllocs()
			for b.Loop() {
				buffer = buffer[:0]
				pieces := make([][]merge.Piece, len(ids))
				for i, r := range readers {
					chunks := make([]*Chunk, 0, len(ids))
					err := r.Chunks(ids, buckets.Span(), func(ref ChunkRef) error {
						c := r.Chunk(ref)
						chunks = append(chunks, &c)
						at := ref.Channel - 1
						pieces[at] = append(pieces[at], merge.Piece{Rank: uint64(i), First: ref.Summary.FirstTime,
							Last: ref.Summary.LastTime, Summary: &c.Ref.Summary, Source: &c})
						return nil
					})
					if err != nil {
						b.Fatal(err)
					}
					if load {
						if buffer, err = r.Load(chunks, buffer); err != nil {
							b.Fatal(err)
						}
					}
				}
				for i := range ids {
					clear(out)
					if err := merge.Aggregate(pieces[i], buckets, out, &scratch); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/32/43200, "ns/row")
		})
	}
}

// BenchmarkWrite is a day of 30 channels, without the disk.
func BenchmarkWrite(b *testing.B) {
	var rows []chunkRows
	var channels []model.Channel
	for c := range 30 {
		rows = append(rows, minutes(0, 1440, c))
		channels = append(channels, labelled(b, model.ChannelID(c+1), "LR8450", fmt.Sprint("CH", c)))
	}
	b.ReportAllocs()
	for b.Loop() {
		w := NewWriter(io.Discard, WriterOptions{Name: testName})
		for c := range channels {
			if err := w.AddChannel(channels[c]); err != nil {
				b.Fatal(err)
			}
			if err := w.AddChunk(rows[c].times, rows[c].values); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/30/1440, "ns/row")
}

// BenchmarkOpen opens and closes a block that the page cache holds.
func BenchmarkOpen(b *testing.B) {
	store, names := month(b, 1, 32)
	b.ReportAllocs()
	for b.Loop() {
		r, err := Open(store, names[0])
		if err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}

// BenchmarkCheck reads a block of 500 channels wholly.
func BenchmarkCheck(b *testing.B) {
	store, names := month(b, 1, 500)
	for b.Loop() {
		if err := Check(store, names[0], func(int64, string) {}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500/1440, "ns/row")
}
