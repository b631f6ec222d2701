// Package logtest is what every wal.Log must do, as tests.
package logtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/wal"
)

// Entry returns an entry of a tenant with rows; i tells entries apart: it is
// the entry's time.
func Entry(tenant model.Tenant, i, rows int) *entry.Entry {
	column := entry.Column{Channel: 1}
	for r := range rows {
		column.Times = append(column.Times, int64(r))
		column.Values = append(column.Values, float64(i)+float64(r)/8)
	}
	return &entry.Entry{Partition: tenant.Partition(), Time: int64(i), Tenant: tenant,
		Body: &entry.Rows{Columns: []entry.Column{column}}}
}

// Append appends e for an owner of epoch 1.
func Append(l wal.Log, e *entry.Entry) (uint64, error) {
	return l.Append(wal.Claim{Partition: e.Partition, Epoch: 1}, e)
}

// All is an after function of wal.Log's Tail: nothing was seen yet.
func All(model.Partition) uint64 { return 0 }

// Drain returns copies of everything that a tail has at once.
func Drain(l wal.Log) ([]entry.Entry, error) {
	c, err := l.Tail(nil, All)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var all []entry.Entry
	for {
		entries, err := c.TryNext()
		if err != nil {
			return nil, err
		}
		if entries == nil {
			return all, nil
		}
		for _, e := range entries {
			all = append(all, copyOf(e))
		}
	}
}

func copyOf(e *entry.Entry) entry.Entry {
	encoded, err := e.AppendTo(nil)
	if err != nil {
		panic(fmt.Sprintf("an entry that was read cannot be written: %v", err))
	}
	var result entry.Entry
	if err := entry.Decode(encoded, &result); err != nil {
		panic(fmt.Sprintf("an entry that was written cannot be read: %v", err))
	}
	return result
}

// Run runs the suite. start returns a function that opens a new log and, each
// time it is called again after the log was closed, the same log.
func Run(t *testing.T, start func(t *testing.T) (open func() wal.Log)) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, open func() wal.Log)
	}{
		{"Offsets", testOffsets},
		{"Reopen", testReopen},
		{"TailFilters", testTailFilters},
		{"LiveIsTheSamePointer", testLiveIsTheSamePointer},
		{"ConcurrentAppendersAndTails", testConcurrent},
		{"NextWaits", testNextWaits},
		{"EndOfLog", testEndOfLog},
		{"CursorClose", testCursorClose},
		{"RefusedEntry", testRefusedEntry},
		{"Trim", testTrim},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, start(t)) })
	}
}

func mustAppend(t *testing.T, l wal.Log, e *entry.Entry) uint64 {
	t.Helper()
	offset, err := Append(l, e)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return offset
}

func testOffsets(t *testing.T, open func() wal.Log) {
	l := open()
	defer l.Close()
	if first, last := l.Bounds(); first != 1 || last != 0 {
		t.Errorf("bounds of an empty log: %d, %d", first, last)
	}
	for i := 1; i <= 10; i++ {
		e := Entry("a", i, 3)
		if offset := mustAppend(t, l, e); offset != uint64(i) || e.Offset != offset {
			t.Fatalf("append %d gave %d and set %d", i, offset, e.Offset)
		}
		if first, last := l.Bounds(); first != 1 || last != uint64(i) {
			t.Errorf("bounds after %d: %d, %d", i, first, last)
		}
	}
	if _, err := l.Append(wal.Claim{Partition: Entry("a", 1, 1).Partition + 1}, Entry("a", 1, 1)); err == nil {
		t.Error("an entry of another partition than claimed was taken")
	}
}

func testReopen(t *testing.T, open func() wal.Log) {
	var written []*entry.Entry
	for round := range 4 {
		l := open()
		read, err := Drain(l)
		if err != nil {
			t.Fatal(err)
		}
		if len(read) != len(written) {
			t.Fatalf("round %d: %d entries of %d", round, len(read), len(written))
		}
		for i := range read {
			if !read[i].Equal(written[i]) {
				t.Fatalf("entry %d came back different", read[i].Offset)
			}
		}
		for i := range round * 5 { // none in the first round
			e := Entry(model.Tenant(fmt.Sprint("tenant-", i)), i, i)
			mustAppend(t, l, e)
			written = append(written, e)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("closing twice: %v", err)
		}
		if _, err := Append(l, Entry("a", 1, 1)); !errors.Is(err, wal.ErrClosed) {
			t.Errorf("append to a closed log: %v", err)
		}
	}
}

