package samples

import (
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/ingest/seen"
)

// Gateways send the same labels and properties for ever: what was made from
// their bytes once is kept.
var (
	labelsSeen     = seen.Cache[model.Labels]{Most: 64 << 20}
	propertiesSeen = seen.Cache[*model.Properties]{Most: 4 << 20}
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
func setLabels(c *admit.Channel, tenant model.Tenant, d *described, raw []byte) *seen.Entry[model.Labels] {
	labels, err := model.NewLabels(d.labels...)
	if err != nil {
		c.Refused = err.Error()
		return nil
	}
	c.Labels = labels
	return labelsSeen.Put(tenant, raw, labels)
}

func setProperties(c *admit.Channel, tenant model.Tenant, d *described, raw []byte) {
	if d.refused != "" {
		c.Refused = d.refused
		return
	}
	c.Properties = &d.properties
	propertiesSeen.Put(tenant, raw, c.Properties)
}
