package api

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/hokan-db/hokan/engine/model"
)

// Bulk is a body that may be large and writes its own JSON, several times
// faster than package json would. The bytes are the same.
type Bulk interface {
	// AppendJSON appends the body to dst.
	AppendJSON(dst []byte) ([]byte, error)
}

// rowBytes is about what a channel takes in an answer beside its texts.
const rowBytes = 256

// size is about how many bytes the channel takes in an answer of one row each.
func (c *Channel) size() int {
	p := &c.Properties
	return rowBytes + len(c.Labels.Encoded()) + len(p.Name) + len(p.Unit) + len(p.Scaling) + len(p.Group) + len(p.App)
}

// appendMembers appends the members of the channel.
func (c *Channel) appendMembers(dst []byte) ([]byte, error) {
	dst, err := appendLabels(appendName(dst, "labels"), c.Labels)
	if err != nil {
		return nil, err
	}
	if c.Properties == (Properties{}) {
		return append(appendName(dst, "properties"), "{}"...), nil
	}
	return appendMember(dst, "properties", c.Properties)
}

func appendLabels(dst []byte, labels model.Labels) ([]byte, error) {
	dst = append(dst, '{')
	for name, value := range labels.All() {
		dst = appendName(dst, name)
		if isPlain(value) {
			dst = append(append(append(dst, '"'), value...), '"')
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		dst = append(dst, text...)
	}
	return append(dst, '}'), nil
}

// isPlain reports whether text stands in JSON as it is.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

func appendOptional(dst []byte, n *int64) []byte {
	if n == nil {
		return append(dst, "null"...)
	}
	return strconv.AppendInt(dst, *n, 10)
}

// AppendJSON implements Bulk.
func (b *ChannelsBody) AppendJSON(dst []byte) ([]byte, error) {
	return appendRows(dst, b.Unit, b.Channels, func(c *ChannelRows) *Channel { return &c.Channel }, func(dst []byte, c *ChannelRows) []byte {
		dst = appendOptional(appendName(dst, "first"), c.First)
		dst = appendOptional(appendName(dst, "last"), c.Last)
		return strconv.AppendUint(appendName(dst, "samples"), c.Samples, 10)
	})
}

// AppendJSON implements Bulk.
func (b *LatestBody) AppendJSON(dst []byte) ([]byte, error) {
	return appendRows(dst, b.Unit, b.Channels, func(c *LatestRows) *Channel { return &c.Channel }, func(dst []byte, c *LatestRows) []byte {
		dst = appendOptional(appendName(dst, "time"), c.Time)
		return appendValue(appendName(dst, "value"), c.Value)
	})
}

// appendRows appends a body of one row a channel, in memory that is asked for
// once.
func appendRows[R any](dst []byte, unit string, rows []R, channel func(*R) *Channel, rest func([]byte, *R) []byte) (_ []byte, err error) {
	size := rowBytes
	for i := range rows {
		size += channel(&rows[i]).size()
	}
	dst = append(slices.Grow(dst, size), `{"unit":"`...)
	dst = append(append(dst, unit...), `","channels":[`...)
	for i := range rows {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = channel(&rows[i]).appendMembers(append(dst, '{')); err != nil {
			return nil, err
		}
		dst = append(rest(dst, &rows[i]), '}')
	}
	return append(dst, "]}"...), nil
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
	dst, err := c.appendMembers(append(dst, '{'))
	if err != nil {
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
