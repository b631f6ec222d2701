package otlp_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"testing"

	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/ingest/otlp/otlptest"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/otlp"
	"github.com/hokan-db/hokan/server/writetest"
)

func TestMain(m *testing.M) {
	writetest.Main(m, func(to *admit.Writer) http.HandlerFunc {
		w := &otlp.Writer{To: to}
		return func(rw http.ResponseWriter, r *http.Request) {
			h := r.Header
			answer, err := w.Write(r.Context(), writetest.Tenant, h.Get("Content-Type"), h.Get("Content-Encoding"), r.Body)
			if err != nil {
				http.Error(rw, err.Error(), api.AsError(err).Status)
				return
			}
			rw.Header().Set("Content-Type", "application/x-protobuf")
			rw.Write(answer)
		}
	})
}

// BenchmarkServer writes durable requests of 1,000 data points of 50 metrics of a
// machine, as protobuf, plain and as collectors pack it, as package writetest does.
//
//	go test -run '^$' -bench Server -benchtime 5000x ./server/otlp
func BenchmarkServer(b *testing.B) {
	for _, encoding := range []string{"identity", "gzip"} {
		for _, clients := range []int{8, 32} {
			b.Run(fmt.Sprintf("%s/clients=%d", encoding, clients), func(b *testing.B) {
				writetest.Run(b, writetest.Load{
					Path: "/v1/metrics", Clients: clients,
					Header: map[string]string{"Content-Type": "application/x-protobuf", "Content-Encoding": encoding},
					Body: func(client, turn int) []byte {
						body := otlptest.Agent(fmt.Sprint("machine-", client), 50, 20, 1_700_000_000_000_000_000+int64(turn)*10_000_000_000)
						if encoding == "gzip" {
							return packed(b, body)
						}
						return body
					},
				})
			})
		}
	}
}

func packed(b *testing.B, body []byte) []byte {
	var to bytes.Buffer
	z := gzip.NewWriter(&to)
	if _, err := z.Write(body); err != nil {
		b.Fatal(err)
	}
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	return to.Bytes()
}
