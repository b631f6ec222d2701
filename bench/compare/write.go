package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hokan-db/hokan/bench/peer"
	"github.com/hokan-db/hokan/bench/workload"
)

const (
	batchRows    = 1000   // of a batch of live samples
	backfillRows = 10_000 // of a call that backfills
)

// appendAll writes a set as it would arrive live.
func appendAll(store peer.Store, s *workload.Set, writers int) error {
	var next atomic.Int64
	return together(writers, func() error {
		rows := make([]workload.Row, batchRows)
		for {
			n := s.Rows(rows, int(next.Add(batchRows)-batchRows))
			if n == 0 {
				return nil
			}
			if err := store.Append(rows[:n]); err != nil {
				return err
			}
		}
	})
}

// together runs writers until each has returned, and returns what went wrong.
func together(writers int, write func() error) error {
	var running sync.WaitGroup
	failed := make([]error, writers)
	for i := range failed {
		running.Go(func() { failed[i] = write() })
	}
	running.Wait()
	return errors.Join(failed...)
}

// backfillAll writes a set by columns: of each window of time all channels.
func backfillAll(store peer.Store, s *workload.Set, subject peer.Subject) error {
	done := make([]int, len(s.Channels)) // rows of each channel
	start, end := s.Span()
	window := subject.Window
	if window == 0 {
		window = end - start
	} else {
		start -= ((start % window) + window) % window // windows begin where blocks do
	}
	for ; start < end; start += window {
		calls := cut(s, done, start+window, subject.Columns)
		var next atomic.Int64
		err := together(min(subject.Writers, len(calls)), func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(calls) {
					return nil
				}
				if err := store.Backfill(calls[i]); err != nil {
					return err
				}
			}
		})
		if err := errors.Join(err, store.EndWindow()); err != nil {
			return err
		}
	}
	return nil
}

// cut lists the calls that write the rows before end that are not done, each of
// so many channels, and marks them as done. Groups of channels follow upon each
// other where a call has one, otherwise pieces of time.
func cut(s *workload.Set, done []int, end int64, columns int) (calls [][]peer.Column) {
	limit := make([]int, len(done))
	longest := 0
	for i := range s.Channels {
		limit[i] = done[i] + before(s.Channels[i].Times[done[i]:], end)
		longest = max(longest, limit[i]-done[i])
	}
	rows := backfillRows / columns
	call := func(first, offset int) {
		var call []peer.Column
		for i := first; i < min(first+columns, len(limit)); i++ {
			c := &s.Channels[i]
			if from := done[i] + offset; from < limit[i] {
				to := min(from+rows, limit[i])
				call = append(call, peer.Column{Channel: i, Times: c.Times[from:to], Values: c.Values[from:to]})
			}
		}
		if call != nil {
			calls = append(calls, call)
		}
	}
	if columns == 1 {
		for i := range limit {
			for offset := 0; offset < longest; offset += rows {
				call(i, offset)
			}
		}
	} else {
		for offset := 0; offset < longest; offset += rows {
			for i := 0; i < len(limit); i += columns {
				call(i, offset)
			}
		}
	}
	copy(done, limit)
	return calls
}

// before counts the times that are before end.
func before(times []int64, end int64) int {
	return sort.Search(len(times), func(i int) bool { return times[i] >= end })
}

// written is what writing a set gave.
type written struct {
	rate, ratePerCPU float64 // samples a second
	before           memory  // before the store was opened
	after            memory  // right after the last sample
	collected        memory  // after a forced collection; nothing for a server
	settled          memory
	size             peer.Size
	folder           int64 // bytes of everything in it, once closed
}

// writer writes a set into a store.
type writer func(store peer.Store, s *workload.Set, t *task) error

func live(store peer.Store, s *workload.Set, t *task) error {
	return appendAll(store, s, t.subject.Writers)
}

func columns(store peer.Store, s *workload.Set, t *task) error {
	return backfillAll(store, s, t.subject)
}

// write opens a store, lets it have a set and settle, closes it, and measures
// all that. The set is released.
func (t *task) write(s *workload.Set, by writer) (w written, err error) {
	_, end := s.Span()
	samples := float64(s.Samples())
	if w.before, err = memoryOf(os.Getpid()); err != nil {
		return w, err
	}
	cpu := processorTime(t.subject.Server)
	store, _, err := t.open(s.Name, len(s.Channels), end-1)
	if err != nil {
		return w, err
	}
	started := time.Now()
	if err := by(store, s, t); err != nil {
		return w, errors.Join(err, store.Close())
	}
	w.rate = samples / time.Since(started).Seconds()
	s.Release()
	if err := errors.Join(t.memory(store, &w), store.Settle()); err != nil {
		return w, errors.Join(err, store.Close())
	}
	w.settled, err = memoryOf(store.Process())
	if err := errors.Join(err, store.Close()); err != nil {
		return w, err
	}
	w.ratePerCPU = samples / (processorTime(t.subject.Server) - cpu).Seconds()
	folder := filepath.Join(t.Folder, s.Name)
	if w.folder, err = peer.FolderBytes(folder); err != nil {
		return w, err
	}
	w.size, err = t.subject.Size(folder)
	return w, err
}

