package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/hokan-db/hokan/engine/model"
	units "github.com/hokan-db/hokan/query"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/auth"
)

// prefix begins every path of the API.
const prefix = "/api/v1"

// accessKey is where an operation's metadata has its access.
const accessKey = "access"

// adapter lets huma add its operations to the server's mux, guarded like all
// others.
type adapter struct{ *Server }

// Handle implements huma.Adapter.
func (a adapter) Handle(op *huma.Operation, handler func(huma.Context)) {
	o := operation{pattern: op.Method + " " + op.Path, access: op.Metadata[accessKey].(access), body: a.limits.SmallBodyBytes, query: queryOf(op)}
	a.Server.handle(o, func(w http.ResponseWriter, r *http.Request) error {
		handler(humago.NewContext(op, r, w))
		return nil
	})
}

// ServeHTTP implements huma.Adapter.
func (a adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.Server.serve(w, r) }

// What requests say. Everything is text, so that package api reads it the same
// for HTTP and for the command line. Huma fills embedded types only if they are
// exported.
type (
	UnitQuery struct {
		Unit string `query:"unit" doc:"Of every time in the answer: s, ms, us or ns; left out: ms" default:"ms"`
	}
	MatchQuery struct {
		UnitQuery
		Match string `query:"match" doc:"Which channels: a selector; left out: all" example:"{instrument=\"lake\",channel=~\"2-.*\"}"`
	}
	SpanQuery struct {
		MatchQuery
		From string `query:"from" doc:"Start of the span: RFC 3339, nanoseconds since 1970, now or now-30d; left out: the first sample" example:"now-30d"`
		To   string `query:"to" doc:"End of the span, itself left out; left out: just after the last sample" example:"now"`
	}
	viewQuery struct {
		SpanQuery
		Buckets int    `query:"buckets" doc:"About so many buckets: they are whole and begin on round times, so there may be one more; left out: 1366" default:"1366" minimum:"1"`
		Fields  string `query:"fields" doc:"Which lists, with commas between: count, quality, min, max, mean, sum, first, last; left out: all" example:"count,sum"`
	}
	tableQuery struct {
		SpanQuery
		Limit int    `query:"limit" doc:"Rows of the page; left out: 1000" default:"1000" minimum:"1"`
		After string `query:"after" doc:"The page before's next"`
	}
	eventsQuery struct {
		UnitQuery
		Alarm string `query:"alarm" doc:"An alarm's ID; left out: all"`
		From  string `query:"from" doc:"Start of the span"`
		To    string `query:"to" doc:"End of the span, itself left out"`
		After string `query:"after" doc:"The page before's next"`
		Limit int    `query:"limit" doc:"Events of the page; left out: 1000" default:"1000" minimum:"1"`
	}
	IDPath struct {
		UnitQuery
		ID string `path:"id" doc:"An ID"`
	}
	alarmInput struct {
		UnitQuery
		Body api.AlarmRequest
	}
	alarmChange struct {
		IDPath
		Body api.AlarmRequest
	}
	tokenInput struct {
		UnitQuery
		Body api.TokenRequest
	}
	none struct{}
	// output carries an answer's body.
	output[B any] struct{ Body *B }
)

func (m *MatchQuery) selection() api.Selection { return api.Selection{Match: m.Match, Unit: m.Unit} }

func (s *SpanQuery) selection() api.Selection {
	return api.Selection{Match: s.Match, From: s.From, To: s.To, Unit: s.Unit}
}

// reply turns what package api gives into what huma takes.
func reply[B any](body *B, err error) (*output[B], error) {
	if err != nil {
		return nil, problemOf(err)
	}
	return &output[B]{body}, nil
}

// texts are buffers that answers are written into.
var texts = sync.Pool{New: func() any { return new([]byte) }}

// keptBytes is how large a buffer is kept for the next answer at most.
const keptBytes = 1 << 20

