package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

// history is columns of so many rows of some channels from a time on.
func history(channels, rows int, from, step int64) []model.Column {
	times := make([]int64, rows)
	for i := range times {
		times[i] = from + int64(i)*step
	}
	var columns []model.Column
	for c := range channels {
		values := make([]float64, rows)
		for i := range values {
			values[i] = math.Round(1000*math.Sin(float64(i*(c+3))/500)) / 10
		}
		columns = append(columns, model.Column{Labels: testLabels(string(rune('a' + c))), Times: times, Values: values})
	}
	return columns
}

// TestHistoryIsAttached: enough rows go in as blocks, and are read, flushed, and
// found again like others.
func TestHistoryIsAttached(t *testing.T) {
	fs := vfs.NewMem()
	db := openManual(t, manualOptions(fs))
	ctx := context.Background()
	columns := history(3, 20_000, yearStart, 60e9)
	appendColumns := func(columns []model.Column) {
		t.Helper()
		result, err := db.Append(ctx, &model.Batch{Tenant: "t", Columns: columns})
		if err != nil || result.Rows != len(columns)*len(columns[0].Times) {
			t.Fatalf("%+v, %v", result, err)
		}
	}
	appendColumns(columns)
	if n := len(mustTenant(t, db).active.attached); n == 0 {
		t.Fatal("nothing is attached")
	}
	expect := func(when string) {
		t.Helper()
		for i := range columns {
			c := &columns[i]
			id := idOf(t, db, c.Labels.Channel())
			times, values := readRows(t, db, id)
			if !slices.Equal(times, c.Times) || !slices.Equal(values, c.Values) {
				t.Errorf("%s: %d rows of %s, want %d", when, len(times), c.Labels, len(c.Times))
			}
			latest, err := db.Latest(ctx, "t", []model.ChannelID{id})
			if last := len(c.Times) - 1; err != nil || latest[0] != (Latest{c.Times[last], c.Values[last], true}) {
				t.Errorf("%s: the newest row is %v, %v", when, latest, err)
			}
		}
	}
	expect("in memory")
	db = openManual(t, manualOptions(copyFS(t, fs)))
	expect("replayed")
	must(t, db.Checkpoint(ctx))
	db = openManual(t, manualOptions(copyFS(t, fs)))
	expect("from a checkpoint")
	must(t, db.Flush(ctx))
	if state := mustTenant(t, db); len(state.frozen) != 0 || !state.active.Empty() {
		t.Error("something is not flushed")
	}
	expect("flushed")
	must(t, db.Compact(ctx))
	expect("compacted")
}

// readRows reads all rows of a channel.
func readRows(t *testing.T, db *DB, id model.ChannelID) (times []int64, values []float64) {
	t.Helper()
	s, err := db.Select(context.Background(), "t", []model.ChannelID{id}, model.AllTime())
	must(t, err)
	defer s.Close()
	for c := s.Cursor(0); ; {
		some, its, err := c.Next()
		must(t, err)
		if len(some) == 0 {
			return times, values
		}
		times, values = append(times, some...), append(values, its...)
	}
}

// pair is a database whose history is attached, and one where all are rows. What
// is done to one is done to the other: they must answer the same.
type pair struct {
	t        *testing.T
	fs       [2]*vfs.MemFS
	db       [2]*DB
	random   *rand.Rand
	channels int
	most     int // rows of a channel in one append
}

func (p *pair) open() {
	for i := range p.db {
		p.db[i] = openManual(p.t, manualOptions(p.fs[i]))
		if faults, refused := p.db[i].Faults(); len(faults)+refused > 0 {
			p.t.Fatal(faults, refused)
		}
	}
	p.db[0].attach = attachLimits{rows: 1, average: 1, most: 9000, bytes: 30_000}
	p.db[1].attach.rows = math.MaxInt
}

