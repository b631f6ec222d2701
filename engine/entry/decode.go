package entry

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/hokan-db/hokan/engine/model"
)

// arena is the memory that rows are decoded into. Every Times and Values slice
// of a decoded entry is a piece of these two.
type arena struct {
	rows   Rows
	times  []int64
	values []float64
}

// Decode reads what AppendTo wrote; any other bytes are refused with an error
// that wraps ErrMalformed and names the byte, after which into has no body.
//
// Decoding again into the same Entry reuses its memory: what it held before,
// slices included, is overwritten. A Body that the caller made is never
// written to. Memory is bounded by a small multiple of len(b).
func Decode(b []byte, into *Entry) error {
	into.Body = nil
	if len(b) > MaxBytes {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrMalformed, len(b), MaxBytes)
	}
	d := decoder{b: b}
	into.Offset = d.uint64()
	partition := d.byte()
	if partition >= model.Partitions {
		d.failAt(d.at-1, "no such partition")
	}
	kind := Kind(d.byte())
	into.Partition = model.Partition(partition)
	into.Time = int64(d.uint64())
	d.tenant(&into.Tenant)
	if d.err != nil {
		return d.err
	}
	body := d.body(kind, into)
	if d.err == nil && d.at != len(b) {
		d.fail("bytes after the end")
	}
	if d.err != nil {
		return d.err
	}
	into.Body = body
	return nil
}

// decoder reads from b at the position at. The first error sticks; what is
// read after it is meaningless, but reading stays within b.
type decoder struct {
	b   []byte
	at  int
	err error
}

func (d *decoder) fail(what string) { d.failAt(d.at, what) }

func (d *decoder) failAt(at int, what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: byte %d: %s", ErrMalformed, at, what)
		d.b = d.b[:0] // whatever comes next finds no bytes
		d.at = 0
	}
}

func (d *decoder) body(kind Kind, into *Entry) Body {
	switch kind {
	case KindRows:
		if into.arena == nil {
			into.arena = &arena{}
		}
		a := into.arena
		a.rows.Definitions = d.definitions(a.rows.Definitions[:0])
		a.columns(d, into.Time)
		return &a.rows
	case KindDefine:
		return &Define{Definitions: d.definitions(nil)}
	case KindCreateTenant:
		return &CreateTenant{}
	case KindPutAlarm:
		return d.putAlarm()
	case KindSwitchAlarm:
		return &SwitchAlarm{ID: d.uint64(), Enabled: d.bool()}
	case KindDeleteAlarm:
		return &DeleteAlarm{ID: d.uint64()}
	case KindDeleteRows:
		return d.deleteRows()
	case KindDeleteChannels:
		return &DeleteChannels{Channels: d.channelIDs()}
	case KindDeleteTenant:
		return &DeleteTenant{Bytes: d.uvarint(), Channels: d.uvarint()}
	case KindSetRetention:
		return d.setRetention()
	case KindPutReceipt:
		return d.putReceipt()
	case KindAttach:
		return d.attach(into.Time)
	}
	d.failAt(9, "no such kind")
	return nil
}

// columns reads all columns into a. Each row takes 8 bytes for its value, so
// what is left of the entry bounds the rows that can follow; the arenas are
// sized by it before the first column and never move under its slices.
func (a *arena) columns(d *decoder, base int64) {
	count := d.uvarint()
	left := uint64(len(d.b) - d.at)
	if count > left/2 {
		d.fail("more columns than bytes")
		return
	}
	if most := int(left / 8); cap(a.values) < most {
		most += most / 4 // entries of about one size settle soon
		a.values = make([]float64, 0, most)
		a.times = make([]int64, 0, most)
	}
	a.times, a.values = a.times[:0], a.values[:0]
	columns := slices.Grow(a.rows.Columns[:0], int(min(count, left/10)))
	var id int64
	var times []int64 // of the column before
	for range count {
		var header uint64
		if b := d.b[d.at:]; len(b) > 1 && b[0]|b[1] < 0x80 { // as nearly all are
			id += int64(b[0]>>1) ^ -int64(b[0]&1)
			header = uint64(b[1])
			d.at += 2
		} else {
			id += d.varint()
			header = d.uvarint()
		}
		if id <= 0 || id > math.MaxUint32 {
			d.fail("no such channel ID before here")
		}
		rows := header >> 1
		if rows > uint64(len(d.b)-d.at)/8 {
			d.fail("more rows than bytes")
		}
		if d.err != nil {
			break
		}
		if header&1 == 0 {
			times = a.ownTimes(d, int(rows), &base)
		} else if rows == 0 || rows != uint64(len(times)) {
			d.fail("shares the times of a column of other length")
		}
		values := a.copyValues(d, int(rows))
		if d.err != nil {
			break
		}
		columns = append(columns, Column{Channel: model.ChannelID(id), Times: times, Values: values})
	}
	a.rows.Columns = columns
}

