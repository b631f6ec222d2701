package merge

import (
	"testing"

	"github.com/hokan-db/hokan/engine/model"
)

// month is 30 pieces of one day of minutes.
func month() []Piece {
	var pieces []Piece
	for day := range 30 {
		times, values := regular(int64(day)*model.Day, 1440)
		p := pieceOf(uint64(day), times, values)
		p.Summary = nil
		pieces = append(pieces, p)
	}
	return pieces
}

// BenchmarkAggregate folds a month of minutes of one channel into the buckets
// of a graph, without the cost of decoding (the source copies).
func BenchmarkAggregate(b *testing.B) {
	pieces := month()
	buckets, err := model.PlanBuckets(model.Span{From: 0, To: 30 * model.Day}, 1366)
	if err != nil {
		b.Fatal(err)
	}
	out := make([]model.Aggregate, buckets.Count)
	var scratch Scratch
	b.ReportAllocs()
	for b.Loop() {
		clear(out)
		if err := Aggregate(pieces, buckets, out, &scratch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/43200, "ns/row")
}

// BenchmarkCopy is what the source of the others costs by itself.
func BenchmarkCopy(b *testing.B) {
	pieces := month()
	var times []int64
	var values []float64
	for b.Loop() {
		for i := range pieces {
			times, values, _ = pieces[i].Source.DecodeIn([]model.Span{model.AllTime()}, times[:0], values[:0])
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/43200, "ns/row")
}

func benchmarkCursor(b *testing.B, pieces []Piece) {
	c := NewCursor(nil, model.AllTime())
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n = 0
		c.Reset(pieces, model.AllTime())
		for {
			times, _, err := c.Next()
			if err != nil {
				b.Fatal(err)
			}
			if len(times) == 0 {
				break
			}
			n += len(times)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/row")
}

func BenchmarkCursorDisjoint(b *testing.B) { benchmarkCursor(b, month()) }

// BenchmarkCursorInterleaved is the worst case: eight pieces take turns row by
// row.
func BenchmarkCursorInterleaved(b *testing.B) {
	var pieces []Piece
	for i := range 8 {
		times, values := regular(0, 5000)
		for j := range times {
			times[j] += int64(i) * 5e9
		}
		pieces = append(pieces, pieceOf(uint64(i), times, values))
	}
	benchmarkCursor(b, pieces)
}
