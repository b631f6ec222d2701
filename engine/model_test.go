package engine

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/merge"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// naiveAlarm and naiveTenant are what a database should answer, kept in the
// simplest way that there is.
type naiveAlarm struct {
	id, version uint64
	channel     string
	put         entry.PutAlarm
	state       alarm.State
	folded      map[int64]bool // not empty once a row was folded
	foldedTo    int64
	late        uint64
}

type naiveEvent struct {
	alarm, version uint64
	kind           string
	time           int64
	bits           uint64
	entry          uint64 // its offset in the log
}

type naiveTenant struct {
	rows   map[string]map[int64]uint64 // channel → time → value bits
	order  []string                    // channels in the order in which they were made
	alarms []*naiveAlarm
	events []naiveEvent
	lost   []naiveEvent // in a repair
	rules  policy.Rules
	floors map[string]int64 // channel → the time before which all has expired
	quota  int              // channels; 0: none

	answers map[RequestID]naiveAnswer
}

func (n *naiveTenant) channel(name string) map[int64]uint64 {
	if n.rows[name] == nil {
		n.rows[name] = map[int64]uint64{}
		n.floors[name] = math.MinInt64
		n.order = append(n.order, name)
	}
	return n.rows[name]
}

func (a *naiveAlarm) holds(v float64) bool {
	p := &a.put
	switch alarm.Operator(p.Operator) {
	case alarm.Greater:
		return v > p.Threshold
	case alarm.GreaterOrEqual:
		return v >= p.Threshold
	case alarm.LessOrEqual:
		return v <= p.Threshold
	case alarm.Less:
		return v < p.Threshold
	case alarm.Outside:
		return v < p.Low || v > p.High
	}
	return v <= p.Low || v >= p.High
}

// fold judges the rows of one entry.
func (n *naiveTenant) fold(columns []model.Column, entry uint64) {
	type row struct {
		time    int64
		channel int
		at      int
		value   float64
	}
	var rows []row
	for _, c := range columns {
		id := slices.Index(n.order, c.Labels.Channel())
		for j := range c.Times {
			rows = append(rows, row{c.Times[j], id, j, c.Values[j]})
		}
	}
	sort.SliceStable(rows, func(i, j int) bool {
		if rows[i].time != rows[j].time {
			return rows[i].time < rows[j].time
		}
		return rows[i].channel < rows[j].channel
	})
	for _, r := range rows {
		for _, a := range n.alarms {
			if a.put.Enabled && a.channel == n.order[r.channel] {
				n.judge(a, r.time, r.value, entry)
			}
		}
	}
}

func (n *naiveTenant) judge(a *naiveAlarm, at int64, v float64, entry uint64) {
	if len(a.folded) > 0 && at <= a.foldedTo {
		a.late++
		return
	}
	a.folded = map[int64]bool{at: true}
	a.foldedTo = at
	if math.IsNaN(v) {
		return
	}
	switch holds := a.holds(v); {
	case holds && a.state != alarm.Active:
		a.state = alarm.Active
		n.events = append(n.events, naiveEvent{a.id, a.version, "start", at, math.Float64bits(v), entry})
	case !holds && a.state == alarm.Active:
		a.state = alarm.Normal
		n.events = append(n.events, naiveEvent{a.id, a.version, "end", at, math.Float64bits(v), entry})
	case !holds:
		a.state = alarm.Normal
	}
}

// naiveAnswer is what was answered to a request, and when.
type naiveAnswer struct {
	text string
	at   int64
}

// machine runs operations on a database and on the naive model.
type machine struct {
	t       *rapid.T
	fs      *vfs.MemFS
	db      *DB
	options Options
	now     atomic.Int64
	tenants map[model.Tenant]*naiveTenant
	seed    uint64
	// The bounds of compactions.
	mergeBlocks, mergeChunks int
	attach                   attachLimits // of appends
	held                     []heldSelection
}

// heldSelection is a selection of a channel's rows that is read later, and what
// it must give then.
type heldSelection struct {
	selection *Selection
	times     []int64
	values    []float64
}

var machineTenants = []model.Tenant{"lake", "roof"}

