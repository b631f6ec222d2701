package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/catalog"
	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/head"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// formatSamples are readings at minutes, with what chunks say in a special way.
func formatSamples() (times []int64, values []float64) {
	return []int64{formatTime, formatTime + 60e9, formatTime + 120e9, formatTime + 180e9, formatTime + 240e9 + 7},
		[]float64{25.3, 25.4, 25.3, 25.3, 2}
}

func dumpChunk(t *testing.T) string {
	times, values := formatSamples()
	b := chunk.Encode(nil, times, values)
	d := newDump(t, b)
	d.gorilla(len(times), len(b))
	return d.String()
}

// dumpBlock writes a block of three channels: two chunks of the first, one of
// each of the others, whose times are equal.
func dumpBlock(t *testing.T) string {
	var file bytes.Buffer
	w := block.NewWriter(&file, block.WriterOptions{NewSalt: formatSalt, Name: disk.BlockName{
		Tenant: "t", Level: block.Level, First: formatTime, Last: formatTime + 240e9, FirstOffset: 1, LastOffset: 42, Epoch: 2, Part: 1}})
	definition := formatDefinitions()[0]
	first := model.Channel{ID: 1, Labels: definition.Labels, History: model.History{
		{ValidFrom: formatTime, Properties: *definition.Properties},
		{ValidFrom: formatTime + 60e9, Properties: model.Properties{Name: "lake", Unit: "F", Scaling: "x1", Group: "g", App: "gw"}}}}
	must(t, w.AddChannel(first))
	times, values := formatSamples()
	must(t, w.AddChunk(times[:3], values[:3]))
	must(t, w.AddChunk(times[3:4], values[3:4]))
	must(t, w.AddChannel(model.Channel{ID: 2, Labels: formatLabels("2")}))
	must(t, w.AddChunk(times[2:], []float64{model.QualityOver.NaN(), -1, 1.0 / 3}))
	must(t, w.AddChannel(model.Channel{ID: 3, Labels: formatLabels("3")}))
	must(t, w.AddChunk(times[2:], []float64{model.QualityOver.NaN(), 7, 7}))
	_, err := w.Close()
	must(t, err)

	d := newDump(t, file.Bytes())
	d.header("HOKANBLK", 2)
	d.values(3, d.frame(0, "values"))
	d.values(1, d.frame(1, "values"))
	d.times(3, d.frame(2, "times"))
	d.values(3, d.frame(3, "values"))
	d.values(3, d.frame(4, "values"))
	bodyEnd := d.at
	d.channels(d.frame(5, "channels"))
	d.index(d.frame(6, "index"))
	d.directory(d.frame(7, "directory"))
	d.footer(bodyEnd)
	return d.String()
}

// frameCRC reads a copy of the checksum in the header of the frame at a place.
func (d *dump) frameCRC(frame int) {
	d.t.Helper()
	if !bytes.Equal(d.b[d.at:d.at+4], d.b[frame+12:frame+16]) {
		d.t.Errorf("byte %d is not the checksum of the frame at byte %d", d.at, frame)
	}
	d.take(4, "its frame CRC")
}

// relative reads a text that is told relative to another.
func (d *dump) relative(what, before string) string {
	d.t.Helper()
	prefix := d.uvarint(what + ": bytes as at the beginning of the one before")
	suffix := d.uvarint("bytes as at its end")
	middle := d.text(int(d.uvarint("bytes between")), "between")
	return before[:prefix] + middle + before[uint64(len(before))-suffix:]
}

func (d *dump) channels(end int) {
	names := []string{"name", "unit", "scaling", "group", "app"}
	texts := map[string]string{}
	var labels string
	validFrom := int64(0)
	for d.at < end {
		d.uvarint("channel ID less the one before")
		labels = d.relative("labels", labels)
		for range d.uvarint("versions of the properties") {
			validFrom = d.zigzagTime("valid from less the one before", validFrom)
			changed := d.bits("what changed")
			for i, name := range names {
				if changed>>i&1 != 0 {
					texts[name] = d.relative(name, texts[name])
				}
			}
			if changed>>5&1 != 0 {
				d.uvarint("decimals * 2 + 1, or 0")
			}
		}
	}
	d.ends(end)
	if labels != formatLabels("3").Encoded() || texts["unit"] != "F" {
		d.t.Errorf("the last labels are %q, the last unit is %q", labels, texts["unit"])
	}
}

