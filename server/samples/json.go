package samples

import (
	"strconv"

	"github.com/hokan-db/hokan/ingest/admit"
)

// decodeJSON reads r.body. It is a parser for this one form, so that no sample
// costs memory of its own.
func decodeJSON(r *request) error {
	p := jsonParser{jsonText: jsonText{b: r.body.Bytes, channel: -1}, r: r}
	r.describe = describeJSON
	if err := p.top(); err != nil {
		return err
	}
	p.blanks()
	if p.i < len(p.b) {
		return p.fail("the end")
	}
	return nil
}

type jsonParser struct {
	jsonText
	r *request
}

// each reads the elements of an object or a list that begins with open and
// ends with end; element reads one.
func (p *jsonParser) each(open, end byte, want string, element func() error) error {
	if !p.take(open) {
		return p.fail(want)
	}
	if p.take(end) {
		return nil
	}
	for {
		p.blanks()
		if err := element(); err != nil {
			return err
		}
		if p.take(end) {
			return nil
		}
		if !p.take(',') {
			return p.fail("a comma or " + strconv.Quote(string(end)))
		}
	}
}

// object reads an object; member reads the value of one member.
func (p *jsonParser) object(member func(name []byte) error) error {
	return p.each('{', '}', "an object", func() error {
		name, err := p.text("a name in quotes")
		if err != nil {
			return err
		}
		if !p.take(':') {
			return p.fail("a colon")
		}
		p.blanks()
		return member(name)
	})
}

// begin notes which member is being read, and refuses one that is not known or
// was given before.
func (p *jsonParser) begin(given *memberSet, members []string, name []byte) error {
	field, refusal := given.add(members, name)
	if refusal != "" {
		return p.failed(p.i, refusal)
	}
	p.field = field
	return nil
}

func (p *jsonParser) top() error {
	var given memberSet
	err := p.object(func(name []byte) error {
		if err := p.begin(&given, topMembers, name); err != nil {
			return err
		}
		var err error
		switch p.field {
		case "unit":
			if !p.word("null") {
				var unit []byte
				unit, err = p.text("a string")
				p.r.unit = string(unit)
			}
		case "times":
			err = p.times(nil)
		case "channels":
			err = p.each('[', ']', "a list", p.oneChannel)
			p.channel = -1
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

func (p *jsonParser) oneChannel() error {
	p.channel, p.field = p.channel+1, ""
	c, err := p.r.addChannel()
	if err != nil {
		return err
	}
	var given memberSet
	err = p.object(func(name []byte) error {
		if err := p.begin(&given, channelMembers, name); err != nil {
			return err
		}
		var err error
		switch p.field {
		case "labels":
			err = p.labels(c)
		case "properties":
			if !p.word("null") {
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

func (p *jsonParser) labels(c *admit.Channel) error {
	raw := p.extent()
	if known := labelsSeen.Get(p.r.Tenant, raw); known != nil {
		c.Labels, p.i = known.Value, p.i+len(raw)
		return nil
	}
	var d described
	err := p.object(func(name []byte) error {
		value, err := p.text("a string")
		d.addLabel(name, value)
		return err
	})
	if err == nil {
		setLabels(c, p.r.Tenant, &d, raw)
	}
	return err
}

func (p *jsonParser) properties(c *admit.Channel) error {
	raw := p.extent()
	if known := propertiesSeen.Get(p.r.Tenant, raw); known != nil {
		c.Properties, p.i = known.Value, p.i+len(raw)
		return nil
	}
	var d described
	var given memberSet
	err := p.object(func(name []byte) error {
		property, refusal := given.add(propertyMembers, name)
		if refusal != "" {
			return p.failed(p.i, refusal)
		}
		if p.word("null") {
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
		value, err := p.text("a string")
		d.setProperty(property, string(value))
		return err
	})
	if err == nil {
		setProperties(c, p.r.Tenant, &d, raw)
	}
	return err
}

// times reads a list of times, or null.
func (p *jsonParser) times(c *admit.Channel) error {
	if p.word("null") {
		return nil
	}
	r, from, oddFrom := p.r, len(p.r.integers), len(p.r.odd)
	err := p.each('[', ']', "a list", func() error {
		start := p.i
		n, kind := p.integer()
		if kind == isOther {
			if _, kind = p.valueWord(); kind == isOther {
				return p.fail("an integer")
			}
			kind = isOdd
		}
		if kind == isOdd {
			r.odd = append(r.odd, admit.Odd{Index: int32(len(r.integers) - from), At: int32(start)})
		}
		r.integers = append(r.integers, n)
		return room(len(r.integers), 0)
	})
	r.addTimes(c, from, oddFrom)
	return err
}

// values reads a list of values.
func (p *jsonParser) values(c *admit.Channel) error {
	r, from, oddFrom := p.r, len(p.r.floats), len(p.r.odd)
	err := p.each('[', ']', "a list", func() error {
		start := p.i
		n, kind := p.number()
		if kind == isOther {
			if n, kind = p.valueWord(); kind == isOther {
				return p.fail("a number, a string or null")
			}
		}
		if kind != isGood {
			r.odd = append(r.odd, admit.Odd{Index: int32(len(r.floats) - from), At: int32(start), Null: kind == isNull})
		}
		r.floats = append(r.floats, n)
		return room(len(r.floats), 0)
	})
	r.setValues(c, from, oddFrom)
	return err
}
