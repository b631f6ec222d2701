package server

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/rate"
)

// Problem is the body of every error: RFC 9457 with the code that programs
// branch on.
type Problem struct {
	Type   string `json:"type" doc:"urn:hokan: and the code"`
	Title  string `json:"title" doc:"The status in words"`
	Status int    `json:"status" doc:"The HTTP status"`
	Detail string `json:"detail" doc:"For people"`
	Code   string `json:"code" doc:"For programs; never changes its meaning"`

	limit string        // the limit that refused, "" if none did
	after time.Duration // when to try again; 0: retryAfter
	cause error
}

// retryAfter is how many seconds a client should wait after a 429 that says
// nothing else.
const retryAfter = 1

// seconds returns how many seconds a client should wait.
func (p *Problem) seconds() int {
	return max(retryAfter, int((p.after+time.Second-1)/time.Second))
}

// Error implements error.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// Unwrap returns what the problem was made from.
func (p *Problem) Unwrap() error { return p.cause }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// newProblem returns a problem with one of the codes of package api.
func newProblem(code, detail string) *Problem {
	return problemOf(api.NewError(code, detail))
}

// problemOf returns the problem that err is.
func problemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		p = newProblem("body_too_large", "the body has more than "+strconv.FormatInt(tooLarge.Limit, 10)+" bytes")
		p.cause = err
		return p
	case errors.Is(err, io.ErrUnexpectedEOF):
		p = newProblem("malformed", "the body was cut off")
		p.cause = err
		return p
	case errors.Is(err, os.ErrDeadlineExceeded):
		p = newProblem("busy", "the body did not arrive in time")
		p.limit, p.cause = policy.RequestTime.Name, err
		return p
	case errors.Is(err, context.DeadlineExceeded):
		p = newProblem("busy", "the answer took longer than the server allows")
		p.limit, p.cause = policy.RequestTime.Name, err
		return p
	}
	e := api.AsError(err)
	p = &Problem{
		Type: "urn:hokan:" + e.Code, Title: http.StatusText(e.Status), Status: e.Status, Detail: e.Detail, Code: e.Code,
		after: e.After, cause: err,
	}
	var tooFast *rate.Error
	if errors.As(err, &tooFast) {
		p.limit = rateLimits[tooFast.Holder]
	}
	if e.Code == "internal" {
		p.Detail = "the server failed; its log says why" // the cause may name what is not the client's
	}
	return p
}

// because notes what p was made from, and returns p.
func (p *Problem) because(cause error) *Problem {
	p.cause = cause
	return p
}

// write sends the problem as the answer.
func (p *Problem) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", p.ContentType(""))
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Encoding")
	h.Del("Content-Disposition")
	p.addHeaders(h)
	w.WriteHeader(p.Status)
	body, err := json.Marshal(p)
	if err == nil {
		_, _ = w.Write(append(body, '\n')) // the client may be gone
	}
}

func (p *Problem) addHeaders(h http.Header) {
	switch {
	case p.Status == http.StatusTooManyRequests || p.after > 0:
		h.Set("Retry-After", strconv.Itoa(p.seconds()))
	case p.Status == http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	}
}

// codeOf is the code of the errors that huma makes: what could not be read is
// malformed, what was read and is not allowed is invalid.
func codeOf(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "unauthorized"
	case http.StatusForbidden:
		return "forbidden"
	case http.StatusNotFound:
		return "not_found"
	case http.StatusRequestEntityTooLarge:
		return "body_too_large"
	case http.StatusUnsupportedMediaType:
		return "unsupported_media_type"
	case http.StatusUnprocessableEntity:
		return "invalid"
	case http.StatusTooManyRequests, http.StatusRequestTimeout:
		return "busy"
	}
	if status < 500 {
		return "malformed"
	}
	return "internal"
}

// Huma asks these variables how errors look, which every API of the program
// shares.
func init() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		var details []string
		for _, err := range errs {
			if err == nil {
				continue
			}
			if p := problemOf(err); p.Code != "internal" {
				return p
			}
			text := err.Error()
			if d, ok := err.(huma.ErrorDetailer); ok {
				text = d.ErrorDetail().Location + ": " + d.ErrorDetail().Message
			}
			details = append(details, text)
		}
		if len(details) > 0 {
			message = strings.Join(details, "; ")
		}
		return newProblem(codeOf(status), message)
	}
	huma.DefaultArrayNullable = false
}
