package engine

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
)

// formatRollups are four hours of readings with one decimal. In one hour is no
// number, in another the first one is -0, and it has fewer rows.
func formatRollups() *block.RollupRows {
	var r block.RollupRows
	r.Step = model.StepHour
	for i, a := range []model.Aggregate{
		{Count: 60, First: 20.5, Last: 21, Min: 20.1, Max: 21.3, Sum: 1242.7},
		{Count: 60, First: 21, Last: 20.2, Min: 20.2, Max: 21.1, Sum: 1240.2},
		{Quality: 60},
		{Count: 2, First: math.Copysign(0, -1), Last: 0.5, Min: math.Copysign(0, -1), Max: 0.5, Sum: 0.5},
	} {
		a.FirstTime = formatTime + int64(i)*3600e9
		a.LastTime = a.FirstTime + int64(a.Rows()-1)*30e9
		r.Add(&a)
	}
	return &r
}

// dumpRolledBlock writes a block in the small form: of the first channel
// rollups are left, the second has raw rows, whose charge is carried; and two
// tombstones and some rules.
func dumpRolledBlock(t *testing.T) string {
	var file bytes.Buffer
	w := block.NewWriter(&file, block.WriterOptions{NewSalt: formatSalt, Form: chunk.Small, Rollups: true,
		Notes: block.Notes{Tombstones: []model.Tombstone{
			{Offset: 40, Span: model.Span{From: formatTime, To: formatTime + 60e9}, Channels: []model.ChannelID{2, 300}},
			{Offset: 41, Span: model.Span{From: formatTime, To: formatTime + 1}}}, Retention: []byte("…")},
		Name: disk.BlockName{Tenant: "t", Level: "month", First: formatTime, Last: formatTime + 4*3600e9, FirstOffset: 1, LastOffset: 42, Epoch: 2, Part: 1}})
	must(t, w.AddChannel(model.Channel{ID: 1, Labels: formatLabels("1")}))
	must(t, w.AddRollups(formatRollups()))
	must(t, w.AddChannel(model.Channel{ID: 2, Labels: formatLabels("2")}))
	must(t, w.AddCharge(formatTime/model.Day, 2, 21))
	must(t, w.AddChunk([]int64{formatTime, formatTime + 60e9}, []float64{1, 2}))
	_, err := w.Close()
	must(t, err)

	d := newDump(t, file.Bytes())
	d.header("HOKANBLK", 2)
	d.values(2, d.frame(0, "values"))
	d.rollups(d.frame(1, "rollups"), formatRollups())
	body := d.at
	channels := d.frame(2, "channels")
	d.take(channels-d.at, "labels, as above")
	index := d.frame(3, "index")
	d.take(index-d.at, "one chunk, as above")
	d.charges(d.frame(4, "charges"))
	d.notes(d.frame(5, "notes"))
	end := d.frame(6, "directory")
	d.pages("channels", 2, false)
	d.pages("index", 3, true)
	d.pages("charges", 4, false)
	for range d.uvarint("notes frames") {
		d.page(5)
	}
	d.uvarint("frames of rollups of 1s")
	d.uvarint("frames of rollups of 1m")
	d.pages("rollups of 1h", 1, true)
	d.uvarint("where it begins less where the one before ended")
	d.uvarint("frames of rollups of 1d")
	d.storedRuns()
	d.ends(end)
	d.footer(body)
	return d.String()
}

// page reads what the directory says of a frame, of those read before.
func (d *dump) page(frame int) {
	d.uvarint("bytes of its payload")
	d.frameCRC(d.frames[frame])
}

// pages reads one page of a list in the directory.
func (d *dump) pages(what string, frame int, bounded bool) {
	for range d.uvarint(what + " frames") {
		if !bounded {
			d.uvarint("its first channel ID less the one before's")
		} else {
			d.uvarint("its first channel ID less the last of the one before")
			d.uvarint("its last channel ID less its first")
			d.zigzagTime("earliest time less the one before's", 0)
			d.uvarint("latest time less the earliest")
		}
		d.page(frame)
	}
}

func (d *dump) storedRuns() {
	for range d.uvarint("runs of channels") {
		d.uvarint("its first channel ID less the last of the one before")
		d.uvarint("its last channel ID less its first")
		d.bits("has raw rows, rollups of 1s, 1m, 1h, 1d (bits 0 to 4)")
	}
}

