package receipt_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/engine/receipt"
)

const start = int64(1_700_000_000e9)

func keyed(key string, at int64) *receipt.Receipt {
	return &receipt.Receipt{ID: receipt.ID{Key: key}, Time: at, Status: 200, Header: "h", Answer: []byte("to " + key)}
}

func numbered(producer string, sequence uint64, at int64) *receipt.Receipt {
	return &receipt.Receipt{ID: receipt.ID{Producer: producer, Sequence: sequence}, Time: at, Status: 200, Answer: fmt.Append(nil, sequence)}
}

func state(t *testing.T, s *receipt.Set, id receipt.ID, now int64, want receipt.State) *receipt.Receipt {
	t.Helper()
	got, r := s.Find(id, now)
	if got != want || (r != nil) != (got == receipt.Done) && got != receipt.Forgotten {
		t.Fatalf("%+v is %d with %+v, want %d", id, got, r, want)
	}
	return r
}

// TestKeysAreKeptForADay: a key is known until it is a day old, and by a clock
// that was set right after it had been a year ahead.
func TestKeysAreKeptForADay(t *testing.T) {
	s := &receipt.Set{}
	a := receipt.ID{Key: "a"}
	state(t, s, a, start, receipt.New)
	s.Put(keyed("a", start), start)
	if r := state(t, s, a, start, receipt.Done); string(r.Answer) != "to a" || r.Status != 200 || r.Header != "h" {
		t.Errorf("%+v", r)
	}
	state(t, s, receipt.ID{Producer: "a", Sequence: 1}, start, receipt.New)
	state(t, s, a, start+model.Day-1, receipt.Done)
	state(t, s, a, start+model.Day, receipt.New)
	s.Put(keyed("b", start+model.Day), start+model.Day)
	if keys, _ := s.Len(); keys != 1 {
		t.Errorf("%d keys are kept", keys)
	}
	s.Put(keyed("ahead", start+365*model.Day), start+365*model.Day)
	state(t, s, receipt.ID{Key: "ahead"}, start+model.Day, receipt.New)
}

// TestKeyLimits: the 4,097th key is refused until the first is a day old; so is
// one for which there are no bytes.
func TestKeyLimits(t *testing.T) {
	s := &receipt.Set{}
	most := int(policy.IdempotencyKeys.Default)
	if most != 4096 {
		t.Fatalf("there may be %d keys", most)
	}
	for i := range most {
		if refused := s.Room(receipt.ID{Key: "new"}, start, 0); refused != nil {
			t.Fatalf("key %d: %+v", i, refused)
		}
		s.Put(keyed(fmt.Sprint(i), start+int64(i)), start+int64(i))
	}
	now := start + int64(most)
	refused := s.Room(receipt.ID{Key: "new"}, now, 0)
	if refused == nil || refused.Limit.Name != policy.IdempotencyKeys.Name || refused.Until != start+model.Day {
		t.Fatalf("%+v", refused)
	}
	if s.Room(receipt.ID{Key: "new"}, start+model.Day, 0) != nil || s.Room(receipt.ID{Key: "new"}, start+model.Day, 1) == nil {
		t.Error("the first being a day old makes room for one, those in progress included")
	}
	if s.Room(receipt.ID{Producer: "p", Sequence: 1}, now, 0) != nil {
		t.Error("keys take the room of producers")
	}
	s.Put(keyed("more", now), now) // as if nobody had asked
	state(t, s, receipt.ID{Key: "0"}, now, receipt.New)
	state(t, s, receipt.ID{Key: "1"}, now, receipt.Done)
	state(t, s, receipt.ID{Key: "more"}, now, receipt.Done)

	s = &receipt.Set{}
	large := bytes.Repeat([]byte("x"), int(policy.AnswerKept.Default))
	n := 0
	for ; s.Room(receipt.ID{Key: "new"}, start, 0) == nil; n++ {
		s.Put(&receipt.Receipt{ID: receipt.ID{Key: fmt.Sprint(n)}, Time: start, Status: 200, Answer: large}, start)
	}
	if refused := s.Room(receipt.ID{Key: "new"}, start, 0); refused.Limit.Name != policy.ReceiptBytes.Name || n < 200 || n > 256 {
		t.Errorf("%d large answers, then %+v", n, refused)
	}
	for i := range n {
		state(t, s, receipt.ID{Key: fmt.Sprint(i)}, start, receipt.Done)
	}
}

