package otlp

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/ingest/seen"
)

// Encoding is how a body is written.
type Encoding uint8

// The encodings of the protocol.
const (
	Protobuf Encoding = iota
	JSON
)

// What a body is refused with as a whole.
var (
	// ErrMalformed is wrapped where it is no ExportMetricsServiceRequest.
	ErrMalformed = errors.New("no ExportMetricsServiceRequest")
	// ErrTooManyChannels is wrapped where it has more than policy.BodyChannels.
	ErrTooManyChannels = errors.New("too many channels")
	// ErrTooLarge is wrapped where it has more than policy.BodySamples.
	ErrTooLarge = errors.New("too large")
)

// UnsupportedType is the reason for which data points of histograms and
// summaries are refused.
const UnsupportedType = "unsupported_type"

// Senders send the same attributes for ever: what was made from their bytes once
// is kept.
var (
	labelsSeen     = seen.Cache[model.Labels]{Most: 64 << 20}
	propertiesSeen = seen.Cache[*model.Properties]{Most: 4 << 20}
)

// Decoder turns bodies into requests. It is made to be used again, so that data
// points cost no memory of their own; not by several at once.
type Decoder struct {
	request admit.Request
	times   []int64   // where the channels' lists are cut from
	values  []float64 // of the same length
	points  int       // data points so far, refused ones included
	sets    int       // sets of attributes that were made labels of, or refused
	wire    []byte    // what a body as JSON is as protobuf

	resource layer
	scope    layer
	metric   metric
	channel  run

	before *seen.Entry[model.Labels] // of the channel before, nil if not known
}

// layer is what all channels of a resource, or of a scope, have in common.
type layer struct {
	part
	read       bool // attributes and refused are set, else they are not needed yet
	attributes []attribute
	refused    string // why they make no labels, "" if they may
}

// metric is one that is being read. What it costs is spent when its first data
// point is met.
type metric struct {
	name, description, unit []byte
	scaling                 string

	begun      bool
	properties *model.Properties
}

// run is the channel that is being read: data points that follow each other and
// have the same attributes.
type run struct {
	key  []byte // see Decoder.key
	from int    // where its times and values begin
	open bool
	// refused is why key makes no labels, "" where it does: then the channel is none.
	refused string
	next    []byte // the key of the data point that is being read
	fixed   int    // how much of next does not come from the data point
}

// Decode reads a body. The request is the decoder's: it is good until the next
// call or Reset, and does not refer to the body. Every error wraps one of
// ErrMalformed, ErrTooManyChannels and ErrTooLarge.
func (d *Decoder) Decode(tenant model.Tenant, body []byte, encoding Encoding) (*admit.Request, error) {
	d.Reset()
	d.request.Tenant, d.request.Unit, d.request.UnitHint = tenant, admit.Nanoseconds, "timeUnixNano counts nanoseconds"
	if encoding == JSON {
		var err error
		if d.wire, err = transcode(d.wire, body); err != nil {
			return nil, err
		}
		body = d.wire
	}
	m := message{rest: body}
	for m.next() {
		if m.isBytes(1) {
			if err := d.resourceMetrics(m.bytes); err != nil {
				return nil, err
			}
		}
	}
	if m.err != nil {
		return nil, malformed("ExportMetricsServiceRequest", m.err)
	}
	d.metric, d.resource.part, d.scope.part = metric{}, part{}, part{}
	if cap(d.wire) > 8*mostKept {
		d.wire = nil
	}
	return &d.request, nil
}

// mostKept is how many data points a decoder keeps memory for: those of an
// ordinary body.
const mostKept = 1 << 17

// Reset lets go of the request, and of memory that few bodies need.
func (d *Decoder) Reset() {
	d.request.Reset()
	kept := Decoder{request: d.request, times: d.times[:0], values: d.values[:0], wire: d.wire[:0]}
	if cap(d.times) > mostKept || cap(d.values) > mostKept || cap(d.wire) > 8*mostKept || cap(d.request.Channels) > mostKept/8 {
		kept = Decoder{}
	}
	kept.channel.key, kept.channel.next = d.channel.key[:0], d.channel.next[:0]
	kept.resource.attributes, kept.scope.attributes = d.resource.attributes[:0], d.scope.attributes[:0]
	*d = kept
}

// Points returns how many data points the body has.
func (d *Decoder) Points() int { return d.points }

// malformed returns err with what it was found in; nil stays nil.
func malformed(name string, err error) error {
	if err == nil || errors.Is(err, ErrMalformed) {
		return err
	}
	return fmt.Errorf("%w: in %s: %w", ErrMalformed, name, err)
}

