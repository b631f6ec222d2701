package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/refusal"
)

// store is an AppendFunc that keeps what it is given and fails at the batch
// numbered failAt, from 1.
type store struct {
	batches, samples, failAt int
	failure                  error
}

func (s *store) append(_ context.Context, b *model.Batch) error {
	if s.batches++; s.batches == s.failAt {
		return s.failure
	}
	s.samples += b.Rows()
	return nil
}

func ownFile(t *testing.T, name string) []byte {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("..", "testdata", "hioki", name))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestImportFile(t *testing.T) {
	file := ownFile(t, "lr8400-en.csv")
	var s store
	var read []int64
	result, err := ImportFile(t.Context(), s.append, bytes.NewReader(file), "lr8400-en.csv", FileOptions{
		Tenant: "t", Instrument: "lake", Zone: time.FixedZone("", -4*3600), BatchRows: 300,
		Total: int64(len(file)),
		Progress: func(n, total int64) {
			if total != int64(len(file)) {
				t.Errorf("total %d", total)
			}
			read = append(read, n)
		}})
	if err != nil {
		t.Fatal(err)
	}
	if s.samples != 10000 || s.batches != 7 {
		t.Errorf("%d samples in %d batches", s.samples, s.batches)
	}
	if len(read) != 8 || read[7] != int64(len(file)) {
		t.Errorf("progress %v", read)
	}
	text, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	first := time.Date(2024, 3, 11, 11, 5, 20, 0, time.UTC).UnixNano()
	want := fmt.Sprintf(`{"file":"lr8400-en.csv","dialect":"hioki-lr8400","instrument":"lake","channels":5,"rows":2000,`+
		`"from":%d,"to":%d,"accepted":10000,"rejected":0,"reasons":{"not_a_number":0},"errors":[]}`, first, first+1999*10e9+1)
	if string(text) != want {
		t.Errorf("%s\nwant\n%s", text, want)
	}
}

func TestImportFileListsRefusals(t *testing.T) {
	var s store
	result, err := ImportFile(t.Context(), s.append, bytes.NewReader(ownFile(t, "bad-number.csv")), "f", FileOptions{Instrument: "i", Zone: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(result.Errors[:1])
	if err != nil {
		t.Fatal(err)
	}
	if want := `[{"line":4,"column":2,"code":"not_a_number","detail":"\"abc\" is no number"}]`; string(text) != want {
		t.Errorf("%s, want %s", text, want)
	}
	if result.Accepted != 8 || result.Rejected != 4 || s.samples != 8 {
		t.Errorf("%+v, %d samples appended", result, s.samples)
	}
}

func TestDryRunAppendsNothing(t *testing.T) {
	var s store
	result, err := ImportFile(t.Context(), s.append, bytes.NewReader(ownFile(t, "lr8430-ja-sjis.csv")), "f",
		FileOptions{Instrument: "i", Zone: time.UTC, DryRun: true})
	if err != nil || result.Accepted != 180 || s.batches != 0 {
		t.Errorf("%v, %+v, %d batches", err, result, s.batches)
	}
}

// After a failed append the result says what was appended before.
func TestFailedAppend(t *testing.T) {
	s := store{failAt: 3, failure: errors.New("disk full")}
	result, err := ImportFile(t.Context(), s.append, bytes.NewReader(ownFile(t, "lr8400-en.csv")), "f",
		FileOptions{Instrument: "i", Zone: time.UTC, BatchRows: 100})
	if !errors.Is(err, s.failure) || result.Rows != 200 || result.Accepted != 1000 || s.samples != 1000 || s.batches != 3 {
		t.Errorf("%v, %+v", err, result)
	}
}

func TestCancelledImport(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var s store
	stop := func(ctx context.Context, b *model.Batch) error {
		cancel()
		return s.append(ctx, b)
	}
	result, err := ImportFile(ctx, stop, bytes.NewReader(ownFile(t, "lr8400-en.csv")), "f",
		FileOptions{Instrument: "i", Zone: time.UTC, BatchRows: 10})
	if !errors.Is(err, context.Canceled) || result.Rows > 10 || s.batches != 1 {
		t.Errorf("%v, %+v", err, result)
	}
}

func TestRefusedFile(t *testing.T) {
	var s store
	result, err := ImportFile(t.Context(), s.append, strings.NewReader("\"Time\",\"A\"\n0,1\n"), "W.CSV", FileOptions{Instrument: "i", Zone: time.UTC})
	var refused *Error
	if !errors.As(err, &refused) || refused.Code != refusal.StartRequired || s.batches != 0 {
		t.Errorf("%v", err)
	}
	if !strings.HasPrefix(err.Error(), "start_required: W.CSV: line 1: ") {
		t.Errorf("%v", err)
	}
	if result.Reasons == nil || len(result.Reasons) > 0 { // no sample was refused: none was looked at
		t.Errorf("reasons %v", result.Reasons)
	}
}

func TestOptionsThatNoFileMakesGood(t *testing.T) {
	for _, test := range []struct {
		options FileOptions
		code    string
	}{
		{FileOptions{Instrument: "i"}, ""},
		{FileOptions{Instrument: "湖", Group: "水温", Start: "2024-01-01 00:00:00Z"}, ""},
		{FileOptions{}, refusal.BadLabel},
		{FileOptions{Instrument: "\xFF"}, refusal.BadLabel},
		{FileOptions{Instrument: "a\nb"}, refusal.BadLabel},
		{FileOptions{Instrument: "i", Group: "\xFF"}, refusal.BadLabel},
		{FileOptions{Instrument: "i", Start: "noon"}, refusal.BadTime},
		{FileOptions{Instrument: "i", Start: "2024-01-01 00:00:00"}, refusal.ZoneRequired},
	} {
		err := test.options.Validate()
		var refused *Error
		if test.code == "" && err != nil || test.code != "" && (!errors.As(err, &refused) || refused.Code != test.code) {
			t.Errorf("%+v: %v, want %q", test.options, err, test.code)
		}
	}
}
