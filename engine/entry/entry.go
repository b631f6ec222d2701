// Package entry defines the kinds of log entry and their bytes.
//
// Hokan is a fold over a log: whatever changes the state that apply reads is
// one of these. Encoding and decoding are exact inverses, so that applying an
// entry that was read back gives what applying the written one gave.
package entry

import (
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/engine/receipt"
)

// Kind tells what an entry says.
type Kind uint8

// The kinds of entry. Numbers are part of the log format and never reused.
const (
	KindRows         Kind = 1 // rows, and definitions of channels not applied yet
	KindDefine       Kind = 2 // channel definitions and properties alone
	KindCreateTenant Kind = 3
	KindPutAlarm     Kind = 4 // create an alarm, or a new version of one
	KindSwitchAlarm  Kind = 5 // enable or disable an alarm
	KindDeleteAlarm  Kind = 6
	KindDeleteRows   Kind = 7
	// KindDeleteChannels removes channels with all their rows.
	KindDeleteChannels Kind = 8
	KindDeleteTenant   Kind = 9
	KindSetRetention   Kind = 10
	// Kind 11 is reserved for ticks of the clock.

	// KindPutReceipt notes what was answered to a request that may come again.
	KindPutReceipt Kind = 12
	// KindAttach is rows as a block: much of a few channels, such as bulk history.
	KindAttach Kind = 13
)

// MaxBytes bounds an encoded entry.
const MaxBytes = 1 << 20

// Entry is one record of the log.
type Entry struct {
	Offset    uint64          // position in the log, from 1; 0 until appended
	Partition model.Partition // the tenant's
	Time      int64           // the owner's clock when it was appended, ns since the epoch
	Tenant    model.Tenant
	Body      Body

	arena *arena // what Decode reuses; nil in entries that nobody decoded into
}

// Body is what an entry of one kind says: *Rows, *Define, *CreateTenant,
// *PutAlarm, *SwitchAlarm, *DeleteAlarm, *DeleteRows, *DeleteChannels,
// *DeleteTenant, *SetRetention, *PutReceipt or *Attach.
type Body interface{ Kind() Kind }

// Rows are columns of samples, and the definitions of those channels that were
// not applied when the entry was made. A definition that is applied already
// changes nothing.
type Rows struct {
	Definitions []model.Definition
	Columns     []Column
}

// Column is rows of one channel, in the order in which they were written.
// Columns of one entry that share a clock share one Times slice.
type Column struct {
	Channel model.ChannelID
	Times   []int64
	Values  []float64
}

// Define says that channels exist, or what their properties are from a time on.
type Define struct{ Definitions []model.Definition }

// CreateTenant says that a tenant exists. Repeats change nothing.
type CreateTenant struct{}

// PutAlarm creates an alarm (ID 0: its ID is then the entry's offset) or
// replaces the definition of an existing one, whose version grows by one. The
// alarm starts clean: it knows no row yet.
type PutAlarm struct {
	ID        uint64
	Name      string
	Match     string // the selector that chose the channel, kept as it was given
	Channel   model.ChannelID
	Operator  uint8 // an alarm.Operator
	Threshold float64
	Low, High float64
	Enabled   bool
}

// SwitchAlarm enables or disables an alarm. Disabling freezes its state;
// enabling starts clean.
type SwitchAlarm struct {
	ID      uint64
	Enabled bool
}

// DeleteAlarm removes an alarm. Its events stay.
type DeleteAlarm struct{ ID uint64 }

// DeleteRows removes the rows of a span that earlier entries wrote.
type DeleteRows struct {
	Span     model.Span        // not empty
	Channels []model.ChannelID // ascending, at least one; nil: every channel
}

// DeleteChannels removes channels: their rows, their labels and properties, and
// the alarms on them. Their IDs are never given again.
type DeleteChannels struct {
	Channels []model.ChannelID // ascending, at least one
}

// DeleteTenant removes a tenant and everything of it. What it says of the tenant
// is for the record of the deletion; nothing else depends on it.
type DeleteTenant struct {
	Bytes    uint64 // that its blocks and files took
	Channels uint64 // that it had
}

// SetRetention puts rules in place of all that there were.
type SetRetention struct{ Rules policy.Rules }

// PutReceipt notes that a request was done and what was answered. Its time is the
// entry's.
type PutReceipt struct {
	ID          receipt.ID
	Fingerprint receipt.Fingerprint
	Status      uint16 // of HTTP; 0: the answer was too large to be kept
	Header      string // with Answer at most policy.AnswerKept bytes
	Answer      []byte
}

// Attach says what Rows says, of rows that are encoded as blocks have them: package
// block tells every byte. Its rows ascend, of each channel strictly.
type Attach struct {
	Definitions []model.Definition
	Newest      []NewestRow // of each channel of the block, ascending, at least one
	Block       []byte      // not empty; whose notes are empty
}

// NewestRow is the newest row that a block has of a channel.
type NewestRow struct {
	Channel model.ChannelID
	model.Sample
}

// Kind implements Body.
func (*Rows) Kind() Kind { return KindRows }

// Kind implements Body.
func (*Define) Kind() Kind { return KindDefine }

// Kind implements Body.
func (*CreateTenant) Kind() Kind { return KindCreateTenant }

// Kind implements Body.
func (*PutAlarm) Kind() Kind { return KindPutAlarm }

// Kind implements Body.
func (*SwitchAlarm) Kind() Kind { return KindSwitchAlarm }

// Kind implements Body.
func (*DeleteAlarm) Kind() Kind { return KindDeleteAlarm }

// Kind implements Body.
func (*DeleteRows) Kind() Kind { return KindDeleteRows }

// Kind implements Body.
func (*DeleteChannels) Kind() Kind { return KindDeleteChannels }

// Kind implements Body.
func (*DeleteTenant) Kind() Kind { return KindDeleteTenant }

// Kind implements Body.
func (*SetRetention) Kind() Kind { return KindSetRetention }

// Kind implements Body.
func (*PutReceipt) Kind() Kind { return KindPutReceipt }

// Kind implements Body.
func (*Attach) Kind() Kind { return KindAttach }

// Rows returns the number of samples in the columns.
func (r *Rows) Rows() int {
	n := 0
	for i := range r.Columns {
		n += len(r.Columns[i].Times)
	}
	return n
}