// dumpTimes is what an entry of the index says of its times.
type dumpTimes struct {
	rows              uint64
	first, last, step int64
}

func (d *dump) index(end int) {
	position := int(d.uvarint("where the first chunk begins"))
	var before dumpTimes
	var listed []dumpTimes
	start := int64(0) // of the first chunk of the channel before
	for d.at < end {
		same := d.uvarint("channel ID less the one before") == 0
		form := int(d.peek(1))
		d.take(1, "encoding (2: fast) %d, decimals %d", form&15, form>>4)
		expected := start
		if same {
			expected = before.last + before.step
		}
		var times dumpTimes
		switch kind := d.uvarint("times (0: regular, 1: stored, else 2 more than a number in the list)"); kind {
		case 0, 1:
			times.rows = 1 + d.uvarint("rows less 1")
			times.first = d.zigzagTime("first time less the one expected", expected)
			times.last = d.zigzagTime("last time less the one expected", times.first+int64(times.rows-1)*before.step)
			if times.rows > 1 {
				times.step = (times.last - times.first) / int64(times.rows-1)
			}
			if kind == 1 {
				if back := int(d.uvarint("begins so many bytes before the values (0: next to them)")); back > 0 {
					d.t.Errorf("%d bytes back", back)
				}
				length := int(d.uvarint("bytes of its payload"))
				d.frameCRC(position)
				position += 16 + length
			}
			listed = append(listed, times)
		default:
			times = listed[kind-2]
		}
		if !same {
			start = times.first
		}
		before = times
		length := d.uvarint("bytes of the payload of the values")
		d.frameCRC(position)
		position += 16 + int(length)
		if quality := d.uvarint("rows without a number"); quality < times.rows {
			d.numbers(form>>4, times.rows-quality)
		}
	}
	d.ends(end)
}

// numbers reads the numbers of an entry of the index.
func (d *dump) numbers(decimals int, count uint64) {
	if decimals == 15 {
		before := uint64(0)
		for _, name := range []string{"first", "last", "least", "greatest", "sum"} {
			v, n := binary.Uvarint(d.b[d.at:])
			before ^= bits.Reverse64(v)
			d.take(n, "%s, bits reversed, XOR the one before: %x, so %v", name, v, math.Float64frombits(before))
		}
		return
	}
	show := func(m int64) string { return fmt.Sprint(float64(m) / math.Pow10(decimals)) }
	integer := func(meaning string, base int64) int64 {
		v, n := binary.Varint(d.b[d.at:])
		d.take(n, "%s: %d, so %s", meaning, v, show(base+v))
		return base + v
	}
	natural := func(meaning string, base, sign int64) {
		v, n := binary.Uvarint(d.b[d.at:])
		d.take(n, "%s: %d, so %s", meaning, v, show(base+sign*int64(v)))
	}
	first := integer("first", 0)
	last := integer("last less the first", first)
	natural("how far the least is below both", min(first, last), -1)
	natural("how far the greatest is above both", max(first, last), 1)
	integer("sum less first * rows with a number", first*int64(count))
}

func (d *dump) directory(end int) {
	frame := 5 // behind those of the chunks
	for range d.uvarint("channels frames") {
		d.uvarint("its first channel ID less the one before's")
		d.uvarint("bytes of its payload")
		d.frameCRC(d.frames[frame])
		frame++
	}
	for range d.uvarint("index frames") {
		d.uvarint("its first channel ID less the last of the one before")
		d.uvarint("its last channel ID less its first")
		d.zigzagTime("earliest time less the one before's", 0)
		d.uvarint("latest time less the earliest")
		d.uvarint("bytes of its payload")
		d.frameCRC(d.frames[frame])
		frame++
	}
	d.uvarint("charges frames")
	d.uvarint("notes frames")
	for _, step := range model.Steps()[1:] {
		d.uvarint("frames of rollups of " + step.String())
	}
	d.storedRuns()
	d.ends(end)
}