func newMachine(t *rapid.T) *machine {
	m := &machine{t: t, fs: vfs.NewCrashableMem(), tenants: map[model.Tenant]*naiveTenant{}}
	m.now.Store(20*model.Day + 1e9)
	m.options = Options{
		Dir: "data", Clock: func() time.Time { return time.Unix(0, m.now.Load()) },
		HeadRows:     rapid.SampledFrom([]int{1, 5, 100000}).Draw(t, "head rows"),
		SegmentBytes: rapid.SampledFrom([]int64{300, 4096, 1 << 20}).Draw(t, "segment bytes"),
		Manual:       rapid.Bool().Draw(t, "manual"),
	}
	m.mergeBlocks = rapid.SampledFrom([]int{mergeBlocks, 2, 3}).Draw(t, "merged blocks")
	m.mergeChunks = rapid.SampledFrom([]int{groupChunks, 1, 3}).Draw(t, "merged chunks")
	m.attach = attachedFrom(t)
	m.open()
	for _, name := range machineTenants {
		m.create(name)
	}
	return m
}

// attachedFrom draws from how many rows on appends attach blocks, of one entry each.
func attachedFrom(t *rapid.T) attachLimits {
	limits := defaultAttach
	limits.rows = rapid.SampledFrom([]int{1, 1, 3, limits.rows}).Draw(t, "attached rows")
	limits.average = 1
	return limits
}

func (m *machine) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) open() {
	m.options.FS = m.fs
	db, err := Open(m.options)
	m.must(err)
	m.db = db
	m.must(db.compactor.acquire(context.Background())) // background work may run already
	db.compactor.blocks, db.compactor.chunks = m.mergeBlocks, m.mergeChunks
	db.compactor.release()
	db.attach = m.attach
	for name, n := range m.tenants {
		if db.HasTenant(name) { // else a repair has lost it: see adopt
			m.must(db.SetQuota(name, policy.Quota{Channels: n.quota})) // a service's, not the database's
		}
	}
	faults, quarantined := db.Faults()
	if len(faults) > 0 || quarantined > 0 {
		m.t.Fatalf("faults after open: %v, %d entries quarantined", faults, quarantined)
	}
}

func testLabels(channel string) model.Labels {
	l, err := model.NewLabels(model.Label{Name: "instrument", Value: "i"}, model.Label{Name: "channel", Value: channel})
	if err != nil {
		panic(err)
	}
	return l
}

var rowTimes = rapid.Custom(func(t *rapid.T) int64 {
	day := rapid.SampledFrom([]int64{0, 0, 0, 0, 1, 2, -1, 500}).Draw(t, "day")
	minute := rapid.Int64Range(0, 30).Draw(t, "minute")
	return day*model.Day + minute*60e9 - 600e9
})

var rowValues = rapid.Custom(func(t *rapid.T) float64 {
	return rapid.SampledFrom([]float64{
		0, 1, 2, 3, 4, 5, 2.5, -3, math.Copysign(0, -1), math.Inf(1), math.Inf(-1),
		math.NaN(), model.QualityOver.NaN(), model.QualityNoData.NaN(), 1e300, 4.9e-324, 0.1, 0.3,
	}).Draw(t, "value")
})

// append writes a batch to both.
func (m *machine) append(t *rapid.T) {
	name := m.tenant(t)
	b := &model.Batch{Tenant: name}
	shared := rapid.Bool().Draw(t, "shared times")
	var times []int64
	for _, channel := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 3, rapid.ID[string]).Draw(t, "channels") {
		if times == nil || !shared {
			times = rapid.SliceOfN(rowTimes, 1, 12).Draw(t, "times")
			if rapid.Bool().Draw(t, "sorted") {
				slices.Sort(times)
				times = slices.Compact(times)
			}
		}
		c := model.Column{Labels: testLabels(channel), Times: times,
			Values: rapid.SliceOfN(rowValues, len(times), len(times)).Draw(t, "values")}
		b.Columns = append(b.Columns, c)
	}
	m.write(b)
}

// write writes a batch to both, but for new channels beyond the quota.
func (m *machine) write(b *model.Batch) {
	n := m.tenants[b.Tenant]
	var accepted []model.Column
	rows := 0
	for _, c := range b.Columns {
		if channel := c.Labels.Channel(); n.rows[channel] != nil || n.quota == 0 || len(n.order) < n.quota {
			n.channel(channel)
			accepted = append(accepted, c)
			rows += len(c.Times)
		}
	}
	result, err := m.db.Append(context.Background(), b)
	m.must(err)
	if result.Rows != rows || len(result.Refused) != len(b.Columns)-len(accepted) {
		m.t.Fatalf("appended %+v, want %d rows of %d columns", result, rows, len(accepted))
	}
	for _, c := range accepted {
		rows := n.rows[c.Labels.Channel()]
		for i, at := range c.Times {
			rows[at] = math.Float64bits(c.Values[i])
		}
	}
	n.fold(accepted, result.Offset)
}

