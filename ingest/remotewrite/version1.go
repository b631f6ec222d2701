package remotewrite

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/seen"
)

// seen1 knows series by the bytes of their labels.
var seen1 = seen.Cache[identity]{Most: 64 << 20}

// writeRequest reads a body of version 1.0.
func (d *Decoder) writeRequest(b []byte) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return cutOff(d.at)
		}
		b = b[n:]
		if (number == 1 || number == 3) && kind != protowire.BytesType {
			return cutOff(d.at)
		}
		switch number {
		case 1, 3:
			content, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return cutOff(d.at)
			}
			b = b[n:]
			read := d.series1
			if number == 3 {
				read = d.metadata1
			}
			if err := read(content); err != nil {
				return err
			}
		default:
			d.foreign = d.foreign || number == 4 || number == 5
			if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
				return cutOff(d.at)
			}
			b = b[n:]
		}
	}
	return nil
}

// series1 reads a series: its labels, which mostly come first and were seen
// before, after the same series as now.
func (d *Decoder) series1(b []byte) error {
	from, err := d.nextSeries()
	if err != nil {
		return err
	}
	known := seen1.After(d.before, b)
	var raw, rest []byte
	if known != nil && !beginsLabel(b[known.Length():]) {
		raw, rest = b[:known.Length()], b[known.Length():]
	} else {
		known = nil
		if raw, rest, err = d.labelRun(b); err != nil {
			return err
		}
	}
	scattered, histograms, err := d.samples1(rest)
	if err != nil {
		return err
	}
	d.refuseHistograms(histograms)
	c := d.add(from)
	switch {
	case c == nil:
		return nil // nothing to keep
	case scattered:
		raw, known = b, nil
		d.before = nil
	case known == nil:
		known = seen1.Get(d.request.Tenant, raw)
	}
	if known == nil {
		var refused string
		var one identity
		if one, refused, err = d.identity1(raw); err != nil {
			return err
		}
		if c.Refused = refused; refused != "" {
			return nil
		}
		c.Labels, c.Properties = one.labels, one.current()
		if scattered {
			return nil
		}
		known = seen1.Put(d.request.Tenant, raw, one)
	} else {
		c.Labels, c.Properties = known.Value.labels, known.Value.current()
	}
	if known != d.before {
		seen1.Follows(d.before, known)
	}
	d.before = known
	return nil
}

// beginsLabel reports whether another label begins here.
func beginsLabel(b []byte) bool { return len(b) > 0 && b[0] == tag1Bytes }

// labelRun splits a series behind the labels that it begins with.
func (d *Decoder) labelRun(b []byte) (labels, rest []byte, err error) {
	rest = b
	for beginsLabel(rest) {
		_, n := protowire.ConsumeBytes(rest[1:])
		if n < 0 {
			return nil, nil, d.malformed("a label that is cut off")
		}
		rest = rest[1+n:]
	}
	return b[:len(b)-len(rest)], rest, nil
}

// samples1 reads what follows the labels of a series. It reports whether there
// are more labels behind.
func (d *Decoder) samples1(b []byte) (scattered bool, histograms int, err error) {
	for len(b) > 0 {
		if content, rest, ok := plainBytes(b, tag2Bytes); ok {
			if err := d.sample(content); err != nil {
				return false, 0, err
			}
			b = rest
			continue
		}
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false, 0, d.malformed("it is cut off")
		}
		b = b[n:]
		if number > 4 {
			if n = protowire.ConsumeFieldValue(number, kind, b); n < 0 {
				return false, 0, d.malformed("it is cut off")
			}
			b = b[n:]
			continue
		}
		content, n := protowire.ConsumeBytes(b)
		if n < 0 || kind != protowire.BytesType {
			return false, 0, d.malformed("it is cut off, or no series")
		}
		b = b[n:]
		switch number {
		case 1:
			scattered = true
		case 2:
			if err := d.sample(content); err != nil {
				return false, 0, err
			}
		case 3:
			d.exemplars++
		case 4:
			histograms++
		}
	}
	return scattered, histograms, nil
}

// identity1 reads the labels of a series that was not seen before, and says why
// they cannot be kept.
func (d *Decoder) identity1(b []byte) (one identity, refused string, err error) {
	d.labels = d.labels[:0]
	ok := fields(b, func(number protowire.Number, _ protowire.Type, content []byte, _ uint64) bool {
		if number != 1 {
			return true
		}
		var name, value []byte
		ok := fields(content, func(number protowire.Number, kind protowire.Type, text []byte, _ uint64) bool {
			switch number {
			case 1:
				name = text
			case 2:
				value = text
			default:
				return true
			}
			return kind == protowire.BytesType
		})
		d.addLabel(name, value)
		return ok
	})
	if !ok {
		return identity{}, "", d.malformed("a label that cannot be read")
	}
	one.labels, refused = identify(d.labels)
	if refused == "" {
		one.families = familiesOf(d.request.Tenant, one.labels.Channel())
	}
	return one, refused, nil
}

// addLabel takes in a label. Of too many, one more than may be is enough.
func (d *Decoder) addLabel(name, value []byte) {
	if len(d.labels) <= model.MaxLabels {
		d.labels = append(d.labels, model.Label{Name: string(name), Value: string(value)})
	}
}

// metadata1 remembers what is said of a metric's name.
func (d *Decoder) metadata1(b []byte) error {
	var kind uint64
	var name, help, unit []byte
	ok := fields(b, func(number protowire.Number, wire protowire.Type, text []byte, v uint64) bool {
		want := protowire.BytesType
		switch number {
		case 1:
			kind, want = v, protowire.VarintType
		case 2:
			name = text
		case 4:
			help = text
		case 5:
			unit = text
		default:
			return true
		}
		return wire == want
	})
	if !ok {
		return &Error{"malformed", "metadata that cannot be read"}
	}
	if properties := propertiesOf(kind, help, unit); properties != nil {
		remember(d.request.Tenant, name, properties)
	}
	return nil
}
