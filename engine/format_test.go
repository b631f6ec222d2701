package engine

import (
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/chunk"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/engine/wal"
)

var rewrite = flag.Bool("rewrite", false, "write the dumps of FORMAT.md and the golden database again")

// formatDumps are the dumps of FORMAT.md by name. Each encodes known data with
// the engine and reads the bytes as FORMAT.md says.
var formatDumps = map[string]func(*testing.T) string{
	"names":                 dumpNames,
	"format":                dumpFormatFile,
	"header":                dumpHeader,
	"frame":                 dumpFrame,
	"segment":               dumpSegment,
	"entry-rows":            dumpEntry(formatRows(), (*dump).rows),
	"entry-define":          dumpEntry(&entry.Define{Definitions: formatDefinitions()}, (*dump).definitions),
	"entry-create-tenant":   dumpEntry(&entry.CreateTenant{}, func(*dump) {}),
	"entry-put-alarm":       dumpEntry(formatAlarm(), (*dump).putAlarm),
	"entry-switch-alarm":    dumpEntry(&entry.SwitchAlarm{ID: 42, Enabled: true}, (*dump).switchAlarm),
	"entry-delete-alarm":    dumpEntry(&entry.DeleteAlarm{ID: 42}, func(d *dump) { d.u64("ID of the alarm") }),
	"entry-delete-rows":     dumpEntry(&entry.DeleteRows{Span: model.Span{From: formatTime, To: formatTime + 60e9}, Channels: []model.ChannelID{2, 300}}, (*dump).deleteRows),
	"entry-delete-channels": dumpEntry(&entry.DeleteChannels{Channels: []model.ChannelID{2, 300}}, (*dump).channelIDs),
	"entry-delete-tenant":   dumpEntry(&entry.DeleteTenant{Bytes: 8000, Channels: 2}, (*dump).deleteTenant),
	"entry-set-retention":   dumpEntry(&entry.SetRetention{Rules: formatRules()}, (*dump).setRetention),
	"entry-put-receipt":     dumpEntry(formatReceipt(), (*dump).putReceipt),
	"entry-attach":          dumpEntry(formatAttach(), (*dump).attach),
	"chunk":                 dumpChunk,
	"column-times":          dumpTimesColumn(formatClock(), chunk.Small),
	"column-readings":       dumpValuesColumn(formatReadings(20), chunk.Fast),
	"column-quality":        dumpValuesColumn(specialReadings(), chunk.Fast),
	"column-symbols":        dumpValuesColumn(formatReadings(200), chunk.Small),
	"column-runs":           dumpValuesColumn(formatStates(), chunk.Small),
	"column-roots":          dumpValuesColumn(formatRoots(), chunk.Small),
	"block":                 dumpBlock,
	"block-rollups":         dumpRolledBlock,
	"head":                  dumpHead,
	"alarms":                dumpAlarms,
	"checkpoint":            dumpCheckpoint,
	"upload":                dumpUpload,
	"catalog-identity":      dumpRecord("i"),
	"catalog-log":           dumpRecord("l"),
	"catalog-partition":     dumpRecord("p"),
	"catalog-manifest":      dumpRecord("m"),
	"catalog-block":         dumpRecord("b"),
	"catalog-event":         dumpRecord("e"),
	"catalog-alarm-events":  dumpRecord("a"),
	"catalog-deletion":      dumpRecord("d"),
	"catalog-service":       dumpRecord("s"),
}

