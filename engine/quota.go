package engine

import (
	"errors"
	"fmt"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// ErrOverQuota refuses what would take a tenant beyond the bytes it may use.
var ErrOverQuota = errors.New("over quota")

// RefusedColumn is a column of a batch that was left out, because its channel
// would be a new one and there may be no more. The other columns are written.
type RefusedColumn struct {
	Column int    // index in the batch
	Code   string // policy.CodeChannelLimit or policy.CodeInstrumentLimit
}

// SetQuota says what a tenant may use, from now on. It is kept in memory
// alone: the service that knows about plans sets it again after opening.
func (db *DB) SetQuota(name model.Tenant, q policy.Quota) error {
	t, err := db.enterTenant(name)
	if err != nil {
		return err
	}
	defer db.gate.leave()
	t.quota.Store(&q)
	return nil
}

// Quota returns what SetQuota said last; nothing said is no limit.
func (db *DB) Quota(name model.Tenant) (policy.Quota, error) {
	t, err := db.enterTenant(name)
	if err != nil {
		return policy.Quota{}, err
	}
	defer db.gate.leave()
	return t.limits(), nil
}

func (t *tenant) limits() policy.Quota {
	if q := t.quota.Load(); q != nil {
		return *q
	}
	return policy.Quota{}
}

// SetWriteBlock refuses a tenant's rows, definitions and files with reason
// until it is nil again; a reason that wraps ErrOverQuota is what a tenant
// beyond its ceiling gets. Reads and deletes go on. It is kept in memory
// alone, as quotas are.
func (db *DB) SetWriteBlock(name model.Tenant, reason error) error {
	t, err := db.enterTenant(name)
	if err != nil {
		return err
	}
	defer db.gate.leave()
	if reason == nil {
		t.blocked.Store(nil)
	} else {
		t.blocked.Store(&reason)
	}
	return nil
}

// writeBlock returns why t takes no rows, nil if it does.
func (t *tenant) writeBlock() error {
	if reason := t.blocked.Load(); reason != nil {
		return fmt.Errorf("tenant %s: %w", t.name, *reason)
	}
	return nil
}

// channelRoom counts the channels that an append may still make. It is made
// when the first new one is met. The caller holds t.mu.
type channelRoom struct {
	t           *tenant
	limits      policy.Quota
	channels    int
	instruments map[string]int // channels by instrument, counted when asked for
}

// newChannelRoom counts from now on: the caller keeps mu.
func (t *tenant) newChannelRoom() *channelRoom {
	r := &channelRoom{t: t, limits: t.limits(), channels: t.index.Len() + len(t.pending)}
	if r.limits.Channels == 0 || int64(r.limits.Channels) > policy.TenantChannels.Default {
		r.limits.Channels = int(policy.TenantChannels.Default)
	}
	if r.limits.ChannelsPerInstrument > 0 {
		r.instruments = map[string]int{}
		for l := range t.pending {
			r.instruments[l.Instrument()]++
		}
		for name := range r.instruments {
			r.instruments[name] += t.index.Count(model.InstrumentLabel, name)
		}
	}
	return r
}

// take takes the room for a channel that has no ID yet, or returns the code of
// the limit that it would exceed.
func (r *channelRoom) take(l model.Labels) (code string) {
	if r.channels >= r.limits.Channels {
		return policy.CodeChannelLimit
	}
	if r.instruments != nil {
		name := l.Instrument()
		have, counted := r.instruments[name]
		if !counted {
			have = r.t.index.Count(model.InstrumentLabel, name)
		}
		r.instruments[name] = have
		if have >= r.limits.ChannelsPerInstrument {
			return policy.CodeInstrumentLimit
		}
		r.instruments[name]++
	}
	r.channels++
	return ""
}
