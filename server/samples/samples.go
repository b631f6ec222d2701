// Package samples answers POST /api/v1/samples: it decodes a request and
// appends what it may keep.
package samples

import (
	"context"
	"io"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/api"
)

// Writer writes requests into a database. It is safe for concurrent use.
type Writer struct {
	DB    *engine.DB
	Clock model.Clock
	// MaxBody bounds a request's bytes, as sent and decompressed; 0 is
	// policy.BodyBytes.
	MaxBody int64
	// MaxAhead is how many nanoseconds a sample may lie ahead of the clock; 0
	// is policy.AheadTime.
	MaxAhead int64
}

// Write decodes a request and appends what it may keep of it. Every error is
// an *api.Error. With code nothing_accepted the body is given too.
func (w *Writer) Write(ctx context.Context, tenant model.Tenant, contentType, contentEncoding string, body io.Reader) (*api.SamplesBody, error) {
	return nil, api.NewError("internal", "not there yet")
}
