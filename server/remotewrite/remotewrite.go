// Package remotewrite answers POST /api/v1/write: it takes what Prometheus and
// its kin send by remote write, 1.0 or 2.0, in that protocol's terms.
//
// Everything kept, and durable: 204. Some refused that would be refused again:
// 400, with a line that says how many and why; the others are kept. Samples that
// are sent again change nothing, so that every request may be.
package remotewrite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/engine/policy"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/ingest/remotewrite"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/unpack"
)

// Writer takes requests. It is safe for concurrent use.
type Writer struct {
	To *admit.Writer
	// MaxBody bounds a request's bytes, as sent and unpacked; 0 is
	// policy.BodyBytes.
	MaxBody int64
	// Exemplars, if not nil, is told how many a request has: they are not kept.
	Exemplars func(n int)
}

// Answer is what a sender is told.
type Answer struct {
	// Version2 says that the sender counts what was written.
	Version2 bool
	Written  int64 // samples
	// Refused says in one line what was refused, where the rest was kept or
	// there was none; "" for nothing.
	Refused string
}

// The headers of the protocol.
const (
	versionHeader    = "X-Prometheus-Remote-Write-Version"
	samplesHeader    = "X-Prometheus-Remote-Write-Samples-Written"
	histogramsHeader = "X-Prometheus-Remote-Write-Histograms-Written"
	exemplarsHeader  = "X-Prometheus-Remote-Write-Exemplars-Written"
)

// SetHeaders says how much was written, if that is asked.
func (a *Answer) SetHeaders(h http.Header) {
	if a.Version2 {
		h.Set(samplesHeader, strconv.FormatInt(a.Written, 10))
		h.Set(histogramsHeader, "0")
		h.Set(exemplarsHeader, "0")
	}
}

// one is a request that is read, and its memory.
type one struct {
	decoder remotewrite.Decoder
	body    unpack.Body
}

var requests = sync.Pool{New: func() any { return new(one) }}

func (o *one) release() {
	o.body.Release()
	if !o.decoder.Large() {
		o.decoder.Reset()
		requests.Put(o)
	}
}

// Write reads a request and keeps what it may of it. Every error is an
// *api.Error, for a request that was refused as a whole or could not be kept to
// its end; the answer is given beside it.
func (w *Writer) Write(ctx context.Context, tenant model.Tenant, h http.Header, body io.Reader) (answer Answer, err error) {
	message, err := messageOf(h)
	if err != nil {
		return answer, err
	}
	answer.Version2 = message == remotewrite.Request2
	encoding := h.Get("Content-Encoding")
	if encoding == "" {
		encoding = "snappy" // the only one that old senders know, and may not name
	}
	most := w.MaxBody
	if most == 0 {
		most = policy.BodyBytes.Default
	}
	o := requests.Get().(*one)
	defer o.release()
	if err := o.body.Read(ctx, tenant, encoding, body, most); err != nil {
		return answer, err
	}
	request, err := o.decoder.Decode(tenant, o.body.Bytes, message)
	if err != nil {
		var bad *remotewrite.Error
		if errors.As(err, &bad) {
			return answer, api.NewError(bad.Code, bad.Detail)
		}
		return answer, api.AsError(err)
	}
	if n := o.decoder.Exemplars(); n > 0 && w.Exemplars != nil {
		w.Exemplars(n)
	}
	o.body.Drop()
	result, err := w.To.Write(ctx, request)
	if result != nil {
		answer.Written = result.Accepted
	}
	switch {
	case err != nil && !errors.Is(err, admit.ErrNothingAccepted):
		return answer, api.AsError(err)
	case result.Rejected > 0:
		answer.Refused = refusedText(result, request, &o.decoder)
	}
	return answer, nil
}

// messageOf returns which message a request's body is.
func messageOf(h http.Header) (message remotewrite.Message, err error) {
	if version := h.Get(versionHeader); version != "" {
		switch major, _, _ := strings.Cut(version, "."); major {
		case "0", "1", "2":
		default:
			return 0, unsupported(versionHeader + " " + quote(version) + " is neither of 0.1, 1 nor 2")
		}
	}
	contentType := h.Get("Content-Type")
	if contentType == "" {
		return remotewrite.WriteRequest, nil
	}
	media, parameters, err := mime.ParseMediaType(contentType)
	if err == nil && media == "application/x-protobuf" {
		switch parameters["proto"] {
		case "", "prometheus.WriteRequest":
			return remotewrite.WriteRequest, nil
		case "io.prometheus.write.v2.Request":
			return remotewrite.Request2, nil
		}
	}
	return 0, unsupported("Content-Type " + quote(contentType) +
		" is not application/x-protobuf with proto=prometheus.WriteRequest or proto=io.prometheus.write.v2.Request")
}

func unsupported(detail string) error { return api.NewError("unsupported_media_type", detail) }

// mostNamed is how many refusals an answer names: senders log its beginning.
const mostNamed = 3

// refusedText says in one line what was refused.
func refusedText(result *admit.Result, request *admit.Request, d *remotewrite.Decoder) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%d of %d samples are refused, the others are kept:", result.Rejected, result.Rejected+result.Accepted)
	if result.Accepted == 0 {
		text.Reset()
		fmt.Fprintf(&text, "all %d samples are refused:", result.Rejected)
	}
	for i, code := range slices.Sorted(maps.Keys(result.Reasons)) {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, " %s %d", code, result.Reasons[code])
	}
	for _, e := range result.Errors[:min(len(result.Errors), mostNamed)] {
		series, labels := e.Index, ""
		if e.Channel >= 0 {
			series = d.Series(e.Channel)
			if l := request.Channels[e.Channel].Labels; !l.IsZero() {
				labels = " channel " + quote(l.Channel()) + " of instrument " + quote(l.Instrument())
			}
		}
		fmt.Fprintf(&text, "; timeseries[%d]%s: %s: %s", series, labels, e.Code, e.Detail)
	}
	return text.String()
}

// quote quotes text for an error message, cut to a readable length.
func quote(text string) string {
	const most = 60
	if len(text) > most {
		return strconv.Quote(text[:most]) + "…"
	}
	return strconv.Quote(text)
}
