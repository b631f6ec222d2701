package lineprotocol

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/ingest/admit"
)

// What tags mean.
const (
	hostTag       = "host"
	plainField    = "value"            // whose channel has the measurement's name alone
	movedChannel  = "exported_channel" // the label of a tag that is named channel
	mostLabelsOfA = model.MaxLabels    // labels that are looked at: any more are refused anyway
)

// head is the measurement and the tags of a line.
type head struct {
	text        string // as it stands in a line
	read        bool   // into what follows
	measurement string
	instrument  string
	tags        []model.Label
}

// numbers counts what is known of channels.
var numbers atomic.Uint64

// find returns the channel of a field of the line with d.head: its entry in the
// cache, or where no cache keeps it, what is known of it.
func (d *Decoder) find(field []byte) (*entry, known, error) {
	d.key = append(append(append(append(d.key[:0], d.head.text...), ' '), field...), '=')
	if e := channelsSeen.Get(d.request.Tenant, d.key); e != nil {
		return e, e.Value, nil
	}
	k := known{head: len(d.head.text) + 1, number: numbers.Add(1)}
	if !d.head.read {
		d.head.parse()
	}
	channel := d.head.measurement
	if name := unescape(field, escapedInTags); name != plainField {
		channel += "." + name
	}
	if d.labels += len(d.key); int64(d.labels) > policy.BodyBytes.Default {
		return nil, known{}, fmt.Errorf("%w: its channels have too long names: send several", ErrTooLarge)
	}
	labels, err := model.NewLabels(append(d.head.tags,
		model.Label{Name: model.InstrumentLabel, Value: d.head.instrument}, model.Label{Name: model.ChannelLabel, Value: channel})...)
	if k.labels = labels; err != nil {
		k.refused = err.Error()
	}
	return channelsSeen.Put(d.request.Tenant, d.key, k), k, nil
}

// parse reads the text, which is known to be well formed.
func (h *head) parse() {
	text := []byte(h.text)
	end := scan(text, 0, inMeasurement)
	h.measurement, h.tags, h.read = unescape(text[:end], escapedInMeasurement), h.tags[:0], true
	host := ""
	for h.instrument = ""; end < len(text) && len(h.tags) <= mostLabelsOfA; {
		equals := scan(text, end+1, inTag)
		name := unescape(text[end+1:equals], escapedInTags)
		end = scan(text, equals+1, inTag)
		value := unescape(text[equals+1:end], escapedInTags)
		switch name {
		case model.InstrumentLabel:
			h.instrument = value
			continue
		case model.ChannelLabel:
			name = movedChannel
		case hostTag:
			host = value
		}
		h.tags = append(h.tags, model.Label{Name: labelName(name), Value: value})
	}
	if h.instrument == "" {
		if h.instrument = host; host == "" {
			h.instrument = h.measurement
		}
	}
}

// labelName returns the name of the label for a tag: most are the same.
func labelName(tag string) string {
	fits := func(c byte) bool {
		return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	}
	for i := range len(tag) {
		if fits(tag[i]) {
			continue
		}
		name := []byte(tag)
		for i, c := range name {
			if !fits(c) {
				name[i] = '_'
			}
		}
		tag = string(name)
		break
	}
	if tag[0] <= '9' {
		tag = "_" + tag
	}
	return tag
}

// position returns the position in the request of a channel that may be kept.
func (d *Decoder) position(e *entry, k *known) (int32, error) {
	if e == nil {
		if position, ok := d.uncached[k.labels]; ok {
			return position, nil
		}
	}
	slot := d.positions.slot(k.number)
	if slot.number != 0 {
		return slot.position, nil
	}
	position := int32(len(d.request.Channels))
	if int64(position) == policy.BodyChannels.Default {
		return 0, fmt.Errorf("%w: it has more than %d channels: send several", ErrTooLarge, policy.BodyChannels.Default)
	}
	d.request.Channels = append(d.request.Channels, admit.Channel{Labels: k.labels})
	d.positions.fill(slot, k.number, position)
	if e == nil {
		if d.uncached == nil {
			d.uncached = map[model.Labels]int32{}
		}
		d.uncached[k.labels] = position
	}
	return position, nil
}

// unescape returns text without the backslashes before what they escape.
func unescape(text []byte, escaped string) string {
	if !slices.Contains(text, '\\') {
		return string(text)
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) && strings.IndexByte(escaped, text[i+1]) >= 0 {
			i++
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
