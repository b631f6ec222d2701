package hioki

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/refusal"
)

func newBatch() *model.Batch { return &model.Batch{} }

// FuzzReader reads arbitrary bytes: every refusal is one, every sample has a
// time and a value that can be stored, and the counts agree.
func FuzzReader(f *testing.F) {
	files, err := filepath.Glob("../../testdata/hioki/*.csv")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, path := range files {
		file, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file[:min(len(file), 2000)], "", 3)
		f.Add(file[:min(len(file), 2000)], "2024-01-01 00:00:00+01:00", 0)
	}
	f.Fuzz(func(t *testing.T, file []byte, start string, batchRows int) {
		o := testOptions
		o.Start, o.BatchRows = start, batchRows&1023
		r, err := newReader(bytes.NewReader(file), "f", o)
		var refused *refusal.Error
		if err != nil {
			if !errors.As(err, &refused) || refused.Code == "" || refused.Detail == "" {
				t.Fatalf("%v is no refusal", err)
			}
			return
		}
		samples, err := drain(t, r)
		if err != io.EOF {
			t.Fatal(err)
		}
		report := r.Report()
		for name, column := range samples {
			for _, s := range column {
				if s.Time < max(report.First, model.MinTime) || s.Time > min(report.Last, model.MaxTime-1) {
					t.Fatalf("%s: time %d", name, s.Time)
				}
				if q := model.QualityOf(s.Value); q == model.QualityUnknown || q == model.QualityNone && s.Value-s.Value != 0 {
					t.Fatalf("%s: value %v", name, s.Value)
				}
			}
		}
		var sum int64
		for _, n := range report.Reasons {
			sum += n
		}
		if sum != report.Rejected || report.Bytes != int64(len(file)) || report.Accepted > report.Rows*int64(len(r.Channels())) {
			t.Fatalf("%+v", report)
		}
	})
}
