package engine

import (
	"context"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// SetRetention puts rules in place of all that a tenant had: how long its
// channels keep their rows. It holds at once. What had expired before stays so,
// whatever the new rules say. Rules that are not good are refused with an error
// that wraps ErrInvalid and policy.ErrRetention.
func (db *DB) SetRetention(ctx context.Context, name model.Tenant, rules policy.Rules) error {
	return ErrInvalid
}

// Retention returns a tenant's rules.
func (db *DB) Retention(name model.Tenant) (policy.Rules, error) { return nil, ErrInvalid }

// EffectiveRetention returns how long each of some channels keeps its rows, and
// which scope says so.
func (db *DB) EffectiveRetention(name model.Tenant, ids []model.ChannelID) ([]policy.Effective, error) {
	return nil, ErrInvalid
}

// RetentionFloors returns the time before which the rows of each of some
// channels are gone now: by the rules in force, and by those that were.
func (db *DB) RetentionFloors(name model.Tenant, ids []model.ChannelID) ([]policy.Floors, error) {
	return nil, ErrInvalid
}

// floors returns the times before which a channel's rows are gone, by
// model.Step. The caller does not hold t.mu.
func (db *DB) floors(t *tenant, id model.ChannelID) policy.Floors { return policy.NoFloors }
