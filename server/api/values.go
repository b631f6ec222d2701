package api

import (
	"strconv"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/query"
)

// Value is a sample's value, or none. In JSON it is the shortest number that
// reads back to the same bits, a string where JSON has no number for it, or
// null.
type Value struct {
	Number float64
	Known  bool // false: no sample
}

func known(v float64) Value { return Value{v, true} }

func appendValue(dst []byte, v Value) []byte {
	if !v.Known {
		return append(dst, "null"...)
	}
	return query.AppendValue(dst, v.Number)
}

// MarshalJSON implements json.Marshaler.
func (v Value) MarshalJSON() ([]byte, error) { return appendValue(nil, v), nil }

// Text returns the value as tables and CSV have it, "" where there is none.
func (v Value) Text() string {
	if !v.Known {
		return ""
	}
	return string(query.AppendText(nil, v.Number))
}

// Values is a list of values.
type Values []Value

// MarshalJSON implements json.Marshaler.
func (v Values) MarshalJSON() ([]byte, error) { return appendValues(nil, v), nil }

func appendValues(dst []byte, v Values) []byte {
	dst = append(dst, '[')
	for i := range v {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendValue(dst, v[i])
	}
	return append(dst, ']')
}

// Rows are rows of cells, all of one length.
type Rows struct {
	width   int
	values  []float64 // row by row
	present []bool
}

// Len returns the number of rows.
func (r *Rows) Len() int { return len(r.values) / max(r.width, 1) }

// Row returns the cells of row i.
func (r *Rows) Row(i int) Values {
	cells := make(Values, r.width)
	for j := range cells {
		at := i*r.width + j
		cells[j] = Value{r.values[at], r.present[at]}
	}
	return cells
}

// MarshalJSON implements json.Marshaler.
func (r Rows) MarshalJSON() ([]byte, error) { return r.appendJSON(nil), nil }

func (r *Rows) appendJSON(dst []byte) []byte {
	dst = append(dst, '[')
	for i, v := range r.values {
		switch {
		case i == 0:
			dst = append(dst, '[')
		case i%r.width == 0:
			dst = append(dst, "],["...)
		default:
			dst = append(dst, ',')
		}
		dst = appendValue(dst, Value{v, r.present[i]})
	}
	if len(r.values) > 0 {
		dst = append(dst, ']')
	}
	return append(dst, ']')
}

// Properties are a channel's current properties; those that nothing was said
// of are left out.
type Properties struct {
	Name     string `json:"name,omitempty"`
	Unit     string `json:"unit,omitempty"`
	Decimals *uint8 `json:"decimals,omitempty"`
	Scaling  string `json:"scaling,omitempty"`
	Group    string `json:"group,omitempty"`
	App      string `json:"app,omitempty"`
}

// Channel names a channel in an answer.
type Channel struct {
	Labels     model.Labels `json:"labels"`
	Properties Properties   `json:"properties"`
}

func channelOf(c *model.Channel) Channel {
	p := c.History.Current()
	properties := Properties{Name: p.Name, Unit: p.Unit, Scaling: p.Scaling, Group: p.Group, App: p.App}
	if p.HasDecimals {
		properties.Decimals = &p.Decimals
	}
	return Channel{c.Labels, properties}
}

func channelsOf(channels []model.Channel) []Channel {
	all := make([]Channel, len(channels))
	for i := range channels {
		all[i] = channelOf(&channels[i])
	}
	return all
}

// optional returns nil for "": null in JSON.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func formatID(id uint64) string { return strconv.FormatUint(id, 10) }
