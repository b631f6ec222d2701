package server

import (
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/files"
)

// newDocument begins the OpenAPI document.
func newDocument(s *Server) huma.API {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	registry.RegisterTypeAlias(reflect.TypeFor[api.Value](), reflect.TypeFor[valueSchema]())
	registry.RegisterTypeAlias(reflect.TypeFor[api.Values](), reflect.TypeFor[valuesSchema]())
	registry.RegisterTypeAlias(reflect.TypeFor[api.Rows](), reflect.TypeFor[rowsSchema]())
	registry.RegisterTypeAlias(reflect.TypeFor[model.Labels](), reflect.TypeFor[labelsSchema]())
	return huma.NewAPI(huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Hokan", Version: s.options.Version,
				Description: "Measurements of instruments: write samples, read them as views, tables and exports, set alarms, follow what comes in.",
			},
			Components: &huma.Components{
				Schemas: registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token":   {Type: "http", Scheme: "bearer", Description: "A token of a tenant, or an administrator's."},
					"session": {Type: "apiKey", In: "cookie", Name: sessionCookie, Description: "What the pages use; see POST /api/v1/session."},
				},
			},
		},
		Formats:       map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat},
		DefaultFormat: "application/json",
	}, adapter{s})
}

// The schemas of what writes its own JSON.
type (
	valueSchema  struct{}
	valuesSchema struct{}
	rowsSchema   struct{}
	labelsSchema struct{}
)

// Schema implements huma.SchemaProvider.
func (valueSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: "A number, a word where JSON has no number, or null for no sample.",
		OneOf: []*huma.Schema{
			{Type: huma.TypeNumber, Nullable: true},
			{Type: huma.TypeString, Enum: []any{"NaN", "Infinity", "-Infinity", "over", "under", "burnout", "nodata", "math"}},
		},
	}
}

// Schema implements huma.SchemaProvider.
func (valuesSchema) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeArray, Items: valueSchema{}.Schema(r)}
}

// Schema implements huma.SchemaProvider.
func (rowsSchema) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeArray, Items: valuesSchema{}.Schema(r)}
}

// Schema implements huma.SchemaProvider.
func (labelsSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeObject, AdditionalProperties: &huma.Schema{Type: huma.TypeString},
		Required: []string{model.InstrumentLabel, model.ChannelLabel},
		Properties: map[string]*huma.Schema{
			model.InstrumentLabel: {Type: huma.TypeString}, model.ChannelLabel: {Type: huma.TypeString},
		},
		Description: "What a channel is known by: instrument and channel always, others free.",
	}
}

// raw adds an operation whose bodies pass by huma.
func (s *Server) raw(op huma.Operation, o operation, handler func(http.ResponseWriter, *http.Request) error) {
	o.pattern, o.access, o.query = op.Method+" "+op.Path, op.Metadata[accessKey].(access), queryOf(&op)
	if o.body == 0 {
		o.body = s.limits.SmallBodyBytes
	}
	problem := s.schema(reflect.TypeFor[Problem]())
	for _, status := range op.Errors {
		key := statusText(status)
		if op.Responses[key] == nil {
			op.Responses[key] = &huma.Response{
				Description: http.StatusText(status),
				Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: problem}},
			}
		}
	}
	s.document.OpenAPI().AddOperation(&op)
	s.handle(o, handler)
}

// foreign describes an operation of another program's protocol, which takes samples
// at a path of its own and whose errors have its own form.
func (s *Server) foreign(path, id, summary string, failure map[string]*huma.MediaType, statuses ...int) huma.Operation {
	o := s.op("POST", path, id, summary, writeTenant)
	o.Path, o.Tags, o.Errors, o.Responses = path, []string{"protocols"}, nil, map[string]*huma.Response{}
	o.Parameters = append(o.Parameters, encodings("zstd", "gzip", "snappy", "identity"))
	for _, status := range append(statuses, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusConflict,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusServiceUnavailable) {
		o.Responses[statusText(status)] = &huma.Response{Description: anError, Content: failure}
	}
	return o
}

// encodings describes the header that says how a body is packed.
func encodings(names ...any) *huma.Param {
	return &huma.Param{
		Name: "Content-Encoding", In: "header", Description: "How the body is packed", Schema: &huma.Schema{Type: huma.TypeString, Enum: names},
	}
}

