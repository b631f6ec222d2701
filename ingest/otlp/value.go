package otlp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hokan-db/hokan/engine/model"
)

// mostNesting is how deep lists and maps may be within the value of an attribute.
const mostNesting = 16

var (
	errTooDeep = errors.New("too deep")
	errTooLong = errors.New("too long")
)

// mostValueBytes bounds an encoded value whose text may be short enough for a
// label: no number takes more than eleven bytes for two of text.
const mostValueBytes = 8 * model.MaxLabelValueBytes

// appendText appends an AnyValue as text. What is longer than a label's value may
// be ends early, with errTooLong.
func appendText(to, b []byte) ([]byte, error) {
	if len(b) > mostValueBytes {
		return to, errTooLong
	}
	m, err := lastValue(b)
	if err == nil && m.number == stringField {
		to = append(to, m.bytes...)
	} else if err == nil && m.number != 0 {
		to, err = appendNested(to, &m, 0)
		if to != nil && (m.number == doubleField || m.number == bytesField) && to[0] == '"' {
			to = to[1 : len(to)-1]
		}
	}
	if err == nil && len(to) > model.MaxLabelValueBytes {
		err = errTooLong
	}
	return to, err
}

// The fields of an AnyValue.
const (
	stringField = 1
	boolField   = 2
	intField    = 3
	doubleField = 4
	listField   = 5
	mapField    = 6
	bytesField  = 7
)

// lastValue returns the field of an AnyValue that counts: the last. Its number is
// 0 where there is none.
func lastValue(b []byte) (last message, err error) {
	var whole part
	m := message{rest: b}
	for m.next() {
		switch {
		case m.isBytes(stringField), m.isVarint(boolField), m.isVarint(intField), m.isFixed64(doubleField), m.isBytes(bytesField):
			last = m
		case m.isBytes(listField), m.isBytes(mapField):
			if last.number != m.number {
				whole = part{}
			}
			whole.add(m.bytes)
			last = m
			last.bytes = whole.bytes
		}
	}
	return last, m.err
}

// appendNested appends a value as it is written in JSON.
func appendNested(to []byte, m *message, depth int) ([]byte, error) {
	switch m.number {
	case stringField:
		return appendQuoted(to, string(m.bytes)), nil
	case boolField:
		return strconv.AppendBool(to, m.word != 0), nil
	case intField:
		return strconv.AppendInt(to, int64(m.word), 10), nil
	case doubleField:
		return appendDouble(to, math.Float64frombits(m.word)), nil
	case bytesField:
		to = append(to, '"')
		return append(base64.StdEncoding.AppendEncode(to, m.bytes), '"'), nil
	case listField:
		return appendList(to, m.bytes, depth)
	case mapField:
		return appendMap(to, m.bytes, depth)
	}
	return append(to, "null"...), nil
}

// appendValue appends an AnyValue that is an element of another.
func appendValue(to, b []byte, depth int) ([]byte, error) {
	switch {
	case depth > mostNesting:
		return to, errTooDeep
	case len(to) > model.MaxLabelValueBytes:
		return to, errTooLong
	}
	m, err := lastValue(b)
	if err != nil {
		return to, err
	}
	return appendNested(to, &m, depth)
}

// appendList appends an ArrayValue.
func appendList(to, b []byte, depth int) (_ []byte, err error) {
	to = append(to, '[')
	first := true
	m := message{rest: b}
	for m.next() {
		if !m.isBytes(1) {
			continue
		}
		if !first {
			to = append(to, ',')
		}
		first = false
		if to, err = appendValue(to, m.bytes, depth+1); err != nil {
			return to, err
		}
	}
	return append(to, ']'), m.err
}

// appendMap appends a KeyValueList, in the order of the names. Of the same name
// the last counts.
func appendMap(to, b []byte, depth int) ([]byte, error) {
	type pair struct {
		name  string
		value []byte
	}
	var pairs []pair
	m := message{rest: b}
	for m.next() {
		if m.isBytes(1) {
			name, value, err := keyValue(m.bytes)
			if err != nil {
				return to, err
			}
			pairs = append(pairs, pair{string(name), value})
		}
	}
	if m.err != nil {
		return to, m.err
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	to = append(to, '{')
	first := true
	for i, p := range pairs {
		if i+1 < len(pairs) && pairs[i+1].name == p.name {
			continue
		}
		if !first {
			to = append(to, ',')
		}
		first = false
		to = append(appendQuoted(to, p.name), ':')
		var err error
		if to, err = appendValue(to, p.value, depth+1); err != nil {
			return to, err
		}
	}
	return append(to, '}'), nil
}

// appendQuoted appends text as a string of JSON.
func appendQuoted(to []byte, text string) []byte {
	var quoted bytes.Buffer
	e := json.NewEncoder(&quoted)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		return append(to, `""`...) // never: all text can be written
	}
	return append(to, bytes.TrimSuffix(quoted.Bytes(), []byte{'\n'})...)
}

// appendDouble appends a number as JSON has it, and in quotes what JSON has not.
func appendDouble(to []byte, v float64) []byte {
	switch {
	case math.IsNaN(v):
		return append(to, `"NaN"`...)
	case math.IsInf(v, 1):
		return append(to, `"Infinity"`...)
	case math.IsInf(v, -1):
		return append(to, `"-Infinity"`...)
	}
	number, err := json.Marshal(v)
	if err != nil {
		return append(to, "null"...) // never: all others are numbers of JSON
	}
	return append(to, number...)
}
