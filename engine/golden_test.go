package engine

import (
	"context"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

// goldenDir holds a database of format 1 as a killed process left it, and what
// is in it.
const (
	goldenDir      = "../testdata/format/v1"
	goldenData     = goldenDir + "/data"
	goldenExpected = goldenDir + "/expected.txt"
	goldenMost     = 200 << 10 // bytes of all its files
)

// TestGolden opens a copy of the golden database: Verify finds no fault in it,
// every row, property, alarm and event is there, and it can be written to,
// closed and opened again. With -rewrite it makes the database first.
func TestGolden(t *testing.T) {
	if *rewrite {
		writeGolden(t)
	}
	checkGoldenSize(t)
	want, err := os.ReadFile(goldenExpected)
	must(t, err)
	memory := vfs.NewMem()
	_, err = vfs.Clone(vfs.Default, memory, goldenData, "data")
	must(t, err)
	options := goldenOptions(memory, goldenTime+model.Day)
	options.MustExist = true
	verifyGolden(t, options)
	for _, when := range []string{"as it was killed", "after it was closed", "after it was flushed"} {
		db, err := Open(options)
		must(t, err)
		if faults, refused := db.Faults(); len(faults) > 0 || refused > 0 {
			t.Errorf("%s: faults %v, %d entries refused", when, faults, refused)
		}
		compareLines(t, when, string(want), goldenListing(t, db))
		must(t, db.Flush(context.Background()))
		must(t, db.Close())
		verifyGolden(t, options)
	}
	db, err := Open(options)
	must(t, err)
	defer db.Close()
	at := int64(goldenTime + model.Day)
	result, err := db.Append(context.Background(), &model.Batch{Tenant: "lake", Columns: []model.Column{
		{Labels: formatLabels("1"), Times: []int64{at}, Values: []float64{7}}}})
	if err != nil || result.Rows != 1 {
		t.Fatalf("appending: %+v, %v", result, err)
	}
	if !strings.Contains(goldenListing(t, db), "row "+clock(at)) {
		t.Error("a row that was appended is not there")
	}
}

func verifyGolden(t *testing.T, o Options) {
	t.Helper()
	err := Verify(context.Background(), o,
		func(f Fault) { t.Errorf("Verify: %v", f) }, func(n string) { t.Logf("Verify notes: %s", n) })
	must(t, err)
}

func checkGoldenSize(t *testing.T) {
	total := int64(0)
	err := filepath.WalkDir(goldenDir, func(path string, f fs.DirEntry, err error) error {
		if err != nil || f.IsDir() {
			return err
		}
		info, err := f.Info()
		total += info.Size()
		return err
	})
	if err != nil || total > goldenMost {
		t.Errorf("%s has %d bytes, at most %d: %v", goldenDir, total, goldenMost, err)
	}
}

// goldenTime is shortly before the end of a UTC day, so that rows of half an
// hour are in two blocks.
const goldenTime = 1_700_000_000e9 + 96*60e9 // 2023-11-14T23:49:20Z

func goldenOptions(files disk.FS, now int64) Options {
	return Options{FS: files, Dir: "data", Clock: func() time.Time { return time.Unix(0, now) },
		SegmentBytes: 2000, HeadRows: 1 << 30, Manual: true}
}

// golden makes the golden database and remembers the rows that must be in it.
type golden struct {
	t    *testing.T
	db   *DB
	rows map[string]uint64 // "tenant channel time" → bits, of equal times the last written
}

// writeGolden makes the golden database: two runs of a process. The first is
// closed, the second is killed after its checkpoint, with entries of every
// kind in the log behind it.
func writeGolden(t *testing.T) {
	memory := vfs.NewCrashableMem()
	db, err := Open(goldenOptions(memory, goldenTime))
	must(t, err)
	g := &golden{t: t, db: db, rows: map[string]uint64{}}
	g.firstRun()
	must(t, db.Close())
	g.db, err = Open(goldenOptions(memory, goldenTime+3600e9))
	must(t, err)
	g.secondRun()
	listing := goldenListing(t, g.db)
	g.check(listing)
	killed := crashClone(memory, 1, 100)
	must(t, g.db.Close())
	if t.Failed() {
		t.FailNow()
	}

	must(t, os.RemoveAll(goldenData))
	_, err = vfs.Clone(killed, vfs.Default, "data", goldenData)
	must(t, err)
	for _, empty := range disk.Dirs { // git does not keep empty folders
		if names, err := os.ReadDir(filepath.Join(goldenData, empty)); err == nil && len(names) == 0 {
			must(t, os.Remove(filepath.Join(goldenData, empty)))
		}
	}
	must(t, os.WriteFile(goldenExpected, []byte(listing), 0o644))
}

// write appends rows of channels that share their times.
func (g *golden) write(tenant model.Tenant, times []int64, columns map[string][]float64) {
	g.t.Helper()
	b := &model.Batch{Tenant: tenant}
	for _, channel := range []string{"1", "2", "3", "special"} {
		values, there := columns[channel]
		if !there {
			continue
		}
		c := model.Column{Labels: formatLabels(channel), Times: times, Values: values}
		if channel == "1" {
			c.Properties = &model.Properties{Name: "lake", Unit: "C", Scaling: "x1", Group: "g", App: "gw", Decimals: 2, HasDecimals: true}
			if times[0] >= goldenTime+60e9*20 {
				c.Properties = &model.Properties{Name: "lake", Unit: "F", Scaling: "x1.8+32", Group: "g", App: "gw"}
			}
		}
		b.Columns = append(b.Columns, c)
		for i, at := range times {
			g.rows[fmt.Sprintf("%s %s %s", tenant, c.Labels, clock(at))] = math.Float64bits(values[i])
		}
	}
	_, err := g.db.Append(context.Background(), b)
	must(g.t, err)
}

// minutes writes readings of three channels from one minute to another: a
// temperature that goes up and down past 25, a voltage, and qualities.
func (g *golden) minutes(tenant model.Tenant, from, to int) {
	g.t.Helper()
	for at := from; at < to; at++ {
		quality := []float64{float64(at), model.QualityOver.NaN(), model.QualityUnder.NaN(),
			model.QualityBurnout.NaN(), model.QualityNoData.NaN(), model.QualityMath.NaN()}[at%6]
		g.write(tenant, []int64{goldenTime + int64(at)*60e9}, map[string][]float64{
			"1": {math.Round(250+10*math.Sin(float64(at)/3)) / 10}, "2": {0.005 * float64(at%7)}, "3": {quality}})
	}
}

func (g *golden) putAlarm(tenant model.Tenant, put entry.PutAlarm) uint64 {
	g.t.Helper()
	a, err := g.db.PutAlarm(context.Background(), tenant, put)
	must(g.t, err)
	return a.ID
}

func (g *golden) firstRun() {
	ctx := context.Background()
	for _, name := range []model.Tenant{"lake", "roof", "empty"} {
		must(g.t, g.db.CreateTenant(ctx, name))
	}
	g.minutes("lake", 0, 2)
	g.putAlarm("lake", entry.PutAlarm{Name: "hot", Match: `{channel="1"}`, Channel: 1,
		Operator: uint8(alarm.Greater), Threshold: 25, Enabled: true})
	g.minutes("lake", 2, 30)
	// Before 1970, late, and a correction, in one entry.
	g.write("lake", []int64{-1, goldenTime + 90e9, goldenTime + 120e9}, map[string][]float64{"1": {1, 2, 3}, "2": {4, 5, 6}})
	must(g.t, g.db.Flush(ctx))
	g.minutes("lake", 30, 40)
	g.write("lake", []int64{goldenTime + 31*60e9, goldenTime + 30*60e9 + 1}, map[string][]float64{"1": {-5, -6}})
}

func (g *golden) secondRun() {
	ctx := context.Background()
	special := []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64,
		math.Float64frombits(0x7ff0000000000002), math.Float64frombits(0xfff8000000000123), 0.1, 1 << 53}
	times := make([]int64, len(special))
	for i := range times {
		times[i] = goldenTime + int64(i*i*i)*1001
	}
	g.write("roof", times, map[string][]float64{"special": special})
	must(g.t, g.db.Flush(ctx))
	g.minutes("lake", 38, 45) // overlaps the first run's blocks
	g.putAlarm("lake", entry.PutAlarm{Name: "band", Match: `{channel="2"}`, Channel: 2,
		Operator: uint8(alarm.OutsideOrEqual), Low: 0.005, High: 0.025, Enabled: true})
	g.minutes("lake", 45, 50)
	g.write("lake", []int64{goldenTime + 39*60e9, goldenTime + 38*60e9 + 1}, map[string][]float64{"1": {-7, -8}}) // late
	g.history("roof", times[0]-300*60e9, 100)
	must(g.t, g.db.Checkpoint(ctx))

	// From here on entries are in the log alone, one of every kind at least.
	g.minutes("lake", 50, 56)
	gone := g.putAlarm("lake", entry.PutAlarm{Name: "gone", Match: `{}`, Channel: 1, Operator: uint8(alarm.Less), Threshold: 40, Enabled: true})
	off := g.putAlarm("lake", entry.PutAlarm{Name: "off", Match: `{}`, Channel: 1, Operator: uint8(alarm.GreaterOrEqual), Threshold: 24, Enabled: true})
	g.minutes("lake", 56, 60)
	must(g.t, g.db.DeleteAlarm(ctx, "lake", gone))
	_, err := g.db.SwitchAlarm(ctx, "lake", off, false)
	must(g.t, err)
	must(g.t, g.db.CreateTenant(ctx, "new"))
	must(g.t, g.db.Define(ctx, "new", []model.Definition{{Labels: formatLabels("2"), ValidFrom: goldenTime,
		Properties: &model.Properties{Name: "no rows yet"}}}))
	g.write("new", times[:3], map[string][]float64{"3": special[:3]})
	g.write("lake", []int64{goldenTime + 1}, map[string][]float64{"2": {8}})
	g.history("lake", goldenTime-model.Day, 50)
}