// jsonFormat writes bodies as package api does, for both transports.
var jsonFormat = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		text := texts.Get().(*[]byte)
		defer func() {
			if cap(*text) <= keptBytes {
				texts.Put(text)
			}
		}()
		var err error
		if *text, err = api.AppendBody((*text)[:0], v); err != nil {
			return err
		}
		*text = append(*text, '\n')
		if a, ok := w.(*answer); ok {
			return a.give(v, *text)
		}
		_, err = w.Write(*text)
		return err
	},
	Unmarshal: huma.DefaultJSONFormat.Unmarshal,
}

// give sends a body, which counts as waiting in memory until the client has
// taken it.
func (a *answer) give(body any, text []byte) error {
	if p, failed := body.(*Problem); failed {
		if a.why() != nil && a.held {
			a.fail(p) // says why it was cut short
			return nil
		}
		a.note(p)
	} else if a.held {
		if a.why() == errRevoked {
			a.fail(errRevoked)
			return nil
		}
		if err := a.charge(int64(len(text))); err != nil {
			a.fail(err)
			return nil
		}
	}
	_, _ = a.Write(text) // it is noted why the client cannot be reached
	a.finish()           // with what the packer holds
	return nil
}

func (s *Server) addRoutes() error {
	s.document = newDocument(s)
	s.addReads()
	s.addAlarms()
	s.addTokens()
	s.addTenants()
	s.addUsage()
	s.addDeletions()
	s.addBulk()
	s.addCopies()
	s.addOTLP()
	s.addInflux()
	s.addRemoteWrite()
	s.addPlain()
	return s.finishDocument()
}

// op describes an operation of the API.
func (s *Server) op(method, path, id, summary string, a access, errors ...int) huma.Operation {
	o := huma.Operation{
		OperationID: id, Method: method, Path: prefix + path, Summary: summary, Metadata: map[string]any{accessKey: a},
		MaxBodyBytes: s.limits.SmallBodyBytes + 1, BodyReadTimeout: s.limits.RequestTime,
		Errors: append(slices.Clone(errors), http.StatusBadRequest, http.StatusTooManyRequests, http.StatusInternalServerError),
		Tags:   []string{strings.Split(path, "/")[1]},
	}
	if a != open {
		o.Security = []map[string][]string{{"token": {}}, {"session": {}}}
		o.Errors = append(o.Errors, http.StatusUnauthorized, http.StatusForbidden)
	}
	if method == http.MethodPost && (a == writeTenant || a == writeAbout) {
		o.Parameters = nameParameters()
		o.Errors = append(o.Errors, http.StatusConflict, http.StatusUnprocessableEntity)
	}
	return o
}

func (s *Server) addReads() {
	const notFound, invalid = http.StatusNotFound, http.StatusUnprocessableEntity
	huma.Register(s.document, s.op("GET", "/channels", "channels", "Channels and how much they hold", readTenant, invalid),
		func(ctx context.Context, in *MatchQuery) (*output[api.ChannelsBody], error) {
			return reply(s.api.Channels(ctx, tenantOf(ctx), in.selection()))
		})
	huma.Register(s.document, s.op("GET", "/latest", "latest", "The newest sample of every channel", readTenant, notFound, invalid),
		func(ctx context.Context, in *MatchQuery) (*output[api.LatestBody], error) {
			return reply(s.api.Latest(ctx, tenantOf(ctx), in.selection()))
		})
	huma.Register(s.document, s.op("GET", "/view", "view", "Channels in buckets of time", readTenant, notFound, invalid),
		func(ctx context.Context, in *viewQuery) (*output[api.ViewBody], error) {
			return reply(s.api.View(ctx, tenantOf(ctx), api.ViewRequest{Selection: in.selection(), Buckets: in.Buckets, Fields: in.Fields}))
		})
	huma.Register(s.document, s.op("GET", "/table", "table", "Samples joined on time, a page at a time", readTenant, notFound, invalid),
		func(ctx context.Context, in *tableQuery) (*output[api.TableBody], error) {
			return reply(s.api.Table(ctx, tenantOf(ctx),
				api.TableRequest{Selection: in.selection(), Limit: in.Limit, After: in.After}))
		})
	huma.Register(s.document, s.op("GET", "/events", "events", "Starts and ends of alarms, by time", readTenant, notFound, invalid),
		func(ctx context.Context, in *eventsQuery) (*output[api.EventsBody], error) {
			return reply(s.api.Events(ctx, tenantOf(ctx), api.EventsRequest{
				Alarm: in.Alarm, From: in.From, To: in.To, After: in.After, Limit: in.Limit, Unit: in.Unit,
			}))
		})
}

