package entry

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// appendDeletion appends a body that says what goes, and how long the rest stays.
func appendDeletion(dst []byte, body Body) ([]byte, error) {
	switch body := body.(type) {
	case *DeleteRows:
		if body.Span.Empty() {
			return nil, fmt.Errorf("%w: a deletion of no time", ErrMalformed)
		}
		dst = binary.LittleEndian.AppendUint64(dst, uint64(body.Span.From))
		dst = binary.LittleEndian.AppendUint64(dst, uint64(body.Span.To))
		dst = appendBool(dst, body.Channels == nil)
		if body.Channels == nil {
			return dst, nil
		}
		return appendChannelIDs(dst, body.Channels)
	case *DeleteChannels:
		return appendChannelIDs(dst, body.Channels)
	case *DeleteTenant:
		return appendUvarint(appendUvarint(dst, body.Bytes), body.Channels), nil
	case *SetRetention:
		if _, err := body.Rules.Compile(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		return body.Rules.AppendTo(dst), nil
	}
	return nil, fmt.Errorf("%w: a body of type %T", ErrMalformed, body)
}

func appendChannelIDs(dst []byte, ids []model.ChannelID) ([]byte, error) {
	if len(ids) == 0 {
		return nil, fmt.Errorf("%w: a deletion of no channels", ErrMalformed)
	}
	dst = appendUvarint(dst, uint64(len(ids)))
	var before model.ChannelID
	for _, id := range ids {
		if id <= before {
			return nil, fmt.Errorf("%w: channel %d after %d", ErrMalformed, id, before)
		}
		dst = appendUvarint(dst, uint64(id-before))
		before = id
	}
	return dst, nil
}

func (d *decoder) deleteRows() *DeleteRows {
	body := &DeleteRows{Span: model.Span{From: int64(d.uint64()), To: int64(d.uint64())}}
	if body.Span.Empty() {
		d.fail("a deletion of no time")
	}
	if !d.bool() {
		body.Channels = d.channelIDs()
	}
	return body
}

func (d *decoder) channelIDs() []model.ChannelID {
	count := d.uvarint()
	if count == 0 || count > uint64(len(d.b)-d.at) {
		d.fail("no channels, or more than bytes")
		return nil
	}
	ids := make([]model.ChannelID, 0, count)
	var id uint64
	for range count {
		step := d.uvarint()
		if step == 0 || step > math.MaxUint32-id {
			d.fail("not the ID of a later channel")
			return nil
		}
		id += step
		ids = append(ids, model.ChannelID(id))
	}
	return ids
}

func (d *decoder) setRetention() *SetRetention {
	rules, err := policy.DecodeRules(d.b[d.at:])
	if err != nil {
		d.fail(err.Error())
		return nil
	}
	d.at = len(d.b)
	return &SetRetention{Rules: rules}
}
