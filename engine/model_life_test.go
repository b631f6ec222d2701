package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// The operations of TestModel that end what was written, and those that must
// not change any answer.

// create makes a tenant in both.
func (m *machine) create(name model.Tenant) {
	m.must(m.db.CreateTenant(context.Background(), name))
	m.tenants[name] = &naiveTenant{rows: map[string]map[int64]uint64{}, floors: map[string]int64{}, answers: map[RequestID]naiveAnswer{}}
}

// tenant chooses a tenant, and makes it where it was deleted.
func (m *machine) tenant(t *rapid.T) model.Tenant {
	name := rapid.SampledFrom(machineTenants).Draw(t, "tenant")
	if m.tenants[name] == nil {
		m.create(name)
	}
	return name
}

// appendDense writes many rows in order, so that rollups are worth keeping.
func (m *machine) appendDense(t *rapid.T) {
	b := &model.Batch{Tenant: m.tenant(t)}
	at := rowTimes.Draw(t, "start")
	step := rapid.SampledFrom([]int64{1e9, 10e9, 60e9, 600e9}).Draw(t, "step")
	c := model.Column{Labels: testLabels(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "channel"))}
	value := rapid.IntRange(-5, 5).Draw(t, "value")
	for i := range rapid.IntRange(40, 200).Draw(t, "rows") {
		c.Times = append(c.Times, at+int64(i)*step)
		c.Values = append(c.Values, float64(value+i%7)/10)
	}
	b.Columns = []model.Column{c}
	m.write(b)
}

// some chooses channels of a tenant that has any.
func (m *machine) some(t *rapid.T) (name model.Tenant, chosen []string, ids []model.ChannelID) {
	name = m.tenant(t)
	n := m.tenants[name]
	if len(n.order) == 0 {
		t.Skip("no channel yet")
	}
	chosen = rapid.SliceOfNDistinct(rapid.SampledFrom(n.order), 1, len(n.order), rapid.ID[string]).Draw(t, "channels")
	channels, err := m.db.Channels(context.Background(), name, nil)
	m.must(err)
	for _, c := range chosen {
		ids = append(ids, channels[slices.Index(n.order, c)].ID)
	}
	return name, chosen, ids
}

// someSpan is a span that cuts days, and sometimes all time.
func someSpan(t *rapid.T) model.Span {
	if rapid.IntRange(0, 5).Draw(t, "all time") == 0 {
		return model.AllTime()
	}
	from := rowTimes.Draw(t, "from")
	return model.Span{From: from, To: from + rapid.SampledFrom([]int64{1, 60e9, 500e9, 3600e9, model.Day}).Draw(t, "length")}
}

func (m *machine) deleteRows(t *rapid.T) {
	name, chosen, ids := m.some(t)
	span := someSpan(t)
	if rapid.IntRange(0, 3).Draw(t, "every channel") == 0 {
		chosen, ids = m.tenants[name].order, nil
	}
	_, err := m.db.DeleteRows(context.Background(), name, ids, span)
	m.must(err)
	for _, c := range chosen {
		for at := range m.tenants[name].rows[c] {
			if span.Contains(at) {
				delete(m.tenants[name].rows[c], at)
			}
		}
	}
}

func (m *machine) deleteChannels(t *rapid.T) {
	name, chosen, ids := m.some(t)
	m.must(m.db.DeleteChannels(context.Background(), name, ids))
	n := m.tenants[name]
	for _, c := range chosen {
		delete(n.rows, c)
		delete(n.floors, c)
		n.order = slices.DeleteFunc(n.order, func(other string) bool { return other == c })
		n.alarms = slices.DeleteFunc(n.alarms, func(a *naiveAlarm) bool { return a.channel == c })
	}
}

func (m *machine) deleteTenant(t *rapid.T) {
	name := m.tenant(t)
	deleted, err := m.db.DeleteTenant(context.Background(), name)
	m.must(err)
	if deleted.Tenant != name || int(deleted.Channels) != len(m.tenants[name].order) || deleted.Offset == 0 {
		m.t.Fatalf("deletion %+v of a tenant with channels %v", deleted, m.tenants[name].order)
	}
	delete(m.tenants, name)
}

