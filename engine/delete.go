package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// ErrTooManyDeletions refuses a deletion as there are too many whose rows are
// still to be removed from blocks. Compaction makes room.
var ErrTooManyDeletions = errors.New("too many deletions wait for compaction")

// DeleteRows removes the rows of some channels (nil: of every one) in span that
// were written before. When it returns, that is durable and no query gives them
// any more; their space is freed by compaction. Rows that are written later
// stay. It takes as long for a year as for a row, and returns the offset of
// the entry that says so. A deletion of more than policy.DeletionChannels
// channels is written as several entries, and if one fails, those before it
// stay.
func (db *DB) DeleteRows(ctx context.Context, name model.Tenant, ids []model.ChannelID, span model.Span) (uint64, error) {
	t, err := db.enterTenant(name)
	if err != nil {
		return 0, err
	}
	defer db.gate.leave()
	if span = span.Intersect(model.AllTime()); span.Empty() {
		return 0, fmt.Errorf("%w: it ends before it starts", model.ErrBadSpan)
	}
	if err := t.beginNaming(); err != nil {
		return 0, err
	}
	defer t.naming.RUnlock()
	ascending, err := t.deletable(ids)
	if err != nil {
		return 0, err
	}
	if ids == nil {
		return db.write(t.partition, name, &entry.Entry{Body: &entry.DeleteRows{Span: span}})
	}
	var offset uint64
	for part := range slices.Chunk(ascending, int(policy.DeletionChannels.Default)) {
		if err := ctx.Err(); err != nil {
			return offset, err
		}
		e := &entry.Entry{Body: &entry.DeleteRows{Span: span, Channels: part}}
		if offset, err = db.write(t.partition, name, e); err != nil {
			return offset, err
		}
	}
	return offset, nil
}

// DeleteChannels removes channels with all their rows, labels, properties and
// alarms. A channel that is made later with the same labels is another one.
func (db *DB) DeleteChannels(ctx context.Context, name model.Tenant, ids []model.ChannelID) error {
	t, err := db.enterTenant(name)
	if err != nil {
		return err
	}
	defer db.gate.leave()
	t.naming.Lock()
	defer t.naming.Unlock()
	ascending, err := t.deletable(ids)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(ascending, int(policy.DeletionChannels.Default)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := db.write(t.partition, name, &entry.Entry{Body: &entry.DeleteChannels{Channels: part}}); err != nil {
			return err
		}
	}
	return nil
}

// deletable returns the channels of a deletion, ascending and each once, unless
// one does not exist or there is no room for the tombstones. The caller holds
// naming.
func (t *tenant) deletable(ids []model.ChannelID) ([]model.ChannelID, error) {
	ascending := slices.Clone(ids) // the log's for ever
	if !slices.IsSorted(ascending) {
		slices.Sort(ascending)
	}
	ascending = slices.Compact(ascending)
	if err := t.checkChannels(ascending); err != nil {
		return nil, err
	}
	entries := 1 + len(ascending)/int(policy.DeletionChannels.Default)
	if t.tombstoneRoom(entries, len(ascending)) {
		return ascending, nil
	}
	t.mu.Lock() // those of which nothing is left are not forgotten before blocks change
	t.forgetTombstones()
	t.mu.Unlock()
	if t.tombstoneRoom(entries, len(ascending)) {
		return ascending, nil
	}
	return nil, fmt.Errorf("%w: at most %d that name %d channels may", ErrTooManyDeletions,
		policy.Tombstones.Default, policy.TombstoneChannels.Default)
}

// beginNaming takes naming shared, to be given back, unless t is gone.
func (t *tenant) beginNaming() error {
	t.naming.RLock()
	if err := t.checkChannels(nil); err != nil {
		t.naming.RUnlock()
		return err
	}
	return nil
}

// checkChannels refuses channels that do not exist, and a tenant that is gone.
func (t *tenant) checkChannels(ids []model.ChannelID) error {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.gone {
		return fmt.Errorf("%w %q", ErrUnknownTenant, string(t.name))
	}
	for _, id := range ids {
		if t.index.Get(id) == nil {
			return fmt.Errorf("%w %d", ErrUnknownChannel, id)
		}
	}
	return nil
}

func (t *tenant) tombstoneRoom(entries, channels int) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return int64(len(t.tombstones)+entries) <= policy.Tombstones.Default &&
		int64(t.tombstoneChannels+channels) <= policy.TombstoneChannels.Default
}

// deletionCheckpoint is how long after a deletion, in nanoseconds, its
// partition writes a checkpoint at the latest, so that the log can let go of
// what was deleted.
const deletionCheckpoint = 60e9

// deleteRows applies a deletion of rows. The caller holds t.mu, and has frozen
// the head.
func (a *applier) deleteRows(p *partition, t *tenant, e *entry.Entry, body *entry.DeleteRows) {
	s := model.Tombstone{Offset: e.Offset, Span: body.Span, Channels: body.Channels}
	t.bury(s)
	t.withdraw(&s)
	if s.Channels == nil {
		for i := range t.latest {
			t.latest[i].lose(s.Span)
		}
	}
	for _, id := range s.Channels {
		if int(id) < len(t.latest) {
			t.latest[id].lose(s.Span)
		}
	}
	a.removeSoon(p, t, e)
}

// lose forgets the newest row where it lies in a span that was deleted.
func (l *latestSample) lose(span model.Span) {
	if l.state == latestKnown && span.Contains(l.time) {
		*l = latestSample{time: l.time, state: latestLost}
	}
}

// deleteChannels applies a deletion of channels. The caller holds t.mu, and has
// frozen the head.
func (a *applier) deleteChannels(p *partition, t *tenant, e *entry.Entry, body *entry.DeleteChannels) {
	t.index.Remove(body.Channels)
	t.alarms.DeleteOf(body.Channels)
	for _, id := range body.Channels {
		if int(id) < len(t.latest) {
			t.latest[id] = latestSample{}
		}
		delete(t.pinned, id)
	}
	s := model.Tombstone{Offset: e.Offset, Span: model.AllTime(), Channels: body.Channels}
	t.bury(s)
	t.withdraw(&s)
	a.removeSoon(p, t, e)
}

// bury adds a tombstone, unless nothing is there that it may hide. Older ones
// that hide no more than it does are forgotten. The caller holds mu.
func (t *tenant) bury(s model.Tombstone) {
	if !t.hides(&s) {
		return
	}
	covered := func(o model.Tombstone) bool {
		return s.Span.From <= o.Span.From && o.Span.To <= s.Span.To &&
			(s.Channels == nil && !removesChannels(&o) || slices.Equal(s.Channels, o.Channels))
	}
	if slices.ContainsFunc(t.tombstones, covered) {
		t.setTombstones(slices.DeleteFunc(slices.Clone(t.tombstones), covered))
	}
	// What readers hold of the list ends before the new element.
	t.tombstones = append(t.tombstones, s)
	t.tombstoneChannels += len(s.Channels)
}

// removesChannels reports whether a tombstone may be that of a deletion of
// channels, which also says that blocks must not bring back their labels.
func removesChannels(s *model.Tombstone) bool {
	return s.Channels != nil && s.Span == model.AllTime()
}

// removeSoon has what was deleted leave the heads and the log without waiting
// for their ages. The caller holds t.mu.
func (a *applier) removeSoon(p *partition, t *tenant, e *entry.Entry) {
	p.schedule.hasten(e.Time + deletionCheckpoint)
	if len(t.frozen) > 0 && !a.db.options.Manual {
		a.db.flusher.wake(t)
	}
}
