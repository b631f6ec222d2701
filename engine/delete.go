package engine

import (
	"context"
	"errors"

	"github.com/hokan-db/hokan/engine/model"
)

// ErrTooManyDeletions refuses a deletion as there are too many whose rows are
// still to be removed from blocks. Compaction makes room.
var ErrTooManyDeletions = errors.New("too many deletions wait for compaction")

// DeleteRows removes the rows of some channels (nil: of every one) in span that
// were written before. When it returns, that is durable and no query gives them
// any more; their space is freed by compaction. Rows that are written later
// stay. It takes as long for a year as for a row, and returns the offset of
// the entry that says so.
func (db *DB) DeleteRows(ctx context.Context, name model.Tenant, ids []model.ChannelID, span model.Span) (uint64, error) {
	return 0, ErrInvalid
}

// DeleteChannels removes channels with all their rows, labels, properties and
// alarms. A channel that is made later with the same labels is another one.
func (db *DB) DeleteChannels(ctx context.Context, name model.Tenant, ids []model.ChannelID) error {
	return ErrInvalid
}

// TenantDeletion is what there is to say of a tenant that was deleted.
type TenantDeletion struct {
	Tenant   model.Tenant
	Offset   uint64 // of the entry that deleted it
	Time     int64  // of that entry, ns since the epoch
	Bytes    uint64 // that its blocks and files took on the disk
	Channels uint64
}

// DeleteTenant removes a tenant and everything of it: rows, channels, alarms
// and their events, blocks and files.
func (db *DB) DeleteTenant(ctx context.Context, name model.Tenant) (TenantDeletion, error) {
	return TenantDeletion{}, ErrInvalid
}
