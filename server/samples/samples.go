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
// form every sample is judged by itself:
//
//	bad_time       its time is no integer, or outside the years 1678 to 2261
//	too_far_ahead  it lies further ahead of the clock than policy.AheadTime
//	not_a_number   its value is neither a number nor a word
//	bad_label      its channel's labels or properties cannot be kept
//	before_retention
//	               it is older than its channel keeps samples
//	channel_limit, instrument_limit
//	               its channel would be a new one, and its tenant or its
//	               instrument has as many as it may
//
// A tenant that sends more samples per second than agreed is refused whole,
// with rate_limited; one that is charged too much, with over_quota.
//
// The rest is appended, and durable when the answer is given. Sending the same
// samples again changes nothing. Where all of it lies in January 1970, as
// seconds do that are taken for milliseconds, the answer warns of that.
package samples

import (
	"context"
	"errors"
	"io"
	"mime"
	"strconv"
	"sync"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/tenants"
)

// Writer writes requests into a database. It is safe for concurrent use.
type Writer struct {
	DB    *engine.DB
	Clock model.Clock
	// MaxBody bounds a request's bytes, as sent and unpacked; 0 is
	// policy.BodyBytes.
	MaxBody int64
	// MaxAhead is how many nanoseconds a sample may lie ahead of the clock; 0
	// is policy.AheadTime.
	MaxAhead int64
	Tenants  *tenants.Store // what is agreed with tenants; nil: nothing
	// Failed, if not nil, is told why a tenant's quota could not be looked at
	// after a write, which is kept all the same.
	Failed func(error)
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
	r.tenant = tenant
	if err := r.read(ctx, contentEncoding, body, limit(w.MaxBody, policy.BodyBytes)); err != nil {
		return nil, err
	}
	if err := decode(r); err != nil {
		return nil, err
	}
	floors, err := w.DB.RawFloors(tenant, len(r.channels), func(i int) (model.Labels, *model.Properties) {
		return r.channels[i].labels, r.channels[i].properties
	})
	if err != nil {
		return nil, api.AsError(err)
	}
	answer, err := r.judge(w.Clock().UnixNano(), limit(w.MaxAhead, policy.AheadTime), floors)
	if err != nil {
		return nil, err
	}
	if answer.Rejected > 0 && len(r.columns) == 0 {
		return answer, nothingAccepted(answer)
	}
	if len(r.columns) == 0 { // nothing but gaps
		return answer, nil
	}
	if r.large { // the append may wait, and needs the columns alone
		r.body, r.packed = nil, nil
	}
	return w.append(ctx, tenant, r, answer)
}

// append writes what may be kept, as far as the tenant may write it.
func (w *Writer) append(ctx context.Context, tenant model.Tenant, r *request, answer *api.SamplesBody) (*api.SamplesBody, error) {
	if w.Tenants != nil {
		rows := 0
		for i := range r.columns {
			rows += len(r.columns[i].Times)
		}
		if err := w.Tenants.Admit(ctx, tenant, rows); err != nil {
			return nil, api.AsError(err)
		}
	}
	result, err := w.DB.Append(ctx, &model.Batch{Tenant: tenant, Columns: r.columns})
	answer.Accepted = int64(result.Rows)
	if len(result.Refused) > 0 {
		r.refuseColumns(answer, result.Refused)
	}
	if w.Tenants != nil && result.Rows > 0 {
		if checking := w.Tenants.Wrote(ctx, tenant, result.Rows); checking != nil && w.Failed != nil {
			w.Failed(checking)
		}
	}
	switch {
	case err == nil && result.Rows == 0:
		return answer, nothingAccepted(answer)
	case err == nil:
		return answer, nil
	case result.Rows > 0:
		return answer, partlyKept(err, r.columns, result.Rows)
	}
	return nil, api.AsError(err)
}

