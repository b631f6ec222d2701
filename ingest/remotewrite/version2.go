package remotewrite

import (
	"encoding/binary"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/ingest/seen"
)

// seen2 knows series by their labels and metadata, written one behind the other.
var seen2 = seen.Cache[identity]{Most: 64 << 20}

// symbol is where a text of the table stands in the body.
type symbol struct{ from, to uint32 }

// mostSymbols is more than the labels of the most series need that may be.
const mostSymbols = 1 << 21

// request2 reads a body of version 2.0. Symbols mostly come first, but need not.
func (d *Decoder) request2(b []byte) error {
	ordered, err := d.table(b)
	if err != nil {
		return err
	}
	for rest := b[ordered:]; len(rest) > 0; {
		number, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return cutOff(d.at)
		}
		rest = rest[n:]
		if number != 5 {
			if n = protowire.ConsumeFieldValue(number, kind, rest); n < 0 {
				return cutOff(d.at)
			}
			rest = rest[n:]
			continue
		}
		content, n := protowire.ConsumeBytes(rest)
		if n < 0 || kind != protowire.BytesType {
			return cutOff(d.at)
		}
		rest = rest[n:]
		if err := d.series2(b, content); err != nil {
			return err
		}
	}
	return nil
}

// table reads the symbols. It returns where the first series begins.
func (d *Decoder) table(b []byte) (first int, err error) {
	first = -1
	for rest := b; len(rest) > 0; {
		at := len(b) - len(rest)
		number, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return 0, cutOff(0)
		}
		rest = rest[n:]
		if number == 4 && kind != protowire.BytesType {
			return 0, cutOff(0)
		}
		if n = protowire.ConsumeFieldValue(number, kind, rest); n < 0 {
			return 0, cutOff(0)
		}
		switch number {
		case 4:
			if len(d.symbols) == mostSymbols {
				return 0, &Error{"body_too_large", "the request has more than " + strconv.Itoa(mostSymbols) + " symbols: send several"}
			}
			text, _ := protowire.ConsumeBytes(rest)
			to := len(b) - len(rest) + n
			d.symbols = append(d.symbols, symbol{uint32(to - len(text)), uint32(to)})
		case 5:
			if first < 0 {
				first = at
			}
		case 1, 3:
			d.foreign = true
		}
		rest = rest[n:]
	}
	if first < 0 {
		first = len(b)
	}
	return first, nil
}

// metadata2 is the metadata of a series.
type metadata2 struct {
	kind       uint64
	help, unit uint32 // positions of symbols; 0 is not said
}

// series2 reads a series of a body.
func (d *Decoder) series2(body, b []byte) error {
	from, err := d.nextSeries()
	if err != nil {
		return err
	}
	d.refs = d.refs[:0]
	var m metadata2
	histograms := 0
	for len(b) > 0 {
		if content, rest, ok := plainBytes(b, tag2Bytes); ok {
			if err := d.sample(content); err != nil {
				return err
			}
			b = rest
			continue
		}
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return d.malformed("it is cut off")
		}
		b = b[n:]
		switch {
		case number == 1 && kind == protowire.VarintType:
			ref, n := protowire.ConsumeVarint(b)
			if n < 0 {
				return d.malformed("it is cut off")
			}
			d.addRef(ref)
			b = b[n:]
			continue
		case number > 5:
			if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
				return d.malformed("it is cut off")
			}
			b = b[n:]
			continue
		}
		content, n := protowire.ConsumeBytes(b)
		if n < 0 || kind != protowire.BytesType {
			return d.malformed("it is cut off, or no series")
		}
		b = b[n:]
		switch number {
		case 1:
			err = d.addRefs(content)
		case 2:
			err = d.sample(content)
		case 3:
			histograms++
		case 4:
			d.exemplars++
		case 5:
			err = d.metadata2(&m, content)
		}
		if err != nil {
			return err
		}
	}
	d.refuseHistograms(histograms)
	c := d.add(from)
	if c == nil {
		return nil
	}
	refused := d.makeKey(body, &m)
	if refused == "" {
		var one identity
		if one, refused = d.identity2(body, &m); refused == "" {
			c.Labels, c.Properties = one.labels, one.properties
			return nil
		}
	}
	c.Refused = refused
	return nil
}

// mostRefs is one more label than a channel may have.
const mostRefs = 2 * (model.MaxLabels + 1)

