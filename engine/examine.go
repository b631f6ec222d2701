package engine

import (
	"cmp"
	"slices"

	"github.com/hokan-db/hokan/engine/block"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// staleAfter is how many nanoseconds a block keeps a few rows that a deletion
// hides, before it is written again for their sake.
const staleAfter = 7 * model.Day

// blockFacts is what of a block nobody can read, as of a day. It is an estimate
// by the days that its channels are charged for.
type blockFacts struct {
	day       int64
	deletions uint64 // offset of the newest tombstone then
	policy    *policy.Policy

	expired, hidden uint64 // bytes
	dead, clean     bool   // nothing, or no hidden row, is in it
	folds           bool   // some of what has expired becomes rollups
	hiddenSince     int64  // clock time; 0: nothing is hidden
}

// factsOf returns what of one of t's blocks nobody can read. What it finds is
// remembered for a day, or until there are other rules or deletions.
func (db *DB) factsOf(t *tenant, m *block.Meta, now int64) (blockFacts, error) {
	t.mu.RLock()
	tombstones := those(t.tombstones, func(s *model.Tombstone) bool {
		return s.Offset > cleanTo(m) && s.Span.Overlaps(m.First, m.Last)
	})
	facts := blockFacts{day: dayOf(now), policy: t.policy}
	if n := len(tombstones); n > 0 {
		facts.deletions = tombstones[n-1].Offset
	}
	keepsAll, blocks := t.keepsAll(), t.blocks
	t.mu.RUnlock()
	if len(tombstones) == 0 && (keepsAll || m.First >= db.highestFloor(t, now, m.RollupsAlone == m.Channels)) {
		return facts, nil
	}
	db.compactor.mu.Lock()
	known, ok := db.compactor.facts[m.Name]
	db.compactor.mu.Unlock()
	if ok && known.day == facts.day && known.deletions == facts.deletions && known.policy == facts.policy {
		return known, nil
	}
	e := examiner{db: db, t: t, meta: m, now: now, tombstones: tombstones, blocks: blocks, facts: &facts}
	if err := e.examine(); err != nil {
		return facts, err
	}
	if facts.hidden > 0 {
		since := now
		if tombstones[0].Offset <= db.replayedTo {
			since = max(m.Written, 1) // since when is forgotten: it is not put off by every start
		}
		facts.hiddenSince = cmp.Or(known.hiddenSince, since)
	}
	db.compactor.mu.Lock()
	db.compactor.facts[m.Name] = facts
	db.compactor.mu.Unlock()
	return facts, nil
}

// tenantFloors are the latest floors of a tenant's channels, as of a day.
type tenantFloors struct {
	day          int64
	policy       *policy.Policy
	raw, rollups int64
}

// highestFloor returns the time from which on nothing of t has expired: raw
// rows and rollups, or rollups alone.
func (db *DB) highestFloor(t *tenant, now int64, rollups bool) int64 {
	c := &db.compactor
	c.mu.Lock()
	known, ok := c.floors[t]
	c.mu.Unlock()
	t.mu.RLock()
	if !ok || known.day != dayOf(now) || known.policy != t.policy {
		known = tenantFloors{dayOf(now), t.policy, policy.NoFloor, policy.NoFloor}
		for id := model.ChannelID(1); id <= t.index.MaxID(); id++ {
			f := t.floors(id, now)
			known.raw = max(known.raw, f[model.StepRaw])
			for _, step := range outliving(f) {
				known.rollups = max(known.rollups, f[step])
			}
			if len(outliving(f)) == 0 {
				known.rollups = known.raw
			}
		}
		c.mu.Lock()
		c.floors[t] = known
		c.mu.Unlock()
	}
	t.mu.RUnlock()
	if rollups {
		return known.rollups
	}
	return known.raw
}

// examiner reads what a block is charged for.
type examiner struct {
	db         *DB
	t          *tenant
	meta       *block.Meta
	now        int64
	tombstones []model.Tombstone
	blocks     []block.Meta // of t
	facts      *blockFacts
	channels   []examined
}

// examined is a channel of a block.
type examined struct {
	id         model.ChannelID
	floors     policy.Floors
	tombstones []model.Tombstone
	charged    bool
	expired    uint64 // bytes of days that have expired
	bytes      uint64 // of all days
	last       int64  // end of the last day
}

func (e *examiner) examine() error {
	reader, err := e.db.readers.acquire(e.meta.Name)
	if err != nil {
		return err
	}
	defer e.db.readers.release(reader)
	if err := reader.Channels(func(c model.Channel) error {
		e.channels = append(e.channels, examined{id: c.ID, tombstones: tombstonesOf(e.tombstones, c.ID)})
		return nil
	}); err != nil {
		return err
	}
	e.t.mu.RLock()
	for i := range e.channels {
		e.channels[i].floors = e.t.floors(e.channels[i].id, e.now)
	}
	e.t.mu.RUnlock()
	at := 0
	if err := reader.Charges(func(id model.ChannelID, day int64, _, bytes uint64) error {
		for at < len(e.channels) && e.channels[at].id < id {
			at++
		}
		if at < len(e.channels) && e.channels[at].id == id {
			e.charge(&e.channels[at], day*model.Day, bytes)
		}
		return nil
	}); err != nil {
		return err
	}
	e.facts.dead = true
	for i := range e.channels {
		if err := e.sum(&e.channels[i]); err != nil {
			return err
		}
	}
	e.facts.clean = len(e.tombstones) > 0 && e.facts.hidden == 0 && e.meta.Uncharged == 0
	return nil
}

// charge counts a day of a channel.
func (e *examiner) charge(c *examined, day int64, bytes uint64) {
	c.charged = true
	c.bytes += bytes
	c.last = day + model.Day
	hidden := int64(0)
	for i := range c.tombstones {
		s := c.tombstones[i].Span.Intersect(model.Span{From: day, To: day + model.Day})
		hidden = max(hidden, s.To-s.From)
	}
	if hidden > 0 {
		e.facts.hidden += max(uint64(float64(bytes)*float64(hidden)/float64(model.Day)), 1)
	}
	if c.last <= c.floors[model.StepRaw] {
		c.expired += bytes
	}
}

// sum adds a channel, of which every day is counted.
func (e *examiner) sum(c *examined) error {
	m := e.meta
	share := max(m.Bytes/max(m.Channels, 1), 1)
	rest := model.Span{From: m.First, To: m.Last + 1} // what no tombstone hides
	for i := range c.tombstones {
		if s := c.tombstones[i].Span; s.From <= rest.From && s.To > rest.From {
			rest.From = min(s.To, rest.To)
		}
	}
	least := c.floors.Least()
	e.facts.dead = e.facts.dead && (rest.Empty() || m.Last < least)
	switch {
	case m.Last < dayFloor(least): // of the floor's day a rewrite keeps all
		e.facts.expired += max(share, c.bytes)
	case !c.charged: // flushed, or rollups alone
		if len(c.tombstones) > 0 && m.Uncharged == 0 {
			e.facts.hidden++
		}
	case len(outliving(c.floors)) == 0:
		e.facts.expired += c.expired
	case c.last <= c.floors[model.StepRaw]:
		if waits, err := e.waits(c); waits || err != nil {
			return err
		}
		e.facts.expired += max(share, c.bytes)
		e.facts.folds = true
	}
	return nil
}

// waits reports whether a channel's rows, which have expired, wait for others
// before they become rollups: for those of a head, and for those of a channel
// that is split into several blocks.
func (e *examiner) waits(c *examined) (bool, error) {
	floor := c.floors[model.StepRaw]
	if e.t.inHeads(c.id, model.Span{From: model.MinTime, To: floor}) {
		return true, nil
	}
	name, _ := disk.ParseBlockName(e.meta.Name)
	for i := range e.blocks {
		other, _ := disk.ParseBlockName(e.blocks[i].Name)
		if other.Part, other.Epoch = name.Part, name.Epoch; other != name {
			continue
		}
		later := noRows
		if err := e.db.reach(&later, &e.blocks[i], c.id, model.Span{From: floor, To: model.MaxTime}); err != nil || !later.Empty() {
			return true, err
		}
	}
	return false, nil
}

// forgetFacts lets go of what is known of blocks.
func (c *compactor) forgetFacts(blocks []block.Meta) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range blocks {
		delete(c.facts, blocks[i].Name)
		delete(c.failed, blocks[i].Name)
	}
}

// markClean notes of blocks that deletions hide nothing of them, so that these
// are not kept for their sake. Offsets are those of the newest deletion heeded.
func (db *DB) markClean(t *tenant, offsets map[string]uint64) error {
	db.flusher.flushing.Lock() // nobody else changes the manifest
	defer db.flusher.flushing.Unlock()
	manifest := t.nextManifest(db.epoch)
	blocks := slices.Clone(manifest.Blocks)
	var changed []string
	for i := range blocks {
		if offset := offsets[blocks[i].Name]; offset > cleanTo(&blocks[i]) {
			blocks[i].CleanTo = offset
			changed = append(changed, blocks[i].Name)
		}
	}
	if changed == nil {
		return nil
	}
	manifest.Blocks, manifest.Changed = blocks, changed
	if err := db.commitManifest(t, manifest); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.gone {
		t.revision, t.blocks = manifest.Revision, manifest.Blocks
		t.forgetTombstones()
	}
	return nil
}
