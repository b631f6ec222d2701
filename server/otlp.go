package server

import (
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	protocol "github.com/hokan-db/hokan/ingest/otlp"
)

// What answers as JSON say; as protobuf they say the same.
type (
	// exportMetricsServiceResponse says what became of data points.
	exportMetricsServiceResponse struct {
		PartialSuccess *struct {
			RejectedDataPoints string `json:"rejectedDataPoints" doc:"How many were refused; the others are kept"`
			ErrorMessage       string `json:"errorMessage" doc:"Why"`
		} `json:"partialSuccess,omitempty"`
	}
	// rpcStatus is an error.
	rpcStatus struct {
		Code    int    `json:"code" doc:"A google.rpc.Code"`
		Message string `json:"message" doc:"The code of Hokan's own errors, and a text for people"`
	}
)

// addOTLP adds the path to which OpenTelemetry's exporters send metrics.
func (s *Server) addOTLP() {
	both := func(t reflect.Type) map[string]*huma.MediaType {
		return map[string]*huma.MediaType{"application/x-protobuf": {Schema: binary()}, "application/json": {Schema: s.schema(t)}}
	}
	o := s.foreign("/v1/metrics", "otlp-metrics", "Take what OpenTelemetry's exporters send by OTLP/HTTP; what is kept is durable on return",
		both(reflect.TypeFor[rpcStatus]()), http.StatusTooManyRequests)
	o.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/x-protobuf": {Schema: binary()}, "application/json": {Schema: &huma.Schema{Type: huma.TypeObject}},
	}}
	o.Responses["200"] = &huma.Response{
		Description: "What is not counted as rejected is kept", Content: both(reflect.TypeFor[exportMetricsServiceResponse]()),
	}
	s.raw(o, operation{bulk: true, body: s.limits.BodyBytes, refused: refuseOTLP}, s.exportMetrics)
}

// exportMetrics takes data points.
func (s *Server) exportMetrics(w http.ResponseWriter, r *http.Request) error {
	contentType := r.Header.Get("Content-Type")
	answer, err := s.otlp.Write(r.Context(), tenantOf(r.Context()), contentType, r.Header.Get("Content-Encoding"), r.Body)
	if err != nil {
		return err
	}
	encoding, _ := protocol.EncodingOf(contentType)
	w.Header().Set("Content-Type", encoding.ContentType())
	_, err = w.Write(answer)
	return err
}

// retryLater is when a sender that met a fault of the server should try again.
const retryLater = 10 * time.Second

// refuseOTLP answers with a problem as the protocol wants it: with a
// google.rpc.Status in the encoding of the request, in JSON if it had none. A
// sender tries again only after 429 and 503, and drops the data after all other
// errors: so what is no fault of the request is one of the two.
func refuseOTLP(w http.ResponseWriter, r *http.Request, p *Problem) {
	encoding, _ := protocol.EncodingOf(r.Header.Get("Content-Type"))
	status := p.Status
	h := w.Header()
	switch {
	case status >= http.StatusInternalServerError:
		status = http.StatusServiceUnavailable
		h.Set("Retry-After", strconv.Itoa(max(p.seconds(), int(retryLater/time.Second))))
	case status == http.StatusTooManyRequests:
		h.Set("Retry-After", strconv.Itoa(p.seconds()))
	case status == http.StatusUnprocessableEntity:
		status = http.StatusBadRequest
	}
	h.Set("Content-Type", encoding.ContentType())
	h.Set("Cache-Control", "no-store")
	h.Del("Content-Encoding")
	w.WriteHeader(status)
	_, _ = w.Write(protocol.AppendStatus(nil, encoding, status, p.Code+": "+p.Detail)) // the client may be gone
}
