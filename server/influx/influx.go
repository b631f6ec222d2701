// Package influx answers the writes of InfluxDB's clients: it decodes line
// protocol and appends what it may keep, and says in InfluxDB's own words what
// became of it.
package influx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/ingest/lineprotocol"
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

// Partial says that some or all of a request's samples were refused; the others
// are durable.
type Partial struct {
	Line    int    // of the first that was refused, from 1
	Message string // says what is refused and why
}

// Write decodes a request and appends what it may keep of it. The partial answer is
// nil where that is all; warnings say what was kept and looks wrong. Every error is
// an *api.Error.
func (w *Writer) Write(ctx context.Context, tenant model.Tenant, precision, encoding string, body io.Reader) (p *Partial, warnings []string, err error) {
	unit, err := unitOf(precision)
	if err != nil {
		return nil, nil, err
	}
	r := requests.Get().(*request)
	defer r.release()
	most := w.MaxBody
	if most == 0 {
		most = policy.BodyBytes.Default
	}
	if err := r.body.Read(ctx, tenant, encoding, body, most); err != nil {
		return nil, nil, err
	}
	decoded, err := r.decoder.Decode(tenant, r.body.Bytes, lineprotocol.Options{Unit: unit, Now: w.To.Clock().UnixNano()})
	if err != nil {
		return nil, nil, api.NewError("body_too_large", err.Error())
	}
	result, err := w.To.Write(ctx, decoded)
	if err != nil && !errors.Is(err, admit.ErrNothingAccepted) {
		return nil, nil, api.AsError(err)
	}
	if result.Rejected == 0 {
		return nil, result.Warnings, nil
	}
	return r.partial(result), result.Warnings, nil
}

// mostNamed is how many refusals a message names.
const mostNamed = 5

// partial says what was refused.
func (r *request) partial(result *admit.Result) *Partial {
	p := &Partial{}
	var text strings.Builder
	text.WriteString("partial write: ")
	for i, e := range result.Errors {
		line := e.Index
		if e.Channel >= 0 {
			line = r.decoder.Line(e.Channel, e.Index)
		}
		if p.Line == 0 || line < p.Line {
			p.Line = line
		}
		if i < mostNamed {
			fmt.Fprintf(&text, "line %d: %s: %s; ", line, e.Code, e.Detail)
		}
	}
	for i, code := range slices.Sorted(maps.Keys(result.Reasons)) {
		if i > 0 {
			text.WriteString(", ")
		}
		fmt.Fprintf(&text, "%d %s", result.Reasons[code], code)
	}
	fmt.Fprintf(&text, ", %d samples kept dropped=%d", result.Accepted, result.Rejected)
	p.Message = text.String()
	return p
}

// unitOf returns the unit that a precision names, as InfluxDB 1 or 2 does.
func unitOf(precision string) (admit.Unit, error) {
	switch precision {
	case "", "ns", "n":
		return admit.Nanoseconds, nil
	case "us", "u", "µ", "µs":
		return admit.Microseconds, nil
	case "ms":
		return admit.Milliseconds, nil
	case "s":
		return admit.Seconds, nil
	case "m":
		return admit.Unit{Name: "m", Nanoseconds: int64(time.Minute)}, nil
	case "h":
		return admit.Unit{Name: "h", Nanoseconds: int64(time.Hour)}, nil
	}
	return admit.Unit{}, api.NewError("malformed", fmt.Sprintf("invalid precision %.20q: it is one of ns, us, ms, s", precision))
}

// request is a request being decoded, and its memory.
type request struct {
	decoder lineprotocol.Decoder
	body    unpack.Body
}

var requests = sync.Pool{New: func() any {
	r := &request{}
	r.decoder.Request().Judged = r.body.Drop
	r.decoder.Request().UnitHint = "the query parameter precision names it, and is ns if left out"
	return r
}}

func (r *request) release() {
	r.body.Release()
	r.decoder.Release()
	requests.Put(r)
}

// Status returns the status that InfluxDB's clients understand, for one of
// Hokan's. What may be sent again without a change is 503, and for version 2 of
// the API also 429: Telegraf's output for version 1 gives up what meets a 4xx.
func Status(status int, second bool) int {
	switch status {
	case http.StatusTooManyRequests:
		if !second {
			return http.StatusServiceUnavailable
		}
	case http.StatusInsufficientStorage:
		return http.StatusServiceUnavailable
	case http.StatusUnprocessableEntity:
		return http.StatusBadRequest
	}
	return status
}

// Body is what an error says: to clients of version 1 of the API Error alone, to
// those of version 2 the others.
type Body struct {
	Error   string `json:"error,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	Line    int    `json:"line,omitempty"`
}

// NewBody returns the body of an error. The line is 0 where none is meant.
func NewBody(status int, second bool, message string, line int) Body {
	if !second {
		return Body{Error: message}
	}
	return Body{Code: codeOf(status), Message: message, Line: line}
}

// codeOf returns what InfluxDB 2 calls a status.
func codeOf(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "unauthorized"
	case http.StatusForbidden:
		return "forbidden"
	case http.StatusNotFound:
		return "not found"
	case http.StatusConflict:
		return "conflict"
	case http.StatusRequestEntityTooLarge:
		return "request too large"
	case http.StatusTooManyRequests:
		return "too many requests"
	case http.StatusServiceUnavailable:
		return "unavailable"
	}
	if status >= 500 {
		return "internal error"
	}
	return "invalid"
}

// Secret returns the secret that a request shows as InfluxDB's clients do, ""
// for none: Authorization: Bearer, Token, or Basic, whose password it is; or the
// parameter p. A token that is written as USER:PASSWORD is the part behind.
func Secret(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch secret = strings.TrimSpace(secret); {
	case strings.EqualFold(scheme, "Bearer"):
		return secret
	case strings.EqualFold(scheme, "Token"):
		if _, password, ok := strings.Cut(secret, ":"); ok {
			return password
		}
		return secret
	}
	return r.URL.Query().Get("p")
}
