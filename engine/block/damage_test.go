package block

import (
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

func writeAll(file []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(file)
		return err
	}
}

// readAll reads whatever the reader gives, one part after another.
func readAll(file []byte) error {
	r, err := Open(memory{bytes: file}, testName.String())
	if err != nil {
		return err
	}
	var ids []model.ChannelID
	err = r.Channels(func(c model.Channel) error {
		ids = append(ids, c.ID)
		return nil
	})
	_, _, err2 := readBack(r, []model.ChannelID{1, 2, 70000, 70001}, everything)
	_, err3 := r.Notes()
	return errors.Join(err, err2, err3, readAllRollups(r))
}

// readAllRollups reads all rollups and charges.
func readAllRollups(r *Reader) error {
	err := r.Charges(func(model.ChannelID, int64, uint64, uint64) error { return nil })
	for _, step := range model.Steps() {
		err = errors.Join(err, r.Rollups([]model.ChannelID{1, 2, 3, 70000, 70001}, step, everything,
			func(_ model.ChannelID, rows *RollupRows) error {
				var a model.Aggregate
				rows.Fold(0, rows.Len(), &a)
				return nil
			}))
	}
	return err
}

// faults returns where Check finds damage.
func faults(t *testing.T, file []byte) (offsets []int64) {
	err := Check(memory{bytes: file}, testName.String(), func(offset int64, what string) {
		offsets = append(offsets, offset)
		if what == "" {
			t.Errorf("damage at %d has no description", offset)
		}
	})
	if err != nil {
		t.Fatalf("Check: %v", err)
	}
	return offsets
}

func checkCorruption(t *testing.T, err error, size int) {
	t.Helper()
	var corruption *disk.Corruption
	if !errors.As(err, &corruption) || !errors.Is(err, disk.ErrCorrupt) {
		t.Fatalf("not a corruption: %v", err)
	}
	if corruption.Path != testName.String() || corruption.Offset < 0 || corruption.Offset > int64(size) {
		t.Errorf("path %q, offset %d", corruption.Path, corruption.Offset)
	}
}

// frameStarts returns where each part of a block begins: header, frames,
// footer.
func frameStarts(t *testing.T, file []byte) []int64 {
	starts := []int64{0}
	at := disk.HeaderSize
	for number := uint32(0); at < len(file)-footerSize; number++ {
		_, n, size, err := disk.ReadFrame(file[at:])
		if err != nil || n != number {
			t.Fatalf("frame %d, numbered %d, at %d: %v", number, n, at, err)
		}
		starts = append(starts, int64(at))
		at += size
	}
	if at != len(file)-footerSize {
		t.Fatalf("the frames end at %d of %d", at, len(file))
	}
	return append(starts, int64(at))
}

func TestEveryFlippedByteIsFound(t *testing.T) {
	file, _ := build(t, small(t))
	everyFlipIsFound(t, file)
	everyFlipIsFound(t, withEverything(t))
}

func everyFlipIsFound(t *testing.T, file []byte) {
	if got := faults(t, file); len(got) > 0 {
		t.Fatalf("damage at %d in a whole file", got)
	}
	starts := frameStarts(t, file)
	masks := []byte{0x01, 0x80, 0xFF}
	if os.Getenv("HOKAN_LONG") != "" {
		masks = nil
		for m := 1; m < 256; m++ {
			masks = append(masks, byte(m))
		}
	}
	for j := range file {
		for _, mask := range masks {
			damaged := slices.Clone(file)
			damaged[j] ^= mask
			got := faults(t, damaged)
			i, exact := slices.BinarySearch(starts, int64(j))
			if !exact {
				i--
			}
			if !slices.Contains(got, starts[i]) {
				t.Fatalf("byte %d ^ %#x, in the part at %d: Check found %d", j, mask, starts[i], got)
			}
			checkCorruption(t, readAll(damaged), len(file))
		}
	}
}

func TestEveryTruncationIsFound(t *testing.T) {
	file := withEverything(t)
	for n := range file {
		if got := faults(t, file[:n]); len(got) == 0 {
			t.Fatalf("%d of %d bytes: nothing found", n, len(file))
		}
		checkCorruption(t, readAll(file[:n]), len(file))
		// The same with a valid end: a piece of the middle is lost.
		if n >= disk.HeaderSize && n < len(file)-footerSize {
			spliced := append(slices.Clone(file[:n]), file[len(file)-footerSize:]...)
			if got := faults(t, spliced); len(got) == 0 {
				t.Fatalf("bytes from %d on lost: nothing found", n)
			}
			checkCorruption(t, readAll(spliced), len(file))
		}
	}
}

