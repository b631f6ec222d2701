package engine

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// remover runs writes and everything that takes rows away on a database, and on
// the simplest model that there is.
type remover struct {
	t       *rapid.T
	fs      *vfs.MemFS
	db      *DB
	options Options
	now     atomic.Int64 // background work reads it too
	latest  int64        // the clock's greatest time: expiry never goes back
	seed    uint64

	rows   map[string]map[int64]float64 // channel → time → value
	ids    map[string]model.ChannelID   // of channels that exist
	used   map[model.ChannelID]bool     // IDs of this tenant's channels, gone ones too
	floor  map[string]int64             // what had expired by rules before
	group  map[string]string
	alarms map[string]bool // channels with an alarm
	rules  policy.Rules
	born   bool
	attach attachLimits // of appends
}

func newRemover(t *rapid.T) *remover {
	m := &remover{t: t, fs: vfs.NewCrashableMem()}
	m.now.Store(40 * model.Day)
	m.options = Options{
		Dir: "data", Clock: func() time.Time { return time.Unix(0, m.now.Load()) }, Manual: rapid.Bool().Draw(t, "manual"),
		HeadRows:     rapid.SampledFrom([]int{1, 100000}).Draw(t, "head rows"),
		SegmentBytes: rapid.SampledFrom([]int64{300, 1 << 20}).Draw(t, "segment bytes"),
	}
	m.attach = attachedFrom(t)
	m.open()
	m.create()
	return m
}

func (m *remover) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *remover) open() {
	m.options.FS = m.fs
	db, err := Open(m.options)
	m.must(err)
	m.db, db.attach = db, m.attach
	if faults, quarantined := db.Faults(); len(faults) > 0 || quarantined > 0 {
		m.t.Fatalf("faults after open: %v, %d entries quarantined", faults, quarantined)
	}
}

func (m *remover) create() {
	m.must(m.db.CreateTenant(context.Background(), "t"))
	m.rows, m.ids, m.used = map[string]map[int64]float64{}, map[string]model.ChannelID{}, map[model.ChannelID]bool{}
	m.floor, m.group, m.alarms = map[string]int64{}, map[string]string{}, map[string]bool{}
	m.rules, m.born = nil, true
}

var removedChannels = []string{"a", "b", "c"}

func (m *remover) time() int64 {
	m.latest = max(m.latest, m.now.Load())
	return m.latest
}

// keep returns how long a channel keeps its raw rows.
func (m *remover) keep(channel string) policy.Keep {
	p, err := m.rules.Compile()
	m.must(err)
	c := model.Channel{Labels: testLabels(channel), History: model.History{{Properties: model.Properties{Group: m.group[channel]}}}}
	e := p.Effective(&c)
	return e.Keep[model.StepRaw]
}

// floorOf returns the time before which a channel's rows are gone.
func (m *remover) floorOf(channel string) int64 {
	f := m.keep(channel).Floor(m.time())
	if pinned, ok := m.floor[channel]; ok {
		f = max(f, pinned)
	}
	return f
}

// pin remembers what has expired before rules change.
func (m *remover) pin(channel string) { m.floor[channel] = m.floorOf(channel) }

func (m *remover) append(t *rapid.T) {
	b := &model.Batch{Tenant: "t"}
	names := rapid.SliceOfNDistinct(rapid.SampledFrom(removedChannels), 1, 3, rapid.ID[string]).Draw(t, "channels")
	for _, name := range names {
		c := model.Column{Labels: testLabels(name)}
		for range rapid.IntRange(1, 6).Draw(t, "rows") {
			at := rapid.SampledFrom([]int64{0, 1, 20, 31, 39, 40}).Draw(t, "day")*model.Day + rapid.Int64Range(0, 9).Draw(t, "minute")*60e9
			c.Times, c.Values = append(c.Times, at), append(c.Values, rapid.Float64Range(-9, 9).Draw(t, "value"))
		}
		if rapid.Bool().Draw(t, "sorted") { // as blocks are attached
			slices.Sort(c.Times)
			c.Times = slices.Compact(c.Times)
			c.Values = c.Values[:len(c.Times)]
		}
		if rapid.IntRange(0, 4).Draw(t, "properties") == 0 {
			group := rapid.SampledFrom([]string{"short", "long"}).Draw(t, "group")
			if m.ids[name] != 0 && group != m.group[name] {
				m.pin(name)
			}
			m.group[name] = group
			c.Properties = &model.Properties{Group: m.group[name]}
			c.Times[0] = 40 * model.Day // from when it holds is the least time: see below
			for i := range c.Times {
				c.Times[i] = max(c.Times[i], 40*model.Day)
			}
		}
		b.Columns = append(b.Columns, c)
	}
	_, err := m.db.Append(context.Background(), b)
	m.must(err)
	for _, c := range b.Columns {
		name := c.Labels.Channel()
		if m.rows[name] == nil {
			m.rows[name] = map[int64]float64{}
		}
		for i, at := range c.Times {
			m.rows[name][at] = c.Values[i]
		}
	}
	m.learn()
}

// learn notes the IDs of new channels: none may have been another's before.
func (m *remover) learn() {
	channels, err := m.db.Channels(context.Background(), "t", nil)
	m.must(err)
	for _, c := range channels {
		name := c.Labels.Channel()
		if m.ids[name] == c.ID {
			continue
		}
		if m.ids[name] != 0 || m.used[c.ID] {
			m.t.Fatalf("channel %s has ID %d, which was given before", name, c.ID)
		}
		m.ids[name], m.used[c.ID] = c.ID, true
	}
}

var removedSpans = rapid.Custom(func(t *rapid.T) model.Span {
	from := rapid.Int64Range(0, 40).Draw(t, "from")*model.Day + rapid.Int64Range(0, 9).Draw(t, "minute")*60e9
	length := rapid.SampledFrom([]int64{1, 60e9, 300e9, model.Day, 30 * model.Day, 100 * model.Day}).Draw(t, "length")
	return model.Span{From: from, To: from + length}
})

func (m *remover) deleteRows(t *rapid.T) {
	span := removedSpans.Draw(t, "span")
	var ids []model.ChannelID
	names := removedChannels
	if rapid.Bool().Draw(t, "some channels") {
		names = nil
		for _, name := range removedChannels {
			if m.ids[name] != 0 && rapid.Bool().Draw(t, name) {
				names, ids = append(names, name), append(ids, m.ids[name])
			}
		}
		if ids == nil {
			return
		}
	}
	_, err := m.db.DeleteRows(context.Background(), "t", ids, span)
	m.must(err)
	for _, name := range names {
		for at := range m.rows[name] {
			if span.Contains(at) {
				delete(m.rows[name], at)
			}
		}
	}
}

func (m *remover) deleteChannel(t *rapid.T) {
	name := rapid.SampledFrom(removedChannels).Draw(t, "channel")
	if m.ids[name] == 0 {
		return
	}
	m.must(m.db.DeleteChannels(context.Background(), "t", []model.ChannelID{m.ids[name]}))
	delete(m.rows, name)
	delete(m.ids, name)
	delete(m.floor, name)
	delete(m.group, name)
	delete(m.alarms, name)
}

func (m *remover) putAlarm(t *rapid.T) {
	name := rapid.SampledFrom(removedChannels).Draw(t, "channel")
	if m.ids[name] == 0 || m.alarms[name] {
		return
	}
	_, err := m.db.PutAlarm(context.Background(), "t", entry.PutAlarm{Channel: m.ids[name], Operator: 1, Enabled: true})
	m.must(err)
	m.alarms[name] = true
}

func (m *remover) deleteTenant(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "really") > 0 {
		return
	}
	done, err := m.db.DeleteTenant(context.Background(), "t")
	m.must(err)
	if int(done.Channels) != len(m.ids) {
		m.t.Fatalf("deleted with %d channels, had %d", done.Channels, len(m.ids))
	}
	m.born = false
	m.gone()
	if rapid.Bool().Draw(t, "crash") {
		m.crash(t)
		m.gone()
	}
	m.create()
}

// gone checks that nothing of the tenant is left.
func (m *remover) gone() {
	if m.db.HasTenant("t") {
		m.t.Fatal("the tenant is still there")
	}
	if blocks, err := m.db.blocks.List("blocks/"); err != nil || len(blocks) > 0 {
		m.t.Fatalf("blocks are left: %v, %v", blocks, err)
	}
	events, _, err := m.db.catalog.Events("t", EventQuery{Span: model.AllTime()})
	if err != nil || len(events) > 0 {
		m.t.Fatalf("events are left: %v, %v", events, err)
	}
}

func (m *remover) setRetention(t *rapid.T) {
	for _, name := range removedChannels {
		if m.ids[name] != 0 {
			m.pin(name)
		}
	}
	var rules policy.Rules
	for _, scope := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"tenant", "group", "channel"}), 0, 3, rapid.ID[string]).Draw(t, "scopes") {
		match := map[string]string{"tenant": "", "group": "short", "channel": "a"}[scope]
		rules = append(rules, testRules(rapid.SampledFrom([]string{"forever", "1mo", "9d", "1d", "5m"}).Draw(t, "keep"), scope, match)...)
	}
	m.must(m.db.SetRetention(context.Background(), "t", rules))
	m.rules = rules
	got, err := m.db.Retention("t")
	if err != nil || !got.Equal(rules) {
		m.t.Fatalf("rules %v, %v; want %v", got, err, rules)
	}
}

func (m *remover) tick(t *rapid.T) {
	m.time()
	by := rapid.SampledFrom([]int64{60e9, 3600e9, model.Day, 10 * model.Day, -model.Day / 2}).Draw(t, "by")
	m.now.Store(max(m.now.Load()+by, m.latest-mostSetBack)) // set back further, it would bring rows back
}