func (m *machine) putAlarm(t *rapid.T) {
	name := m.tenant(t)
	n := m.tenants[name]
	if len(n.order) == 0 {
		t.Skip("no channel yet")
	}
	channel := rapid.SampledFrom(n.order).Draw(t, "channel")
	channels, err := m.db.Channels(context.Background(), name, mustSelector(fmt.Sprintf("{channel=%q}", channel)))
	m.must(err)
	put := entry.PutAlarm{
		Name: "n", Match: "{}", Channel: channels[0].ID,
		Operator:  uint8(rapid.SampledFrom([]alarm.Operator{alarm.Greater, alarm.GreaterOrEqual, alarm.LessOrEqual, alarm.Less, alarm.Outside, alarm.OutsideOrEqual}).Draw(t, "operator")),
		Threshold: rapid.SampledFrom([]float64{0, 2, 2.5}).Draw(t, "threshold"),
		Low:       1, High: 3, Enabled: rapid.Bool().Draw(t, "enabled"),
	}
	a := &naiveAlarm{}
	if len(n.alarms) > 0 && rapid.Bool().Draw(t, "replace") {
		a = rapid.SampledFrom(n.alarms).Draw(t, "alarm")
		put.ID = a.id
	}
	got, err := m.db.PutAlarm(context.Background(), name, put)
	m.must(err)
	if put.ID == 0 {
		n.alarms = append(n.alarms, a)
	}
	*a = naiveAlarm{id: got.ID, version: a.version + 1, channel: channel, put: put}
}

func (m *machine) switchAlarm(t *rapid.T) {
	name := m.tenant(t)
	n := m.tenants[name]
	if len(n.alarms) == 0 {
		t.Skip("no alarm yet")
	}
	i := rapid.IntRange(0, len(n.alarms)-1).Draw(t, "alarm")
	a := n.alarms[i]
	switch rapid.IntRange(0, 2).Draw(t, "how") {
	case 0:
		m.must(m.db.DeleteAlarm(context.Background(), name, a.id))
		n.alarms = slices.Delete(n.alarms, i, i+1)
	case 1:
		_, err := m.db.SwitchAlarm(context.Background(), name, a.id, true)
		m.must(err)
		if !a.put.Enabled {
			a.put.Enabled, a.state, a.folded = true, alarm.Unknown, nil
		}
	case 2:
		_, err := m.db.SwitchAlarm(context.Background(), name, a.id, false)
		m.must(err)
		a.put.Enabled = false
	}
}

func mustSelector(text string) model.Selector {
	s, err := model.ParseSelector(text)
	if err != nil {
		panic(err)
	}
	return s
}

// hold takes a selection that is read when the next one is taken.
func (m *machine) hold(t *rapid.T) {
	m.release()
	for _, name := range machineTenants {
		n := m.tenants[name]
		if n == nil || len(n.order) == 0 {
			continue
		}
		i := rapid.IntRange(0, len(n.order)-1).Draw(t, "channel")
		channels, err := m.db.Channels(context.Background(), name, nil)
		m.must(err)
		s, err := m.db.Select(context.Background(), name, []model.ChannelID{channels[i].ID}, model.AllTime())
		m.must(err)
		times, values := n.sortedRows(n.order[i], model.AllTime())
		m.held = append(m.held, heldSelection{s, times, values})
	}
}

// release reads and closes the selections that are held.
func (m *machine) release() {
	for _, h := range m.held {
		m.sameRows("held selection", h.selection.Cursor(0), h.times, h.values)
		h.selection.Close()
	}
	m.held = nil
}

func (m *machine) sameRows(what string, c *merge.Cursor, wantTimes []int64, wantValues []float64) {
	var times []int64
	var values []float64
	for {
		moreTimes, moreValues, err := c.Next()
		m.must(err)
		if len(moreTimes) == 0 {
			break
		}
		times, values = append(times, moreTimes...), append(values, moreValues...)
	}
	if !slices.Equal(times, wantTimes) || !slices.EqualFunc(values, wantValues, sameBits) {
		m.t.Fatalf("%s: got %v %v, want %v %v", what, times, values, wantTimes, wantValues)
	}
}