// addRefs reads positions of symbols, packed.
func (d *Decoder) addRefs(b []byte) error {
	for len(b) > 0 {
		if b[0] < 0x80 {
			d.addRef(uint64(b[0]))
			b = b[1:]
			continue
		}
		ref, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return d.malformed("references that are cut off")
		}
		d.addRef(ref)
		b = b[n:]
	}
	return nil
}

// addRef notes the position of a symbol. Of too many, the first are enough, and
// whether they are pairs.
func (d *Decoder) addRef(ref uint64) {
	if len(d.refs) >= mostRefs+2 {
		d.refs = d.refs[:mostRefs]
	}
	d.refs = append(d.refs, uint32(ref))
}

// metadata2 reads the metadata of a series into m, which may have some already.
func (d *Decoder) metadata2(m *metadata2, b []byte) error {
	ok := fields(b, func(number protowire.Number, wire protowire.Type, _ []byte, v uint64) bool {
		switch number {
		case 1:
			m.kind = uint64(uint32(v))
		case 3:
			m.help = uint32(v)
		case 4:
			m.unit = uint32(v)
		default:
			return true
		}
		return wire == protowire.VarintType
	})
	if !ok {
		return d.malformed("metadata that cannot be read")
	}
	return nil
}

// text returns a symbol. The caller has checked that there is one.
func (d *Decoder) text(body []byte, ref uint32) []byte {
	s := d.symbols[ref]
	return body[s.from:s.to]
}

// makeKey writes down what a series is known by, or says what is wrong with its
// references: the kind and how many labels there are, then help, unit, names and
// values, each behind its length.
func (d *Decoder) makeKey(body []byte, m *metadata2) (refused string) {
	switch {
	case len(d.refs)%2 != 0:
		return "labels_refs are not pairs"
	case len(d.refs) >= mostRefs:
		return "there are more than " + strconv.Itoa(model.MaxLabels) + " labels"
	}
	count := uint32(len(d.symbols))
	for _, ref := range d.refs {
		if ref >= count {
			return d.noSymbol(ref)
		}
	}
	for _, ref := range [...]uint32{m.help, m.unit} {
		if ref != 0 && ref >= count {
			return d.noSymbol(ref)
		}
	}
	key := append(d.key[:0], byte(min(m.kind, uint64(len(kinds)))), byte(len(d.refs)/2))
	for _, ref := range [...]uint32{m.help, m.unit} {
		if ref == 0 {
			key = append(key, 0)
			continue
		}
		text := d.text(body, ref)
		text = text[:min(len(text), int(policy.PropertyBytes.Default)+8)] // as much as may matter
		key = binary.AppendUvarint(key, uint64(len(text)))
		key = append(key, text...)
	}
	for _, ref := range d.refs {
		s := d.symbols[ref]
		n := s.to - s.from
		if n > model.MaxLabelValueBytes {
			return "a label has " + strconv.Itoa(int(n)) + " bytes, at most " + strconv.Itoa(model.MaxLabelValueBytes) + ": " + quote(d.text(body, ref))
		}
		if n < 0x80 {
			key = append(key, byte(n))
		} else {
			key = binary.AppendUvarint(key, uint64(n))
		}
		key = append(key, body[s.from:s.to]...)
	}
	d.key = key
	return ""
}

func (d *Decoder) noSymbol(ref uint32) string {
	return "a reference to symbol " + strconv.FormatUint(uint64(ref), 10) + " of " + strconv.Itoa(len(d.symbols))
}

// identity2 returns what the series is whose key was made.
func (d *Decoder) identity2(body []byte, m *metadata2) (one identity, refused string) {
	known := seen2.After(d.before, d.key)
	if known == nil || known.Length() != len(d.key) {
		known = seen2.Get(d.request.Tenant, d.key)
	}
	if known == nil {
		d.labels = d.labels[:0]
		for i := 0; i < len(d.refs); i += 2 {
			d.addLabel(d.text(body, d.refs[i]), d.text(body, d.refs[i+1]))
		}
		if one.labels, refused = identify(d.labels); refused != "" {
			return one, refused
		}
		var help, unit []byte
		if m.help != 0 {
			help = d.text(body, m.help)
		}
		if m.unit != 0 {
			unit = d.text(body, m.unit)
		}
		one.properties = propertiesOf(m.kind, help, unit)
		if known = seen2.Put(d.request.Tenant, d.key, one); known == nil {
			d.before = nil
			return one, ""
		}
	}
	seen2.Follows(d.before, known)
	d.before = known
	return known.Value, ""
}