func (d *Decoder) resourceMetrics(b []byte) error {
	d.resource = layer{attributes: d.resource.attributes[:0]}
	m := message{rest: b}
	for m.next() { // the resource may stand behind what it is of
		if m.isBytes(1) {
			d.resource.add(m.bytes)
		}
	}
	if m.err != nil {
		return malformed("ResourceMetrics", m.err)
	}
	m = message{rest: b}
	for m.next() {
		if m.isBytes(2) {
			if err := d.scopeMetrics(m.bytes); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Decoder) scopeMetrics(b []byte) error {
	d.scope = layer{attributes: d.scope.attributes[:0]}
	d.channel.next = d.channel.next[:0]
	m := message{rest: b}
	for m.next() {
		if m.isBytes(1) {
			d.scope.add(m.bytes)
		}
	}
	if m.err != nil {
		return malformed("ScopeMetrics", m.err)
	}
	m = message{rest: b}
	for m.next() {
		if m.isBytes(2) {
			if err := d.oneMetric(m.bytes); err != nil {
				return err
			}
		}
	}
	return nil
}

// The fields of a Metric that say of which type it is.
const (
	gaugeField                = 5
	sumField                  = 7
	histogramField            = 9
	exponentialHistogramField = 10
	summaryField              = 11
)

func (d *Decoder) oneMetric(b []byte) error {
	d.metric = metric{}
	var data part
	var field protowire.Number
	m := message{rest: b}
	for m.next() {
		if m.kind != protowire.BytesType {
			continue
		}
		switch m.number {
		case 1:
			d.metric.name = m.bytes
		case 2:
			d.metric.description = m.bytes
		case 3:
			d.metric.unit = m.bytes
		case gaugeField, sumField, histogramField, exponentialHistogramField, summaryField:
			if field != m.number { // of several types, the last counts
				field, data = m.number, part{}
			}
			data.add(m.bytes)
		}
	}
	if m.err != nil {
		return malformed("Metric", m.err)
	}
	switch field {
	case gaugeField:
		return d.dataPoints(data.bytes)
	case sumField:
		if err := d.readSum(data.bytes); err != nil {
			return err
		}
		return d.dataPoints(data.bytes)
	case histogramField:
		return d.refuseMetric(data.bytes, "a histogram")
	case exponentialHistogramField:
		return d.refuseMetric(data.bytes, "an exponential histogram")
	case summaryField:
		return d.refuseMetric(data.bytes, "a summary")
	}
	return nil
}

// readSum reads what a sum says beside its data points.
func (d *Decoder) readSum(b []byte) error {
	var temporality uint64
	monotonic := false
	m := message{rest: b}
	for m.next() {
		switch {
		case m.isVarint(2):
			temporality = m.word
		case m.isVarint(3):
			monotonic = m.word != 0
		}
	}
	texts := &sumTexts[min(temporality, unknownTemporality)]
	if d.metric.scaling = texts[0]; monotonic {
		d.metric.scaling = texts[1]
	}
	return malformed("Sum", m.err)
}

// sumTexts are what the property scaling says of sums, by their temporality: of
// others, and of monotonic ones.
var sumTexts = [...][2]string{
	{"sum", "sum monotonic"}, {"delta", "delta monotonic"}, {"cumulative", "cumulative monotonic"},
	unknownTemporality: {"sum", "sum monotonic"},
}

const unknownTemporality = 3

// refuseMetric refuses the data points of a metric of a type that is not kept.
func (d *Decoder) refuseMetric(b []byte, what string) error {
	n, err := countPoints(b)
	if err != nil {
		return err
	}
	if n > 0 {
		d.refuse(UnsupportedType, n, "it is "+what+", of which nothing is kept: only gauges and sums are")
	}
	return nil
}

// countPoints returns how many data points a Gauge, or what else a metric has,
// holds.
func countPoints(b []byte) (n int, err error) {
	m := message{rest: b}
	for m.next() {
		if m.isBytes(1) {
			n++
		}
	}
	return n, malformed("the metric's data", m.err)
}

// refuse refuses the next data points of the metric.
func (d *Decoder) refuse(code string, points int, why string) {
	first := admit.Refusal{Channel: -1, Index: d.points, Code: code}
	d.points += points
	d.request.Refuse(first, points, func() string { return "metric " + quote(d.metric.name) + ": " + why })
}

// beginMetric does what is done once for all data points of a metric: it makes
// the properties, and what the keys of its channels begin with.
func (d *Decoder) beginMetric() {
	d.metric.begun = true
	c := &d.channel
	if len(c.next) == 0 { // a hash, as resources are long and come with every metric
		sum := sha256.Sum256(d.resource.bytes)
		c.next = append(append(c.next, sum[:]...), d.scope.bytes...)
		sum = sha256.Sum256(c.next)
		c.next = append(c.next[:0], sum[:]...)
	}
	c.next = binary.AppendUvarint(c.next[:sha256.Size], uint64(len(d.metric.name)))
	c.next = append(c.next, d.metric.name...)
	c.fixed = len(c.next)
	d.metric.properties = d.properties()
}

// properties returns those of the metric, nil where it says nothing of them.
func (d *Decoder) properties() *model.Properties {
	m := &d.metric
	if len(m.description) == 0 && len(m.unit) == 0 && m.scaling == "" {
		return nil
	}
	// The key is made behind that of the channel.
	from := len(d.channel.next)
	key := append(d.channel.next, m.scaling...)
	key = append(key, 0)
	key = append(strconv.AppendInt(key, int64(len(m.unit)), 10), 0)
	key = append(append(key, m.unit...), m.description...)
	d.channel.next = key[:from]
	if known := propertiesSeen.Get(d.request.Tenant, key[from:]); known != nil {
		return known.Value
	}
	p := &model.Properties{Name: shortened(m.description), Unit: shortened(m.unit), Scaling: m.scaling}
	propertiesSeen.Put(d.request.Tenant, key[from:], p)
	return p
}

// mayAdd checks that one more channel may follow, or set of attributes that makes
// none: what each costs is bounded.
func (d *Decoder) mayAdd() error {
	if most := int(policy.BodyChannels.Default); len(d.request.Channels) >= most || d.sets >= most {
		return fmt.Errorf("%w: the request has more than %d: send several", ErrTooManyChannels, policy.BodyChannels.Default)
	}
	return nil
}
