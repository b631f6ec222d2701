package remotewrite

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"sync/atomic"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/seen"
)

// numbers knows texts by numbers that are the same in all bodies of a tenant,
// while the table of each body has them at other positions. A number that was
// given is not given again, also where its text is forgotten.
var (
	numbers    = seen.Cache[uint64]{Most: 64 << 20}
	lastNumber atomic.Uint64
)

// seen2 knows series by the numbers of their metadata and labels.
var seen2 = seen.Cache[identity]{Most: 64 << 20}

// symbol is where a text of the table stands in the body.
type symbol struct {
	from, to uint32
	number   uint64 // 0: not looked up
}

// unkept is the number of texts that are too long to be remembered.
const unkept = math.MaxUint64

// mostSymbols is more than the labels of the most series need that may be.
const mostSymbols = 1 << 21

// request2 reads a body of version 2.0. Symbols mostly come first, but need not.
func (d *Decoder) request2(b []byte) error {
	ordered, err := d.table(b)
	if err != nil {
		return err
	}
	for rest := b[ordered:]; len(rest) > 0; {
		number, content, next, ok := plainField(rest)
		if !ok {
			var kind protowire.Type
			if number, kind, content, next, ok = anyField(rest); !ok || number == 5 && kind != protowire.BytesType {
				return cutOff(d.at)
			}
		}
		rest = next
		if number == 5 {
			if err := d.series2(b, content); err != nil {
				return err
			}
		}
	}
	return nil
}

// table reads the symbols. It returns where the first series begins.
func (d *Decoder) table(b []byte) (first int, err error) {
	first = -1
	for rest := b; len(rest) > 0; {
		at := len(b) - len(rest)
		number, text, next, ok := plainField(rest)
		if !ok {
			var kind protowire.Type
			if number, kind, text, next, ok = anyField(rest); !ok || number == 4 && kind != protowire.BytesType {
				return 0, cutOff(0)
			}
		}
		rest = next
		switch number {
		case 4:
			if len(d.symbols) == mostSymbols {
				return 0, &Error{"body_too_large", "the request has more than " + strconv.Itoa(mostSymbols) + " symbols: send several"}
			}
			to := len(b) - len(rest)
			d.symbols = append(d.symbols, symbol{from: uint32(to - len(text)), to: uint32(to)})
		case 5:
			if first < 0 {
				first = at
			}
		case 1, 3:
			d.foreign = true
		}
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

// read reads metadata into m, which may have some already. It reports whether it
// could be read.
func (m *metadata2) read(b []byte) bool {
	for len(b) > 0 {
		number, kind, n := protowire.Number(b[0]>>3), protowire.Type(b[0]&7), 1
		if b[0] >= 0x80 || number == 0 {
			if number, kind, n = protowire.ConsumeTag(b); n < 0 {
				return false
			}
		}
		b = b[n:]
		if number != 1 && number != 3 && number != 4 {
			if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
				return false
			}
			b = b[n:]
			continue
		}
		v, n := protowire.ConsumeVarint(b)
		if n < 0 || kind != protowire.VarintType {
			return false
		}
		b = b[n:]
		switch number {
		case 1:
			m.kind = uint64(uint32(v))
		case 3:
			m.help = uint32(v)
		case 4:
			m.unit = uint32(v)
		}
	}
	return true
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
		number, content, rest, ok := plainField(b)
		if !ok {
			var kind protowire.Type
			number, kind, content, rest, ok = anyField(b)
			// References need not be packed.
			fits := kind == protowire.BytesType || number > 5 || number == 1 && kind == protowire.VarintType
			if !ok || !fits {
				return d.malformed("it is cut off, or no series")
			}
		}
		b = rest
		switch number {
		case 1:
			if !d.addRefs(content) {
				return d.malformed("references that are cut off")
			}
		case 2:
			if err := d.sample(content); err != nil {
				return err
			}
		case 3:
			histograms++
		case 4:
			d.exemplars++
		case 5:
			if !m.read(content) {
				return d.malformed("metadata that cannot be read")
			}
		}
	}
	d.refuseHistograms(histograms)
	c := d.add(from)
	if c == nil {
		return nil
	}
	if c.Refused = d.checkRefs(&m); c.Refused != "" {
		return nil
	}
	c.Labels, c.Properties, c.Refused = d.identity2(body, &m)
	return nil
}

// mostRefs is one more label than a channel may have.
const mostRefs = 2 * (model.MaxLabels + 1)

