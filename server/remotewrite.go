package server

import (
	"io"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// addRemoteWrite adds the path to which Prometheus and its kin write.
func (s *Server) addRemoteWrite() {
	o := s.op("POST", "/write", "remote-write", "Take what Prometheus sends by remote write, 1.0 or 2.0; what is kept is durable on return", writeTenant,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity,
		http.StatusServiceUnavailable, http.StatusInsufficientStorage)
	o.Parameters = append(o.Parameters, &huma.Param{
		Name: "Content-Encoding", In: "header", Description: "How the body is packed; left out: snappy",
		Schema: &huma.Schema{Type: huma.TypeString, Enum: []any{"snappy", "zstd", "gzip", "identity"}},
	})
	o.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/x-protobuf": {Schema: binary()}}}
	o.Responses = content(http.StatusNoContent, "Every sample is kept", "", nil)
	o.Responses["400"] = &huma.Response{
		Description: "What was refused and why, in a line; the rest is kept. A body that cannot be read is a problem as elsewhere",
		Content: map[string]*huma.MediaType{
			"text/plain":               {Schema: &huma.Schema{Type: huma.TypeString}},
			"application/problem+json": {Schema: s.schema(reflect.TypeFor[Problem]())},
		},
	}
	s.raw(o, operation{bulk: true, body: s.limits.BodyBytes, refused: refuseRemoteWrite, secret: s.agentSecret}, s.remoteWrite)
}

// agentSecret returns the token of an agent: that of a header, or for agents that
// know users and passwords the password of any user. A browser may add one by
// itself: then it must come from the server's own pages.
func (s *Server) agentSecret(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok && s.sameOrigin.Check(r) == nil {
		return password
	}
	secret, byCookie, err := secretOf(r)
	if err != nil || byCookie {
		return ""
	}
	return secret
}

// remoteWrite takes samples.
func (s *Server) remoteWrite(w http.ResponseWriter, r *http.Request) error {
	answer, err := s.remote.Write(r.Context(), tenantOf(r.Context()), r.Header, r.Body)
	answer.SetHeaders(w.Header())
	switch {
	case err != nil:
		return err
	case answer.Refused != "":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusBadRequest)
		_, err = io.WriteString(w, answer.Refused+"\n")
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// refuseRemoteWrite answers with a problem as senders take it: they drop what is
// refused with a 4xx, most of them also with 429. So that is for a tenant that
// sends faster than agreed; where the server is busy it is 503, which is sent
// again.
func refuseRemoteWrite(w http.ResponseWriter, _ *http.Request, p *Problem) {
	if p.Code == "busy" {
		told := *p
		told.Status = http.StatusServiceUnavailable
		told.Title = http.StatusText(told.Status)
		w.Header().Set("Retry-After", strconv.Itoa(p.seconds()))
		p = &told
	}
	p.write(w)
}
