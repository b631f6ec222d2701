package wal_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/wal"
	"github.com/hokan-db/hokan/engine/wal/logtest"
)

// files are the contents of a log's folder.
type files map[string][]byte

func readFiles(t testing.TB, fsys vfs.FS) files {
	t.Helper()
	names, err := fsys.List("log")
	if err != nil {
		t.Fatal(err)
	}
	result := files{}
	for _, name := range names {
		data, err := disk.ReadFile(fsys, "log/"+name)
		if err != nil {
			t.Fatal(err)
		}
		result[name] = data
	}
	return result
}

// with returns the files with one replaced; nil data: removed.
func (f files) with(name string, data []byte) files {
	result := files{}
	for n, d := range f {
		result[n] = d
	}
	result[name] = data
	if data == nil {
		delete(result, name)
	}
	return result
}

func (f files) store(t testing.TB) vfs.FS {
	t.Helper()
	fsys := vfs.NewMem()
	if err := fsys.MkdirAll("log", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range f {
		file, err := fsys.Create("log/"+name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(slices.Clone(data)); err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	return fsys
}

// result is what opening and checking a log gave.
type result struct {
	entries       []entry.Entry
	faults, notes []string // of Check
	opened        []error  // faults of the open log
	first, last   uint64
}

// examine opens, reads and checks a log and sees to it that both agree.
func examine(t testing.TB, fsys vfs.FS) result {
	t.Helper()
	var r result
	var err error
	r.first, r.last, err = wal.Check(fsys, "log", 0,
		func(path string, offset int64, what string) {
			r.faults = append(r.faults, fmt.Sprintf("%s: byte %d: %s", path, offset, what))
		}, func(text string) { r.notes = append(r.notes, text) })
	if err != nil {
		t.Fatalf("check: %v", err)
	}
	l := mustOpen(t, fsys, "log")
	defer l.Close()
	if r.entries, err = logtest.Drain(l); err != nil {
		t.Fatalf("read: %v", err)
	}
	for i := 1; i < len(r.entries); i++ {
		if r.entries[i].Offset <= r.entries[i-1].Offset {
			t.Fatalf("entry %d follows entry %d", r.entries[i].Offset, r.entries[i-1].Offset)
		}
	}
	r.opened = l.Faults()
	for _, fault := range r.opened {
		var c *disk.Corruption
		if !errors.As(fault, &c) || !errors.Is(fault, disk.ErrCorrupt) || !strings.HasPrefix(c.Path, "log/") {
			t.Errorf("fault %v names no place", fault)
		}
	}
	if len(r.opened) != len(r.faults) {
		t.Errorf("the open log found %v, check found %v", r.opened, r.faults)
	}
	if notes := l.Notes(); len(notes) != len(r.notes) {
		t.Errorf("the open log noted %v, check noted %v", notes, r.notes)
	}
	if first, last := l.Bounds(); len(r.entries) > 0 && (first != r.first || last != r.last) {
		t.Errorf("the open log has %d to %d, check found %d to %d", first, last, r.first, r.last)
	}
	return r
}

// isSubset reports whether all entries are among the original ones.
func isSubset(entries []entry.Entry, original []entry.Entry) bool {
	for i := range entries {
		at := entries[i].Offset - original[0].Offset
		if at >= uint64(len(original)) || !entries[i].Equal(&original[at]) {
			return false
		}
	}
	return true
}

// makeLog writes a log of several segments, with groups of one entry, and
// closes it or leaves it as a killed process would.
func makeLog(t testing.TB, closed bool) (files, []entry.Entry) {
	t.Helper()
	fsys := vfs.NewMem()
	l, err := wal.Open(wal.Options{FS: fsys, Dir: "log", SegmentBytes: 400})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 14 {
		if _, err := logtest.Append(l, logtest.Entry("tenant", i, i%4)); err != nil {
			t.Fatal(err)
		}
	}
	if closed {
		l.Close()
	}
	original := readFiles(t, fsys)
	if len(original) < 3 {
		t.Fatalf("only %d segments", len(original))
	}
	r := examine(t, original.store(t))
	if len(r.entries) != 14 || len(r.faults) > 0 || len(r.notes) > 0 {
		t.Fatalf("a sound log: %d entries, %v, %v", len(r.entries), r.faults, r.notes)
	}
	if !closed {
		l.Close()
	}
	return original, r.entries
}

// TestFlippedBytes changes each byte of a closed log: nothing wrong is ever
// handed over, and whatever is missing is reported.
func TestFlippedBytes(t *testing.T) {
	original, entries := makeLog(t, true)
	newest := slices.Max(names(original))
	silent := 0
	for name, data := range original {
		for at := range data {
			for _, mask := range []byte{0x01, 0x80, 0xff} {
				changed := slices.Clone(data)
				changed[at] ^= mask
				r := examine(t, original.with(name, changed).store(t))
				if !isSubset(r.entries, entries) {
					t.Fatalf("%s byte %d: wrong entries", name, at)
				}
				if len(entries)-len(r.entries) > 1 {
					t.Errorf("%s byte %d: %d entries of %d", name, at, len(r.entries), len(entries))
				}
				if len(r.faults) > 0 {
					if !strings.HasPrefix(r.faults[0], "log/"+name+": byte ") {
						t.Errorf("%s byte %d: reported as %v", name, at, r.faults)
					}
					continue
				}
				silent++
				if len(r.entries) != len(entries) {
					t.Errorf("%s byte %d: entries are lost and nothing is reported", name, at)
				}
				if name != newest {
					t.Errorf("%s byte %d: nothing is reported", name, at)
				}
			}
		}
	}
	if silent > 3*(disk.FrameHeaderSize+16) { // the frame that ends the log
		t.Errorf("%d changes were not reported", silent)
	}
}

func names(f files) []string {
	var result []string
	for name := range f {
		result = append(result, name)
	}
	slices.Sort(result)
	return result
}

// TestFlippedBytesAfterKill changes each byte of a log that was not closed: of
// its newest segment the last write may be taken for torn.
func TestFlippedBytesAfterKill(t *testing.T) {
	original, entries := makeLog(t, false)
	newest := slices.Max(names(original))
	for name, data := range original {
		for at := range data {
			changed := slices.Clone(data)
			changed[at] ^= 0x10
			r := examine(t, original.with(name, changed).store(t))
			if !isSubset(r.entries, entries) || len(entries)-len(r.entries) > 1 {
				t.Fatalf("%s byte %d: wrong entries", name, at)
			}
			torn := name == newest && len(r.entries) > 0 && r.entries[len(r.entries)-1].Offset < uint64(len(entries))
			if len(r.faults) == 0 && (!torn || len(r.notes) == 0) {
				t.Errorf("%s byte %d: nothing is reported", name, at)
			}
		}
	}
}

// TestTruncated cuts each file at each length.
func TestTruncated(t *testing.T) {
	for _, closed := range []bool{false, true} {
		original, entries := makeLog(t, closed)
		newest := slices.Max(names(original))
		for name, data := range original {
			for size := range data {
				r := examine(t, original.with(name, data[:size:size]).store(t))
				if !isSubset(r.entries, entries) {
					t.Fatalf("%s cut to %d: wrong entries", name, size)
				}
				if name == newest {
					if len(r.faults) > 0 {
						t.Errorf("%s cut to %d: a torn end is reported as %v", name, size, r.faults)
					}
					for i := range r.entries {
						if !r.entries[i].Equal(&entries[i]) {
							t.Errorf("%s cut to %d: not a beginning of the log", name, size)
						}
					}
				} else if len(r.entries) < len(entries) && len(r.faults) == 0 && r.first == 1 {
					t.Errorf("%s cut to %d: nothing is reported", name, size)
				}
			}
		}
	}
}

// TestDamage is one case of each kind of damage, and of what only looks like
// it.
func TestDamage(t *testing.T) {
	original, entries := makeLog(t, true)
	all := names(original)
	second, newest := all[1], all[len(all)-1]
	count := func(name string) int { // entries in a segment
		r := examine(t, files{name: original[name]}.store(t))
		return len(r.entries)
	}
	cut := func(data []byte, from, to int) []byte { return slices.Concat(data[:from], data[to:]) }
	const head = 72
	frameSize := func(data []byte) int {
		_, _, size, err := disk.ReadFrame(data[head:])
		if err != nil {
			t.Fatal(err)
		}
		return size
	}
	firstFrame := frameSize(original[second])
	garbage := []byte(strings.Repeat("garbage ", 100))
	for _, test := range []struct {
		name    string
		files   files
		entries int // expected
		fault   string
		note    string
	}{
		{name: "sound", files: original, entries: len(entries)},
		{name: "middle segment missing", files: original.with(second, nil), entries: len(entries) - count(second),
			fault: "log/" + second + ": byte 0: missing or not readable"},
		{name: "middle segment empty", files: original.with(second, []byte{}), entries: len(entries) - count(second),
			fault: "log/" + second + ": byte 0: missing or not readable", note: "a segment that was being made"},
		{name: "middle segment is garbage", files: original.with(second, garbage), entries: len(entries) - count(second),
			fault: "log/" + second + ": byte 0: no entry is readable"},
		{name: "first frame cut out", files: original.with(second, cut(original[second], head, head+firstFrame)),
			entries: len(entries) - 1, fault: fmt.Sprintf("log/%s: byte %d: ", second, head)},
		{name: "garbage between frames", entries: len(entries), fault: fmt.Sprintf("log/%s: byte %d: ", second, head),
			files: original.with(second, slices.Concat(original[second][:head], garbage, original[second][head:]))},
		{name: "newest segment without its header", entries: len(entries), fault: "log/" + newest + ": byte 0: ",
			files: original.with(newest, slices.Concat(make([]byte, head), original[newest][head:]))},
		{name: "bytes after the end", entries: len(entries), fault: "bytes after the end",
			files: original.with(newest, slices.Concat(original[newest], garbage))},
		{name: "an older segment again", entries: len(entries), fault: "it begins with entry 1, the segment before it",
			files: original.with(disk.SegmentName(77), original[all[0]])},
		{name: "newest being made", files: original.with(disk.SegmentName(77), []byte{}), entries: len(entries),
			note: "log/0000000077.seg: byte 0: a segment that was being made"},
		{name: "newest half made", files: original.with(disk.SegmentName(77), original[newest][:60]), entries: len(entries),
			note: "log/0000000077.seg: byte 48: a segment that was being made"},
		{name: "foreign file", files: original.with("notes.txt", garbage), entries: len(entries),
			note: "log/notes.txt: byte 0: not a segment"},
		{name: "oldest missing", files: original.with(all[0], nil), entries: len(entries) - count(all[0])},
		{name: "torn", files: original.with(newest, original[newest][:head+3]), entries: len(entries) - count(newest),
			note: fmt.Sprintf("log/%s: byte %d: 3 bytes of a write that was not completed", newest, head)},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := examine(t, test.files.store(t))
			if len(r.entries) != test.entries || !isSubset(r.entries, entries) {
				t.Errorf("%d entries, expected %d", len(r.entries), test.entries)
			}
			expectText(t, "faults", r.faults, test.fault)
			expectText(t, "notes", r.notes, test.note)
		})
	}
}

// expectText checks that one of the texts contains part, or that there is none
// for "".
func expectText(t *testing.T, kind string, texts []string, part string) {
	t.Helper()
	found := slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, part) })
	if (part != "") != found {
		t.Errorf("%s: %v, expected %q", kind, texts, part)
	}
}

