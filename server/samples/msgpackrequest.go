package samples

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/ingest/seen"
)

// mapOf reads a map; member reads the value of one member.
func (p *msgpackParser) mapOf(member func(name []byte) error) error {
	n, ok := p.counted(0x80, mpMap16, 2)
	if !ok {
		return p.fail("a map")
	}
	for range n {
		name, ok := p.str()
		if !ok {
			return p.fail("a name")
		}
		if err := member(name); err != nil {
			return err
		}
	}
	return nil
}

// begin notes which member is being read, and refuses one that is not known or
// was given before.
func (p *msgpackParser) begin(given *memberSet, members []string, name []byte) error {
	field, refusal := given.add(members, name)
	if refusal != "" {
		return p.failed(p.i, refusal)
	}
	p.field = field
	return nil
}

func (p *msgpackParser) top() error {
	var given memberSet
	err := p.mapOf(func(name []byte) error {
		if err := p.begin(&given, topMembers, name); err != nil {
			return err
		}
		var err error
		switch p.field {
		case "unit":
			err = p.unit()
		case "times":
			err = p.times(nil)
		case "channels":
			err = p.channels()
		}
		if err == nil {
			p.field = ""
		}
		return err
	})
	if err == nil && !given.has(topMembers, "channels") {
		return malformed("the request has no channels")
	}
	return err
}

func (p *msgpackParser) unit() error {
	if p.null() {
		return nil
	}
	text, ok := p.str()
	if !ok {
		return p.fail("a string")
	}
	p.r.unit = string(text)
	return nil
}

func (p *msgpackParser) channels() error {
	n, ok := p.counted(0x90, mpList16, 1)
	if !ok {
		return p.fail("a list")
	}
	for i := range n {
		p.channel, p.field = i, ""
		c, err := p.r.addChannel()
		if err == nil {
			err = p.oneChannel(c)
		}
		if err != nil {
			return err
		}
	}
	p.channel = -1
	return nil
}

func (p *msgpackParser) oneChannel(c *admit.Channel) error {
	var given memberSet
	err := p.mapOf(func(name []byte) error {
		if err := p.begin(&given, channelMembers, name); err != nil {
			return err
		}
		var err error
		switch p.field {
		case "labels":
			err = p.labels(c)
		case "properties":
			if !p.null() {
				err = p.properties(c)
			}
		case "times":
			err = p.times(c)
		case "values":
			err = p.values(c)
		}
		if err == nil {
			p.field = ""
		}
		return err
	})
	p.r.channelRead(given.has(channelMembers, "values"))
	if err == nil && !given.has(channelMembers, "labels") {
		return p.failed(p.i, "the channel has no labels")
	}
	return err
}

// labels reads a map of strings. Its bytes are found first: mostly they were
// seen before, after the same labels.
func (p *msgpackParser) labels(c *admit.Channel) error {
	if known := labelsSeen.After(p.labelsBefore, p.b[p.i:]); known != nil {
		p.i += known.Length()
		p.labelsBefore, c.Labels = known, known.Value
		return nil
	}
	start := p.i
	n, ok := p.counted(0x80, mpMap16, 2)
	if !ok {
		return p.fail("a map")
	}
	first := p.i
	for range 2 * n {
		if _, ok := p.str(); !ok {
			return p.fail("a string")
		}
	}
	raw := p.b[start:p.i]
	known := labelsSeen.Get(p.r.Tenant, raw)
	if known != nil {
		c.Labels = known.Value
	} else {
		known = p.newLabels(c, raw, first, n)
	}
	labelsSeen.Follows(p.labelsBefore, known)
	p.labelsBefore = known
	return nil
}

// newLabels reads n labels that were not seen before, from a place on.
func (p *msgpackParser) newLabels(c *admit.Channel, raw []byte, first, n int) *seen.Entry[model.Labels] {
	var d described
	p.i = first
	for range n {
		name, _ := p.str()
		value, _ := p.str()
		d.addLabel(name, value)
	}
	return setLabels(c, p.r.Tenant, &d, raw)
}

func (p *msgpackParser) properties(c *admit.Channel) error {
	start := p.i
	if n, ok := p.counted(0x80, mpMap16, 2); ok {
		for range n {
			p.str()
			if _, ok := p.str(); !ok {
				p.integer() // of decimals; what else there is, the map is not a known one
			}
		}
		if known := propertiesSeen.Get(p.r.Tenant, p.b[start:p.i]); known != nil {
			c.Properties = known.Value
			return nil
		}
	}
	p.i = start
	var d described
	var given memberSet
	err := p.mapOf(func(name []byte) error {
		property, refusal := given.add(propertyMembers, name)
		if refusal != "" {
			return p.failed(p.i, refusal)
		}
		if p.null() {
			return nil
		}
		if property == "decimals" {
			n, kind := p.integer()
			if kind != isGood {
				return p.fail("an integer")
			}
			d.setDecimals(n)
			return nil
		}
		value, ok := p.str()
		if !ok {
			return p.fail("a string")
		}
		d.setProperty(property, string(value))
		return nil
	})
	if err == nil {
		setProperties(c, p.r.Tenant, &d, p.b[start:p.i])
	}
	return err
}

// times reads a list of times, or binary, or nil.
func (p *msgpackParser) times(c *admit.Channel) error {
	if p.null() {
		return nil
	}
	r, from, oddFrom := p.r, len(p.r.integers), len(p.r.odd)
	if p.isBin() {
		content, err := p.bin()
		if err == nil {
			err = room(from, len(content)/8)
		}
		if err != nil {
			return err
		}
		r.integers = slices.Grow(r.integers, len(content)/8)
		for ; len(content) >= 8; content = content[8:] {
			r.integers = append(r.integers, int64(binary.LittleEndian.Uint64(content)))
		}
	} else {
		n, ok := p.counted(0x90, mpList16, 1)
		if !ok {
			return p.fail("a list or binary")
		}
		if err := room(from, n); err != nil {
			return err
		}
		for i := range n {
			start := p.i
			at, kind := p.integer()
			if kind == isOther {
				if _, kind = p.valueWord(); kind == isOther {
					return p.fail("an integer")
				}
				kind = isOdd
			}
			if kind == isOdd {
				r.odd = append(r.odd, admit.Odd{Index: int32(i), At: int32(start)})
			}
			r.integers = append(r.integers, at)
		}
	}
	r.addTimes(c, from, oddFrom)
	return nil
}

// values reads a list of values, or binary.
func (p *msgpackParser) values(c *admit.Channel) error {
	r, from, oddFrom := p.r, len(p.r.floats), len(p.r.odd)
	if p.isBin() {
		content, err := p.bin()
		if err == nil {
			err = room(from, len(content)/8)
		}
		if err != nil {
			return err
		}
		r.floats = slices.Grow(r.floats, len(content)/8)
		for ; len(content) >= 8; content = content[8:] {
			r.floats = append(r.floats, math.Float64frombits(binary.LittleEndian.Uint64(content)))
		}
	} else {
		n, ok := p.counted(0x90, mpList16, 1)
		if !ok {
			return p.fail("a list or binary")
		}
		if err := room(from, n); err != nil {
			return err
		}
		for i := range n {
			start := p.i
			value, kind := p.number()
			if kind == isOther {
				if value, kind = p.valueWord(); kind == isOther {
					return p.fail("a number, a string or nil")
				}
			}
			if kind != isGood {
				r.odd = append(r.odd, admit.Odd{Index: int32(i), At: int32(start), Null: kind == isNull})
			}
			r.floats = append(r.floats, value)
		}
	}
	r.setValues(c, from, oddFrom)
	return nil
}
