package server

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"

	"github.com/hokan-db/hokan/engine/policy"
)

// answer is the writer of one answer: it sets what every answer has, keeps
// account, bounds the time that a client may take, and compresses JSON
// where that pays and the client reads it.
type answer struct {
	http.ResponseWriter
	pace
	request  *http.Request
	admitted *admission

	body    *body // of the request, nil while nobody may read it
	route   string
	quiet   bool
	caller  caller
	charged int64  // bytes of it that count as waiting in memory
	status  int    // 0: nothing sent
	sent    int64  // bytes of the body, as sent
	err     error  // why it failed
	limit   string // that refused, "" if none did

	bodyLimit string       // that the request's body is under
	broken    bool         // the client does not take it
	aborted   bool         // cut off
	notFound  func() error // what a 404 of the handler becomes
	dropping  bool         // the handler's own body is not sent

	refused  func(http.ResponseWriter, *http.Request, *Problem) // of the operation
	recorded *recorded                                          // what is answered goes here, nil: to the client

	held    bool           // the header waits for the first piece of the body
	packer  io.WriteCloser // nil: the body goes out as it is
	recycle func()         // lets another answer use the packer
}

// secure sets the headers that every answer has.
func (a *answer) secure(tls bool) {
	h := a.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	if tls {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// fail answers with a problem, or cuts the answer off where it has begun.
func (a *answer) fail(err error) {
	p := problemOf(err)
	if why := a.why(); why != nil && calledOff(err) {
		cut := *why
		cut.cause = err
		p = &cut
	}
	a.note(p)
	left := errors.Is(err, context.Canceled) && a.request.Context().Err() != nil
	if left || !a.takeBack() {
		panic(http.ErrAbortHandler)
	}
	a.notFound = nil
	if a.refused != nil {
		a.refused(a, a.request, p)
		return
	}
	p.write(a)
}

// calledOff reports whether err is what a handler fails with whose context was
// cancelled, or whose request's body was given up.
func calledOff(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// note keeps why the answer is a problem, for the log and the metrics.
func (a *answer) note(p *Problem) {
	switch {
	case p.limit != "":
		a.limit = p.limit
	case a.body != nil && a.body.refused != nil: // which what unpacks it tells by its code alone
		a.limit = problemOf(a.body.refused).limit
	case p.Code == policy.BodyBytes.Code:
		a.limit = a.bodyLimit
	case p.Code == "over_quota":
		a.limit = quotaBytes
	}
	if a.err == nil {
		if a.err = p.cause; a.err == nil {
			a.err = p
		}
	}
}

// takeBack makes room for another answer, if nothing has been sent.
func (a *answer) takeBack() bool {
	if a.status != 0 && !a.held {
		return false
	}
	a.status, a.held, a.recorded = 0, false, nil
	return true
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if status < 200 {
		a.ResponseWriter.WriteHeader(status)
		return
	}
	if a.recorded != nil {
		a.recorded.status = cmp.Or(a.recorded.status, status)
		return
	}
	if a.status != 0 {
		return
	}
	if status == http.StatusNotFound && a.notFound != nil {
		a.dropping = true
		err := a.notFound()
		a.notFound = nil
		a.Header().Del("Content-Length")
		p := problemOf(err)
		a.err = err
		a.dropping = false
		p.write(a)
		a.dropping = true
		return
	}
	a.status = status
	h := a.Header()
	switch status {
	case http.StatusTooManyRequests:
		if h.Get("Retry-After") == "" {
			h.Set("Retry-After", strconv.Itoa(retryAfter))
		}
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	}
	if a.request.ContentLength != 0 && (a.body == nil || !a.body.ended) {
		// Nobody waits for the rest of a body that was not needed.
		h.Set("Connection", "close")
	}
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	if a.mayPack() {
		a.held = true
		return
	}
	a.extend(a.sent)
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	if a.recorded != nil {
		a.WriteHeader(http.StatusOK) // if nothing else was said
		a.recorded.body = append(a.recorded.body, b...)
		return len(b), nil
	}
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if a.dropping {
		return len(b), nil
	}
	if a.held {
		a.open(len(b))
	}
	if a.packer != nil {
		return a.packer.Write(b)
	}
	return a.send(b)
}

// pieceBytes is how much is sent under one deadline.
const pieceBytes = 64 << 10

// send hands bytes to the connection, with a deadline for every piece.
func (a *answer) send(b []byte) (n int, err error) {
	for len(b) > 0 {
		var m int
		err := a.push(a.sent, func() (err error) {
			m, err = a.ResponseWriter.Write(b[:min(len(b), pieceBytes)])
			return err
		})
		n += m
		a.sent += int64(m)
		if err != nil {
			a.lose(err)
			return n, err
		}
		b = b[m:]
	}
	return n, nil
}

// lose notes that the client does not take the answer.
func (a *answer) lose(err error) {
	a.broken = true
	if a.err == nil {
		a.err = err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && a.why() == nil {
		a.pace.mu.Lock()
		defer a.pace.mu.Unlock()
		a.limit = a.pace.limit
	}
}

// FlushError sends what was written, for http.ResponseController.
func (a *answer) FlushError() error {
	if a.recorded != nil {
		return nil
	}
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if a.held {
		a.open(0)
	}
	return a.push(a.sent, a.control.Flush)
}

// Flush implements http.Flusher.
func (a *answer) Flush() { _ = a.FlushError() } // the next write says what is wrong

// finish ends the answer.
func (a *answer) finish() {
	if a.held {
		a.open(0)
	}
	a.extend(a.sent) // for what is still in the connection's buffer
	if a.packer != nil {
		_ = a.packer.Close() // what cannot be sent is noted where it is sent
		a.recycle()
		a.packer = nil
	}
}
