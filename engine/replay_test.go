package engine

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/receipt"
)

// TestReplayEqualsApply holds apply(decode(encode(e))) to apply(e). A database
// applies the very entries that were appended; another is opened on a crash's
// copy of its files, in which no checkpoint was written, and so applies what
// it decodes from the log. Whatever the entries were, those that are refused
// included, both must then be in the same state, byte by byte, with the same
// events; and again after more entries on both, now applied as appended.
func TestReplayEqualsApply(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewCrashableMem()
		w := &foldWriter{now: 1e18}
		live := w.open(t, fs)
		defer live.Close()
		w.write(live, entry.Entry{Tenant: "lake", Body: &entry.CreateTenant{}})
		for _, e := range rapid.SliceOfN(foldEntries, 1, 30).Draw(t, "entries") {
			w.write(live, e)
			w.now++
		}
		copied := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
		replayed := w.open(t, copied)
		defer replayed.Close()
		sameFold(t, "replayed", live, replayed)
		for _, e := range rapid.SliceOfN(foldEntries, 0, 10).Draw(t, "later entries") {
			first, second := w.write(live, e), w.write(replayed, e)
			if fmt.Sprint(first) != fmt.Sprint(second) {
				t.Fatalf("%T: the live database answers %v, the replayed one %v", e.Body, first, second)
			}
			w.now++
		}
		sameFold(t, "replayed and written to", live, replayed)
	})
}

// foldWriter writes entries as they are, past the checks of the API.
type foldWriter struct{ now int64 }

