// Package otlp reads metrics as OpenTelemetry sends them: the body of POST
// /v1/metrics, an ExportMetricsServiceRequest as protobuf or as JSON, and writes
// the answers that its senders understand.
//
// A metric's data points with the same attributes are a channel:
//
//	channel     the metric's name
//	instrument  the resource's service.instance.id, else its service.name, else
//	            its host.name, else unknown_service
//	labels      every attribute of the resource and of the data point; of the
//	            scope its name, version and attributes as otel_scope_name,
//	            otel_scope_version and otel_scope_NAME
//	unit        the metric's unit, a property as are the next two
//	name        its description
//	scaling     of a sum: cumulative or delta, and monotonic if it is; of a gauge
//	            none
//
// What is no letter, digit or underscore in an attribute's name becomes an
// underscore, and a name that begins with a digit has key_ before it. The names
// instrument and channel are taken: attributes called so become
// exported_instrument and exported_channel. Of attributes of the same name the
// data point's counts, then the scope's, then the resource's; where two names
// become the same label, it has both values, in the order of the names, with a
// semicolon between them. A value that is no text is written as text: numbers
// and true and false as in JSON, bytes as base64, lists and maps as JSON with
// the names in order. Empty values are no labels.
//
// Gauges and sums are kept, as they are sent: deltas are not summed up. A point
// with the flag that there is no recorded value has the quality no data. Integers
// become the nearest 64-bit float. Start times, exemplars, and what this package
// does not know, are passed over.
//
// Refused are data points, each by itself, without a time (bad_time) or a value
// (not_a_number), whose attributes make no labels (bad_label), and all of
// histograms, exponential histograms and summaries (unsupported_type); and what
// package admit refuses. A body that is no such request is refused whole.
package otlp
