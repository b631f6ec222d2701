package admit

import (
	"github.com/hokan-db/hokan/engine/model"
)

// Unit is what times count.
type Unit struct {
	Name        string // as messages show it
	Nanoseconds int64  // of one; 0 counts as 1
}

// The units that protocols use.
var (
	Seconds      = Unit{"s", 1e9}
	Milliseconds = Unit{"ms", 1e6}
	Microseconds = Unit{"us", 1e3}
	Nanoseconds  = Unit{"ns", 1}
)

// floor returns t, in nanoseconds, as a number of units, rounded down.
func (u Unit) floor(t int64) int64 {
	n := t / u.Nanoseconds
	if t%u.Nanoseconds < 0 {
		n--
	}
	return n
}

// Request is what an adapter made of a body. Its memory, and that of all lists
// in it, is the adapter's again when Write has returned: what is kept is copied.
// Write changes times and values in place.
type Request struct {
	Tenant   model.Tenant
	Unit     Unit // of every time; the zero value is nanoseconds
	Clocks   []Clock
	Channels []Channel

	// Describe says what stands at a place of the body, for messages about what
	// is odd; needed where something is.
	Describe func(at int) string
	// UnitHint says how a request names its unit, for a warning where all times
	// lie in January 1970; "" where it cannot: then there is none.
	UnitHint string
	// Judged, if not nil, is called when the body is needed no longer: the
	// append may wait.
	Judged func()

	result  *Result        // what was refused so far, nil for nothing
	columns []model.Column // what may be kept
	origins []int32        // for each of columns the position of its channel
}

// Clock is a list of times.
type Clock struct {
	Times []int64
	Odd   []Odd // what are no times; Times has any number there

	judged bool // by finish
	clean  bool // all are times that may be kept, and in nanoseconds
}

// Channel is the samples of one channel: as many values as its clock has times.
type Channel struct {
	Labels     model.Labels
	Properties *model.Properties // nil: they stay as they are
	Refused    string            // why the labels or properties cannot be kept; "" if they can
	Clock      int               // its position in Request.Clocks
	Values     []float64
	Odd        []Odd // what are no numbers; Values has any number there
}

// Odd is an element of a list that is not what it should be. They are listed in
// the order of their indices.
type Odd struct {
	Index int32 // in the list
	At    int32 // in the body, for Request.Describe
	Null  bool  // of a value: there is no sample, which is no fault
}

// Reset empties the request for the next body. The memory of its lists stays, as
// do Describe, UnitHint and Judged.
func (r *Request) Reset() {
	clear(r.Clocks)
	clear(r.Channels)
	clear(r.columns)
	*r = Request{
		Clocks: r.Clocks[:0], Channels: r.Channels[:0], columns: r.columns[:0], origins: r.origins[:0],
		Describe: r.Describe, UnitHint: r.UnitHint, Judged: r.Judged,
	}
}

// AddClock adds a list of times, and returns its position.
func (r *Request) AddClock(times []int64) int {
	r.Clocks = append(r.Clocks, Clock{Times: times})
	return len(r.Clocks) - 1
}

// Add adds a channel, and returns its position.
func (r *Request) Add(labels model.Labels, properties *model.Properties, clock int, values []float64) int {
	r.Channels = append(r.Channels, Channel{Labels: labels, Properties: properties, Clock: clock, Values: values})
	return len(r.Channels) - 1
}

// AddBatch adds the columns of a batch, whose times are in nanoseconds.
func (r *Request) AddBatch(b *model.Batch) {
	r.Tenant = b.Tenant
	var before []int64
	clock := -1
	for i := range b.Columns {
		c := &b.Columns[i]
		if len(c.Times) == 0 || len(c.Times) != len(before) || &c.Times[0] != &before[0] {
			clock, before = r.AddClock(c.Times), c.Times
		}
		r.Add(c.Labels, c.Properties, clock, c.Values)
	}
}

// Refuse counts samples that the adapter refuses, and names the first of them
// where it is one of the first of the request. The detail is asked for only then.
func (r *Request) Refuse(first Refusal, samples int, detail func() string) {
	if r.result == nil {
		r.result = newResult()
	}
	r.result.refuse(first.Channel, first.Index, samples, first.Code, detail)
}

// mostRefusals is how many refusals a result names.
const mostRefusals = 20

// Result says what became of a request's samples.
type Result struct {
	Accepted int64            `json:"accepted"`
	Rejected int64            `json:"rejected"`
	Reasons  map[string]int64 `json:"reasons"` // rejected samples by code
	Errors   []Refusal        `json:"errors"`  // the first 20
	// Warnings say what was kept and looks wrong.
	Warnings []string `json:"warnings,omitempty"`
}

// Refusal is one rejected sample: the position of its channel in the request
// and its own in the channel. What an adapter refuses that is of no channel has
// the channel -1 and an index of its own, such as a line.
type Refusal struct {
	Channel int    `json:"channel"`
	Index   int    `json:"index"`
	Code    string `json:"code"`
	Detail  string `json:"detail"`
}

// AddRefused counts what another result refused as well, of a part of the same
// samples.
func (r *Result) AddRefused(part *Result) {
	if part.Rejected > 0 && r.Reasons == nil {
		r.Reasons = map[string]int64{}
	}
	r.Rejected += part.Rejected
	for code, n := range part.Reasons {
		r.Reasons[code] += n
	}
	room := mostRefusals - len(r.Errors)
	r.Errors = append(r.Errors, part.Errors[:min(room, len(part.Errors))]...)
}

func newResult() *Result { return &Result{Reasons: map[string]int64{}, Errors: []Refusal{}} }

// refuse counts refused samples, and names the first of them if it is one of the
// first in all.
func (r *Result) refuse(channel, index, samples int, code string, detail func() string) {
	r.Rejected += int64(samples)
	r.Reasons[code] += int64(samples)
	if len(r.Errors) < mostRefusals {
		r.Errors = append(r.Errors, Refusal{Channel: channel, Index: index, Code: code, Detail: detail()})
	}
}
