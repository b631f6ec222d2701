package model

import (
	"sort"
)

// ChannelID numbers a tenant's channels densely from 1, in the order in which
// they were first written. It is never reused; 0 is no channel.
type ChannelID uint32

// Properties describe a channel without being part of its identity: changing
// them keeps the history. The zero value says nothing.
type Properties struct {
	Name        string // what people call it: a comment, a place
	Unit        string // as the instrument prints it: "V", "C"
	Scaling     string // the scaling that the instrument applied, as text
	Group       string // measurement group
	App         string // the gateway that sends it
	Decimals    uint8  // digits after the point; only if HasDecimals
	HasDecimals bool
}

// Get returns the property called name as text, or "" where it is not set or
// is no property.
func (p *Properties) Get(name string) string {
	switch name {
	case "name":
		return p.Name
	case "unit":
		return p.Unit
	case "scaling":
		return p.Scaling
	case "group":
		return p.Group
	case "app":
		return p.App
	case "decimals":
		if p.HasDecimals {
			return itoa(p.Decimals)
		}
	}
	return ""
}

// IsProperty reports whether there is a property called name.
func IsProperty(name string) bool {
	switch name {
	case "name", "unit", "decimals", "scaling", "group", "app":
		return true
	}
	return false
}

func itoa(d uint8) string {
	if d >= 100 {
		return string([]byte{'0' + d/100, '0' + d/10%10, '0' + d%10})
	}
	if d >= 10 {
		return string([]byte{'0' + d/10, '0' + d%10})
	}
	return string([]byte{'0' + d})
}

// PropertyVersion is what a channel's properties were from ValidFrom on.
type PropertyVersion struct {
	ValidFrom int64 // nanoseconds since the epoch
	Properties
}

// History is a channel's properties over time: versions in strictly ascending
// order of ValidFrom, neighbours different. The first version also holds for
// all time before it. A History is never changed in place.
type History []PropertyVersion

// At returns the properties in force at t, the zero value if nothing was ever
// said.
func (h History) At(t int64) Properties {
	i := sort.Search(len(h), func(i int) bool { return h[i].ValidFrom > t })
	if len(h) == 0 {
		return Properties{}
	}
	return h[max(i-1, 0)].Properties
}

// Current returns the newest version, the zero value if there is none.
func (h History) Current() Properties {
	if len(h) == 0 {
		return Properties{}
	}
	return h[len(h)-1].Properties
}

// With returns the history after p was said to hold from validFrom on, up to
// the next version. It returns h itself where that is what h says already. A
// version that then repeats the one before it is forgotten.
func (h History) With(validFrom int64, p Properties) History {
	i := sort.Search(len(h), func(i int) bool { return h[i].ValidFrom >= validFrom })
	exact := i < len(h) && h[i].ValidFrom == validFrom
	if len(h) > 0 && h.At(validFrom) == p && (exact || i > 0) {
		return h
	}
	if len(h) > 0 && i == 0 && !exact && h[0].Properties == p {
		return h // the first version holds before itself too
	}
	next := make(History, 0, len(h)+1)
	next = append(next, h[:i]...)
	next = append(next, PropertyVersion{validFrom, p})
	if exact {
		i++
	}
	next = append(next, h[i:]...)
	return next.compact()
}

// compact drops versions that repeat the one before them.
func (h History) compact() History {
	kept := h[:1]
	for _, v := range h[1:] {
		if v.Properties != kept[len(kept)-1].Properties {
			kept = append(kept, v)
		}
	}
	return kept
}

// Channel is one measured or computed quantity of a tenant.
type Channel struct {
	ID      ChannelID
	Labels  Labels
	History History
}

// Get returns the label called name or, where there is none, the current
// property of that name: what selectors match.
func (c *Channel) Get(name string) string {
	if v := c.Labels.Get(name); v != "" {
		return v
	}
	p := c.History.Current()
	return p.Get(name)
}

// Definition is what a log entry says of a channel: that it exists, and what
// its properties are from a time on. Properties may be absent (nil).
type Definition struct {
	ID         ChannelID
	Labels     Labels
	Properties *Properties
	ValidFrom  int64
}
