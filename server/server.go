// Package server is Hokan's HTTP server: the API under /api/v1 with its
// OpenAPI document, tokens and limits, live streams, the pages, health and
// metrics. What the endpoints answer is made by package api and the packages
// beside it; this one says who may ask, how much, and how it is carried.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/auth"
	"github.com/hokan-db/hokan/server/files"
	"github.com/hokan-db/hokan/server/influx"
	"github.com/hokan-db/hokan/server/live"
	"github.com/hokan-db/hokan/server/otlp"
	"github.com/hokan-db/hokan/server/remotewrite"
	"github.com/hokan-db/hokan/server/samples"
	"github.com/hokan-db/hokan/server/tenants"
	"github.com/hokan-db/hokan/server/web"
)

// Options say what a server serves. DB is required.
type Options struct {
	DB      *engine.DB
	Clock   model.Clock    // nil: the machine's
	Logger  *slog.Logger   // nil: nothing is logged
	Tokens  *auth.Store    // nil: those of DB
	Tenants *tenants.Store // nil: those of DB
	TLS     *tls.Config    // nil: plain HTTP
	Version string         // of the program, in the API's document
	Limits  Limits

	lastWords time.Duration // how long an answer that is cut short may still be sent; 0: defaultLastWords
}

// defaultLastWords is a second, so that a server that stops has ended within
// the ten that a container has.
const defaultLastWords = time.Second

// Server answers HTTP requests for one database. It is safe for concurrent
// use.
type Server struct {
	options  Options
	limits   Limits
	log      *slog.Logger
	api      *api.API
	tokens   *auth.Store
	tenants  *tenants.Store
	writer   *admit.Writer // the one way in for samples
	samples  *samples.Writer
	files    *files.Writer
	otlp     *otlp.Writer
	influx   *influx.Writer
	remote   *remotewrite.Writer
	live     *live.Streamer
	mux      *http.ServeMux
	pages    http.Handler
	document huma.API
	openAPI  []byte // the document as JSON
	docs     []byte // the document as a page
	metrics  *metrics
	admitted *admission

	sameOrigin *http.CrossOriginProtection
	draining   atomic.Bool
	running    running
}

// New makes a server. It starts nothing; the database stays the caller's to
// close, after Serve has returned.
func New(o Options) (*Server, error) {
	if o.DB == nil {
		return nil, errors.New("a server needs a database")
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Version == "" {
		o.Version = "devel"
	}
	if o.lastWords == 0 {
		o.lastWords = defaultLastWords
	}
	s := &Server{
		options: o, limits: o.Limits.withDefaults(), log: o.Logger, tokens: o.Tokens, tenants: o.Tenants,
		api: &api.API{DB: o.DB, Clock: o.Clock}, mux: http.NewServeMux(), pages: web.Handler(),
		sameOrigin: http.NewCrossOriginProtection(),
	}
	if s.tokens == nil {
		var err error
		if s.tokens, err = auth.Open(o.DB, o.Clock); err != nil {
			return nil, fmt.Errorf("read tokens: %w", err)
		}
	}
	if s.tenants == nil {
		var err error
		if s.tenants, err = tenants.Open(o.DB, o.Clock, s.tokens); err != nil {
			return nil, fmt.Errorf("read tenants: %w", err)
		}
	}
	s.api.Tenants = s.tenants
	s.api.Charge = func(ctx context.Context, bytes int64) error { return answerOf(ctx).charge(bytes) }
	s.writer = &admit.Writer{
		DB: o.DB, Clock: o.Clock, MaxAhead: int64(s.limits.AheadTime), Admit: s.letIn, Wrote: s.wrote,
	}
	s.samples = &samples.Writer{To: s.writer, MaxBody: s.limits.BodyBytes}
	s.files = &files.Writer{To: s.writer, MaxBody: s.limits.BodyBytes}
	s.otlp = &otlp.Writer{To: s.writer, MaxBody: s.limits.BodyBytes}
	s.influx = &influx.Writer{To: s.writer, MaxBody: s.limits.BodyBytes}
	s.live = &live.Streamer{DB: o.DB, Clock: o.Clock}
	s.running.answers = map[*answer]struct{}{}
	s.tokens.OnRevoke(s.running.revoke)
	s.admitted = newAdmission(&s.limits)
	s.metrics = newMetrics(s)
	s.writer.Count = s.metrics.written
	s.remote = &remotewrite.Writer{To: s.writer, MaxBody: s.limits.BodyBytes, Exemplars: func(n int) { s.metrics.exemplars.Add(float64(n)) }}
	return s, s.addRoutes()
}

// wrote looks how a tenant stands that has written samples.
func (s *Server) wrote(ctx context.Context, t model.Tenant, samples int) {
	if err := s.tenants.Wrote(ctx, t, samples); err != nil {
		s.log.Error("a quota could not be looked at", "error", err)
	}
}

// Tokens returns the tokens that open the server.
func (s *Server) Tokens() *auth.Store { return s.tokens }

// Registry returns what the server's metrics are gathered from.
func (s *Server) Registry() *prometheus.Registry { return s.metrics.registry }

// Serve answers on l until ctx ends. Then it accepts nothing more, ends the
// live streams, answers the requests that it has accepted, and returns nil. A
// client that does not send or take the rest within Limits.StallTime is cut
// off, as is what remains after Limits.ShutdownTime: that is no error. Two seconds
// later it returns whatever happens. It serves once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: s.limits.HeaderTime,
		IdleTimeout:       s.limits.IdleTime,
		MaxHeaderBytes:    s.limits.HeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // what clients do wrong
		TLSConfig:         s.options.TLS,
		ConnState:         s.metrics.connection,
	}
	sweeping, swept := context.WithCancel(ctx)
	var background sync.WaitGroup
	background.Go(func() {
		s.tenants.Run(sweeping, tenants.SweepEvery, func(err error) { s.log.Error("a sweep failed", "error", err) })
	})
	defer background.Wait()
	defer swept()
	l = limitConnections(l, &s.limits, s.metrics.refused.WithLabelValues(policy.AddressConnections.Name).Inc)
	served := make(chan error, 1)
	go func() {
		if s.options.TLS != nil {
			served <- h.ServeTLS(l, "", "")
		} else {
			served <- h.Serve(l)
		}
	}()
	select {
	case err := <-served:
		s.running.hurry()
		return errors.Join(err, h.Close())
	case <-ctx.Done():
	}
	s.draining.Store(true)
	s.running.hurry()
	if shutDown(ctx, h, s.limits.ShutdownTime) {
		return nil
	}
	cut := s.running.stop()
	if !shutDown(ctx, h, s.options.lastWords) {
		_ = h.Close() // of connections that nobody answers on any more
	}
	s.log.Warn("the server stops: connections were cut off", "requests", cut)
	if left := s.running.wait(s.options.lastWords); left > 0 {
		return fmt.Errorf("%d requests did not end", left)
	}
	return nil
}

// shutDown lets h end and reports whether it did in time. The wait outlasts
// ctx, whose end began it.
func shutDown(ctx context.Context, h *http.Server, most time.Duration) bool {
	wait, done := context.WithTimeout(context.WithoutCancel(ctx), most)
	defer done()
	return h.Shutdown(wait) == nil
}

// LoadTLS returns a configuration for Options.TLS: a certificate with its
// chain, and its key, both in PEM. Nothing older than TLS 1.2 is spoken.
func LoadTLS(certificate, key string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
