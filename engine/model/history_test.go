package model_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/model"
)

// naiveHistory is a history as a table: what holds at each of a few times. The
// time before all others is the table's first.
type naiveHistory struct {
	table [12]model.Properties
	first int // where the first version begins; -1: nothing was ever said
}

// next is where the version in force at from ends.
func (n *naiveHistory) next(from int) int {
	if from < n.first {
		return n.first
	}
	for t := from + 1; t < len(n.table); t++ {
		if n.table[t] != n.table[t-1] {
			return t
		}
	}
	return len(n.table)
}

func (n *naiveHistory) with(from int, p model.Properties) {
	switch {
	case n.first < 0:
		n.first = from
		n.fill(0, len(n.table), p)
	case from < n.first && n.table[n.first] == p: // it held before itself already
	case from <= n.first:
		end := n.next(from)
		n.first = from
		n.fill(0, end, p)
	default:
		n.fill(from, n.next(from), p)
	}
}

func (n *naiveHistory) fill(from, to int, p model.Properties) {
	for t := from; t < to; t++ {
		n.table[t] = p
	}
}

func TestHistoryIsATable(t *testing.T) {
	said := []model.Properties{{}, {Unit: "V"}, {Unit: "A"}, {Unit: "V", Decimals: 2, HasDecimals: true}}
	rapid.Check(t, func(t *rapid.T) {
		want := naiveHistory{first: -1}
		var h model.History
		if h.At(0) != (model.Properties{}) || h.Current() != (model.Properties{}) {
			t.Fatal("an empty history says something")
		}
		for range rapid.IntRange(1, 12).Draw(t, "changes") {
			from := rapid.IntRange(1, 10).Draw(t, "from")
			p := rapid.SampledFrom(said).Draw(t, "properties")
			before := slices.Clone(h)
			next := h.With(int64(from), p)
			want.with(from, p)
			if !slices.Equal(h, before) {
				t.Fatalf("With changed what it was called on: %v to %v", before, h)
			}
			if slices.Equal(next, h) && len(h) > 0 && &next[0] != &h[0] {
				t.Fatal("With returned a copy where nothing is new")
			}
			h = next
			for at, p := range want.table {
				if got := h.At(int64(at)); got != p {
					t.Fatalf("at %d it is %v, want %v; history %v", at, got, p, h)
				}
			}
			for i := 1; i < len(h); i++ {
				if h[i].ValidFrom <= h[i-1].ValidFrom || h[i].Properties == h[i-1].Properties {
					t.Fatalf("versions %d and %d: %v", i-1, i, h)
				}
			}
			if h[0].ValidFrom != int64(want.first) || h.Current() != h[len(h)-1].Properties {
				t.Fatalf("history %v begins at %d", h, want.first)
			}
		}
	})
}
