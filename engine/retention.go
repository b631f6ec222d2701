package engine

import (
	"context"
	"fmt"

	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// SetRetention puts rules in place of all that a tenant had: how long its
// channels keep their rows. It holds at once. What had expired before stays so,
// whatever the new rules say. Rules that are not good are refused with an error
// that wraps ErrInvalid and policy.ErrRetention.
func (db *DB) SetRetention(ctx context.Context, name model.Tenant, rules policy.Rules) error {
	t, err := db.enterTenant(name)
	if err != nil {
		return err
	}
	defer db.gate.leave()
	if err := ctx.Err(); err != nil {
		return err
	}
	copied, err := policy.DecodeRules(rules.AppendTo(nil)) // the log's for ever
	if _, compileErr := rules.Compile(); compileErr != nil {
		err = compileErr
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := t.beginNaming(); err != nil {
		return err
	}
	defer t.naming.RUnlock()
	_, err = db.write(t.partition, name, &entry.Entry{Body: &entry.SetRetention{Rules: copied}})
	return err
}

// Retention returns a tenant's rules, which must not be changed.
func (db *DB) Retention(name model.Tenant) (policy.Rules, error) {
	t, err := db.enterTenant(name)
	if err != nil {
		return nil, err
	}
	defer db.gate.leave()
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.rules(), nil
}

// rules returns t's rules. The caller holds mu, shared or not.
func (t *tenant) rules() policy.Rules {
	if t.policy == nil {
		return nil
	}
	return t.policy.Rules()
}

// EffectiveRetention returns how long each of some channels keeps its rows, and
// which scope says so.
func (db *DB) EffectiveRetention(name model.Tenant, ids []model.ChannelID) ([]policy.Effective, error) {
	t, err := db.enterTenant(name)
	if err != nil {
		return nil, err
	}
	defer db.gate.leave()
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := make([]policy.Effective, len(ids))
	for i, id := range ids {
		c := t.index.Get(id)
		if c == nil {
			return nil, fmt.Errorf("%w %d", ErrUnknownChannel, id)
		}
		list[i] = t.policy.Effective(c)
	}
	return list, nil
}

// keepsAll reports whether no row of t expires. The caller holds mu, shared or
// not.
func (t *tenant) keepsAll() bool { return t.policy.Always() && len(t.pinned) == 0 }

// floors returns the times before which a channel's rows are gone at now, by
// model.Step. The caller holds mu, shared or not.
func (t *tenant) floors(id model.ChannelID, now int64) policy.Floors {
	if t.keepsAll() {
		return policy.NoFloors
	}
	f := policy.NoFloors
	if c := t.index.Get(id); c != nil {
		effective := t.policy.Effective(c)
		f = effective.Floors(now)
	}
	if pinned, ok := t.pinned[id]; ok && !aheadOf(pinned, now) {
		f = f.Max(pinned)
	}
	return f
}

// setRetention applies rules. What has expired by the rules before, by the time
// of the entries, stays expired. The caller holds mu.
func (t *tenant) setRetention(rules policy.Rules) error {
	next, err := rules.Compile()
	if err != nil {
		return err
	}
	if t.keepsAll() {
		t.policy = next
		return nil
	}
	for id := model.ChannelID(1); id <= t.index.MaxID(); id++ {
		c := t.index.Get(id)
		if c == nil {
			continue
		}
		effective := next.Effective(c)
		t.pin(id, t.floors(id, t.clock), effective.Floors(t.clock))
	}
	t.policy = next
	return nil
}

// pin keeps a channel's floors from going back from what they were. What the
// rules now say goes on only upwards, so that floors which they have reached
// need not be kept. The caller holds mu.
func (t *tenant) pin(id model.ChannelID, before, now policy.Floors) {
	if before.Max(now) == now {
		delete(t.pinned, id)
		return
	}
	if t.pinned == nil {
		t.pinned = map[model.ChannelID]policy.Floors{}
	}
	t.pinned[id] = before
}

// defineOne defines a channel, or says what its properties are. Where other rules
// hold for it then, what had expired stays so. The caller holds mu.
func (t *tenant) defineOne(d model.Definition) (changed bool, err error) {
	known := d.Properties != nil && !t.keepsAll() && t.index.Get(d.ID) != nil
	var before policy.Floors
	if known {
		before = t.floors(d.ID, t.clock)
	}
	if changed, err = t.index.Define(d); err != nil || !changed || !known {
		return changed, err
	}
	effective := t.policy.Effective(t.index.Get(d.ID))
	t.pin(d.ID, before, effective.Floors(t.clock))
	return true, nil
}
