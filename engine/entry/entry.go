// Package entry defines the kinds of log entry and their bytes.
//
// Hokan is a fold over a log: whatever changes the state that apply reads is
// one of these. Encoding and decoding are exact inverses, so that applying an
// entry that was read back gives what applying the written one gave.
package entry

import (
	"github.com/hokan-db/hokan/engine/model"
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
// *PutAlarm, *SwitchAlarm or *DeleteAlarm.
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

// Rows returns the number of samples in the columns.
func (r *Rows) Rows() int {
	n := 0
	for i := range r.Columns {
		n += len(r.Columns[i].Times)
	}
	return n
}