func testTailFilters(t *testing.T, open func() wal.Log) {
	l := open()
	tenants := []model.Tenant{"a", "b", "c", "d"}
	var expected []uint64
	wanted := []model.Partition{tenants[0].Partition(), tenants[2].Partition()}
	after := func(p model.Partition) uint64 {
		if p == wanted[0] {
			return 20
		}
		return 33
	}
	live := func(l wal.Log, from, to int) {
		for i := from; i <= to; i++ {
			tenant := tenants[i%len(tenants)]
			offset := mustAppend(t, l, Entry(tenant, i, 2))
			p := tenant.Partition()
			if (p == wanted[0] || p == wanted[1]) && offset > after(p) {
				expected = append(expected, offset)
			}
		}
	}
	live(l, 1, 40)
	l.Close()
	l = open()
	defer l.Close()
	c, err := l.Tail(wanted, after)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	live(l, 41, 60)
	var got []uint64
	for {
		entries, err := c.TryNext()
		if err != nil {
			t.Fatal(err)
		}
		if entries == nil {
			break
		}
		for _, e := range entries {
			got = append(got, e.Offset)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(expected) {
		t.Errorf("got %v, expected %v", got, expected)
	}
	if !c.CaughtUp() {
		t.Error("not caught up at the end")
	}
}

func testLiveIsTheSamePointer(t *testing.T, open func() wal.Log) {
	l := open()
	defer l.Close()
	c, err := l.Tail(nil, All)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !c.CaughtUp() {
		t.Error("a tail of an empty log is not caught up")
	}
	for i := range 5 {
		e := Entry("a", i, 1)
		mustAppend(t, l, e)
		entries, err := c.TryNext()
		if err != nil || len(entries) != 1 || entries[0] != e {
			t.Fatalf("got %v, %v", entries, err)
		}
	}
	if entries, err := c.TryNext(); entries != nil || err != nil {
		t.Errorf("got %v, %v where nothing is left", entries, err)
	}
}

// testConcurrent appends from many goroutines while tails come and go: each
// tail gets every entry once and in order.
func testConcurrent(t *testing.T, open func() wal.Log) {
	const appenders, each, tails = 8, 60, 6
	l := open()
	for i := range 20 {
		mustAppend(t, l, Entry("before", i, 1))
	}
	var mu sync.Mutex
	acknowledged := map[uint64]*entry.Entry{}
	var appending, reading sync.WaitGroup
	half := make(chan struct{})
	for a := range appenders {
		appending.Go(func() {
			for i := range each {
				if a == 0 && i == each/2 {
					close(half)
				}
				e := Entry(model.Tenant(fmt.Sprint("tenant-", a)), a*each+i, 1+i%4)
				offset, err := Append(l, e)
				if err != nil {
					t.Errorf("append: %v", err)
					return
				}
				mu.Lock()
				if acknowledged[offset] != nil {
					t.Errorf("offset %d was given twice", offset)
				}
				acknowledged[offset] = e
				mu.Unlock()
			}
		})
	}
	for i := range tails {
		reading.Go(func() {
			if i%2 == 1 {
				<-half
			}
			readAll(t, l, 20+appenders*each)
		})
	}
	appending.Wait()
	if first, last := l.Bounds(); first != 1 || last != 20+appenders*each {
		t.Errorf("bounds %d, %d", first, last)
	}
	reading.Wait()
	l.Close()
	l = open()
	defer l.Close()
	all, err := Drain(l)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all[20:] {
		if e := &all[20+i]; !e.Equal(acknowledged[e.Offset]) {
			t.Fatalf("entry %d is not what was appended", e.Offset)
		}
	}
}

func readAll(t *testing.T, l wal.Log, count int) {
	c, err := l.Tail(nil, All)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	for next := uint64(1); next <= uint64(count); {
		entries, err := c.Next(context.Background())
		if err != nil {
			t.Errorf("next: %v", err)
			return
		}
		for _, e := range entries {
			if e.Offset != next {
				t.Errorf("got entry %d where %d belongs", e.Offset, next)
				return
			}
			next++
		}
	}
}

func testNextWaits(t *testing.T, open func() wal.Log) {
	l := open()
	defer l.Close()
	c, err := l.Tail(nil, All)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("next with a context that has ended: %v", err)
	}
	got := make(chan uint64)
	go func() {
		entries, err := c.Next(context.Background())
		if err != nil {
			t.Error(err)
			close(got)
			return
		}
		got <- entries[0].Offset
	}()
	mustAppend(t, l, Entry("a", 1, 1))
	if offset := <-got; offset != 1 {
		t.Errorf("got entry %d", offset)
	}
}

func testEndOfLog(t *testing.T, open func() wal.Log) {
	l := open()
	mustAppend(t, l, Entry("a", 1, 1))
	c, err := l.Tail(nil, All)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, Entry("a", 2, 1))
	waiting := make(chan error)
	other, err := l.Tail(nil, func(model.Partition) uint64 { return 2 })
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := other.Next(context.Background())
		waiting <- err
	}()
	l.Close()
	if err := <-waiting; err != io.EOF {
		t.Errorf("a tail that waited: %v", err)
	}
	for offset := uint64(1); offset <= 2; {
		entries, err := c.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Offset != offset {
				t.Fatalf("entry %d where %d belongs", e.Offset, offset)
			}
			offset++
		}
	}
	for range 2 {
		if _, err := c.Next(context.Background()); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
	}
	if _, err := l.Tail(nil, All); !errors.Is(err, wal.ErrClosed) {
		t.Errorf("tail of a closed log: %v", err)
	}
}

