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
		c.put("t", fmt.Append(nil, j), j)
	}
	for i := range 200 {
		for j := range used {
			if s := c.get("t", fmt.Append(nil, j)); s == nil || s.value != j {
				t.Fatalf("round %d: what is used is forgotten: %+v", i, s)
			}
		}
		before := c.get("t", fmt.Append(nil, i%used))
		for j := range 50 { // a chain that is not used again
			s := c.put("t", fmt.Appendf(nil, "%0100d-%d", i, j), j)
			c.follows(before, s)
			before = s
		}
		checkReached(t, &c)
	}
	if len(c.older) == 0 {
		t.Error("the cache was never full")
	}
	if c.put("t", make([]byte, longestCached+1), 1) != nil || c.get("t", make([]byte, longestCached+1)) != nil {
		t.Error("a key that is too long is kept")
	}
	if c.get("u", []byte("1")) != nil {
		t.Error("another tenant's is found")
	}
}

// checkReached checks how much a cache keeps, also by way of what comes after
// what.
func checkReached[V any](t *testing.T, c *cache[V]) {
	t.Helper()
	reached, bytes := map[*seen[V]]bool{}, 0
	for _, list := range []map[cacheKey]*seen[V]{c.recent, c.older} {
		for _, s := range list {
			for ; s != nil && !reached[s]; s = s.next.Load() {
				reached[s] = true
				bytes += s.size()
			}
		}
	}
	if bytes > c.most || len(reached) > len(c.recent)+len(c.older) {
		t.Fatalf("%d bytes of %d entries are kept, %d entries are in the maps", bytes, len(reached), len(c.recent)+len(c.older))
	}
}

// TestWalksAreForgotten sends requests that begin as the one before, so that all
// but the end is found by what comes after what: that counts as being used, and
// nothing is kept beside the maps.
func TestWalksAreForgotten(t *testing.T) {
	c := cache[int]{most: 100 << 10}
	walk := func(texts [][]byte) (unknown int) {
		var before *seen[int]
		for j, text := range texts {
			s := c.after(before, text)
			if s == nil {
				if s = c.get("t", text); s == nil {
					s = c.put("t", text, j)
					unknown++
				}
				c.follows(before, s)
			}
			before = s
		}
		return unknown
	}
	var texts [][]byte
	for i := range 100 {
		for range 10 {
			texts = append(texts, fmt.Appendf(nil, "%0100d", len(texts)))
		}
		walk(texts[max(0, len(texts)-100*(i%3+1)):])
		checkReached(t, &c)
	}
	used := texts[:20]
	for i := range 1000 {
		if unknown := walk(used); unknown > 0 && i > 0 {
			t.Fatalf("round %d: %d of what is used are forgotten", i, unknown)
		}
		walk([][]byte{fmt.Appendf(nil, "other %0100d", i)})
	}
}

// TestPredictionsOfTenants: two tenants whose requests begin alike and go on
// differently do not change what is expected of each other.
func TestPredictionsOfTenants(t *testing.T) {
	c := cache[int]{most: 100 << 10}
	for _, tenant := range []model.Tenant{"t", "u"} {
		first := c.put(tenant, []byte("first"), 0)
		c.follows(first, c.put(tenant, []byte(tenant+"'s second"), 1))
	}
	for _, tenant := range []model.Tenant{"t", "u"} {
		if s := c.after(c.get(tenant, []byte("first")), []byte(tenant+"'s second")); s == nil || s.key.tenant != tenant {
			t.Errorf("%s: %+v comes next", tenant, s)
		}
	}
}
