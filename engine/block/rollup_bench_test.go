package block

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/chunk/chunktest"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// rolledMix writes blocks of 30 days each of some channels of the instrument
// mix at a row a minute, with rollups.
func rolledMix(t interface{ Fatalf(string, ...any) }, mix []chunktest.Series, form chunk.Encoding) (files [][]byte, metas []Meta) {
	const days = 30 * 1440
	mix = slices.Clone(mix)
	for i := range mix { // from the first whole day on: a month has whole days
		start, _ := slices.BinarySearch(mix[i].Times, model.StepDay.Start(mix[i].Times[0])+model.Day)
		mix[i].Times, mix[i].Values = mix[i].Times[start:], mix[i].Values[start:]
	}
	for from := 0; from+days <= len(mix[0].Times); from += days {
		var b bytes.Buffer
		w := NewWriter(&b, WriterOptions{Name: testName, Form: form, Rollups: true})
		for i, series := range mix {
			err := w.AddChannel(labelled(t, model.ChannelID(i+1), "LR8450 190512345", fmt.Sprintf("CH1-%d", i+1)))
			for at := from; at < from+days && err == nil; at += 8192 {
				to := min(at+8192, from+days)
				err = w.AddChunk(series.Times[at:to], series.Values[at:to])
			}
			if err != nil {
				t.Fatalf("%v", err)
			}
		}
		meta, err := w.Close()
		if err != nil {
			t.Fatalf("%v", err)
		}
		files, metas = append(files, b.Bytes()), append(metas, meta)
	}
	return files, metas
}

// TestSizeOfRollups holds what the rollups of a compacted month cost.
func TestSizeOfRollups(t *testing.T) {
	if testing.Short() {
		t.Skip("4 million rows")
	}
	mix := chunktest.Mix(1, 31*1440, 1)
	for first := 0; first < len(mix); {
		n := first
		for n < len(mix) && mix[n].Class == mix[first].Class {
			n++
		}
		_, metas := rolledMix(t, mix[first:n], chunk.Small)
		m := metas[0]
		t.Logf("%-14s rollups %.4f, chunks %.4f bytes a row; %.2f a rollup row", mix[first].Class,
			float64(m.RollupBytes)/float64(m.Rows), float64(m.ChunkBytes)/float64(m.Rows), float64(m.RollupBytes)/float64(m.RollupRows))
		first = n
	}
	_, metas := rolledMix(t, mix, chunk.Small)
	m := metas[0]
	rollups, all := float64(m.RollupBytes)/float64(m.Rows), float64(m.Bytes)/float64(m.Rows)
	t.Logf("the mix: %.4f bytes a row, of them %.4f rollups, %.4f chunks", all, rollups, float64(m.ChunkBytes)/float64(m.Rows))
	if rollups > 0.16 || all > 1.15 {
		t.Errorf("%.4f bytes a row for rollups, at most 0.16; %.4f in all, at most 1.15", rollups, all)
	}
}

// BenchmarkRollups decodes a year of hourly rows of 32 channels of the mix from
// twelve blocks, and folds them into buckets of seven.
func BenchmarkRollups(b *testing.B) {
	all := chunktest.Mix(1, (12*30+1)*1440, 1)
	var mix []chunktest.Series
	for i := range 32 {
		mix = append(mix, all[i*3])
	}
	files, _ := rolledMix(b, mix, chunk.Small)
	dir := b.TempDir()
	store := disk.NewLocalBlocks(disk.Default(), dir)
	var readers []*Reader
	for i, file := range files {
		name := testName
		name.Part = uint32(i)
		if err := store.Put(name.String(), func(w io.Writer) error { _, err := w.Write(file); return err }); err != nil {
			b.Fatal(err)
		}
		r, err := Open(store, name.String())
		if err != nil {
			b.Fatal(err)
		}
		defer r.Close()
		readers = append(readers, r)
	}
	ids := channelIDs(len(mix))
	for _, step := range []model.Step{model.StepHour, model.StepDay} {
		run := func(b *testing.B, visit func(model.ChannelID, *RollupRows) error) {
			rows := 0
			b.ReportAllocs()
			for b.Loop() {
				rows = 0
				for _, r := range readers {
					if err := r.Rollups(ids, step, everything, func(id model.ChannelID, r *RollupRows) error {
						rows += r.Len()
						return visit(id, r)
					}); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(rows), "rows")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
		}
		b.Run("decode/"+step.String(), func(b *testing.B) {
			run(b, func(model.ChannelID, *RollupRows) error { return nil })
		})
		b.Run("fold/"+step.String(), func(b *testing.B) {
			out := make([]model.Aggregate, 2000)
			run(b, func(_ model.ChannelID, r *RollupRows) error {
				clear(out[:r.Len()/7+1])
				for from := 0; from < r.Len(); from += 7 {
					r.Fold(from, min(from+7, r.Len()), &out[from/7])
				}
				return nil
			})
		})
	}
}

// BenchmarkWriteRollups writes 20 days of 100 channels, without and with
// rollups.
func BenchmarkWriteRollups(b *testing.B) {
	mix := chunktest.Mix(1, 20*1440, 1)
	for _, rollups := range []bool{false, true} {
		b.Run(fmt.Sprint(rollups), func(b *testing.B) {
			for b.Loop() {
				w := NewWriter(io.Discard, WriterOptions{Name: testName, Form: chunk.Small, Rollups: rollups})
				for i, series := range mix {
					err := w.AddChannel(labelled(b, model.ChannelID(i+1), "LR8450 190512345", fmt.Sprintf("CH1-%d", i+1)))
					for at := 0; at < len(series.Times) && err == nil; at += 8192 {
						to := min(at+8192, len(series.Times))
						err = w.AddChunk(series.Times[at:to], series.Values[at:to])
					}
					if err != nil {
						b.Fatal(err)
					}
				}
				if _, err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(mix)*len(mix[0].Times)), "ns/row")
		})
	}
}
