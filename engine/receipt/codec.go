package receipt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hokan-db/hokan/engine/policy"
)

// A set is part of its partition's checkpoint:
//
//	version   u8       1; no bytes at all are an empty set
//	producers uvarint, then for each, ascending by name:
//	  name    counted
//	  high    u64 LE   the highest sequence that was done
//	  done    u64 LE   bit i: the one i before it was done
//	  last    i64 LE   time of its last receipt, ns
//	keys      uvarint, then for each, in the order of their entries:
//	  key     counted
//	  receipt
//	sequences uvarint, then for each, in the order of their entries:
//	  name    counted
//	  number  u64 LE
//	  receipt
//
// and a receipt is
//
//	fingerprint 16 bytes
//	time        i64 LE   of the entry, ns
//	status      u16 LE   0: the answer is not kept
//	header      counted
//	answer      counted

// ErrMalformed is wrapped when bytes are not those of a set.
var ErrMalformed = errors.New("malformed receipts")

const setVersion = 1

// AppendTo appends the encoded set; nothing, where nothing is known.
func (s *Set) AppendTo(dst []byte) []byte {
	if len(s.producers) == 0 && s.keyCount == 0 {
		return dst
	}
	dst = append(dst, setVersion)
	dst = binary.AppendUvarint(dst, uint64(len(s.producers)))
	for _, name := range slices.Sorted(maps.Keys(s.producers)) {
		p := s.producers[name]
		dst = appendCounted(dst, name)
		dst = binary.LittleEndian.AppendUint64(dst, p.high)
		dst = binary.LittleEndian.AppendUint64(dst, p.done)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(p.last))
	}
	dst = binary.AppendUvarint(dst, uint64(s.keyCount))
	for _, r := range s.keys {
		if s.all[r.ID] == r {
			dst = r.appendTo(appendCounted(dst, r.ID.Key))
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.all)-s.keyCount))
	for _, r := range s.sequences {
		if s.all[r.ID] == r {
			dst = appendCounted(dst, r.ID.Producer)
			dst = binary.LittleEndian.AppendUint64(dst, r.ID.Sequence)
			dst = r.appendTo(dst)
		}
	}
	return dst
}

func (r *Receipt) appendTo(dst []byte) []byte {
	dst = append(dst, r.Fingerprint[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.Time))
	dst = binary.LittleEndian.AppendUint16(dst, r.Status)
	dst = appendCounted(dst, r.Header)
	return appendCounted(dst, string(r.Answer))
}

func appendCounted(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// DecodeSet reads what AppendTo wrote.
func DecodeSet(b []byte) (*Set, error) {
	s := &Set{}
	if len(b) == 0 {
		return s, nil
	}
	d := decoder{b: b}
	if version := d.take(1); d.err == nil && version[0] != setVersion {
		return nil, fmt.Errorf("%w: version %d", ErrMalformed, version[0])
	}
	s.begin()
	for n := d.count(policy.Producers.Default); n > 0 && d.err == nil; n-- {
		name := d.counted(policy.KeyBytes.Default)
		p := &producer{high: d.uint64(), done: d.uint64(), last: int64(d.uint64())}
		if s.producers[name] != nil || p.done&1 == 0 || p.high < Window && p.done>>p.high != 0 {
			d.fail("a producer twice, or one that has done nothing")
		}
		s.producers[name] = p
	}
	for n := d.count(policy.IdempotencyKeys.Default); n > 0 && d.err == nil; n-- {
		d.receipt(s, ID{Key: d.counted(policy.KeyBytes.Default)})
	}
	for n := d.count(policy.Producers.Default * Window); n > 0 && d.err == nil; n-- {
		id := ID{Producer: d.counted(policy.KeyBytes.Default), Sequence: d.uint64()}
		p := s.producers[id.Producer]
		if p == nil || id.Sequence > p.high || p.high-id.Sequence >= Window || p.done&(1<<(p.high-id.Sequence)) == 0 {
			d.fail("a sequence that was not done")
			break
		}
		d.receipt(s, id)
	}
	if d.err == nil && len(d.b) > 0 {
		d.fail("bytes after the end")
	}
	if d.err != nil {
		return nil, d.err
	}
	return s, nil
}

// decoder reads from b; the first error sticks.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", ErrMalformed, what)
	}
	d.b = nil
}

// take returns the next n bytes, and zeros where there are fewer.
func (d *decoder) take(n int) []byte {
	if d.err != nil || n > len(d.b) {
		d.fail("cut short")
		return make([]byte, min(n, 16))
	}
	taken := d.b[:n]
	d.b = d.b[n:]
	return taken
}

func (d *decoder) uint64() uint64 { return binary.LittleEndian.Uint64(d.take(8)) }

// count reads a number of at most so many.
func (d *decoder) count(most int64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > uint64(most) {
		d.fail("a number that is too large, or cut short")
		return 0
	}
	d.b = d.b[n:]
	return v
}

// counted reads a text of at most so many bytes.
func (d *decoder) counted(most int64) string {
	if n := d.count(most); d.err == nil {
		return string(d.take(int(n)))
	}
	return ""
}

// receipt reads what follows an ID, and takes it in.
func (d *decoder) receipt(s *Set, id ID) {
	r := &Receipt{ID: id, Fingerprint: Fingerprint(d.take(len(Fingerprint{}))), Time: int64(d.uint64())}
	r.Status = binary.LittleEndian.Uint16(d.take(2))
	r.Header = d.counted(policy.AnswerKept.Default)
	r.Answer = []byte(d.counted(policy.AnswerKept.Default))
	if err := id.Validate(); d.err == nil && (err != nil || s.all[id] != nil) {
		d.fail("a request that has no name, or the name of another")
	}
	if d.err != nil {
		return
	}
	s.all[id] = r
	if id.Producer == "" {
		s.keys = append(s.keys, r)
		s.keyCount++
		s.keyBytes += r.size()
		return
	}
	s.sequences = append(s.sequences, r)
	s.sequenceBytes += r.size()
}