// crash loses what was not synced, of some files a part, and opens again.
func (m *machine) crash(t *rapid.T) {
	kept := rapid.SampledFrom([]int{0, 0, 50, 100}).Draw(t, "percent of unsynced data kept")
	m.seed++
	clone := m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: kept, RNG: rand.New(rand.NewPCG(m.seed, 1))})
	m.release()
	m.db.Close() // of the file system that is gone
	m.fs = clone
	m.open()
}

func (m *machine) reopen(*rapid.T) {
	m.release()
	m.must(m.db.Close())
	m.open()
}

// check compares every answer.
func (m *machine) check(t *rapid.T) {
	m.expire()
	for _, name := range machineTenants {
		n := m.tenants[name]
		if n == nil {
			m.checkGone(name)
			continue
		}
		channels, err := m.db.Channels(context.Background(), name, nil)
		m.must(err)
		if len(channels) != len(n.order) {
			m.t.Fatalf("%s has channels %v, want %v", name, channels, n.order)
		}
		ids := make([]model.ChannelID, len(channels))
		for i, c := range channels {
			if c.Labels.Channel() != n.order[i] {
				m.t.Fatalf("channel %d is %s, want %s", i, c.Labels, n.order[i])
			}
			ids[i] = c.ID
		}
		m.checkRows(name, ids)
		m.checkAggregates(name, ids)
		m.checkLatest(name, ids)
		m.checkAlarms(name)
	}
}

// sortedRows returns a channel's rows in span.
func (n *naiveTenant) sortedRows(channel string, span model.Span) (times []int64, values []float64) {
	for at := range n.rows[channel] {
		if span.Contains(at) {
			times = append(times, at)
		}
	}
	slices.Sort(times)
	for _, at := range times {
		values = append(values, math.Float64frombits(n.rows[channel][at]))
	}
	return times, values
}

func sameBits(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }

func (m *machine) checkRows(name model.Tenant, ids []model.ChannelID) {
	for _, span := range []model.Span{model.AllTime(), {From: 0, To: 600e9}, {From: -model.Day, To: model.Day}} {
		m.checkSpan(name, ids, span)
	}
}

func (m *machine) checkSpan(name model.Tenant, ids []model.ChannelID, span model.Span) {
	s, err := m.db.Select(context.Background(), name, ids, span)
	m.must(err)
	defer s.Close() // after a failure too: closing the database waits for it
	for i := range ids {
		n := m.tenants[name]
		times, values := n.sortedRows(n.order[i], span)
		m.sameRows(fmt.Sprintf("%s channel %d in %v", name, i, span), s.Cursor(i), times, values)
	}
}

func (m *machine) checkAggregates(name model.Tenant, ids []model.ChannelID) {
	n := m.tenants[name]
	for _, span := range []model.Span{{From: -model.Day, To: 3 * model.Day}, {From: -700e9, To: 1500e9}} {
		b, err := model.PlanBuckets(span, 7)
		m.must(err)
		got, err := m.db.Aggregate(context.Background(), name, ids, b)
		m.must(err)
		for i := range ids {
			for k := range b.Count {
				bucket := model.Span{From: b.From + int64(k)*b.Width, To: b.From + int64(k+1)*b.Width}
				m.sameAggregate(&got[i][k], n.order[i], bucket, n)
			}
		}
	}
	sums, err := m.db.Summarize(context.Background(), name, ids, model.AllTime())
	m.must(err)
	for i := range ids {
		m.sameAggregate(&sums[i], n.order[i], model.AllTime(), n)
	}
}

func (m *machine) sameAggregate(got *model.Aggregate, channel string, span model.Span, n *naiveTenant) {
	times, values := n.sortedRows(channel, span)
	var want model.Aggregate
	magnitude := 0.0
	for i := range times {
		want.Add(times[i], values[i])
		if !math.IsNaN(values[i]) {
			magnitude += math.Abs(values[i])
		}
	}
	if err := sameNumbers(got, &want, magnitude); err != nil {
		m.t.Fatalf("channel %s in %v: %v", channel, span, err)
	}
}

