package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/hokan-db/hokan/engine/model"
)

// dump reads encoded bytes as FORMAT.md says that they are, field by field,
// and writes a line for each. It shares no code with the decoders, so what it
// reads is what FORMAT.md and the comments say and not what the code does.
type dump struct {
	t     *testing.T
	b     []byte
	at    int
	lines []string

	frames []int // where each frame begins
}

// bytesPerLine is how many bytes a line shows; a longer field goes on in lines
// without a meaning.
const bytesPerLine = 8

func newDump(t *testing.T, b []byte) *dump { return &dump{t: t, b: b} }

// String ends the dump: every byte must have been read.
func (d *dump) String() string {
	d.t.Helper()
	if d.at != len(d.b) {
		d.t.Fatalf("%d bytes after the last field, from byte %d on: % x", len(d.b)-d.at, d.at, d.b[d.at:])
	}
	return strings.Join(d.lines, "\n") + "\n"
}

// restart ends one run of bytes and begins another, with offsets from 0 on.
func (d *dump) restart(b []byte) {
	d.t.Helper()
	if d.at != len(d.b) {
		d.t.Fatalf("%d bytes after the last field", len(d.b)-d.at)
	}
	d.b, d.at = b, 0
}

// take reads n bytes.
func (d *dump) take(n int, meaning string, arguments ...any) []byte {
	d.t.Helper()
	if n < 0 || n > len(d.b)-d.at {
		d.t.Fatalf("%s: %d bytes at byte %d of %d\n%s", meaning, n, d.at, len(d.b), strings.Join(d.lines, "\n"))
	}
	field := d.b[d.at : d.at+n]
	if len(arguments) > 0 {
		meaning = fmt.Sprintf(meaning, arguments...)
	}
	for i := 0; i < n; i += bytesPerLine {
		line := fmt.Sprintf("%4d  %-23x  %s", d.at+i, spaced(field[i:min(i+bytesPerLine, n)]), meaning)
		d.lines = append(d.lines, strings.TrimRight(line, " "))
		meaning = ""
	}
	d.at += n
	return field
}

// spaced prints bytes with a space between them.
type spaced []byte

func (s spaced) Format(f fmt.State, _ rune) {
	text := fmt.Sprintf("% x", []byte(s))
	width, _ := f.Width()
	fmt.Fprintf(f, "%-*s", width, text)
}

// peek returns the number of n bytes at the current place.
func (d *dump) peek(n int) uint64 {
	var b [8]byte
	if d.at+n <= len(d.b) {
		copy(b[:], d.b[d.at:d.at+n])
	}
	return binary.LittleEndian.Uint64(b[:])
}

// fixed reads a little-endian number of n bytes and shows it.
func (d *dump) fixed(n int, meaning string) uint64 {
	d.t.Helper()
	v := d.peek(n)
	d.take(n, "%s: %d", meaning, v)
	return v
}

func (d *dump) u16(meaning string) int    { d.t.Helper(); return int(d.fixed(2, meaning)) }
func (d *dump) u8(meaning string) int     { d.t.Helper(); return int(d.fixed(1, meaning)) }
func (d *dump) u32(meaning string) uint64 { d.t.Helper(); return d.fixed(4, meaning) }
func (d *dump) u64(meaning string) uint64 { d.t.Helper(); return d.fixed(8, meaning) }

// bits reads a byte of flags.
func (d *dump) bits(meaning string) int {
	d.t.Helper()
	v := int(d.peek(1))
	d.take(1, "%s: %b", meaning, v)
	return v
}

// text reads n bytes of text.
func (d *dump) text(n int, meaning string) string {
	d.t.Helper()
	if n == 0 {
		return ""
	}
	s := string(d.b[d.at:min(d.at+n, len(d.b))])
	d.take(n, "%s: %q", meaning, s)
	return s
}

// crc reads a CRC-32C and checks it against what it covers.
func (d *dump) crc(meaning string, covered ...[]byte) {
	d.t.Helper()
	sum := crc32.Checksum(bytes.Join(covered, nil), crc32.MakeTable(crc32.Castagnoli))
	if stored := uint32(d.peek(4)); stored != sum {
		d.t.Fatalf("%s at byte %d: %08x, want %08x", meaning, d.at, stored, sum)
	}
	d.take(4, meaning)
}

// number shows a value, or why there is none.
func number(v float64) string {
	if q := model.QualityOf(v); q != model.QualityNone {
		return "no number, quality " + q.String()
	}
	return fmt.Sprint(v)
}

func (d *dump) float(meaning string) float64 {
	d.t.Helper()
	v := math.Float64frombits(d.peek(8))
	d.take(8, "%s: %s", meaning, number(v))
	return v
}

// clock shows a time of the dumps, all of which are near base.
func clock(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }

func (d *dump) time(meaning string) int64 {
	d.t.Helper()
	v := int64(d.peek(8))
	d.take(8, "%s: %s", meaning, clock(v))
	return v
}

// uvarint reads a number in base 128, low group first, in its shortest form.
func (d *dump) uvarint(meaning string) uint64 {
	d.t.Helper()
	v, n := binary.Uvarint(d.b[d.at:])
	d.take(n, "%s: %d", meaning, v)
	return v
}

// zigzagTime reads the difference of a time to before.
func (d *dump) zigzagTime(meaning string, before int64) int64 {
	d.t.Helper()
	v, n := binary.Varint(d.b[d.at:])
	d.take(n, "%s: %d, so %s", meaning, v, clock(before+v))
	return before + v
}

