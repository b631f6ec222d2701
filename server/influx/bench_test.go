package influx_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/influx"
	"github.com/hokan-db/hokan/server/writetest"
)

func TestMain(m *testing.M) {
	writetest.Main(m, func(to *admit.Writer) http.HandlerFunc {
		w := &influx.Writer{To: to}
		return func(rw http.ResponseWriter, r *http.Request) {
			partial, _, err := w.Write(r.Context(), writetest.Tenant, r.URL.Query().Get("precision"), r.Header.Get("Content-Encoding"), r.Body)
			switch {
			case err != nil:
				http.Error(rw, err.Error(), api.AsError(err).Status)
			case partial != nil:
				http.Error(rw, partial.Message, http.StatusBadRequest)
			default:
				rw.WriteHeader(http.StatusNoContent)
			}
		}
	})
}

// lines are 1,000 samples of a gateway: of 100 instruments, ten fields each.
func lines(gateway, turn int) []byte {
	var b bytes.Buffer
	for i := range 100 {
		fmt.Fprintf(&b, "cpu,host=server-%02d-%03d,region=eu-west ", gateway, i)
		for f := range 10 {
			if f > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "usage_%d=%.1f", f, float64((turn*37+i*7+f*11)%1000)/10)
		}
		fmt.Fprintf(&b, " %d\n", 1_700_000_000+turn*10)
	}
	return b.Bytes()
}

// BenchmarkServer writes durable batches of 1,000 samples as package writetest
// does.
//
//	go test -run '^$' -bench Server -benchtime 5000x ./server/influx
func BenchmarkServer(b *testing.B) {
	for _, clients := range []int{8, 32} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			writetest.Run(b, writetest.Load{Path: "/write?precision=s", Clients: clients, Body: lines})
		})
	}
}
