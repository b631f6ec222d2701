// Package receipt keeps what was answered to requests that may come again, so
// that a repeat is answered as the first was and does nothing. It is part of the
// fold state: a pure function of a tenant's entries, with no clock of its own.
package receipt

import (
	"errors"
	"math/bits"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// Window is how many sequences of a producer are told apart: its highest, and
// those before it. What is older can be told to be so, and no more.
const Window = 64

// ID names a request: by a key that its sender made up, or by its producer and a
// number that the producer counts up.
type ID struct {
	Key      string // "" where Producer names it
	Producer string
	Sequence uint64 // from 1
}

// Validate returns why id names no request.
func (id ID) Validate() error {
	name := id.Key + id.Producer
	switch {
	case (id.Key == "") == (id.Producer == ""):
		return errors.New("a request has a key, or a producer and a sequence")
	case int64(len(name)) > policy.KeyBytes.Default:
		return errors.New("the name has too many bytes")
	case (id.Producer == "") != (id.Sequence == 0):
		return errors.New("a producer counts from 1, and a key has no sequence")
	}
	for i := range len(name) {
		if name[i] < ' ' || name[i] > '~' {
			return errors.New("the name has other bytes than visible ASCII and blanks")
		}
	}
	return nil
}

// Fingerprint tells requests of one ID apart: a hash of all that was sent.
type Fingerprint [16]byte

// Receipt is what was answered to a request.
type Receipt struct {
	ID          ID
	Fingerprint Fingerprint
	Time        int64  // of the entry, in nanoseconds since the epoch
	Status      uint16 // of HTTP; 0: the answer is not kept
	Header      string // what of the answer's header is repeated, as whoever answers writes it
	Answer      []byte
}

// overhead is about what a receipt takes in memory beside its texts.
const overhead = 160

func (r *Receipt) size() int {
	return overhead + len(r.ID.Key) + len(r.ID.Producer) + len(r.Header) + len(r.Answer)
}

// withoutAnswer returns r as it is kept where there is no room for the answer.
func (r *Receipt) withoutAnswer() *Receipt {
	return &Receipt{ID: r.ID, Fingerprint: r.Fingerprint, Time: r.Time}
}

// producer is what is known of a producer.
type producer struct {
	high uint64 // the highest sequence that was done
	done uint64 // bit i: high-i was done
	last int64  // time of its last receipt
}

// sees reports how far before the highest the sequence is, and whether that is
// in the window.
func (p *producer) sees(sequence uint64) (back uint64, inside bool) {
	if sequence > p.high {
		return 0, true
	}
	back = p.high - sequence
	return back, back < Window
}

// Set is a tenant's receipts. The zero value has none. It may be read by many at
// once, while nobody changes it.
type Set struct {
	all       map[ID]*Receipt
	producers map[string]*producer

	// Receipts in the order of their entries. Those that are not in all any
	// more, or as another, are passed over.
	keys, sequences []*Receipt

	keyCount, keyBytes, sequenceBytes int
}

// live reports whether something of a time still counts at now. What lies far
// ahead was written by a clock that was wrong.
func live(at, now, age int64) bool { return at > now-age && at <= now+model.Day }

func liveKey(r *Receipt, now int64) bool { return live(r.Time, now, policy.KeyAge.Default) }

func (p *producer) live(now int64) bool { return live(p.last, now, policy.ProducerAge.Default) }

// State is what is known of a request.
type State uint8

// The states of a request.
const (
	New       State = iota // it was not done, as far as is known
	Done                   // it was, and the receipt has its answer
	Forgotten              // it was, and its answer is not kept
	TooOld                 // its sequence lies before the producer's window: whether it was done is not known
)

// Find returns what is known of a request at a time, in nanoseconds since the
// epoch, with the receipt where it is Done, and where it is Forgotten and a
// receipt is left.
func (s *Set) Find(id ID, now int64) (State, *Receipt) {
	r := s.all[id]
	if id.Producer == "" {
		if r == nil || !liveKey(r, now) {
			return New, nil
		}
		return stateOf(r), r
	}
	p := s.producers[id.Producer]
	if p == nil || !p.live(now) || id.Sequence > p.high {
		return New, nil
	}
	back, inside := p.sees(id.Sequence)
	switch {
	case !inside:
		return TooOld, nil
	case p.done&(1<<back) == 0:
		return New, nil
	case r == nil:
		return Forgotten, nil
	}
	return stateOf(r), r
}

func stateOf(r *Receipt) State {
	if r.Status == 0 {
		return Forgotten
	}
	return Done
}

// Refusal says which limit a new request meets.
type Refusal struct {
	Limit policy.Limit
	Until int64 // when there is room again if nothing else comes, in nanoseconds since the epoch
}

// Room returns nil where a receipt of a new request may be kept at a time, while
// so many others with keys are in progress.
func (s *Set) Room(id ID, now int64, inProgress int) *Refusal {
	if id.Producer != "" {
		return s.producerRoom(id.Producer, now)
	}
	count, bytes := s.keyCount+inProgress, s.keyBytes
	fits := func() bool {
		return int64(count) < policy.IdempotencyKeys.Default && int64(bytes) <= policy.ReceiptBytes.Default-policy.AnswerKept.Default
	}
	if fits() {
		return nil
	}
	limit, until := policy.IdempotencyKeys, now
	if int64(count) < policy.IdempotencyKeys.Default {
		limit = policy.ReceiptBytes
	}
	for _, r := range s.keys {
		if s.all[r.ID] != r {
			continue
		}
		if liveKey(r, now) {
			until = r.Time + policy.KeyAge.Default
			break
		}
		count, bytes = count-1, bytes-r.size()
		if fits() {
			return nil
		}
	}
	return &Refusal{limit, until}
}

func (s *Set) producerRoom(name string, now int64) *Refusal {
	if s.producers[name] != nil || int64(len(s.producers)) < policy.Producers.Default {
		return nil
	}
	oldest := now
	for _, p := range s.producers {
		if !p.live(now) {
			return nil
		}
		oldest = min(oldest, p.last)
	}
	return &Refusal{policy.Producers, oldest + policy.ProducerAge.Default}
}

// Put applies a receipt. now is the time of the fold: receipts that are too old
// by then go. Where there are more than there may be, the oldest go too.
func (s *Set) Put(r *Receipt, now int64) {
	s.begin()
	if r.ID.Producer == "" {
		s.putKey(r, now)
	} else {
		s.putSequence(r, now)
	}
	s.tidy()
}

// begin makes the maps of a set that has none.
func (s *Set) begin() {
	if s.all == nil {
		s.all, s.producers = map[ID]*Receipt{}, map[string]*producer{}
	}
}

func (s *Set) putKey(r *Receipt, now int64) {
	s.remove(r.ID)
	for len(s.keys) > 0 {
		oldest := s.keys[0]
		if s.all[oldest.ID] == oldest {
			if liveKey(oldest, now) && int64(s.keyCount) < policy.IdempotencyKeys.Default {
				break
			}
			s.remove(oldest.ID)
		}
		s.keys = s.keys[1:]
	}
	if int64(s.keyBytes+r.size()) > policy.ReceiptBytes.Default {
		r = r.withoutAnswer()
	}
	s.all[r.ID] = r
	s.keys = append(s.keys, r)
	s.keyCount++
	s.keyBytes += r.size()
	s.forgetAnswers()
}

func (s *Set) putSequence(r *Receipt, now int64) {
	p := s.producers[r.ID.Producer]
	if p != nil && !p.live(now) {
		s.forgetProducer(r.ID.Producer)
		p = nil
	}
	if p == nil {
		s.makeRoom(now)
		p = &producer{}
		s.producers[r.ID.Producer] = p
	}
	back, inside := p.sees(r.ID.Sequence)
	if !inside {
		return // nobody asked for it
	}
	if r.ID.Sequence > p.high {
		s.advance(r.ID.Producer, p, r.ID.Sequence)
	}
	p.done |= 1 << back
	p.last = r.Time
	s.remove(r.ID)
	if r.Status == 0 {
		return // that it was done is all there is to know
	}
	s.all[r.ID] = r
	s.sequences = append(s.sequences, r)
	s.sequenceBytes += r.size()
	s.forgetAnswers()
}

// advance moves a producer's window to a higher sequence, and forgets what lies
// before it.
func (s *Set) advance(name string, p *producer, high uint64) {
	by := high - p.high
	before := p.done
	if by < Window {
		p.done <<= by
		before &^= p.done >> by // what leaves the window
	} else {
		p.done = 0
	}
	s.removeSequences(name, p.high, before)
	p.high = high
}

// removeSequences removes the receipts of a producer's sequences: high-i for each
// bit i.
func (s *Set) removeSequences(name string, high, of uint64) {
	for ; of != 0; of &= of - 1 {
		s.remove(ID{Producer: name, Sequence: high - uint64(bits.TrailingZeros64(of))})
	}
}

func (s *Set) forgetProducer(name string) {
	p := s.producers[name]
	s.removeSequences(name, p.high, p.done)
	delete(s.producers, name)
}

// makeRoom forgets the producers that were idle for too long, and of too many
// that which was for longest.
func (s *Set) makeRoom(now int64) {
	if int64(len(s.producers)) < policy.Producers.Default {
		return
	}
	idle := ""
	for name, p := range s.producers {
		if !p.live(now) {
			s.forgetProducer(name)
			continue
		}
		if o := s.producers[idle]; o == nil || p.last < o.last || p.last == o.last && name < idle {
			idle = name
		}
	}
	if int64(len(s.producers)) >= policy.Producers.Default {
		s.forgetProducer(idle)
	}
}

// forgetAnswers forgets the oldest answers to producers while all that is kept
// is more than may be: that they were done stays known.
func (s *Set) forgetAnswers() {
	for len(s.sequences) > 0 && int64(s.keyBytes+s.sequenceBytes) > policy.ReceiptBytes.Default {
		if oldest := s.sequences[0]; s.all[oldest.ID] == oldest {
			s.remove(oldest.ID)
		}
		s.sequences = s.sequences[1:]
	}
}

// remove takes a receipt out of all; the lists pass over it.
func (s *Set) remove(id ID) {
	r := s.all[id]
	if r == nil {
		return
	}
	delete(s.all, id)
	if id.Producer == "" {
		s.keyCount--
		s.keyBytes -= r.size()
	} else {
		s.sequenceBytes -= r.size()
	}
}

// tidy takes what is removed out of the lists, once that is half of them.
func (s *Set) tidy() {
	const few = 64
	if len(s.keys) > 2*s.keyCount+few {
		s.keys = s.kept(s.keys)
	}
	if len(s.sequences) > 2*(len(s.all)-s.keyCount)+few {
		s.sequences = s.kept(s.sequences)
	}
}

func (s *Set) kept(list []*Receipt) []*Receipt {
	var kept []*Receipt
	for _, r := range list {
		if s.all[r.ID] == r {
			kept = append(kept, r)
		}
	}
	return kept
}

// Len returns how many keys and producers are known.
func (s *Set) Len() (keys, producers int) { return s.keyCount, len(s.producers) }
