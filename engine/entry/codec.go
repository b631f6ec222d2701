package entry

// The bytes of an entry. Integers are little-endian; "uvarint" is LEB128 in
// its shortest form; "varint" is the same after zigzag; "counted" is a uvarint
// length and that many bytes. Every entry has exactly one encoding.
//
//	u64     offset
//	u8      partition, below 64
//	u8      kind
//	i64     time, ns since the epoch
//	counted tenant, a valid name
//	…       body, up to the end
//
// Body by kind:
//
//	1 rows           definitions, columns
//	2 define         definitions
//	3 create tenant  nothing
//	4 put alarm      u64 ID, counted name, counted match, uvarint channel ID,
//	                 u8 operator, f64 threshold, f64 low, f64 high, u8 enabled (0, 1)
//	5 switch alarm   u64 ID, u8 enabled (0, 1)
//	6 delete alarm   u64 ID
//	7 delete rows    i64 from, i64 to (exclusive, greater), u8 all channels
//	                 (0, 1), with 0: channel IDs
//	8 delete channels channel IDs
//	9 delete tenant  uvarint bytes, uvarint channels
//	10 set retention the rules, as engine/policy/retention.go says
//	12 put receipt   counted key, counted producer (one of the two is empty),
//	                 uvarint sequence (0 with a key, else not), 16 bytes
//	                 fingerprint, u16 status, counted header, counted answer
//	13 attach        definitions, newest rows, block
//
// Newest rows are a uvarint count, at least 1, then each, ascending by channel:
//
//	uvarint channel ID minus the one before, the first minus 0
//	varint  time minus the one before, the first minus the entry's time
//	f64     value, raw bits
//
// A block is the rest of the entry, at least one byte; engine/block/format.go
// says which.
//
// Channel IDs are a uvarint count, at least 1, then each, ascending: uvarint ID
// minus the one before, the first minus 0.
//
// Definitions are a uvarint count, then each:
//
//	uvarint channel ID, not 0
//	counted labels, as model.Labels.Encoded
//	u8      flags: 1 it has properties, 2 they have decimals (with 1 only)
//	        with flag 1: counted name, unit, scaling, group, app; u8 decimals
//	i64     valid from, ns since the epoch
//
// Columns are a uvarint count, then each:
//
//	varint  channel ID (not 0) minus the previous column's, the first minus 0
//	uvarint rows * 2, plus 1 where the times are those of the previous column
//	        (which then has as many rows, and at least one)
//	        with times of its own, if there are rows:
//	varint  first time minus the previous first time that was written here, in
//	        the first such column minus the entry's time
//	varint  second time minus first time, then for each later row by how much
//	        its step differs from the step before; all modulo 2^64
//	        then
//	f64     each value, raw bits

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hokan-db/hokan/engine/model"
)

// ErrTooLarge is wrapped when an entry would need more than MaxBytes.
var ErrTooLarge = errors.New("entry too large")

// ErrMalformed is wrapped when bytes are not those of an entry, and when an
// entry holds what cannot be encoded.
var ErrMalformed = errors.New("malformed entry")

const (
	flagProperties = 1 << 0
	flagDecimals   = 1 << 1
)

// headerBytes is what an entry needs besides its body, at most.
const headerBytes = 8 + 1 + 1 + 8 + 1 + model.MaxTenantBytes

// Sizes of parts of an encoded entry, at most.
const (
	maxUvarint      = binary.MaxVarintLen64
	maxColumnHeader = 5 + maxUvarint // ID difference has 34 bits with its sign
	maxRowBytes     = maxUvarint + 8
)

// AppendTo appends the encoded entry to dst. An entry that needs more than
// MaxBytes is refused with ErrTooLarge, one that Decode would refuse with
// ErrMalformed; dst is then returned as it was.
func (e *Entry) AppendTo(dst []byte) ([]byte, error) {
	if err := e.check(); err != nil {
		return dst, err
	}
	start := len(dst)
	out := binary.LittleEndian.AppendUint64(dst, e.Offset)
	out = append(out, byte(e.Partition), byte(e.Body.Kind()))
	out = binary.LittleEndian.AppendUint64(out, uint64(e.Time))
	out = appendCounted(out, string(e.Tenant))
	var err error
	switch body := e.Body.(type) {
	case *Rows:
		out, err = body.appendTo(out, e.Time)
	case *Define:
		out, err = appendDefinitions(out, body.Definitions)
	case *CreateTenant:
	case *PutAlarm:
		out = body.appendTo(out)
	case *SwitchAlarm:
		out = binary.LittleEndian.AppendUint64(out, body.ID)
		out = appendBool(out, body.Enabled)
	case *DeleteAlarm:
		out = binary.LittleEndian.AppendUint64(out, body.ID)
	case *PutReceipt:
		out, err = body.appendTo(out)
	case *Attach:
		out, err = body.appendTo(out, e.Time)
	default:
		out, err = appendDeletion(out, e.Body)
	}
	if err != nil {
		return dst, err
	}
	if n := len(out) - start; n > MaxBytes {
		return dst, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, n, MaxBytes)
	}
	return out, nil
}