// request sends a request that may have been sent before: then it gets the
// answer that it got, until that is too old.
func (m *machine) request(t *rapid.T) {
	name := m.tenant(t)
	n, now := m.tenants[name], m.now.Load()
	id := RequestID{Key: rapid.SampledFrom([]string{"", "k", "l"}).Draw(t, "key")}
	age := model.Day
	if id.Key == "" {
		id, age = RequestID{Producer: "p", Sequence: rapid.Uint64Range(1, 9).Draw(t, "sequence")}, 7*model.Day
		for other, was := range n.answers { // they live as long as their producer
			if answer := n.answers[id]; other.Producer != "" && answer.text != "" && was.at > answer.at {
				n.answers[id] = naiveAnswer{answer.text, was.at}
			}
		}
	}
	claim, done, err := m.db.ClaimRequest(name, id)
	m.must(err)
	if known := n.answers[id]; known.text != "" && now-known.at < age {
		if claim != nil || string(done.Answer) != known.text {
			m.t.Fatalf("%+v gets %+v, want %+v at %d", id, done, known, now)
		}
		return
	}
	if claim == nil {
		m.t.Fatalf("%+v was answered %+v at %d, which is too old or never was", id, done, now)
	}
	defer claim.Release()
	if _, _, err := m.db.ClaimRequest(name, id); !errors.Is(err, ErrInProgress) {
		m.t.Fatalf("%+v is claimed twice: %v", id, err)
	}
	if rapid.Bool().Draw(t, "fails") {
		return
	}
	if id.Producer != "" { // it may have been forgotten, with all that it did
		for other, was := range n.answers {
			if other.Producer != "" && now-was.at >= age {
				delete(n.answers, other)
			}
		}
	}
	m.seed++
	text := fmt.Sprint("answer ", m.seed)
	m.must(claim.Keep(Fingerprint{}, 200, "", []byte(text)))
	n.answers[id] = naiveAnswer{text, now}
}

// checkGone asks for everything of a tenant that was deleted.
func (m *machine) checkGone(name model.Tenant) {
	ctx := context.Background()
	_, channelsErr := m.db.Channels(ctx, name, nil)
	_, selectErr := m.db.Select(ctx, name, []model.ChannelID{1}, model.AllTime())
	_, alarmsErr := m.db.Alarms(name)
	_, _, eventsErr := m.db.Events(ctx, name, EventQuery{Span: model.AllTime()})
	for _, err := range []error{channelsErr, selectErr, alarmsErr, eventsErr} {
		if !errors.Is(err, ErrUnknownTenant) {
			m.t.Fatalf("tenant %s was deleted: %v", name, err)
		}
	}
}

// setRetention puts rules for all, for an instrument and for channels. Every
// step is kept as long as the rows, so that views are those of the rows.
func (m *machine) setRetention(t *rapid.T) {
	name := m.tenant(t)
	m.expire()
	var rules policy.Rules
	for _, r := range []policy.Rule{
		{Scope: policy.ScopeTenant}, {Scope: policy.ScopeInstrument, Match: "i"},
		{Scope: policy.ScopeChannel, Match: "a"}, {Scope: policy.ScopeChannel, Match: "b"},
	} {
		text := rapid.SampledFrom([]string{"", "", "", "forever", "18d", "19d", "470h", "20d", "1mo", "1y"}).Draw(t, "keep of "+string(r.Scope)+r.Match)
		if text == "" {
			continue
		}
		keep, err := policy.ParseKeep(text)
		m.must(err)
		r.Keep[model.StepRaw] = &keep
		rules = append(rules, r)
	}
	m.must(m.db.SetRetention(context.Background(), name, rules))
	m.tenants[name].rules = rules
}

// expire takes from the naive tenants what has expired by now. What is gone
// stays gone whatever the rules say later.
func (m *machine) expire() {
	for _, n := range m.tenants {
		for channel, rows := range n.rows {
			if keep := n.keep(channel); keep != nil {
				n.floors[channel] = max(n.floors[channel], keep.Floor(m.now.Load()))
			}
			for at := range rows {
				if at < n.floors[channel] {
					delete(rows, at)
				}
			}
		}
	}
}

