package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkImportExport imports a logger file of about 70 MB, durably, and
// exports it again. Run it on one core:
//
//	GOMAXPROCS=1 taskset -c 0 go test -run '^$' -bench ImportExport ./tools/hokan
func BenchmarkImportExport(b *testing.B) {
	dir := b.TempDir()
	file := filepath.Join(dir, "LONG.CSV")
	var text bytes.Buffer
	text.WriteString("\"Time\",\"2-1[C]\",\"2-4[V]\",\"2-6[V]\",\"2-8[V]\",\"Event\",\r\n")
	for i := range 1_000_000 {
		wave := i*i/7919%200 - 100
		fmt.Fprintf(&text, "% .9E,% .5E,% .5E,% .5E,% .5E,0,\r\n", float64(i*10),
			float64(2600+wave/50)/100, float64(wave-350)*5e-5, float64(wave%13-250)*5e-5, float64(wave%77-1180)*5e-5)
	}
	if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
		b.Fatal(err)
	}
	hokan := func(arguments ...string) {
		b.Helper()
		var errors bytes.Buffer
		if code := run(arguments, nil, io.Discard, &errors); code != 0 {
			b.Fatalf("hokan %v: exit %d: %s", arguments, code, errors.String())
		}
	}
	data := func(i int) string { return filepath.Join(dir, fmt.Sprint("d", i)) }
	b.Run("import", func(b *testing.B) {
		b.SetBytes(int64(text.Len()))
		for i := range b.N {
			if err := os.RemoveAll(data(i)); err != nil {
				b.Fatal(err)
			}
			hokan("import", "--data", data(i), "--tenant", "t", "--instrument", "i", "--start", "2022-06-06 18:43:33+00:00", file)
		}
	})
	b.Run("export", func(b *testing.B) {
		out := filepath.Join(dir, "out.zip")
		for range b.N {
			hokan("export", "--data", data(0), "--tenant", "t", "--format", "csv", "--out", out, "{}")
		}
		b.ReportMetric(float64(b.N)*5e6/b.Elapsed().Seconds(), "values/s")
	})
}
