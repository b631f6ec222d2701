package model_test

import (
	"errors"
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hokan-db/hokan/engine/model"
)

func TestSpan(t *testing.T) {
	s := model.Span{From: 10, To: 20}
	for at, want := range map[int64]bool{9: false, 10: true, 19: true, 20: false} {
		if s.Contains(at) != want {
			t.Errorf("Contains(%d) is %v", at, !want)
		}
	}
	for _, c := range []struct {
		first, last int64
		want        bool
	}{{0, 9, false}, {0, 10, true}, {19, 30, true}, {20, 30, false}, {12, 12, true}, {0, 30, true}} {
		if s.Overlaps(c.first, c.last) != c.want {
			t.Errorf("Overlaps(%d, %d) is %v", c.first, c.last, !c.want)
		}
	}
	if got := s.Intersect(model.Span{From: 15, To: 30}); got != (model.Span{From: 15, To: 20}) {
		t.Errorf("intersection %v", got)
	}
	if s.Empty() || !s.Intersect(model.Span{From: 20, To: 30}).Empty() || !(model.Span{}).Empty() {
		t.Error("empty spans are told apart wrongly")
	}
	if all := model.AllTime(); all.Empty() || !all.Contains(model.MinTime) || all.Contains(model.MaxTime) {
		t.Error("all time")
	}
}

func TestTheEndsOfTime(t *testing.T) {
	for at, want := range map[int64]string{model.MinTime: "1678-01-01T00:00:00Z", model.MaxTime: "2262-01-01T00:00:00Z"} {
		if got := time.Unix(0, at).UTC().Format(time.RFC3339Nano); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for _, s := range []model.Span{{From: model.MinTime, To: 0}, {From: 0, To: model.MaxTime}} {
		if _, err := model.PlanBuckets(s, 1000); err != nil {
			t.Errorf("%v: %v", s, err)
		}
	}
}

func TestPlanBucketsRounds(t *testing.T) {
	at := func(s string) int64 {
		when, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return when.UnixNano()
	}
	for _, c := range []struct {
		from, to string
		n        int
		width    time.Duration
		first    string
		count    int
	}{
		{"2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", 1366, 733 * time.Microsecond, "2025-12-31T23:59:59.999531Z", 1365},
		{"2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", 1366, 2 * time.Minute, "2026-01-01T00:00:00Z", 720},
		{"2026-01-01T00:30:00Z", "2026-01-01T10:30:00Z", 10, time.Hour, "2026-01-01T00:00:00Z", 11},
		{"2016-01-01T00:00:00Z", "2026-01-01T00:00:00Z", 1366, 72 * time.Hour, "2015-12-31T00:00:00Z", 1218},
		{"1969-12-31T23:59:59.5Z", "1970-01-01T00:00:00.5Z", 1, time.Second, "1969-12-31T23:59:59Z", 2},
		{"2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000001Z", 5, 1, "2026-01-01T00:00:00Z", 1},
	} {
		b, err := model.PlanBuckets(model.Span{From: at(c.from), To: at(c.to)}, c.n)
		if err != nil {
			t.Errorf("%s: %v", c.from, err)
			continue
		}
		if want := (model.Buckets{From: at(c.first), Width: int64(c.width), Count: c.count}); b != want {
			t.Errorf("%s: %+v, want %+v", c.from, b, want)
		}
	}
}

// plan computes buckets from their documentation, in integers without end.
func plan(s model.Span, n int) (from, width, count, end *big.Int) {
	one := big.NewInt(1)
	ceil := func(a, b *big.Int) *big.Int {
		q, r := new(big.Int).DivMod(a, b, new(big.Int))
		if r.Sign() > 0 {
			q.Add(q, one)
		}
		return q
	}
	f, to := big.NewInt(s.From), big.NewInt(s.To)
	width = ceil(new(big.Int).Sub(to, f), big.NewInt(int64(n)))
	for _, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second, time.Millisecond, time.Microsecond, 1} {
		if u := big.NewInt(int64(unit)); u.Cmp(width) <= 0 {
			width = new(big.Int).Mul(ceil(width, u), u)
			break
		}
	}
	from = new(big.Int).Div(f, width) // Euclidean: rounds down
	from.Mul(from, width)
	count = ceil(new(big.Int).Sub(to, from), width)
	end = new(big.Int).Add(from, new(big.Int).Mul(width, count))
	return from, width, count, end
}