// sameNumbers compares to the bit, sums within a share of the magnitude of what
// was added.
func sameNumbers(got, want *model.Aggregate, magnitude float64) error {
	same := got.Count == want.Count && got.Quality == want.Quality
	if want.Rows() > 0 {
		same = same && got.FirstTime == want.FirstTime && got.LastTime == want.LastTime
	}
	if want.Count > 0 {
		same = same && sameBits(got.Min, want.Min) && sameBits(got.Max, want.Max) &&
			sameBits(got.First, want.First) && sameBits(got.Last, want.Last)
		difference := math.Abs(got.Total() - want.Total())
		same = same && (difference <= magnitude*0x1p-50 || math.IsInf(magnitude, 0))
	}
	if !same {
		return fmt.Errorf("got %+v, want %+v", *got, *want)
	}
	return nil
}

func (m *machine) checkLatest(name model.Tenant, ids []model.ChannelID) {
	latest, err := m.db.Latest(context.Background(), name, ids)
	m.must(err)
	for i, got := range latest {
		times, values := m.tenants[name].sortedRows(m.tenants[name].order[i], model.AllTime())
		last := len(times) - 1
		if last < 0 {
			if got.OK {
				m.t.Fatalf("latest of channel %d: got %+v, it has no rows", i, got)
			}
			continue
		}
		if !got.OK || got.Time != times[last] || !sameBits(got.Value, values[last]) {
			m.t.Fatalf("latest of channel %d: got %+v, want %d %v", i, got, times[last], values[last])
		}
	}
}

func (m *machine) checkAlarms(name model.Tenant) {
	n := m.tenants[name]
	alarms, err := m.db.Alarms(name)
	m.must(err)
	if len(alarms) != len(n.alarms) {
		m.t.Fatalf("%d alarms, want %d", len(alarms), len(n.alarms))
	}
	for i, a := range alarms {
		want := n.alarms[i]
		if a.ID != want.id || a.Version != want.version || a.Enabled != want.put.Enabled || a.State != want.state {
			m.t.Fatalf("alarm %+v, want %+v", a, *want)
		}
	}
	got := m.events(name)
	if !sameEvents(got, n.events) {
		m.t.Fatalf("%s: events %v, want %v", name, got, n.events)
	}
}

// events returns a tenant's events, each once.
func (m *machine) events(name model.Tenant) (got []naiveEvent) {
	events, next, err := m.db.Events(context.Background(), name, EventQuery{Span: model.AllTime(), Limit: 100000})
	m.must(err)
	seen := map[string]bool{}
	for _, e := range events {
		got = append(got, naiveEvent{e.Alarm, e.Version, e.Kind.String(), e.Time, math.Float64bits(e.Value), e.Offset})
		if seen[e.ID] || next != "" {
			m.t.Fatalf("event %s twice, or more than were asked for: next %q", e.ID, next)
		}
		seen[e.ID] = true
	}
	return got
}

// sameEvents compares without regard to the order.
func sameEvents(a, b []naiveEvent) bool {
	count := map[naiveEvent]int{}
	for _, e := range a {
		count[e]++
	}
	for _, e := range b {
		count[e]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return len(a) == len(b)
}

// TestModel runs random operations, crashes and restarts among them, and
// compares every answer with the naive model. On failure rapid prints the seed
// and the shortest list of operations that it finds.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		defer func() {
			m.release()
			m.db.Close()
		}()
		t.Repeat(map[string]func(*rapid.T){
			"append":          m.append,
			"append2":         m.append,
			"dense":           m.appendDense,
			"delete rows":     m.deleteRows,
			"delete channels": m.deleteChannels,
			"delete tenant":   m.deleteTenant,
			"retention":       m.setRetention,
			"quota":           m.setQuota,
			"clock":           m.moveClock,
			"due":             m.doWhatIsDue,
			"snapshot":        m.snapshot,
			"HOK":             m.exchange,
			"alarm":           m.putAlarm,
			"switch":          m.switchAlarm,
			"request":         m.request,
			"flush":           func(*rapid.T) { m.must(m.db.Flush(context.Background())) },
			"compact":         func(*rapid.T) { m.must(m.db.Compact(context.Background())) },
			"hold":            m.hold,
			"checkpoint": func(*rapid.T) {
				m.must(m.db.Checkpoint(context.Background()))
			},
			"crash":  m.crash,
			"reopen": m.reopen,
			"repair": m.repair,
			"":       m.check,
		})
	})
}