// TestExpectFrom tells the checker which entries must be there.
func TestExpectFrom(t *testing.T) {
	original, _ := makeLog(t, true)
	fsys := original.with(names(original)[0], nil).store(t)
	first := examine(t, fsys).first
	for _, expect := range []uint64{0, 1, first - 1, first, first + 1} {
		faults := 0
		_, _, err := wal.Check(fsys, "log", expect, func(string, int64, string) { faults++ }, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		if reported := faults > 0; reported != (expect > 0 && expect < first) {
			t.Errorf("expected from %d, first is %d: %d faults", expect, first, faults)
		}
	}
}

// TestOtherVersion refuses what a newer program wrote, or one from before the
// format was frozen, instead of taking it for damage.
func TestOtherVersion(t *testing.T) {
	for _, version := range []uint16{1, 5} {
		other := disk.AppendHeader(nil, disk.FileHeader{Kind: disk.KindSegment, Version: version})
		fsys := files{disk.SegmentName(1): other}.store(t)
		if _, err := wal.Open(wal.Options{FS: fsys, Dir: "log"}); !errors.Is(err, disk.ErrVersion) {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

// TestTrimQuarantines trims a log with a damaged segment: it stays, under
// another name.
func TestTrimQuarantines(t *testing.T) {
	original, entries := makeLog(t, true)
	all := names(original)
	damaged := slices.Clone(original[all[1]])
	damaged[100] ^= 1
	fsys := original.with(all[1], damaged).with(disk.SegmentName(99), []byte{}).store(t)
	l := mustOpen(t, fsys, "log")
	defer l.Close()
	if _, err := logtest.Drain(l); err != nil {
		t.Fatal(err)
	}
	if err := l.Trim(entries[len(entries)-1].Offset); err != nil {
		t.Fatal(err)
	}
	expected := []string{all[1] + disk.QuarantineSuffix, all[len(all)-1], disk.SegmentName(99)}
	slices.Sort(expected)
	if left := names(readFiles(t, fsys)); !slices.Equal(left, expected) {
		t.Errorf("files %v, expected %v", left, expected)
	}
	kept, err := disk.ReadFile(fsys, "log/"+all[1]+disk.QuarantineSuffix)
	if err != nil || !slices.Equal(kept, damaged) {
		t.Errorf("the damaged segment was changed: %v", err)
	}
}

// TestTrimLeavesWhatIsRead trims while a tail has not read the log yet.
func TestTrimLeavesWhatIsRead(t *testing.T) {
	original, entries := makeLog(t, true)
	l := mustOpen(t, original.store(t), "log")
	defer l.Close()
	tail, err := l.Tail(nil, logtest.All)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Trim(1 << 40); err != nil {
		t.Fatal(err)
	}
	read, err := tail.TryNext()
	if err != nil || len(read) != len(entries) {
		t.Errorf("%d entries, %v", len(read), err)
	}
	if _, err := tail.TryNext(); err != nil && err != io.EOF {
		t.Error(err)
	}
	if err := l.Trim(1 << 40); err != nil {
		t.Fatal(err)
	}
	if first, _ := l.Bounds(); first == 1 {
		t.Error("nothing was trimmed after the tail had read it")
	}
}
