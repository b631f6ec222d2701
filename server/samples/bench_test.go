package samples_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/samples"
	"github.com/hokan-db/hokan/server/writetest"
)

// batchColumns are 1,000 samples: rows at a second's distance from start of each
// of 1,000/rows channels. Values are tenths, as instruments give them.
func batchColumns(tb testing.TB, gateway, rows, start int) []model.Column {
	tb.Helper()
	times := make([]int64, rows)
	for i := range times {
		times[i] = 1.7e12 + int64(start+i)*1000
	}
	columns := make([]model.Column, 1000/rows)
	for c := range columns {
		labels, err := model.NewLabels(
			model.Label{Name: "instrument", Value: fmt.Sprintf("logger-%03d-%02d", gateway, c/30)},
			model.Label{Name: "channel", Value: fmt.Sprintf("%d-%d", c%30/10+1, c%10+1)})
		if err != nil {
			tb.Fatal(err)
		}
		values := make([]float64, rows)
		for i := range values {
			values[i] = math.Round(2000+300*math.Sin(float64(start+i)/400+float64(c)))/10 + 0.1*float64((start+i*7+c)%3)
		}
		columns[c] = model.Column{Labels: labels, Times: times, Values: values}
	}
	return columns
}

// BenchmarkDecode is the cost of a request without the engine: of 1,000
// samples, as rows of fewer or more channels.
func BenchmarkDecode(b *testing.B) {
	for _, rows := range []int{1, 10, 100, 1000} {
		columns := batchColumns(b, 0, rows, 0)
		body := samples.AppendMsgpack(nil, "ms", columns)
		text := asJSON(b, columns)
		for _, c := range []struct {
			name, contentType, encoding string
			body                        []byte
		}{
			{"msgpack+zstd", msgpackType, "zstd", pack(b, "zstd", body)},
			{"msgpack", msgpackType, "", body},
			{"json+gzip", jsonType, "gzip", pack(b, "gzip", text)},
			{"json", jsonType, "", text},
		} {
			b.Run(fmt.Sprintf("%s/rows=%d", c.name, rows), func(b *testing.B) {
				b.ReportAllocs()
				reader := bytes.NewReader(nil)
				for b.Loop() {
					reader.Reset(c.body)
					n, err := samples.DecodeOnly(c.contentType, c.encoding, reader)
					if err != nil || n != 1000 {
						b.Fatal(n, err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/sample")
				b.ReportMetric(float64(len(c.body))/1000, "B/sample")
			})
		}
	}
}

// asJSON is a request with columns that share their times.
func asJSON(tb testing.TB, columns []model.Column) []byte {
	tb.Helper()
	type channel struct {
		Labels model.Labels `json:"labels"`
		Values []float64    `json:"values"`
	}
	request := struct {
		Times    []int64   `json:"times"`
		Channels []channel `json:"channels"`
	}{Times: columns[0].Times}
	for _, c := range columns {
		request.Channels = append(request.Channels, channel{c.Labels, c.Values})
	}
	text, err := json.Marshal(request)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func TestMain(m *testing.M) {
	writetest.Main(m, func(to *admit.Writer) http.HandlerFunc {
		w := &samples.Writer{To: to}
		return func(rw http.ResponseWriter, r *http.Request) {
			body, err := w.Write(r.Context(), writetest.Tenant, r.Header.Get("Content-Type"), r.Header.Get("Content-Encoding"), r.Body)
			if err != nil {
				http.Error(rw, err.Error(), api.AsError(err).Status)
				return
			}
			text, _ := api.AppendBody(nil, body)
			rw.Header().Set("Content-Type", "application/json")
			rw.Write(text)
		}
	})
}

// BenchmarkServer writes durable batches of 1,000 samples as msgpack with zstd,
// as package writetest does.
//
//	go test -run '^$' -bench Server -benchtime 5000x ./server/samples
func BenchmarkServer(b *testing.B) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		b.Fatal(err)
	}
	for _, rows := range []int{1, 10, 100} {
		for _, clients := range []int{8, 32} {
			b.Run(fmt.Sprintf("rows=%d/clients=%d", rows, clients), func(b *testing.B) {
				writetest.Run(b, writetest.Load{
					Path: "/api/v1/samples", Clients: clients,
					Header: map[string]string{"Content-Type": msgpackType, "Content-Encoding": "zstd"},
					Body: func(client, turn int) []byte {
						return encoder.EncodeAll(samples.AppendMsgpack(nil, "ms", batchColumns(b, client, rows, turn*rows)), nil)
					},
				})
			})
		}
	}
}
