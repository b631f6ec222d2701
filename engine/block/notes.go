package block

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/hokan-db/hokan/engine/model"
)

// Notes are what a block says beside its rows, so that the catalog can be made
// anew from blocks without bringing back what was deleted.
type Notes struct {
	Tombstones []model.Tombstone
	Retention  []byte // the rules in force, as policy encodes them; nil: none
	// More says that the same flush or compaction wrote another block after
	// this one. Where that is missing, its work was not completed.
	More bool
}

// The kinds of notes.
const (
	noteTombstone = 1
	noteRetention = 2
	noteMore      = 3
)

// appendTo encodes the notes into payloads of about 16 KiB.
func (n *Notes) appendTo(p *pages) {
	note := func(encode func(dst []byte) []byte) {
		if !p.open {
			p.begin(page{})
		}
		p.payload = encode(p.payload)
		p.endIfFull()
	}
	for i := range n.Tombstones {
		note(func(dst []byte) []byte { return appendTombstone(append(dst, noteTombstone), &n.Tombstones[i]) })
	}
	if n.Retention != nil {
		note(func(dst []byte) []byte {
			dst = binary.AppendUvarint(append(dst, noteRetention), uint64(len(n.Retention)))
			return append(dst, n.Retention...)
		})
	}
	if n.More {
		note(func(dst []byte) []byte { return append(dst, noteMore) })
	}
}

func appendTombstone(dst []byte, t *model.Tombstone) []byte {
	dst = binary.AppendUvarint(dst, t.Offset)
	dst = binary.AppendVarint(dst, t.Span.From)
	dst = binary.AppendVarint(dst, t.Span.To)
	if t.Channels == nil {
		return binary.AppendUvarint(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(len(t.Channels))+1)
	before := model.ChannelID(0)
	for _, id := range t.Channels {
		dst = binary.AppendUvarint(dst, uint64(id-before))
		before = id
	}
	return dst
}

var errNotes = errors.New("the notes are damaged")

// add reads a payload that appendTo made.
func (n *Notes) add(payload []byte) error {
	for in := (input{rest: payload}); len(in.rest) > 0; {
		switch in.byte() {
		case noteTombstone:
			n.Tombstones = append(n.Tombstones, in.tombstone())
		case noteRetention:
			if n.Retention != nil {
				in.fail()
			}
			n.Retention = append([]byte{}, in.bytes(in.uvarint())...)
		case noteMore:
			if n.More {
				in.fail()
			}
			n.More = true
		default:
			in.fail()
		}
		if in.failed {
			return errNotes
		}
	}
	return nil
}

func (in *input) tombstone() model.Tombstone {
	t := model.Tombstone{Offset: in.uvarint(), Span: model.Span{From: in.varint(), To: in.varint()}}
	count := in.uvarint()
	if count == 0 || in.failed {
		return t
	}
	if count--; count > uint64(len(in.rest)) {
		in.fail()
		return t
	}
	t.Channels = make([]model.ChannelID, count)
	before := model.ChannelID(0)
	for i := range t.Channels {
		t.Channels[i] = before + model.ChannelID(in.uint32Varint())
		if t.Channels[i] <= before {
			in.fail()
			return t
		}
		before = t.Channels[i]
	}
	return t
}

// check reports whether the notes can be encoded.
func (n *Notes) check() error {
	for i := range n.Tombstones {
		ids := n.Tombstones[i].Channels
		if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) || len(ids) > 0 && ids[0] == 0 {
			return errors.New("the channels of a tombstone do not ascend")
		}
	}
	return nil
}

// Notes returns what the block says beside its rows.
func (r *Reader) Notes() (Notes, error) {
	var n Notes
	if err := r.readNotes(r.notes, &n); err != nil {
		return Notes{}, err
	}
	return n, nil
}

func (r *Reader) readNotes(list []page, n *Notes) error {
	return r.readPages(list, func(p *page, payload []byte) error {
		if err := n.add(payload); err != nil {
			return r.damage(p.Position, err)
		}
		return nil
	})
}
