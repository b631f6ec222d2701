// Package workload makes the samples that every store of the comparison is
// given: workload G, generated, and real files of instruments. Times are
// milliseconds, the finest that all stores keep.
package workload

import (
	"fmt"
	"math"
)

// Channel is the samples of one channel, in strictly ascending order of time.
type Channel struct {
	Class  string // what kind of quantity it is
	Times  []int64
	Values []float64
}

// Set is channels of samples. Channels whose clocks are equal share one Times
// slice.
type Set struct {
	Name     string
	Channels []Channel
	release  func()
}

// Release gives back the memory of the samples, so that it is not counted as a
// store's. The set is empty afterwards.
func (s *Set) Release() {
	s.Channels = nil
	if s.release != nil {
		s.release()
		s.release = nil
	}
}

// Samples returns the number of samples in the set.
func (s *Set) Samples() int {
	n := 0
	for i := range s.Channels {
		n += len(s.Channels[i].Times)
	}
	return n
}

// Span returns the first time of all channels and the last one plus one.
func (s *Set) Span() (from, to int64) {
	from, to = math.MaxInt64, math.MinInt64
	for i := range s.Channels {
		if times := s.Channels[i].Times; len(times) > 0 {
			from, to = min(from, times[0]), max(to, times[len(times)-1]+1)
		}
	}
	return from, to
}

// Row is one sample as it arrives live.
type Row struct {
	Channel int
	Time    int64
	Value   float64
}

// Rows writes into dst the rows from position first on in the order in which
// live samples arrive, of all channels one row, then the next, and returns how
// many there were. All channels must have equally many samples.
func (s *Set) Rows(dst []Row, first int) int {
	width := len(s.Channels)
	if width == 0 {
		return 0
	}
	n := min(len(dst), width*len(s.Channels[0].Times)-first)
	channel, i := first%width, first/width
	for k := range max(n, 0) {
		c := &s.Channels[channel]
		dst[k] = Row{channel, c.Times[i], c.Values[i]}
		if channel++; channel == width {
			channel, i = 0, i+1
		}
	}
	return max(n, 0)
}

// ChannelsPerInstrument is how many channels carry the name of one instrument.
const ChannelsPerInstrument = 10

// Instrument and Name are what identifies channel number i in a store.
func Instrument(i int) string { return fmt.Sprintf("i%05d", i/ChannelsPerInstrument) }

// Name is the channel's name within its instrument.
func Name(i int) string { return fmt.Sprintf("c%02d", i%ChannelsPerInstrument) }