// keep is how long a channel's rows are kept: by the nearest rule.
func (n *naiveTenant) keep(channel string) (keep *policy.Keep) {
	for _, r := range n.rules { // the farthest first
		if r.Scope != policy.ScopeChannel || r.Match == channel {
			keep = r.Keep[model.StepRaw]
		}
	}
	return keep
}

func (m *machine) setQuota(t *rapid.T) {
	name := m.tenant(t)
	m.tenants[name].quota = rapid.IntRange(0, 4).Draw(t, "channels")
	m.must(m.db.SetQuota(name, policy.Quota{Channels: m.tenants[name].quota}))
}

// moveClock lets time pass.
func (m *machine) moveClock(t *rapid.T) {
	m.now.Add(rapid.SampledFrom([]int64{1, 60e9, 5 * 3600e9, model.Day, 40 * model.Day}).Draw(t, "passes"))
}

// doWhatIsDue does in the foreground what is done in the background.
func (m *machine) doWhatIsDue(*rapid.T) {
	ctx := context.Background()
	m.must(m.db.keepTime(ctx))
	for _, t := range m.db.allTenants(func(*tenant) bool { return true }) {
		m.must(m.db.flushTenant(ctx, t))
		m.db.compactor.touch(t)
	}
	m.db.compactDue(ctx, nil)
	if faults, _ := m.db.Faults(); len(faults) > 0 {
		m.t.Fatalf("faults: %v", faults)
	}
}

// snapshot goes on with a copy.
func (m *machine) snapshot(*rapid.T) {
	m.seed++
	dir := fmt.Sprint("copy", m.seed)
	copied, err := m.db.Snapshot(context.Background(), dir)
	m.must(err)
	if copied.Files == 0 {
		m.t.Fatalf("copied %+v", copied)
	}
	m.release()
	m.must(m.db.Close())
	m.must(m.fs.RemoveAll(m.options.Dir))
	m.options.Dir = dir
	m.open()
}

// exchange takes a selection to another database.
func (m *machine) exchange(t *rapid.T) {
	ctx := context.Background()
	name, chosen, ids := m.some(t)
	span := someSpan(t)
	m.expire()
	n, wanted := m.tenants[name], int64(0)
	for _, c := range chosen {
		times, _ := n.sortedRows(c, span)
		wanted += int64(len(times))
	}
	selection, err := m.db.Select(ctx, name, ids, span)
	m.must(err)
	defer selection.Close()
	all, err := m.db.Channels(ctx, name, nil)
	m.must(err)
	channels := make([]model.Channel, len(ids))
	for i, id := range ids {
		channels[i] = all[slices.IndexFunc(all, func(c model.Channel) bool { return c.ID == id })]
	}
	var file bytes.Buffer
	rows, err := selection.WriteHOK(ctx, &file, channels, func(int64) {})
	if wanted == 0 && errors.Is(err, ErrEmpty) {
		return
	}
	m.must(err)
	if rows != wanted {
		m.t.Fatalf("exported %d rows, want %d", rows, wanted)
	}
	h, err := OpenHOK("export", bytes.NewReader(file.Bytes()), int64(file.Len()))
	m.must(err)
	defer h.Close()
	other, err := Open(Options{FS: vfs.NewMem(), Dir: "other", Clock: func() time.Time { return time.Unix(0, m.now.Load()) }, Manual: true})
	m.must(err)
	defer other.Close()
	m.must(other.CreateTenant(ctx, "guest"))
	accepted, refused, err := other.ImportHOK(ctx, "guest", h, func(int64) {})
	m.must(err)
	if accepted != wanted || refused != 0 {
		m.t.Fatalf("imported %d rows and refused %d, want %d", accepted, refused, wanted)
	}
	imported, err := other.Channels(ctx, "guest", nil)
	m.must(err)
	for _, c := range imported {
		times, values := n.sortedRows(c.Labels.Channel(), span)
		s, err := other.Select(ctx, "guest", []model.ChannelID{c.ID}, model.AllTime())
		m.must(err)
		m.sameRows("imported "+c.Labels.Channel(), s.Cursor(0), times, values)
		s.Close()
	}
}
