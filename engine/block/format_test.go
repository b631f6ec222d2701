package block

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"testing"

	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// layout collects the bytes that format.go promises.
type layout struct{ bytes []byte }

func (l *layout) raw(b ...byte) *layout    { l.bytes = append(l.bytes, b...); return l }
func (l *layout) text(s string) *layout    { l.bytes = append(l.bytes, s...); return l }
func (l *layout) uvarint(v uint64) *layout { l.bytes = binary.AppendUvarint(l.bytes, v); return l }
func (l *layout) u32(v uint32) *layout {
	l.bytes = binary.LittleEndian.AppendUint32(l.bytes, v)
	return l
}
func (l *layout) u64(v uint64) *layout {
	l.bytes = binary.LittleEndian.AppendUint64(l.bytes, v)
	return l
}

// TestFormat compares a block with what format.go says of every byte.
func TestFormat(t *testing.T) {
	a, b := labelled(t, 3, "A", "x1"), labelled(t, 5, "A", "x2")
	a.History = model.History{{ValidFrom: 100, Properties: model.Properties{Unit: "C", Decimals: 1, HasDecimals: true}}}
	b.History = model.History{{ValidFrom: 100, Properties: model.Properties{Unit: "C", Decimals: 1, HasDecimals: true}},
		{ValidFrom: 98 + 100, Properties: model.Properties{Name: "n", Unit: "CC"}}}
	clocked := []int64{1030, 1041, 1050}
	rows := []chunkRows{
		{[]int64{1000, 1060, 1120}, []float64{2, 5, 3}},
		{[]int64{1180}, []float64{7.5}},
		{[]int64{1010, 1020}, []float64{model.QualityOver.NaN(), model.QualityUnder.NaN()}},
		{clocked, []float64{1, 4, model.QualityOver.NaN()}},
		{clocked, []float64{1.0 / 3, 0.125, 1.0 / 3}},
		{clocked, []float64{-1, -1, -1}},
	}
	var written bytes.Buffer
	w := NewWriter(&written, WriterOptions{Name: testName, NewSalt: fixedSalt})
	for _, err := range []error{
		w.AddChannel(a), w.AddChunk(rows[0].times, rows[0].values), w.AddChunk(rows[1].times, rows[1].values),
		w.AddChannel(b), w.AddChunk(rows[2].times, rows[2].values), w.AddChunk(rows[3].times, rows[3].values),
		w.AddChannel(labelled(t, 6, "A", "x2")), w.AddChunk(rows[4].times, rows[4].values),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	w.index.open = false // as if the page were full
	if err := errors.Join(w.AddChannel(labelled(t, 7, "A", "x2")), w.AddChunk(rows[5].times, rows[5].values)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file := written.Bytes()

	want := new(layout).text("HOKANBLK").raw(3, 0, 2, 0).raw(file[12:16]...) // its CRC is disk's matter
	salt := fixedSalt()
	want.raw(salt[:]...)
	number := uint32(0)
	var lengths, sums []uint32
	frame := func(payload []byte) {
		start := len(want.bytes)
		want.bytes = disk.AppendFrame(want.bytes, number, payload)
		lengths = append(lengths, uint32(len(payload)))
		sums = append(sums, binary.LittleEndian.Uint32(want.bytes[start+12:]))
		number++
	}
	var encoder chunk.Encoder
	var clockFrame, last int // where the times that are stored begin, and the last chunk
	for i, r := range rows {
		last = len(want.bytes)
		if i == 3 {
			clockFrame = last
			frame(encoder.AppendTimes(nil, r.times, chunk.Fast))
		}
		frame(encoder.AppendValues(nil, r.values, chunk.Fast))
	}
	bodyEnd := len(want.bytes)
	frame(new(layout).
		uvarint(3).                                                              // channel 3
		raw(0, 0, 24).text("\x07channel\x02x1\x0ainstrument\x01A").              // all 24 bytes new
		uvarint(1).raw(200, 1).raw(1<<1|1<<5).raw(0, 0, 1).text("C").uvarint(3). // from 100: unit, 1 decimal
		uvarint(2).raw(10, 13, 1).text("2").                                     // channel 5: another digit
		uvarint(2).raw(0).raw(0).                                                // from 100: all the same
		raw(196, 1).raw(1<<0|1<<1|1<<5).raw(0, 0, 1).text("n").raw(1, 0, 1).text("C").uvarint(0).
		uvarint(1).raw(24, 0, 0).uvarint(0).       // channel 6: as before, no properties
		uvarint(1).raw(24, 0, 0).uvarint(0).bytes) // channel 7
	payload := func(l *layout, i int) *layout { return l.uvarint(uint64(lengths[i])).u32(sums[i]) }
	page := new(layout).uvarint(48) // the chunks begin behind the header
	// Channel 3: 3 rows, from 1000, to 1120; then 2, 1 more, 0 below 2, 2 above 3, 10 - 3*2.
	payload(page.raw(3, 2, 0, 2).raw(0xd0, 0x0f).raw(0xf0, 1), 0).raw(0).raw(4, 2, 0, 2, 8)
	// One row, at 1180 as expected, with 1 decimal.
	payload(page.raw(0, 2|1<<4, 0, 0, 0, 0), 1).raw(0).raw(0x96, 1, 0, 0, 0, 0)
	// Channel 5, 2 rows, from 10 after 1000; to 10 after that where 0 would be the step. No number.
	payload(page.raw(2, 2, 0, 1, 20, 20), 2).raw(2)
	// 3 rows from 1030 on as expected, to 1050 as expected, stored. A row without a number; then 1, 4; 5 - 2*1.
	payload(payload(page.raw(0, 2, 1, 2, 0, 0, 0), 3), 4).raw(1).raw(2, 6, 0, 0, 6)
	// Channel 6: times of the page's column 3. No decimals: each less the one before by XOR.
	payload(page.raw(1, 2|15<<4, 3+2), 5).raw(0)
	before := uint64(0)
	for _, v := range []float64{1.0 / 3, 1.0 / 3, 0.125, 1.0 / 3, 1.0/3 + 0.125 + 1.0/3} {
		page.uvarint(bits.Reverse64(math.Float64bits(v) ^ before))
		before = math.Float64bits(v)
	}
	frame(page.bytes)
	page = new(layout).uvarint(uint64(last))
	// Channel 7: 3 rows, from 1030, to 1050, stored further ahead. -1, -1, 0, 0, -3 less 3*-1.
	page.raw(7, 2, 1, 2).raw(0x8c, 0x10).raw(40).uvarint(uint64(last - clockFrame))
	payload(payload(page, 3), 6).raw(0).raw(1, 0, 0, 0, 0)
	frame(page.bytes)
	directory := len(want.bytes)
	list := new(layout)
	payload(list.uvarint(1).uvarint(3), 7).uvarint(2)
	payload(list.uvarint(3).uvarint(3).raw(0xd0, 0x0f).raw(180, 1), 8)
	payload(list.uvarint(1).uvarint(0).raw(60).uvarint(20), 9)
	list.raw(0, 0, 0, 0, 0, 0).raw(1, 3, 4, 1) // no charges, notes and rollups; channels 3 to 7 have raw rows
	frame(list.bytes)
	footer := new(layout).u64(uint64(bodyEnd)).u64(uint64(directory)).u32(lengths[10]).u32(sums[10]).
		u64(15).u64(6).u64(0).u64(0).u64(15).u64(1000).u64(1180).u64(11).u64(99).u64(3).u32(4)
	footer.u32(disk.Checksum(footer.bytes)).text("HOKANEND")
	want.raw(footer.bytes...)

	if len(footer.bytes) != footerSize {
		t.Errorf("the footer has %d bytes", len(footer.bytes))
	}
	for i := range min(len(file), len(want.bytes)) {
		if file[i] != want.bytes[i] {
			t.Fatalf("byte %d is %#x, documented is %#x\n% x\n% x", i, file[i], want.bytes[i], file[i:], want.bytes[i:])
		}
	}
	if !bytes.Equal(file, want.bytes) {
		t.Errorf("%d bytes, documented are %d", len(file), len(want.bytes))
	}
	size := 0
	for _, length := range lengths[:7] {
		size += 16 + int(length)
	}
	if bodyEnd != 48+size || len(file) != directory+16+int(lengths[10])+120 {
		t.Errorf("chunks end at %d, the directory is at %d of %d", bodyEnd, directory, len(file))
	}
}
