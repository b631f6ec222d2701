package remotewrite

import (
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/ingest/seen"
)

// kinds are the words for types of metrics, by their numbers in both versions;
// "" is not said.
var kinds = [...]string{"", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"}

// propertiesOf returns what metadata says, nil where it says nothing.
func propertiesOf(kind uint64, help, unit []byte) *model.Properties {
	p := model.Properties{Name: property(help), Unit: property(unit)}
	if kind < uint64(len(kinds)) {
		p.Scaling = kinds[kind]
	}
	if p == (model.Properties{}) {
		return nil
	}
	return &p
}

// property returns text as a property may have it.
func property(text []byte) string {
	most := int(policy.PropertyBytes.Default)
	// Of what is too long, a little more than may be is enough.
	valid := strings.ToValidUTF8(string(text[:min(len(text), most+utf8.UTFMax)]), "?")
	return cut(valid, most)
}

// family is what is known of a metric by its name.
type family struct {
	properties atomic.Pointer[model.Properties]
}

// familiesSeen knows families by their names. They are only forgotten when no
// metadata comes for them while many others come.
var familiesSeen = seen.Cache[*family]{Most: 32 << 20}

// familyOf returns a tenant's family of a name.
func familyOf(tenant model.Tenant, name []byte) *family {
	known := familiesSeen.Get(tenant, name)
	if known == nil {
		known = familiesSeen.Put(tenant, name, &family{})
	}
	if known == nil {
		return nil // its name is too long to be a channel's
	}
	return known.Value
}

// parts end the names of series that are parts of a family.
var parts = [...]string{"_total", "_bucket", "_count", "_sum", "_info", "_created"}

// familiesOf returns the families that a channel may be of: that of its own name,
// and that of which its name is a part.
func familiesOf(tenant model.Tenant, channel string) (families [2]*family) {
	families[0] = familyOf(tenant, []byte(channel))
	for _, part := range parts {
		if whole, ok := strings.CutSuffix(channel, part); ok && whole != "" {
			families[1] = familyOf(tenant, []byte(whole))
		}
	}
	return families
}

// remember notes what is said of a name. Where several programs have one metric
// with other help texts, they come in turns for ever: the first stays.
func remember(tenant model.Tenant, name []byte, p *model.Properties) {
	f := familyOf(tenant, name)
	if f == nil {
		return
	}
	before := f.properties.Load()
	if before == nil || before.Unit != p.Unit || before.Scaling != p.Scaling || before.Name == "" {
		f.properties.Store(p)
	}
}

// cut returns the beginning of text, of at most so many bytes, without a part of
// a character.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}