func TestDamageCostsOnlyWhatItTouches(t *testing.T) {
	file, _ := build(t, small(t))
	r := open(t, file)
	refs, _, err := readBack(r, []model.ChannelID{1, 2, 70000, 70001}, everything)
	if err != nil {
		t.Fatal(err)
	}
	file[refs[0].Values.Position+20] ^= 1
	file[refs[3].Values.Position+20] ^= 1
	if got := faults(t, file); !slices.Equal(got, []int64{refs[0].Values.Position, refs[3].Values.Position}) {
		t.Errorf("found %d", got)
	}
	for i := range refs {
		_, _, err := readChunk(r, refs[i])
		if damaged := i == 0 || i == 3; damaged != errors.Is(err, disk.ErrCorrupt) {
			t.Errorf("chunk %d: %v", i, err)
		}
	}
}

func TestASwappedChunkIsFound(t *testing.T) {
	// Two frames of equal length and times change places: each is whole by
	// itself.
	file, _ := build(t, []channelRows{
		{labelled(t, 1, "a", "b"), []chunkRows{{[]int64{1}, []float64{1}}}},
		{labelled(t, 2, "a", "c"), []chunkRows{{[]int64{1}, []float64{2}}}}})
	refs, _, err := readBack(open(t, file), []model.ChannelID{1, 2}, everything)
	if err != nil {
		t.Fatal(err)
	}
	frame := func(f Frame) []byte { return file[f.Position:f.end()] }
	a, b := frame(refs[0].Values), frame(refs[1].Values)
	if len(a) != len(b) {
		t.Fatalf("frames of %d and %d bytes cannot change places", len(a), len(b))
	}
	kept := slices.Clone(a)
	copy(a, b)
	copy(b, kept)
	if got := faults(t, file); len(got) != 2 {
		t.Errorf("found %d", got)
	}
	checkCorruption(t, readAll(file), len(file))
}

type brokenObject struct{ disk.Object }

var errBroken = errors.New("input/output error")

func (b brokenObject) ReadAt(p []byte, at int64) (int, error) {
	if at > 0 && at < 200 {
		return 0, errBroken
	}
	return b.Object.ReadAt(p, at)
}

type brokenStore struct{ memory }

func (b brokenStore) Open(name string) (disk.Object, error) {
	o, err := b.memory.Open(name)
	return brokenObject{o}, err
}

func TestAReadErrorIsNoCorruption(t *testing.T) {
	var channels []channelRows
	for id := model.ChannelID(1); id < 200; id++ {
		channels = append(channels, channelRows{labelled(t, id, "a", string(rune('A'+id))), []chunkRows{minutes(0, 30, int(id))}})
	}
	file, _ := build(t, channels)
	store := brokenStore{memory{bytes: file}}
	r, err := Open(store, testName.String())
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = readBack(r, []model.ChannelID{1}, everything)
	if !errors.Is(err, errBroken) || errors.Is(err, disk.ErrCorrupt) {
		t.Errorf("reading: %v", err)
	}
	err = Check(store, testName.String(), func(int64, string) { t.Error("reported as damage") })
	if !errors.Is(err, errBroken) {
		t.Errorf("Check: %v", err)
	}
}

func TestAFileOfAnotherVersionIsNotDamaged(t *testing.T) {
	file, _ := build(t, small(t))
	for _, other := range []uint16{1, version + 1} {
		copy(file, disk.AppendHeader(nil, disk.FileHeader{Kind: disk.KindBlock, Version: other}))
		_, err := Open(memory{bytes: file}, "x")
		if !errors.Is(err, disk.ErrVersion) || errors.Is(err, disk.ErrCorrupt) {
			t.Errorf("version %d: %v", other, err)
		}
	}
}

// FuzzRead opens arbitrary bytes and reads what they give.
func FuzzRead(f *testing.F) {
	file, _ := build(f, small(f))
	f.Add(file)
	f.Add(file[:len(file)/2])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) { readDamaged(t, b) })
}