// schema returns the schema of a type, which the document names.
func (s *Server) schema(t reflect.Type) *huma.Schema {
	return s.document.OpenAPI().Components.Schemas.Schema(t, true, t.Name())
}

// query describes a parameter of an operation that passes by huma.
func query(name, doc string, required bool) *huma.Param {
	return &huma.Param{Name: name, In: "query", Description: doc, Required: required, Schema: &huma.Schema{Type: huma.TypeString}}
}

// nameParameters describe how a request names itself, so that it can be sent
// again.
func nameParameters() []*huma.Param {
	header := func(name, doc string) *huma.Param {
		return &huma.Param{Name: name, In: "header", Description: doc, Schema: &huma.Schema{Type: huma.TypeString}}
	}
	return []*huma.Param{
		header(keyHeader, "A name for this request, new for each: sent again with it within 24 hours, it gets the answer of the first and does nothing"),
		header(producerHeader, "The name of a sender that counts its requests, instead of a key"),
		header(sequenceHeader, "Its count, from 1"),
	}
}

// content describes an answer.
func content(status int, description, media string, schema *huma.Schema) map[string]*huma.Response {
	r := &huma.Response{Description: description}
	if media != "" {
		r.Content = map[string]*huma.MediaType{media: {Schema: schema}}
	}
	return map[string]*huma.Response{statusText(status): r}
}

// binary is the schema of a body that is no JSON.
func binary() *huma.Schema { return &huma.Schema{Type: huma.TypeString, Format: "binary"} }

// addBulk adds what is large or has no end.
func (s *Server) addBulk() {
	written := s.schema(reflect.TypeFor[api.SamplesBody]())
	write := s.op("POST", "/samples", "write", "Write samples; what is kept is durable on return", writeTenant,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusInsufficientStorage)
	write.Parameters = append(write.Parameters, encodings("zstd", "gzip", "snappy", "identity"))
	write.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json":    {Schema: samplesSchema()},
		"application/msgpack": {Schema: binary()},
	}}
	write.Responses = content(http.StatusOK, "What was accepted is durable; nothing was, where nothing was sent but gaps", "application/json", written)
	write.Responses["422"] = &huma.Response{
		Description: "Nothing was accepted",
		Content:     map[string]*huma.MediaType{"application/json": {Schema: written}},
	}
	s.raw(write, operation{bulk: true, body: s.limits.BodyBytes}, s.write)

	s.addFiles(write.Parameters)

	export := s.op("GET", "/export", "export", "Samples as a file", readTenant, http.StatusNotFound, http.StatusUnprocessableEntity)
	export.Parameters = []*huma.Param{
		query("format", "csv: a zip archive with samples.csv; hok: a file that a database imports bit for bit", true), query("match", "Which channels: a selector; left out: all", false),
		query("from", "Start of the span", false), query("to", "End of the span, itself left out", false),
		query("zone", "Of the time column: a name such as Asia/Shanghai; left out: UTC", false),
		query("unit", "Taken as everywhere; without effect, as times are text", false),
	}
	export.Responses = content(http.StatusOK, "A zip archive with samples.csv, or a file in the format HOK", "application/zip", binary())
	export.Responses["200"].Content["application/octet-stream"] = &huma.MediaType{Schema: binary()}
	s.raw(export, operation{export: true}, s.export)

	live := s.op("GET", "/live", "live", "Server-sent events: samples, alarm, missed", readTenant, http.StatusNotFound)
	live.Parameters = []*huma.Param{
		query("match", "Which channels: a selector; left out: all", false), query("unit", "Of every time in the answer: s, ms, us or ns; left out: ms", false),
	}
	live.Responses = content(http.StatusOK, "A stream without an end", "text/event-stream", &huma.Schema{Type: huma.TypeString})
	s.raw(live, operation{stream: true}, s.stream)

	begin := s.op("POST", "/session", "begin-session", "Put a token into the browser's cookie", open,
		http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	begin.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json": {Schema: s.schema(reflect.TypeFor[api.SessionRequest]())},
	}}
	begin.Responses = content(http.StatusNoContent, "The cookie is set", "", nil)
	s.raw(begin, operation{}, s.begin)
	end := s.op("DELETE", "/session", "end-session", "Make the browser forget the token", anyToken)
	end.Responses = content(http.StatusNoContent, "The cookie is gone", "", nil)
	s.raw(end, operation{}, s.end)
}

