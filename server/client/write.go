package client

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/api"
)

// maxSamples is how many samples one request carries: 4 MiB before
// compression, enough that the request itself costs nothing beside them.
const maxSamples = 1 << 18

// Write sends samples; when it returns without an error, what it says it
// accepted is durable. A batch that is too large for one request becomes
// several, of which the answers are added up; an error then tells what became
// of the last, and the body what was kept before. A server that is busy is
// asked again as long as ctx lasts. The tenant of the batch is not sent: the
// token says whose the samples are.
func (c *Client) Write(ctx context.Context, b *model.Batch) (*api.SamplesBody, error) {
	total := &api.SamplesBody{Reasons: map[string]int64{}, Errors: []api.SampleError{}}
	for part := range parts(b) {
		body, err := c.writePart(ctx, part.columns)
		if body != nil {
			addTo(total, body, part.first)
		}
		if err != nil && (!isNothingAccepted(err) || part.whole) {
			return total, err
		}
	}
	if total.Accepted == 0 && total.Rejected > 0 {
		return total, api.NewError("nothing_accepted", "every sample was rejected")
	}
	return total, nil
}

func isNothingAccepted(err error) bool {
	var e *api.Error
	return errors.As(err, &e) && e.Code == "nothing_accepted"
}

// maxErrors is how many refused samples an answer lists.
const maxErrors = 20

// addTo adds the answer to a part of a batch. What it says of positions counts
// from the part's first column.
func addTo(total, body *api.SamplesBody, first int) {
	total.Accepted += body.Accepted
	total.Rejected += body.Rejected
	for code, n := range body.Reasons {
		total.Reasons[code] += n
	}
	for _, w := range body.Warnings {
		if !slices.Contains(total.Warnings, w) {
			total.Warnings = append(total.Warnings, w)
		}
	}
	for _, e := range body.Errors {
		if len(total.Errors) < maxErrors {
			e.Channel += first
			total.Errors = append(total.Errors, e)
		}
	}
}

// part is consecutive columns of a batch that fit into one request.
type part struct {
	columns []model.Column
	first   int  // where the first of them stands in the batch
	whole   bool // it is the whole batch
}

// parts cuts a batch into requests. A column that alone is too large is cut
// too.
func parts(b *model.Batch) func(yield func(part) bool) {
	return func(yield func(part) bool) {
		if b.Rows() <= maxSamples {
			yield(part{b.Columns, 0, true})
			return
		}
		for start := 0; start < len(b.Columns); {
			end, rows := start, 0
			for end < len(b.Columns) && (end == start || rows+len(b.Columns[end].Times) <= maxSamples) {
				rows += len(b.Columns[end].Times)
				end++
			}
			if rows <= maxSamples {
				if !yield(part{b.Columns[start:end], start, false}) {
					return
				}
			} else if !cut(b.Columns[start], start, yield) {
				return
			}
			start = end
		}
	}
}

// cut yields one column in pieces.
func cut(c model.Column, first int, yield func(part) bool) bool {
	for len(c.Times) > 0 {
		n := min(len(c.Times), maxSamples)
		piece := c
		piece.Times, piece.Values = c.Times[:n], c.Values[:n]
		if !yield(part{[]model.Column{piece}, first, false}) {
			return false
		}
		c.Times, c.Values = c.Times[n:], c.Values[n:]
	}
	return true
}

// writeHeader says how samples are sent.
var writeHeader = http.Header{"Content-Type": {"application/msgpack"}, "Content-Encoding": {"zstd"}}

// busyWait is how long to wait for a busy server that does not say.
const busyWait = time.Second

func (c *Client) writePart(ctx context.Context, columns []model.Column) (*api.SamplesBody, error) {
	request, err := encode(columns)
	if err != nil {
		return nil, err
	}
	for {
		response, err := c.do(ctx, http.MethodPost, "/api/v1/samples", nil, writeHeader, request)
		if err == nil {
			body := new(api.SamplesBody)
			return answer(body, c.decode(ctx, response, body))
		}
		var refused *Refusal
		if !errors.As(err, &refused) {
			return nil, err
		}
		switch refused.Cause.Code {
		case "nothing_accepted":
			body := new(api.SamplesBody)
			if json.Unmarshal(refused.Body, body) != nil {
				return nil, err
			}
			return body, err
		case "busy", "rate_limited":
			if err := wait(ctx, refused.After); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
}

func wait(ctx context.Context, duration time.Duration) error {
	if duration == 0 {
		duration = busyWait
	}
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// compressor is shared: EncodeAll may be called concurrently.
var compressor = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
})

// encode writes columns as msgpack, times and values as bytes, and compresses
// it. Columns that share a clock send it once, if it is the first column's.
func encode(columns []model.Column) ([]byte, error) {
	var b bytes.Buffer
	e := msgpack.NewEncoder(&b)
	shared := []int64(nil)
	if len(columns) > 0 {
		shared = columns[0].Times
	}
	// A bytes.Buffer never fails, so neither does the encoder.
	_ = e.EncodeMapLen(3)
	_ = e.EncodeString("unit")
	_ = e.EncodeString("ns")
	_ = e.EncodeString("times")
	_ = e.EncodeBytes(timeBytes(shared))
	_ = e.EncodeString("channels")
	_ = e.EncodeArrayLen(len(columns))
	for i := range columns {
		encodeColumn(e, &columns[i], shared)
	}
	z, err := compressor()
	if err != nil {
		return nil, err
	}
	return z.EncodeAll(b.Bytes(), nil), nil
}

func encodeColumn(e *msgpack.Encoder, c *model.Column, shared []int64) {
	own := !same(c.Times, shared)
	members := 2
	if own {
		members++
	}
	if c.Properties != nil {
		members++
	}
	_ = e.EncodeMapLen(members)
	_ = e.EncodeString("labels")
	labels := map[string]string{}
	for name, value := range c.Labels.All() {
		labels[name] = value
	}
	_ = e.EncodeMapLen(len(labels))
	for name, value := range labels {
		_ = e.EncodeString(name)
		_ = e.EncodeString(value)
	}
	if c.Properties != nil {
		_ = e.EncodeString("properties")
		encodeProperties(e, c.Properties)
	}
	if own {
		_ = e.EncodeString("times")
		_ = e.EncodeBytes(timeBytes(c.Times))
	}
	_ = e.EncodeString("values")
	_ = e.EncodeBytes(valueBytes(c.Values))
}

// encodeProperties leaves out what is not said.
func encodeProperties(e *msgpack.Encoder, p *model.Properties) {
	texts := [][2]string{{"name", p.Name}, {"unit", p.Unit}, {"scaling", p.Scaling}, {"group", p.Group}, {"app", p.App}}
	said := 0
	for _, t := range texts {
		if t[1] != "" {
			said++
		}
	}
	if p.HasDecimals {
		said++
	}
	_ = e.EncodeMapLen(said)
	for _, t := range texts {
		if t[1] != "" {
			_ = e.EncodeString(t[0])
			_ = e.EncodeString(t[1])
		}
	}
	if p.HasDecimals {
		_ = e.EncodeString("decimals")
		_ = e.EncodeUint(uint64(p.Decimals))
	}
}

// same reports whether a and b are one slice.
func same(a, b []int64) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

func timeBytes(times []int64) []byte {
	b := make([]byte, 0, 8*len(times))
	for _, t := range times {
		b = binary.LittleEndian.AppendUint64(b, uint64(t))
	}
	return b
}

func valueBytes(values []float64) []byte {
	b := make([]byte, 0, 8*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}
