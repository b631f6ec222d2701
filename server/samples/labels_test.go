package samples

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hokan-db/hokan/engine/model"
)

// TestLabelsInAnyOrder sends the same channels again and again, in the same
// order, in others, with some left out and some twice: each has its own labels.
func TestLabelsInAnyOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]model.Column, 40)
	for i := range all {
		// Values of which some begin others, and of different lengths.
		labels, err := model.NewLabels(model.Label{Name: "instrument", Value: "any-order"},
			model.Label{Name: "channel", Value: strings.Repeat("1", i%7+1) + fmt.Sprint(i/7)})
		if err != nil {
			t.Fatal(err)
		}
		all[i] = model.Column{Labels: labels, Times: []int64{1}, Values: []float64{float64(i)}}
	}
	for range 300 {
		columns := all
		switch random.IntN(3) {
		case 0:
			columns = make([]model.Column, random.IntN(60))
			for i := range columns {
				columns[i] = all[random.IntN(len(all))]
			}
		case 1:
			from := random.IntN(len(all))
			columns = all[from : from+random.IntN(len(all)-from)]
		}
		r := newRequest()
		r.body.Bytes = AppendMsgpack(nil, "s", columns)
		if err := decodeMsgpack(r); err != nil {
			t.Fatal(err)
		}
		for i := range columns {
			if r.Channels[i].Labels != columns[i].Labels {
				t.Fatalf("channel %d is %s, want %s", i, r.Channels[i].Labels, columns[i].Labels)
			}
		}
	}
	// Known labels before what breaks off or has another form.
	body := AppendMsgpack(nil, "s", all)
	for n := range body {
		r := newRequest()
		r.body.Bytes = body[:n:n]
		if err := decodeMsgpack(r); err == nil {
			t.Fatalf("%d of %d bytes are taken for a request", n, len(body))
		}
	}
}