// rollups reads the rows of the only channel of a page, which must be want.
func (d *dump) rollups(end int, want *block.RollupRows) {
	const hour = int64(3600e9)
	d.u8("step (3: hour)")
	d.uvarint("channel ID less the one before")
	d.uvarint("bytes up to the next channel")
	rows := int(d.uvarint("rows less 1")) + 1
	interval := d.zigzag("interval of row 0 less that of the channel before")
	place, length := d.zigzag("place of row Q"), d.zigzag("its length")
	count, quality := d.zigzag("its rows that hold a number"), d.zigzag("its rows that do not")
	decimals := d.u8("scale of values (0 to 15: decimals)")
	d.u8("scale of sums")
	last := d.zigzag("start")
	mask := d.uvarint("which columns stand here (bits 0 to 9), exceptions (bit 10)")
	var columns [10][]int64
	for i, name := range []string{"intervals", "places", "lengths", "numbers", "no numbers", "first", "last", "least", "greatest", "sums"} {
		columns[i] = make([]int64, rows)
		if mask>>i&1 != 0 {
			columns[i] = d.integers(name, rows)
		}
	}
	var got block.RollupRows
	got.Step = model.StepHour
	for i := range rows {
		interval += columns[0][i]
		var a model.Aggregate
		a.FirstTime = interval*hour + place + columns[1][i]
		a.LastTime = a.FirstTime + length + columns[2][i]
		a.Count, a.Quality = uint64(count+columns[3][i]), uint64(quality+columns[4][i])
		first := last + columns[5][i]
		last = first + columns[6][i]
		least, greatest := min(first, last)-columns[7][i], max(first, last)+columns[8][i]
		sum := (first+last+least+greatest)*int64(a.Count)>>2 + columns[9][i]
		number := func(x int64) float64 { return float64(x) / math.Pow10(decimals) }
		a.First, a.Last, a.Min, a.Max, a.Sum = number(first), number(last), number(least), number(greatest), number(sum)
		interval++
		got.Add(&a)
	}
	if mask>>10&1 != 0 {
		next := uint64(0)
		for range d.uvarint("exceptions") {
			next += d.uvarint("5 * row + which number, less the one before, less 1")
			v := d.float("its value")
			*[]*float64{&got.Firsts[next/5], &got.Lasts[next/5], &got.Mins[next/5], &got.Maxs[next/5], &got.Sums[next/5]}[next%5] = v
			next++
		}
	}
	for i := range rows {
		a, b := got.Aggregate(i), want.Aggregate(i)
		if fmt.Sprint(a) != fmt.Sprint(b) {
			d.t.Errorf("row %d is %+v, want %+v", i, a, b)
		}
		text := fmt.Sprintf("%d rows from %s on", a.Rows(), clock(a.FirstTime))
		if a.Count > 0 {
			text += fmt.Sprintf(": first %v, last %v, least %v, greatest %v, sum %v", a.First, a.Last, a.Min, a.Max, a.Sum)
		}
		d.note("= %s", text)
	}
	d.ends(end)
}

func (d *dump) charges(end int) {
	d.uvarint("channel ID less the one before")
	for range d.uvarint("days") {
		d.zigzag("day less the one expected")
		d.zigzag("rows less those of the day before")
		d.zigzag("bytes less those of the day before")
	}
	d.ends(end)
}

func (d *dump) notes(end int) {
	for d.at < end {
		if d.u8("kind (1: tombstone, 2: retention)") == 2 {
			d.take(int(d.uvarint("bytes of the rules")), "rules")
			continue
		}
		d.uvarint("offset")
		d.zigzagTime("from", 0)
		d.zigzagTime("up to before", 0)
		if n := d.uvarint("channels plus 1; 0: all"); n > 0 {
			for range n - 1 {
				d.uvarint("channel ID less the one before")
			}
		}
	}
	d.ends(end)
}

// footer reads the end of a block whose body ends at a byte.
func (d *dump) footer(body int) {
	footer := d.b[d.at:]
	if got := d.u64("footer: where the body ends"); int(got) != body {
		d.t.Errorf("the footer says that the body ends at %d, it does at %d", got, body)
	}
	directory := d.frames[len(d.frames)-1]
	if got := d.u64("where the directory's frame is"); int(got) != directory {
		d.t.Errorf("the footer says that the directory is at %d, it is at %d", got, directory)
	}
	d.u32("bytes of the directory's payload")
	d.frameCRC(directory)
	d.u64("raw rows")
	d.u64("chunks")
	d.u64("rollup rows")
	d.u64("charged bytes")
	d.u64("raw rows that are not charged")
	d.time("time of the earliest row")
	d.time("time of the latest row")
	d.u64("offset of the first entry")
	d.u64("offset of the last entry")
	d.u64("epoch")
	d.u32("channels")
	d.crc("CRC-32C of the footer so far", footer[:108])
	d.text(8, "end")
}
