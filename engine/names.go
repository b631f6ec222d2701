package engine

import (
	"github.com/hokan-db/hokan/engine/alarm"
	"github.com/hokan-db/hokan/engine/catalog"
	"github.com/hokan-db/hokan/engine/disk"
	"github.com/hokan-db/hokan/engine/entry"
)

// What callers need of the packages below. They import engine alone, with
// model and policy.
type (
	// FS is the file system that a database lives on.
	FS = disk.FS
	// Alarm is an alarm's definition and state.
	Alarm = alarm.Alarm
	// AlarmDefinition is what PutAlarm writes.
	AlarmDefinition = entry.PutAlarm
	// Condition is an operator and what it compares with.
	Condition = alarm.Condition
	// Operator is how a condition compares.
	Operator = alarm.Operator
	// AlarmState is unknown, normal or active.
	AlarmState = alarm.State
	// Event is the start or the end of an alarm.
	Event = alarm.Event
	// EventQuery selects events and a page of them.
	EventQuery = catalog.EventQuery
)

// The operators.
const (
	Greater        = alarm.Greater        // v > T
	GreaterOrEqual = alarm.GreaterOrEqual // v >= T
	LessOrEqual    = alarm.LessOrEqual    // v <= T
	Less           = alarm.Less           // v < T
	Outside        = alarm.Outside        // v < L or v > H
	OutsideOrEqual = alarm.OutsideOrEqual // v <= L or v >= H
)

// The states of an alarm.
const (
	AlarmUnknown = alarm.Unknown
	AlarmNormal  = alarm.Normal
	AlarmActive  = alarm.Active
)

// Sentinels of the packages below that callers branch on.
var (
	ErrLocked       = disk.ErrLocked   // another process has the database
	ErrFull         = disk.ErrFull     // no room on the disk
	ErrReadOnly     = disk.ErrReadOnly // the folder cannot be written
	ErrCorrupt      = disk.ErrCorrupt  // damage; the error names the place
	ErrNotFound     = disk.ErrNotFound // no database there
	ErrVersion      = disk.ErrVersion  // written by another version of this program
	ErrUnknownAlarm = alarm.ErrUnknown
	ErrBadCursor    = catalog.ErrBadCursor
	ErrCondition    = alarm.ErrInvalid // a condition that means nothing
)

// ParseOperator reads an operator as conditions are written:
// > >= <= < outside outside_or_equal.
func ParseOperator(s string) (Operator, error) { return alarm.ParseOperator(s) }

// DefaultFS returns the file system of the operating system.
func DefaultFS() FS { return disk.Default() }
