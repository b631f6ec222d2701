package wal

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/entry"
)

// TestSegmentBytes fixes the format, byte by byte.
func TestSegmentBytes(t *testing.T) {
	salt := [disk.SaltSize]byte{1, 2, 3}
	data := appendSegmentHead(nil, salt, 0x0102)
	if len(data) != segmentHead {
		t.Fatalf("the head has %d bytes", len(data))
	}
	if !bytes.Equal(data[64:72], []byte{2, 1, 0, 0, 0, 0, 0, 0}) {
		t.Errorf("first offset % x", data[64:72])
	}
	g := &group{}
	for i := range 2 {
		if err := g.add(testEntry(i)); err != nil {
			t.Fatal(err)
		}
	}
	g.number(tagOf(salt), 0x0102, 1)
	second := g.buffer[g.starts[1]:]
	if number := second[4:8]; !bytes.Equal(number, []byte{2, 0, 0, 0}) {
		t.Errorf("frame number % x", number)
	}
	if tag := second[16:24]; !bytes.Equal(tag, salt[:8]) {
		t.Errorf("tag % x", tag)
	}
	if index := second[24:28]; !bytes.Equal(index, []byte{1, 0, 0, 0}) {
		t.Errorf("index in the write % x", index)
	}
	if offset := second[28:36]; !bytes.Equal(offset, []byte{3, 1, 0, 0, 0, 0, 0, 0}) {
		t.Errorf("offset % x", offset)
	}
	var e entry.Entry
	if err := entry.Decode(second[28:], &e); err != nil || e.Offset != 0x0103 || e.Time != 1 {
		t.Errorf("the entry is %+v, %v", e, err)
	}
}

func testEntry(i int) *entry.Entry {
	return &entry.Entry{Time: int64(i), Tenant: "t", Body: &entry.SwitchAlarm{ID: uint64(i)}}
}

// writeGroups returns a segment that begins with entry first, written in
// groups of these sizes, and where each frame begins.
func writeGroups(t testing.TB, first uint64, sizes ...int) (data []byte, starts []int) {
	t.Helper()
	data = appendSegmentHead(nil, [disk.SaltSize]byte{}, first)
	for _, size := range sizes {
		g := &group{}
		for range size {
			if err := g.add(testEntry(len(starts) + len(g.starts))); err != nil {
				t.Fatal(err)
			}
		}
		g.number(0, first+uint64(len(starts)), uint32(len(starts))+1)
		at := len(data)
		data = append(data, g.buffer...)
		for _, start := range g.starts {
			starts = append(starts, at+start)
		}
	}
	return data, append(starts, len(data))
}

// scanAll returns the offsets that a scan hands over, and what it reports.
func scanAll(data []byte, first, limit uint64) (offsets []uint64, faults, notes []string) {
	s := newScanner(data, identity{first: first}, limit)
	s.fault = func(at int, what string) { faults = append(faults, fmt.Sprint(at, " ", what)) }
	s.lost = s.fault
	s.note = func(at int, what string) { notes = append(notes, fmt.Sprint(at, " ", what)) }
	for {
		f, ok := s.next()
		if !ok {
			return offsets, faults, notes
		}
		offsets = append(offsets, f.offset)
	}
}