// addFiles adds the import of files; encoding describes how a body is packed.
func (s *Server) addFiles(encoding []*huma.Param) {
	imported := s.schema(reflect.TypeFor[api.ImportBody]())
	o := s.op("POST", "/files", "import", "Import a file of an instrument, which is known by its content; what is kept is durable on return", writeTenant,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusInsufficientStorage)
	o.Parameters = encoding
	for _, p := range files.Parameters {
		o.Parameters = append(o.Parameters, query(p.Name, p.Doc, p.Name == "instrument"))
	}
	o.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: binary()}}}
	o.Responses = content(http.StatusOK, "What became of the file: what was accepted is durable", "application/json", imported)
	o.Responses["422"] = &huma.Response{
		Description: "Every sample was refused",
		Content:     map[string]*huma.MediaType{"application/json": {Schema: imported}},
	}
	s.raw(o, operation{bulk: true, body: s.limits.BodyBytes, refused: refuseFile}, s.importFile)
}

// samplesSchema describes the body of POST /api/v1/samples.
func samplesSchema() *huma.Schema {
	texts := func() *huma.Schema { return &huma.Schema{Type: huma.TypeString} }
	times := func() *huma.Schema {
		return &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeInteger}, Description: "In the body's unit, since 1970."}
	}
	channel := &huma.Schema{
		Type: huma.TypeObject, Required: []string{"labels", "values"}, AdditionalProperties: false,
		Properties: map[string]*huma.Schema{
			"labels": labelsSchema{}.Schema(nil),
			"properties": {Type: huma.TypeObject, AdditionalProperties: false, Properties: map[string]*huma.Schema{
				"name": texts(), "unit": texts(), "scaling": texts(), "group": texts(), "app": texts(),
				"decimals": {Type: huma.TypeInteger},
			}},
			"times":  times(),
			"values": valuesSchema{}.Schema(nil),
		},
	}
	return &huma.Schema{
		Type: huma.TypeObject, Required: []string{"channels"}, AdditionalProperties: false,
		Properties: map[string]*huma.Schema{
			"unit": {
				Type: huma.TypeString, Enum: []any{"s", "ms", "us", "ns"}, Default: "ms",
				Description: "Of every time in the body; left out: ms. Seconds need it.",
			},
			"times":    times(),
			"channels": {Type: huma.TypeArray, Items: channel},
		},
	}
}

// addPlain adds what is no operation of the API: its document, health and
// metrics.
func (s *Server) addPlain() {
	plain := func(pattern string, handler func(http.ResponseWriter, *http.Request) error) {
		s.handle(operation{pattern: pattern, access: open, body: s.limits.SmallBodyBytes}, handler)
	}
	plain("GET "+prefix+"/openapi.json", func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Content-Type", "application/json")
		_, err := w.Write(s.openAPI)
		return err
	})
	plain("GET "+prefix+"/docs", s.showDocument)
	plain("GET "+prefix+"/docs.css", s.styleDocument)
	probe := func(pattern string, handler func(http.ResponseWriter, *http.Request) error) {
		s.handle(operation{pattern: pattern, access: open, free: true, quiet: true, body: s.limits.SmallBodyBytes}, handler)
	}
	probe("GET /healthz", func(w http.ResponseWriter, _ *http.Request) error {
		return sendJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	probe("GET /readyz", s.ready)
	s.handle(operation{pattern: "GET /metrics", access: adminOrLocal, quiet: true, body: s.limits.SmallBodyBytes},
		func(w http.ResponseWriter, r *http.Request) error {
			s.metrics.handler.ServeHTTP(w, r)
			return nil
		})
}

// ready tells whether requests should be sent here.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) error {
	status, state := http.StatusOK, "ready"
	if why := s.notReady(); why != "" {
		status, state = http.StatusServiceUnavailable, why
	}
	return sendJSON(w, status, map[string]string{"status": state})
}

// notReady says why requests should not be sent here, "" if they should.
func (s *Server) notReady() string {
	if s.draining.Load() {
		return "stopping"
	}
	if err := s.options.DB.Err(); err != nil {
		s.log.Error("not ready", "error", err)
		return "writes are refused"
	}
	return ""
}

// finishDocument writes the document down, once.
func (s *Server) finishDocument() (err error) {
	if s.openAPI, err = json.Marshal(s.document.OpenAPI()); err != nil {
		return err
	}
	s.docs, err = renderDocument(s.document.OpenAPI())
	return err
}
