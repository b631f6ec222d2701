package otlp

import (
	"maps"
	"mime"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hokan-db/hokan/ingest/admit"
)

// EncodingOf returns the encoding of a body of a media type, and whether it is
// one of the protocol's.
func EncodingOf(contentType string) (Encoding, bool) {
	media := contentType
	if media != "application/x-protobuf" && media != "application/json" {
		media, _, _ = mime.ParseMediaType(contentType) // what cannot be read is none
	}
	switch media {
	case "application/x-protobuf", "application/protobuf":
		return Protobuf, true
	case "application/json":
		return JSON, true
	}
	return JSON, false
}

// ContentType returns the media type of bodies in an encoding.
func (e Encoding) ContentType() string {
	if e == JSON {
		return "application/json"
	}
	return "application/x-protobuf"
}

// AppendResponse appends an ExportMetricsServiceResponse: how many data points
// are rejected, and a text for people. With neither it says that all went well.
func AppendResponse(to []byte, e Encoding, rejected int64, text string) []byte {
	if e == JSON {
		if rejected == 0 && text == "" {
			return append(to, "{}"...)
		}
		to = append(to, `{"partialSuccess":{"rejectedDataPoints":"`...)
		to = append(strconv.AppendInt(to, rejected, 10), `","errorMessage":`...)
		return append(appendQuoted(to, text), "}}"...)
	}
	var partial []byte
	if rejected != 0 {
		partial = protowire.AppendVarint(protowire.AppendTag(partial, 1, protowire.VarintType), uint64(rejected))
	}
	if text != "" {
		partial = protowire.AppendString(protowire.AppendTag(partial, 2, protowire.BytesType), text)
	}
	if partial == nil {
		return to
	}
	return protowire.AppendBytes(protowire.AppendTag(to, 1, protowire.BytesType), partial)
}

// AppendStatus appends a google.rpc.Status: the body of an error.
func AppendStatus(to []byte, e Encoding, httpStatus int, text string) []byte {
	code := codeOf(httpStatus)
	if e == JSON {
		to = strconv.AppendInt(append(to, `{"code":`...), int64(code), 10)
		return append(appendQuoted(append(to, `,"message":`...), text), '}')
	}
	to = protowire.AppendVarint(protowire.AppendTag(to, 1, protowire.VarintType), uint64(code))
	return protowire.AppendString(protowire.AppendTag(to, 2, protowire.BytesType), text)
}

// codeOf returns the google.rpc.Code that stands for a status of HTTP.
func codeOf(status int) int {
	switch status {
	case 401:
		return 16 // UNAUTHENTICATED
	case 403:
		return 7 // PERMISSION_DENIED
	case 404:
		return 5 // NOT_FOUND
	case 405:
		return 12 // UNIMPLEMENTED
	case 409:
		return 10 // ABORTED
	case 413, 429:
		return 8 // RESOURCE_EXHAUSTED
	case 503:
		return 14 // UNAVAILABLE
	}
	if status < 500 {
		return 3 // INVALID_ARGUMENT
	}
	return 13 // INTERNAL
}

// mostNamed is how many refused data points a text names: it ends up in the log
// of a sender.
const mostNamed = 3

// Describe returns what is to be said of a request's result, "" if nothing is:
// what was refused and why, or what looks wrong.
func Describe(r *admit.Request, result *admit.Result) string {
	if result.Rejected == 0 {
		return strings.Join(result.Warnings, "; ")
	}
	var text strings.Builder
	text.WriteString(strconv.FormatInt(result.Rejected, 10) + " data points are refused (")
	for i, reason := range slices.Sorted(maps.Keys(result.Reasons)) {
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString(reason + ": " + strconv.FormatInt(result.Reasons[reason], 10))
	}
	text.WriteString("); such as: ")
	for i, refused := range result.Errors[:min(mostNamed, len(result.Errors))] {
		if i > 0 {
			text.WriteString("; ")
		}
		if refused.Channel >= 0 && refused.Channel < len(r.Channels) {
			text.WriteString("metric " + quote([]byte(r.Channels[refused.Channel].Labels.Channel())) + ": ")
		}
		text.WriteString(refused.Detail)
	}
	return text.String()
}
