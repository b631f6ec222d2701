// Package lineprotocol reads InfluxDB's line protocol:
//
//	MEASUREMENT,TAG=VALUE,… FIELD=VALUE,… TIME
//
// Each field of a line is a sample. Its channel is MEASUREMENT.FIELD, and of a
// field named value just MEASUREMENT; its instrument is the tag instrument, else
// the tag host, else MEASUREMENT. Every tag stays a label. Names of labels have
// letters, digits and underscores only: any other byte of a tag's name becomes
// an underscore, and a name that begins with a digit gets one before it. A tag
// named channel becomes the label exported_channel, as that name is taken.
//
// A value is a float, an integer (12i), an unsigned integer (12u), or a boolean,
// which is kept as 1 or 0. All are kept as 64-bit floats. The words nan, inf,
// infinity, in capitals or not and with a sign or without, are kept as those. A
// string is refused as not_a_number, as is what no 64-bit float can hold; the
// other fields of its line are kept. A time is an integer in the request's unit;
// lines without one have the time at which the request was read, as whole units.
//
// A line that is not of this form is refused as malformed, and counts as one
// sample; the lines around it are kept. The grammar is that of
// github.com/influxdata/line-protocol/v2.
package lineprotocol

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/ingest/seen"
)

// Malformed is the reason for which a line is refused that cannot be read.
const Malformed = "malformed"

// ErrTooLarge is wrapped by what refuses a body as a whole: it has more than one
// request may have.
var ErrTooLarge = errors.New("too large for one request")

// Options say how to read a body.
type Options struct {
	Unit admit.Unit // of times; the zero value is nanoseconds
	Now  int64      // the time of lines that have none, in nanoseconds since 1970
}

// Decoder reads one body after another. Its memory is used again.
type Decoder struct {
	request admit.Request
	now     int64 // in the unit of the request

	body []byte
	at   int   // the next byte
	line int32 // the number of the line that it is in, from 1

	samples   []sample
	reasons   []string // why samples are refused, as they say
	positions positions
	uncached  map[model.Labels]int32 // positions of channels that no cache keeps
	labels    int                    // bytes of labels that were made for this body
	last      *entry                 // the channel of the sample before, nil if it is in no cache
	key       []byte                 // of the cache
	head      head
	timeText  []byte // of the line before
	time      int64  // that it stands for

	counts []int32   // of each channel, then where its next sample goes
	times  []int64   // of all channels
	values []float64 // of all channels
	lines  []int32   // of all channels
}

// sample is a field's value, or why it is refused.
type sample struct {
	time    int64
	value   float64
	channel int32 // its position; below 0 one of the refusals
	line    int32
}

// Why samples are refused, in place of their channel. Their time is then the
// position in Decoder.reasons of what is told about it, noReason if that is not
// asked for.
const (
	isMalformed int32 = -1 - iota
	isNotANumber
	isBadLabel
	isBadTime
)

var codes = [...]string{Malformed, admit.NotANumber, admit.BadLabel, admit.BadTime}

const (
	noReason    = -1
	mostReasons = 20 // are told of one request
)

// mostKept is how much memory is kept for the next body: that of an ordinary one.
const mostKept = 1 << 17

// Decode reads a body. What it returns is valid until the next call. The error
// is one of ErrTooLarge, and refuses the whole body.
func (d *Decoder) Decode(tenant model.Tenant, body []byte, o Options) (*admit.Request, error) {
	d.reset()
	if o.Unit.Nanoseconds == 0 {
		o.Unit = admit.Nanoseconds
	}
	d.request.Tenant, d.request.Unit = tenant, o.Unit
	d.now = o.Now / o.Unit.Nanoseconds
	if o.Now%o.Unit.Nanoseconds < 0 {
		d.now--
	}
	d.body, d.line = body, 1
	for d.skipBlanks(); d.at < len(body); d.skipBlanks() {
		first, line := len(d.samples), d.line
		err := d.readLine()
		if wrong, ok := err.(*syntaxError); ok {
			d.samples = d.samples[:first]
			d.refuse(isMalformed, line, func() string { return wrong.text(body) })
			d.skipLine()
		} else if err != nil {
			return nil, err
		}
		if int64(len(d.samples)) > policy.BodySamples.Default {
			return nil, fmt.Errorf("%w: it has more than %d fields: send several", ErrTooLarge, policy.BodySamples.Default)
		}
	}
	d.collect()
	d.body = nil
	return &d.request, nil
}

// Line returns the number of the line, from 1, that holds a sample of the
// request: that of a channel and of an index among those that it had.
func (d *Decoder) Line(channel, index int) int {
	from := int32(0)
	if channel > 0 {
		from = d.counts[channel-1]
	}
	return int(d.lines[int(from)+index])
}

