package entry

import (
	"bytes"
	"math"
	"slices"

	"github.com/hokan-db/hokan/engine/model"
)

// Equal reports whether e and o say the same, values compared bit for bit.
// Absent and empty lists are the same, and so are shared and copied times.
func (e *Entry) Equal(o *Entry) bool {
	if e.Offset != o.Offset || e.Partition != o.Partition || e.Time != o.Time || e.Tenant != o.Tenant {
		return false
	}
	switch a := e.Body.(type) {
	case nil:
		return o.Body == nil
	case *Rows:
		b, ok := o.Body.(*Rows)
		return ok && slices.EqualFunc(a.Definitions, b.Definitions, equalDefinition) &&
			slices.EqualFunc(a.Columns, b.Columns, equalColumn)
	case *Define:
		b, ok := o.Body.(*Define)
		return ok && slices.EqualFunc(a.Definitions, b.Definitions, equalDefinition)
	case *CreateTenant:
		_, ok := o.Body.(*CreateTenant)
		return ok
	case *PutAlarm:
		b, ok := o.Body.(*PutAlarm)
		return ok && equalPutAlarm(*a, *b)
	case *SwitchAlarm:
		b, ok := o.Body.(*SwitchAlarm)
		return ok && *a == *b
	case *DeleteAlarm:
		b, ok := o.Body.(*DeleteAlarm)
		return ok && *a == *b
	case *DeleteRows:
		b, ok := o.Body.(*DeleteRows)
		return ok && a.Span == b.Span && (a.Channels == nil) == (b.Channels == nil) && slices.Equal(a.Channels, b.Channels)
	case *DeleteChannels:
		b, ok := o.Body.(*DeleteChannels)
		return ok && slices.Equal(a.Channels, b.Channels)
	case *DeleteTenant:
		b, ok := o.Body.(*DeleteTenant)
		return ok && *a == *b
	case *SetRetention:
		b, ok := o.Body.(*SetRetention)
		return ok && a.Rules.Equal(b.Rules)
	case *Attach:
		b, ok := o.Body.(*Attach)
		return ok && slices.EqualFunc(a.Definitions, b.Definitions, equalDefinition) &&
			slices.EqualFunc(a.Newest, b.Newest, equalNewest) && bytes.Equal(a.Block, b.Block)
	case *PutReceipt:
		b, ok := o.Body.(*PutReceipt)
		return ok && a.ID == b.ID && a.Fingerprint == b.Fingerprint && a.Status == b.Status && a.Header == b.Header && bytes.Equal(a.Answer, b.Answer)
	}
	return false
}

func equalDefinition(a, b model.Definition) bool {
	if a.ID != b.ID || a.Labels != b.Labels || a.ValidFrom != b.ValidFrom {
		return false
	}
	if a.Properties == nil || b.Properties == nil {
		return a.Properties == b.Properties
	}
	return *a.Properties == *b.Properties
}

func equalColumn(a, b Column) bool {
	return a.Channel == b.Channel && slices.Equal(a.Times, b.Times) &&
		slices.EqualFunc(a.Values, b.Values, equalBits)
}

func equalNewest(a, b NewestRow) bool {
	return a.Channel == b.Channel && a.Time == b.Time && equalBits(a.Value, b.Value)
}

func equalPutAlarm(a, b PutAlarm) bool {
	same := equalBits(a.Threshold, b.Threshold) && equalBits(a.Low, b.Low) && equalBits(a.High, b.High)
	a.Threshold, a.Low, a.High = 0, 0, 0
	b.Threshold, b.Low, b.High = 0, 0, 0
	return same && a == b
}

func equalBits(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }
