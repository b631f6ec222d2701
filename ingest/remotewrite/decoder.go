package remotewrite

import (
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/ingest/seen"
)

// Message is what a body holds.
type Message int

// The messages, by their names in the parameter proto of a Content-Type.
const (
	WriteRequest Message = iota // prometheus.WriteRequest, of version 1.0
	Request2                    // io.prometheus.write.v2.Request, of version 2.0
)

// NativeHistogram is the reason for which native histograms are refused.
const NativeHistogram = "native_histogram"

// Error is why a body is refused whole.
type Error struct {
	Code   string // for programs
	Detail string // for people
}

// Error returns the code and the detail.
func (e *Error) Error() string { return e.Code + ": " + e.Detail }

// Decoder reads bodies, one after another. Its memory is used again.
type Decoder struct {
	request admit.Request
	series  []int32 // for each channel of the request the position of its series in the body

	times  []int64   // where lists of times are cut from
	values []float64 // where lists of values are cut from
	clock  int       // the newest of the request, -1 for none

	before    *seen.Entry[identity] // of the series read before
	labels    []model.Label         // of one series that was not seen before
	key       []byte                // of 2.0: what a series is known by
	symbols   []symbol
	symbol    *seen.Entry[uint64] // the one that was numbered before
	refs      []uint32
	at        int // the series that is read
	exemplars int
	foreign   bool // it has fields of the other message
}

// Decode reads a body. What it returns is valid until the next call or Reset,
// and does not refer to the body. Every error is an *Error.
func (d *Decoder) Decode(tenant model.Tenant, body []byte, message Message) (*admit.Request, error) {
	d.Reset()
	d.request.Tenant, d.request.Unit = tenant, admit.Milliseconds
	read := d.writeRequest
	if message == Request2 {
		read = d.request2
	}
	if err := read(body); err != nil {
		return nil, err
	}
	if d.foreign && d.at == 0 {
		return nil, &Error{"malformed", "the body is the message of another version than its Content-Type says"}
	}
	return &d.request, nil
}

// Reset forgets the body.
func (d *Decoder) Reset() {
	d.request.Reset()
	d.series, d.times, d.values = d.series[:0], d.times[:0], d.values[:0]
	d.clock, d.before, d.symbol, d.at, d.exemplars, d.foreign = -1, nil, nil, 0, 0, false
	clear(d.labels)
	d.labels, d.key, d.symbols, d.refs = d.labels[:0], d.key[:0], d.symbols[:0], d.refs[:0]
}

// mostKept is how many rows an ordinary body has at most.
const mostKept = 1 << 17

// Large reports whether the decoder has become larger than ordinary bodies need:
// it is not worth keeping for the next.
func (d *Decoder) Large() bool {
	return cap(d.times) > mostKept || cap(d.values) > mostKept || cap(d.series) > mostKept/8 ||
		cap(d.symbols) > mostKept || cap(d.key) > mostKept
}

// Series returns the position in the body of the series that a channel of the
// request is.
func (d *Decoder) Series(channel int) int { return int(d.series[channel]) }

// Exemplars returns how many there were.
func (d *Decoder) Exemplars() int { return d.exemplars }

// nextSeries counts a series, and returns where its samples will begin.
func (d *Decoder) nextSeries() (from int, err error) {
	if int64(d.at) == policy.BodyChannels.Default {
		return 0, &Error{"too_many_channels", "the request has more than " + strconv.FormatInt(policy.BodyChannels.Default, 10) + " series: send several"}
	}
	d.at++
	return len(d.times), nil
}

// add makes what was read since from on the samples of a channel. It returns the
// channel, nil where nothing was read.
func (d *Decoder) add(from int) *admit.Channel {
	n := len(d.times) - from
	if n == 0 {
		return nil
	}
	values := d.values[len(d.values)-n : len(d.values) : len(d.values)]
	times := d.times[from:len(d.times):len(d.times)]
	// What is scraped together has one time, which is then logged once.
	if d.clock >= 0 && slices.Equal(times, d.request.Clocks[d.clock].Times) {
		d.times = d.times[:from]
	} else {
		d.clock = d.request.AddClock(times)
	}
	d.series = append(d.series, int32(d.at-1))
	d.request.Channels = append(d.request.Channels, admit.Channel{Clock: d.clock, Values: values})
	return &d.request.Channels[len(d.request.Channels)-1]
}

// refuseHistograms counts native histograms of the series that is read.
func (d *Decoder) refuseHistograms(n int) {
	if n > 0 {
		d.request.Refuse(admit.Refusal{Channel: -1, Index: d.at - 1, Code: NativeHistogram}, n, func() string {
			return "native histograms are not kept: send classic ones"
		})
	}
}

// malformed says what is wrong with the series that is read.
func (d *Decoder) malformed(what string) error {
	return &Error{"malformed", "timeseries[" + strconv.Itoa(d.at-1) + "]: " + what}
}

// sample reads the value and the time of a sample: fields 1 and 2 in both
// versions.
func (d *Decoder) sample(b []byte) error {
	if int64(len(d.values)) >= policy.BodySamples.Default {
		return &Error{"body_too_large", "the request has more than " + strconv.FormatInt(policy.BodySamples.Default, 10) + " samples: send several"}
	}
	value, at, ok := plainSample(b)
	if !ok {
		if value, at, ok = anySample(b); !ok {
			return d.malformed("a sample that cannot be read")
		}
	}
	d.values = append(d.values, value)
	d.times = append(d.times, at)
	return nil
}

// fields calls use for every field of a message: with its bytes, or with its
// number where it has one. It reports whether the message could be read.
func fields(b []byte, use func(number protowire.Number, kind protowire.Type, content []byte, value uint64) (ok bool)) bool {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		var content []byte
		var value uint64
		switch kind {
		case protowire.BytesType:
			content, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			value, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			value, n = protowire.ConsumeFixed64(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 || !use(number, kind, content, value) {
			return false
		}
		b = b[n:]
	}
	return true
}

// quote quotes text for an error message, cut to a readable length.
func quote[T string | []byte](text T) string {
	const most = 40
	if len(text) > most {
		return strconv.Quote(string(text[:most])) + "…"
	}
	return fmt.Sprintf("%q", text)
}
