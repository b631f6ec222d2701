package block

import (
	"fmt"
	"testing"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/chunk/chunktest"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// sizes says what the bytes of a block are.
type sizes struct {
	times, values  int // payloads
	frames         int // headers of those
	labels, index  int // frames
	charges        int // frames
	other          int // header, directory, footer
	chunks, stored int // stored: columns of times
}

func (s *sizes) String() string {
	return fmt.Sprintf("%d chunks: values %d, times %d (%d columns), their frames %d, index %d, labels %d, charges %d, other %d bytes",
		s.chunks, s.values, s.times, s.stored, s.frames, s.index, s.labels, s.charges, s.other)
}

func sizesOf(t *testing.T, file []byte, channels int) *sizes {
	r := open(t, file)
	var s sizes
	err := r.Chunks(channelIDs(channels), everything, func(ref ChunkRef) error {
		s.chunks++
		s.values += int(ref.Values.Length)
		if !ref.Regular() && !ref.Shared() {
			s.stored++
			s.times += int(ref.Times.Length)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.frames = disk.FrameHeaderSize * (s.chunks + s.stored)
	for _, p := range r.channels {
		s.labels += int(p.end() - p.Position)
	}
	for _, p := range r.index {
		s.index += int(p.end() - p.Position)
	}
	for _, p := range r.charges {
		s.charges += int(p.end() - p.Position)
	}
	s.other = len(file) - s.values - s.times - s.frames - s.labels - s.index - s.charges
	return &s
}

// TestSize holds what a block costs beside its rows.
func TestSize(t *testing.T) {
	for _, c := range []struct {
		channels, rows int
		most           float64 // bytes beside the columns, per channel
	}{{32, 1, 54}, {30, 1440, 59}, {1, 1, 390}} {
		var channels []channelRows
		for i := range c.channels {
			channel := labelled(t, model.ChannelID(i+1), "LR8450 190512345", fmt.Sprintf("CH1-%d", i+1))
			channel.History = channel.History.With(1_700_000_000e9, model.Properties{
				Name: fmt.Sprint("room ", i+1), Unit: "°C", Group: "1", App: "gateway 7", Decimals: 1, HasDecimals: true})
			channels = append(channels, channelRows{channel, []chunkRows{minutes(1_700_000_000e9, c.rows, i)}})
		}
		file, _ := build(t, channels)
		s := sizesOf(t, file, c.channels)
		beside := float64(len(file)-s.values-s.times) / float64(c.channels)
		t.Logf("%d channels x %d rows: %v; %.1f bytes per channel beside the columns", c.channels, c.rows, s, beside)
		if beside > c.most {
			t.Errorf("%.1f bytes per channel beside the columns, at most %v", beside, c.most)
		}
	}
}

// TestSizeOfTheMix holds a compacted block of the instrument mix to less than a
// byte a row, everything counted.
func TestSizeOfTheMix(t *testing.T) {
	mix := chunktest.Mix(1, mixRows, 1)
	for _, form := range []chunk.Encoding{chunk.Fast, chunk.Small} {
		file := mixBlock(t, mix, form)
		s := sizesOf(t, file, len(mix))
		all := float64(mixRows * len(mix))
		beside := float64(len(file)-s.values-s.times-s.charges) / float64(s.chunks)
		t.Logf("%v: %.4f bytes/row; %v; %.4f beside the columns, %.1f a chunk", form, float64(len(file))/all, s,
			float64(len(file)-s.values-s.times-s.charges)/all, beside)
		if beside > 56 {
			t.Errorf("%v: %.1f bytes a chunk beside the columns, at most 56", form, beside)
		}
		if form == chunk.Small && float64(len(file)) > 0.985*all {
			t.Errorf("%.4f bytes a row, at most 0.985", float64(len(file))/all)
		}
	}
}
