package otlp

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// attribute is the name and the value of one, as text.
type attribute struct{ name, value string }

// refusal is why attributes make no labels, though the body is well formed.
type refusal string

// Error implements error.
func (r refusal) Error() string { return string(r) }

// The attributes that name an instrument, the best first.
var instrumentNames = []string{"service.instance.id", "service.name", "host.name"}

// unknownService is what the semantic conventions call a service without a name.
const unknownService = "unknown_service"

// What begins the labels that are made from a scope, and those whose names are
// taken.
const (
	scopePrefix    = "otel_scope_"
	exportedPrefix = "exported_"
)

// newLabels makes the labels of a channel from the attributes of its data points,
// which are fields of a NumberDataPoint, and of the layers around them.
func (d *Decoder) newLabels(fields []byte) (labels model.Labels, refused string, err error) {
	if err := d.readLayers(); err != nil {
		return labels, "", err
	}
	if why := d.resource.refused + d.scope.refused; why != "" {
		return labels, why, nil
	}
	all := make([]attribute, 0, model.MaxLabels)
	for _, a := range d.resource.attributes {
		all = setAttribute(all, a)
	}
	for _, a := range d.scope.attributes {
		all = setAttribute(all, a)
	}
	all, err = appendAttributes(all, fields, 7, "")
	var why refusal
	if errors.As(err, &why) {
		return labels, string(why), nil
	}
	if err != nil {
		return labels, "", malformed("KeyValue", err)
	}
	list := append(labelList(all), model.Label{Name: model.ChannelLabel, Value: string(d.metric.name)},
		model.Label{Name: model.InstrumentLabel, Value: instrumentOf(d.resource.attributes)})
	if labels, err = model.NewLabels(list...); err != nil {
		return model.Labels{}, err.Error(), nil
	}
	return labels, "", nil
}

// readLayers reads the attributes of the resource and of the scope, if they were
// not read yet.
func (d *Decoder) readLayers() error {
	if !d.resource.read {
		if err := d.resource.readAttributes(1, ""); err != nil {
			return malformed("Resource", err)
		}
	}
	if d.scope.read {
		return nil
	}
	m := message{rest: d.scope.bytes}
	var name, version []byte
	for m.next() {
		switch {
		case m.isBytes(1):
			name = m.bytes
		case m.isBytes(2):
			version = m.bytes
		}
	}
	if m.err != nil {
		return malformed("InstrumentationScope", m.err)
	}
	if err := d.scope.readAttributes(3, scopePrefix); err != nil {
		return malformed("InstrumentationScope", err)
	}
	for _, a := range []attribute{{scopePrefix + "name", string(name)}, {scopePrefix + "version", string(version)}} {
		if a.value != "" {
			d.scope.attributes = setAttribute(d.scope.attributes, a)
		}
	}
	return nil
}

// readAttributes reads the fields of a layer with the given number.
func (l *layer) readAttributes(number protowire.Number, prefix string) (err error) {
	l.attributes, err = appendAttributes(l.attributes[:0], l.bytes, number, prefix)
	var why refusal
	if errors.As(err, &why) {
		l.refused, err = string(why), nil
	}
	l.read = err == nil
	return err
}

// appendAttributes appends those of the fields of b with the given number. It
// ends with a refusal where they can be no labels, above all where they are
// more than may be: what follows is not looked at then.
func appendAttributes(to []attribute, b []byte, number protowire.Number, prefix string) ([]attribute, error) {
	m := message{rest: b}
	for m.next() {
		if !m.isBytes(number) {
			continue
		}
		a, err := readAttribute(m.bytes)
		if err != nil {
			return to, err
		}
		if a.value == "" {
			continue
		}
		a.name = prefix + a.name
		if to = setAttribute(to, a); len(to) > model.MaxLabels {
			return to, refusal(fmt.Sprintf("it has more than %d attributes, of its resource and scope included", model.MaxLabels))
		}
	}
	return to, m.err
}

// readAttribute reads a KeyValue.
func readAttribute(b []byte) (a attribute, err error) {
	name, value, err := keyValue(b)
	if err != nil {
		return a, err
	}
	if len(name) > model.MaxLabelNameBytes {
		return a, refusal(fmt.Sprintf("an attribute's name has %d bytes, at most %d: %s", len(name), model.MaxLabelNameBytes, quote(name)))
	}
	text, err := appendText(nil, value)
	switch {
	case errors.Is(err, errTooLong):
		return a, refusal(fmt.Sprintf("attribute %s has more than %d bytes", quote(name), model.MaxLabelValueBytes))
	case errors.Is(err, errTooDeep):
		return a, refusal(fmt.Sprintf("attribute %s is nested deeper than %d", quote(name), mostNesting))
	case err != nil:
		return a, err
	case len(name) == 0 && len(text) > 0:
		return a, refusal("an attribute has no name")
	}
	return attribute{string(name), string(text)}, nil
}

// keyValue reads a KeyValue; the value is an AnyValue.
func keyValue(b []byte) (name, value []byte, err error) {
	var v part
	m := message{rest: b}
	for m.next() {
		switch {
		case m.isBytes(1):
			name = m.bytes
		case m.isBytes(2):
			v.add(m.bytes)
		}
	}
	return name, v.bytes, m.err
}

// setAttribute appends a, or puts it in place of the one of the same name.
func setAttribute(to []attribute, a attribute) []attribute {
	for i := range to {
		if to[i].name == a.name {
			to[i] = a
			return to
		}
	}
	return append(to, a)
}

// labelList turns attributes into labels, those of the same name into one.
func labelList(all []attribute) []model.Label {
	slices.SortFunc(all, func(a, b attribute) int { return strings.Compare(a.name, b.name) })
	list := make([]model.Label, 0, len(all)+2)
	for _, a := range all {
		name := labelName(a.name)
		if i := slices.IndexFunc(list, func(l model.Label) bool { return l.Name == name }); i >= 0 {
			list[i].Value += ";" + a.value
			continue
		}
		list = append(list, model.Label{Name: name, Value: a.value})
	}
	return list
}

// labelName turns the name of an attribute into one that a label may have.
func labelName(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
	switch {
	case clean == model.InstrumentLabel, clean == model.ChannelLabel:
		return exportedPrefix + clean
	case clean[0] >= '0' && clean[0] <= '9':
		return "key_" + clean
	}
	return clean
}

// instrumentOf returns what the resource with these attributes is called.
func instrumentOf(attributes []attribute) string {
	for _, name := range instrumentNames {
		for _, a := range attributes {
			if a.name == name {
				return a.value
			}
		}
	}
	return unknownService
}

// shortened returns text as a property, of as many bytes as that may have. What
// it describes is kept with less of it too.
func shortened(text []byte) string {
	most := int(policy.PropertyBytes.Default)
	if len(text) <= most && utf8.Valid(text) {
		return string(text)
	}
	return strings.ToValidUTF8(string(text[:min(len(text), most)]), "")
}

// quote quotes text for a message, cut to a readable length.
func quote(text []byte) string {
	const most = 40
	if len(text) > most {
		return strconv.Quote(string(text[:most])) + "…"
	}
	return strconv.Quote(string(text))
}