func (m *remover) crash(t *rapid.T) {
	m.seed++
	kept := rapid.SampledFrom([]int{0, 50, 100}).Draw(t, "percent of unsynced data kept")
	clone := m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: kept, RNG: rand.New(rand.NewPCG(m.seed, 3))})
	m.db.Close()
	m.fs = clone
	m.now.Store(m.time()) // a start may not know what time it was
	m.open()
}

func (m *remover) reopen(*rapid.T) {
	m.must(m.db.Close())
	m.now.Store(m.time())
	m.open()
}

func (m *remover) check(*rapid.T) {
	m.db.now() // the clock that the model sees is seen
	ctx := context.Background()
	channels, err := m.db.Channels(ctx, "t", nil)
	m.must(err)
	if len(channels) != len(m.ids) {
		m.t.Fatalf("channels %v, want %v", channels, m.ids)
	}
	alarms, err := m.db.Alarms("t")
	m.must(err)
	if len(alarms) != len(m.alarms) {
		m.t.Fatalf("alarms %v, want %v", alarms, m.alarms)
	}
	for _, c := range channels {
		m.checkChannel(&c)
	}
}

func (m *remover) checkChannel(c *model.Channel) {
	ctx, name := context.Background(), c.Labels.Channel()
	if m.ids[name] != c.ID {
		m.t.Fatalf("%s is %d, want %d", name, c.ID, m.ids[name])
	}
	floor := m.floorOf(name)
	if got := floorsOf(m.db, c.ID)[model.StepRaw]; got != floor {
		m.t.Fatalf("%s: floor %d, want %d", name, got, floor)
	}
	var want []int64
	for at := range m.rows[name] {
		if at >= floor {
			want = append(want, at)
		}
	}
	slices.Sort(want)
	for _, span := range []model.Span{model.AllTime(), {From: model.Day, To: 39*model.Day + 240e9}} {
		got := map[int64]float64{}
		m.must(readSpan(m.db, c.ID, span, got))
		sums, err := m.db.Summarize(ctx, "t", []model.ChannelID{c.ID}, span)
		m.must(err)
		var sum model.Aggregate
		for _, at := range want {
			if !span.Contains(at) {
				continue
			}
			sum.Add(at, m.rows[name][at])
			if v, ok := got[at]; !ok || v != m.rows[name][at] {
				m.t.Fatalf("%s in %v at %d: %v %v, want %v", name, span, at, v, ok, m.rows[name][at])
			}
			delete(got, at)
		}
		if len(got) > 0 {
			m.t.Fatalf("%s in %v: %v should be gone", name, span, got)
		}
		if sums[0].Count != sum.Count || sum.Count > 0 && (sums[0].Max != sum.Max || sums[0].FirstTime != sum.FirstTime || math.Abs(sums[0].Total()-sum.Total()) > 1e-9) {
			m.t.Fatalf("%s in %v: %+v, want %+v", name, span, sums[0], sum)
		}
	}
	latest, err := m.db.Latest(ctx, "t", []model.ChannelID{c.ID})
	m.must(err)
	if n := len(want); latest[0].OK != (n > 0) || n > 0 && (latest[0].Time != want[n-1] || latest[0].Value != m.rows[name][want[n-1]]) {
		m.t.Fatalf("latest of %s: %+v, want the last of %v", name, latest[0], want)
	}
}

// readSpan reads a channel's rows in a span.
func readSpan(db *DB, id model.ChannelID, span model.Span, into map[int64]float64) error {
	s, err := db.Select(context.Background(), "t", []model.ChannelID{id}, span)
	if err != nil {
		return err
	}
	defer s.Close()
	for c := s.Cursor(0); ; {
		times, values, err := c.Next()
		if err != nil || len(times) == 0 {
			return err
		}
		for i, at := range times {
			into[at] = values[i]
		}
	}
}

// TestDeletionModel runs writes, corrections, deletions, changes of retention
// and of the clock, with flushes, merges, crashes and restarts between them, and
// compares every answer with the model.
func TestDeletionModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newRemover(t)
		defer func() { m.db.Close() }()
		ctx := context.Background()
		t.Repeat(map[string]func(*rapid.T){
			"append":    m.append,
			"append2":   m.append,
			"delete":    m.deleteRows,
			"delete2":   m.deleteRows,
			"channel":   m.deleteChannel,
			"alarm":     m.putAlarm,
			"tenant":    m.deleteTenant,
			"retention": m.setRetention,
			"tick":      m.tick,
			"flush":     func(*rapid.T) { m.must(m.db.Flush(ctx)) },
			"compact": func(*rapid.T) {
				if err := m.db.Compact(ctx); err != nil && !errors.Is(err, errChanged) {
					m.must(err)
				}
			},
			"checkpoint": func(*rapid.T) { m.must(m.db.Checkpoint(ctx)) },
			"crash":      m.crash,
			"reopen":     m.reopen,
			"repair":     m.repair,
			"":           m.check,
		})
	})
}
