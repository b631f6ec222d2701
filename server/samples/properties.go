package samples

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
)

// described are a channel's labels, or properties, as they come out of the
// body. refused says why they cannot be kept, "" if they can.
type described struct {
	labels     []model.Label
	properties model.Properties
	refused    string
}

// addLabel takes in a label. Of too many, one more than may be is enough.
func (d *described) addLabel(name, value []byte) {
	if len(d.labels) <= model.MaxLabels {
		d.labels = append(d.labels, model.Label{Name: string(name), Value: string(value)})
	}
}

// setProperty takes in a property other than decimals.
func (d *described) setProperty(name, value string) {
	p := &d.properties
	switch name {
	case "name":
		p.Name = value
	case "unit":
		p.Unit = value
	case "scaling":
		p.Scaling = value
	case "group":
		p.Group = value
	case "app":
		p.App = value
	}
	switch {
	case int64(len(value)) > policy.PropertyBytes.Default:
		d.refused = fmt.Sprintf("property %s has %d bytes, at most %d", name, len(value), policy.PropertyBytes.Default)
	case !utf8.ValidString(value):
		d.refused = "property " + name + " is not UTF-8: " + quote(value)
	}
}

func (d *described) setDecimals(n int64) {
	if n < 0 || n > 255 {
		d.refused = "property decimals is " + strconv.FormatInt(n, 10) + ", want 0 to 255"
		return
	}
	d.properties.Decimals, d.properties.HasDecimals = uint8(n), true
}

// setLabels gives c the labels, and keeps them for the bytes they came from.
func (c *channel) setLabels(tenant model.Tenant, d *described, raw []byte) *seen[model.Labels] {
	labels, err := model.NewLabels(d.labels...)
	if err != nil {
		c.refused = err.Error()
		return nil
	}
	c.labels = labels
	return labelsSeen.put(tenant, raw, labels)
}

func (c *channel) setProperties(tenant model.Tenant, d *described, raw []byte) {
	if d.refused != "" {
		c.refused = d.refused
		return
	}
	c.properties = &d.properties
	propertiesSeen.put(tenant, raw, c.properties)
}