func (a *arena) ownTimes(d *decoder, rows int, base *int64) []int64 {
	if rows == 0 {
		return nil
	}
	start := len(a.times)
	times := a.times[start : start+rows : start+rows]
	a.times = a.times[:start+rows]
	t := *base + d.varint()
	*base, times[0] = t, t
	var step int64
	for i := 1; i < len(times); i++ {
		// A regular step is one byte, mostly 0.
		if d.at < len(d.b) && d.b[d.at] < 0x80 {
			u := d.b[d.at]
			step += int64(u>>1) ^ -int64(u&1)
			d.at++
		} else {
			step += d.varint()
		}
		t += step
		times[i] = t
	}
	return times
}

func (a *arena) copyValues(d *decoder, rows int) []float64 {
	if rows > (len(d.b)-d.at)/8 { // varints of times took more than a byte each
		d.fail("cut short")
		return nil
	}
	start := len(a.values)
	values := a.values[start : start+rows : start+rows]
	a.values = a.values[:start+rows]
	b := d.b[d.at : d.at+8*rows]
	for i := range values {
		values[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
	}
	d.at += 8 * rows
	return values
}

// leastDefinition is how many bytes a definition takes at least; it keeps a
// wrong count from making us allocate.
const leastDefinition = 32

func (d *decoder) definitions(into []model.Definition) []model.Definition {
	count := d.uvarint()
	if count > uint64(len(d.b)-d.at)/leastDefinition {
		d.fail("more definitions than bytes")
		return into
	}
	into = slices.Grow(into, int(count))
	for range count {
		into = append(into, d.definition())
		if d.err != nil {
			break
		}
	}
	return into
}

func (d *decoder) definition() model.Definition {
	id := d.channelID()
	if id == 0 {
		d.fail("a definition of channel 0")
	}
	start := d.at
	labels, err := model.DecodeLabels(d.counted())
	if err != nil && d.err == nil {
		d.failAt(start, err.Error())
	}
	properties := d.properties()
	return model.Definition{ID: id, Labels: labels, Properties: properties, ValidFrom: int64(d.uint64())}
}

func (d *decoder) properties() *model.Properties {
	flags := d.byte()
	if flags == 0 {
		return nil
	}
	if flags&flagProperties == 0 || flags&^(flagProperties|flagDecimals) != 0 {
		d.failAt(d.at-1, "no such flags")
		return nil
	}
	return &model.Properties{
		Name:        string(d.counted()),
		Unit:        string(d.counted()),
		Scaling:     string(d.counted()),
		Group:       string(d.counted()),
		App:         string(d.counted()),
		Decimals:    d.byte(),
		HasDecimals: flags&flagDecimals != 0,
	}
}

func (d *decoder) putAlarm() *PutAlarm {
	return &PutAlarm{
		ID:        d.uint64(),
		Name:      string(d.counted()),
		Match:     string(d.counted()),
		Channel:   d.channelID(),
		Operator:  d.byte(),
		Threshold: math.Float64frombits(d.uint64()),
		Low:       math.Float64frombits(d.uint64()),
		High:      math.Float64frombits(d.uint64()),
		Enabled:   d.bool(),
	}
}

// tenant reads a tenant's name into *into, which stays the very string that it
// was if it is the same.
func (d *decoder) tenant(into *model.Tenant) {
	start := d.at
	name := d.counted()
	if d.err != nil {
		return
	}
	if string(name) != string(*into) {
		*into = model.Tenant(name)
	}
	if err := into.Validate(); err != nil {
		d.failAt(start, err.Error())
	}
}

func (d *decoder) channelID() model.ChannelID {
	start := d.at
	id := d.uvarint()
	if id > math.MaxUint32 {
		d.failAt(start, "no such channel ID")
	}
	return model.ChannelID(id)
}

func (d *decoder) byte() byte {
	if d.at >= len(d.b) {
		d.fail("cut short")
		return 0
	}
	d.at++
	return d.b[d.at-1]
}

func (d *decoder) bool() bool {
	v := d.byte()
	if v > 1 {
		d.failAt(d.at-1, "neither 0 nor 1")
	}
	return v == 1
}

func (d *decoder) uint64() uint64 {
	if len(d.b)-d.at < 8 {
		d.fail("cut short")
		return 0
	}
	d.at += 8
	return binary.LittleEndian.Uint64(d.b[d.at-8:])
}

// counted returns a piece of the input.
func (d *decoder) counted() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)-d.at) {
		d.fail("cut short")
		return nil
	}
	d.at += int(n)
	return d.b[d.at-int(n) : d.at]
}

func (d *decoder) uvarint() uint64 {
	if d.at < len(d.b) && d.b[d.at] < 0x80 {
		d.at++
		return uint64(d.b[d.at-1])
	}
	return d.longUvarint()
}

func (d *decoder) longUvarint() uint64 {
	v, n := binary.Uvarint(d.b[d.at:])
	switch {
	case n == 0:
		d.fail("cut short")
		return 0
	case n < 0:
		d.fail("a number of more than 64 bits")
		return 0
	case n > 1 && d.b[d.at+n-1] == 0:
		d.fail("a number that is not in its shortest form")
		return 0
	}
	d.at += n
	return v
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}