// TestWindow: of a producer the highest sequence and the 63 before it are told
// apart; what is older is only told to be so.
func TestWindow(t *testing.T) {
	s := &receipt.Set{}
	id := func(sequence uint64) receipt.ID { return receipt.ID{Producer: "p", Sequence: sequence} }
	s.Put(numbered("p", 100, start), start)
	state(t, s, id(100), start, receipt.Done)
	for _, missing := range []uint64{37, 38, 99, 101, 1 << 62} {
		state(t, s, id(missing), start, receipt.New) // 36 is the first beyond
	}
	state(t, s, id(36), start, receipt.TooOld)
	s.Put(numbered("p", 37, start), start)
	state(t, s, id(37), start, receipt.Done)
	s.Put(numbered("p", 36, start), start) // nobody asked for it
	state(t, s, id(36), start, receipt.TooOld)
	s.Put(numbered("p", 101, start), start)
	state(t, s, id(37), start, receipt.TooOld)
	state(t, s, id(38), start, receipt.New)
	state(t, s, id(100), start, receipt.Done)
	s.Put(numbered("p", 163, start), start)
	for sequence, want := range map[uint64]receipt.State{100: receipt.Done, 101: receipt.Done, 102: receipt.New, 163: receipt.Done, 99: receipt.TooOld} {
		state(t, s, id(sequence), start, want)
	}
	s.Put(numbered("p", 1000, start), start)
	for sequence, want := range map[uint64]receipt.State{163: receipt.TooOld, 937: receipt.New, 936: receipt.TooOld, 1000: receipt.Done} {
		state(t, s, id(sequence), start, want)
	}
	state(t, s, id(1000), start+7*model.Day-1, receipt.Done)
	state(t, s, id(1), start+7*model.Day, receipt.New) // it is forgotten
	s.Put(numbered("p", 1, start+7*model.Day), start+7*model.Day)
	state(t, s, id(1), start+7*model.Day, receipt.Done)
	state(t, s, id(1000), start+7*model.Day, receipt.New)
}

// TestProducerLimit: one producer too many is refused until one was idle for a
// week, and the one that was for longest makes room.
func TestProducerLimit(t *testing.T) {
	s := &receipt.Set{}
	most := int(policy.Producers.Default)
	for i := range most {
		s.Put(numbered(fmt.Sprint("p", i), 1, start+int64(i)), start+int64(i))
	}
	now := start + int64(most)
	refused := s.Room(receipt.ID{Producer: "new", Sequence: 1}, now, 0)
	if refused == nil || refused.Limit.Name != policy.Producers.Name || refused.Until != start+7*model.Day {
		t.Fatalf("%+v", refused)
	}
	if s.Room(receipt.ID{Producer: "p7", Sequence: 2}, now, 0) != nil {
		t.Error("a known producer is refused")
	}
	if s.Room(receipt.ID{Producer: "new", Sequence: 1}, start+7*model.Day, 0) != nil {
		t.Error("an idle one makes no room")
	}
	s.Put(numbered("new", 1, now), now)
	if _, producers := s.Len(); producers != most {
		t.Errorf("%d producers", producers)
	}
	state(t, s, receipt.ID{Producer: "p0", Sequence: 1}, now, receipt.New)
	state(t, s, receipt.ID{Producer: "p1", Sequence: 1}, now, receipt.Done)
}

// TestAnswersToProducersGoFirst: beyond the bytes that there may be the oldest
// answers to producers are forgotten; that they were done stays known, and keys
// keep theirs.
func TestAnswersToProducersGoFirst(t *testing.T) {
	s := &receipt.Set{}
	s.Put(keyed("k", start), start)
	answer := bytes.Repeat([]byte("x"), int(policy.AnswerKept.Default))
	for i := range uint64(1000) {
		r := numbered(fmt.Sprint("p", i%100), i/100+1, start)
		r.Answer = answer
		s.Put(r, start)
	}
	state(t, s, receipt.ID{Key: "k"}, start, receipt.Done)
	state(t, s, receipt.ID{Producer: "p0", Sequence: 1}, start, receipt.Forgotten)
	state(t, s, receipt.ID{Producer: "p99", Sequence: 10}, start, receipt.Done)
	if b := s.AppendTo(nil); int64(len(b)) > policy.ReceiptBytes.Default+10_000 {
		t.Errorf("%d bytes", len(b))
	}
	s.Put(&receipt.Receipt{ID: receipt.ID{Key: "not kept"}, Time: start}, start)
	if r := state(t, s, receipt.ID{Key: "not kept"}, start, receipt.Forgotten); r == nil {
		t.Error("its fingerprint is lost")
	}
}

