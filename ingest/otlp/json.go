package otlp

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// A body as JSON is written as protobuf first, member by member, so that one
// decoder says what it means. Members may come in any order in both.

// form is how a member is written.
type form uint8

const (
	isText     form = iota
	isBase64        // bytes
	isMessage       // an object
	isMessages      // a list of objects
	isBool
	isInt      // int64 as a varint
	isUnsigned // uint64 in 8 bytes
	isSigned   // int64 in 8 bytes
	isDouble
	isEnum // a number, or one of names
)

// member is one of an object that is read; all others are passed over.
type member struct {
	name   string
	number protowire.Number
	form   form
	object *object  // of isMessage and isMessages
	names  []string // of isEnum, by their numbers
}

// object is a protobuf message as JSON writes it.
type object struct{ members []member }

var temporalities = []string{
	"AGGREGATION_TEMPORALITY_UNSPECIFIED", "AGGREGATION_TEMPORALITY_DELTA", "AGGREGATION_TEMPORALITY_CUMULATIVE",
}

// requestObject is the whole body.
var requestObject = makeObjects()

// makeObjects returns the object of an ExportMetricsServiceRequest.
func makeObjects() *object {
	anyValue, keyValue := &object{}, &object{}
	list := &object{[]member{{name: "values", number: 1, form: isMessages, object: anyValue}}}
	pairs := &object{[]member{{name: "values", number: 1, form: isMessages, object: keyValue}}}
	anyValue.members = []member{
		{name: "stringValue", number: stringField}, {name: "boolValue", number: boolField, form: isBool},
		{name: "intValue", number: intField, form: isInt}, {name: "doubleValue", number: doubleField, form: isDouble},
		{name: "arrayValue", number: listField, form: isMessage, object: list},
		{name: "kvlistValue", number: mapField, form: isMessage, object: pairs},
		{name: "bytesValue", number: bytesField, form: isBase64},
	}
	keyValue.members = []member{{name: "key", number: 1}, {name: "value", number: 2, form: isMessage, object: anyValue}}
	messages := func(name string, number protowire.Number, members ...member) member {
		return member{name: name, number: number, form: isMessages, object: &object{members}}
	}
	message := func(name string, number protowire.Number, members ...member) member {
		return member{name: name, number: number, form: isMessage, object: &object{members}}
	}
	attributes := func(number protowire.Number) member {
		return member{name: "attributes", number: number, form: isMessages, object: keyValue}
	}
	points := messages("dataPoints", 1, attributes(7),
		member{name: "timeUnixNano", number: 3, form: isUnsigned}, member{name: "asDouble", number: 4, form: isDouble},
		member{name: "asInt", number: 6, form: isSigned}, member{name: "flags", number: 8, form: isInt})
	counted := messages("dataPoints", 1)
	metrics := messages("metrics", 2, member{name: "name", number: 1}, member{name: "description", number: 2},
		member{name: "unit", number: 3}, message("gauge", gaugeField, points),
		message("sum", sumField, points, member{name: "aggregationTemporality", number: 2, form: isEnum, names: temporalities},
			member{name: "isMonotonic", number: 3, form: isBool}),
		message("histogram", histogramField, counted), message("exponentialHistogram", exponentialHistogramField, counted),
		message("summary", summaryField, counted))
	scopes := messages("scopeMetrics", 2,
		message("scope", 1, member{name: "name", number: 1}, member{name: "version", number: 2}, attributes(3)), metrics)
	return &object{[]member{messages("resourceMetrics", 1, message("resource", 1, attributes(1)), scopes)}}
}

// find returns the member of a name, nil if it is none. Names as they are in the
// protobuf definition, resource_metrics for resourceMetrics, are known too.
func (o *object) find(name []byte) *member {
	for i := range o.members {
		if o.members[i].name == string(name) {
			return &o.members[i]
		}
	}
	for i := range o.members {
		if isSnake(name, o.members[i].name) {
			return &o.members[i]
		}
	}
	return nil
}

// isSnake reports whether name is the other one with an underscore and a small
// letter for each capital.
func isSnake(name []byte, other string) bool {
	i := 0
	for _, c := range []byte(other) {
		if c >= 'A' && c <= 'Z' {
			if i >= len(name) || name[i] != '_' {
				return false
			}
			i++
			c += 'a' - 'A'
		}
		if i >= len(name) || name[i] != c {
			return false
		}
		i++
	}
	return i == len(name)
}

// transcoder writes JSON as protobuf.
type transcoder struct {
	scanner
	out []byte
}

// transcode appends to out, which is empty, what body is as protobuf.
func transcode(out, body []byte) ([]byte, error) {
	t := transcoder{scanner: scanner{b: body}, out: out}
	t.blanks()
	if err := t.object(requestObject, 0); err != nil {
		return t.out, err
	}
	if t.blanks(); t.i < len(t.b) {
		return t.out, t.fail("the end")
	}
	return t.out, nil
}