// history writes minutes of two channels from a time on, as a block.
func (g *golden) history(tenant model.Tenant, from int64, rows int) {
	g.t.Helper()
	g.db.attach.rows, g.db.attach.average = rows, rows
	defer func() { g.db.attach = defaultAttach }()
	times := make([]int64, rows)
	one, two := make([]float64, rows), make([]float64, rows)
	for i := range times {
		times[i] = from + int64(i)*60e9
		one[i], two[i] = float64(i%9)/10, model.QualityNoData.NaN()
	}
	g.write(tenant, times, map[string][]float64{"2": one, "3": two})
}

// check compares the rows of a listing with those that were written.
func (g *golden) check(listing string) {
	g.t.Helper()
	var tenant, channel string
	rows := 0
	for line := range strings.Lines(listing) {
		words := strings.Fields(line)
		switch {
		case len(words) > 1 && words[0] == "tenant":
			tenant = words[1]
		case len(words) > 2 && words[0] == "channel":
			channel = words[2]
		case len(words) > 2 && words[0] == "row":
			rows++
			want := g.rows[tenant+" "+channel+" "+words[1]]
			if words[2] != fmt.Sprintf("%016x", want) {
				g.t.Errorf("%s %s: %s, written was %016x", tenant, channel, line, want)
			}
		}
	}
	if rows != len(g.rows) || rows == 0 {
		g.t.Errorf("%d rows, %d were written", rows, len(g.rows))
	}
}