// append writes the same rows to both: of some channels, at some step, some of
// them irregular, over others or beside them.
func (p *pair) append() {
	r := p.random
	rows := 1 + r.IntN(p.most)
	step := []int64{1e9, 60e9, 3600e9}[r.IntN(3)]
	from := yearStart + r.Int64N(90*model.Day)/step*step
	times := make([]int64, rows)
	for i := range times {
		times[i] = from + int64(i)*step
		if step > 1e9 && rows%2 == 0 {
			times[i] += r.Int64N(step / 2)
		}
	}
	b := &model.Batch{Tenant: "t"}
	for c := range p.channels {
		if r.IntN(3) == 0 {
			continue
		}
		values := make([]float64, rows)
		for i := range values {
			values[i] = math.Round(100*math.Sin(float64(i)/50)) / 10
			if r.IntN(50) == 0 {
				values[i] = model.QualityOver.NaN()
			}
		}
		b.Columns = append(b.Columns, model.Column{Labels: testLabels(fmt.Sprint(c)), Times: times, Values: values})
	}
	for _, db := range p.db {
		result, err := db.Append(context.Background(), b)
		if err != nil || result.Rows != b.Rows() {
			p.t.Fatalf("%+v of %d rows, %v", result, b.Rows(), err)
		}
	}
}

func (p *pair) do(what string, do func(ctx context.Context, db *DB) error) {
	p.t.Helper()
	for i, db := range p.db {
		if err := do(context.Background(), db); err != nil {
			p.t.Fatalf("%s of database %d: %v", what, i, err)
		}
	}
}

// delete deletes rows of a span, of a channel or of all.
func (p *pair) delete() {
	from := yearStart + p.random.Int64N(90*model.Day)
	span := model.Span{From: from, To: from + p.random.Int64N(9*model.Day) + 1}
	var ids []model.ChannelID
	if p.random.IntN(2) == 0 {
		ids = []model.ChannelID{model.ChannelID(1 + p.random.IntN(p.channels))}
	}
	p.do("deletion", func(ctx context.Context, db *DB) error {
		_, err := db.DeleteRows(ctx, "t", ids, span)
		if errors.Is(err, ErrUnknownChannel) {
			return nil
		}
		return err
	})
}

// reopen kills both and opens what is durable.
func (p *pair) reopen() {
	for i := range p.fs {
		p.fs[i] = copyFS(p.t, p.fs[i])
	}
	p.open()
}

// copied opens a copy of both.
func (p *pair) copied() {
	p.do("copy", func(ctx context.Context, db *DB) error {
		_, err := db.Snapshot(ctx, "copy")
		return err
	})
	for i := range p.fs {
		other := vfs.NewMem()
		_, err := vfs.Clone(p.fs[i], other, "copy", "data")
		must(p.t, err)
		must(p.t, p.fs[i].RemoveAll("copy"))
		p.fs[i] = other
	}
	p.open()
}

// repaired loses the catalog of both and repairs them.
func (p *pair) repaired() {
	for i := range p.fs {
		p.fs[i] = copyFS(p.t, p.fs[i])
		must(p.t, p.fs[i].RemoveAll(path.Join("data", disk.CatalogDir)))
		_, err := Repair(context.Background(), manualOptions(p.fs[i]))
		must(p.t, err)
	}
	p.open()
}

