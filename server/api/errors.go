package api

import (
	"context"
	"errors"
	"maps"
	"strings"
	"time"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/query"
	"github.com/hokan-db/hokan/server/rate"
	"github.com/hokan-db/hokan/server/tenants"
)

// Error is what every handler fails with.
type Error struct {
	Code   string        // for programs; never changes its meaning
	Status int           // of HTTP
	Detail string        // for people
	After  time.Duration // when to try again; 0: not said
	cause  error
}

// Error returns the code and the detail.
func (e *Error) Error() string { return e.Code + ": " + e.Detail }

// Unwrap returns what the error was made from, nil if it was made here.
func (e *Error) Unwrap() error { return e.cause }

// statuses has every code of a server and its HTTP status; those that a client
// finds itself, unavailable and untrusted, have none of their own. Statuses
// below 500, 429 apart, say that repeating the request cannot help.
var statuses = map[string]int{
	"malformed":              400,
	"bad_selector":           400,
	"bad_span":               400,
	"bad_time":               400,
	"zone_required":          400,
	"start_required":         400,
	"map_required":           400,
	"bad_label":              400,
	"unauthorized":           401,
	"forbidden":              403,
	"not_found":              404,
	"no_channel":             404,
	"method_not_allowed":     405,
	"conflict":               409,
	"locked":                 409,
	"in_progress":            409,
	"answer_not_kept":        409,
	"body_too_large":         413,
	"unsupported_media_type": 415,
	"too_many_channels":      422,
	"nothing_accepted":       422,
	"invalid":                422,
	"key_reused":             422,
	"sequence_too_old":       422,
	"rate_limited":           429,
	"idempotency_limit":      429,
	"busy":                   429,
	"corrupt":                500,
	"internal":               500,
	"interrupted":            500,
	"read_only":              500,
	"disk_full":              507,
	"over_quota":             507,
}

// Codes returns every code with its HTTP status, as a copy.
func Codes() map[string]int { return maps.Clone(statuses) }

// codes maps what the packages below refuse with to codes. The first match
// counts.
var codes = []struct {
	sentinel error
	code     string
}{
	{admit.ErrNothingAccepted, "nothing_accepted"},
	{policy.ErrRetention, "invalid"}, // also where a rule's match is what is wrong
	{model.ErrBadSelector, "bad_selector"},
	{model.ErrBadSpan, "bad_span"},
	{query.ErrBadTime, "bad_time"},
	{query.ErrBadCursor, "malformed"},
	{engine.ErrBadCursor, "malformed"},
	{model.ErrBadTenant, "malformed"},
	{query.ErrNoChannel, "no_channel"},
	{engine.ErrUnknownChannel, "no_channel"},
	{query.ErrTooManyChannels, "too_many_channels"},
	{engine.ErrUnknownTenant, "not_found"},
	{engine.ErrUnknownAlarm, "not_found"},
	{engine.ErrLocked, "locked"},
	{engine.ErrOverQuota, "over_quota"},
	{engine.ErrBusy, "busy"},
	{engine.ErrFull, "disk_full"},
	{engine.ErrFileExists, "conflict"},
	{engine.ErrReadOnly, "read_only"},
	{engine.ErrCorrupt, "corrupt"},
	{model.ErrBadLabel, "invalid"},
	{engine.ErrCondition, "invalid"},
	{query.ErrInvalid, "invalid"},
	{engine.ErrInvalid, "invalid"},
	{engine.ErrTooManyChannels, "too_many_channels"},
	{engine.ErrTooManyDeletions, "busy"},
	{tenants.ErrInvalid, "invalid"},
	{tenants.ErrClosed, "forbidden"},
	{tenants.ErrBadCursor, "malformed"},
	{engine.ErrInProgress, "in_progress"},
	{engine.ErrSequenceTooOld, "sequence_too_old"},
	{engine.ErrAnswerForgotten, "answer_not_kept"},
	{engine.ErrTooManyRows, "invalid"},
	{engine.ErrEmpty, "invalid"},
	{context.Canceled, "interrupted"},
}

// NewError returns an error with one of the codes.
func NewError(code, detail string) *Error {
	status, known := statuses[code]
	if !known {
		status = 500
	}
	return &Error{Code: code, Status: status, Detail: detail}
}

// Because notes what e was made from, and returns e.
func (e *Error) Because(cause error) *Error {
	e.cause = cause
	return e
}

// AsError returns err as an *Error: itself if it is one, else with the code
// that its sentinel stands for, else "internal".
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var tooFast *rate.Error
	if errors.As(err, &tooFast) {
		e = NewError("rate_limited", tooFast.Error()).Because(err)
		e.After = tooFast.After
		return e
	}
	var part *admit.PartError
	if errors.As(err, &part) {
		return partlyKept(part)
	}
	code := "internal"
	for _, c := range codes {
		if errors.Is(err, c.sentinel) {
			code = c.code
			break
		}
	}
	e = NewError(code, detailOf(code, err.Error()))
	if code == "bad_selector" {
		e.Detail += `; a selector is such as {instrument="lake",channel=~"2-.*"}`
	}
	e.cause = err
	return e
}

// partlyKept says why only some of a request's samples are kept, and which.
func partlyKept(part *admit.PartError) *Error {
	e := AsError(part.Cause)
	switch {
	case errors.Is(part.Cause, context.DeadlineExceeded):
		e = NewError("busy", "it took longer than the server allows")
	case e.Code == "internal": // whose detail is not shown
		e = NewError("interrupted", "the server failed midway; its log says why")
	}
	told := *e
	told.Detail += "; " + part.What()
	return told.Because(part)
}

// detailOf returns text without the words of sentinels that only repeat its
// code.
func detailOf(code, text string) string {
	for _, c := range codes {
		words := c.sentinel.Error() + ": "
		if c.code != code || !strings.HasPrefix(words, strings.ReplaceAll(code, "_", " ")) {
			continue
		}
		if rest, first := strings.CutPrefix(text, words); first {
			text = rest
		}
		text = strings.Replace(text, ": "+words, ": ", 1)
	}
	return text
}

// answer gives a handler's result, with the error made an *Error.
func answer[B any](body B, err error) (B, error) {
	if err != nil {
		var none B
		return none, AsError(err)
	}
	return body, nil
}