// formatHead has rows in order, and one that came late.
func formatHead() *head.Head {
	h := head.New()
	times, values := formatSamples()
	h.AppendColumn(1, times, values)
	h.AppendColumn(1, []int64{formatTime + 30e9}, []float64{24})
	h.AppendColumn(5, times[:1], []float64{-1})
	return h
}

func dumpHead(t *testing.T) string {
	d := newDump(t, formatHead().Snapshot().AppendTo(nil))
	d.head()
	return d.String()
}

func (d *dump) head() {
	d.t.Helper()
	d.u8("version")
	for range d.uvarint("channels") {
		d.uvarint("channel ID less the one before")
		rows := d.uvarint("rows in order")
		length := d.uvarint("bytes of their chunk")
		late := d.uvarint("late rows")
		d.gorilla(int(rows), d.at+int(length))
		for range late {
			d.time("late row: time")
			d.float("value")
		}
	}
}

// formatAlarms has an alarm that is active and one that was switched off
// before it knew a row.
func formatAlarms(t *testing.T) *alarm.Set {
	s := alarm.NewSet()
	_, err := s.Put(7, formatAlarm())
	must(t, err)
	off := formatAlarm()
	off.Enabled, off.Name = false, "off"
	_, err = s.Put(8, off)
	must(t, err)
	times := []int64{formatTime, formatTime + 60e9, formatTime}
	s.Fold(9, []entry.Column{{Channel: 1, Times: times[:2], Values: []float64{20, 31}}}, func(alarm.Event) {})
	s.Fold(10, []entry.Column{{Channel: 1, Times: times[2:], Values: []float64{1}}}, func(alarm.Event) {}) // late
	return s
}

func dumpAlarms(t *testing.T) string {
	d := newDump(t, formatAlarms(t).AppendTo(nil))
	d.alarms()
	return d.String()
}

func (d *dump) alarms() {
	d.t.Helper()
	d.u8("version")
	for range d.u32("alarms") {
		d.u64("ID")
		d.u64("version")
		d.u32("channel ID")
		d.u8("operator (5: outside)")
		d.float("threshold")
		d.float("low")
		d.float("high")
		d.bits("flags")
		d.u8("state (2: active)")
		d.time("since")
		d.time("folded to")
		d.u64("late rows")
		for _, text := range []string{"name", "match"} {
			d.text(int(d.u32("length of "+text)), text)
		}
	}
}