func (e *Entry) check() error {
	if e.Body == nil {
		return fmt.Errorf("%w: no body", ErrMalformed)
	}
	if e.Partition >= model.Partitions {
		return fmt.Errorf("%w: partition %d", ErrMalformed, e.Partition)
	}
	if err := e.Tenant.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}

func (r *Rows) appendTo(dst []byte, base int64) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	rows := r.Rows()
	if rows > MaxBytes/8 { // before any memory is spent on it
		return nil, fmt.Errorf("%w: %d rows", ErrTooLarge, rows)
	}
	dst, err := appendDefinitions(dst, r.Definitions)
	if err != nil {
		return nil, err
	}
	dst = slices.Grow(dst, maxUvarint+len(r.Columns)*maxColumnHeader+rows*maxRowBytes)
	return appendColumns(dst, r.Columns, base), nil
}

// check reports what no encoding has a place for.
func (r *Rows) check() error {
	for i := range r.Columns {
		c := &r.Columns[i]
		if len(c.Times) != len(c.Values) {
			return fmt.Errorf("%w: channel %d has %d times and %d values",
				ErrMalformed, c.Channel, len(c.Times), len(c.Values))
		}
		if c.Channel == 0 {
			return fmt.Errorf("%w: column %d is of channel 0", ErrMalformed, i)
		}
	}
	return nil
}

func appendColumns(dst []byte, columns []Column, base int64) []byte {
	dst = appendUvarint(dst, uint64(len(columns)))
	var previousID int64
	var previousTimes []int64
	for i := range columns {
		c := &columns[i]
		dst = appendVarint(dst, int64(c.Channel)-previousID)
		previousID = int64(c.Channel)
		if sameSlice(c.Times, previousTimes) {
			dst = appendUvarint(dst, uint64(len(c.Times))<<1|1)
		} else {
			dst = appendUvarint(dst, uint64(len(c.Times))<<1)
			dst = appendTimes(dst, c.Times, &base)
		}
		previousTimes = c.Times
		for _, v := range c.Values {
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
		}
	}
	return dst
}

// sameSlice reports whether a and b are the same memory, and not empty.
func sameSlice(a, b []int64) bool {
	return len(a) > 0 && len(a) == len(b) && &a[0] == &b[0]
}

func appendTimes(dst []byte, times []int64, base *int64) []byte {
	if len(times) == 0 {
		return dst
	}
	previous := times[0]
	dst = appendVarint(dst, previous-*base)
	*base = previous
	var step int64
	for _, t := range times[1:] {
		next := t - previous
		dst = appendVarint(dst, next-step)
		previous, step = t, next
	}
	return dst
}

func appendDefinitions(dst []byte, definitions []model.Definition) ([]byte, error) {
	start := len(dst)
	dst = appendUvarint(dst, uint64(len(definitions)))
	for i := range definitions {
		d := &definitions[i]
		if d.ID == 0 || d.Labels.IsZero() {
			return nil, fmt.Errorf("%w: definition %d lacks an ID or labels", ErrMalformed, i)
		}
		dst = appendUvarint(dst, uint64(d.ID))
		dst = appendCounted(dst, d.Labels.Encoded())
		dst = appendProperties(dst, d.Properties)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(d.ValidFrom))
		if len(dst)-start > MaxBytes { // before more memory is spent on it
			return nil, fmt.Errorf("%w: %d definitions", ErrTooLarge, len(definitions))
		}
	}
	return dst, nil
}

func appendProperties(dst []byte, p *model.Properties) []byte {
	if p == nil {
		return append(dst, 0)
	}
	flags := byte(flagProperties)
	if p.HasDecimals {
		flags |= flagDecimals
	}
	dst = append(dst, flags)
	for _, s := range [...]string{p.Name, p.Unit, p.Scaling, p.Group, p.App} {
		dst = appendCounted(dst, s)
	}
	return append(dst, p.Decimals)
}

func (p *PutAlarm) appendTo(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, p.ID)
	dst = appendCounted(dst, p.Name)
	dst = appendCounted(dst, p.Match)
	dst = appendUvarint(dst, uint64(p.Channel))
	dst = append(dst, p.Operator)
	for _, v := range [...]float64{p.Threshold, p.Low, p.High} {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
	}
	return appendBool(dst, p.Enabled)
}

func appendCounted(dst []byte, s string) []byte {
	return append(appendUvarint(dst, uint64(len(s))), s...)
}

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendUvarint(dst []byte, v uint64) []byte {
	if v < 0x80 {
		return append(dst, byte(v))
	}
	return binary.AppendUvarint(dst, v)
}

func appendVarint(dst []byte, v int64) []byte {
	return appendUvarint(dst, uint64(v)<<1^uint64(v>>63))
}