// FuzzParts reads blocks of arbitrary parts under right checksums.
func FuzzParts(f *testing.F) {
	file, _ := build(f, small(f))
	r, full := open(f, file), withEverything(f)
	payload := func(p page) []byte { return file[p.Position+disk.FrameHeaderSize : p.end()] }
	rolled := open(f, full)
	more := func(p page) []byte { return full[p.Position+disk.FrameHeaderSize : p.end()] }
	f.Add(file[disk.HeaderSize+disk.FrameHeaderSize:][:100], payload(r.channels[0]), payload(r.index[0]),
		more(rolled.rollups[model.StepHour][0]), more(rolled.charges[0]), more(rolled.notes[0]))
	f.Fuzz(func(t *testing.T, chunk, channels, index, rollups, charges, notes []byte) {
		b := disk.AppendHeader(nil, disk.FileHeader{Kind: disk.KindBlock, Version: version})
		b = disk.AppendFrame(b, 0, chunk)
		foot := footer{rows: 1, chunks: 1, channels: 1, rollupRows: 1, first: math.MinInt64, last: math.MaxInt64}
		add := func(number uint32, payload []byte) page {
			start := len(b)
			b = disk.AppendFrame(b, number, payload)
			return page{Frame: Frame{Length: uint32(len(payload)), crc: frameCRC(b[start:])}, firstChannel: 1,
				lastChannel: math.MaxUint32, first: math.MinInt64, last: math.MaxInt64}
		}
		d := directory{stored: storedRuns{{1, 70001, 31}}}
		start := int64(len(b))
		hours := add(1, rollups)
		hours.Position = start
		d.rollups[model.StepHour] = []page{hours}
		foot.bodyEnd = uint64(len(b))
		d.channels, d.index, d.charges, d.notes = []page{add(2, channels)}, []page{add(3, index)}, []page{add(4, charges)}, []page{add(5, notes)}
		foot.directory = uint64(len(b))
		directory := add(6, d.appendTo(nil))
		foot.directoryLength, foot.directoryCRC = directory.Length, directory.crc
		b = foot.appendTo(b)
		open(t, b)
		readDamaged(t, b)
	})
}

// readDamaged reads a block in every way: nothing may panic, and damage is no
// other error.
func readDamaged(t *testing.T, b []byte) {
	for _, err := range []error{readAll(b), Check(memory{bytes: b}, "x", func(int64, string) {})} {
		if err != nil && !errors.Is(err, disk.ErrCorrupt) && !errors.Is(err, disk.ErrVersion) {
			t.Errorf("%v", err)
		}
	}
}

// FuzzPages decodes arbitrary payloads, as if their checksums were right.
func FuzzPages(f *testing.F) {
	file, _ := build(f, small(f))
	r := open(f, file)
	for _, p := range slices.Concat(r.channels, r.index) {
		f.Add(file[p.Position+disk.FrameHeaderSize : p.end()])
	}
	f.Add(file[r.footer.directory+disk.FrameHeaderSize : len(file)-footerSize])
	full := withEverything(f)
	rolled := open(f, full)
	for _, p := range slices.Concat(rolled.charges, rolled.notes, rolled.rollups[1], rolled.rollups[2], rolled.rollups[3], rolled.rollups[4]) {
		f.Add(full[p.Position+disk.FrameHeaderSize : p.end()])
	}
	f.Add(full[rolled.footer.directory+disk.FrameHeaderSize : len(full)-footerSize])
	f.Fuzz(func(t *testing.T, b []byte) {
		var d directory
		if err := d.decode(b, 48, 4000); err == nil && len(d.channels)+len(d.index) > len(b) {
			t.Errorf("%d pages of %d bytes", len(d.channels)+len(d.index), len(b))
		}
		var e entries
		e.start(b)
		limits := page{firstChannel: 1, lastChannel: 1 << 31, first: -1 << 63, last: 1<<63 - 1}
		for more, err := true, error(nil); more && err == nil; {
			if more, err = e.next(&limits, 1<<40); more && (e.ref.Values.end() > 1<<40 || e.ref.Summary.Rows() == 0) {
				t.Errorf("entry %+v", e.ref)
			}
		}
		var coder channelCoder
		for in := (input{rest: b}); len(in.rest) > 0; {
			if _, err := coder.next(&in); err != nil {
				break
			}
		}
		decodeAnyCharges(t, b)
		decodeAnyNotes(t, b)
		if len(b) > 0 {
			decodeAnyRollups(t, b, model.Step(b[0]))
		}
	})
}