// goldenListing writes down everything that a database answers.
func goldenListing(t *testing.T, db *DB) string {
	t.Helper()
	ctx := context.Background()
	var text strings.Builder
	line := func(format string, arguments ...any) { fmt.Fprintf(&text, format+"\n", arguments...) }
	for _, tenant := range db.allTenants(func(*tenant) bool { return true }) {
		line("tenant %s", tenant.name)
		channels, err := db.Channels(ctx, tenant.name, nil)
		must(t, err)
		for _, c := range channels {
			line("  channel %d %s", c.ID, c.Labels)
			for _, v := range c.History {
				line("    from %s name %q unit %q scaling %q group %q app %q decimals %d %t", clock(v.ValidFrom),
					v.Name, v.Unit, v.Scaling, v.Group, v.App, v.Decimals, v.HasDecimals)
			}
			listRows(t, db, tenant.name, c.ID, line)
		}
		alarms, err := db.Alarms(tenant.name)
		must(t, err)
		for _, a := range alarms {
			line("  alarm %d version %d %q %s of channel %d: %v %v %v %v, enabled %t", a.ID, a.Version, a.Name, a.Match,
				a.Channel, a.Operator, a.Threshold, a.Low, a.High, a.Enabled)
			line("    %v since %s, folded %t to %s, %d late rows", a.State, clock(a.Since), a.Folded, clock(a.FoldedTo), a.Late)
		}
		events, next, err := db.Events(ctx, tenant.name, EventQuery{Span: model.AllTime()})
		must(t, err)
		for _, e := range events {
			line("  event %s alarm %d version %d %q: %v at %s, value %v of channel %d, entry %d", e.ID, e.Alarm, e.Version,
				e.Name, e.Kind, clock(e.Time), e.Value, e.Channel, e.Offset)
		}
		if next != "" {
			t.Error("more events than one page")
		}
	}
	return text.String()
}

