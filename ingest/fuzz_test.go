package ingest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/mapping"
)

// FuzzImport reads arbitrary bytes, among them files of every dialect: every
// refusal is one, every sample has a time and a value that can be stored, and
// the counts agree.
func FuzzImport(f *testing.F) {
	for _, pattern := range []string{"instruments/*", "hioki/*.csv"} {
		files, err := filepath.Glob(filepath.Join("..", "testdata", pattern))
		if err != nil || len(files) == 0 {
			f.Fatal("no seeds", err)
		}
		for _, path := range files {
			file, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(file[:min(len(file), 2000)], "", 2, "")
			f.Add(file[:min(len(file), 2000)], "", 2, "auto")
		}
	}
	f.Add([]byte("10/03/2004;18.00.00;2,6;-200;on\n11/03/2004;18.00.00;2,7;1;off\n"), "", 1, "auto")
	f.Add([]byte("a,b\n1,2\n"), "2024-01-01 00:00:00", 1, "interval=1s,missing=2")
	f.Add([]byte("\x00\x00t / h\tb\n1\t2\n"), "2024-01-01 00:00:00", 1, "auto")
	f.Fuzz(func(t *testing.T, file []byte, start string, batchRows int, maps string) {
		o := FileOptions{Instrument: "i", Zone: time.UTC, Start: start, BatchRows: batchRows & 1023}
		if maps != "" {
			m, err := mapping.Parse(maps)
			if err != nil {
				return
			}
			o.Map = m
		}
		k, result, err := importBytes(file, o)
		var refused *Error
		if err != nil {
			if !errors.As(err, &refused) || refused.Code == "" || refused.Detail == "" {
				t.Fatalf("%v is no refusal", err)
			}
			return
		}
		samples := int64(0)
		for name, column := range k.samples {
			samples += int64(len(column))
			for _, s := range column {
				if s.Time < max(result.From, model.MinTime) || s.Time >= min(result.To, model.MaxTime) {
					t.Fatalf("%s: time %d", name, s.Time)
				}
				if q := model.QualityOf(s.Value); q == model.QualityUnknown || q == model.QualityNone && s.Value-s.Value != 0 {
					t.Fatalf("%s: value %v", name, s.Value)
				}
			}
		}
		var sum int64
		for _, n := range result.Reasons {
			sum += n
		}
		if sum != result.Rejected || samples != result.Accepted || result.Accepted > result.Rows*int64(result.Channels) {
			t.Fatalf("%+v, %d samples", result, samples)
		}
	})
}
