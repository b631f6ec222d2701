package files_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/server/api"
	"github.com/hokan-db/hokan/server/files"
	"github.com/hokan-db/hokan/server/writetest"
)

func TestMain(m *testing.M) {
	writetest.Main(m, func(to *admit.Writer) http.HandlerFunc {
		w := &files.Writer{To: to}
		return func(rw http.ResponseWriter, r *http.Request) {
			if _, err := w.Import(r.Context(), writetest.Tenant, r.URL.Query(), r.Header, r.Body); err != nil {
				http.Error(rw, err.Error(), api.AsError(err).Status)
			}
		}
	})
}

// hiokiFile is a file of the LR8400 family: readings of some channels as the
// instrument quantises them, a row a second, the turn-th of one recording.
func hiokiFile(turn, rows, channels int) []byte {
	start := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(turn*rows) * time.Second)
	var b bytes.Buffer
	fmt.Fprintf(&b, "\"File name\",\"BENCH.CSV\",\"V 1.00\"\r\n\"Trigger Time\",\"'%s\"\r\n\"Time\",", start.Format("06-01-02 15:04:05"))
	for c := range channels {
		fmt.Fprintf(&b, "\"1-%d[V]\",", c+1)
	}
	b.WriteString("\"Event\",\r\n")
	walk := make([]int, channels) // of steps of the converter
	random := uint32(turn*7919 + 1)
	for i := range rows {
		fmt.Fprintf(&b, "% .9E,", float64(i))
		for c := range walk {
			random = random*1664525 + 1013904223
			walk[c] += int(random>>28) - 7
			fmt.Fprintf(&b, "% .5E,", float64(walk[c]+1000*c)*5e-5)
		}
		b.WriteString("0,\r\n")
	}
	return b.Bytes()
}

// BenchmarkServer imports files of HIOKI loggers of 16 MB, one after another,
// each durable when it is answered, as package writetest does.
//
//	go test -run '^$' -bench Server -benchtime 30x ./server/files
func BenchmarkServer(b *testing.B) {
	for _, channels := range []int{4, 30, 100} {
		b.Run(fmt.Sprintf("channels=%d", channels), func(b *testing.B) {
			rows := 1_250_000 / (channels + 1)
			writetest.Run(b, writetest.Load{Path: "/?instrument=i&zone=UTC", Clients: 1, Samples: rows * channels,
				Body: func(_, turn int) []byte { return hiokiFile(turn, rows, channels) }})
		})
	}
}