func (s *Server) addAlarms() {
	const notFound, invalid = http.StatusNotFound, http.StatusUnprocessableEntity
	const tooLarge, otherType, full = http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusInsufficientStorage
	huma.Register(s.document, s.op("GET", "/alarms", "alarms", "The alarms, oldest first", readTenant, invalid),
		func(ctx context.Context, in *UnitQuery) (*output[api.AlarmsBody], error) {
			return reply(s.api.Alarms(ctx, tenantOf(ctx), in.Unit))
		})
	huma.Register(s.document, s.op("GET", "/alarms/{id}", "alarm", "One alarm", readTenant, notFound),
		func(ctx context.Context, in *IDPath) (*output[api.AlarmBody], error) {
			return reply(s.api.Alarm(ctx, tenantOf(ctx), in.ID, in.Unit))
		})
	create := s.op("POST", "/alarms", "create-alarm", "Make an alarm, which judges what is written from then on", writeTenant,
		notFound, invalid, tooLarge, otherType, full)
	create.DefaultStatus = http.StatusCreated
	huma.Register(s.document, create, func(ctx context.Context, in *alarmInput) (*output[api.AlarmBody], error) {
		return reply(s.api.CreateAlarm(ctx, tenantOf(ctx), in.Body, in.Unit))
	})
	huma.Register(s.document, s.op("PUT", "/alarms/{id}", "replace-alarm",
		"Replace an alarm's definition, or only enable or disable it", writeTenant, notFound, invalid, tooLarge, otherType, full),
		func(ctx context.Context, in *alarmChange) (*output[api.AlarmBody], error) {
			return reply(s.api.ReplaceAlarm(ctx, tenantOf(ctx), in.ID, in.Body, in.Unit))
		})
	huma.Register(s.document, s.op("DELETE", "/alarms/{id}", "delete-alarm", "Remove an alarm; its events stay", writeTenant, notFound, full),
		func(ctx context.Context, in *IDPath) (*none, error) {
			if err := s.api.DeleteAlarm(ctx, tenantOf(ctx), in.ID); err != nil {
				return nil, problemOf(err)
			}
			return &none{}, nil
		})
}

func (s *Server) addTokens() {
	const notFound, invalid = http.StatusNotFound, http.StatusUnprocessableEntity
	huma.Register(s.document, s.op("GET", "/tokens", "tokens", "The tokens, without their secrets", adminOnly),
		func(_ context.Context, in *UnitQuery) (*output[api.TokensBody], error) {
			unit, err := units.ParseUnit(in.Unit)
			if err != nil {
				return nil, problemOf(err)
			}
			body := &api.TokensBody{Unit: unit.Name, Tokens: []api.TokenBody{}}
			for _, t := range s.tokens.List() {
				body.Tokens = append(body.Tokens, TokenBody(t, "", unit))
			}
			return reply(body, nil)
		})
	create := s.op("POST", "/tokens", "create-token", "Make a token, and its tenant where that is missing", adminOnly,
		invalid, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusInsufficientStorage)
	create.DefaultStatus = http.StatusCreated
	huma.Register(s.document, create, func(ctx context.Context, in *tokenInput) (*output[api.TokenBody], error) {
		unit, err := units.ParseUnit(in.Unit)
		if err != nil {
			return nil, problemOf(err)
		}
		secret, made, err := s.tenants.CreateToken(ctx, auth.Token{
			Tenant: model.Tenant(in.Body.Tenant), Name: in.Body.Name, Scope: auth.Scope(in.Body.Scope), Admin: in.Body.Admin,
			SamplesPerSecond: in.Body.SamplesPerSecond,
		})
		if err != nil {
			return nil, tokenProblem(err)
		}
		body := TokenBody(made, secret, unit)
		return reply(&body, nil)
	})
	huma.Register(s.document, s.op("DELETE", "/tokens/{id}", "revoke-token", "Revoke a token at once", adminOnly, notFound),
		func(ctx context.Context, in *struct {
			ID string `path:"id" doc:"A token's ID"`
		}) (*none, error) {
			if err := s.tokens.Revoke(ctx, in.ID); err != nil {
				return nil, tokenProblem(err)
			}
			return &none{}, nil
		})
}

