package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/server/web"
)

// Handler answers every request.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// serve answers a request and accounts for it, whatever happens in between.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	begun := time.Now()
	a := &answer{ResponseWriter: w, request: r, admitted: s.admitted}
	a.control, a.limits, a.lastWords = http.NewResponseController(w), &s.limits, s.options.lastWords
	a.secure(r.TLS != nil)
	s.running.enter(a)
	defer s.running.leave(a)
	defer func() {
		if cause := recover(); cause != nil {
			s.recovered(a, r, cause)
			if a.aborted { // what was sent cannot be taken back: the client must notice
				s.account(a, r, begun)
				panic(http.ErrAbortHandler)
			}
		}
		s.account(a, r, begun)
	}()
	if r.ContentLength == 0 {
		a.watch()
	} else {
		// What remains of a body after the answer is read within this time too.
		a.await(s.limits.OpenBodyTime)
	}
	s.dispatch(a, r)
	a.finish()
	if a.broken {
		panic(http.ErrAbortHandler)
	}
}

// recovered answers a request whose handler panicked.
func (s *Server) recovered(a *answer, r *http.Request, cause any) {
	if err, ok := cause.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
		s.metrics.panics.Inc()
		s.log.Error("a handler panicked", "method", r.Method, "route", a.route, "panic", fmt.Sprint(cause),
			"stack", string(debug.Stack()))
		if a.takeBack() {
			a.fail(newProblem("internal", "the server failed; its log says why"))
			a.finish()
			return
		}
	}
	a.aborted = true
}

// account logs and counts an answered request. Neither holds a secret: tokens
// come in headers and bodies only.
func (s *Server) account(a *answer, r *http.Request, begun time.Time) {
	taken := time.Since(begun)
	status := a.status
	if status == 0 {
		status = http.StatusOK
	}
	if a.aborted || errors.Is(a.err, context.Canceled) {
		status = statusAborted
	}
	s.metrics.answered(a, r.Method, status, taken)
	level := slog.LevelInfo
	switch {
	case a.err != nil && problemOf(a.err).Code == "over_quota": // a refusal, no failure
	case status >= 500:
		level = slog.LevelError
	case a.route == routePages || a.quiet:
		level = slog.LevelDebug
	}
	if !s.log.Enabled(r.Context(), level) {
		return
	}
	attributes := []slog.Attr{
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", status),
		slog.Int64("bytes", a.sent), slog.Duration("taken", taken), slog.String("remote", r.RemoteAddr),
	}
	if a.caller.ID != "" {
		attributes = append(attributes, slog.String("token", a.caller.ID), slog.String("tenant", string(a.caller.Tenant)))
	}
	if a.err != nil {
		attributes = append(attributes, slog.String("error", a.err.Error()))
	}
	s.log.LogAttrs(r.Context(), level, "request", attributes...)
}

// statusAborted stands in the log and in metrics for an answer that was cut
// off, or whose client left; no client sees it.
const statusAborted = 499

// What requests that meet no operation are counted as.
const (
	routePages = "pages"
	routeNone  = "none"
)

// reserved are paths of other programs' protocols. Pages never have them.
var reserved = []string{"/write", "/query", "/ping", "/health", "/v1/traces", "/v1/logs", "/metrics", "/healthz", "/readyz"}

// dispatch finds who answers: an operation, or the pages.
func (s *Server) dispatch(a *answer, r *http.Request) {
	a.route = routeNone
	if _, pattern := s.mux.Handler(r); pattern != "" {
		s.mux.ServeHTTP(a, r)
		return
	}
	address := addressOf(r.RemoteAddr)
	if err := s.admitted.enterOpen(address); err != nil {
		a.fail(err)
		return
	}
	defer s.admitted.leaveOpen(address)
	// The mux has no such path, or not with this method: its own answer says
	// which, in plain text.
	judged := &judgement{header: http.Header{}}
	s.mux.ServeHTTP(judged, r)
	switch {
	case judged.status == http.StatusMethodNotAllowed:
		a.Header().Set("Allow", judged.header.Get("Allow"))
		a.fail(notAllowed(r.Method))
	case isPage(r.URL.Path):
		a.route = routePages
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			a.Header().Set("Allow", "GET, HEAD")
			a.fail(notAllowed(r.Method))
			return
		}
		s.servePage(a, r)
	default:
		a.fail(newProblem("not_found", "there is nothing at this path"))
	}
}

// servePage lets the pages answer; what they do not have is not_found, for a
// person a page that says so.
func (s *Server) servePage(a *answer, r *http.Request) {
	if !web.ForPerson(r) {
		a.notFound = func() error { return newProblem("not_found", "there is no such page") }
	}
	s.pages.ServeHTTP(a, r)
}

func isPage(path string) bool {
	if strings.HasPrefix(path, "/api/") {
		return false
	}
	for _, taken := range reserved {
		if path == taken {
			return false
		}
	}
	return true
}

func notAllowed(method string) error {
	return newProblem("method_not_allowed", "the method "+method+" is not for this path")
}

// judgement keeps the status that the mux would answer with.
type judgement struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (j *judgement) Header() http.Header { return j.header }

// WriteHeader implements http.ResponseWriter.
func (j *judgement) WriteHeader(status int) { j.status = status }

// Write implements http.ResponseWriter.
func (j *judgement) Write(b []byte) (int, error) { return len(b), nil }

