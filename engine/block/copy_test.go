package block

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/model"
)

// uneven is rows whose steps differ.
func uneven(first int64, n int, seed uint64) chunkRows {
	random := rand.New(rand.NewPCG(seed, 1))
	rows := minutes(first, n, int(seed))
	for i := range rows.times {
		rows.times[i] += random.Int64N(30e9)
	}
	return rows
}

// TestCopiedChunks copies every chunk of two blocks into a third: it has the same
// rows and summaries, times that several share once, and no fault.
func TestCopiedChunks(t *testing.T) {
	clock := uneven(model.Day/2, 1000, 3)
	other := chunkRows{clock.times, minutes(0, 1000, 9).values}
	a, b := labelled(t, 1, "i", "a"), labelled(t, 2, "i", "b")
	first, _ := build(t, []channelRows{{a, []chunkRows{minutes(0, 700, 1), clock}}})
	second, _ := build(t, []channelRows{{b, []chunkRows{{clock.times[:1], []float64{math.Copysign(0, -1)}}}}, {labelled(t, 3, "i", "c"), []chunkRows{other}}})
	var file bytes.Buffer
	w := NewWriter(&file, WriterOptions{Name: testName, NewSalt: fixedSalt})
	for _, source := range [][]byte{first, second} {
		r, err := OpenBytes("memory", source)
		if err != nil {
			t.Fatal(err)
		}
		last := model.ChannelID(0)
		if err := r.Chunks([]model.ChannelID{1, 2, 3}, model.AllTime(), func(ref ChunkRef) error {
			if ref.Channel != last {
				last = ref.Channel
				if err := w.AddChannel(labelled(t, last, "i", string(rune('a'+last-1)))); err != nil {
					return err
				}
			}
			c := r.Chunk(ref)
			return w.CopyChunk(&c)
		}); err != nil {
			t.Fatal(err)
		}
	}
	most := w.Size()
	meta, err := w.Close()
	if err != nil || int64(file.Len()) > most || most > int64(file.Len())+1000 {
		t.Fatalf("%d bytes, at most %d were told, %v", file.Len(), most, err)
	}
	if err := CheckBytes("copy", file.Bytes()); err != nil {
		t.Error(err)
	}
	want := []channelRows{
		{a, []chunkRows{minutes(0, 700, 1), clock}},
		{b, []chunkRows{{clock.times[:1], []float64{math.Copysign(0, -1)}}}},
		{labelled(t, 3, "i", "c"), []chunkRows{other}},
	}
	whole, built := build(t, want)
	if file.Len() != len(whole) || !bytes.Equal(file.Bytes(), whole) || meta != built {
		t.Errorf("copied: %d bytes, %+v; written: %d, %+v", file.Len(), meta, len(whole), built)
	}
}

// TestRefusedCopies: a chunk that must be decoded, or comes too early, is not
// copied, and a damaged one is told.
func TestRefusedCopies(t *testing.T) {
	source, _ := build(t, []channelRows{{labelled(t, 1, "i", "a"), []chunkRows{uneven(0, 100, 1), uneven(model.Day/2, 100, 2)}}})
	var chunks []Chunk
	take := func(b []byte) {
		r, err := OpenBytes("memory", b)
		if err != nil {
			t.Fatal(err)
		}
		chunks = chunks[:0]
		if err := r.Chunks([]model.ChannelID{1}, model.AllTime(), func(ref ChunkRef) error {
			chunks = append(chunks, r.Chunk(ref))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	take(source)
	for _, o := range []WriterOptions{{Name: testName, Form: chunk.Small}, {Name: testName, Rollups: true}} {
		w := NewWriter(new(bytes.Buffer), o)
		w.AddChannel(labelled(t, 1, "i", "a"))
		if err := w.CopyChunk(&chunks[0]); err == nil {
			t.Errorf("%+v: it is copied", o)
		}
	}
	w := NewWriter(new(bytes.Buffer), WriterOptions{Name: testName})
	if err := w.CopyChunk(&chunks[0]); !errors.Is(err, ErrOrder) {
		t.Error(err)
	}
	w = NewWriter(new(bytes.Buffer), WriterOptions{Name: testName})
	w.AddChannel(labelled(t, 1, "i", "a"))
	if err := w.CopyChunk(&chunks[1]); err != nil {
		t.Error(err)
	}
	if err := w.CopyChunk(&chunks[0]); !errors.Is(err, ErrOrder) {
		t.Error(err)
	}
	damaged := slices.Clone(source)
	damaged[100] ^= 1
	take(damaged)
	w = NewWriter(new(bytes.Buffer), WriterOptions{Name: testName})
	w.AddChannel(labelled(t, 1, "i", "a"))
	if err := errors.Join(w.CopyChunk(&chunks[0]), w.CopyChunk(&chunks[1])); err == nil {
		t.Error("damage is copied")
	}
	if CheckBytes("damaged", damaged) == nil {
		t.Error("damage is not found")
	}
}