// mostDepth is how deep a body may be nested. It is more than an attribute's value
// may.
const mostDepth = 100

// object reads an object, and writes its members one after the other.
func (t *transcoder) object(o *object, depth int) error {
	if depth > mostDepth {
		return t.failed(fmt.Sprintf("nested deeper than %d", mostDepth))
	}
	if !t.take('{') {
		return t.fail("an object")
	}
	if t.take('}') {
		return nil
	}
	for {
		name, err := t.name()
		if err != nil {
			return err
		}
		m := o.find(name)
		switch {
		case m == nil:
			err = t.skip(depth + 1)
		case !t.word("null"):
			err = t.member(m, depth)
		}
		if err != nil {
			return err
		}
		if t.take('}') {
			return nil
		}
		if !t.take(',') {
			return t.fail("a comma or }")
		}
	}
}

// member reads the value of a member.
func (t *transcoder) member(m *member, depth int) error {
	switch m.form {
	case isMessage:
		return t.message(m, depth)
	case isMessages:
		return t.messages(m, depth)
	case isText:
		text, err := t.text()
		t.tag(m, protowire.BytesType)
		t.out = protowire.AppendBytes(t.out, text)
		return err
	case isBase64:
		return t.base64(m)
	}
	t.tag(m, wireTypes[m.form])
	switch m.form {
	case isBool:
		yes := t.word("true")
		if !yes && !t.word("false") {
			return t.fail("true or false")
		}
		t.out = protowire.AppendVarint(t.out, protowire.EncodeBool(yes))
	case isInt:
		n, err := t.integer()
		t.out = protowire.AppendVarint(t.out, uint64(n))
		return err
	case isSigned:
		n, err := t.integer()
		t.out = binary.LittleEndian.AppendUint64(t.out, uint64(n))
		return err
	case isUnsigned:
		n, err := t.unsigned()
		t.out = binary.LittleEndian.AppendUint64(t.out, n)
		return err
	case isDouble:
		v, err := t.double()
		t.out = binary.LittleEndian.AppendUint64(t.out, math.Float64bits(v))
		return err
	case isEnum:
		return t.enum(m.names)
	}
	return nil
}

var wireTypes = [...]protowire.Type{
	isBool: protowire.VarintType, isInt: protowire.VarintType, isEnum: protowire.VarintType,
	isUnsigned: protowire.Fixed64Type, isSigned: protowire.Fixed64Type, isDouble: protowire.Fixed64Type,
}

func (t *transcoder) tag(m *member, kind protowire.Type) {
	t.out = protowire.AppendTag(t.out, m.number, kind)
}

// lengthBytes is how many bytes stand before a message: its length, which is not
// known yet when they are written, as a varint that is longer than it need be.
const lengthBytes = 4

// message reads an object.
func (t *transcoder) message(m *member, depth int) error {
	t.tag(m, protowire.BytesType)
	from := len(t.out) + lengthBytes
	t.out = append(t.out, 0x80, 0x80, 0x80, 0)
	if err := t.object(m.object, depth+1); err != nil {
		return err
	}
	n := len(t.out) - from
	if n >= 1<<(7*lengthBytes) {
		return fmt.Errorf("%w: the request has too many bytes: send several", ErrTooLarge)
	}
	length := t.out[from-lengthBytes : from]
	for i := range length {
		length[i] |= byte(n>>(7*i)) & 0x7f
	}
	return nil
}

// messages reads a list of objects.
func (t *transcoder) messages(m *member, depth int) error {
	if !t.take('[') {
		return t.fail("a list")
	}
	if t.take(']') {
		return nil
	}
	for {
		t.blanks()
		if err := t.message(m, depth+1); err != nil {
			return err
		}
		if t.take(']') {
			return nil
		}
		if !t.take(',') {
			return t.fail("a comma or ]")
		}
	}
}

// base64 reads bytes, in either alphabet, with or without what fills up the end.
func (t *transcoder) base64(m *member) error {
	text, err := t.text()
	if err != nil {
		return err
	}
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(string(text), "="))
	decoded, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil {
		return t.failed("a string that is no base64")
	}
	t.tag(m, protowire.BytesType)
	t.out = protowire.AppendBytes(t.out, decoded)
	return nil
}

// enum reads a number, or one of the names of them.
func (t *transcoder) enum(names []string) error {
	if t.i < len(t.b) && t.b[t.i] == '"' {
		from := t.i
		text, err := t.text()
		if err != nil {
			return err
		}
		for n, name := range names {
			if name == string(text) {
				t.out = protowire.AppendVarint(t.out, uint64(n))
				return nil
			}
		}
		t.i = from
	}
	n, err := t.integer()
	t.out = protowire.AppendVarint(t.out, uint64(n))
	return err
}
