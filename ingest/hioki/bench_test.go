package hioki

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/text"
)

// loggerFile makes a file of the LR8400 family in memory: channels quantised
// as instruments quantise, one row every ten seconds.
func loggerFile(rows, channels int) []byte {
	var b bytes.Buffer
	b.WriteString("\"File name\",\"BENCH.CSV\",\"V 1.00\"\r\n\"Trigger Time\",\"'25-01-02 03:04:05\"\r\n\"Time\",")
	for c := range channels {
		fmt.Fprintf(&b, "\"1-%d[V]\",", c+1)
	}
	b.WriteString("\"Event\",\r\n")
	for i := range rows {
		fmt.Fprintf(&b, "% .9E,", float64(i)*10)
		for c := range channels {
			fmt.Fprintf(&b, "% .5E,", float64((i*7+c*131)%20000-10000)*5e-5)
		}
		b.WriteString("0,\r\n")
	}
	return b.Bytes()
}

func BenchmarkNext(b *testing.B) {
	for _, channels := range []int{4, 100} {
		b.Run(fmt.Sprintf("channels=%d", channels), func(b *testing.B) {
			file := loggerFile(800_000/(channels+1), channels)
			b.SetBytes(int64(len(file)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := newReader(bytes.NewReader(file), "bench", text.Options{Instrument: "i", Zone: time.UTC})
				if err != nil {
					b.Fatal(err)
				}
				var batch model.Batch
				for err == nil {
					err = r.Next(&batch)
				}
				if report := r.Report(); err != io.EOF || report.Rejected > 0 {
					b.Fatal(err, report)
				}
			}
		})
	}
}

// BenchmarkNumbersOfManyDigits takes the slow path of every cell.
func BenchmarkNumbersOfManyDigits(b *testing.B) {
	cell := []byte(" 3.14159265358979323E-01")
	b.SetBytes(int64(len(cell)))
	for b.Loop() {
		if _, ok := text.ParseNumber(cell, '.'); !ok {
			b.Fatal("no number")
		}
	}
}