// addRefs reads positions of symbols, packed. It reports whether they could be
// read.
func (d *Decoder) addRefs(b []byte) bool {
	for i, c := range b {
		if c >= 0x80 {
			return d.addLongRefs(b[i:])
		}
		d.addRef(uint64(c))
	}
	return true
}

// addLongRefs reads positions that are not all below 128.
func (d *Decoder) addLongRefs(b []byte) bool {
	for len(b) > 0 {
		ref, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return false
		}
		d.addRef(ref)
		b = b[n:]
	}
	return true
}

// addRef notes the position of a symbol. Of too many, the first are enough, and
// whether they are pairs.
func (d *Decoder) addRef(ref uint64) {
	if len(d.refs) >= mostRefs+2 {
		d.refs = d.refs[:mostRefs]
	}
	d.refs = append(d.refs, uint32(ref))
}

// text returns a symbol. The caller has checked that there is one.
func (d *Decoder) text(body []byte, ref uint32) []byte {
	s := d.symbols[ref]
	return body[s.from:s.to]
}

// checkRefs says what is wrong with the references of a series.
func (d *Decoder) checkRefs(m *metadata2) (refused string) {
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
	return ""
}

func (d *Decoder) noSymbol(ref uint32) string {
	return "a reference to symbol " + strconv.FormatUint(uint64(ref), 10) + " of " + strconv.Itoa(len(d.symbols))
}

// makeKey writes down what a series is known by: the kind and how many labels
// there are, then the numbers of help, unit, names and values. It reports
// whether it can be remembered.
func (d *Decoder) makeKey(body []byte, m *metadata2) bool {
	const perText = 8 // bytes
	key := slices.Grow(d.key[:0], 2+perText*(2+len(d.refs)))[:2+perText*(2+len(d.refs))]
	d.key = key
	key[0], key[1] = byte(min(m.kind, uint64(len(kinds)))), byte(len(d.refs)/2)
	kept := true
	at := key[2:]
	for _, ref := range [...]uint32{m.help, m.unit} {
		number := uint64(0)
		if ref != 0 {
			number = d.numberOf(body, ref)
		}
		kept = kept && number != unkept
		binary.LittleEndian.PutUint64(at, number)
		at = at[perText:]
	}
	for _, ref := range d.refs {
		number := d.symbols[ref].number
		if number == 0 {
			number = d.numberOf(body, ref)
		}
		kept = kept && number != unkept
		binary.LittleEndian.PutUint64(at, number)
		at = at[perText:]
	}
	return kept
}

// numberOf returns the number of a symbol, which mostly follows the same as the
// last time.
func (d *Decoder) numberOf(body []byte, ref uint32) uint64 {
	s := &d.symbols[ref]
	if s.number != 0 {
		return s.number
	}
	text := body[s.from:s.to]
	known := numbers.After(d.symbol, text)
	if known == nil || known.Length() != len(text) {
		if known = numbers.Get(d.request.Tenant, text); known == nil {
			known = numbers.Put(d.request.Tenant, text, lastNumber.Add(1))
		}
		numbers.Follows(d.symbol, known)
	}
	d.symbol = known
	if s.number = unkept; known != nil {
		s.number = known.Value
	}
	return s.number
}

// identity2 returns what a series is whose references were checked.
func (d *Decoder) identity2(body []byte, m *metadata2) (labels model.Labels, properties *model.Properties, refused string) {
	before := d.before
	d.before = nil
	if !d.makeKey(body, m) {
		one, refused := d.newIdentity2(body, m)
		return one.labels, one.properties, refused
	}
	known := seen2.After(before, d.key)
	if known == nil || known.Length() != len(d.key) {
		if known = seen2.Get(d.request.Tenant, d.key); known == nil {
			one, refused := d.newIdentity2(body, m)
			if refused != "" {
				return one.labels, nil, refused
			}
			known = seen2.Put(d.request.Tenant, d.key, one) // such keys are never too long
		}
		seen2.Follows(before, known)
	}
	d.before = known
	return known.Value.labels, known.Value.properties, ""
}

// newIdentity2 makes what a series is from its texts.
func (d *Decoder) newIdentity2(body []byte, m *metadata2) (one identity, refused string) {
	d.labels = d.labels[:0]
	for i := 0; i < len(d.refs); i += 2 {
		name, value := d.text(body, d.refs[i]), d.text(body, d.refs[i+1])
		if longest := max(len(name), len(value)); longest > model.MaxLabelValueBytes {
			return one, "a label has " + strconv.Itoa(longest) + " bytes, at most " + strconv.Itoa(model.MaxLabelValueBytes) + ": " + quote(name)
		}
		d.addLabel(name, value)
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
	return one, ""
}
