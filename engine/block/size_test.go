package block

import (
	"fmt"
	"testing"

	"github.com/hokan-db/hokan/engine/model"
)

// TestSize holds what a block costs beside its rows.
func TestSize(t *testing.T) {
	for _, c := range []struct {
		channels, rows int
		most           int // bytes beside the chunks' payloads, per channel
	}{{32, 1, 58}, {30, 1440, 107}, {1, 1, 352}} {
		var channels []channelRows
		for i := range c.channels {
			channel := labelled(t, model.ChannelID(i+1), "LR8450 190512345", fmt.Sprintf("CH1-%d", i+1))
			channel.History = channel.History.With(1_700_000_000e9, model.Properties{
				Name: fmt.Sprint("room ", i+1), Unit: "°C", Group: "1", App: "gateway 7", Decimals: 1, HasDecimals: true})
			channels = append(channels, channelRows{channel, []chunkRows{minutes(1_700_000_000e9, c.rows, i)}})
		}
		file, meta := build(t, channels)
		payload := 0
		r := open(t, file)
		err := r.Chunks(channelIDs(c.channels), everything, func(ref ChunkRef) error {
			payload += int(ref.Values.Length + ref.Times.Length)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		labels, index := 0, 0
		for _, p := range r.channels {
			labels += int(p.end() - p.Position)
		}
		for _, p := range r.index {
			index += int(p.end() - p.Position)
		}
		beside := float64(len(file)-payload) / float64(c.channels)
		t.Logf("%d channels x %d rows: %d bytes; chunks %d in frames %d, channels %d, index %d; %.1f bytes per channel beside the chunks",
			c.channels, c.rows, len(file), payload, meta.ChunkBytes, labels, index, beside)
		if beside > float64(c.most) {
			t.Errorf("%.1f bytes per channel beside the chunks, at most %d", beside, c.most)
		}
	}
}