// memory measures what is held after a set was written.
func (t *task) memory(store peer.Store, w *written) (err error) {
	if w.after, err = memoryOf(store.Process()); err != nil || t.subject.Server {
		w.before = memory{}
		return err
	}
	debug.FreeOSMemory()
	w.collected, err = memoryOf(store.Process())
	return err
}

// tellSize adds the measures of a set's size.
func (t *task) tellSize(set string, w written, samples int) {
	if t.subject.SlowToSettle && t.settleSeconds() == 0 {
		return
	}
	n := float64(samples)
	t.add("size."+set+".total", float64(w.folder)/n)
	t.add("size."+set+".data", float64(w.size.Raw+w.size.Rollups+w.size.Index)/n)
	t.add("size."+set+".raw", float64(w.size.Raw)/n)
	t.add("size."+set+".rollups", float64(w.size.Rollups)/n)
	t.add("size."+set+".index", float64(w.size.Index)/n)
}

func writeSmall(t *task) error {
	s := t.generate("small")
	samples := s.Samples()
	w, err := t.write(s, live)
	if err != nil {
		return err
	}
	t.add("ingest.small", w.rate)
	t.add("ingest.small.cpu", w.ratePerCPU)
	t.tellSize("small", w, samples)
	return nil
}

func writeYear(t *task) error {
	s := t.generate("year")
	samples := s.Samples()
	w, err := t.write(s, columns)
	if err != nil {
		return err
	}
	t.add("backfill.year", w.rate)
	t.add("backfill.year.cpu", w.ratePerCPU)
	t.tellSize("year", w, samples)
	return nil
}

func backfillSmall(t *task) error {
	w, err := t.write(t.generate("small"), columns)
	if err != nil {
		return err
	}
	t.add("backfill.small", w.rate)
	t.add("backfill.small.cpu", w.ratePerCPU)
	return nil
}

func writeWide(t *task) error {
	s := t.generate("wide")
	samples := s.Samples()
	w, err := t.write(s, live)
	if err != nil {
		return err
	}
	t.add("ingest.wide", w.rate)
	t.add("ingest.wide.cpu", w.ratePerCPU)
	t.tellSize("wide", w, samples)
	t.add("memory.wide", w.after.resident)
	t.add("memory.wide.anonymous", w.after.anonymous)
	t.add("memory.wide.settled", w.settled.resident)
	if !t.subject.Server {
		t.add("memory.wide.collected", w.collected.resident)
		t.add("memory.wide.before", w.before.resident)
	}
	return nil
}

func writeClasses(t *task) error {
	e := extentOf("class", t.Short)
	for _, class := range workload.Classes {
		s, err := workload.GenerateClass(class, e.channels, e.samples)
		if err != nil {
			return err
		}
		samples := s.Samples()
		w, err := t.write(s, columns)
		if err != nil {
			return err
		}
		t.add("size.class."+class, float64(w.size.Raw+w.size.Rollups+w.size.Index)/float64(samples))
	}
	return nil
}

// shortFiles is how many sets of real files a short run writes.
const shortFiles = 4

func writeFiles(t *task) error {
	sets, err := workload.Files(t.Data)
	if err != nil {
		return err
	}
	if t.Short {
		sets = sets[:min(shortFiles, len(sets))]
	}
	var all comparisonOfSamples
	for _, s := range sets {
		copied := *s // write releases the set
		samples := s.Samples()
		w, err := t.write(&copied, columns)
		if err != nil {
			return err
		}
		t.add("size.files."+s.Name, float64(w.size.Raw+w.size.Rollups+w.size.Index)/float64(samples))
		_, end := s.Span()
		store, _, err := t.open(s.Name, len(s.Channels), end-1)
		if err != nil {
			return err
		}
		var one comparisonOfSamples
		if err := errors.Join(one.read(store, s), store.Close()); err != nil {
			return err
		}
		t.add("exact.files."+s.Name, one.percent(""))
		all.join(one)
	}
	t.add("exact.files", all.percent(""))
	return nil
}

// crash writes a set and kills the store right after the last acknowledgement.
func crash(t *task) error {
	e := extentOf("small", t.Short)
	s := t.generate("small")
	store, _, err := t.open(s.Name, e.channels, now(e))
	if err != nil {
		return err
	}
	if err := live(store, s, t); err != nil {
		return err
	}
	return store.Kill()
}

func reopen(t *task) error {
	e := extentOf("small", t.Short)
	store, took, err := t.open("small", e.channels, now(e))
	if err != nil {
		return err
	}
	found, err := store.Count()
	if err := errors.Join(err, store.Close()); err != nil {
		return err
	}
	t.add("crash.reopen", milliseconds(took))
	t.add("crash.lost", float64(int64(e.channels*e.samples)-found))
	return nil
}