func (p *pair) compare(step int, what string) {
	ctx := context.Background()
	want, err := p.db[1].Channels(ctx, "t", nil)
	must(p.t, err)
	got, err := p.db[0].Channels(ctx, "t", nil)
	must(p.t, err)
	if len(got) != len(want) {
		p.t.Fatalf("step %d, %s: %d channels, want %d", step, what, len(got), len(want))
	}
	ids := make([]model.ChannelID, len(want))
	for i := range ids {
		ids[i] = want[i].ID
		if got[i].ID != ids[i] || got[i].Labels != want[i].Labels {
			p.t.Fatalf("step %d, %s: channel %v, want %v", step, what, got[i], want[i])
		}
		times, values := readRows(p.t, p.db[0], ids[i])
		wantTimes, wantValues := readRows(p.t, p.db[1], ids[i])
		if !slices.Equal(times, wantTimes) || !slices.EqualFunc(values, wantValues, sameBits) {
			p.t.Fatalf("step %d, %s: %d rows of channel %d, want %d", step, what, len(times), ids[i], len(wantTimes))
		}
	}
	var latest [2][]Latest
	var sums [2][]model.Aggregate
	for i, db := range p.db {
		latest[i], err = db.Latest(ctx, "t", ids)
		must(p.t, err)
		sums[i], err = db.Summarize(ctx, "t", ids, model.Span{From: yearStart + 5*model.Day, To: yearStart + 50*model.Day})
		must(p.t, err)
	}
	for i := range ids {
		a, b := &latest[0][i], &latest[1][i]
		if a.Time != b.Time || a.OK != b.OK || !sameBits(a.Value, b.Value) {
			p.t.Fatalf("step %d, %s: the newest row is %v, want %v", step, what, *a, *b)
		}
		x, y := &sums[0][i], &sums[1][i]
		if x.Count != y.Count || x.Quality != y.Quality || x.Min != y.Min || x.Max != y.Max || x.FirstTime != y.FirstTime || x.LastTime != y.LastTime {
			p.t.Fatalf("step %d, %s: %+v, want %+v", step, what, *x, *y)
		}
	}
}

// TestAttachedAnswersAsRowsDo does at random what can be done to two databases.
func TestAttachedAnswersAsRowsDo(t *testing.T) {
	histories := uint64(6)
	if long() {
		histories = 200
	}
	for seed := range histories {
		p := &pair{t: t, random: rand.New(rand.NewPCG(seed, 7)), channels: 4, most: 9000}
		p.fs = [2]*vfs.MemFS{vfs.NewMem(), vfs.NewMem()}
		p.open()
		for step := range 40 {
			what := p.random.IntN(14)
			names := []string{"flush", "checkpoint", "compaction", "deletion", "kill", "copy", "repair"}
			switch what {
			case 0:
				p.do("flush", func(ctx context.Context, db *DB) error { return db.Flush(ctx) })
			case 1:
				p.do("checkpoint", func(ctx context.Context, db *DB) error { return db.Checkpoint(ctx) })
			case 2:
				p.do("compaction", func(ctx context.Context, db *DB) error { return db.Compact(ctx) })
			case 3:
				p.delete()
			case 4:
				p.reopen()
			case 5:
				p.copied()
			case 6:
				p.repaired()
			default:
				p.append()
				continue
			}
			p.compare(step, names[what])
		}
		p.compare(40, "end")
	}
}

// TestAnyRowsFitIntoEntries attaches rows that no encoding makes shorter, and
// many channels.
func TestAnyRowsFitIntoEntries(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	db := openManual(t, manualOptions(vfs.NewMem()))
	for _, shape := range [][2]int{{1, 300_000}, {3, 100_000}, {300, 1024}} {
		b := &model.Batch{Tenant: "t"}
		for c := range shape[0] {
			times, values := make([]int64, shape[1]), make([]float64, shape[1])
			at := int64(c)
			for i := range times {
				at += 1 + random.Int64N(1e9)
				times[i], values[i] = at, math.Float64frombits(random.Uint64())
			}
			b.Columns = append(b.Columns, model.Column{Labels: testLabels(strings.Repeat("x", c%100) + fmt.Sprint(c)), Times: times, Values: values})
		}
		before := len(mustTenant(t, db).active.attached)
		result, err := db.Append(context.Background(), b)
		if entries := len(mustTenant(t, db).active.attached) - before; err != nil || result.Rows != b.Rows() || entries < 4 {
			t.Errorf("%v: %+v in %d entries, %v", shape, result, entries, err)
		}
	}
}