// Release ends the request, and lets go of what no ordinary one needs.
func (d *Decoder) Release() { d.reset() }

func (d *Decoder) reset() {
	if cap(d.samples) > mostKept || cap(d.key) > mostKept {
		*d = Decoder{request: admit.Request{UnitHint: d.request.UnitHint, Judged: d.request.Judged}}
	}
	d.request.Reset()
	clear(d.reasons)
	d.samples, d.reasons, d.counts = d.samples[:0], d.reasons[:0], d.counts[:0]
	d.positions.reset()
	clear(d.uncached)
	d.at, d.labels, d.last, d.timeText = 0, 0, nil, nil
	clear(d.head.tags)
	d.head = head{tags: d.head.tags[:0]}
}

// Request returns what Decode gives, for settings that stay.
func (d *Decoder) Request() *admit.Request { return &d.request }

// refuse notes a refused sample.
func (d *Decoder) refuse(why, line int32, reason func() string) {
	at := noReason
	if len(d.reasons) < mostReasons {
		at = len(d.reasons)
		d.reasons = append(d.reasons, reason())
	}
	d.samples = append(d.samples, sample{time: int64(at), channel: why, line: line})
}

// collect gives every channel its samples, and counts those that are refused.
func (d *Decoder) collect() {
	r := &d.request
	d.counts = slices.Grow(d.counts, len(r.Channels))[:len(r.Channels)]
	clear(d.counts)
	kept := int32(0)
	for i := range d.samples {
		s := &d.samples[i]
		if s.channel >= 0 {
			d.counts[s.channel]++
			kept++
			continue
		}
		r.Refuse(admit.Refusal{Channel: -1, Index: int(s.line), Code: codes[-1-s.channel]}, 1, func() string {
			if s.time < 0 {
				return ""
			}
			return d.reasons[s.time]
		})
	}
	d.times = slices.Grow(d.times[:0], int(kept))[:kept]
	d.values = slices.Grow(d.values[:0], int(kept))[:kept]
	d.lines = slices.Grow(d.lines[:0], int(kept))[:kept]
	from := int32(0)
	for i, n := range d.counts {
		d.counts[i] = from
		from += n
	}
	for i := range d.samples {
		if s := &d.samples[i]; s.channel >= 0 {
			to := d.counts[s.channel]
			d.counts[s.channel]++
			d.times[to], d.values[to], d.lines[to] = s.time, s.value, s.line
		}
	}
	d.addClocks()
}

// addClocks cuts times and values into those of the channels: d.counts says
// where each ends. Neighbours that have the same times share them.
func (d *Decoder) addClocks() {
	r := &d.request
	var before []int64
	clock, from := -1, int32(0)
	for i, to := range d.counts {
		times := d.times[from:to:to]
		if clock < 0 || !slices.Equal(times, before) {
			clock, before = r.AddClock(times), times
		}
		r.Channels[i].Clock, r.Channels[i].Values = clock, d.values[from:to:to]
		from = to
	}
}

// positions finds the channels of a request by the number of what is known of
// them. It is a table with open addressing, of at least twice as many places.
type positions struct {
	places []place
	used   int
}

type place struct {
	number   uint64 // 0: free
	position int32
}

// slot returns the place of a number, or the free one where it may go.
func (p *positions) slot(number uint64) *place {
	mask := uint64(len(p.places) - 1)
	for at := number * 0x9E3779B97F4A7C15 >> 20; ; at++ {
		if s := &p.places[at&mask]; s.number == number || s.number == 0 {
			return s
		}
	}
}

// fill takes a free place.
func (p *positions) fill(s *place, number uint64, position int32) {
	*s = place{number, position}
	if p.used++; 2*p.used <= len(p.places) {
		return
	}
	before := p.places
	p.places = make([]place, 2*len(before))
	for _, one := range before {
		if one.number != 0 {
			*p.slot(one.number) = one
		}
	}
}

// fewPlaces is the least size of the table.
const fewPlaces = 1 << 8

func (p *positions) reset() {
	switch {
	case p.places == nil || len(p.places) > 4*fewPlaces && len(p.places) > 16*p.used:
		p.places = make([]place, fewPlaces)
	case p.used > 0:
		clear(p.places)
	}
	p.used = 0
}

// known is what is kept of a channel from one request to the next. It is found by
// the bytes of measurement, tags and field, as they stand in a line, up to the
// equals sign of the field.
type known struct {
	labels  model.Labels
	refused string // why they cannot be kept, "" if they can
	head    int    // bytes of measurement and tags, with the space behind
	number  uint64
}

type entry = seen.Entry[known]

// channelsSeen finds channels by their bytes. Gateways send the same ones for ever.
var channelsSeen = seen.Cache[known]{Most: 64 << 20}
