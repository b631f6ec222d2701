package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"

	"github.com/hokan-db/hokan/bench/peer"
	"github.com/hokan-db/hokan/bench/workload"
)

// repeats is how often a question is timed in one process, after once in vain.
func (t *task) repeats() int {
	if t.Short {
		return 1
	}
	return 3
}

const (
	viewChannels   = 32
	viewBuckets    = 1366
	latestChannels = 1000
	exportDays     = 30
	day            = int64(86_400_000)
)

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// ask times a question: the median of its repetitions, the first of which is
// not counted.
func (t *task) ask(measure string, question func() error) error {
	var took []float64
	for i := range t.repeats() + 1 {
		started := time.Now()
		if err := question(); err != nil {
			return fmt.Errorf("%s: %w", measure, err)
		}
		if i > 0 {
			took = append(took, milliseconds(time.Since(started)))
		}
	}
	slices.Sort(took)
	t.add(measure, took[len(took)/2])
	return nil
}

func readYear(t *task) error {
	e := extentOf("year", t.Short)
	store, _, err := t.open("year", e.channels, now(e))
	if err != nil {
		return err
	}
	channels := peer.Channels(viewChannels)
	from, to := workload.Start, workload.Start+int64(e.samples)*workload.Step
	middle := from + int64(e.samples)*workload.Step/2/day*day
	return errors.Join(
		t.ask("read.view", func() error {
			view, err := store.View(channels, from, to, viewBuckets)
			// A bucket's three numbers take ten bytes of any text.
			if least := len(channels) * viewBuckets * 10; err == nil && (view.Channels != len(channels) || view.Buckets == nil && view.Bytes < least) {
				err = fmt.Errorf("the view has %d channels in %d bytes, not %d in at least %d", view.Channels, view.Bytes, len(channels), least)
			}
			return err
		}),
		t.ask("read.day", func() error { return readDay(store, channels, middle) }),
		t.ask("read.export", func() error { return t.export(store, channels, from, min(to, from+exportDays*day)) }),
		store.Close())
}

// readDay reads every sample of a day. Of a server's answer only the length is
// looked at.
func readDay(store peer.Store, channels []int, from int64) error {
	want := len(channels) * int(day/workload.Step)
	if server, ok := store.(peer.Answerer); ok {
		var answer counter
		err := server.Answer(&answer, channels, from, from+day)
		if least := 2 * want; err == nil && int(answer) < least {
			err = fmt.Errorf("the day is %d bytes, less than %d", answer, least)
		}
		return err
	}
	rows := 0
	err := store.Raw(channels, from, from+day, func(_ int, times []int64, _ []float64) error {
		rows += len(times)
		return nil
	})
	// Jitter moves a few samples over midnight.
	if err == nil && (rows < want-len(channels) || rows > want+len(channels)) {
		err = fmt.Errorf("the day has %d samples, not %d", rows, want)
	}
	return err
}

// counter counts the bytes that are written to it.
type counter int

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// export writes to a file, as people do.
func (t *task) export(store peer.Store, channels []int, from, to int64) error {
	file, err := os.CreateTemp(t.Folder, "export-*")
	if err != nil {
		return err
	}
	return errors.Join(store.Export(file, channels, from, to), file.Close(), os.Remove(file.Name()))
}

func readSmall(t *task) error {
	e := extentOf("small", t.Short)
	store, _, err := t.open("small", e.channels, now(e))
	if err != nil {
		return err
	}
	latest := t.ask("read.latest", func() error {
		told, err := store.Latest(peer.Channels(latestChannels))
		if err == nil && told != latestChannels {
			err = fmt.Errorf("%d channels told their newest sample, not %d", told, latestChannels)
		}
		return err
	})
	if t.Round > 0 {
		return errors.Join(latest, store.Close())
	}
	s := t.generate("small")
	defer s.Release()
	var found comparisonOfSamples
	if err := errors.Join(latest, found.read(store, s), store.Close()); err != nil {
		return err
	}
	t.add("exact.small", found.percent(""))
	for _, class := range workload.Classes {
		t.add("exact.small."+class, found.percent(class))
	}
	return nil
}

// comparisonOfSamples counts samples by class, and those that came back
// changed or not at all.
type comparisonOfSamples struct{ all, wrong map[string]int }

// read compares all of a store's samples with those of a set.
func (c *comparisonOfSamples) read(store peer.Store, s *workload.Set) error {
	c.all, c.wrong = map[string]int{}, map[string]int{}
	right := make([]int, len(s.Channels))
	next := make([]int, len(s.Channels)) // the sample to be found next
	from, to := s.Span()
	err := store.Raw(peer.Channels(len(s.Channels)), from, to, func(channel int, times []int64, values []float64) error {
		want := &s.Channels[channel]
		i := next[channel]
		for k, t := range times {
			for i < len(want.Times) && want.Times[i] < t {
				i++
			}
			if i < len(want.Times) && want.Times[i] == t {
				if math.Float64bits(values[k]) == math.Float64bits(want.Values[i]) {
					right[channel]++
				}
				i++
			}
		}
		next[channel] = i
		return nil
	})
	for i := range s.Channels {
		want := &s.Channels[i]
		for _, class := range []string{"", want.Class} {
			c.all[class] += len(want.Times)
			c.wrong[class] += len(want.Times) - right[i]
		}
	}
	return err
}

// join adds what another comparison counted.
func (c *comparisonOfSamples) join(o comparisonOfSamples) {
	if c.all == nil {
		c.all, c.wrong = map[string]int{}, map[string]int{}
	}
	for class, n := range o.all {
		c.all[class] += n
		c.wrong[class] += o.wrong[class]
	}
}

// percent is the share of a class's samples, or of all, that are wrong.
func (c *comparisonOfSamples) percent(class string) float64 {
	return 100 * float64(c.wrong[class]) / float64(max(c.all[class], 1))
}
