package chunk

import (
	"fmt"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/chunk/chunktest"
	"github.com/hokan-db/hokan/engine/model"
)

// benchColumn is a column and its bytes.
type benchColumn struct {
	times       []int64
	values      []float64
	timeBytes   []byte
	valuesBytes []byte
}

// benchColumns cuts the first 8,192 rows of the mix into chunks of one size.
func benchColumns(rows int, form Encoding) (columns []benchColumn) {
	var e Encoder
	for _, s := range chunktest.Mix(1, 8192, 42) {
		chunks(&s, rows, func(times []int64, values []float64) {
			columns = append(columns, benchColumn{times, values, e.AppendTimes(nil, times, form), e.AppendValues(nil, values, form)})
		})
	}
	return columns
}

// cutsEvery cuts so many rows into pieces.
func cutsEvery(piece, rows int) []int {
	var cuts []int
	for at := 0; at < rows; at += piece {
		cuts = append(cuts, at)
	}
	return append(cuts, rows)
}

// BenchmarkColumns takes the whole mix through each direction: one iteration is
// 819,200 rows. Views fold 60 rows to a bucket. The least time that each column
// took is added up too: that is the figure to go by on a busy machine, after
// some twenty iterations.
func BenchmarkColumns(b *testing.B) {
	for _, form := range forms {
		for _, rows := range []int{1024, 4096, 8192} {
			columns := benchColumns(rows, form)
			run := func(name string, each func(c *benchColumn)) {
				b.Run(fmt.Sprintf("%s/%v/%d", name, form, rows), func(b *testing.B) {
					least := make([]time.Duration, len(columns))
					for b.Loop() {
						for i := range columns {
							started := time.Now()
							each(&columns[i])
							if took := time.Since(started); least[i] == 0 || took < least[i] {
								least[i] = took
							}
						}
					}
					var sum time.Duration
					for _, took := range least {
						sum += took
					}
					b.ReportMetric(float64(sum)/819200, "least-ns/value")
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/819200, "ns/value")
				})
			}
			var e Encoder
			var d Decoder
			var bytes []byte
			values, times := make([]float64, 0, rows), make([]int64, 0, rows)
			whole, views := cutsEvery(rows, rows), cutsEvery(60, rows)
			out := make([]model.Aggregate, len(views)-1)
			run("encode", func(c *benchColumn) { bytes = e.AppendValues(bytes[:0], c.values, form) })
			run("decode", func(c *benchColumn) { values, _ = d.Values(values[:0], c.valuesBytes, rows) })
			run("fold", func(c *benchColumn) { _ = d.Fold(out[:1], whole, c.valuesBytes, rows) })
			run("view", func(c *benchColumn) { _ = d.Fold(out, views, c.valuesBytes, rows) })
			run("encodetimes", func(c *benchColumn) { bytes = e.AppendTimes(bytes[:0], c.times, form) })
			run("decodetimes", func(c *benchColumn) { times, _ = d.Times(times[:0], c.timeBytes, rows) })
		}
	}
}