// TestFormatDocument compares every dump of FORMAT.md with what the engine
// writes, byte by byte and field by field. With -rewrite it writes the dumps.
func TestFormatDocument(t *testing.T) {
	const name = "FORMAT.md"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	fences := regexp.MustCompile("(?ms)^```dump ([a-z-]+)\n(.*?)^```$")
	seen := map[string]bool{}
	next := fences.ReplaceAllFunc(text, func(fence []byte) []byte {
		parts := fences.FindSubmatch(fence)
		dump, found := string(parts[1]), string(parts[2])
		make := formatDumps[dump]
		if make == nil || seen[dump] {
			t.Errorf("%s has a dump %q that nothing tests, or has it twice", name, dump)
			return fence
		}
		seen[dump] = true
		want := make(t)
		if !*rewrite {
			compareLines(t, dump, found, want)
		}
		return fmt.Appendf(nil, "```dump %s\n%s```", dump, want)
	})
	for _, dump := range slices.Sorted(maps.Keys(formatDumps)) {
		if !seen[dump] {
			t.Errorf("%s lacks the dump %q", name, dump)
		}
	}
	if *rewrite && !t.Failed() {
		if err := os.WriteFile(name, next, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func compareLines(t *testing.T, dump, found, want string) {
	f, w := strings.Split(found, "\n"), strings.Split(want, "\n")
	for i := range max(len(f), len(w)) {
		var a, b string
		if i < len(f) {
			a = f[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			t.Errorf("dump %s, line %d\ndocumented %q\nwritten    %q", dump, i+1, a, b)
			return
		}
	}
}

// What the dumps encode. The times are seconds after formatTime.
const formatTime = 1_700_000_000e9 // 2023-11-14T22:13:20Z

// formatPartition is the partition of the tenant in the dumps.
var formatPartition = model.Tenant("t").Partition()

// formatSalt is the salt in the dumps: 00 01 02 …
func formatSalt() (salt [disk.SaltSize]byte) {
	for i := range salt {
		salt[i] = byte(i)
	}
	return salt
}

func formatLabels(channel string) model.Labels {
	l, err := model.NewLabels(model.Label{Name: "instrument", Value: "A"}, model.Label{Name: "channel", Value: channel})
	if err != nil {
		panic(err)
	}
	return l
}

func formatDefinitions() []model.Definition {
	return []model.Definition{
		{ID: 1, Labels: formatLabels("1"), ValidFrom: formatTime, Properties: &model.Properties{
			Name: "lake", Unit: "C", Scaling: "x1", Group: "g", App: "gw", Decimals: 2, HasDecimals: true}},
		{ID: 2, Labels: formatLabels("2"), ValidFrom: formatTime},
	}
}

func formatRows() *entry.Rows {
	shared := []int64{formatTime, formatTime + 60e9, formatTime + 120e9}
	return &entry.Rows{Definitions: formatDefinitions()[1:], Columns: []entry.Column{
		{Channel: 2, Times: shared, Values: []float64{20.5, 20.6, model.QualityBurnout.NaN()}},
		{Channel: 3, Times: shared, Values: []float64{1, 2, 3}},
		{Channel: 1, Times: []int64{formatTime + 1e9}, Values: []float64{-1}},
	}}
}

// formatAttach has text in place of a block, of which there is a dump.
func formatAttach() *entry.Attach {
	return &entry.Attach{Definitions: formatDefinitions()[1:], Block: []byte("HOKANBLK … HOKANEND"), Newest: []entry.NewestRow{
		{Channel: 2, Sample: model.Sample{Time: formatTime + 120e9, Value: 20.5}},
		{Channel: 7, Sample: model.Sample{Time: formatTime + 60e9, Value: -1}},
	}}
}

func formatAlarm() *entry.PutAlarm {
	return &entry.PutAlarm{ID: 0, Name: "hot", Match: `{channel="1"}`, Channel: 1,
		Operator: uint8(alarm.Outside), Low: 5, High: 30, Enabled: true}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func dumpNames(*testing.T) string {
	return strings.Join([]string{
		disk.LockName, disk.FormatName, disk.CatalogDir + "/",
		disk.LogDir + "/" + disk.SegmentName(7),
		disk.CheckpointName(formatPartition, 2, 42),
		disk.BlockName{Tenant: "t", Level: block.Level, First: formatTime, Last: formatTime + 60e9,
			FirstOffset: 1, LastOffset: 42, Epoch: 2, Part: 1}.String(),
		disk.UploadName("t", "report.csv"), disk.KeysDir + "/t",
		disk.CheckpointName(formatPartition, 2, 42) + disk.TemporarySuffix,
		disk.LogDir + "/" + disk.SegmentName(7) + disk.QuarantineSuffix,
	}, "\n") + "\n"
}

func dumpFormatFile(t *testing.T) string {
	d := newDump(t, []byte(formatText))
	d.text(len(formatText), "text")
	return d.String()
}

func dumpHeader(t *testing.T) string {
	d := newDump(t, disk.AppendHeader(nil, disk.FileHeader{Kind: disk.KindSegment, Version: 1, Salt: formatSalt()}))
	d.header("HOKANSEG", 1)
	return d.String()
}

func dumpFrame(t *testing.T) string {
	d := newDump(t, disk.AppendFrame(nil, 5, []byte("hello")))
	end := d.frame(5, "any")
	d.text(5, "payload")
	d.ends(end)
	return d.String()
}

// dumpSegment writes a log: two entries, the second in a later write, closed.
func dumpSegment(t *testing.T) string {
	fs := vfs.NewMem()
	log, err := wal.Open(wal.Options{FS: fs, Dir: "log", NewSalt: formatSalt})
	must(t, err)
	log.EnsureAfter(40)
	for _, body := range []entry.Body{&entry.CreateTenant{}, &entry.DeleteAlarm{ID: 9}} {
		_, err := log.Append(wal.Claim{Partition: formatPartition, Epoch: 1},
			&entry.Entry{Partition: formatPartition, Time: formatTime, Tenant: "t", Body: body})
		must(t, err)
	}
	must(t, log.Close())
	file, err := disk.ReadFile(fs, "log/"+disk.SegmentName(1))
	must(t, err)
	d := newDump(t, file)
	d.header("HOKANSEG", 1)
	end := d.frame(0, "where the segment begins")
	d.u64("offset of the segment's first entry")
	d.ends(end)
	for number := uint64(1); number <= 2; number++ {
		end = d.frame(number, "an entry")
		d.take(8, "tag: the first 8 bytes of the salt")
		d.u32("frames before it in the same write")
		d.entryHead()
		if d.at < end {
			d.u64("body: ID of the alarm")
		}
		d.ends(end)
	}
	end = d.frame(3, "the log was closed")
	d.take(8, "tag")
	d.u64("offset that the next entry would have had")
	d.ends(end)
	return d.String()
}

func (d *dump) entryHead() {
	d.t.Helper()
	d.u64("offset")
	d.u8("partition")
	d.u8("kind")
	d.time("time")
	d.counted("tenant")
}

// dumpEntry dumps an encoded entry, whose body read reads.
func dumpEntry(body entry.Body, read func(*dump)) func(*testing.T) string {
	return func(t *testing.T) string {
		e := entry.Entry{Offset: 42, Partition: formatPartition, Time: formatTime, Tenant: "t", Body: body}
		b, err := e.AppendTo(nil)
		must(t, err)
		d := newDump(t, b)
		d.entryHead()
		read(d)
		return d.String()
	}
}

func (d *dump) rows() {
	d.definitions()
	channel, base := int64(0), int64(formatTime)
	for range d.uvarint("columns") {
		difference, n := binary.Varint(d.b[d.at:])
		channel += difference
		d.take(n, "channel less the one before: %d, so %d", difference, channel)
		word := d.uvarint("rows * 2, plus 1 with the times of the column before")
		if rows := int(word >> 1); word&1 == 0 && rows > 0 {
			base = d.zigzagTime("first time less the first time before", base)
			at, step := base, int64(0)
			for i := 1; i < rows; i++ {
				change, n := binary.Varint(d.b[d.at:])
				step += change
				at += step
				d.take(n, "change of the step: %d, so %s", change, clock(at))
			}
		}
		for range word >> 1 {
			d.float("value")
		}
	}
}

func (d *dump) attach() {
	d.definitions()
	at := int64(formatTime)
	for range d.uvarint("channels") {
		d.uvarint("channel ID less the one before")
		at = d.zigzagTime("time of its newest row less the one before", at)
		d.float("value")
	}
	d.text(len(d.b)-d.at, "block")
}

func (d *dump) definitions() {
	for range d.uvarint("definitions") {
		d.uvarint("channel ID")
		d.counted("labels")
		if flags := d.bits("flags"); flags&1 != 0 {
			for _, name := range []string{"name", "unit", "scaling", "group", "app"} {
				d.counted(name)
			}
			d.u8("decimals")
		}
		d.time("valid from")
	}
}

func (d *dump) putAlarm() {
	d.u64("ID (0: a new alarm)")
	d.counted("name")
	d.counted("match")
	d.uvarint("channel ID")
	d.u8("operator (5: outside)")
	d.float("threshold")
	d.float("low")
	d.float("high")
	d.u8("enabled")
}

func (d *dump) deleteRows() {
	d.time("from")
	d.time("to")
	if d.u8("every channel") == 0 {
		d.channelIDs()
	}
}

func (d *dump) channelIDs() {
	for range d.uvarint("channels") {
		d.uvarint("channel less the one before")
	}
}

func (d *dump) deleteTenant() {
	d.uvarint("bytes that it took")
	d.uvarint("channels that it had")
}

// formatRules are rules of a tenant and of an instrument.
func formatRules() policy.Rules {
	year, _ := policy.ParseKeep("1y")
	days, _ := policy.ParseKeep("90d")
	return policy.Rules{
		{Scope: policy.ScopeTenant, Keep: [model.StepCount]*policy.Keep{&year, nil, nil, &policy.Forever}},
		{Scope: policy.ScopeInstrument, Match: "A", Keep: [model.StepCount]*policy.Keep{&days}},
	}
}

func (d *dump) setRetention() {
	for range d.u16("rules") {
		d.u8("scope (0 plan, 1 tenant, 2 group, 3 instrument, 4 channel)")
		d.text(int(d.u16("length of match")), "match")
		said := d.bits("which of raw, 1s, 1m, 1h, 1d it says")
		for _, s := range model.Steps() {
			if said>>s&1 != 0 {
				d.u8(s.String() + ": unit (0 for ever, 1 years, 2 months, 3 days, 4 hours, 5 minutes, 6 seconds)")
				d.u32("how many")
			}
		}
	}
}

// floor takes a time before which rows are gone.
func (d *dump) floor(step string) {
	at := int64(binary.LittleEndian.Uint64(d.b[d.at:]))
	if at == policy.NoFloor {
		d.take(8, "floor of %s: none", step)
		return
	}
	d.take(8, "floor of %s: %s", step, clock(at))
}

func (d *dump) switchAlarm() {
	d.u64("ID of the alarm")
	d.u8("enabled")
}
