package remotewrite

import (
	"fmt"
	"testing"
)

// BenchmarkDecode reads bodies of 1,000 samples, of series that were seen before.
//
//	go test -run '^$' -bench Decode ./ingest/remotewrite
func BenchmarkDecode(b *testing.B) {
	for _, rows := range []int{1, 10, 100} {
		series := scrape(10, 100/rows, rows, 1.7e12)
		for _, c := range []struct {
			name    string
			message Message
			body    []byte
		}{{"1.0", WriteRequest, encode1(series)}, {"2.0", Request2, encode2(series)}} {
			b.Run(fmt.Sprintf("%s/rows=%d", c.name, rows), func(b *testing.B) {
				var d Decoder
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
