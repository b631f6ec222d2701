package block

import (
	"bytes"
	"encoding/binary"
	"math"
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
func (l *layout) float(values ...float64) *layout {
	for _, v := range values {
		l.u64(math.Float64bits(v))
	}
	return l
}

// TestFormat compares a block with what format.go says of every byte.
func TestFormat(t *testing.T) {
	a, b := labelled(t, 3, "A", "x1"), labelled(t, 5, "A", "x2")
	a.History = model.History{{ValidFrom: 100, Properties: model.Properties{Unit: "C", Decimals: 1, HasDecimals: true}}}
	b.History = model.History{{ValidFrom: 100, Properties: model.Properties{Unit: "C", Decimals: 1, HasDecimals: true}},
		{ValidFrom: 98 + 100, Properties: model.Properties{Name: "n", Unit: "CC"}}}
	first := chunkRows{[]int64{1000, 1060, 1120}, []float64{2, 5, 3}}
	second := chunkRows{[]int64{1180}, []float64{7}}
	third := chunkRows{[]int64{1010, 1020}, []float64{model.QualityOver.NaN(), model.QualityUnder.NaN()}}
	fourth := chunkRows{[]int64{1030, 1040, 1050}, []float64{1, 4, model.QualityOver.NaN()}}
	file, _ := build(t, []channelRows{{a, []chunkRows{first, second}}, {b, []chunkRows{third, fourth}}})

	want := new(layout).text("HOKANBLK").raw(1, 0, 2, 0).raw(file[12:16]...) // its CRC is disk's matter
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
	for _, rows := range []chunkRows{first, second, third, fourth} {
		frame(chunk.Encode(nil, rows.times, rows.values))
	}
	chunksEnd := len(want.bytes)
	frame(new(layout).
		uvarint(3).                                                              // channel 3
		raw(0, 0, 24).text("\x07channel\x02x1\x0ainstrument\x01A").              // all 24 bytes new
		uvarint(1).raw(200, 1).raw(1<<1|1<<5).raw(0, 0, 1).text("C").uvarint(3). // from 100: unit, 1 decimal
		uvarint(2).raw(10, 13, 1).text("2").                                     // channel 5: another digit
		uvarint(2).raw(0).raw(0).                                                // from 100: all the same
		raw(196, 1).raw(1<<0|1<<1|1<<5).raw(0, 0, 1).text("n").raw(1, 0, 1).text("C").uvarint(0).bytes)
	frame(new(layout).
		uvarint(48).                                                                                                   // the chunks begin behind the header
		uvarint(3).raw(1, 0b01_1010).uvarint(3).raw(0xd0, 0x0f).uvarint(120).uvarint(uint64(lengths[0])).u32(sums[0]). // from 1000 on
		float(2, 3, 5, 10).                                                                                            // first, last, greatest, sum; least = first
		uvarint(0).raw(1, 0).uvarint(1).raw(0xe8, 0x02).uvarint(0).uvarint(uint64(lengths[1])).u32(sums[1]).           // 180 later
		float(7).
		uvarint(2).raw(1, 1).uvarint(0).uvarint(2).raw(0xd3, 0x02).uvarint(10).uvarint(uint64(lengths[2])).u32(sums[2]). // 170 earlier, no numbers
		uvarint(0).raw(1, 0b01_0011).uvarint(2).uvarint(1).raw(40).uvarint(20).uvarint(uint64(lengths[3])).u32(sums[3]).
		float(1, 4, 5).bytes) // first, last, sum
	directory := len(want.bytes)
	frame(new(layout).
		uvarint(1).uvarint(3).uvarint(uint64(lengths[4])).u32(sums[4]).
		uvarint(1).uvarint(3).uvarint(2).raw(0xd0, 0x0f).uvarint(180).uvarint(uint64(lengths[5])).u32(sums[5]).bytes)
	footer := new(layout).u64(uint64(chunksEnd)).u64(uint64(directory)).u32(lengths[6]).u32(sums[6]).
		u64(9).u64(4).u64(1000).u64(1180).u64(11).u64(99).u64(3).u32(2)
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
	if chunksEnd != 48+4*16+int(lengths[0]+lengths[1]+lengths[2]+lengths[3]) || len(file) != directory+16+int(lengths[6])+96 {
		t.Errorf("chunks end at %d, the directory is at %d of %d", chunksEnd, directory, len(file))
	}
}
