package server

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/hokan-db/hokan/server/influx"
)

// influxVersion is what InfluxDB's clients are told: that of the protocol, as
// some read its digits.
const influxVersion = "1.8.10-hokan"

// What errors say to clients of both versions of the API.
type (
	influxError struct {
		Error string `json:"error" doc:"What is wrong; behind partial write: what was refused of lines, of which the rest is kept"`
	}
	influx2Error struct {
		Code    string `json:"code" doc:"InfluxDB's word for the status"`
		Message string `json:"message" doc:"What is wrong; behind partial write: what was refused of lines, of which the rest is kept"`
		Line    int    `json:"line,omitempty" doc:"The first line that was refused"`
	}
)

// addInflux adds what InfluxDB's clients use to write. Organizations, buckets,
// databases and retention policies that they name mean nothing here: the token
// says whose data it is.
func (s *Server) addInflux() {
	for _, v := range []struct {
		path, id string
		second   bool // version 2 of the API
		failure  reflect.Type
		statuses []int
	}{
		{"/write", "influx-write", false, reflect.TypeFor[influxError](), nil},
		{"/api/v2/write", "influx-write-2", true, reflect.TypeFor[influx2Error](), []int{http.StatusTooManyRequests}},
	} {
		o := s.foreign(v.path, v.id, "Take InfluxDB's line protocol; what is kept is durable on return",
			map[string]*huma.MediaType{"application/json": {Schema: s.schema(v.failure)}}, v.statuses...)
		o.Parameters = append(o.Parameters, query("precision", "The unit of times: ns, us, ms or s; left out: ns", false))
		o.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}}}
		o.Responses["204"] = &huma.Response{Description: "Every sample is kept", Headers: map[string]*huma.Param{
			warningHeader: {Description: "What of it looks wrong", Schema: &huma.Schema{Type: huma.TypeString}},
		}}
		s.raw(o, operation{bulk: true, body: s.limits.BodyBytes, secret: influx.Secret, refused: influxRefusal(v.second)},
			func(w http.ResponseWriter, r *http.Request) error { return s.writeInflux(w, r, v.second) })
	}
	for _, method := range []string{"GET ", "POST "} {
		s.handle(operation{
			pattern: method + "/query", access: anyToken, body: s.limits.SmallBodyBytes,
			secret: influx.Secret, refused: influxRefusal(false),
		}, s.queryInflux)
	}
	probe := operation{access: open, free: true, quiet: true, body: s.limits.SmallBodyBytes, refused: influxRefusal(false)}
	probe.pattern = "GET /ping"
	s.handle(probe, s.pingInflux)
	probe.pattern = "GET /health"
	s.handle(probe, s.healthInflux)
}

// warningHeader says what was kept and looks wrong, where an answer has no body.
const warningHeader = "Hokan-Warning"

// writeInflux takes line protocol.
func (s *Server) writeInflux(w http.ResponseWriter, r *http.Request, second bool) error {
	partial, warnings, err := s.influx.Write(r.Context(), tenantOf(r.Context()), r.URL.Query().Get("precision"), r.Header.Get("Content-Encoding"), r.Body)
	if err != nil {
		return err
	}
	addInfluxVersion(w.Header())
	for _, warning := range warnings {
		w.Header().Add(warningHeader, warning)
		s.log.Warn("what is kept looks wrong", "path", r.URL.Path, "tenant", tenantOf(r.Context()), "warning", warning)
	}
	if partial == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return sendInflux(w, http.StatusBadRequest, second, partial.Message, partial.Line)
}

// influxRefusal returns what writes an error as a version of InfluxDB does.
func influxRefusal(second bool) func(http.ResponseWriter, *http.Request, *Problem) {
	return func(w http.ResponseWriter, _ *http.Request, p *Problem) {
		addInfluxVersion(w.Header())
		status := influx.Status(p.Status, second)
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", strconv.Itoa(p.seconds()))
		}
		_ = sendInflux(w, status, second, p.Code+": "+p.Detail, 0) // the client may be gone
	}
}

func sendInflux(w http.ResponseWriter, status int, second bool, message string, line int) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if !second {
		h.Set("X-Influxdb-Error", strings.Map(func(c rune) rune {
			if c < ' ' || c > '~' {
				return '?'
			}
			return c
		}, message))
	}
	text, err := json.Marshal(influx.NewBody(status, second, message, line))
	if err != nil {
		return err
	}
	w.WriteHeader(status)
	_, err = w.Write(append(text, '\n'))
	return err
}

func addInfluxVersion(h http.Header) {
	h.Set("X-Influxdb-Version", influxVersion)
	h.Set("X-Influxdb-Build", "Hokan")
}

// queryInflux answers what clients ask before they write.
func (s *Server) queryInflux(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return newProblem("malformed", "the form cannot be read: "+err.Error())
	}
	answer, err := influx.Query(tenantOf(r.Context()), r.Form.Get("q"))
	if err != nil {
		return err
	}
	addInfluxVersion(w.Header())
	return sendJSON(w, http.StatusOK, answer)
}

// pingInflux tells that a server is there.
func (s *Server) pingInflux(w http.ResponseWriter, r *http.Request) error {
	addInfluxVersion(w.Header())
	if verbose := r.URL.Query().Get("verbose"); verbose != "" && verbose != "0" && verbose != "false" {
		return sendJSON(w, http.StatusOK, map[string]string{"version": influxVersion})
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// healthInflux tells whether requests should be sent here.
func (s *Server) healthInflux(w http.ResponseWriter, _ *http.Request) error {
	status, health := http.StatusOK, struct {
		Name    string `json:"name"`
		Message string `json:"message"`
		Status  string `json:"status"`
		Checks  []any  `json:"checks"`
		Version string `json:"version"`
		Commit  string `json:"commit"`
	}{"hokan", "ready for queries and writes", "pass", []any{}, s.options.Version, ""}
	if why := s.notReady(); why != "" {
		status, health.Status, health.Message = http.StatusServiceUnavailable, "fail", why
	}
	addInfluxVersion(w.Header())
	return sendJSON(w, status, health)
}
