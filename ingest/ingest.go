// Package ingest brings instruments' files in: it reads a format as batches
// and hands them to whatever appends, the engine or a server's client.
package ingest

import (
	"context"
	"io"
	"time"

	"github.com/hokan-db/hokan/engine/model"
	"github.com/hokan-db/hokan/ingest/admit"
	"github.com/hokan-db/hokan/ingest/mapping"
	"github.com/hokan-db/hokan/ingest/refusal"
	"github.com/hokan-db/hokan/ingest/text"
)

// Error is a refusal: of a file as the error of ImportFile, or of a line or a
// cell in FileResult.Errors.
type Error = refusal.Error

// AppendFunc makes a batch durable. The batch is its own until it returns.
type AppendFunc func(ctx context.Context, b *model.Batch) error

// FileOptions say how to import a file.
type FileOptions struct {
	Tenant     model.Tenant
	Instrument string         // the label of every channel
	Group      string         // measurement group, may be empty
	Zone       *time.Location // of times that carry no offset
	Start      string         // replaces the trigger time: YYYY-MM-DD hh:mm:ss[.fff][±hh:mm]
	Map        *mapping.Map   // of a table; nil: none is told; one that tells nothing holds for what is of no dialect
	BatchRows  int            // 0: chosen
	DryRun     bool           // read everything, append nothing

	MapForOthers bool // Map holds only for files that are of no dialect, whatever it tells

	Total    int64                   // bytes in the file, for Progress; 0 where unknown
	Progress func(read, total int64) // called after each batch; may be nil
}

func (o *FileOptions) reader() text.Options {
	return text.Options{Tenant: o.Tenant, Instrument: o.Instrument, Group: o.Group, Zone: o.Zone, Start: o.Start, BatchRows: o.BatchRows}
}

// Validate refuses, with an *Error, options under which every file would be
// refused.
func (o *FileOptions) Validate() error {
	options := o.reader()
	return options.Validate()
}

// FileResult says what became of a file. Times are nanoseconds since the
// epoch; the span [From, To) runs to just after the last sample and is empty
// (0, 0) where no row was kept. Rejected counts samples; a line that is
// refused whole counts one for each channel.
type FileResult struct {
	File           string           `json:"file"`
	Dialect        string           `json:"dialect"`
	Instrument     string           `json:"instrument"`
	Channels       int              `json:"channels"`
	Rows           int64            `json:"rows"`
	From           int64            `json:"from"`
	To             int64            `json:"to"`
	Accepted       int64            `json:"accepted"`
	Rejected       int64            `json:"rejected"`
	Reasons        map[string]int64 `json:"reasons"` // samples by code; empty where the file is refused whole
	Errors         []Error          `json:"errors"`  // the first 20
	SkippedColumns []string         `json:"skipped_columns,omitempty"`
	Warnings       []string         `json:"warnings,omitempty"` // what was kept and looks wrong
	Map            string           `json:"map,omitempty"`      // that was taken, or is guessed of a table that needs one
}

// ImportFile appends every sample of an instrument's file, in the order of the file,
// reading one batch ahead of the append. After an error the result still says
// what was appended before it. A file that is refused as a whole gives an
// *Error.
func ImportFile(ctx context.Context, append AppendFunc, r io.Reader, name string, o FileOptions) (FileResult, error) {
	result := FileResult{File: name, Instrument: o.Instrument, Reasons: map[string]int64{}, Errors: []Error{}}
	reader, err := openFile(r, name, &o, &result)
	if err != nil {
		return result, err
	}
	result.Reasons = reader.Report().Reasons
	result.Dialect, result.Channels = reader.Dialect(), len(reader.Channels())
	if o.DryRun {
		append = func(context.Context, *model.Batch) error { return nil }
	}
	ahead, cancel := context.WithCancel(ctx)
	batches := readAhead(ahead, reader)
	defer func() {
		cancel()
		for range batches { // r is not read any more after the return
		}
	}()
	for next := range batches {
		if err := ctx.Err(); err != nil {
			return result, err
		}
		if next.err == nil {
			if err := append(ctx, next.batch); err != nil {
				return result, err
			}
		}
		result.take(&next.report)
		if o.Progress != nil {
			o.Progress(next.report.Bytes, o.Total)
		}
		if next.err == io.EOF {
			return result, nil
		}
		if next.err != nil {
			return result, next.err
		}
	}
	return result, ctx.Err() // the reader stopped only because of it
}

// take makes the result say what the report does.
func (f *FileResult) take(r *text.Report) {
	f.Rows, f.Accepted, f.Rejected, f.Reasons = r.Rows, r.Accepted, r.Rejected, r.Reasons
	f.Errors = f.Errors[:0]
	f.Errors = append(f.Errors, r.Errors...)
	f.SkippedColumns = r.Skipped
	f.Warnings = r.Warnings
	if r.Rows > 0 {
		f.From, f.To = r.First, r.Last+1
	}
}

// mostErrors is how many refusals a result lists.
const mostErrors = 20

// Settle moves what was refused as the samples were written, of which the reader
// knew nothing, from accepted to rejected.
func (f *FileResult) Settle(refused *admit.Result) {
	f.Accepted -= refused.Rejected
	f.Rejected += refused.Rejected
	for code, n := range refused.Reasons {
		f.Reasons[code] += n
	}
	for _, e := range refused.Errors[:min(len(refused.Errors), max(0, mostErrors-len(f.Errors)))] {
		f.Errors = append(f.Errors, Error{Code: e.Code, Detail: e.Detail})
	}
}

// read is a batch and what the reader reported when it was full, or the
// reader's last error.
type read struct {
	batch  *model.Batch
	report text.Report
	err    error
}

// readAhead reads batches until the first error, which is the last thing it
// hands over, or until ctx ends. The channel has no buffer: when a batch is
// taken the one before is done with, so two in turn are enough.
func readAhead(ctx context.Context, reader *text.Reader) <-chan read {
	out := make(chan read)
	go func() {
		defer close(out)
		var batches [2]model.Batch
		for turn := 0; ; turn ^= 1 {
			err := reader.Next(&batches[turn])
			select {
			case out <- read{&batches[turn], reader.Report(), err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return out
}
