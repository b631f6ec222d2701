package seen

import (
	"fmt"
	"testing"

	"github.com/hokan-db/hokan/engine/model"
)

// TestCacheForgets fills a cache again and again: what it keeps is bounded, also
// by way of what comes after what.
func TestCacheForgets(t *testing.T) {
	const most = 100 << 10
	c := Cache[int]{Most: most}
	const used = 40
	for j := range used {
		c.Put("t", fmt.Append(nil, j), j)
	}
	for i := range 200 {
		for j := range used {
			if s := c.Get("t", fmt.Append(nil, j)); s == nil || s.Value != j {
				t.Fatalf("round %d: what is used is forgotten: %+v", i, s)
			}
		}
		before := c.Get("t", fmt.Append(nil, i%used))
		for j := range 50 { // a chain that is not used again
			s := c.Put("t", fmt.Appendf(nil, "%0100d-%d", i, j), j)
			c.Follows(before, s)
			before = s
		}
		checkReached(t, &c)
	}
	if len(c.older) == 0 {
		t.Error("the cache was never full")
	}
	if c.Put("t", make([]byte, longestCached+1), 1) != nil || c.Get("t", make([]byte, longestCached+1)) != nil {
		t.Error("a key that is too long is kept")
	}
	if c.Get("u", []byte("1")) != nil {
		t.Error("another tenant's is found")
	}
}

// checkReached checks how much a cache keeps, also by way of what comes after
// what.
func checkReached[V any](t *testing.T, c *Cache[V]) {
	t.Helper()
	reached, bytes := map[*Entry[V]]bool{}, 0
	for _, list := range []map[cacheKey]*Entry[V]{c.recent, c.older} {
		for _, s := range list {
			for ; s != nil && !reached[s]; s = s.next.Load() {
				reached[s] = true
				bytes += s.size()
			}
		}
	}
	if bytes > c.Most || len(reached) > len(c.recent)+len(c.older) {
		t.Fatalf("%d bytes of %d entries are kept, %d entries are in the maps", bytes, len(reached), len(c.recent)+len(c.older))
	}
}

// TestWalksAreForgotten sends requests that begin as the one before, so that all
// but the end is found by what comes after what: that counts as being used, and
// nothing is kept beside the maps.
func TestWalksAreForgotten(t *testing.T) {
	c := Cache[int]{Most: 100 << 10}
	walk := func(texts [][]byte) (unknown int) {
		var before *Entry[int]
		for j, text := range texts {
			s := c.After(before, text)
			if s == nil {
				if s = c.Get("t", text); s == nil {
					s = c.Put("t", text, j)
					unknown++
				}
				c.Follows(before, s)
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
	c := Cache[int]{Most: 100 << 10}
	for _, tenant := range []model.Tenant{"t", "u"} {
		first := c.Put(tenant, []byte("first"), 0)
		c.Follows(first, c.Put(tenant, []byte(tenant+"'s second"), 1))
	}
	for _, tenant := range []model.Tenant{"t", "u"} {
		if s := c.After(c.Get(tenant, []byte("first")), []byte(tenant+"'s second")); s == nil || s.key.tenant != tenant {
			t.Errorf("%s: %+v comes next", tenant, s)
		}
	}
}
