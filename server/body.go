package server

import (
	"io"

	"github.com/hokan-db/hokan/engine/model"
)

// chargeStep is how many bytes of a body are charged at a time.
const chargeStep = 256 << 10

// body is a request's body. Its bytes count as in progress from when they are
// read until the request is answered.
type body struct {
	io.ReadCloser
	admitted *admission
	tenant   model.Tenant
	charged  int64
	read     int64 // and unpacked
	refused  error
	ended    bool // all of it was read
	answer   *answer
}

// charge returns a body of the request that a answers. It is charged to a
// tenant alone, as other requests have small bodies only.
func (s *Server) charge(r io.ReadCloser, a *answer) *body {
	return &body{ReadCloser: r, admitted: s.admitted, tenant: a.caller.Tenant, answer: a}
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.refused != nil {
		return 0, b.refused
	}
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	switch {
	case err == io.EOF && !b.ended:
		b.ended = true
		b.answer.watch()
	case n > 0:
		b.answer.received()
	}
	if b.cover(); b.refused != nil {
		return 0, b.refused
	}
	return n, err
}

// Charge implements unpack.Charger: what the body is unpacked to counts too.
func (b *body) Charge(n int64) error {
	b.read += n
	b.cover()
	return b.refused
}

// cover charges what was read and is not charged yet.
func (b *body) cover() {
	if b.tenant == "" || b.read <= b.charged || b.refused != nil {
		return
	}
	more := max(b.read-b.charged, chargeStep)
	if b.refused = b.admitted.enter(b.tenant, usage{bytes: more}); b.refused == nil {
		b.charged += more
	}
}

// done takes back what was charged.
func (b *body) done() {
	if b.charged > 0 {
		b.admitted.leave(b.tenant, usage{bytes: b.charged})
	}
}
