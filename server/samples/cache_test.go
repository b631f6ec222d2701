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
		r := &request{body: AppendMsgpack(nil, "s", columns)}
		if err := decodeMsgpack(r); err != nil {
			t.Fatal(err)
		}
		for i := range columns {
			if r.channels[i].labels != columns[i].Labels {
				t.Fatalf("channel %d is %s, want %s", i, r.channels[i].labels, columns[i].Labels)
			}
		}
	}
	// Known labels before what breaks off or has another form.
	body := AppendMsgpack(nil, "s", all)
	for n := range body {
		if err := decodeMsgpack(&request{body: body[:n:n]}); err == nil {
			t.Fatalf("%d of %d bytes are taken for a request", n, len(body))
		}
	}
}

// TestCacheForgets fills a cache again and again: what it keeps is bounded, also
// by way of what comes after what.
func TestCacheForgets(t *testing.T) {
	const most = 100 << 10
	c := cache[int]{most: most}
	const used = 40
	for j := range used {
		c.put(fmt.Append(nil, j), j)
	}
	for i := range 200 {
		for j := range used {
			if s := c.get(fmt.Append(nil, j)); s == nil || s.value != j {
				t.Fatalf("round %d: what is used is forgotten: %+v", i, s)
			}
		}
		before := c.get(fmt.Append(nil, i%used))
		for j := range 50 { // a chain that is not used again
			s := c.put(fmt.Appendf(nil, "%0100d-%d", i, j), j)
			before.before(s)
			before = s
		}
		reached, bytes := map[*seen[int]]bool{}, 0
		for _, list := range []map[string]*seen[int]{c.recent, c.older} {
			for _, s := range list {
				for ; s != nil && !reached[s]; s = s.next.Load() {
					reached[s] = true
					bytes += 2*len(s.key) + cachedOverhead
				}
			}
		}
		if bytes > 2*most {
			t.Fatalf("round %d: %d bytes are kept, at most about %d may be", i, bytes, most)
		}
	}
	if len(c.older) == 0 {
		t.Error("the cache was never full")
	}
	if c.put(make([]byte, longestCached+1), 1) != nil || c.get(make([]byte, longestCached+1)) != nil {
		t.Error("a key that is too long is kept")
	}
}