// operation is what is known of a route beside its document.
type operation struct {
	pattern string
	access  access
	free    bool     // counts as nothing: always answered, at once
	stream  bool     // its answer has no end
	export  bool     // its answer may take long
	long    bool     // so may what is done before it
	bulk    bool     // its request's body may be large
	body    int64    // most bytes of a request's body
	quiet   bool     // not worth a line in the log
	query   []string // names that a request's query may have, of operations of the API
	// refused answers with a problem in the terms of another program's protocol;
	// nil: as all answers do.
	refused func(http.ResponseWriter, *http.Request, *Problem)
	// secret returns what another program's protocol shows as a token, "" for
	// none; nil: as all requests do.
	secret func(*http.Request) string
}

// checkQuery refuses what a query says that the operation does not read: a
// name put wrongly would else select everything.
func (o *operation) checkQuery(r *http.Request) error {
	if r.URL.RawQuery == "" || !strings.Contains(o.pattern, " "+prefix+"/") {
		return nil
	}
	given, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return newProblem("malformed", "the query cannot be read: "+err.Error())
	}
	for name := range given {
		if !slices.Contains(o.query, name) {
			known := "it takes none"
			if len(o.query) > 0 {
				known = "it takes " + strings.Join(o.query, ", ")
			}
			return newProblem("malformed", fmt.Sprintf("there is no query parameter %.60q here: %s", name, known))
		}
	}
	return nil
}

// queryOf returns the names of an operation's query parameters.
func queryOf(op *huma.Operation) (names []string) {
	for _, p := range op.Parameters {
		if p.In == "query" {
			names = append(names, p.Name)
		}
	}
	return names
}

// handle adds a route: admission, deadlines and access, then the handler.
func (s *Server) handle(o operation, handler func(http.ResponseWriter, *http.Request) error) {
	s.mux.HandleFunc(o.pattern, func(w http.ResponseWriter, r *http.Request) {
		a := w.(*answer)
		a.route, a.quiet, a.refused = o.pattern, o.quiet, o.refused
		if err := s.guarded(o, a, r, handler); err != nil {
			a.fail(err)
		}
	})
}

// guarded runs a handler for whoever may use it, within the limits.
func (s *Server) guarded(o operation, a *answer, r *http.Request, handler func(http.ResponseWriter, *http.Request) error) error {
	if a.bodyLimit = policy.SmallBodyBytes.Name; o.bulk {
		a.bodyLimit = policy.BodyBytes.Name
	}
	err := s.running.identify(a, func() (caller, error) { return s.callerOf(r, &o) })
	if err != nil {
		if _, byCookie, _ := o.secretOf(r); byCookie && problemOf(err).Status == http.StatusUnauthorized {
			http.SetCookie(a, endedSession(r))
		}
		return err
	}
	who := a.caller
	leave, err := s.admit(o, who, r)
	if err != nil {
		return err
	}
	defer leave()
	if err := o.checkQuery(r); err != nil {
		return err
	}
	if r.ContentLength != 0 && (o.stream || o.export) {
		// A client's leaving is noticed only behind its body.
		return newProblem("malformed", "a request for a stream has no body")
	}
	if r.ContentLength > o.body {
		return &http.MaxBytesError{Limit: o.body}
	}
	if who.ID != "" && r.ContentLength != 0 {
		a.await(s.limits.RequestTime)
	}
	body := s.charge(http.MaxBytesReader(a.ResponseWriter, r.Body, o.body), a)
	defer body.done()
	a.body = body
	defer a.release()
	ctx, cancel := context.WithCancelCause(context.WithValue(r.Context(), answerKey{}, a))
	defer cancel(nil)
	how, most := whole, s.limits.RequestTime
	switch {
	case o.stream:
		how = endless
	case o.export:
		how, most = steady, s.limits.ExportTime
	case o.long:
		most = s.limits.ExportTime
	}
	a.begin(how, cancel)
	if !o.stream {
		var done context.CancelFunc
		ctx, done = context.WithTimeout(ctx, most)
		defer done()
	}
	r = r.WithContext(ctx)
	r.Body = body
	if o.bulk {
		handler = s.paid(handler)
	}
	return s.once(a, r, handler)
}

// mostSkipped is how much of a body that nobody wants is read, so that the
// connection can be used again.
const mostSkipped = 256 << 10

// paid lets a handler of samples have what a token and its tenant may write now.
// What comes too fast is refused before it is unpacked and read: it must cost
// others nothing.
func (s *Server) paid(handler func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := s.tokens.Owed(answerOf(r.Context()).caller.ID)
		if err == nil {
			err = s.tenants.Owed(tenantOf(r.Context()))
		}
		if err != nil {
			_, _ = io.CopyN(io.Discard, r.Body, mostSkipped) // what cannot be read closes the connection
			return err
		}
		return handler(w, r)
	}
}

// letIn lets samples in that a request has brought, as far as its token and its
// tenant may write them now. What one of the two refuses takes nothing from the
// other.
func (s *Server) letIn(ctx context.Context, t model.Tenant, samples int) error {
	id := answerOf(ctx).caller.ID
	if err := s.tokens.Owed(id); err != nil {
		return err
	}
	if err := s.tenants.Admit(ctx, t, samples); err != nil {
		return err
	}
	s.tokens.Take(id, samples)
	return nil
}

// admit counts a request as in progress until leave is called, or refuses it.
func (s *Server) admit(o operation, who caller, r *http.Request) (leave func(), err error) {
	switch {
	case o.free:
		return func() {}, nil
	case who.ID == "":
		address := addressOf(r.RemoteAddr)
		return func() { s.admitted.leaveOpen(address) }, s.admitted.enterOpen(address)
	}
	taken := usage{requests: 1}
	if o.stream {
		taken = usage{streams: 1}
	}
	return func() { s.admitted.leave(who.Tenant, taken) }, s.admitted.enter(who.Tenant, taken)
}