// TestDamagedBlockIsRefused: an entry whose block is not what it should be is
// told to who wrote it, and harms nothing else.
func TestDamagedBlockIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	db := openManual(t, manualOptions(fs))
	write(t, db, "a", 0, 1, 2, 3)
	rows := &entry.Rows{Columns: []entry.Column{{Channel: 1, Times: []int64{5, 6}, Values: []float64{0.5, 0.25}}}}
	a := attacher{limits: defaultAttach, columns: rows.Columns, labels: []model.Labels{testLabels("a")}}
	good, _, err := a.next()
	must(t, err)
	for at := range good.Block {
		bad := &entry.Attach{Newest: good.Newest, Block: slices.Clone(good.Block)}
		bad.Block[at] ^= 1
		state := mustTenant(t, db)
		if _, err := db.write(state.partition, "t", &entry.Entry{Body: bad}); err == nil {
			t.Fatalf("byte %d is another, which nobody finds", at)
		}
	}
	if _, refused := db.Faults(); refused != len(good.Block) {
		t.Errorf("%d entries are refused", refused)
	}
	for range 2 {
		if times, _ := readRows(t, db, 1); len(times) != 3 {
			t.Errorf("%d rows", len(times))
		}
		must(t, db.Flush(context.Background()))
		db = openManual(t, manualOptions(copyFS(t, fs)))
	}
}

// TestAlarmsAndTapsSeeHistory: what is attached is judged and fed like rows.
func TestAlarmsAndTapsSeeHistory(t *testing.T) {
	ctx := context.Background()
	db := openManual(t, manualOptions(vfs.NewMem()))
	write(t, db, "a", -10, 1)
	_, err := db.PutAlarm(ctx, "t", entry.PutAlarm{Name: "high", Match: "{}", Channel: 1, Operator: uint8(alarm.Greater), Threshold: 90, Enabled: true})
	must(t, err)
	tap, err := db.Tap(ctx, "t", nil, 1<<20)
	must(t, err)
	defer tap.Close()
	columns := history(2, 10_000, yearStart, 60e9)
	_, err = db.Append(ctx, &model.Batch{Tenant: "t", Columns: columns})
	must(t, err)
	if len(mustTenant(t, db).active.attached) == 0 {
		t.Fatal("nothing is attached")
	}
	feed, err := tap.Take(ctx)
	must(t, err)
	rows := 0
	for _, r := range feed.Rows {
		rows += len(r.Times)
	}
	events, _, err := db.Events(ctx, "t", EventQuery{Span: model.AllTime()})
	must(t, err)
	starts := 0
	for i, v := range columns[0].Values {
		if v > 90 && (i == 0 || columns[0].Values[i-1] <= 90) {
			starts++
		}
	}
	if rows != 20_000 || len(feed.Events) != len(events) || len(events) < starts || starts == 0 {
		t.Errorf("%d rows and %d events are fed, %d events, %d starts", rows, len(feed.Events), len(events), starts)
	}
}

// TestWhatIsNotAttached: few rows, or rows out of order, go in as rows.
func TestWhatIsNotAttached(t *testing.T) {
	db := openManual(t, manualOptions(vfs.NewMem()))
	few := history(1, 4095, yearStart, 1e9)
	thin := history(8, 600, yearStart, 1e9)
	late := history(1, 5000, yearStart, 1e9)
	late[0].Times[4000] = yearStart
	twice := append(history(1, 5000, yearStart, 1e9), history(1, 5000, yearStart+model.Day, 1e9)...)
	for i, columns := range [][]model.Column{few, thin, late, twice} {
		_, err := db.Append(context.Background(), &model.Batch{Tenant: "t", Columns: columns})
		must(t, err)
		if n := len(mustTenant(t, db).active.attached); n > 0 {
			t.Errorf("batch %d: %d blocks are attached", i, n)
		}
	}
}

