// Package admit is the one way in for samples. Whatever they come as, an adapter
// turns them into a Request and a Writer does the rest: it judges every sample,
// counts what it refuses and why, holds tenants to what is agreed with them, and
// appends what may be kept, which is durable on return.
//
// An adapter knows a syntax, and nothing of limits, clocks or the database:
//
//	r := requests.Get().(*admit.Request) // from a pool: its lists keep their memory
//	defer func() { r.Reset(); requests.Put(r) }()
//	r.Tenant, r.Unit = tenant, admit.Milliseconds
//	clock := r.AddClock(times)           // times of as many channels as have them
//	r.Add(labels, nil, clock, values)    // once per channel
//	r.Refuse(admit.Refusal{Channel: -1, Index: line, Code: "not_a_number"}, 1, why)
//	result, err := writer.Write(ctx, r)
//
// Every sample that a request has is either accepted or refused for one of
// these reasons:
//
//	bad_time       its time is no integer, or outside the years 1678 to 2261
//	too_far_ahead  it lies further ahead of the clock than Writer.MaxAhead
//	not_a_number   its value is neither a number nor a word for one
//	bad_label      its channel's labels or properties cannot be kept
//	before_retention
//	               it is older than its channel keeps samples
//	channel_limit, instrument_limit
//	               its channel would be a new one, and its tenant or its
//	               instrument has as many as it may
//
// and for those that an adapter refuses with. A request of which nothing may be
// kept is ErrNothingAccepted. One of a tenant that sends faster than agreed, is
// over its quota or meets a full disk is refused whole, with the error of what
// refuses it.
package admit