// TokenBody returns a token as the API shows it; the secret is "" but for the
// answer that makes it.
func TokenBody(t auth.Token, secret string, unit units.Unit) api.TokenBody {
	return api.TokenBody{
		ID: t.ID, Tenant: string(t.Tenant), Name: t.Name, Scope: string(t.Scope), Admin: t.Admin, SamplesPerSecond: t.SamplesPerSecond,
		Created: unit.Floor(t.Created.UnixNano()), Unit: unit.Name, Token: secret,
	}
}

// export streams a file.
func (s *Server) export(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	e, err := s.api.Export(r.Context(), tenantOf(r.Context()), api.ExportRequest{
		Selection: api.Selection{Match: q.Get("match"), From: q.Get("from"), To: q.Get("to")},
		Format:    q.Get("format"), Zone: q.Get("zone"),
	})
	if err != nil {
		return err
	}
	defer e.Close()
	h := w.Header()
	write := e.WriteZip
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", `attachment; filename="samples.zip"`)
	if q.Get("format") == "hok" {
		write = e.WriteHOK
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Content-Disposition", `attachment; filename="samples.hok"`)
	}
	if err := write(r.Context(), w); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// write takes samples.
func (s *Server) write(w http.ResponseWriter, r *http.Request) error {
	h := r.Header
	written, err := s.samples.Write(r.Context(), tenantOf(r.Context()), h.Get("Content-Type"), h.Get("Content-Encoding"), r.Body)
	status := http.StatusOK
	if err != nil {
		p := problemOf(err)
		if written == nil || p.Code != "nothing_accepted" {
			return err
		}
		status = p.Status
	}
	return sendJSON(w, status, written)
}

// refuseFile answers with a problem and, where a file is too large, with what can
// be done about it.
func refuseFile(w http.ResponseWriter, _ *http.Request, p *Problem) {
	told := *p
	if p.Code == "body_too_large" {
		told.Detail = strings.TrimSuffix(p.Detail, ": send several") + ": send several files; hokan import --server takes a file of any size"
	}
	told.write(w)
}

// importFile takes a file of an instrument.
func (s *Server) importFile(w http.ResponseWriter, r *http.Request) error {
	body, err := s.files.Import(r.Context(), tenantOf(r.Context()), r.URL.Query(), r.Header, r.Body)
	status := http.StatusOK
	if err != nil {
		p := problemOf(err)
		if body == nil || p.Code != "nothing_accepted" {
			return err
		}
		status = p.Status
	}
	return sendJSON(w, status, body)
}

// stream sends what is written, as it is written.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	return s.live.Serve(w, r, tenantOf(r.Context()), q.Get("match"), q.Get("unit"))
}

// sendJSON answers with a body.
func sendJSON(w http.ResponseWriter, status int, body any) error {
	text, err := api.AppendBody(nil, body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err = w.Write(append(text, '\n'))
	return err
}
