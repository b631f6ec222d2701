package remotewrite_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/ingest/remotewrite/remotewritetest"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/remotewrite"
	"github.com/hokan-db/hokan/server/writetest"
)

// scraped are 1,000 samples: rows at a quarter minute's distance from start of
// each of 1,000/rows series, of ten targets of one agent.
func scraped(agent, rows, start int) []remotewritetest.Series {
	all := remotewritetest.Scrape(10, 100/rows, rows, 1.7e12+int64(start)*15000)
	for i := range all {
		all[i].Labels = append(all[i].Labels[:len(all[i].Labels):len(all[i].Labels)], "zz_agent", strconv.Itoa(agent))
	}
	return all
}

func TestMain(m *testing.M) {
	writetest.Main(m, func(to *admit.Writer) http.HandlerFunc {
		w := &remotewrite.Writer{To: to}
		return func(rw http.ResponseWriter, r *http.Request) {
			answer, err := w.Write(r.Context(), writetest.Tenant, r.Header, r.Body)
			answer.SetHeaders(rw.Header())
			switch {
			case err != nil:
				http.Error(rw, err.Error(), api.AsError(err).Status)
			case answer.Refused != "":
				http.Error(rw, answer.Refused, http.StatusBadRequest)
			default:
				rw.WriteHeader(http.StatusNoContent)
			}
		}
	})
}

// BenchmarkServer writes durable requests of 1,000 samples, of one sample a
// series as from a scrape or of more, as package writetest does.
//
//	go test -run '^$' -bench Server -benchtime 5000x ./server/remotewrite
func BenchmarkServer(b *testing.B) {
	for version, as := range []struct {
		contentType string
		encode      func([]remotewritetest.Series) []byte
	}{
		{"application/x-protobuf", func(s []remotewritetest.Series) []byte { return remotewritetest.Encode1(s) }},
		{"application/x-protobuf;proto=io.prometheus.write.v2.Request", remotewritetest.Encode2},
	} {
		for _, rows := range []int{1, 10} {
			for _, clients := range []int{8, 32} {
				b.Run(fmt.Sprintf("%d.0/rows=%d/clients=%d", version+1, rows, clients), func(b *testing.B) {
					writetest.Run(b, writetest.Load{
						Path: "/api/v1/write", Clients: clients,
						Header: map[string]string{"Content-Type": as.contentType, "Content-Encoding": "snappy"},
						Body: func(client, turn int) []byte {
							return s2.EncodeSnappy(nil, as.encode(scraped(client, rows, turn*rows)))
						},
					})
				})
			}
		}
	}
}