// TestHistoryOverTheHead: history that lies over rows of the head becomes rows of
// it too: nothing is frozen for it. What a crash then leaves of a flush is told
// from rows, also beside another tenant of the partition.
func TestHistoryOverTheHead(t *testing.T) {
	ctx, fs := context.Background(), vfs.NewMem()
	db := openManual(t, manualOptions(fs))
	neighbour := model.Tenant("n")
	for i := 0; neighbour.Partition() != model.Tenant("t").Partition(); i++ {
		neighbour = model.Tenant(fmt.Sprint("n", i))
	}
	must(t, db.CreateTenant(ctx, neighbour))
	add := func(name model.Tenant, rows int) {
		_, err := db.Append(ctx, &model.Batch{Tenant: name, Columns: history(1, rows, yearStart, 60e9)})
		must(t, err)
	}
	add("t", 100)
	add(neighbour, 1)
	must(t, db.Checkpoint(ctx))
	add("t", 5000)
	if n := len(mustTenant(t, db).frozen); n > 0 {
		t.Errorf("%d heads are frozen", n)
	}
	want, wantValues := readRows(t, db, 1)
	before := copyFS(t, fs)
	must(t, db.Flush(ctx))
	_, err := vfs.Clone(fs, before, "data/blocks", "data/blocks") // a block, and no manifest of it
	must(t, err)
	crashed := openManual(t, manualOptions(before))
	if faults, refused := crashed.Faults(); len(faults) > 0 || refused > 0 {
		t.Errorf("faults %v, %d refused", faults, refused)
	}
	if times, values := readRows(t, crashed, 1); !slices.Equal(times, want) || !slices.Equal(values, wantValues) {
		t.Errorf("%d rows, want %d", len(times), len(want))
	}
}

// TestLongestLabelsAreAttached: whatever the labels and values are, an append is
// cut into entries that the log takes.
func TestLongestLabelsAreAttached(t *testing.T) {
	db := openManual(t, manualOptions(vfs.NewMem()))
	random := rand.New(rand.NewPCG(1, 2))
	var columns []model.Column
	for c := range 60 {
		labels := []model.Label{{Name: "instrument", Value: "i"}, {Name: "channel", Value: fmt.Sprint(c)}}
		for k := len(labels); k < model.MaxLabels; k++ {
			value := make([]byte, model.MaxLabelValueBytes)
			for i := range value {
				value[i] = 'a' + byte(random.IntN(26))
			}
			labels = append(labels, model.Label{Name: fmt.Sprint("l", k), Value: string(value)})
		}
		l, err := model.NewLabels(labels...)
		must(t, err)
		column := model.Column{Labels: l}
		for at := yearStart; len(column.Times) < chunkRows; at += 1 + random.Int64N(1<<30) {
			column.Times = append(column.Times, at)
			column.Values = append(column.Values, math.Float64frombits(random.Uint64()))
		}
		columns = append(columns, column)
	}
	result, err := db.Append(context.Background(), &model.Batch{Tenant: "t", Columns: columns})
	if err != nil || result.Rows != 60*chunkRows {
		t.Errorf("%d rows, %v", result.Rows, err)
	}
}

// TestUsageOfCenturies: what is found of rows far apart has a part for each row at
// most, not for each day.
func TestUsageOfCenturies(t *testing.T) {
	db := openManual(t, manualOptions(vfs.NewMem()))
	_, err := db.Append(context.Background(), &model.Batch{Tenant: "t", Columns: history(3, 2, model.MinTime, model.MaxTime-1-model.MinTime)})
	must(t, err)
	v := db.viewUsage(mustTenant(t, db), true)
	rows := uint64(0)
	for _, p := range v.heads[0].parts {
		rows += p.rows
	}
	if n := len(v.heads[0].parts); n > 6 || rows != 6 {
		t.Errorf("%d parts of %d rows", n, rows)
	}
	for days := range int64(40) { // any span is cut into the same rows as day by day
		p := usagePart{channel: 1, first: 5, last: 5 + days*model.Day + 7, rows: 3}
		sum, last := uint64(0), int64(-1)
		must(t, splitDays(p, func(d *usagePart) error {
			if sum += d.rows; d.first <= last || d.first < p.first || d.last > p.last || dayOf(d.first) != dayOf(d.last) ||
				sum != shareOf(p.rows, uint64(d.last-p.first)+1, uint64(p.last-p.first)+1) {
				t.Fatalf("%d days: %+v after %d, %d rows so far", days, d, last, sum)
			}
			last = d.last
			return nil
		}))
		if sum != p.rows {
			t.Errorf("%d days: %d rows", days, sum)
		}
	}
}
