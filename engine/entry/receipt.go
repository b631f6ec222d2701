package entry

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/hokan-db/hokan/engine/policy"
)

func (p *PutReceipt) appendTo(dst []byte) ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	dst = appendCounted(dst, p.ID.Key)
	dst = appendCounted(dst, p.ID.Producer)
	dst = appendUvarint(dst, p.ID.Sequence)
	dst = append(dst, p.Fingerprint[:]...)
	dst = binary.LittleEndian.AppendUint16(dst, p.Status)
	dst = appendCounted(dst, p.Header)
	return appendCounted(dst, string(p.Answer)), nil
}

// check reports what no receipt may have.
func (p *PutReceipt) check() error {
	if n := len(p.Header) + len(p.Answer); int64(n) > policy.AnswerKept.Default {
		return fmt.Errorf("an answer of %d bytes, at most %d", n, policy.AnswerKept.Default)
	}
	return p.ID.Validate()
}

func (d *decoder) putReceipt() *PutReceipt {
	p := &PutReceipt{}
	p.ID.Key, p.ID.Producer, p.ID.Sequence = string(d.counted()), string(d.counted()), d.uvarint()
	for i := range p.Fingerprint {
		p.Fingerprint[i] = d.byte()
	}
	p.Status = uint16(d.byte()) | uint16(d.byte())<<8
	p.Header, p.Answer = string(d.counted()), slices.Clone(d.counted())
	if d.err == nil {
		if err := p.check(); err != nil {
			d.fail(err.Error())
		}
	}
	return p
}