func (w *foldWriter) open(t *rapid.T, fs disk.FS) *DB {
	db, err := Open(Options{FS: fs, Dir: "data", Clock: func() time.Time { return time.Unix(0, w.now) },
		SegmentBytes: 900, HeadRows: 1 << 30, Manual: true})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// write appends a copy of e, as appending changes it. The error is why it
// could not be applied.
func (w *foldWriter) write(db *DB, e entry.Entry) error {
	_, err := db.write(db.partitions[e.Tenant.Partition()], e.Tenant, &entry.Entry{Body: e.Body})
	return err
}

// foldEntries are entries of every kind, of few tenants, channels and alarms,
// so that they meet each other. Some cannot be applied.
var foldEntries = rapid.Custom(func(t *rapid.T) entry.Entry {
	e := entry.Entry{Tenant: rapid.SampledFrom([]model.Tenant{"lake", "lake", "roof", "nobody"}).Draw(t, "tenant")}
	switch kind := rapid.SampledFrom([]entry.Kind{1, 1, 1, 1, 1, 2, 3, 3, 4, 4, 5, 6, 12, 12, 13, 13, 13}).Draw(t, "kind"); kind {
	case entry.KindRows:
		e.Body = foldRows(t)
	case entry.KindAttach:
		e.Body = foldAttach(t)
	case entry.KindDefine:
		e.Body = &entry.Define{Definitions: rapid.SliceOfN(foldDefinitions, 0, 4).Draw(t, "definitions")}
	case entry.KindCreateTenant:
		e.Tenant = rapid.SampledFrom([]model.Tenant{"lake", "roof"}).Draw(t, "new tenant")
		e.Body = &entry.CreateTenant{}
	case entry.KindPutAlarm:
		e.Body = &entry.PutAlarm{
			ID:      rapid.SampledFrom([]uint64{0, 0, 0, 1, 2, 3, 4}).Draw(t, "alarm"),
			Name:    rapid.SampledFrom([]string{"", "hot", "ünder\x00"}).Draw(t, "name"),
			Match:   `{channel="a"}`,
			Channel: foldChannels.Draw(t, "channel"),
			// 0 and 7 are no operators: such an alarm is refused.
			Operator:  rapid.Uint8Range(0, 7).Draw(t, "operator"),
			Threshold: rapid.SampledFrom([]float64{0, 2}).Draw(t, "threshold"),
			Low:       1, High: 3, Enabled: rapid.Bool().Draw(t, "enabled"),
		}
	case entry.KindSwitchAlarm:
		e.Body = &entry.SwitchAlarm{ID: rapid.Uint64Range(0, 9).Draw(t, "alarm"), Enabled: rapid.Bool().Draw(t, "enabled")}
	case entry.KindPutReceipt:
		e.Body = foldReceipt(t)
	case entry.KindDeleteAlarm:
		e.Body = &entry.DeleteAlarm{ID: rapid.Uint64Range(0, 9).Draw(t, "alarm")}
	}
	return e
})

func foldReceipt(t *rapid.T) *entry.PutReceipt {
	id := receipt.ID{Key: rapid.SampledFrom([]string{"", "k", "l"}).Draw(t, "key")}
	if id.Key == "" {
		id.Producer, id.Sequence = "p", rapid.SampledFrom([]uint64{1, 2, 3, 64, 65, 66, 200}).Draw(t, "sequence")
	}
	return &entry.PutReceipt{ID: id, Status: rapid.SampledFrom([]uint16{0, 200}).Draw(t, "status"), Answer: []byte("a")}
}

var foldChannels = rapid.SampledFrom([]model.ChannelID{1, 1, 1, 2, 2, 3, 70, 300})

var foldDefinitions = rapid.Custom(func(t *rapid.T) model.Definition {
	id := foldChannels.Draw(t, "channel")
	name := fmt.Sprint(id)
	if rapid.IntRange(0, 9).Draw(t, "conflict") == 0 {
		name = "1" // another channel's
	}
	labels, err := model.NewLabels(model.Label{Name: "instrument", Value: "i"}, model.Label{Name: "channel", Value: name})
	if err != nil {
		t.Fatal(err)
	}
	d := model.Definition{ID: id, Labels: labels, ValidFrom: rapid.Int64Range(-2, 2).Draw(t, "valid from")}
	if rapid.Bool().Draw(t, "properties") {
		d.Properties = &model.Properties{
			Unit:        rapid.SampledFrom([]string{"", "V", "°C"}).Draw(t, "unit"),
			Group:       rapid.SampledFrom([]string{"", "1"}).Draw(t, "group"),
			HasDecimals: rapid.Bool().Draw(t, "has decimals"),
			Decimals:    rapid.Uint8Range(0, 2).Draw(t, "decimals"),
		}
	}
	return d
})

// foldRows are rows in any order of time, of channels that are mostly defined
// with them. Columns may share their times.
func foldRows(t *rapid.T) *entry.Rows {
	rows := &entry.Rows{}
	var times []int64
	for range rapid.IntRange(0, 4).Draw(t, "columns") {
		d := foldDefinitions.Draw(t, "definition")
		if rapid.IntRange(0, 9).Draw(t, "undefined") > 0 {
			rows.Definitions = append(rows.Definitions, d)
		}
		if times == nil || rapid.Bool().Draw(t, "own times") {
			times = rapid.SliceOfN(rowTimes, 0, 20).Draw(t, "times")
			if rapid.Bool().Draw(t, "sorted") {
				slices.Sort(times)
			}
		}
		values := rapid.SliceOfN(rowValues, len(times), len(times)).Draw(t, "values")
		rows.Columns = append(rows.Columns, entry.Column{Channel: d.ID, Times: times, Values: values})
	}
	return rows
}

// foldAttach is a block of such rows. Some are none, or not of the channels that
// the entry says.
func foldAttach(t *rapid.T) *entry.Attach {
	rows := foldRows(t)
	slices.SortFunc(rows.Columns, func(a, b entry.Column) int { return int(a.Channel) - int(b.Channel) })
	rows.Columns = slices.CompactFunc(rows.Columns, func(a, b entry.Column) bool { return a.Channel == b.Channel })
	for i := range rows.Columns {
		c := &rows.Columns[i]
		c.Times = slices.Compact(slices.Sorted(slices.Values(append([]int64{7}, c.Times...))))
		c.Values = append([]float64{0.5}, c.Values...)[:len(c.Times)]
	}
	if len(rows.Columns) == 0 {
		rows.Columns = []entry.Column{{Channel: 1, Times: []int64{1}, Values: []float64{2}}}
	}
	a := attacher{limits: defaultAttach, columns: rows.Columns, labels: make([]model.Labels, len(rows.Columns))}
	for i := range a.labels {
		a.labels[i] = testLabels(fmt.Sprint(rows.Columns[i].Channel))
	}
	body, _, err := a.next()
	if err != nil {
		t.Fatal(err)
	}
	body.Definitions = rows.Definitions
	switch rapid.IntRange(0, 9).Draw(t, "wrong") {
	case 0:
		body.Block[rapid.IntRange(0, len(body.Block)-1).Draw(t, "byte")] ^= 4
	case 1:
		body.Newest[0].Channel += 1000
		body.Newest = body.Newest[:1]
	}
	return body
}

// sameFold compares the whole state of two databases, as checkpoints of it
// would hold it, how far they have applied, what they refused, and the events.
func sameFold(t *rapid.T, what string, a, b *DB) {
	t.Helper()
	for p := range model.Partition(model.Partitions) {
		if x, y := foldBytes(t, a, p), foldBytes(t, b, p); !bytes.Equal(x, y) {
			t.Fatalf("%s: partition %d differs at byte %d:\n% x\n% x", what, p, differsAt(x, y), x, y)
		}
		if x, y := a.Applied(p), b.Applied(p); x != y {
			t.Fatalf("%s: partition %d is applied to %d and %d", what, p, x, y)
		}
	}
	_, refusedA := a.Faults()
	_, refusedB := b.Faults()
	if refusedA != refusedB {
		t.Fatalf("%s: %d and %d entries were refused", what, refusedA, refusedB)
	}
	for _, tenant := range a.allTenants(func(*tenant) bool { return true }) {
		x, y := foldEvents(t, a, tenant.name), foldEvents(t, b, tenant.name)
		if !slices.EqualFunc(x, y, sameEvent) {
			t.Fatalf("%s: events of %s\n%+v\n%+v", what, tenant.name, x, y)
		}
	}
}

func sameEvent(a, b alarm.Event) bool {
	bits := sameBits(a.Value, b.Value)
	a.Value, b.Value = 0, 0
	return bits && a == b
}

func foldEvents(t *rapid.T, db *DB, name model.Tenant) []Event {
	events, next, err := db.Events(context.Background(), name, EventQuery{Span: model.AllTime()})
	if err != nil || next != "" {
		t.Fatal(err, next)
	}
	return events
}

// foldBytes returns a partition's checkpoint, without the file's header, whose
// salt is random. It leaves the database as it was.
func foldBytes(t *rapid.T, db *DB, p model.Partition) []byte {
	state := &partitionState{partition: p, offset: db.partitions[p].lastOffset}
	for _, tenant := range db.allTenants(func(t *tenant) bool { return t.partition.id == p }) {
		state.tenants = append(state.tenants, tenant.capture())
	}
	var file bytes.Buffer
	if err := encodeCheckpoint(&file, 1, state); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()[disk.HeaderSize:]
}

func differsAt(a, b []byte) int {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	return i
}