// counted reads a uvarint length and text.
func (d *dump) counted(meaning string) string {
	d.t.Helper()
	return d.text(int(d.uvarint("length of "+meaning)), meaning)
}

// header reads a file's header.
func (d *dump) header(magic string, kind uint64) {
	d.t.Helper()
	start := d.at
	if got := d.text(8, "magic"); got != magic {
		d.t.Errorf("magic %q, want %q", got, magic)
	}
	d.fixed(2, "version")
	if got := d.fixed(2, "kind"); got != kind {
		d.t.Errorf("kind %d, want %d", got, kind)
	}
	d.crc("CRC-32C of bytes 0 to 11 and 16 to 47", d.b[start:start+12], d.b[start+16:start+48])
	d.take(32, "salt")
}

// frame reads a frame's header and returns where its payload ends.
func (d *dump) frame(number uint64, what string) (end int) {
	d.t.Helper()
	start := d.at
	d.frames = append(d.frames, start)
	length := int(d.u32("frame (" + what + "): bytes of payload"))
	if got := d.u32("number of the frame"); got != number {
		d.t.Errorf("frame %d, want %d", got, number)
	}
	d.u8("key (0: plaintext)")
	d.take(3, "reserved")
	end = start + 16 + length
	d.crc("CRC-32C of the 12 bytes before and the payload", d.b[start:start+12], d.b[start+16:end])
	return end
}

// ends checks that the field read last ended at byte end.
func (d *dump) ends(end int) {
	d.t.Helper()
	if d.at != end {
		d.t.Fatalf("at byte %d, what was read should end at byte %d\n%s", d.at, end, strings.Join(d.lines, "\n"))
	}
}

// record reads a value of the catalog: checksum and a msgpack map.
func (d *dump) record(key []byte) {
	d.t.Helper()
	d.crc("CRC-32C of key and payload", key, d.b[4:])
	fields, size := int(d.peek(1))-0x80, 1
	if d.b[d.at] == 0xde { // of more than 15
		fields, size = int(binary.BigEndian.Uint16(d.b[d.at+1:])), 3
	}
	d.take(size, "msgpack map of %d fields", fields)
	for range fields {
		r := bytes.NewReader(d.b[d.at:])
		decoder := msgpack.NewDecoder(r)
		name, err := decoder.DecodeString()
		if err != nil {
			d.t.Fatal(err)
		}
		value, err := decoder.DecodeInterface()
		if err != nil {
			d.t.Fatal(err)
		}
		shown := fmt.Sprintf("%v", value)
		switch v := value.(type) {
		case string:
			shown = fmt.Sprintf("%q", v)
		case []byte:
			shown = fmt.Sprintf("bytes %x", v)
		}
		d.take(len(d.b)-d.at-r.Len(), "%s: %s", name, shown)
	}
}

// changeBits are, by class, which bits of the change a chunk's row tells: the
// lowest one and how many bytes.
var changeBits = [15]struct{ low, size int }{
	2: {0, 8}, 3: {0, 7}, 4: {0, 6}, 5: {0, 5}, 6: {0, 4}, 7: {29, 4}, 8: {29, 3}, 9: {29, 2},
	10: {40, 3}, 11: {40, 2}, 12: {40, 1}, 13: {48, 2}, 14: {48, 1},
}

// gorilla reads a chunk of rows that ends at byte end.
func (d *dump) gorilla(rows, end int) {
	d.t.Helper()
	at := d.time("chunk, row 0: time")
	value := math.Float64bits(d.float("row 0: value"))
	var step int64
	var change uint64
	for row := 1; row < rows; row++ {
		var control uint64
		if row%16 == 1 {
			control = d.peek(8)
			last := min(row+15, rows-1)
			d.take(8, "control of rows %d to %d: %x, row %d lowest", row, last, control, row)
			for i := row; i <= last; i++ {
				step, at, value, change = d.gorillaRow(i, int(control>>(4*(i-row))&15), step, at, value, change)
			}
		}
	}
	d.ends(end)
}

func (d *dump) gorillaRow(row, class int, step, at int64, value, change uint64) (int64, int64, uint64, uint64) {
	d.t.Helper()
	start, n := d.at, 0
	text := fmt.Sprintf("row %d: ", row)
	if class == 15 {
		code := int(d.b[d.at] >> 4)
		class = int(d.b[d.at] & 15)
		size, unit := code, int64(1)
		switch {
		case code >= 12:
			size, unit = code-11, 1e6
		case code >= 9:
			size, unit = code-8, 1e3
		}
		var z [8]byte
		copy(z[:], d.b[d.at+1:d.at+1+size])
		number := binary.LittleEndian.Uint64(z[:])
		difference := int64(number>>1) ^ -int64(number&1)
		step += difference * unit
		n = 1 + size
		text += fmt.Sprintf("time code %d, %+d × %v; ", code, difference, time.Duration(unit))
	}
	at += step
	var x [8]byte
	copy(x[:], d.b[start+n:start+n+changeBits[class].size])
	n += changeBits[class].size
	bits := binary.LittleEndian.Uint64(x[:]) << changeBits[class].low
	switch class {
	case 0:
	case 1:
		value ^= change
	default:
		change = bits
		value ^= change
	}
	text += fmt.Sprintf("class %d, %s at %s", class, number(math.Float64frombits(value)), clock(at))
	if n == 0 {
		d.lines = append(d.lines, fmt.Sprintf("%31s%s, no bytes", "", text))
	} else {
		d.take(n, "%s", text)
	}
	return step, at, value, change
}
