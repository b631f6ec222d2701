// Package otlp answers POST /v1/metrics: it reads what package ingest/otlp
// understands, and appends what it may keep of it.
package otlp

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/ingest/otlp"
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

// memory is what one request needs.
type memory struct {
	body    unpack.Body
	decoder otlp.Decoder
}

var memories = sync.Pool{New: func() any { return &memory{} }}

// release keeps the memory for the next request.
func (m *memory) release() {
	m.body.Release()
	m.decoder.Reset()
	memories.Put(m)
}

// Write reads a request and appends what it may keep of it. It returns the body
// of the answer, which says what was refused of it. Every error is an *api.Error:
// one of the code nothing_accepted where data points were sent and none of them
// may be kept.
func (w *Writer) Write(ctx context.Context, tenant model.Tenant, contentType, contentEncoding string, from io.Reader) ([]byte, error) {
	encoding, known := otlp.EncodingOf(contentType)
	if !known {
		return nil, api.NewError("unsupported_media_type", "the Content-Type is neither application/x-protobuf nor application/json")
	}
	m := memories.Get().(*memory)
	defer m.release()
	most := w.MaxBody
	if most == 0 {
		most = policy.BodyBytes.Default
	}
	if err := m.body.Read(ctx, tenant, contentEncoding, from, most); err != nil {
		return nil, err
	}
	r, err := m.decoder.Decode(tenant, m.body.Bytes, encoding)
	if err != nil {
		return nil, decodeError(err)
	}
	m.body.Drop()
	result, err := w.To.Write(ctx, r)
	switch {
	case errors.Is(err, admit.ErrNothingAccepted):
		return nil, api.NewError("nothing_accepted", "all "+otlp.Describe(r, result))
	case err != nil:
		return nil, api.AsError(err)
	}
	return otlp.AppendResponse(nil, encoding, result.Rejected, otlp.Describe(r, result)), nil
}

// decodeError returns why a body is refused as a whole.
func decodeError(err error) error {
	code := "malformed"
	switch {
	case errors.Is(err, otlp.ErrTooManyChannels):
		code = "too_many_channels"
	case errors.Is(err, otlp.ErrTooLarge):
		code = "body_too_large"
	}
	return api.NewError(code, err.Error()).Because(err)
}
