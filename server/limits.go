package server

import (
	"time"

	"github.com/hokan-db/hokan/engine/policy"
)

// Limits bound what clients can hold of a server. Zero values mean the
// defaults of package policy.
type Limits struct {
	BodyBytes           int64         // of POST /samples, as sent and unpacked
	SmallBodyBytes      int64         // of any other body
	HeaderBytes         int           // of a request's headers
	HeaderTime          time.Duration // for the headers to arrive
	RequestTime         time.Duration // for the body to arrive and to be answered, streams apart
	ExportTime          time.Duration // for an export to be written
	WriteTime           time.Duration // for a client to take a piece of an answer
	AnswerTime          time.Duration // for a client to take an answer that waits in memory
	SendRate            int64         // bytes per second of an export that a client must take
	IdleTime            time.Duration // for a connection without a request
	ShutdownTime        time.Duration // for requests in progress when the server stops
	StallTime           time.Duration // for a client to progress meanwhile
	Connections         int           // open
	AddressConnections  int           // open, of one address
	OpenRequests        int           // in progress without a token
	AddressOpenRequests int           // of one address
	OpenBodyTime        time.Duration // for the body of a request without a token to arrive
	Requests            int           // in progress with a token
	TenantRequests      int           // of one tenant
	InFlightBytes       int64         // of bodies in progress
	TenantInFlightBytes int64         // of one tenant
	AnswerBytes         int64         // of answers that wait in memory
	TenantAnswerBytes   int64         // of one tenant
	Streams             int           // live
	TenantStreams       int           // of one tenant
	AheadTime           time.Duration // of a sample before the clock
}

// LimitRow is a line of LimitTable.
type LimitRow struct {
	policy.Limit
	Metric string // what shows how near it is, or how often it was reached
}

// What counts refusals by limit, and what shows how much is in use.
const (
	metricRefused     = "hokan_http_refused_total"
	metricConnections = "hokan_http_connections"
	metricRequests    = "hokan_http_requests_in_progress"
	metricOpen        = "hokan_http_open_requests_in_progress"
	metricBytes       = "hokan_http_body_bytes_in_progress"
	metricAnswers     = "hokan_http_answer_bytes_in_progress"
	metricStreams     = "hokan_live_streams"
	metricRejected    = "hokan_samples_rejected_total"
)

// LimitTable is every limit of the server: name, default, code and metric.
// Refusals are counted by hokan_http_refused_total with the name as label
// "limit".
func LimitTable() []LimitRow {
	return []LimitRow{
		{policy.BodyBytes, metricRefused},
		{policy.SmallBodyBytes, metricRefused},
		{policy.HeaderBytes, metricConnections},
		{policy.HeaderTime, metricConnections},
		{policy.RequestTime, metricRefused},
		{policy.ExportTime, metricRefused},
		{policy.WriteTime, metricRefused},
		{policy.AnswerTime, metricRefused},
		{policy.SendRate, metricRefused},
		{policy.IdleTime, metricConnections},
		{policy.ShutdownTime, metricRequests},
		{policy.StallTime, metricRequests},
		{policy.Connections, metricConnections},
		{policy.AddressConnections, metricRefused},
		{policy.OpenRequests, metricOpen},
		{policy.AddressOpenRequests, metricRefused},
		{policy.OpenBodyTime, metricOpen},
		{policy.Requests, metricRequests},
		{policy.TenantRequests, metricRefused},
		{policy.InFlightBytes, metricBytes},
		{policy.TenantInFlightBytes, metricRefused},
		{policy.AnswerBytes, metricAnswers},
		{policy.TenantAnswerBytes, metricRefused},
		{policy.Streams, metricStreams},
		{policy.TenantStreams, metricRefused},
		{policy.AheadTime, metricRejected},
		// Parts of the format, which nobody sets:
		{policy.IdempotencyKeys, metricRefused},
		{policy.Producers, metricRefused},
		{policy.ReceiptBytes, metricRefused},
	}
}

func (l Limits) withDefaults() Limits {
	setDefault(&l.BodyBytes, policy.BodyBytes)
	setDefault(&l.SmallBodyBytes, policy.SmallBodyBytes)
	setDefault(&l.HeaderBytes, policy.HeaderBytes)
	setDefault(&l.HeaderTime, policy.HeaderTime)
	setDefault(&l.RequestTime, policy.RequestTime)
	setDefault(&l.ExportTime, policy.ExportTime)
	setDefault(&l.WriteTime, policy.WriteTime)
	setDefault(&l.AnswerTime, policy.AnswerTime)
	setDefault(&l.SendRate, policy.SendRate)
	setDefault(&l.IdleTime, policy.IdleTime)
	setDefault(&l.ShutdownTime, policy.ShutdownTime)
	setDefault(&l.StallTime, policy.StallTime)
	setDefault(&l.Connections, policy.Connections)
	setDefault(&l.AddressConnections, policy.AddressConnections)
	setDefault(&l.OpenRequests, policy.OpenRequests)
	setDefault(&l.AddressOpenRequests, policy.AddressOpenRequests)
	setDefault(&l.OpenBodyTime, policy.OpenBodyTime)
	setDefault(&l.Requests, policy.Requests)
	setDefault(&l.TenantRequests, policy.TenantRequests)
	setDefault(&l.InFlightBytes, policy.InFlightBytes)
	setDefault(&l.TenantInFlightBytes, policy.TenantInFlightBytes)
	setDefault(&l.AnswerBytes, policy.AnswerBytes)
	setDefault(&l.TenantAnswerBytes, policy.TenantAnswerBytes)
	setDefault(&l.Streams, policy.Streams)
	setDefault(&l.TenantStreams, policy.TenantStreams)
	setDefault(&l.AheadTime, policy.AheadTime)
	return l
}

func setDefault[N int | int64 | time.Duration](value *N, limit policy.Limit) {
	if *value == 0 {
		*value = N(limit.Default)
	}
}
