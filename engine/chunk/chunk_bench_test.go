package chunk

import "testing"

const benchRows = 1440

// benchmarkKinds runs a benchmark over a day of rows of every kind, and of
// temperatures whose clock is off by some milliseconds or nanoseconds.
func benchmarkKinds(b *testing.B, run func(b *testing.B, times []int64, values []float64)) {
	one := func(name string, times []int64, values []float64) {
		b.Run(name, func(b *testing.B) {
			run(b, times, values)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRows, "ns/row")
		})
	}
	for i, kind := range kinds {
		times, values := kindRows(i, benchRows, 0, 1)
		one(kind.name, times, values)
	}
	times, values := kindRows(0, benchRows, 3, 1e6)
	one("milliseconds", times, values)
	times, values = kindRows(0, benchRows, 3e6, 1)
	one("nanoseconds", times, values)
}

func BenchmarkEncode(b *testing.B) {
	benchmarkKinds(b, func(b *testing.B, times []int64, values []float64) {
		var dst []byte
		for b.Loop() {
			dst = Encode(dst[:0], times, values)
		}
		b.ReportMetric(float64(len(dst))*8/benchRows, "bits/row")
	})
}

func BenchmarkDecode(b *testing.B) {
	benchmarkKinds(b, func(b *testing.B, times []int64, values []float64) {
		payload := Encode(nil, times, values)
		var t []int64
		var v []float64
		for b.Loop() {
			t, v, _ = Decode(payload, benchRows, t[:0], v[:0])
		}
	})
}

func BenchmarkStreamAppend(b *testing.B) {
	benchmarkKinds(b, func(b *testing.B, times []int64, values []float64) {
		for b.Loop() {
			var p Pages
			var s Stream
			for i, t := range times {
				s.Append(&p, t, values[i])
			}
		}
	})
}

func BenchmarkViewDecode(b *testing.B) {
	benchmarkKinds(b, func(b *testing.B, times []int64, values []float64) {
		var p Pages
		var s Stream
		for i, t := range times {
			s.Append(&p, t, values[i])
		}
		var t []int64
		var v []float64
		for b.Loop() {
			t, v, _ = s.View(&p).Decode(t[:0], v[:0])
		}
	})
}

func BenchmarkSummarize(b *testing.B) {
	benchmarkKinds(b, func(b *testing.B, times []int64, values []float64) {
		for b.Loop() {
			s := Summarize(times, values)
			_ = s
		}
	})
}
