// Package samples answers POST /api/v1/samples: it decodes a request and
// appends what it may keep.
//
// A request is
//
//	{"unit":"ms","times":[…],"channels":[{"labels":{…},"properties":{…},"times":[…],"values":[…]}]}
//
// as JSON or as msgpack, packed with zstd, gzip or nothing. Members may come in
// any order; unit (s ms us ns, ms if left out), times at the top and properties
// may be left out or null. Times at the top serve every channel that has none
// of its own. In msgpack, times and values may be bin: little-endian int64 and
// float64, 8 bytes each.
//
// A time is an integer. A value is a number, or one of the words NaN Infinity
// -Infinity over under burnout nodata math; null is no sample: it is skipped,
// and counts neither as accepted nor as rejected. Properties that are sent
// replace all that the channel had.
//
// What is not of this form, unknown members included, is refused as a whole
// with the code malformed, and the error names the place. In a request of this
// form every sample is judged by itself, as package admit says; what is refused
// has the code of the reason. The rest is appended, and durable when the answer
// is given. Sending the same samples again changes nothing. Where all of it lies
// in January 1970, as seconds do that are taken for milliseconds, the answer
// warns of that.
package samples

import (
	"context"
	"errors"
	"io"
	"mime"
	"strconv"
	"sync"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/query"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/unpack"
)

// Writer reads requests and hands them over. It is safe for concurrent use.
type Writer struct {
	To *admit.Writer
	// MaxBody bounds a request's bytes, as sent and unpacked; 0 is
	// policy.BodyBytes.
	MaxBody int64
}

// Write decodes a request and appends what it may keep of it. Every error is
// an *api.Error. Where nothing could be kept, the code is nothing_accepted and
// the body is given beside the error. A large request may fail when some of it
// is kept already: then too the body is given, and the detail says how much.
func (w *Writer) Write(ctx context.Context, tenant model.Tenant, contentType, contentEncoding string, body io.Reader) (*api.SamplesBody, error) {
	decode, err := decoderOf(contentType)
	if err != nil {
		return nil, err
	}
	r := requests.Get().(*request)
	defer r.release()
	r.Tenant = tenant
	most := w.MaxBody
	if most == 0 {
		most = policy.BodyBytes.Default
	}
	if err := r.body.Read(ctx, tenant, contentEncoding, body, most); err != nil {
		return nil, err
	}
	if err := r.decode(decode); err != nil {
		return nil, err
	}
	result, err := w.To.Write(ctx, &r.Request)
	switch {
	case errors.Is(err, admit.ErrNothingAccepted):
		return (*api.SamplesBody)(result), nothingAccepted(result)
	case err != nil:
		return (*api.SamplesBody)(result), api.AsError(err)
	}
	return (*api.SamplesBody)(result), nil
}

func nothingAccepted(result *admit.Result) error {
	first := &result.Errors[0]
	return api.NewError("nothing_accepted", "all "+strconv.FormatInt(result.Rejected, 10)+" samples are refused; the first, channel "+
		strconv.Itoa(first.Channel)+" index "+strconv.Itoa(first.Index)+": "+first.Code+": "+first.Detail)
}

