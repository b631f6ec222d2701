package entry

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/hokan-db/hokan/engine/model"
)

// leastNewest and mostNewest are how many bytes a newest row takes.
const leastNewest, mostNewest = 1 + 1 + 8, 5 + maxUvarint + 8

// AttachRoom returns how many bytes of a block there is room for at least in an
// entry with these definitions and the newest rows of so many channels.
func AttachRoom(definitions []model.Definition, channels int) int {
	return MaxBytes - emptySize - definitionsSize(definitions) - channels*mostNewest
}

func (a *Attach) appendTo(dst []byte, base int64) ([]byte, error) {
	if len(a.Newest) == 0 || len(a.Block) == 0 {
		return nil, fmt.Errorf("%w: a block of %d channels and %d bytes", ErrMalformed, len(a.Newest), len(a.Block))
	}
	dst, err := appendDefinitions(dst, a.Definitions)
	if err != nil {
		return nil, err
	}
	dst = slices.Grow(dst, maxUvarint+len(a.Newest)*mostNewest+len(a.Block))
	dst = appendUvarint(dst, uint64(len(a.Newest)))
	before := model.ChannelID(0)
	for i := range a.Newest {
		n := &a.Newest[i]
		if n.Channel <= before {
			return nil, fmt.Errorf("%w: channel %d after channel %d", ErrMalformed, n.Channel, before)
		}
		dst = appendUvarint(dst, uint64(n.Channel-before))
		dst = appendVarint(dst, n.Time-base)
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(n.Value))
		before, base = n.Channel, n.Time
	}
	return append(dst, a.Block...), nil
}

// attach reads what is kept: nothing of it is used again.
func (d *decoder) attach(base int64) *Attach {
	a := &Attach{Definitions: d.definitions(nil)}
	count := d.uvarint()
	if count == 0 || count > uint64(len(d.b)-d.at)/leastNewest {
		d.fail("no channels, or more than bytes")
		return a
	}
	a.Newest = make([]NewestRow, count)
	id := uint64(0)
	for i := range a.Newest {
		step := d.uvarint()
		if step == 0 || step > math.MaxUint32-id {
			d.fail("not the ID of the next channel")
		}
		id += step
		base += d.varint()
		a.Newest[i] = NewestRow{model.ChannelID(id), model.Sample{Time: base, Value: math.Float64frombits(d.uint64())}}
		if d.err != nil {
			return a
		}
	}
	if d.at == len(d.b) {
		d.fail("no block")
	}
	a.Block = bytes.Clone(d.b[d.at:])
	d.at = len(d.b)
	return a
}