func listRows(t *testing.T, db *DB, tenant model.Tenant, id model.ChannelID, line func(string, ...any)) {
	t.Helper()
	ids := []model.ChannelID{id}
	s, err := db.Select(context.Background(), tenant, ids, model.AllTime())
	must(t, err)
	defer s.Close()
	for cursor := s.Cursor(0); ; {
		times, values, err := cursor.Next()
		must(t, err)
		if len(times) == 0 {
			break
		}
		for i, at := range times {
			line("    row %s %016x %s", clock(at), math.Float64bits(values[i]), number(values[i]))
		}
	}
	latest, err := db.Latest(context.Background(), tenant, ids)
	must(t, err)
	if l := latest[0]; l.OK {
		line("    latest %s %016x", clock(l.Time), math.Float64bits(l.Value))
	}
	sums, err := db.Summarize(context.Background(), tenant, ids, model.AllTime())
	must(t, err)
	line("    count %d, quality rows %d", sums[0].Count, sums[0].Quality)
}

// TestGoldenHasEverything holds the golden database to what it is for: files
// of every kind, and a log with every kind of entry behind the checkpoint.
func TestGoldenHasEverything(t *testing.T) {
	memory := vfs.NewMem()
	_, err := vfs.Clone(vfs.Default, memory, goldenData, "data")
	must(t, err)
	blocks := disk.NewLocalBlocks(memory, "data")
	for _, dir := range []string{disk.BlocksDir, disk.CheckpointsDir} {
		names, err := blocks.List(dir)
		if err != nil || len(names) < 2 {
			t.Errorf("%s holds %v, %v", dir, names, err)
		}
	}
	db, err := Open(goldenOptions(memory, goldenTime+model.Day))
	must(t, err)
	defer db.Close()
	cursor, err := db.log.Tail(nil, func(p model.Partition) uint64 { return db.partitions[p].record.Offset })
	must(t, err)
	defer cursor.Close()
	var kinds []entry.Kind
	for {
		entries, err := cursor.TryNext()
		must(t, err)
		if entries == nil {
			break
		}
		for _, e := range entries {
			if kind := e.Body.Kind(); !slices.Contains(kinds, kind) {
				kinds = append(kinds, kind)
			}
		}
	}
	slices.Sort(kinds)
	if want := []entry.Kind{1, 2, 3, 4, 5, 6, 13}; !slices.Equal(kinds, want) {
		t.Errorf("kinds of entry behind the checkpoint: %v, want %v", kinds, want)
	}
}