// TestSetRemembersAllAndNoMore compares a set with the list of all that was put,
// and one that is decoded again and again with one that never is.
func TestSetRemembersAllAndNoMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, again := &receipt.Set{}, &receipt.Set{}
		now := start
		last := map[receipt.ID]int64{}
		high := map[string]uint64{}
		for range rapid.IntRange(1, 60).Draw(t, "puts") {
			now += rapid.SampledFrom([]int64{0, 1, model.Day / 3, model.Day}).Draw(t, "later")
			var r *receipt.Receipt
			if rapid.Bool().Draw(t, "key") {
				r = keyed(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name"), now)
			} else {
				p := rapid.SampledFrom([]string{"p", "q"}).Draw(t, "producer")
				sequence := high[p] + rapid.SampledFrom([]uint64{1, 2, 10, 70}).Draw(t, "ahead")
				if back := rapid.Uint64Range(0, 80).Draw(t, "back"); back < sequence {
					sequence -= back
				}
				r = numbered(p, sequence, now)
				if high[p] >= receipt.Window && sequence <= high[p]-receipt.Window {
					if got, _ := s.Find(r.ID, now); got != receipt.TooOld {
						t.Fatalf("%+v is %d", r.ID, got)
					}
					continue
				}
				high[p] = max(high[p], sequence)
			}
			last[r.ID] = now
			s.Put(r, now)
			again.Put(r, now)
			var err error
			if again, err = receipt.DecodeSet(again.AppendTo(nil)); err != nil {
				t.Fatal(err)
			}
			for id, at := range last {
				want := receipt.New
				switch {
				case id.Key != "" && now-at < model.Day:
					want = receipt.Done
				case id.Producer != "" && high[id.Producer]-id.Sequence >= receipt.Window:
					want = receipt.TooOld
				case id.Producer != "":
					want = receipt.Done
				}
				if got, _ := s.Find(id, now); got != want && !idle(id, now, last) {
					t.Fatalf("%+v of %d is %d at %d, want %d", id, at, got, now, want)
				}
			}
			if !bytes.Equal(s.AppendTo(nil), again.AppendTo(nil)) {
				t.Fatal("decoded it is another")
			}
		}
	})
}

// idle reports whether a producer was idle for so long that it may be forgotten.
func idle(id receipt.ID, now int64, last map[receipt.ID]int64) bool {
	newest, gap := int64(0), int64(0)
	for other, at := range last {
		if id.Producer != "" && other.Producer == id.Producer {
			newest = max(newest, at)
			gap = max(gap, now-at)
		}
	}
	return id.Producer != "" && (now-newest >= 7*model.Day || gap >= 7*model.Day)
}

func TestNames(t *testing.T) {
	long := strings.Repeat("k", int(policy.KeyBytes.Default))
	for _, good := range []receipt.ID{{Key: "a b"}, {Key: long}, {Producer: "p", Sequence: 1}} {
		if err := good.Validate(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for _, bad := range []receipt.ID{{}, {Key: "a", Producer: "p", Sequence: 1}, {Key: long + "k"}, {Key: "ü"}, {Key: "a\n"},
		{Producer: "p"}, {Key: "k", Sequence: 1}, {Sequence: 1}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// FuzzDecodeSet reads anything: what is accepted is encoded as it was.
func FuzzDecodeSet(f *testing.F) {
	s := &receipt.Set{}
	f.Add(s.AppendTo(nil))
	s.Put(keyed("a", start), start)
	s.Put(numbered("p", 7, start), start)
	s.Put(numbered("p", 5, start), start)
	s.Put(numbered("p", 100, start), start)
	s.Put(&receipt.Receipt{ID: receipt.ID{Producer: "q", Sequence: 3}, Time: start}, start)
	f.Add(s.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := receipt.DecodeSet(b)
		if err != nil {
			if !errors.Is(err, receipt.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		again, err := receipt.DecodeSet(s.AppendTo(nil))
		if err != nil || !bytes.Equal(again.AppendTo(nil), s.AppendTo(nil)) {
			t.Fatalf("decoded again: %v", err)
		}
		s.Put(keyed("b", start), start)
		s.Put(numbered("p", 101, start), start)
	})
}

// TestEveryTruncationIsRefused cuts a set at every byte.
func TestEveryTruncationIsRefused(t *testing.T) {
	s := &receipt.Set{}
	s.Put(keyed("a", start), start)
	s.Put(numbered("p", 7, start), start)
	b := s.AppendTo(nil)
	for n := 1; n < len(b); n++ {
		if _, err := receipt.DecodeSet(b[:n]); !errors.Is(err, receipt.ErrMalformed) {
			t.Fatalf("%d of %d bytes: %v", n, len(b), err)
		}
	}
	if _, err := receipt.DecodeSet(append(b, 0)); err == nil {
		t.Error("bytes after the end are taken")
	}
}
