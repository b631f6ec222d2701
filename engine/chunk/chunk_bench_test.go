package chunk

import (
	"testing"
)

const benchRows = 1440

func benchmarkWalk(b *testing.B, run func(times []int64, values []float64)) {
	times, values := walk(benchRows)
	b.ResetTimer()
	for b.Loop() {
		run(times, values)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
}

func BenchmarkEncode(b *testing.B) {
	var dst []byte
	benchmarkWalk(b, func(times []int64, values []float64) { dst = Encode(dst[:0], times, values) })
	b.ReportMetric(float64(len(dst))*8/benchRows, "bits/row")
}

func BenchmarkDecode(b *testing.B) {
	var payload []byte
	var t []int64
	var v []float64
	benchmarkWalk(b, func(times []int64, values []float64) {
		if payload == nil {
			payload = Encode(nil, times, values)
		}
		t, v, _ = Decode(payload, len(times), t[:0], v[:0])
	})
}

func BenchmarkStreamAppend(b *testing.B) {
	benchmarkWalk(b, func(times []int64, values []float64) {
		var p Pages
		var s Stream
		for i, t := range times {
			s.Append(&p, t, values[i])
		}
	})
}

func BenchmarkViewDecode(b *testing.B) {
	var p Pages
	var s Stream
	var t []int64
	var v []float64
	benchmarkWalk(b, func(times []int64, values []float64) {
		if s.Rows() == 0 {
			for i, t := range times {
				s.Append(&p, t, values[i])
			}
		}
		t, v, _ = s.View(&p).Decode(t[:0], v[:0])
	})
}

func BenchmarkSummarize(b *testing.B) {
	var total float64
	benchmarkWalk(b, func(times []int64, values []float64) {
		s := Summarize(times, values)
		total += s.Sum
	})
}
