package api

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Bulk is a body that may be large and writes its own JSON, several times
// faster than package json would. The bytes are the same.
type Bulk interface {
	// AppendJSON appends the body to dst.
	AppendJSON(dst []byte) ([]byte, error)
}

// appendMember appends `"name":` and v as package json writes it, after a
// comma unless it is the first.
func appendMember(dst []byte, name string, v any) ([]byte, error) {
	text, err := marshal(v)
	if err != nil {
		return nil, err
	}
	return append(appendName(dst, name), text...), nil
}

func appendName(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, '"')
	dst = append(dst, name...)
	return append(dst, '"', ':')
}

func appendIntegers[N int64 | uint64](dst []byte, numbers []N) []byte {
	dst = append(dst, '[')
	for i, n := range numbers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(n), 10) // counts are far below 2^63
	}
	return append(dst, ']')
}

// AppendJSON implements Bulk.
func (b *ViewBody) AppendJSON(dst []byte) ([]byte, error) {
	dst = append(dst, `{"unit":"`...)
	dst = append(dst, b.Unit...)
	dst = strconv.AppendInt(append(dst, `","from":`...), b.From, 10)
	dst = strconv.AppendInt(append(dst, `,"width":`...), b.Width, 10)
	dst = append(dst, `,"source":"`...)
	dst = append(dst, b.Source...)
	dst = append(dst, `","channels":[`...)
	for i := range b.Channels {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = b.Channels[i].appendJSON(dst); err != nil {
			return nil, err
		}
	}
	return append(dst, "]}"...), nil
}

func (c *ViewChannel) appendJSON(dst []byte) ([]byte, error) {
	dst, err := appendMember(append(dst, '{'), "labels", c.Labels)
	if err != nil {
		return nil, err
	}
	if dst, err = appendMember(dst, "properties", c.Properties); err != nil {
		return nil, err
	}
	names := viewLists
	for _, list := range [][]uint64{c.Count, c.Quality} {
		if list != nil {
			dst = appendIntegers(appendName(dst, names[0]), list)
		}
		names = names[1:]
	}
	for i, list := range []Values{c.Min, c.Max, c.Mean, c.Sum, c.First, c.Last} {
		if list != nil {
			dst = appendValues(appendName(dst, names[i]), list)
		}
	}
	return append(dst, '}'), nil
}

// AppendJSON implements Bulk.
func (b *TableBody) AppendJSON(dst []byte) ([]byte, error) {
	dst = append(dst, `{"unit":"`...)
	dst = append(dst, b.Unit...)
	dst, err := appendMember(append(dst, '"'), "channels", b.Channels)
	if err != nil {
		return nil, err
	}
	dst = appendIntegers(appendName(dst, "times"), b.Times)
	dst = b.Rows.appendJSON(appendName(dst, "rows"))
	if dst, err = appendMember(dst, "next", b.Next); err != nil {
		return nil, err
	}
	return append(dst, '}'), nil
}

// AppendBody appends any answer's JSON to dst.
func AppendBody(dst []byte, body any) ([]byte, error) {
	if bulk, ok := body.(Bulk); ok {
		return bulk.AppendJSON(dst)
	}
	text, err := marshal(body)
	return append(dst, text...), err
}

// marshal writes v in one line; < > & stay as they are, since no answer is
// put into HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
}