// TestTornWrites leaves out frames of writes of several entries.
func TestTornWrites(t *testing.T) {
	data, starts := writeGroups(t, 11, 1, 3, 4) // entries 11, 12-14, 15-18
	without := func(frames ...int) []byte {     // zeroes frames, as a crash leaves what was not synced
		result := bytes.Clone(data)
		for _, i := range frames {
			clear(result[starts[i]:starts[i+1]])
		}
		return result
	}
	for _, test := range []struct {
		name     string
		data     []byte
		limit    uint64
		expected string
		fault    string
		note     string
	}{
		{name: "sound", data: data, limit: noLimit, expected: "[11 12 13 14 15 16 17 18]"},
		{name: "sound, another follows", data: data, limit: 19, expected: "[11 12 13 14 15 16 17 18]"},
		{name: "last write without its first", data: without(4), limit: noLimit, expected: "[11 12 13 14]",
			note: "bytes of a write that was not completed"},
		{name: "last write without its middle", data: without(5), limit: noLimit, expected: "[11 12 13 14 15]",
			note: "bytes of a write that was not completed"},
		{name: "last write with its last alone", data: without(4, 5, 6), limit: noLimit, expected: "[11 12 13 14]",
			note: "bytes of a write that was not completed"},
		{name: "last write decided", data: without(5), limit: 16, expected: "[11 12 13 14 15]",
			note: "bytes of a write that failed or was not completed"},
		{name: "last write decided otherwise", data: without(5), limit: 19, expected: "[11 12 13 14 15 17 18]",
			fault: "entry 16 lost"},
		{name: "earlier write", data: without(2), limit: noLimit, expected: "[11 12 14 15 16 17 18]",
			fault: "entry 13 lost"},
		{name: "earlier write and the last", data: without(2, 4), limit: noLimit, expected: "[11 12 14]",
			fault: "entry 13 lost", note: "bytes of a write that was not completed"},
		{name: "failed write void", data: data, limit: 15, expected: "[11 12 13 14]",
			note: "bytes of a write that failed or was not completed"},
		{name: "limit within a write", data: data, limit: 16, expected: "[11 12 13 14 15]",
			fault: "entry 16 is here and in the next segment"},
		{name: "damage before a failed write", data: without(3, 4), limit: 15, expected: "[11 12 13]",
			fault: "entry 14 missing"},
		{name: "missing up to the next", data: data, limit: 21, expected: "[11 12 13 14 15 16 17 18]",
			fault: "entries 19 to 20 missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			offsets, faults, notes := scanAll(test.data, 11, test.limit)
			if got := fmt.Sprint(offsets); got != test.expected {
				t.Errorf("entries %s, expected %s", got, test.expected)
			}
			expect := func(kind string, texts []string, part string) {
				if part == "" && len(texts) > 0 || part != "" && (len(texts) != 1 || !strings.Contains(texts[0], part)) {
					t.Errorf("%s %q, expected %q", kind, texts, part)
				}
			}
			expect("faults", faults, test.fault)
			expect("notes", notes, test.note)
		})
	}
}

// TestForgedFrame tears a write of an entry in which there is the image of a
// later frame: only a segment without a secret tag would hand it over.
func TestForgedFrame(t *testing.T) {
	salt := [disk.SaltSize]byte{42}
	for _, guessed := range []bool{false, true} {
		forged := &group{}
		if err := forged.add(testEntry(666)); err != nil {
			t.Fatal(err)
		}
		var tag uint64
		if guessed {
			tag = tagOf(salt)
		}
		forged.number(tag, 13, 3) // entry 13, in a write of its own
		torn := append(make([]byte, 40), forged.buffer...)
		data := appendSegmentHead(nil, salt, 11)
		g := &group{}
		if err := g.add(testEntry(1)); err != nil {
			t.Fatal(err)
		}
		g.number(tagOf(salt), 11, 1)
		data = append(append(data, g.buffer...), torn...)
		s := newScanner(data, identity{11, tagOf(salt)}, noLimit)
		count := 0
		for _, ok := s.next(); ok; _, ok = s.next() {
			count++
		}
		if forgedToo := count > 1; forgedToo != guessed {
			t.Errorf("tag guessed %v: %d entries", guessed, count)
		}
	}
}

// FuzzScan scans arbitrary bytes, alone and behind a sound beginning: it ends,
// stays within the segment's offsets, and finds the first offset again.
func FuzzScan(f *testing.F) {
	data, starts := writeGroups(f, 1, 1, 2)
	f.Add(data, uint64(1), uint64(0), 0)
	f.Add(data[starts[1]:], uint64(1), uint64(3), starts[1])
	f.Add(data[starts[2]:], uint64(1), uint64(9), starts[1])
	f.Add([]byte{}, uint64(5), uint64(5), 10)
	f.Add(bytes.Repeat([]byte{0}, 200), uint64(1), uint64(0), segmentHead)
	f.Fuzz(func(t *testing.T, tail []byte, first, limit uint64, keep int) {
		sound, _ := writeGroups(t, max(1, first%1000), 1, 2)
		data := append(sound[:min(max(0, keep), len(sound))], tail...)
		if limit == 0 {
			limit = noLimit
		}
		readSegmentHead(data)
		first = max(1, first%1000)
		offsets, _, _ := scanAll(data, first, limit)
		for i, offset := range offsets {
			if offset < first || offset >= limit || i > 0 && offset <= offsets[i-1] {
				t.Fatalf("entries %v of a segment from %d to %d", offsets, first, limit)
			}
		}
		if len(offsets) > len(data)/(disk.FrameHeaderSize+minPayload) {
			t.Fatalf("%d entries in %d bytes", len(offsets), len(data))
		}
		if g, ok := findFrame(data, 0, identity{}); ok && (g.at+g.size > len(data) || g.offset == 0) {
			t.Fatalf("frame %+v in %d bytes", g, len(data))
		}
	})
}