func testCursorClose(t *testing.T, open func() wal.Log) {
	l := open()
	defer l.Close()
	c, err := l.Tail(nil, All)
	if err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error)
	go func() {
		_, err := c.Next(context.Background())
		waiting <- err
	}()
	c.Close()
	if err := <-waiting; !errors.Is(err, wal.ErrClosed) {
		t.Errorf("a closed cursor that waited: %v", err)
	}
	c.Close()
	mustAppend(t, l, Entry("a", 1, 1))
}

func testRefusedEntry(t *testing.T, open func() wal.Log) {
	l := open()
	mustAppend(t, l, Entry("a", 1, 1))
	if _, err := Append(l, Entry("a", 2, entry.MaxBytes/8)); !errors.Is(err, entry.ErrTooLarge) {
		t.Errorf("an entry that is too large: %v", err)
	}
	if offset := mustAppend(t, l, Entry("a", 3, 1)); offset != 2 {
		t.Errorf("after a refused entry comes offset %d", offset)
	}
	l.Close()
	l = open()
	defer l.Close()
	if all, err := Drain(l); err != nil || len(all) != 2 {
		t.Errorf("%d entries, %v", len(all), err)
	}
}

func testTrim(t *testing.T, open func() wal.Log) {
	const entries, upTo = 50, 30
	l := open()
	for i := range entries {
		mustAppend(t, l, Entry("a", i, 500))
	}
	for range 2 { // before and after opening again
		if err := l.Trim(upTo); err != nil {
			t.Fatal(err)
		}
		first, last := l.Bounds()
		if first > upTo+1 || last != entries {
			t.Errorf("bounds %d, %d after trim to %d", first, last, upTo)
		}
		all, err := Drain(l)
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			if all[i].Offset != first+uint64(i) {
				t.Fatalf("entry %d where %d belongs", all[i].Offset, first+uint64(i))
			}
		}
		if uint64(len(all)) != last+1-first {
			t.Errorf("%d entries from %d to %d", len(all), first, last)
		}
		l.Close()
		l = open()
	}
	if err := l.Trim(1 << 60); err != nil {
		t.Fatal(err)
	}
	if _, last := l.Bounds(); last != entries {
		t.Errorf("trimming everything lost the newest offset: %d", last)
	}
	if offset := mustAppend(t, l, Entry("a", 1, 1)); offset != entries+1 {
		t.Errorf("offset %d after trimming everything", offset)
	}
	l.Close()
}
