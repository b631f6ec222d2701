// Package model holds the values that every other package speaks in: tenants,
// channels and their labels, samples and their quality, batches, spans,
// buckets and aggregates. It does no I/O and knows no other package.
//
// Times are int64 nanoseconds since the Unix epoch, UTC. Values are float64
// and are kept bit for bit, NaN payloads and negative zero included.
package model