// partlyKept is why only the first rows of columns were kept, and says which.
func partlyKept(cause error, columns []model.Column, rows int) error {
	e := api.AsError(cause)
	switch {
	case errors.Is(cause, context.DeadlineExceeded):
		e = api.NewError("busy", "it took longer than the server allows")
	case e.Code == "internal": // whose detail is not shown
		e = api.NewError("interrupted", "the server failed midway; its log says why").Because(cause)
	}
	total, last, ofLast := 0, 0, 0
	for i := range columns {
		if total < rows {
			last, ofLast = i, rows-total
		}
		total += len(columns[i].Times)
	}
	l := columns[last].Labels
	e.Detail += "; " + strconv.Itoa(rows) + " of " + strconv.Itoa(total) + " samples are kept: all before channel " +
		quote(l.Channel()) + " of instrument " + quote(l.Instrument()) + ", and the first " +
		strconv.Itoa(min(ofLast, len(columns[last].Times))) + " of that; send all again: what is kept does not change"
	return e
}

func limit(set int64, otherwise policy.Limit) int64 {
	if set == 0 {
		return otherwise.Default
	}
	return set
}

func nothingAccepted(answer *api.SamplesBody) error {
	first := &answer.Errors[0]
	return api.NewError("nothing_accepted", "all "+strconv.FormatInt(answer.Rejected, 10)+" samples are refused; the first, channel "+
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
	packed []byte // the body as sent, if it was packed
	body   []byte // unpacked
	tenant model.Tenant
	large  bool // it has one of the places of large

	unit     string
	shared   times // of the top
	channels []channel

	integers []int64   // where lists of times are cut from
	floats   []float64 // where lists of values are cut from
	odd      []odd     // where lists of what was odd are cut from

	columns []model.Column // what may be kept
	origins []int32        // for each of columns the position of its channel in the request

	// describe says what stands at a place of the body.
	describe func(body []byte, at int) string
}

// channel is one channel of a request.
type channel struct {
	labels     model.Labels
	refused    string // why the labels or properties cannot be kept, "" if they can
	properties *model.Properties
	times      times
	values     values
}

// times are a list of times in the request's unit.
type times struct {
	given bool
	list  []int64
	odd   []odd // what are no integers; list has 0 there
	clean bool  // all are times that may be kept; list is in nanoseconds
}

// values are a list of values.
type values struct {
	given bool
	list  []float64
	odd   []odd // what are no numbers; list has 0 there
}

// odd is an element of a list that is not of its type.
type odd struct {
	index int32 // in the list
	at    int32 // in the body
	null  bool
}

// What memory is kept for the next request: that of an ordinary one.
const (
	mostBytesKept = 1 << 20
	mostRowsKept  = 1 << 17
)

var requests = sync.Pool{New: func() any { return new(request) }}

func (r *request) release() {
	if r.large {
		r.large = false
		large.Leave(r.tenant)
	}
	if cap(r.packed) > mostBytesKept || cap(r.body) > mostBytesKept ||
		cap(r.integers) > mostRowsKept || cap(r.floats) > mostRowsKept ||
		cap(r.channels) > mostRowsKept/8 || cap(r.odd) > mostRowsKept/8 {
		return
	}
	clear(r.channels)
	clear(r.odd)
	clear(r.columns)
	*r = request{
		packed: r.packed[:0], body: r.body[:0], channels: r.channels[:0],
		integers: r.integers[:0], floats: r.floats[:0], odd: r.odd[:0], columns: r.columns[:0],
		origins: r.origins[:0],
	}
	requests.Put(r)
}

// addChannel makes room for the next channel.
func (r *request) addChannel() (*channel, error) {
	if int64(len(r.channels)) == policy.BodyChannels.Default {
		return nil, api.NewError("too_many_channels", "the request has more than "+
			strconv.FormatInt(policy.BodyChannels.Default, 10)+" channels: send several")
	}
	r.channels = append(r.channels, channel{})
	return &r.channels[len(r.channels)-1], nil
}

// room checks that n more times, or values, may follow the have that there are.
func room(have, n int) error {
	if int64(have)+int64(n) > policy.BodySamples.Default {
		return api.NewError("body_too_large", "the request has more than "+
			strconv.FormatInt(policy.BodySamples.Default, 10)+" times or values: send several")
	}
	return nil
}

// quote quotes text for an error message, cut to a readable length.
func quote[T string | []byte](text T) string {
	const most = 40
	if len(text) > most {
		return strconv.Quote(string(text[:most])) + "…"
	}
	return strconv.Quote(string(text))
}
