package server

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/hokan-db/hokan/engine"
	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/server/auth"
)

// BenchmarkView asks for 32 channels × 30 days of minutes in 1,366 buckets over
// a connection that is kept, as the viewer does.
func BenchmarkView(b *testing.B) {
	db, err := engine.Open(engine.Options{FS: vfs.NewMem(), Dir: "data", Clock: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	const rows = 30 * 24 * 60
	s, err := New(Options{DB: db})
	if err != nil {
		b.Fatal(err)
	}
	secret, _, err := s.tokens.Create(b.Context(), auth.Token{Tenant: "lake"})
	if err != nil {
		b.Fatal(err)
	}
	times := make([]int64, rows)
	for i := range times {
		times[i] = 1_700_000_000_000_000_000 + int64(i)*int64(time.Minute)
	}
	for channel := range 32 {
		labels, err := model.NewLabels(model.Label{Name: "instrument", Value: "logger"},
			model.Label{Name: "channel", Value: fmt.Sprint("CH", channel)})
		if err != nil {
			b.Fatal(err)
		}
		values := make([]float64, rows)
		noise := uint32(channel + 1)
		for i := range values { // a day's swing of 8 °C, a drift, and noise of ± 0.1 °C, in steps of 0.1
			noise = noise*1664525 + 1013904223
			day := 2 * math.Pi * float64(i) / 1440
			values[i] = math.Round((20+4*math.Sin(day+float64(channel))+float64(i)/20000)*10+float64(noise>>30)-1.5) / 10
		}
		batch := &model.Batch{Tenant: "lake", Columns: []model.Column{{Labels: labels, Times: times, Values: values}}}
		if _, err := db.Append(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	web := httptest.NewServer(s.Handler())
	defer web.Close()
	for _, coding := range []string{"zstd", "gzip", "identity"} {
		b.Run(coding, func(b *testing.B) {
			var size int64
			for b.Loop() {
				r, err := http.NewRequest("GET", web.URL+"/api/v1/view?buckets=1366", nil)
				if err != nil {
					b.Fatal(err)
				}
				r.Header.Set("Authorization", "Bearer "+secret)
				r.Header.Set("Accept-Encoding", coding)
				answer, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				if size, err = io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
					b.Fatal(answer.Status, err)
				}
				answer.Body.Close()
			}
			b.ReportMetric(float64(size), "bytes")
		})
	}
}
