package remotewrite_test

import (
	"fmt"
	"testing"

	"github.com/hokan-db/hokan/ingest/remotewrite"
	"github.com/hokan-db/hokan/ingest/remotewrite/remotewritetest"
)

// BenchmarkDecode reads bodies of 1,000 samples, of series that were seen before.
//
//	go test -run '^$' -bench Decode ./ingest/remotewrite
func BenchmarkDecode(b *testing.B) {
	for _, rows := range []int{1, 10, 100} {
		series := remotewritetest.Scrape(10, 100/rows, rows, 1.7e12)
		for _, c := range []struct {
			name    string
			message remotewrite.Message
			body    []byte
		}{{"1.0", remotewrite.WriteRequest, remotewritetest.Encode1(series)}, {"2.0", remotewrite.Request2, remotewritetest.Encode2(series)}} {
			b.Run(fmt.Sprintf("%s/rows=%d", c.name, rows), func(b *testing.B) {
				var d remotewrite.Decoder
				b.SetBytes(int64(len(c.body)))
				b.ReportAllocs()
				for b.Loop() {
					if r, err := d.Decode("lake", c.body, c.message); err != nil || len(r.Channels) != len(series) {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/sample")
			})
		}
	}
}
