package entry_test

import (
	"testing"

	"github.com/hokan-db/hokan/engine/entry"
	"github.com/hokan-db/hokan/engine/model"
)

// wideEntry has one row each of many channels that share a clock.
func wideEntry(channels int) *entry.Entry {
	times := []int64{1763766000e9}
	values := make([]float64, channels)
	rows := &entry.Rows{}
	for i := range values {
		values[i] = float64(i) * 0.1
		rows.Columns = append(rows.Columns, entry.Column{Channel: model.ChannelID(i + 1), Times: times, Values: values[i : i+1]})
	}
	return &entry.Entry{Offset: 1, Time: times[0] + 1e6, Tenant: "tenant", Body: rows}
}

// longEntry has many rows of one channel, a minute apart.
func longEntry(rows int) *entry.Entry {
	times, values := make([]int64, rows), make([]float64, rows)
	for i := range times {
		times[i] = 1763766000e9 + int64(i)*60e9
		values[i] = float64(i) * 0.1
	}
	return &entry.Entry{Offset: 1, Time: times[0], Tenant: "tenant",
		Body: &entry.Rows{Columns: []entry.Column{{Channel: 9, Times: times, Values: values}}}}
}

func benchmark(b *testing.B, e *entry.Entry) {
	rows := e.Body.(*entry.Rows).Rows()
	encoded := mustEncode(b, e)
	perRow := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
		b.ReportMetric(float64(len(encoded))/float64(rows), "B/row")
	}
	b.Run("encode", func(b *testing.B) {
		buffer := make([]byte, 0, 1<<20)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := e.AppendTo(buffer); err != nil {
				b.Fatal(err)
			}
		}
		perRow(b)
	})
	b.Run("decode", func(b *testing.B) {
		var into entry.Entry
		b.ReportAllocs()
		for b.Loop() {
			if err := entry.Decode(encoded, &into); err != nil {
				b.Fatal(err)
			}
		}
		perRow(b)
	})
}

func BenchmarkThousandChannels(b *testing.B) { benchmark(b, wideEntry(1000)) }
func BenchmarkOneChannel(b *testing.B)       { benchmark(b, longEntry(4096)) }
func BenchmarkOneRow(b *testing.B)           { benchmark(b, longEntry(1)) }