// decoderOf returns what reads bodies of a media type.
func decoderOf(contentType string) (func(*request) error, error) {
	switch contentType { // as clients mostly write it
	case "application/msgpack":
		return decodeMsgpack, nil
	case "application/json":
		return decodeJSON, nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err == nil {
		switch media {
		case "application/json":
			return decodeJSON, nil
		case "application/msgpack", "application/x-msgpack", "application/vnd.msgpack":
			return decodeMsgpack, nil
		}
	}
	return nil, api.NewError("unsupported_media_type",
		"Content-Type "+quote(contentType)+" is neither application/json nor application/msgpack")
}

// request is a request being decoded, and its memory. None of the memory is
// kept by those who are given it: the engine copies rows, and labels and
// properties are strings of their own.
type request struct {
	admit.Request
	body unpack.Body

	unit        string
	shared      admit.Clock // of the top
	sharedGiven bool
	valueless   int // the first channel without values, -1 for none

	integers []int64     // where lists of times are cut from
	floats   []float64   // where lists of values are cut from
	odd      []admit.Odd // where lists of what was odd are cut from

	// describe says what stands at a place of the body.
	describe func(body []byte, at int) string
}

// noClock is the clock of a channel that has no times of its own.
const noClock = -1

// mostRowsKept is how much memory is kept for the next request: that of an
// ordinary one.
const mostRowsKept = 1 << 17

var requests = sync.Pool{New: func() any { return newRequest() }}

func newRequest() *request {
	r := &request{valueless: -1}
	r.Describe = func(at int) string { return r.describe(r.body.Bytes, at) }
	r.UnitHint = `"unit" names it, and is ms if left out`
	r.Judged = r.body.Drop
	return r
}

func (r *request) release() {
	r.body.Release()
	if cap(r.integers) > mostRowsKept || cap(r.floats) > mostRowsKept ||
		cap(r.Channels) > mostRowsKept/8 || cap(r.odd) > mostRowsKept/8 {
		return
	}
	clear(r.odd)
	r.Reset()
	r.unit, r.shared, r.sharedGiven, r.valueless = "", admit.Clock{}, false, -1
	r.integers, r.floats, r.odd = r.integers[:0], r.floats[:0], r.odd[:0]
	requests.Put(r)
}

// decode reads the body, and completes what was read.
func (r *request) decode(decode func(*request) error) error {
	if err := decode(r); err != nil {
		return err
	}
	unit, err := query.ParseUnit(r.unit)
	if err != nil {
		return api.AsError(err)
	}
	r.Unit = admit.Unit(unit)
	shared := noClock
	if r.sharedGiven {
		shared = len(r.Clocks)
		r.Clocks = append(r.Clocks, r.shared)
	}
	for i := range r.Channels {
		c := &r.Channels[i]
		if c.Clock == noClock {
			c.Clock = shared
		}
		switch {
		case c.Clock == noClock:
			return malformed("channels[" + strconv.Itoa(i) + "]: it has no times, and there are none at the top")
		case i == r.valueless:
			return malformed("channels[" + strconv.Itoa(i) + "]: it has no values")
		case len(r.Clocks[c.Clock].Times) != len(c.Values):
			return malformed("channels[" + strconv.Itoa(i) + "]: " + strconv.Itoa(len(r.Clocks[c.Clock].Times)) + " times and " +
				strconv.Itoa(len(c.Values)) + " values")
		}
	}
	return nil
}

// addChannel makes room for the next channel.
func (r *request) addChannel() (*admit.Channel, error) {
	if int64(len(r.Channels)) == policy.BodyChannels.Default {
		return nil, api.NewError("too_many_channels", "the request has more than "+
			strconv.FormatInt(policy.BodyChannels.Default, 10)+" channels: send several")
	}
	r.Channels = append(r.Channels, admit.Channel{Clock: noClock})
	return &r.Channels[len(r.Channels)-1], nil
}

// addTimes makes what was read from the given places on a list of times: those
// of c, or where c is nil of the top.
func (r *request) addTimes(c *admit.Channel, from, oddFrom int) {
	clock := admit.Clock{
		Times: r.integers[from:len(r.integers):len(r.integers)], Odd: r.odd[oddFrom:len(r.odd):len(r.odd)],
	}
	if c == nil {
		r.shared, r.sharedGiven = clock, true
		return
	}
	c.Clock = len(r.Clocks)
	r.Clocks = append(r.Clocks, clock)
}

// setValues makes what was read from the given places on the values of c.
func (r *request) setValues(c *admit.Channel, from, oddFrom int) {
	c.Values, c.Odd = r.floats[from:len(r.floats):len(r.floats)], r.odd[oddFrom:len(r.odd):len(r.odd)]
}

// channelRead notes whether the newest channel has values.
func (r *request) channelRead(hasValues bool) {
	if !hasValues && r.valueless < 0 {
		r.valueless = len(r.Channels) - 1
	}
}

// room checks that n more times, or values, may follow the have that there are.
func room(have, n int) error {
	if int64(have)+int64(n) > policy.BodySamples.Default {
		return api.NewError("body_too_large", "the request has more than "+
			strconv.FormatInt(policy.BodySamples.Default, 10)+" times or values: send several")
	}
	return nil
}

func malformed(detail string) *api.Error { return api.NewError("malformed", detail) }

// quote quotes text for an error message, cut to a readable length.
func quote[T string | []byte](text T) string {
	const most = 40
	if len(text) > most {
		return strconv.Quote(string(text[:most])) + "…"
	}
	return strconv.Quote(string(text))
}
