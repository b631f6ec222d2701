package remotewrite_test

import (
	"fmt"
	"testing"

	"github.com/hokan-db/hokan/ingest/remotewrite"
	"github.com/hokan-db/hokan/ingest/remotewrite/remotewritetest"
)

// FuzzDecode reads any bytes as both messages: what is accepted is whole, and the
// same when its labels are known already.
func FuzzDecode(f *testing.F) {
	all := remotewritetest.Scrape(2, 3, 2, 1.7e12)
	all = append(all, series{Labels: []string{"__name__", "h"}, Histograms: 1, Exemplars: 1, Times: []int64{1}, Values: []float64{0}})
	f.Add(remotewritetest.Encode1(all, remotewritetest.Metadata{Kind: 1, Name: "n", Help: "h", Unit: "u"}), false)
	f.Add(remotewritetest.Encode2(all), true)
	f.Fuzz(func(t *testing.T, body []byte, second bool) {
		message := remotewrite.WriteRequest
		if second {
			message = remotewrite.Request2
		}
		var d remotewrite.Decoder
		var before string
		for round := range 3 {
			r, err := d.Decode("fuzz", body, message)
			text := fmt.Sprint(err)
			if err == nil {
				samples := 0
				for i, c := range r.Channels {
					if len(r.Clocks[c.Clock].Times) != len(c.Values) || len(c.Values) == 0 {
						t.Fatalf("channel %d has %d times and %d values", i, len(r.Clocks[c.Clock].Times), len(c.Values))
					}
					if c.Labels.IsZero() == (c.Refused == "") {
						t.Fatalf("channel %d has labels %s and is refused for %q", i, c.Labels, c.Refused)
					}
					samples += len(c.Values)
					text += fmt.Sprint(c.Labels, c.Refused, r.Clocks[c.Clock].Times, len(c.Values), d.Series(i))
				}
				if 2*samples > len(body) {
					t.Fatalf("%d samples of %d bytes", samples, len(body))
				}
				r.Judge(0, 1e18, nil)
			}
			if round > 0 && text != before {
				t.Fatalf("decoded again:\n%s\nfirst:\n%s", text, before)
			}
			before = text
		}
	})
}
