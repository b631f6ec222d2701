package otlp

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/ingest/admit"
)

// dataPoints reads those of a gauge or of a sum.
func (d *Decoder) dataPoints(b []byte) error {
	m := message{rest: b}
	for m.next() {
		if !m.isBytes(1) {
			continue
		}
		if !d.metric.begun {
			d.beginMetric()
		}
		if err := d.dataPoint(m.bytes); err != nil {
			return err
		}
	}
	d.endRun()
	return malformed("the metric's data", m.err)
}

// noRecordedValue is the flag of a data point of which only is known that it has
// no value.
const noRecordedValue = 1

// dataPoint reads one. Its value is that of the last field that has one.
func (d *Decoder) dataPoint(b []byte) error {
	var at, flags uint64
	value, has := 0.0, false
	key := d.channel.next[:d.channel.fixed]
	m := message{rest: b}
	for m.next() {
		switch {
		case m.isBytes(7):
			key = append(key, m.field...)
		case m.isFixed64(3):
			at = m.word
		case m.isFixed64(4):
			value, has = math.Float64frombits(m.word), true
		case m.isFixed64(6):
			value, has = float64(int64(m.word)), true
		case m.isVarint(8):
			flags = m.word
		}
	}
	d.channel.next = key
	if m.err != nil {
		return malformed("NumberDataPoint", m.err)
	}
	if uint32(flags)&noRecordedValue != 0 {
		value, has = model.QualityNoData.NaN(), true
	}
	switch {
	case int64(d.points) >= policy.BodySamples.Default:
		return fmt.Errorf("%w: the request has more than %d data points: send several", ErrTooLarge, policy.BodySamples.Default)
	case at == 0:
		d.refuse(admit.BadTime, 1, "the data point has no time: timeUnixNano is 0")
		return nil
	case at > math.MaxInt64:
		d.refuse(admit.BadTime, 1, "timeUnixNano "+strconv.FormatUint(at, 10)+" lies outside the years 1678 to 2261")
		return nil
	case !has:
		d.refuse(admit.NotANumber, 1, "the data point has neither asDouble nor asInt")
		return nil
	}
	return d.add(int64(at), value)
}

// add takes in a data point of the channel that d.channel.next is the key of.
func (d *Decoder) add(at int64, value float64) error {
	c := &d.channel
	if !c.open || !bytes.Equal(c.key, c.next) {
		if err := d.beginRun(); err != nil {
			return err
		}
	}
	if c.refused != "" {
		d.refuse(admit.BadLabel, 1, c.refused)
		return nil
	}
	d.points++
	d.times, d.values = append(d.times, at), append(d.values, value)
	return nil
}

// beginRun begins the channel that d.channel.next is the key of.
func (d *Decoder) beginRun() error {
	d.endRun()
	if err := d.mayAdd(); err != nil {
		return err
	}
	labels, refused, err := d.labels()
	if err != nil {
		return err
	}
	if refused == "" {
		d.request.Channels = append(d.request.Channels, admit.Channel{Labels: labels, Properties: d.metric.properties})
	}
	c := &d.channel
	c.key, c.next, c.from, c.open, c.refused = c.next, append(c.key[:0], c.next[:c.fixed]...), len(d.times), true, refused
	return nil
}

// endRun gives the channel that was read its times and values. Most have the
// times of the one before.
func (d *Decoder) endRun() {
	c, r := &d.channel, &d.request
	open := c.open && c.refused == ""
	if c.open = false; !open {
		return
	}
	channel := &r.Channels[len(r.Channels)-1]
	channel.Values = d.values[c.from:len(d.values):len(d.values)]
	times := d.times[c.from:len(d.times):len(d.times)]
	if last := len(r.Clocks) - 1; last >= 0 && slices.Equal(r.Clocks[last].Times, times) {
		channel.Clock = last
		return
	}
	channel.Clock = r.AddClock(times)
}

// labels returns those of the channel that d.channel.next is the key of, or why
// there are none.
func (d *Decoder) labels() (labels model.Labels, refused string, err error) {
	key := d.channel.next
	if known := labelsSeen.After(d.before, key); known != nil && known.Length() == len(key) {
		d.before = known
		return known.Value, "", nil
	}
	known := labelsSeen.Get(d.request.Tenant, key)
	if known == nil {
		d.sets++
		if labels, refused, err = d.newLabels(key[d.channel.fixed:]); err != nil || refused != "" {
			return labels, refused, err
		}
		if known = labelsSeen.Put(d.request.Tenant, key, labels); known == nil {
			return labels, "", nil // too long to be kept
		}
	}
	labelsSeen.Follows(d.before, known)
	d.before = known
	return known.Value, "", nil
}