func TestPlanBucketsIsExact(t *testing.T) {
	times := rapid.OneOf(rapid.Int64Range(model.MinTime, model.MaxTime), rapid.Int64Range(-1e6, 1e6),
		rapid.Int64Range(model.MinTime, model.MinTime+1e15), rapid.Int64Range(model.MaxTime-1e15, model.MaxTime))
	counts := rapid.OneOf(rapid.IntRange(1, 10_000), rapid.IntRange(1, 3), rapid.IntRange(1, math.MaxInt))
	rapid.Check(t, func(t *rapid.T) {
		s := model.Span{From: times.Draw(t, "from"), To: times.Draw(t, "to")}
		n := counts.Draw(t, "buckets")
		if s.Empty() {
			s.From, s.To = s.To, s.From
		}
		if s.Empty() {
			return
		}
		b, err := model.PlanBuckets(s, n)
		from, width, count, end := plan(s, n)
		most, least := big.NewInt(math.MaxInt64), big.NewInt(math.MinInt64)
		fits := width.Cmp(big.NewInt(1<<61)) <= 0 && from.Cmp(least) >= 0 && end.Cmp(most) <= 0 &&
			new(big.Int).Sub(end, from).Cmp(most) <= 0
		if !fits {
			if !errors.Is(err, model.ErrBadSpan) || b != (model.Buckets{}) {
				t.Fatalf("%v, %v", b, err)
			}
			return
		}
		if err != nil || b.From != from.Int64() || b.Width != width.Int64() || int64(b.Count) != count.Int64() {
			t.Fatalf("got %+v, %v, want from %v, width %v, count %v", b, err, from, width, count)
		}
		if whole := b.Span(); whole.To != end.Int64() || whole.From > s.From || whole.To < s.To ||
			s.From-whole.From >= b.Width || whole.To-s.To >= b.Width {
			t.Fatalf("%+v covers %v, asked for %v", b, whole, s)
		}
		if uint64(b.Count) > uint64(n)+1 {
			t.Fatalf("%d buckets, asked for %d", b.Count, n)
		}
	})
}

// TestPanningDoesNotChangeBuckets: moving a span by whole buckets moves the
// plan by as much.
func TestPanningDoesNotChangeBuckets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.Int64Range(-1e18, 1e18).Draw(t, "from")
		s := model.Span{From: from, To: from + rapid.Int64Range(1, 1e17).Draw(t, "length")}
		n := rapid.IntRange(1, 2000).Draw(t, "buckets")
		b, err := model.PlanBuckets(s, n)
		if err != nil {
			t.Fatal(err)
		}
		shift := rapid.Int64Range(-10, 10).Draw(t, "shift") * b.Width
		if s.From+shift < model.MinTime || s.To+shift > model.MaxTime {
			return
		}
		moved, err := model.PlanBuckets(model.Span{From: s.From + shift, To: s.To + shift}, n)
		if want := (model.Buckets{From: b.From + shift, Width: b.Width, Count: b.Count}); err != nil || moved != want {
			t.Fatalf("%+v, %v, want %+v", moved, err, want)
		}
	})
}

func TestPlanBucketsRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		s model.Span
		n int
	}{
		"empty":               {model.Span{From: 1, To: 1}, 1},
		"backwards":           {model.Span{From: 2, To: 1}, 1},
		"no buckets":          {model.Span{From: 1, To: 2}, 0},
		"fewer than none":     {model.Span{From: 1, To: 2}, math.MinInt},
		"before all time":     {model.Span{From: model.MinTime - 1, To: 1}, 100},
		"after all time":      {model.Span{From: 1, To: model.MaxTime + 1}, 100},
		"int64's ends":        {model.Span{From: math.MinInt64, To: math.MaxInt64}, 1 << 40},
		"a century, a bucket": {model.Span{From: 0, To: 100 * 365 * model.Day}, 1},
	} {
		if b, err := model.PlanBuckets(c.s, c.n); !errors.Is(err, model.ErrBadSpan) || b != (model.Buckets{}) {
			t.Errorf("%s: %+v, %v", name, b, err)
		}
	}
}