// dumpCheckpoint writes the checkpoint of a partition with one tenant.
func dumpCheckpoint(t *testing.T) string {
	h := head.New()
	h.AppendColumn(2, []int64{formatTime}, []float64{20.5})
	state := &partitionState{partition: formatPartition, offset: 42, graves: []grave{{"gone", 9}}, tenants: []tenantState{{
		name: "t", born: 10, applied: 41, clock: formatTime, since: formatTime, nextID: 3, rules: formatRules(),
		tombstones: []model.Tombstone{
			{Offset: 30, Span: model.Span{From: formatTime, To: formatTime + 1e9}},
			{Offset: 31, Span: model.Span{From: formatTime, To: formatTime + 1e9}, Channels: []model.ChannelID{1, 2}},
		},
		pinned: map[model.ChannelID]policy.Floors{1: {formatTime, formatTime - 3600e9, formatTime - 3600e9, policy.NoFloor, policy.NoFloor}},
		channels: []model.Channel{
			{ID: 1, Labels: formatLabels("1"), History: model.History{{ValidFrom: formatTime, Properties: *formatDefinitions()[0].Properties}}},
			{ID: 2, Labels: formatLabels("2")},
		},
		latest: []latestSample{{}, {}, {time: formatTime, value: 20.5, state: latestKnown}},
		alarms: alarm.NewSet().AppendTo(nil), receipts: formatReceipts(),
		heads: []headState{{lastOffset: 41, rows: h.Snapshot(), attached: []*attachedBlock{
			{meta: block.Meta{LastOffset: 40}, bytes: formatAttach().Block},
		}}},
	}}}
	var file bytes.Buffer
	must(t, encodeCheckpoint(&file, 2, state))
	// The salt is random, and nothing behind the header depends on it
	// (TestCheckpointSalt).
	header, err := disk.ReadHeader(file.Bytes(), disk.KindCheckpoint, 4)
	must(t, err)
	header.Salt = formatSalt()
	b := disk.AppendHeader(nil, header)
	d := newDump(t, append(b, file.Bytes()[disk.HeaderSize:]...))
	d.header("HOKANCKP", 3)
	end := d.frame(0, "the stream")
	d.u8("partition")
	d.u64("epoch")
	d.u64("offset")
	for range d.uvarint("deleted tenants of which something may be left") {
		d.counted("tenant")
		d.u64("offset of its deletion")
	}
	for range d.uvarint("tenants") {
		d.tenant()
	}
	d.ends(end)
	d.ends(d.frame(1, "the end of the stream"))
	return d.String()
}

func (d *dump) tenant() {
	d.counted("tenant")
	d.u64("born")
	d.u64("applied")
	d.time("clock")
	d.u32("next channel ID")
	d.time("since")
	if d.uvarint("bytes of the retention") > 0 {
		d.setRetention()
	}
	for range d.uvarint("deletions") {
		d.u64("offset")
		d.time("from")
		d.time("to")
		for range max(d.uvarint("channels plus 1 (0: all)"), 1) - 1 {
			d.uvarint("channel less the one before")
		}
	}
	for range d.uvarint("channels with floors of rules before") {
		d.u32("channel ID")
		for _, s := range model.Steps() {
			d.floor(s.String())
		}
	}
	for range d.uvarint("channels") {
		d.u32("channel ID")
		d.counted("labels")
		for range d.uvarint("versions of the properties") {
			d.time("valid from")
			for _, name := range []string{"name", "unit", "scaling", "group", "app"} {
				d.counted(name)
			}
			d.u8("decimals")
			d.u8("has decimals")
		}
		latest := d.u8("latest row (0 none, 1 known, 2 deleted)")
		if latest > 0 {
			d.time("its time")
		}
		if latest == 1 {
			d.float("its value")
		}
	}
	end := int(d.uvarint("bytes of the alarms"))
	end += d.at
	d.alarms()
	d.ends(end)
	end = int(d.uvarint("bytes of the receipts"))
	end += d.at
	d.receipts()
	d.ends(end)
	for range d.uvarint("heads") {
		d.u64("offset of the last entry that it may hold")
		end := int(d.uvarint("bytes of the head"))
		end += d.at
		d.head()
		d.ends(end)
		for range d.uvarint("blocks of entries") {
			d.u64("offset of the entry")
			d.text(int(d.uvarint("bytes of the block")), "block")
		}
	}
}

