// Package live answers GET /api/v1/live: server-sent events with samples and
// alarms as they are written.
package live

import (
	"net/http"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
)

// Streamer streams what is written into a database. It is safe for concurrent
// use.
type Streamer struct {
	DB    *engine.DB
	Clock model.Clock
}

// Serve streams until the request's context ends. What is wrong with the
// request is returned as an *api.Error before anything is sent.
func (s *Streamer) Serve(w http.ResponseWriter, r *http.Request, t model.Tenant, match, unit string) error {
	return nil
}
