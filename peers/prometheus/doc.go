// Package prometheus tries the server with Prometheus' own code: its types of
// remote write as judges of the decoder, and what its agent mode sends with.
package prometheus
