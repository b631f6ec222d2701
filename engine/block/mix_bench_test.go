package block

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/chunk/chunktest"
	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
)

const (
	mixRows = 16384
	fastest = 4096 // rows of a chunk in the fast form
)

// mixBlock writes the instrument mix: chunks of 4,096 rows in the fast form,
// of 8,192 in the small one.
func mixBlock(t interface{ Fatalf(string, ...any) }, mix []chunktest.Series, form chunk.Encoding) []byte {
	rows := fastest
	if form == chunk.Small {
		rows *= 2
	}
	var b bytes.Buffer
	w := NewWriter(&b, WriterOptions{Name: testName, Form: form})
	for i, series := range mix {
		err := w.AddChannel(labelled(t, model.ChannelID(i+1), "LR8450 190512345", fmt.Sprintf("CH1-%d", i+1)))
		for from := 0; from < len(series.Times) && err == nil; from += rows {
			err = w.AddChunk(series.Times[from:from+rows], series.Values[from:from+rows])
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatalf("%v", err)
	}
	return b.Bytes()
}

// BenchmarkMix writes a block of 100 channels of the instrument mix, decodes
// all of it, and folds it into buckets of an hour: from index to rows or
// aggregates, with every checksum. The file is in memory.
func BenchmarkMix(b *testing.B) {
	mix := chunktest.Mix(1, mixRows, 1)
	for _, form := range []chunk.Encoding{chunk.Fast, chunk.Small} {
		file := mixBlock(b, mix, form)
		r := open(b, file)
		perRow := func(b *testing.B) {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(mix)*mixRows), "ns/row")
		}
		b.Run(fmt.Sprint("write/", form), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mixBlock(b, mix, form)
			}
			perRow(b)
		})
		// each takes the chunks, loaded channel by channel.
		each := func(b *testing.B, work func(*Chunk) error) {
			b.ReportAllocs()
			var buffer []byte
			for b.Loop() {
				channels := make([][]*Chunk, len(mix))
				err := r.Chunks(channelIDs(len(mix)), everything, func(ref ChunkRef) error {
					c := r.Chunk(ref)
					channels[ref.Channel-1] = append(channels[ref.Channel-1], &c)
					return nil
				})
				for _, chunks := range channels {
					if err == nil {
						buffer, err = r.Load(chunks, buffer[:0])
					}
					for i := 0; i < len(chunks) && err == nil; i++ {
						err = work(chunks[i])
					}
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			perRow(b)
		}
		b.Run(fmt.Sprint("decode/", form), func(b *testing.B) {
			var times []int64
			var values []float64
			each(b, func(c *Chunk) (err error) {
				times, values, err = c.Decode(times[:0], values[:0])
				return err
			})
		})
		const hour = 3600e9
		from := mix[0].Times[0] / hour * hour
		out := make([]model.Aggregate, mixRows/60+2)
		b.Run(fmt.Sprint("fold/", form), func(b *testing.B) {
			each(b, func(c *Chunk) error {
				clear(out)
				return c.Fold(everything, merge.Grid{From: from, Width: hour}, out)
			})
		})
	}
}