// formatCatalog returns the key and value of the one record of a kind, as they
// are in pebble.
func formatCatalog(t *testing.T, kind string) (key, value []byte) {
	fs := vfs.NewMem()
	c, err := catalog.Open(fs, "catalog", catalog.Options{})
	must(t, err)
	meta := block.Meta{Name: "blocks/t/…", Level: "month", Rows: 6, RollupRows: 2, Bytes: 800, ChunkBytes: 150, RollupBytes: 90, Chunks: 3, Channels: 2,
		First: formatTime, Last: formatTime + 180e9, FirstOffset: 1, LastOffset: 42, Epoch: 2, Charged: 170}
	must(t, c.PutEvents("t", []alarm.Event{{ID: strings.Repeat("ab", 16), Alarm: 7, Version: 1, Kind: alarm.Start,
		Time: formatTime, Value: 31.5, Offset: 9, Channel: 1, Name: "hot"}}))
	must(t, c.Commit(
		catalog.PutIdentity(catalog.Identity{Format: FormatVersion, ID: [16]byte(bytes.Repeat([]byte{0xcd}, 16)), Epoch: 2}),
		catalog.PutLog(catalog.LogRecord{Revision: 1, TrimmedTo: 30, Durable: 300}),
		catalog.PutPartition(formatPartition, catalog.PartitionRecord{Revision: 1, Epoch: 2, Offset: 42, Checkpoint: disk.CheckpointName(formatPartition, 2, 42)}),
		catalog.PutManifest("t", catalog.Manifest{Revision: 1, Epoch: 2, FlushedTo: 42, Blocks: []block.Meta{meta}}),
		catalog.PutService("plan/t", []byte("{}")),
	))
	must(t, c.Forget(catalog.TenantDeletion{Tenant: "gone", Offset: 9, Time: formatTime, Bytes: 800, Channels: 2}, true))
	must(t, c.Close())
	db, err := pebble.Open("catalog", &pebble.Options{FS: fs, ReadOnly: true, Logger: silent{}})
	must(t, err)
	defer db.Close()
	iterator, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte(kind)})
	must(t, err)
	defer iterator.Close()
	if !iterator.First() || iterator.Key()[0] != kind[0] {
		t.Fatalf("no record of kind %q", kind)
	}
	value, err = iterator.ValueAndErr()
	must(t, err)
	return bytes.Clone(iterator.Key()), bytes.Clone(value)
}

// silent is a logger that pebble tells nothing.
type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(format string, arguments ...any) {
	panic(fmt.Sprintf(format, arguments...))
}

// dumpRecord dumps the key and the value of a catalog record.
func dumpRecord(kind string) func(*testing.T) string {
	return func(t *testing.T) string {
		key, value := formatCatalog(t, kind)
		d := newDump(t, key)
		d.take(1, "key: %q", kind)
		switch kind {
		case "p":
			d.u8("partition")
		case "m":
			d.text(len(key)-1, "tenant")
		case "s":
			d.text(len(key)-1, "the service's key")
		case "d":
			d.take(8, "offset, big-endian: %d", binary.BigEndian.Uint64(key[1:]))
		case "b", "e", "a":
			d.text(bytes.IndexByte(key, 0)-1, "tenant")
			d.take(1, "ends the tenant")
		}
		switch kind {
		case "a":
			d.take(8, "alarm, big-endian: %d", binary.BigEndian.Uint64(key[d.at:]))
			fallthrough
		case "e":
			d.take(8, "time, big-endian, sign flipped: %s", clock(int64(binary.BigEndian.Uint64(key[d.at:])^1<<63)))
			d.take(16, "ID of the event")
		case "b":
			d.text(len(key)-d.at, "name of the block")
		}
		d.restart(value)
		if kind == "a" {
			if len(value) != 0 {
				t.Errorf("a value of %d bytes", len(value))
			}
			return d.String()
		}
		d.lines = append(d.lines, "value:")
		d.record(key)
		return d.String()
	}
}

// TestCheckpointSalt holds checkpoints to salts of their own, on which nothing
// else in them depends: the dump of a checkpoint relies on that.
func TestCheckpointSalt(t *testing.T) {
	var first, second bytes.Buffer
	must(t, encodeCheckpoint(&first, 1, &partitionState{}))
	must(t, encodeCheckpoint(&second, 1, &partitionState{}))
	a, b := first.Bytes(), second.Bytes()
	if bytes.Equal(a[16:disk.HeaderSize], b[16:disk.HeaderSize]) {
		t.Error("two files with the same salt")
	}
	if !bytes.Equal(a[:12], b[:12]) || !bytes.Equal(a[disk.HeaderSize:], b[disk.HeaderSize:]) {
		t.Errorf("more than the salt differs:\n% x\n% x", a, b)
	}
}
